//! A screen: rows of cells, and the operations that edit them. Every edit first blanks the wide
//! characters that straddle the borders of its range, so the two halves of a wide character are
//! always adjacent.

use std::collections::VecDeque;

use super::cell::{CELL_WEIGHT, Cell, Part, Style};

/// A row.
#[derive(Debug)]
pub(super) struct Row {
    /// The cells written so far, at most one per column; the cells after them are blank. Most lines
    /// are short, and every row that scrolls is blanked and searched.
    pub(super) cells: Vec<Cell>,
    /// The number of cells after which the line, too long for the screen, continues in the next
    /// row; 0 if the line ends in this row.
    pub(super) wrapped: usize,
}

/// One of the two screens.
#[derive(Debug)]
pub(super) struct Screen {
    rows: VecDeque<Row>,
    cols: usize,
    /// First row of the scrolling region.
    pub(super) top: usize,
    /// Last row of the scrolling region.
    pub(super) bottom: usize,
    /// The cursor as `ESC 7` saved it.
    pub(super) saved: Saved,
    /// Cells written or moved, and rows moved, since the last [`Screen::take_touched`].
    touched: usize,
}

/// A character set, as designated by `ESC (` and the related sequences.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    #[default]
    Ascii,
    /// DEC special graphics: lines and corners.
    Drawing,
    British,
}

/// Where and how the next character is written.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) row: usize,
    pub(super) col: usize,
    /// The last column was written: the next character first moves to the next row.
    pub(super) pending_wrap: bool,
    pub(super) style: Style,
    /// Whether a selective erase leaves the cells that are written (DECSCA).
    pub(super) protected: bool,
    /// G0 to G3.
    pub(super) charsets: [Charset; 4],
    /// Index of the one in use.
    pub(super) active: usize,
}

/// What `ESC 7` saves.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Saved {
    pub(super) cursor: Cursor,
    /// Origin mode.
    pub(super) origin: bool,
}

impl Row {
    /// A blank row.
    pub(super) fn blank() -> Self {
        Self { cells: Vec::new(), wrapped: 0 }
    }

    /// Fills the row, which has `cols` columns, and ends its line there. Returns the number of
    /// cells and rows touched.
    fn fill(&mut self, cols: usize, with: Cell) -> usize {
        self.cells.clear();
        if with != Cell::BLANK {
            self.cells.resize(cols, with);
        }
        self.wrapped = 0;
        1 + self.cells.len()
    }
}

impl Screen {
    /// A blank screen.
    pub(super) fn new(cols: usize, rows: usize) -> Self {
        let rows: VecDeque<_> = std::iter::repeat_with(Row::blank).take(rows).collect();
        let bottom = rows.len().saturating_sub(1);
        Self { rows, cols, top: 0, bottom, saved: Saved::default(), touched: 0 }
    }

    /// A screen of these rows, each cut to `cols` columns.
    pub(super) fn from_rows(mut rows: VecDeque<Row>, cols: usize, saved: Saved) -> Self {
        for Row { cells, wrapped } in &mut rows {
            let style = cells.get(cols).map_or(Style::PLAIN, |cell| cell.style);
            split(cells, cols, Cell::narrow(' ', style));
            cells.truncate(cols);
            *wrapped = (*wrapped).min(cols);
            if *wrapped > 0 {
                cells.resize(cols, Cell::BLANK);
            }
            cells.shrink_to_fit();
        }
        let bottom = rows.len().saturating_sub(1);
        Self { rows, cols, top: 0, bottom, saved, touched: 0 }
    }

    /// Takes the rows out, to make another screen of them.
    pub(super) fn into_rows(self) -> VecDeque<Row> {
        self.rows
    }

    /// Bytes of memory held.
    pub(super) fn weight(&self) -> usize {
        self.rows.iter().map(|row| row.cells.capacity() * CELL_WEIGHT).sum()
    }

    /// Returns the number of cells and rows touched since the last call, and resets it.
    pub(super) fn take_touched(&mut self) -> usize {
        std::mem::take(&mut self.touched)
    }

    /// The written cells of every row, from the top.
    pub(super) fn rows(&self) -> impl Iterator<Item = &[Cell]> {
        self.rows.iter().map(|row| row.cells.as_slice())
    }

    /// The number of cells after which the line of a row continues in the next row; 0 if it ends in
    /// this row.
    pub(super) fn wrapped(&self, row: usize) -> usize {
        self.rows.get(row).map_or(0, |row| row.wrapped)
    }

