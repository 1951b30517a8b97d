//! What a fuzzer does to a terminal, and what must hold then: see `fuzz/`. Only in tests and with
//! the feature `fuzz`.

// A panic is how a fuzzer notices.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::cell::{Cell, Part};
use super::interner::Interner;
use super::screen::{Cursor, Screen};
use super::scrollback::LINES_MAX;
use super::state::TerminalState;
use super::{Terminal, WEIGHT_MAX};
use crate::names::TermSize;

/// Begin an event in the input of a fuzzer. No UTF-8 text has these bytes, and recordings of
/// programs have none.
const RESIZE: u8 = 0xf8;
const CUT: u8 = 0xf9;
const RESET: u8 = 0xfa;

/// Most bytes of the answers that wait.
const ANSWERS_MAX: usize = 4096;

/// The longest snapshot, bytes. A checkpoint has room for it.
const SNAPSHOT_MAX: usize = 12 * 1024 * 1024;

/// An event for a terminal.
#[derive(Debug, Clone, Copy)]
enum Event<'a> {
    Print(&'a [u8]),
    Resize(TermSize),
    /// The output is read up to here, and perhaps a worker ends.
    Cut,
    Reset,
}

/// A size because of two bytes: mostly a small one, which is looked at in less time.
fn size_of(cols: u8, rows: u8) -> TermSize {
    let (cols, rows) = (u16::from(cols), u16::from(rows));
    match cols {
        0..200 => TermSize::new(1 + cols % 50, 1 + rows % 25).unwrap(),
        200..255 => TermSize::new(cols, 1 + rows % 64).unwrap(),
        _ => TermSize::new(1000, rows.clamp(1, 250)).unwrap(),
    }
}

/// Takes the next event from the input.
fn next<'a>(rest: &mut &'a [u8]) -> Option<Event<'a>> {
    let (event, behind) = match *rest {
        [] => return None,
        [RESIZE, cols, rows, behind @ ..] => (Event::Resize(size_of(*cols, *rows)), behind),
        [CUT, behind @ ..] => (Event::Cut, behind),
        [RESET, behind @ ..] => (Event::Reset, behind),
        bytes => {
            let is_event = |byte: &u8| (RESIZE..=RESET).contains(byte);
            let end = 1 + bytes[1..].iter().position(is_event).unwrap_or(bytes.len() - 1);
            let (text, behind) = bytes.split_at(end);
            (Event::Print(text), behind)
        }
    };
    *rest = behind;
    Some(event)
}

fn apply(terminal: &mut Terminal, event: Event<'_>) {
    match event {
        Event::Print(bytes) => terminal.print(bytes),
        Event::Resize(size) => terminal.resize(size),
        Event::Reset => terminal.reset_modes(),
        Event::Cut => {}
    }
}

/// Feeds output to a terminal, once as it comes, and once in small parts with a small budget. Both
/// end in the same state, and all bounds hold.
pub fn terminal(data: &[u8]) {
    let Some(([cols, rows, part], mut rest)) = data.split_first_chunk() else { return };
    let size = size_of(*cols, *rows);
    let (mut whole, mut parts) = (Terminal::new(size), Terminal::new(size));
    while let Some(event) = next(&mut rest) {
        apply(&mut whole, event);
        if let Event::Print(bytes) = event {
            for part in bytes.chunks(usize::from(part % 16) + 1) {
                let budget = usize::from(*part.first().unwrap()) + 1;
                let (mut left, mut stuck) = (part, 0);
                while !left.is_empty() {
                    let taken = parts.print_within(left, budget);
                    // What ends a string or a broken character is read after that, and REP is
                    // interrupted after each row.
                    stuck = if taken == 0 { stuck + 1 } else { 0 };
                    assert!(stuck < 2 + usize::from(u16::MAX), "no progress");
                    left = &left[taken..];
                }
            }
        } else {
            apply(&mut parts, event);
        }
        assert!(whole.weight() <= WEIGHT_MAX, "{} bytes", whole.weight());
        if let Event::Cut = event {
            check_bounds(&whole);
            let answers = whole.answers();
            assert!(answers.len() <= ANSWERS_MAX && answers == parts.answers());
        }
    }
    check_bounds(&whole);
    check_same(&whole, &parts, "in parts");
    assert_eq!(whole.answers(), parts.answers());
}

