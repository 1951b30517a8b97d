//! The terminal of a session: it is fed what the shell prints, answers what programs ask, and can
//! say at any moment what a viewer has to be sent to see the same. No threads, no clock, no
//! descriptors.
//!
//! Bytes become pieces (`parser`, `sequence`), pieces act on the machine (`machine`, `dispatch`,
//! `command`, `resize`), and the machine becomes bytes again (`brush`, `history`, `snapshot`): the
//! only stored form of a terminal is terminal bytes. What is not complete at the moment of a
//! snapshot, a character or a sequence, is the snapshot's end.
//!
//! It is written for this and not borrowed. A snapshot has to say everything, and the emulators that
//! can be had hide what it needs (the other screen, tab stops, the half-read sequence), wrap rows
//! at a resize by flags that no bytes can set, or put what was printed behind an index that panics.
//!
//! Whatever is printed, memory stays below [`WEIGHT_MAX`]; each part names its own cap.
//!
//! # Known limits
//! - **reflow**: rows that stood above the screen stay there when it grows.
//! - **double size**: lines of double width and height (`ESC # 3`) are shown as they are.
//! - **protection**: protected cells (DECSCA), rectangles, and left and right margins are not there.
//! - **one column**: a wide character cannot be shown on a screen of one column, and is left out.
//! - **graphemes**: each character has the width of its own; joined emoji are not one.
//! - **pictures**: sixel, kitty and iTerm pictures are left out.
//! - **full tables**: past 4096 links or combinations of marks on the screens, cells go without.
//! - **huge pictures**: a snapshot of more than 12 MiB goes on without styles, one with more than
//!   1 MiB of links without links.

mod answers;
mod brush;
mod cell;
mod colors;
mod command;
mod dispatch;
mod history;
mod machine;
mod modes;
mod parser;
mod resize;
mod screen;
mod sequence;
mod sgr;
mod snapshot;
mod strings;
mod title;

#[cfg(test)]
mod tests;

use crate::names::TermSize;
use machine::Machine;
use parser::Parser;

/// Most bytes of memory that a terminal takes, whatever it is fed and whatever its size. Two screens
/// of a quarter of a million cells are most of it; one of 80 by 24 takes 50 kB and its history.
pub const WEIGHT_MAX: usize = 20 * 1024 * 1024;

/// The terminal of a session.
#[derive(Debug)]
pub struct Terminal {
    parser: Parser,
    machine: Machine,
    size: TermSize,
}

impl Terminal {
    /// A terminal that was just switched on.
    pub fn new(size: TermSize) -> Self {
        Self { parser: Parser::new(), machine: Machine::new(size), size }
    }

    /// Takes what the shell printed, cut anywhere.
    pub fn print(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(piece) = self.parser.next(&mut rest) {
            self.machine.act(&piece);
        }
    }

    /// Takes another size. See the module about what becomes of the rows.
    pub fn resize(&mut self, size: TermSize) {
        self.size = size;
        self.machine.resize(size);
    }

    /// The size.
    pub fn size(&self) -> TermSize {
        self.size
    }

    /// Takes what it answered to queries since the last time, at most 4096 bytes: to be written to
    /// the shell as if it were typed.
    pub fn answers(&mut self) -> Vec<u8> {
        self.machine.answers.take()
    }

    /// The title, at most 256 characters, none of them a control; empty where none was set.
    pub fn title(&self) -> &str {
        self.machine.titles.current()
    }

    /// Terminal bytes which, fed to a fresh terminal of the same size and followed by the rest of the
    /// stream, give what the whole stream gives. They make no terminal answer, ring or copy.
    pub fn snapshot(&self) -> Vec<u8> {
        self.snapshot_of_recent(usize::MAX)
    }

    /// The same with no more than the last lines of the history, which take at most so many bytes.
    pub fn snapshot_of_recent(&self, history: usize) -> Vec<u8> {
        let mut bytes = self.machine.snapshot(history);
        bytes.extend_from_slice(self.parser.undigested());
        bytes
    }

    /// The same without the history: for a terminal of the same size in any state, which keeps the
    /// history that it has.
    pub fn snapshot_of_screen(&self) -> Vec<u8> {
        let mut bytes = self.machine.snapshot_of_screen();
        bytes.extend_from_slice(self.parser.undigested());
        bytes
    }

    /// The screen as plain text: a line for each row, blanks at the ends of lines and blank rows at
    /// the end left out.
    pub fn screen_text(&self) -> String {
        let mut screen = String::new();
        for row in self.machine.screen().rows() {
            screen.push_str(&brush::text(row, &self.machine.marks));
            screen.push('\n');
        }
        screen.truncate(screen.trim_end_matches('\n').len());
        screen
    }

    /// Where the cursor is: its row and column, counted from 0.
    pub fn cursor(&self) -> (usize, usize) {
        (self.machine.cursor.row, self.machine.cursor.col)
    }

    /// The lines of history as plain text, oldest first.
    pub fn history_text(&self) -> impl Iterator<Item = String> {
        self.machine.history.lines().map(|line| history::plain(line.bytes()))
    }

    /// Bytes that the history takes in a snapshot, or a little more.
    pub fn history_bytes(&self) -> usize {
        self.machine.history.bytes()
    }

    /// Number of lines of history, at most 10,000.
    pub fn history_lines(&self) -> usize {
        self.machine.history.len()
    }

    /// Bytes of memory that it takes, about; below [`WEIGHT_MAX`].
    pub fn weight(&self) -> usize {
        self.parser.weight() + self.machine.weight()
    }
}
