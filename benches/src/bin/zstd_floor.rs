//! The floor of a conversion: how long zstd alone takes for the chunk segments of a block.
//!
//! Reads `<block>/chunks/*` in pieces of 1 MiB, compresses them on as many threads as given, and prints one line of JSON.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

const PIECE_BYTES: usize = 1 << 20;

#[expect(clippy::print_stdout, reason = "its one line of output")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let block = args.next().ok_or("usage: zstd_floor <block> [threads] [level]")?;
    let threads: usize = args.next().map_or(Ok(2), |n| n.parse())?;
    let level: i32 = args.next().map_or(Ok(1), |n| n.parse())?;
    let mut pieces: Vec<(PathBuf, u64, usize)> = Vec::new();
    for entry in std::fs::read_dir(Path::new(&block).join("chunks"))? {
        let path = entry?.path();
        let size = std::fs::metadata(&path)?.len();
        for start in (0..size).step_by(PIECE_BYTES) {
            pieces.push((path.clone(), start, PIECE_BYTES.min((size - start) as usize)));
        }
    }
    let started = Instant::now();
    let (next, out) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || -> std::io::Result<()> {
        let mut compressor = zstd::bulk::Compressor::new(level)?;
        let (mut piece, mut compressed) = (vec![0; PIECE_BYTES], Vec::with_capacity(2 * PIECE_BYTES));
        while let Some((path, start, len)) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            File::open(path)?.read_exact_at(&mut piece[..*len], *start)?;
            out.fetch_add(compressor.compress_to_buffer(&piece[..*len], &mut compressed)?, Ordering::Relaxed);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| Err(std::io::Error::other("panicked"))))
    })?;
    let bytes_in: usize = pieces.iter().map(|(_, _, len)| len).sum();
    println!(
        "{{\"wall_s\":{:.3},\"bytes_in\":{bytes_in},\"bytes_out\":{},\"threads\":{threads},\"level\":{level}}}",
        started.elapsed().as_secs_f64(),
        out.into_inner()
    );
    Ok(())
}
