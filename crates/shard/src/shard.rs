//! A shard, opened.

use std::sync::atomic::{AtomicU64, Ordering};

use promparquet_objstore::{Bucket, Object};
use promparquet_schema::{Column, DataColumns, Layout, chunks_file, labels_file};

use crate::{
    error::{Detail, Error, Place, Result},
    fetch::{self, Coalescing, FileKind, ReadBytes, ReadPlan},
    file::ShardFile,
    footer::{FooterReader, Step},
    scan::{RowScan, ScanOptions},
};

/// Bounds on what a shard may make its reader hold in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Footer and page indexes of one file, as they are in the file.
    pub footer_bytes: u64,
    /// One page, decoded.
    pub page_bytes: u64,
    /// All pages that a [`RowScan`] holds at a time.
    pub scan_bytes: u64,
    /// Rows of one row group: a few bytes of a page can stand for any number of them.
    pub row_group_rows: u32,
}

impl Default for Limits {
    /// 64 MiB, 256 MiB, 1 GiB and 64 Mi rows.
    fn default() -> Self {
        Self { footer_bytes: 64 << 20, page_bytes: 256 << 20, scan_bytes: 1 << 30, row_group_rows: 64 << 20 }
    }
}

/// How to open a shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenOptions {
    /// Bytes of each file's end that are read at once, in the hope that footer and page indexes are among them.
    pub tail_bytes: u64,
    /// Decoded dictionaries that are kept while the shard is open, for the next questions.
    pub dictionary_bytes: u64,
    /// How it is laid out.
    pub layout: Layout,
    /// What the shard may ask for.
    pub limits: Limits,
}

impl Default for OpenOptions {
    /// 256 KiB of the ends: the footer of a chunks file of 300 MB takes some 100. 4 MiB of dictionaries.
    fn default() -> Self {
        Self { tail_bytes: 256 << 10, dictionary_bytes: 4 << 20, layout: Layout::default(), limits: Limits::default() }
    }
}

/// One shard: two Parquet files with the same rows, of which the footers have been read and checked.
#[derive(Debug)]
pub struct Shard {
    bucket: Bucket,
    name: String,
    index: u32,
    layout: Layout,
    limits: Limits,
    labels: ShardFile,
    chunks: ShardFile,
    /// Where the bytes of both files come from.
    objects: [Object; 2],
    data_columns: DataColumns,
    /// Time index and position in the chunks file of each data column, in order of time.
    data_positions: Vec<(u32, usize)>,
    row_index: Option<usize>,
    series_hash: Option<usize>,
    instance: u64,
}

impl Shard {
    /// Opens the shard `index` of the set `name`: both files at the same time, each with one request as a rule.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if a file is missing, [`Corrupt`](crate::ErrorKind::Corrupt) if they are
    /// no shard, and those of the bucket.
    pub async fn open(bucket: &Bucket, name: &str, index: u32) -> Result<Self> {
        Self::open_with(bucket, name, index, OpenOptions::default()).await
    }

    /// Opens a shard with options.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`LimitExceeded`](crate::ErrorKind::LimitExceeded) if a footer is longer or a row group
    /// has more rows than allowed.
    pub async fn open_with(bucket: &Bucket, name: &str, index: u32, options: OpenOptions) -> Result<Self> {
        let (labels, chunks) = futures::future::try_join(
            open_file(bucket, labels_file(name, index), options),
            open_file(bucket, chunks_file(name, index), options),
        )
        .await?;
        Self::new(bucket.clone(), name.to_owned(), index, &options, labels, chunks)
    }

