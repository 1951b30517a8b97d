//! What a fuzzer sends to the front, and what must hold then: see `fuzz/`. Only in tests and with
//! the feature `fuzz`.

// A panic is how a fuzzer notices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::Front;
pub use super::connection::fuzz::{page, websocket};
use super::proxy::{HeaderFault, forwarded_for, read_header};
use super::script::{Script, run, run_at_once};
use super::socket::{HEAD_MAX, HEADERS_MAX, REQUESTS_MAX, SourceFrom, serve};
use super::source::Source;

/// The origin of the page.
const ORIGIN: &str = "https://shell.example.org";
const HOST: &str = "shell.example.org";

/// Headers that every response has, in lower case.
const ALWAYS: [&str; 3] = ["content-security-policy", "x-content-type-options", "x-frame-options"];

/// Longest that nothing may take: all bytes are there from the beginning.
const PATIENCE: Duration = Duration::from_secs(20);

/// A header of the PROXY protocol with bytes behind it, or, if the first byte is 1, the values of
/// `X-Forwarded-For`, a line each.
pub fn proxy(data: &[u8]) {
    match data {
        [1, lines @ ..] => forwarded(lines),
        [_, bytes @ ..] => header(bytes),
        [] => {}
    }
}

fn header(bytes: &[u8]) {
    let (read, left) = read_in_parts(bytes, usize::MAX);
    assert_eq!((read, left), read_in_parts(bytes, 1), "byte by byte");
    let Ok(source) = read else { return };
    // Nothing behind the header is read, and the source is the address in it.
    let length = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    assert_eq!(bytes.len() - left, 16 + length);
    let expected = match bytes[13] {
        _ if bytes[12] == 0x20 => Source::Local,
        0x11 => Source::of(<[u8; 4]>::try_from(&bytes[16..20]).unwrap().into()),
        0x21 => Source::of(<[u8; 16]>::try_from(&bytes[16..32]).unwrap().into()),
        other => panic!("family {other}"),
    };
    assert_eq!((source, &bytes[..12]), (expected, &b"\r\n\r\n\0\r\nQUIT\n"[..]));
}

/// The source, and how many bytes are left.
fn read_in_parts(bytes: &[u8], part: usize) -> (Result<Source, HeaderFault>, usize) {
    let (mut script, _) = Script::new(bytes, part);
    let read = run_at_once(read_header(&mut script, PATIENCE));
    assert_ne!(read, Err(HeaderFault::TooSlow));
    (read, script.left())
}

fn forwarded(lines: &[u8]) {
    let values: Vec<_> =
        lines.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok()).collect();
    let name = HeaderName::from_static("x-forwarded-for");
    let headers: HeaderMap = values.iter().map(|value| (name.clone(), value.clone())).collect();
    if let Ok(source) = forwarded_for(&headers) {
        assert_eq!(values.len(), 1);
        let address: IpAddr = values[0].to_str().unwrap().parse().unwrap();
        assert_eq!(source, Source::of(address));
    }
}

/// A socket of HTTP. The first byte says whether a proxy names the source of each request, and in
/// parts of which size the bytes arrive the second time.
pub fn http(data: &[u8]) {
    if let Some((first, input)) = data.split_first() {
        answers(*first, input);
    }
}

fn answers(first: u8, input: &[u8]) -> Vec<Answer> {
    static FRONT: LazyLock<Arc<Front>> =
        LazyLock::new(|| Arc::new(Front::new(ORIGIN.parse().unwrap(), "/nowhere/auth.sock".into())));
    let source_from = if first & 1 == 0 { SourceFrom::Socket(Source::Local) } else { SourceFrom::Header };
    let answered = |part: usize| {
        let (script, output) = Script::new(input, part);
        let place = Arc::new(FRONT.capacity.socket(Source::Local));
        run(serve(script, source_from, place, &FRONT));
        let output = std::mem::take(&mut *output.lock().unwrap());
        responses(&output, input)
    };
    let whole = answered(usize::MAX);
    check(&whole, input, source_from);
    let part = usize::from(first >> 1) + 1;
    // A long request in small parts takes long.
    let mut parts = answered(if input.len() > 2048 { 64 * part } else { part });
    check(&parts, input, source_from);
    // A request that is both too long and unreadable is refused for what is noticed first.
    let is_either = |answer: &Answer| matches!(answer.status, 400 | 431);
    for (one, other) in parts.iter_mut().zip(&whole) {
        if is_either(one) && is_either(other) {
            *one = other.clone();
        }
    }
    assert_eq!(whole, parts, "in parts");
    whole
}

