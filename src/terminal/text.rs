//! What the terminal shows, for programs: whole lines, runs of cells, and the modes.

use serde::Serialize;

use super::Terminal;
use super::cell::{
    BLINK, BOLD, Cell, CellColor, ColorKind, DIM, HIDDEN, INVERSE, ITALIC, OVERLINE, Part, STRIKE, Style,
};
use super::modes::KEYPAD;
use super::screen::{of_line, used};
use super::scrollback;
use super::sgr_writer::{text, untrimmed_text};

/// Lines as a program printed them: the rows of a line that is too long for the screen are joined.
#[derive(Debug, PartialEq, Eq)]
pub struct Lines {
    /// The lines above the screen, oldest first.
    pub scrollback: Vec<String>,
    /// The lines on the screen, from the top, without blank ones at the end. The first one begins
    /// in the scrollback if that continues on the screen.
    pub screen: Vec<String>,
}

/// The modes that a program which types and reads the screen has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ModesShown {
    /// The alternate screen is shown (47, 1047, 1049).
    pub alternate_screen: bool,
    /// The cursor keys send `ESC O` instead of `ESC [` (DECCKM).
    pub application_cursor: bool,
    /// The keypad sends sequences of its own (DECNKM).
    pub application_keypad: bool,
    /// Pasted text is put in brackets (2004).
    pub bracketed_paste: bool,
    /// The program hears whether the terminal has the focus (1004).
    pub focus_events: bool,
    /// Enter sends a line feed too (LNM).
    pub new_line: bool,
    /// Which events of the mouse the program hears, if it hears any.
    pub mouse: Option<&'static str>,
}

/// Neighbouring cells of one style. A field that is as at power-on is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// The first column.
    pub col: usize,
    /// The number of cells.
    pub cols: usize,
    /// The characters.
    pub text: String,
    #[serde(flatten)]
    style: RunStyle,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct RunStyle {
    #[serde(skip_serializing_if = "Option::is_none")]
    foreground: Option<RunColor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    background: Option<RunColor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    underline_color: Option<RunColor>,
    /// As in SGR `4:n`.
    #[serde(skip_serializing_if = "Option::is_none")]
    underline: Option<u8>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

/// A colour: its number in the palette, or `#rrggbb`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum RunColor {
    Indexed(u8),
    Rgb(String),
}

const ATTRIBUTES: [(u8, &str); 8] = [
    (BOLD, "bold"),
    (DIM, "dim"),
    (ITALIC, "italic"),
    (BLINK, "blink"),
    (INVERSE, "inverse"),
    (HIDDEN, "hidden"),
    (STRIKE, "strike"),
    (OVERLINE, "overline"),
];

impl Terminal {
    /// The lines of the scrollback and of the screen.
    pub fn lines(&self) -> Lines {
        let (mut scrollback, mut line) = (Vec::new(), String::new());
        for row in self.state.scrollback.lines() {
            line += &scrollback::plain(row.bytes());
            if row.wrapped() == 0 {
                scrollback.push(std::mem::take(&mut line));
            }
        }
        // The scrollback continues on the main screen, which may be behind the other one.
        if self.state.alternate.is_some() && !line.is_empty() {
            scrollback.push(std::mem::take(&mut line));
        }
        Lines { scrollback, screen: self.joined_rows(line) }
    }

    /// The lines on the screen alone. The first may begin in the scrollback.
    pub fn screen_lines(&self) -> Vec<String> {
        self.joined_rows(String::new())
    }

    /// The lines on the screen, the first of which begins with `line`.
    fn joined_rows(&self, mut line: String) -> Vec<String> {
        let (screen, marks) = (self.state.screen(), &self.state.marks);
        let mut lines = Vec::new();
        for (number, row) in screen.rows().enumerate() {
            match screen.wrapped(number) {
                0 => {
                    line += &text(row, marks);
                    lines.push(std::mem::take(&mut line));
                }
                wrapped => line += &untrimmed_text(of_line(row, wrapped), marks),
            }
        }
        if !line.is_empty() {
            lines.push(line);
        }
        let length = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
        lines.truncate(length);
        lines
    }

