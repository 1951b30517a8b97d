//! Snapshots: terminal bytes that bring a fresh terminal of the same size to the same state. Rows
//! are positioned absolutely. A snapshot contains nothing that rings the bell, makes the terminal
//! answer or copies to the clipboard.
//!
//! The order matters. The scrollback scrolls through the screen before anything is painted. Saved
//! cursors are written before the scrolling region and the modes that would change the meaning of
//! their positions. Everything that moves the cursor precedes the cursor. A pending wrap and the
//! character that REP can repeat come last, because they are restored by writing a character again
//! at its own position.

use super::cell::{Cell, Part};
use super::colors::{self, FOREGROUND};
use super::keyboard::Shown;
use super::modes::{INSERT, KEYPAD, Modes, ORIGIN};
use super::screen::{Charset, Cursor, Saved, Screen, used};
use super::sgr_writer::{Columns, SgrWriter};
use super::state::{TerminalState, first_tabs};
use super::title::STACK_MAX as TITLES_MAX;

/// RIS: returns to the power-on state.
const POWER_ON: &[u8] = b"\x1bc";

/// Has the effect of power-on on everything but the scrollback, modes, tab stops, titles and
/// colours: cancels an incomplete sequence, leaves the alternate screen, blanks both screens and
/// resets their saved cursors. [`TerminalState::snapshot_of_screen`] writes modes, tab stops,
/// titles and colours itself.
const BEGIN_AGAIN: &[u8] =
    b"\x18\x1b[?1047h\x1b[!p\x1b]8;;\x1b\\\x1b(B\x1b)B\x1b*B\x1b+B\x0f\x1b[m\x1b[?6l\x1b[4l\x1b[r\
    \x1b[H\x1b[2J\x1b7\x1b[?1047l\x1b[m\x1b[?6l\x1b[r\x1b[H\x1b[2J\x1b7\x1b[0 q";

/// Resets the colours, which some terminals keep at power-on.
const FIRST_COLORS: &[u8] = b"\x1b]104\x1b\\\x1b]110\x1b\\\x1b]111\x1b\\\x1b]112\x1b\\";

/// ECH: blanks the cell at the cursor, and nothing else.
const ERASE_ONE: &str = "\x1b[X";

/// The ideographic space, a blank of two cells: in the last column it does not fit and wraps.
const WIDE_FILLER: &str = "\u{3000}";

impl TerminalState {
    /// The snapshot, with at most `scrollback` bytes of scrollback.
    pub(super) fn snapshot(&self, scrollback: usize) -> Vec<u8> {
        let mut writer = SgrWriter::new(&self.links, &self.marks).with_protection();
        writer.out.extend_from_slice(POWER_ON);
        writer.out.extend_from_slice(FIRST_COLORS);
        writer.out.extend(b"\x1b[23;0t".repeat(TITLES_MAX));
        self.write_scrollback(&mut writer, scrollback);
        self.write_rest(writer)
    }

    /// The snapshot without scrollback, for a terminal that keeps its own.
    pub(super) fn snapshot_of_screen(&self) -> Vec<u8> {
        let mut writer = SgrWriter::new(&self.links, &self.marks).with_protection();
        writer.out.extend_from_slice(BEGIN_AGAIN);
        writer.out.extend_from_slice(FIRST_COLORS);
        writer.out.extend(b"\x1b[23;0t".repeat(TITLES_MAX));
        for ((private, mode), on) in Modes::first() {
            write_mode(&mut writer, (private, mode), on);
        }
        self.write_tabs(&mut writer);
        self.write_rest(writer)
    }

    fn write_rest(&self, mut writer: SgrWriter<'_>) -> Vec<u8> {
        write_screen(&mut writer, &self.main);
        self.keyboard.write_flags(Shown::Main, &mut writer.out);
        if let Some(screen) = &self.alternate {
            writer.out.extend_from_slice(b"\x1b[?1047h");
            write_screen(&mut writer, screen);
            self.keyboard.write_flags(Shown::Alternate, &mut writer.out);
        } else if self.alternate_saved != Saved::default() || self.keyboard.has_flags(Shown::Alternate) {
            writer.out.extend_from_slice(b"\x1b[?1047h");
            write_saved(&mut writer, &Screen::new(self.cols, self.rows), &self.alternate_saved);
            self.keyboard.write_flags(Shown::Alternate, &mut writer.out);
            writer.out.extend_from_slice(b"\x1b[?1047l");
        }
        self.write_settings(&mut writer);
        self.write_cursor(&mut writer);
        writer.out
    }

