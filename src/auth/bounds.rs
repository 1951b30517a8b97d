//! How many connections there may be at once, and how long a peer may take.

use std::time::Duration;

/// Most login connections at once. They are short: a connection ends when it is signed in. One
/// more is told `busy`.
pub(super) const LOGINS_MAX: usize = 256;

/// Most control connections at once. One more is closed.
pub(super) const CONTROLS_MAX: usize = 32;

/// How long a peer has for its greeting, and to take what it is sent.
pub(super) const PEER_DEADLINE: Duration = Duration::from_secs(5);
