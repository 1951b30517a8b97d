//! The attempts: files, sockets, memory, processes, and bare system calls.

use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::libc::{self, c_long};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

mod calls;

/// Something to try.
pub(crate) struct Attempt {
    /// What it is, in a few words; no other attempt has the same.
    pub(crate) name: String,
    /// Whether it is a system call with made-up arguments.
    pub(crate) is_bare_call: bool,
    /// Whether a thread's filter alone decides about it, wherever the process runs.
    is_for_the_filter: bool,
    /// Opens, before the sandbox, what the attempt has to have.
    pub(crate) prepare: fn() -> Option<OwnedFd>,
    /// Makes the attempt.
    pub(crate) make: Box<dyn Fn(Option<OwnedFd>) -> Result<(), Errno> + Send + Sync>,
}

impl Attempt {
    /// Whether a thread's filter alone decides about it, wherever the process runs.
    pub(crate) fn is_for_the_filter(&self) -> bool {
        self.is_for_the_filter
    }
}

/// All attempts.
pub(crate) fn all() -> Vec<Attempt> {
    let mut all = Vec::new();
    all.extend(READ.iter().map(|path| in_files(format!("read {path}"), path, libc::O_RDONLY)));
    all.extend(WRITE.iter().map(|path| in_files(format!("write {path}"), path, libc::O_WRONLY)));
    all.extend(CREATE.iter().map(|folder| {
        in_files(format!("create in {folder}"), &format!("{folder}/tere-probe"), libc::O_RDWR | libc::O_CREAT)
    }));
    all.extend(SOCKETS.iter().map(|(kind, path)| connecting(kind, path)));
    all.extend(FAMILIES.iter().map(|(name, family, kind)| making(name, *family, *kind)));
    all.extend(special());
    all.extend(calls::CALLS.iter().map(|(name, call)| bare(name, *call)));
    all
}

/// Files and folders to read.
const READ: &[&str] = &[
    "/",
    "/boot",
    "/dev/fuse",
    "/dev/kmsg",
    "/dev/kvm",
    "/dev/mem",
    "/dev/net/tun",
    "/dev/ptmx",
    "/dev/pts/0",
    "/dev/shm",
    "/dev/tty",
    "/dev/vda",
    "/etc",
    "/etc/hostname",
    "/etc/machine-id",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/systemd/system",
    "/etc/tere",
    "/etc/tere/tere.toml",
    "/home",
    "/lib",
    "/proc",
    "/proc/1/environ",
    "/proc/1/maps",
    "/proc/1/root",
    "/proc/cmdline",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/keys",
    "/proc/self/environ",
    "/proc/self/maps",
    "/proc/self/mem",
    "/proc/self/mountinfo",
    "/proc/self/root",
    "/proc/sys/kernel/core_pattern",
    "/proc/sysrq-trigger",
    "/root",
    "/run",
    "/run/credentials",
    "/run/dbus",
    "/run/host",
    "/run/outside",
    "/run/systemd",
    "/run/systemd/machines",
    "/run/systemd/system",
    "/run/tere",
    "/run/tere-broker",
    "/run/tere-machines",
    "/run/udev",
    "/srv",
    "/sys",
    "/sys/fs/cgroup",
    "/sys/kernel/security",
    "/tmp",
    "/usr/bin/sh",
    "/usr/lib/tere/tere-front",
    "/var",
    "/var/lib/machines",
    "/var/lib/private",
    "/var/lib/systemd",
    "/var/lib/tere",
    "/var/lib/private/tere-auth",
    "/var/lib/tere-auth",
    "/var/log/journal",
    "/var/tmp",
];

/// Files to write.
const WRITE: &[&str] = &[
    "/dev/null",
    "/etc/passwd",
    "/proc/self/attr/exec",
    "/proc/self/clear_refs",
    "/proc/self/comm",
    "/proc/self/mem",
    "/proc/self/oom_score_adj",
    "/proc/self/uid_map",
    "/proc/sys/kernel/hostname",
    "/proc/sys/net/ipv4/ip_forward",
    "/sys/kernel/uevent_helper",
    "/usr/lib/tere/tere-front",
];

/// Folders to create a file in.
const CREATE: &[&str] = &[
    "",
    "/dev/mqueue",
    "/dev/shm",
    "/etc",
    "/etc/tere",
    "/home",
    "/root",
    "/run",
    "/run/systemd/system",
    "/run/tere",
    "/run/tere-broker",
    "/run/tere-machines",
    "/sys/fs/cgroup",
    "/tmp",
    "/usr/lib/tere",
    "/usr/lib/systemd/system",
    "/var/lib",
    "/var/lib/private/tere-auth",
    "/var/lib/tere-auth",
    "/var/tmp",
];

