//! The command line from afar: how its key gets in, and what it is kept from.

#![allow(clippy::wildcard_enum_match_arm)] // it waits for one message among many

use std::io::{Read as _, Write as _};

use tere::client_key::{ClientKey, NONCE_LENGTH, Purpose};
use tere::names::ClientPublicKey;
use tere::protocol::page::{FromPage, ToPage};
use tere::protocol::principal::{Answer, Ask};
use tere::protocol::vouch::{AuthMethod, Principal};
use tere::protocol::{EndReason, GuestRole, Refusal};

use super::on_host::now;
use super::{Policy, enrolled, enrolment_token};
use crate::host::Host;
use crate::parts::page::{HOST, ORIGIN, Page, status_of};
use crate::parts::passkey::SoftAuthenticator;
use crate::parts::shell::{PATIENCE, PrincipalClient, size};
use crate::parts::wait::eventually;

const ALL: &str = "[[client-key]]\naccounts = [\"alice\", \"bob\"]\n\
                   allow = [\"list\", \"attach\", \"open\", \"end\", \"name\"]\nmax-age = \"8h\"\n";

fn command_line(host: &Host) -> Page {
    Page::of_command_line(host.connect_to_front())
}

/// A key that alice has bound, in the page where she is signed in.
fn bound(host: &Host, page: &mut Page, passkey: &mut SoftAuthenticator) -> ClientKey {
    let key = ClientKey::random().unwrap();
    let mut waiting = command_line(host);
    let code = waiting.ask_to_bind(&key).unwrap();
    let options = page.find_binding(&code).unwrap();
    page.bind(&passkey.touch(&options)).unwrap();
    assert!(matches!(waiting.hear(), ToPage::KeyBound { account } if account.as_str() == "alice"));
    key
}

#[test]
fn a_person_binds_a_key_and_the_command_line_opens_the_same_session_with_it() {
    let host = Host::alone();
    let policy = Policy::of(&host);
    policy.add(ALL);
    let (mut passkey, mut page) = enrolled(&host, "alice");
    let session = page.open(0, "dev@web1").unwrap();
    page.type_in(0, "mark=$((6*7)); echo set $mark\r");
    page.expect(0, "set 42");
    let cursor = host.journal_cursor();
    let key = bound(&host, &mut page, &mut passkey);

    let mut cli = command_line(&host);
    assert_eq!(cli.sign_in_by_key(&key), Ok("alice".to_owned()));
    assert!(cli.sessions().iter().any(|listed| listed.id == session));
    cli.attach(0, &session).unwrap();
    cli.type_in(0, "echo from afar $mark\r");
    cli.expect(0, "from afar 42");
    page.expect(0, "from afar 42");
    // A view that only looks types nothing, whoever owns the session, also when it comes back.
    let look = FromPage::AttachAs { stream: 2, session: session.clone(), role: GuestRole::Watcher };
    cli.open_with(2, &look).unwrap();
    let expect_snapshot = |cli: &mut Page| {
        cli.hear_of("a snapshot", |message| {
            matches!(message, ToPage::Snapshot { stream: 2, .. }).then_some(())
        });
    };
    expect_snapshot(&mut cli);
    cli.type_in(2, "echo not this $mark\r");
    // Each view has a socket of its own. The worker has taken the input when it answers this.
    cli.say(&FromPage::Refresh { stream: 2 });
    expect_snapshot(&mut cli);
    cli.type_in(0, "echo but this $mark\r");
    cli.expect(2, "but this 42");
    let printed = page.expect(0, "but this 42");
    assert!(!printed.contains("not this"), "{printed}");
    let second = cli.open(1, "dev@web1").unwrap();
    cli.say(&FromPage::EndSession { session: second });
    assert_eq!(cli.expect_end(1), EndReason::EndedByRequest);

    // The journal says who, and by which key; root sees it in a list.
    let id = key.public().id();
    eventually("the records", PATIENCE, || {
        let journal = host.journal(&cursor);
        let by_key = format!("key:{id}");
        (journal.contains("a client key is bound to the account") && journal.contains(&by_key)).then_some(())
    });
    let (listed, printed) = host.tere(&["account", "list-keys", "alice", "--json"]);
    assert!(listed && printed.contains(id.as_str()) && printed.contains("laptop"), "{printed}");
}

