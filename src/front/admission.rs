//! Admission: decides from the head of a request alone whether the request is served.
//!
//! A page of another site can make a browser send requests here, and another site can point its own
//! domain name here. So every request must have exactly our Host, and every WebSocket exactly our
//! Origin.

use axum::extract::Request;
use axum::http::header::{self, AsHeaderName, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, Version};

use super::client::Client;
use crate::config::Origin;
use crate::protocol::page::CLIENT_SUBPROTOCOL;

/// An admitted WebSocket.
#[derive(Debug)]
pub(super) struct Accept {
    /// The value of `Sec-WebSocket-Accept`.
    pub(super) header: HeaderValue,
    /// Who is at its other end.
    pub(super) client: Client,
}

/// Why a request is refused.
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
    #[error("this address is for WebSockets of the page, subprotocol tere-6")]
    NotAWebSocket,
    #[error(
        "this address is for WebSockets, and the header Upgrade is missing: have a proxy pass Upgrade and Connection on"
    )]
    NoUpgrade,
    #[error("the WebSocket is of another version than 13")]
    WebSocketVersion,
    #[error("the request cannot be read")]
    Unreadable,
    #[error(
        "the proxy does not name the browser's address: have it set X-Forwarded-For to that one address, or correct 'proxy' in tere.toml"
    )]
    NoSource,
    #[error("the request is too long")]
    TooLong,
    #[error("the request did not come in time")]
    TooSlow,
}

impl Rejection {
    /// The body of the response.
    pub(super) fn text(self) -> String {
        format!("{self}\n")
    }
}

/// Checks what applies to every request: it is for this host, has no body, and only reads. What
/// [`super::socket`] found wrong with it is an extension.
pub(super) fn admit(request: &Request, origin: &Origin) -> Result<(), Rejection> {
    if let Some(rejection) = request.extensions().get::<Rejection>() {
        return Err(*rejection);
    }
    let has_origin_form = request.uri().authority().is_none() && request.uri().path().starts_with('/');
    // No request here has a body, so a proxy and the front cannot disagree about its length.
    let is_empty = all(request.headers(), header::CONTENT_LENGTH).iter().all(|length| *length == b"0")
        && !request.headers().contains_key(header::TRANSFER_ENCODING);
    if !has_origin_form || !is_empty {
        return Err(Rejection::Unreadable);
    }
    if all(request.headers(), header::HOST) != [origin.host_header().as_bytes()] {
        return Err(Rejection::Host);
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Err(Rejection::Method);
    }
    Ok(())
}

/// Checks a WebSocket request of the page, or of `tere` from afar, that [`admit`] has admitted. See
/// RFC 6455, section 4.2.1. A browser sends `Origin` with each such request (RFC 6455, section
/// 4.1), so a request with one, whatever it is, is not of `tere`.
///
/// axum's own extractor accepts any key, and accepts a substring where a header is a list.
pub(super) fn websocket(request: &Request, origin: &Origin) -> Result<Accept, Rejection> {
    let headers = request.headers();
    if request.method() != Method::GET {
        return Err(Rejection::Method);
    }
    // The page sends such a request to distinguish a proxy that drops the header from a server that
    // is down.
    if !headers.contains_key(header::UPGRADE) {
        return Err(Rejection::NoUpgrade);
    }
    let from_tere = lists(headers, &header::SEC_WEBSOCKET_PROTOCOL, CLIENT_SUBPROTOCOL);
    let client = match all(headers, header::ORIGIN).as_slice() {
        [] if from_tere => Client::CommandLine,
        [one] if *one == origin.as_str().as_bytes() && !from_tere => Client::Page,
        _ => return Err(Rejection::Origin),
    };
    let is_upgrade = lists(headers, &header::UPGRADE, "websocket")
        && lists(headers, &header::CONNECTION, "upgrade")
        && request.version() == Version::HTTP_11;
    let key = match all(headers, header::SEC_WEBSOCKET_KEY).as_slice() {
        [key] if data_encoding::BASE64.decode(key).is_ok_and(|key| key.len() == 16) => *key,
        _ => return Err(Rejection::NotAWebSocket),
    };
    if !is_upgrade || !lists(headers, &header::SEC_WEBSOCKET_PROTOCOL, client.subprotocol()) {
        return Err(Rejection::NotAWebSocket);
    }
    if all(headers, header::SEC_WEBSOCKET_VERSION) != [b"13"] {
        return Err(Rejection::WebSocketVersion);
    }
    let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key);
    let header = HeaderValue::try_from(accept).map_err(|_| Rejection::NotAWebSocket)?;
    Ok(Accept { header, client })
}

