//! A page comes back without a touch: with what, for how long, and what it is kept from.

#![allow(clippy::wildcard_enum_match_arm)] // it waits for one message among many

use tere::client_key::{ClientKey, Purpose};
use tere::clock::Moment;
use tere::names::ClientKeyId;
use tere::protocol::control::{KeyKind, KeySummary};
use tere::protocol::page::{FromPage, ResumeTerms, ToPage};
use tere::protocol::principal::{Answer, Ask};
use tere::protocol::vouch::{AuthMethod, Principal};
use tere::protocol::{EndReason, Refusal};

use super::{Policy, enrolled};
use crate::host::Host;
use crate::parts::page::{ORIGIN, Page};
use crate::parts::passkey::SoftAuthenticator;
use crate::parts::shell::{PATIENCE, PrincipalClient, size};
use crate::parts::wait::eventually;

fn page(host: &Host) -> Page {
    Page::over(host.connect_to_front())
}

/// A page that has signed in with a touch, and the key that it offered with it.
fn signed_in(host: &Host, passkey: &mut SoftAuthenticator) -> (Page, ClientKey, Option<ResumeTerms>) {
    let (mut page, key) = (page(host), ClientKey::random().unwrap());
    let terms = page.sign_in_with(passkey, &key);
    (page, key, terms)
}

fn keys(page: &mut Page, asked: &FromPage) -> Vec<KeySummary> {
    page.say(asked);
    page.hear_of("the keys", |message| match message {
        ToPage::Keys { keys } => Some(keys.clone()),
        _ => None,
    })
}

fn resume_over() -> Result<String, Refusal> {
    Err(Refusal::ResumeOver)
}

#[test]
fn a_page_comes_back_to_its_shell_without_a_touch_after_a_restart_of_front_and_auth() {
    let host = Host::alone();
    let (mut passkey, _) = enrolled(&host, "alice");
    let (mut before, key, terms) = signed_in(&host, &mut passkey);
    let id = key.public().id();
    assert_eq!(terms, Some(ResumeTerms { key: id.clone(), seconds: 12 * 60 * 60 }));
    let session = before.open(0, "dev@web1").unwrap();
    before.type_in(0, "mark=$((6*7)); echo set $mark\r");
    before.expect(0, "set 42");
    let cursor = host.journal_cursor();
    host.restart_front_and_auth();
    before.expect_closed();

    let mut back = page(&host);
    assert_eq!(back.come_back(&key), Ok("alice".to_owned()));
    back.attach(0, &session).unwrap();
    back.type_in(0, "echo still $mark\r");
    back.expect(0, "still 42");
    // It may do what a page with a touch may.
    let second = back.open(1, "dev@web1").unwrap();
    back.say(&FromPage::EndSession { session: second });
    assert_eq!(back.expect_end(1), EndReason::EndedByRequest);
    eventually("the record", PATIENCE, || {
        let journal = host.journal(&cursor);
        journal.contains(&format!("resume:{id}")).then_some(())
    });
    // A second tab has the same key.
    assert_eq!(page(&host).come_back(&key), Ok("alice".to_owned()));
}

#[test]
fn a_page_that_is_signed_out_elsewhere_is_closed_and_stays_so() {
    let host = Host::alone();
    let (mut passkey, _) = enrolled(&host, "alice");
    let (mut here, own, _) = signed_in(&host, &mut passkey);
    let (mut there, other, _) = signed_in(&host, &mut passkey);
    let mut its_tab = page(&host);
    its_tab.come_back(&other).unwrap();
    let session = there.open(0, "dev@web1").unwrap();
    let listed = keys(&mut here, &FromPage::Keys {});
    let ids: Vec<ClientKeyId> = listed.iter().map(|key| key.key.clone()).collect();
    assert!(listed.iter().all(|key| key.kind == KeyKind::Page && key.name.as_str() == "a test"));
    assert_eq!(ids, [own.public().id(), other.public().id()]);
    let (done, printed) = host.tere(&["account", "list-keys", "alice"]);
    assert!(done && printed.contains("a test") && printed.contains(ids[1].as_str()), "{printed}");

    // Also the page that signed in with the touch by which the key was bound.
    let left = keys(&mut here, &FromPage::DropKey { key: ids[1].clone() });
    assert_eq!(left.len(), 1);
    there.expect_closed();
    its_tab.expect_closed();
    assert_eq!(page(&host).come_back(&other), resume_over());
    assert!(here.sessions().iter().any(|one| one.id == session), "the session goes on");
    here.say(&FromPage::DropKey { key: ids[1].clone() });
    let refused = ToPage::Refused { stream: None, refusal: Refusal::NoSuchKey };
    here.hear_of("there is none", |message| (*message == refused).then_some(()));

    // Another account's key is none of its own.
    let (_, mut bobs) = enrolled(&host, "bob");
    assert_eq!(keys(&mut bobs, &FromPage::Keys {}), []);
    bobs.say(&FromPage::DropKey { key: ids[0].clone() });
    bobs.hear_of("it is not bob's", |message| (*message == refused).then_some(()));
    assert_eq!(page(&host).come_back(&own), Ok("alice".to_owned()));

    // By root, and with the account.
    assert!(host.tere(&["account", "remove-key", "alice", ids[0].as_str()]).0);
    here.expect_closed();
    assert_eq!(page(&host).come_back(&own), resume_over());
    let (_, last, _) = signed_in(&host, &mut passkey);
    assert!(host.tere(&["account", "remove", "alice"]).0);
    assert_eq!(page(&host).come_back(&last), resume_over());
}

