//! Paints the screen of a terminal on another one: the one that `tere attach` runs in. What that one
//! is sent is made here of cells and modes. No byte of the shell reaches it as it was printed, so
//! nothing that a program prints makes it answer, or do anything but show text.
//!
//! A row is painted whole if anything in it has changed. Where the other terminal is smaller, it
//! shows the part of the screen around the cursor.

use unicode_width::UnicodeWidthChar as _;

use super::Terminal;
use super::cell::{Cell, Part, Style};
use super::modes::{KEYPAD, MOUSE, MOUSE_ENCODINGS, Number};
use super::sgr_writer::{Columns, SgrWriter};
use super::state::TerminalState;
use crate::names::TermSize;

/// Enters the alternate screen, puts the title on the terminal's stack, switches automatic wrapping
/// off, and clears the screen.
const BEGIN: &[u8] = b"\x1b[?1049h\x1b[22;2t\x1b[?7l\x1b(B\x0f\x1b[m\x1b[2J";

/// Undoes [`BEGIN`].
const END: &[u8] = b"\x1b[m\x1b]8;;\x1b\\\x1b[?7h\x1b[23;2t\x1b[?1049l";

/// Synchronised output: the other terminal shows all of a frame at once, if it knows the mode.
const FRAME_BEGINS: &[u8] = b"\x1b[?2026h";
const FRAME_ENDS: &[u8] = b"\x1b[?2026l";

/// The cursor's visibility.
const CURSOR_VISIBLE: Number = (true, 25);

/// The modes that the other terminal takes over, because they decide what its keys, its paste, its
/// focus and its cursor do. All are off at power-on but the visible cursor.
const MODES: [Number; 4] = [(true, 1), KEYPAD, (true, 1004), (true, 2004)];

/// What the other terminal was told besides its rows.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Settings {
    /// In the order of [`MODES`].
    modes: [bool; MODES.len()],
    mouse: Option<u16>,
    encoding: Option<u16>,
    cursor_shape: u16,
    title: String,
}

/// The cursor on the other terminal: row, column. None if it is hidden.
type CursorPlace = Option<(usize, usize)>;

/// What another terminal shows, and how to have it show more.
#[derive(Debug)]
pub struct Painter {
    size: TermSize,
    /// The bytes that each row was painted with. Empty if nothing is known of the rows.
    rows: Vec<Vec<u8>>,
    settings: Settings,
    cursor: CursorPlace,
}

impl Painter {
    /// For another terminal of this size, and the bytes with which it begins.
    pub fn begin(size: TermSize) -> (Self, Vec<u8>) {
        let painter = Self { size, rows: Vec::new(), settings: Settings::default(), cursor: Some((0, 0)) };
        (painter, BEGIN.to_vec())
    }

    /// The bytes that bring the other terminal back to what it was before.
    pub fn end(mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.apply(Settings::default(), &mut out);
        out.extend_from_slice(b"\x1b[?25h");
        out.extend_from_slice(END);
        out
    }

    /// The bytes that bring a terminal back whose painter is lost, whatever it was told.
    pub fn give_back() -> Vec<u8> {
        [b"\x1b[?1l\x1b>\x1b[?9;1000;1002;1003;1004;1006;1016;2004l\x1b[0 q\x1b[?25h", END].concat()
    }

    /// The size of the other terminal.
    pub fn size(&self) -> TermSize {
        self.size
    }

    /// The other terminal has this size, and nothing is known of what it shows: it is painted anew.
    pub fn resize(&mut self, size: TermSize) {
        self.size = size;
        self.rows.clear();
    }

