//! What the threads `terminal` and `viewers` hand each other: snapshots for viewers, resets, and
//! the terminal's answers to programs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::names::TermSize;
use crate::protocol::viewer::Extent;

/// Maximum bytes of answers that wait to be typed. A program that sends more queries without
/// reading gets no answer to the rest.
const ANSWERS_MAX: usize = 16 * 1024;

/// Every extent that a viewer can ask for.
pub(super) const EXTENTS: [Extent; 3] = [Extent::Whole, Extent::Recent, Extent::Screen];

/// The terminal at one moment.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) extent: Extent,
    pub(super) size: TermSize,
    pub(super) bytes: Vec<u8>,
    /// The snapshot contains the output before this offset.
    pub(super) offset: u64,
    /// Number of sizes before the snapshot.
    pub(super) sizes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Exchange {
    whole: Slot,
    recent: Slot,
    screen: Slot,
    answers: Mutex<Vec<u8>>,
    /// At least one person has asked for a reset of the terminal.
    reset_wanted: AtomicBool,
    /// The terminal was reset, and the viewers' thread has not noticed yet.
    reset_done: AtomicBool,
}

/// At most one snapshot of each extent waits here, however many viewers asked for it.
#[derive(Debug, Default)]
struct Slot {
    wanted: AtomicBool,
    made: Mutex<Option<Arc<Snapshot>>>,
}

impl Exchange {
    /// Asks for a snapshot. The caller must wake the terminal's thread afterwards.
    pub(super) fn ask(&self, extent: Extent) {
        self.slot(extent).wanted.store(true, Ordering::Release);
    }

    /// Takes the requests for snapshots. The caller must make each of them.
    pub(super) fn wanted(&self) -> impl Iterator<Item = Extent> {
        EXTENTS.into_iter().filter(|extent| self.slot(*extent).wanted.swap(false, Ordering::AcqRel))
    }

    /// Hands over a snapshot to the viewers that asked for `wanted`. The caller must wake the
    /// viewers' thread afterwards.
    pub(super) fn give(&self, wanted: Extent, snapshot: Snapshot) {
        *locked(&self.slot(wanted).made) = Some(Arc::new(snapshot));
    }

    /// Takes the snapshot that was made for this request, if it is ready. The answer to a request
    /// for a recent one may be a whole one.
    pub(super) fn take(&self, extent: Extent) -> Option<Arc<Snapshot>> {
        locked(&self.slot(extent).made).take()
    }

    /// Asks for a reset of the terminal's modes. The caller must wake the terminal's thread
    /// afterwards.
    pub(super) fn ask_for_reset(&self) {
        self.reset_wanted.store(true, Ordering::Release);
    }

    /// Takes the request for a reset: whether there was one.
    pub(super) fn wants_reset(&self) -> bool {
        self.reset_wanted.swap(false, Ordering::AcqRel)
    }

    /// Records that the terminal was reset. The caller must wake the viewers' thread afterwards.
    pub(super) fn note_reset(&self) {
        self.reset_done.store(true, Ordering::Release);
    }

    /// Whether the terminal was reset since the last call. Snapshots from before the reset are
    /// discarded, and viewers that wait for one ask again.
    pub(super) fn take_reset(&self) -> bool {
        let done = self.reset_done.swap(false, Ordering::AcqRel);
        if done {
            EXTENTS.into_iter().for_each(|extent| drop(self.take(extent)));
        }
        done
    }

    /// Queues answers to be typed. Answers that would exceed [`ANSWERS_MAX`] are discarded.
    pub(super) fn answer(&self, bytes: &[u8]) {
        let mut answers = locked(&self.answers);
        if answers.len() + bytes.len() <= ANSWERS_MAX {
            answers.extend_from_slice(bytes);
        }
    }

    /// Takes the queued answers.
    pub(super) fn answers(&self) -> Vec<u8> {
        std::mem::take(&mut locked(&self.answers))
    }

    fn slot(&self, extent: Extent) -> &Slot {
        match extent {
            Extent::Whole => &self.whole,
            Extent::Recent => &self.recent,
            Extent::Screen => &self.screen,
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No holder of these locks leaves the data half updated, so a poisoned lock is safe to use.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
