//! The time as it is stored and sent.

use std::time::{SystemTime, UNIX_EPOCH};

/// The host's clock, in seconds since 1970. 0 if it is set to an earlier time.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
