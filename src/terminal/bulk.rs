//! Output that is longer than the screen. Its first rows have left the screen by the time anybody
//! can look at it, so they are written to the scrollback without ever becoming cells.
//!
//! That is done for what most of a flood consists of: characters of one cell, SGR, and line ends at
//! the bottom of the main screen. Anything else ends such a part of the output, and is printed. The
//! result is exactly that of printing all of it; the fuzz target `terminal` compares the two.

use unicode_width::UnicodeWidthChar as _;

use super::Terminal;
use super::cell::{CellColor, Style};
use super::parser::{ESC, before_control, whole_sequence};
use super::screen::Cursor;
use super::scrollback::LINE_MAX;
use super::sequence::Csi;
use super::sgr_writer::SgrWriter;
use super::state::{BYTE_ORDER_MARK, TerminalState};

/// Maximum size of one part of the output in bytes, of its encoded rows in bytes (by which it may
/// be exceeded once), and maximum number of its rows. The part ends there, and the next may begin.
const PART_MAX: usize = 128 * 1024;
const ENCODED_MAX: usize = 256 * 1024;
const ROWS_MAX: usize = 4096;

/// Consumed bytes that count as one touched cell.
const BYTES_PER_CELL: usize = 16;

/// Memory that one part needs. It is kept for the next one until [`Terminal::shrink`].
#[derive(Debug, Default)]
pub(super) struct Buffers {
    rows: Vec<EncodedRow>,
    /// The bytes of all rows, each as in the scrollback.
    encoded: Vec<u8>,
}

/// The beginning of the output that consists of rows.
#[derive(Debug)]
struct Part {
    buffers: Buffers,
    /// Number of bytes of output.
    length: usize,
    /// Whether the first row continues the line of the row above it.
    continues: bool,
}

/// A row that is not on the screen.
#[derive(Debug)]
struct EncodedRow {
    /// Offset of its first character in the output.
    begin: usize,
    /// The style in which it begins.
    style: Style,
    /// The background that it was filled with when it appeared on the screen.
    background: CellColor,
    /// The end of its bytes in [`Buffers::encoded`], once it is complete.
    end: usize,
    /// Width in cells.
    cols: usize,
    /// Whether its line continues in the next row.
    wrapped: bool,
}

impl Terminal {
    /// Whether output from here on may be printed by [`Self::print_bulk`].
    pub(super) fn is_at_bulk(&self, output: &[u8]) -> bool {
        // A part that does not fill half of the cells is printed in less time than it is looked at.
        output.len() > self.state.cols * self.state.rows / 2
            && self.parser.is_in_ground_state()
            && self.state.is_at_bulk()
    }

    /// Prints the beginning of `output` if more rows of it leave the screen than stay. Returns how
    /// many bytes were examined, and how many of them were printed, which are all or none.
    pub(super) fn print_bulk(&mut self, output: &[u8]) -> (usize, usize) {
        let output = output.get(..PART_MAX).unwrap_or(output);
        let buffers = std::mem::take(&mut self.bulk);
        let part = self.state.part(output, buffers);
        // The rows that stay are printed on the empty screen and fill it.
        let leaving = part.buffers.rows.len().saturating_sub(self.state.rows);
        let mut printed = 0;
        if let Some(stays) = part.buffers.rows.get(leaving).filter(|_| leaving > 0) {
            let mut rest = output.get(stays.begin..part.length).unwrap_or_default();
            self.state.scroll_past(&part, leaving);
            // Not interrupted: until it is done, the screen is none that ever was.
            while let Some(token) = self.parser.next(&mut rest) {
                self.state.act(&token);
            }
            printed = part.length;
        }
        self.state.touched += part.length / BYTES_PER_CELL;
        self.bulk = part.buffers;
        (part.length, printed)
    }

    /// Frees the memory that only a flood needs.
    pub fn shrink(&mut self) {
        self.bulk = Buffers::default();
    }
}

impl Buffers {
    /// Memory use in bytes.
    pub(super) fn weight(&self) -> usize {
        self.rows.capacity() * size_of::<EncodedRow>() + self.encoded.capacity()
    }
}

impl TerminalState {
    /// Whether the next character begins a row at the bottom of the main screen, or a line end
    /// does, and the rows above move to the scrollback.
    fn is_at_bulk(&self) -> bool {
        let Cursor { row, col, pending_wrap, protected, .. } = self.cursor;
        let is_blank = || self.main.row(row).is_empty() && self.main.wrapped(row) == 0;
        row + 1 == self.rows
            && (pending_wrap || (col == 0 && is_blank()))
            && self.alternate.is_none()
            && (self.main.top, self.main.bottom) == (0, row)
            && self.wraps()
            && self.writes_plainly()
            && !protected
            && self.cursor.style.link == 0
    }

