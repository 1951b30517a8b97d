//! The stack, auth's part: the real tere-auth in its sandbox behind real sockets, with a stand-in
//! for the broker, a software passkey for the person and this test for the front.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a panic is how a test fails
#![allow(clippy::needless_pass_by_value)] // a message is said once

#[path = "parts/passkey.rs"]
mod passkey;
#[path = "parts/wait.rs"]
mod wait;

use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use passkey::SoftAuthenticator;
use tempfile::TempDir;
use tere::names::{AccountName, UserUid};
use tere::protocol::Refusal;
use tere::protocol::control::{FromCli, ToCli};
use tere::protocol::login::{FromFront, ToFront};
use tere::protocol::principal::{Answer, Ask, FromBroker, Request};
use tere::protocol::vouch::{AuthMethod, FromAuth, Principal, ToAuth};
use tere::sys::seqpacket;
use tere::wire::{Channel, Intent, Message, WireError};
use wait::eventually;

const ORIGIN: &str = "http://localhost:8080";

/// Longest wait for anything.
const DEADLINE: Duration = Duration::from_secs(10);

/// In the user namespace that this makes, whoever runs the tests has uid 0: so auth sees them.
const WE_ARE_ROOT: [&str; 3] = ["unshare", "--user", "--map-root-user"];

/// A running tere-auth with its folder.
struct Auth {
    folder: TempDir,
    program: Child,
}

impl Auth {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tere.toml"), format!("origin = \"{ORIGIN}\"\n")).unwrap();
        let program = run(folder.path(), &WE_ARE_ROOT);
        let auth = Self { folder, program };
        auth.wait_for_sockets();
        auth
    }

    fn restart(&mut self, wrapper: &[&str]) {
        self.program.kill().unwrap();
        self.program.wait().unwrap();
        for socket in ["auth.sock", "control.sock"] {
            std::fs::remove_file(self.path(socket)).unwrap();
        }
        self.program = run(self.folder.path(), wrapper);
        self.wait_for_sockets();
    }

    fn wait_for_sockets(&self) {
        let begun = Instant::now();
        while !self.path("control.sock").exists() || !self.path("auth.sock").exists() {
            assert!(begun.elapsed() < DEADLINE, "no sockets");
            // Between two looks: a socket's file has no event that this test could await.
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn front(&self) -> Channel<FromFront, ToFront> {
        connect(&self.path("auth.sock"), Intent::Login)
    }

    fn ask(&self, asked: FromCli) -> (ToCli, Vec<OwnedFd>) {
        let cli: Channel<FromCli, ToCli> = connect(&self.path("control.sock"), Intent::Control);
        cli.send(&asked, &[]).unwrap();
        cli.receive_within(DEADLINE).unwrap()
    }

    fn add(&self, account: &str) -> String {
        let (reply, _) = self.ask(FromCli::AccountAdd(name(account)));
        let ToCli::Link { link, .. } = reply else { panic!("{reply:?}") };
        link.reveal().strip_prefix(&format!("{ORIGIN}/#enrol=")).unwrap().to_owned()
    }
}

impl Drop for Auth {
    fn drop(&mut self) {
        drop(self.program.kill());
        drop(self.program.wait());
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(self.path("log")).unwrap_or_default());
        }
    }
}

/// `tere`: what it prints, what it says of errors, and its exit status.
fn tere(auth: &Auth, arguments: &[&str]) -> (String, String, i32) {
    finish(Command::new(env!("CARGO_BIN_EXE_tere")), auth, arguments)
}

/// `tere` run by somebody who is not root.
fn tere_of_another(auth: &Auth, arguments: &[&str]) -> (String, String, i32) {
    // The program may be in a folder that is closed to others.
    let program = auth.path("tere");
    if !program.exists() {
        // Not std::fs::copy: a child that another test starts meanwhile would hold the file open
        // for writing until it runs its program, and this one could not be run.
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_tere")).arg(&program).status();
        assert!(copied.unwrap().success());
    }
    let mut command = Command::new(program);
    if nix::unistd::Uid::current().is_root() {
        command.uid(65534);
    }
    finish(command, auth, arguments)
}

