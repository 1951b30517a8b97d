//! The read side of a socket while it speaks HTTP. hyper takes LF alone for the end of a line,
//! which a proxy may take for a part of the line, so that the two see different requests. No option
//! prevents this. So the reader looks at the ends of lines on their way to hyper, and the service
//! asks whether those of its request were good.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The first head of the socket in which a line ends with LF alone, counted from 1; 0 for none.
#[derive(Debug, Clone, Default)]
pub(super) struct BareLineFeed(Arc<AtomicUsize>);

impl BareLineFeed {
    fn found(&self, head: usize) {
        let _ = self.0.compare_exchange(0, head, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether there is one in this head, counted from 1, or before it.
    pub(super) fn is_in(&self, head: usize) -> bool {
        (1..=head).contains(&self.0.load(Ordering::Relaxed))
    }
}

/// Where the reader is. No request has a body ([`super::admission`]), so one head follows another.
/// What follows the head of a WebSocket is taken for a further head, about which nobody asks.
#[derive(Debug)]
struct Lines {
    /// The number of the head that is being read.
    head: usize,
    /// Whether it has begun: empty lines before it are skipped.
    has_begun: bool,
    /// Whether nothing but CR has been read of the line.
    is_empty: bool,
    /// Whether the last byte was CR.
    after_cr: bool,
}

impl Lines {
    fn read(&mut self, byte: u8, bare: &BareLineFeed) {
        match byte {
            b'\n' => {
                if !self.after_cr {
                    bare.found(self.head);
                }
                if self.is_empty && self.has_begun {
                    self.head += 1;
                }
                self.has_begun = !self.is_empty;
                self.is_empty = true;
            }
            b'\r' => {}
            _ => self.is_empty = false,
        }
        self.after_cr = byte == b'\r';
    }
}

/// A socket from a browser, read from by hyper.
#[derive(Debug)]
pub(super) struct Incoming<S> {
    stream: S,
    lines: Lines,
    bare: BareLineFeed,
}

impl<S> Incoming<S> {
    pub(super) fn new(stream: S, bare: BareLineFeed) -> Self {
        let lines = Lines { head: 1, has_begun: false, is_empty: true, after_cr: false };
        Self { stream, lines, bare }
    }

    /// Returns the socket.
    pub(super) fn into_stream(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Incoming<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buffer);
        for byte in buffer.filled().get(before..).unwrap_or_default() {
            this.lines.read(*byte, &this.bare);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Incoming<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// In which of the first three heads, or before it, a line ends with LF alone.
    async fn found_in(bytes: &[u8], at_once: usize) -> [bool; 3] {
        let bare = BareLineFeed::default();
        let mut incoming = Incoming::new(bytes, bare.clone());
        let mut buffer = vec![0; at_once];
        while incoming.read(&mut buffer).await.unwrap() > 0 {}
        [1, 2, 3].map(|head| bare.is_in(head))
    }

    #[tokio::test]
    async fn a_line_feed_alone_belongs_to_its_head() {
        for (text, expected) in [
            ("A\r\nB\r\n\r\nA\r\n\r\nA\r\n\r\n", [false, false, false]),
            ("A\nB\r\n\r\nA\r\n\r\n", [true, true, true]),
            ("A\r\nB\n\r\nA\r\n\r\n", [true, true, true]),
            ("A\r\nB\r\n\nA\r\n\r\n", [true, true, true]),
            ("\nA\r\n\r\n", [true, true, true]),
            ("A\r\n\r\nA\n\r\n", [false, true, true]),
            ("\r\n\r\nA\r\n\r\n\r\nA\r\n\r\nA\nB", [false, false, true]),
        ] {
            for at_once in [1, 3, 100] {
                assert_eq!(found_in(text.as_bytes(), at_once).await, expected, "{text:?}");
            }
        }
    }
}
