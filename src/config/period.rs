use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use super::limits::number_and_unit;
use crate::names::BadName;

/// A period of time: a number with m (minutes), h (hours) or d (days), from a minute to a thousand
/// days.
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
            let (number, unit) = number_and_unit(text)?;
            let unit = match unit {
                b'm' => 60,
                b'h' => 60 * 60,
                b'd' => 24 * 60 * 60,
                _ => return None,
            };
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
