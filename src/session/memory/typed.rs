//! Typed input that waits for a program that does not read; the next worker continues to type it.
//! Written and read by the viewers' thread. It is wiped once all of it is typed, because it may
//! have been a password.

use std::sync::atomic::Ordering;

use super::{SessionMemory, TYPED_PLACE, TYPED_WORD, bytes};

/// Maximum typed bytes that wait for a program that does not read. Beyond that, input is discarded
/// and the viewer that sent it is told.
pub(in crate::session) const TYPED: usize = 256 * 1024;

/// Maximum bytes typed at once. A worker that is killed meanwhile loses these, but none is typed
/// twice.
const AT_ONCE: usize = 4096;

impl SessionMemory {
    /// Completes [`Self::forget_typed`] after a worker was killed in it.
    pub(in crate::session) fn recover_typed(&self) {
        if self.is_typed_out() {
            self.forget_typed();
        }
    }

    /// Whether nothing waits to be typed.
    pub(in crate::session) fn is_typed_out(&self) -> bool {
        self.typed_begin() >= self.typed_end()
    }

    /// Queues bytes to be typed; returns false, and queues nothing, if there is no room.
    pub(in crate::session) fn add_typed(&self, bytes: &[u8]) -> bool {
        let end = self.typed_end();
        let waiting = usize::try_from(end.saturating_sub(self.typed_begin())).unwrap_or(usize::MAX);
        if waiting.saturating_add(bytes.len()) > TYPED {
            return false;
        }
        let at = place(end);
        let (first, second) = bytes.split_at(bytes.len().min(TYPED - at));
        bytes::write(&self.mapping, TYPED_PLACE + at, first);
        bytes::write(&self.mapping, TYPED_PLACE, second);
        self.word(TYPED_WORD + 1).store(end + bytes.len() as u64, Ordering::Release);
        true
    }

    /// Passes some of the waiting bytes to `write`, which returns how many of them it typed. None
    /// was typed if `write` fails.
    pub(in crate::session) fn type_some<E>(
        &self,
        write: impl FnOnce(&[u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        let begin = self.typed_begin();
        let at = place(begin);
        let waiting = usize::try_from(self.typed_end().saturating_sub(begin)).unwrap_or_default();
        let length = waiting.min(AT_ONCE).min(TYPED - at);
        let mut bytes = Vec::new();
        bytes::read(&self.mapping, TYPED_PLACE + at, length, &mut bytes);
        // The bytes are removed before they are typed, and the untyped rest is put back: input may
        // be lost, but is never typed twice.
        self.word(TYPED_WORD).store(begin + length as u64, Ordering::Release);
        let written = write(&bytes);
        let typed = written.as_ref().map_or(0, |written| (*written).min(length));
        self.word(TYPED_WORD).store(begin + typed as u64, Ordering::Release);
        if self.is_typed_out() {
            self.forget_typed();
        }
        written.map(drop)
    }

    /// Discards the waiting bytes and wipes their place. The next input starts at the first byte
    /// again, so that typing takes at most a page of memory, and a long paste takes more only while
    /// it waits.
    pub(in crate::session) fn forget_typed(&self) {
        let used = usize::try_from(self.typed_begin().max(self.typed_end())).unwrap_or(usize::MAX);
        // First nothing waits, then the place is wiped, then it starts over. The next worker
        // completes these steps if this one is killed in between.
        self.word(TYPED_WORD + 1).store(0, Ordering::Release);
        if used > AT_ONCE {
            self.mapping.free(TYPED_PLACE, TYPED);
        } else {
            bytes::clear(&self.mapping, TYPED_PLACE, used);
        }
        self.word(TYPED_WORD).store(0, Ordering::Release);
    }

    pub(super) fn typed_begin(&self) -> u64 {
        self.word(TYPED_WORD).load(Ordering::Acquire)
    }

    pub(super) fn typed_end(&self) -> u64 {
        self.word(TYPED_WORD + 1).load(Ordering::Acquire)
    }
}

fn place(offset: u64) -> usize {
    usize::try_from(offset % TYPED as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    fn next_worker(memory: &SessionMemory) -> SessionMemory {
        crate::session::recovery::open(memory.as_fd().try_clone_to_owned().unwrap()).unwrap()
    }

    fn type_all(memory: &SessionMemory) -> Vec<u8> {
        let mut typed = Vec::new();
        while !memory.is_typed_out() {
            let write = |bytes: &[u8]| {
                let some = bytes.len().min(1000);
                typed.extend_from_slice(&bytes[..some]);
                Ok::<_, ()>(some)
            };
            memory.type_some(write).unwrap();
        }
        typed
    }

    #[test]
    fn what_waits_is_typed_once_and_in_order_by_whichever_worker() {
        let memory = SessionMemory::new().unwrap();
        let bytes: Vec<u8> = (0..=250).cycle().take(TYPED).collect();
        assert!(memory.add_typed(&bytes[..TYPED - 10]));
        assert!(!memory.add_typed(&bytes[..11]), "there is room for ten");
        memory.type_some(|_| Ok::<_, ()>(3000)).unwrap();
        assert!(memory.type_some(|_| Err(())).is_err());
        // Across the end of the place.
        assert!(memory.add_typed(&bytes[..2000]));
        let memory = next_worker(&memory);
        let expected = [&bytes[3000..TYPED - 10], &bytes[..2000]].concat();
        assert!(type_all(&memory) == expected);
        assert!(memory.add_typed(b"and on"));
        assert_eq!(type_all(&memory), b"and on");
    }

    #[test]
    fn who_is_killed_while_it_types_leaves_nothing_to_be_typed_twice() {
        let memory = SessionMemory::new().unwrap();
        assert!(memory.add_typed(b"rm -r old\r"));
        memory
            .type_some(|bytes| {
                // Killed after typing, before that was recorded.
                assert!(next_worker(&memory).is_typed_out());
                Ok::<_, ()>(bytes.len())
            })
            .unwrap();
    }

    #[test]
    fn what_was_typed_is_wiped() {
        let memory = SessionMemory::new().unwrap();
        assert!(memory.add_typed(b"a password\r"));
        assert_eq!(type_all(&memory), b"a password\r");
        assert!(memory.add_typed(b"thrown away"));
        memory.forget_typed();
        let mut left = Vec::new();
        bytes::read(&memory.mapping, TYPED_PLACE, TYPED, &mut left);
        assert_eq!((left.len(), left.iter().find(|byte| **byte != 0)), (TYPED, None));
    }
}
