use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::SystemTime;

use super::admission::{Rejection, SUBPROTOCOL};
use super::files::{File, Form};
use crate::config::Origin;

/// What every response says, errors and the upgrade too. xterm.js makes style elements without a
/// nonce, so inline styles are allowed; inline scripts never are.
const EVERY: &str = "\
Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
connect-src 'self'; img-src 'self' data:; font-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
form-action 'none'\r\n\
X-Content-Type-Options: nosniff\r\n\
X-Frame-Options: DENY\r\n\
Referrer-Policy: no-referrer\r\n\
Cross-Origin-Opener-Policy: same-origin\r\n\
Cross-Origin-Resource-Policy: same-origin\r\n\
Permissions-Policy: accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), \
magnetometer=(), microphone=(), midi=(), payment=(), usb=(), clipboard-read=(self), \
clipboard-write=(self), fullscreen=(self), publickey-credentials-create=(self), \
publickey-credentials-get=(self)\r\n";

/// A year: the browser does not even try http to this host. See RFC 6797.
const ONLY_HTTPS: &str = "Strict-Transport-Security: max-age=31536000\r\n";

/// Whether the socket is used for another request after the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Request,
    Close,
}

/// One response: its head, and its body.
#[derive(Debug)]
pub(super) struct Response<'a> {
    pub(super) head: String,
    pub(super) body: Cow<'a, [u8]>,
}