    /// The bytes that make the other terminal show this one, with a line of status over its last
    /// row if there is one. Empty if it shows that already.
    pub fn paint(&mut self, terminal: &Terminal, status: Option<&str>) -> Vec<u8> {
        let state = &terminal.state;
        let (cols, rows) = (usize::from(self.size.cols()), usize::from(self.size.rows()));
        let mut out = Vec::new();
        let mut is_changed = false;
        if self.rows.len() != rows {
            self.rows = vec![Vec::new(); rows];
            out.extend_from_slice(b"\x1b[m\x1b[2J");
            is_changed = true;
        }
        // The first row and column that are shown.
        let (top, left) =
            ((state.cursor.row + 1).saturating_sub(rows), (state.cursor.col + 1).saturating_sub(cols));
        for row in 0..rows {
            let painted = match status {
                Some(status) if row + 1 == rows => status_row(status, cols),
                _ => row_of(state, top + row, left, cols),
            };
            if let Some(known) = self.rows.get_mut(row).filter(|known| **known != painted) {
                out.extend_from_slice(format!("\x1b[{};1H\x1b[m\x1b[K", row + 1).as_bytes());
                out.extend_from_slice(&painted);
                *known = painted;
                is_changed = true;
            }
        }
        let settings_begin = out.len();
        self.apply(Settings::of(terminal), &mut out);
        is_changed |= out.len() > settings_begin;
        let place = (state.cursor.row - top, state.cursor.col.saturating_sub(left).min(cols - 1));
        let cursor = state.modes.is_on(CURSOR_VISIBLE).then_some(place);
        if !is_changed && cursor == self.cursor {
            return Vec::new();
        }
        self.cursor = cursor;
        out.extend_from_slice(b"\x1b[m");
        if let Some((row, col)) = cursor {
            out.extend_from_slice(format!("\x1b[{};{}H\x1b[?25h", row + 1, col + 1).as_bytes());
        }
        [FRAME_BEGINS, b"\x1b[?25l", &out, FRAME_ENDS].concat()
    }

    /// Tells the other terminal what has changed besides the rows.
    fn apply(&mut self, settings: Settings, out: &mut Vec<u8>) {
        let told = std::mem::replace(&mut self.settings, settings);
        let wanted = &self.settings;
        for ((number, was), is) in MODES.into_iter().zip(told.modes).zip(wanted.modes) {
            if was != is {
                switch(number, is, out);
            }
        }
        for (was, is) in [(told.mouse, wanted.mouse), (told.encoding, wanted.encoding)] {
            if was != is {
                was.inspect(|mode| switch((true, *mode), false, out));
                is.inspect(|mode| switch((true, *mode), true, out));
            }
        }
        if told.cursor_shape != wanted.cursor_shape {
            out.extend_from_slice(format!("\x1b[{} q", wanted.cursor_shape).as_bytes());
        }
        if told.title != wanted.title {
            out.extend_from_slice(format!("\x1b]2;{}\x1b\\", wanted.title).as_bytes());
        }
    }
}

impl Settings {
    fn of(terminal: &Terminal) -> Self {
        let state = &terminal.state;
        let on = |modes: &[u16]| modes.iter().copied().find(|mode| state.modes.is_on((true, *mode)));
        Self {
            modes: MODES.map(|number| state.modes.is_on(number)),
            mouse: on(&MOUSE),
            encoding: on(&MOUSE_ENCODINGS),
            cursor_shape: state.cursor_shape,
            title: terminal.title().to_owned(),
        }
    }
}

fn switch(number: Number, on: bool, out: &mut Vec<u8>) {
    if number == KEYPAD {
        out.extend_from_slice(if on { b"\x1b=" } else { b"\x1b>" });
    } else {
        out.extend_from_slice(format!("\x1b[?{}{}", number.1, if on { 'h' } else { 'l' }).as_bytes());
    }
}

/// A row of the screen from column `left` on, as bytes that begin and end in the plain style.
fn row_of(state: &TerminalState, row: usize, left: usize, cols: usize) -> Vec<u8> {
    if row >= state.rows {
        return Vec::new();
    }
    let mut cells: Vec<Cell> = state.screen().row(row).iter().skip(left).take(cols).copied().collect();
    // Half of a wide character at a border is a blank.
    if let Some(first) = cells.first_mut().filter(|cell| cell.part == Part::Right) {
        *first = Cell::narrow(' ', first.style);
    }
    if let Some(last) = cells.last_mut().filter(|cell| cell.part == Part::Left) {
        *last = Cell::narrow(' ', last.style);
    }
    let mut writer = SgrWriter::new(&state.links, &state.marks);
    writer.row(&cells, Columns::Absolute);
    writer.style(Style::PLAIN);
    writer.out
}

