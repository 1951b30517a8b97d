//! The host of one test: tere's programs and the fakes around them, in a folder.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;
use socket2::Socket;
use tempfile::TempDir;
use tere::names::SessionId;
use tere::protocol::vouch::Principal;
use tere::sys::seqpacket;

use crate::DEADLINE;
use crate::fake::{Fake, log_file};
use crate::parts::memory::memory;
use crate::parts::page::ORIGIN;
use crate::parts::shell::PrincipalClient;
use crate::parts::stopped::has_stopped;
use crate::parts::wait::eventually;
use crate::program::{self, Program};

/// The policy, which is the same as on the host of the ring of machines.
const POLICY: &str = r#"
[[grant]]
accounts = ["alice"]
machine = "web1"
user = "dev"
share = true

[[grant]]
accounts = ["bob"]
machine = "web1"
user = "dev"

[[grant]]
accounts = ["alice"]
machine = "nobus"
user = "dev"

[[grant]]
accounts = ["alice"]
machine = "absent"
user = "dev"

[[grant]]
accounts = ["alice"]
machine = "web1"
user = "nobody-there"
"#;

/// How the proxy in front of this host names its sources.
const PROXY: &str = "[proxy]\nsource = \"proxy-protocol\"\n";

/// The socket for that proxy.
const FOR_PROXY: &str = "run/tere/front.sock";

/// The folders of a host that the programs write to.
const FOLDERS: [&str; 6] =
    ["etc/tere", "etc/polkit-1/rules.d", "run/tere/session", "run/tere-broker", "var/lib/tere-auth", "home"];

/// The host.
#[derive(Debug)]
pub struct Host {
    // Fields are dropped in this order: clients before the servers they call, and the folder last.
    /// For each account whose UNIX user runs `tere`, an auth to which whoever runs the tests is
    /// that user.
    people: Mutex<BTreeMap<String, Program>>,
    front: Mutex<Program>,
    auth: Mutex<Program>,
    broker: Mutex<Program>,
    fake: Fake,
    front_address: SocketAddr,
    folder: TempDir,
}

impl Host {
    /// A host for a test that could share it. Here every test has its own.
    pub fn shared() -> Self {
        Self::alone()
    }

    /// A host for a test that needs it for itself.
    pub fn alone() -> Self {
        Self::with_origin(|_| ORIGIN.to_owned())
    }

    /// A host whose origin is that at which its front can be reached.
    pub fn at_its_own_address() -> Self {
        Self::with_origin(|address| format!("http://localhost:{}", address.port()))
    }

    /// The origin of [`Self::at_its_own_address`].
    pub fn origin(&self) -> String {
        format!("http://localhost:{}", self.front_address.port())
    }