fn finish(mut command: Command, auth: &Auth, arguments: &[&str]) -> (String, String, i32) {
    let output = command.arg("--runtime-dir").arg(auth.folder.path()).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

/// systemd-socket-activate(1) stands in for systemd: it listens, and becomes tere-auth at the
/// first connection. `wrapper` becomes it.
fn run(folder: &Path, wrapper: &[&str]) -> Child {
    let log = File::options().append(true).create(true).open(folder.join("log")).unwrap();
    let mut command = wrapper.to_vec();
    command.push("systemd-socket-activate");
    Command::new(command[0])
        .args(&command[1..])
        .args(["--seqpacket", "--fdname=auth:control", "-l"])
        .arg(folder.join("auth.sock"))
        .arg("-l")
        .arg(folder.join("control.sock"))
        .arg(env!("CARGO_BIN_EXE_tere-auth"))
        .arg("--runtime-dir")
        .arg(folder)
        .arg("--state-dir")
        .arg(folder.join("state"))
        .arg("--config")
        .arg(folder.join("tere.toml"))
        .env("TERE_LOG", "trace")
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("unshare is part of util-linux, systemd-socket-activate of systemd")
}

fn connect<Out: Message, In: Message>(path: &Path, intent: Intent) -> Channel<Out, In> {
    let begun = Instant::now();
    loop {
        match Channel::connect(path, intent, DEADLINE) {
            Ok(channel) => return channel,
            // The stand-in for systemd has bound the socket and does not listen yet.
            Err(WireError::Io(error)) if error.kind() == ErrorKind::ConnectionRefused => {
                assert!(begun.elapsed() < DEADLINE, "nobody listens on {}", path.display());
                std::thread::yield_now();
            }
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
}

fn name(text: &str) -> AccountName {
    text.parse().unwrap()
}

/// The stand-in for the broker: takes whatever auth says, tells the test, and answers the first
/// request on a principal channel.
fn broker(folder: &Path) -> Receiver<FromAuth> {
    let listener = seqpacket::listen(&folder.join("broker.sock")).unwrap();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        loop {
            let socket = seqpacket::accept(listener.as_fd()).unwrap();
            let tell = tell.clone();
            std::thread::spawn(move || serve_one(socket, &tell));
        }
    });
    told
}

fn serve_one(socket: OwnedFd, tell: &Sender<FromAuth>) {
    let auth: Channel<ToAuth, FromAuth> = Channel::over(socket);
    auth.greet(Intent::Vouch, DEADLINE).unwrap();
    let (said, _) = auth.receive_within(DEADLINE).unwrap();
    let vouched = matches!(said, FromAuth::Vouch { .. });
    // The test may be over and not listen any more.
    drop(tell.send(said));
    if !vouched {
        return auth.send(&ToAuth::Revoked, &[]).unwrap();
    }
    auth.send(&ToAuth::Vouched { resume: None }, &[]).unwrap();
    let holder: Channel<FromBroker, Request> = Channel::over(auth.into_socket());
    if holder.greet(Intent::Principal, DEADLINE).is_err() {
        // This test had no use for the channel.
        return;
    }
    let (request, _) = holder.receive_within(DEADLINE).unwrap();
    let answer = Answer::Refused(Refusal::NoSuchSession);
    holder.send(&FromBroker::Reply { number: request.number, answer }, &[]).unwrap();
}

fn challenge(front: &Channel<FromFront, ToFront>, asked: FromFront) -> String {
    front.send(&asked, &[]).unwrap();
    let (reply, _) = front.receive_within(DEADLINE).unwrap();
    let ToFront::Challenge { options, .. } = reply else { panic!("{reply:?}") };
    options
}

fn answer(front: &Channel<FromFront, ToFront>, credential: String) -> (ToFront, Vec<OwnedFd>) {
    front.send(&FromFront::Answer { credential, resume_key: None }, &[]).unwrap();
    front.receive_within(DEADLINE).unwrap()
}

#[track_caller]
fn assert_principal_channel(mut descriptors: Vec<OwnedFd>) {
    let socket = descriptors.pop().unwrap();
    let channel: Channel<Request, FromBroker> = Channel::over(socket);
    channel.greet(Intent::Principal, DEADLINE).unwrap();
    channel.send(&Request { number: 7, ask: Ask::AllSessions { after: None } }, &[]).unwrap();
    let (reply, _) = channel.receive_within(DEADLINE).unwrap();
    assert!(matches!(reply, FromBroker::Reply { number: 7, .. }), "{reply:?}");
}

#[test]
fn a_person_enrols_signs_in_after_a_restart_and_is_removed() {
    let mut auth = Auth::start();
    let told = broker(auth.folder.path());
    let token = auth.add("alice");
    let mut passkey = SoftAuthenticator::new(ORIGIN);

    let front = auth.front();
    let options = challenge(&front, FromFront::Enrol { token: token.clone().into() });
    let (reply, channel) = answer(&front, passkey.register(&options));
    assert_eq!(reply, ToFront::SignedIn { account: name("alice"), resume: None });
    assert_principal_channel(channel);
    let said = told.recv_timeout(DEADLINE).unwrap();
    let FromAuth::Vouch { principal, how, .. } = said else { panic!("{said:?}") };
    assert_eq!(principal, Principal::Account(name("alice")));
    let AuthMethod::Enrolment(enrolled) = how else { panic!("{how:?}") };
    assert!(matches!(front.receive_within(DEADLINE), Err(WireError::Closed)), "signed in is the end");

    auth.restart(&WE_ARE_ROOT);
    let front = auth.front();
    front.send(&FromFront::Enrol { token: token.into() }, &[]).unwrap();
    assert_eq!(front.receive_within(DEADLINE).unwrap().0, ToFront::Refused(Refusal::LinkInvalid));
    let options = challenge(&front, FromFront::SignIn);
    let (reply, channel) = answer(&front, passkey.sign_in(&options));
    assert_eq!(reply, ToFront::SignedIn { account: name("alice"), resume: None });
    assert_principal_channel(channel);
    let said = told.recv_timeout(DEADLINE).unwrap();
    assert!(
        matches!(&said, FromAuth::Vouch { how: AuthMethod::Passkey(with), .. } if *with == enrolled),
        "{said:?}"
    );

    let (reply, _) = auth.ask(FromCli::AccountList { after: None });
    let ToCli::Accounts(accounts) = reply else { panic!("{reply:?}") };
    let [alice] = accounts.as_slice() else { panic!("{accounts:?}") };
    assert_eq!((alice.passkeys, alice.last_sign_in.is_some()), (1, true));

    assert_eq!(auth.ask(FromCli::AccountRemove(name("alice"))).0, ToCli::Done);
    assert_eq!(told.recv_timeout(DEADLINE).unwrap(), FromAuth::Revoke(name("alice")));
    let front = auth.front();
    let options = challenge(&front, FromFront::SignIn);
    let (reply, _) = answer(&front, passkey.sign_in(&options));
    assert_eq!(reply, ToFront::Refused(Refusal::UnknownPasskey));
}

#[test]
fn an_account_that_is_gone_is_said_to_the_broker_until_it_knows() {
    let auth = Auth::start();
    auth.add("alice");
    let not_revoked = ToCli::Refused(Refusal::NotRevoked);
    assert_eq!(auth.ask(FromCli::AccountRemove(name("alice"))).0, not_revoked);
    assert_eq!(
        auth.ask(FromCli::AccountList { after: None }).0,
        ToCli::Accounts(Vec::new()),
        "it is gone all the same"
    );
    assert_eq!(auth.ask(FromCli::AccountRemove(name("alice"))).0, not_revoked, "asked again");
    // Whoever is called alice next must not have the channels of the one before.
    assert_eq!(auth.ask(FromCli::AccountAdd(name("alice"))).0, not_revoked);
    let (_, err, code) = tere(&auth, &["account", "remove", "alice"]);
    assert_eq!(code, 1);
    assert!(err.contains(": not-revoked\n") && !err.contains("nothing has changed"), "{err}");

    let told = broker(auth.folder.path());
    let revoke = FromAuth::Revoke(name("alice"));
    assert_eq!(told.recv_timeout(DEADLINE).unwrap(), revoke, "nobody has asked again");
    auth.add("alice");
    // Of a name that is not known the broker is told too: auth may have been restarted in between.
    assert_eq!(auth.ask(FromCli::AccountRemove(name("alice"))).0, ToCli::Done);
    assert_eq!(told.recv_timeout(DEADLINE).unwrap(), revoke);
    let unknown = auth.ask(FromCli::AccountRemove(name("alice"))).0;
    assert_eq!(unknown, ToCli::Refused(Refusal::NoSuchAccount));
    assert_eq!(told.recv_timeout(DEADLINE).unwrap(), revoke);
}

#[test]
fn a_removal_that_is_said_again_never_hits_a_new_account_of_the_name() {
    let auth = Auth::start();
    for account in ["aaron", "bella"] {
        auth.add(account);
        let removed = auth.ask(FromCli::AccountRemove(name(account))).0;
        assert_eq!(removed, ToCli::Refused(Refusal::NotRevoked), "there is no broker yet");
    }
    // auth says both again, aaron first. The broker takes its time with him, and meanwhile bella's
    // name is given to somebody else.
    let listener = seqpacket::listen(&auth.path("broker.sock")).unwrap();
    let accept = || {
        let channel: Channel<ToAuth, FromAuth> = Channel::over(seqpacket::accept(listener.as_fd()).unwrap());
        channel.greet(Intent::Vouch, DEADLINE).unwrap();
        let said = channel.receive_within(DEADLINE).unwrap().0;
        (channel, said)
    };
    let (slow, said) = accept();
    assert_eq!(said, FromAuth::Revoke(name("aaron")));
    let cli: Channel<FromCli, ToCli> = connect(&auth.path("control.sock"), Intent::Control);
    cli.send(&FromCli::AccountAdd(name("bella")), &[]).unwrap();
    // Whichever comes first, the new account's own request or the next of the list.
    let early = seqpacket::wait_readable(listener.as_fd(), DEADLINE / 20).is_ok().then(accept);
    slow.send(&ToAuth::Revoked, &[]).unwrap();
    let (channel, said) = early.unwrap_or_else(accept);
    assert_eq!(said, FromAuth::Revoke(name("bella")));
    channel.send(&ToAuth::Revoked, &[]).unwrap();
    assert!(matches!(cli.receive_within(DEADLINE).unwrap().0, ToCli::Link { .. }));
    // From now on the name is somebody's.
    let again = seqpacket::wait_readable(listener.as_fd(), 3 * Duration::from_secs(1));
    assert!(again.is_err(), "the new account was revoked: {:?}", accept().1);
}

#[test]
fn root_is_the_operator_and_without_the_broker_nothing_is_promised() {
    let auth = Auth::start();
    assert_eq!(auth.ask(FromCli::Principal).0, ToCli::Refused(Refusal::Unavailable));
    let told = broker(auth.folder.path());
    let (reply, channel) = auth.ask(FromCli::Principal);
    assert_eq!(reply, ToCli::Principal(Principal::Operator));
    assert_principal_channel(channel);
    let said = told.recv_timeout(DEADLINE).unwrap();
    let FromAuth::Vouch { principal: Principal::Operator, how: AuthMethod::PeerUid(0), .. } = said else {
        panic!("{said:?}")
    };
}

#[test]
fn what_cannot_be_read_ends_the_connection_and_no_other() {
    let auth = Auth::start();
    let other = auth.front();
    for packet in [&b"\xff"[..], &[0; 3], &[2; 60_000]] {
        let front = auth.front();
        seqpacket::send(front.as_fd(), packet, &[]).unwrap();
        let (reply, _) = front.receive_within(DEADLINE).unwrap();
        assert_eq!(reply, ToFront::Refused(Refusal::BadMessage));
        assert!(matches!(front.receive_within(DEADLINE), Err(WireError::Closed)));
    }
    challenge(&other, FromFront::SignIn);
}

#[test]
fn more_connections_than_there_are_places_are_told_so() {
    let auth = Auth::start();
    let fronts: Vec<_> = (0..256).map(|_| auth.front()).collect();
    let one_more = auth.front();
    one_more.send(&FromFront::SignIn, &[]).unwrap();
    let (reply, _) = one_more.receive_within(DEADLINE).unwrap();
    assert_eq!(reply, ToFront::Refused(Refusal::Busy));
    challenge(fronts.last().unwrap(), FromFront::SignIn);
    drop(fronts);
    // Their places are free again once auth has seen them go.
    let begun = Instant::now();
    while begun.elapsed() < DEADLINE {
        let front = auth.front();
        front.send(&FromFront::SignIn, &[]).unwrap();
        if let ToFront::Challenge { .. } = front.receive_within(DEADLINE).unwrap().0 {
            return;
        }
    }
    panic!("no place became free");
}

#[test]
fn the_command_line_makes_lists_and_removes_accounts() {
    let auth = Auth::start();
    let _told = broker(auth.folder.path());
    let (out, err, code) = tere(&auth, &["account", "list"]);
    assert_eq!(
        (out.as_str(), err.as_str(), code),
        ("There are no accounts. Make one: tere account add NAME\n", "", 0)
    );
    let (out, _, code) = tere(&auth, &["account", "add", "alice"]);
    assert_eq!(code, 0);
    assert!(out.starts_with(&format!("{ORIGIN}/#enrol=")) && out.contains(" minutes ("), "{out}");
    let (_, err, code) = tere(&auth, &["account", "add", "alice"]);
    assert_eq!(code, 1);
    assert_eq!(err.lines().count(), 2, "a cause and a next step: {err}");
    assert!(err.starts_with("tere: cannot add the account alice: account-exists\n"), "{err}");

    let (out, _, _) = tere(&auth, &["account", "link", "alice", "--json"]);
    let made: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(made["account"], "alice");
    let token = made["link"].as_str().unwrap().split_once("#enrol=").unwrap().1.to_owned();
    let front = auth.front();
    let options = challenge(&front, FromFront::Enrol { token: token.into() });
    let (reply, _) = answer(&front, SoftAuthenticator::new(ORIGIN).register(&options));
    assert_eq!(reply, ToFront::SignedIn { account: name("alice"), resume: None });

    let (out, _, _) = tere(&auth, &["account", "list"]);
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 2, "{out}");
    assert!(lines[1].starts_with("alice") && lines[1].contains("just now ("), "{out}");
    let (out, _, _) = tere(&auth, &["account", "list", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&listed[0]["account"], &listed[0]["passkeys"]), (&"alice".into(), &1.into()));

    assert_eq!(tere(&auth, &["account", "remove", "alice"]).2, 0);
    assert_eq!(tere(&auth, &["account", "remove", "alice"]).2, 1);
    assert_eq!(tere(&auth, &["account", "remove", "../alice"]).2, 2);
}

