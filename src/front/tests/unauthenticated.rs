//! What people who are not signed in cost others. Here all sockets are local, so the tests name the
//! sources.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::SinkExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::fixture::{Fixture, Page};
use crate::front::connection;
use crate::front::login_places::LOGINS_MAX;
use crate::front::source::Source;
use crate::protocol::Refusal;
use crate::protocol::page::{FromPage, ToPage};

/// A page from this address, whose HTTP is over.
async fn page_from(fixture: &Fixture, address: &str) -> Page {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (theirs, _) = listener.accept().await.unwrap();
    let (front, source) = (Arc::clone(&fixture.front), Source::of(address.parse().unwrap()));
    tokio::spawn(async move {
        let page = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
        connection::run(page, front, source).await;
    });
    Page(WebSocketStream::from_raw_socket(ours, Role::Client, None).await)
}

async fn enrol_with(page: &mut Page, token: &str) -> ToPage {
    page.say(&FromPage::Enrol { token: token.to_owned() }).await;
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
    const PONGS: u32 = 10_000;
    let fixture = Fixture::build();
    let mut mallory = page_from(&fixture, "192.0.2.1").await;
    let began = Instant::now();
    for _ in 0..PONGS {
        mallory.0.send(Message::Pong(Bytes::new())).await.unwrap();
    }
    mallory.say(&FromPage::SignIn {}).await;
    assert!(matches!(mallory.heard().await, ToPage::Challenge { .. }));
    // 500 in a tenth of a second, of which the first may be half over.
    assert!(began.elapsed() > Duration::from_millis(1800), "{:?}", began.elapsed());
}

#[tokio::test]
async fn challenges_that_are_held_keep_nobody_out() {
    let fixture = Fixture::build();
    let mut mallory = page_from(&fixture, "2001:db8::1").await;
    mallory.say(&FromPage::SignIn {}).await;
    assert!(matches!(mallory.heard().await, ToPage::Challenge { .. }));
    let held = |n| fixture.front.logins.take(Source::of(format!("2001:db8::{n:x}").parse().unwrap()));
    let _held: Vec<_> = (2..=LOGINS_MAX).map(held).collect();
    let mut alice = page_from(&fixture, "192.0.2.1").await;
    alice.say(&FromPage::SignIn {}).await;
    assert!(matches!(alice.heard().await, ToPage::Challenge { .. }));
    assert_eq!(mallory.heard().await, ToPage::Refused { stream: None, refusal: Refusal::Busy });
    // Whoever lost a challenge can ask for another.
    mallory.say(&FromPage::SignIn {}).await;
    assert!(matches!(mallory.heard().await, ToPage::Challenge { .. }));
    alice.say(&FromPage::Answer { credential: "good".into() }).await;
    assert!(matches!(alice.heard().await, ToPage::SignedIn { .. }));
}
