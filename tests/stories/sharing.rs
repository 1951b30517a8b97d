//! Two people in one session: whom its owner names, what they may do, and when it is over.

use tere::protocol::principal::{Answer, Ask};
use tere::protocol::vouch::Principal;
use tere::protocol::{EndReason, GuestRole, Refusal, Role, SessionSummary, VIEWS_PER_GUEST_MAX};

use super::{Policy, enrolled, holder, marked};
use crate::host::Host;
use crate::parts::shell::{PATIENCE, PrincipalClient, Shell};
use crate::parts::wait::eventually;

/// Shares a session with `account`, or stops sharing it if there is no role.
fn share(owner: &mut PrincipalClient, shell: &Shell, account: &str, role: Option<GuestRole>) -> Answer {
    let (session, account) = (shell.session.clone(), account.parse().unwrap());
    owner.ask(Ask::Share { session, account, role }).0
}

/// Waits until the session's participants are as expected.
fn expect_participants(holder: &mut PrincipalClient, shell: &Shell, expected: &[(&str, Role, u16)]) {
    holder.expect_sharing(|session, participants| {
        *session == shell.session
            && participants.len() == expected.len()
            && participants.iter().zip(expected).all(|(person, (account, role, views))| {
                (person.account.as_str(), person.role, person.views) == (*account, *role, *views)
            })
    });
}

fn listed(holder: &mut PrincipalClient, shell: &Shell) -> Option<SessionSummary> {
    let (lobby, _) = holder.ask(Ask::Lobby);
    let Answer::Lobby { sessions, .. } = lobby else { panic!("{lobby:?}") };
    sessions.into_iter().find(|session| session.id == shell.session)
}

/// Checks that the input of `typist` reaches the shell.
fn types(typist: &Shell, seen_by: &mut Shell, word: &str) {
    typist.type_in(&format!("echo {word} $((40+2))\r"));
    seen_by.expect(&format!("{word} 42"));
}

/// Checks that the input of `typist` does not reach the shell. The owner's own line marks the end
/// of the output to search.
fn types_nothing(typist: &mut Shell, owner: &mut Shell, word: &str) {
    // The snapshot with which a view begins was not requested.
    while typist.screen.snapshots == 0 {
        typist.step(PATIENCE).unwrap();
    }
    typist.type_in(&format!("echo {word} $((40+2))\r"));
    typist.resize(7, 7);
    // Once the whole snapshot that was requested is there, the worker has read everything sent
    // before it.
    let snapshots = typist.screen.snapshots;
    typist.refresh();
    while typist.screen.snapshots == snapshots {
        typist.step(PATIENCE).unwrap();
    }
    // A mark of its own: the screen of an owner who came back has the earlier ones.
    let mark: String = word.chars().rev().collect();
    owner.type_in(&format!("echo {mark} $((40+3)); tput cols\r"));
    let before = owner.expect(&format!("{mark} 43"));
    assert!(!before.contains(word), "{before}");
    owner.expect("80");
}

/// A program that only looks, or only types, has no more rights than it needs, whoever runs it.
#[test]
fn a_view_asked_for_with_fewer_rights_never_gets_more() {
    let host = Host::alone();
    let (mut alice, mut bob) = (holder(&host, "alice"), holder(&host, "bob"));
    let mut shell = marked(&mut alice);
    let attach_as = |role| Ask::AttachAs { session: shell.session.clone(), role };
    let mut looks = alice.view(attach_as(GuestRole::Watcher)).unwrap();
    types_nothing(&mut looks, &mut shell, "looks");
    let attach_as = |role| Ask::AttachAs { session: shell.session.clone(), role };
    let writes = alice.view(attach_as(GuestRole::Writer)).unwrap();
    writes.resize(7, 7);
    types(&writes, &mut shell, "writes");
    types_nothing(&mut looks, &mut shell, "silent");

    let attach_as = |role| Ask::AttachAs { session: shell.session.clone(), role };
    assert_eq!(bob.view(attach_as(GuestRole::Watcher)).unwrap_err(), Refusal::NoSuchSession);
    assert_eq!(share(&mut alice, &shell, "bob", Some(GuestRole::Watcher)), Answer::Shared);
    assert_eq!(bob.view(attach_as(GuestRole::Writer)).unwrap_err(), Refusal::OnlyToWatch);
    let mut guest = bob.view(attach_as(GuestRole::Watcher)).unwrap();
    types_nothing(&mut guest, &mut shell, "guest");
    // The guest gets the keyboard, and this view of his does not.
    assert_eq!(share(&mut alice, &shell, "bob", Some(GuestRole::Writer)), Answer::Shared);
    types_nothing(&mut guest, &mut shell, "later");
    let both = [("alice", Role::Owner, 3), ("bob", Role::Writer, 1)];
    expect_participants(&mut alice, &shell, &both);
    // The worker that comes next knows it too.
    host.kill_worker(&shell.session);
    let mut again = eventually("the worker is back", PATIENCE, || alice.attach(&shell.session).ok());
    types_nothing(&mut guest, &mut again, "survivor");
    assert_eq!(share(&mut alice, &shell, "bob", None), Answer::Shared);
    guest.expect_closed();
    let attach_as = Ask::AttachAs { session: shell.session.clone(), role: GuestRole::Watcher };
    let mut operator = PrincipalClient::vouched(&host.path("/run/tere/broker.sock"), Principal::Operator);
    assert_eq!(operator.view(attach_as).unwrap_err(), Refusal::NotGranted);
}