    fn new(
        bucket: Bucket,
        name: String,
        index: u32,
        options: &OpenOptions,
        (labels, labels_object): (ShardFile, Object),
        (chunks, chunks_object): (ShardFile, Object),
    ) -> Result<Self> {
        let layout = options.layout;
        let data_positions = check_chunks_columns(&chunks, layout)?;
        let row_index = check_labels_columns(&labels, layout)?;
        let series_hash = labels.position(&Column::SeriesHash);
        check_same_rows(&labels, &chunks)?;
        let data_columns = match layout {
            Layout::Block => data_columns(&labels, &chunks)?,
            Layout::Day(day) => DataColumns::of_day(day),
        };
        static INSTANCES: AtomicU64 = AtomicU64::new(0);
        let instance = INSTANCES.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            bucket,
            name,
            index,
            layout,
            limits: options.limits,
            labels,
            chunks,
            objects: [labels_object, chunks_object],
            data_columns,
            data_positions,
            row_index,
            series_hash,
            instance,
        })
    }

    /// A number that no other shard opened by this process has, not even the same one opened again: for keys of caches.
    #[must_use]
    pub const fn instance_id(&self) -> u64 {
        self.instance
    }

    /// The bucket that it lies in.
    #[must_use]
    pub const fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Name of the shard set.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of the shard in the set.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// How its files are laid out.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// The file with labels, row indexes and hashes.
    #[must_use]
    pub const fn labels_file(&self) -> &ShardFile {
        &self.labels
    }

    /// The file with the data columns.
    #[must_use]
    pub const fn chunks_file(&self) -> &ShardFile {
        &self.chunks
    }

    /// How time maps to data columns. The chunks file of a Go writer may have one more or one less.
    #[must_use]
    pub const fn data_columns(&self) -> DataColumns {
        self.data_columns
    }

    /// The data columns that the chunks file has: time index and position in the file, in order of time.
    #[must_use]
    pub fn data_positions(&self) -> &[(u32, usize)] {
        &self.data_positions
    }

    /// Position of the row index in the labels file; version 0 of a day has none.
    #[must_use]
    pub const fn row_index_position(&self) -> Option<usize> {
        self.row_index
    }

    /// Position of the series hash in the labels file; version 1 of a block's layout has none, nor has a day: its writer's
    /// hash differs between builds, so that days of one series may have different ones.
    #[must_use]
    pub const fn series_hash_position(&self) -> Option<usize> {
        self.series_hash
    }

    /// Names of the labels that have a column, ascending. A row need not have any of them.
    pub fn label_names(&self) -> impl Iterator<Item = &str> {
        self.labels.columns().iter().filter_map(|column| match column {
            Column::Label(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// How many row groups it has.
    #[must_use]
    pub fn row_groups(&self) -> usize {
        self.labels.row_groups()
    }

    /// How many rows (series) it has.
    #[must_use]
    pub fn rows(&self) -> u64 {
        (0..self.row_groups()).map(|group| u64::from(self.labels.rows_of(group))).sum()
    }

    /// One of its files.
    #[must_use]
    pub const fn file(&self, kind: FileKind) -> &ShardFile {
        match kind {
            FileKind::Labels => &self.labels,
            FileKind::Chunks => &self.chunks,
        }
    }

    pub(crate) const fn object(&self, kind: FileKind) -> &Object {
        let [labels, chunks] = &self.objects;
        match kind {
            FileKind::Labels => labels,
            FileKind::Chunks => chunks,
        }
    }

    /// About how much memory it takes at most: footers, page indexes and dictionaries.
    #[must_use]
    pub fn memory_size(&self) -> usize {
        let of = |file: &ShardFile| file.metadata().memory_size();
        // Dictionaries are a part of the labels file, and seldom a large one.
        let dictionaries = self.labels.dictionaries().most_bytes().min(self.labels.size());
        let footers = of(&self.labels).saturating_add(of(&self.chunks));
        footers.saturating_add(usize::try_from(dictionaries).unwrap_or(usize::MAX))
    }

    /// What it may ask for.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// Reads what was planned, from both files at the same time.
    ///
    /// # Errors
    /// Those of the bucket; [`LimitExceeded`](crate::ErrorKind::LimitExceeded) if a range is longer than a page may be,
    /// before anything is read.
    pub async fn read(&self, plan: &ReadPlan, coalescing: Coalescing) -> Result<ReadBytes> {
        for kind in [FileKind::Labels, FileKind::Chunks] {
            let too_long = plan.ranges(kind).iter().find(|r| r.end.saturating_sub(r.start) > self.limits.page_bytes);
            if let Some(range) = too_long {
                let place = Place { offset: Some(range.start), ..self.file(kind).place() };
                let needed = range.end.saturating_sub(range.start);
                return Err(Detail::TooLarge { place, what: "a page", needed, limit: self.limits.page_bytes }.into());
            }
        }
        let of = |kind| fetch::ranges(self.object(kind), plan.ranges(kind), coalescing);
        let (labels, chunks) = futures::future::try_join(of(FileKind::Labels), of(FileKind::Chunks)).await?;
        Ok(ReadBytes::new(labels, chunks))
    }

    /// Reads all rows, in the order of the file.
    #[must_use]
    pub fn scan(&self, options: ScanOptions) -> RowScan<'_> {
        RowScan::new(self, self.limits, options)
    }
}

/// Columns of the chunks file; gives time index and position of the data columns, in order of time.
fn check_chunks_columns(chunks: &ShardFile, layout: Layout) -> Result<Vec<(u32, usize)>> {
    let mut positions = Vec::with_capacity(chunks.columns().len());
    let mut has_hash = false;
    for (position, column) in chunks.columns().iter().enumerate() {
        match (layout, column) {
            (_, Column::Data(i)) => positions.push((*i, position)),
            (Layout::Day(_), Column::SeriesHash) => has_hash = true,
            _ => return Err(unexpected(chunks, position, "only data columns in the chunks file")),
        }
    }
    positions.sort_unstable();
    let name = |column: &Column| format!("a column {:?}", layout.name_of(column));
    if let Some((expected, (_, position))) = (0_u32..).zip(&positions).find(|(expected, (found, _))| expected != found)
    {
        return Err(unexpected(chunks, *position, &name(&Column::Data(expected))));
    }
    if let Layout::Day(day) = layout {
        let count = DataColumns::of_day(day).count();
        if positions.len() != count as usize {
            return Err(Error::corrupt(chunks.place(), format!("{count} data columns"), positions.len().to_string()));
        }
        if day.version() >= 2 && !has_hash {
            return Err(Error::corrupt(chunks.place(), name(&Column::SeriesHash), "none"));
        }
    }
    Ok(positions)
}

/// Columns of the labels file; gives the position of the row index.
fn check_labels_columns(labels: &ShardFile, layout: Layout) -> Result<Option<usize>> {
    let is_elsewhere = |column: &Column| match column {
        Column::Data(_) => true,
        Column::SeriesHash => matches!(layout, Layout::Day(_)),
        _ => false,
    };
    if let Some(position) = labels.columns().iter().position(is_elsewhere) {
        return Err(unexpected(labels, position, "no columns of the chunks file in the labels file"));
    }
    let row_index = labels.position(&Column::RowIndex);
    let may_lack_it = matches!(layout, Layout::Day(day) if day.version() == 0);
    if row_index.is_none() && !may_lack_it {
        let expected = format!("a column {:?}", layout.name_of(&Column::RowIndex));
        return Err(Error::corrupt(labels.place(), expected, "none"));
    }
    Ok(row_index)
}

fn unexpected(file: &ShardFile, column: usize, expected: &str) -> Error {
    let place = file.place_of(column, None);
    let found = place.column.clone().unwrap_or_default();
    Error::corrupt(place, expected, format!("{found:?}"))
}

fn check_same_rows(labels: &ShardFile, chunks: &ShardFile) -> Result<()> {
    if labels.row_groups() != chunks.row_groups() {
        let expected = format!("{} row groups, as the labels file has", labels.row_groups());
        return Err(Error::corrupt(chunks.place(), expected, chunks.row_groups().to_string()));
    }
    for row_group in 0..labels.row_groups() {
        let (expected, found) = (labels.rows_of(row_group), chunks.rows_of(row_group));
        if expected != found {
            let place = Place { row_group: Some(row_group), ..chunks.place() };
            let expected = format!("{expected} rows, as the labels file has");
            return Err(Error::corrupt(place, expected, found.to_string()));
        }
    }
    Ok(())
}

/// How time maps to data columns, which both files of a block's layout say.
fn data_columns(labels: &ShardFile, chunks: &ShardFile) -> Result<DataColumns> {
    let Some(data_columns) = labels.data_columns()? else {
        return Err(Error::corrupt(labels.place(), "key/value metadata that map time to data columns", "none"));
    };
    if let Some(found) = chunks.data_columns()?.filter(|found| *found != data_columns) {
        let expected = format!("the labels file's {:?}", data_columns.to_metadata());
        return Err(Error::corrupt(chunks.place(), expected, format!("{:?}", found.to_metadata())));
    }
    Ok(data_columns)
}

async fn open_file(bucket: &Bucket, key: String, options: OpenOptions) -> Result<(ShardFile, Object)> {
    let (object, tail) = bucket.open(&key, options.tail_bytes.max(8)).await?;
    let (name, size) = (format!("{bucket}/{key}"), object.size());
    let mut footer = FooterReader::new(name.clone(), size, tail, options.limits.footer_bytes);
    loop {
        match footer.step()? {
            Step::Fetch(range) => footer.prepend(&object.get_range(range).await?),
            Step::Done(metadata) => {
                let file = ShardFile::new(name, key, size, *metadata, &options)?;
                return Ok((file, object));
            }
        }
    }
}