/// The line of status: inverse, over the whole width, cut where it does not fit.
fn status_row(text: &str, cols: usize) -> Vec<u8> {
    let mut width = 0;
    let fits = |character: &char| {
        width += character.width().unwrap_or(0);
        width <= cols
    };
    let shown: String = text.chars().filter(|character| !character.is_control()).take_while(fits).collect();
    let blanks = cols.saturating_sub(shown.chars().filter_map(|character| character.width()).sum());
    format!("\x1b[7m{shown}{}\x1b[m", " ".repeat(blanks)).into_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::screen::used;
    use super::*;

    fn size(cols: u16, rows: u16) -> TermSize {
        TermSize::new(cols, rows).unwrap()
    }

    /// Another terminal, as `tere attach` has it painted.
    struct Outer {
        painter: Painter,
        terminal: Terminal,
    }

    impl Outer {
        fn new(size: TermSize) -> Self {
            let mut terminal = Terminal::new(size);
            let (painter, begin) = Painter::begin(size);
            terminal.print(&begin);
            Self { painter, terminal }
        }

        fn paint(&mut self, inner: &Terminal, status: Option<&str>) -> usize {
            let bytes = self.painter.paint(inner, status);
            self.terminal.print(&bytes);
            bytes.len()
        }

        fn shows(&self, inner: &Terminal) {
            assert_eq!(self.terminal.screen_text(), inner.screen_text());
            let cells = |terminal: &Terminal| {
                let text = |cell: &Cell| {
                    let (links, marks) = (&terminal.state.links, &terminal.state.marks);
                    let style = cell.style.unlinked();
                    (
                        cell.glyph,
                        cell.part,
                        style,
                        links.text(cell.style.link).to_owned(),
                        marks.text(cell.marks).to_owned(),
                    )
                };
                let rows = terminal.state.screen().rows();
                rows.map(|row| used(row).iter().map(text).collect::<Vec<_>>()).collect::<Vec<_>>()
            };
            assert_eq!(cells(&self.terminal), cells(inner));
            let visible = |terminal: &Terminal| terminal.state.modes.is_on(CURSOR_VISIBLE);
            assert_eq!(visible(&self.terminal), visible(inner));
            if visible(inner) {
                assert_eq!(self.terminal.cursor(), inner.cursor());
            }
            assert_eq!(Settings::of(&self.terminal), Settings::of(inner));
        }
    }

    #[test]
    fn another_terminal_shows_the_same_and_is_told_only_what_changes() {
        let mut inner = Terminal::new(size(20, 4));
        let mut outer = Outer::new(size(20, 4));
        inner.print(
            "a\x1b[1;31mred\x1b[m 中文 e\u{301}\r\n\x1b]8;;http://x.example\x1b\\link\x1b]8;;\x1b\\"
                .as_bytes(),
        );
        inner.print(b"\x1b]2;a title\x1b\\\x1b[?1h\x1b=\x1b[?2004h\x1b[?1002h\x1b[?1006h\x1b[4 q");
        assert!(outer.paint(&inner, None) > 0);
        outer.shows(&inner);
        assert_eq!(outer.paint(&inner, None), 0);
        inner.print(b"x");
        let keystroke = outer.paint(&inner, None);
        assert!(keystroke < 120, "{keystroke} bytes for one character");
        outer.shows(&inner);
        inner.print(b"\x1b[?25l");
        outer.paint(&inner, None);
        outer.shows(&inner);
    }

    #[test]
    fn how_keys_are_told_does_not_reach_the_other_terminal() {
        let mut inner = Terminal::new(size(20, 4));
        let mut outer = Outer::new(size(20, 4));
        outer.paint(&inner, None);
        inner.print(b"\x1b[>31u\x1b[=5u\x1b[>4;2m\x1b[?1049h\x1b[>1u");
        assert_eq!(outer.paint(&inner, None), 0);
    }

    #[test]
    fn the_other_terminal_is_left_as_it_was() {
        let mut outer = Outer::new(size(20, 4));
        let mut before = Terminal::new(size(20, 4));
        before.print(b"\x1b]2;mine\x1b\\$ tere attach");
        let (painter, begin) = Painter::begin(size(20, 4));
        outer.painter = painter;
        outer.terminal = Terminal::new(size(20, 4));
        outer.terminal.print(b"\x1b]2;mine\x1b\\$ tere attach");
        outer.terminal.print(&begin);
        let mut inner = Terminal::new(size(20, 4));
        inner.print(b"\x1b[31mhello\x1b[?1h\x1b=\x1b[?2004h\x1b[?1003h\x1b[?1016h\x1b[?25l\x1b[3 q\x1b]2;theirs\x1b\\");
        outer.paint(&inner, None);
        let Outer { painter, mut terminal } = outer;
        terminal.print(&painter.end());
        assert_eq!(terminal.screen_text(), before.screen_text());
        assert_eq!(terminal.cursor(), before.cursor());
        assert_eq!((terminal.title(), Settings::of(&terminal)), ("mine", Settings::of(&before)));
        assert!(terminal.state.modes.is_on(CURSOR_VISIBLE) && terminal.state.modes.is_on((true, 7)));
        // Also by whoever knows nothing of it.
        let mut lost = Terminal::new(size(20, 4));
        lost.print(b"\x1b]2;mine\x1b\\$ tere attach");
        lost.print(&begin);
        lost.print(b"\x1b[?1h\x1b=\x1b[?2004h\x1b[?1003h\x1b[?1016h\x1b[?25l\x1b[3 q\x1b]2;theirs\x1b\\");
        lost.print(&Painter::give_back());
        assert_eq!((lost.title(), Settings::of(&lost)), ("mine", Settings::of(&before)));
        assert_eq!((lost.screen_text(), lost.cursor()), (before.screen_text(), before.cursor()));
    }

    #[test]
    fn a_smaller_terminal_shows_what_is_around_the_cursor() {
        let mut inner = Terminal::new(size(10, 5));
        inner.print("1\r\n2\r\n3\r\n中4\r\n5".as_bytes());
        let mut outer = Outer::new(size(3, 2));
        outer.paint(&inner, None);
        assert_eq!(outer.terminal.screen_text(), "中4\n5");
        inner.print(b"\x1b[4;4H");
        outer.paint(&inner, None);
        // Half of the wide character is beyond the border.
        assert_eq!(outer.terminal.screen_text(), "\n 4");
        assert_eq!(outer.terminal.cursor(), (1, 2));
    }

    #[test]
    fn a_line_of_status_is_over_the_last_row_and_goes_again() {
        let mut inner = Terminal::new(size(12, 2));
        inner.print(b"one\r\ntwo");
        let mut outer = Outer::new(size(12, 2));
        outer.paint(&inner, Some("offline\x1b[31m, trying to reconnect"));
        assert_eq!(outer.terminal.screen_text(), "one\noffline[31m,");
        outer.paint(&inner, None);
        outer.shows(&inner);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn whatever_is_printed_another_terminal_shows_the_same(
            streams in proptest::collection::vec(stream(), 1..6),
        ) {
            let mut inner = Terminal::new(size(12, 5));
            let mut outer = Outer::new(size(12, 5));
            for stream in streams {
                inner.print(stream.as_bytes());
                outer.paint(&inner, None);
                outer.shows(&inner);
            }
        }
    }

    /// Output of a program, with what moves, styles and scrolls.
    fn stream() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            "[a-z ]{1,15}",
            Just("中".to_owned()),
            Just("e\u{301}".to_owned()),
            Just("\r\n".to_owned()),
            (1..6u8, 1..13u8).prop_map(|(row, col)| format!("\x1b[{row};{col}H")),
            (0..110u8).prop_map(|sgr| format!("\x1b[{sgr}m")),
            (0..4u8).prop_map(|which| format!("\x1b[{which}J")),
            (0..4u8).prop_map(|which| format!("\x1b[{which}K")),
            (1..5u8).prop_map(|count| format!("\x1b[{count}P")),
            (1..5u8).prop_map(|count| format!("\x1b[{count}@")),
            (1..5u8, 1..6u8).prop_map(|(top, bottom)| format!("\x1b[{top};{bottom}r")),
            prop::sample::select(vec![1u16, 6, 7, 25, 1000, 1002, 1004, 1006, 1049, 2004])
                .prop_flat_map(|mode| prop::bool::ANY
                    .prop_map(move |on| format!("\x1b[?{mode}{}", if on { 'h' } else { 'l' }))),
            Just("\x1bM".to_owned()),
            Just("\x1b(0lqk\x1b(B".to_owned()),
            Just("\x1b]8;;http://x.example\x1b\\li\x1b]8;;\x1b\\".to_owned()),
        ];
        proptest::collection::vec(part, 1..12).prop_map(|parts| parts.concat())
    }
}
