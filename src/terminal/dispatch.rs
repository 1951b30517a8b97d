//! The effect of controls and sequences, according to ECMA-48, the DEC manuals and ctlseqs of
//! xterm. Where they leave it open, the effect is that of xterm.js, because it shows the snapshots.

use super::answers;
use super::cell::{Cell, Style};
use super::keyboard::Keyboard;
use super::modes::{INSERT, KEYPAD, NEW_LINE, ORIGIN, REVERSE_WRAP, WRAP};
use super::parser::Token;
use super::screen::{Charset, Cursor, Saved, Screen};
use super::sequence::Csi;
use super::state::{ROW_COST, TerminalState, first_tabs};

impl TerminalState {
    /// Executes a token.
    pub(super) fn act(&mut self, token: &Token<'_>) {
        match token {
            Token::Text(text) => return self.print(text),
            Token::Csi(csi) => self.csi(csi),
            Token::Control(control) => self.control(*control),
            Token::Escape(between, last) => self.escape(between, *last),
            Token::Osc(payload) => self.command(payload),
            Token::Dcs(payload) => self.device_string(payload),
        }
        self.repeatable = None;
        self.marked = false;
    }

    fn control(&mut self, control: u8) {
        match control {
            0x07 => {
                self.bell = true;
                self.alerts.ring();
            }
            0x08 => self.back(1),
            0x09 => self.tab_forward(1),
            0x0a..=0x0c => {
                self.index();
                self.cursor.pending_wrap = false;
                if self.modes.is_on(NEW_LINE) {
                    self.cursor.col = 0;
                }
            }
            0x0d => self.go_col(0),
            0x0e => self.cursor.active = 1,
            0x0f => self.cursor.active = 0,
            _ => {}
        }
    }

    fn escape(&mut self, between: &[u8], last: u8) {
        match (between, last) {
            ([], b'7') => self.save(),
            ([], b'8') => self.restore(),
            ([], b'D') => {
                self.index();
                self.cursor.pending_wrap = false;
            }
            ([], b'E') => {
                self.index();
                self.go_col(0);
            }
            ([], b'M') => self.reverse_index(),
            ([], b'H') => self.set_tab(true),
            ([], b'c') => self.reset(),
            ([], b'Z') => self.answers.push(answers::PRIMARY),
            ([], b'=') => self.modes.switch(KEYPAD, true),
            ([], b'>') => self.modes.switch(KEYPAD, false),
            ([], b'n') => self.cursor.active = 2,
            ([], b'o') => self.cursor.active = 3,
            ([b'#'], b'8') => self.fill_with_e(),
            ([designator @ b'('..=b'+'], charset @ (b'0' | b'A' | b'B')) => {
                let charset = match charset {
                    b'0' => Charset::Drawing,
                    b'A' => Charset::British,
                    _ => Charset::Ascii,
                };
                if let Some(place) = self.cursor.charsets.get_mut(usize::from(designator - b'(')) {
                    *place = charset;
                }
            }
            _ => {}
        }
    }

