//! Interner that cells refer to by number: addresses of links, combining marks. The table is
//! bounded in entries and in bytes, so that neither can make memory grow.

use std::collections::HashMap;

/// Most strings in one table.
const ENTRIES_MAX: u16 = 4096;

/// Most bytes in one table.
const BYTES_MAX: usize = 256 * 1024;

/// A table of strings, numbered from 1.
#[derive(Debug, Default)]
pub(super) struct Interner {
    entries: Vec<Option<Box<str>>>,
    numbers: HashMap<Box<str>, u16>,
    free: Vec<u16>,
    bytes: usize,
    /// How often a string was refused since the last sweep.
    refused: u16,
}

impl Interner {
    /// The number of a string; none where the table is full.
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

    /// The string of a number; empty for 0.
    pub(super) fn text(&self, number: u16) -> &str {
        let entry = usize::from(number).checked_sub(1).and_then(|at| self.entries.get(at));
        entry.and_then(Option::as_deref).unwrap_or_default()
    }

    /// Whether the table, being full, is worth a sweep: a sweep looks at every cell, so one that
    /// freed little is not repeated at once.
    pub(super) fn wants_sweep(&mut self) -> bool {
        let wants = self.refused == 0;
        self.refused = (self.refused + 1) % ENTRIES_MAX;
        wants
    }

    /// Forgets every string that is not used.
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

    /// Bytes of memory held, about.
    pub(super) fn weight(&self) -> usize {
        // Each string is there twice, with its entry and its place in the map.
        2 * self.bytes + self.entries.capacity() * 64
    }
}
