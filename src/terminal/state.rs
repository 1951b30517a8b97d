//! The state of the terminal, without the parser: screens, cursor, modes, title, colours and
//! scrollback. This module also writes characters to the screen.

use unicode_width::UnicodeWidthChar;

use super::alerts::Alerts;
use super::answers::Answers;
use super::cell::{Cell, Part, Style};
use super::colors::Palette;
use super::interner::Interner;
use super::keyboard::{Keyboard, Shown};
use super::modes::{INSERT, Modes, WRAP};
use super::screen::{Charset, Cursor, Saved, Screen};
use super::scrollback::Scrollback;
use super::title::Titles;
use crate::names::{TermSize, Theme};

/// U+FEFF, which shows nothing.
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

/// Maximum number of combining marks on a character; further ones are dropped.
const MARKS_MAX: usize = 8;

/// Cost of making or freeing a row, as the number of cells that can be written in the same time.
pub(super) const ROW_COST: usize = 16;

/// Columns between the tab stops at power-on.
const TAB: usize = 8;

/// The state of the terminal.
#[derive(Debug)]
pub(super) struct TerminalState {
    pub(super) cols: usize,
    pub(super) rows: usize,
    pub(super) main: Screen,
    /// The alternate screen while it is shown; it is discarded when a program leaves it, as in
    /// xterm.js.
    pub(super) alternate: Option<Screen>,
    /// The saved cursor of the alternate screen while that is not shown.
    pub(super) alternate_saved: Saved,
    pub(super) cursor: Cursor,
    pub(super) modes: Modes,
    pub(super) keyboard: Keyboard,
    /// For each column, whether it is a tab stop.
    pub(super) tabs: Vec<bool>,
    pub(super) titles: Titles,
    pub(super) palette: Palette,
    /// The cursor style as in DECSCUSR, 0 to 6.
    pub(super) cursor_shape: u16,
    pub(super) scrollback: Scrollback,
    pub(super) links: Interner,
    pub(super) marks: Interner,
    pub(super) answers: Answers,
    /// The character that REP repeats: the last one received, if it is on the screen and nothing
    /// else was received since.
    pub(super) repeatable: Option<char>,
    /// Cells touched on screens that no longer exist, as in [`Screen::take_touched`], and the cost
    /// of making and freeing screens.
    pub(super) touched: usize,
    /// Whether a combining mark was received last. REP then repeats the character before the cursor
    /// with its marks.
    pub(super) marked: bool,
    /// Whether the bell rang and nobody has asked yet.
    pub(super) bell: bool,
    pub(super) alerts: Alerts,
}

/// The tab stops at power-on.
pub(super) fn first_tabs(cols: usize) -> Vec<bool> {
    (0..cols).map(|col| col % TAB == 0).collect()
}

impl TerminalState {
    /// The power-on state.
    pub(super) fn new(size: TermSize) -> Self {
        let (cols, rows) = (usize::from(size.cols()), usize::from(size.rows()));
        Self {
            cols,
            rows,
            main: Screen::new(cols, rows),
            alternate: None,
            alternate_saved: Saved::default(),
            cursor: Cursor::default(),
            modes: Modes::new(),
            keyboard: Keyboard::default(),
            tabs: first_tabs(cols),
            titles: Titles::default(),
            palette: Palette::new(Theme::DEFAULT),
            cursor_shape: 0,
            scrollback: Scrollback::default(),
            links: Interner::default(),
            marks: Interner::default(),
            answers: Answers::default(),
            repeatable: None,
            touched: 0,
            marked: false,
            bell: false,
            alerts: Alerts::default(),
        }
    }

    /// Returns the number of cells and rows touched since the last call, and resets it.
    pub(super) fn take_touched(&mut self) -> usize {
        let alternate = self.alternate.as_mut().map_or(0, Screen::take_touched);
        std::mem::take(&mut self.touched) + self.main.take_touched() + alternate
    }

