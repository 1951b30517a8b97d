//! The lines that left the screen at its top, as terminal bytes, not as cells: a plain line of 80
//! columns takes its 80 bytes and little more. The oldest go first.

use std::collections::VecDeque;

use unicode_width::UnicodeWidthChar;

use super::cell::{Cell, Part, Style};
use super::interner::Interner;
use super::screen::of_line;
use super::sgr_writer::{Columns, SgrWriter, untrimmed_text};

/// Most lines.
pub(super) const LINES_MAX: usize = 10_000;

/// Most bytes in all, with [`LINE_OVERHEAD`] for each line.
pub(super) const BYTES_MAX: usize = 2 * 1024 * 1024;

/// What a line takes beside its bytes: its place, and what the allocator adds.
pub(super) const LINE_OVERHEAD: usize = 48;

/// Longest line with its colours and links; one that would be longer is kept as plain text.
const LINE_MAX: usize = 64 * 1024;

/// The lines.
#[derive(Debug, Default)]
pub(super) struct Scrollback {
    lines: VecDeque<Line>,
    bytes: usize,
    /// Where lines are written before they are copied to their size.
    draft: Vec<u8>,
}

/// A line without its styles and links, which are all that a writer writes beside text.
pub(super) fn plain(line: &[u8]) -> String {
    let mut text = Vec::new();
    let mut parts = line.split(|byte| *byte == 0x1b);
    text.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        // A link's address holds no control characters; it ends with ESC and a backslash.
        let behind = match part.first() {
            Some(b'[') => part.iter().position(|byte| *byte == b'm').map(|at| at + 1),
            Some(b'\\') => Some(1),
            _ => None,
        };
        text.extend_from_slice(behind.and_then(|at| part.get(at..)).unwrap_or_default());
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// A row that left the screen.
#[derive(Debug)]
pub(super) struct Line {
    /// Cells that it takes.
    cols: u16,
    /// Whether the next one goes on with the same line.
    wrapped: bool,
    bytes: Box<[u8]>,
}

impl Line {
    /// Cells that it takes.
    pub(super) fn cols(&self) -> usize {
        self.cols.into()
    }

    /// Behind how many of its cells the next one goes on with the same line; 0 where it ends.
    pub(super) fn wrapped(&self) -> usize {
        if self.wrapped { self.cols() } else { 0 }
    }

    /// Its first cell, of which the style is left out.
    pub(super) fn first_cell(&self) -> Cell {
        let Some(glyph) = plain(&self.bytes).chars().next() else { return Cell::BLANK };
        let part = if glyph.width() == Some(2) { Part::Left } else { Part::Narrow };
        Cell { glyph, part, ..Cell::BLANK }
    }

    /// Its bytes, which begin and end with the plain style.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Scrollback {
    /// Number of lines.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Each line, oldest first.
    pub(super) fn lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter()
    }

    /// How many of the last lines take no more than so many bytes.
    pub(super) fn last_lines(&self, bytes: usize) -> usize {
        let mut left = bytes;
        let fits = |line: &&Line| {
            let rest = left.checked_sub(line.bytes.len() + LINE_OVERHEAD);
            left = rest.unwrap_or_default();
            rest.is_some()
        };
        self.lines.iter().rev().take_while(fits).count()
    }

    /// Bytes that it takes, with [`LINE_OVERHEAD`] for each line.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it would be other lines on a screen of this width.
    pub(super) fn is_other_at_width(&self, cols: usize) -> bool {
        self.lines.iter().any(|line| line.wrapped || line.cols() > cols)
    }

    /// Adds a row of the screen, behind so many cells of which the next one goes on.
    pub(super) fn push(&mut self, cells: &[Cell], wrapped: usize, links: &Interner, marks: &Interner) {
        let cells = of_line(cells, wrapped);
        let wrapped = wrapped > 0;
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

    /// Takes every line out.
    pub(super) fn into_lines(self) -> impl Iterator<Item = Line> {
        self.lines.into_iter()
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Bytes of memory held, about.
    pub(super) fn weight(&self) -> usize {
        self.bytes + self.draft.capacity()
    }

    /// Adds a line.
    pub(super) fn add(&mut self, line: Line) {
        self.bytes += line.bytes.len() + LINE_OVERHEAD;
        self.lines.push_back(line);
        while self.lines.len() > LINES_MAX || self.bytes > BYTES_MAX {
            let Some(line) = self.lines.pop_front() else { break };
            self.bytes -= line.bytes.len() + LINE_OVERHEAD;
        }
    }
}
