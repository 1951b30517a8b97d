//! The one task that writes to a page.

use futures_util::stream::{BoxStream, SelectAll, poll_fn};
use futures_util::{Sink, SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

/// Most messages of one stream that wait for the page, each no larger than a binary frame. While
/// the queue is full, the stream's task waits and does not read from its worker.
pub(super) const OUTPUT_QUEUE: usize = 1;

/// The queues from which the writer takes messages for the page.
#[derive(Debug)]
pub(super) struct Written {
    /// Messages of the connection. They take precedence: a `pong` does not wait behind the output
    /// of streams.
    pub(super) control: mpsc::Receiver<Message>,
    /// The output queues of new streams.
    pub(super) streams: mpsc::Receiver<mpsc::Receiver<Message>>,
}

/// Writes messages to the page one at a time, until the page is gone or all queues are closed. The
/// streams take turns, so that a flood on one does not starve the others.
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
