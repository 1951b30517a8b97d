//! Tests of HTTP: which requests are served, and which are rejected.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::fixture::{Fixture, ORIGIN, SOON};
use crate::front::Front;
use crate::front::capacity::ANONYMOUS_MAX;
use crate::front::socket::{self, SourceFrom, Timeouts};
use crate::front::source::Source;

/// Sends `request`, and reads until the front closes the socket.
async fn exchange(fixture: &Fixture, request: &str) -> String {
    let mut stream = TcpStream::connect(fixture.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn the_page_comes_whole_and_sockets_are_used_again() {
    let fixture = Fixture::without_auth();
    let page = std::str::from_utf8(fixture.front.files.at("/").unwrap().form(&[]).bytes).unwrap();
    let get = |more: &str| format!("GET / HTTP/1.1\r\nHost: localhost:8080\r\n{more}\r\n");
    let two = exchange(&fixture, &(get("") + &get("Connection: close\r\n"))).await;
    assert_eq!(two.matches("HTTP/1.1 200 OK\r\n").count(), 2);
    assert_eq!(two.matches(page).count(), 2);
    let head =
        exchange(&fixture, "HEAD / HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\n\r\n").await;
    assert!(
        head.contains(&format!("Content-Length: {}\r\n", page.len())) && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    let old = exchange(&fixture, "GET / HTTP/1.0\r\nHost: localhost:8080\r\n\r\n").await;
    assert!(old.ends_with(page), "a proxy may speak HTTP/1.0");
}

#[tokio::test]
async fn a_second_visit_costs_one_answer_without_a_body() {
    let fixture = Fixture::without_auth();
    let page = fixture.front.files.at("/").unwrap();
    let (brotli, plain) = (page.form(&[b"br"]), page.form(&[]));
    let get =
        |more: &str| format!("GET / HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\n{more}\r\n");
    let mut stream = TcpStream::connect(fixture.address).await.unwrap();
    stream.write_all(get("Accept-Encoding: gzip, br\r\n").as_bytes()).await.unwrap();
    let mut first = Vec::new();
    stream.read_to_end(&mut first).await.unwrap();
    assert!(first.ends_with(brotli.bytes));
    let head = String::from_utf8_lossy(&first);
    for header in ["Content-Encoding: br", "Vary: Accept-Encoding", "Cache-Control: no-cache"] {
        assert!(head.contains(&format!("\r\n{header}\r\n")), "{header}");
    }
    let known = |tag: &str| get(&format!("Accept-Encoding: gzip, br\r\nIf-None-Match: {tag}\r\n"));
    let (brotli_tag, plain_tag) = (brotli.tag.to_str().unwrap(), plain.tag.to_str().unwrap());
    for tag in [brotli_tag.to_owned(), format!("W/{brotli_tag}")] {
        let second = exchange(&fixture, &known(&tag)).await;
        assert!(second.starts_with("HTTP/1.1 304 ") && second.ends_with("\r\n\r\n"), "{second}");
        assert!(second.contains("\r\nVary: Accept-Encoding\r\n"));
    }
    let mut stream = TcpStream::connect(fixture.address).await.unwrap();
    stream.write_all(known(plain_tag).as_bytes()).await.unwrap();
    let mut other = Vec::new();
    stream.read_to_end(&mut other).await.unwrap();
    assert!(other.starts_with(b"HTTP/1.1 200 "), "the tag is that of another form");
}

#[tokio::test]
async fn what_is_refused_is_refused_before_the_upgrade_and_with_every_guard() {
    let fixture = Fixture::without_auth();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: tere-6\r\n";
    let host = "Host: localhost:8080\r\n";
    for (request, status) in [
        (format!("GET /ws HTTP/1.1\r\n{host}{upgrade}\r\n"), "403"),
        (format!("GET /ws HTTP/1.1\r\n{host}Origin: http://localhost:8081\r\n{upgrade}\r\n"), "403"),
        (format!("GET /ws HTTP/1.1\r\n{host}Origin: null\r\n{upgrade}\r\n"), "403"),
        (format!("GET /ws HTTP/1.1\r\nHost: localhost\r\nOrigin: {ORIGIN}\r\n{upgrade}\r\n"), "403"),
        ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n".into(), "403"),
        (format!("GET /ws HTTP/1.1\r\n{host}Origin: {ORIGIN}\r\n\r\n"), "426"),
        (format!("GET /ws HTTP/1.1\r\n{host}\r\n"), "426"),
        (format!("GET /etc/passwd HTTP/1.1\r\n{host}\r\n"), "404"),
        (format!("POST / HTTP/1.1\r\n{host}\r\n"), "405"),
        (format!("GET / HTTP/1.1\r\n{host}Content-Length: 3\r\n\r\n"), "400"),
        ("nonsense\r\n\r\n".into(), "400"),
        (format!("GET / HTTP/1.1\r\n{host}X: {}\r\n\r\n", "a".repeat(17_000)), "431"),
    ] {
        let answer = exchange(&fixture, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:.99}\n{answer}");
        assert!(
            answer.contains("\r\nContent-Security-Policy: default-src 'none'") && answer.contains("nosniff")
        );
        assert!(answer.contains("\r\nConnection: close\r\n"));
    }
}

const SHORT: Duration = Duration::from_millis(300);

/// A socket served by a front with short timeouts. `room` is the size of the buffer in each
/// direction, bytes.
fn serve(room: usize) -> (DuplexStream, JoinHandle<()>) {
    let (ours, theirs) = tokio::io::duplex(room);
    let mut front = Front::new(ORIGIN.parse().unwrap(), "/nowhere/auth.sock".into());
    front.timeouts = Timeouts { head: SHORT, response: SHORT };
    let front = Arc::new(front);
    let served = tokio::spawn(async move {
        let place = Arc::new(front.capacity.socket(Source::Local));
        socket::serve(theirs, SourceFrom::Socket(Source::Local), place, &front).await;
    });
    (ours, served)
}

#[tokio::test]
async fn a_head_that_drips_is_cut_off() {
    let (mut stream, served) = serve(64 * 1024);
    let begun = Instant::now();
    let mut tick = tokio::time::interval(SHORT / 10);
    for byte in b"GET / HTTP/1.1\r\nHost: localhost:8080\r\nX: aaaa".iter().cycle() {
        tick.tick().await;
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        assert!(begun.elapsed() < SOON, "it was not cut off");
    }
    assert!(begun.elapsed() >= SHORT);
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 408 "));
    served.await.unwrap();
}

#[tokio::test]
async fn a_socket_that_says_nothing_is_closed() {
    let (mut stream, served) = serve(64 * 1024);
    let mut answer = Vec::new();
    tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert!(answer.is_empty());
    served.await.unwrap();
}

#[tokio::test]
async fn a_browser_that_does_not_read_is_left() {
    let (mut stream, served) = serve(64);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n").await.unwrap();
    tokio::time::timeout(SOON, served).await.unwrap().unwrap();
}

/// Sends `bytes` and closes the sending side. Returns the front's answer.
async fn answers(bytes: &[u8]) -> String {
    let (mut stream, served) = serve(1024 * 1024);
    // The front may close before it has read everything.
    drop(stream.write_all(bytes).await);
    drop(stream.shutdown().await);
    let mut answer = Vec::new();
    tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    served.await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn what_is_not_a_request_is_refused() {
    let host = "Host: localhost:8080\r\n";
    let long = format!("GET / HTTP/1.1\r\n{host}X: {}\r\n\r\n", "a".repeat(16 * 1024));
    let many = format!("GET / HTTP/1.1\r\n{host}{}\r\n", "X: 1\r\n".repeat(64));
    for text in [&long, &many] {
        assert!(answers(text.as_bytes()).await.starts_with("HTTP/1.1 431 "), "{text:.99}");
    }
    let most = format!("GET / HTTP/1.1\r\n{host}{}\r\n", "X: 1\r\n".repeat(63));
    assert!(answers(most.as_bytes()).await.starts_with("HTTP/1.1 200 "));
    for text in [
        "GET / HTTP/1.1\r\n".to_owned(),
        format!("GET / HTTP/2.0\r\n{host}\r\n"),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        format!("GET http://localhost:8080/ HTTP/1.1\r\n{host}\r\n"),
        format!("OPTIONS * HTTP/1.1\r\n{host}\r\n"),
        format!("CONNECT localhost:8080 HTTP/1.1\r\n{host}\r\n"),
        "GET\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost : localhost:8080\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\n{host} folded: a\r\n\r\n"),
        "\x16\x03\x01\x02\r\n\r\n".to_owned(),
    ] {
        let answer = answers(text.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{text:?}: {answer}");
        assert!(answer.contains("\r\nContent-Security-Policy: default-src 'none'"));
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
    assert_eq!(answers(b"").await, "");
}

#[tokio::test]
async fn a_line_of_a_request_does_not_end_with_a_line_feed_alone() {
    let good = "HEAD / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n";
    assert!(answers(good.as_bytes()).await.starts_with("HTTP/1.1 200 "));
    for bad in [
        "HEAD / HTTP/1.1\nHost: localhost:8080\r\n\r\n",
        "HEAD / HTTP/1.1\r\nHost: localhost:8080\n\r\n",
        "HEAD / HTTP/1.1\r\nHost: localhost:8080\r\n\n",
        "HEAD / HTTP/1.1\nHost: localhost:8080\n\n",
        "\nHEAD / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n",
    ] {
        let answer = answers(bad.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{bad:?}: {answer}");
        assert!(answer.contains("\r\nContent-Security-Policy: default-src 'none'"));
        // Behind a good one, too, and the good one is answered.
        let answer = answers(format!("{good}{bad}{good}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 400 ").count(), 1, "{bad:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 2, "nothing behind it is a request: {answer}");
    }
}

#[tokio::test]
async fn no_request_has_a_body() {
    for body in [
        "Content-Length: 5\r\n\r\nhello",
        "Content-Length: 0\r\nContent-Length: 1\r\n\r\n1",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: identity\r\n\r\n",
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
    ] {
        let smuggled = "GET /smuggled HTTP/1.1\r\nHost: localhost:8080\r\n\r\n";
        let answer =
            answers(format!("GET / HTTP/1.1\r\nHost: localhost:8080\r\n{body}{smuggled}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{body:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "nothing behind it is a request: {answer}");
    }
    let empty = b"GET / HTTP/1.1\r\nHost: localhost:8080\r\nContent-Length: 0\r\n\r\n";
    assert!(answers(empty).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn what_hyper_cannot_read_behind_a_response_is_refused_behind_it() {
    let fixture = Fixture::without_auth();
    let page = fixture.front.files.at("/").unwrap().form(&[]).bytes.len();
    let answer = answers(b"GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\nnonsense\r\n\r\n").await;
    let (head, rest) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let refused = &rest.as_bytes()[page..];
    assert!(refused.starts_with(b"HTTP/1.1 400 "), "{:.99}", String::from_utf8_lossy(refused));
    assert_eq!(answer.matches("HTTP/1.1 400 ").count(), 1);
}

#[tokio::test]
async fn a_socket_is_closed_after_a_hundred_requests() {
    let answer = answers("HEAD / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n".repeat(101).as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 200 ").count(), 100);
    assert_eq!(answer.matches("\r\nConnection: close\r\n").count(), 1);
}

/// A frame that arrives in the same packet as the WebSocket request is not lost, and the WebSocket
/// has the place of its socket.
#[tokio::test]
async fn a_frame_right_behind_the_upgrade_is_heard() {
    let fixture = Fixture::build();
    let mut stream = TcpStream::connect(fixture.address).await.unwrap();
    let upgrade = format!(
        "GET /ws HTTP/1.1\r\nHost: localhost:8080\r\nOrigin: {ORIGIN}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: tere-6\r\n\r\n"
    );
    // A text frame, masked with zeros.
    let message = br#"{"type":"sign-in"}"#;
    let head = [0x81, 0x80 | u8::try_from(message.len()).unwrap(), 0, 0, 0, 0];
    stream.write_all(&[upgrade.as_bytes(), &head, message].concat()).await.unwrap();
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains("challenge") {
        let mut buffer = [0; 4096];
        let read = tokio::time::timeout(SOON, stream.read(&mut buffer)).await.unwrap().unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&heard));
        heard.extend_from_slice(&buffer[..read]);
    }
    let text = String::from_utf8_lossy(&heard);
    assert!(text.starts_with("HTTP/1.1 101 ") && text.contains("nosniff"), "{text}");
    // It has its place, and loses it when others need it.
    let _others: Vec<_> = (0..ANONYMOUS_MAX).map(|_| fixture.front.capacity.socket(Source::Local)).collect();
    let closed = async { while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {} };
    tokio::time::timeout(SOON, closed).await.unwrap();
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_front_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(answers(&bytes));
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
}
