//! What a worker works with that runs a command instead of a shell.

use std::os::fd::OwnedFd;

use crate::protocol::exec::{FromClient, ToClient};
use crate::wire::Channel;

/// The masters of the two terminals behind which the scripts run. Non-blocking.
#[derive(Debug)]
pub(super) struct CommandPtys {
    /// Standard input and output.
    pub(super) main: OwnedFd,
    /// Standard error, and the control script.
    pub(super) errors: OwnedFd,
}

/// The worker's end of the command socket. Non-blocking.
pub(super) type ClientChannel = Channel<ToClient, FromClient>;
