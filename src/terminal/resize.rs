//! Resizing. Lines of the main screen and of the scrollback are rewrapped: the rows of a line are
//! joined and split again at the new width. Rows that do not fit above the cursor move to the
//! scrollback; only rows that do not fit below it are lost. The alternate screen is cut to size,
//! because the programs that use it redraw it.

use std::collections::VecDeque;

use super::cell::{Cell, Part};
use super::parser::Parser;
use super::screen::{Cursor, Row, Screen, of_line, used};
use super::scrollback::{Line, Scrollback};
use super::state::{TerminalState, first_tabs};
use crate::names::TermSize;

impl TerminalState {
    /// Changes the size.
    pub(super) fn resize(&mut self, size: TermSize) {
        let (cols, rows) = (usize::from(size.cols()), usize::from(size.rows()));
        if (cols, rows) == (self.cols, self.rows) {
            return;
        }
        // While the alternate screen is shown, the cursor of the main screen is its saved cursor.
        let mut lines = std::mem::replace(&mut self.main, Screen::new(0, 0));
        let mut saved = std::mem::take(&mut lines.saved);
        let leading = if self.alternate.is_some() { &mut saved.cursor } else { &mut self.cursor };
        let mut place = (leading.row, leading.col);
        let mut lines = lines.into_rows();
        if cols != self.cols {
            lines = wrap_lines(join_rows(lines, &mut place), cols, &mut place);
        }
        while lines.len() > rows
            && lines.len() > place.0 + 1
            && lines.back().is_some_and(|row| used(&row.cells).is_empty())
        {
            lines.pop_back();
        }
        // Rows above the cursor's row move to the scrollback until the others fit.
        let mut gone = 0;
        while lines.len() > rows && gone < place.0 {
            if let Some(line) = lines.pop_front() {
                self.scrollback.push(&line.cells, line.wrapped, &self.links, &self.marks);
            }
            gone += 1;
        }
        lines.resize_with(rows, Row::blank);
        leading.row = place.0 - gone;
        leading.col = place.1;
        self.main = Screen::from_rows(lines, cols, saved);
        if let Some(screen) = self.alternate.take() {
            let saved = screen.saved.clone();
            let mut lines = screen.into_rows();
            while lines.len() > rows && lines.len() > self.cursor.row + 1 {
                lines.pop_back();
            }
            while lines.len() > rows {
                lines.pop_front();
                self.cursor.row = self.cursor.row.saturating_sub(1);
            }
            lines.resize_with(rows, Row::blank);
            self.alternate = Some(Screen::from_rows(lines, cols, saved));
        }
        if cols != self.cols && self.scrollback.is_other_at_width(cols) {
            self.rewrap_scrollback(size);
        }
        self.tabs.truncate(cols);
        self.tabs.extend(first_tabs(cols).into_iter().skip(self.tabs.len()));
        (self.cols, self.rows) = (cols, rows);
        self.repeatable = None;
        self.marked = false;
        clamp(&mut self.cursor, cols, rows);
        clamp(&mut self.main.saved.cursor, cols, rows);
        clamp(&mut self.alternate_saved.cursor, cols, rows);
        if let Some(screen) = &mut self.alternate {
            clamp(&mut screen.saved.cursor, cols, rows);
        }
    }

    /// Rewraps the scrollback, so that each of its rows fits a terminal of the same size when a
    /// snapshot writes it.
    fn rewrap_scrollback(&mut self, size: TermSize) {
        let Ok(one) = TermSize::new(size.cols(), 1) else { return };
        let mut anew = Scrollback::default();
        let mut rows: Vec<Line> = Vec::new();
        for line in std::mem::take(&mut self.scrollback).into_lines() {
            let is_wrapped = line.wrapped() > 0;
            rows.push(line);
            if !is_wrapped {
                rewrap_line(&mut rows, one, &mut anew);
            }
        }
        // The last line may continue on the screen.
        rewrap_line(&mut rows, one, &mut anew);
        self.scrollback = anew;
    }
}

/// Takes the rows of one line and adds them to `to`, rewrapped to the width of `one`. They are
/// printed to a terminal of one row, from which they scroll into its scrollback.
fn rewrap_line(rows: &mut Vec<Line>, one: TermSize, to: &mut Scrollback) {
    if rows.len() < 2 && rows.iter().all(|row| row.cols() <= usize::from(one.cols())) {
        return rows.drain(..).for_each(|row| to.add(row));
    }
    let is_wrapped = rows.last().is_some_and(|row| row.wrapped() > 0);
    let (mut parser, mut state) = (Parser::new(), TerminalState::new(one));
    for row in rows.drain(..) {
        let mut rest = row.bytes();
        while let Some(token) = parser.next(&mut rest) {
            state.act(&token);
        }
    }
    if is_wrapped {
        let Cursor { col, pending_wrap, .. } = state.cursor;
        state.main.set_wrapped(0, col + usize::from(pending_wrap));
    }
    state.index();
    state.scrollback.into_lines().for_each(|row| to.add(row));
}

/// Joins the rows of each line, and converts `place` from a row and column to a line and cell.
fn join_rows(rows: VecDeque<Row>, place: &mut (usize, usize)) -> VecDeque<Vec<Cell>> {
    let mut lines = VecDeque::new();
    let mut moved = *place;
    let mut line = Vec::new();
    let last = rows.len().saturating_sub(1);
    for (number, Row { cells, wrapped }) in rows.into_iter().enumerate() {
        if number == place.0 {
            moved = (lines.len(), line.len() + place.1);
        }
        line.extend_from_slice(of_line(&cells, wrapped));
        if wrapped == 0 || number == last {
            lines.push_back(std::mem::take(&mut line));
        }
    }
    *place = moved;
    lines
}

/// Splits lines into rows of at most `cols` cells, and converts `place` from a line and cell to a
/// row and column.
fn wrap_lines(lines: VecDeque<Vec<Cell>>, cols: usize, place: &mut (usize, usize)) -> VecDeque<Row> {
    let mut rows = VecDeque::new();
    let mut moved = *place;
    for (number, line) in lines.into_iter().enumerate() {
        let mut rest = line.as_slice();
        let mut col = if number == place.0 { Some(place.1) } else { None };
        loop {
            let mut length = rest.len().min(cols);
            // A wide character that does not fit moves to the next row as a whole, if rows have two
            // columns.
            if cols > 1 && rest.get(length).is_some_and(|cell| cell.part == Part::Right) {
                length -= 1;
            }
            let (row, behind) = rest.split_at(length);
            if let Some(at) = col {
                if at < length.max(1) || behind.is_empty() {
                    moved = (rows.len(), at);
                    col = None;
                } else {
                    col = Some(at - length);
                }
            }
            let mut cells = row.to_vec();
            // A screen of one column has no room for a wide character: blank its halves.
            if cols < 2 {
                cells.iter_mut().filter(|cell| cell.part != Part::Narrow).for_each(|cell| {
                    *cell = Cell::narrow(' ', cell.style);
                });
            }
            rows.push_back(Row { cells, wrapped: if behind.is_empty() { 0 } else { length } });
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
    }
    *place = moved;
    rows
}

/// Moves a cursor back onto the screen.
fn clamp(cursor: &mut Cursor, cols: usize, rows: usize) {
    let last = cols.saturating_sub(1);
    cursor.row = cursor.row.min(rows.saturating_sub(1));
    cursor.pending_wrap &= cursor.col == last;
    cursor.col = cursor.col.min(last);
}