#[test]
fn an_owner_shares_a_session_hands_the_keyboard_over_and_takes_it_back() {
    let host = Host::alone();
    let (mut alice, mut bob) = (holder(&host, "alice"), holder(&host, "bob"));
    let mut shell = marked(&mut alice);
    expect_participants(&mut alice, &shell, &[("alice", Role::Owner, 1)]);

    assert_eq!(share(&mut alice, &shell, "bob", Some(GuestRole::Watcher)), Answer::Shared);
    let invited = listed(&mut bob, &shell).expect("it is in bob's list");
    assert_eq!((invited.owner.as_str(), invited.role), ("alice", Role::Watcher));
    let mut view = bob.attach(&shell.session).unwrap();
    view.expect("set 42");
    let both = [("alice", Role::Owner, 1), ("bob", Role::Watcher, 1)];
    expect_participants(&mut alice, &shell, &both);
    expect_participants(&mut bob, &shell, &both);
    types_nothing(&mut view, &mut shell, "watcher");
    types(&shell, &mut view, "owner");

    // bob may type too, and still may after the worker is killed.
    assert_eq!(share(&mut alice, &shell, "bob", Some(GuestRole::Writer)), Answer::Shared);
    expect_participants(&mut bob, &shell, &[("alice", Role::Owner, 1), ("bob", Role::Writer, 1)]);
    types(&view, &mut shell, "writer");
    host.kill_worker(&shell.session);
    types(&view, &mut shell, "still");

    // bob may not type any more, and still may not after the worker is killed.
    assert_eq!(share(&mut alice, &shell, "bob", Some(GuestRole::Watcher)), Answer::Shared);
    types_nothing(&mut view, &mut shell, "former");
    host.kill_worker(&shell.session);
    types(&shell, &mut view, "owner again");
    types_nothing(&mut view, &mut shell, "never");

    // The view of a removed guest ends at once, and the session continues.
    assert_eq!(share(&mut alice, &shell, "bob", None), Answer::Shared);
    assert_eq!(view.expect_end(), EndReason::ViewClosed);
    expect_participants(&mut alice, &shell, &[("alice", Role::Owner, 1)]);
    assert_eq!(bob.attach(&shell.session).unwrap_err(), Refusal::NoSuchSession);
    assert!(listed(&mut bob, &shell).is_none());
    shell.type_in("echo mark is $mark\r");
    shell.expect("mark is 42");
}

#[test]
fn only_its_owner_shares_a_session_and_only_where_the_policy_lets_it() {
    let host = Host::shared();
    let (mut alice, mut bob) = (holder(&host, "alice"), holder(&host, "bob"));
    let (shell, bobs) = (marked(&mut alice), marked(&mut bob));
    let watcher = Some(GuestRole::Watcher);
    assert_eq!(share(&mut bob, &shell, "bob", watcher), Answer::Refused(Refusal::NoSuchSession));
    assert_eq!(share(&mut bob, &bobs, "alice", watcher), Answer::Refused(Refusal::NotShareable));
    assert_eq!(share(&mut alice, &shell, "alice", watcher), Answer::Refused(Refusal::Yourself));
    // A guest can neither share, name nor end a session.
    assert_eq!(share(&mut alice, &shell, "bob", Some(GuestRole::Writer)), Answer::Shared);
    assert_eq!(share(&mut bob, &shell, "mallory", watcher), Answer::Refused(Refusal::NoSuchSession));
    let session = shell.session.clone();
    let name = Ask::Name { session: session.clone(), name: None };
    for ask in [name, Ask::End { session: session.clone() }, Ask::Show { session }] {
        assert!(matches!(bob.ask(ask).0, Answer::Refused(Refusal::NoSuchSession | Refusal::NotOperator)));
    }
    // An account without grants may be a guest, but gets nothing else.
    let mut mallory = holder(&host, "mallory");
    assert_eq!(mallory.attach(&shell.session).unwrap_err(), Refusal::NoSuchSession);
    assert_eq!(share(&mut alice, &shell, "mallory", watcher), Answer::Shared);
    let mut view = mallory.attach(&shell.session).unwrap();
    view.expect("set 42");
    assert_eq!(mallory.open("dev@web1").unwrap_err(), Refusal::NotGranted);
}

