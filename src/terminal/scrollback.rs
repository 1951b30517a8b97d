//! The scrollback: the rows that left the screen at the top. They are stored as terminal bytes and
//! not as cells, so a plain row of 80 columns takes little more than 80 bytes. The oldest rows are
//! dropped first.

use std::collections::VecDeque;

use unicode_width::UnicodeWidthChar;

use super::cell::{Cell, Part, Style};
use super::interner::Interner;
use super::screen::{of_line, used};
use super::sgr_writer::{Columns, SgrWriter, untrimmed_text};

/// Maximum number of rows.
pub(super) const LINES_MAX: usize = 10_000;

/// Maximum size of all rows in bytes, including [`LINE_OVERHEAD`] for each.
pub(super) const BYTES_MAX: usize = 2 * 1024 * 1024;

/// Memory that a row takes in addition to its bytes: its entry, and the overhead of the allocator.
pub(super) const LINE_OVERHEAD: usize = 48;

/// Maximum size of a row with its colours and links, in bytes; a longer one is stored as plain
/// text.
pub(super) const LINE_MAX: usize = 64 * 1024;

/// The rows, oldest first.
#[derive(Debug, Default)]
pub(super) struct Scrollback {
    lines: VecDeque<Line>,
    bytes: usize,
    /// Buffer in which a row is encoded before it is copied to an allocation of its exact size.
    draft: Vec<u8>,
}

/// The text of an encoded row, without styles and links, the only sequences that [`SgrWriter`]
/// writes into it.
pub(super) fn plain(line: &[u8]) -> String {
    let mut text = Vec::new();
    plain_parts(line).for_each(|part| text.extend_from_slice(part));
    String::from_utf8_lossy(&text).into_owned()
}

/// The same in parts, some of them empty. Sequences are between characters, never inside one.
fn plain_parts(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut parts = line.split(|byte| *byte == 0x1b);
    let first = parts.next().unwrap_or_default();
    let others = parts.map(|part| {
        // The address of a link contains no control characters, and ends with ESC and a backslash.
        let behind = match part.first() {
            Some(b'[') => part.iter().position(|byte| *byte == b'm').map(|at| at + 1),
            Some(b'\\') => Some(1),
            _ => None,
        };
        behind.and_then(|at| part.get(at..)).unwrap_or_default()
    });
    std::iter::once(first).chain(others)
}

/// A row that left the screen.
#[derive(Debug)]
pub(super) struct Line {
    /// Width in cells.
    cols: u16,
    /// Whether the next row continues the same line.
    wrapped: bool,
    bytes: Box<[u8]>,
}

impl Line {
    /// Width in cells.
    pub(super) fn cols(&self) -> usize {
        self.cols.into()
    }

    /// The number of cells after which the next row continues the same line; 0 if the line ends.
    pub(super) fn wrapped(&self) -> usize {
        if self.wrapped { self.cols() } else { 0 }
    }

    /// The first cell, without its style. This runs for every wrapped row of a snapshot, so the
    /// rest of the row is not read.
    pub(super) fn first_cell(&self) -> Cell {
        let text = plain_parts(&self.bytes).find(|part| !part.is_empty()).unwrap_or_default();
        let characters = text.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let Some(glyph) = characters.chars().next() else { return Cell::BLANK };
        let part = if glyph.width() == Some(2) { Part::Left } else { Part::Narrow };
        Cell { glyph, part, ..Cell::BLANK }
    }

    /// The encoded row, which begins and ends in the plain style.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Scrollback {
    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The rows, oldest first.
    pub(super) fn lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter()
    }

    /// The number of most recent rows that together take no more than `bytes` bytes, including
    /// [`LINE_OVERHEAD`] for each.
    pub(super) fn last_lines(&self, bytes: usize) -> usize {
        let mut left = bytes;
        let fits = |line: &&Line| {
            let rest = left.checked_sub(line.bytes.len() + LINE_OVERHEAD);
            left = rest.unwrap_or_default();
            rest.is_some()
        };
        self.lines.iter().rev().take_while(fits).count()
    }

    /// Size of all rows in bytes, including [`LINE_OVERHEAD`] for each.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether rewrapping to a width of `cols` could change the rows.
    pub(super) fn is_other_at_width(&self, cols: usize) -> bool {
        self.lines.iter().any(|line| line.wrapped || line.cols() > cols)
    }

    /// Adds a row of the screen. `wrapped` is the number of cells after which its line continues in
    /// the next row, or 0.
    pub(super) fn push(&mut self, cells: &[Cell], wrapped: usize, links: &Interner, marks: &Interner) {
        let mut cells = of_line(cells, wrapped);
        let wrapped = wrapped > 0;
        // What is protected is not known here.
        while let Some((last, before)) = cells.split_last().filter(|(last, _)| !wrapped && last.protected)
            && (Cell { protected: false, ..*last }) == Cell::BLANK
        {
            cells = used(before);
        }
        let mut writer = SgrWriter::onto(std::mem::take(&mut self.draft), links, marks);
        writer.row(cells, Columns::Running);
        writer.style(Style::PLAIN);
        let mut bytes = writer.out;
        let cols = u16::try_from(cells.len()).unwrap_or(u16::MAX);
        if bytes.len() > LINE_MAX {
            self.add(Line { cols, wrapped, bytes: untrimmed_text(cells, marks).into_bytes().into() });
        } else {
            self.add(Line { cols, wrapped, bytes: bytes.as_slice().into() });
        }
        bytes.clear();
        bytes.shrink_to(LINE_MAX);
        self.draft = bytes;
    }

    /// Adds a row that is encoded as [`SgrWriter`] does it, beginning and ending in the plain style,
    /// at most [`LINE_MAX`] bytes. `wrapped` is whether the next row continues its line.
    pub(super) fn push_encoded(&mut self, cols: usize, wrapped: bool, bytes: &[u8]) {
        self.add(Line { cols: u16::try_from(cols).unwrap_or(u16::MAX), wrapped, bytes: bytes.into() });
    }

    /// Ends the line of the newest row, so that it does not continue on the screen. Blanks at the
    /// end of a line are not kept.
    pub(super) fn end_line(&mut self) {
        let Some(line) = self.lines.back_mut().filter(|line| line.wrapped) else { return };
        // A row ends in the plain style, so what are spaces here are blank cells.
        let blanks = line.bytes.iter().rev().take_while(|byte| **byte == b' ').count();
        let length = line.bytes.len().saturating_sub(blanks);
        line.bytes = line.bytes.get(..length).unwrap_or_default().into();
        line.cols = line.cols.saturating_sub(u16::try_from(blanks).unwrap_or(u16::MAX));
        line.wrapped = false;
        self.bytes = self.bytes.saturating_sub(blanks);
    }

    /// Takes all rows out, oldest first.
    pub(super) fn into_lines(self) -> impl Iterator<Item = Line> {
        self.lines.into_iter()
    }

    /// Removes all rows.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Approximate memory use in bytes.
    pub(super) fn weight(&self) -> usize {
        self.bytes + self.draft.capacity()
    }

    /// Adds a row, and drops the oldest rows until the limits are met.
    pub(super) fn add(&mut self, line: Line) {
        self.bytes += line.bytes.len() + LINE_OVERHEAD;
        self.lines.push_back(line);
        while self.lines.len() > LINES_MAX || self.bytes > BYTES_MAX {
            let Some(line) = self.lines.pop_front() else { break };
            self.bytes -= line.bytes.len() + LINE_OVERHEAD;
        }
    }
}
