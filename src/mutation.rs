//! For property tests: bytes that are almost what a reader expects. A reader that gets them must
//! neither panic nor take them for something they are not. `PROPTEST_CASES` says how many it gets.

use proptest::prelude::*;

/// Most changes of one input.
const CHANGES_MAX: usize = 6;

#[derive(Debug, Clone)]
enum Change {
    Set(u8),
    Flip(u8),
    Insert(Vec<u8>),
    Remove(usize),
    Repeat(usize),
    Cut,
}

fn change() -> impl Strategy<Value = Change> {
    // What parsers trip over: signs of the grammar, ends of ranges, no text.
    let parts = prop::sample::select(
        [
            "\"",
            "\\",
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "null",
            "-1",
            "1e999",
            "18446744073709551616",
            "\\u0000",
            "\\ud800",
            "\u{202e}",
            "\r\n",
            "\n",
            " ",
            "\0",
            "..",
            "/",
        ]
        .map(|text| text.as_bytes().to_vec())
        .to_vec(),
    );
    prop_oneof![
        any::<u8>().prop_map(Change::Set),
        (0..8_u8).prop_map(|bit| Change::Flip(1 << bit)),
        prop_oneof![parts, prop::collection::vec(any::<u8>(), 1..8)].prop_map(Change::Insert),
        (1..32_usize).prop_map(Change::Remove),
        (1..64_usize).prop_map(Change::Repeat),
        Just(Change::Cut),
    ]
}

/// `seed` with a few changes, or as it is.
pub(crate) fn mutated(seed: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), change()), 0..=CHANGES_MAX);
    changes.prop_map(move |changes| {
        let mut bytes = seed.clone();
        for (place, change) in changes {
            let at = place.index(bytes.len() + 1);
            let end = |length: usize| (at + length).min(bytes.len());
            match change {
                Change::Set(byte) => bytes.iter_mut().skip(at).take(1).for_each(|one| *one = byte),
                Change::Flip(bit) => bytes.iter_mut().skip(at).take(1).for_each(|one| *one ^= bit),
                Change::Insert(part) => drop(bytes.splice(at..at, part)),
                Change::Remove(length) => drop(bytes.drain(at..end(length))),
                Change::Repeat(length) => {
                    let part = bytes[at..end(length)].to_vec();
                    drop(bytes.splice(at..at, part));
                }
                Change::Cut => bytes.truncate(at),
            }
        }
        bytes
    })
}
