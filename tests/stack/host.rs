//! A host of one test: tere's programs and what stands around them, in a folder.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
use crate::parts::shell::Holder;
use crate::parts::wait::eventually;
use crate::program::{self, Program};

/// Who may what, as on the host of the ring of machines.
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

/// In the user namespace that this makes, whoever runs the tests has uid 0.
const WE_ARE_ROOT: [&str; 3] = ["unshare", "--user", "--map-root-user"];

/// The folders of a host that somebody writes to.
const FOLDERS: [&str; 5] = ["etc/tere", "run/tere/session", "run/tere-broker", "var/lib/tere-auth", "home"];

/// The host.
#[derive(Debug)]
pub struct Host {
    // In this order they are dropped: whoever asks before whoever answers, the folder last.
    front: Mutex<Program>,
    auth: Mutex<Program>,
    broker: Mutex<Program>,
    fake: Fake,
    door: SocketAddr,
    folder: TempDir,
}

impl Host {
    /// A host for a test that can share it: here each has its own.
    pub fn shared() -> Self {
        Self::alone()
    }

    /// A host for a test that wants it for itself.
    pub fn alone() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in FOLDERS {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        std::fs::write(root.join("etc/tere/tere.toml"), format!("origin = \"{ORIGIN}\"\n{POLICY}")).unwrap();
        // Whoever runs the tests, and whatever their shell's startup files say.
        std::fs::write(root.join("home/.profile"), "PS1='$ '\n").unwrap();
        let fake = Fake::start(root, &root.join("log"));
        let listen = |name: &str| seqpacket::listen(&root.join("run/tere").join(name)).unwrap();
        let broker = broker(root, fake.address(), [listen("broker.sock")]);
        let auth = auth(root, [listen("auth.sock"), listen("control.sock")]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let door = listener.local_addr().unwrap();
        let front = front(root, [listener.into()]);
        let (front, auth, broker) = (Mutex::new(front), Mutex::new(auth), Mutex::new(broker));
        Self { front, auth, broker, fake, door, folder }
    }

    /// A path in the host, as this process reaches it.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    /// A connection to the front.
    pub fn door(&self) -> Socket {
        TcpStream::connect(self.door).unwrap().into()
    }

    /// Runs `tere` as root of the host: whether it succeeded, and what it printed.
    pub fn tere(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tere"));
        command.arg("--runtime-dir").arg(self.path("/run/tere")).args(arguments);
        let output = command.stderr(log_file(&self.path("/log"))).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    }

    /// Who a shell in a machine is that was opened as `user`.
    pub fn user_of_shells(&self, _user: &str) -> String {
        let id = Command::new("id").arg("-un").output().unwrap();
        String::from_utf8(id.stdout).unwrap().trim_end().to_owned()
    }

    /// Sessions' units that are loaded, by name.
    pub fn session_units(&self) -> Vec<String> {
        self.fake.session_units()
    }

    /// Records of tere's programs since a cursor, as text.
    pub fn journal(&self, since: &str) -> String {
        self.log().split_off(since.parse().unwrap())
    }

    /// Where the records are now.
    pub fn journal_cursor(&self) -> String {
        self.log().len().to_string()
    }

    /// Restarts the two programs before the broker.
    pub fn restart_front_and_auth(&self) {
        lock(&self.front).restart();
        lock(&self.auth).restart();
    }

    /// Restarts the broker.
    pub fn restart_broker(&self) {
        lock(&self.broker).restart();
    }

    /// Kills the broker, and has it started again.
    pub fn kill_broker(&self) {
        lock(&self.broker).crash();
    }

    /// Has the broker read its policy again, by the two lines of its unit: whether the policy is
    /// good. The second does not wait for the broker; this does.
    pub fn reload_broker(&self) -> bool {
        let mut check = Command::new(env!("CARGO_BIN_EXE_tere-broker"));
        check.arg("--check").arg("--config").arg(self.path("/etc/tere/tere.toml"));
        if !check.stderr(log_file(&self.path("/log"))).status().unwrap().success() {
            return false;
        }
        // systemd reloads a unit when it is up: one that answers is.
        drop(Holder::vouched(&self.path("/run/tere/broker.sock"), Principal::Operator));
        let cursor = self.journal_cursor();
        lock(&self.broker).signal(Signal::SIGHUP);
        eventually("the policy is read", DEADLINE, || {
            self.journal(&cursor).contains("the policy is read anew").then_some(())
        });
        true
    }

    /// The worker of a session, which may just be started again.
    fn worker(&self, session: &SessionId) -> i32 {
        eventually("there is a worker", DEADLINE, || self.fake.worker(session.as_str()))
    }

    /// Memory that the worker of a session has to itself, bytes.
    pub fn worker_memory(&self, session: &SessionId) -> usize {
        memory(&std::fs::read_to_string(format!("/proc/{}/status", self.worker(session))).unwrap())
    }

    /// Kills the worker of a session.
    pub fn kill_worker(&self, session: &SessionId) {
        let worker = self.worker(session);
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(worker), Signal::SIGKILL).unwrap();
    }

