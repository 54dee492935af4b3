//! A shard: both files, opened and scanned.
//!
//! ```text
//! input  = mode(u8) 3 × length(u16be) body footer body footer       of the labels file, of the chunks file
//! mode   = bit 0: how much of the end is read at once; bits 1-2: rows of a batch; bit 3: how much is read ahead
//! file   = body footer length(footer) "PAR1"
//! ```
//!
//! The lengths are those of all but the last. The footers' own lengths are thus right, whatever they were.
//!
//! Holds: pages lie in the file and cover the rows; all rows come in order, or an error; batches and reads of another
//! size give the same rows; hashes are those of the labels.

use std::sync::Arc;

use bytes::Bytes;
use futures::executor::block_on;
use object_store::memory::InMemory;
use prometheus_model::Labels;
use promparquet_objstore::Bucket;
use promparquet_schema::{cell, chunks_file, labels_file};
use promparquet_shard::{Coalescing, Error, ErrorKind, Limits, OpenOptions, RowScan, ScanOptions, Shard, ShardFile};

const NAME: &str = "block";
const LIMITS: Limits =
    Limits { footer_bytes: 1 << 20, page_bytes: 1 << 20, scan_bytes: 8 << 20, row_group_rows: 1 << 20 };
/// Few bytes can say many equal rows: work on one input is bounded.
pub(crate) const MOST_ROWS: usize = 20_000;

/// The files of an input.
pub(crate) struct Files {
    mode: u8,
    labels: Vec<u8>,
    chunks: Vec<u8>,
}

impl Files {
    pub(crate) fn split(input: &[u8]) -> Option<Self> {
        let ([mode, lengths @ ..], rest) = input.split_first_chunk::<7>()?;
        let [a0, a1, b0, b1, c0, c1] = *lengths;
        let (labels_body, rest) = rest.split_at_checked(u16::from_be_bytes([a0, a1]).into())?;
        let (labels_footer, rest) = rest.split_at_checked(u16::from_be_bytes([b0, b1]).into())?;
        let (chunks_body, chunks_footer) = rest.split_at_checked(u16::from_be_bytes([c0, c1]).into())?;
        let file = |body: &[u8], footer: &[u8]| {
            let length = u32::try_from(footer.len()).unwrap_or(u32::MAX);
            [body, footer, &length.to_le_bytes(), b"PAR1"].concat()
        };
        let (labels, chunks) = (file(labels_body, labels_footer), file(chunks_body, chunks_footer));
        Some(Self { mode: *mode, labels, chunks })
    }

    pub(crate) fn open(&self) -> Result<Shard, Error> {
        let bucket = Bucket::new(Arc::new(InMemory::new()), "memory:");
        for (key, bytes) in [(labels_file(NAME, 0), &self.labels), (chunks_file(NAME, 0), &self.chunks)] {
            block_on(bucket.put(&key, Bytes::copy_from_slice(bytes))).expect("memory takes any object");
        }
        let tail_bytes = if self.mode & 1 == 0 { 64 << 10 } else { 64 };
        block_on(Shard::open_with(
            &bucket,
            NAME,
            0,
            OpenOptions { tail_bytes, limits: LIMITS, ..OpenOptions::default() },
        ))
    }

    /// Makes the checksums of all pages good.
    pub(crate) fn fix(&mut self, shard: &Shard) {
        fix_pages(&mut self.labels, shard.labels_file());
        fix_pages(&mut self.chunks, shard.chunks_file());
    }
}

/// Footers and page indexes: opens, and asks where everything is.
pub(crate) fn run_footer(input: &[u8]) {
    let Some(files) = Files::split(input) else { return };
    let shard = match files.open() {
        Ok(shard) => shard,
        Err(error) => return assert_typed(&error),
    };
    let mut rows = 0;
    for file in [shard.labels_file(), shard.chunks_file()] {
        assert_eq!(file.row_groups(), shard.row_groups());
        assert!(file.columns().iter().is_sorted_by(|a, b| a.name() < b.name()));
        for column in 0..file.columns().len() {
            assert_eq!(file.position(&file.columns()[column]), Some(column));
            let _ = file.column_bytes(column);
            for row_group in 0..file.row_groups() {
                assert!(covers(file, row_group, column));
            }
        }
        rows = (0..file.row_groups()).map(|group| u64::from(file.rows_of(group))).sum();
        assert_eq!(file.rows_of(file.row_groups()), 0);
    }
    assert_eq!(shard.rows(), rows);
    assert!(shard.data_columns().count() > 0);
    assert!(shard.data_positions().is_sorted());
    assert!(shard.label_names().is_sorted_by(|a, b| a < b));
}

