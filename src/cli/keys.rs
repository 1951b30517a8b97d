//! Keys by their names, and the bytes that a terminal sends for them, as xterm does.

use std::fmt;
use std::str::FromStr;

use crate::terminal::ModesShown;

/// A key with its modifiers: `Enter`, `C-c`, `M-x`, `S-F5`, `q`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    named: Named,
    modifiers: Modifiers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Character(char),
    Enter,
    Tab,
    Backspace,
    Escape,
    /// Sends `CSI` or `SS3`, and this letter: arrows, Home, End.
    Cursor(char),
    /// Sends `SS3` and this letter: F1 to F4.
    Function(char),
    /// Sends `CSI`, this number and a tilde.
    Numbered(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Modifiers {
    shift: bool,
    meta: bool,
    control: bool,
}

/// The names, as in tmux(1) and as they stand on keyboards.
const NAMES: &[(&str, Named)] = &[
    ("Enter", Named::Enter),
    ("Tab", Named::Tab),
    ("Space", Named::Character(' ')),
    ("Backspace", Named::Backspace),
    ("BSpace", Named::Backspace),
    ("Escape", Named::Escape),
    ("Esc", Named::Escape),
    ("Up", Named::Cursor('A')),
    ("Down", Named::Cursor('B')),
    ("Right", Named::Cursor('C')),
    ("Left", Named::Cursor('D')),
    ("End", Named::Cursor('F')),
    ("Home", Named::Cursor('H')),
    ("Insert", Named::Numbered(2)),
    ("Delete", Named::Numbered(3)),
    ("PageUp", Named::Numbered(5)),
    ("PageDown", Named::Numbered(6)),
    ("F1", Named::Function('P')),
    ("F2", Named::Function('Q')),
    ("F3", Named::Function('R')),
    ("F4", Named::Function('S')),
    ("F5", Named::Numbered(15)),
    ("F6", Named::Numbered(17)),
    ("F7", Named::Numbered(18)),
    ("F8", Named::Numbered(19)),
    ("F9", Named::Numbered(20)),
    ("F10", Named::Numbered(21)),
    ("F11", Named::Numbered(23)),
    ("F12", Named::Numbered(24)),
];

/// A text that names no key.
#[derive(Debug)]
pub(super) struct NoKey;

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "not a key: write one character, or Enter, Tab, Space, Backspace, Escape, Up, Down, Left, \
             Right, Home, End, Insert, Delete, PageUp, PageDown or F1 to F12, with C-, M- or S- before it",
        )
    }
}

impl std::error::Error for NoKey {}

impl FromStr for Key {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        let (mut rest, mut modifiers) = (text, Modifiers::default());
        // What is left is at least one character: `C--` is a minus with Control.
        while let Some((modifier, behind)) =
            rest.split_once('-').filter(|(before, behind)| before.len() == 1 && !behind.is_empty())
        {
            let place = match modifier {
                "C" => &mut modifiers.control,
                "M" => &mut modifiers.meta,
                "S" => &mut modifiers.shift,
                _ => return Err(NoKey),
            };
            if std::mem::replace(place, true) {
                return Err(NoKey);
            }
            rest = behind;
        }
        let mut characters = rest.chars();
        let named = match (characters.next(), characters.next()) {
            (Some(character), None) if !character.is_control() => Named::Character(character),
            _ => {
                let named = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(rest));
                named.map(|(_, named)| *named).ok_or(NoKey)?
            }
        };
        let key = Self { named, modifiers };
        if key.is_sent() { Ok(key) } else { Err(NoKey) }
    }
}

impl Key {
    /// Whether terminals send anything of its own for the key: nothing tells Control-1 from 1.
    fn is_sent(self) -> bool {
        match self.named {
            Named::Character(character) if self.modifiers.control => control(character).is_some(),
            Named::Character(character) if self.modifiers.shift => character == ' ',
            Named::Enter | Named::Escape => !self.modifiers.shift && !self.modifiers.control,
            Named::Tab => !self.modifiers.control,
            Named::Backspace => !self.modifiers.shift,
            Named::Character(_) | Named::Cursor(_) | Named::Function(_) | Named::Numbered(_) => true,
        }
    }