/// All values of a header.
fn all(headers: &HeaderMap, name: impl AsHeaderName) -> Vec<&[u8]> {
    headers.get_all(name).iter().map(HeaderValue::as_bytes).collect()
}

/// Whether a header with a comma-separated list contains `word`, ignoring case.
pub(super) fn lists(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = all(headers, name);
    let mut words = values.iter().flat_map(|value| value.split(|byte| *byte == b','));
    words.any(|listed| listed.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::Body;
    use axum::http::StatusCode;
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;

    use super::*;
    use crate::front::Front;
    use crate::front::router::router;

    const GOOD: [(&str, &str); 7] = [
        ("Host", "shell.example.org"),
        ("Origin", "https://shell.example.org"),
        ("Connection", "keep-alive, Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Protocol", "tere-6"),
    ];

    fn front() -> Arc<Front> {
        Arc::new(Front::new("https://shell.example.org".parse().unwrap(), "/nowhere/auth.sock".into()))
    }

    /// Passes a request through the router, and summarizes the response.
    fn ask(line: &str, headers: &[(&str, &str)]) -> Result<&'static str, Rejection> {
        let (method, target) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let router = TowerToHyperService::new(router(&front()));
        let answered = router.call(request.body(Body::empty()).unwrap());
        let response = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(answered);
        let response = response.unwrap();
        if let Some(rejection) = response.extensions().get() {
            return Err(*rejection);
        }
        match response.status() {
            StatusCode::OK => Ok("file"),
            StatusCode::NOT_MODIFIED => Ok("not modified"),
            StatusCode::SWITCHING_PROTOCOLS => {
                let accept = &response.headers()["Sec-WebSocket-Accept"];
                assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "RFC 6455, section 1.3");
                match response.headers()["Sec-WebSocket-Protocol"].to_str().unwrap() {
                    "tere-6" => Ok("websocket"),
                    "tere-cli-2" => Ok("tere-cli-2"),
                    other => panic!("{other}"),
                }
            }
            other => panic!("{other}"),
        }
    }

    /// A valid WebSocket request, except that the header `name` has `values` instead of its own.
    fn upgrade_with(name: &str, values: &[&str]) -> Result<&'static str, Rejection> {
        let mut headers: Vec<_> = GOOD.into_iter().filter(|header| header.0 != name).collect();
        headers.extend(values.iter().map(|value| (name, *value)));
        ask("GET /ws", &headers)
    }

    #[test]
    fn a_websocket_of_the_page_is_let_in() {
        assert_eq!(ask("GET /ws", &GOOD), Ok("websocket"));
        assert_eq!(upgrade_with("Sec-WebSocket-Protocol", &["other, tere-6"]), Ok("websocket"));
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
    fn the_command_line_is_let_in_and_no_browser_in_its_place() {
        let (protocol, origin) = ("Sec-WebSocket-Protocol", "Origin");
        let ask_with = |protocols: &str, origins: &[&str]| {
            let mut headers: Vec<_> =
                GOOD.into_iter().filter(|header| header.0 != origin && header.0 != protocol).collect();
            headers.push((protocol, protocols));
            headers.extend(origins.iter().map(|value| (origin, *value)));
            ask("GET /ws", &headers)
        };
        assert_eq!(ask_with("tere-cli-2", &[]), Ok("tere-cli-2"));
        for origins in [&["https://shell.example.org"][..], &["https://evil.example.org"], &["null"], &[""]] {
            for protocols in ["tere-cli-2", "tere-6, tere-cli-2", "tere-cli-2, tere-6"] {
                let answered = ask_with(protocols, origins);
                assert_eq!(answered, Err(Rejection::Origin), "{protocols} {origins:?}");
            }
        }
        for protocols in ["tere-6", "tere-cli-0", ""] {
            assert_eq!(ask_with(protocols, &[]), Err(Rejection::Origin), "{protocols}");
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
        let front = front();
        let tag = front.files.at("/").unwrap().form(&[]).tag.to_str().unwrap();
        assert_eq!(ask("GET /", &[host, ("If-None-Match", tag)]), Ok("not modified"));
        assert_eq!(ask("GET /", &[host, ("If-None-Match", "\"other\"")]), Ok("file"));
    }
}
