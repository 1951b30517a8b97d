//! What is served, and what is rejection away.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::stand_ins::{House, ORIGIN, SOON};
use crate::front::Front;
use crate::front::capacity::{SOCKETS_PER_SOURCE_MAX, Source};
use crate::front::socket::{Socket, Timeouts};

/// Sends `request` and reads until the front closes.
async fn exchange(house: &House, request: &str) -> String {
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn the_page_comes_whole_and_sockets_are_used_again() {
    let house = House::without_auth();
    let page = std::str::from_utf8(house.front.files.at("/").unwrap().form(&[]).bytes).unwrap();
    let get = |more: &str| format!("GET / HTTP/1.1\r\nHost: localhost:8080\r\n{more}\r\n");
    let two = exchange(&house, &(get("") + &get("Connection: close\r\n"))).await;
    assert_eq!(two.matches("HTTP/1.1 200 OK\r\n").count(), 2);
    assert_eq!(two.matches(page).count(), 2);
    let head = exchange(&house, "HEAD / HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\n\r\n").await;
    assert!(
        head.contains(&format!("Content-Length: {}\r\n", page.len())) && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    let old = exchange(&house, "GET / HTTP/1.0\r\nHost: localhost:8080\r\n\r\n").await;
    assert!(old.ends_with(page), "a proxy may speak HTTP/1.0");
}

#[tokio::test]
async fn a_second_visit_costs_one_answer_without_a_body() {
    let house = House::without_auth();
    let page = house.front.files.at("/").unwrap();
    let (brotli, plain) = (page.form(&[b"br"]), page.form(&[]));
    let get =
        |more: &str| format!("GET / HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\n{more}\r\n");
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(get("Accept-Encoding: gzip, br\r\n").as_bytes()).await.unwrap();
    let mut first = Vec::new();
    stream.read_to_end(&mut first).await.unwrap();
    assert!(first.ends_with(brotli.bytes));
    let head = String::from_utf8_lossy(&first);
    for header in ["Content-Encoding: br", "Vary: Accept-Encoding", "Cache-Control: no-cache"] {
        assert!(head.contains(&format!("\r\n{header}\r\n")), "{header}");
    }
    let known = |tag: &str| get(&format!("Accept-Encoding: gzip, br\r\nIf-None-Match: {tag}\r\n"));
    for tag in [brotli.tag.clone(), format!("W/{}", brotli.tag)] {
        let second = exchange(&house, &known(&tag)).await;
        assert!(second.starts_with("HTTP/1.1 304 ") && second.ends_with("\r\n\r\n"), "{second}");
        assert!(second.contains("\r\nVary: Accept-Encoding\r\n"));
    }
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(known(&plain.tag).as_bytes()).await.unwrap();
    let mut other = Vec::new();
    stream.read_to_end(&mut other).await.unwrap();
    assert!(other.starts_with(b"HTTP/1.1 200 "), "the tag is that of another form");
}

#[tokio::test]
async fn what_is_refused_is_refused_before_the_upgrade_and_with_every_guard() {
    let house = House::without_auth();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: tere-2\r\n";
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
        let answer = exchange(&house, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:.99}\n{answer}");
        assert!(
            answer.contains("\r\nContent-Security-Policy: default-src 'none'") && answer.contains("nosniff")
        );
        assert!(answer.contains("\r\nConnection: close\r\n"));
    }
}

const SHORT: Duration = Duration::from_millis(300);

/// A socket that a front of little timeouts serves, with `room` bytes in the kernel's stead.
fn serve(room: usize) -> (DuplexStream, JoinHandle<()>) {
    let (ours, theirs) = tokio::io::duplex(room);
    let mut front = Front::new(ORIGIN.parse().unwrap(), "/nowhere/auth.sock".into());
    front.timeouts = Timeouts { head: SHORT, response: SHORT };
    let served = tokio::spawn(async move { Socket::new(theirs, Source::Local).serve(&front).await });
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

#[tokio::test]
async fn a_source_at_its_bound_is_turned_away_and_others_are_not() {
    let house = House::without_auth();
    let source = Source::of("192.0.2.1".parse().unwrap());
    let places: Vec<_> =
        (0..SOCKETS_PER_SOURCE_MAX).map(|_| house.front.capacity.take(source).unwrap()).collect();
    assert!(house.front.capacity.take(source).is_err());
    assert!(house.front.capacity.take(Source::Local).is_ok());
    drop(places);
    assert!(house.front.capacity.take(source).is_ok());
}
