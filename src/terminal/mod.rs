//! The terminal emulator of a session. It interprets the output of the shell, answers the queries
//! of programs, and can at any time produce the bytes that make the terminal of a viewer show the
//! same. It uses no threads, no clock and no descriptors.
//!
//! The parser (`parser`, `sequence`) turns bytes into tokens, the tokens change the state (`state`,
//! `dispatch`, `command`, `resize`), and `sgr_writer`, `scrollback` and `snapshot` turn the state
//! back into bytes: terminal bytes are the only stored form of a terminal. Rows of a flood that
//! nobody can see any more go straight to the scrollback (`bulk`). `painter` shows the screen on
//! another terminal. A snapshot ends with the character or sequence that is incomplete at that
//! moment.
//!
//! The emulator is not an existing crate because a snapshot has to contain the entire state. The
//! available emulators hide parts of it (the other screen, tab stops, the incomplete sequence),
//! rewrap rows at a resize according to flags that no bytes can set, or access printed output
//! through indexing that can panic.
//!
//! Memory use stays below [`WEIGHT_MAX`] for any output; each module defines its own limits.
//!
//! # Known limits
//! - **reflow**: when the screen grows, rows do not return to it from the scrollback.
//! - **double size**: lines of double width and height (`ESC # 3`) are shown at normal size.
//! - **areas**: guarded areas (SPA, EPA), operations on rectangles, and left and right margins are
//!   not
//!   supported. Protected cells (DECSCA) are.
//! - **one column**: a screen of one column cannot show a wide character and drops it.
//! - **graphemes**: each character has its own width; joined emoji are not combined.
//! - **pictures**: sixel, kitty and iTerm pictures are ignored.
//! - **full tables**: once the screens hold 4096 links or combinations of marks, or 256 KiB of
//!   either, further cells get none.
//! - **large snapshots**: a snapshot continues without styles and combining marks after 4 MiB, and
//!   without links after 1 MiB of links.

mod alerts;
mod answers;
mod bulk;
mod cell;
mod colors;
mod command;
mod dispatch;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod interner;
mod keyboard;
mod modes;
mod painter;
mod parser;
mod resize;
mod screen;
mod scrollback;
mod sequence;
mod sgr;
mod sgr_writer;
mod snapshot;
mod state;
mod text;
mod title;

#[cfg(test)]
mod tests;

use crate::names::{TermSize, Theme};
pub use painter::Painter;
use parser::{Parser, Token};
use state::TerminalState;
pub use text::{Lines, ModesShown, Run};

/// Maximum memory of a terminal in bytes, for any input and any size. Most of it is for two screens
/// of 250,000 cells each; a terminal of 80 by 24 takes 50 kB plus its scrollback.
pub const WEIGHT_MAX: usize = 20 * 1024 * 1024;

/// The sequences that [`Terminal::reset_modes`] prints: DECSTR, then the sequences that switch off
/// what DECSTR may leave on: new line mode, cursor blinking, mouse reports, the character set
/// selected by SO, and styles.
const RESET_MODES: &[u8] = b"\x1b[!p\x1b[20l\x1b[?12l\x1b[?9l\x1b[?1000l\x1b[?1002l\x1b[?1003l\
    \x1b[?1006l\x1b[?1016l\x0f\x1b[m";

/// The count of REP; None if the token is something else.
fn repetitions(token: &Token<'_>) -> Option<usize> {
    match token {
        Token::Csi(csi) if (csi.marker, csi.intermediate, csi.last) == (0, 0, b'b') => Some(csi.count(0)),
        Token::Text(_)
        | Token::Control(_)
        | Token::Escape(..)
        | Token::Csi(_)
        | Token::Osc(_)
        | Token::Dcs(_) => None,
    }
}

/// The terminal of a session.
#[derive(Debug)]
pub struct Terminal {
    parser: Parser,
    state: TerminalState,
    size: TermSize,
    bulk: bulk::Buffers,
}

impl Terminal {
    /// A terminal in its power-on state.
    pub fn new(size: TermSize) -> Self {
        Self { parser: Parser::new(), state: TerminalState::new(size), size, bulk: bulk::Buffers::default() }
    }

    /// Interprets output of the shell, which may be split anywhere.
    pub fn print(&mut self, bytes: &[u8]) {
        self.print_within(bytes, usize::MAX);
    }

