//! The responses of the front, and the headers common to all of them.

use std::fmt::Write as _;
use std::time::SystemTime;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::admission::{Accept, Rejection, lists};
use super::files::File;
use crate::config::Origin;

/// The headers of every response, including errors and the WebSocket upgrade. xterm.js creates
/// style elements without a nonce, so inline styles are allowed. Inline scripts never are, and no
/// text becomes a part of the page's document or a script (trusted types).
const SECURITY_HEADERS: [(HeaderName, HeaderValue); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
             connect-src 'self'; img-src 'self' data:; font-src 'self'; frame-ancestors 'none'; \
             base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static(
            "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), \
             magnetometer=(), microphone=(), midi=(), payment=(), usb=(), clipboard-read=(self), \
             clipboard-write=(self), fullscreen=(self), publickey-credentials-create=(self), \
             publickey-credentials-get=(self)",
        ),
    ),
];

/// For a year, browsers do not even try plain http to this host. See RFC 6797.
const ONLY_HTTPS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Adds the headers that every response has.
pub(super) fn with_security_headers(mut response: Response, origin: &Origin) -> Response {
    let headers = response.headers_mut();
    headers.extend(SECURITY_HEADERS);
    if origin.is_https() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, ONLY_HTTPS);
    }
    response
}

/// The response for a file of the page, in the form that suits the browser, or 304 if the browser
/// has it already.
pub(super) fn file(file: &File, request: &Request) -> Response {
    let accepted: Vec<_> =
        request.headers().get_all(header::ACCEPT_ENCODING).iter().map(HeaderValue::as_bytes).collect();
    let form = file.form(&accepted);
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    // Browsers may cache every file. A file with a hash in its name never changes; for any other
    // file, the browser asks each time whether it has changed.
    let keep = if file.is_immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::ETAG, form.tag.clone());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    let tag = String::from_utf8_lossy(form.tag.as_bytes());
    let known = |tag: &str| lists(request.headers(), &header::IF_NONE_MATCH, tag);
    // A proxy that compresses by itself turns the tag into a weak one. See RFC 9110, section
    // 13.1.2.
    if known(&tag) || known(&format!("W/{tag}")) || known("*") {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    if let Some(encoding) = form.encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.media));
    headers.insert(header::CONTENT_LENGTH, form.bytes.len().into());
    if request.method() != Method::HEAD {
        *response.body_mut() = Body::from(form.bytes);
    }
    response
}

