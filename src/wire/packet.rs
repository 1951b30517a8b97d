use std::cell::RefCell;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Intent;
use crate::sys::seqpacket::{self, Received};

/// Maximum size of a packet in bytes. A larger packet is refused before it is sent, and is an error
/// for the receiver. The limit is below the default socket buffer of the kernel, so that one packet
/// always fits.
pub const PACKET_MAX: usize = 64 * 1024;

/// A message for one direction of a channel.
pub trait Message: Serialize + DeserializeOwned {
    /// The exact number of descriptors that accompany the message.
    fn descriptors(&self) -> usize {
        0
    }
}

/// An error of a channel. The peer causes all of them and they end the channel, except for `Io` and
/// for `Oversize` from [`encode`].
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The peer closed its end.
    #[error("the peer closed the channel")]
    Closed,
    /// The peer did not answer in time.
    #[error("the peer did not answer in time")]
    TimedOut,
    /// A packet is larger than [`PACKET_MAX`], or has more descriptors than any message.
    #[error("a packet is larger than {PACKET_MAX} bytes or has too many descriptors")]
    Oversize,
    /// The bytes are not a message of this direction.
    #[error("a packet of {length} bytes is not a message")]
    Unreadable {
        /// The size of the packet in bytes.
        length: usize,
    },
    /// Bytes follow the message.
    #[error("a packet has {left} bytes after its message")]
    TrailingBytes {
        /// The number of these bytes.
        left: usize,
    },
    /// The number of descriptors is not that of the message.
    #[error("a packet has {got} descriptors instead of {expected}")]
    WrongDescriptors {
        /// The number of descriptors of the message.
        expected: usize,
        /// The number of descriptors received.
        got: usize,
    },
    /// The message is no longer allowed at this point.
    #[error("a message is not allowed in this state")]
    OutOfTurn,
    /// The first packet is not a greeting.
    #[error("the peer did not begin with a greeting of tere")]
    NoGreeting,
    /// The peer connected with another intent.
    #[error("the peer wants {theirs:?}, but this socket is for {ours:?}")]
    WrongIntent {
        /// The intent of this socket.
        ours: Intent,
        /// The intent byte of the peer.
        theirs: u8,
    },
    /// The protocol version of the peer differs.
    #[error(
        "the peer (build {build}) speaks protocol version {theirs}, this program speaks {ours}: restart the older one"
    )]
    WrongVersion {
        /// The version of this program.
        ours: u16,
        /// The version of the peer.
        theirs: u16,
        /// The build id of the peer.
        build: String,
    },
    /// A system call failed.
    #[error("the channel failed: {0}")]
    Io(#[from] io::Error),
}

/// Encodes a message as a packet.
///
/// # Errors
/// [`WireError::Oversize`] if the packet is larger than [`PACKET_MAX`].
pub fn encode<M: Message>(message: &M) -> Result<Vec<u8>, WireError> {
    let bytes = postcard::to_stdvec(message).map_err(|_| WireError::Oversize)?;
    if bytes.len() > PACKET_MAX { Err(WireError::Oversize) } else { Ok(bytes) }
}

/// Decodes a packet that came with `descriptors` descriptors.
///
/// # Errors
/// Every variant of [`WireError`] that concerns a single packet. Never panics. A list is given room
/// for no more items than the packet has bytes left, and for 1 MiB at most, before it is read.
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
    /// The receive buffer of a thread. It is reused, because a new buffer for each packet would
    /// have to be zeroed.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Receives a packet and decodes its message, for both kinds of channel.
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
    // An empty packet cannot be told from a closed socket; no message is empty.
    if received.length == 0 {
        return Err(WireError::Closed);
    }
    let packet = buffer.get(..received.length).ok_or(WireError::Oversize)?;
    let message = decode(packet, received.descriptors.len())?;
    Ok((message, received.descriptors))
}
