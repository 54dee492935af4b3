//! Names and storage of the columns; names of the files.

const LABEL_PREFIX: &str = "l_";
const DATA_PREFIX: &str = "s_data_";
const ROW_INDEX: &str = "s_col_indexes";
const SERIES_HASH: &str = "s_series_hash";

/// One column of a shard.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Column {
    /// `l_<label>` of the labels file: the value of that label, null where the series lacks it.
    Label(String),
    /// `s_col_indexes` of the labels file: which label columns the row uses, see [`crate::row_index`].
    RowIndex,
    /// `s_series_hash` of the labels file, see [`crate::series_hash_cell`].
    SeriesHash,
    /// `s_data_<i>` of the chunks file: the series' chunks in the i-th stretch of time, see [`crate::cell`].
    Data(u32),
}

/// Parquet encoding of the values of a column.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Encoding {
    /// `RLE_DICTIONARY`, on every page: Go readers refuse a page that fell back to another encoding.
    Dictionary,
    /// `DELTA_BYTE_ARRAY`.
    DeltaByteArray,
    /// `DELTA_LENGTH_BYTE_ARRAY`.
    DeltaLengthByteArray,
}

impl Column {
    /// The column called `name`, or `None` for one that the layout does not know.
    ///
    /// ```
    /// use promparquet_schema::Column;
    /// assert_eq!(Column::from_name("s_data_12"), Some(Column::Data(12)));
    /// assert_eq!(Column::from_name("l_s_data_12"), Some(Column::Label("s_data_12".into())));
    /// assert_eq!(Column::from_name("s_data_012"), None);
    /// ```
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        if let Some(label) = label_of_column(name) {
            return Some(Self::Label(label.to_owned()));
        }
        match name {
            ROW_INDEX => Some(Self::RowIndex),
            SERIES_HASH => Some(Self::SeriesHash),
            _ => {
                let i = name.strip_prefix(DATA_PREFIX)?.parse().ok()?;
                let column = Self::Data(i);
                (column.name() == name).then_some(column)
            }
        }
    }

    /// Its name in the file. Columns stand in the file in byte order of their names, so `s_data_10` before `s_data_2`,
    /// and labels before all others.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Label(label) => label_column_name(label),
            Self::RowIndex => ROW_INDEX.to_owned(),
            Self::SeriesHash => SERIES_HASH.to_owned(),
            Self::Data(i) => format!("{DATA_PREFIX}{i}"),
        }
    }

    /// How its values are encoded. All columns are of physical type `BYTE_ARRAY`.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        match self {
            Self::Label(_) => Encoding::Dictionary,
            Self::RowIndex => Encoding::DeltaByteArray,
            Self::SeriesHash | Self::Data(_) => Encoding::DeltaLengthByteArray,
        }
    }

    /// Whether cells may be null. Elsewhere a missing value is an empty byte array.
    #[must_use]
    pub const fn is_optional(&self) -> bool {
        matches!(self, Self::Label(_))
    }

    /// Whether the column has the logical type `STRING`.
    #[must_use]
    pub const fn is_string(&self) -> bool {
        matches!(self, Self::Label(_))
    }

    /// Whether the page bounds in the column index mean anything. Writers leave those of the other columns empty, which
    /// a reader must not take for bounds.
    #[must_use]
    pub const fn has_bounds(&self) -> bool {
        matches!(self, Self::Label(_))
    }
}

/// Name of the column that holds the label `label`.
#[must_use]
pub fn label_column_name(label: &str) -> String {
    format!("{LABEL_PREFIX}{label}")
}

/// The label that the column `name` holds, if it is a label column.
#[must_use]
pub fn label_of_column(name: &str) -> Option<&str> {
    name.strip_prefix(LABEL_PREFIX)
}

/// Key of a shard's labels file; `name` is the shard set's name, for instance a block's ULID, and may contain slashes.
#[must_use]
pub fn labels_file(name: &str, shard: u32) -> String {
    format!("{name}/{shard}.labels.parquet")
}

/// Key of a shard's chunks file.
#[must_use]
pub fn chunks_file(name: &str, shard: u32) -> String {
    format!("{name}/{shard}.chunks.parquet")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for name in
            ["l___name__", "l_café.naïve/label name", "l_", "s_col_indexes", "s_series_hash", "s_data_0", "s_data_31"]
        {
            assert_eq!(Column::from_name(name).unwrap().name(), name);
        }
        for name in ["", "x", "s_data_", "s_data_-1", "s_data_+1", "s_data_00", "s_data_4294967296", "S_data_0"] {
            assert_eq!(Column::from_name(name), None, "{name:?}");
        }
    }
}