    /// Records that the line of a row continues in the next row after `cells` cells. The row is
    /// padded to the full width, so that all of these cells exist.
    pub(super) fn set_wrapped(&mut self, row: usize, cells: usize) {
        let cells = cells.min(self.cols);
        if cells > 0 {
            self.row_mut(row);
        }
        if let Some(row) = self.rows.get_mut(row) {
            row.wrapped = cells;
        }
    }

    /// The written cells of a row; empty if the row does not exist.
    pub(super) fn row(&self, row: usize) -> &[Cell] {
        self.rows.get(row).map(|row| row.cells.as_slice()).unwrap_or_default()
    }

    /// A cell; blank if it was not written.
    pub(super) fn cell(&self, row: usize, col: usize) -> &Cell {
        self.row(row).get(col).unwrap_or(&Cell::BLANK)
    }

    /// A row, padded to the full width, to be changed.
    pub(super) fn row_mut(&mut self, row: usize) -> &mut [Cell] {
        self.row_to(row, self.cols)
    }

    /// A row, padded to at least `length` cells, to be changed.
    fn row_to(&mut self, row: usize, length: usize) -> &mut [Cell] {
        let length = length.min(self.cols);
        let Some(Row { cells, .. }) = self.rows.get_mut(row) else { return &mut [] };
        if cells.len() < length {
            self.touched += length - cells.len();
            cells.reserve_exact(self.cols - cells.len());
            cells.resize(length, Cell::BLANK);
        }
        cells
    }

    /// Fills the cells `from..to` of a row. If they reach the last column, the line ends in this
    /// row.
    pub(super) fn fill(&mut self, row: usize, from: usize, to: usize, with: Cell) {
        let whole = to >= self.cols;
        self.touched += to.min(self.cols).saturating_sub(from);
        let cells = self.row_to(row, if with == Cell::BLANK { 0 } else { to });
        let to = to.min(cells.len());
        split(cells, from, with);
        split(cells, to, with);
        if let Some(cells) = cells.get_mut(from..to) {
            cells.fill(with);
        }
        if whole {
            self.set_wrapped(row, 0);
        }
    }

    /// Like [`Self::fill`], but leaves protected cells as they are.
    pub(super) fn fill_unprotected(&mut self, row: usize, from: usize, to: usize, with: Cell) {
        let to = to.min(self.cols);
        self.touched += to.saturating_sub(from);
        let cells = self.row_to(row, if with == Cell::BLANK { 0 } else { to });
        let is_protected = |cells: &[Cell], at| cells.get(at).is_some_and(|cell: &Cell| cell.protected);
        for border in [from, to] {
            if !is_protected(cells, border) {
                split(cells, border, with);
            }
        }
        for cell in cells.iter_mut().take(to).skip(from).filter(|cell| !cell.protected) {
            *cell = with;
        }
        if to == self.cols {
            self.set_wrapped(row, 0);
        }
    }

    /// Fills the rows `from..to`.
    pub(super) fn fill_rows(&mut self, from: usize, to: usize, with: Cell) {
        for row in self.rows.iter_mut().take(to).skip(from) {
            self.touched += row.fill(self.cols, with);
        }
    }

    /// Inserts `count` cells at a column; cells pushed past the right edge are lost. If the line
    /// continues in the next row and reaches this column, it grows by the inserted cells.
    pub(super) fn insert(&mut self, row: usize, col: usize, count: usize, with: Cell) {
        let count = count.min(self.cols.saturating_sub(col));
        self.touched += self.cols.saturating_sub(col);
        let wrapped = self.wrapped(row);
        if wrapped > 0 && wrapped >= col {
            self.set_wrapped(row, wrapped + count);
        }
        let cells = self.row_mut(row);
        split(cells, col, with);
        let edge = cells.len() - count;
        split(cells, edge, with);
        if let Some(cells) = cells.get_mut(col..) {
            cells.rotate_right(count);
            cells.iter_mut().take(count).for_each(|cell| *cell = with);
        }
    }

    /// Deletes `count` cells at a column; cells of `with` enter at the right edge.
    pub(super) fn delete(&mut self, row: usize, col: usize, count: usize, with: Cell) {
        self.touched += self.cols.saturating_sub(col);
        let cells = self.row_mut(row);
        let count = count.min(cells.len().saturating_sub(col));
        split(cells, col, with);
        split(cells, col + count, with);
        if let Some(cells) = cells.get_mut(col..) {
            cells.rotate_left(count);
            cells.iter_mut().rev().take(count).for_each(|cell| *cell = with);
        }
    }