    fn csi(&mut self, csi: &Csi) {
        let (n, rows) = (csi.count(0), self.rows);
        match (csi.marker, csi.intermediate, csi.last) {
            (0, 0, b'@') => self.edit_row(|screen, row, col, blank| screen.insert(row, col, n, blank)),
            (0, 0, b'P') => self.edit_row(|screen, row, col, blank| screen.delete(row, col, n, blank)),
            (0, 0, b'X') => self.edit_row(|screen, row, col, blank| screen.fill(row, col, col + n, blank)),
            (0, 0, b'A') => self.up(n),
            (0, 0, b'B') => self.down(n),
            (0, 0, b'e') => self.down_anywhere(n),
            (0, 0, b'b') => drop(self.repeat(n, usize::MAX)),
            (0, 0, b'C' | b'a') => self.move_by(0, step(n)),
            (0, 0, b'D') => self.back(n),
            (0, 0, b'E') => {
                self.down(n);
                self.go_col(0);
            }
            (0, 0, b'F') => {
                self.up(n);
                self.go_col(0);
            }
            (0, 0, b'G' | b'`') => self.go_col(n - 1),
            (0, 0, b'H' | b'f') => self.go(n - 1, csi.count(1) - 1),
            (0, 0, b'd') => self.go(n - 1, self.cursor.col),
            (0, 0, b'I') => self.tab_forward(n),
            (0, 0, b'Z') => self.tab_back(n),
            (0, 0, b'g') => match csi.value(0) {
                0 => self.set_tab(false),
                3 => self.tabs.fill(false),
                _ => {}
            },
            (b'?', 0, b'W') if csi.value(0) == 5 => self.tabs = first_tabs(self.cols),
            (0, 0, b'J') => self.erase_screen(csi.value(0), Screen::fill),
            (b'?', 0, b'J') => self.erase_screen(csi.value(0), Screen::fill_unprotected),
            (0, 0, b'K') => self.erase_row(csi.value(0), Screen::fill),
            (b'?', 0, b'K') => self.erase_row(csi.value(0), Screen::fill_unprotected),
            (0, b'"', b'q') => match csi.value(0) {
                0 | 2 => self.cursor.protected = false,
                1 => self.cursor.protected = true,
                _ => {}
            },
            (0, b' ', b'@') => {
                self.edit_columns(0, |screen, row, col, blank| screen.delete(row, col, n, blank))
            }
            (0, b' ', b'A') => {
                self.edit_columns(0, |screen, row, col, blank| screen.insert(row, col, n, blank))
            }
            (0, b'\'', b'~') => self.edit_columns(self.cursor.col, |screen, row, col, blank| {
                screen.delete(row, col, n, blank);
            }),
            (0, b'\'', b'}') => self.edit_columns(self.cursor.col, |screen, row, col, blank| {
                screen.insert(row, col, n, blank);
            }),
            (0, 0, b'L') => {
                self.edit_rows(|screen, row, bottom, blank| screen.scroll_down(row, bottom, n, blank))
            }
            (0, 0, b'M') => {
                self.edit_rows(|screen, row, bottom, blank| screen.scroll_up(row, bottom, n, blank))
            }
            (0, 0, b'S') => self.scroll(|screen, top, bottom, blank| screen.scroll_up(top, bottom, n, blank)),
            (0, 0, b'T') if csi.parameters().len() < 2 => {
                self.scroll(|screen, top, bottom, blank| screen.scroll_down(top, bottom, n, blank));
            }
            (b'>', 0, b'w') => {
                let row = self.cursor.row;
                self.screen_mut().set_wrapped(row, csi.value(0).into());
            }
            (0, 0, b'm') => self.style_mut().select(csi.parameters()),
            (0, 0, b'r') => self.set_region(n - 1, usize::from(csi.value(1)).min(rows)),
            (0, 0, b's') => self.save(),
            (0, 0, b'u') => self.restore(),
            (b'>', 0, b'u') => self.keyboard.push(self.shown(), csi.value(0)),
            (b'<', 0, b'u') => self.keyboard.pop(self.shown(), n),
            (b'=', 0, b'u') => self.keyboard.set(self.shown(), csi.value(0), csi.value(1)),
            (b'?', 0, b'u') => self.answers.push(&self.keyboard.report(self.shown())),
            // XTMODKEYS: of the resources, modifyOtherKeys.
            (b'>', 0, b'm') if matches!(csi.value(0), 0 | 4) => self.keyboard.set_other_keys(csi.value(1)),
            (b'>', 0, b'n') if csi.value(0) == 4 => self.keyboard.set_other_keys(0),
            (b'?', 0, b'm') if csi.value(0) == 4 => self.answers.push(&self.keyboard.report_other_keys()),
            (0 | b'?', 0, b'h') => self.switch_modes(csi, true),
            (0 | b'?', 0, b'l') => self.switch_modes(csi, false),
            (0, b'!', b'p') => self.soft_reset(),
            (0, b' ', b'q') if csi.value(0) <= 6 => self.cursor_shape = csi.value(0),
            (0, 0, b't') => match (csi.value(0), csi.value(1)) {
                (22, 0 | 2) => self.titles.push(),
                (23, 0 | 2) => self.titles.pop(),
                (18, _) => self.answers.push(&format!("\x1b[8;{};{}t", self.rows, self.cols)),
                _ => {}
            },
            (0, 0, b'c') if csi.value(0) == 0 => self.answers.push(answers::PRIMARY),
            (b'>', 0, b'c') if csi.value(0) == 0 => self.answers.push(answers::SECONDARY),
            (b'>', 0, b'q') if csi.value(0) == 0 => self.answers.push(answers::VERSION),
            (0, 0, b'n') if csi.value(0) == 5 => self.answers.push(answers::WELL),
            (marker @ (0 | b'?'), 0, b'n') if csi.value(0) == 6 => self.report_cursor(marker == b'?'),
            (marker @ (0 | b'?'), b'$', b'p') => {
                let number = (marker == b'?', csi.value(0));
                let state = match number {
                    (true, 47 | 1047 | 1049) => Some(self.alternate.is_some()),
                    _ => self.modes.state(number),
                };
                self.answers.push(&answers::mode(number, state));
            }
            _ => {}
        }
    }

