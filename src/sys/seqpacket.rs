//! UNIX sockets of type SEQPACKET: whole packets, with descriptors.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{
    self, AddressFamily, Backlog, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, UnixCredentials,
};

/// Maximum number of descriptors in one packet. The kernel closes the rest and marks the packet.
pub const DESCRIPTORS_MAX: usize = 2;

/// A received packet.
#[derive(Debug)]
pub struct Received {
    /// Length of the packet in the buffer in bytes; 0 if the peer has closed the socket.
    pub length: usize,
    /// The descriptors of the packet, close-on-exec.
    pub descriptors: Vec<OwnedFd>,
    /// Whether the packet or its descriptors did not fit.
    pub truncated: bool,
}

/// Sends one packet. See sendmsg(2).
///
/// # Errors
/// Any error of sendmsg(2); a closed peer is `BrokenPipe`, never a signal.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let raw: Vec<_> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &[][..] } else { &rights[..] };
    let parts = [IoSlice::new(bytes)];
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_EOR;
    let sent = socket::sendmsg::<()>(socket.as_raw_fd(), &parts, control, flags, None)?;
    if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Receives one packet into `buffer`. See recvmsg(2).
///
/// # Errors
/// Any error of recvmsg(2); `EMFILE` if this process cannot open the descriptors of the packet,
/// which is then lost.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Received> {
    let mut control = cmsg_space!([std::os::fd::RawFd; DESCRIPTORS_MAX]);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let raw = socket.as_raw_fd();
    let message = match socket::recvmsg::<()>(raw, &mut parts, Some(&mut control), flags) {
        // The peer closed the socket while data from here was unread. The kernel reports this once,
        // before it delivers what the peer had sent: unix_release_sock in net/unix/af_unix.c.
        Err(Errno::ECONNRESET) => socket::recvmsg::<()>(raw, &mut parts, Some(&mut control), flags)?,
        received => received?,
    };
    let (length, flags) = (message.bytes, message.flags);
    // The descriptors of a refused packet are owned too, or they would stay open for ever.
    let descriptors = own(&control);
    if flags.contains(MsgFlags::MSG_CTRUNC) && descriptors.len() < DESCRIPTORS_MAX {
        return Err(Errno::EMFILE.into());
    }
    let truncated = flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC);
    Ok(Received { length, descriptors, truncated })
}

/// The descriptors that recvmsg(2) has just written into `control`, which was zeroed before. The
/// kernel puts all descriptors of a packet into one control message, and writes no other control
/// message that was not requested: see unix(7), and cmsg(3) for the layout. This function exists
/// because nix returns none of the descriptors if a packet has too many.
fn own(control: &[u8]) -> Vec<OwnedFd> {
    let Some((length, rest)) = control.split_first_chunk() else { return Vec::new() };
    let kind = [libc::SOL_SOCKET.to_ne_bytes(), libc::SCM_RIGHTS.to_ne_bytes()].concat();
    let length = usize::from_ne_bytes(*length).saturating_sub(size_of_val(length));
    let Some(raw) = rest.get(..length).and_then(|rest| rest.strip_prefix(&*kind)) else { return Vec::new() };
    let (raw, _) = raw.as_chunks();
    // SAFETY: recvmsg created this descriptor for us just now, and no other code knows its number.
    raw.iter().map(|fd| unsafe { OwnedFd::from_raw_fd(i32::from_ne_bytes(*fd)) }).collect()
}

/// A connected pair of sockets, close-on-exec.
///
/// # Errors
/// Any error of socketpair(2).
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC;
    Ok(socket::socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?)
}

/// Connects to the socket at `path`. This blocks only while the backlog is full, at most 5 s.
///
/// # Errors
/// Any error of socket(2) or connect(2).
pub fn connect(path: &Path) -> io::Result<OwnedFd> {
    let fd = socket::socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    // SO_SNDTIMEO also limits connect(2), which would otherwise block for ever on a full backlog.
    let deadline = nix::sys::time::TimeVal::new(5, 0);
    socket::setsockopt(&fd, socket::sockopt::SendTimeout, &deadline)?;
    socket::connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(fd)
}

/// Like [`connect`], for a thread that must not block: a full backlog is `WouldBlock`. The socket
/// is non-blocking from then on.
///
/// # Errors
/// Any error of socket(2) or connect(2).
pub fn connect_at_once(path: &Path) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket::socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
    socket::connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(fd)
}

