//! Fetches under way, so that what is asked for twice at a time is fetched once.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{
    FutureExt,
    channel::oneshot,
    future::{BoxFuture, Shared},
};

use super::statistics::Count;

/// Fetches under way by what they fetch.
pub(super) struct Flights<K, V: Clone>(Mutex<HashMap<K, Waiting<V>>>);

/// Ends with the value, or cancelled if its fetch failed: everyone then asks for himself.
pub(super) type Waiting<V> = Shared<oneshot::Receiver<V>>;

impl<K, V: Clone> Default for Flights<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// Who asks finds itself to be
pub(super) enum Role<K: Hash + Eq, V: Clone> {
    /// the first, who is to fetch; or
    Lead(Lead<K, V>),
    /// a later one, who waits.
    Wait(Waiting<V>),
}

/// The duty to fetch. Dropping it tells those who wait that nothing will come.
pub(super) struct Lead<K: Hash + Eq, V: Clone> {
    flights: Arc<Flights<K, V>>,
    /// Taken when it ends.
    duty: Option<(K, oneshot::Sender<V>)>,
}

impl<K: Hash + Eq + Clone, V: Clone> Flights<K, V> {
    pub(super) fn enter(self: &Arc<Self>, key: K) -> Role<K, V> {
        match self.locked().entry(key) {
            Entry::Occupied(entry) => Role::Wait(entry.get().clone()),
            Entry::Vacant(entry) => {
                let (sender, receiver) = oneshot::channel();
                let key = entry.key().clone();
                entry.insert(receiver.shared());
                Role::Lead(Lead { flights: Arc::clone(self), duty: Some((key, sender)) })
            }
        }
    }
}

impl<K: Hash + Eq, V: Clone> Flights<K, V> {
    fn locked(&self) -> MutexGuard<'_, HashMap<K, Waiting<V>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq, V: Clone> Lead<K, V> {
    /// Gives the value to those who wait.
    pub(super) fn finish(mut self, value: V) {
        if let Some((key, sender)) = self.duty.take() {
            self.flights.locked().remove(&key);
            let _ = sender.send(value);
        }
    }
}

impl<K: Hash + Eq, V: Clone> Drop for Lead<K, V> {
    fn drop(&mut self) {
        if let Some((key, sender)) = self.duty.take() {
            self.flights.locked().remove(&key);
            drop(sender);
        }
    }
}

/// Runs `work` unless the same is under way, then waits for that. [`None`] if the runtime ends.
///
/// The work is a task of its own: it goes on when its first caller is dropped or, worse, no longer polled while it polls
/// another that waits for it.
pub(super) async fn once<K, V, E>(
    flights: &Arc<Flights<K, V>>,
    key: K,
    coalesced: &Count,
    work: BoxFuture<'static, Result<V, E>>,
) -> Option<Result<V, E>>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
    E: Send + 'static,
{
    match flights.enter(key) {
        Role::Lead(lead) => {
            let task = async move {
                let value = work.await?;
                lead.finish(value.clone());
                Ok(value)
            };
            tokio::spawn(task).await.ok()
        }
        Role::Wait(waiting) => {
            coalesced.add(1);
            match waiting.await {
                Ok(value) => Some(Ok(value)),
                // At the same time as the others who waited: one after the other would multiply timeouts.
                Err(oneshot::Canceled) => Some(work.boxed().await),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_fetches_and_the_others_wait() {
        let flights = Arc::new(Flights::<u8, u8>::default());
        let Role::Lead(lead) = flights.enter(1) else { panic!("the first does not lead") };
        let Role::Wait(waiting) = flights.enter(1) else { panic!("the second does not wait") };
        assert!(matches!(flights.enter(2), Role::Lead(_)), "another key is another matter");
        lead.finish(7);
        assert_eq!(waiting.await, Ok(7));
        let Role::Lead(lead) = flights.enter(1) else { panic!("nobody is under way any more") };
        let Role::Wait(waiting) = flights.enter(1) else { panic!("the second does not wait") };
        drop(lead);
        assert_eq!(waiting.await, Err(oneshot::Canceled));
        assert!(flights.locked().is_empty());
    }
}
