//! Who gets in: at the front, and with the challenge.

use std::time::Instant;

use tere::protocol::Refusal;
use tere::protocol::page::{FromPage, ToPage};
use tere::protocol::principal::{Answer, Ask};
use tere::protocol::vouch::{CHANNELS_PER_ACCOUNT_MAX, Principal};

use super::{enrolled, enrolment_token, holder};
use crate::host::Host;
use crate::parts::page::{HOST, ORIGIN, Page, status_of};
use crate::parts::passkey::SoftAuthenticator;
use crate::parts::shell::{PATIENCE, PrincipalClient};
use crate::parts::wait::eventually;

fn refused(refusal: Refusal) -> Option<ToPage> {
    Some(ToPage::Refused { stream: None, refusal })
}

/// A newly registered passkey of alice.
fn alice(host: &Host) -> SoftAuthenticator {
    enrolled(host, "alice").0
}

/// Whoever is not signed in cannot fill the journal with what is refused to them.
#[test]
fn whoever_is_not_signed_in_writes_little_to_the_journal() {
    const CONNECTIONS: usize = 200;
    let host = Host::alone();
    let token = enrolment_token(&host, "alice");
    let (cursor, began) = (host.journal_cursor(), Instant::now());
    let mut heard = 0;
    for number in 0..CONNECTIONS {
        let mut page = Page::over(host.connect_to_front());
        if number % 2 == 0 {
            // As many refusals as it can get.
            while page.try_say(&FromPage::Enrol { token: "wrong".into() }) && page.poll(PATIENCE) {
                heard += page.heard().count();
            }
        } else {
            page.say_raw("no message");
            while page.poll(PATIENCE) {}
        }
        let foreign = [("Host", HOST), ("Origin", "http://example.org")];
        assert_eq!(status_of(host.connect_to_front(), &foreign), 403);
        assert_eq!(status_of(host.connect_to_front(), &[("Host", "example.org")]), 403);
    }
    let flooded = began.elapsed();
    assert_eq!(heard, 5 * CONNECTIONS / 2, "each of these connections ends after a few refusals");
    // What is written of others is among it, and soon how much was left out.
    let lobby = Page::over(host.connect_to_front()).enrol(&token, &mut SoftAuthenticator::new(ORIGIN));
    assert_eq!(lobby.account, "alice");
    eventually("a count of the others", PATIENCE, || {
        let journal = host.journal(&cursor);
        let counted = "more records of people who are not signed in are left out";
        (journal.contains("account signed in") && journal.contains(counted)).then_some(())
    });
    let journal = host.journal(&cursor);
    let (records, most) = (journal.lines().count(), 10 * (flooded.as_secs() + 2));
    assert!(u64::try_from(records).unwrap() <= most, "{records} records, at most {most}:\n{journal}");
}

#[test]
fn an_enrolment_link_works_once_and_not_altered() {
    let host = Host::alone();
    let token = enrolment_token(&host, "alice");
    let mut page = Page::over(host.connect_to_front());
    let altered = format!("{}{}", &token[..token.len() - 1], if token.ends_with('a') { 'b' } else { 'a' });
    for bad in [altered.as_str(), &token[1..], ""] {
        page.say(&FromPage::Enrol { token: bad.into() });
        assert_eq!(Some(page.hear()), refused(Refusal::LinkInvalid), "{bad:?}");
    }
    let lobby = page.enrol(&token, &mut SoftAuthenticator::new(ORIGIN));
    assert_eq!(lobby.account, "alice");
    let mut again = Page::over(host.connect_to_front());
    again.say(&FromPage::Enrol { token: token.into() });
    assert_eq!(Some(again.hear()), refused(Refusal::LinkInvalid));
}