#[test]
fn what_is_shared_stays_so_over_restarts_and_ends_with_the_policy_and_the_account() {
    let host = Host::alone();
    host.tere(&["account", "add", "carol"]);
    let policy = std::fs::read_to_string(host.path("/etc/tere/tere.toml")).unwrap();
    let write = |text: &str| {
        std::fs::write(host.path("/etc/tere/tere.toml"), text).unwrap();
        assert!(host.reload_broker());
    };
    let mut alice = holder(&host, "alice");
    let shell = marked(&mut alice);
    assert_eq!(share(&mut alice, &shell, "carol", Some(GuestRole::Watcher)), Answer::Shared);
    host.kill_broker();
    let mut view =
        eventually("carol can come back", PATIENCE, || holder(&host, "carol").attach(&shell.session).ok());
    // The holder was dropped, and its view ends with it.
    view.expect_closed();
    let mut carol = holder(&host, "carol");
    let mut view = carol.attach(&shell.session).unwrap();
    view.expect("set 42");

    write(&policy.replace("share = true", "share = false"));
    assert_eq!(view.expect_end(), EndReason::ViewClosed);
    assert_eq!(carol.attach(&shell.session).unwrap_err(), Refusal::NotGranted);
    assert!(listed(&mut carol, &shell).is_none());
    write(&policy);
    let mut view = carol.attach(&shell.session).unwrap();

    // A later account called carol is another account.
    host.tere(&["account", "remove", "carol"]);
    view.expect_closed();
    host.tere(&["account", "add", "carol"]);
    assert_eq!(holder(&host, "carol").attach(&shell.session).unwrap_err(), Refusal::NoSuchSession);
    host.tere(&["account", "remove", "carol"]);
}

#[test]
fn where_a_session_may_only_be_watched_no_guest_types_whatever_is_asked() {
    let host = Host::alone();
    let policy = Policy::of(&host);
    policy.set("share = \"watch\"");
    let (mut alice, mut bob) = (holder(&host, "alice"), holder(&host, "bob"));
    let mut shell = marked(&mut alice);
    let (writer, only_to_watch) = (Some(GuestRole::Writer), Answer::Refused(Refusal::OnlyToWatch));
    assert_eq!(share(&mut alice, &shell, "bob", writer), only_to_watch);
    assert_eq!(bob.attach(&shell.session).unwrap_err(), Refusal::NoSuchSession, "nothing was shared");
    assert_eq!(share(&mut alice, &shell, "bob", Some(GuestRole::Watcher)), Answer::Shared);
    let mut view = bob.attach(&shell.session).unwrap();
    types_nothing(&mut view, &mut shell, "watcher");
    // Neither the owner nor the guest makes a writer of him afterwards, and nor does a page.
    assert_eq!(share(&mut alice, &shell, "bob", writer), only_to_watch);
    assert_eq!(share(&mut bob, &shell, "bob", writer), Answer::Refused(Refusal::NoSuchSession));
    let (_passkey, mut page) = enrolled(&host, "carol");
    for role in ["writer", "owner"] {
        page.say_raw(&format!(
            r#"{{"type":"share","session":"{}","account":"bob","role":"{role}"}}"#,
            shell.session
        ));
    }
    page.expect_closed();
    types_nothing(&mut view, &mut shell, "still");
    host.kill_worker(&shell.session);
    types(&shell, &mut view, "owner");
    types_nothing(&mut view, &mut shell, "never");
    host.tere(&["account", "remove", "carol"]);
}

