//! The palette: the colours that programs changed (OSC 4, 10, 11, 12, 104, 110, 111, 112), and for
//! the others the theme in which the terminal is shown. The defaults of the colours 16 to 255 are
//! the same in every theme.

use std::collections::BTreeMap;

use crate::names::{Color, Theme};

/// Places of the foreground, the background and the cursor, after the 256 indexed colours.
pub(super) const FOREGROUND: u16 = 256;
const BACKGROUND: u16 = 257;
pub(super) const CURSOR: u16 = 258;

/// The palette.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Palette {
    theme: Theme,
    /// The colours that programs changed; at most 259.
    changed: BTreeMap<u16, Color>,
}

impl Palette {
    /// The palette of a terminal that is shown in this theme.
    pub(super) fn new(theme: Theme) -> Self {
        Self { theme, changed: BTreeMap::new() }
    }

    /// Changes the theme. The colours that programs changed are kept.
    pub(super) fn set_theme(&mut self, theme: Theme) {
        self.theme = theme;
    }

    /// The colour at a place, 0 to [`CURSOR`].
    pub(super) fn color(&self, place: u16) -> Color {
        self.changed.get(&place).copied().unwrap_or_else(|| self.first_color(place))
    }

    /// The colour at a place that no program changed.
    fn first_color(&self, place: u16) -> Color {
        let step = |level: u16| u8::try_from(if level == 0 { 0 } else { 55 + 40 * level }).unwrap_or(u8::MAX);
        match place {
            16..=231 => {
                let cube = place - 16;
                Color(step(cube / 36), step(cube / 6 % 6), step(cube % 6))
            }
            232..=255 => {
                let gray = u8::try_from(8 + 10 * (place - 232)).unwrap_or(u8::MAX);
                Color(gray, gray, gray)
            }
            FOREGROUND => self.theme.foreground,
            BACKGROUND => self.theme.background,
            CURSOR => self.theme.cursor,
            _ => self.theme.palette.get(usize::from(place)).copied().unwrap_or_default(),
        }
    }

    /// Changes a colour; places past [`CURSOR`] are ignored.
    pub(super) fn set(&mut self, place: u16, color: Color) {
        if place <= CURSOR {
            self.changed.insert(place, color);
        }
    }

    /// Undoes the change of a colour.
    pub(super) fn reset(&mut self, place: u16) {
        self.changed.remove(&place);
    }

    /// Undoes all changes.
    pub(super) fn reset_all(&mut self) {
        self.changed.clear();
    }

    /// Undoes the changes of the 256 indexed colours.
    pub(super) fn reset_indexed(&mut self) {
        self.changed.retain(|place, _| *place >= FOREGROUND);
    }

    /// The changed colours with their places.
    pub(super) fn changed(&self) -> impl Iterator<Item = (u16, Color)> {
        self.changed.iter().map(|(place, color)| (*place, *color))
    }

    /// Approximate memory use in bytes.
    pub(super) fn weight(&self) -> usize {
        self.changed.len() * 16
    }
}

/// Parses a colour as programs write it (XParseColor): `rgb:r/g/b` or `#rgb`, with 1 to 4
/// hexadecimal digits per component.
pub(super) fn parse(text: &[u8]) -> Option<Color> {
    let text = std::str::from_utf8(text).ok()?;
    if let Some(digits) = text.strip_prefix('#').filter(|digits| digits.is_ascii() && digits.len() % 3 == 0) {
        let length = digits.len() / 3;
        let part = |at: usize| digits.get(at * length..(at + 1) * length).and_then(scaled);
        return Some(Color(part(0)?, part(1)?, part(2)?));
    }
    let mut parts = text.strip_prefix("rgb:")?.split('/').map(scaled);
    let color = Color(parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(color)
}

/// A colour in the form used in answers.
pub(super) fn written(Color(r, g, b): Color) -> String {
    format!("rgb:{r:02x}{r:02x}/{g:02x}{g:02x}/{b:02x}{b:02x}")
}

/// Parses 1 to 4 hexadecimal digits and scales the value to a byte.
fn scaled(digits: &str) -> Option<u8> {
    let most = match digits.len() {
        1 => 0xf,
        2 => 0xff,
        3 => 0xfff,
        4 => 0xffff,
        _ => return None,
    };
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u8::try_from(u32::from_str_radix(digits, 16).ok()? * 255 / most).ok()
}
