//! Select Graphic Rendition (ECMA-48, 8.3.117, with the sub-parameters of ITU T.416): from a
//! sequence to a style, and from a style to the sequence that makes it.

use super::cell::{BLINK, BOLD, Color, DIM, FLAGS, HIDDEN, INVERSE, ITALIC, OVERLINE, STRIKE, Shade, Style};
use super::sequence::Parameter;

impl Style {
    /// Changes the style by the parameters of one SGR.
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
                    self.underline = subs.first().map_or(1, |sub| u8::try_from(sub.value).unwrap_or(1).min(5))
                }
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
            39 => self.foreground = Color::DEFAULT,
            40..=47 => self.background = indexed(value - 40),
            49 => self.background = Color::DEFAULT,
            53 => self.flags |= OVERLINE,
            55 => self.flags &= !OVERLINE,
            59 => self.line_color = Color::DEFAULT,
            90..=97 => self.foreground = indexed(value - 90 + 8),
            100..=107 => self.background = indexed(value - 100 + 8),
            _ => {}
        }
    }

    /// Appends the parameters that make this style of any other: `0;1;31`.
    pub(super) fn write_parameters(self, out: &mut Vec<u8>) {
        out.push(b'0');
        for (flag, parameter) in FLAGS {
            if self.flags & flag != 0 {
                write_numbers(out, b';', &[parameter]);
            }
        }
        match self.underline {
            0 => {}
            1 => out.extend_from_slice(b";4"),
            kind => {
                out.extend_from_slice(b";4");
                write_numbers(out, b':', &[kind]);
            }
        }
        write_color(self.foreground, 30, out);
        write_color(self.background, 40, out);
        match self.line_color.shade() {
            Shade::Default => {}
            Shade::Indexed(index) => {
                out.extend_from_slice(b";58:5");
                write_numbers(out, b':', &[index]);
            }
            Shade::Rgb(r, g, b) => {
                out.extend_from_slice(b";58:2:");
                write_numbers(out, b':', &[r, g, b]);
            }
        }
    }
}

fn write_color(color: Color, base: u8, out: &mut Vec<u8>) {
    match color.shade() {
        Shade::Default => {}
        Shade::Indexed(index @ 0..=7) => write_numbers(out, b';', &[base + index]),
        Shade::Indexed(index @ 8..=15) => write_numbers(out, b';', &[base + 52 + index]),
        Shade::Indexed(index) => write_numbers(out, b';', &[base + 8, 5, index]),
        Shade::Rgb(r, g, b) => write_numbers(out, b';', &[base + 8, 2, r, g, b]),
    }
}

/// Appends numbers in decimal, each behind the separator. Every line of history passes here.
fn write_numbers(out: &mut Vec<u8>, separator: u8, numbers: &[u8]) {
    for number in numbers {
        out.push(separator);
        if *number >= 100 {
            out.push(b'0' + number / 100);
        }
        if *number >= 10 {
            out.push(b'0' + number / 10 % 10);
        }
        out.push(b'0' + number % 10);
    }
}

fn indexed(value: u16) -> Color {
    u8::try_from(value).map_or(Color::DEFAULT, Color::indexed)
}

/// A colour in the form `38;5;n` or `38;2;r;g;b`, taken off what follows the 38.
fn flat_color(rest: &mut &[Parameter]) -> Option<Color> {
    let (&kind, behind) = rest.split_first()?;
    let length = match kind.value {
        5 => 1,
        2 => 3,
        _ => return None,
    };
    let (values, others) = behind.split_at_checked(length)?;
    *rest = others;
    color(kind.value, values)
}

/// A colour in the form `38:5:n`, `38:2:r:g:b` or `38:2:space:r:g:b`.
fn sub_color(subs: &[Parameter]) -> Option<Color> {
    let (kind, values) = subs.split_first()?;
    let values = if values.len() > 3 { values.get(1..)? } else { values };
    color(kind.value, values)
}

fn color(kind: u16, values: &[Parameter]) -> Option<Color> {
    let mut bytes = values.iter().map(|parameter| u8::try_from(parameter.value).ok());
    match kind {
        5 => Some(Color::indexed(bytes.next()??)),
        2 => Some(Color::rgb(bytes.next()??, bytes.next()??, bytes.next()??)),
        _ => None,
    }
}
