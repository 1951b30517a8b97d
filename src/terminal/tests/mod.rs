//! What the terminal shows, said so that two can be compared.

mod answers;
mod bombs;
mod corpus;
mod emulation;
mod fidelity;
mod widths;

use super::Terminal;
use super::machine::Machine;
use super::screen::{Cursor, Screen};
use crate::names::TermSize;

fn size(cols: u16, rows: u16) -> TermSize {
    TermSize::new(cols, rows).unwrap()
}

fn fed(cols: u16, rows: u16, bytes: &[u8]) -> Terminal {
    let mut terminal = Terminal::new(size(cols, rows));
    terminal.print(bytes);
    terminal
}

/// Everything that a viewer could ever come to see, with links and marks by their text.
fn portrait(terminal: &Terminal) -> Vec<String> {
    let machine = &terminal.machine;
    let mut lines: Vec<String> = Vec::new();
    lines.extend(
        machine
            .history
            .lines()
            .map(|line| format!("history {} {}", line.bytes().escape_ascii(), line.flows())),
    );
    screen("main", machine, &machine.main, &mut lines);
    if let Some(alternate) = &machine.alternate {
        screen("alternate", machine, alternate, &mut lines);
    }
    lines.push(format!("cursor {} shape {}", cursor(machine, &machine.cursor), machine.cursor_shape));
    lines.push(format!("{:?}", machine.modes));
    lines.push(format!("tabs {:?}", machine.tabs.iter().map(|stop| u8::from(*stop)).collect::<Vec<_>>()));
    lines.push(format!("{:?} {:?}", machine.titles, machine.palette));
    lines.push(format!("repeats {:?}", machine.repeatable));
    lines
}

fn cursor(machine: &Machine, cursor: &Cursor) -> String {
    let (style, link) = (cursor.style.unlinked(), machine.links.text(cursor.style.link));
    let Cursor { row, col, wraps, charsets, active, .. } = cursor;
    format!("{row} {col} {wraps} {charsets:?} {active} {link} {style:?}")
}

fn screen(name: &str, machine: &Machine, screen: &Screen, lines: &mut Vec<String>) {
    for (number, row) in screen.rows().enumerate() {
        if screen.flows(number) > 0 {
            lines.push(format!("{name} {number} flows {}", screen.flows(number)));
        }
        for (col, cell) in row.iter().enumerate().filter(|(_, cell)| **cell != super::cell::Cell::BLANK) {
            let (marks, link) = (machine.marks.text(cell.marks), machine.links.text(cell.style.link));
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
        cursor(machine, &saved.cursor),
        saved.origin
    ));
}

fn assert_same(one: &Terminal, other: &Terminal, about: &str) {
    let (one, other) = (portrait(one), portrait(other));
    if one != other {
        let at = one.iter().zip(&other).position(|(a, b)| a != b).unwrap_or(one.len().min(other.len()));
        panic!("{about}\nline {at}\n  whole: {:?}\n    cut: {:?}", one.get(at), other.get(at));
    }
}
