//! Subranges in files of a local directory.
//!
//! ```text
//! directory/lock                         locked while a cache is open
//! directory/new                          the file that is being written
//! directory/blocks/<2>/<object>-<index>  a subrange each, in hexadecimal; see `file`
//! ```
//! One thread writes and removes, in the order it is told; readers open files by themselves. A file appears under its
//! name when it is complete, as a rename makes it. None is synced: after a crash of the machine some may be damaged,
//! which their checksums show. A damaged file is a miss and is removed.
//!
//! Bytes are counted as file systems allocate them, in units of 4 KiB, and room is made before a file is written.
//! Files of names that no cache gives are left alone.

mod file;

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use futures::channel::oneshot;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter, sync};

use super::{
    config::DiskCacheConfig,
    object::Block,
    statistics::{TierCounters, TierStatistics},
};
use crate::error::{Cause, Detail, Result, kind_of_io};

/// Bytes that wait to be written.
const MAX_QUEUED_BYTES: u64 = 32 << 20;

/// What file systems allocate at least.
const UNIT_BYTES: u64 = 4096;

/// Room for one subrange.
pub(super) fn min_bytes(block_bytes: u64) -> u64 {
    file::size(u32::try_from(block_bytes).unwrap_or(u32::MAX)).next_multiple_of(UNIT_BYTES)
}

pub(super) struct Disk {
    files: Arc<Files>,
    jobs: mpsc::Sender<Job>,
    writer: Option<JoinHandle<()>>,
}

/// What readers and the writer share.
struct Files {
    directory: PathBuf,
    /// The length of each file's content, in bytes.
    index: sync::Cache<Block, u32, Weight, DefaultHashBuilder, Evictions>,
    max_bytes: u64,
    counters: Arc<TierCounters>,
    queued_bytes: AtomicU64,
    stop: AtomicBool,
    /// Locked as long as it is open.
    _lock: File,
}

enum Job {
    Write(Block, Bytes),
    /// A reader could not read it.
    Verify(Block, u32),
    Flush(oneshot::Sender<()>),
}

#[derive(Clone)]
struct Weight;

impl Weighter<Block, u32> for Weight {
    fn weight(&self, _: &Block, length: &u32) -> u64 {
        file::size(*length).next_multiple_of(UNIT_BYTES)
    }
}

#[derive(Clone)]
struct Evictions(Arc<TierCounters>);

impl Lifecycle<Block, u32> for Evictions {
    /// Whose files are to be removed.
    type RequestState = Vec<Block>;

    fn on_evict(&self, evicted: &mut Vec<Block>, block: Block, _: u32) {
        self.0.evictions.add(1);
        evicted.push(block);
    }
}

impl Disk {
    /// Takes the directory, and what an earlier cache left in it.
    pub(super) fn open(config: &DiskCacheConfig, block_bytes: u64) -> Result<Self> {
        let failed = |error: &io::Error| -> crate::Error {
            let directory = config.directory.clone();
            Detail::CacheDirectory { directory, kind: kind_of_io(error), source: Cause::of(error) }.into()
        };
        let lock = lock(&config.directory).map_err(|error| match error {
            TryLockError::WouldBlock => Detail::CacheInUse { directory: config.directory.clone() }.into(),
            TryLockError::Error(error) => failed(&error),
        })?;
        let counters = Arc::<TierCounters>::default();
        let mut options = OptionsBuilder::new();
        // One shard, so that the whole budget is there for each file.
        options.shards(1).weight_capacity(config.max_bytes);
        options.estimated_items_capacity(usize::try_from(config.max_bytes / block_bytes).unwrap_or(usize::MAX));
        #[expect(clippy::expect_used, reason = "both settings that it asks for are there")]
        let options = options.build().expect("complete options");
        let lifecycle = Evictions(Arc::clone(&counters));
        let files = Files {
            directory: config.directory.clone(),
            index: sync::Cache::with_options(options, Weight, DefaultHashBuilder::default(), lifecycle),
            max_bytes: config.max_bytes,
            counters,
            queued_bytes: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            _lock: lock,
        };
        files.take_over().map_err(|error| failed(&error))?;
        let files = Arc::new(files);
        let (jobs, queue) = mpsc::channel();
        let writer = thread::Builder::new().name("cache-writer".to_owned()).spawn({
            let files = Arc::clone(&files);
            move || files.work(&queue)
        });
        Ok(Self { files, jobs, writer: Some(writer.map_err(|error| failed(&error))?) })
    }

    /// The subrange, if it is there and undamaged.
    pub(super) fn read(&self, block: Block) -> impl Future<Output = Option<Bytes>> + Send + use<> {
        let (files, jobs) = (Arc::clone(&self.files), self.jobs.clone());
        async move {
            let read = match files.index.get(&block) {
                None => None,
                Some(length) => {
                    let path = files.path(&block);
                    let read = tokio::task::spawn_blocking(move || file::read(&path, &block, length)).await;
                    let read = read.ok()?;
                    if read.is_err() {
                        let _ = jobs.send(Job::Verify(block, length));
                    }
                    read.ok()
                }
            };
            files.counters.found(read.as_ref().map(|bytes| bytes.len() as u64));
            read
        }
    }

