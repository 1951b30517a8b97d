use futures_util::{Sink, SinkExt as _};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

/// What is written to a page comes in by these two.
#[derive(Debug)]
pub(super) struct Written {
    /// From the connection. First in turn: a `pong` does not wait for other channels' output.
    pub(super) control: mpsc::Receiver<Message>,
    /// From its views, in turn. They wait in line for the one place, so that none of them goes
    /// hungry beside a flood.
    pub(super) output: mpsc::Receiver<Message>,
}

/// Writes to the page, a message at a time, until it is gone or nobody is left to write.
pub(super) async fn run(mut page: impl Sink<Message> + Unpin, mut written: Written) {
    loop {
        let message = tokio::select! {
            biased;
            Some(message) = written.control.recv() => message,
            Some(message) = written.output.recv() => message,
            else => return,
        };
        let last = message.is_close();
        if page.send(message).await.is_err() || last {
            return;
        }
    }
}
