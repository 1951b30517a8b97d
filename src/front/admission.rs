//! Admission: decides from the head of a request alone what it gets.
//!
//! A page of another site can make a browser send requests here, and can have a name of its own point
//! here. So every request must carry our Host, and every WebSocket our Origin, both exactly.

use super::files::{File, Files, Form};
use super::request::{Request, Version};
use crate::config::Origin;

/// The WebSocket subprotocol of [`crate::protocol::page`]. A new version of it is a new word.
pub(super) const SUBPROTOCOL: &str = "tere-2";

/// What a request gets.
#[derive(Debug)]
pub(super) enum Answer<'a> {
    /// A file of the page.
    File(&'a File, &'a Form),
    /// The same; the browser has it.
    NotModified(&'a File, &'a Form),
    /// A WebSocket: this is the value of `Sec-WebSocket-Accept`.
    WebSocket { accept: String },
}

/// Why a request gets nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Rejection {
    #[error(
        "the Host header is not this host's: open the address that 'origin' in tere.toml says, and have a proxy pass Host on unchanged"
    )]
    Host,
    #[error("the Origin header is not this page's")]
    Origin,
    #[error("there is nothing here")]
    NotFound,
    #[error("only GET and HEAD are served here")]
    Method,
    #[error("this address is for WebSockets of the page, subprotocol tere-2")]
    NotAWebSocket,
    #[error(
        "this address is for WebSockets, and the header Upgrade is missing: have a proxy pass Upgrade and Connection on"
    )]
    NoUpgrade,
    #[error("the WebSocket is of another version than 13")]
    WebSocketVersion,
    #[error("the request cannot be read")]
    Unreadable,
    #[error("the request is too long")]
    TooLong,
    #[error("the request did not come in time")]
    TooSlow,
}

/// Decides on a request.
pub(super) fn admit<'a>(
    request: &Request,
    origin: &Origin,
    files: &'a Files,
) -> Result<Answer<'a>, Rejection> {
    if request.all("host") != [origin.host_header().as_bytes()] {
        return Err(Rejection::Host);
    }
    let get = match request.method.as_str() {
        "GET" => true,
        "HEAD" => false,
        _ => return Err(Rejection::Method),
    };
    if request.path == "/ws" {
        return if get { websocket(request, origin) } else { Err(Rejection::Method) };
    }
    let file = files.at(&request.path).ok_or(Rejection::NotFound)?;
    let form = file.form(&request.all("accept-encoding"));
    // A proxy that compresses on its own makes the tag a weak one. See RFC 9110, section 13.1.2.
    let known = request.lists("if-none-match", &form.tag)
        || request.lists("if-none-match", &format!("W/{}", form.tag))
        || request.all("if-none-match") == [b"*"];
    Ok(if known { Answer::NotModified(file, form) } else { Answer::File(file, form) })
}

