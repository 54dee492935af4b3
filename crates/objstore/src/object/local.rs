//! Files of this machine, read where one wants to.

use std::{
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use tokio::runtime::Handle;

/// Files that this process keeps open. Processes may have a thousand, and want others too.
static KEPT: AtomicUsize = AtomicUsize::new(0);
const MOST_KEPT: usize = 256;

/// One task reads ranges of about so many bytes.
const TASK_BYTES: u64 = 1 << 20;

/// A regular file.
#[derive(Debug)]
pub(super) struct LocalFile {
    path: PathBuf,
    size: u64,
    /// [`None`] where too many are open already: then it is opened for each read.
    kept: Option<fs::File>,
}

impl LocalFile {
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Opens the file and reads its end; [`None`] if anything is wrong.
    pub(super) async fn open(path: PathBuf, tail_bytes: u64) -> Option<(Self, Bytes)> {
        let open = move || {
            let file = open(&path)?;
            let size = file.metadata()?.len();
            let tail = read_at(&file, size.saturating_sub(tail_bytes)..size, size)?;
            let is_kept = KEPT.fetch_add(1, Ordering::Relaxed) < MOST_KEPT;
            if !is_kept {
                KEPT.fetch_sub(1, Ordering::Relaxed);
            }
            Ok((Self { path, size, kept: is_kept.then_some(file) }, tail))
        };
        run(open).await
    }

    /// Reads ranges by few tasks; [`None`] if anything is wrong.
    pub(super) async fn read(self: &Arc<Self>, ranges: &[Range<u64>]) -> Option<Vec<Bytes>> {
        let mut parts: Vec<(u64, Vec<Range<u64>>)> = Vec::new();
        for range in ranges {
            let length = range.end.saturating_sub(range.start);
            match parts.last_mut() {
                Some((bytes, part)) if *bytes < TASK_BYTES => {
                    *bytes = bytes.saturating_add(length);
                    part.push(range.clone());
                }
                _ => parts.push((length, vec![range.clone()])),
            }
        }
        let tasks = parts.into_iter().map(|(_, part)| {
            let file = Arc::clone(self);
            run(move || file.read_part(&part))
        });
        let parts: Option<Vec<_>> = futures::future::join_all(tasks).await.into_iter().collect();
        Some(parts?.concat())
    }

    fn read_part(&self, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
        let opened;
        let file = match &self.kept {
            Some(file) => file,
            None => {
                opened = open(&self.path)?;
                &opened
            }
        };
        ranges.iter().map(|range| read_at(file, range.clone(), self.size)).collect()
    }
}

impl Drop for LocalFile {
    fn drop(&mut self) {
        if self.kept.is_some() {
            KEPT.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Directories and pipes are for the store to complain about.
fn open(path: &Path) -> io::Result<fs::File> {
    if cfg!(unix) && fs::metadata(path)?.is_file() {
        fs::File::open(path)
    } else {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(unix)]
fn read_at(file: &fs::File, range: Range<u64>, size: u64) -> io::Result<Bytes> {
    let length = range.end.checked_sub(range.start).filter(|_| range.end <= size);
    let length = length.and_then(|length| usize::try_from(length).ok()).ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut buffer = vec![0; length];
    std::os::unix::fs::FileExt::read_exact_at(file, &mut buffer, range.start)?;
    Ok(buffer.into())
}

#[cfg(not(unix))]
fn read_at(_: &fs::File, _: Range<u64>, _: u64) -> io::Result<Bytes> {
    Err(io::ErrorKind::Unsupported.into())
}

/// On a thread that may wait, or here where there is no runtime.
async fn run<T: Send + 'static>(f: impl FnOnce() -> io::Result<T> + Send + 'static) -> Option<T> {
    match Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(f).await.ok()?.ok(),
        Err(_) => f().ok(),
    }
}
