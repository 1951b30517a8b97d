//! A shell on its way from machined to a worker.

use std::os::fd::OwnedFd;

use crate::names::ReportKey;

/// A shell that machined has opened.
#[derive(Debug)]
pub(super) struct OpenedShell {
    /// The master of its terminal. Dropping it hangs the shell up.
    pub(super) pty: OwnedFd,
    /// What the report of its end begins with.
    pub(super) report: ReportKey,
}