/// See RFC 6455, section 4.2.1.
fn websocket<'a>(request: &Request, origin: &Origin) -> Result<Answer<'a>, Rejection> {
    // The page asks so, to tell a proxy that drops the header from a server that is down.
    if request.all("upgrade").is_empty() {
        return Err(Rejection::NoUpgrade);
    }
    if request.all("origin") != [origin.as_str().as_bytes()] {
        return Err(Rejection::Origin);
    }
    let upgrade = request.lists("upgrade", "websocket") && request.lists("connection", "upgrade");
    let key = match request.all("sec-websocket-key").as_slice() {
        [key] if data_encoding::BASE64.decode(key).is_ok_and(|key| key.len() == 16) => key.to_vec(),
        _ => return Err(Rejection::NotAWebSocket),
    };
    if !upgrade || request.version != Version::Http11 || !request.lists("sec-websocket-protocol", SUBPROTOCOL)
    {
        return Err(Rejection::NotAWebSocket);
    }
    if request.all("sec-websocket-version") != [b"13"] {
        return Err(Rejection::WebSocketVersion);
    }
    Ok(Answer::WebSocket { accept: tokio_tungstenite::tungstenite::handshake::derive_accept_key(&key) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 7] = [
        ("Host", "shell.example.org"),
        ("Origin", "https://shell.example.org"),
        ("Connection", "keep-alive, Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Protocol", "tere-2"),
    ];

    fn ask(line: &str, headers: &[(&str, &str)]) -> Result<&'static str, Rejection> {
        let mut head = format!("{line} HTTP/1.1\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        let request = Request::parse((head + "\r\n").as_bytes()).unwrap();
        let origin = "https://shell.example.org".parse().unwrap();
        admit(&request, &origin, &Files::embedded()).map(|answer| match answer {
            Answer::File(..) => "file",
            Answer::NotModified(..) => "not modified",
            Answer::WebSocket { accept } => {
                assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "RFC 6455, section 1.3");
                "websocket"
            }
        })
    }

    /// A good upgrade in which `name` has `values` instead of its own.
    fn upgrade_with(name: &str, values: &[&str]) -> Result<&'static str, Rejection> {
        let mut headers: Vec<_> = GOOD.into_iter().filter(|header| header.0 != name).collect();
        headers.extend(values.iter().map(|value| (name, *value)));
        ask("GET /ws", &headers)
    }

    #[test]
    fn a_websocket_of_the_page_is_let_in() {
        assert_eq!(ask("GET /ws", &GOOD), Ok("websocket"));
        assert_eq!(upgrade_with("Sec-WebSocket-Protocol", &["other, tere-2"]), Ok("websocket"));
    }

    #[test]
    fn host_is_ours_to_the_letter() {
        for values in [
            &[][..],
            &["shell.example.org:443"],
            &["shell.example.org:8080"],
            &["Shell.example.org"],
            &["shell.example.org."],
            &["evil.example.org"],
            &["shell.example.org.evil.example"],
            &["127.0.0.1"],
            &["localhost"],
            &["null"],
            &[""],
            &["shell.example.org", "shell.example.org"],
            &["shell.example.org", "evil.example.org"],
        ] {
            assert_eq!(upgrade_with("Host", values), Err(Rejection::Host), "{values:?}");
            let headers: Vec<_> = values.iter().map(|value| ("Host", *value)).collect();
            assert_eq!(ask("GET /", &headers), Err(Rejection::Host), "{values:?}");
        }
    }

    #[test]
    fn origin_is_ours_to_the_letter() {
        for values in [
            &[][..],
            &["https://evil.example.org"],
            &["https://shell.example.org:443"],
            &["https://shell.example.org:8080"],
            &["http://shell.example.org"],
            &["https://shell.example.org/"],
            &["https://shell.example.org.evil.example"],
            &["https://Shell.example.org"],
            &["HTTPS://shell.example.org"],
            &["shell.example.org"],
            &["null"],
            &[""],
            &["https://shell.example.org", "https://shell.example.org"],
            &["https://shell.example.org", "https://evil.example.org"],
            &["https://shell.example.org, https://evil.example.org"],
        ] {
            assert_eq!(upgrade_with("Origin", values), Err(Rejection::Origin), "{values:?}");
        }
    }

    #[test]
    fn what_is_no_websocket_of_the_page_is_turned_away() {
        for (name, values) in [
            ("Upgrade", &["h2c"][..]),
            ("Connection", &[]),
            ("Connection", &["keep-alive"]),
            ("Sec-WebSocket-Key", &[]),
            ("Sec-WebSocket-Key", &["short"]),
            ("Sec-WebSocket-Key", &["dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="]),
            ("Sec-WebSocket-Protocol", &[]),
            ("Sec-WebSocket-Protocol", &["tere-1"]),
        ] {
            assert_eq!(upgrade_with(name, values), Err(Rejection::NotAWebSocket), "{name}: {values:?}");
        }
        assert_eq!(upgrade_with("Upgrade", &[]), Err(Rejection::NoUpgrade));
        for values in [&[][..], &["8"], &["13", "13"]] {
            assert_eq!(upgrade_with("Sec-WebSocket-Version", values), Err(Rejection::WebSocketVersion));
        }
        assert_eq!(ask("HEAD /ws", &GOOD), Err(Rejection::Method));
        assert_eq!(ask("POST /ws", &GOOD), Err(Rejection::Method));
    }

    #[test]
    fn the_page_is_served_and_nothing_else() {
        let host = ("Host", "shell.example.org");
        assert_eq!(ask("GET /", &[host]), Ok("file"));
        assert_eq!(ask("HEAD /?x=1", &[host]), Ok("file"));
        for path in ["/index.html", "/../Cargo.toml", "//", "/ws/", "/WS", "/.", "/%2e", "/favicon.ico"] {
            assert_eq!(ask(&format!("GET {path}"), &[host]), Err(Rejection::NotFound), "{path}");
        }
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get"] {
            assert_eq!(ask(&format!("{method} /"), &[host]), Err(Rejection::Method), "{method}");
        }
        let files = Files::embedded();
        let tag = &files.at("/").unwrap().form(&[]).tag;
        assert_eq!(ask("GET /", &[host, ("If-None-Match", tag)]), Ok("not modified"));
        assert_eq!(ask("GET /", &[host, ("If-None-Match", "\"other\"")]), Ok("file"));
    }
}
