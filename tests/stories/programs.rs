//! Programs at the command line: they type into a session of their account, wait for what comes,
//! and read the screen.

use std::io::BufRead as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;
use tere::protocol::principal::{Answer, Ask};
use tere::protocol::{GuestRole, Role};

use super::{holder, marked};
use crate::host::Host;
use crate::parts::shell::{PATIENCE, PrincipalClient, Shell};
use crate::parts::wait::eventually;

/// What a command printed, and its exit status.
#[derive(Debug)]
struct Said {
    status: i32,
    out: String,
    err: String,
}

fn run(mut command: Command) -> Said {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { status: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// A command that runs until something happens.
fn start(mut command: Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap()
}

/// Waits for the end of such a command.
fn end_of(mut child: Child) -> (i32, Value) {
    let status = eventually("the command ends", PATIENCE, || child.try_wait().unwrap());
    let out = std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
    (status.code().unwrap_or(-1), serde_json::from_str(&out).unwrap_or(Value::Null))
}

fn json(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

/// Waits until alice has so many views of her session.
fn expect_views(alice: &mut PrincipalClient, shell: &Shell, views: u16) {
    alice.expect_sharing(|session, participants| {
        *session == shell.session
            && participants.iter().any(|one| one.role == Role::Owner && one.views == views)
    });
}

/// The seccomp mode of every thread of this name.
fn filters_of_threads(name: &str) -> Vec<String> {
    let mut filters = Vec::new();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(threads) = std::fs::read_dir(process.path().join("task")) else {
            continue;
        };
        for thread in threads.flatten() {
            // It may have ended meanwhile.
            let read = |file| std::fs::read_to_string(thread.path().join(file)).unwrap_or_default();
            if read("comm").trim_end() == name {
                let status = read("status");
                let filter = status.lines().find_map(|line| line.strip_prefix("Seccomp:"));
                filters.extend(filter.map(|filter| filter.trim().to_owned()));
            }
        }
    }
    filters
}

#[test]
fn a_program_types_waits_and_reads_as_its_account() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let shell = marked(&mut alice);
    let id = shell.session.as_str();
    let tere = |arguments: &[&str]| run(host.tere_of("alice", arguments));
    let sent = tere(&["send", id, "--text", "echo sum $((mark+1))", "--keys", "Enter", "--json"]);
    // A shell that asks for brackets gets more.
    assert!(sent.status == 0 && json(&sent)["bytes"].as_u64() >= Some(21), "{sent:?}");
    let found = tere(&["wait", id, "--for", "sum 43", "--json"]);
    assert_eq!(found.status, 0, "{found:?}");
    assert_eq!((&json(&found)["result"], &json(&found)["line"]), (&"text".into(), &"sum 43".into()));
    let shown = json(&tere(&["show", id, "--json"]));
    assert!(shown["lines"].as_array().unwrap().contains(&"sum 43".into()), "{shown}");

    // Keys are those that the program has asked for, and text is pasted as it wants it.
    let line =
        "stty -icanon -echo; printf '\\033[?1h\\033[?2004hrea''dy'; dd bs=1 count=22 2>/dev/null | od -An -c";
    assert_eq!(tere(&["send", id, "--text", line, "--keys", "Enter"]).status, 0);
    assert_eq!(tere(&["wait", id, "--for", "ready"]).status, 0);
    let modes = json(&tere(&["show", id, "--json"]))["modes"].clone();
    assert!(modes["application_cursor"] == true && modes["bracketed_paste"] == true, "{modes}");
    let sent = tere(&["send", id, "--text", "ab", "--keys", "Up", "F5", "--json"]);
    assert_eq!(json(&sent)["bytes"], 22, "{sent:?}");
    let found = tere(&["wait", id, "--for", "A 033   [   1   5   ~"]);
    let shown = tere(&["show", id]).out;
    let pasted = "033   [   2   0   0   ~   a   b 033   [   2   0   1   ~ 033   O";
    assert!(found.status == 0 && shown.contains(pasted), "{shown}");
    assert_eq!(
        tere(&["send", id, "--text", "stty sane; printf '\\033[?1l\\033[?2004l'", "--keys", "Enter"]).status,
        0
    );

    // What does not come.
    let late = tere(&["wait", id, "--for", "never", "--timeout", "0.5", "--json"]);
    assert_eq!((late.status, &json(&late)["result"]), (1, &"timed-out".into()), "{late:?}");
    let idle = tere(&["wait", id, "--idle", "0.5", "--json"]);
    assert_eq!((idle.status, &json(&idle)["result"]), (0, &"idle".into()), "{idle:?}");
    let unknown = tere(&["wait", "zzzzzzzzzzzz", "--exit"]);
    assert!(unknown.status == 255 && unknown.err.contains("no session"), "{unknown:?}");

    // People see who is there, and the size stays theirs.
    let waits = start(host.tere_of("alice", &["wait", id, "--exit", "--json"]));
    let waits_in_vain = start(host.tere_of("alice", &["wait", id, "--for", "never", "--json"]));
    expect_views(&mut alice, &shell, 3);
    eventually("both look from inside a sandbox", PATIENCE, || {
        let filters = filters_of_threads("look");
        (filters.len() >= 2 && filters.iter().all(|filter| filter == "2")).then_some(())
    });
    assert_eq!(json(&tere(&["show", id, "--json"]))["size"], serde_json::json!({ "cols": 80, "rows": 24 }));
    assert_eq!(tere(&["send", id, "--text", "exit 3", "--keys", "Enter"]).status, 0);
    let (status, over) = end_of(waits);
    assert_eq!((status, &over["result"], &over["status"]), (0, &"exit".into(), &3.into()), "{over}");
    let (status, over) = end_of(waits_in_vain);
    assert_eq!((status, &over["result"], &over["status"]), (3, &"ended".into(), &3.into()), "{over}");
    host.tere(&["account", "remove", "alice"]);
}

#[test]
fn a_session_whose_program_alerts_says_so_until_somebody_types() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let mut shell = marked(&mut alice);
    let session = shell.session.clone();
    let id = session.as_str();
    let tere = |arguments: &[&str]| run(host.tere_of("alice", arguments));
    let alert = || {
        let listed = json(&tere(&["list", "--json"]));
        let mut sessions = listed.as_array().unwrap().iter();
        sessions.find(|one| one["session"] == id).unwrap()["alert"].clone()
    };
    assert_eq!(alert(), serde_json::Value::Null);
    let waits = start(host.tere_of("alice", &["wait", id, "--alert", "--json"]));
    expect_views(&mut alice, &shell, 2);
    shell.type_in("printf '\\033]9;May I pro''ceed?\\007'; echo the''re\r");
    let (status, told) = end_of(waits);
    let expected = ("alert".into(), "May I proceed?".into());
    assert_eq!((status, (told["result"].clone(), told["text"].clone())), (0, expected), "{told}");
    shell.expect("there");
    eventually("the list tells it", PATIENCE, || (alert()["text"] == "May I proceed?").then_some(()));
    // Whoever comes later does not wait.
    let at_once = tere(&["wait", id, "--alert"]);
    assert_eq!((at_once.status, at_once.out.trim()), (0, "May I proceed?"), "{at_once:?}");
    let listed = tere(&["list"]).out;
    assert!(listed.contains("May I proceed?"), "{listed}");
    // Who types has seen it.
    shell.type_in("echo answ''ered\r");
    shell.expect("answered");
    assert_eq!(alert(), serde_json::Value::Null);
    // Until the next alert, the wait is in vain.
    let late = tere(&["wait", id, "--alert", "--timeout", "0.5", "--json"]);
    assert_eq!((late.status, &json(&late)["result"]), (1, &"timed-out".into()), "{late:?}");
    alice.ask(Ask::End { session });
    shell.expect_end();
}

