use serde::{Deserialize, Serialize};

use super::label::is_odd;

/// Longest reason, bytes.
const REASON_MAX: usize = 300;

/// Why a person opens a shell, in the person's words, for the journal. 1 to 300 bytes,
/// without control characters, and without blanks at the ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
pub struct Reason(String);

super::parsed_text!(
    Reason,
    "a reason",
    "use 1 to 300 bytes without control characters and without blanks at the ends",
    accepts
);

fn accepts(text: &str) -> bool {
    (1..=REASON_MAX).contains(&text.len()) && !text.contains(is_odd) && text.trim() == text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_of_words() {
        for good in ["disk full", "日本 語", &"x".repeat(300)] {
            assert!(good.parse::<Reason>().is_ok(), "{good:?}");
        }
        for bad in ["", " ", " x", "a\nb", "\u{1b}[2J", "abc\u{202e}def", &"x".repeat(301)] {
            assert!(bad.parse::<Reason>().is_err(), "{bad:?}");
        }
    }
}