#[test]
fn a_policy_that_becomes_narrower_takes_the_keyboard_from_the_guests_who_have_it() {
    let host = Host::alone();
    let policy = Policy::of(&host);
    let (mut alice, mut bob) = (holder(&host, "alice"), holder(&host, "bob"));
    let mut shell = marked(&mut alice);
    assert_eq!(share(&mut alice, &shell, "bob", Some(GuestRole::Writer)), Answer::Shared);
    let mut view = bob.attach(&shell.session).unwrap();
    types(&view, &mut shell, "writer");

    policy.set("share = \"watch\"");
    let watching = [("alice", Role::Owner, 1), ("bob", Role::Watcher, 1)];
    expect_participants(&mut alice, &shell, &watching);
    expect_participants(&mut bob, &shell, &watching);
    // The view that was there types nothing, also in the next worker, and neither does a new one.
    types_nothing(&mut view, &mut shell, "former");
    host.kill_worker(&shell.session);
    types(&shell, &mut view, "owner");
    types_nothing(&mut view, &mut shell, "next");
    let mut later = bob.attach(&shell.session).unwrap();
    types_nothing(&mut later, &mut shell, "later");
    drop(later);

    // A policy that becomes wider again gives nothing back by itself.
    policy.set("share = true");
    types_nothing(&mut view, &mut shell, "wider");
    assert_eq!(share(&mut alice, &shell, "bob", Some(GuestRole::Writer)), Answer::Shared);
    types(&view, &mut shell, "again");

    // A broker that reads the narrower policy when it starts does the same.
    policy.write("share = \"watch\"");
    host.kill_broker();
    view.expect_closed();
    let mut bob = eventually("bob can come back", PATIENCE, || {
        let mut bob = holder(&host, "bob");
        bob.attach(&shell.session).is_ok().then_some(bob)
    });
    let mut alice = holder(&host, "alice");
    let mut shell = alice.attach(&shell.session).unwrap();
    let mut view = bob.attach(&shell.session).unwrap();
    types_nothing(&mut view, &mut shell, "restarted");
    policy.set("share = true");
    types_nothing(&mut view, &mut shell, "there");
    let mut view = bob.attach(&shell.session).unwrap();
    types_nothing(&mut view, &mut shell, "stored");
}

#[test]
fn a_guest_with_all_the_views_it_may_have_keeps_nobody_out() {
    let host = Host::shared();
    let (mut alice, mut bob) = (holder(&host, "alice"), holder(&host, "bob"));
    let shell = marked(&mut alice);
    assert_eq!(share(&mut alice, &shell, "bob", Some(GuestRole::Watcher)), Answer::Shared);
    let mut views: Vec<_> = (0..VIEWS_PER_GUEST_MAX).map(|_| bob.attach(&shell.session).unwrap()).collect();
    assert_eq!(bob.attach(&shell.session).unwrap_err(), Refusal::TooMany);
    alice.attach(&shell.session).unwrap().expect("set 42");
    drop(views.pop());
    eventually("there is room again", PATIENCE, || bob.attach(&shell.session).ok());
}

#[test]
fn what_a_removed_account_opened_is_nobodys_but_the_operators() {
    let host = Host::alone();
    let socket = host.path("/run/tere/broker.sock");
    // The account exists already if another story made it.
    host.tere(&["account", "add", "alice"]);
    let (mut alice, mut bob) = (holder(&host, "alice"), holder(&host, "bob"));
    let mut shell = marked(&mut alice);
    assert_eq!(share(&mut alice, &shell, "bob", Some(GuestRole::Writer)), Answer::Shared);
    let mut view = bob.attach(&shell.session).unwrap();

    let (removed, printed) = host.tere(&["account", "remove", "alice"]);
    assert!(removed && printed.contains(shell.session.as_str()), "{printed}");
    shell.expect_closed();
    assert_eq!(view.expect_end(), EndReason::ViewClosed);
    // A later account called alice is another account, also for the next broker.
    host.tere(&["account", "add", "alice"]);
    for _ in 0..2 {
        for account in ["alice", "bob"] {
            let mut account = holder(&host, account);
            assert_eq!(account.attach(&shell.session).unwrap_err(), Refusal::NoSuchSession);
            assert!(listed(&mut account, &shell).is_none());
        }
        let mut alice = holder(&host, "alice");
        let end = Ask::End { session: shell.session.clone() };
        assert_eq!(alice.ask(end).0, Answer::Refused(Refusal::NoSuchSession));
        host.kill_broker();
    }
    let mut operator = PrincipalClient::vouched(&socket, Principal::Operator);
    let mut look = operator.view(Ask::Show { session: shell.session.clone() }).unwrap();
    look.expect("set 42");
    assert_eq!(operator.ask(Ask::End { session: shell.session.clone() }).0, Answer::Ending);
    assert_eq!(look.expect_end(), EndReason::EndedByRequest);
    host.tere(&["account", "remove", "alice"]);
}
