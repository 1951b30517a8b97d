//! The system calls that each thread may make, in one table. Each row has a system call, its
//! threads and the reason.

use libc::c_long;

/// A kind of thread in the programs of tere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thread {
    /// The main thread of the worker: handles the channel of the broker, signals and the end of the
    /// session.
    WorkerControl,
    /// The thread of the worker that reads the PTY.
    WorkerPty,
    /// The thread of the worker that keeps the screen.
    WorkerTerminal,
    /// The thread of the worker that sends output to viewers and receives their input.
    WorkerViewers,
    /// Every thread of the front.
    Front,
    /// Every thread of auth.
    Auth,
    /// Every thread of the broker.
    Broker,
}

use Thread::{Auth, Broker, Front, WorkerControl, WorkerPty, WorkerTerminal, WorkerViewers};

/// A system call and the threads that may make it.
pub(super) struct Row {
    pub(super) call: c_long,
    pub(super) threads: &'static [Thread],
    #[allow(dead_code)] // read by people, and by the test that every row has a reason
    pub(super) why: &'static str,
}

const ALL: &[Thread] = &[WorkerControl, WorkerPty, WorkerTerminal, WorkerViewers, Front, Auth, Broker];
const ASYNC: &[Thread] = &[Front, Auth, Broker];

const fn row(call: c_long, threads: &'static [Thread], why: &'static str) -> Row {
    Row { call, threads, why }
}

