//! One client of a hub: the queue that it is sent from, which never grows beyond its limits, and the word that ends it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use paceline_model::limits;
use tokio::sync::{Notify, watch};

use super::close::End;
use super::message::Frame;
use crate::auth::KeyId;

/// Who a client is: of one such, a table has no more connections than the server's limit says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Who {
    pub(super) key: KeyId,
    /// What it calls itself.
    pub(super) name: Option<String>,
}

/// See above.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) who: Who,
    queue: Mutex<Queue>,
    /// There may be something to send.
    filled: Notify,
    end: watch::Sender<Option<End>>,
}

#[derive(Debug)]
struct Queue {
    mode: Mode,
    frames: VecDeque<Frame>,
    bytes: usize,
}

/// What happens to messages for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// They wait in its queue.
    Live,
    /// There were too many: they are dropped until it has been told.
    Behind,
    /// It reads them from the store.
    Held,
}

/// What is to be sent next.
#[derive(Debug)]
pub(super) enum Next {
    Frame(Frame),
    /// Some were dropped.
    Resync,
}

impl Client {
    /// One that is not live yet.
    pub(super) fn new(who: Who) -> Self {
        let queue = Queue { mode: Mode::Held, frames: VecDeque::new(), bytes: 0 };
        Self { who, queue: Mutex::new(queue), filled: Notify::new(), end: watch::Sender::new(None) }
    }

    /// From here on its queue is filled, beginning with nothing.
    pub(super) fn go_live(&self) {
        self.empty(Mode::Live);
    }

    /// From here on it gets nothing.
    pub(super) fn hold(&self) {
        self.empty(Mode::Held);
    }

    /// Queues a message for a live client. One too many empties the queue.
    pub(super) fn push(&self, frame: &Frame) {
        let mut queue = self.lock();
        if queue.mode != Mode::Live {
            return;
        }
        let bytes = queue.bytes + frame.text.len();
        let is_full = queue.frames.len() >= limits::WEBSOCKET_QUEUE_MAX
            || (!queue.frames.is_empty() && bytes > limits::WEBSOCKET_QUEUE_BYTES_MAX);
        if is_full {
            // The memory too.
            *queue = Queue { mode: Mode::Behind, frames: VecDeque::new(), bytes: 0 };
        } else {
            queue.bytes = bytes;
            queue.frames.push_back(frame.clone());
        }
        drop(queue);
        self.filled.notify_one();
    }

    /// Waits for something to send.
    pub(super) async fn next(&self) -> Next {
        loop {
            {
                let mut queue = self.lock();
                if queue.mode == Mode::Behind {
                    return Next::Resync;
                }
                if let Some(frame) = queue.frames.pop_front() {
                    queue.bytes = queue.bytes.saturating_sub(frame.text.len());
                    return Next::Frame(frame);
                }
            }
            self.filled.notified().await;
        }
    }

    /// Ends it; the first reason stays.
    pub(super) fn end(&self, end: End) {
        self.end.send_if_modified(|known| {
            let is_first = known.is_none();
            known.get_or_insert(end);
            is_first
        });
    }

    /// Waits until it is ended from outside.
    pub(super) async fn ended(&self) -> End {
        let mut end = self.end.subscribe();
        let known = end.wait_for(Option::is_some).await;
        known.ok().and_then(|end| *end).unwrap_or(End::Gone)
    }

    fn empty(&self, mode: Mode) {
        *self.lock() = Queue { mode, frames: VecDeque::new(), bytes: 0 };
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        let client = Client::new(Who { key: KeyId::Operator(0), name: None });
        client.go_live();
        client
    }

    fn frame(sequence: i64, bytes: usize) -> Frame {
        Frame { sequence, passing: false, text: "x".repeat(bytes).into() }
    }

    fn is_behind(client: &Client) -> bool {
        client.lock().mode == Mode::Behind
    }

    #[tokio::test]
    async fn one_message_too_many_empties_the_queue_and_says_so() {
        let client = client();
        for sequence in 1..=limits::WEBSOCKET_QUEUE_MAX as i64 {
            client.push(&frame(sequence, 1));
        }
        assert!(!is_behind(&client));
        client.push(&frame(0, 1));
        assert!(is_behind(&client) && client.lock().frames.is_empty());
        client.push(&frame(0, 1));
        assert!(matches!(client.next().await, Next::Resync));
        client.go_live();
        client.push(&frame(7, 1));
        assert!(matches!(client.next().await, Next::Frame(Frame { sequence: 7, .. })));
    }

    #[test]
    fn bytes_are_bounded_and_one_large_message_passes() {
        let client = client();
        client.push(&frame(1, limits::WEBSOCKET_QUEUE_BYTES_MAX + 1));
        assert!(!is_behind(&client));
        client.push(&frame(2, 1));
        assert!(is_behind(&client));
        assert_eq!(client.lock().bytes, 0);
    }

    #[test]
    fn who_reads_from_the_store_gets_nothing_beside() {
        let client = client();
        client.hold();
        client.push(&frame(1, 1));
        assert!(client.lock().frames.is_empty() && !is_behind(&client));
    }

    #[tokio::test]
    async fn the_first_reason_to_end_stays() {
        let client = client();
        client.end(End::Replaced);
        client.end(End::Shutdown);
        assert_eq!(client.ended().await, End::Replaced);
    }
}