    fn with_origin(origin: impl FnOnce(SocketAddr) -> String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let front_address = listener.local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in FOLDERS {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        let policy = format!("origin = \"{}\"\n{PROXY}{POLICY}", origin(front_address));
        std::fs::write(root.join("etc/tere/tere.toml"), policy).unwrap();
        // Independent of who runs the tests and of their shell's startup files.
        std::fs::write(root.join("home/.profile"), "PS1='$ '\n").unwrap();
        let fake = Fake::start(root, &root.join("log"));
        let listen = |name: &str| seqpacket::listen(&root.join("run/tere").join(name)).unwrap();
        let broker = broker(root, fake.address(), [listen("broker.sock")]);
        let auth = auth(root, [listen("auth.sock"), listen("control.sock")]);
        let front = front(root, [listener.into(), listen_for_proxy(&root.join(FOR_PROXY))]);
        let (front, auth, broker) = (Mutex::new(front), Mutex::new(auth), Mutex::new(broker));
        Self { people: Mutex::default(), front, auth, broker, fake, front_address, folder }
    }

    /// A path in the host, as this process reaches it.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    /// A connection to the front.
    pub fn connect_to_front(&self) -> Socket {
        TcpStream::connect(self.front_address).unwrap().into()
    }

    /// A connection that a proxy passes on to the front, of a browser at this address.
    pub fn connect_by_proxy(&self, address: Ipv4Addr) -> Socket {
        let mut socket = UnixStream::connect(self.path(FOR_PROXY)).unwrap();
        // The PROXY protocol, version 2: TCP over IPv4, with the addresses and ports of both ends.
        let start = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c";
        let header = [&start[..], &address.octets(), &[127, 0, 0, 1, 0x12, 0x34, 1, 187]].concat();
        socket.write_all(&header).unwrap();
        socket.into()
    }

    /// Runs `tere` as root of the host. Returns whether it succeeded, and its output.
    pub fn tere(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tere"));
        command.arg("--runtime-dir").arg(self.path("/run/tere")).args(arguments);
        let output = command.stderr(log_file(&self.path("/log"))).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    }

    /// A command line that runs `tere` as the UNIX user of an account, which is made if it is not
    /// there.
    pub fn tere_of(&self, account: &str, arguments: &[&str]) -> Command {
        let place = self.path("/run").join(format!("tere-of-{account}"));
        let mut people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        let uid = 1000 + people.len();
        people.entry(account.to_owned()).or_insert_with(|| {
            // Fails if there is one.
            self.tere(&["account", "add", account]);
            assert!(self.tere(&["account", "add-unix-user", account, &uid.to_string()]).0);
            std::fs::create_dir(&place).unwrap();
            let listen = |name: &str| seqpacket::listen(&place.join(name)).unwrap();
            let sockets = [listen("auth.sock"), listen("control.sock")];
            let auth = auth_seen_by(self.folder.path(), format!("--map-user={uid}"), sockets);
            // An auth that starts clears what it takes for an earlier one's unfinished files. The
            // other one must not be writing them then.
            let mut list = Command::new(env!("CARGO_BIN_EXE_tere"));
            assert!(list.arg("--runtime-dir").arg(&place).arg("list").output().unwrap().status.success());
            auth
        });
        let mut command = Command::new(env!("CARGO_BIN_EXE_tere"));
        command.arg("--runtime-dir").arg(place).args(arguments);
        command
    }

    /// The user as which a shell runs in a machine if it was opened as `user`.
    pub fn user_of_shells(&self, _user: &str) -> String {
        let id = Command::new("id").arg("-un").output().unwrap();
        String::from_utf8(id.stdout).unwrap().trim_end().to_owned()
    }

    /// Makes a user of the host. Here every shell runs as the user who runs the tests.
    pub fn add_host_user(&self, _user: &str) {}

    /// Waits until polkit has read its rules again. Here they are read at each call.
    pub fn rules_changed(&self) {}

    /// Names of the loaded units of sessions.
    pub fn session_units(&self) -> Vec<String> {
        self.fake.session_units()
    }

    /// Log records of tere's programs since a cursor, as text.
    pub fn journal(&self, since: &str) -> String {
        self.log().split_off(since.parse().unwrap())
    }

    /// Cursor at the end of the log records.
    pub fn journal_cursor(&self) -> String {
        self.log().len().to_string()
    }

    /// Restarts front and auth.
    pub fn restart_front_and_auth(&self) {
        lock(&self.front).restart();
        lock(&self.auth).restart();
    }

    /// Restarts the broker.
    pub fn restart_broker(&self) {
        lock(&self.broker).restart();
    }

    /// Kills the broker and starts it again.
    pub fn kill_broker(&self) {
        lock(&self.broker).crash();
    }

    /// Makes the broker reload its policy with the two lines of its unit, and returns whether the
    /// policy is good. The second line does not wait for the broker; this does.
    pub fn reload_broker(&self) -> bool {
        // systemd reloads a unit only when it is up; a broker that answers is.
        drop(PrincipalClient::vouched(&self.path("/run/tere/broker.sock"), Principal::Operator));
        let mut reload = Command::new(env!("CARGO_BIN_EXE_tere-broker"));
        reload.arg("--reload").env("MAINPID", lock(&self.broker).pid().to_string());
        reload.arg("--config").arg(self.path("/etc/tere/tere.toml"));
        reload.arg("--records-dir").arg(self.path("/run/tere-broker"));
        reload.stderr(log_file(&self.path("/log"))).status().unwrap().success()
    }

    /// The PID of the worker of a session, which may just be restarting.
    pub fn worker(&self, session: &SessionId) -> i32 {
        eventually("there is a worker", DEADLINE, || self.fake.worker(session.as_str()))
    }

    /// Private memory of the worker of a session, in bytes.
    pub fn worker_memory(&self, session: &SessionId) -> usize {
        memory(&std::fs::read_to_string(format!("/proc/{}/status", self.worker(session))).unwrap())
    }

    /// Kills the worker of a session.
    pub fn kill_worker(&self, session: &SessionId) {
        let worker = self.worker(session);
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(worker), Signal::SIGKILL).unwrap();
    }

    /// Freezes the worker of a session, or one that waits, in the middle of whatever it is doing.
    pub fn freeze_worker(&self, session: &SessionId) {
        let worker = nix::unistd::Pid::from_raw(self.worker(session));
        nix::sys::signal::kill(worker, Signal::SIGSTOP).unwrap();
        // Until it has stopped, it may receive one more message.
        let process = PathBuf::from(format!("/proc/{worker}"));
        eventually("it stops", DEADLINE, || has_stopped(&process).then_some(()));
    }

