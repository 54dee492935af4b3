//! The cell of `s_col_indexes`: which label columns a row uses.
//!
//! ```text
//! cell    := count column*
//! count   := varint (zig-zag)
//! column  := varint (zig-zag)        ascending; index of the column in the labels file
//! ```

use crate::{
    error::Error,
    varint::{put_varint, varint},
};

const WHAT: &str = "row index";

/// Appends the cell for a row that uses the columns `ascending`.
pub fn encode(ascending: &[u32], out: &mut Vec<u8>) {
    put_varint(out, ascending.len().try_into().unwrap_or(i64::MAX));
    for &column in ascending {
        put_varint(out, column.into());
    }
}

/// The columns that a cell names, ascending, into `out`.
///
/// # Errors
/// If the cell is cut off, has bytes left over, is not ascending or names a column that is not below `columns`.
pub fn decode(cell: &[u8], columns: u32, out: &mut Vec<u32>) -> Result<(), Error> {
    out.clear();
    let at = |rest: &[u8]| cell.len().saturating_sub(rest.len());
    let cut = |rest: &[u8]| Error::corrupt(WHAT, at(rest), "a varint", "the end of the cell or a malformed one");
    let (count, mut rest) = varint(cell).ok_or_else(|| cut(cell))?;
    // Each index takes a byte or more, so the count is checked before anything is reserved.
    let count = usize::try_from(count).ok().filter(|n| *n <= rest.len()).ok_or_else(|| {
        Error::corrupt(WHAT, 0, format!("a count of at most {} columns", rest.len()), count.to_string())
    })?;
    out.reserve(count);
    for _ in 0..count {
        let (value, next) = varint(rest).ok_or_else(|| cut(rest))?;
        let column = u32::try_from(value).ok().filter(|c| *c < columns && out.last().is_none_or(|last| last < c));
        out.push(column.ok_or_else(|| {
            let after = out.last().map_or_else(String::new, |last| format!(" above {last}"));
            Error::corrupt(WHAT, at(rest), format!("a column index{after} below {columns}"), value.to_string())
        })?);
        rest = next;
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err(Error::corrupt(WHAT, at(rest), "the end of the cell", format!("{} more bytes", rest.len())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_bytes() {
        let mut cell = Vec::new();
        encode(&[0, 1, 63, 64, 300], &mut cell);
        assert_eq!(cell, [10, 0, 2, 126, 128, 1, 216, 4]);
    }

    #[test]
    fn refuses_damage() {
        let message = |cell: &[u8]| decode(cell, 10, &mut Vec::new()).unwrap_err().to_string();
        assert!(message(&[]).contains("a varint"));
        assert!(message(&[4, 0]).contains("a count of at most 1 columns, found 2"));
        assert!(message(&[1]).contains("found -1"));
        assert!(message(&[2, 20]).contains("below 10, found 10"));
        assert!(message(&[4, 2, 2]).contains("above 1 below 10, found 1"));
        assert!(message(&[2, 2, 7]).contains("1 more bytes"));
    }

    proptest! {
        #[test]
        fn round_trips(columns in prop::collection::btree_set(0_u32..70_000, 0..80)) {
            let columns: Vec<_> = columns.into_iter().collect();
            let mut cell = Vec::new();
            encode(&columns, &mut cell);
            let mut out = vec![7];
            decode(&cell, 70_000, &mut out).unwrap();
            prop_assert_eq!(columns, out);
        }

        #[test]
        fn any_bytes_are_refused_or_mean_themselves(bytes: Vec<u8>, columns: u32) {
            let mut out = Vec::new();
            if decode(&bytes, columns, &mut out).is_ok() {
                prop_assert!(out.is_sorted() && out.len() < bytes.len());
            }
        }
    }
}