impl<'a> Response<'a> {
    /// A file of the page.
    pub(super) fn file(origin: &Origin, (file, form): (&File, &'a Form), next: Next) -> Self {
        let mut head = begin(origin, "200 OK", next);
        about(&mut head, file, form);
        if let Some(encoding) = form.encoding {
            let _ = write!(head, "Content-Encoding: {encoding}\r\n");
        }
        let _ = write!(head, "Content-Type: {}\r\nContent-Length: {}\r\n\r\n", file.media, form.bytes.len());
        Self { head, body: Cow::Borrowed(form.bytes) }
    }

    /// The browser has the file.
    pub(super) fn not_modified(origin: &Origin, (file, form): (&File, &Form), next: Next) -> Self {
        let mut head = begin(origin, "304 Not Modified", next);
        about(&mut head, file, form);
        head += "\r\n";
        Self { head, body: Cow::Borrowed(b"") }
    }

    /// The socket is a WebSocket from now on.
    pub(super) fn websocket(origin: &Origin, accept: &str) -> Self {
        let mut head = start(origin, "101 Switching Protocols");
        head += "Connection: Upgrade\r\nUpgrade: websocket\r\n";
        let _ =
            write!(head, "Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n");
        Self { head, body: Cow::Borrowed(b"") }
    }

    /// Nothing, and why. The socket is closed after it.
    pub(super) fn rejection(origin: &Origin, rejection: Rejection) -> Self {
        let status = match rejection {
            Rejection::Host | Rejection::Origin => "403 Forbidden",
            Rejection::NotFound => "404 Not Found",
            Rejection::Method => "405 Method Not Allowed",
            Rejection::NotAWebSocket | Rejection::Unreadable => "400 Bad Request",
            Rejection::NoUpgrade | Rejection::WebSocketVersion => "426 Upgrade Required",
            Rejection::TooLong => "431 Request Header Fields Too Large",
            Rejection::TooSlow => "408 Request Timeout",
        };
        let mut head = begin(origin, status, Next::Close);
        match rejection {
            Rejection::Method => head += "Allow: GET, HEAD\r\n",
            Rejection::NoUpgrade => head += "Upgrade: websocket\r\n",
            Rejection::WebSocketVersion => head += "Sec-WebSocket-Version: 13\r\n",
            Rejection::Host
            | Rejection::Origin
            | Rejection::NotFound
            | Rejection::NotAWebSocket
            | Rejection::Unreadable
            | Rejection::TooLong
            | Rejection::TooSlow => {}
        }
        let body = format!("{rejection}\n").into_bytes();
        head += "Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n";
        let _ = write!(head, "Content-Length: {}\r\n\r\n", body.len());
        Self { head, body: Cow::Owned(body) }
    }

    /// The response as bytes, for a `HEAD` without its body.
    pub(super) fn head_only(self) -> Self {
        Self { body: Cow::Borrowed(b""), ..self }
    }
}

fn start(origin: &Origin, status: &str) -> String {
    let date = httpdate::fmt_http_date(SystemTime::now());
    let only_https = if origin.is_https() { ONLY_HTTPS } else { "" };
    format!("HTTP/1.1 {status}\r\nDate: {date}\r\n{EVERY}{only_https}")
}

fn begin(origin: &Origin, status: &str, next: Next) -> String {
    let connection = match next {
        Next::Request => "",
        Next::Close => "Connection: close\r\n",
    };
    start(origin, status) + connection
}

/// The browser may keep the file. One whose name has a hash in it never changes; of any other, the
/// browser asks each time whether it is still the same.
fn about(head: &mut String, file: &File, form: &Form) {
    let keep = if file.is_immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    let _ = write!(head, "ETag: {}\r\nCache-Control: {keep}\r\nVary: Accept-Encoding\r\n", form.tag);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::files::Files;

    fn every_response(origin: &Origin) -> Vec<String> {
        let files = Files::embedded();
        let file = files.at("/").unwrap();
        let mut responses = vec![
            Response::file(origin, (file, file.form(&[b"br"])), Next::Request).head,
            Response::not_modified(origin, (file, file.form(&[])), Next::Close).head,
            Response::websocket(origin, "x").head,
        ];
        for rejection in [
            Rejection::Host,
            Rejection::Origin,
            Rejection::NotFound,
            Rejection::Method,
            Rejection::NotAWebSocket,
            Rejection::NoUpgrade,
            Rejection::WebSocketVersion,
            Rejection::Unreadable,
            Rejection::TooLong,
            Rejection::TooSlow,
        ] {
            responses.push(Response::rejection(origin, rejection).head);
        }
        responses
    }

    #[test]
    fn every_response_has_every_guard() {
        for (origin, https) in [("https://a.example", true), ("http://localhost:8080", false)] {
            for head in every_response(&origin.parse().unwrap()) {
                let mut headers = [httparse::EMPTY_HEADER; 32];
                let mut parsed = httparse::Response::new(&mut headers);
                assert!(parsed.parse(head.as_bytes()).unwrap().is_complete(), "{head}");
                let value = |name: &str| {
                    let found: Vec<_> = parsed.headers.iter().filter(|h| h.name == name).collect();
                    assert!(found.len() <= 1, "{name} twice in {head}");
                    found.first().map(|h| std::str::from_utf8(h.value).unwrap().to_owned())
                };
                let policy = value("Content-Security-Policy").unwrap();
                for part in
                    ["default-src 'none'", "script-src 'self';", "frame-ancestors 'none'", "base-uri 'none'"]
                {
                    assert!(policy.contains(part), "{part} in {policy}");
                }
                assert!(!policy.contains("unsafe-eval") && !policy.contains('*'));
                for (name, expected) in [
                    ("X-Content-Type-Options", "nosniff"),
                    ("X-Frame-Options", "DENY"),
                    ("Referrer-Policy", "no-referrer"),
                    ("Cross-Origin-Opener-Policy", "same-origin"),
                    ("Cross-Origin-Resource-Policy", "same-origin"),
                ] {
                    assert_eq!(value(name).as_deref(), Some(expected), "{head}");
                }
                assert!(value("Permissions-Policy").unwrap().contains("camera=()"));
                assert_eq!(value("Strict-Transport-Security").is_some(), https, "{head}");
                assert!(value("Set-Cookie").is_none() && value("Server").is_none());
            }
        }
    }
}