    fn report_cursor(&mut self, private: bool) {
        let top = if self.modes.is_on(ORIGIN) { self.screen().top } else { 0 };
        let row = self.cursor.row.saturating_sub(top) + 1;
        let marker = if private { "?" } else { "" };
        self.answers.push(&format!("\x1b[{marker}{row};{}R", self.cursor.col + 1));
    }

    /// Moves the cursor to a position counted from 0, in origin mode from the top of the scrolling
    /// region.
    pub(super) fn go(&mut self, row: usize, col: usize) {
        let (top, bottom) = (self.screen().top, self.screen().bottom);
        self.cursor.row = if self.modes.is_on(ORIGIN) {
            (row + top).min(bottom)
        } else {
            row.min(self.rows.saturating_sub(1))
        };
        self.go_col(col);
    }

    fn go_col(&mut self, col: usize) {
        self.cursor.col = col.min(self.screen().last_col());
        self.cursor.pending_wrap = false;
    }

    fn move_by(&mut self, rows: isize, cols: isize) {
        self.cursor.row = self.cursor.row.saturating_add_signed(rows).min(self.rows.saturating_sub(1));
        self.go_col(self.cursor.col.saturating_add_signed(cols));
    }

    /// Moves the cursor up. A cursor at or below the top of the scrolling region stops there.
    fn up(&mut self, count: usize) {
        let top = self.screen().top;
        let most = if self.cursor.row >= top { self.cursor.row - top } else { self.cursor.row };
        self.move_by(-step(count.min(most)), 0);
    }

    /// Moves the cursor down. A cursor at or above the bottom of the scrolling region stops there.
    fn down(&mut self, count: usize) {
        let bottom = self.screen().bottom;
        let end = if self.cursor.row <= bottom { bottom } else { self.rows };
        self.move_by(step(count.min(end - self.cursor.row)), 0);
    }

    /// VPR: moves the cursor down, past the scrolling region too, but in origin mode not out of it.
    fn down_anywhere(&mut self, count: usize) {
        self.move_by(step(count), 0);
        self.obey_origin();
    }

    /// Moves the cursor left. In reverse wrap mode, it goes on from the first column to the last of
    /// the row above, if that row wraps; a cursor that waits to wrap first stops waiting.
    fn back(&mut self, count: usize) {
        if !self.modes.is_on(REVERSE_WRAP) || !self.modes.is_on(WRAP) {
            return self.move_by(0, -step(count));
        }
        let mut left = count.min(self.cols * self.rows);
        if std::mem::take(&mut self.cursor.pending_wrap) {
            left -= 1;
        }
        loop {
            let in_row = left.min(self.cursor.col);
            self.cursor.col -= in_row;
            left -= in_row;
            let above = self.cursor.row.checked_sub(1).filter(|above| self.screen().wrapped(*above) > 0);
            let Some(above) = above.filter(|_| left > 0) else { return };
            (self.cursor.row, self.cursor.col) = (above, self.screen().last_col());
            left -= 1;
        }
    }

