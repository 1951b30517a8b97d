//! `tere` from afar, with the real program: it signs in once by a code, then lists, opens, attaches
//! and ends by the key that it keeps, and comes back by itself after trouble.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::host::Host;
use crate::parts::in_terminal::InTerminal;
use crate::parts::page::Page;
use crate::parts::passkey::SoftAuthenticator;
use crate::parts::shell::PATIENCE;
use crate::parts::wait::eventually;
use crate::stories::enrolment_token;

const RULE: &str = "[[client-key]]\naccounts = [\"alice\"]\n\
                    allow = [\"list\", \"attach\", \"open\", \"exec\", \"end\", \"name\"]\n";

/// Another computer of alice's: a home of its own, and no tere but the command line.
struct Computer {
    host: Host,
    home: TempDir,
    page: Page,
    passkey: SoftAuthenticator,
}

impl Computer {
    fn new() -> Self {
        let host = Host::at_its_own_address();
        let origin = host.origin();
        let mut passkey = SoftAuthenticator::new(&origin);
        let mut page = Page::of(&origin, host.connect_to_front(), &[]);
        page.enrol(&enrolment_token(&host, "alice"), &mut passkey);
        let policy = host.path("/etc/tere/tere.toml");
        let text = std::fs::read_to_string(&policy).unwrap();
        std::fs::write(&policy, format!("{text}\n{RULE}")).unwrap();
        assert!(host.reload_broker());
        Self { host, home: tempfile::tempdir().unwrap(), page, passkey }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tere"));
        command.arg("--runtime-dir").arg(self.home.path().join("nothing")).args(arguments);
        command.env_remove("TERE_HOST").env("XDG_STATE_HOME", self.home.path());
        command
    }

