//! The strings that cells refer to by number: links and combining marks. Each table is limited in
//! entries and in bytes, so neither links nor marks can make memory grow without bound.

use std::collections::HashMap;

/// Maximum number of strings in a table.
const ENTRIES_MAX: u16 = 4096;

/// Maximum size of the strings in a table, in bytes.
const BYTES_MAX: usize = 256 * 1024;

/// A table of strings, numbered from 1.
#[derive(Debug, Default)]
pub(super) struct Interner {
    entries: Vec<Option<Box<str>>>,
    numbers: HashMap<Box<str>, u16>,
    free: Vec<u16>,
    bytes: usize,
    /// Counts refused strings, modulo [`ENTRIES_MAX`]; at 0, the next refusal is worth a sweep.
    refused: u16,
}

impl Interner {
    /// The number of a string, which is added if it is new. None if the table is full.
    pub(super) fn intern(&mut self, text: &str) -> Option<u16> {
        if let Some(number) = self.numbers.get(text) {
            return Some(*number);
        }
        if self.numbers.len() >= usize::from(ENTRIES_MAX) || self.bytes + text.len() > BYTES_MAX {
            return None;
        }
        let number = match self.free.pop() {
            Some(number) => number,
            None => u16::try_from(self.entries.len() + 1).ok()?,
        };
        if usize::from(number) > self.entries.len() {
            self.entries.push(None);
        }
        *self.entries.get_mut(usize::from(number).checked_sub(1)?)? = Some(text.into());
        self.numbers.insert(text.into(), number);
        self.bytes += text.len();
        Some(number)
    }

    /// The string with this number; empty for 0.
    pub(super) fn text(&self, number: u16) -> &str {
        let entry = usize::from(number).checked_sub(1).and_then(|at| self.entries.get(at));
        entry.and_then(Option::as_deref).unwrap_or_default()
    }

    /// Whether the table, which is full, is worth a sweep. A sweep looks at every cell, so after
    /// one that freed less than half of the table, the next follows only after [`ENTRIES_MAX`]
    /// refusals.
    pub(super) fn wants_sweep(&mut self) -> bool {
        let wants = self.refused == 0;
        self.refused = (self.refused + 1) % ENTRIES_MAX;
        wants
    }

    /// Removes every string whose number is not in `used`.
    pub(super) fn sweep(&mut self, used: impl Iterator<Item = u16>) {
        let mut keep = vec![false; self.entries.len()];
        for number in used {
            if let Some(mark) = usize::from(number).checked_sub(1).and_then(|at| keep.get_mut(at)) {
                *mark = true;
            }
        }
        let before = self.numbers.len();
        for (number, (entry, keep)) in (1..=ENTRIES_MAX).zip(self.entries.iter_mut().zip(keep)) {
            if let Some(text) = entry.take_if(|_| !keep) {
                self.bytes -= text.len();
                self.numbers.remove(&text);
                self.free.push(number);
            }
        }
        if self.numbers.len() <= before / 2 {
            self.refused = 0;
        }
    }

    /// Approximate memory use in bytes.
    pub(super) fn weight(&self) -> usize {
        // Each string is stored twice. 64 bytes are its entry and its slot in the map.
        2 * self.bytes + self.entries.capacity() * 64
    }
}
