//! The lines that left the screen at its top, as terminal bytes, not as cells: a plain line of 80
//! columns takes its 80 bytes and little more. The oldest go first.

use std::collections::VecDeque;

use super::brush::{Brush, Columns, text};
use super::cell::{Cell, Style};
use super::screen::used;
use super::strings::Strings;

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
pub(super) struct History {
    lines: VecDeque<Line>,
    bytes: usize,
    /// Where lines are written before they are copied to their size.
    draft: Vec<u8>,
}

/// A line without its styles and links, which are all that a brush writes beside text.
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

/// A line that left the screen.
#[derive(Debug)]
struct Line {
    /// Cells that it takes.
    cols: u16,
    bytes: Box<[u8]>,
}

impl History {
    /// Number of lines.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The bytes of each line, oldest first; each begins and ends with the plain style.
    pub(super) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().map(|line| &*line.bytes)
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

    /// Whether a line is wider than this.
    pub(super) fn is_wider_than(&self, cols: usize) -> bool {
        self.lines.iter().any(|line| usize::from(line.cols) > cols)
    }

    /// Adds a row of the screen.
    pub(super) fn push(&mut self, cells: &[Cell], links: &Strings, marks: &Strings) {
        let cells = used(cells);
        let mut brush = Brush::onto(std::mem::take(&mut self.draft), links, marks);
        brush.row(cells, Columns::Running);
        brush.style(Style::PLAIN);
        let mut bytes = brush.out;
        let cols = u16::try_from(cells.len()).unwrap_or(u16::MAX);
        if bytes.len() > LINE_MAX {
            self.add(Line { cols, bytes: text(cells, marks).into_bytes().into() });
        } else {
            self.add(Line { cols, bytes: bytes.as_slice().into() });
        }
        bytes.clear();
        bytes.shrink_to(LINE_MAX);
        self.draft = bytes;
    }

    /// Adds the lines of another.
    pub(super) fn append(&mut self, other: Self) {
        other.lines.into_iter().for_each(|line| self.add(line));
    }

    /// Takes every line out, with whether it is wider than this.
    pub(super) fn split_at_width(self, cols: usize) -> impl Iterator<Item = (bool, Self)> {
        self.lines.into_iter().map(move |line| {
            let wider = usize::from(line.cols) > cols;
            let mut one = Self::default();
            one.add(line);
            (wider, one)
        })
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Bytes of memory held, about.
    pub(super) fn weight(&self) -> usize {
        self.bytes + self.draft.capacity()
    }

    fn add(&mut self, line: Line) {
        self.bytes += line.bytes.len() + LINE_OVERHEAD;
        self.lines.push_back(line);
        while self.lines.len() > LINES_MAX || self.bytes > BYTES_MAX {
            let Some(line) = self.lines.pop_front() else { break };
            self.bytes -= line.bytes.len() + LINE_OVERHEAD;
        }
    }
}