#[test]
fn a_challenge_is_one_connections_and_one_answers() {
    let host = Host::alone();
    let mut passkey = alice(&host);
    let (mut one, mut other) = (Page::over(host.connect_to_front()), Page::over(host.connect_to_front()));
    let answer = passkey.sign_in(&one.ask_to_sign_in());
    other.ask_to_sign_in();
    assert_eq!(other.answer(&answer).unwrap_err(), Refusal::UnknownPasskey, "on another connection");

    let mut newer = Page::over(host.connect_to_front());
    let replaced = passkey.sign_in(&newer.ask_to_sign_in());
    newer.ask_to_sign_in();
    assert_eq!(newer.answer(&replaced).unwrap_err(), Refusal::UnknownPasskey, "a newer one took its place");

    // The answer is accepted on the connection it belongs to, once.
    assert_eq!(one.answer(&answer).unwrap().account, "alice");
    let credential = serde_json::from_str(&answer).unwrap();
    one.say(&FromPage::Answer { credential, resume: None });
    assert_eq!(one.expect_closed(), refused(Refusal::BadMessage), "on the same connection twice");

    let mut wrong = Page::over(host.connect_to_front());
    wrong.ask_to_sign_in();
    assert_eq!(wrong.answer(&answer).unwrap_err(), Refusal::UnknownPasskey);
    let credential = serde_json::from_str(&answer).unwrap();
    wrong.say(&FromPage::Answer { credential, resume: None });
    assert_eq!(wrong.expect_closed(), refused(Refusal::BadMessage), "a second answer to one challenge");
}

#[test]
fn only_the_page_itself_is_let_in() {
    let host = Host::shared();
    let own = [("Host", HOST), ("Origin", ORIGIN)];
    assert_eq!(status_of(host.connect_to_front(), &own), 101, "or the rest proves nothing");
    for headers in [
        &[("Host", HOST)][..],
        &[("Host", HOST), ("Origin", "null")],
        &[("Host", HOST), ("Origin", "http://localhost:8023")],
        &[("Host", HOST), ("Origin", "https://localhost:8022")],
        &[("Host", HOST), ("Origin", "http://localhost")],
        &[("Host", HOST), ("Origin", "http://localhost:8022.example.org")],
        &[("Host", HOST), ("Origin", ORIGIN), ("Origin", "http://example.org")],
        &[("Host", "localhost"), ("Origin", ORIGIN)],
        &[("Host", "127.0.0.1:8022"), ("Origin", ORIGIN)],
        &[("Host", "example.org"), ("Origin", ORIGIN)],
        &[("Host", HOST), ("Host", HOST), ("Origin", ORIGIN)],
    ] {
        assert_eq!(status_of(host.connect_to_front(), headers), 403, "{headers:?}");
    }
}

#[test]
fn an_account_that_has_all_the_channels_it_may_have_is_told_so_and_keeps_nobody_out() {
    let host = Host::alone();
    let mut passkey = alice(&host);
    let broker = host.path("/run/tere/broker.sock");
    let account = || Principal::Account("alice".parse().unwrap());
    let mut held = Vec::new();
    // The channel from the registration is closed a moment after its page.
    eventually("all her channels are held here", PATIENCE, || {
        held.extend(PrincipalClient::vouched_or_refused(&broker, account()));
        (held.len() == CHANNELS_PER_ACCOUNT_MAX).then_some(())
    });
    assert_eq!(PrincipalClient::vouched_or_refused(&broker, account()).unwrap_err(), Refusal::TooMany);
    let mut page = Page::over(host.connect_to_front());
    let answer = passkey.sign_in(&page.ask_to_sign_in());
    assert_eq!(page.answer(&answer).unwrap_err(), Refusal::TooMany);

    holder(&host, "bob").open("dev@web1").unwrap();
    let all = PrincipalClient::vouched(&broker, Principal::Operator).ask(Ask::AllSessions { after: None }).0;
    assert!(matches!(all, Answer::AllSessions(_)), "{all:?}");
    // The removal reaches the broker and closes all of her channels.
    assert!(host.tere(&["account", "remove", "alice"]).0);
    held.iter_mut().for_each(PrincipalClient::expect_closed);
}
