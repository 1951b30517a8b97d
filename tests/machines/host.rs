//! The booted host that `tests/run` made: a real systemd, machined and polkit, with tere installed
//! from its package.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use nix::sched::{CloneFlags, setns};
use socket2::{Domain, Socket, Type};
use tere::names::SessionId;

use crate::parts::memory::memory;
use crate::parts::shell::PATIENCE;
use crate::parts::wait::eventually;

/// Locked for reading by tests that share the host, and for writing by a test that must be alone on
/// it.
static HOST_LOCK: RwLock<()> = RwLock::new(());

/// The host, for as long as a test may use it.
#[derive(Debug)]
pub struct Host {
    leader: u32,
    /// When the test began: the journal from then on is printed if the test fails.
    began: String,
    _turn: HostLock,
}

/// A failed test leaves the host to the other tests as it is.
#[derive(Debug)]
#[allow(dead_code)] // only held
enum HostLock {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

/// The output of a command.
#[derive(Debug)]
pub struct CommandOutput {
    pub success: bool,
    /// The exit status; `None` if a signal ended it.
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Lines of the journal that a failed test prints.
const JOURNAL_LINES: &str = "80";

/// A test that fails prints what tere, systemd and the services under them logged meanwhile.
impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let line = format!(
                "journalctl --sync; journalctl --no-pager -q -o short-precise --no-hostname -n {JOURNAL_LINES} \
                 --since {} $(printf -- '-t %s ' tere-broker tere-auth tere-front tere-session systemd polkitd dbus-daemon systemd-machined)",
                self.began
            );
            println!("the journal of the host:\n{}", self.try_run(&["sh", "-c", &line]).out);
        }
    }
}

impl Host {
    /// The host, shared with other tests.
    pub fn shared() -> Self {
        Self::of_this_run(HostLock::Shared(HOST_LOCK.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// The host, for a test that stops services that others use, or counts things that others
    /// create.
    pub fn alone() -> Self {
        Self::of_this_run(HostLock::Alone(HOST_LOCK.write().unwrap_or_else(PoisonError::into_inner)))
    }

    /// The host of this run, found by `TERE_HOST_LEADER`: its PID 1 as seen from outside.
    fn of_this_run(turn: HostLock) -> Self {
        let leader = std::env::var("TERE_HOST_LEADER").expect("run this ring by tests/run machines");
        let mut host = Self { leader: leader.parse().unwrap(), began: String::new(), _turn: turn };
        host.began = host.run(&["date", "+@%s"]);
        host
    }

    /// A path in the host, as this process reaches it. Works for sockets too.
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.leader))
    }