#[test]
fn a_removed_key_loses_what_it_has_open_and_signs_in_no_more() {
    let host = Host::alone();
    let policy = Policy::of(&host);
    policy.add(ALL);
    let (mut passkey, mut page) = enrolled(&host, "alice");
    // By root, by its own command line, and with its account.
    let key = bound(&host, &mut page, &mut passkey);
    let other = bound(&host, &mut page, &mut passkey);
    let (mut cli, mut another) = (command_line(&host), command_line(&host));
    cli.sign_in_by_key(&key).unwrap();
    another.sign_in_by_key(&other).unwrap();
    cli.open(0, "dev@web1").unwrap();
    let id = key.public().id();
    assert!(host.tere(&["account", "remove-key", "alice", id.as_str()]).0);
    cli.expect_closed();
    assert_eq!(command_line(&host).sign_in_by_key(&key), Err(Refusal::UnknownKey));
    assert!(!host.tere(&["account", "remove-key", "alice", id.as_str()]).0);
    assert!(!another.sessions().is_empty(), "the session goes on, and the other key");

    let mut leaving = command_line(&host);
    let nonce = leaving.key_challenge(&FromPage::RemoveKey { key: other.public().id() });
    let removed = leaving.answer_by_key(&other.sign(Purpose::Remove, ORIGIN, &nonce));
    assert_eq!(removed, ToPage::KeyRemoved {});
    another.expect_closed();
    assert_eq!(command_line(&host).sign_in_by_key(&other), Err(Refusal::UnknownKey));

    let last = bound(&host, &mut page, &mut passkey);
    let mut cli = command_line(&host);
    cli.sign_in_by_key(&last).unwrap();
    assert!(host.tere(&["account", "remove", "alice"]).0);
    cli.expect_closed();
    assert_eq!(command_line(&host).sign_in_by_key(&last), Err(Refusal::UnknownKey));
    // Nor does it by an account that gets the name.
    enrolment_token(&host, "alice");
    assert_eq!(command_line(&host).sign_in_by_key(&last), Err(Refusal::UnknownKey));
}

#[test]
fn a_signature_is_good_once_on_its_connection_and_for_its_host() {
    let host = Host::alone();
    let policy = Policy::of(&host);
    policy.add(ALL);
    let (mut passkey, mut page) = enrolled(&host, "alice");
    let key = bound(&host, &mut page, &mut passkey);
    let sign_in = || FromPage::KeySignIn { key: key.public().id() };
    let (mut one, mut other) = (command_line(&host), command_line(&host));
    let nonce = one.key_challenge(&sign_in());
    let signature = key.sign(Purpose::SignIn, ORIGIN, &nonce);
    other.key_challenge(&sign_in());
    let unknown = ToPage::Refused { stream: None, refusal: Refusal::UnknownKey };
    assert_eq!(other.answer_by_key(&signature), unknown, "a challenge of another connection");
    assert!(matches!(one.answer_by_key(&signature), ToPage::SignedIn { .. }));
    let nonce = other.key_challenge(&sign_in());
    assert_eq!(other.answer_by_key(&signature), unknown, "a signature that was used");
    assert_ne!(nonce, [0; NONCE_LENGTH]);
    let nonce = other.key_challenge(&sign_in());
    let elsewhere = key.sign(Purpose::SignIn, "https://evil.example.org", &nonce);
    assert_eq!(other.answer_by_key(&elsewhere), unknown, "passed on by a host in between");
}