    /// Leaves the alternate screen, if it is shown.
    pub(super) fn drop_alternate(&mut self) {
        if let Some(mut screen) = self.alternate.take() {
            self.touched += screen.take_touched() + ROW_COST * self.rows;
            self.alternate_saved = screen.saved;
        }
    }

    /// The screen that is shown.
    pub(super) fn screen(&self) -> &Screen {
        self.alternate.as_ref().unwrap_or(&self.main)
    }

    /// Which screen is shown.
    pub(super) fn shown(&self) -> Shown {
        if self.alternate.is_some() { Shown::Alternate } else { Shown::Main }
    }

    /// The screen that is shown, to be changed.
    pub(super) fn screen_mut(&mut self) -> &mut Screen {
        self.alternate.as_mut().unwrap_or(&mut self.main)
    }

    /// Writes characters at the cursor.
    pub(super) fn print(&mut self, text: &str) {
        let mut rest = text;
        while !rest.is_empty() {
            let ascii = match rest {
                _ if !self.writes_plainly() => 0,
                rest if rest.is_ascii() => rest.len(),
                rest => rest.bytes().take_while(u8::is_ascii).count(),
            };
            if let Some((now, behind)) = rest.split_at_checked(ascii).filter(|_| ascii > 0) {
                self.print_ascii(now.as_bytes());
                rest = behind;
            } else {
                let mut characters = rest.chars();
                if let Some(character) = characters.next() {
                    self.put(character);
                }
                rest = characters.as_str();
            }
        }
    }

    /// Writes the last character again with its marks, `count` times, until at least `cells` cells
    /// were touched. Returns how many times are left. It may be repeated again only if some are.
    pub(super) fn repeat(&mut self, count: usize, cells: usize) -> usize {
        let text = match self.repeatable {
            Some(character) => character.to_string(),
            None if self.marked => self.marked_text(),
            None => return 0,
        };
        let (mut left, mut touched) = (count, 0);
        while left > 0 {
            if touched >= cells {
                return left;
            }
            // A row at a time, so that a row is scrolled at most.
            let now = left.min(self.cols);
            self.print(&text.repeat(now));
            left -= now;
            touched += self.take_touched();
        }
        self.touched += touched;
        (self.repeatable, self.marked) = (None, false);
        0
    }

    /// The character before the cursor with its marks.
    fn marked_text(&self) -> String {
        let (screen, row) = (self.screen(), self.cursor.row);
        let behind = if self.cursor.pending_wrap { self.cols } else { self.cursor.col };
        let col = behind.saturating_sub(1);
        let half = screen.cell(row, col).part == Part::Right;
        let cell = screen.cell(row, col.saturating_sub(half.into()));
        format!("{}{}", cell.glyph, self.marks.text(cell.marks))
    }

    /// Whether ASCII is written to the screen unchanged, one cell per character.
    pub(super) fn writes_plainly(&self) -> bool {
        self.charset() == Charset::Ascii && !self.modes.is_on(INSERT)
    }

    /// Whether a character behind the last column goes to the next row.
    pub(super) fn wraps(&self) -> bool {
        self.modes.is_on(WRAP)
    }

    /// The character set in use.
    pub(super) fn charset(&self) -> Charset {
        self.cursor.charsets.get(self.cursor.active).copied().unwrap_or_default()
    }

    fn print_ascii(&mut self, text: &[u8]) {
        let mut rest = text;
        while !rest.is_empty() {
            self.wrap_if_due();
            let (row, col, blank) = (self.cursor.row, self.cursor.col, self.cursor.blank());
            let count = rest.len().min(self.cols.saturating_sub(col)).max(1);
            let (now, behind) = rest.split_at(count);
            let cells = now.iter().map(|byte| Cell { glyph: char::from(*byte), ..blank });
            self.screen_mut().write(row, col, count, cells, blank);
            self.advance(count);
            self.repeatable = now.last().map(|byte| char::from(*byte));
            self.marked = false;
            rest = behind;
        }
    }

