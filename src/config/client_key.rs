use std::collections::BTreeSet;
use std::time::Duration;

use super::Period;
use crate::names::{AccountName, KeyRight};

/// One `[[client-key]]`: what the command lines of these accounts may do from afar, signed in with
/// a client key. Without one, an account has no use of such a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientKeyRule {
    /// The accounts, those of its groups included. Never empty. No other rule has one of them.
    pub accounts: Vec<AccountName>,
    /// What a key is good for. Never empty, and never a view that takes a touch.
    pub allow: BTreeSet<KeyRight>,
    /// How long after it was bound a key is good.
    pub max_age: MaxAge,
}

/// How long a client key is good. The default is 30 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxAge(Option<Period>);

impl MaxAge {
    const DEFAULT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    pub(super) fn of(period: Option<Period>) -> Self {
        Self(period)
    }

    /// The time.
    pub fn get(self) -> Duration {
        self.0.map_or(Self::DEFAULT, Period::duration)
    }
}
