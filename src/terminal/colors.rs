//! The colours behind the palette's numbers, as far as programs changed them (OSC 4, 10, 11, 12,
//! 104, 110, 111, 112), and the answers for those that nobody changed: a dark terminal.

use std::collections::BTreeMap;

/// A colour: red, green, blue.
pub(super) type Rgb = (u8, u8, u8);

/// Places of the foreground, the background and the cursor, behind the 256 of the palette.
pub(super) const FOREGROUND: u16 = 256;
const BACKGROUND: u16 = 257;
pub(super) const CURSOR: u16 = 258;

/// The first sixteen, as xterm has them.
const NAMED: [Rgb; 16] = [
    (0, 0, 0),
    (205, 0, 0),
    (0, 205, 0),
    (205, 205, 0),
    (0, 0, 238),
    (205, 0, 205),
    (0, 205, 205),
    (229, 229, 229),
    (127, 127, 127),
    (255, 0, 0),
    (0, 255, 0),
    (255, 255, 0),
    (92, 92, 255),
    (255, 0, 255),
    (0, 255, 255),
    (255, 255, 255),
];

/// The colours that were changed; at most 259.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Palette {
    changed: BTreeMap<u16, Rgb>,
}

impl Palette {
    /// The colour of a place, 0 to [`CURSOR`].
    pub(super) fn color(&self, place: u16) -> Rgb {
        self.changed.get(&place).copied().unwrap_or_else(|| first_color(place))
    }

    /// Changes a colour; places that do not exist are left out.
    pub(super) fn set(&mut self, place: u16, color: Rgb) {
        if place <= CURSOR {
            self.changed.insert(place, color);
        }
    }

    /// Takes a change back.
    pub(super) fn reset(&mut self, place: u16) {
        self.changed.remove(&place);
    }

    /// Takes every change of the palette's 256 back.
    pub(super) fn reset_indexed(&mut self) {
        self.changed.retain(|place, _| *place >= FOREGROUND);
    }

    /// The changes.
    pub(super) fn changed(&self) -> impl Iterator<Item = (u16, Rgb)> {
        self.changed.iter().map(|(place, color)| (*place, *color))
    }

    /// Bytes of memory held, about.
    pub(super) fn weight(&self) -> usize {
        self.changed.len() * 16
    }
}

/// A colour as programs write it (XParseColor): `rgb:r/g/b` or `#rgb`, 1 to 4 digits each.
pub(super) fn parse(text: &[u8]) -> Option<Rgb> {
    let text = std::str::from_utf8(text).ok()?;
    if let Some(digits) = text.strip_prefix('#').filter(|digits| digits.is_ascii() && digits.len() % 3 == 0) {
        let length = digits.len() / 3;
        let part = |at: usize| digits.get(at * length..(at + 1) * length).and_then(scaled);
        return Some((part(0)?, part(1)?, part(2)?));
    }
    let mut parts = text.strip_prefix("rgb:")?.split('/').map(scaled);
    let color = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(color)
}

/// A colour as the answers have it.
pub(super) fn written((r, g, b): Rgb) -> String {
    format!("rgb:{r:02x}{r:02x}/{g:02x}{g:02x}/{b:02x}{b:02x}")
}

/// 1 to 4 hexadecimal digits, scaled to a byte.
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

/// The colour of a place that nobody changed.
fn first_color(place: u16) -> Rgb {
    let step = |level: u16| u8::try_from(if level == 0 { 0 } else { 55 + 40 * level }).unwrap_or(u8::MAX);
    match place {
        16..=231 => {
            let cube = place - 16;
            (step(cube / 36), step(cube / 6 % 6), step(cube % 6))
        }
        232..=255 => {
            let gray = u8::try_from(8 + 10 * (place - 232)).unwrap_or(u8::MAX);
            (gray, gray, gray)
        }
        // Those of the page by night, `web/src/themes.ts`: what a program chooses for them is good by day too, for
        // there the page sees to the contrast.
        FOREGROUND => (0xd9, 0xdc, 0xe5),
        BACKGROUND => (0x13, 0x15, 0x1b),
        CURSOR => (0x9d, 0xb0, 0xff),
        _ => NAMED.get(usize::from(place)).copied().unwrap_or_default(),
    }
}
