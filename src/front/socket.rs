use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::Front;
use super::admission::{self, Answer, Rejection};
use super::capacity::Source;
use super::connection;
use super::request::{BadRequest, Request};
use super::response::{Next, Response};
use crate::protocol::page::BINARY_FRAME_MAX;

/// How long the front waits for a browser.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    /// How long the next head may take to come whole; then the socket is closed. It bounds a peer
    /// that sends a byte now and then, and one that sends nothing.
    pub(super) head: Duration,
    /// How long a browser may take to read one response; then the socket is closed.
    pub(super) response: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { head: Duration::from_secs(15), response: Duration::from_secs(60) }
    }
}

/// Most requests on one socket; it is closed after the last.
const REQUESTS_MAX: usize = 100;

/// A socket from a browser, while it speaks HTTP.
#[derive(Debug)]
pub(super) struct Socket<S> {
    stream: S,
    /// What was read and is not parsed yet; never longer than a head.
    buffer: Vec<u8>,
    source: Source,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Socket<S> {
    pub(super) fn new(stream: S, source: Source) -> Self {
        Self { stream, buffer: Vec::new(), source }
    }

    /// Serves it until it is closed, or has become a WebSocket and that has ended.
    pub(super) async fn serve(mut self, front: &Front) {
        let timeouts = front.timeouts;
        for _ in 0..REQUESTS_MAX {
            let request =
                match timeout(timeouts.head, Request::read(&mut self.stream, &mut self.buffer)).await {
                    Ok(Ok(Some(request))) => request,
                    Ok(Ok(None)) => return,
                    Ok(Err(error)) => {
                        tracing::debug!(source = %self.source, %error, "a request cannot be read");
                        let rejection = match error {
                            BadRequest::Io(_) => return,
                            BadRequest::TooLong => Rejection::TooLong,
                            BadRequest::Malformed(_) | BadRequest::Body => Rejection::Unreadable,
                        };
                        return self.reject(front, rejection).await;
                    }
                    // A browser that keeps a socket for later has not begun anything.
                    Err(_) if self.buffer.is_empty() => return,
                    Err(_) => return self.reject(front, Rejection::TooSlow).await,
                };
            let next = if request.keeps_alive() { Next::Request } else { Next::Close };
            let response = match admission::admit(&request, &front.origin, &front.files) {
                Ok(Answer::File(file, form)) => Response::file(&front.origin, (file, form), next),
                Ok(Answer::NotModified(file, form)) => {
                    Response::not_modified(&front.origin, (file, form), next)
                }
                Ok(Answer::WebSocket { accept }) => {
                    if self.send(Response::websocket(&front.origin, &accept), timeouts).await.is_ok() {
                        self.upgraded(front).await;
                    }
                    return;
                }
                Err(rejection) => {
                    self.record(&request, rejection);
                    return self.reject(front, rejection).await;
                }
            };
            let response = if request.method == "HEAD" { response.head_only() } else { response };
            if self.send(response, timeouts).await.is_err() || next == Next::Close {
                break;
            }
        }
        drop(timeout(timeouts.response, self.stream.shutdown()).await);
    }

    async fn upgraded(self, front: &Front) {
        // Without a buffer of its own for what goes out, what a slow page has not taken stays
        // with the worker. A message is a frame or several, and never larger than one frame may be.
        let config = WebSocketConfig::default()
            .read_buffer_size(16 * 1024)
            .write_buffer_size(0)
            .max_write_buffer_size(4 * BINARY_FRAME_MAX)
            .max_message_size(Some(BINARY_FRAME_MAX))
            .max_frame_size(Some(BINARY_FRAME_MAX));
        let page =
            WebSocketStream::from_partially_read(self.stream, self.buffer, Role::Server, Some(config)).await;
        connection::run(page, &front.auth, self.source).await;
    }

    async fn send(&mut self, response: Response<'_>, timeouts: Timeouts) -> std::io::Result<()> {
        let send = async {
            self.stream.write_all(response.head.as_bytes()).await?;
            self.stream.write_all(&response.body).await?;
            self.stream.flush().await
        };
        timeout(timeouts.response, send).await?
    }

    async fn reject(&mut self, front: &Front, rejection: Rejection) {
        if self.send(Response::rejection(&front.origin, rejection), front.timeouts).await.is_ok() {
            drop(timeout(front.timeouts.response, self.stream.shutdown()).await);
        }
    }

    fn record(&self, request: &Request, rejection: Rejection) {
        let shown = |name| {
            let values = request.all(name);
            let text = String::from_utf8_lossy(values.first().copied().unwrap_or_default()).into_owned();
            text.chars().take(64).collect::<String>()
        };
        let source = self.source;
        match rejection {
            Rejection::Host => {
                tracing::warn!(%source, host = ?shown("host"), "refused a request: {rejection}")
            }
            Rejection::Origin => {
                tracing::warn!(%source, from = ?shown("origin"), "refused a WebSocket: {rejection}")
            }
            Rejection::NotAWebSocket | Rejection::NoUpgrade | Rejection::WebSocketVersion => {
                tracing::warn!(%source, "refused a WebSocket: {rejection}");
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
