use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::BadName;

/// A colour as red, green and blue. Written `#rrggbb`, in messages too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
pub struct Color(pub u8, pub u8, pub u8);

/// The colours that a terminal is displayed in, unless a program has changed them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Theme {
    /// The colour of text.
    pub foreground: Color,
    /// The colour behind text.
    pub background: Color,
    /// The colour of the cursor.
    pub cursor: Color,
    /// The first 16 palette colours: the eight named colours, then their bright variants.
    pub palette: [Color; 16],
}

impl Theme {
    /// The theme that programs are told of before a page has sent one: the page's dark theme,
    /// `web/src/themes.ts`.
    pub const DEFAULT: Self = Self {
        foreground: Color(0xd9, 0xdc, 0xe5),
        background: Color(0x13, 0x15, 0x1b),
        cursor: Color(0x9d, 0xb0, 0xff),
        palette: [
            Color(0x20, 0x24, 0x2e),
            Color(0xf2, 0x77, 0x7a),
            Color(0x8f, 0xcf, 0x8b),
            Color(0xe9, 0xc4, 0x6f),
            Color(0x8a, 0xa5, 0xff),
            Color(0xcf, 0x9d, 0xf0),
            Color(0x6f, 0xcf, 0xd3),
            Color(0xc9, 0xcd, 0xd8),
            Color(0x70, 0x77, 0x89),
            Color(0xff, 0x9a, 0x9c),
            Color(0xb0, 0xe6, 0xac),
            Color(0xf7, 0xdc, 0x97),
            Color(0xb1, 0xc3, 0xff),
            Color(0xe2, 0xbf, 0xfa),
            Color(0x9b, 0xe6, 0xe9),
            Color(0xf5, 0xf6, 0xfa),
        ],
    };
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(red, green, blue) = self;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl FromStr for Color {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6);
        let mut bytes = [0; 3];
        match digits
            .map(|digits| data_encoding::HEXLOWER_PERMISSIVE.decode_mut(digits.as_bytes(), &mut bytes))
        {
            Some(Ok(3)) => {
                let [red, green, blue] = bytes;
                Ok(Self(red, green, blue))
            }
            Some(Ok(_) | Err(_)) | None => {
                Err(BadName::new(text, "a colour", "use # and six hexadecimal digits, like #1a2b3c"))
            }
        }
    }
}

impl TryFrom<String> for Color {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<Color> for String {
    fn from(color: Color) -> Self {
        color.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_is_a_number_sign_and_six_digits() {
        assert_eq!("#1A2b3c".parse::<Color>().unwrap(), Color(0x1a, 0x2b, 0x3c));
        assert_eq!(Color(1, 0xff, 0x20).to_string(), "#01ff20");
        for bad in ["", "#", "123456", "#12345", "#1234567", "#12345g", "#+12345", "#1234é", "red"] {
            assert!(bad.parse::<Color>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_default_is_the_dark_theme_of_the_page() {
        let file = include_str!("../../web/src/themes.ts");
        let dark = file.split("const dark").nth(1).unwrap().split("};").next().unwrap();
        let of = |name: &str| {
            let line =
                dark.lines().map(str::trim).find(|line| line.starts_with(&format!("{name}:"))).unwrap();
            line.split('\'').nth(1).unwrap().parse::<Color>().unwrap()
        };
        let theme = Theme::DEFAULT;
        let named = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
        let bright = ["Black", "Red", "Green", "Yellow", "Blue", "Magenta", "Cyan", "White"];
        let names = named.map(str::to_owned).into_iter().chain(bright.map(|name| format!("bright{name}")));
        assert_eq!(names.map(|name| of(&name)).collect::<Vec<_>>(), theme.palette);
        assert_eq!(
            [of("foreground"), of("background"), of("cursor")],
            [theme.foreground, theme.background, theme.cursor]
        );
    }
}