#[test]
fn an_answer_is_good_once_on_its_connection_and_for_its_host() {
    let host = Host::alone();
    let (mut passkey, _) = enrolled(&host, "alice");
    let (_, key, _) = signed_in(&host, &mut passkey);
    let resume = FromPage::Resume { key: key.public() };
    let over = ToPage::Refused { stream: None, refusal: Refusal::ResumeOver };
    let (mut one, mut other) = (page(&host), page(&host));
    let nonce = one.key_challenge(&resume);
    let signature = key.sign(Purpose::Resume, ORIGIN, &nonce);
    other.key_challenge(&resume);
    assert_eq!(other.answer_by_key(&signature), over, "a challenge of another connection");
    assert!(matches!(one.answer_by_key(&signature), ToPage::SignedIn { .. }));
    other.key_challenge(&resume);
    assert_eq!(other.answer_by_key(&signature), over, "a signature that was used");
    let nonce = other.key_challenge(&resume);
    let elsewhere = key.sign(Purpose::Resume, "https://evil.example.org", &nonce);
    assert_eq!(other.answer_by_key(&elsewhere), over, "passed on by a site in between");
    // It is no client key, and a command line does not come back.
    let mut cli = Page::of_command_line(host.connect_to_front());
    assert_eq!(cli.sign_in_by_key(&key), Err(Refusal::UnknownKey));
    let mut cli = Page::of_command_line(host.connect_to_front());
    cli.say(&resume);
    let bad = Some(ToPage::Refused { stream: None, refusal: Refusal::BadMessage });
    assert_eq!(cli.expect_closed(), bad);
    // The failures count for the source, which other tests on this host share.
    host.restart_front_and_auth();
}

#[test]
fn the_policy_says_for_how_long_and_what_takes_a_touch_takes_one() {
    let host = Host::alone();
    let policy = Policy::of(&host);
    let (mut passkey, _) = enrolled(&host, "alice");
    policy.begin("resume = \"1h\"");
    let (_, key, terms) = signed_in(&host, &mut passkey);
    assert_eq!(terms.map(|terms| terms.seconds), Some(3600));
    let mut back = page(&host);
    back.come_back(&key).unwrap();

    // Without such keys, nobody comes back, and whoever did is gone.
    policy.begin("resume = false");
    back.expect_closed();
    assert_eq!(page(&host).come_back(&key), resume_over());
    let (mut touched, other, terms) = signed_in(&host, &mut passkey);
    assert_eq!(terms, None);
    assert_eq!(keys(&mut touched, &FromPage::Keys {}), []);
    policy.begin("");
    assert_eq!(page(&host).come_back(&other), resume_over(), "it was not kept");
    assert_eq!(page(&host).come_back(&key), Ok("alice".to_owned()));

    policy.set("share = true\nfresh-touch = \"20s\"");
    let mut back = page(&host);
    back.come_back(&key).unwrap();
    assert_eq!(back.open(0, "dev@web1"), Err(Refusal::TouchRequired));
    // auth, which counts failures that other tests on this host share, reads the policy when it starts.
    drop(policy);
    host.restart_front_and_auth();
}

#[test]
fn a_page_whose_touch_grows_old_loses_its_channel_also_if_the_clock_is_set_back() {
    let host = Host::alone();
    let policy = Policy::of(&host);
    policy.begin("resume = \"1h\"");
    let socket = host.path("/run/tere/broker.sock");
    let vouched = |touched: Moment| {
        let key = ClientKey::random().unwrap().public().id();
        let how = AuthMethod::ResumeKey { key, touched };
        let alice = Principal::Account("alice".parse().unwrap());
        PrincipalClient::vouched_by(&socket, alice, how, Moment::now().unix)
    };
    let now = Moment::now();
    let ago = |seconds: u64| Moment { unix: now.unix - seconds, uptime: now.uptime };
    assert_eq!(vouched(ago(3600)).unwrap_err(), Refusal::ResumeOver);
    assert_eq!(vouched(Moment { unix: now.unix + 60, ..now }).unwrap_err(), Refusal::ResumeOver);
    if let Some(uptime) = now.uptime.checked_sub(3600) {
        assert_eq!(vouched(Moment { uptime, ..now }).unwrap_err(), Refusal::ResumeOver);
    }
    let mut aging = vouched(ago(3600 - 4)).unwrap();
    let open = Ask::Open { target: "dev@web1".parse().unwrap(), size: size(), reason: None };
    let mut shell = aging.view(open).unwrap();
    assert_eq!(shell.expect_end(), EndReason::ViewClosed);
    let mut young = vouched(ago(0)).unwrap();
    assert!(matches!(young.ask(Ask::Lobby).0, Answer::Lobby { .. }));
    assert_eq!(young.ask(Ask::End { session: shell.session.clone() }).0, Answer::Ending);
}