/// A response of the front.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    status: u16,
    /// The headers without the date, in lower case.
    headers: Vec<String>,
    length: usize,
}

/// Reads the responses as a browser does. Each is whole, and has the headers that guard the page.
fn responses(mut output: &[u8], input: &[u8]) -> Vec<Answer> {
    let heads = heads(input);
    let mut answers = Vec::new();
    while !output.is_empty() {
        let end = find(output, b"\r\n\r\n").expect("a whole head");
        let head = std::str::from_utf8(&output[..end]).unwrap();
        output = &output[end + 4..];
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().strip_prefix("HTTP/1.").unwrap()[2..5].parse().unwrap();
        let headers: Vec<_> =
            lines.map(str::to_ascii_lowercase).filter(|line| !line.starts_with("date:")).collect();
        let value = |name: &str| {
            let mut values = headers.iter().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            let value = values.next();
            assert!(values.next().is_none(), "{name} twice: {headers:?}");
            value
        };
        for name in ALWAYS {
            assert!(value(name).is_some(), "no {name}: {headers:?}");
        }
        if status == 101 {
            answers.push(Answer { status, headers, length: 0 });
            // Frames follow.
            return answers;
        }
        let is_head = heads.get(answers.len()).is_some_and(|head| head.starts_with(b"HEAD "));
        let mut length: usize = value("content-length").map_or(0, |length| length.parse().unwrap());
        if status >= 400 {
            // The last response. It has no body if the request, however malformed, is for a head.
            let connection = value("connection").unwrap_or_default();
            assert!(connection.split(", ").any(|word| word == "close"), "{status}: {connection}");
            assert!(
                output.is_empty() || output.len() == length,
                "{} bytes instead of {length}",
                output.len()
            );
            length = output.len();
        } else if status == 304 || is_head {
            length = 0;
        }
        assert!(length <= output.len(), "a body of {} instead of {length} bytes", output.len());
        output = &output[length..];
        answers.push(Answer { status, headers, length });
    }
    answers
}