/// Feeds output to a terminal, and at each cut, lets another one go on from its snapshot. Both show
/// the same then, and in the end.
pub fn snapshot(data: &[u8]) {
    let Some(([cols, rows], mut rest)) = data.split_first_chunk() else { return };
    let (mut whole, mut cut) = (Terminal::new(size_of(*cols, *rows)), Terminal::new(size_of(*cols, *rows)));
    while let Some(event) = next(&mut rest) {
        apply(&mut whole, event);
        apply(&mut cut, event);
        if let Event::Cut = event {
            // One that showed something else before.
            let mut dirty = cut;
            cut = restored(&whole);
            check_same(&whole, &cut, "after the snapshot");
            check_screen_snapshot(&whole, &mut dirty);
        }
    }
    check_same(&whole, &cut, "in the end");
    check_same(&whole, &restored(&whole), "from the last snapshot");
    let recent = whole.snapshot_of_recent(1024);
    let mut fresh = Terminal::new(whole.size());
    fresh.print(&recent);
    let lines = fresh.scrollback_lines();
    assert!(lines <= whole.scrollback_lines());
    assert_eq!((fresh.screen_text(), fresh.cursor()), (whole.screen_text(), whole.cursor()));
    let skipped = whole.scrollback_lines() - lines;
    assert!(whole.scrollback_text().skip(skipped).eq(fresh.scrollback_text()), "other lines");
}

/// A new terminal that was given the snapshot of another.
fn restored(terminal: &Terminal) -> Terminal {
    let bytes = terminal.snapshot();
    assert!(bytes.len() <= SNAPSHOT_MAX, "a snapshot of {} bytes", bytes.len());
    let mut fresh = Terminal::new(terminal.size());
    fresh.print(&bytes);
    assert!(fresh.answers().is_empty(), "the snapshot made the terminal answer");
    fresh
}

/// The snapshot without scrollback leaves nothing of what a terminal showed before but its
/// scrollback.
fn check_screen_snapshot(wanted: &Terminal, there: &mut Terminal) {
    there.print(b"\x1b[5;5H\x1b[41;1mleft\x1b[4h\x1b[?6h\x1b]2;other\x1b\\\x18");
    there.answers();
    let scrollback: Vec<Vec<u8>> = there.state.scrollback.lines().map(|line| line.bytes().to_vec()).collect();
    there.print(&wanted.snapshot_of_screen());
    assert!(there.answers().is_empty(), "the snapshot made the terminal answer");
    assert!(there.state.scrollback.lines().map(super::scrollback::Line::bytes).eq(scrollback));
    check_same_screens(wanted, there, "after the snapshot of the screen");
}

fn check_bounds(terminal: &Terminal) {
    let state = &terminal.state;
    assert!(terminal.scrollback_lines() <= LINES_MAX);
    let title = terminal.title();
    assert!(title.chars().count() <= 256 && !title.contains(char::is_control), "{title:?}");
    let (cols, rows) = (usize::from(terminal.size().cols()), usize::from(terminal.size().rows()));
    assert_eq!((state.cols, state.rows, state.tabs.len()), (cols, rows, cols));
    for screen in [Some(&state.main), state.alternate.as_ref()].into_iter().flatten() {
        check_screen(screen, cols, rows);
        for cursor in [&state.cursor, &screen.saved.cursor] {
            assert!(cursor.row < rows && cursor.col < cols && cursor.active < 4, "{cursor:?}");
            assert!(!cursor.pending_wrap || cursor.col + 1 == cols, "{cursor:?}");
        }
    }
}

/// A wide character has both of its halves, and every row fits.
fn check_screen(screen: &Screen, cols: usize, rows: usize) {
    assert_eq!(screen.rows().count(), rows);
    assert!(screen.top <= screen.bottom && screen.bottom < rows);
    for (number, row) in screen.rows().enumerate() {
        assert!(row.len() <= cols && screen.wrapped(number) <= cols);
        let mut before = Part::Narrow;
        for cell in row {
            assert_eq!(before == Part::Left, cell.part == Part::Right, "half a character in row {number}");
            before = cell.part;
        }
        assert_ne!(before, Part::Left, "half a character at the end of row {number}");
    }
}

