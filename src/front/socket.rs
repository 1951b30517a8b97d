//! One socket from a browser, from its first request until it is closed or its WebSocket ends.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::http::header::{self, HeaderValue};
use axum::http::{Method, Request, StatusCode};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1::{Builder, Parts};
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::Front;
use super::admission::Rejection;
use super::capacity::SocketPlace;
use super::client::Client;
use super::connection;
use super::incoming::{BareLineFeed, Incoming as IncomingBytes};
use super::outgoing::{Announced, Outgoing};
use super::proxy;
use super::response;
use super::router::router;
use super::source::Source;
use crate::record_limiter::RecordLimiter;

/// How long the front waits for a browser.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    /// How long the next head, or a header of the PROXY protocol, may take to arrive completely
    /// before the socket is closed. Limits both a peer that sends a byte now and then and one that
    /// sends nothing.
    pub(super) head: Duration,
    /// How long a browser may take to read one response before the socket is closed.
    pub(super) response: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { head: Duration::from_secs(15), response: Duration::from_secs(60) }
    }
}

/// Most requests on one socket. The socket is closed after the last one.
pub(super) const REQUESTS_MAX: usize = 100;

/// Longest head of a request (request line and headers), bytes. A longer one is refused with 431.
/// Not smaller, because browsers send all cookies of `localhost` to every port.
pub(super) const HEAD_MAX: usize = 16 * 1024;

/// Most headers in a request. One more is refused with 431.
pub(super) const HEADERS_MAX: usize = 64;

/// Where the source of a request is taken from.
#[derive(Debug, Clone, Copy)]
pub(super) enum SourceFrom {
    /// From the socket: all of its requests have this source.
    Socket(Source),
    /// From a header of each request, which a proxy sets.
    Header,
}

impl SourceFrom {
    fn source_of(self, request: &Request<Incoming>) -> Result<Source, Rejection> {
        match self {
            Self::Socket(source) => Ok(source),
            Self::Header => proxy::forwarded_for(request.headers()),
        }
    }
}

/// Serves a socket until it is closed, or until the WebSocket that it became has ended.
pub(super) async fn serve<S>(stream: S, source_from: SourceFrom, place: Arc<SocketPlace>, front: &Arc<Front>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (announced, bare) = (Announced::default(), BareLineFeed::default());
    // The source and the client of the request that turned the socket into a WebSocket.
    let (requests, websocket) = (AtomicUsize::new(0), Mutex::new(None));
    let router = TowerToHyperService::new(router(front));
    let service = service_fn(|mut request: Request<Incoming>| {
        let number = requests.fetch_add(1, Ordering::Relaxed) + 1;
        let named = source_from.source_of(&request);
        let source = named.unwrap_or(Source::Local);
        let fault = if bare.is_in(number) { Some(Rejection::Unreadable) } else { named.err() };
        if let Some(rejection) = fault {
            request.extensions_mut().insert(rejection);
        }
        let asked = RequestInfo::of(&request, source);
        let response = router.call(request.map(Body::new));
        let (announced, websocket) = (&announced, &websocket);
        async move {
            let Ok(mut response) = response.await;
            if let Some(rejection) = response.extensions().get() {
                asked.record(*rejection, &front.record_limiter);
            }
            if number >= REQUESTS_MAX {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                let client = response.extensions().get::<Client>().copied();
                *websocket.lock().unwrap_or_else(PoisonError::into_inner) =
                    client.map(|client| (source, client));
            }
            announced.push(if asked.is_head { 0 } else { length(&response) });
            Ok::<_, Infallible>(response)
        }
    });
    let stream = IncomingBytes::new(stream, bare.clone());
    let stream = TokioIo::new(Outgoing::new(stream, announced.clone(), front.timeouts.response));
    let mut http = Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(front.timeouts.head)
        .max_buf_size(HEAD_MAX)
        .max_headers(HEADERS_MAX)
        .half_close(true)
        .title_case_headers(true)
        .serve_connection(stream, service);
    let served = (&mut http).await;
    let Parts { io, read_buf, .. } = http.into_parts();
    let (stream, is_between_responses) = io.into_inner().into_stream();
    let mut stream = stream.into_stream();
    match served {
        Ok(()) => {
            if let Some((source, client)) = websocket.into_inner().unwrap_or_else(PoisonError::into_inner) {
                if matches!(source_from, SourceFrom::Header) {
                    place.move_to(source);
                }
                return connection::run(stream, read_buf.into(), Arc::clone(front), (source, client), place)
                    .await;
            }
        }
        Err(error) => {
            tracing::debug!(%error, "a request cannot be read");
            if let Some(rejection) = rejection(&error, !read_buf.is_empty())
                && is_between_responses
            {
                let bytes = response::bytes_of(rejection, &front.origin);
                drop(timeout(front.timeouts.response, stream.write_all(&bytes)).await);
            }
        }
    }
    drop(timeout(front.timeouts.response, stream.shutdown()).await);
}

/// The rejection for a request that hyper could not read, if any. `has_begun` says whether part of
/// the request has arrived: a browser that keeps an idle socket open has not begun a request.
fn rejection(error: &hyper::Error, has_begun: bool) -> Option<Rejection> {
    if error.is_parse_too_large() {
        Some(Rejection::TooLong)
    } else if error.is_parse() || (error.is_incomplete_message() && has_begun) {
        Some(Rejection::Unreadable)
    } else {
        (error.is_timeout() && has_begun).then_some(Rejection::TooSlow)
    }
}

/// The length of a response's body, bytes. Every body of the front is completely in memory.
fn length(response: &Response) -> usize {
    let length = response.body().size_hint().exact().unwrap_or_default();
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// The parts of a request that the record of a rejection names.
struct RequestInfo {
    source: Source,
    is_head: bool,
    host: Option<HeaderValue>,
    origin: Option<HeaderValue>,
}

impl RequestInfo {
    fn of(request: &Request<Incoming>, source: Source) -> Self {
        let first = |name| request.headers().get(name).cloned();
        let is_head = request.method() == Method::HEAD;
        Self { source, is_head, host: first(header::HOST), origin: first(header::ORIGIN) }
    }

    fn record(&self, rejection: Rejection, record_limiter: &RecordLimiter<Source>) {
        let shown = |value: &Option<HeaderValue>| {
            let bytes = value.as_ref().map(HeaderValue::as_bytes).unwrap_or_default();
            String::from_utf8_lossy(bytes).chars().take(64).collect::<String>()
        };
        let source = self.source;
        match rejection {
            Rejection::Host => record_limiter.record(source, || {
                tracing::warn!(%source, host = ?shown(&self.host), "refused a request: {rejection}");
            }),
            Rejection::Origin => record_limiter.record(source, || {
                tracing::warn!(%source, from = ?shown(&self.origin), "refused a WebSocket: {rejection}");
            }),
            Rejection::NoSource => record_limiter.record(source, || {
                tracing::warn!(%source, "refused a request: {rejection}");
            }),
            Rejection::NotAWebSocket | Rejection::NoUpgrade | Rejection::WebSocketVersion => {
                record_limiter.record(source, || {
                    tracing::warn!(%source, "refused a WebSocket: {rejection}");
                });
            }
            Rejection::NotFound
            | Rejection::Method
            | Rejection::Unreadable
            | Rejection::TooLong
            | Rejection::TooSlow => {
                tracing::debug!(%source, "refused a request: {rejection}");
            }
        }
    }
}
