//! What a compromised process of tere cannot do: each attack runs with the uid, the gid and the
//! groups of the real process.

use tere::protocol::Refusal;

use crate::host::Host;
use crate::managed::{asks, no_machines};
use crate::parts::shell::PATIENCE;
use crate::parts::wait::eventually;
use crate::stories::attacks::{SHELLS_OF_OTHERS, UNITS_OF_OTHERS};
use crate::stories::holder;

const MACHINED: &[&str] = &["org.freedesktop.machine1", "/org/freedesktop/machine1"];
const SYSTEMD: &[&str] = &["org.freedesktop.systemd1", "/org/freedesktop/systemd1"];

/// The process that an attack pretends to be.
struct Identity {
    words: Vec<String>,
}

impl Identity {
    /// The identity of the main process of a unit.
    fn of(host: &Host, unit: &str) -> Self {
        let pid = host.run(&["systemctl", "show", "-P", "MainPID", unit]);
        assert_ne!(pid, "0", "{unit} does not run");
        let status = host.run(&["cat", &format!("/proc/{pid}/status")]);
        let field = |name: &str| -> Vec<String> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().map(str::to_owned).collect()
        };
        let (uid, gid, groups) = (field("Uid:").remove(1), field("Gid:").remove(1), field("Groups:"));
        assert_ne!(uid, "0", "{unit} runs as root");
        assert!(field("CapEff:").concat().chars().all(|digit| digit == '0'), "{unit} has capabilities");
        let groups = format!("--groups={}", if groups.is_empty() { gid.clone() } else { groups.join(",") });
        let words = [
            "setpriv",
            "--reuid",
            &uid,
            "--regid",
            &gid,
            &groups,
            "--bounding-set=-all",
            "--inh-caps=-all",
            "--no-new-privs",
            "--",
        ];
        Self { words: words.map(str::to_owned).to_vec() }
    }

    fn call(
        &self,
        host: &Host,
        service: &[&str],
        interface: &str,
        method: &[&str],
    ) -> Result<String, String> {
        let mut words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        words.extend(["busctl", "--timeout=60", "call"]);
        words.extend(service);
        words.push(interface);
        words.extend(method);
        let said = host.try_run(&words);
        if said.success { Ok(said.out) } else { Err(said.err) }
    }

    fn open_shell(&self, host: &Host, machine: &str, user: &str, program: &str) -> Result<String, String> {
        let method = ["OpenMachineShell", "sssasas", machine, user, program, "1", "sh", "0"];
        self.call(host, MACHINED, "org.freedesktop.machine1.Manager", &method)
    }

    fn unit(&self, host: &Host, verb: &str, unit: &str) -> Result<String, String> {
        self.call(host, SYSTEMD, "org.freedesktop.systemd1.Manager", &[verb, "ss", unit, "replace"])
    }

    /// Whether this identity gets past the permissions of a socket. The sockets are SEQPACKET and
    /// busctl wants a stream: the kernel reports that mismatch only to a process that may connect.
    fn reaches(&self, host: &Host, socket: &str) -> bool {
        let mut words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let address = format!("--address=unix:path={socket}");
        words.extend(["busctl", &address, "list"]);
        let said = host.try_run(&words);
        assert!(!said.success);
        // libsystemd's message for EACCES.
        let denied = said.err.contains("Operation not permitted");
        assert!(denied || said.err.contains("wrong type"), "{}", said.err);
        !denied
    }
}

fn denied(what: &str, said: Result<String, String>) {
    let error = said.expect_err(what);
    let words =
        ["Access denied", "Permission denied", "Interactive authentication required", "not authorized"];
    // dbus-daemon drops the connection of a dynamic uid.
    let dropped = ["Transport endpoint is not connected", "Connection reset", "Connection terminated"];
    assert!(words.iter().chain(&dropped).any(|word| error.contains(word)), "{what}: {error}");
}

