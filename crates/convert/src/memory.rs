//! How the memory budget is shared out, before anything is written.
//!
//! | Held | Grows with | Counted |
//! |---|---|---|
//! | the process: code, stacks, the allocator's slack, codec contexts | threads | [`BASE_BYTES`], [`THREAD_BYTES`] |
//! | symbols, tombstones, rows | the blocks | as they are |
//! | dictionaries, the open page, what is known of pages of labels | series and labels of a row group | from above |
//! | batches of chunks, being made or waiting for their turn | the budget | by weight: see [`Weights`] |
//! | finished pages that wait for the columns before them | the budget; then a temporary file | by bytes |
//! | parts of uploads | the budget: smaller and fewer parts | by bytes |
//!
//! The first three are what a conversion needs whatever its speed, along with the least of the others; if that is more
//! than the budget, the conversion fails before it writes. What the budget has beyond it makes batches, parts and pages
//! wait less for each other. The output does not depend on it.

use std::num::NonZeroUsize;

use prometheus_tsdb_block::{BlockFile, BlockReader};
use promparquet_objstore::Bucket;
use promparquet_schema::{DataColumns, chunks_file};

use crate::{
    chunks_file::Weights,
    error::{Error, MemorySnafu},
    options::Options,
    parquet_file::SPOOL_BYTES,
    rows::{LABEL_BATCH_ROWS, Rows, ShardRows, Source},
};

/// What the process needs besides what is planned for.
const BASE_BYTES: usize = 12 << 20;
/// What each thread needs besides.
const THREAD_BYTES: usize = 2 << 20;

/// Bounds of a batch. Pages end where a batch does, hence its size must follow from nothing but the layout that was asked
/// for: neither from the number of threads nor from the memory that is left.
const LEAST_BATCH_BYTES: usize = 64 << 10;
const MOST_BATCH_BYTES: usize = 2 << 20;

/// Read at once from each index.
const MOST_WINDOW_BYTES: usize = 1 << 20;
const LEAST_WINDOW_BYTES: usize = 64 << 10;

/// What a column of labels holds beside its values, and a data column for each batch.
const LABEL_COLUMN_BYTES: usize = 512;
const DATA_COLUMN_BYTES: usize = 192;
/// An entry of a dictionary: its symbol, and its place in a hash table.
const ENTRY_BYTES: usize = 32;
/// What is known of a page that waits, its bounds included.
const LABEL_PAGE_BYTES: usize = 256;
const DATA_PAGE_BYTES: usize = 96;
/// A label of the open page: row and dictionary index, while they grow.
const OPEN_LABEL_BYTES: usize = 16;
/// Bytes of chunks that nobody asked for and that a worker holds while it reads, at least.
const LEAST_WASTE_BYTES: usize = 1 << 20;
/// A file that is written: what is gathered before it goes out, and what the footer says so far.
const FILE_BYTES: usize = (1 << 20) + 4 * SPOOL_BYTES;

/// What each shard that is being written may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Bytes of chunks in a batch, as they are in the source.
    pub(crate) batch_bytes: u64,
    /// Weight of the batches that are encoded or wait for their turn; a heavier one goes alone.
    pub(crate) batches_weight: u64,
    /// Bytes between chunks that a worker reads along with them at a time.
    pub(crate) waste_bytes: u64,
    /// Bytes of finished pages that wait in memory.
    pub(crate) chunk_pages: usize,
    pub(crate) label_pages: usize,
    /// Bytes of parts of uploads.
    pub(crate) chunks_upload: usize,
    pub(crate) labels_upload: usize,
    /// How long the chunks file will be at most, about.
    pub(crate) chunks_file_bytes: u64,
}

/// The budget, from which what is held is taken away.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    allowed: usize,
    taken: usize,
}

impl Budget {
    /// What is left beside the process itself.
    pub(crate) fn new(options: &Options) -> Self {
        let threads = options.read_concurrency.get().saturating_add(1).saturating_mul(options.write_concurrency.get());
        Self::of(options.memory_bytes, threads)
    }

    /// The same for work with so many threads.
    pub(crate) fn of(memory_bytes: NonZeroUsize, threads: usize) -> Self {
        let taken = BASE_BYTES.saturating_add(THREAD_BYTES.saturating_mul(threads));
        Self { allowed: memory_bytes.get(), taken }
    }