/// Sockets to connect to, with their type. That of a session is put in place by the test.
const SOCKETS: &[(&str, &str)] = &[
    ("stream", "/run/dbus/system_bus_socket"),
    ("stream", "/run/systemd/private"),
    ("datagram", "/run/systemd/notify"),
    ("datagram", "/run/systemd/journal/socket"),
    ("datagram", "/run/systemd/journal/dev-log"),
    ("stream", "/run/systemd/journal/stdout"),
    ("stream", "/run/systemd/journal/io.systemd.journal"),
    ("stream", "/run/systemd/io.systemd.Credentials"),
    ("stream", "/run/systemd/io.systemd.Hostname"),
    ("stream", "/run/systemd/io.systemd.Import"),
    ("stream", "/run/systemd/io.systemd.Login"),
    ("stream", "/run/systemd/io.systemd.Manager"),
    ("stream", "/run/systemd/io.systemd.ManagedOOM"),
    ("stream", "/run/systemd/io.systemd.MountFileSystem"),
    ("stream", "/run/systemd/io.systemd.NamespaceResource"),
    ("stream", "/run/systemd/io.systemd.sysext"),
    ("stream", "/run/systemd/machine/io.systemd.Machine"),
    ("stream", "/run/systemd/machine/io.systemd.MachineImage"),
    ("stream", "/run/systemd/resolve/io.systemd.Resolve"),
    ("stream", "/run/systemd/userdb/io.systemd.DynamicUser"),
    ("stream", "/run/systemd/userdb/io.systemd.Machine"),
    ("stream", "/run/systemd/userdb/io.systemd.Multiplexer"),
    ("stream", "/run/systemd/userdb/io.systemd.NameServiceSwitch"),
    ("packet", "/run/udev/control"),
    ("stream", "/run/user/0/bus"),
    ("stream", "/run/host/unix-export/none"),
    ("packet", "/run/tere/auth.sock"),
    ("packet", "/run/tere/broker.sock"),
    ("packet", "/run/tere/control.sock"),
    ("packet", "/run/tere/session/probe.sock"),
    ("stream", "@tere-probe"),
    ("datagram", "@tere-probe"),
];

/// Sockets to make.
const FAMILIES: &[(&str, i32, i32)] = &[
    ("an IPv4 stream", libc::AF_INET, libc::SOCK_STREAM),
    ("an IPv4 datagram socket", libc::AF_INET, libc::SOCK_DGRAM),
    ("a raw IPv4 socket", libc::AF_INET, libc::SOCK_RAW),
    ("an IPv6 stream", libc::AF_INET6, libc::SOCK_STREAM),
    ("an IPv6 datagram socket", libc::AF_INET6, libc::SOCK_DGRAM),
    ("a netlink socket", libc::AF_NETLINK, libc::SOCK_RAW),
    ("a packet socket", libc::AF_PACKET, libc::SOCK_RAW),
    ("a socket to a hypervisor", libc::AF_VSOCK, libc::SOCK_STREAM),
    ("a socket of the kernel's ciphers", libc::AF_ALG, libc::SOCK_SEQPACKET),
    ("a Bluetooth socket", libc::AF_BLUETOOTH, libc::SOCK_RAW),
    ("a UNIX stream", libc::AF_UNIX, libc::SOCK_STREAM),
    ("a UNIX datagram socket", libc::AF_UNIX, libc::SOCK_DGRAM),
    ("a UNIX packet socket", libc::AF_UNIX, libc::SOCK_SEQPACKET),
    ("a raw UNIX socket", libc::AF_UNIX, libc::SOCK_RAW),
];

fn nothing() -> Option<OwnedFd> {
    None
}

fn attempt(
    name: impl Into<String>,
    is_for_the_filter: bool,
    make: impl Fn() -> Result<(), Errno> + Send + Sync + 'static,
) -> Attempt {
    let make = Box::new(move |_| make());
    Attempt { name: name.into(), is_bare_call: false, is_for_the_filter, prepare: nothing, make }
}

fn in_files(name: String, path: &str, flags: i32) -> Attempt {
    let path = CString::new(path).unwrap();
    attempt(name, false, move || {
        // SAFETY: the path ends with a zero; the descriptor is left open, because close() may be
        // refused.
        Errno::result(unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC, 0o600) }).map(drop)
    })
}