    /// The rows of the screen as runs, from the top, without blank rows at the end.
    pub fn runs(&self) -> Vec<Vec<Run>> {
        let mut rows: Vec<_> = self.state.screen().rows().map(|row| self.runs_of(used(row))).collect();
        let length = rows.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1);
        rows.truncate(length);
        rows
    }

    fn runs_of(&self, row: &[Cell]) -> Vec<Run> {
        let (mut runs, mut col) = (Vec::new(), 0);
        for cells in row.chunk_by(|one, other| one.style == other.style || other.part == Part::Right) {
            let Some(style) = cells.first().map(|cell| cell.style) else { continue };
            let text = untrimmed_text(cells, &self.state.marks);
            runs.push(Run { col, cols: cells.len(), text, style: self.style_of(style) });
            col += cells.len();
        }
        runs
    }

    fn style_of(&self, style: Style) -> RunStyle {
        let attributes = ATTRIBUTES.iter().filter(|(flag, _)| style.flags & flag != 0);
        // The parameters of OSC 8, a semicolon, and the address.
        let link = self.state.links.text(style.link).split_once(';').map(|(_, address)| address.to_owned());
        RunStyle {
            foreground: color(style.foreground),
            background: color(style.background),
            underline_color: color(style.line_color),
            underline: Some(style.underline).filter(|underline| *underline > 0),
            attributes: attributes.map(|(_, name)| *name).collect(),
            link,
        }
    }

    /// The modes.
    pub fn modes(&self) -> ModesShown {
        let modes = &self.state.modes;
        let mouse = [(9, "press"), (1000, "click"), (1002, "drag"), (1003, "motion")];
        ModesShown {
            alternate_screen: self.state.alternate.is_some(),
            application_cursor: modes.is_on((true, 1)),
            application_keypad: modes.is_on(KEYPAD),
            bracketed_paste: modes.is_on((true, 2004)),
            focus_events: modes.is_on((true, 1004)),
            new_line: modes.is_on((false, 20)),
            mouse: mouse.into_iter().find(|(mode, _)| modes.is_on((true, *mode))).map(|(_, name)| name),
        }
    }

    /// Whether the cursor is shown.
    pub fn cursor_is_visible(&self) -> bool {
        self.state.modes.is_on((true, 25))
    }
}

fn color(color: CellColor) -> Option<RunColor> {
    match color.kind() {
        ColorKind::Default => None,
        ColorKind::Indexed(index) => Some(RunColor::Indexed(index)),
        ColorKind::Rgb(r, g, b) => Some(RunColor::Rgb(format!("#{r:02x}{g:02x}{b:02x}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::TermSize;

    fn terminal(cols: u16, rows: u16, printed: &str) -> Terminal {
        let mut terminal = Terminal::new(TermSize::new(cols, rows).unwrap());
        terminal.print(printed.as_bytes());
        terminal
    }

    #[test]
    fn rows_of_one_line_are_joined_wherever_they_are() {
        // Of three rows, those of the first line and the beginning of the second are above.
        let mut terminal = terminal(4, 3, "abcdefgh\r\nij  klmnop\u{65e5}q\r\nr\r\n");
        let lines = terminal.lines();
        assert_eq!(lines.scrollback, ["abcdefgh"]);
        assert_eq!(lines.screen, ["ij  klmnop\u{65e5}q", "r"]);
        assert_eq!(terminal.screen_lines(), ["q", "r"]);
        // A snapshot has them as they are, and so has a screen of another width.
        let mut again = Terminal::new(terminal.size());
        again.print(&terminal.snapshot());
        assert_eq!(again.lines(), lines);
        terminal.resize(TermSize::new(6, 3).unwrap());
        assert_eq!(terminal.lines().screen.last().unwrap(), "r");
        assert_eq!(
            [terminal.lines().scrollback, terminal.lines().screen].concat(),
            ["abcdefgh", "ij  klmnop\u{65e5}q", "r"]
        );
    }

    #[test]
    fn the_alternate_screen_continues_no_line_of_the_scrollback() {
        let lines = terminal(4, 2, "abcdefghijklmn\x1b[?1049h\x1b[Hedit").lines();
        assert_eq!(lines.scrollback, ["abcdefgh"]);
        assert_eq!(lines.screen, ["edit"]);
    }

    #[test]
    fn runs_have_the_style_of_their_cells() {
        let shown = terminal(
            20,
            3,
            "a\x1b[1;31mb\u{65e5}c\x1b[0;48;2;1;2;3;4:3;58;5;9m d\x1b[m\x1b]8;id=1;https://example.org/;x\x1b\\e\x1b]8;;\x1b\\",
        );
        let runs = serde_json::to_value(shown.runs()).unwrap();
        assert_eq!(
            runs,
            serde_json::json!([[
                { "col": 0, "cols": 1, "text": "a" },
                { "col": 1, "cols": 4, "text": "b\u{65e5}c", "foreground": 1, "attributes": ["bold"] },
                { "col": 5, "cols": 2, "text": " d", "background": "#010203", "underline": 3,
                  "underline_color": 9 },
                { "col": 7, "cols": 1, "text": "e", "link": "https://example.org/;x" },
            ]])
        );
    }

    #[test]
    fn the_modes_are_those_that_are_on() {
        let all_off = terminal(8, 2, "").modes();
        assert!(!all_off.application_cursor && !all_off.bracketed_paste && all_off.mouse.is_none());
        let vim =
            terminal(8, 2, "\x1b[?1049h\x1b[?1h\x1b=\x1b[?2004h\x1b[?1002h\x1b[?1004h\x1b[20h\x1b[?25l");
        let modes = ModesShown {
            alternate_screen: true,
            application_cursor: true,
            application_keypad: true,
            bracketed_paste: true,
            focus_events: true,
            new_line: true,
            mouse: Some("drag"),
        };
        assert_eq!(vim.modes(), modes);
        assert!(!vim.cursor_is_visible());
    }
}
