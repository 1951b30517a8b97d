//! Another size. Rows of the main screen that are too long are wrapped, and what has no room at
//! the top becomes history; only what stood far below the cursor is cut. Nothing is joined again
//! when the screen grows: which rows were once one line is not remembered, for no snapshot could
//! say it. The alternate screen is cut; its programs draw it anew.

use std::collections::VecDeque;

use super::cell::{Cell, Part};
use super::history::History;
use super::machine::{Machine, first_tabs};
use super::parser::Parser;
use super::screen::{Cursor, Screen, used};
use crate::names::TermSize;

impl Machine {
    /// Takes another size.
    pub(super) fn resize(&mut self, size: TermSize) {
        let (cols, rows) = (usize::from(size.cols()), usize::from(size.rows()));
        if (cols, rows) == (self.cols, self.rows) {
            return;
        }
        // The cursor is the main screen's, unless the alternate one is shown: then the saved is.
        let mut lines = std::mem::replace(&mut self.main, Screen::new(0, 0));
        let mut saved = std::mem::take(&mut lines.saved);
        let leading = if self.alternate.is_some() { &mut saved.cursor } else { &mut self.cursor };
        let mut place = (leading.row, leading.col);
        let mut lines = wrapped(lines.into_rows(), cols, &mut place);
        while lines.len() > rows
            && lines.len() > place.0 + 1
            && lines.back().is_some_and(|row| used(row).is_empty())
        {
            lines.pop_back();
        }
        // The cursor's row stays, and as many above it as fit.
        let mut gone = 0;
        while lines.len() > rows && gone < place.0 {
            if let Some(line) = lines.pop_front() {
                self.history.push(&line, &self.links, &self.marks);
            }
            gone += 1;
        }
        lines.resize_with(rows, Vec::new);
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
            lines.resize_with(rows, Vec::new);
            self.alternate = Some(Screen::from_rows(lines, cols, saved));
        }
        if self.history.is_wider_than(cols) {
            self.wrap_history(size);
        }
        self.tabs.truncate(cols);
        self.tabs.extend(first_tabs(cols).into_iter().skip(self.tabs.len()));
        (self.cols, self.rows) = (cols, rows);
        self.repeatable = None;
        clamp(&mut self.cursor, cols, rows);
        clamp(&mut self.main.saved.cursor, cols, rows);
        if let Some(screen) = &mut self.alternate {
            clamp(&mut screen.saved.cursor, cols, rows);
        }
    }

    /// Splits the lines of history that are wider than the screen, so that a snapshot of it can be
    /// written to a terminal of the same size without wrapping.
    fn wrap_history(&mut self, size: TermSize) {
        let cols = usize::from(size.cols());
        let mut narrow = History::default();
        let Ok(one) = TermSize::new(size.cols(), 1) else { return };
        for (wider, line) in std::mem::take(&mut self.history).split_at_width(cols) {
            if !wider {
                narrow.append(line);
                continue;
            }
            let (mut parser, mut machine) = (Parser::new(), Machine::new(one));
            for mut rest in line.lines() {
                while let Some(piece) = parser.next(&mut rest) {
                    machine.act(&piece);
                }
            }
            machine.index();
            narrow.append(machine.history);
        }
        self.history = narrow;
    }
}

/// Rows of another width, and where a place in them went.
fn wrapped(rows: VecDeque<Vec<Cell>>, cols: usize, place: &mut (usize, usize)) -> VecDeque<Vec<Cell>> {
    let mut lines = VecDeque::new();
    let mut moved = *place;
    for (number, row) in rows.into_iter().enumerate() {
        let mut rest = used(&row);
        let mut col = if number == place.0 { Some(place.1) } else { None };
        loop {
            let mut length = rest.len().min(cols);
            // A wide character goes to the next row whole, if a row has room for it at all.
            if cols > 1 && rest.get(length).is_some_and(|cell| cell.part == Part::Right) {
                length -= 1;
            }
            let (line, behind) = rest.split_at(length);
            if let Some(at) = col {
                if at < length.max(1) || behind.is_empty() {
                    moved = (lines.len(), at);
                    col = None;
                } else {
                    col = Some(at - length);
                }
            }
            let mut line = line.to_vec();
            // On a screen of one column half a character would be left.
            if cols < 2 {
                line.iter_mut().filter(|cell| cell.part != Part::Narrow).for_each(|cell| {
                    *cell = Cell::narrow(' ', cell.style);
                });
            }
            lines.push_back(line);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
    }
    *place = moved;
    lines
}

/// Brings a cursor back onto the screen.
fn clamp(cursor: &mut Cursor, cols: usize, rows: usize) {
    let last = cols.saturating_sub(1);
    cursor.row = cursor.row.min(rows.saturating_sub(1));
    cursor.wraps &= cursor.col == last;
    cursor.col = cursor.col.min(last);
}