fn kind_of(kind: &str) -> SockType {
    match kind {
        "stream" => SockType::Stream,
        "datagram" => SockType::Datagram,
        _ => SockType::SeqPacket,
    }
}

fn connecting(kind: &'static str, path: &'static str) -> Attempt {
    attempt(format!("connect to {path} ({kind})"), false, move || {
        let socket = socket(AddressFamily::Unix, kind_of(kind), SockFlag::SOCK_CLOEXEC, None)?;
        let address = match path.strip_prefix('@') {
            Some(name) => UnixAddr::new_abstract(name.as_bytes())?,
            None => UnixAddr::new(path)?,
        };
        connect(socket.as_raw_fd(), &address)
    })
}

fn making(name: &str, family: i32, kind: i32) -> Attempt {
    attempt(format!("make {name}"), true, move || {
        // SAFETY: numbers only.
        Errno::result(unsafe { libc::socket(family, kind, 0) }).map(drop)
    })
}

fn bare(name: &str, call: c_long) -> Attempt {
    let make = Box::new(move |_| {
        // Addresses that are not mapped, and no descriptor.
        const NOWHERE: usize = 0xdead_0000;
        // SAFETY: every address is one at which nothing is mapped.
        let done = unsafe { libc::syscall(call, -1_i64, NOWHERE, NOWHERE, NOWHERE, NOWHERE, NOWHERE) };
        Errno::result(done).map(drop)
    });
    let name = format!("call {name}");
    Attempt { name, is_bare_call: true, is_for_the_filter: true, prepare: nothing, make }
}

/// A terminal, as a worker has one.
fn terminal() -> Option<OwnedFd> {
    nix::pty::openpty(None, None).ok().map(|pty| {
        std::mem::forget(pty.slave);
        pty.master
    })
}

/// A request to a terminal, with an argument that suits it.
fn request(name: &str, number: u64) -> Attempt {
    let make = Box::new(move |terminal: Option<OwnedFd>| {
        let Some(terminal) = terminal else { return Err(Errno::ENOSYS) };
        let mut room = [0_u64; 16];
        // SAFETY: no request that is made here writes more than `room` has.
        let done = unsafe { libc::ioctl(terminal.as_raw_fd(), number, room.as_mut_ptr()) };
        std::mem::forget(terminal);
        Errno::result(done).map(drop)
    });
    let name = format!("ask a terminal for {name}");
    Attempt { name, is_bare_call: false, is_for_the_filter: true, prepare: terminal, make }
}

fn map(protection: i32, flags: i32, fd: RawFd) -> Result<*mut libc::c_void, Errno> {
    // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, fd, 0) };
    if at == libc::MAP_FAILED { Err(Errno::last()) } else { Ok(at) }
}

/// A memory file, made before the sandbox.
fn memory_file() -> Option<OwnedFd> {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    let file = memfd_create(c"probe", MFdFlags::empty()).ok()?;
    nix::unistd::ftruncate(&file, 4096).ok()?;
    Some(file)
}

const ANONYMOUS: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;

