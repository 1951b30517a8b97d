//! What a fuzzer leaves in the memory file of a session, and what must hold then: see `fuzz/`. Only
//! in tests and with the feature `fuzz`.

// A panic is how a fuzzer notices.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::cell::RefCell;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use super::emulator;
use super::memory::{Filled, Position, SessionMemory};
use super::{recovery, report};
use crate::names::{ReportKey, TermSize};
use crate::protocol::worker::ViewerId;

/// Most bytes that are typed at once, see [`SessionMemory::type_some`].
const TYPED_MAX: usize = 256 * 1024;

thread_local! {
    /// A worker's memory file and the copy of it that each input begins with.
    static FILE: RefCell<Option<Arc<SessionMemory>>> = const { RefCell::new(None) };
}

/// Changes a memory file: a word of its header, or bytes behind it. Then a worker takes it over.
/// The input is a list of changes: which, where, and the value.
pub fn memory(data: &[u8]) {
    let memory =
        FILE.with_borrow_mut(Option::take).unwrap_or_else(|| Arc::new(SessionMemory::new().unwrap()));
    memory.start_over();
    begin(&memory);
    change(&memory, data);
    take_over(&memory);
    FILE.with_borrow_mut(|kept| *kept = Some(memory));
}

/// A session as a worker may leave it.
fn begin(memory: &Arc<SessionMemory>) {
    memory.add_size(TermSize::new(80, 24).unwrap());
    let key: ReportKey = "a2".repeat(16).parse().unwrap();
    memory.set_report_key(&key);
    let (read, mut write) = std::io::pipe().unwrap();
    let output = format!("\x1b]2;title\x07some \x1b[1mtext\x1b[m\r\n\x1b_tere;{};3\x1b\\", key.as_str());
    std::io::Write::write_all(&mut write, output.as_bytes()).unwrap();
    assert_eq!(memory.fill_from(read.as_fd()).unwrap(), Filled::Bytes(output.len()));
    emulator::fuzz::leave_checkpoint(memory);
    assert!(memory.add_typed(b"typed"));
}

fn change(memory: &SessionMemory, mut data: &[u8]) {
    while let Some(([kind, a, b, c], rest)) = data.split_first_chunk() {
        let place = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        data = if *kind & 1 == 0 {
            let Some((value, rest)) = rest.split_first_chunk() else { return };
            // The first word says that it is a memory file of this layout.
            memory.set_word_of_header(1 + place % 511, u64::from_be_bytes(*value));
            rest
        } else {
            let (bytes, rest) = rest.split_at(rest.len().min(usize::from(*kind >> 1)));
            memory.set_bytes_behind_header(place, bytes);
            rest
        };
    }
}

fn take_over(memory: &SessionMemory) {
    // One that cannot be a worker's is replaced by an empty one.
    let opened = recovery::open(memory.as_fd().try_clone_to_owned().unwrap());
    let Ok(next) = opened.map(Arc::new) else { return };
    // A worker that is killed at once leaves the same to the next.
    let (head, typed) = (next.head(), next.is_typed_out());
    next.recover_head();
    next.recover_typed();
    assert_eq!((next.head(), next.is_typed_out()), (head, typed));
    emulator::fuzz::run(&next);
    let _ = (next.latest_size(), next.theme());
    // The last MiB of the output is looked at, so not for each input.
    if next.head() < 8 * 1024 {
        let _ = report::exit(&next);
    }
    for number in 0..4 {
        if let Some(Position::At { cursor, sizes }) = next.position(ViewerId(number)) {
            assert!(cursor <= next.head() && sizes <= next.sizes());
        }
    }
    let (read, mut write) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut write, b"more").unwrap();
    let _ = next.fill_from(read.as_fd()).unwrap();
    emulator::fuzz::run(&next);
    let mut typed = 0;
    while !next.is_typed_out() && typed < 2 * TYPED_MAX {
        let mut length = 0;
        next.type_some(|bytes| {
            length = bytes.len();
            Ok::<_, ()>(length)
        })
        .unwrap();
        assert!(length > 0 || next.is_typed_out(), "nothing is typed, and something waits");
        typed += length;
    }
    assert!(typed <= TYPED_MAX, "{typed} bytes are typed");
    assert!(next.add_typed(b"x"));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_worker_goes_on_from_whatever_is_in_a_memory_file(
            changes in prop::collection::vec((0..360_u32, any::<u64>(), 0..4_u8), 0..12),
        ) {
            let mut data = Vec::new();
            for (word, value, kind) in changes {
                // Small numbers come from counters.
                let value = match kind {
                    0 => value % 64,
                    1 => value % (4 << 20),
                    2 => u64::MAX - value % 64,
                    _ => value,
                };
                data.extend(word.to_be_bytes());
                data.extend(value.to_be_bytes());
            }
            super::memory(&data);
        }
    }
}