#[test]
fn a_wait_outlives_what_is_killed_of_tere() {
    let host = Host::alone();
    let mut shell = marked(&mut holder(&host, "alice"));
    let session = shell.session.clone();
    let wait = host.tere_of("alice", &["wait", session.as_str(), "--for", "here 42", "--json"]);
    let waits = start(wait);
    let shown = |shell: &mut PrincipalClient| {
        let (lobby, _) = shell.ask(Ask::Lobby);
        let Answer::Lobby { sessions, .. } = lobby else { panic!("{lobby:?}") };
        sessions.first().and_then(|one| one.about.as_ref()).map(|about| about.viewers)
    };
    eventually("it looks", PATIENCE, || (shown(&mut holder(&host, "alice")) == Some(1)).then_some(()));
    host.kill_broker();
    eventually("it looks again", PATIENCE, || (shown(&mut holder(&host, "alice")) == Some(1)).then_some(()));
    host.kill_worker(&session);
    let mut again = holder(&host, "alice");
    shell = eventually("the worker is back", PATIENCE, || again.attach(&session).ok());
    shell.type_in("echo here $mark\r");
    let (status, found) = end_of(waits);
    assert_eq!((status, &found["line"]), (0, &"here 42".into()), "{found}");
    host.tere(&["account", "remove", "alice"]);
}

