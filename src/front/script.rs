//! A socket for [`super::fuzz`]: all that its peer sends is known from the beginning, so nothing is
//! waited for.

// A panic is how a fuzzer notices.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Runtime;

thread_local! {
    /// A runtime that waits for nothing but timers.
    static RUNTIME: Runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
}

/// Runs a future to its end, and the tasks that it starts.
pub(super) fn run<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// Runs a future that waits for nothing.
pub(super) fn run_at_once<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| {
        let _entered = runtime.enter();
        match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it waits, and all bytes are there"),
        }
    })
}

/// A socket whose peer has sent all of `input` and closed its side. It gives the bytes in parts of
/// `part` bytes.
#[derive(Debug)]
pub(super) struct Script {
    input: Vec<u8>,
    at: usize,
    part: usize,
    output: Arc<Mutex<Vec<u8>>>,
}

impl Script {
    pub(super) fn new(input: &[u8], part: usize) -> (Self, Arc<Mutex<Vec<u8>>>) {
        let output = Arc::default();
        (Self { input: input.to_vec(), at: 0, part, output: Arc::clone(&output) }, output)
    }

    /// How many bytes nobody has read.
    pub(super) fn left(&self) -> usize {
        self.input.len() - self.at
    }
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = &self.input[self.at..];
        let part = rest.len().min(self.part).min(buffer.remaining());
        buffer.put_slice(&rest[..part]);
        self.at += part;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.output.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
