//! systemd's notify socket for a worker, which opens it once: its sandbox takes socket(2) away, which the
//! sd-notify crate needs for each message of the other services. See sd_notify(3).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use nix::sys::socket::{ControlMessage, MsgFlags};

/// The notify socket, or nothing where the process was not started by systemd.
#[derive(Debug)]
pub struct Notify {
    socket: Option<UnixDatagram>,
}

impl Notify {
    /// Connects to `NOTIFY_SOCKET`.
    ///
    /// # Errors
    /// What socket(2) or connect(2) says.
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

    /// Says one thing: lines of `NAME=value`.
    ///
    /// # Errors
    /// What send(2) says.
    pub fn say(&self, text: &str) -> io::Result<()> {
        self.socket.as_ref().map_or(Ok(()), |socket| socket.send(text.as_bytes()).map(drop))
    }

    /// Says one thing with a descriptor, for the descriptor store.
    ///
    /// # Errors
    /// What sendmsg(2) says.
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