    /// Takes away `bytes` for `what`.
    pub(crate) fn take(&mut self, what: &'static str, bytes: usize) -> Result<(), Error> {
        self.taken = self.taken.saturating_add(bytes);
        if self.taken > self.allowed {
            let (needed, allowed) = (self.taken, self.allowed);
            return Err(MemorySnafu { what, needed, allowed }.build().into());
        }
        Ok(())
    }

    /// What is left.
    pub(crate) const fn left(&self) -> usize {
        self.allowed.saturating_sub(self.taken)
    }

    /// Bytes to read at once from each of so many indexes.
    pub(crate) fn window_bytes(&self, blocks: usize) -> u64 {
        (self.left() / 16 / blocks.max(1)).clamp(LEAST_WINDOW_BYTES, MOST_WINDOW_BYTES) as u64
    }

    /// Symbols and tombstones of all blocks and their common numbering, before they are read.
    pub(crate) fn take_symbols(&mut self, blocks: &[BlockReader]) -> Result<(), Error> {
        let mut all = 0_u64;
        for block in blocks {
            let range = block.layout().symbols();
            let length = range.end.saturating_sub(range.start);
            let of_union = if blocks.len() > 1 { 4 + 2 * 8 } else { 0 };
            all = all.saturating_add(length).saturating_add(symbol_count(block)?.saturating_mul(4 + of_union));
            // In a file that takes ten bytes or so for each, intervals take 32.
            let tombstones = match block.files().size(BlockFile::Tombstones) {
                Err(error) if error.kind() == prometheus_tsdb_block::ErrorKind::NotFound => 0,
                size => size?,
            };
            all = all.saturating_add(tombstones.saturating_mul(4));
        }
        self.take("the symbols of the blocks", usize::try_from(all).unwrap_or(usize::MAX))
    }

    /// Shares out the rest.
    pub(crate) fn plan(
        mut self,
        source: &Source<'_>,
        rows: &Rows,
        shards: &[ShardRows],
        data_columns: DataColumns,
        options: &Options,
        bucket: &Bucket,
    ) -> Result<Memory, Error> {
        let writers = options.write_concurrency.get().min(shards.len().max(1));
        let workers = options.read_concurrency.get();
        let columns = data_columns.count() as usize;
        let page_bytes = options.chunk_page_bytes.get() as usize;
        // A few pages of each column, so that the last one of a batch is not much smaller than the others.
        let wanted = columns.saturating_mul(4).saturating_mul(page_bytes);
        let batch_bytes = wanted.clamp(LEAST_BATCH_BYTES, MOST_BATCH_BYTES.max(page_bytes)) as u64;
        let weights = Weights::of(rows, shards, batch_bytes);

        let labels = shards.iter().map(|shard| label_bytes(source, rows, shard, options)).max().unwrap_or(0);
        let pages = weights.batches_of_group.saturating_mul(columns);
        let pages = pages.saturating_add(usize::try_from(weights.bytes).unwrap_or(usize::MAX) / page_bytes.max(1));
        let chunks = pages.saturating_mul(DATA_PAGE_BYTES);
        let runs = source.blocks.iter().map(|block| block.read_options().max_run_bytes).max().unwrap_or(0);
        // Entries of an index, which the thread of the labels reads too.
        let index = weights.index_bytes.min(usize::try_from(runs).unwrap_or(usize::MAX));
        let codec = options.chunks_compression.context_bytes(page_bytes.saturating_mul(2));
        let of_workers = DATA_COLUMN_BYTES.saturating_mul(columns).saturating_add(codec).saturating_mul(workers);
        let of_workers = of_workers.saturating_add((workers + 1).saturating_mul(index));
        let fixed = [labels, chunks, of_workers, 2 * FILE_BYTES].into_iter().fold(0, usize::saturating_add);
        let all_shards = shards.iter().map(|shard| shard.row_groups.len() * 64 + shard.names.len() * 4).sum();
        self.take("the labels of the series", all_shards)?;
        self.take("the labels of the series", fixed.saturating_mul(writers))?;

        // Chunks that are encoded anew may become longer.
        let chunks_file_bytes = weights.bytes.saturating_mul(2);
        let upload = bucket.upload(&chunks_file(&options.name, 0))?;
        let least_upload = (upload.least_memory(chunks_file_bytes), upload.least_memory(0));
        let least_batches = usize::try_from(weights.heaviest).unwrap_or(usize::MAX);
        let least_waste = workers.saturating_mul(LEAST_WASTE_BYTES);
        let least = [least_upload.0, least_upload.1, least_batches, least_waste];
        let least = least.into_iter().fold(0, usize::saturating_add);
        self.take("chunks and uploads", least.saturating_mul(writers))?;
        let more = self.left() / writers;
        Ok(Memory {
            batch_bytes,
            batches_weight: (least_batches + more * 3 / 8) as u64,
            waste_bytes: (LEAST_WASTE_BYTES + more / 8 / workers) as u64,
            chunk_pages: more * 3 / 16,
            label_pages: more / 16,
            chunks_upload: least_upload.0 + more * 3 / 16,
            labels_upload: least_upload.1 + more / 16,
            chunks_file_bytes,
        })
    }
}