/// Whether the pages of a column cover the rows of the row group, and lie one after the other in the file.
fn covers(file: &ShardFile, row_group: usize, column: usize) -> bool {
    let (mut row, mut at) = (0, 4);
    if let Some(dictionary) = file.dictionary(row_group, column) {
        assert!(dictionary.start >= 4 && dictionary.start < dictionary.end && dictionary.end <= file.size());
    }
    for (n, page) in file.pages(row_group, column).enumerate() {
        assert_eq!(file.page(row_group, column, n).as_ref(), Some(&page));
        assert!(page.rows.start == row && page.rows.end > row);
        assert!(page.bytes.start >= at && page.bytes.end > page.bytes.start && page.bytes.end <= file.size());
        (row, at) = (page.rows.end, page.bytes.end);
    }
    row == file.rows_of(row_group)
}

/// Pages: computes their checksums, and scans all rows.
pub(crate) fn run_pages(input: &[u8]) {
    let Some(mut files) = Files::split(input) else { return };
    let Ok(shard) = files.open() else { return };
    files.fix(&shard);
    let shard = files.open().expect("opening reads no pages");
    let (rows, result) = scan(&shard, ScanOptions::default());
    match &result {
        Ok(()) => assert_eq!(rows.len(), usize::try_from(shard.rows()).unwrap_or(usize::MAX).min(MOST_ROWS)),
        Err(error) => assert_typed(error),
    }
    let other = ScanOptions {
        batch_rows: [1, 2, 7, 100][usize::from(files.mode >> 1 & 3)],
        window_bytes: if files.mode & 8 == 0 { 0 } else { 200 },
        coalescing: Coalescing { gap_bytes: 0, max_read_bytes: 100 },
        ..ScanOptions::default()
    };
    let (again, result_again) = scan(&shard, other);
    let common = rows.len().min(again.len());
    assert_eq!(rows[..common], again[..common]);
    // An error may come in an earlier batch; a scan that is cut short may miss it.
    let limited = |result: &Result<(), Error>| result.as_ref().is_err_and(|e| e.kind() == ErrorKind::LimitExceeded);
    if rows.len() < MOST_ROWS && again.len() < MOST_ROWS && !limited(&result) && !limited(&result_again) {
        assert_eq!(result.is_ok(), result_again.is_ok(), "{result:?}, {result_again:?}");
    }
    let (labels_only, _) = scan(&shard, ScanOptions { cells: false, ..ScanOptions::default() });
    let common = rows.len().min(labels_only.len());
    assert!(labels_only[..common].iter().map(|row| &row.labels).eq(rows[..common].iter().map(|row| &row.labels)));
}

#[derive(PartialEq, Debug)]
pub(crate) struct Row {
    pub(crate) labels: Labels,
    cells: Vec<Vec<u8>>,
}

/// The rows up to the first error, or up to the most.
pub(crate) fn scan(shard: &Shard, options: ScanOptions) -> (Vec<Row>, Result<(), Error>) {
    let mut rows = Vec::new();
    let mut scan: RowScan<'_> = shard.scan(options);
    while rows.len() < MOST_ROWS {
        let batch = match block_on(scan.next()) {
            Ok(Some(batch)) => batch,
            Ok(None) => return (rows, Ok(())),
            Err(error) => {
                assert!(matches!(block_on(scan.next()), Ok(None)), "rows after an error");
                return (rows, Err(error));
            }
        };
        assert!(!batch.is_empty() && batch.len() <= options.batch_rows as usize);
        assert_eq!((batch.first_row(), batch.len()), (rows.len() as u64, batch.labels().len()));
        assert_eq!(batch.series_hashes().len(), batch.len());
        let columns = if options.cells { shard.data_positions().len() } else { 0 };
        for (i, (labels, hash)) in batch.labels().iter().zip(batch.series_hashes()).enumerate() {
            assert_eq!(labels.stable_hash(), *hash);
            let cells = (0..columns).map(|column| batch.cell(i, column).to_vec()).collect::<Vec<_>>();
            for cell in &cells {
                let _ = cell::records(cell).count();
            }
            rows.push(Row { labels: labels.clone(), cells });
        }
        assert!(batch.cell(batch.len(), 0).is_empty() && batch.cell(0, columns).is_empty());
    }
    rows.truncate(MOST_ROWS);
    (rows, Ok(()))
}