/// All of the state that a viewer could ever see is equal.
fn check_same(one: &Terminal, other: &Terminal, about: &str) {
    let lines = |terminal: &Terminal| terminal.state.scrollback.len();
    let same_scrollback = lines(one) == lines(other)
        && one.state.scrollback.lines().zip(other.state.scrollback.lines()).all(|(one, other)| {
            (one.bytes(), one.wrapped(), one.cols()) == (other.bytes(), other.wrapped(), other.cols())
        });
    if !same_scrollback || !is_same_screens(&one.state, &other.state) {
        assert_same(one, other, about);
    }
}

fn check_same_screens(one: &Terminal, other: &Terminal, about: &str) {
    if !is_same_screens(&one.state, &other.state) {
        assert_same(one, other, about);
    }
}

fn is_same_screens(one: &TerminalState, other: &TerminalState) -> bool {
    let alternates = match (&one.alternate, &other.alternate) {
        (None, None) => true,
        (Some(a), Some(b)) => is_same_screen((one, a), (other, b)),
        (None, Some(_)) | (Some(_), None) => false,
    };
    alternates
        && is_same_screen((one, &one.main), (other, &other.main))
        && is_same_cursor((one, &one.cursor), (other, &other.cursor))
        && (one.cursor_shape, &one.modes, &one.tabs) == (other.cursor_shape, &other.modes, &other.tabs)
        && one.keyboard == other.keyboard
        && one.alternate_saved.origin == other.alternate_saved.origin
        && is_same_cursor((one, &one.alternate_saved.cursor), (other, &other.alternate_saved.cursor))
        && (&one.titles, &one.palette, one.repeatable) == (&other.titles, &other.palette, other.repeatable)
}

fn is_same_screen(one: (&TerminalState, &Screen), other: (&TerminalState, &Screen)) -> bool {
    let ((a, one), (b, other)) = (one, other);
    let same_cell = |(here, there): (&Cell, &Cell)| {
        (here.glyph, here.part, here.protected) == (there.glyph, there.part, there.protected)
            && here.style.unlinked() == there.style.unlinked()
            && is_same_text((&a.links, here.style.link), (&b.links, there.style.link))
            && is_same_text((&a.marks, here.marks), (&b.marks, there.marks))
    };
    (0..a.rows).all(|row| {
        let (here, there) = (one.row(row), other.row(row));
        let most = here.len().max(there.len());
        one.wrapped(row) == other.wrapped(row)
            && (0..most).all(|col| same_cell((one.cell(row, col), other.cell(row, col))))
    }) && (one.top, one.bottom, one.saved.origin) == (other.top, other.bottom, other.saved.origin)
        && is_same_cursor((a, &one.saved.cursor), (b, &other.saved.cursor))
}

fn is_same_text(one: (&Interner, u16), other: (&Interner, u16)) -> bool {
    (one.1 == 0 && other.1 == 0) || one.0.text(one.1) == other.0.text(other.1)
}

fn is_same_cursor(one: (&TerminalState, &Cursor), other: (&TerminalState, &Cursor)) -> bool {
    let plain = |cursor: &Cursor| {
        let style = cursor.style.unlinked();
        let place = (cursor.row, cursor.col, cursor.pending_wrap);
        (place, cursor.charsets, cursor.active, cursor.protected, style)
    };
    plain(one.1) == plain(other.1)
        && is_same_text((&one.0.links, one.1.style.link), (&other.0.links, other.1.style.link))
}

/// The same state as text, with links and marks.
pub(super) fn dump_state(terminal: &Terminal) -> Vec<String> {
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
    let saved = &state.alternate_saved;
    lines.push(format!("alternate saved {} {}", cursor(state, &saved.cursor), saved.origin));
    lines.push(format!("cursor {} shape {}", cursor(state, &state.cursor), state.cursor_shape));
    lines.push(format!("{:?} {:?}", state.modes, state.keyboard));
    lines.push(format!("tabs {:?}", state.tabs.iter().map(|stop| u8::from(*stop)).collect::<Vec<_>>()));
    lines.push(format!("{:?} {:?}", state.titles, state.palette));
    lines.push(format!("repeats {:?}", state.repeatable));
    lines
}

fn cursor(state: &TerminalState, cursor: &Cursor) -> String {
    let (style, link) = (cursor.style.unlinked(), state.links.text(cursor.style.link));
    let Cursor { row, col, pending_wrap, charsets, active, protected, .. } = cursor;
    format!("{row} {col} {pending_wrap} {charsets:?} {active} {protected} {link} {style:?}")
}

