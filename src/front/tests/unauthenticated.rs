//! What people who are not signed in cost others. Here all sockets are local, so the tests name the
//! sources.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{self, Bytes, Message};

use super::fixture::{Fixture, Page, SOON};
use crate::front::capacity::{ANONYMOUS_MAX, LOGINS_MAX, LOGINS_PER_SOURCE_MAX, SIGNED_IN_MAX};
use crate::front::client::Client;
use crate::front::connection;
use crate::front::source::Source;
use crate::protocol::Refusal;
use crate::protocol::page::{FromPage, SIGN_IN_FRAME_MAX, TEXT_FRAME_MAX, ToPage};

/// A page from this address, whose HTTP is over.
async fn page_from(fixture: &Fixture, address: &str) -> Page {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (theirs, _) = listener.accept().await.unwrap();
    let (front, source) = (Arc::clone(&fixture.front), Source::of(address.parse().unwrap()));
    tokio::spawn(async move {
        let place = Arc::new(front.capacity.socket(source));
        connection::run(theirs, Vec::new(), front, (source, Client::Page), place).await;
    });
    Page(WebSocketStream::from_raw_socket(ours, Role::Client, None).await)
}

async fn enrol_with(page: &mut Page, token: &str) -> ToPage {
    page.say(&FromPage::Enrol { token: token.into() }).await;
    page.heard().await
}

#[tokio::test]
async fn a_source_whose_sign_ins_fail_is_held_back_and_nobody_else() {
    let fixture = Fixture::build();
    let refused = |refusal| ToPage::Refused { stream: None, refusal };
    let mut page = page_from(&fixture, "192.0.2.1").await;
    for _ in 0..5 {
        assert_eq!(enrol_with(&mut page, "bad").await, refused(Refusal::LinkInvalid));
    }
    assert_eq!(page.last_words().await, (None, "1008 too-many-failures".to_owned()));
    let mut page = page_from(&fixture, "192.0.2.1").await;
    assert_eq!(enrol_with(&mut page, "bad").await, refused(Refusal::LinkInvalid));
    // From now on auth is not asked: the stand-in would take this token.
    assert_eq!(enrol_with(&mut page, "good").await, refused(Refusal::TooManyFailures));
    page.say(&FromPage::SignIn {}).await;
    assert_eq!(page.heard().await, refused(Refusal::TooManyFailures));
    let mut other = page_from(&fixture, "192.0.2.2").await;
    assert!(matches!(enrol_with(&mut other, "good").await, ToPage::Challenge { .. }));
}

#[tokio::test]
async fn frames_without_end_are_not_read_without_end() {
    let fixture = Fixture::build();
    let flood = async |page: &mut Page, pongs: u32| {
        let began = Instant::now();
        for _ in 0..pongs {
            page.0.send(Message::Pong(Bytes::new())).await.unwrap();
        }
        page.say(&FromPage::Ping {}).await;
        assert!(matches!(page.heard().await, ToPage::Pong { .. }));
        began.elapsed()
    };
    // 50 in a tenth of a second, of which the first may be half over.
    let mut mallory = page_from(&fixture, "192.0.2.1").await;
    let took = flood(&mut mallory, 1000).await;
    assert!(took > Duration::from_millis(1800), "{took:?}");
    // 2000 for somebody who is signed in.
    let mut alice = page_from(&fixture, "192.0.2.2").await;
    alice.sign_in().await;
    let took = flood(&mut alice, 20_000).await;
    assert!(took > Duration::from_millis(800), "{took:?}");
}

/// A frame with a part of a message.
fn part(opcode: Data, payload: &[u8], is_final: bool) -> Message {
    Message::Frame(tungstenite::protocol::frame::Frame::message(
        payload.to_vec(),
        OpCode::Data(opcode),
        is_final,
    ))
}

async fn expect_bad_message(page: &mut Page) {
    let refused = ToPage::Refused { stream: None, refusal: Refusal::BadMessage };
    assert_eq!(page.last_words().await, (Some(refused), "1008 bad-message".to_owned()));
}