#[test]
fn front_auth_and_workers_open_no_shell_and_start_no_unit() {
    let host = Host::shared();
    host.run(&["systemctl", "start", "tere-front", "tere-auth"]);
    let mut alice = holder(&host, "alice");
    let shell = alice.open("dev@web1").unwrap();
    let worker = format!("tere-session@{}.service", shell.session);
    for unit in ["tere-front.service", "tere-auth.service", &worker] {
        let identity = Identity::of(&host, unit);
        denied(unit, identity.open_shell(&host, "web1", "dev", "/bin/sh"));
        denied(unit, identity.open_shell(&host, ".host", "root", "/bin/sh"));
        denied(unit, identity.unit(&host, "StartUnit", "tere-session@aaaaaaaaaaaa.socket"));
        denied(unit, identity.unit(&host, "StopUnit", "tere-broker.service"));
    }
}

#[test]
fn each_program_reaches_the_one_socket_that_is_its_own() {
    let host = Host::shared();
    host.run(&["systemctl", "start", "tere-front", "tere-auth", "tere-broker"]);
    let mut alice = holder(&host, "alice");
    let shell = alice.open("dev@web1").unwrap();
    let session = format!("/run/tere/session/{}.sock", shell.session);
    let worker = format!("tere-session@{}.service", shell.session);
    let sockets = ["/run/tere/auth.sock", "/run/tere/broker.sock", &session];
    for (unit, own) in [
        ("tere-front.service", Some(0)),
        ("tere-auth.service", Some(1)),
        ("tere-broker.service", Some(2)),
        (&worker, None),
    ] {
        let identity = Identity::of(&host, unit);
        for (index, socket) in sockets.iter().enumerate() {
            assert_eq!(identity.reaches(&host, socket), own == Some(index), "{unit} and {socket}");
        }
    }
}

/// What is no change of a machine.
const CHANGES_OF_NONE: [&str; 14] = [
    "boot:alice-box",
    "thaw:alice-box",
    "add-template:debian",
    "fork:alice-box",
    "fork:alice-box:..",
    "fork:alice-box:/etc",
    "fork:.host:alice.a",
    "rollback:alice-box",
    "rollback:alice-box:-1",
    "rollback:alice-box:x",
    "remove:.host",
    "remove:alice-box:--home",
    "remove:-a",
    "",
];