    fn tab_forward(&mut self, count: usize) {
        if self.cursor.pending_wrap {
            return;
        }
        let (before, last) = (self.cursor.col, self.screen().last_col());
        for _ in 0..count {
            if self.cursor.col == last {
                break;
            }
            let from = self.cursor.col + 1;
            let next = self.tabs.iter().skip(from).position(|stop| *stop).map(|ahead| from + ahead);
            self.cursor.col = next.unwrap_or(last);
        }
        self.touched += self.cursor.col - before;
    }

    fn tab_back(&mut self, count: usize) {
        let from = self.cursor.col;
        for _ in 0..count.min(self.cols) {
            let before = self.tabs.get(..self.cursor.col).unwrap_or_default();
            let col = before.iter().rposition(|stop| *stop).unwrap_or(0);
            self.go_col(col);
        }
        self.touched += from - self.cursor.col;
    }

    fn set_tab(&mut self, stops: bool) {
        if let Some(tab) = self.tabs.get_mut(self.cursor.col) {
            *tab = stops;
        }
    }

    fn edit_row(&mut self, edit: impl FnOnce(&mut Screen, usize, usize, Cell)) {
        let Cursor { row, col, style, .. } = self.cursor;
        self.cursor.pending_wrap = false;
        edit(self.screen_mut(), row, col, style.erased());
    }

    /// Edits the rows from the cursor to the bottom of the scrolling region, if the cursor is
    /// inside it.
    fn edit_rows(&mut self, edit: impl FnOnce(&mut Screen, usize, usize, Cell)) {
        let (row, blank) = (self.cursor.row, self.cursor.style.erased());
        let (top, bottom) = (self.screen().top, self.screen().bottom);
        if (top..=bottom).contains(&row) {
            edit(self.screen_mut(), row, bottom, blank);
            self.end_line_above_screen(row);
            self.go_col(0);
        }
    }

    /// Edits every row of the scrolling region at a column, if the cursor is inside the region.
    /// Their lines end.
    fn edit_columns(&mut self, col: usize, edit: impl Fn(&mut Screen, usize, usize, Cell)) {
        let (row, blank) = (self.cursor.row, self.cursor.style.erased());
        let (top, bottom) = (self.screen().top, self.screen().bottom);
        if (top..=bottom).contains(&row) {
            self.end_line_above_screen(top);
            let screen = self.screen_mut();
            for row in top..=bottom {
                screen.end_line_above(row);
                edit(screen, row, col, blank);
            }
        }
    }

    fn scroll(&mut self, edit: impl FnOnce(&mut Screen, usize, usize, Cell)) {
        let blank = self.cursor.style.erased();
        let (top, bottom) = (self.screen().top, self.screen().bottom);
        edit(self.screen_mut(), top, bottom, blank);
        self.end_line_above_screen(top);
    }

    fn erase_row(&mut self, which: u16, fill: Fill) {
        let Cursor { row, col, style, pending_wrap, .. } = self.cursor;
        let (from, to) = match which {
            // A cursor with a pending wrap is past the last column: there is nothing to erase.
            0 if pending_wrap => return,
            0 => (col, self.cols),
            1 => (0, col + 1),
            2 => (0, self.cols),
            _ => return,
        };
        fill(self.screen_mut(), row, from, to, style.erased());
    }

    fn erase_screen(&mut self, which: u16, fill: Fill) {
        let (row, rows) = (self.cursor.row, self.rows);
        let whole = match which {
            0 => {
                self.erase_row(0, fill);
                self.screen_mut().end_line_above(row + 1);
                row + 1..rows
            }
            1 => {
                self.erase_row(1, fill);
                0..row
            }
            2 => 0..rows,
            3 => return self.scrollback.clear(),
            _ => return,
        };
        let (cols, blank) = (self.cols, self.cursor.style.erased());
        whole.for_each(|row| fill(self.screen_mut(), row, 0, cols, blank));
    }