/// The response that turns the socket into a WebSocket. The client is an extension of it. See RFC
/// 6455, section 4.2.2.
pub(super) fn websocket(Accept { header: accept, client }: Accept) -> Response {
    let headers = [
        (header::CONNECTION, HeaderValue::from_static("Upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
        (header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(client.subprotocol())),
    ];
    let mut response = (StatusCode::SWITCHING_PROTOCOLS, headers, Body::empty()).into_response();
    response.extensions_mut().insert(client);
    response
}

impl IntoResponse for Rejection {
    /// A response with the reason as text. The socket is closed after it.
    fn into_response(self) -> Response {
        let status = match self {
            Self::Host | Self::Origin => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAWebSocket | Self::Unreadable | Self::NoSource => StatusCode::BAD_REQUEST,
            Self::NoUpgrade | Self::WebSocketVersion => StatusCode::UPGRADE_REQUIRED,
            Self::TooLong => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
        };
        let mut response = Response::new(Body::from(self.text()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::CONTENT_LENGTH, self.text().len().into());
        match self {
            Self::Method => headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD")),
            Self::NoUpgrade => headers.insert(header::UPGRADE, HeaderValue::from_static("websocket")),
            Self::WebSocketVersion => {
                headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
            }
            Self::Host
            | Self::Origin
            | Self::NotFound
            | Self::NotAWebSocket
            | Self::Unreadable
            | Self::NoSource
            | Self::TooLong
            | Self::TooSlow => None,
        };
        response.extensions_mut().insert(self);
        response
    }
}

/// The response for a request that hyper could not parse, as bytes.
pub(super) fn bytes_of(rejection: Rejection, origin: &Origin) -> Vec<u8> {
    let response = with_security_headers(rejection.into_response(), origin);
    let date = httpdate::fmt_http_date(SystemTime::now());
    let mut head = format!("HTTP/1.1 {}\r\nDate: {date}\r\n", response.status());
    for (name, value) in response.headers() {
        let value = String::from_utf8_lossy(value.as_bytes());
        let _ = write!(head, "{}: {value}\r\n", title_case(name));
    }
    (head + "\r\n" + &rejection.text()).into_bytes()
}

/// The name of a header in the capitalization that hyper writes.
fn title_case(name: &HeaderName) -> String {
    let parts = name.as_str().split('-');
    let titled = parts.map(|part| {
        part.chars().take(1).map(|c| c.to_ascii_uppercase()).chain(part.chars().skip(1)).collect::<String>()
    });
    titled.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::super::client::Client;
    use super::*;
    use crate::front::files::Files;

    const REJECTIONS: [Rejection; 11] = [
        Rejection::Host,
        Rejection::Origin,
        Rejection::NotFound,
        Rejection::Method,
        Rejection::NotAWebSocket,
        Rejection::NoUpgrade,
        Rejection::WebSocketVersion,
        Rejection::Unreadable,
        Rejection::NoSource,
        Rejection::TooLong,
        Rejection::TooSlow,
    ];

    fn every_response() -> Vec<Response> {
        let files = Files::embedded();
        let page = files.at("/").unwrap();
        let request = |name, value: HeaderValue| {
            Request::builder().header::<HeaderName, _>(name, value).body(Body::empty()).unwrap()
        };
        let brotli = HeaderValue::from_static("br");
        let mut responses = vec![
            file(page, &request(header::ACCEPT_ENCODING, brotli)),
            file(page, &request(header::IF_NONE_MATCH, page.form(&[]).tag.clone())),
            websocket(Accept { header: HeaderValue::from_static("x"), client: Client::Page }),
        ];
        responses.extend(REJECTIONS.map(Rejection::into_response));
        responses
    }

    #[test]
    fn every_response_has_every_guard() {
        for (origin, https) in [("https://a.example", true), ("http://localhost:8080", false)] {
            for response in every_response() {
                let response = with_security_headers(response, &origin.parse().unwrap());
                let value = |name: &str| {
                    let found: Vec<_> = response.headers().get_all(name).iter().collect();
                    assert!(found.len() <= 1, "{name} twice in {response:?}");
                    found.first().map(|value| value.to_str().unwrap())
                };
                let policy = value("Content-Security-Policy").unwrap();
                for part in [
                    "default-src 'none'",
                    "script-src 'self';",
                    "frame-ancestors 'none'",
                    "base-uri 'none'",
                    "require-trusted-types-for 'script'",
                    "trusted-types 'none'",
                ] {
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
                    assert_eq!(value(name), Some(expected), "{response:?}");
                }
                assert!(value("Permissions-Policy").unwrap().contains("camera=()"));
                assert_eq!(value("Strict-Transport-Security").is_some(), https, "{response:?}");
                assert!(value("Set-Cookie").is_none() && value("Server").is_none());
            }
        }
    }

    #[test]
    fn a_rejection_that_hyper_does_not_write_is_a_whole_response() {
        for rejection in REJECTIONS {
            let bytes = bytes_of(rejection, &"https://a.example".parse().unwrap());
            let text = String::from_utf8(bytes).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let length = format!("Content-Length: {}", body.len());
            assert!(head.lines().any(|line| line == length), "{text}");
            assert_eq!(head.lines().filter(|line| line.starts_with("Content-Security-Policy: ")).count(), 1);
            assert!(head.starts_with("HTTP/1.1 4") && head.contains("\r\nDate: "), "{text}");
        }
    }
}