#[test]
fn polkit_holds_the_broker_to_users_of_machines_and_to_its_units() {
    let host = Host::shared();
    let broker = Identity::of(&host, "tere-broker.service");
    for [machine, user, program] in SHELLS_OF_OTHERS {
        denied(user, broker.open_shell(&host, machine, user, program));
    }
    for unit in UNITS_OF_OTHERS {
        denied(unit, broker.unit(&host, "StartUnit", unit));
        denied(unit, broker.unit(&host, "StopUnit", unit));
    }
    denied("a machine's end", broker.unit(&host, "StopUnit", "tere-machine@web1.service"));
    denied("a machine's restart", broker.unit(&host, "RestartUnit", "tere-machine@web1.service"));
    denied("a filter's end", broker.unit(&host, "StopUnit", "tere-network@alice-box.service"));
    denied("a filter's start", broker.unit(&host, "StartUnit", "tere-network@alice-box.service"));
    denied("a made machine's end", broker.unit(&host, "StopUnit", "tere-managed@alice-box.service"));
    let reset = ["ResetFailedUnit", "s", "tere-machine@web1.service"];
    denied("a failure", broker.call(&host, SYSTEMD, "org.freedesktop.systemd1.Manager", &reset));
    for name in ["..", ".host", "a/b", "a\\x2fb", "A", "-a", "a b", ""] {
        let unit = format!("tere-managed@{name}.service");
        broker.unit(&host, "StartUnit", &unit).expect_err(name);
    }
    // Changes of machines: nothing but what tere-machine reads as one. It asks the policy itself.
    for change in CHANGES_OF_NONE {
        let unit = format!("tere-change@{change}.service");
        broker.unit(&host, "StartUnit", &unit).expect_err(change);
    }
    denied("a change's end", broker.unit(&host, "StopUnit", "tere-change@fork:alice-box:alice.a.service"));
    let manager = "org.freedesktop.machine1.Manager";
    denied("kill", broker.call(&host, MACHINED, manager, &["KillMachine", "ssi", "web1", "all", "9"]));
    denied("login", broker.call(&host, MACHINED, manager, &["OpenMachineLogin", "s", "web1"]));
    denied(
        "copy",
        broker.call(&host, MACHINED, manager, &["CopyFromMachine", "sss", "web1", "/etc/shadow", "/tmp/x"]),
    );
    let systemd = "org.freedesktop.systemd1.Manager";
    let reload = broker.call(&host, SYSTEMD, systemd, &["Reload"]);
    denied("reload", reload);
    let transient =
        "StartTransientUnit ssa(sv)a(sa(sv)) NAME replace 1 ExecStart a(sasb) 1 /bin/id 1 /bin/id false 0";
    for unit in ["x.service", "tere-session@aaaaaaaaaaaa.service", "tere-managed@x.service"] {
        let words: Vec<_> =
            transient.split(' ').map(|word| if word == "NAME" { unit } else { word }).collect();
        broker.call(&host, SYSTEMD, systemd, &words).expect_err(unit);
    }
    // Whatever the host lets everybody do, the broker may not, and nobody is asked for a password.
    let pid = host.run(&["systemctl", "show", "-P", "MainPID", "tere-broker.service"]);
    let permitted = host.sh(&format!(
        "for action in $(pkaction); do pkcheck --action-id $action --process {pid} </dev/null >/dev/null 2>&1; \
         [ $? = 1 ] || echo $action; done"
    ));
    assert_eq!(permitted, "");
    // polkit lets the broker start a machine of any name. The program that makes machines asks the
    // policy itself.
    broker.unit(&host, "StartUnit", "tere-managed@mallory-box.service").unwrap();
    let made = "ls -A /var/lib/tere/machines /var/lib/tere/homes /var/lib/tere/bases | grep mallory";
    eventually("the start fails", PATIENCE, || {
        let failed = host.try_run(&["systemctl", "is-failed", "tere-managed@mallory-box.service"]);
        failed.success.then_some(())
    });
    let status = host.run(&["systemctl", "show", "-P", "ExecMainStatus", "tere-managed@mallory-box.service"]);
    assert_eq!(status, "77", "not in the policy");
    assert!(!host.try_run(&["sh", "-c", made]).success, "something was made for mallory");
    host.run(&["systemctl", "reset-failed", "tere-managed@mallory-box.service"]);
    // What is permitted works; otherwise the rest of this test proves nothing.
    broker.open_shell(&host, "web1", "dev", "/bin/sh").unwrap();
}

/// machined waits for the bus of the machine in which it opens a shell, and does nothing else
/// meanwhile. The root of a machine can put something there that takes connections and never answers.
#[test]
fn a_machine_whose_bus_does_not_answer_keeps_nobody_from_another() {
    let host = Host::alone();
    no_machines(&host);
    let _ends = Forgotten(&host);
    let (mut alice, mut bob) = (holder(&host, "alice"), holder(&host, "bob"));
    let mut before = bob.open("dev@web1").unwrap();
    alice.open("dev@alice-box").unwrap();
    host.sh("nsenter --all --target $(machinectl show -P Leader alice-box) sh -euc '
            cd /run/systemd/system
            printf \"[Socket]\\nListenStream=/run/dbus/system_bus_socket\\n\" >silent.socket
            printf \"[Service]\\nExecStart=/bin/sleep infinity\\n\" >silent.service
            systemctl daemon-reload
            systemctl stop dbus.socket dbus.service dbus-broker.service || true
            systemctl start silent.socket'");
    let cursor = host.journal_cursor();
    std::thread::scope(|scope| {
        let stalled = scope.spawn(|| alice.open("dev@alice-box").unwrap_err());
        // All that is opened meanwhile is only late.
        let mut shells = 0;
        while !stalled.is_finished() || shells == 0 {
            asks(&mut bob.open("dev@web1").unwrap(), "echo $((6*7))", "42\r\n");
            shells += 1;
        }
        asks(&mut bob.open("dev@web1").unwrap(), "echo $((6*8))", "48\r\n");
        assert_eq!(stalled.join().unwrap(), Refusal::ShellTimedOut);
    });
    assert_eq!(alice.open("dev@alice-box").unwrap_err(), Refusal::ShellTimedOut);
    let journal = host.journal(&cursor);
    assert!(journal.contains("nothing is opened in the machines of alice for 10 s"), "{journal}");
    let check = host.try_run(&["tere", "check"]);
    assert!(!check.success && check.out.contains("alice-box stalls machined"), "{}", check.out);
    assert!(journal.contains("nothing is opened there for now"), "{journal}");
    // What was there before goes on, and new users are found.
    asks(&mut before, "echo $((6*9))", "54\r\n");
    host.run(&["getent", "passwd", "tere-broker"]);
    alice.open("dev@web1").unwrap();
}

/// A stall, of which the broker is to know no more at the end: the next test needs alice's machines.
struct Forgotten<'a>(&'a Host);

