//! The position of each viewer, for the next worker. Written by the viewers' thread.

use std::sync::atomic::Ordering;

use super::{CURSOR_WORDS, SessionMemory};
use crate::protocol::worker::{VIEWERS_MAX, ViewerId};

/// Number of words that the cursors take.
pub(super) const WORDS: usize = 3 * VIEWERS_MAX;

/// Set in the word of a viewer's number, so that viewer 0 is not taken for a free place.
const TAKEN: u64 = 1 << 32;

/// The cursor of a viewer that waits for a snapshot or has received only part of one.
const WAITS: u64 = u64::MAX;

/// Where a viewer was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::session) enum Position {
    /// The viewer needs a snapshot.
    Waiting,
    /// The viewer has all output before `cursor` and knows the first `sizes` sizes.
    At { cursor: u64, sizes: u64 },
}

impl SessionMemory {
    /// Records the position of a viewer.
    pub(in crate::session) fn set_position(&self, viewer: ViewerId, position: Position) {
        let (cursor, sizes) = match position {
            Position::Waiting => (WAITS, 0),
            Position::At { cursor, sizes } => (cursor, sizes),
        };
        let place = self.place_of(viewer).or_else(|| self.find(|number| number == 0));
        if let Some(place) = place {
            // If the worker is killed in between, the viewer gets a snapshot.
            self.word(place + 1).store(WAITS, Ordering::Relaxed);
            self.word(place + 2).store(sizes, Ordering::Release);
            self.word(place + 1).store(cursor, Ordering::Release);
            self.word(place).store(u64::from(viewer.0) | TAKEN, Ordering::Release);
        }
    }

    /// Forgets a viewer.
    pub(in crate::session) fn forget(&self, viewer: ViewerId) {
        if let Some(place) = self.place_of(viewer) {
            self.word(place).store(0, Ordering::Relaxed);
        }
    }

    /// Where the previous worker left a viewer; `None` if the viewer had not greeted. One that is
    /// said to be ahead of the output gets a snapshot: it would wait for what never comes.
    pub(in crate::session) fn position(&self, viewer: ViewerId) -> Option<Position> {
        let place = self.place_of(viewer)?;
        let cursor = self.word(place + 1).load(Ordering::Acquire);
        let sizes = self.word(place + 2).load(Ordering::Relaxed);
        let is_there = cursor <= self.head() && sizes <= self.sizes();
        Some(if is_there { Position::At { cursor, sizes } } else { Position::Waiting })
    }

    fn place_of(&self, viewer: ViewerId) -> Option<usize> {
        self.find(|number| number == u64::from(viewer.0) | TAKEN)
    }

    fn find(&self, wanted: impl Fn(u64) -> bool) -> Option<usize> {
        let mut places = (0..VIEWERS_MAX).map(|viewer| CURSOR_WORDS + 3 * viewer);
        places.find(|place| wanted(self.word(*place).load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::super::{HEAD_WORD, SIZES_WORD};
    use super::*;

    #[test]
    fn viewers_are_found_where_they_were_left() {
        let memory = SessionMemory::new().unwrap();
        memory.set_word_of_header(HEAD_WORD, 30);
        memory.set_word_of_header(SIZES_WORD, 3);
        let at = |cursor| Position::At { cursor, sizes: 3 };
        memory.set_position(ViewerId(0), at(10));
        memory.set_position(ViewerId(7), at(20));
        memory.set_position(ViewerId(7), at(30));
        memory.set_position(ViewerId(9), Position::Waiting);
        memory.set_position(ViewerId(11), at(31));
        memory.set_position(ViewerId(12), Position::At { cursor: 30, sizes: 4 });
        memory.forget(ViewerId(0));
        let again = crate::session::recovery::open(memory.as_fd().try_clone_to_owned().unwrap()).unwrap();
        assert_eq!(again.position(ViewerId(0)), None);
        assert_eq!(again.position(ViewerId(7)), Some(at(30)));
        for waiting in [9, 11, 12] {
            assert_eq!(again.position(ViewerId(waiting)), Some(Position::Waiting), "{waiting}");
        }
        for number in (100..).take(VIEWERS_MAX + 5) {
            again.set_position(ViewerId(number), at(1));
        }
    }
}