    /// The rows with which `output` begins.
    fn part(&self, output: &[u8], buffers: Buffers) -> Part {
        let (mut length, mut style, mut csi) = (0, self.cursor.style, Csi::default());
        let mut rows = Rows::new(self, buffers);
        if !self.cursor.pending_wrap {
            rows.begin(0, style, CellColor::DEFAULT);
        }
        while let Some((&first, behind)) = output.get(length..).and_then(<[u8]>::split_first)
            && rows.writer.out.len() < ENCODED_MAX
            && rows.rows.len() < ROWS_MAX
        {
            let rest = output.get(length..).unwrap_or_default();
            match first {
                b'\r' => {
                    let returns = 1 + behind.iter().take_while(|byte| **byte == b'\r').count();
                    if rest.get(returns) != Some(&b'\n') || !rows.end(false) {
                        break;
                    }
                    length += returns + 1;
                    rows.begin(length, style, style.background);
                }
                ESC => {
                    let Some((sequence, _)) = whole_sequence(rest) else { break };
                    let is_sgr =
                        csi.read(sequence) && (csi.marker, csi.intermediate, csi.last) == (0, 0, b'm');
                    if !is_sgr {
                        break;
                    }
                    style.select(csi.parameters());
                    length += 2 + sequence.len();
                }
                _ => {
                    let run = rest.get(..before_control(rest)).filter(|run| !run.is_empty());
                    let Some(run) = run else { break };
                    let written = rows.write(length, of_one_cell(run), style);
                    length += written;
                    if written < run.len() {
                        break;
                    }
                }
            }
        }
        rows.into_part(length)
    }

    /// Moves all rows of the screen to the scrollback, and this many rows of the part. The cursor
    /// is then where the first row that stays begins, on an otherwise empty screen.
    fn scroll_past(&mut self, part: &Part, leaving: usize) {
        let old = self.rows - usize::from(!self.cursor.pending_wrap);
        if part.continues {
            self.main.set_wrapped(self.rows - 1, self.cols);
        }
        for row in 0..old {
            self.scrollback.push(self.main.row(row), self.main.wrapped(row), &self.links, &self.marks);
        }
        let Buffers { rows, encoded } = &part.buffers;
        let mut begin = 0;
        for row in rows.iter().take(leaving) {
            let bytes = encoded.get(begin..row.end).unwrap_or_default();
            self.scrollback.push_encoded(row.cols, row.wrapped, bytes);
            begin = row.end;
        }
        for (row, stays) in rows.iter().skip(leaving).take(self.rows).enumerate() {
            self.main.fill_rows(row, row + 1, filled(stays.background).erased());
        }
        let style = rows.get(leaving).map_or(Style::PLAIN, |stays| stays.style);
        self.cursor = Cursor { row: 0, col: 0, pending_wrap: false, style, ..self.cursor.clone() };
        (self.repeatable, self.marked) = (None, false);
    }
}

/// The rows of a [`Part`] while they are encoded.
struct Rows<'a> {
    rows: Vec<EncodedRow>,
    writer: SgrWriter<'a>,
    /// The column of the next character. `cols` is behind the last one.
    col: usize,
    cols: usize,
    continues: bool,
}

impl<'a> Rows<'a> {
    fn new(state: &'a TerminalState, Buffers { mut rows, mut encoded }: Buffers) -> Self {
        rows.clear();
        encoded.clear();
        let writer = SgrWriter::onto(encoded, &state.links, &state.marks);
        Self { rows, writer, col: state.cols, cols: state.cols, continues: false }
    }

    fn begin(&mut self, begin: usize, style: Style, background: CellColor) {
        self.rows.push(EncodedRow { begin, style, background, end: 0, cols: 0, wrapped: false });
        self.col = 0;
    }

    /// Writes characters of one cell each, which begin at this offset of the output. Returns how
    /// many bytes were written: fewer than all if a row is too long for the scrollback.
    fn write(&mut self, begin: usize, text: &str, style: Style) -> usize {
        let mut rest = text;
        while !rest.is_empty() {
            if self.col == self.cols {
                if !self.end(true) {
                    break;
                }
                self.begin(begin + text.len() - rest.len(), style, style.background);
            }
            let room = self.cols - self.col;
            let (now, cells) = if rest.is_ascii() {
                (rest.len().min(room), rest.len().min(room))
            } else {
                let now = rest.char_indices().nth(room).map_or(rest.len(), |(at, _)| at);
                (now, rest.chars().take(room).count())
            };
            let (now, behind) = rest.split_at_checked(now).unwrap_or((rest, ""));
            self.writer.style(style);
            self.writer.out.extend_from_slice(now.as_bytes());
            self.col += cells;
            rest = behind;
        }
        text.len() - rest.len()
    }