#[test]
fn whoever_may_only_watch_types_nothing_and_waits_for_all_that_is_shown() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let shell = marked(&mut alice);
    let id = shell.session.as_str();
    let send = ["send", id, "--text", "echo ty''ped", "--keys", "Enter"];
    let stranger = run(host.tere_of("bob", &send));
    assert!(stranger.status == 1 && stranger.err.contains("no session"), "{stranger:?}");
    let share = |role| Ask::Share { session: shell.session.clone(), account: "bob".parse().unwrap(), role };
    assert_eq!(alice.ask(share(Some(GuestRole::Watcher))).0, Answer::Shared);
    let refused = run(host.tere_of("bob", &send));
    assert!(refused.status == 1 && refused.err.contains("only-to-watch"), "{refused:?}");
    let found = run(host.tere_of("bob", &["wait", id, "--for", "set 42"]));
    assert_eq!((found.status, found.out.trim_end()), (0, "set 42"), "{found:?}");
    let (types, _) = host.tere(&send);
    assert!(!types, "root types into a session");
    let (waits, found) = host.tere(&["wait", id, "--for", "set 42"]);
    assert!(waits && found.trim_end() == "set 42", "{found}");
    assert_eq!(alice.ask(share(Some(GuestRole::Writer))).0, Answer::Shared);
    assert_eq!(run(host.tere_of("bob", &send)).status, 0);
    assert_eq!(run(host.tere_of("bob", &["wait", id, "--for", "typed"])).status, 0);
    assert_eq!(alice.ask(Ask::End { session: shell.session.clone() }).0, Answer::Ending);
    for account in ["alice", "bob"] {
        host.tere(&["account", "remove", account]);
    }
}

#[test]
fn a_shell_is_offered_the_sessions_and_targets_that_there_are() {
    let host = Host::alone();
    let shell = marked(&mut holder(&host, "alice"));
    let offered = |account: &str, words: &[&str]| {
        let mut command = host.tere_of(account, &[&["--", "tere"][..], words].concat());
        command.env("TERE_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", words.len().to_string());
        run(command).out
    };
    let begun = &shell.session.as_str()[..3];
    assert_eq!(offered("alice", &["attach", begun]), shell.session.as_str());
    assert!(offered("alice", &["open", "dev@"]).lines().any(|target| target == "dev@web1"));
    assert_eq!(offered("bob", &["attach", begun]), "");
    for account in ["alice", "bob"] {
        host.tere(&["account", "remove", account]);
    }
}

/// `tere events`, as it prints.
struct Followed {
    child: Child,
    events: Receiver<Value>,
}

impl Followed {
    fn by(host: &Host, account: &str) -> Self {
        let mut child = start(host.tere_of(account, &["events", "--json"]));
        let out = std::io::BufReader::new(child.stdout.take().unwrap());
        let (tell, events) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if tell.send(serde_json::from_str(&line).unwrap()).is_err() {
                    break;
                }
            }
        });
        Self { child, events }
    }

    /// Waits for an event.
    fn hears(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        loop {
            let event =
                self.events.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("no {what}: {error}"));
            if event["event"] == what && is(&event) {
                return event;
            }
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn whoever_follows_the_sessions_is_told_what_happens_to_those_that_they_may_view() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let first = marked(&mut alice);
    let of = |session: &tere::names::SessionId| {
        let session = session.to_string();
        move |event: &Value| event["session"] == session.as_str()
    };
    let (hers, his) = (Followed::by(&host, "alice"), Followed::by(&host, "bob"));
    his.hears("following", |_| true);
    let listed = hers.hears("listed", of(&first.session));
    assert!(listed["account"] == "alice" && listed["target"] == "dev@web1", "{listed}");
    let second = alice.open("dev@web1").unwrap();
    hers.hears("opened", of(&second.session));
    let name = tere::names::Label::cut("build");
    assert_eq!(alice.ask(Ask::Name { session: second.session.clone(), name }).0, Answer::Named);
    assert_eq!(hers.hears("named", of(&second.session))["name"], "build");
    let share = |role| Ask::Share { session: second.session.clone(), account: "bob".parse().unwrap(), role };
    assert_eq!(alice.ask(share(Some(GuestRole::Watcher))).0, Answer::Shared);
    // The first that bob hears of: nothing of what is not shared with him.
    let shown = his.events.recv_timeout(PATIENCE).unwrap();
    assert!(shown["event"] == "shown" && of(&second.session)(&shown) && shown["name"] == "build", "{shown}");
    hers.hears("participants", |event| event["participants"][1]["account"] == "bob");
    assert_eq!(alice.ask(share(None)).0, Answer::Shared);
    his.hears("hidden", of(&second.session));
    host.kill_broker();
    hers.hears("resumed", |_| true);
    let mut alice = holder(&host, "alice");
    let session = second.session.clone();
    let second = eventually("the worker is reached", PATIENCE, || alice.attach(&session).ok());
    second.type_in("exit 3\r");
    let ended = hers.hears("ended", of(&second.session));
    assert!(ended["status"] == 3 && ended["reason"] == "shell-ended", "{ended}");
    assert_eq!(his.events.try_iter().filter(|event| event["event"] != "resumed").count(), 0);
    for account in ["alice", "bob"] {
        host.tere(&["account", "remove", account]);
    }
    drop(first);
}