    /// DECALN: fills the screen with E, and resets the scrolling region, origin mode and the style.
    /// So does xterm, but for the colours, which DEC's terminals did not have.
    fn fill_with_e(&mut self) {
        let rows = self.rows;
        let screen = self.screen_mut();
        screen.fill_rows(0, rows, Cell::narrow('E', Style::PLAIN));
        (screen.top, screen.bottom) = (0, rows.saturating_sub(1));
        self.modes.switch(ORIGIN, false);
        self.cursor.style = Style { link: self.cursor.style.link, ..Style::PLAIN };
        self.go(0, 0);
    }

    /// Makes the rows `top..end` the scrolling region; an `end` of 0 means the last row.
    fn set_region(&mut self, top: usize, end: usize) {
        let end = if end == 0 { self.rows } else { end };
        if top + 1 < end {
            let screen = self.screen_mut();
            (screen.top, screen.bottom) = (top, end - 1);
            self.go(0, 0);
        }
    }

    fn save(&mut self) {
        let saved = Saved { cursor: self.cursor.clone(), origin: self.modes.is_on(ORIGIN) };
        self.screen_mut().saved = saved;
    }

    fn restore(&mut self) {
        let Saved { cursor, origin } = self.screen().saved.clone();
        self.cursor = cursor;
        self.modes.switch(ORIGIN, origin);
        self.obey_origin();
    }

    /// In origin mode, moves the cursor into the scrolling region.
    fn obey_origin(&mut self) {
        let (top, bottom) = (self.screen().top, self.screen().bottom);
        if self.modes.is_on(ORIGIN) {
            self.cursor.row = self.cursor.row.max(top).min(bottom);
        }
    }

    fn switch_modes(&mut self, csi: &Csi, on: bool) {
        for parameter in csi.parameters() {
            match ((csi.marker == b'?', parameter.value), on) {
                // DECANM: leaving VT52 mode, in which this terminal never is, also does this.
                ((true, 2), true) => self.cursor.charsets = [Charset::Ascii; 4],
                ((true, 1048), true) => self.save(),
                ((true, 1048), false) => self.restore(),
                ((true, 1049), true) => {
                    self.save();
                    self.enter_alternate();
                }
                ((true, 1049), false) => {
                    self.leave_alternate();
                    self.restore();
                }
                ((true, 47 | 1047), true) => self.enter_alternate(),
                ((true, 47 | 1047), false) => self.leave_alternate(),
                (number, _) => {
                    self.modes.switch(number, on);
                    if number == ORIGIN {
                        self.go(0, 0);
                    }
                }
            }
        }
    }

    fn enter_alternate(&mut self) {
        if self.alternate.is_none() {
            self.touched += ROW_COST * self.rows;
            let mut screen = Screen::new(self.cols, self.rows);
            screen.fill_rows(0, self.rows, self.cursor.style.erased());
            screen.saved = std::mem::take(&mut self.alternate_saved);
            self.alternate = Some(screen);
        }
    }

    fn leave_alternate(&mut self) {
        self.drop_alternate();
        self.obey_origin();
    }

    /// DECSTR: resets everything that xterm.js resets, and how keys are told.
    fn soft_reset(&mut self) {
        for (mode, on) in [
            ((true, 25), true),
            ((true, 1), false),
            (WRAP, true),
            (INSERT, false),
            (ORIGIN, false),
            (KEYPAD, false),
            ((true, 45), false),
            ((true, 1004), false),
            ((true, 2004), false),
            ((true, 2026), false),
        ] {
            self.modes.switch(mode, on);
        }
        self.cursor_shape = 0;
        self.keyboard = Keyboard::default();
        let last = self.rows.saturating_sub(1);
        let screen = self.screen_mut();
        (screen.top, screen.bottom) = (0, last);
        screen.saved = Saved::default();
        let Cursor { row, col, pending_wrap, .. } = self.cursor;
        self.cursor = Cursor { row, col, pending_wrap, ..Cursor::default() };
    }
}

/// An erase of a part of a row: the row, the first column, and the one after the last.
type Fill = fn(&mut Screen, usize, usize, usize, Cell);

/// A count as a signed distance.
fn step(count: usize) -> isize {
    isize::try_from(count).unwrap_or(isize::MAX)
}
