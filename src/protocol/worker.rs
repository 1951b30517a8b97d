//! `session/ID.sock`: between the broker and one session's worker. Intent
//! [`Intent::Worker`](crate::wire::Intent).
//!
//! Packets are postcard. [`ToWorker::Adopt`] carries the PTY master, [`ToWorker::Exec`] two,
//! [`FromWorker::Attached`] the other end of a viewer socket. A worker trusts the broker; the
//! broker trusts nothing that a worker says about who owns a session.

use serde::{Deserialize, Serialize};

use super::{About, EndReason, Role, SessionEnd};
use crate::names::{ReportKey, SessionId, TermSize};
use crate::wire::Message;

/// Most viewers of one session. The worker refuses one more.
pub const VIEWERS_MAX: usize = 64;

/// A viewer of a session, by the number that the broker assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ViewerId(pub u32);

/// From the broker to the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToWorker {
    /// Adopt this PTY. Carries its master. Sent once in a worker's life.
    Adopt {
        /// The session that the worker serves from now on.
        session: SessionId,
        /// The initial size of the terminal.
        size: TermSize,
        /// The key with which the report of the shell's end begins.
        report: ReportKey,
    },
    /// Run one command without a terminal behind these two PTYs. Carries both masters: the one for
    /// its standard input and output, and the one for its standard error. In place of `Adopt`, and
    /// its one viewer is the client of [`super::exec`].
    Exec {
        /// The session that the worker serves from now on.
        session: SessionId,
        /// The key with which the messages of the scripts behind the PTYs begin.
        key: ReportKey,
    },
    /// Create a viewer.
    Attach {
        /// The number of the viewer.
        viewer: ViewerId,
        /// The role of the viewer.
        role: Role,
        /// The size of the viewer's terminal. An owner's size becomes the session's.
        size: TermSize,
    },
    /// Change the role of a viewer.
    SetRole {
        /// The viewer.
        viewer: ViewerId,
        /// The new role.
        role: Role,
    },
    /// Tell a viewer that its view is closed, and close it.
    Detach {
        /// The viewer.
        viewer: ViewerId,
        /// What to do with input that the viewer has sent and the worker has not read.
        unread: UnreadInput,
    },
    /// Describe the session.
    Describe,
    /// Hang up the shell, tell the viewers why, and exit.
    End(EndReason),
}

/// What to do with input that a viewer sent before its view is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnreadInput {
    /// Type it: the viewer left, and sent the input before that.
    Typed,
    /// Drop it: the right to type was withdrawn.
    Dropped,
}

/// From the worker to the broker. The first message on a connection is `Standing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromWorker {
    /// What the worker holds. Sent once, after the handshake.
    Standing(Standing),
    /// Answers `Adopt` and `Exec`: the worker holds the PTYs.
    Adopted,
    /// Answers `Attach`. Carries the other end of the viewer socket.
    Attached(ViewerId),
    /// Answers `Attach`: there are [`VIEWERS_MAX`] viewers already.
    Full(ViewerId),
    /// Answers `Describe`. The answers are in the order of the requests.
    Described(About),
    /// Answers `SetRole`: from now on the worker ignores whatever the new role does not permit.
    RoleSet {
        /// The viewer.
        viewer: ViewerId,
        /// The role now in force.
        role: Role,
    },
    /// A viewer closed its socket, or was closed by `Detach`.
    ViewerGone(ViewerId),
    /// The session has ended. The worker exits after this.
    Ended(SessionEnd),
}

/// What a worker holds when the broker connects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// No shell: the worker is new, or has lost everything.
    Waiting,
    /// A shell, and these viewers, at most [`VIEWERS_MAX`].
    Keeping(Vec<ViewerId>),
}

impl Message for ToWorker {
    fn descriptors(&self) -> usize {
        match self {
            Self::Adopt { .. } => 1,
            Self::Exec { .. } => 2,
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