    /// A command in the host, as root.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        let leader = self.leader.to_string();
        command.args(["-t", &leader, "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--"]);
        command.args(words).stdin(Stdio::null()).process_group(0);
        command
    }

    /// Runs a command in the host.
    pub fn try_run(&self, words: &[&str]) -> CommandOutput {
        let Output { status, stdout, stderr } = self.command(words).output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).trim_end().to_owned();
        CommandOutput {
            success: status.success(),
            status: status.code(),
            out: text(&stdout),
            err: text(&stderr),
        }
    }

    /// Runs a command in the host that must succeed, and returns its output.
    pub fn run(&self, words: &[&str]) -> String {
        let said = self.try_run(words);
        assert!(said.success, "{words:?} failed: {}\n{}", said.out, said.err);
        said.out
    }

    /// Runs a line of shell in the host that must succeed.
    pub fn sh(&self, line: &str) -> String {
        self.run(&["sh", "-c", line])
    }

    /// Names of the loaded units of sessions.
    pub fn session_units(&self) -> Vec<String> {
        let listed =
            self.run(&["systemctl", "list-units", "--all", "--plain", "--no-legend", "tere-session@*"]);
        listed.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    }

    /// Records of the journal since a cursor, as text: the message and the credential of each.
    pub fn journal(&self, since: &str) -> String {
        self.run(&[
            "journalctl",
            "--no-pager",
            "-o",
            "cat",
            "--output-fields=MESSAGE,TERE_CREDENTIAL",
            "--after-cursor",
            since,
            "-t",
            "tere-broker",
            "-t",
            "tere-auth",
            "-t",
            "tere-front",
            "-t",
            "tere-session",
        ])
    }

    /// Cursor at the end of the journal.
    pub fn journal_cursor(&self) -> String {
        let shown = self.sh("journalctl --sync; journalctl -n 0 --show-cursor");
        shown.rsplit("-- cursor: ").next().unwrap().to_owned()
    }

    /// A connection to the front, as from a proxy on the host. It goes through systemd's own proxy,
    /// which listens on a socket in the file system: this process can reach that, although the host
    /// has a network of its own.
    pub fn connect_to_front(&self) -> Socket {
        const PROXY_SOCKET: &str = "/run/tests-proxy.sock";
        static MADE: std::sync::Once = std::sync::Once::new();
        MADE.call_once(|| {
            // An earlier run on this host may have created it.
            if self.try_run(&["systemctl", "is-active", "tests-proxy.socket"]).success {
                return;
            }
            let listen = format!("--socket-property=ListenStream={PROXY_SOCKET}");
            let proxy = "/usr/lib/systemd/systemd-socket-proxyd";
            self.run(&["systemd-run", "--quiet", "--unit=tests-proxy", &listen, proxy, "127.0.0.1:8022"]);
        });
        std::os::unix::net::UnixStream::connect(self.path(PROXY_SOCKET)).unwrap().into()
    }

    /// A TCP connection in the host's network.
    pub fn connect(&self, source: SocketAddr, to: SocketAddr) -> Socket {
        let network = File::open(format!("/proc/{}/ns/net", self.leader)).unwrap();
        // A thread can change its network alone, and the socket stays in the one that it was made in.
        let connected = std::thread::spawn(move || {
            setns(network, CloneFlags::CLONE_NEWNET).unwrap();
            let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
            socket.bind(&source.into()).unwrap();
            socket.connect_timeout(&to.into(), PATIENCE).unwrap();
            socket
        });
        connected.join().unwrap()
    }

    /// Runs `tere` as root. Returns whether it succeeded, and its output.
    pub fn tere(&self, arguments: &[&str]) -> (bool, String) {
        let said = self.try_run(&[&["tere"], arguments].concat());
        (said.success, said.out)
    }

    /// A command line that runs `tere` as the UNIX user of an account. Both are made if they are
    /// not there.
    pub fn tere_of(&self, account: &str, arguments: &[&str]) -> Command {
        let user = format!("user-of-{account}");
        self.add_host_user(&user);
        // Each fails if it is done already.
        self.try_run(&["tere", "account", "add", account, "--inherit"]);
        self.try_run(&["tere", "account", "add-unix-user", account, &user]);
        self.command(&[&["runuser", "-u", &user, "--", "tere"], arguments].concat())
    }

    /// The user as which a shell runs in a machine if it was opened as `user`.
    pub fn user_of_shells(&self, user: &str) -> String {
        user.to_owned()
    }

    /// Makes a user of the host, unless there is one.
    pub fn add_host_user(&self, user: &str) {
        if !self.try_run(&["id", user]).success {
            self.run(&["useradd", "--create-home", "--shell", "/bin/bash", user]);
        }
    }

    /// Waits until polkit has read its rules again. It does so by itself, but not at once.
    pub fn rules_changed(&self) {
        // systemd would refuse the fifth restart within 10 s.
        self.sh("systemctl reset-failed polkit; systemctl restart polkit");
    }

    /// Restarts front and auth.
    pub fn restart_front_and_auth(&self) {
        self.run(&["systemctl", "restart", "tere-front", "tere-auth"]);
    }

    /// Restarts the broker.
    pub fn restart_broker(&self) {
        self.run(&["systemctl", "restart", "tere-broker"]);
    }

    /// Kills the broker, and waits until systemd has restarted it.
    pub fn kill_broker(&self) {
        let pid = || self.run(&["systemctl", "show", "-P", "MainPID", "tere-broker"]);
        let before = pid();
        self.run(&["systemctl", "kill", "-s", "KILL", "tere-broker"]);
        eventually("the broker is back", PATIENCE, || {
            let now = pid();
            (now != "0" && now != before).then_some(())
        });
    }

    /// Makes the broker reload its policy, and returns whether the policy is good.
    pub fn reload_broker(&self) -> bool {
        // A service that is not running cannot be reloaded.
        self.run(&["systemctl", "start", "tere-broker"]);
        self.try_run(&["systemctl", "reload", "tere-broker"]).success
    }

    /// Kills the worker of a session.
    pub fn kill_worker(&self, session: &SessionId) {
        let unit = format!("tere-session@{session}.service");
        self.run(&["systemctl", "kill", "--signal=KILL", &unit]);
    }

    /// Private memory of the worker of a session, in bytes.
    pub fn worker_memory(&self, session: &SessionId) -> usize {
        let unit = format!("tere-session@{session}.service");
        memory(&self.run(&["sh", "-c", &format!("cat /proc/$(systemctl show -P MainPID {unit})/status")]))
    }

    /// Restarts the worker of a session.
    pub fn restart_worker(&self, session: &SessionId) {
        self.run(&["systemctl", "restart", &format!("tere-session@{session}.service")]);
    }

    /// Powers a machine off.
    pub fn power_off(&self, machine: &str) {
        self.run(&["machinectl", "poweroff", machine]);
    }

    /// Stops machined, and masks it, because the bus would start it again.
    pub fn stop_machined(&self) {
        self.run(&["systemctl", "mask", "--runtime", "--now", "systemd-machined.service"]);
    }

    /// Makes it possible to start machined again.
    pub fn start_machined(&self) {
        self.run(&["systemctl", "unmask", "--runtime", "systemd-machined.service"]);
    }
}