#[test]
fn an_account_file_that_cannot_be_used_is_listed_keeps_its_name_and_can_be_removed() {
    let mut auth = Auth::start();
    let _told = broker(auth.folder.path());
    auth.add("alice");
    let folder = auth.path("state/accounts");
    let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, good.replacen('{', "{\"of a later version\":true,", 1)).unwrap();
    auth.restart(&WE_ARE_ROOT);

    let (out, _, code) = tere(&auth, &["account", "list"]);
    assert_eq!(code, 0);
    let line = out.lines().last().unwrap();
    assert!(out.contains("cannot be used") && line.starts_with("alice"), "{out}");
    assert!(line.ends_with(file.to_str().unwrap()), "{out}");
    let (out, _, _) = tere(&auth, &["account", "list", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&listed[0]["account"], &listed[0]["unusable"]), (&"alice".into(), &file.to_str().into()));
    for ask in ["add", "link"] {
        let (_, err, code) = tere(&auth, &["account", ask, "alice"]);
        assert_eq!(code, 1);
        assert!(err.contains(": account-unusable\n"), "{err}");
    }
    let (out, _, code) = tere(&auth, &["account", "remove", "alice", "--json"]);
    // The stand-in for the broker lists no sessions, and no machine was made for her.
    assert_eq!((out.as_str(), code), ("{\"account\":\"alice\",\"machines\":[],\"sessions\":null}\n", 0));
    assert!(!file.exists());
    auth.add("alice");
    let (out, _, _) = tere(&auth, &["account", "list"]);
    assert!(!out.contains("cannot be used"), "{out}");
}

