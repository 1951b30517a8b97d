//! Machines whose grant demands a touch of the passkey for each view, a reason, or both.

#![allow(clippy::wildcard_enum_match_arm)] // it waits for one message among many

use std::time::Duration;

use tere::names::PasskeyId;
use tere::protocol::page::{FromPage, ToPage, TouchView};
use tere::protocol::principal::{Answer, Ask};
use tere::protocol::vouch::{AuthMethod, Principal};
use tere::protocol::{EndReason, GuestRole, Refusal};

use super::on_host::{now, touched};
use super::{Policy, enrolled, holder, marked};
use crate::host::Host;
use crate::parts::page::Page;
use crate::parts::shell::{PATIENCE, PrincipalClient, size};
use crate::parts::wait::eventually;

const TOUCH: &str = "share = true\nfresh-touch = \"20s\"";

fn new_shell() -> TouchView {
    TouchView::Open { target: "dev@web1".parse().unwrap(), reason: None }
}

#[test]
fn a_machine_of_which_the_grant_says_so_takes_a_touch_for_each_view() {
    let host = Host::alone();
    let policy = Policy::of(&host);
    policy.set(TOUCH);
    let (mut of_bob, _bob) = enrolled(&host, "bob");
    let (mut of_alice, mut page) = enrolled(&host, "alice");
    assert_eq!(page.open(0, "dev@web1"), Err(Refusal::TouchRequired));
    assert_eq!(page.view_touched(0, &mut of_bob, new_shell()), Err(Refusal::PasskeyOfAnother));
    let session = page.view_touched(0, &mut of_alice, new_shell()).unwrap();
    page.type_in(0, "mark=$((6*7)); echo set $mark\r");
    page.expect(0, "set 42");
    // A target without a touch is opened as before, and takes none.
    let other = || TouchView::Open { target: "dev@absent".parse().unwrap(), reason: None };
    assert_eq!(page.view_touched(1, &mut of_alice, other()), Err(Refusal::NoTouchNeeded));

    // The list says what takes a touch, and a second view takes another.
    let mut second = Page::over(host.connect_to_front());
    let lobby = second.sign_in(&mut of_alice);
    let touches = |target: &str| {
        let granted = lobby.targets.iter().find(|granted| granted.target == target.parse().unwrap());
        granted.unwrap().terms.touch
    };
    assert!(touches("dev@web1") && !touches("dev@absent"));
    assert!(lobby.sessions.iter().any(|listed| listed.id == session && listed.touch));
    assert_eq!(second.attach(0, &session), Err(Refusal::TouchRequired));
    let attach = || TouchView::Attach { session: session.clone() };
    assert_eq!(second.view_touched(0, &mut of_alice, attach()), Ok(session.clone()));
    second.type_in(0, "echo still $mark\r");
    second.expect(0, "still 42");
    // An answer to a challenge is good once, and on its own connection.
    let elsewhere = second.ask_to_step_up(1).unwrap();
    page.ask_to_step_up(2).unwrap();
    assert_eq!(page.touch(2, &of_alice.touch(&elsewhere), attach()), Err(Refusal::UnknownPasskey));
    let options = page.ask_to_step_up(2).unwrap();
    let credential = of_alice.touch(&options);
    page.touch(2, &credential, attach()).unwrap();
    page.ask_to_step_up(3).unwrap();
    assert_eq!(page.touch(3, &credential, attach()), Err(Refusal::UnknownPasskey));

    // A worker that is restarted costs no touch.
    host.kill_worker(&session);
    eventually("the view goes on", PATIENCE, || {
        second.type_in(0, "echo again $mark\r");
        second.poll(Duration::from_millis(200));
        second.screen(0).text().contains("again 42").then_some(())
    });
}

