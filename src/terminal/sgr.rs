//! Select Graphic Rendition (ECMA-48, 8.3.117, with the sub-parameters of ITU T.416): conversion of
//! sequences to styles and of styles to sequences.

use super::cell::{
    BLINK, BOLD, CellColor, ColorKind, DIM, FLAGS, HIDDEN, INVERSE, ITALIC, OVERLINE, STRIKE, Style,
};
use super::sequence::Parameter;

impl Style {
    /// Applies the parameters of an SGR sequence.
    pub(super) fn select(&mut self, parameters: &[Parameter]) {
        if parameters.is_empty() {
            *self = Self { link: self.link, ..Self::PLAIN };
        }
        let mut rest = parameters;
        while let Some((first, behind)) = rest.split_first() {
            let subs = behind.iter().take_while(|parameter| parameter.sub).count();
            let (subs, others) = behind.split_at(subs);
            rest = others;
            match first.value {
                38 | 48 | 58 => {
                    let color = if subs.is_empty() { flat_color(&mut rest) } else { sub_color(subs) };
                    if let Some(color) = color {
                        match first.value {
                            38 => self.foreground = color,
                            48 => self.background = color,
                            _ => self.line_color = color,
                        }
                    }
                }
                4 => {
                    let kind = subs.first().filter(|sub| !sub.empty).map_or(1, |sub| sub.value);
                    self.underline = u8::try_from(kind).ok().filter(|kind| *kind <= 5).unwrap_or(1);
                }
                // What is left of a colour with more sub-parameters than it takes.
                _ if first.sub => {}
                value => self.attribute(value),
            }
        }
    }

    fn attribute(&mut self, value: u16) {
        match value {
            0 => *self = Self { link: self.link, ..Self::PLAIN },
            1 => self.flags |= BOLD,
            2 => self.flags |= DIM,
            3 => self.flags |= ITALIC,
            5 | 6 => self.flags |= BLINK,
            7 => self.flags |= INVERSE,
            8 => self.flags |= HIDDEN,
            9 => self.flags |= STRIKE,
            21 => self.underline = 2,
            22 => self.flags &= !(BOLD | DIM),
            23 => self.flags &= !ITALIC,
            24 => self.underline = 0,
            25 => self.flags &= !BLINK,
            27 => self.flags &= !INVERSE,
            28 => self.flags &= !HIDDEN,
            29 => self.flags &= !STRIKE,
            30..=37 => self.foreground = indexed(value - 30),
            39 => self.foreground = CellColor::DEFAULT,
            40..=47 => self.background = indexed(value - 40),
            49 => self.background = CellColor::DEFAULT,
            53 => self.flags |= OVERLINE,
            55 => self.flags &= !OVERLINE,
            59 => self.line_color = CellColor::DEFAULT,
            90..=97 => self.foreground = indexed(value - 90 + 8),
            100..=107 => self.background = indexed(value - 100 + 8),
            _ => {}
        }
    }

    /// Appends the parameters that set this style from any other: `0;1;31`.
    pub(super) fn write_parameters(self, out: &mut Vec<u8>) {
        out.push(b'0');
        self.write_changes(Self::PLAIN, out);
    }

    /// Appends the sequence that changes the style `from` to this one; they must differ in more
    /// than the link. It contains only the differences. If an attribute has to be switched off, it
    /// resets the style first, because one parameter can switch off several attributes.
    pub(super) fn write_change(self, mut from: Self, out: &mut Vec<u8>) {
        out.push(0x1b);
        let first = out.len();
        if from.flags & !self.flags != 0 {
            from = Self::PLAIN;
            out.extend_from_slice(b";0");
        }
        self.write_changes(from, out);
        // The first parameter has no separator before it.
        if let Some(first) = out.get_mut(first) {
            *first = b'[';
        }
        out.push(b'm');
    }