    fn tere(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Begins to sign in, and returns the code that is shown.
    fn begin_login(&self) -> (Child, String) {
        let mut command = self.command(&["login", &self.host.origin(), "--name", "laptop"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let is_code = |line: &str| {
            let line = line.trim();
            line.len() == 9 && line.as_bytes()[4] == b'-'
        };
        let code = said.find(|line| is_code(line)).expect("no code is shown").trim().to_owned();
        (child, code)
    }

    fn log_in(&mut self) {
        let (child, code) = self.begin_login();
        let options = self.page.find_binding(&code).unwrap();
        self.page.bind(&self.passkey.touch(&options)).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains("as alice"), "{output:?}");
    }

    fn sessions(&self) -> Vec<serde_json::Value> {
        let listed = self.tere(&["list", "--json"]);
        assert!(listed.status.success(), "{listed:?}");
        serde_json::from_slice(&listed.stdout).unwrap()
    }

    fn terminal(&self, arguments: &[&str]) -> InTerminal {
        InTerminal::run(&self.command(arguments))
    }
}

#[test]
fn a_person_signs_in_once_and_has_the_same_sessions_from_afar() {
    let mut computer = Computer::new();
    computer.log_in();
    let file = std::fs::read_dir(computer.home.path().join("tere")).unwrap().next().unwrap().unwrap();
    assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
    assert!(computer.sessions().is_empty());

    let mut opened = computer.terminal(&["open", "dev@web1"]);
    opened.sees("a prompt", |screen| screen.contains('$'));
    opened.types("stty size; mark=$((6*7)); echo set $mark\r");
    opened.sees_line("24 80");
    opened.sees_line("set 42");
    let id = computer.sessions()[0]["session"].as_str().unwrap().to_owned();
    computer.page.attach(0, &id.parse().unwrap()).unwrap();
    computer.page.type_in(0, "echo from the page $mark\r");
    opened.sees_line("from the page 42");
    opened.types("echo last $mark\r");
    computer.page.expect(0, "last 42");
    opened.types("~.");
    let (status, left) = opened.ends();
    assert!(status == 0 && left.contains(&format!("Back to it: tere attach {id}")), "{left}");

    // From the list of what there is, and with the exit status of the shell.
    let mut picked = computer.terminal(&[]);
    picked.sees("the list", |screen| screen.contains("Still running") && screen.contains("> "));
    picked.types("\r");
    picked.sees_line("last 42");
    assert!(computer.tere(&["name", &id, "build"]).status.success());
    assert_eq!(computer.sessions()[0]["name"], "build");
    let refused = computer.tere(&["share", "build", "bob"]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not-by-key"), "{refused:?}");
    let mut watching = computer.terminal(&["watch", "build"]);
    watching.sees_line("last 42");
    picked.types("exit 7\r");
    assert_eq!(picked.ends().0, 7);
    assert_eq!(watching.ends().0, 7);

    let mut second = computer.terminal(&["open", "dev@web1"]);
    second.sees("a prompt", |screen| screen.contains('$'));
    let id = computer.sessions()[0]["session"].as_str().unwrap().to_owned();
    assert!(computer.tere(&["end", &id]).status.success());
    assert!(second.ends().1.contains("ended"), "the owner ended it");

    // What is for the host alone is not taken for another.
    let wrong = computer.tere(&["account", "list", "--host", "localhost"]);
    assert!(!wrong.status.success());
    let out = computer.tere(&["logout"]);
    assert!(out.status.success(), "{out:?}");
    assert_eq!(std::fs::read_dir(computer.home.path().join("tere")).unwrap().count(), 0);
    assert!(!computer.tere(&["list", "--host", "localhost"]).status.success());
}

#[test]
fn files_are_copied_from_afar_both_ways() {
    let mut computer = Computer::new();
    computer.log_in();
    let [here, there, back] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    // More than all buffers on the way, and nothing that compresses.
    let numbers: Vec<u8> = std::iter::successors(Some(1_u32), |state| {
        Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223))
    })
    .flat_map(u32::to_be_bytes)
    .take(8 << 20)
    .collect();
    std::fs::create_dir(here.path().join("deep")).unwrap();
    let files = [("numbers", numbers), ("deep/a name: with '", b"\0\xff".to_vec())];
    for (name, bytes) in &files {
        std::fs::write(here.path().join(name), bytes).unwrap();
    }
    let folder = |folder: &TempDir| format!("{}/", folder.path().display());
    let in_machine = format!("dev@web1:{}", folder(&there));
    for (words, folder) in
        [([folder(&here), in_machine.clone()], &there), ([in_machine, folder(&back)], &back)]
    {
        let copied = computer.tere(&["cp", &words[0], &words[1]]);
        assert!(copied.status.success(), "{copied:?}");
        for (name, bytes) in &files {
            assert!(std::fs::read(folder.path().join(name)).unwrap() == *bytes, "{name}");
        }
    }
    let refused = computer.tere(&["cp", &folder(&here), "root@web1:/tmp/"]);
    assert!(!refused.status.success(), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not-granted"), "{refused:?}");
}

#[test]
fn a_command_from_afar_has_its_streams_apart_and_its_own_status() {
    const LENGTH: usize = 3_000_000;
    let mut computer = Computer::new();
    computer.log_in();
    let run = |words: &[&str], input: &[u8]| {
        let mut command = computer.command(&[&["exec", "dev@web1", "--"][..], words].concat());
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // A command that reads nothing closes its input.
            scope.spawn(move || drop(stdin.write_all(input)));
            child.wait_with_output().unwrap()
        })
    };
    let ran = run(&["sh", "-c", "printf out; printf err >&2; exit 7"], b"");
    assert_eq!((ran.status.code(), &*ran.stdout, &*ran.stderr), (Some(7), &b"out"[..], &b"err"[..]));
    // Each length of command that is one fits into a frame.
    let long = "x".repeat(47 * 1024);
    let ran = run(&["printf", "%s", &long], b"");
    assert!(ran.status.success() && ran.stdout == long.as_bytes());
    let bytes: Vec<u8> = (0..LENGTH).map(|at| u8::try_from(at * at % 251).unwrap()).collect();
    let ran = run(&["sh", "-c", "tee /dev/stderr"], &bytes);
    assert!(ran.status.success() && ran.stdout == bytes && ran.stderr == bytes, "{}", ran.stdout.len());
    let refused = computer.tere(&["exec", "root@web1", "true"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not-granted"), "{refused:?}");
    assert_eq!(refused.status.code(), Some(255));

    // It ends with its client.
    let mut command = computer.command(&["exec", "dev@web1", "--", "sh", "-c", "echo on; exec sleep 600"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!((line.as_str(), computer.sessions().len()), ("on\n", 1));
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("no session is left", PATIENCE, || computer.sessions().is_empty().then_some(()));
}

#[test]
fn programs_type_wait_look_and_follow_from_afar() {
    let mut computer = Computer::new();
    computer.log_in();
    let mut following = computer.command(&["events", "--json"]);
    let mut following = following.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let events = BufReader::new(following.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut events = events.map(|line| serde_json::from_str::<serde_json::Value>(&line).unwrap());

    let mut opened = computer.terminal(&["open", "dev@web1"]);
    opened.sees("a prompt", |screen| screen.contains('$'));
    let id = computer.sessions()[0]["session"].as_str().unwrap().to_owned();
    assert!(computer.tere(&["name", &id, "build"]).status.success());
    // Nothing else is printed, and the word comes after all that was typed.
    for number in 0..5 {
        let text = format!("echo sent {number} $((6*7))");
        let sent = computer.tere(&["send", "build", "--text", &text, "--keys", "Enter"]);
        assert!(sent.status.success(), "{sent:?}");
        let found = computer.tere(&["wait", "build", "--for", &format!("sent {number} 42")]);
        assert!(found.status.success(), "{found:?}");
    }
    let shown = computer.tere(&["show", "build"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("sent 4 42"), "{shown:?}");
    // What only looks leaves the size alone, and types nothing.
    let mut watching = computer.terminal(&["watch", "build"]);
    watching.sees_line("sent 4 42");
    watching.types("exit 9\r");
    opened.types("stty size; echo size\r");
    opened.sees_line("size");
    opened.sees_line("24 80");
    opened.types("exit 3\r");
    assert_eq!((opened.ends().0, watching.ends().0), (3, 3));

    let mut next = |wanted: &str| events.find(|event| event["event"] == wanted).unwrap();
    assert_eq!(next("opened")["session"], id.as_str());
    assert_eq!(next("named")["name"], "build");
    let ended = next("ended");
    assert_eq!((&ended["session"], &ended["status"]), (&id.as_str().into(), &3.into()));
    following.kill().unwrap();
    following.wait().unwrap();
}

#[test]
fn a_port_is_forwarded_from_afar() {
    let mut computer = Computer::new();
    computer.log_in();
    // The machines of this ring have the network of this host.
    let there = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = there.local_addr().unwrap().port().to_string();
    let socket = computer.home.path().join("here");
    let mut command = computer.command(&["forward", "dev@web1", &port, socket.to_str().unwrap()]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
    assert!(said.contains("Ctrl-C ends it"), "{said}");
    let mut here = UnixStream::connect(&socket).unwrap();
    here.write_all(b"ping").unwrap();
    here.shutdown(std::net::Shutdown::Write).unwrap();
    let (mut connection, _) = there.accept().unwrap();
    let mut all = String::new();
    connection.read_to_string(&mut all).unwrap();
    connection.write_all(b"pong").unwrap();
    drop(connection);
    let mut answer = String::new();
    here.read_to_string(&mut answer).unwrap();
    assert_eq!((all.as_str(), answer.as_str()), ("ping", "pong"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_view_from_afar_comes_back_after_each_program_was_restarted() {
    let mut computer = Computer::new();
    computer.log_in();
    let mut opened = computer.terminal(&["open", "dev@web1"]);
    opened.sees("a prompt", |screen| screen.contains('$'));
    opened.types("mark=$((6*7)); echo set $mark\r");
    opened.sees_line("set 42");
    for (number, restart) in
        [Host::restart_front_and_auth as fn(&Host), Host::restart_broker, Host::kill_broker]
            .into_iter()
            .enumerate()
    {
        restart(&computer.host);
        let line = format!("again 42 {number}");
        // What is typed while there is no view is thrown away.
        eventually("the view is back", PATIENCE, || {
            opened.types(&format!("echo again $mark {number}\r"));
            opened.sees_line_within(&line, Duration::from_millis(500)).then_some(())
        });
    }
    drop(opened);
}

#[test]
fn a_login_that_is_declined_or_whose_key_is_gone_says_so() {
    let mut computer = Computer::new();
    let (child, code) = computer.begin_login();
    computer.page.find_binding(&code).unwrap();
    computer.page.decline_binding();
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success());
    assert!(!computer.home.path().join("tere").exists(), "no key is kept");

    computer.log_in();
    let (_, keys) = computer.host.tere(&["account", "list-keys", "alice", "--json"]);
    let keys: serde_json::Value = serde_json::from_str(&keys).unwrap();
    assert!(computer.host.tere(&["account", "remove-key", "alice", keys[0]["key"].as_str().unwrap()]).0);
    let refused = computer.tere(&["list"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("unknown-key"), "{refused:?}");
    // Signing out forgets a key that the host does not know any more.
    assert!(computer.tere(&["logout"]).status.success());
}
