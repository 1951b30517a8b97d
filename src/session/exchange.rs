//! What the threads `terminal` and `viewers` hand each other: snapshots that viewers need, and what
//! the terminal answers to programs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::names::TermSize;
use crate::protocol::viewer::Extent;

/// Most bytes of answers that wait to be typed. A program that asks more and does not read gets
/// no answer to the rest.
const ANSWERS_MAX: usize = 16 * 1024;

/// Every extent that a viewer can want.
pub(super) const EXTENTS: [Extent; 3] = [Extent::Whole, Extent::Recent, Extent::Screen];

/// The terminal at one moment.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) extent: Extent,
    pub(super) size: TermSize,
    pub(super) bytes: Vec<u8>,
    /// Output behind this offset is not in it.
    pub(super) offset: u64,
    /// How many sizes came before it.
    pub(super) sizes: u64,
}

/// The exchange.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    whole: Slot,
    recent: Slot,
    screen: Slot,
    answers: Mutex<Vec<u8>>,
    /// A person wants the terminal reset, however many asked.
    reset_wanted: AtomicBool,
    /// The terminal was reset, and the viewers have not been told.
    reset_done: AtomicBool,
}

/// At most one snapshot of each extent waits, whoever asked for it.
#[derive(Debug, Default)]
struct Slot {
    wanted: AtomicBool,
    made: Mutex<Option<Arc<Snapshot>>>,
}

impl Exchange {
    /// Asks for a snapshot. The terminal's thread is to be woken after this.
    pub(super) fn ask(&self, extent: Extent) {
        self.slot(extent).wanted.store(true, Ordering::Release);
    }

    /// Which snapshots are wanted, to be made now.
    pub(super) fn wanted(&self) -> impl Iterator<Item = Extent> {
        EXTENTS.into_iter().filter(|extent| self.slot(*extent).wanted.swap(false, Ordering::AcqRel))
    }

    /// Hands a snapshot over to those who wanted this one. The viewers' thread is to be woken after this.
    pub(super) fn give(&self, wanted: Extent, snapshot: Snapshot) {
        *locked(&self.slot(wanted).made) = Some(Arc::new(snapshot));
    }

    /// Takes the snapshot that was made, if it was. One that was wanted of the recent may be of the whole.
    pub(super) fn take(&self, extent: Extent) -> Option<Arc<Snapshot>> {
        locked(&self.slot(extent).made).take()
    }

    /// Asks for a reset of the terminal's modes. The terminal's thread is to be woken after this.
    pub(super) fn ask_for_reset(&self) {
        self.reset_wanted.store(true, Ordering::Release);
    }

    /// Whether the terminal is to be reset now.
    pub(super) fn wants_reset(&self) -> bool {
        self.reset_wanted.swap(false, Ordering::AcqRel)
    }

    /// Notes that the terminal was reset. The viewers' thread is to be woken after this.
    pub(super) fn note_reset(&self) {
        self.reset_done.store(true, Ordering::Release);
    }

    /// Whether the terminal was reset since the last call. Snapshots from before are dropped; whoever
    /// waits for one asks again.
    pub(super) fn take_reset(&self) -> bool {
        let done = self.reset_done.swap(false, Ordering::AcqRel);
        if done {
            EXTENTS.into_iter().for_each(|extent| drop(self.take(extent)));
        }
        done
    }

    /// Leaves answers to be typed.
    pub(super) fn answer(&self, bytes: &[u8]) {
        let mut answers = locked(&self.answers);
        if answers.len() + bytes.len() <= ANSWERS_MAX {
            answers.extend_from_slice(bytes);
        }
    }

    /// Takes the answers.
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
    // Nothing is half done while one of these is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
