//! A shell, or a command, on its way from machined to a worker.

use std::os::fd::OwnedFd;

use crate::names::ReportKey;

/// What machined has opened.
#[derive(Debug)]
pub(super) struct OpenedShell {
    /// The master side of its terminal. Dropping it hangs the shell up.
    pub(super) pty: OwnedFd,
    /// The same of the second terminal of a command, for its standard error.
    pub(super) errors: Option<OwnedFd>,
    /// The key that marks the report of the shell's exit status, and the messages about a command.
    pub(super) report: ReportKey,
}