#[test]
fn no_code_is_good_twice_and_none_is_found_by_guessing() {
    let host = Host::alone();
    let policy = Policy::of(&host);
    policy.add(ALL);
    let (mut passkey, mut page) = enrolled(&host, "alice");
    let mut waiting = command_line(&host);
    let key = ClientKey::random().unwrap();
    let code = waiting.ask_to_bind(&key).unwrap();
    page.find_binding(&code).unwrap();
    let mut second = Page::over(host.connect_to_front());
    second.sign_in(&mut passkey);
    assert_eq!(second.find_binding(&code), Err(Refusal::CodeInvalid), "it was used");
    // The person says no.
    page.decline_binding();
    let declined = ToPage::Refused { stream: None, refusal: Refusal::KeyDeclined };
    assert_eq!(waiting.hear(), declined);
    assert_eq!(command_line(&host).sign_in_by_key(&key), Err(Refusal::UnknownKey));

    // A touch for something else binds nothing.
    let mut waiting = command_line(&host);
    let code = waiting.ask_to_bind(&key).unwrap();
    let elsewhere = second.ask_to_step_up(0).unwrap();
    page.find_binding(&code).unwrap();
    assert_eq!(page.bind(&passkey.touch(&elsewhere)), Err(Refusal::UnknownPasskey));
    assert_eq!(waiting.hear(), declined);

    let mut waiting = command_line(&host);
    let code = waiting.ask_to_bind(&key).unwrap();
    let wrong = format!("{}{}", if code.starts_with('0') { '1' } else { '0' }, &code[1..]);
    let mut guesses = 0;
    while second.find_binding(&wrong) == Err(Refusal::CodeInvalid) {
        guesses += 1;
        assert!(guesses < 20, "it may guess for ever");
    }
    assert_eq!(second.find_binding(&code), Err(Refusal::TooManyFailures));
    // A code is void without its command line.
    drop(waiting);
    let (mut of_bob, mut bobs) = enrolled(&host, "bob");
    assert_eq!(bobs.find_binding(&code), Err(Refusal::CodeInvalid));
    let mut waiting = command_line(&host);
    let code = waiting.ask_to_bind(&key).unwrap();
    let options = bobs.find_binding(&code).unwrap();
    bobs.bind(&of_bob.touch(&options)).unwrap();
    assert!(matches!(waiting.hear(), ToPage::KeyBound { account } if account.as_str() == "bob"));
    // auth counts in memory, and another test on this host may want codes of alice's. It reads the
    // policy when it starts.
    drop(policy);
    host.restart_front_and_auth();
}