/// A listening socket at `path`, for the tests' substitute for systemd.
///
/// # Errors
/// Any error of socket(2), bind(2) or listen(2).
pub fn listen(path: &Path) -> io::Result<OwnedFd> {
    let fd = socket::socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    socket::bind(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    socket::listen(&fd, Backlog::MAXCONN)?;
    Ok(fd)
}

/// Accepts the next connection of a listening socket, close-on-exec.
///
/// # Errors
/// Any error of accept4(2).
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let raw = socket::accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC)?;
    // SAFETY: accept4 created this descriptor for us just now.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// The credentials of the process that connected a socket, recorded by the kernel at connect(2).
/// See unix(7), SO_PEERCRED.
pub type Peer = UnixCredentials;

/// The credentials of the process that connected this socket.
///
/// # Errors
/// Any error of getsockopt(2).
pub fn peer(socket: BorrowedFd<'_>) -> io::Result<Peer> {
    Ok(socket::getsockopt(&socket, socket::sockopt::PeerCredentials)?)
}

/// Waits until the socket is readable, but no longer than `at_most`.
///
/// # Errors
/// `TimedOut`, or any error of poll(2).
pub fn wait_readable(socket: BorrowedFd<'_>, at_most: Duration) -> io::Result<()> {
    wait(socket, PollFlags::POLLIN, at_most)
}

/// Waits until a packet can be sent without blocking, but no longer than `at_most`.
///
/// # Errors
/// `TimedOut`, or any error of poll(2).
pub fn wait_writable(socket: BorrowedFd<'_>, at_most: Duration) -> io::Result<()> {
    wait(socket, PollFlags::POLLOUT, at_most)
}

fn wait(socket: BorrowedFd<'_>, for_what: PollFlags, at_most: Duration) -> io::Result<()> {
    let deadline = std::time::Instant::now() + at_most;
    loop {
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match nix::poll::poll(&mut [PollFd::new(socket, for_what)], timeout) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            // A signal does not restart the wait: the loop continues with the remaining time.
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Makes the socket non-blocking.
///
/// # Errors
/// Any error of fcntl(2).
pub fn set_nonblocking(socket: BorrowedFd<'_>) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let flags = OFlag::from_bits_truncate(fcntl(socket, FcntlArg::F_GETFL)?);
    fcntl(socket, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Limits how many bytes may wait in the kernel for the peer. The kernel doubles it, see socket(7).
///
/// # Errors
/// Any error of setsockopt(2).
pub fn set_send_buffer(socket: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    Ok(socket::setsockopt(&socket, socket::sockopt::SndBuf, &bytes)?)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_peer_that_closed_without_reading_is_still_heard() {
        let (ours, theirs) = pair().unwrap();
        send(ours.as_fd(), b"unread", &[]).unwrap();
        send(theirs.as_fd(), b"last words", &[]).unwrap();
        drop(theirs);
        let mut buffer = [0; 64];
        let received = receive(ours.as_fd(), &mut buffer).unwrap();
        assert_eq!(&buffer[..received.length], b"last words");
        assert_eq!(receive(ours.as_fd(), &mut buffer).unwrap().length, 0);
    }

    #[test]
    fn descriptors_that_are_too_many_or_come_with_too_long_a_packet_are_closed() {
        let (ours, theirs) = pair().unwrap();
        for (count, length) in [(1, 64), (DESCRIPTORS_MAX, 64), (3, 64), (20, 64), (253, 64), (1, 65)] {
            let (sent, seen) = pair().unwrap();
            send(theirs.as_fd(), &vec![7; length], &vec![sent.as_fd(); count]).unwrap();
            drop(sent);
            let received = receive(ours.as_fd(), &mut [0; 64]).unwrap();
            assert_eq!(received.truncated, count > DESCRIPTORS_MAX || length > 64, "{count}, {length}");
            assert_eq!(received.descriptors.len(), count.min(DESCRIPTORS_MAX));
            set_nonblocking(seen.as_fd()).unwrap();
            let open = receive(seen.as_fd(), &mut [0; 64]).unwrap_err();
            assert_eq!(open.kind(), io::ErrorKind::WouldBlock, "or what follows proves nothing");
            drop(received);
            // The read end reports the close once no copy of the other end is open.
            let closed = receive(seen.as_fd(), &mut [0; 64]).map(|received| received.length);
            assert_eq!(closed.unwrap(), 0, "{count} descriptors, {length} bytes");
        }
    }
}
