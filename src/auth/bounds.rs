//! Limits on the number of connections, and deadlines for peers.

use std::time::Duration;

/// Maximum number of login connections. They are short: a connection ends when it is signed in. A
/// further one is refused with `busy`.
pub(super) const LOGINS_MAX: usize = 256;

/// Maximum number of control connections. A further one is closed.
pub(super) const CONTROLS_MAX: usize = 32;

/// How long a peer has to send its greeting, and to receive a message.
pub(super) const PEER_TIMEOUT: Duration = Duration::from_secs(5);
