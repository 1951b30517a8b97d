use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use crate::names::BadName;

/// A period of time: a number with m (minutes), h (hours) or d (days), from a minute to a thousand days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Period(Duration);

impl Period {
    const MAX: u64 = 1000 * 24 * 60 * 60;

    /// The length.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Period {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let seconds = || {
            let (unit, digits) = text.as_bytes().split_last()?;
            let unit = match unit {
                b'm' => 60,
                b'h' => 60 * 60,
                b'd' => 24 * 60 * 60,
                _ => return None,
            };
            // `parse` would accept a sign.
            let plain = digits.iter().all(u8::is_ascii_digit);
            let number: u64 = std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()?;
            number.checked_mul(unit).filter(|seconds| (60..=Self::MAX).contains(seconds))
        };
        let bad = || BadName::new(text, "a period of time", "use a number and m, h or d, like 30m, 8h or 7d");
        seconds().map(|seconds| Self(Duration::from_secs(seconds))).ok_or_else(bad)
    }
}

impl TryFrom<String> for Period {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}
