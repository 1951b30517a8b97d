//! Conversion of cells to terminal bytes, for the scrollback and for snapshots. It writes text and
//! styles, and positions if cells are placed absolutely; nothing rings the bell or makes the
//! terminal answer.

use super::cell::{Cell, Part, Style};
use super::interner::Interner;
use super::screen::used;

/// Minimum number of consecutive blank cells that are skipped rather than written.
const SKIP_MIN: usize = 8;

/// Size of the output in bytes after which cells are written without styles and combining marks. A
/// screen of 100,000 cells, each of another colour, stays below it.
pub(super) const STYLED_MAX: usize = 4 * 1024 * 1024;

/// Size of the hyperlinks in bytes after which cells are written without links.
const LINKS_MAX: usize = 1024 * 1024;

/// Writes cells as terminal bytes.
#[derive(Debug)]
pub(super) struct SgrWriter<'a> {
    links: &'a Interner,
    marks: &'a Interner,
    style: Style,
    /// Whether the cells that are written are protected. None if protection is not written.
    protected: Option<bool>,
    /// Bytes of hyperlinks written so far.
    linked: usize,
    /// The output.
    pub(super) out: Vec<u8>,
}

/// How the cells of a row reach their columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Columns {
    /// Each cell follows the one before: for a line of scrollback, which may be shown anywhere.
    Running,
    /// Long runs of blanks are skipped, and the cell after a character whose width terminals
    /// disagree on is positioned explicitly.
    Absolute,
}

impl<'a> SgrWriter<'a> {
    /// A writer that begins in the plain style.
    pub(super) fn new(links: &'a Interner, marks: &'a Interner) -> Self {
        Self::onto(Vec::new(), links, marks)
    }

    /// A writer that appends to `out`.
    pub(super) fn onto(out: Vec<u8>, links: &'a Interner, marks: &'a Interner) -> Self {
        Self { links, marks, style: Style::PLAIN, protected: None, linked: 0, out }
    }

    /// The same, but protected cells are written as such (DECSCA).
    pub(super) fn with_protection(self) -> Self {
        Self { protected: Some(false), ..self }
    }

    /// Switches to writing protected cells, or unprotected ones.
    pub(super) fn protect(&mut self, wanted: bool) {
        if self.protected.is_some_and(|protected| protected != wanted) {
            self.protected = Some(wanted);
            self.out.extend_from_slice(if wanted { b"\x1b[1\"q" } else { b"\x1b[0\"q" });
        }
    }

    /// Switches to a style.
    pub(super) fn style(&mut self, wanted: Style) {
        if wanted != self.style {
            self.change_style(wanted);
        }
    }

    fn change_style(&mut self, wanted: Style) {
        let mut style = if self.out.len() > STYLED_MAX { Style::PLAIN } else { wanted };
        if self.linked > LINKS_MAX {
            style = style.unlinked();
        }
        if style.link != self.style.link {
            self.out.extend_from_slice(b"\x1b]8;");
            let link = self.links.text(style.link);
            self.out.extend_from_slice(if link.is_empty() { b";" } else { link.as_bytes() });
            self.linked += link.len();
            self.out.extend_from_slice(b"\x1b\\");
        }
        if style.unlinked() == Style::PLAIN && self.style.unlinked() != Style::PLAIN {
            self.out.extend_from_slice(b"\x1b[m");
        } else if style.unlinked() != self.style.unlinked() {
            style.unlinked().write_change(self.style.unlinked(), &mut self.out);
        }
        self.style = style;
    }

    /// Whether the next cell is written in the plain style.
    pub(super) fn is_plain(&self) -> bool {
        self.style == Style::PLAIN
    }

    /// Switches to the plain style without protection.
    pub(super) fn plain(&mut self) {
        self.style(Style::PLAIN);
        self.protect(false);
    }

    /// Moves to a position counted from 0.
    pub(super) fn go(&mut self, row: usize, col: usize) {
        self.out.extend_from_slice(format!("\x1b[{};{}H", row + 1, col + 1).as_bytes());
    }

    /// Writes one cell with its combining marks.
    pub(super) fn cell(&mut self, cell: &Cell) {
        if cell.part == Part::Right {
            return;
        }
        self.style(cell.style);
        self.protect(cell.protected);
        if cell.glyph.is_ascii() && cell.marks == 0 {
            self.out.extend(u8::try_from(cell.glyph));
            return;
        }
        self.out.extend_from_slice(cell.glyph.encode_utf8(&mut [0; 4]).as_bytes());
        if self.out.len() <= STYLED_MAX {
            self.out.extend_from_slice(self.marks.text(cell.marks).as_bytes());
        }
    }

    /// Writes cells one after the other. A run of plain text in one style is written at once.
    fn running(&mut self, cells: &[Cell]) {
        let is_plain = |cell: &Cell| cell.glyph.is_ascii() && cell.marks == 0 && cell.part == Part::Narrow;
        let mut rest = cells;
        while let Some((first, behind)) = rest.split_first() {
            let alike = |cell: &&Cell| is_plain(cell) && cell.style == first.style;
            let (run, others) = rest.split_at(rest.iter().take_while(alike).count());
            if run.is_empty() {
                self.cell(first);
                rest = behind;
            } else {
                self.style(first.style);
                self.out.extend(run.iter().map(|cell| u8::try_from(cell.glyph).unwrap_or_default()));
                rest = others;
            }
        }
    }

    /// Writes a row from its first column on. With [`Columns::Absolute`], blank cells at the end
    /// are left out.
    pub(super) fn row(&mut self, cells: &[Cell], columns: Columns) {
        if columns == Columns::Running {
            return self.running(cells);
        }
        let cells = used(cells);
        let mut blanks = 0;
        let mut astray = false;
        for (col, cell) in cells.iter().enumerate().filter(|(_, cell)| cell.part != Part::Right) {
            if *cell == Cell::BLANK {
                blanks += 1;
                continue;
            }
            if blanks >= SKIP_MIN || astray {
                self.out.extend_from_slice(format!("\x1b[{}G", col + 1).as_bytes());
            } else if blanks > 0 {
                self.plain();
                self.out.extend(std::iter::repeat_n(b' ', blanks));
            }
            self.cell(cell);
            blanks = 0;
            astray = cell.marks != 0;
        }
    }
}

/// Cells as plain text, with the blanks at the end.
pub(super) fn untrimmed_text(cells: &[Cell], marks: &Interner) -> String {
    let mut text = String::new();
    for cell in cells.iter().filter(|cell| cell.part != Part::Right) {
        text.push(cell.glyph);
        text.push_str(marks.text(cell.marks));
    }
    text
}

/// Cells as plain text, without the blanks at the end.
pub(super) fn text(cells: &[Cell], marks: &Interner) -> String {
    let mut text = untrimmed_text(cells, marks);
    text.truncate(text.trim_end_matches(' ').len());
    text
}