    /// Stops the worker of a session, or one that waits, in the middle of whatever it does.
    pub fn freeze_worker(&self, session: &SessionId) {
        let worker = nix::unistd::Pid::from_raw(self.worker(session));
        nix::sys::signal::kill(worker, Signal::SIGSTOP).unwrap();
        // Until then it may take one more message.
        let stat = format!("/proc/{worker}/stat");
        eventually("it stands still", DEADLINE, || {
            std::fs::read_to_string(&stat).unwrap().rsplit_once(") ")?.1.starts_with('T').then_some(())
        });
    }

    /// Lets it go on.
    pub fn thaw_worker(&self, session: &SessionId) {
        let worker = self.worker(session);
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(worker), Signal::SIGCONT).unwrap();
    }

    /// Restarts the worker of a session.
    pub fn restart_worker(&self, session: &SessionId) {
        let worker = self.worker(session);
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(worker), Signal::SIGTERM).unwrap();
    }

    /// Has systemd start the next worker from another program, once: as if the package had been another
    /// at that moment.
    pub fn next_worker_is(&self, program: PathBuf) {
        self.fake.next_worker_is(program);
    }

    /// Kills the worker of a session and loses what was kept for it.
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

    /// Has systemd not answer on the bus.
    pub fn stop_systemd(&self) {
        self.fake.stop_systemd();
    }

    /// Has it answer again.
    pub fn start_systemd(&self) {
        self.fake.start_systemd();
    }

    /// machined opens the next `count` shells, but says so too late.
    pub fn answer_late(&self, count: usize) {
        self.fake.answer_late(count);
    }

    /// Lets machined be started again.
    pub fn start_machined(&self) {
        self.fake.start_machined();
    }

    /// The pids of the programs that serve many, by name.
    pub fn programs(&self) -> [(&'static str, u32); 3] {
        [("front", &self.front), ("auth", &self.auth), ("broker", &self.broker)]
            .map(|(name, program)| (name, lock(program).pid()))
    }

    /// Calls systemd or machined as the broker does.
    pub fn call(&self, name: &str, method: &str, arguments: &[&str]) -> Result<(), String> {
        self.fake.call(name, method, arguments)
    }

    /// How many workers and shells run.
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
        // A test whose programs died of something has not passed, whatever it saw.
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
    let root = root.to_owned();
    Program::start("tere-auth", move || {
        let program = env!("CARGO_BIN_EXE_tere-auth");
        let mut command = program::command(&WE_ARE_ROOT, program, "auth:control", &sockets);
        command.arg("--state-dir").arg(root.join("var/lib/tere-auth"));
        with_places(command, &root)
    })
}

fn front(root: &Path, sockets: [OwnedFd; 1]) -> Program {
    let root = root.to_owned();
    Program::start("tere-front", move || {
        let command = program::command(&[], env!("CARGO_BIN_EXE_tere-front"), "front", &sockets);
        with_places(command, &root)
    })
}

/// What all three are told.
fn with_places(mut command: Command, root: &Path) -> Command {
    command.arg("--runtime-dir").arg(root.join("run/tere"));
    command.arg("--config").arg(root.join("etc/tere/tere.toml"));
    command.stderr(log_file(&root.join("log")));
    command
}
