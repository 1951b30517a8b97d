//! The notify socket of systemd, for a worker. It is opened only once, because the sandbox of a
//! worker denies socket(2). The sd-notify crate, which the other services use, needs socket(2) for
//! each message. See sd_notify(3).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use nix::sys::socket::{ControlMessage, MsgFlags};

/// The notify socket, or None if systemd did not start the process.
#[derive(Debug)]
pub struct Notify {
    pub(crate) socket: Option<UnixDatagram>,
}

impl Notify {
    /// Connects to `NOTIFY_SOCKET`.
    ///
    /// # Errors
    /// Any error of socket(2) or connect(2).
    pub fn open() -> io::Result<Self> {
        let Some(address) = std::env::var_os("NOTIFY_SOCKET") else {
            return Ok(Self { socket: None });
        };
        let socket = UnixDatagram::unbound()?;
        match address.as_encoded_bytes().strip_prefix(b"@") {
            Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
            None => socket.connect(&address)?,
        }
        Ok(Self { socket: Some(socket) })
    }

    /// Sends one message: lines of `NAME=value`. Does nothing without a socket.
    ///
    /// # Errors
    /// Any error of send(2).
    pub fn say(&self, text: &str) -> io::Result<()> {
        self.socket.as_ref().map_or(Ok(()), |socket| socket.send(text.as_bytes()).map(drop))
    }

    /// Sends one message with a descriptor, for the descriptor store, if there is a socket.
    ///
    /// # Errors
    /// Any error of sendmsg(2).
    pub fn say_with(&self, text: &str, fd: BorrowedFd<'_>) -> io::Result<()> {
        let Some(socket) = &self.socket else { return Ok(()) };
        let raw = [fd.as_raw_fd()];
        let parts = [io::IoSlice::new(text.as_bytes())];
        let control = [ControlMessage::ScmRights(&raw)];
        let socket = socket.as_fd().as_raw_fd();
        nix::sys::socket::sendmsg::<()>(socket, &parts, &control, MsgFlags::MSG_NOSIGNAL, None)?;
        Ok(())
    }
}