fn special() -> Vec<Attempt> {
    let code_of_a_file = Attempt {
        name: "map a memory file as code".to_owned(),
        is_bare_call: false,
        is_for_the_filter: true,
        prepare: memory_file,
        make: Box::new(|file| {
            let file = file.ok_or(Errno::ENOSYS)?;
            let mapped = map(libc::PROT_READ | libc::PROT_EXEC, libc::MAP_SHARED, file.as_raw_fd());
            std::mem::forget(file);
            mapped.map(drop)
        }),
    };
    vec![
        attempt("map memory", true, || map(libc::PROT_READ | libc::PROT_WRITE, ANONYMOUS, -1).map(drop)),
        attempt("map memory as code", true, || {
            map(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC, ANONYMOUS, -1).map(drop)
        }),
        code_of_a_file,
        attempt("make memory code", true, || {
            let at = map(libc::PROT_READ | libc::PROT_WRITE, ANONYMOUS, -1)?;
            // SAFETY: the mapping was just made.
            Errno::result(unsafe { libc::mprotect(at, 4096, libc::PROT_READ | libc::PROT_EXEC) }).map(drop)
        }),
        attempt("make a memory file", true, || {
            nix::sys::memfd::memfd_create(c"probe", nix::sys::memfd::MFdFlags::empty()).map(drop)
        }),
        attempt("make a process", true, || {
            // SAFETY: the child does nothing but end.
            match Errno::result(unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) })? {
                // SAFETY: as above.
                0 => unsafe { libc::_exit(0) },
                _ => Ok(()),
            }
        }),
        attempt("start a program", false, || {
            let program = c"/usr/bin/true";
            let arguments = [program.as_ptr(), std::ptr::null()];
            // SAFETY: the path and the arguments end with a zero.
            Errno::result(unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), std::ptr::null()) })
                .map(drop)
        }),
        attempt("signal the parent", true, || {
            // SAFETY: signal 0 is none.
            Errno::result(unsafe { libc::kill(libc::getppid(), 0) }).map(drop)
        }),
        attempt("signal process 1", false, || {
            // SAFETY: signal 0 is none.
            Errno::result(unsafe { libc::kill(1, 0) }).map(drop)
        }),
        attempt("read the memory of the parent", false, || {
            let mut byte = 0_u8;
            let local = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
            let remote = libc::iovec { iov_base: local.iov_base, iov_len: 1 };
            // SAFETY: `local` has room for one byte.
            let read = unsafe {
                libc::process_vm_readv(libc::getppid(), &raw const local, 1, &raw const remote, 1, 0)
            };
            Errno::result(read).map(drop)
        }),
        attempt("trace the parent", false, || {
            // SAFETY: no address is passed on.
            Errno::result(unsafe { libc::ptrace(libc::PTRACE_SEIZE, libc::getppid(), 0, 0) }).map(drop)
        }),
        attempt("make a user namespace", false, || {
            // SAFETY: a number only.
            Errno::result(unsafe { libc::unshare(libc::CLONE_NEWUSER) }).map(drop)
        }),
        attempt("become root", false, || {
            // SAFETY: numbers only.
            Errno::result(unsafe { libc::syscall(libc::SYS_setresuid, 0, 0, 0) }).map(drop)
        }),
        attempt("become another user", false, || {
            // SAFETY: numbers only.
            Errno::result(unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) }).map(drop)
        }),
        attempt("leave all groups", false, || {
            // SAFETY: an empty list.
            Errno::result(unsafe { libc::syscall(libc::SYS_setgroups, 0, 0) }).map(drop)
        }),
        attempt("set the clock", false, || {
            let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: `now` has room for a time.
            Errno::result(unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut now) })?;
            // SAFETY: `now` is a time.
            Errno::result(unsafe { libc::clock_settime(libc::CLOCK_REALTIME, &raw const now) }).map(drop)
        }),
        attempt("make shared memory", false, || {
            // SAFETY: numbers only.
            Errno::result(unsafe { libc::shmget(libc::IPC_PRIVATE, 4096, 0o600) }).map(drop)
        }),
        attempt("name the thread", true, || {
            // SAFETY: the name ends with a zero.
            Errno::result(unsafe { libc::prctl(libc::PR_SET_NAME, c"probe".as_ptr()) }).map(drop)
        }),
        attempt("be dumpable", true, || {
            // SAFETY: numbers only.
            Errno::result(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) }).map(drop)
        }),
        attempt("make a pair of packet sockets", true, || pair(libc::SOCK_SEQPACKET)),
        attempt("make a pair of streams", true, || pair(libc::SOCK_STREAM)),
        attempt("have descriptors signal others", true, || {
            // SAFETY: numbers only.
            Errno::result(unsafe { libc::fcntl(2, libc::F_SETOWN, 1) }).map(drop)
        }),
        attempt("ask for a descriptor's flags", true, || {
            // SAFETY: numbers only.
            Errno::result(unsafe { libc::fcntl(2, libc::F_GETFL) }).map(drop)
        }),
        request("its size", libc::TIOCGWINSZ),
        request("another size", libc::TIOCSWINSZ),
        request("its session", libc::TIOCGSID),
        request("its number", libc::TIOCGPTN),
        request("its settings", libc::TCGETS),
        request("other settings", libc::TCSETS),
        request("input that nobody typed", libc::TIOCSTI),
        request("the console", libc::TIOCCONS),
        request("its other end", libc::TIOCGPTPEER),
        request("being its shell's", libc::TIOCSCTTY),
        request("its waiting bytes", libc::FIONREAD),
        request("a selection", libc::TIOCLINUX),
    ]
}

fn pair(kind: i32) -> Result<(), Errno> {
    let mut ends = [0; 2];
    // SAFETY: there is room for both ends.
    Errno::result(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) }).map(drop)
}
