use serde::{Deserialize, Serialize};

/// Longest label, bytes.
const LABEL_MAX: usize = 120;

/// A short text that is only displayed: the name that a person gave a session, or the title that a
/// program gave its window. 1 to 120 bytes, without control characters, and without blanks at the
/// ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
pub struct Label(String);

super::parsed_text!(
    Label,
    "a label",
    "use 1 to 120 bytes without control characters and without blanks at the ends",
    accepts
);

fn accepts(text: &str) -> bool {
    (1..=LABEL_MAX).contains(&text.len()) && !text.contains(is_odd) && text.trim() == text
}

/// Whether a character is a control character, or one that hides or reorders the text around it.
pub(super) fn is_odd(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

impl Label {
    /// Makes a label from any text: removes characters that are not allowed, and cuts the rest to
    /// the maximum length. `None` if nothing is left.
    pub fn cut(text: &str) -> Option<Self> {
        let text: String = text.chars().filter(|character| !is_odd(*character)).collect();
        let text = text.trim();
        let end = (0..=LABEL_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        text.get(..end.unwrap_or_default()).and_then(|text| text.trim().parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_short_and_plain() {
        for good in ["build", "日本 語", &"x".repeat(120)] {
            assert_eq!(Label::cut(good).unwrap().as_str(), good);
        }
        for bad in ["", " ", " x", "x ", "a\nb", "\u{1b}[2J", "abc\u{202e}def", &"x".repeat(121)] {
            assert!(bad.parse::<Label>().is_err(), "{bad:?}");
        }
        assert_eq!(Label::cut(" vim \u{7}notes\u{202e} ").unwrap().as_str(), "vim notes");
        assert_eq!(Label::cut(&"é".repeat(100)).unwrap().as_str(), "é".repeat(60));
        assert_eq!(Label::cut("\u{1b}\u{200b} "), None);
    }
}
