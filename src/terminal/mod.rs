//! The terminal of a session: it is fed what the shell prints, answers what programs ask, and can
//! say at any moment what a viewer has to be sent to see the same. No threads, no clock, no
//! descriptors.
//!
//! Bytes become tokens (`parser`, `sequence`), tokens act on the state (`state`, `dispatch`,
//! `command`, `resize`), and the state becomes bytes again (`writer`, `scrollback`, `snapshot`): the
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
mod cell;
mod colors;
mod command;
mod dispatch;
mod interner;
mod modes;
mod parser;
mod resize;
mod screen;
mod scrollback;
mod sequence;
mod sgr;
mod sgr_writer;
mod snapshot;
mod state;
mod title;

#[cfg(test)]
mod tests;

use crate::names::{TermSize, Theme};
use parser::Parser;
use state::TerminalState;

/// Most bytes of memory that a terminal takes, whatever it is fed and whatever its size. Two screens
/// of a quarter of a million cells are most of it; one of 80 by 24 takes 50 kB and its scrollback.
pub const WEIGHT_MAX: usize = 20 * 1024 * 1024;

/// What [`Terminal::reset_modes`] prints: DECSTR, and off with what it leaves on: new line mode, the
/// mouse, and the charset of SO.
const RESET_MODES: &[u8] = b"\x1b[!p\x1b[20l\x1b[?12l\x1b[?9l\x1b[?1000l\x1b[?1002l\x1b[?1003l\
    \x1b[?1006l\x1b[?1016l\x0f\x1b[m";

/// The terminal of a session.
#[derive(Debug)]
pub struct Terminal {
    parser: Parser,
    state: TerminalState,
    size: TermSize,
}

impl Terminal {
    /// A terminal that was just switched on.
    pub fn new(size: TermSize) -> Self {
        Self { parser: Parser::new(), state: TerminalState::new(size), size }
    }

    /// Takes what the shell printed, cut anywhere.
    pub fn print(&mut self, bytes: &[u8]) {
        self.print_within(bytes, usize::MAX);
    }

    /// Takes output until this many cells were touched, and returns how many bytes it took. Two bytes can clear a whole
    /// screen in colour, so a bound on the bytes is none on the work. The last sequence may exceed the budget by one
    /// screen.
    pub fn print_within(&mut self, bytes: &[u8], cells: usize) -> usize {
        let mut rest = bytes;
        let mut touched = 0;
        while touched < cells
            && let Some(token) = self.parser.next(&mut rest)
        {
            self.state.act(&token);
            touched += self.state.take_touched();
        }
        bytes.len() - rest.len()
    }

    /// Puts modes, character sets and the scrolling region back, for a person after a program that left
    /// them. A sequence that is not complete is given up. What is on the screen stays.
    pub fn reset_modes(&mut self) {
        self.parser = Parser::new();
        self.print(RESET_MODES);
    }

    /// Takes another size. See the module about what becomes of the rows.
    pub fn resize(&mut self, size: TermSize) {
        self.size = size;
        self.state.resize(size);
    }

    /// Takes the colours in which it is shown: what it answers to programs that ask for those that no
    /// program has changed. They are no part of a snapshot.
    pub fn set_theme(&mut self, theme: Theme) {
        self.state.palette.set_theme(theme);
    }

    /// The size.
    pub fn size(&self) -> TermSize {
        self.size
    }

    /// Takes what it answered to queries since the last time, at most 4096 bytes: to be written to
    /// the shell as if it were typed.
    pub fn answers(&mut self) -> Vec<u8> {
        self.state.answers.take()
    }

    /// The title, at most 256 characters, none of them a control; empty where none was set.
    pub fn title(&self) -> &str {
        self.state.titles.current()
    }

    /// Terminal bytes which, fed to a fresh terminal of the same size and followed by the rest of the
    /// stream, give what the whole stream gives. They make no terminal answer, ring or copy.
    pub fn snapshot(&self) -> Vec<u8> {
        self.snapshot_of_recent(usize::MAX)
    }

    /// The same with no more than the last lines of the scrollback, which take at most so many bytes.
    pub fn snapshot_of_recent(&self, scrollback: usize) -> Vec<u8> {
        let mut bytes = self.state.snapshot(scrollback);
        bytes.extend_from_slice(self.parser.incomplete());
        bytes
    }

    /// The same without the scrollback: for a terminal of the same size in any state, which keeps the
    /// scrollback that it has.
    pub fn snapshot_of_screen(&self) -> Vec<u8> {
        let mut bytes = self.state.snapshot_of_screen();
        bytes.extend_from_slice(self.parser.incomplete());
        bytes
    }

    /// The screen as plain text: a line for each row, blanks at the ends of lines and blank rows at
    /// the end left out.
    pub fn screen_text(&self) -> String {
        let mut screen = String::new();
        for row in self.state.screen().rows() {
            screen.push_str(&sgr_writer::text(row, &self.state.marks));
            screen.push('\n');
        }
        screen.truncate(screen.trim_end_matches('\n').len());
        screen
    }

    /// Where the cursor is: its row and column, counted from 0.
    pub fn cursor(&self) -> (usize, usize) {
        (self.state.cursor.row, self.state.cursor.col)
    }

    /// The lines of scrollback as plain text, oldest first.
    pub fn scrollback_text(&self) -> impl Iterator<Item = String> {
        self.state.scrollback.lines().map(|line| scrollback::plain(line.bytes()))
    }

    /// Bytes that the scrollback takes in a snapshot, or a little more.
    pub fn scrollback_bytes(&self) -> usize {
        self.state.scrollback.bytes()
    }

    /// Number of lines of scrollback, at most 10,000.
    pub fn scrollback_lines(&self) -> usize {
        self.state.scrollback.len()
    }

    /// Bytes of memory that it takes, about; below [`WEIGHT_MAX`].
    pub fn weight(&self) -> usize {
        self.parser.weight() + self.state.weight()
    }
}
