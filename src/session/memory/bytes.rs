//! The bytes of the memory file, which are accessed eight at a time: see [`Mapping::words`].

use std::sync::atomic::Ordering;

use crate::sys::mapping::Mapping;

/// Bytes of a number.
const WORD: usize = size_of::<u64>();

/// Sets the bytes of `at..at + length` to zero. For the bytes beside them, see [`write()`].
pub(super) fn clear(mapping: &Mapping, at: usize, length: usize) {
    let zeros = [0; 4096];
    let end = at.saturating_add(length).min(length_of(mapping));
    for at in (at..end).step_by(zeros.len()) {
        write(mapping, at, zeros.get(..end - at).unwrap_or(&zeros));
    }
}

/// Writes bytes from `at` on; bytes past the end of the mapping are dropped. The bytes beside them
/// are stored again if they share a number, so they too are this thread's to write.
pub(super) fn write(mapping: &Mapping, at: usize, bytes: &[u8]) {
    let bytes = bytes.get(..length_of(mapping).saturating_sub(at)).unwrap_or(bytes);
    let (head, rest) = bytes.split_at(bytes.len().min(at.wrapping_neg() % WORD));
    let (whole, tail) = rest.as_chunks::<WORD>();
    let first = at + head.len();
    change_word(mapping, at, head);
    let words = mapping.words().get(first / WORD..).unwrap_or_default();
    for (word, bytes) in words.iter().zip(whole) {
        word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
    }
    change_word(mapping, first + whole.len() * WORD, tail);
}

/// Writes bytes that are inside one number.
fn change_word(mapping: &Mapping, at: usize, bytes: &[u8]) {
    let Some(word) = mapping.word(at / WORD).filter(|_| !bytes.is_empty()) else { return };
    let mut changed = word.load(Ordering::Relaxed).to_ne_bytes();
    let places = changed.get_mut(at % WORD..).unwrap_or_default();
    places.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
    word.store(u64::from_ne_bytes(changed), Ordering::Relaxed);
}

/// Appends the bytes of `at..at + length` to `to`, up to the end of the mapping.
pub(super) fn read(mapping: &Mapping, at: usize, length: usize, to: &mut Vec<u8>) {
    let end = at.saturating_add(length).min(length_of(mapping));
    let words = mapping.words().get(at / WORD..end.div_ceil(WORD)).unwrap_or_default();
    // The numbers around the bytes, then without what is not asked for.
    let before = to.len();
    to.resize(before + words.len() * WORD, 0);
    let (places, _) = to.get_mut(before..).unwrap_or_default().as_chunks_mut::<WORD>();
    for (place, word) in places.iter_mut().zip(words) {
        *place = word.load(Ordering::Relaxed).to_ne_bytes();
    }
    let skipped = at % WORD;
    if skipped > 0 && !words.is_empty() {
        to.copy_within(before + skipped.., before);
    }
    to.truncate(before + end.saturating_sub(at));
}

fn length_of(mapping: &Mapping) -> usize {
    mapping.words().len() * WORD
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    #[test]
    fn bytes_are_written_and_read_wherever_they_begin_and_end() {
        const LENGTH: usize = 8192;
        let mapping = Mapping::new(c"tere-test", NonZeroUsize::new(LENGTH).unwrap()).unwrap();
        let mut expected = vec![0; LENGTH];
        let places = [0, 1, 7, 8, 9, 4095, 4096, LENGTH - 9, LENGTH - 8, LENGTH - 1, LENGTH, LENGTH + 9];
        for (round, (at, length)) in
            places.iter().flat_map(|at| [0, 1, 5, 8, 17, 5000].map(|length| (*at, length))).enumerate()
        {
            let bytes: Vec<u8> =
                (round..).map(|byte| u8::try_from(byte % 251).unwrap()).take(length).collect();
            let room = length.min(LENGTH.saturating_sub(at));
            write(&mapping, at, &bytes);
            if room > 0 {
                expected[at..at + room].copy_from_slice(&bytes[..room]);
            }
            let mut got = b"before".to_vec();
            read(&mapping, at, length, &mut got);
            assert_eq!(got, [b"before", &bytes[..room]].concat(), "{at} {length}");
            if round % 3 == 0 {
                clear(&mapping, at, length);
                expected.iter_mut().skip(at).take(length).for_each(|byte| *byte = 0);
            }
            let mut all = Vec::new();
            read(&mapping, 0, LENGTH, &mut all);
            assert!(all == expected, "{at} {length}");
        }
        mapping.free(0, 4096);
        let mut freed = Vec::new();
        read(&mapping, 0, 4096, &mut freed);
        assert_eq!(freed, [0; 4096]);
        mapping.free(4096, LENGTH);
        assert!(mapping.word(LENGTH / WORD).is_none());
    }
}
