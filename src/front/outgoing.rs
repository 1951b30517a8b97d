//! The write side of a socket while it speaks HTTP. Limits how long a browser may take to read a
//! response, and passes no response that the front did not make.
//!
//! hyper itself answers a head that it cannot parse, with a bare status and without the headers
//! that every response of the front has. No option prevents this. So the service announces each
//! response before hyper writes it, and the bytes of a response that was not announced are dropped
//! here; [`super::socket`] then sends a rejection instead.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// The responses that hyper is about to write: the length of each body in bytes, oldest first.
/// There are never more than the requests allowed on one socket.
#[derive(Debug, Clone, Default)]
pub(super) struct Announced(Arc<Mutex<VecDeque<usize>>>);

impl Announced {
    /// Announces a response with a body of `body` bytes.
    pub(super) fn push(&self, body: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(body);
    }

    fn next(&self) -> Option<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// How much of the current response has been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ResponsePart {
    /// All responses so far are complete.
    Between,
    /// In the head. `matched` bytes of the blank line that ends it have been written.
    Head { matched: usize, body: usize },
    /// In the body, with `left` bytes to go.
    Body { left: usize },
}

impl ResponsePart {
    /// Returns how many bytes at the start of `bytes` belong to the current response, and the
    /// position after them.
    fn after(mut self, bytes: &[u8]) -> (usize, Self) {
        let mut taken = 0;
        while let Self::Head { matched, body } = self {
            let Some(byte) = bytes.get(taken) else { return (taken, self) };
            taken += 1;
            let matched = match (matched, byte) {
                (0 | 2, b'\r') | (1 | 3, b'\n') => matched + 1,
                (_, b'\r') => 1,
                _ => 0,
            };
            self = match (matched, body) {
                (4, 0) => Self::Between,
                (4, left) => Self::Body { left },
                (matched, body) => Self::Head { matched, body },
            };
        }
        if let Self::Body { left } = self {
            let more = left.min(bytes.len().saturating_sub(taken));
            taken += more;
            self = if more == left { Self::Between } else { Self::Body { left: left - more } };
        }
        (taken, self)
    }
}

/// A socket to a browser, written to by hyper.
#[derive(Debug)]
pub(super) struct Outgoing<S> {
    stream: S,
    announced: Announced,
    part: ResponsePart,
    /// How long a browser may take to read one response.
    within: Duration,
    /// When the browser must have read the current response; `None` between responses.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Outgoing<S> {
    pub(super) fn new(stream: S, announced: Announced, within: Duration) -> Self {
        Self { stream, announced, part: ResponsePart::Between, within, deadline: None }
    }

    /// Returns the socket, and whether it is between responses.
    pub(super) fn into_stream(self) -> (S, bool) {
        (self.stream, self.part == ResponsePart::Between)
    }

    /// Starts the next response, if none is in progress and one has been announced.
    fn begin(&mut self) {
        if self.part == ResponsePart::Between
            && let Some(body) = self.announced.next()
        {
            self.part = ResponsePart::Head { matched: 0, body };
            self.deadline = Some(Box::pin(tokio::time::sleep(self.within)));
        }
    }

    /// Returns an error instead of `Pending` once the deadline has passed.
    fn in_time<T>(&mut self, polled: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if polled.is_pending()
            && let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Outgoing<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Outgoing<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.begin();
        let (ours, _) = self.part.after(bytes);
        let Some(ours) = bytes.get(..ours).filter(|ours| !ours.is_empty()) else {
            return Poll::Ready(Ok(bytes.len()));
        };
        let polled = Pin::new(&mut self.stream).poll_write(cx, ours);
        if let Poll::Ready(Ok(written)) = polled {
            (_, self.part) = self.part.after(ours.get(..written).unwrap_or(ours));
            if self.part == ResponsePart::Between {
                self.deadline = None;
            }
        }
        self.in_time(polled, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = slices.iter().find(|slice| !slice.is_empty());
        self.poll_write(cx, first.map_or(&[][..], |slice| slice))
    }

    /// Without vectored writes hyper would copy the page's files for each browser.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.in_time(polled, cx)
    }

    /// Flushes but does not close the socket, because a rejection may have to follow.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Returns what the socket sends if `announced` is announced, and `writes` are written one by
    /// one.
    async fn comes_out(announced: &[usize], writes: &[&[u8]]) -> String {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let answers = Announced::default();
        announced.iter().for_each(|body| answers.push(*body));
        let mut outgoing = Outgoing::new(ours, answers, Duration::from_secs(60));
        for bytes in writes {
            outgoing.write_all(bytes).await.unwrap();
        }
        drop(outgoing);
        let mut out = String::new();
        theirs.read_to_string(&mut out).await.unwrap();
        out
    }

    #[tokio::test]
    async fn announced_responses_pass_and_others_do_not() {
        let ours = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n\r\n\r\n4";
        let text = std::str::from_utf8(ours).unwrap();
        let own = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        assert_eq!(comes_out(&[5], &[ours, own]).await, text);
        assert_eq!(comes_out(&[5], &[&[&ours[..], own].concat()]).await, text, "in one write");
        assert_eq!(comes_out(&[], &[own]).await, "");
        assert_eq!(comes_out(&[5, 0], &[ours, own]).await, format!("{text}HTTP/1.1 400 Bad Request\r\n\r\n"));
        let bytes: Vec<&[u8]> = ours.chunks(1).chain(own.chunks(1)).collect();
        assert_eq!(comes_out(&[5], &bytes).await, text, "byte by byte");
    }

    #[tokio::test]
    async fn a_response_that_is_not_read_is_an_error_in_time() {
        let (ours, _theirs) = tokio::io::duplex(8);
        let answers = Announced::default();
        answers.push(100);
        let mut outgoing = Outgoing::new(ours, answers, Duration::from_millis(50));
        let error = outgoing.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