/// What writing the labels file of a shard takes, from above.
fn label_bytes(source: &Source<'_>, rows: &Rows, shard: &ShardRows, options: &Options) -> usize {
    let group_rows = shard.row_groups.iter().map(ExactSizeIterator::len).max().unwrap_or(0);
    let page_rows = (options.label_page_rows() as usize).min(group_rows);
    let pages = group_rows.div_ceil(page_rows.max(1));
    let (names, most_labels) = (shard.names.len(), rows.most_labels as usize);
    let labels = usize::try_from(rows.labels).unwrap_or(usize::MAX);
    let labels_of = |rows: usize| rows.saturating_mul(most_labels).min(labels);
    let open_page = labels_of(page_rows).saturating_mul(OPEN_LABEL_BYTES + 8).saturating_add(page_rows * 64);
    let batch = labels_of(LABEL_BATCH_ROWS.min(group_rows)).saturating_mul(16);
    // At most as many as there are values of labels in all.
    let entries = labels_of(group_rows).min(usize::try_from(source.label_pairs).unwrap_or(usize::MAX));
    let waiting = names.saturating_mul(pages).min(labels_of(group_rows)).saturating_mul(LABEL_PAGE_BYTES);
    // The text of one dictionary, as it is and compressed.
    let text = source.blocks.iter().map(|block| {
        let range = block.layout().symbols();
        usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX)
    });
    let dictionary = text.fold(0, usize::saturating_add).saturating_add(source.symbols.len().saturating_mul(4));
    let largest_page = dictionary.max(options.page_bytes.get() as usize);
    [
        names.saturating_mul(LABEL_COLUMN_BYTES),
        source.symbols.len().saturating_mul(4),
        entries.saturating_mul(ENTRY_BYTES),
        // Bloom filters have ten bits for each entry, or up to twice as many.
        entries.saturating_mul(if options.bloom_filter_labels.is_empty() { 0 } else { 3 }),
        waiting,
        open_page,
        batch,
        dictionary.saturating_mul(2),
        options.labels_compression.context_bytes(largest_page),
    ]
    .into_iter()
    .fold(0, usize::saturating_add)
}

/// How many symbols a block has; as many as there can be at most if it says more.
fn symbol_count(block: &BlockReader) -> Result<u64, Error> {
    count_at(block, block.layout().symbols(), 1)
}

/// How many different pairs of label name and value a block has: entries of its table of postings.
pub(crate) fn label_pairs(block: &BlockReader) -> Result<u64, Error> {
    // Two counts of bytes, a count of strings and an offset at least.
    count_at(block, block.layout().postings_table(), 4)
}

/// The count at the start of a section of the index, after its length: `len(u32) count(u32)`.
fn count_at(block: &BlockReader, section: std::ops::Range<u64>, least_bytes: u64) -> Result<u64, Error> {
    let most = section.end.saturating_sub(section.start) / least_bytes;
    let head = section.start..section.start.saturating_add(8).min(section.end);
    let head = block.files().read(BlockFile::Index, head)?;
    let count = head.get(4..8).and_then(|bytes| Some(u32::from_be_bytes(*bytes.first_chunk()?)));
    Ok(count.map_or(most, u64::from).min(most))
}

/// How many series the block's meta says it has, but no more than its index has room for.
pub(crate) fn expected_series(block: &BlockReader) -> usize {
    /// An entry has a length, two counts and a checksum.
    const LEAST_BYTES: u64 = 7;
    let section = block.layout().series();
    let most = section.end.saturating_sub(section.start) / LEAST_BYTES;
    usize::try_from(block.meta().stats.num_series.min(most)).unwrap_or(usize::MAX)
}
