//! Work for processors, away from the threads that wait for I/O.

use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
};

use promparquet_shard::PageDecoder;

use crate::error::{Detail, Result};

/// Work on fewer bytes than these takes no longer than handing it over.
const SMALL_BYTES: u64 = 64 << 10;

/// Runs `f`, which works on about `bytes` bytes, on the threads of rayon.
pub(crate) async fn run<T: Send + 'static>(bytes: u64, f: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    if bytes <= SMALL_BYTES {
        return f();
    }
    let (sender, receiver) = futures::channel::oneshot::channel();
    rayon::spawn(move || {
        // Nobody waits any more where sending fails: the question was cancelled.
        let _ = sender.send(catch_unwind(AssertUnwindSafe(f)));
    });
    match receiver.await {
        Ok(Ok(result)) => result,
        _ => Err(Detail::Panicked.into()),
    }
}

/// Gives `f` this thread's page decoder.
pub(crate) fn with_decoder<T>(page_bytes: u64, f: impl FnOnce(&mut PageDecoder) -> T) -> T {
    thread_local! {
        static DECODER: RefCell<Option<(u64, PageDecoder)>> = const { RefCell::new(None) };
    }
    DECODER.with_borrow_mut(|decoder| match decoder {
        Some((limit, decoder)) if *limit == page_bytes => f(decoder),
        other => f(&mut other.insert((page_bytes, PageDecoder::new(page_bytes))).1),
    })
}