    /// Completes the last row; false if it is too long for the scrollback. Without any, the row is
    /// one of the screen.
    fn end(&mut self, wrapped: bool) -> bool {
        let begin = self.rows.iter().rev().nth(1).map_or(0, |before| before.end);
        let Some(row) = self.rows.last_mut() else {
            self.continues = wrapped;
            return true;
        };
        let out = &mut self.writer;
        if !wrapped && row.background != CellColor::DEFAULT && self.col < self.cols {
            out.style(filled(row.background));
            out.out.resize(out.out.len() + self.cols - self.col, b' ');
            self.col = self.cols;
        }
        if !wrapped && out.is_plain() {
            let cells = out.out.get(begin..).unwrap_or_default();
            let blanks = cells.iter().rev().take_while(|byte| **byte == b' ').count();
            out.out.truncate(out.out.len() - blanks);
            self.col -= blanks;
        }
        out.style(Style::PLAIN);
        (row.end, row.cols, row.wrapped) = (out.out.len(), self.col, wrapped);
        out.out.len() - begin <= LINE_MAX
    }

    fn into_part(self, length: usize) -> Part {
        let buffers = Buffers { rows: self.rows, encoded: self.writer.out };
        Part { buffers, length, continues: self.continues }
    }
}

/// The style of a blank of this background.
fn filled(background: CellColor) -> Style {
    Style { background, ..Style::PLAIN }
}

/// The beginning of `run`, which has no C0 control, up to the first character that does not take
/// one cell.
fn of_one_cell(run: &[u8]) -> &str {
    let text = run.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    if text.is_ascii() {
        return text;
    }
    let other = |character: &char| character.width() != Some(1) || *character == BYTE_ORDER_MARK;
    let end = text.char_indices().find(|(_, character)| other(character)).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::TermSize;
    use crate::terminal::fuzz::assert_same;

    fn at_bottom(cols: u16, rows: u16) -> Terminal {
        let mut terminal = Terminal::new(TermSize::new(cols, rows).unwrap());
        terminal.print(b"before\r\n".repeat(usize::from(rows)).as_slice());
        terminal
    }

    #[test]
    fn a_flood_is_printed_in_bulk() {
        for line in
            ["plain text  \r\n", "\x1b[1;31mred\x1b[44m on \x1b[mblue\u{e9}\r\n", "long\x1b[7m.\x1b[m"]
        {
            let flood = line.repeat(1000);
            let (mut bulk, mut one_by_one) = (at_bottom(40, 10), at_bottom(40, 10));
            assert_eq!(bulk.print_bulk(flood.as_bytes()), (flood.len(), flood.len()), "{line:?}");
            flood.bytes().for_each(|byte| one_by_one.print(&[byte]));
            assert_same(&bulk, &one_by_one, line);
        }
    }

    #[test]
    fn what_fits_on_the_screen_or_does_more_than_scroll_is_not() {
        let mut terminal = at_bottom(40, 10);
        assert_eq!(terminal.print_bulk(b"line\r\n".repeat(9).as_slice()).1, 0);
        assert!(!terminal.is_at_bulk(b"\r\n".repeat(10).as_slice()), "too short");
        let long = b"line\r\n".repeat(100);
        assert!(terminal.is_at_bulk(&long));
        for before in [
            "text",
            "\x1b[1;5r\x1b[99d",
            "\x1b[4h",
            "\x1b[?7l",
            "\x1b(0",
            "\x1b[1\"q",
            "\x1b[?1049h",
            "\x1b[",
        ] {
            let mut terminal = at_bottom(40, 10);
            terminal.print(before.as_bytes());
            assert!(!terminal.is_at_bulk(&long), "{before:?}");
        }
    }

    #[test]
    fn a_row_that_is_too_long_for_the_scrollback_is_printed() {
        // Whatever takes an attribute away is encoded as a whole style.
        let style = "\x1b[0;1;3;4:3;5;7;8;9;53;38;2;101;102;103;48;2;104;105;106;58:2::107:108:109m";
        let cells = "\x1b[22;2mx\x1b[22;1my".repeat(500);
        let flood = format!("{style}{cells}\r\n").repeat(6);
        let (mut bulk, mut one_by_one) = (at_bottom(1000, 2), at_bottom(1000, 2));
        let (examined, printed) = bulk.print_bulk(flood.as_bytes());
        assert!(examined < flood.len() / 6 && printed == 0, "{examined}");
        bulk.print(flood.as_bytes());
        flood.bytes().for_each(|byte| one_by_one.print(&[byte]));
        assert_same(&bulk, &one_by_one, "long rows");
    }
}
