//! Descriptions of the state of a terminal, for comparing two of them.

mod answers;
mod bombs;
mod corpus;
mod emulation;
mod fidelity;
mod widths;

use super::Terminal;
use super::screen::{Cursor, Screen};
use super::state::TerminalState;
use crate::names::TermSize;

fn size(cols: u16, rows: u16) -> TermSize {
    TermSize::new(cols, rows).unwrap()
}

fn fed(cols: u16, rows: u16, bytes: &[u8]) -> Terminal {
    let mut terminal = Terminal::new(size(cols, rows));
    terminal.print(bytes);
    terminal
}

/// All of the state that a viewer could ever see, with links and marks as text.
fn dump_state(terminal: &Terminal) -> Vec<String> {
    let state = &terminal.state;
    let mut lines: Vec<String> = Vec::new();
    lines.extend(
        state
            .scrollback
            .lines()
            .map(|line| format!("scrollback {} {}", line.bytes().escape_ascii(), line.wrapped())),
    );
    screen("main", state, &state.main, &mut lines);
    if let Some(alternate) = &state.alternate {
        screen("alternate", state, alternate, &mut lines);
    }
    lines.push(format!("cursor {} shape {}", cursor(state, &state.cursor), state.cursor_shape));
    lines.push(format!("{:?}", state.modes));
    lines.push(format!("tabs {:?}", state.tabs.iter().map(|stop| u8::from(*stop)).collect::<Vec<_>>()));
    lines.push(format!("{:?} {:?}", state.titles, state.palette));
    lines.push(format!("repeats {:?}", state.repeatable));
    lines
}

fn cursor(state: &TerminalState, cursor: &Cursor) -> String {
    let (style, link) = (cursor.style.unlinked(), state.links.text(cursor.style.link));
    let Cursor { row, col, pending_wrap, charsets, active, .. } = cursor;
    format!("{row} {col} {pending_wrap} {charsets:?} {active} {link} {style:?}")
}

fn screen(name: &str, state: &TerminalState, screen: &Screen, lines: &mut Vec<String>) {
    for (number, row) in screen.rows().enumerate() {
        if screen.wrapped(number) > 0 {
            lines.push(format!("{name} {number} wrapped {}", screen.wrapped(number)));
        }
        for (col, cell) in row.iter().enumerate().filter(|(_, cell)| **cell != super::cell::Cell::BLANK) {
            let (marks, link) = (state.marks.text(cell.marks), state.links.text(cell.style.link));
            let style = cell.style.unlinked();
            lines.push(format!(
                "{name} {number} {col} {:?} {:?} {marks:?} {link} {style:?}",
                cell.glyph, cell.part
            ));
        }
    }
    let saved = &screen.saved;
    lines.push(format!(
        "{name} {} to {}, saved {} {}",
        screen.top,
        screen.bottom,
        cursor(state, &saved.cursor),
        saved.origin
    ));
}

fn assert_same(one: &Terminal, other: &Terminal, about: &str) {
    let (one, other) = (dump_state(one), dump_state(other));
    if one != other {
        let at = one.iter().zip(&other).position(|(a, b)| a != b).unwrap_or(one.len().min(other.len()));
        panic!("{about}\nline {at}\n  whole: {:?}\n    cut: {:?}", one.get(at), other.get(at));
    }
}