    /// Writes the most recent lines of the scrollback that fit into `most` bytes, scrolls them off
    /// the screen, and leaves the screen blank.
    fn write_scrollback(&self, writer: &mut SgrWriter<'_>, most: usize) {
        let count = self.scrollback.last_lines(most);
        let mut lines = self.scrollback.lines().skip(self.scrollback.len() - count).peekable();
        while let Some(line) = lines.next() {
            writer.out.extend_from_slice(line.bytes());
            if line.wrapped() == 0 {
                writer.out.extend_from_slice(b"\r\n");
                continue;
            }
            let next = lines.peek().map_or(*self.main.cell(0, 0), |line| line.first_cell());
            if let Some(filler) = filler(line.wrapped(), self.cols, next.part) {
                write(writer, filler);
                write(writer, "\r");
                if next == Cell::BLANK {
                    write(writer, ERASE_ONE);
                }
            } else {
                write_wrapped(writer, line.wrapped());
                write(writer, "\r\n");
            }
        }
        let left = count.min(self.rows.saturating_sub(1));
        if left > 0 {
            writer.go(self.rows - 1, 0);
            writer.out.extend(std::iter::repeat_n(b'\n', left));
        }
    }

    fn write_tabs(&self, writer: &mut SgrWriter<'_>) {
        writer.out.extend_from_slice(b"\x1b[3g");
        for (col, _) in self.tabs.iter().enumerate().filter(|(_, stops)| **stops) {
            writer.go(0, col);
            writer.out.extend_from_slice(b"\x1bH");
        }
    }

    /// Writes tab stops, modes, the cursor style, colours and titles.
    fn write_settings(&self, writer: &mut SgrWriter<'_>) {
        if self.tabs != first_tabs(self.cols) {
            self.write_tabs(writer);
        }
        for ((private, mode), on) in self.modes.changed() {
            match (private, mode) {
                ORIGIN => {}
                KEYPAD => writer.out.extend_from_slice(b"\x1b="),
                _ => write_mode(writer, (private, mode), on),
            }
        }
        self.keyboard.write_other_keys(&mut writer.out);
        if self.cursor_shape != 0 {
            write(writer, &format!("\x1b[{} q", self.cursor_shape));
        }
        for (place, color) in self.palette.changed() {
            let color = colors::written(color);
            if place < FOREGROUND {
                write(writer, &format!("\x1b]4;{place};{color}\x1b\\"));
            } else {
                write(writer, &format!("\x1b]{};{color}\x1b\\", 10 + place - FOREGROUND));
            }
        }
        for title in self.titles.below() {
            write(writer, &format!("\x1b]2;{title}\x1b\\\x1b[22;0t"));
        }
        write(writer, &format!("\x1b]2;{}\x1b\\", self.titles.current()));
    }

    /// Writes the cursor with its pending wrap, and restores the character to which REP or a
    /// combining mark would apply.
    fn write_cursor(&self, writer: &mut SgrWriter<'_>) {
        let origin = self.modes.is_on(ORIGIN);
        if origin {
            write_mode(writer, ORIGIN, true);
        }
        let cursor = &self.cursor;
        let row = if origin { cursor.row.saturating_sub(self.screen().top) } else { cursor.row };
        if let Some(Last { col, width, cell, written }) = self.last_written() {
            let wrapped = self.screen().wrapped(cursor.row);
            if let Written::Character(_) = written {
                write_look(writer, cursor);
            }
            writer.go(row, col);
            if self.modes.is_on(INSERT) && !cursor.pending_wrap {
                write(writer, &format!("\x1b[{width}P"));
                write_wrapped(writer, wrapped.saturating_sub(width));
            }
            match written {
                Written::Character(character) => write(writer, &character.to_string()),
                // Everything but the marks may come between a character and its marks.
                Written::Marks => {
                    writer.cell(&Cell { marks: 0, ..cell });
                    write_wrapped(writer, wrapped);
                    write_look(writer, cursor);
                    write(writer, self.marks.text(cell.marks));
                }
            }
            return;
        }
        write_place(writer, self.screen(), cursor, row);
        if cursor.pending_wrap {
            write_wrapped(writer, self.screen().wrapped(cursor.row));
        }
        write_look(writer, cursor);
    }

