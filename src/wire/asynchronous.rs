use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::handshake::{Hello, Intent};
use super::packet::{self, Message, WireError, encode};
use crate::sys::inherited::Inherited;
use crate::sys::seqpacket::Peer;
use crate::sys::{reactor, seqpacket};

/// One end of a channel for an async program: it sends `Out` and receives `In`. Each send and each
/// receive is a single system call, so dropping either future loses no message.
#[derive(Debug)]
pub struct AsyncChannel<Out, In> {
    socket: AsyncFd<OwnedFd>,
    types: PhantomData<fn(Out) -> In>,
}

impl<Out: Message, In: Message> AsyncChannel<Out, In> {
    /// A channel over a connected SEQPACKET socket.
    ///
    /// # Errors
    /// Any error of fcntl(2) or epoll_ctl(2).
    pub fn over(socket: OwnedFd) -> Result<Self, WireError> {
        seqpacket::set_nonblocking(socket.as_fd())?;
        Ok(Self { socket: reactor::register(socket)?, types: PhantomData })
    }

    /// A connected pair: this end and the other end.
    ///
    /// # Errors
    /// Any error of socketpair(2), fcntl(2) or epoll_ctl(2).
    pub fn pair() -> Result<(Self, AsyncChannel<In, Out>), WireError> {
        let (one, other) = seqpacket::pair()?;
        Ok((Self::over(one)?, AsyncChannel::over(other)?))
    }

    /// Connects to the socket at `path` and exchanges greetings.
    ///
    /// # Errors
    /// Any error of the kernel, `WouldBlock` if the backlog of the peer is full, or an error of
    /// [`Self::greet`].
    pub async fn connect(path: &Path, intent: Intent, at_most: Duration) -> Result<Self, WireError> {
        let channel = Self::over(seqpacket::connect_at_once(path)?)?;
        channel.greet(intent, at_most).await?;
        Ok(channel)
    }

    /// Sends our greeting and reads that of the peer.
    ///
    /// # Errors
    /// An error in the greeting of the peer, an error of the socket, or [`WireError::TimedOut`].
    pub async fn greet(&self, intent: Intent, at_most: Duration) -> Result<(), WireError> {
        let greet = async {
            let packet = Hello::ours(intent).encode();
            self.socket.async_io(Interest::WRITABLE, |fd| seqpacket::send(fd.as_fd(), &packet, &[])).await?;
            let mut buffer = [0; 64];
            let received = self
                .socket
                .async_io(Interest::READABLE, |fd| seqpacket::receive(fd.as_fd(), &mut buffer))
                .await?;
            if received.length == 0 {
                return Err(WireError::Closed);
            }
            if received.truncated || !received.descriptors.is_empty() {
                return Err(WireError::NoGreeting);
            }
            Hello::decode(buffer.get(..received.length).unwrap_or_default())?.accept(intent)
        };
        tokio::time::timeout(at_most, greet).await.unwrap_or(Err(WireError::TimedOut))
    }

    /// Sends a message with its descriptors as soon as the socket has room.
    ///
    /// # Errors
    /// [`WireError::Oversize`], or any error of sendmsg(2).
    pub async fn send(&self, message: &Out, descriptors: &[BorrowedFd<'_>]) -> Result<(), WireError> {
        debug_assert_eq!(message.descriptors(), descriptors.len());
        let packet = encode(message)?;
        let send = |fd: &OwnedFd| seqpacket::send(fd.as_fd(), &packet, descriptors);
        Ok(self.socket.async_io(Interest::WRITABLE, send).await?)
    }

    /// Receives the next message with its descriptors.
    ///
    /// # Errors
    /// An error in the packet, or of the socket.
    pub async fn receive(&self) -> Result<(In, Vec<OwnedFd>), WireError> {
        let receive = |fd: &OwnedFd| match packet::receive(fd.as_fd()) {
            Err(WireError::Io(error)) => Err(error),
            received => Ok(received),
        };
        self.socket.async_io(Interest::READABLE, receive).await?
    }

    /// Receives the next message, but waits no longer than `at_most`.
    ///
    /// # Errors
    /// As [`Self::receive`], and [`WireError::TimedOut`].
    pub async fn receive_within(&self, at_most: Duration) -> Result<(In, Vec<OwnedFd>), WireError> {
        tokio::time::timeout(at_most, self.receive()).await.unwrap_or(Err(WireError::TimedOut))
    }

    /// Returns the socket, to be passed on. It stays non-blocking.
    pub fn into_socket(self) -> OwnedFd {
        self.socket.into_inner()
    }
}

impl<Out, In> AsFd for AsyncChannel<Out, In> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Delay after a failed accept(2).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// A listening socket passed by systemd. Every connection is a channel of the same two types.
#[derive(Debug)]
pub struct AsyncListener<Out, In> {
    socket: AsyncFd<OwnedFd>,
    types: PhantomData<fn(Out) -> In>,
}

impl<Out: Message, In: Message> AsyncListener<Out, In> {
    /// A listener over a listening SEQPACKET socket.
    ///
    /// # Errors
    /// Any error of fcntl(2) or epoll_ctl(2).
    pub fn over(socket: Inherited) -> Result<Self, WireError> {
        seqpacket::set_nonblocking(socket.fd.as_fd())?;
        Ok(Self { socket: reactor::register(socket.fd)?, types: PhantomData })
    }

    /// The next connection, before the greetings, and the credentials of its peer. If no connection
    /// can be accepted, for example because no descriptors are left, logs the error and retries
    /// after `ACCEPT_PAUSE`, as other connections may close meanwhile.
    pub async fn next(&self) -> (AsyncChannel<Out, In>, Peer) {
        loop {
            match self.accept().await {
                Ok(accepted) => return accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot take a connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn accept(&self) -> Result<(AsyncChannel<Out, In>, Peer), WireError> {
        let accept = |fd: &OwnedFd| seqpacket::accept(fd.as_fd());
        let socket = self.socket.async_io(Interest::READABLE, accept).await?;
        let peer = seqpacket::peer(socket.as_fd())?;
        Ok((AsyncChannel::over(socket)?, peer))
    }
}