    /// Interprets output until at least `cells` cells were touched, and returns the number of bytes
    /// consumed. A limit on bytes would not limit the work, because two bytes can clear a whole
    /// screen in colour. The budget is checked between tokens, so the last token may exceed it; an
    /// erase, or the end of a flood, exceeds it by at most one screen. REP, which can scroll
    /// thousands of rows, is interrupted: it is then incomplete, with the remaining count, and its
    /// last byte is not consumed.
    pub fn print_within(&mut self, bytes: &[u8], cells: usize) -> usize {
        let mut rest = bytes;
        let mut touched = 0;
        // Up to here, nothing more is printed in bulk.
        let mut examined = 0;
        while touched < cells {
            let consumed = bytes.len() - rest.len();
            if consumed >= examined && self.is_at_bulk(rest) {
                let (length, printed) = self.print_bulk(rest);
                examined = consumed + length.max(1);
                rest = rest.get(printed..).unwrap_or_default();
                touched += self.state.take_touched();
                continue;
            }
            // The token stays where the parser has put it: a copy of what was written just now, in
            // parts, stalls the processor (a tenth of the time of dense output).
            let next = self.parser.next(&mut rest);
            let Some(token) = &next else { break };
            let Some(count) = repetitions(token) else {
                self.state.act(token);
                touched += self.state.take_touched();
                continue;
            };
            let left = self.state.repeat(count, cells - touched);
            if left > 0 {
                self.parser.interrupt_repetition(left);
                return bytes.len() - rest.len() - 1;
            }
            touched += self.state.take_touched();
        }
        bytes.len() - rest.len()
    }

    /// Resets modes, character sets and the scrolling region after a program that did not restore
    /// them. Discards an incomplete sequence and keeps the contents of the screen.
    pub fn reset_modes(&mut self) {
        self.parser = Parser::new();
        self.print(RESET_MODES);
    }

    /// Changes the size. The `resize` module describes what happens to the rows.
    pub fn resize(&mut self, size: TermSize) {
        self.size = size;
        self.state.resize(size);
    }

    /// Sets the theme in which the terminal is shown. Queries for colours that no program has
    /// changed are answered from it. The theme is not part of a snapshot.
    pub fn set_theme(&mut self, theme: Theme) {
        self.state.palette.set_theme(theme);
    }

    /// The size.
    pub fn size(&self) -> TermSize {
        self.size
    }

    /// Takes the answers to queries since the last call, at most 4096 bytes. They must be written
    /// to the shell as if they were typed.
    pub fn answers(&mut self) -> Vec<u8> {
        self.state.answers.take()
    }

    /// Whether a program rang the bell since the last call.
    pub fn take_bell(&mut self) -> bool {
        std::mem::take(&mut self.state.bell)
    }

    /// Takes the text of the last alert by a notification or the bell: at most 256 characters, none
    /// of them a control character; empty if it had none. `None` if there was no alert since.
    pub fn take_alert(&mut self) -> Option<String> {
        self.state.alerts.take()
    }

    /// The title, at most 256 characters, none of them a control character; empty if none was set.
    pub fn title(&self) -> &str {
        self.state.titles.current()
    }

    /// Terminal bytes that bring a fresh terminal of the same size to this state: followed by the
    /// rest of the stream, they have the effect of the whole stream. They do not make a terminal
    /// answer, ring the bell or copy to the clipboard.
    pub fn snapshot(&self) -> Vec<u8> {
        self.snapshot_of_recent(usize::MAX)
    }

    /// Like [`Self::snapshot`], but with only the most recent lines of the scrollback, at most
    /// `scrollback` bytes of them.
    pub fn snapshot_of_recent(&self, scrollback: usize) -> Vec<u8> {
        let mut bytes = self.state.snapshot(scrollback);
        bytes.extend(self.parser.incomplete());
        bytes
    }

    /// Like [`Self::snapshot`], but without the scrollback: for a terminal of the same size in any
    /// state, which keeps its own scrollback.
    pub fn snapshot_of_screen(&self) -> Vec<u8> {
        let mut bytes = self.state.snapshot_of_screen();
        bytes.extend(self.parser.incomplete());
        bytes
    }

    /// The screen as plain text, one line per row, without blanks at the ends of lines and without
    /// blank rows at the end.
    pub fn screen_text(&self) -> String {
        let mut screen = String::new();
        for row in self.state.screen().rows() {
            screen.push_str(&sgr_writer::text(row, &self.state.marks));
            screen.push('\n');
        }
        screen.truncate(screen.trim_end_matches('\n').len());
        screen
    }

    /// Row and column of the cursor, counted from 0.
    pub fn cursor(&self) -> (usize, usize) {
        (self.state.cursor.row, self.state.cursor.col)
    }

    /// The lines of scrollback as plain text, oldest first.
    pub fn scrollback_text(&self) -> impl Iterator<Item = String> {
        self.state.scrollback.lines().map(|line| scrollback::plain(line.bytes()))
    }

    /// Size of the scrollback in a snapshot, in bytes, or slightly more.
    pub fn scrollback_bytes(&self) -> usize {
        self.state.scrollback.bytes()
    }

    /// Number of lines of scrollback, at most 10,000.
    pub fn scrollback_lines(&self) -> usize {
        self.state.scrollback.len()
    }

    /// Approximate memory use in bytes; below [`WEIGHT_MAX`].
    pub fn weight(&self) -> usize {
        self.parser.weight() + self.state.weight() + self.bulk.weight()
    }
}