    /// Writes one character at the cursor.
    fn put(&mut self, character: char) {
        if character == BYTE_ORDER_MARK {
            return;
        }
        self.repeatable = None;
        self.marked = false;
        let glyph = self.charset().map(character);
        let blank = self.cursor.blank();
        let wide = match glyph.width() {
            None => return,
            Some(0) => return self.mark(glyph),
            Some(width) if width > self.cols => return,
            Some(width) => width > 1,
        };
        self.wrap_if_due();
        if wide && self.cursor.col + 1 >= self.cols {
            if !self.modes.is_on(WRAP) {
                return;
            }
            let (row, col) = (self.cursor.row, self.cursor.col);
            self.screen_mut().fill(row, col, col + 1, blank);
            self.cursor.pending_wrap = true;
            self.wrap_behind(col);
        }
        let (row, col) = (self.cursor.row, self.cursor.col);
        let count = if wide { 2 } else { 1 };
        if self.modes.is_on(INSERT) {
            self.screen_mut().insert(row, col, count, blank);
        }
        let first = if wide { Part::Left } else { Part::Narrow };
        let cells = [Cell { glyph, part: first, ..blank }, Cell { part: Part::Right, ..blank }];
        self.screen_mut().write(row, col, count, cells.into_iter().take(count), blank);
        self.advance(count);
        self.repeatable = Some(character);
    }

    /// Moves to the next row if the last character filled its row.
    fn wrap_if_due(&mut self) {
        self.wrap_behind(self.cols);
    }

    /// Like [`Self::wrap_if_due`], for a line that continues after `cells` cells of the row.
    fn wrap_behind(&mut self, cells: usize) {
        if self.cursor.pending_wrap && self.modes.is_on(WRAP) {
            let Cursor { row, .. } = self.cursor;
            let bottom = self.screen().bottom;
            self.cursor.col = 0;
            if row != bottom && row + 1 == self.rows {
                // Below the scrolling region, the last row has no next.
                self.cursor.pending_wrap = false;
                return;
            }
            self.screen_mut().set_wrapped(row, cells);
            self.index();
            // The row has moved up with the region.
            if let Some(above) = row.checked_sub(1).filter(|_| row == bottom) {
                self.screen_mut().set_wrapped(above, cells);
            }
        }
        self.cursor.pending_wrap = false;
    }

    fn advance(&mut self, count: usize) {
        self.cursor.col += count;
        if self.cursor.col >= self.cols {
            self.cursor.col = self.screen().last_col();
            self.cursor.pending_wrap = true;
        }
    }

    /// Adds a combining mark to the character before the cursor.
    fn mark(&mut self, mark: char) {
        let (row, mut col) = (self.cursor.row, self.cursor.col);
        if !self.cursor.pending_wrap {
            let Some(left) = col.checked_sub(1) else { return };
            col = left;
        }
        let cells = self.screen_mut().row_mut(row);
        let mut is_behind = true;
        match cells.get(col).map(|cell| cell.part) {
            Some(Part::Right) => col = col.saturating_sub(1),
            // The cursor is in the middle of a wide character.
            Some(Part::Left) => is_behind = false,
            Some(Part::Narrow) | None => {}
        }
        let Some(number) = cells.get(col).map(|cell| cell.marks) else { return };
        let mut marks = self.marks.text(number).to_owned();
        if marks.chars().count() >= MARKS_MAX {
            self.marked = is_behind;
            return;
        }
        marks.push(mark);
        let mut number = self.marks.intern(&marks);
        if number.is_none() && self.marks.wants_sweep() {
            let cells = self.main.rows().chain(self.alternate.iter().flat_map(Screen::rows)).flatten();
            self.marks.sweep(cells.map(|cell| cell.marks));
            number = self.marks.intern(&marks);
        }
        if let (Some(number), Some(cell)) = (number, self.screen_mut().row_mut(row).get_mut(col)) {
            cell.marks = number;
            self.marked = is_behind;
        }
    }

