use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use super::Period;

/// How long after a touch of the passkey a page may come back without another: with a reload, on
/// another network, after a restart of tere. The default is 12 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resume(Option<Duration>);

impl Resume {
    /// The time; `None` for never.
    pub fn get(self) -> Option<Duration> {
        self.0
    }

    /// The time in seconds.
    pub fn seconds(self) -> Option<u32> {
        self.0.map(|time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX))
    }
}

impl Default for Resume {
    fn default() -> Self {
        Self(Some(Duration::from_secs(12 * 60 * 60)))
    }
}

/// A period, or `false` for never. `true` is the default.
impl<'de> Deserialize<'de> for Resume {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Resume;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a period of time or false")
            }

            fn visit_bool<E: Error>(self, wanted: bool) -> Result<Resume, E> {
                Ok(if wanted { Resume::default() } else { Resume(None) })
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Resume, E> {
                let period: Period = text.parse().map_err(E::custom)?;
                Ok(Resume(Some(period.duration())))
            }
        }
        deserializer.deserialize_any(Either)
    }
}
