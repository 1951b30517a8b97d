//! What the kernel does to the packets of a control group. See bpf(2).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `BPF_PROG_QUERY` of linux/bpf.h, which libc does not have.
const PROG_QUERY: nix::libc::c_int = 16;

/// `BPF_CGROUP_INET_INGRESS` of linux/bpf.h.
const INET_INGRESS: u32 = 0;

/// The beginning of `union bpf_attr` as `BPF_PROG_QUERY` reads it. What follows is zero for the
/// kernel.
#[repr(C)]
#[derive(Default)]
struct Query {
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    programs: u64,
    count: u32,
    padding: u32,
}

/// How many programs decide about the packets that come in for a control group, whose folder is
/// open. systemd attaches one for `IPAddressAllow=` and `IPAddressDeny=`.
///
/// # Errors
/// Any error of bpf(2): `EPERM` without CAP_NET_ADMIN, `EINVAL` if the kernel has none of this.
pub fn ingress_programs(cgroup: BorrowedFd<'_>) -> io::Result<u32> {
    let target_fd = cgroup.as_raw_fd().unsigned_abs();
    let mut query = Query { target_fd, attach_type: INET_INGRESS, ..Query::default() };
    // SAFETY: the descriptor is open during the call; the kernel reads and writes no more than the
    // size that it is given, and no list of programs, because `programs` is null.
    let done =
        unsafe { nix::libc::syscall(nix::libc::SYS_bpf, PROG_QUERY, &raw mut query, size_of::<Query>()) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(query.count) }
}
