//! Shells on the host itself: two locks, a touch of the passkey for each, and a time limit.

#![allow(clippy::wildcard_enum_match_arm)] // it waits for one message among many

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tere::names::PasskeyId;
use tere::protocol::page::{FromPage, ToPage, TouchView};
use tere::protocol::principal::{Answer, Ask};
use tere::protocol::vouch::{AuthMethod, Principal};
use tere::protocol::{EndReason, GuestRole, Refusal};

use super::{enrolled, holder};
use crate::host::Host;
use crate::parts::page::Page;
use crate::parts::shell::{PATIENCE, PrincipalClient, size};
use crate::parts::wait::eventually;

const POLICY: &str = "/etc/tere/tere.toml";
const RULE: &str = "/etc/polkit-1/rules.d/40-tere-host.rules";
const PACKAGED_RULE: &str = include_str!("../../polkit/40-tere-host.rules");

/// A host on which alice may have a shell as `ops` on the host itself, with both locks open. The
/// locks are closed again at the end.
pub struct OpenHost {
    policy: String,
    pub host: Host,
}

impl OpenHost {
    /// With these lines more in the grant.
    pub fn with(terms: &str) -> Self {
        let host = Host::alone();
        host.add_host_user("ops");
        let policy = std::fs::read_to_string(host.path(POLICY)).unwrap();
        let open = Self { policy, host };
        open.grant(terms);
        open.install_rule(r#""ops""#);
        open
    }

    fn grant(&self, terms: &str) {
        let grant =
            format!("[[grant]]\naccounts = [\"alice\"]\nmachine = \".host\"\nuser = \"ops\"\n{terms}\n");
        std::fs::write(self.host.path(POLICY), format!("{}\n{grant}", self.policy)).unwrap();
        assert!(self.host.reload_broker());
    }

    /// Installs the second lock as an administrator does, with this list of users.
    fn install_rule(&self, users: &str) {
        let rule = PACKAGED_RULE.replace("tereHostUsers = []", &format!("tereHostUsers = [{users}]"));
        assert_ne!(rule, PACKAGED_RULE);
        std::fs::write(self.host.path(RULE), rule).unwrap();
        self.host.rules_changed();
    }

    fn remove_rule(&self) {
        std::fs::remove_file(self.host.path(RULE)).unwrap();
        self.host.rules_changed();
    }
}

impl Drop for OpenHost {
    fn drop(&mut self) {
        drop(std::fs::remove_file(self.host.path(RULE)));
        drop(std::fs::write(self.host.path(POLICY), &self.policy));
        self.host.rules_changed();
        self.host.reload_broker();
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The channel of a step-up of this account, of which the touch is this old, vouched for in the way
/// auth does it.
pub fn touched(host: &Host, account: &str, seconds_ago: u64) -> PrincipalClient {
    let principal = Principal::Account(account.parse().unwrap());
    let how = AuthMethod::StepUp(PasskeyId::of(account.as_bytes()));
    let socket = host.path("/run/tere/broker.sock");
    PrincipalClient::vouched_by(&socket, principal, how, now() - seconds_ago).unwrap()
}

/// A request for a new shell on the host.
pub fn open_as(user: &str) -> Ask {
    let target = format!("{user}@.host").parse().unwrap();
    Ask::Open { target, size: size(), reason: "disk full".parse().ok() }
}

fn new_shell() -> TouchView {
    TouchView::Open { target: "ops@.host".parse().unwrap(), reason: "disk full".parse().ok() }
}

#[test]
fn a_touch_opens_a_shell_on_the_host_and_each_view_needs_another() {
    let open = OpenHost::with("reason = true\ntime-limit = \"10m\"");
    let host = &open.host;
    let (mut passkey, mut page) = enrolled(host, "alice");
    assert_eq!(page.open(0, "ops@.host"), Err(Refusal::TouchRequired));
    let no_reason = TouchView::Open { target: "ops@.host".parse().unwrap(), reason: None };
    assert_eq!(page.view_touched(0, &mut passkey, no_reason), Err(Refusal::ReasonRequired));

    let cursor = host.journal_cursor();
    let options = page.ask_to_step_up(0).unwrap();
    let credential: serde_json::Value = serde_json::from_str(&passkey.touch(&options)).unwrap();
    page.say(&FromPage::Touch { stream: 0, credential, view: new_shell(), size: size() });
    let (session, left) = page.hear_of("the shell", |message| match message {
        ToPage::Opened { session, left, target, .. } => {
            assert_eq!(target.to_string(), "ops@.host");
            Some((session.clone(), *left))
        }
        ToPage::Refused { refusal, .. } => panic!("{refusal}"),
        _ => None,
    });
    assert!(left.is_some_and(|left| (590..=600).contains(&left)), "{left:?}");
    // Before it starts the shell, a new systemd asks the terminal for its size, and drops what else
    // it reads there.
    page.expect(0, "$ ");
    page.type_in(0, "mark=$((6*7)); echo I am $(id -un), $mark\r");
    page.expect(0, &format!("I am {}, 42", host.user_of_shells("ops")));

    // The journal tells who opened it, with which passkey, and why.
    let journal = host.journal(&cursor);
    assert!(journal.lines().any(|line| line.contains("session opened")), "{journal}");
    let (listed, list) = host.tere(&["list", "--json"]);
    let list: Vec<serde_json::Value> = serde_json::from_str(&list).unwrap();
    let listed = list.iter().find(|row| listed && row["session"] == session.as_str()).unwrap();
    assert!(
        listed["target"] == "ops@.host" && listed["left"].as_u64().is_some_and(|left| left <= 600),
        "{listed}"
    );

    // The session is not shared, and a second view needs a touch of its own.
    page.say(&FromPage::Share {
        session: session.clone(),
        account: "bob".parse().unwrap(),
        role: Some(GuestRole::Watcher),
    });
    let refused = page.hear_of("the refusal", |message| match message {
        ToPage::Refused { refusal, .. } => Some(*refusal),
        _ => None,
    });
    assert_eq!(refused, Refusal::NotShareable);
    let mut second = Page::over(host.connect_to_front());
    second.sign_in(&mut passkey);
    assert_eq!(second.attach(0, &session), Err(Refusal::TouchRequired));
    let attach = TouchView::Attach { session: session.clone() };
    assert_eq!(second.view_touched(0, &mut passkey, attach), Ok(session.clone()));
    second.type_in(0, "echo still $mark\r");
    second.expect(0, "still 42");

    // A worker that is restarted costs no touch: the view is taken up by the channel that made it.
    host.kill_worker(&session);
    eventually("the view goes on", PATIENCE, || {
        second.type_in(0, "echo again $mark\r");
        second.poll(Duration::from_millis(200));
        second.screen(0).text().contains("again 42").then_some(())
    });
    page.type_in(0, "exit\r");
    assert_eq!(page.expect_end(0), EndReason::ShellEnded);
}

#[test]
fn the_passkey_of_another_account_is_no_touch() {
    let open = OpenHost::with("");
    let host = &open.host;
    let (mut of_bob, _bob) = enrolled(host, "bob");
    let (mut of_alice, mut alice) = enrolled(host, "alice");
    assert_eq!(alice.view_touched(0, &mut of_bob, new_shell()), Err(Refusal::PasskeyOfAnother));
    // Nor is an answer to a challenge from another connection, or to one for signing in.
    let mut second = Page::over(host.connect_to_front());
    let sign_in = second.ask_to_sign_in();
    alice.ask_to_step_up(0).unwrap();
    assert_eq!(alice.touch(0, &of_alice.sign_in(&sign_in), new_shell()), Err(Refusal::UnknownPasskey));
    second.sign_in(&mut of_alice);
    let elsewhere = second.ask_to_step_up(0).unwrap();
    alice.ask_to_step_up(0).unwrap();
    assert_eq!(alice.touch(0, &of_alice.touch(&elsewhere), new_shell()), Err(Refusal::UnknownPasskey));
    // An answer is good once.
    let options = alice.ask_to_step_up(0).unwrap();
    let credential = of_alice.touch(&options);
    alice.touch(0, &credential, new_shell()).unwrap();
    alice.ask_to_step_up(1).unwrap();
    assert_eq!(alice.touch(1, &credential, new_shell()), Err(Refusal::UnknownPasskey));
}

#[test]
fn a_stale_touch_a_used_one_and_none_open_nothing() {
    let open = OpenHost::with("fresh-touch = \"20s\"");
    let host = &open.host;
    let mut alice = holder(host, "alice");
    assert_eq!(alice.open("ops@.host").unwrap_err(), Refusal::TouchRequired);
    assert_eq!(alice.view(open_as("ops")).unwrap_err(), Refusal::TouchRequired);
    assert_eq!(touched(host, "alice", 21).view(open_as("ops")).unwrap_err(), Refusal::TouchStale);
    let principal = Principal::Account("alice".parse().unwrap());
    let how = AuthMethod::StepUp(PasskeyId::of(b"a"));
    let socket = host.path("/run/tere/broker.sock");
    let mut early = PrincipalClient::vouched_by(&socket, principal, how, now() + 60).unwrap();
    assert_eq!(early.view(open_as("ops")).unwrap_err(), Refusal::TouchStale, "a touch of the future");

    let mut once = touched(host, "alice", 1);
    let mut shell = once.view(open_as("ops")).unwrap();
    assert_eq!(once.view(open_as("ops")).unwrap_err(), Refusal::TouchSpent);
    let mut second = touched(host, "alice", 1);
    let other = second.view(open_as("ops")).unwrap();
    assert_eq!(once.attach(&other.session).unwrap_err(), Refusal::TouchSpent);
    assert_eq!(alice.attach(&shell.session).unwrap_err(), Refusal::TouchRequired);
    assert_eq!(touched(host, "alice", 21).attach(&shell.session).unwrap_err(), Refusal::TouchStale);
    // The channel that opened it may view it again, which is of no use to another channel.
    drop(once.attach(&shell.session).unwrap());
    drop(touched(host, "alice", 1).attach(&shell.session).unwrap());

    // Without a touch, the session can be ended, and the channel of a touch does nothing else.
    for ask in [
        Ask::Lobby,
        Ask::End { session: shell.session.clone() },
        Ask::Name { session: shell.session.clone(), name: None },
        Ask::Share { session: shell.session.clone(), account: "bob".parse().unwrap(), role: None },
    ] {
        assert_eq!(touched(host, "alice", 1).ask(ask).0, Answer::Refused(Refusal::NotGranted));
    }
    let in_a_machine = alice.open("dev@web1").unwrap();
    let attached = touched(host, "alice", 1).attach(&in_a_machine.session);
    assert_eq!(attached.unwrap_err(), Refusal::NoTouchNeeded);
    assert_eq!(touched(host, "alice", 1).open("dev@web1").unwrap_err(), Refusal::NoTouchNeeded);
    let end = Ask::End { session: shell.session.clone() };
    assert_eq!(alice.ask(end).0, Answer::Ending);
    assert_eq!(shell.expect_end(), EndReason::EndedByRequest);
}

#[test]
fn anothers_touch_is_worth_what_the_policy_grants_the_other() {
    let open = OpenHost::with("");
    let host = &open.host;
    let shell = touched(host, "alice", 1).view(open_as("ops")).unwrap();
    assert_eq!(touched(host, "bob", 1).view(open_as("ops")).unwrap_err(), Refusal::NotGranted);
    assert_eq!(touched(host, "bob", 1).attach(&shell.session).unwrap_err(), Refusal::NoSuchSession);
    for user in ["root", "dev", "tere-broker"] {
        assert_eq!(touched(host, "alice", 1).view(open_as(user)).unwrap_err(), Refusal::NotGranted, "{user}");
    }
}

#[test]
fn each_of_the_two_locks_holds_while_the_other_is_open() {
    let open = OpenHost::with("");
    let host = &open.host;
    open.remove_rule();
    assert_eq!(touched(host, "alice", 1).view(open_as("ops")).unwrap_err(), Refusal::ShellRefused);
    open.install_rule(r#""root", "operator""#);
    assert_eq!(touched(host, "alice", 1).view(open_as("ops")).unwrap_err(), Refusal::ShellRefused);
    open.install_rule(r#""root", "ops""#);
    let mut kept = touched(host, "alice", 1);
    let mut shell = kept.view(open_as("ops")).unwrap();
    // Without the policy, what is open is closed, and nothing is opened.
    std::fs::write(host.path(POLICY), &open.policy).unwrap();
    assert!(host.reload_broker());
    shell.expect_closed();
    assert_eq!(touched(host, "alice", 1).view(open_as("ops")).unwrap_err(), Refusal::NotGranted);
    assert_eq!(touched(host, "alice", 1).attach(&shell.session).unwrap_err(), Refusal::NotGranted);
    host.tere(&["end", shell.session.as_str()]);
}

/// However the host is spelt, it is no machine, or not the host.
#[test]
fn the_host_has_no_other_name() {
    let open = OpenHost::with("");
    let host = &open.host;
    let (mut passkey, mut page) = enrolled(host, "alice");
    for alias in ["host", "localhost", "web1.host"] {
        let target = format!("ops@{alias}");
        assert_eq!(page.open(0, &target), Err(Refusal::NotGranted), "{alias}");
    }
    let shell = page.view_touched(0, &mut passkey, new_shell());
    assert!(shell.is_ok(), "{shell:?}");
    for alias in ["", ".HOST", ".Host", "./.host", ".host.", ".host/", "/.host", ".host\\u0000"] {
        let mut page = Page::over(host.connect_to_front());
        page.sign_in(&mut passkey);
        page.say_raw(&format!(
            r#"{{"type":"open","stream":0,"target":{{"machine":"{alias}","user":"ops"}},"size":{{"cols":80,"rows":24}}}}"#
        ));
        let refused = Some(ToPage::Refused { stream: None, refusal: Refusal::BadMessage });
        assert_eq!(page.expect_closed(), refused, "{alias:?}");
    }
}

#[test]
fn a_session_on_the_host_ends_at_its_time_limit_even_after_a_restart_of_the_broker() {
    let open = OpenHost::with("time-limit = \"8s\"");
    let host = &open.host;
    let (mut passkey, mut page) = enrolled(host, "alice");
    let session = page.view_touched(0, &mut passkey, new_shell()).unwrap();
    let there = || {
        let (_, list) = host.tere(&["list"]);
        list.contains(session.as_str())
    };
    assert!(there());
    assert_eq!(page.expect_end(0), EndReason::TimeLimit);
    eventually("it is forgotten", PATIENCE, || (!there()).then_some(()));

    let mut kept = touched(host, "alice", 1);
    let session = kept.view(open_as("ops")).unwrap().session;
    host.kill_broker();
    let there = || {
        let (listed, list) = host.tere(&["list"]);
        !listed || list.contains(session.as_str())
    };
    eventually("it is ended by the next broker", PATIENCE, || (!there()).then_some(()));
}