#[tokio::test]
async fn messages_are_short_before_anybody_is_signed_in() {
    let fixture = Fixture::build();
    let ping = |length: usize| Message::text(format!("{:length$}", "{\"type\":\"ping\"}"));
    let mut mallory = page_from(&fixture, "192.0.2.1").await;
    mallory.0.send(ping(SIGN_IN_FRAME_MAX)).await.unwrap();
    assert!(matches!(mallory.heard().await, ToPage::Pong { .. }));
    mallory.0.send(ping(SIGN_IN_FRAME_MAX + 1)).await.unwrap();
    expect_bad_message(&mut mallory).await;
    // In two frames, too.
    let mut mallory = page_from(&fixture, "192.0.2.1").await;
    mallory.0.send(part(Data::Text, &[b' '; SIGN_IN_FRAME_MAX], false)).await.unwrap();
    mallory.0.send(part(Data::Continue, b"{}", true)).await.unwrap();
    expect_bad_message(&mut mallory).await;
    let mut alice = page_from(&fixture, "192.0.2.2").await;
    alice.sign_in().await;
    alice.0.send(ping(TEXT_FRAME_MAX)).await.unwrap();
    assert!(matches!(alice.heard().await, ToPage::Pong { .. }));
}

#[tokio::test]
async fn a_message_of_frames_without_end_ends_its_connection() {
    let fixture = Fixture::build();
    let mut mallory = page_from(&fixture, "192.0.2.1").await;
    mallory.0.send(part(Data::Text, b"{", false)).await.unwrap();
    for _ in 0..200 {
        mallory.0.send(part(Data::Continue, b"", false)).await.unwrap();
    }
    expect_bad_message(&mut mallory).await;
}

#[tokio::test]
async fn challenges_that_are_held_keep_nobody_out() {
    let fixture = Fixture::build();
    let mut mallory = page_from(&fixture, "127.0.0.1").await;
    mallory.say(&FromPage::SignIn {}).await;
    assert!(matches!(mallory.heard().await, ToPage::Challenge { .. }));
    let _held: Vec<_> = (1..LOGINS_MAX).map(|_| fixture.front.capacity.login(Source::Local)).collect();
    let mut alice = page_from(&fixture, "192.0.2.1").await;
    alice.say(&FromPage::SignIn {}).await;
    assert!(matches!(alice.heard().await, ToPage::Challenge { .. }));
    assert_eq!(mallory.heard().await, ToPage::Refused { stream: None, refusal: Refusal::Busy });
    // Whoever lost a challenge can ask for another.
    mallory.say(&FromPage::SignIn {}).await;
    assert!(matches!(mallory.heard().await, ToPage::Challenge { .. }));
    alice.say(&FromPage::Answer { credential: "good".into(), resume: None }).await;
    assert!(matches!(alice.heard().await, ToPage::SignedIn { .. }));
}

#[tokio::test]
async fn a_source_holds_a_few_challenges_and_then_loses_its_own() {
    let fixture = Fixture::build();
    let mut mallory = page_from(&fixture, "2001:db8::1").await;
    mallory.say(&FromPage::SignIn {}).await;
    assert!(matches!(mallory.heard().await, ToPage::Challenge { .. }));
    let source = |n| Source::of(format!("2001:db8::{n:x}").parse().unwrap());
    let _held: Vec<_> =
        (2..=LOGINS_PER_SOURCE_MAX + 1).map(|n| fixture.front.capacity.login(source(n))).collect();
    assert_eq!(mallory.heard().await, ToPage::Refused { stream: None, refusal: Refusal::Busy });
}

#[tokio::test]
async fn idle_websockets_keep_nobody_from_signing_in() {
    let fixture = Fixture::build();
    let mut idle = fixture.page().await;
    let place = || fixture.front.capacity.socket(Source::Local);
    let _others: Vec<_> = (1..ANONYMOUS_MAX).map(|_| place()).collect();
    let mut alice = fixture.page().await;
    let closed = tokio::time::timeout(SOON, idle.0.next()).await.unwrap();
    assert!(closed.is_none_or(|frame| frame.is_err()), "the oldest is closed");
    alice.sign_in().await;
    // Signed in, she has a place that nobody else takes.
    let _more: Vec<_> = (0..2 * ANONYMOUS_MAX).map(|_| place()).collect();
    alice.say(&FromPage::Ping {}).await;
    assert!(matches!(alice.heard().await, ToPage::Pong { .. }));
}

#[tokio::test]
async fn a_sign_in_beyond_the_bound_is_refused_and_goes_on_when_somebody_leaves() {
    let fixture = Fixture::build();
    let mut signed_in: Vec<_> = (0..SIGNED_IN_MAX)
        .map(|_| {
            let place = fixture.front.capacity.socket(Source::Local);
            assert!(place.sign_in());
            place
        })
        .collect();
    let mut alice = fixture.page().await;
    alice.say(&FromPage::SignIn {}).await;
    assert!(matches!(alice.heard().await, ToPage::Challenge { .. }));
    alice.say(&FromPage::Answer { credential: "good".into(), resume: None }).await;
    assert_eq!(alice.heard().await, ToPage::Refused { stream: None, refusal: Refusal::Busy });
    signed_in.pop();
    alice.sign_in().await;
}
