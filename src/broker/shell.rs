//! A shell on its way from machined to a worker.

use std::os::fd::OwnedFd;

use crate::names::ReportKey;

/// A shell that machined has opened.
#[derive(Debug)]
pub(super) struct OpenedShell {
    /// The master side of its terminal. Dropping it hangs the shell up.
    pub(super) pty: OwnedFd,
    /// The key that marks the report of the shell's exit status.
    pub(super) report: ReportKey,
}