#[test]
fn a_browser_does_not_get_to_be_a_command_line_nor_the_other_way_round() {
    let host = Host::alone();
    for origin in [ORIGIN, "https://evil.example.org", "null"] {
        let mut socket = host.connect_to_front();
        let request = format!(
            "GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: tere-cli-2\r\n\
             Host: {HOST}\r\nOrigin: {origin}\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = [0; 12];
        socket.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 403", "{origin}");
    }
    assert_eq!(status_of(host.connect_to_front(), &[("Host", HOST)]), 403, "the page has an Origin");
    let bad = Some(ToPage::Refused { stream: None, refusal: Refusal::BadMessage });
    let key = ClientKey::random().unwrap().public();
    let mut page = Page::over(host.connect_to_front());
    page.say(&FromPage::KeySignIn { key: key.id() });
    assert_eq!(page.expect_closed(), bad);
    let (_, mut signed_in) = enrolled(&host, "alice");
    signed_in.say(&FromPage::Exec { stream: 0, target: "dev@web1".parse().unwrap(), reason: None });
    assert_eq!(signed_in.expect_closed(), bad);
    let (_, mut signed_in) = enrolled(&host, "bob");
    signed_in.say(&FromPage::Follow {});
    assert_eq!(signed_in.expect_closed(), bad);
    for message in [FromPage::SignIn {}, FromPage::Enrol { token: "token".into() }] {
        let mut cli = command_line(&host);
        cli.say(&message);
        assert_eq!(cli.expect_closed(), bad);
    }
}

#[test]
fn a_key_does_no_more_than_the_policy_says_and_for_no_longer() {
    let host = Host::alone();
    let policy = Policy::of(&host);
    let (mut passkey, mut page) = enrolled(&host, "alice");
    // Off by default.
    let mut waiting = command_line(&host);
    let code = waiting.ask_to_bind(&ClientKey::random().unwrap()).unwrap();
    assert_eq!(page.find_binding(&code), Err(Refusal::NotByKey));
    drop(waiting);
    policy.add(ALL);
    let key = bound(&host, &mut page, &mut passkey);
    let mut cli = command_line(&host);
    cli.sign_in_by_key(&key).unwrap();
    let session = cli.open(0, "dev@web1").unwrap();
    let refused = |cli: &mut Page, message: &FromPage| {
        cli.say(message);
        cli.hear_of("the refusal", |message| match message {
            ToPage::Refused { stream: None, refusal } => Some(*refusal),
            ToPage::MachineChanged { refusal, .. } => *refusal,
            _ => None,
        })
    };
    let share = FromPage::Share { session: session.clone(), account: "bob".parse().unwrap(), role: None };
    assert_eq!(refused(&mut cli, &share), Refusal::NotByKey);
    let change = FromPage::ChangeMachine { change: "rebuild:web1".parse().unwrap() };
    assert_eq!(refused(&mut cli, &change), Refusal::NotByKey);
    let exec = FromPage::Exec { stream: 9, target: "dev@web1".parse().unwrap(), reason: None };
    cli.say(&exec);
    let refusal = ToPage::Refused { stream: Some(9), refusal: Refusal::NotByKey };
    cli.hear_of("no command either", |message| (*message == refusal).then_some(()));

    // A narrower policy closes its views, and one without the account its channel.
    policy.add("[[client-key]]\naccounts = [\"alice\"]\nallow = [\"list\"]\n");
    assert_eq!(cli.expect_end(0), EndReason::ViewClosed);
    assert_eq!(cli.attach(1, &session), Err(Refusal::NotByKey));
    assert_eq!(cli.open(2, "dev@web1"), Err(Refusal::NotByKey));
    let end = FromPage::EndSession { session: session.clone() };
    assert_eq!(refused(&mut cli, &end), Refusal::NotByKey);
    assert!(cli.sessions().iter().any(|listed| listed.id == session));
    policy.add("");
    cli.expect_closed();
    assert_eq!(command_line(&host).sign_in_by_key(&key), Err(Refusal::NotByKey));

    // What takes a touch takes one, whatever the rule says, and a key has none.
    policy.write("share = true\nfresh-touch = \"20s\"");
    let touched = std::fs::read_to_string(host.path("/etc/tere/tere.toml")).unwrap();
    std::fs::write(host.path("/etc/tere/tere.toml"), format!("{touched}\n{ALL}")).unwrap();
    assert!(host.reload_broker());
    let mut cli = command_line(&host);
    cli.sign_in_by_key(&key).unwrap();
    assert_eq!(cli.open(0, "dev@web1"), Err(Refusal::TouchRequired));
    assert_eq!(cli.attach(0, &session), Err(Refusal::TouchRequired));
    cli.say(&FromPage::StepUp { stream: 1 });
    let bad = Some(ToPage::Refused { stream: None, refusal: Refusal::BadMessage });
    assert_eq!(cli.expect_closed(), bad);
}

#[test]
fn an_old_key_is_refused_and_one_that_grows_old_loses_its_channel() {
    let host = Host::alone();
    let policy = Policy::of(&host);
    policy.add(ALL);
    let socket = host.path("/run/tere/broker.sock");
    let vouched = |age: u64| {
        let key = ClientPublicKey::of(&[7; 32]).id();
        let how = AuthMethod::ClientKey { key, bound: now() - age };
        PrincipalClient::vouched_by(&socket, Principal::Account("alice".parse().unwrap()), how, now())
    };
    assert_eq!(vouched(8 * 3600).unwrap_err(), Refusal::KeyExpired);
    let mut aging = vouched(8 * 3600 - 4).unwrap();
    let open = Ask::Open { target: "dev@web1".parse().unwrap(), size: size(), reason: None };
    let mut shell = aging.view(open).unwrap();
    assert_eq!(shell.expect_end(), EndReason::ViewClosed);
    let mut young = vouched(0).unwrap();
    assert!(matches!(young.ask(Ask::Lobby).0, Answer::Lobby { .. }));
    assert_eq!(young.ask(Ask::End { session: shell.session.clone() }).0, Answer::Ending);
}