impl Drop for Forgotten<'_> {
    fn drop(&mut self) {
        no_machines(self.0);
        self.0.try_run(&["systemctl", "restart", "tere-broker"]);
    }
}

/// A rule of polkit, which is removed at the end.
struct InstalledRule<'a>(&'a Host, &'static str);

impl Drop for InstalledRule<'_> {
    fn drop(&mut self) {
        self.0.try_run(&["rm", "-f", self.1]);
        self.0.rules_changed();
    }
}

/// The rule for the host itself is in force only where an administrator has put it, and only for
/// the users in its list. It is tested as the package has it.
#[test]
fn polkit_holds_shells_on_the_host_to_the_users_that_are_listed() {
    const RULE: &str = "/etc/polkit-1/rules.d/40-tere-host.rules";
    const PACKAGED: &str = "/usr/share/tere/polkit/40-tere-host.rules";
    let host = Host::alone();
    let _installed = InstalledRule(&host, RULE);
    host.add_host_user("ops");
    host.add_host_user("another");
    host.run(&["systemctl", "start", "tere-front", "tere-auth", "tere-broker"]);
    let broker = Identity::of(&host, "tere-broker.service");
    let open =
        |identity: &Identity, user: &str, program: &str| identity.open_shell(&host, ".host", user, program);
    let in_force = |list: &str| {
        host.sh(&format!(
            "sed 's/^var tereHostUsers = .*/var tereHostUsers = [{list}];/' {PACKAGED} >{RULE}"
        ));
        host.rules_changed();
    };
    denied("before the rule is installed", open(&broker, "ops", "/bin/sh"));
    in_force("");
    denied("with the list that the package has", open(&broker, "ops", "/bin/sh"));
    in_force(r#""ops""#);
    open(&broker, "ops", "/bin/sh").unwrap();
    for user in ["another", "root", "0", "", "tere-broker"] {
        denied(user, open(&broker, user, "/bin/sh"));
    }
    denied("another program", open(&broker, "ops", "/usr/bin/id"));
    let manager = "org.freedesktop.machine1.Manager";
    denied("login", broker.call(&host, MACHINED, manager, &["OpenMachineLogin", "s", ".host"]));
    for unit in ["tere-front.service", "tere-auth.service"] {
        denied(unit, open(&Identity::of(&host, unit), "ops", "/bin/sh"));
    }
    let ops = ["setpriv", "--reuid=ops", "--regid=ops", "--clear-groups", "--no-new-privs", "--"];
    let ops = Identity { words: ops.map(str::to_owned).to_vec() };
    denied("the user itself", open(&ops, "ops", "/bin/sh"));
    in_force(r#""ops", "root""#);
    open(&broker, "root", "/bin/sh").unwrap();
    host.run(&["rm", RULE]);
    host.rules_changed();
    denied("after the rule is removed", open(&broker, "ops", "/bin/sh"));
}
