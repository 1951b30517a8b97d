//! The one task that writes to a page.

use futures_util::stream::{BoxStream, SelectAll, poll_fn};
use futures_util::{Sink, SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

/// Most messages of one stream that wait for the page, each at most a binary frame. With so many, the
/// stream's task waits, and does not read from its worker.
pub(super) const OUTPUT_QUEUE: usize = 1;

/// What is written to a page comes in by these.
#[derive(Debug)]
pub(super) struct Written {
    /// From the connection. First in turn: a `pong` does not wait for the output of streams.
    pub(super) control: mpsc::Receiver<Message>,
    /// The output queues of streams that begin.
    pub(super) streams: mpsc::Receiver<mpsc::Receiver<Message>>,
}

/// Writes to the page, a message at a time, until it is gone or nobody is left to write. The streams
/// take turns, so that none goes hungry beside a flood.
pub(super) async fn run(mut page: impl Sink<Message> + Unpin, mut written: Written) {
    let mut outputs: SelectAll<BoxStream<'static, Message>> = SelectAll::new();
    loop {
        let message = tokio::select! {
            biased;
            Some(message) = written.control.recv() => message,
            Some(mut output) = written.streams.recv() => {
                outputs.push(poll_fn(move |context| output.poll_recv(context)).boxed());
                continue;
            }
            Some(message) = outputs.next(), if !outputs.is_empty() => message,
            else => return,
        };
        let last = message.is_close();
        if page.send(message).await.is_err() || last {
            return;
        }
    }
}
