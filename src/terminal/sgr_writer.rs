//! From cells back to terminal bytes: what scrollback keeps and snapshots are made of. Text and
//! style only, nothing that rings, asks or moves, but for the columns of a row placed absolutely.

use super::cell::{Cell, Part, Style};
use super::interner::Interner;
use super::screen::used;

/// Blank cells in a row that are skipped rather than written.
const SKIP_MIN: usize = 8;

/// Most bytes with styles and combining marks; cells behind them are written plainly. A screen of
/// a hundred thousand cells, each of another colour, stays below it.
pub(super) const STYLED_MAX: usize = 4 * 1024 * 1024;

/// Most bytes of hyperlinks; cells behind them link nowhere.
const LINKS_MAX: usize = 1024 * 1024;

/// Writes cells as terminal bytes.
#[derive(Debug)]
pub(super) struct SgrWriter<'a> {
    links: &'a Interner,
    marks: &'a Interner,
    style: Style,
    /// Bytes of hyperlinks so far.
    linked: usize,
    /// The bytes.
    pub(super) out: Vec<u8>,
}

/// How the cells of a row find their columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Columns {
    /// One after the other: a line of scrollback, which may be shown anywhere.
    Running,
    /// Long gaps are skipped, and what follows a character whose width is disputed is placed anew.
    Absolute,
}

impl<'a> SgrWriter<'a> {
    /// A writer that begins with the plain style.
    pub(super) fn new(links: &'a Interner, marks: &'a Interner) -> Self {
        Self::onto(Vec::new(), links, marks)
    }

    /// A writer that writes onto what is there.
    pub(super) fn onto(out: Vec<u8>, links: &'a Interner, marks: &'a Interner) -> Self {
        Self { links, marks, style: Style::PLAIN, linked: 0, out }
    }

    /// Takes a style up.
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

    /// Goes to a place, counted from 0.
    pub(super) fn go(&mut self, row: usize, col: usize) {
        self.out.extend_from_slice(format!("\x1b[{};{}H", row + 1, col + 1).as_bytes());
    }

    /// Writes one cell with its marks.
    pub(super) fn cell(&mut self, cell: &Cell) {
        if cell.part == Part::Right {
            return;
        }
        self.style(cell.style);
        if cell.glyph.is_ascii() && cell.marks == 0 {
            self.out.extend(u8::try_from(cell.glyph));
            return;
        }
        self.out.extend_from_slice(cell.glyph.encode_utf8(&mut [0; 4]).as_bytes());
        if self.out.len() <= STYLED_MAX {
            self.out.extend_from_slice(self.marks.text(cell.marks).as_bytes());
        }
    }

    /// Writes cells one after the other; what is plain text of one style, at once.
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

    /// Writes a row from its first column on; placed absolutely, without the blank cells at its end.
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
                self.style(Style::PLAIN);
                self.out.extend(std::iter::repeat_n(b' ', blanks));
            }
            self.cell(cell);
            blanks = 0;
            astray = cell.marks != 0;
        }
    }
}

/// Cells as plain text.
pub(super) fn untrimmed_text(cells: &[Cell], marks: &Interner) -> String {
    let mut text = String::new();
    for cell in cells.iter().filter(|cell| cell.part != Part::Right) {
        text.push(cell.glyph);
        text.push_str(marks.text(cell.marks));
    }
    text
}

/// Cells as plain text, without the blanks at its end.
pub(super) fn text(cells: &[Cell], marks: &Interner) -> String {
    let mut text = untrimmed_text(cells, marks);
    text.truncate(text.trim_end_matches(' ').len());
    text
}
