//! The orders that the rest of the broker gives to the task of one session, and so to its worker.

use std::os::fd::OwnedFd;

use tokio::sync::oneshot;

use crate::names::{AccountName, TermSize};
use crate::protocol::worker::{UnreadInput, ViewerNumber};
use crate::protocol::{About, EndReason, Refusal, Role};

/// Most orders that wait for the task of one session. Whoever gives one more waits.
pub(super) const ORDERS: usize = 16;

/// Takes the number and the socket of a viewer, or why there is none.
pub(super) type Attached = oneshot::Sender<Result<(ViewerNumber, OwnedFd), Refusal>>;

/// An order.
#[derive(Debug)]
pub(super) enum Order {
    /// Make a viewer, for this account or for the operator.
    Attach { account: Option<AccountName>, role: Role, size: TermSize, answer: Attached },
    /// Change what a viewer may do.
    SetRole { viewer: ViewerNumber, role: Role },
    /// Describe the session. The sender is dropped if the worker cannot be asked.
    Describe(oneshot::Sender<About>),
    /// Close a viewer.
    Detach { viewer: ViewerNumber, unread: UnreadInput },
    /// End the session.
    End(EndReason),
}
