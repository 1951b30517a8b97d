//! `session/ID.sock`: the broker and one session's worker. Intent
//! [`Intent::Worker`](crate::wire::Intent).
//!
//! Packets are postcard. [`ToWorker::Adopt`] carries the PTY master, [`FromWorker::Attached`] the
//! front's end of a viewer socket. A worker believes the broker; the broker believes nothing that
//! a worker says about whose a session is.

use serde::{Deserialize, Serialize};

use super::{About, EndReason, Role, SessionEnd};
use crate::names::{ReportKey, SessionId, TermSize};
use crate::wire::Message;

/// Most viewers of one session; one more is refused by the worker.
pub const VIEWERS_MAX: usize = 64;

/// A viewer of a session, by the number that the broker gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ViewerNumber(pub u32);

/// From the broker to the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToWorker {
    /// Keep this PTY. With its master. Once in a worker's life.
    Adopt {
        /// The session that the worker is to be.
        session: SessionId,
        /// The size to begin with.
        size: TermSize,
        /// What the report of the shell's end begins with.
        report: ReportKey,
    },
    /// Make a viewer.
    Attach {
        /// Its number from now on.
        viewer: ViewerNumber,
        /// What it may do.
        role: Role,
        /// The size of its terminal; an owner's becomes the session's.
        size: TermSize,
    },
    /// A viewer may do this from now on.
    SetRole {
        /// Which.
        viewer: ViewerNumber,
        /// What it may do.
        role: Role,
    },
    /// Tell a viewer that its view is closed, and close it.
    Detach {
        /// Which.
        viewer: ViewerNumber,
        /// What becomes of input that it has sent and the worker has not read.
        unread: UnreadInput,
    },
    /// Say what there is to say about the session.
    Describe,
    /// Hang the shell up, tell the viewers why, and exit.
    End(EndReason),
}

/// What becomes of input that a viewer has sent before its view is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnreadInput {
    /// It is typed: its person left, and has typed it before.
    Typed,
    /// It is dropped: the right to type was withdrawn.
    Dropped,
}

/// From the worker to the broker. The first message on a connection is `Standing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromWorker {
    /// What the worker has, said once after the handshake.
    Standing(Standing),
    /// The PTY is kept.
    Adopted,
    /// To `Attach`. With the other end of the viewer socket.
    Attached(ViewerNumber),
    /// To `Attach`: there are [`VIEWERS_MAX`] already.
    Full(ViewerNumber),
    /// To `Describe`. The answers come in the order of the questions.
    Described(About),
    /// To `SetRole`: from now on nothing counts that the viewer may not do.
    RoleSet {
        /// Which.
        viewer: ViewerNumber,
        /// What it may do.
        role: Role,
    },
    /// A viewer closed its socket, or was closed by `Detach`.
    ViewerGone(ViewerNumber),
    /// The session is over; the worker exits after this.
    Ended(SessionEnd),
}

/// What a worker has when the broker connects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// No shell: a new worker, or one that lost everything.
    Waiting,
    /// A shell, and these viewers. At most [`VIEWERS_MAX`].
    Keeping(Vec<ViewerNumber>),
}

impl Message for ToWorker {
    fn descriptors(&self) -> usize {
        match self {
            Self::Adopt { .. } => 1,
            Self::Attach { .. }
            | Self::SetRole { .. }
            | Self::Detach { .. }
            | Self::Describe
            | Self::End(_) => 0,
        }
    }
}

impl Message for FromWorker {
    fn descriptors(&self) -> usize {
        match self {
            Self::Attached(_) => 1,
            Self::Standing(_)
            | Self::Adopted
            | Self::Full(_)
            | Self::Described(_)
            | Self::RoleSet { .. }
            | Self::ViewerGone(_)
            | Self::Ended(_) => 0,
        }
    }
}