fn assert_typed(error: &Error) {
    let expected = [ErrorKind::Corrupt, ErrorKind::Unsupported, ErrorKind::LimitExceeded];
    assert!(expected.contains(&error.kind()) && !error.to_string().is_empty(), "{error}");
}

/// Makes the checksums of all pages good, where there is room.
fn fix_pages(bytes: &mut [u8], file: &ShardFile) {
    for row_group in 0..file.row_groups() {
        for column in 0..file.columns().len() {
            if let Some(dictionary) = file.dictionary(row_group, column) {
                fix_page(bytes, dictionary);
            }
            for page in file.pages(row_group, column) {
                fix_page(bytes, page.bytes);
            }
        }
    }
}

/// `PageHeader` begins with three integers, of which the third is the length of what follows the header; the fourth is
/// the checksum. In its place goes a varint of the same length.
fn fix_page(bytes: &mut [u8], range: std::ops::Range<u64>) -> Option<()> {
    let page = bytes.get_mut(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)?;
    let (mut at, mut numbers) = (0, [(0, 0, 0); 4]);
    for number in &mut numbers {
        // The next field, an i32.
        if *page.get(at)? != 0x15 {
            return None;
        }
        let (value, length) = crate::checksums::uvarint(page.get(at + 1..)?)?;
        *number = (value, at + 1, length);
        at += 1 + length;
    }
    let [_, _, (body, ..), (_, checksum_at, checksum_len)] = numbers;
    let body = usize::try_from(body >> 1).ok()?;
    // A page ends with its body; a dictionary may not, but those that are written do.
    let start = page.len().checked_sub(body).filter(|start| *start >= at)?;
    let checksum = crc32fast::hash(page.get(start..)?).cast_signed();
    let mut zigzag = (checksum << 1 ^ checksum >> 31).cast_unsigned();
    let slot = page.get_mut(checksum_at..checksum_at + checksum_len)?;
    let last = slot.len() - 1;
    for (i, byte) in slot.iter_mut().enumerate() {
        *byte = zigzag.to_le_bytes()[0] & 0x7f | if i < last { 0x80 } else { 0 };
        zigzag >>= 7;
    }
    (zigzag == 0).then_some(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What is good must get to the end, or nothing is tested.
    #[test]
    fn good_files() {
        for codec in ["none", "snappy", "zstd"] {
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../seeds/shard-{codec}"));
            let read = |name| std::fs::read(directory.join(name)).expect("a seed");
            let files = Files { mode: 0, labels: read("0.labels.parquet"), chunks: read("0.chunks.parquet") };
            let shard = files.open().expect("a good shard");
            let (rows, result) = scan(&shard, ScanOptions::default());
            result.expect("good pages");
            assert_eq!((rows.len(), shard.row_groups()), (6, 2));
            // A checksum of each page that is damaged is made good again, to the very byte.
            for (bytes, file) in [(&files.labels, shard.labels_file()), (&files.chunks, shard.chunks_file())] {
                let mut fixed = bytes.clone();
                fix_pages(&mut fixed, file);
                assert_eq!(fixed, *bytes);
                let page = file.page(0, 0, 0).expect("a page");
                let at = usize::try_from(page.bytes.end - 1).expect("a small file");
                fixed[at] ^= 1;
                let damaged = fixed.clone();
                fix_pages(&mut fixed, file);
                assert_ne!(fixed, damaged);
            }
        }
    }
}
