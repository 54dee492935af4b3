//! The conversion: from blocks to the files of all shards.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use prometheus_model::TimeRange;
use prometheus_tsdb_block::{BlockReader, MergeCounts, MergedSymbols};
use promparquet_objstore::{Bucket, Upload};
use promparquet_schema::{DataColumns, chunks_file, labels_file};
use tokio::runtime::Handle;

use crate::{
    control::Control,
    error::{Error, ErrorKind, InternalSnafu, TooManyDataColumnsSnafu},
    memory::{Budget, Memory, label_pairs},
    options::Options,
    output::Output,
    report::{ChunkCounts, Report, ShardReport, peak_memory_bytes},
    rows::{Rows, ShardJob, ShardRows, Source},
};

/// Most data columns: a year of hours, or twenty of days.
const MAX_DATA_COLUMNS: u64 = 8784;
/// Converts blocks to shards in `bucket`, named as [`Options::name`] says.
///
/// Several blocks are merged: each series becomes one row, overlapping chunks are merged by sample, and of samples with
/// the same timestamp that of the first block wins. Only samples in `range` (half-open) are converted; all if it is
/// `None`. Tombstones are applied.
///
/// If no series has a sample in range, nothing is written and the report has no shards. If the conversion fails, the
/// files that it had completed are removed, as far as the bucket allows. What makes a conversion look finished is the
/// caller's marker ([`Marker`](promparquet_shard::Marker)), not the files.
///
/// The work is done by threads of its own; `control` shows how far it is, and stops it.
///
/// # Errors
/// See [`ErrorKind`].
pub async fn convert(
    blocks: Vec<BlockReader>,
    range: Option<TimeRange>,
    bucket: Bucket,
    options: Options,
    control: Arc<Control>,
) -> Result<Report, Error> {
    let runtime = Handle::current();
    let work = move || convert_blocking(&blocks, range, &bucket, &options, &control, &runtime);
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(InternalSnafu { what: format!("the conversion ended early: {error}") }.build().into()),
    }
}

fn convert_blocking(
    blocks: &[BlockReader],
    range: Option<TimeRange>,
    bucket: &Bucket,
    options: &Options,
    control: &Control,
    runtime: &Handle,
) -> Result<Report, Error> {
    let started = Instant::now();
    options.validate()?;
    control.begin();
    control.check()?;
    let mut budget = Budget::new(options);
    budget.take_symbols(blocks)?;
    let symbols = MergedSymbols::new(blocks)?;
    let label_pairs = blocks.iter().map(label_pairs).sum::<Result<u64, Error>>()?;
    let source = Source { blocks, symbols: &symbols, label_pairs, range: range.unwrap_or(TimeRange::ALL) };
    let rows = Rows::collect(&source, options, control, &mut budget)?;
    control.set_series_total(rows.len() as u64);
    let mut report = Report { series_in: rows.series_in, ..Report::default() };
    if let Some(data_columns) = data_columns(&source, &rows, options)? {
        let shards = rows.shards(&source, options, control)?;
        let conversion = Conversion {
            source: &source,
            rows: &rows,
            data_columns,
            options,
            memory: budget.plan(&source, &rows, &shards, data_columns, options, bucket)?,
            control,
            bucket,
            runtime,
        };
        let (written, counts) = conversion.write_shards(&shards)?;
        report.shards = written;
        report.chunks = ChunkCounts::from(counts);
    }
    report.elapsed = started.elapsed();
    report.peak_memory_bytes = peak_memory_bytes();
    Ok(report)
}

/// The data columns: those of the blocks' and the caller's time range, and of any chunk that reaches beyond its block's
/// meta. None without rows.
fn data_columns(source: &Source<'_>, rows: &Rows, options: &Options) -> Result<Option<DataColumns>, Error> {
    let Some((first, last)) = rows.times.filter(|_| rows.len() > 0) else { return Ok(None) };
    let (mut start, mut end) = (first, last.saturating_add(1));
    // A block that gives nothing, an empty one for instance, whose meta may say 1970, must not widen the shards.
    for (block, _) in source.blocks.iter().zip(rows.blocks_used(source.blocks.len())).filter(|(_, used)| *used) {
        if let Ok(range) = block.meta().time_range() {
            (start, end) = (start.min(range.start()), end.max(range.end()));
        }
    }
    let covered = TimeRange::new(start, end).ok().and_then(|covered| covered.intersect(source.range));
    let Some(covered) = covered else { return Ok(None) };
    let duration_ms = options.data_column_duration_ms;
    let columns = covered.duration_ms().div_ceil(duration_ms.get());
    if columns > MAX_DATA_COLUMNS {
        return Err(TooManyDataColumnsSnafu {
            min_time: covered.start(),
            max_time: covered.last(),
            columns,
            duration_ms: duration_ms.get(),
            limit: MAX_DATA_COLUMNS,
        }
        .build()
        .into());
    }
    Ok(Some(DataColumns::new(covered, duration_ms)?))
}

type ShardResult = Result<(ShardReport, MergeCounts), Error>;

struct Conversion<'a> {
    source: &'a Source<'a>,
    rows: &'a Rows,
    data_columns: DataColumns,
    options: &'a Options,
    memory: Memory,
    control: &'a Control,
    bucket: &'a Bucket,
    runtime: &'a Handle,
}

