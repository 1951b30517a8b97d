//! A client of a host from afar: what `tere` is there.
//!
//! Reads: answers of the front of the host, over TLS or from localhost; the logins of its user.
//! Holds: a client key, a WebSocket, and the ends of the channels that it speaks for the host.
//! Has given up: nothing. It runs with the rights of its user, and believes the host only what the
//! host's certificate says. What a shell prints it passes on unread.
//!
//! `socket` connects. `sign_in` signs challenges with the key of a login, which `logins` keeps.
//! `bridge` then speaks the principal channel and viewer sockets in place of the broker and the
//! workers, so the rest of `tere` is the same near and far.

mod bridge;
mod logins;
mod sign_in;
mod socket;

use crate::protocol::Refusal;

pub use bridge::{Opened, open};
pub use logins::{Login, Logins, LoginsError};
pub use sign_in::{bind, remove};

/// Why something could not be done from afar.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The host cannot be reached.
    #[error("{host} cannot be reached: {cause}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// The error of the kernel, of the resolver or of TLS.
        cause: std::io::Error,
    },
    /// What answers there is no tere of this version.
    #[error("what answers at {host} does not take this command line: {cause}")]
    NotTere {
        /// Host and port.
        host: String,
        /// What it answered.
        cause: String,
    },
    /// The trusted certificates cannot be read.
    #[error("the trusted certificates cannot be read from {path}: {cause}")]
    NoRoots {
        /// The file.
        path: String,
        /// Why.
        cause: String,
    },
    /// The host refused.
    #[error("the host refuses: {0}")]
    Refused(Refusal),
    /// The connection is lost.
    #[error("the connection to the host is lost")]
    Lost,
    /// The host sent what was not asked.
    #[error("the host sent an answer to no request of ours")]
    OutOfTurn,
    /// A channel of this process failed.
    #[error("{0}")]
    Channel(#[from] crate::wire::WireError),
}