    /// Ends the line of the row above a row, so that it does not continue there.
    pub(super) fn end_line_above(&mut self, row: usize) {
        if let Some(above) = row.checked_sub(1) {
            self.set_wrapped(above, 0);
        }
    }

    /// Moves the rows `top..=bottom` up; rows of `with` enter at the bottom. Lines end where rows
    /// that were neighbours no longer are.
    pub(super) fn scroll_up(&mut self, top: usize, bottom: usize, count: usize, with: Cell) {
        if count == 1 {
            if let Some(row) = self.rows.remove(top) {
                self.put_back(row, bottom, top + self.rows.len().saturating_sub(bottom), with);
            }
        } else if let Some(rows) = self.rows.make_contiguous().get_mut(top..=bottom) {
            let count = count.min(rows.len());
            rows.rotate_left(count);
            self.touched += rows.len();
            self.fill_rows(bottom + 1 - count, bottom + 1, with);
        }
        self.end_line_above(top);
        // Below the last row there was no neighbour.
        if bottom < self.rows.len().saturating_sub(1) {
            self.end_line_above((bottom + 1).saturating_sub(count).max(top));
        }
    }

    /// Moves the rows `top..=bottom` down; rows of `with` enter at the top. Lines end where rows
    /// that were neighbours no longer are.
    pub(super) fn scroll_down(&mut self, top: usize, bottom: usize, count: usize, with: Cell) {
        if count == 1 {
            if let Some(row) = self.rows.remove(bottom) {
                self.put_back(row, top, top + self.rows.len().saturating_sub(bottom), with);
            }
        } else if let Some(rows) = self.rows.make_contiguous().get_mut(top..=bottom) {
            let count = count.min(rows.len());
            rows.rotate_right(count);
            self.touched += rows.len();
            self.fill_rows(top, top + count, with);
        }
        self.end_line_above(top);
        self.end_line_above(bottom + 1);
    }

    /// Fills a row that was taken out and inserts it at another place. `moved` is the number of
    /// other rows that moved.
    fn put_back(&mut self, mut row: Row, at: usize, moved: usize, with: Cell) {
        self.touched += moved + row.fill(self.cols, with);
        self.rows.insert(at.min(self.rows.len()), row);
    }

    /// Writes cells into a row, starting at a column. If the line continues in the next row and the
    /// cells extend past its end, the whole row becomes part of the line. What remains of a wide
    /// character becomes a blank in the style of the cells.
    pub(super) fn write(
        &mut self,
        row: usize,
        col: usize,
        count: usize,
        cells: impl Iterator<Item = Cell>,
        blank: Cell,
    ) {
        if (1..col + count).contains(&self.wrapped(row)) {
            self.set_wrapped(row, self.cols);
        }
        self.touched += count;
        let places = self.row_to(row, col + count);
        split(places, col, blank);
        split(places, col + count, blank);
        for (place, cell) in places.iter_mut().skip(col).zip(cells) {
            *place = cell;
        }
    }

    /// Last column.
    pub(super) fn last_col(&self) -> usize {
        self.cols.saturating_sub(1)
    }
}

/// Replaces both halves of the wide character that a border before the cell `at` would cut in two.
fn split(cells: &mut [Cell], at: usize, blank: Cell) {
    if cells.get(at).is_some_and(|cell| cell.part == Part::Right) {
        cells.iter_mut().skip(at.saturating_sub(1)).take(2).for_each(|cell| *cell = blank);
    }
}

/// The cells of a row up to the last one that is not blank.
pub(super) fn used(cells: &[Cell]) -> &[Cell] {
    let length = cells.iter().rposition(|cell| *cell != Cell::BLANK).map_or(0, |last| last + 1);
    cells.get(..length).unwrap_or_default()
}

/// The cells of a row that belong to its line, given the number of cells after which the line
/// continues (0 if it ends in this row). A wide character at that border is included as a whole.
pub(super) fn of_line(cells: &[Cell], wrapped: usize) -> &[Cell] {
    if wrapped == 0 {
        return used(cells);
    }
    let half = cells.get(wrapped).is_some_and(|cell| cell.part == Part::Right);
    cells.get(..wrapped + usize::from(half)).unwrap_or(cells)
}