    /// Writes it soon, unless too much waits to be written.
    pub(super) fn write(&self, block: Block, bytes: Bytes) {
        let files = &self.files;
        let length = bytes.len() as u64;
        if files.queued_bytes.fetch_add(length, Ordering::Relaxed).saturating_add(length) > MAX_QUEUED_BYTES {
            files.queued_bytes.fetch_sub(length, Ordering::Relaxed);
            files.counters.dropped.add(1);
            return;
        }
        let _ = self.jobs.send(Job::Write(block, bytes));
    }

    pub(super) async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.jobs.send(Job::Flush(done)).is_ok() {
            let _ = wait.await;
        }
    }

    pub(super) fn statistics(&self) -> TierStatistics {
        let files = &self.files;
        files.counters.snapshot(files.index.len(), files.index.weight(), files.max_bytes)
    }
}

/// Ends the writer, so that the directory is free then. What waits to be written is lost.
impl Drop for Disk {
    fn drop(&mut self) {
        self.files.stop.store(true, Ordering::Relaxed);
        self.jobs = mpsc::channel().0;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn lock(directory: &Path) -> Result<File, TryLockError> {
    fs::create_dir_all(directory.join("blocks")).map_err(TryLockError::Error)?;
    let options = File::options().create(true).truncate(false).write(true).open(directory.join("lock"));
    let file = options.map_err(TryLockError::Error)?;
    file.try_lock()?;
    Ok(file)
}

impl Files {
    fn path(&self, block: &Block) -> PathBuf {
        let name = file::name(block);
        // Spreads the subranges of one object too.
        let directory = block.object.0[0].wrapping_add(block.index.to_be_bytes()[7]);
        self.directory.join("blocks").join(format!("{directory:02x}")).join(name)
    }

    fn new_path(&self) -> PathBuf {
        self.directory.join("new")
    }

    /// Takes in what is there, as far as there is room; without looking into the files.
    fn take_over(&self) -> io::Result<()> {
        remove(&self.new_path())?;
        for directory in fs::read_dir(self.directory.join("blocks"))? {
            let directory = directory?;
            if !directory.file_type()?.is_dir() {
                continue;
            }
            for entry in fs::read_dir(directory.path())? {
                let entry = entry?;
                let Some(block) = entry.file_name().to_str().and_then(file::parse_name) else { continue };
                // Nobody would look for it elsewhere.
                if self.path(&block) != entry.path() {
                    continue;
                }
                match file::content_length(entry.metadata()?.len()) {
                    Some(length) => {
                        self.make_room(block, length);
                    }
                    None => remove(&entry.path())?,
                }
            }
        }
        Ok(())
    }

    /// Puts the block into the index and removes the files of others for it. Whether it has got room.
    fn make_room(&self, block: Block, length: u32) -> bool {
        let mut evicted = Vec::new();
        self.index.insert_with_lifecycle(block, length, &mut evicted);
        for block in evicted {
            self.count(&remove(&self.path(&block)));
        }
        self.index.contains_key(&block)
    }

    fn count(&self, result: &io::Result<()>) {
        if result.is_err() {
            self.counters.errors.add(1);
        }
    }

    fn work(&self, queue: &mpsc::Receiver<Job>) {
        while let Ok(job) = queue.recv() {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            match job {
                Job::Write(block, bytes) => {
                    self.write(block, &bytes);
                    self.queued_bytes.fetch_sub(bytes.len() as u64, Ordering::Relaxed);
                }
                Job::Verify(block, length) => {
                    // Again, since it may not have been written yet when it was read.
                    let path = self.path(&block);
                    if self.index.contains_key(&block) && file::read(&path, &block, length).is_err() {
                        self.counters.errors.add(1);
                        self.index.remove(&block);
                        self.count(&remove(&path));
                    }
                }
                Job::Flush(done) => drop(done.send(())),
            }
        }
    }

    fn write(&self, block: Block, bytes: &Bytes) {
        let Ok(length) = u32::try_from(bytes.len()) else { return };
        if self.index.contains_key(&block) || !self.make_room(block, length) {
            return;
        }
        let (new, path) = (self.new_path(), self.path(&block));
        let written = file::write(&new, &block, bytes).and_then(|()| match fs::rename(&new, &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                path.parent().map_or(Ok(()), fs::create_dir_all)?;
                fs::rename(&new, &path)
            }
            result => result,
        });
        match written {
            Ok(()) => self.counters.insertions.add(1),
            Err(_) => {
                self.counters.errors.add(1);
                self.index.remove(&block);
                // It may be what fills the disk.
                let _ = remove(&new);
            }
        }
    }
}

/// Removes a file that may not be there.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