    /// Lets a frozen worker continue.
    pub fn thaw_worker(&self, session: &SessionId) {
        let worker = self.worker(session);
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(worker), Signal::SIGCONT).unwrap();
    }

    /// Restarts the worker of a session.
    pub fn restart_worker(&self, session: &SessionId) {
        let worker = self.worker(session);
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(worker), Signal::SIGTERM).unwrap();
    }

    /// Makes systemd start the next worker from another program, once, as if another package were
    /// installed at that moment.
    pub fn next_worker_is(&self, program: PathBuf) {
        self.fake.next_worker_is(program);
    }

    /// Kills the worker of a session and empties its descriptor store.
    pub fn lose_worker(&self, session: &SessionId) {
        self.fake.lose_store(session.as_str());
        self.kill_worker(session);
    }

    /// Powers a machine off.
    pub fn power_off(&self, machine: &str) {
        self.fake.power_off(machine);
    }

    /// Stops machined for good.
    pub fn stop_machined(&self) {
        self.fake.stop_machined();
    }

    /// Makes systemd stop answering on the bus.
    pub fn stop_systemd(&self) {
        self.fake.stop_systemd();
    }

    /// Makes systemd answer again.
    pub fn start_systemd(&self) {
        self.fake.start_systemd();
    }

    /// Makes the next shell in this machine stall machined for a time.
    pub fn stall(&self, machine: &str, time: Duration) {
        self.fake.stall(machine, time);
    }

    /// Whether machined is stalled.
    pub fn is_stalled(&self) -> bool {
        self.fake.is_stalled()
    }

    /// Makes machined answer too late for the next `count` shells, which it does open.
    pub fn answer_late(&self, count: usize) {
        self.fake.answer_late(count);
    }

    /// Makes it possible to start machined again.
    pub fn start_machined(&self) {
        self.fake.start_machined();
    }

    /// The names and pids of the programs that serve all sessions.
    pub fn programs(&self) -> [(&'static str, u32); 3] {
        [("front", &self.front), ("auth", &self.auth), ("broker", &self.broker)]
            .map(|(name, program)| (name, lock(program).pid()))
    }

    /// Calls systemd or machined as the broker does.
    pub fn call(&self, name: &str, method: &str, arguments: &[&str]) -> Result<(), String> {
        self.fake.call(name, method, arguments)
    }

    /// Number of running workers and shells.
    pub fn processes(&self) -> usize {
        self.fake.processes()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("/log")).unwrap_or_default()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let log = self.log();
        if std::thread::panicking() {
            let lines: Vec<_> = log.lines().collect();
            eprintln!("{}", lines[lines.len().saturating_sub(100)..].join("\n"));
            return;
        }
        // A test fails if one of its programs crashed, even if the test noticed nothing.
        let programs = [&self.front, &self.auth, &self.broker];
        let mut deaths: Vec<_> = programs.into_iter().filter_map(|program| lock(program).ended()).collect();
        deaths.extend(self.fake.deaths());
        assert!(deaths.is_empty() && !log.contains("panicked at"), "{deaths:?}\n{log}");
    }
}

fn lock(program: &Mutex<Program>) -> MutexGuard<'_, Program> {
    program.lock().unwrap_or_else(PoisonError::into_inner)
}

fn broker(root: &Path, bus: &str, sockets: [OwnedFd; 1]) -> Program {
    let (root, bus) = (root.to_owned(), bus.to_owned());
    Program::start("tere-broker", move || {
        let mut command = program::command(&[], env!("CARGO_BIN_EXE_tere-broker"), "broker", &sockets);
        command.arg("--records-dir").arg(root.join("run/tere-broker"));
        command.env("DBUS_SYSTEM_BUS_ADDRESS", &bus);
        with_places(command, &root)
    })
}

fn auth(root: &Path, sockets: [OwnedFd; 2]) -> Program {
    auth_seen_by(root, "--map-root-user".to_owned(), sockets)
}

/// An auth in a user namespace in which the user who runs the tests is mapped by this option of
/// unshare(1).
fn auth_seen_by(root: &Path, mapped: String, sockets: [OwnedFd; 2]) -> Program {
    let root = root.to_owned();
    Program::start("tere-auth", move || {
        let program = env!("CARGO_BIN_EXE_tere-auth");
        let namespace = ["unshare", "--user", &mapped];
        let mut command = program::command(&namespace, program, "auth:control", &sockets);
        command.arg("--state-dir").arg(root.join("var/lib/tere-auth"));
        with_places(command, &root)
    })
}

fn front(root: &Path, sockets: [OwnedFd; 2]) -> Program {
    let root = root.to_owned();
    Program::start("tere-front", move || {
        let command = program::command(&[], env!("CARGO_BIN_EXE_tere-front"), "front:front", &sockets);
        with_places(command, &root)
    })
}

/// A socket that only its owner may open.
fn listen_for_proxy(path: &Path) -> OwnedFd {
    let listener = UnixListener::bind(path).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    listener.into()
}

/// Tells each of the three programs where its files are.
fn with_places(mut command: Command, root: &Path) -> Command {
    command.arg("--runtime-dir").arg(root.join("run/tere"));
    command.arg("--config").arg(root.join("etc/tere/tere.toml"));
    command.stderr(log_file(&root.join("log")));
    command
}