impl Conversion<'_> {
    fn write_shards(&self, shards: &[ShardRows]) -> Result<(Vec<ShardReport>, MergeCounts), Error> {
        let results: Vec<Mutex<Option<ShardResult>>> = shards.iter().map(|_| Mutex::new(None)).collect();
        let next = AtomicUsize::new(0);
        let write_all = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(shard) = shards.get(number) else { return };
                let result = self.control.guard(|| self.write_shard(number as u32, shard));
                let failed = result.is_err();
                *results[number].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                if failed {
                    return;
                }
            }
        };
        let writers = self.options.write_concurrency.get().min(shards.len());
        std::thread::scope(|scope| {
            (1..writers).for_each(|_| drop(scope.spawn(write_all)));
            write_all();
        });
        let results = results.into_iter().filter_map(|r| r.into_inner().unwrap_or_else(PoisonError::into_inner));
        let (mut reports, mut counts) = (Vec::with_capacity(shards.len()), MergeCounts::default());
        let mut failure: Option<Error> = None;
        for result in results {
            match result {
                Ok((report, of_shard)) => {
                    reports.push(report);
                    counts += of_shard;
                }
                Err(error) => failure = Some(worse(failure.take(), error)),
            }
        }
        match failure {
            None => Ok((reports, counts)),
            Some(error) => {
                self.remove(shards.len() as u32);
                Err(error)
            }
        }
    }

    fn write_shard(&self, number: u32, shard: &ShardRows) -> ShardResult {
        let Self { source, rows, data_columns, options, memory, control, .. } = *self;
        let job = ShardJob { source, rows, shard, data_columns, options, control };
        let labels = || {
            let upload = self.bucket.upload(&labels_file(&options.name, number))?;
            self.write_file(upload.within(memory.labels_upload, 0), |output| {
                crate::labels_file::write(job, memory.label_pages, output)
            })
        };
        let chunks = || {
            let upload = self.bucket.upload(&chunks_file(&options.name, number))?;
            self.write_file(upload.within(memory.chunks_upload, memory.chunks_file_bytes), |output| {
                crate::chunks_file::write(job, memory, output)
            })
        };
        let (labels, chunks) = if options.read_concurrency.get() == 1 {
            (labels(), chunks())
        } else {
            std::thread::scope(|scope| {
                let labels = scope.spawn(|| control.guard(labels));
                let chunks = control.guard(chunks);
                let panicked = |_| Err(InternalSnafu { what: "the thread that writes labels panicked" }.build().into());
                (labels.join().unwrap_or_else(panicked), chunks)
            })
        };
        let (((), labels_bytes), (counts, chunks_bytes)) = match (labels, chunks) {
            (Ok(labels), Ok(chunks)) => (labels, chunks),
            (Err(labels), Err(chunks)) => return Err(worse(Some(labels), chunks)),
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        let report = ShardReport {
            series: shard.rows().len() as u64,
            row_groups: shard.row_groups.len() as u32,
            label_columns: shard.names.len() as u32,
            labels_bytes,
            chunks_bytes,
        };
        Ok((report, counts))
    }

    /// Uploads what `write` writes; the file is visible only if all of it succeeded. Returns its length too.
    fn write_file<T>(
        &self,
        upload: Upload,
        write: impl FnOnce(&mut Output) -> Result<T, Error>,
    ) -> Result<(T, u64), Error> {
        let _runtime = self.runtime.enter();
        let upload = Arc::new(Mutex::new(upload));
        let (to, runtime) = (Arc::clone(&upload), self.runtime.clone());
        let mut output = Output::new(move |bytes| {
            let mut upload = to.lock().unwrap_or_else(PoisonError::into_inner);
            runtime.block_on(upload.write(Bytes::from(bytes))).map_err(Error::from)
        });
        let written = write(&mut output);
        let written = match (output.take_failure(), written) {
            (Some(error), _) | (None, Err(error)) => {
                drop(output); // it holds the upload
                Err(error)
            }
            (None, Ok(written)) => output.finish().map(|bytes| (written, bytes)),
        };
        let upload = Arc::into_inner(upload).map(|upload| upload.into_inner().unwrap_or_else(PoisonError::into_inner));
        let upload = upload.ok_or_else(|| InternalSnafu { what: "an upload is still in use" }.build())?;
        match written {
            Ok((written, bytes)) => {
                self.runtime.block_on(upload.finish())?;
                self.control.add_bytes_out(bytes);
                Ok((written, bytes))
            }
            Err(error) => {
                // The first error tells more than one of cleaning up.
                let _ = self.runtime.block_on(upload.abort());
                Err(error)
            }
        }
    }

    /// Removes what a failed conversion has completed. Errors do not matter: without a marker nothing looks finished.
    fn remove(&self, shards: u32) {
        self.runtime.block_on(async {
            for shard in 0..shards {
                for key in [labels_file(&self.options.name, shard), chunks_file(&self.options.name, shard)] {
                    let _ = self.bucket.delete(&key).await;
                }
            }
        });
    }
}

/// Of two errors the one that tells more: a thread that was stopped because another failed has nothing to say.
fn worse(first: Option<Error>, second: Error) -> Error {
    match first {
        Some(first) if first.kind() != ErrorKind::Cancelled || second.kind() == ErrorKind::Cancelled => first,
        _ => second,
    }
}

impl From<MergeCounts> for ChunkCounts {
    fn from(counts: MergeCounts) -> Self {
        let MergeCounts { samples, passed_through, decoded, encoded, duplicates, bytes_in } = counts;
        Self { samples, passed_through, decoded, encoded, duplicates, bytes_in }
    }
}
