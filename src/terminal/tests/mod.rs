//! The terminal as a whole.

mod answers;
mod bombs;
mod corpus;
mod emulation;
mod fidelity;
mod widths;

use super::Terminal;
use super::fuzz::assert_same;
use crate::names::TermSize;

fn size(cols: u16, rows: u16) -> TermSize {
    TermSize::new(cols, rows).unwrap()
}

fn fed(cols: u16, rows: u16, bytes: &[u8]) -> Terminal {
    let mut terminal = Terminal::new(size(cols, rows));
    terminal.print(bytes);
    terminal
}
