//! Tests of a front behind a proxy that names its sources.

use std::time::Instant;

use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use super::fixture::{Fixture, Page, SOON};
use crate::config::ProxySource;
use crate::front::capacity::ANONYMOUS_PER_SOURCE_MAX;
use crate::front::source::Source;
use crate::protocol::Refusal;
use crate::protocol::page::{FromPage, ToPage};

const BOTH: [ProxySource; 2] = [ProxySource::ProxyProtocol, ProxySource::XForwardedFor];

/// A header of the PROXY protocol for a TCP connection over IPv4.
fn header(address: &str) -> Vec<u8> {
    let address: std::net::Ipv4Addr = address.parse().unwrap();
    let start = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c";
    [&start[..], &address.octets(), &[127, 0, 0, 1, 0x12, 0x34, 1, 187]].concat()
}

/// A page of a browser at this address, whose proxy passes it on.
async fn page_from(fixture: &Fixture, proxy: ProxySource, address: &str) -> Page<UnixStream> {
    let mut stream = UnixStream::connect(fixture.path()).await.unwrap();
    match proxy {
        ProxySource::ProxyProtocol => {
            stream.write_all(&header(address)).await.unwrap();
            Page::over(stream, &[]).await.unwrap()
        }
        ProxySource::XForwardedFor => Page::over(stream, &[("X-Forwarded-For", address)]).await.unwrap(),
    }
}

async fn enrol_with<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    page: &mut Page<S>,
    token: &str,
) -> ToPage {
    page.say(&FromPage::Enrol { token: token.into() }).await;
    page.heard().await
}

#[tokio::test]
async fn behind_a_proxy_a_source_whose_sign_ins_fail_is_held_back_and_nobody_else() {
    for proxy in BOTH {
        let fixture = Fixture::behind(proxy);
        let refused = |refusal| ToPage::Refused { stream: None, refusal };
        for _ in 0..6 {
            let mut page = page_from(&fixture, proxy, "192.0.2.1").await;
            assert_eq!(enrol_with(&mut page, "bad").await, refused(Refusal::LinkInvalid));
        }
        let mut page = page_from(&fixture, proxy, "192.0.2.1").await;
        assert_eq!(enrol_with(&mut page, "good").await, refused(Refusal::TooManyFailures), "{proxy:?}");
        let mut other = page_from(&fixture, proxy, "192.0.2.2").await;
        assert!(matches!(enrol_with(&mut other, "good").await, ToPage::Challenge { .. }), "{proxy:?}");
    }
}

#[tokio::test]
async fn behind_a_proxy_a_source_loses_its_own_sockets() {
    for proxy in BOTH {
        let fixture = Fixture::behind(proxy);
        let mut alice = page_from(&fixture, proxy, "192.0.2.2").await;
        let mut held = Vec::new();
        for _ in 0..=ANONYMOUS_PER_SOURCE_MAX {
            held.push(page_from(&fixture, proxy, "192.0.2.1").await);
        }
        let closed = async {
            loop {
                match held[0].0.next().await {
                    // On a busy host, the front looks meanwhile whether the page is there.
                    Some(Ok(frame)) if frame.is_ping() => {}
                    other => break other,
                }
            }
        };
        let closed = tokio::time::timeout(SOON, closed).await.unwrap();
        assert!(closed.is_none_or(|frame| frame.is_err()), "{proxy:?}");
        alice.sign_in().await;
    }
}

#[tokio::test]
async fn a_proxy_is_believed_on_its_own_socket_alone() {
    for proxy in BOTH {
        let fixture = Fixture::behind(proxy);
        for _ in 0..6 {
            let stream = TcpStream::connect(fixture.address).await.unwrap();
            let mut page = Page::over(stream, &[("X-Forwarded-For", "192.0.2.1")]).await.unwrap();
            let invalid = ToPage::Refused { stream: None, refusal: Refusal::LinkInvalid };
            assert_eq!(enrol_with(&mut page, "bad").await, invalid);
        }
        let named = Source::of("192.0.2.1".parse().unwrap());
        assert!(fixture.front.penalties.allow(named, Instant::now()), "every local user can write headers");
        let mut stream = TcpStream::connect(fixture.address).await.unwrap();
        stream.write_all(&header("192.0.2.1")).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
}

#[tokio::test]
async fn what_the_proxy_protocol_does_not_begin_is_closed_unanswered() {
    let fixture = Fixture::behind(ProxySource::ProxyProtocol);
    let mut stream = UnixStream::connect(fixture.path()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // The kernel resets a socket that is closed with bytes unread.
    drop(tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await.unwrap());
    assert_eq!(String::from_utf8(answer).unwrap(), "");
}

#[tokio::test]
async fn a_request_whose_source_the_proxy_does_not_name_is_refused() {
    let fixture = Fixture::behind(ProxySource::XForwardedFor);
    for (headers, status) in [
        ("", "400"),
        ("X-Forwarded-For: 192.0.2.1, 192.0.2.2\r\n", "400"),
        ("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\n", "400"),
        ("X-Forwarded-For: 192.0.2.1\r\n", "200"),
    ] {
        let mut stream = UnixStream::connect(fixture.path()).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{headers:?}: {answer}");
        assert_eq!(answer.contains("have it set X-Forwarded-For to that one address"), status == "400");
        assert!(answer.contains("\r\nContent-Security-Policy: default-src 'none'"));
    }
}
