//! What a grant demands: a fresh touch, a reason, and an end in time.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use crate::names::BadName;
use crate::protocol;

/// What a grant demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terms {
    /// How old the touch may be that each view of a session takes, made for it; `None` if it takes
    /// none. A grant on the host always has it.
    pub fresh_touch: Option<FreshTouch>,
    /// Whether the person must say in words why a session is opened.
    pub reason: bool,
    /// How long a session may last. A grant on the host always has it.
    pub time_limit: Option<TimeLimit>,
}

impl Terms {
    /// These terms on the host itself, which takes a touch and has a limit whatever its grant says.
    pub(super) fn on_host(self) -> Self {
        let fresh_touch = Some(self.fresh_touch.unwrap_or_default());
        let time_limit = Some(self.time_limit.unwrap_or_default());
        Self { fresh_touch, time_limit, ..self }
    }
}

/// What people are told of them.
impl From<Terms> for protocol::Terms {
    fn from(terms: Terms) -> Self {
        let limit = terms.time_limit.map(|limit| u32::try_from(limit.get().as_secs()).unwrap_or(u32::MAX));
        Self { touch: terms.fresh_touch.is_some(), reason: terms.reason, limit }
    }
}

/// How old a touch may be: from 1 s to 10 min. The time between the answer of the passkey and the
/// request is a fraction of a second, so a short time costs nobody anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct FreshTouch(Duration);

/// How long a session may last: from 1 s to 24 h. The default is that of a session on the host; any
/// other has no limit unless its grant says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TimeLimit(Duration);

impl FreshTouch {
    const ALLOWED: RangeInclusive<u64> = 1..=600;

    /// The time.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl TimeLimit {
    const ALLOWED: RangeInclusive<u64> = 1..=24 * 60 * 60;

    /// The time, in whole seconds.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl Default for FreshTouch {
    fn default() -> Self {
        Self(Duration::from_secs(60))
    }
}

impl Default for TimeLimit {
    fn default() -> Self {
        Self(Duration::from_secs(60 * 60))
    }
}

impl FromStr for FreshTouch {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let rule = "use a number and s, m or h, from 1s to 10m, like 60s";
        let bad = || BadName::new(text, "the age of a touch", rule);
        seconds(text)
            .filter(|time| Self::ALLOWED.contains(time))
            .map(Duration::from_secs)
            .map(Self)
            .ok_or_else(bad)
    }
}

impl FromStr for TimeLimit {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let rule = "use a number and s, m or h, from 1s to 24h, like 30m";
        let bad = || BadName::new(text, "a time limit", rule);
        seconds(text)
            .filter(|time| Self::ALLOWED.contains(time))
            .map(Duration::from_secs)
            .map(Self)
            .ok_or_else(bad)
    }
}

impl TryFrom<String> for FreshTouch {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl TryFrom<String> for TimeLimit {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

/// The seconds that a number with s, m or h stands for.
fn seconds(text: &str) -> Option<u64> {
    let (unit, digits) = text.as_bytes().split_last()?;
    let unit = match unit {
        b's' => 1,
        b'm' => 60,
        b'h' => 60 * 60,
        _ => return None,
    };
    // `parse` would accept a sign.
    let plain = digits.iter().all(u8::is_ascii_digit);
    let number: u64 = std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()?;
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_and_bounds() {
        let touch = |text: &str| text.parse::<FreshTouch>().map(|touch| touch.get().as_secs()).ok();
        let limit = |text: &str| text.parse::<TimeLimit>().map(|limit| limit.get().as_secs()).ok();
        assert_eq!((touch("60s"), touch("10m"), touch("1s")), (Some(60), Some(600), Some(1)));
        assert_eq!((limit("30m"), limit("24h"), limit("86400s")), (Some(1800), Some(86_400), Some(86_400)));
        for bad in ["", "s", "60", "+60s", "-1s", "1.5m", "60 s", "60S", "0s", "11m", "99999999999999999999s"]
        {
            assert_eq!(touch(bad), None, "{bad:?}");
        }
        for bad in ["", "0m", "25h", "86401s", "18446744073709551615h", "1d"] {
            assert_eq!(limit(bad), None, "{bad:?}");
        }
    }
}
