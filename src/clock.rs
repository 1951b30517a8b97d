//! The time as it is stored and sent.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// The host's clock, in seconds since 1970. 0 if it is set to an earlier time.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A moment by two clocks of the host: one that may be set, and one that may not, but begins anew
/// when the host does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// In seconds since 1970.
    pub unix: u64,
    /// In seconds since the host was booted, the time that it slept included.
    pub uptime: u64,
}

impl Moment {
    /// Reads both clocks.
    #[must_use]
    pub fn now() -> Self {
        let since_boot = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from);
        Self { unix: now(), uptime: since_boot.as_secs() }
    }

    /// How many seconds ago this was at `now`, by the clock that says more; `None` if it is still to
    /// come. A clock that was set back makes nothing younger. After a reboot the second clock says
    /// too little, and so only the first counts.
    #[must_use]
    pub fn age(self, now: Self) -> Option<u64> {
        let by_clock = now.unix.checked_sub(self.unix)?;
        Some(by_clock.max(now.uptime.saturating_sub(self.uptime)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_makes_nothing_younger() {
        let at = |unix, uptime| Moment { unix, uptime };
        let then = at(1_000_000, 500);
        assert_eq!(then.age(at(1_000_060, 560)), Some(60));
        assert_eq!(then.age(at(1_000_000, 560)), Some(60), "set back by as much as has passed");
        assert_eq!(then.age(at(999_999, 560)), None, "set back to before it");
        assert_eq!(then.age(at(1_003_600, 560)), Some(3600), "set forward");
        assert_eq!(then.age(at(1_003_600, 20)), Some(3600), "booted anew");
        assert!(Moment::now().unix > 1_700_000_000 && Moment::now().age(Moment::now()).is_some());
    }
}
