//! Operating system commands (`ESC ]`): titles, links, colours and notifications. All others are
//! ignored on purpose: the clipboard (52), directories and prompt marks (7, 133) change nothing on
//! the screen, and a snapshot must not repeat them.

use super::answers;
use super::colors::{self, CURSOR, FOREGROUND};
use super::state::TerminalState;

/// Maximum size of a hyperlink with its parameters in bytes; a longer one counts as no link.
const LINK_MAX: usize = 2048;

impl TerminalState {
    /// Executes a command.
    pub(super) fn command(&mut self, payload: &[u8]) {
        let (number, rest) = cut(payload);
        match number {
            b"0" | b"2" => self.titles.set(&String::from_utf8_lossy(rest.unwrap_or_default())),
            b"4" => self.indexed_colors(rest.unwrap_or_default()),
            b"9" => self.alerts.osc_9(rest.unwrap_or_default()),
            b"99" => self.alerts.osc_99(rest.unwrap_or_default()),
            b"777" => self.alerts.osc_777(rest.unwrap_or_default()),
            b"8" => self.hyperlink(rest.unwrap_or_default()),
            b"10" => self.dynamic_colors(FOREGROUND, rest.unwrap_or_default()),
            b"11" => self.dynamic_colors(FOREGROUND + 1, rest.unwrap_or_default()),
            b"12" => self.dynamic_colors(CURSOR, rest.unwrap_or_default()),
            b"104" => match rest {
                None | Some([]) => self.palette.reset_indexed(),
                Some(places) => {
                    for place in places.split(|byte| *byte == b';').filter_map(index) {
                        self.palette.reset(place);
                    }
                }
            },
            b"110" => self.palette.reset(FOREGROUND),
            b"111" => self.palette.reset(FOREGROUND + 1),
            b"112" => self.palette.reset(CURSOR),
            _ => {}
        }
    }

    /// Executes a device control string. Only the query for a setting (DECRQSS) is supported.
    pub(super) fn device_string(&mut self, payload: &[u8]) {
        let screen = self.screen();
        let answer = match payload {
            b"$qm" => answers::style(self.cursor.style),
            b"$qr" => answers::status(&format!("{};{}r", screen.top + 1, screen.bottom + 1)),
            b"$q q" => answers::status(&format!("{} q", self.cursor_shape)),
            [b'$', b'q', ..] => "\x1bP0$r\x1b\\".to_owned(),
            _ => return,
        };
        self.answers.push(&answer);
    }

    fn hyperlink(&mut self, link: &[u8]) {
        let (_, address) = cut(link);
        let link = std::str::from_utf8(link).unwrap_or_default();
        let wrong = link.len() > LINK_MAX || link.chars().any(char::is_control);
        self.link(if wrong || address.is_none_or(<[u8]>::is_empty) { "" } else { link });
    }

    /// Changes or reports the colours given as `place;colour` pairs.
    fn indexed_colors(&mut self, rest: &[u8]) {
        let mut parts = rest.split(|byte| *byte == b';');
        while let (Some(place), Some(color)) = (parts.next(), parts.next()) {
            if let Some(place) = index(place) {
                self.color(place, color, &format!("4;{place}"));
            }
        }
    }

    /// Changes or reports the colour at `first` and those after it.
    fn dynamic_colors(&mut self, first: u16, rest: &[u8]) {
        for (place, color) in (first..=CURSOR).zip(rest.split(|byte| *byte == b';')) {
            self.color(place, color, &format!("{}", 10 + place - FOREGROUND));
        }
    }

    /// Changes a colour, or reports it if `color` is `?`.
    fn color(&mut self, place: u16, color: &[u8], name: &str) {
        if color == b"?" {
            let color = colors::written(self.palette.color(place));
            self.answers.push(&format!("\x1b]{name};{color}\x1b\\"));
        } else if let Some(color) = colors::parse(color) {
            self.palette.set(place, color);
        }
    }
}

/// The bytes before the first `;`, and those after it if there is one.
fn cut(bytes: &[u8]) -> (&[u8], Option<&[u8]>) {
    match bytes.iter().position(|byte| *byte == b';') {
        None => (bytes, None),
        Some(at) => (bytes.get(..at).unwrap_or_default(), bytes.get(at + 1..)),
    }
}

/// Parses a place among the 256 indexed colours.
fn index(digits: &[u8]) -> Option<u16> {
    let place: u8 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(u16::from(place))
}
