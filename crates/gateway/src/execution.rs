//! Runs what takes long: away from the threads that serve connections, so many at a time, for so long, and no longer than
//! somebody waits for it.

use std::{future::Future, sync::Arc, time::Duration};

use opentelemetry::{Context, trace::FutureExt};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, oneshot},
    time::Instant,
};

use crate::api::error::{ApiError, ErrorType};

/// Lets so many queries run at a time.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    permits: Arc<Semaphore>,
    capacity: usize,
}

impl Gate {
    /// For `queries` at a time; 0 for any number.
    pub(crate) fn new(queries: usize) -> Self {
        let capacity = if queries == 0 { Semaphore::MAX_PERMITS } else { queries.min(Semaphore::MAX_PERMITS) };
        Self { permits: Arc::new(Semaphore::new(capacity)), capacity }
    }

    /// How many queries run.
    pub(crate) fn running(&self) -> usize {
        self.capacity.saturating_sub(self.permits.available_permits())
    }

    /// Runs the future that `make` makes on a thread of its own, where it may compute. It ends, with an error, when
    /// `timeout` is over, the wait for a permit included, and when this call is dropped.
    pub(crate) async fn run<T, F>(
        &self,
        timeout: Duration,
        make: impl FnOnce() -> F + Send + 'static,
    ) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ApiError>>,
    {
        let deadline = Instant::now() + timeout.min(MOST);
        let permit = Arc::clone(&self.permits).acquire_owned();
        let permit = match tokio::time::timeout_at(deadline, permit).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(ApiError::canceled()),
            Err(_) => return Err(ApiError::timeout("query queue")),
        };
        // Dropped with this future, which is what happens when the client goes.
        let (waiting, mut gone) = oneshot::channel::<()>();
        let runtime = Handle::current();
        let context = Context::current();
        let work = tokio::task::spawn_blocking(move || {
            let result = runtime.block_on(async {
                let make = || make().with_context(context);
                tokio::select! {
                    biased;
                    _ = &mut gone => Err(ApiError::canceled()),
                    () = tokio::time::sleep_until(deadline) => Err(ApiError::timeout("expression evaluation")),
                    result = make() => result,
                }
            });
            drop(permit);
            result
        });
        let result = work.await;
        drop(waiting);
        result.unwrap_or_else(|_| Err(ApiError::new(ErrorType::Internal, "the query failed by a defect; see the log")))
    }
}

/// Longer than anybody waits, and short enough to be added to any time.
const MOST: Duration = Duration::from_secs(365 * 86_400);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn waits_and_runs_no_longer_than_it_may() {
        let gate = Gate::new(1);
        assert_eq!(gate.run(Duration::from_secs(5), || async { Ok(1) }).await, Ok(1));
        let short = Duration::from_millis(30);
        let never = || std::future::pending::<Result<(), ApiError>>();
        assert_eq!(gate.run(short, never).await, Err(ApiError::timeout("expression evaluation")));
        let holder = tokio::spawn({
            let gate = gate.clone();
            async move { gate.run(Duration::from_millis(300), never).await }
        });
        while gate.running() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(gate.run(short, || async { Ok(()) }).await, Err(ApiError::timeout("query queue")));
        holder.await.unwrap().unwrap_err();
        assert_eq!(gate.running(), 0);
        let panicked = gate.run(Duration::from_secs(5), || async { panic!("a defect") });
        assert_eq!(panicked.await.map(|(): ()| ()).unwrap_err().kind, ErrorType::Internal);
        assert_eq!(gate.running(), 0);
    }

    /// Sets the flag when it is dropped.
    struct Dropped(Arc<AtomicBool>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn ends_when_nobody_waits() {
        let gate = Gate::new(0);
        let ended = Arc::new(AtomicBool::new(false));
        let flag = Dropped(Arc::clone(&ended));
        let run = gate.run(Duration::from_secs(60), move || async move {
            let _flag = flag;
            std::future::pending::<Result<(), ApiError>>().await
        });
        assert!(tokio::time::timeout(Duration::from_millis(50), run).await.is_err());
        for _ in 0..100 {
            if ended.load(Ordering::SeqCst) && gate.running() == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it goes on");
    }
}
