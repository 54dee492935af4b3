//! Answers that are sent message by message, by a task of their own.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::Stream;
use tokio::sync::mpsc::{self, error::TrySendError};
use tonic::Status;

/// Messages that wait to be sent.
const MESSAGES: usize = 16;
/// How long a client may take none.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// An answer that is being made. It fails unless it is told how it ended, so that no part is taken for the whole.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    sender: mpsc::Sender<T>,
    end: Arc<OnceLock<Result<(), Status>>>,
}

impl<T: Send + 'static> Answer<T> {
    /// An answer, and its messages.
    pub(crate) fn new() -> (Self, Messages<T>) {
        let (sender, receiver) = mpsc::channel(MESSAGES);
        let end = Arc::new(OnceLock::new());
        let state = Some((receiver, Arc::clone(&end)));
        let messages = futures::stream::unfold(state, |state| async move {
            let (mut receiver, end): (mpsc::Receiver<T>, Arc<OnceLock<_>>) = state?;
            if let Some(message) = receiver.recv().await {
                return Some((Ok(message), Some((receiver, end))));
            }
            let broken = || Err(Status::internal("the call failed by a defect; see the log"));
            let end: Result<(), Status> = end.get().cloned().unwrap_or_else(broken);
            end.err().map(|status| (Err(status), None))
        });
        (Self { sender, end }, Box::pin(messages))
    }

    /// Sends a message, when there is room.
    pub(crate) async fn send(&self, message: T) -> Result<(), Status> {
        let message = match self.sender.try_send(message) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(message) | TrySendError::Closed(message)) => message,
        };
        match tokio::time::timeout(PATIENCE, self.sender.send(message)).await {
            Ok(sent) => sent.map_err(|_| Status::cancelled("nobody listens")),
            Err(_) => Err(Status::deadline_exceeded("the client takes nothing of the answer")),
        }
    }

    /// When the client is gone.
    pub(crate) async fn closed(&self) {
        self.sender.closed().await;
    }

    /// Ends the answer, after the messages that were sent.
    pub(crate) fn end(self, result: Result<(), Status>) {
        // It is the only one who sets it.
        let _ = self.end.set(result);
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use tonic::Code;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_part_is_taken_for_the_whole() {
        for (result, last) in [
            (Some(Ok(())), None),
            (Some(Err(Status::aborted("why"))), Some(Code::Aborted)),
            (None, Some(Code::Internal)),
        ] {
            let (answer, messages) = Answer::new();
            tokio::spawn(async move {
                for n in 0..100 {
                    answer.send(n).await.unwrap();
                }
                if let Some(result) = result {
                    answer.end(result);
                }
            });
            let all: Vec<_> = messages.collect().await;
            assert_eq!(all.iter().filter(|message| message.is_ok()).count(), 100);
            assert_eq!(all.get(100).map(|end| end.as_ref().unwrap_err().code()), last);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_take_nothing_do_not_wait_for_ever() {
        let (answer, messages) = Answer::new();
        let failed = loop {
            if let Err(status) = answer.send(1).await {
                break status;
            }
        };
        assert_eq!(failed.code(), Code::DeadlineExceeded);
        answer.end(Err(failed));
        let all: Vec<_> = messages.collect().await;
        assert_eq!((all.len(), all[MESSAGES].as_ref().unwrap_err().code()), (MESSAGES + 1, Code::DeadlineExceeded));
    }
}
