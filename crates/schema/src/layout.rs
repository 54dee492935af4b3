//! The two layouts that there are, and what columns are called in each.

use crate::{
    cell::{self, Record, Rest},
    column::{Column, label_column_name},
    day::Day,
    day_cell,
    error::Error,
};

const LABEL_PREFIX: &str = "___cf_meta_label_";
const CHUNK_PREFIX: &str = "___cf_meta_chunk_";
const ROW_INDEX: &str = "___cf_meta_index";
const HASH: &str = "___cf_meta_hash";

/// How the files of a shard are laid out.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Layout {
    /// That of `parquet-common`, which this workspace writes: the files say all of themselves.
    #[default]
    Block,
    /// That of `thanos-parquet-gateway`: a shard of one day, of which `meta.pb` says what the files do not.
    Day(Day),
}

impl Layout {
    /// The column called `name`, or `None` for one that the layout does not know.
    ///
    /// In a [`Day`], [`Column::SeriesHash`] is a column of the chunks file that holds a hash of its writer's own, which
    /// differs between builds of Prometheus' library.
    #[must_use]
    pub fn column(self, name: &str) -> Option<Column> {
        if matches!(self, Self::Block) {
            return Column::from_name(name);
        }
        if let Some(label) = name.strip_prefix(LABEL_PREFIX) {
            return Some(Column::Label(label.to_owned()));
        }
        match name {
            ROW_INDEX => Some(Column::RowIndex),
            HASH => Some(Column::SeriesHash),
            _ => {
                let column = Column::Data(name.strip_prefix(CHUNK_PREFIX)?.parse().ok()?);
                (self.name_of(&column) == name).then_some(column)
            }
        }
    }

    /// The name of a column. Columns stand in the file in byte order of their names, which for labels is that of the
    /// labels.
    #[must_use]
    pub fn name_of(self, column: &Column) -> String {
        match (self, column) {
            (Self::Block, Column::Label(label)) => label_column_name(label),
            (Self::Block, _) => column.name(),
            (Self::Day(_), Column::Label(label)) => format!("{LABEL_PREFIX}{label}"),
            (Self::Day(_), Column::Data(i)) => format!("{CHUNK_PREFIX}{i}"),
            (Self::Day(_), Column::RowIndex) => ROW_INDEX.to_owned(),
            (Self::Day(_), Column::SeriesHash) => HASH.to_owned(),
        }
    }

    /// Whether the column's physical type is `INT64`; all others are of `BYTE_ARRAY`.
    #[must_use]
    pub const fn is_integer(self, column: &Column) -> bool {
        matches!((self, column), (Self::Day(_), Column::SeriesHash))
    }

    /// Reads the records of a data column's cell one after another, as [`cell::records`] or [`day_cell::records`] do.
    pub fn records(self, cell: &[u8]) -> impl Iterator<Item = Result<Record<'_>, Error>> + Clone {
        let what = match self {
            Self::Block => cell::WHAT,
            Self::Day(_) => day_cell::WHAT,
        };
        Rest::of(what, cell).records(move |rest| match self {
            Self::Block => cell::read(rest),
            Self::Day(_) => day_cell::read(rest),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        let day = Layout::Day(Day::new(2, 0).unwrap());
        for name in [
            "___cf_meta_label___name__",
            "___cf_meta_label_",
            "___cf_meta_index",
            "___cf_meta_hash",
            "___cf_meta_chunk_0",
            "___cf_meta_chunk_2",
        ] {
            assert_eq!(day.name_of(&day.column(name).unwrap()), name);
            assert_eq!(Layout::Block.column(name), None);
        }
        for name in ["l_a", "s_data_0", "___cf_meta_chunk_", "___cf_meta_chunk_00", "___cf_meta_chunk_-1", ""] {
            assert_eq!(day.column(name), None, "{name:?}");
        }
        for name in ["l_a", "s_data_0", "s_col_indexes", "s_series_hash"] {
            assert_eq!(Layout::Block.name_of(&Layout::Block.column(name).unwrap()), name);
        }
    }
}
