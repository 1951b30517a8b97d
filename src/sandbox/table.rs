//! The system calls that each thread may make once it is in its sandbox, in one table: a system
//! call, its threads, what its arguments must be, and the reason. A thread is in its sandbox from
//! before its first byte from a peer until it ends, so what it needs to start is not here.

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
    /// The thread of `tere show`, `send` and `wait` that reads what a worker sends.
    Show,
    /// The thread of `tere attach` that shows what a worker sends, and sends what is typed.
    Attach,
}

use Thread::{Attach, Auth, Broker, Front, Show, WorkerControl, WorkerPty, WorkerTerminal, WorkerViewers};

impl Thread {
    /// Every kind.
    pub const EVERY: [Self; 9] =
        [WorkerControl, WorkerPty, WorkerTerminal, WorkerViewers, Front, Auth, Broker, Show, Attach];
}

/// A system call and the threads that may make it.
pub(super) struct Row {
    pub(super) call: c_long,
    pub(super) threads: &'static [Thread],
    /// What the arguments must be: one of these rules must hold. Without a rule, they may be
    /// anything.
    pub(super) rules: &'static [Rule],
    #[allow(dead_code)] // read by people, and by the test that every row has a reason
    pub(super) why: &'static str,
}

/// Conditions that must all hold.
pub(super) type Rule = &'static [Condition];

/// A condition on one argument: its low 32 bits, as far as they are in `mask`, equal `value`.
pub(super) struct Condition {
    /// Which argument, from 0.
    pub(super) index: u8,
    pub(super) mask: u64,
    pub(super) value: u64,
}

const ALL: &[Thread] = &Thread::EVERY;
const WORKER: &[Thread] = &[WorkerControl, WorkerPty, WorkerTerminal, WorkerViewers];
const ASYNC: &[Thread] = &[Front, Auth, Broker];
const RUNTIME: &[Thread] = &[Front, Auth, Broker, Attach];

const fn row(call: c_long, threads: &'static [Thread], why: &'static str) -> Row {
    Row { call, threads, rules: &[], why }
}

const fn row_if(call: c_long, threads: &'static [Thread], rules: &'static [Rule], why: &'static str) -> Row {
    Row { call, threads, rules, why }
}

/// The argument is exactly this.
const fn is(index: u8, value: u64) -> Condition {
    Condition { index, mask: u32::MAX as u64, value }
}

/// A constant of libc as an argument.
const fn bits(constant: i32) -> u64 {
    constant.unsigned_abs() as u64
}

/// The argument has none of these bits.
const fn without(index: u8, mask: i32) -> Condition {
    Condition { index, mask: bits(mask), value: 0 }
}

/// The bits of socket(2)'s second argument that are its type.
const SOCKET_TYPE: u64 = 0xf;

/// A UNIX socket of this type, as the first two arguments.
const fn unix_socket(kind: i32) -> [Condition; 2] {
    [is(0, bits(libc::AF_UNIX)), Condition { index: 1, mask: SOCKET_TYPE, value: bits(kind) }]
}

const NO_CODE: &[Rule] = &[&[without(2, libc::PROT_EXEC)]];
const PACKETS: Rule = &unix_socket(libc::SOCK_SEQPACKET);
const DATAGRAMS: Rule = &unix_socket(libc::SOCK_DGRAM);
const STREAM: Rule = &unix_socket(libc::SOCK_STREAM);

