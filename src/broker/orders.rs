//! The orders that the rest of the broker gives to the task of one session, for its worker.

use std::os::fd::OwnedFd;

use tokio::sync::oneshot;

use crate::names::{AccountName, TermSize};
use crate::protocol::worker::{UnreadInput, ViewerId};
use crate::protocol::{About, EndReason, Refusal, Role};

/// Capacity of the order queue of one session. A sender waits while it is full.
pub(super) const ORDERS: usize = 16;

/// The reply to [`WorkerOrder::Attach`]: the number and the socket of the viewer, or the refusal.
pub(super) type Attached = oneshot::Sender<Result<(ViewerId, OwnedFd), Refusal>>;

/// An order to the task of a session.
#[derive(Debug)]
pub(super) enum WorkerOrder {
    /// Make a viewer for this account, or for the operator if `account` is `None`. Whatever role
    /// its account gets later, the viewer may do no more than `most`.
    Attach { account: Option<AccountName>, role: Role, most: Role, size: TermSize, answer: Attached },
    /// Change the role of a viewer.
    SetRole { viewer: ViewerId, role: Role },
    /// Describe the session. The sender is dropped if the worker cannot be asked.
    Describe(oneshot::Sender<About>),
    /// Close a viewer.
    Detach { viewer: ViewerId, unread: UnreadInput },
    /// End the session.
    End(EndReason),
}