pub(super) const TABLE: &[Row] = &[
    // Every thread of every program.
    row(libc::SYS_read, ALL, "the PTY, eventfds, files"),
    row(libc::SYS_write, ALL, "the PTY, eventfds, files, standard error"),
    row(libc::SYS_close, ALL, "descriptors end"),
    row(libc::SYS_recvmsg, ALL, "packets with descriptors"),
    row(libc::SYS_sendmsg, ALL, "packets with descriptors, journal records"),
    row(libc::SYS_sendto, ALL, "the notify socket, journal records"),
    row(libc::SYS_memfd_create, ALL, "a journal record too large for one datagram"),
    row(libc::SYS_fcntl, ALL, "non-blocking sockets, seals"),
    row(libc::SYS_futex, ALL, "locks and thread parking"),
    row(libc::SYS_mmap, ALL, "the allocator"),
    row(libc::SYS_munmap, ALL, "the allocator"),
    row(libc::SYS_mremap, ALL, "the allocator"),
    row(libc::SYS_mprotect, ALL, "the allocator, stacks of new threads"),
    row(libc::SYS_madvise, ALL, "the allocator, stacks of ended threads"),
    row(libc::SYS_brk, ALL, "the allocator"),
    row(libc::SYS_clock_gettime, ALL, "deadlines, where the vDSO cannot"),
    row(libc::SYS_getrandom, ALL, "hash seeds, challenges, ids"),
    row(libc::SYS_rt_sigprocmask, ALL, "thread start and end"),
    row(libc::SYS_rt_sigaction, ALL, "thread start, the runtime's signal handling"),
    row(libc::SYS_rt_sigreturn, ALL, "return from a signal handler"),
    row(libc::SYS_sigaltstack, ALL, "thread start and end"),
    row(libc::SYS_set_robust_list, ALL, "thread start"),
    row(libc::SYS_rseq, ALL, "thread start"),
    row(libc::SYS_prctl, ALL, "thread names"),
    row(libc::SYS_sched_yield, ALL, "contended locks"),
    row(libc::SYS_sched_getaffinity, ALL, "how many threads to start"),
    row(libc::SYS_gettid, ALL, "abort"),
    row(libc::SYS_getpid, ALL, "abort, journal records"),
    row(libc::SYS_tgkill, ALL, "abort"),
    row(libc::SYS_exit, ALL, "thread end"),
    row(libc::SYS_exit_group, ALL, "process end"),
    row(libc::SYS_restart_syscall, ALL, "a wait that was stopped and continued"),
    row(libc::SYS_ppoll, ALL, "waiting"),
    #[cfg(target_arch = "x86_64")]
    row(libc::SYS_poll, ALL, "waiting"),
    row(libc::SYS_fstat, ALL, "standard error at exit"),
    // The worker.
    row(libc::SYS_accept4, &[WorkerControl], "the broker comes back after its restart"),
    row(libc::SYS_socketpair, &[WorkerControl], "a new viewer"),
    row(libc::SYS_setsockopt, &[WorkerControl], "bounds of a viewer's socket"),
    row(libc::SYS_ioctl, &[WorkerControl, WorkerViewers], "the size of the PTY"),
    row(libc::SYS_ioctl, &[WorkerPty], "whether the shell still has the PTY"),
    // The programs with a tokio runtime: front, auth and the broker.
    row(libc::SYS_epoll_create1, ASYNC, "the runtime"),
    #[cfg(target_arch = "x86_64")]
    row(libc::SYS_epoll_wait, ASYNC, "the runtime"),
    row(libc::SYS_epoll_pwait, ASYNC, "the runtime"),
    row(libc::SYS_epoll_ctl, ASYNC, "the runtime"),
    row(libc::SYS_eventfd2, ASYNC, "the runtime"),
    row(libc::SYS_clone3, ASYNC, "the runtime's threads for waiting calls"),
    row(libc::SYS_clone, ASYNC, "the runtime's threads, on an older libc"),
    row(libc::SYS_clock_nanosleep, ASYNC, "the runtime's timers"),
    row(libc::SYS_accept4, ASYNC, "their listening sockets"),
    row(libc::SYS_socket, ASYNC, "connecting to the next program"),
    row(libc::SYS_connect, ASYNC, "connecting to the next program"),
    row(libc::SYS_socketpair, ASYNC, "the runtime's signal handling"),
    row(libc::SYS_recvfrom, ASYNC, "streams"),
    row(libc::SYS_readv, ASYNC, "streams"),
    row(libc::SYS_writev, ASYNC, "streams"),
    row(libc::SYS_shutdown, ASYNC, "streams"),
    row(libc::SYS_getsockname, ASYNC, "which listener this is"),
    row(libc::SYS_getpeername, ASYNC, "who connected"),
    row(libc::SYS_getsockopt, ASYNC, "who connected"),
    row(libc::SYS_setsockopt, ASYNC, "no delay, bounds of buffers"),
    row(libc::SYS_uname, ASYNC, "D-Bus and journal records"),
    row(libc::SYS_getuid, ASYNC, "D-Bus authentication"),
    row(libc::SYS_geteuid, ASYNC, "D-Bus authentication"),
    // Files; landlock restricts which.
    row(libc::SYS_openat, &[Auth, Broker], "accounts, records, the policy"),
    row(libc::SYS_newfstatat, &[Auth, Broker], "files"),
    row(libc::SYS_statx, &[Auth, Broker], "files"),
    row(libc::SYS_lseek, &[Auth, Broker], "files"),
    row(libc::SYS_getdents64, &[Auth, Broker], "accounts and records are a file each"),
    row(libc::SYS_fsync, &[Auth, Broker], "what is stored stays stored"),
    row(libc::SYS_renameat, &[Auth, Broker], "a file is replaced whole"),
    row(libc::SYS_renameat2, &[Auth, Broker], "a file is replaced whole"),
    #[cfg(target_arch = "x86_64")]
    row(libc::SYS_rename, &[Auth, Broker], "a file is replaced whole"),
    row(libc::SYS_unlinkat, &[Auth, Broker], "a file is removed"),
    #[cfg(target_arch = "x86_64")]
    row(libc::SYS_unlink, &[Auth, Broker], "a file is removed"),
    row(libc::SYS_mkdirat, &[Auth, Broker], "the folder of accounts"),
    #[cfg(target_arch = "x86_64")]
    row(libc::SYS_mkdir, &[Auth, Broker], "the folder of accounts"),
    row(libc::SYS_fchmod, &[Auth, Broker], "files are their owner's alone"),
];
