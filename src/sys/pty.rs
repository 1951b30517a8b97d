//! Operations on a PTY master. See ioctl_tty(2).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::names::TermSize;

mod ioctl {
    #![allow(missing_docs, unreachable_pub)] // what nix's macros make

    nix::ioctl_write_ptr_bad!(tiocswinsz, nix::libc::TIOCSWINSZ, nix::libc::winsize);
    nix::ioctl_read_bad!(tiocgwinsz, nix::libc::TIOCGWINSZ, nix::libc::winsize);
    nix::ioctl_read_bad!(tiocgsid, nix::libc::TIOCGSID, nix::libc::pid_t);
    nix::ioctl_read_bad!(tiocgptn, nix::libc::TIOCGPTN, nix::libc::c_uint);
    nix::ioctl_write_ptr_bad!(tiocpkt, nix::libc::TIOCPKT, nix::libc::c_int);
}

/// Sets the size. If it changed, the kernel sends SIGWINCH to the foreground process group.
///
/// # Errors
/// Any error of ioctl(2).
pub fn set_size(master: BorrowedFd<'_>, size: TermSize) -> io::Result<()> {
    let size = nix::libc::winsize { ws_row: size.rows(), ws_col: size.cols(), ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is open during the call and `size` outlives it; the kernel only reads.
    unsafe { ioctl::tiocswinsz(master.as_raw_fd(), &raw const size) }?;
    Ok(())
}

/// The size; None if it is not a size that a terminal can have.
///
/// # Errors
/// Any error of ioctl(2).
pub fn size(master: BorrowedFd<'_>) -> io::Result<Option<TermSize>> {
    let mut size = nix::libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is open during the call; the kernel writes one `winsize` to `size`.
    unsafe { ioctl::tiocgwinsz(master.as_raw_fd(), &raw mut size) }?;
    Ok(TermSize::new(size.ws_col, size.ws_row).ok())
}

/// Whether the PTY is the controlling terminal of a POSIX session. It is not until the session
/// leader, the shell, has acquired it, and no longer once the leader has exited: the kernel takes
/// it from the session (`disassociate_ctty`), even if a background job has it open.
///
/// # Errors
/// Any error of ioctl(2).
pub fn has_session(master: BorrowedFd<'_>) -> io::Result<bool> {
    // The kernel writes 0 if the PID namespace does not contain the leader.
    let mut leader = 0;
    // SAFETY: the descriptor is open during the call; the kernel writes one `pid_t` to `leader`.
    match unsafe { ioctl::tiocgsid(master.as_raw_fd(), &raw mut leader) } {
        Ok(_) => Ok(true),
        Err(nix::errno::Errno::ENOTTY) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether the descriptor is a PTY master.
pub fn is_master(fd: BorrowedFd<'_>) -> bool {
    let mut number = 0;
    // SAFETY: the descriptor is open during the call; the kernel writes one integer to `number`.
    unsafe { ioctl::tiocgptn(fd.as_raw_fd(), &raw mut number) }.is_ok()
}

/// Switches packet mode on, TIOCPKT(2const): what is read begins with a byte that is 0 before
/// output, and else tells, alone, a change of the terminal, before all output that follows it.
///
/// # Errors
/// Any error of ioctl(2).
pub fn set_packet_mode(master: BorrowedFd<'_>) -> io::Result<()> {
    let on = 1;
    // SAFETY: the descriptor is open during the call and `on` outlives it; the kernel only reads.
    unsafe { ioctl::tiocpkt(master.as_raw_fd(), &raw const on) }?;
    Ok(())
}