pub(super) const TABLE: &[Row] = &[
    // Every thread of every program.
    row(libc::SYS_write, ALL, "the PTY, eventfds, files, standard error"),
    row(libc::SYS_close, ALL, "descriptors end"),
    row(libc::SYS_sendto, ALL, "journal records, the notify socket, streams"),
    row(libc::SYS_futex, ALL, "locks and thread parking"),
    row(libc::SYS_munmap, ALL, "the allocator, thread end"),
    row_if(libc::SYS_mprotect, ALL, NO_CODE, "the allocator"),
    row(libc::SYS_madvise, ALL, "the allocator, thread end"),
    row(libc::SYS_clock_gettime, ALL, "deadlines, where the vDSO cannot"),
    row(libc::SYS_rt_sigprocmask, ALL, "thread end"),
    row(libc::SYS_sigaltstack, ALL, "thread end"),
    row(libc::SYS_restart_syscall, ALL, "a wait that was stopped and continued"),
    // Where it is refused, glibc tries it again without end.
    row(libc::SYS_exit, ALL, "thread end"),
    // All but the thread that only moves bytes from the PTY into memory.
    row_if(
        libc::SYS_mmap,
        &[WorkerControl, WorkerTerminal, WorkerViewers, Front, Auth, Broker, Show, Attach],
        NO_CODE,
        "the allocator",
    ),
    row(libc::SYS_mremap, &[WorkerViewers, Front, Auth, Broker, Show, Attach], "the allocator; others copy"),
    row(libc::SYS_brk, &[WorkerControl, Front, Auth, Broker, Show, Attach], "the allocator of a main thread"),
    row(
        libc::SYS_getrandom,
        &[WorkerTerminal, Front, Auth, Broker, Show, Attach],
        "hash seeds, challenges, ids",
    ),
    // Messages and waiting.
    row(
        libc::SYS_recvmsg,
        &[WorkerControl, WorkerViewers, Front, Auth, Broker, Show, Attach],
        "packets with descriptors",
    ),
    row(
        libc::SYS_sendmsg,
        &[WorkerControl, WorkerViewers, Front, Auth, Broker, Show, Attach],
        "packets with descriptors",
    ),
    row(libc::SYS_read, WORKER, "the PTY, eventfds, signals"),
    #[cfg(target_arch = "x86_64")]
    row(libc::SYS_poll, &[WorkerControl, WorkerPty, WorkerTerminal, WorkerViewers, Show], "waiting"),
    #[cfg(not(target_arch = "x86_64"))]
    row(libc::SYS_ppoll, &[WorkerControl, WorkerPty, WorkerTerminal, WorkerViewers, Show], "waiting"),
    row_if(
        libc::SYS_fcntl,
        &[WorkerControl, WorkerViewers, Front, Auth, Broker, Show, Attach],
        &[
            &[is(1, bits(libc::F_GETFD))],
            &[is(1, bits(libc::F_GETFL))],
            &[is(1, bits(libc::F_SETFL))],
            &[is(1, bits(libc::F_DUPFD_CLOEXEC))],
            &[is(1, bits(libc::F_GET_SEALS))],
        ],
        "non-blocking sockets, duplicates, seals",
    ),
    row(libc::SYS_exit_group, &[WorkerControl, Front, Auth, Broker], "process end"),
    // The worker.
    row(libc::SYS_accept4, &[WorkerControl], "the broker comes back after its restart"),
    row_if(libc::SYS_socketpair, &[WorkerControl], &[PACKETS], "a new viewer"),
    row(libc::SYS_setsockopt, &[WorkerControl], "bounds of a viewer's socket"),
    row(libc::SYS_lseek, &[WorkerControl], "the length of the memory file of the worker before"),
    row_if(
        libc::SYS_ioctl,
        &[WorkerControl],
        &[&[is(1, libc::TIOCSWINSZ)], &[is(1, libc::TIOCGWINSZ)], &[is(1, libc::TIOCGPTN)]],
        "the size of the PTY, and whether it is one",
    ),
    row_if(
        libc::SYS_ioctl,
        &[WorkerViewers],
        &[&[is(1, libc::TIOCSWINSZ)], &[is(1, libc::TIOCPKT)]],
        "the size of the PTY, packet mode of a command's",
    ),
    row_if(libc::SYS_ioctl, &[Attach], &[&[is(1, libc::TIOCGWINSZ)]], "the size of the terminal"),
    row_if(libc::SYS_ioctl, &[WorkerPty], &[&[is(1, libc::TIOCGSID)]], "whether the shell still has the PTY"),
    // The programs with a tokio runtime: front, auth and the broker.
    #[cfg(target_arch = "x86_64")]
    row(libc::SYS_epoll_wait, RUNTIME, "the runtime"),
    row(libc::SYS_epoll_pwait, RUNTIME, "the runtime, on other libcs"),
    row(libc::SYS_epoll_ctl, RUNTIME, "the runtime"),
    row(libc::SYS_rt_sigaction, ASYNC, "the runtime's signal handling"),
    row(libc::SYS_rt_sigreturn, RUNTIME, "return from a signal handler"),
    row(libc::SYS_recvfrom, RUNTIME, "streams"),
    row(libc::SYS_accept4, ASYNC, "their listening sockets"),
    row_if(
        libc::SYS_socket,
        &[Front, Auth],
        &[PACKETS, DATAGRAMS],
        "connecting to the next program, the notify socket",
    ),
    row_if(
        libc::SYS_socket,
        &[Broker],
        &[PACKETS, DATAGRAMS, STREAM],
        "connecting to workers, the notify socket, the bus",
    ),
    row(libc::SYS_connect, ASYNC, "connecting to the next program"),
    row(libc::SYS_getsockopt, &[Auth, Broker], "who connected"),
    row(libc::SYS_setsockopt, &[Front], "no delay, bounds of buffers"),
    row(libc::SYS_shutdown, &[Front, Show], "the end of a socket"),
    row(libc::SYS_writev, &[Front], "TLS records"),
    row(libc::SYS_geteuid, &[Broker], "D-Bus authentication"),
    // Files; landlock restricts which.
    row(libc::SYS_read, &[Broker, Attach], "records, the policy; what is typed"),
    row(libc::SYS_openat, &[Auth, Broker], "accounts, records, the policy"),
    row(libc::SYS_newfstatat, &[Broker], "files"),
    row(libc::SYS_fstat, &[Broker], "files, on a newer libc"),
    row(libc::SYS_statx, &[Broker], "files"),
    row(libc::SYS_lseek, &[Broker], "files"),
    row(libc::SYS_getdents64, &[Broker], "each record is a file"),
    row(libc::SYS_fsync, &[Auth], "what is stored stays stored"),
    #[cfg(target_arch = "x86_64")]
    row(libc::SYS_rename, &[Auth, Broker], "a file is replaced whole"),
    #[cfg(not(target_arch = "x86_64"))]
    row(libc::SYS_renameat, &[Auth, Broker], "a file is replaced whole"),
    #[cfg(target_arch = "x86_64")]
    row(libc::SYS_unlink, &[Auth, Broker], "a file is removed"),
    #[cfg(not(target_arch = "x86_64"))]
    row(libc::SYS_unlinkat, &[Auth, Broker], "a file is removed"),
    row(libc::SYS_fchmod, &[Auth, Broker], "files are their owner's alone"),
];

/// The system calls that no thread in a sandbox ever has a reason for: they end the process.
/// systemd records `status=31/SYS` and starts it again; the kernel's audit record has the thread
/// and the call. All others that are not in the table fail with `EPERM`, because a library may try
/// them and do without: such are `memfd_create` for a journal record too large for a datagram,
/// `prctl` and `sched_getaffinity` of the allocator, and `sched_yield`.
pub(super) const NEVER: &[c_long] = &[
    // Programs and processes. abort(3) ends here, at tgkill.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_clone,
    libc::SYS_clone3,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_tgkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    // Who and where the process is.
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    libc::SYS_personality,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_chroot,
    libc::SYS_pivot_root,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_mount_setattr,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_mknodat,
    libc::SYS_symlinkat,
    libc::SYS_linkat,
    // The kernel.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    // Memory that others share.
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_semget,
    libc::SYS_msgget,
    libc::SYS_mq_open,
];