    /// The character that REP would repeat, with its marks if a mark was received last. None if
    /// there is no such character, or if writing it again would change the screen.
    fn last_written(&self) -> Option<Last> {
        let (screen, row) = (self.screen(), self.cursor.row);
        let behind = if self.cursor.pending_wrap { self.cols } else { self.cursor.col };
        let col = left_of(screen, row, behind)?;
        let cell = *screen.cell(row, col);
        // The cursor may be in the middle of a wide character.
        if (cell.part == Part::Left) != (behind - col == 2) {
            return None;
        }
        let written = match self.repeatable {
            Some(character) if self.would_write_again(&cell, character, col, behind) => {
                Written::Character(character)
            }
            None if self.marked => Written::Marks,
            Some(_) | None => return None,
        };
        Some(Last { col, width: behind - col, cell, written })
    }

    /// Whether the character, written again at the column, leaves the screen as it is.
    fn would_write_again(&self, cell: &Cell, character: char, col: usize, behind: usize) -> bool {
        let is_alike = (cell.style, cell.protected) == (self.cursor.style, self.cursor.protected)
            && (cell.marks, cell.glyph) == (0, self.charset().map(character));
        // Written again past the end of its line in this row, the character would become part of
        // the line. If it is all of the line in this row, it cannot be inserted again: the number
        // of cells of the line would have to be 0 before, which `write_wrapped` cannot express.
        let wrapped = self.screen().wrapped(self.cursor.row);
        let is_alone = self.modes.is_on(INSERT) && !self.cursor.pending_wrap && wrapped == behind && col == 0;
        is_alike && !(1..behind).contains(&wrapped) && !is_alone
    }
}

/// The character before the cursor, which is restored by writing it again.
struct Last {
    col: usize,
    width: usize,
    cell: Cell,
    written: Written,
}

/// What was received last.
enum Written {
    /// The character itself.
    Character(char),
    /// A mark of it. The look of the cursor may have changed since the character.
    Marks,
}

/// Paints a screen, blank before, with its saved cursor and its scrolling region.
fn write_screen(writer: &mut SgrWriter<'_>, screen: &Screen) {
    for (number, row) in screen.rows().enumerate() {
        let above = number.checked_sub(1).filter(|above| screen.wrapped(*above) > 0);
        if let Some(above) = above {
            wrap(writer, screen, above);
        } else if used(row).is_empty() {
            continue;
        } else {
            writer.go(number, 0);
        }
        writer.row(row, Columns::Absolute);
    }
    writer.plain();
    write_saved(writer, screen, &screen.saved);
    // After everything that writes to these rows, because a later write could extend a line.
    for number in 0..screen.rows().count() {
        if screen.wrapped(number) > 0 {
            writer.go(number, 0);
            write_wrapped(writer, screen.wrapped(number));
        }
    }
    if (screen.top, screen.bottom + 1) != (0, screen.rows().count()) {
        write(writer, &format!("\x1b[{};{}r", screen.top + 1, screen.bottom + 1));
    }
}

/// Saves a cursor on a screen.
fn write_saved(writer: &mut SgrWriter<'_>, screen: &Screen, saved: &Saved) {
    let Saved { cursor, origin } = saved;
    if *saved == Saved::default() {
        return;
    }
    if *origin {
        write_mode(writer, ORIGIN, true);
    }
    write_place(writer, screen, cursor, cursor.row);
    write_look(writer, cursor);
    writer.out.extend_from_slice(b"\x1b7");
    writer.plain();
    writer.out.extend_from_slice(b"\x1b(B\x1b)B\x1b*B\x1b+B\x0f");
    if *origin {
        write_mode(writer, ORIGIN, false);
    }
}