fn screen(name: &str, state: &TerminalState, screen: &Screen, lines: &mut Vec<String>) {
    for (number, row) in screen.rows().enumerate() {
        if screen.wrapped(number) > 0 {
            lines.push(format!("{name} {number} wrapped {}", screen.wrapped(number)));
        }
        for (col, cell) in row.iter().enumerate().filter(|(_, cell)| **cell != Cell::BLANK) {
            let (marks, link) = (state.marks.text(cell.marks), state.links.text(cell.style.link));
            let style = cell.style.unlinked();
            lines.push(format!(
                "{name} {number} {col} {:?} {:?} {} {marks:?} {link} {style:?}",
                cell.glyph, cell.part, cell.protected
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

/// Panics, with the first difference, if two terminals differ.
pub(super) fn assert_same(one: &Terminal, other: &Terminal, about: &str) {
    let (one, other) = (dump_state(one), dump_state(other));
    if one != other {
        let at = one.iter().zip(&other).position(|(a, b)| a != b).unwrap_or(one.len().min(other.len()));
        panic!("{about}\nline {at}\n  whole: {:?}\n    cut: {:?}", one.get(at), other.get(at));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::mutation::mutated;

    /// A part of what an editor prints.
    fn recording() -> Vec<u8> {
        let lines = include_str!("../../tests/corpus/vim.rec").lines();
        let events = lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let text: String = events.filter_map(|event| Some(event["bytes"].as_str()?.to_owned())).collect();
        let bytes = text.chars().map(|byte| u8::try_from(byte).unwrap());
        bytes.skip(400).take(800).collect()
    }

    /// A part of a flood, or of what interrupts one.
    fn piece() -> impl Strategy<Value = &'static str> {
        let flood = ["word ", "  ", "x".repeat(90).leak(), "\u{e9}t\u{e9}", "\r\n", "\r\n", "\r\r\n"];
        let styles = ["\x1b[1;31m", "\x1b[m", "\x1b[44m", "\x1b[48:2::1:2:3;4:3m", "\x1b[0;7m"];
        let others = [
            "\u{65e5}",
            "e\u{301}",
            "\t",
            "\x1b[K",
            "\n",
            "\r",
            "\x1b[?7l",
            "\x1b[?7h",
            "\x1b[2;3r",
            "\x1b[r",
            "\x1b[4h",
            "\x1b[4l",
            "\x1b(0",
            "\x1b(B",
            "\x1b[1\"q",
            "\x1b[0\"q",
            "\x1b[?1049h",
            "\x1b[?1049l",
            "\x1b]8;;https://example.org\x1b\\",
            "\x1b]8;;\x1b\\",
            "\x1b[>3w",
            "\x1b[99d",
            "\x1b[A",
            "\x7f",
            "\u{85}",
            "\x07",
            "\x1b[5b",
            "\x1b[0?m",
        ];
        prop_oneof![
            40 => prop::sample::select(flood.to_vec()),
            10 => prop::sample::select(styles.to_vec()),
            1 => prop::sample::select(others.to_vec()),
        ]
    }

    proptest! {
        #[test]
        fn a_flood_is_the_same_in_bulk_and_in_parts(
            pieces in prop::collection::vec(piece(), 0..500),
            size in prop::sample::select(vec![[9, 5, 0], [1, 0, 0], [29, 0, 7], [49, 11, 15], [0, 3, 3]]),
        ) {
            super::terminal(&[&size[..], pieces.concat().as_bytes(), &[super::CUT]].concat());
        }

        #[test]
        fn output_that_is_almost_a_programs_keeps_every_bound_and_survives_a_cut(
            output in mutated(recording()),
            at in any::<prop::sample::Index>(),
            event in prop::sample::select(vec![vec![super::CUT], vec![super::RESIZE, 30, 7], vec![super::RESET]]),
            size in prop::sample::select(vec![[79, 23, 3], [8, 2, 0], [0, 63, 1], [255, 5, 2]]),
        ) {
            let (before, behind) = output.split_at(at.index(output.len() + 1));
            let data = [&size[..], before, &event, behind, &[super::CUT]].concat();
            super::terminal(&data);
            super::snapshot(&data);
        }
    }
}