/// What is let through is a request for this page that another reader finds too.
fn check(answers: &[Answer], input: &[u8], source_from: SourceFrom) {
    assert!(answers.len() <= REQUESTS_MAX);
    let heads = heads(input);
    for (number, answer) in answers.iter().enumerate() {
        if !matches!(answer.status, 101 | 200 | 304) {
            continue;
        }
        let head = heads.get(number).expect("a request for each response");
        assert!(head.len() <= HEAD_MAX, "a head of {} bytes", head.len());
        let head = head.to_ascii_lowercase();
        let text = [&head[..], b"\r"].concat();
        let mut lines = text
            .split(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").expect("a line that ends with CR LF").to_vec());
        let request = lines.next().unwrap();
        assert!(request.starts_with(b"get /") || request.starts_with(b"head /"), "{request:?}");
        let headers: Vec<(Vec<u8>, Vec<u8>)> = lines
            .map(|line| {
                let colon = line.iter().position(|byte| *byte == b':').expect("a colon");
                (line[..colon].to_vec(), line[colon + 1..].trim_ascii().to_vec())
            })
            .collect();
        assert!(headers.len() <= HEADERS_MAX, "{} headers", headers.len());
        let values = |name: &[u8]| -> Vec<&[u8]> {
            let named = headers.iter().filter(|header| header.0 == name);
            named.map(|header| header.1.as_slice()).collect()
        };
        assert_eq!(values(b"host"), [HOST.as_bytes()]);
        assert!(values(b"transfer-encoding").is_empty());
        assert!(values(b"content-length").iter().all(|length| *length == b"0"));
        if matches!(source_from, SourceFrom::Header) {
            assert_eq!(values(b"x-forwarded-for").len(), 1);
        }
        if answer.status == 101 {
            assert!(request.starts_with(b"get /ws"), "{request:?}");
            assert_eq!(values(b"origin"), [ORIGIN.as_bytes()]);
            assert_eq!(values(b"sec-websocket-version"), [b"13"]);
            assert_eq!(values(b"sec-websocket-key").len(), 1);
        }
    }
}

/// The heads in the input, without the empty line behind each.
fn heads(mut input: &[u8]) -> Vec<&[u8]> {
    let mut heads = Vec::new();
    loop {
        while let Some(behind) = input.strip_prefix(b"\r\n") {
            input = behind;
        }
        let Some(end) = find(input, b"\r\n\r\n") else { return heads };
        heads.push(&input[..end]);
        input = &input[end + 4..];
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::mutation::mutated;

    const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: shell.example.org\r\nOrigin: https://shell.example.org\r\n\
        Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: tere-6\r\n\
        X-Forwarded-For: 192.0.2.1\r\n\r\n";
    const FILES: &str = "GET / HTTP/1.1\r\nHost: shell.example.org\r\n\r\n\
        HEAD /?x HTTP/1.1\r\nhost: shell.example.org\r\nContent-Length: 0\r\n\r\n";

    /// A masked text, a ping, and a binary message in two frames.
    const FRAMES: &[u8] = b"\x81\x84\0\0\0\0text\x89\x80\0\0\0\0\x02\x81\x01\x02\x03\x04a\x80\x81\0\0\0\0b";

    /// A sign-in, an open stream, and input for it.
    const EVENTS: &str = "{\"type\":\"sign-in\"}\nac\n{\"type\":\"answer\",\"credential\":{}}\nasalice\n\
        {\"type\":\"open\",\"stream\":1,\"target\":{\"machine\":\"web1\",\"user\":\"dev\"},\"size\":\
        {\"cols\":80,\"rows\":24}}\nb\0\x01\x01\0\0\0\x07ls\nt\x20\n{\"type\":\"close\",\"stream\":1}";

    fn input(first: u8, bytes: &[u8]) -> Vec<u8> {
        [&[first][..], bytes].concat()
    }

    #[test]
    fn a_request_is_answered_and_a_websocket_opened() {
        let statuses = |first, request: &str| {
            let answers = super::answers(first, request.as_bytes()).into_iter();
            answers.map(|answer| answer.status).collect::<Vec<_>>()
        };
        for part in 0..128 {
            assert_eq!(statuses(part << 1, FILES), [200, 200]);
            assert_eq!(statuses(part << 1 | 1, FILES), [400]);
            for first in [part << 1, part << 1 | 1] {
                assert_eq!(statuses(first, UPGRADE), [101]);
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_almost_a_request_gets_whole_answers_and_no_more_than_it_may_have(
            request in prop::sample::select(vec![UPGRADE, FILES])
                .prop_flat_map(|text| mutated(text.as_bytes().to_vec())),
            first in any::<u8>(),
        ) {
            super::http(&input(first, &request));
        }

        #[test]
        fn what_is_almost_a_frame_is_read_as_another_reader_reads_it(
            frames in mutated(FRAMES.to_vec()),
            first in any::<u8>(),
        ) {
            super::websocket(&input(first, &frames));
        }

        #[test]
        fn a_page_that_says_almost_what_it_should_gets_nothing_before_it_has_signed_in(
            events in mutated(EVENTS.as_bytes().to_vec()),
        ) {
            super::page(&events);
        }
    }
}
