//! The queue of input that the worker of one stream has not taken yet.
//!
//! The connection pushes into the queue, and the stream's task takes from it. Neither waits for the
//! other: a worker that takes no input delays its own stream only.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::protocol::page::{INPUT_PATIENCE, SENT_AT_UNKNOWN};

/// Most bytes of input that wait for one worker. Input that does not fit is dropped, and the page is
/// told.
pub(super) const INPUT_QUEUE: usize = 256 * 1024;

/// The input queue of one stream.
#[derive(Debug, Default)]
pub(super) struct InputQueue {
    queue: Mutex<Queue>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    bytes: VecDeque<u8>,
    state: QueueState,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum QueueState {
    #[default]
    Open,
    /// No more input comes; output continues.
    Ended,
    /// The page has closed the stream.
    Closed,
}

/// Why input was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PushError {
    /// The input does not fit: the queue holds at most [`INPUT_QUEUE`] bytes.
    Full,
    /// The page has ended its input, or closed the stream.
    Ended,
}

impl InputQueue {
    /// Queues all of the input or none of it.
    pub(super) fn push(&self, bytes: &[u8]) -> Result<(), PushError> {
        let mut queue = self.queue();
        if queue.state != QueueState::Open {
            return Err(PushError::Ended);
        }
        if queue.bytes.len() + bytes.len() > INPUT_QUEUE {
            return Err(PushError::Full);
        }
        queue.bytes.extend(bytes);
        drop(queue);
        self.changed.notify_one();
        Ok(())
    }

    /// Accepts no more input.
    pub(super) fn end(&self) {
        self.set(QueueState::Ended);
    }

    /// Accepts no more input, because the page has closed the stream and wants no more output
    /// either.
    pub(super) fn close(&self) {
        self.set(QueueState::Closed);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.queue().state == QueueState::Closed
    }

    /// Waits for the next input, at most `most` bytes. Returns `None` once input has ended and the
    /// queue is empty. The bytes stay in the queue until [`Self::took`] confirms their delivery.
    /// Only one task may wait here or in [`Self::closed`].
    pub(super) async fn next(&self, most: usize) -> Option<Vec<u8>> {
        loop {
            {
                let queue = self.queue();
                if !queue.bytes.is_empty() {
                    return Some(queue.bytes.iter().take(most).copied().collect());
                }
                if queue.state != QueueState::Open {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Waits until the page has closed the stream. Must be called from the task that calls
    /// [`Self::next`].
    pub(super) async fn closed(&self) {
        while !self.is_closed() {
            self.changed.notified().await;
        }
    }

    /// Removes this many delivered bytes from the queue.
    pub(super) fn took(&self, bytes: usize) {
        let mut queue = self.queue();
        let bytes = bytes.min(queue.bytes.len());
        queue.bytes.drain(..bytes);
    }

    /// The number of bytes that have not been delivered.
    pub(super) fn undelivered(&self) -> u64 {
        u64::try_from(self.queue().bytes.len()).unwrap_or(u64::MAX)
    }

    fn set(&self, state: QueueState) {
        let mut queue = self.queue();
        if queue.state != QueueState::Closed {
            queue.state = state;
        }
        drop(queue);
        self.changed.notify_one();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether input is older than [`INPUT_PATIENCE`]. The clock wraps: a difference of at most half
/// its range means that `sent_at` lies in the past, a larger one that it lies in the future.
pub(super) fn is_too_old(sent_at: u32, now: u32) -> bool {
    let age = now.wrapping_sub(sent_at);
    sent_at != SENT_AT_UNKNOWN && age <= u32::MAX / 2 && u128::from(age) > INPUT_PATIENCE.as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn input_is_bounded_counted_and_ends_after_what_came_before() {
        let input = InputQueue::default();
        input.push(&vec![b'x'; INPUT_QUEUE - 3]).unwrap();
        input.push(b"abc").unwrap();
        assert_eq!(input.push(b"d"), Err(PushError::Full));
        let first = input.next(INPUT_QUEUE - 3).await.unwrap();
        assert_eq!(input.undelivered(), INPUT_QUEUE as u64, "it is not delivered yet");
        input.took(first.len());
        input.end();
        assert_eq!(input.push(b"d"), Err(PushError::Ended));
        assert_eq!(input.next(100).await.unwrap(), b"abc");
        assert_eq!(input.next(2).await.unwrap(), b"ab", "nothing was said to be delivered");
        input.took(3);
        assert_eq!((input.next(100).await, input.undelivered()), (None, 0));
    }

    #[test]
    fn input_is_too_old_once_its_page_has_given_it_up() {
        let patience = u32::try_from(INPUT_PATIENCE.as_millis()).unwrap();
        assert!(!is_too_old(1000, 1000 + patience));
        assert!(is_too_old(1000, 1001 + patience));
        assert!(!is_too_old(5000, 1000), "a page whose clock runs ahead");
        assert!(is_too_old(u32::MAX - 10, patience), "the clock wraps");
        assert!(!is_too_old(SENT_AT_UNKNOWN, u32::MAX / 2 - 1), "a page that has not heard the clock");
    }
}