/// Wraps from a row, which is painted, to the next, which is blank, and leaves the cursor in its
/// first column. A terminal marks a row as wrapped only when it wraps by itself, at a character
/// that does not fit.
fn wrap(writer: &mut SgrWriter<'_>, screen: &Screen, row: usize) {
    let (last_col, next) = (screen.last_col(), *screen.cell(row + 1, 0));
    let last = *screen.cell(row, last_col);
    let filler = filler(screen.wrapped(row), last_col + 1, next.part);
    let blank_at_end = Cell { protected: next.protected, ..Cell::narrow(' ', next.style) };
    if let Some(WIDE_FILLER) = filler.filter(|_| last == blank_at_end) {
        writer.style(next.style);
        writer.protect(next.protected);
        writer.go(row, last_col);
        write(writer, WIDE_FILLER);
        write(writer, "\r");
        return;
    }
    if last == Cell::BLANK {
        writer.go(row, last_col);
        writer.plain();
        write(writer, "  ");
        // Copied text would contain the space.
        writer.go(row, last_col);
        write(writer, ERASE_ONE);
        writer.go(row + 1, 0);
    } else {
        // The row was painted up to the last column, so the next character wraps.
        writer.plain();
        write(writer, " \r");
    }
    if next == Cell::BLANK {
        write(writer, ERASE_ONE);
    }
}

/// The blank that makes a terminal wrap by itself after `wrapped` cells of a row, because it does
/// not fit. None if a terminal does not wrap there by itself.
fn filler(wrapped: usize, cols: usize, next: Part) -> Option<&'static str> {
    if wrapped == 0 {
        None
    } else if wrapped == cols {
        Some(" ")
    } else if wrapped + 1 == cols && next == Part::Left {
        Some(WIDE_FILLER)
    } else {
        None
    }
}

/// Marks the next row as the continuation of the line in the row of the cursor, of which the first
/// `cells` cells belong to the line. This private sequence covers the places where no terminal
/// wraps by itself: after a resize, or where cells were inserted. Other terminals ignore it.
fn write_wrapped(writer: &mut SgrWriter<'_>, cells: usize) {
    if cells > 0 {
        write(writer, &format!("\x1b[>{cells}w"));
    }
}

/// Moves to the position of a cursor. A pending wrap is restored by writing the last character of
/// the row again.
fn write_place(writer: &mut SgrWriter<'_>, screen: &Screen, cursor: &Cursor, row: usize) {
    let last = left_of(screen, cursor.row, screen.last_col() + 1).filter(|_| cursor.pending_wrap);
    writer.go(row, last.unwrap_or(cursor.col));
    if let Some(col) = last {
        writer.cell(screen.cell(cursor.row, col));
    }
}

/// The first column of the character that ends just before `col`.
fn left_of(screen: &Screen, row: usize, col: usize) -> Option<usize> {
    let left = col.checked_sub(1)?;
    let half = screen.cell(row, left).part == Part::Right;
    if half { left.checked_sub(1) } else { Some(left) }
}

/// Writes what a cursor has besides its position.
fn write_look(writer: &mut SgrWriter<'_>, cursor: &Cursor) {
    writer.style(cursor.style);
    writer.protect(cursor.protected);
    write_charsets(writer, cursor);
}

fn write_charsets(writer: &mut SgrWriter<'_>, cursor: &Cursor) {
    for (designator, charset) in "()*+".chars().zip(cursor.charsets) {
        match charset {
            Charset::Ascii => {}
            Charset::Drawing => write(writer, &format!("\x1b{designator}0")),
            Charset::British => write(writer, &format!("\x1b{designator}A")),
        }
    }
    match cursor.active {
        1 => write(writer, "\x0e"),
        2 => write(writer, "\x1bn"),
        3 => write(writer, "\x1bo"),
        // Written even if G0 is already in use: REP does not repeat a character from before it.
        _ => write(writer, "\x0f"),
    }
}

fn write_mode(writer: &mut SgrWriter<'_>, (private, mode): (bool, u16), on: bool) {
    let marker = if private { "?" } else { "" };
    write(writer, &format!("\x1b[{marker}{mode}{}", if on { 'h' } else { 'l' }));
}

fn write(writer: &mut SgrWriter<'_>, text: &str) {
    writer.out.extend_from_slice(text.as_bytes());
}