    /// What a terminal in these modes sends for it.
    pub(super) fn bytes(self, modes: &ModesShown) -> Vec<u8> {
        let Modifiers { shift, meta, control: is_control } = self.modifiers;
        let number = 1 + u8::from(shift) + 2 * u8::from(meta) + 4 * u8::from(is_control);
        let plain = match self.named {
            Named::Cursor(letter) | Named::Function(letter) if number > 1 => {
                return format!("\x1b[1;{number}{letter}").into();
            }
            Named::Numbered(code) if number > 1 => return format!("\x1b[{code};{number}~").into(),
            Named::Cursor(letter) if modes.application_cursor => format!("\x1bO{letter}"),
            Named::Cursor(letter) => format!("\x1b[{letter}"),
            Named::Function(letter) => format!("\x1bO{letter}"),
            Named::Numbered(code) => format!("\x1b[{code}~"),
            Named::Character(character) if is_control => {
                control(character).map(char::from).into_iter().collect()
            }
            Named::Character(character) => character.to_string(),
            Named::Enter if modes.new_line => "\r\n".to_owned(),
            Named::Enter => "\r".to_owned(),
            Named::Tab if shift => "\x1b[Z".to_owned(),
            Named::Tab => "\t".to_owned(),
            Named::Backspace if is_control => "\x08".to_owned(),
            Named::Backspace => "\x7f".to_owned(),
            Named::Escape => "\x1b".to_owned(),
        };
        let escape = if meta { "\x1b" } else { "" };
        format!("{escape}{plain}").into()
    }
}

/// The control character of a key, if it has one.
fn control(character: char) -> Option<u8> {
    match character {
        'a'..='z' | 'A'..='Z' | '[' | '\\' | ']' | '^' | '_' => {
            u8::try_from(character).ok().map(|byte| byte & 0x1f)
        }
        '@' | ' ' => Some(0),
        '/' => Some(0x1f),
        '?' => Some(0x7f),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::TermSize;
    use crate::terminal::Terminal;

    fn modes(printed: &str) -> ModesShown {
        let mut terminal = Terminal::new(TermSize::DEFAULT);
        terminal.print(printed.as_bytes());
        terminal.modes()
    }

    #[test]
    fn keys_are_what_xterm_sends_for_them() {
        for (key, sent) in [
            ("Enter", "\r"),
            ("enter", "\r"),
            ("q", "q"),
            ("\u{e9}", "\u{e9}"),
            ("-", "-"),
            ("C-c", "\x03"),
            ("C-C", "\x03"),
            ("C-[", "\x1b"),
            ("C-Space", "\0"),
            ("C-@", "\0"),
            ("C-/", "\x1f"),
            ("C-?", "\x7f"),
            ("M-x", "\x1bx"),
            ("M--", "\x1b-"),
            ("C-M-a", "\x1b\x01"),
            ("Tab", "\t"),
            ("S-Tab", "\x1b[Z"),
            ("Backspace", "\x7f"),
            ("C-Backspace", "\x08"),
            ("M-Enter", "\x1b\r"),
            ("Up", "\x1b[A"),
            ("C-Right", "\x1b[1;5C"),
            ("S-M-Home", "\x1b[1;4H"),
            ("Delete", "\x1b[3~"),
            ("C-PageUp", "\x1b[5;5~"),
            ("F1", "\x1bOP"),
            ("S-F1", "\x1b[1;2P"),
            ("F5", "\x1b[15~"),
            ("C-F12", "\x1b[24;5~"),
        ] {
            let bytes = key.parse::<Key>().unwrap().bytes(&modes(""));
            assert_eq!(String::from_utf8(bytes).unwrap(), sent, "{key}");
        }
    }

    #[test]
    fn the_modes_of_the_terminal_count() {
        let sent = |key: &str, printed: &str| key.parse::<Key>().unwrap().bytes(&modes(printed));
        assert_eq!(sent("Up", "\x1b[?1h"), b"\x1bOA");
        assert_eq!(sent("End", "\x1b[?1h"), b"\x1bOF");
        // With a modifier, the mode does not count.
        assert_eq!(sent("C-Up", "\x1b[?1h"), b"\x1b[1;5A");
        assert_eq!(sent("Enter", "\x1b[20h"), b"\r\n");
    }

    #[test]
    fn what_no_terminal_sends_is_no_key() {
        for text in ["", "C-", "X-a", "C-C-c", "F13", "Entre", "ab", "C-1", "S-a", "S-Enter", "C-Tab", "\r"] {
            assert!(text.parse::<Key>().is_err(), "{text:?}");
        }
    }
}
