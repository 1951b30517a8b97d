//! A compromised front: the messages that it can send on the channels that it holds, and what it
//! gets.

use tere::protocol::Refusal;
use tere::protocol::principal::{Answer, Ask};
use tere::protocol::vouch::Principal;

use super::holder;
use crate::host::Host;
use crate::parts::shell::{PrincipalClient, size};

/// Machine, user and program of shells that polkit's rule does not let the broker open.
pub const SHELLS_OF_OTHERS: [[&str; 3]; 6] = [
    ["web1", "root", "/bin/sh"],
    ["web1", "0", "/bin/sh"],
    // No user means root.
    ["web1", "", "/bin/sh"],
    [".host", "dev", "/bin/sh"],
    [".host", "root", "/bin/sh"],
    ["web1", "dev", "/usr/bin/id"],
];

/// Units that polkit's rule does not let the broker start or stop.
pub const UNITS_OF_OTHERS: [&str; 7] = [
    "systemd-logind.service",
    "tere-session@short.socket",
    "tere-session@aaaaaaaaaaaa.timer",
    "tere-session@aaaaaaaaaaa0.socket",
    "tere-machine@..service",
    "tere-front.service",
    "reboot.target",
];

#[test]
fn what_is_not_granted_is_refused_logged_and_nothing_is_started() {
    // Needs the host alone: what other tests open or are refused would be in the same journal.
    let host = Host::alone();
    let mut bob = holder(&host, "bob");
    let mut mallory = holder(&host, "mallory");
    let cursor = host.journal_cursor();
    for target in ["root@web1", "dev@.host", "dev@nobus", "dev@absent"] {
        assert_eq!(bob.open(target).unwrap_err(), Refusal::NotGranted, "{target}");
    }
    assert_eq!(mallory.open("dev@web1").unwrap_err(), Refusal::NotGranted);
    let journal = host.journal(&cursor);
    assert_eq!(journal.lines().filter(|line| line.contains("request refused")).count(), 5, "{journal}");
    let started = journal.lines().any(|line| line.contains("Starting") || line.contains("opened"));
    assert!(!started, "{journal}");
}

#[test]
fn one_accounts_session_is_nothing_to_another() {
    let host = Host::shared();
    let mut alice = holder(&host, "alice");
    let mut bob = holder(&host, "bob");
    let shell = alice.open("dev@web1").unwrap();
    assert_eq!(bob.attach(&shell.session).unwrap_err(), Refusal::NoSuchSession);
    let end = Ask::End { session: shell.session.clone() };
    assert_eq!(bob.ask(end).0, Answer::Refused(Refusal::NoSuchSession));
    let (lobby, _) = bob.ask(Ask::Lobby);
    let Answer::Lobby { sessions, .. } = lobby else { panic!("{lobby:?}") };
    assert!(sessions.iter().all(|session| session.id != shell.session));
    assert_eq!(bob.ask(Ask::AllSessions { after: None }).0, Answer::Refused(Refusal::NotOperator));
}

#[test]
fn the_operator_lists_and_ends_but_opens_and_views_nothing() {
    let host = Host::shared();
    let mut alice = holder(&host, "alice");
    let mut shell = alice.open("dev@web1").unwrap();
    let mut operator = PrincipalClient::vouched(&host.path("/run/tere/broker.sock"), Principal::Operator);
    let open = Ask::Open { target: "dev@web1".parse().unwrap(), size: size(), reason: None };
    assert_eq!(operator.ask(open).0, Answer::Refused(Refusal::NotGranted));
    assert_eq!(operator.attach(&shell.session).unwrap_err(), Refusal::NotGranted);
    let (all, _) = operator.ask(Ask::AllSessions { after: None });
    let Answer::AllSessions(sessions) = all else { panic!("{all:?}") };
    assert!(sessions.iter().any(|session| session.id == shell.session && session.owner.as_str() == "alice"));
    let end = Ask::End { session: shell.session.clone() };
    assert_eq!(operator.ask(end).0, Answer::Ending);
    assert_eq!(shell.expect_end(), tere::protocol::EndReason::EndedByRequest);
}