    /// Begins or ends a hyperlink; `link` is `parameters;address`, or empty to end one.
    pub(super) fn link(&mut self, link: &str) {
        let mut number = if link.is_empty() { Some(0) } else { self.links.intern(link) };
        if number.is_none() && self.links.wants_sweep() {
            let screens = || [Some(&self.main), self.alternate.as_ref()].into_iter().flatten();
            let cursors = screens().map(|screen| screen.saved.cursor.style).chain([self.cursor.style]);
            let cells = screens().flat_map(Screen::rows).flatten().map(|cell| cell.style);
            self.links.sweep(cells.chain(cursors).map(|style| style.link));
            number = self.links.intern(link);
        }
        self.cursor.style.link = number.unwrap_or_default();
    }

    /// Moves the cursor down a row. At the bottom of the scrolling region, the region scrolls up,
    /// and a row that leaves the top of the main screen moves to the scrollback.
    pub(super) fn index(&mut self) {
        let blank = self.cursor.style.erased();
        let (top, bottom) = (self.screen().top, self.screen().bottom);
        if self.cursor.row == bottom {
            if top == 0 && self.alternate.is_none() {
                self.scrollback.push(self.main.row(0), self.main.wrapped(0), &self.links, &self.marks);
            }
            self.screen_mut().scroll_up(top, bottom, 1, blank);
        } else if self.cursor.row + 1 < self.rows {
            self.cursor.row += 1;
        }
    }

    /// Ends the line that continues from the scrollback, if `row` is the first of the main screen.
    pub(super) fn end_line_above_screen(&mut self, row: usize) {
        if row == 0 && self.alternate.is_none() {
            self.scrollback.end_line();
        }
    }

    /// Moves the cursor up a row. At the top of the scrolling region, the region scrolls down.
    pub(super) fn reverse_index(&mut self) {
        let blank = self.cursor.style.erased();
        let (top, bottom) = (self.screen().top, self.screen().bottom);
        if self.cursor.row == top {
            self.screen_mut().scroll_down(top, bottom, 1, blank);
            self.end_line_above_screen(top);
        } else {
            self.cursor.row = self.cursor.row.saturating_sub(1);
        }
        self.cursor.pending_wrap = false;
    }

    /// Returns to the power-on state. Keeps the answers that are not sent yet, and the theme; and
    /// the titles, as xterm does.
    pub(super) fn reset(&mut self) {
        let (cols, rows) = (self.cols, self.rows);
        self.drop_alternate();
        self.touched += ROW_COST * rows;
        self.main = Screen::new(cols, rows);
        self.alternate_saved = Saved::default();
        self.cursor = Cursor::default();
        self.modes = Modes::new();
        self.keyboard = Keyboard::default();
        self.tabs = first_tabs(cols);
        self.palette.reset_all();
        self.cursor_shape = 0;
        self.scrollback.clear();
        self.links = Interner::default();
        self.marks = Interner::default();
        self.repeatable = None;
        self.marked = false;
    }

    /// Approximate memory use in bytes.
    pub(super) fn weight(&self) -> usize {
        self.main.weight()
            + self.alternate.as_ref().map_or(0, Screen::weight)
            + self.scrollback.weight()
            + self.links.weight()
            + self.marks.weight()
            + self.titles.weight()
            + self.alerts.weight()
            + self.palette.weight()
            + self.answers.weight()
            + self.keyboard.weight()
            + self.tabs.capacity()
    }

    /// The style of the next character.
    pub(super) fn style_mut(&mut self) -> &mut Style {
        &mut self.cursor.style
    }
}

impl Cursor {
    /// A blank, as writing a space leaves.
    pub(super) fn blank(&self) -> Cell {
        Cell { protected: self.protected, ..Cell::narrow(' ', self.style) }
    }
}

impl Charset {
    /// The character that this set shows for an ASCII character.
    pub(super) fn map(self, character: char) -> char {
        match (self, character) {
            (Self::British, '#') => '£',
            (Self::Drawing, '_'..='~') => {
                let drawn = "\u{a0}◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·";
                let at = u32::from(character) - u32::from('_');
                usize::try_from(at).ok().and_then(|at| drawn.chars().nth(at)).unwrap_or(character)
            }
            (Self::Ascii | Self::British | Self::Drawing, _) => character,
        }
    }
}