#[test]
fn nobody_but_root_may_ask_and_nothing_tells_them_what_is_there() {
    let mut auth = Auth::start();
    auth.add("alice");
    // Without the namespace: where the tests are not run by root, auth now sees that.
    auth.restart(&["env"]);
    // As in /run/tere: everybody may go in and connect to this one.
    for (path, mode) in [(auth.path(""), 0o755), (auth.path("control.sock"), 0o666)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    for arguments in [
        &["account", "list"][..],
        &["account", "add", "mallory"],
        &["account", "link", "alice"],
        &["account", "remove", "alice"],
        &["account", "remove", "nobody-of-this-name"],
        &["account", "add-unix-user", "alice", "1000"],
        &["account", "remove-unix-user", "alice", "1000"],
    ] {
        let (out, err, code) = tere_of_another(&auth, arguments);
        assert_eq!((out.as_str(), code), ("", 1), "{err}");
        assert!(err.contains(": not-operator\n") && err.contains("Only root"), "{err}");
    }
    for arguments in [&["list"][..], &["end", "aaaaaaaaaaaa"]] {
        let (out, err, code) = tere_of_another(&auth, arguments);
        assert_eq!((out.as_str(), code), ("", 1), "{err}");
        assert!(
            err.contains(": no-account-of-user\n") && err.contains("tere account add-unix-user"),
            "{err}"
        );
    }
    auth.restart(&WE_ARE_ROOT);
    let ToCli::Accounts(accounts) = auth.ask(FromCli::AccountList { after: None }).0 else {
        panic!("no list")
    };
    assert_eq!(accounts.len(), 1);
}

#[test]
fn a_unix_user_is_the_account_that_root_says_and_no_other() {
    let mut auth = Auth::start();
    let told = broker(auth.folder.path());
    for account in ["alice", "bob"] {
        auth.add(account);
    }
    let uid = |uid: u32| UserUid::try_from(uid).unwrap();
    let add =
        |auth: &Auth, account, number| auth.ask(FromCli::AccountAddUnixUser(name(account), uid(number))).0;
    assert_eq!(add(&auth, "alice", 1000), ToCli::Done);
    assert_eq!(add(&auth, "bob", 1000), ToCli::Refused(Refusal::UnixUserTaken));
    assert_eq!(add(&auth, "nobody", 1001), ToCli::Refused(Refusal::NoSuchAccount));
    // Whoever runs the tests is seen as this uid, also by an auth that was restarted.
    auth.restart(&["unshare", "--user", "--map-user=1000"]);
    let (reply, channel) = auth.ask(FromCli::Principal);
    assert_eq!(reply, ToCli::Principal(Principal::Account(name("alice"))));
    assert_principal_channel(channel);
    let said = told.recv_timeout(DEADLINE).unwrap();
    let FromAuth::Vouch { principal: Principal::Account(account), how: AuthMethod::PeerUid(1000), .. } = said
    else {
        panic!("{said:?}")
    };
    assert_eq!(account, name("alice"));
    // That is all it may.
    for asked in [
        FromCli::AccountList { after: None },
        FromCli::AccountLink(name("alice")),
        FromCli::AccountAddUnixUser(name("alice"), uid(1001)),
    ] {
        assert_eq!(auth.ask(asked).0, ToCli::Refused(Refusal::NotOperator));
    }
    auth.restart(&["unshare", "--user", "--map-user=1001"]);
    assert_eq!(auth.ask(FromCli::Principal).0, ToCli::Refused(Refusal::NoAccountOfUser));
    auth.restart(&WE_ARE_ROOT);
    let removed = auth.ask(FromCli::AccountRemoveUnixUser(name("alice"), uid(1000))).0;
    assert_eq!(removed, ToCli::Done);
    assert_eq!(told.recv_timeout(DEADLINE).unwrap(), FromAuth::CloseChannels(uid(1000)));
    auth.restart(&["unshare", "--user", "--map-user=1000"]);
    assert_eq!(auth.ask(FromCli::Principal).0, ToCli::Refused(Refusal::NoAccountOfUser));
    assert!(told.try_recv().is_err(), "the broker was asked to vouch for somebody");
}

#[test]
fn a_user_of_the_host_has_few_connections() {
    let mut auth = Auth::start();
    auth.add("alice");
    auth.restart(&["unshare", "--user", "--map-user=1000"]);
    let held: Vec<_> =
        (0..4).map(|_| connect::<FromCli, ToCli>(&auth.path("control.sock"), Intent::Control)).collect();
    let more = Channel::<FromCli, ToCli>::connect(&auth.path("control.sock"), Intent::Control, DEADLINE);
    assert!(more.is_err(), "a fifth connection is served");
    drop(held);
    eventually("there is room again", DEADLINE, || {
        Channel::<FromCli, ToCli>::connect(&auth.path("control.sock"), Intent::Control, DEADLINE).ok()
    });
}

#[test]
fn a_user_of_the_host_writes_little_to_the_journal() {
    let mut auth = Auth::start();
    auth.add("alice");
    auth.restart(&["unshare", "--user", "--map-user=1000"]);
    for _ in 0..20 {
        let cli: Channel<FromCli, ToCli> = connect(&auth.path("control.sock"), Intent::Control);
        for _ in 0..20 {
            cli.send(&FromCli::Principal, &[]).unwrap();
            assert_eq!(cli.receive_within(DEADLINE).unwrap().0, ToCli::Refused(Refusal::NoAccountOfUser));
        }
    }
    let log = std::fs::read_to_string(auth.path("log")).unwrap();
    let records = log.lines().filter(|line| line.contains("a control request is refused")).count();
    assert!((1..=10).contains(&records), "{records} records of 400 refusals");
}

#[test]
fn what_is_secret_is_in_no_record_however_much_is_recorded() {
    let auth = Auth::start();
    let _told = broker(auth.folder.path());
    let token = auth.add("alice");
    let mut passkey = SoftAuthenticator::new(ORIGIN);
    let front = auth.front();
    let created = challenge(&front, FromFront::Enrol { token: token.clone().into() });
    let registered = passkey.register(&created);
    answer(&front, registered.clone());
    let front = auth.front();
    let asked = challenge(&front, FromFront::SignIn);
    let signed = passkey.sign_in(&asked);
    answer(&front, signed.clone());
    let front = auth.front();
    challenge(&front, FromFront::SignIn);
    answer(&front, signed.clone());

    let log = std::fs::read_to_string(auth.path("log")).unwrap();
    assert!(log.contains("enrolled") && log.contains("unknown-passkey"), "{log}");
    let parse = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
    let (created, registered) = (parse(&created), parse(&registered));
    let (asked, signed) = (parse(&asked), parse(&signed));
    for secret in [
        &token.into(),
        &created["challenge"],
        &asked["challenge"],
        &registered["id"],
        &registered["response"]["attestationObject"],
        &registered["response"]["clientDataJSON"],
        &signed["response"]["signature"],
        &signed["response"]["userHandle"],
    ] {
        let secret = secret.as_str().unwrap();
        assert!(!log.contains(secret), "{secret} in {log}");
        // Nor as a list of bytes, which is how Rust shows them.
        let bytes = data_encoding::BASE64URL_NOPAD.decode(secret.as_bytes()).unwrap();
        let bytes = format!("{:?}", &bytes[..8]);
        assert!(!log.contains(bytes.trim_matches(['[', ']'])), "{secret} as {bytes} in {log}");
    }
}
