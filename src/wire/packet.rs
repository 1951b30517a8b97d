use std::cell::RefCell;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Intent;
use crate::sys::seqpacket::{self, Received};

/// Longest packet, bytes. A longer one is refused before it is sent, and is an error to whoever
/// receives it. Smaller than the kernel's default socket buffer, so that one always fits.
pub const PACKET_MAX: usize = 64 * 1024;

/// A message of one direction of one socket.
pub trait Message: Serialize + DeserializeOwned {
    /// How many descriptors come with it, exactly.
    fn descriptors(&self) -> usize {
        0
    }
}

/// What goes wrong on a channel. All but `Io` are the peer's doing, and end the channel.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The peer closed its end.
    #[error("the peer closed the channel")]
    Closed,
    /// The peer did not answer in time.
    #[error("the peer did not answer in time")]
    TimedOut,
    /// A packet above [`PACKET_MAX`], or more descriptors than any message has.
    #[error("a packet is larger than {PACKET_MAX} bytes or has too many descriptors")]
    Oversize,
    /// The bytes are not a message of this direction.
    #[error("a packet of {length} bytes is not a message")]
    Unreadable {
        /// Its length in bytes.
        length: usize,
    },
    /// Bytes are left after the message.
    #[error("a packet has {left} bytes after its message")]
    TrailingBytes {
        /// How many.
        left: usize,
    },
    /// Not as many descriptors as the message has.
    #[error("a packet has {got} descriptors instead of {expected}")]
    WrongDescriptors {
        /// What the message has.
        expected: usize,
        /// What came.
        got: usize,
    },
    /// A message that may not come any more.
    #[error("a message came out of turn")]
    OutOfTurn,
    /// The first packet is not a greeting.
    #[error("the peer did not begin with a greeting of tere")]
    NoGreeting,
    /// The peer came for something else.
    #[error("the peer came for {theirs:?}, this socket is for {ours:?}")]
    WrongIntent {
        /// What this socket is for.
        ours: Intent,
        /// What the peer said.
        theirs: u8,
    },
    /// The peer speaks another version of the protocol.
    #[error(
        "the peer (build {build}) speaks protocol version {theirs}, this program speaks {ours}: restart the older one"
    )]
    WrongVersion {
        /// Ours.
        ours: u16,
        /// Theirs.
        theirs: u16,
        /// Their build.
        build: String,
    },
    /// The kernel says no.
    #[error("the channel failed: {0}")]
    Io(#[from] io::Error),
}

/// The packet of a message.
///
/// # Errors
/// [`WireError::Oversize`] where it is longer than [`PACKET_MAX`].
pub fn encode<M: Message>(message: &M) -> Result<Vec<u8>, WireError> {
    let bytes = postcard::to_stdvec(message).map_err(|_| WireError::Oversize)?;
    if bytes.len() > PACKET_MAX { Err(WireError::Oversize) } else { Ok(bytes) }
}

/// The message of a packet that came with `descriptors` descriptors.
///
/// # Errors
/// Every variant of [`WireError`] that is about one packet. Never panics, and never allocates
/// more than the packet's own length at a time.
pub fn decode<M: Message>(packet: &[u8], descriptors: usize) -> Result<M, WireError> {
    let length = packet.len();
    if length > PACKET_MAX {
        return Err(WireError::Oversize);
    }
    let (message, rest) =
        postcard::take_from_bytes::<M>(packet).map_err(|_| WireError::Unreadable { length })?;
    if !rest.is_empty() {
        return Err(WireError::TrailingBytes { left: rest.len() });
    }
    let expected = message.descriptors();
    if descriptors != expected {
        return Err(WireError::WrongDescriptors { expected, got: descriptors });
    }
    Ok(message)
}

thread_local! {
    /// Where a thread receives its packets, one after the other: a fresh buffer for each would have to be cleared.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Receives a packet as a message: shared by both kinds of channel.
pub(super) fn receive<M: Message>(socket: BorrowedFd<'_>) -> Result<(M, Vec<OwnedFd>), WireError> {
    BUFFER.with_borrow_mut(|buffer| {
        buffer.resize(PACKET_MAX, 0);
        open(seqpacket::receive(socket, buffer)?, buffer)
    })
}

fn open<M: Message>(received: Received, buffer: &[u8]) -> Result<(M, Vec<OwnedFd>), WireError> {
    if received.truncated {
        return Err(WireError::Oversize);
    }
    // A packet of no bytes cannot be told from the end; no message is empty.
    if received.length == 0 {
        return Err(WireError::Closed);
    }
    let packet = buffer.get(..received.length).ok_or(WireError::Oversize)?;
    let message = decode(packet, received.descriptors.len())?;
    Ok((message, received.descriptors))
}