#[test]
fn no_touch_but_a_fresh_one_of_its_own_opens_or_views_a_shell_in_a_machine() {
    let host = Host::alone();
    let policy = Policy::of(&host);
    policy.set(TOUCH);
    let open = || Ask::Open { target: "dev@web1".parse().unwrap(), size: size(), reason: None };
    let mut alice = holder(&host, "alice");
    assert_eq!(alice.view(open()).unwrap_err(), Refusal::TouchRequired);
    assert_eq!(touched(&host, "alice", 21).view(open()).unwrap_err(), Refusal::TouchStale);
    let principal = Principal::Account("alice".parse().unwrap());
    let how = AuthMethod::StepUp(PasskeyId::of(b"a"));
    let socket = host.path("/run/tere/broker.sock");
    let mut early = PrincipalClient::vouched_by(&socket, principal, how, now() + 60).unwrap();
    assert_eq!(early.view(open()).unwrap_err(), Refusal::TouchStale, "a touch of the future");

    let mut once = touched(&host, "alice", 1);
    let mut shell = once.view(open()).unwrap();
    assert_eq!(once.view(open()).unwrap_err(), Refusal::TouchSpent);
    let mut second = touched(&host, "alice", 1);
    let other = second.view(open()).unwrap();
    // A touch for one session is none for another, nor for a target that takes none.
    assert_eq!(once.attach(&other.session).unwrap_err(), Refusal::TouchSpent);
    assert_eq!(once.open("dev@absent").unwrap_err(), Refusal::NoTouchNeeded);
    assert_eq!(alice.attach(&shell.session).unwrap_err(), Refusal::TouchRequired);
    assert_eq!(touched(&host, "alice", 21).attach(&shell.session).unwrap_err(), Refusal::TouchStale);
    drop(once.attach(&shell.session).unwrap());
    drop(touched(&host, "alice", 1).attach(&shell.session).unwrap());

    // A touch of another account is worth what the policy grants that account.
    assert_eq!(touched(&host, "bob", 1).attach(&shell.session).unwrap_err(), Refusal::NoSuchSession);
    assert_eq!(touched(&host, "bob", 1).view(open()).unwrap_err(), Refusal::NoTouchNeeded);
    assert_eq!(touched(&host, "mallory", 1).view(open()).unwrap_err(), Refusal::NotGranted);
    // A guest touches a passkey of the guest's own for each view.
    let (session, role) = (shell.session.clone(), Some(GuestRole::Watcher));
    let guest = Ask::Share { session, account: "bob".parse().unwrap(), role };
    assert_eq!(touched(&host, "alice", 1).ask(guest.clone()).0, Answer::Refused(Refusal::NotGranted));
    assert_eq!(alice.ask(guest).0, Answer::Shared);
    assert_eq!(holder(&host, "bob").attach(&shell.session).unwrap_err(), Refusal::TouchRequired);
    assert_eq!(touched(&host, "bob", 21).attach(&shell.session).unwrap_err(), Refusal::TouchStale);
    drop(touched(&host, "bob", 1).attach(&shell.session).unwrap());
    // Without a touch, the owner ends it.
    assert_eq!(alice.ask(Ask::End { session: shell.session.clone() }).0, Answer::Ending);
    assert_eq!(shell.expect_end(), EndReason::EndedByRequest);
}

#[test]
fn a_policy_that_comes_to_demand_a_touch_closes_the_views_that_had_none() {
    let host = Host::alone();
    let policy = Policy::of(&host);
    let mut alice = holder(&host, "alice");
    let mut shell = marked(&mut alice);
    policy.set(TOUCH);
    assert_eq!(shell.expect_end(), EndReason::ViewClosed);
    assert_eq!(alice.attach(&shell.session).unwrap_err(), Refusal::TouchRequired);
    let mut kept = touched(&host, "alice", 1);
    let mut view = kept.attach(&shell.session).unwrap();
    view.expect("set 42");
    // A view with a touch stays, whatever the policy demands later, and may be made again.
    policy.set("fresh-touch = \"1s\"");
    view.type_in("echo shorter $mark\r");
    view.expect("shorter 42");
    policy.set("share = true");
    view.type_in("echo none $mark\r");
    view.expect("none 42");
    drop(kept.attach(&shell.session).unwrap());
    alice.attach(&shell.session).unwrap().expect("set 42");
}

#[test]
fn a_machine_of_which_the_grant_says_so_takes_a_reason_with_or_without_a_touch() {
    let host = Host::alone();
    let policy = Policy::of(&host);
    policy.set("reason = true");
    let reason = || "disk full".parse().ok();
    let mut alice = holder(&host, "alice");
    assert_eq!(alice.open("dev@web1").unwrap_err(), Refusal::ReasonRequired);
    let open = |reason| Ask::Open { target: "dev@web1".parse().unwrap(), size: size(), reason };
    let shell = alice.view(open(reason())).unwrap();
    drop(alice.attach(&shell.session).unwrap());

    policy.set("reason = true\nfresh-touch = \"20s\"");
    assert_eq!(alice.view(open(reason())).unwrap_err(), Refusal::TouchRequired);
    let mut kept = touched(&host, "alice", 1);
    assert_eq!(kept.view(open(None)).unwrap_err(), Refusal::ReasonRequired);
    kept.view(open(reason())).unwrap();
    let (mut passkey, mut page) = enrolled(&host, "alice");
    let view = |reason| TouchView::Open { target: "dev@web1".parse().unwrap(), reason };
    assert_eq!(page.view_touched(0, &mut passkey, view(None)), Err(Refusal::ReasonRequired));
    page.view_touched(0, &mut passkey, view(reason())).unwrap();
    page.say(&FromPage::List {});
    let terms = page.hear_of("the lobby", |message| match message {
        ToPage::Lobby { targets, .. } => Some(targets[0].terms),
        _ => None,
    });
    assert!(terms.touch && terms.reason && terms.limit.is_none(), "{terms:?}");
}
