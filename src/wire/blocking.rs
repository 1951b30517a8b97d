use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use super::handshake::{Hello, Intent};
use super::packet::{self, Message, WireError, encode};
use crate::sys::seqpacket;

/// One end of a channel for a program that blocks: it sends `Out` and receives `In`.
#[derive(Debug)]
pub struct Channel<Out, In> {
    socket: OwnedFd,
    types: PhantomData<fn(Out) -> In>,
}

impl<Out: Message, In: Message> Channel<Out, In> {
    /// A channel over a connected SEQPACKET socket.
    pub fn over(socket: OwnedFd) -> Self {
        Self { socket, types: PhantomData }
    }

    /// A connected pair: this end and the other end.
    ///
    /// # Errors
    /// Any error of socketpair(2).
    pub fn pair() -> Result<(Self, Channel<In, Out>), WireError> {
        let (one, other) = seqpacket::pair()?;
        Ok((Self::over(one), Channel::over(other)))
    }

    /// Connects to the socket at `path` and exchanges greetings.
    ///
    /// # Errors
    /// Any error of the kernel, or an error of [`Self::greet`].
    pub fn connect(path: &Path, intent: Intent, at_most: Duration) -> Result<Self, WireError> {
        let channel = Self::over(seqpacket::connect(path)?);
        channel.greet(intent, at_most)?;
        Ok(channel)
    }

    /// Sends our greeting and reads that of the peer.
    ///
    /// # Errors
    /// An error in the greeting of the peer, an error of the socket, or [`WireError::TimedOut`].
    pub fn greet(&self, intent: Intent, at_most: Duration) -> Result<(), WireError> {
        self.send_greeting(intent)?;
        self.wait(at_most)?;
        self.receive_greeting(intent)
    }

    /// Sends our greeting, for an event loop that reads the greeting of the peer when it arrives.
    ///
    /// # Errors
    /// Any error of sendmsg(2).
    pub fn send_greeting(&self, intent: Intent) -> Result<(), WireError> {
        Ok(seqpacket::send(self.as_fd(), &Hello::ours(intent).encode(), &[])?)
    }

    /// Reads the greeting of the peer.
    ///
    /// # Errors
    /// An error in the greeting, or of the socket.
    pub fn receive_greeting(&self, intent: Intent) -> Result<(), WireError> {
        let mut buffer = [0; 64];
        let received = seqpacket::receive(self.as_fd(), &mut buffer)?;
        if received.length == 0 {
            return Err(WireError::Closed);
        }
        if received.truncated || !received.descriptors.is_empty() {
            return Err(WireError::NoGreeting);
        }
        Hello::decode(buffer.get(..received.length).unwrap_or_default())?.accept(intent)
    }

    /// Sends a message with its descriptors.
    ///
    /// # Errors
    /// [`WireError::Oversize`], or any error of sendmsg(2); `WouldBlock` if the socket is
    /// non-blocking and full.
    pub fn send(&self, message: &Out, descriptors: &[BorrowedFd<'_>]) -> Result<(), WireError> {
        debug_assert_eq!(message.descriptors(), descriptors.len());
        Ok(seqpacket::send(self.as_fd(), &encode(message)?, descriptors)?)
    }

    /// Receives a message with its descriptors.
    ///
    /// # Errors
    /// An error in the packet, or of the socket.
    pub fn receive(&self) -> Result<(In, Vec<OwnedFd>), WireError> {
        packet::receive(self.as_fd())
    }

    /// Receives a message, but waits no longer than `at_most`.
    ///
    /// # Errors
    /// As [`Self::receive`], and [`WireError::TimedOut`].
    pub fn receive_within(&self, at_most: Duration) -> Result<(In, Vec<OwnedFd>), WireError> {
        self.wait(at_most)?;
        self.receive()
    }

    /// Sends a message with its descriptors, but waits no longer than `at_most` for room in the
    /// socket.
    ///
    /// # Errors
    /// As [`Self::send`], and [`WireError::TimedOut`].
    pub fn send_within(
        &self,
        message: &Out,
        descriptors: &[BorrowedFd<'_>],
        at_most: Duration,
    ) -> Result<(), WireError> {
        seqpacket::wait_writable(self.as_fd(), at_most).map_err(over)?;
        self.send(message, descriptors)
    }

    fn wait(&self, at_most: Duration) -> Result<(), WireError> {
        seqpacket::wait_readable(self.as_fd(), at_most).map_err(over)
    }

    /// Returns the socket, to be passed on.
    pub fn into_socket(self) -> OwnedFd {
        self.socket
    }
}

impl<Out, In> AsFd for Channel<Out, In> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn over(error: std::io::Error) -> WireError {
    let over = error.kind() == std::io::ErrorKind::TimedOut;
    if over { WireError::TimedOut } else { WireError::Io(error) }
}