    /// Appends the parameters in which this style differs from `from`, each after a separator.
    /// `from` must not have attributes that this style lacks.
    fn write_changes(self, from: Self, out: &mut Vec<u8>) {
        if self.flags != from.flags {
            for (flag, parameter) in FLAGS {
                if self.flags & !from.flags & flag != 0 {
                    write_number(out, b';', parameter);
                }
            }
        }
        if self.underline != from.underline {
            match self.underline {
                0 => out.extend_from_slice(b";24"),
                1 => out.extend_from_slice(b";4"),
                kind => {
                    out.extend_from_slice(b";4");
                    write_number(out, b':', kind);
                }
            }
        }
        if self.foreground != from.foreground {
            write_color(self.foreground, 30, out);
        }
        if self.background != from.background {
            write_color(self.background, 40, out);
        }
        if self.line_color != from.line_color {
            match self.line_color.kind() {
                ColorKind::Default => out.extend_from_slice(b";59"),
                ColorKind::Indexed(index) => {
                    out.extend_from_slice(b";58:5");
                    write_number(out, b':', index);
                }
                ColorKind::Rgb(r, g, b) => {
                    out.extend_from_slice(b";58:2:");
                    [r, g, b].iter().for_each(|part| write_number(out, b':', *part));
                }
            }
        }
    }
}

/// Appends the parameters that select a colour; `base` is 30 for the foreground, 40 for the
/// background.
fn write_color(color: CellColor, base: u8, out: &mut Vec<u8>) {
    match color.kind() {
        ColorKind::Default => write_number(out, b';', base + 9),
        ColorKind::Indexed(index @ 0..=7) => write_number(out, b';', base + index),
        ColorKind::Indexed(index @ 8..=15) => write_number(out, b';', base + 52 + index),
        ColorKind::Indexed(index) => {
            out.extend_from_slice(&[b';', b'0' + base / 10, b'8', b';', b'5']);
            write_number(out, b';', index);
        }
        ColorKind::Rgb(r, g, b) => {
            out.extend_from_slice(&[b';', b'0' + base / 10, b'8', b';', b'2']);
            [r, g, b].iter().for_each(|part| write_number(out, b';', *part));
        }
    }
}

/// Appends the separator and a decimal number. This runs for every line of scrollback.
fn write_number(out: &mut Vec<u8>, separator: u8, number: u8) {
    let [hundreds, tens, ones] = [number / 100, number / 10 % 10, number % 10].map(|digit| b'0' + digit);
    match number {
        0..=9 => out.extend_from_slice(&[separator, ones]),
        10..=99 => out.extend_from_slice(&[separator, tens, ones]),
        100..=255 => out.extend_from_slice(&[separator, hundreds, tens, ones]),
    }
}

fn indexed(value: u16) -> CellColor {
    u8::try_from(value).map_or(CellColor::DEFAULT, CellColor::indexed)
}

/// Parses a colour of the form `38;5;n` or `38;2;r;g;b` and removes it from `rest`, which begins
/// after the 38. Its values may be sub-parameters: `38;5:n`. One that is cut short, or of a kind
/// that is not supported, is removed as well and changes nothing. xterm does the same with
/// `48;2;m`, but takes what is not there at all, as in `48;2m`, for 0; xterm.js does not tell the
/// two apart.
fn flat_color(rest: &mut &[Parameter]) -> Option<CellColor> {
    let (&kind, behind) = rest.split_first()?;
    let subs = behind.iter().take_while(|parameter| parameter.sub).count();
    if subs > 0 {
        let (values, others) = behind.split_at(subs);
        *rest = others;
        return color(kind.value, if subs > 3 { values.get(1..)? } else { values });
    }
    let length = match kind.value {
        5 => 1,
        2 => 3,
        _ => 0,
    };
    let (values, others) = behind.split_at(length.min(behind.len()));
    *rest = others;
    color(kind.value, values)
}

/// Parses a colour of the form `38:5:n`, `38:2:r:g:b` or `38:2:space:r:g:b`.
fn sub_color(subs: &[Parameter]) -> Option<CellColor> {
    let (kind, values) = subs.split_first()?;
    let values = if values.len() > 3 { values.get(1..)? } else { values };
    color(kind.value, values)
}

fn color(kind: u16, values: &[Parameter]) -> Option<CellColor> {
    let mut bytes = values.iter().map(|parameter| u8::try_from(parameter.value).ok());
    match kind {
        5 => Some(CellColor::indexed(bytes.next()??)),
        2 => Some(CellColor::rgb(bytes.next()??, bytes.next()??, bytes.next()??)),
        _ => None,
    }
}
