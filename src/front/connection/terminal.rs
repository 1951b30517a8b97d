//! A stream of kind terminal: a view of one session, over the viewer socket of its worker.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::error::SendError;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::frames::{binary, text};
use super::input::InputQueue;
use super::login::PrincipalChannel;
use super::steps::{Control, StreamId};
use crate::names::{SessionId, Target, TermSize, Theme};
use crate::protocol::SessionEnd;
use crate::protocol::page::{StreamKind, ToPage};
use crate::protocol::viewer::{CHUNK_MAX, FromViewer, ToViewer};
use crate::wire::{self, AsyncChannel, Intent, WireError};

/// How long the wire handshake with the worker may take.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a worker may take to read the input typed before the page left. After that the input is
/// dropped.
pub(in crate::front) const DELIVERY_TIMEOUT: Duration = Duration::from_secs(5);

/// An event that a stream reports to its connection.
#[derive(Debug)]
pub(super) enum StreamEvent {
    /// The stream has ended. The stream tells the page after this event.
    Over(StreamId),
    /// The view broke off, and the page has not been told. With the number of input bytes that were
    /// not delivered.
    Broke(StreamId, u64),
    /// The stream could not start.
    Failed(StreamId),
}

/// The way of a stream to the page and to its connection.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) id: StreamId,
    /// Output for the page. Sending waits while the page does not read.
    pub(super) output: mpsc::Sender<Message>,
    /// Events for the connection.
    pub(super) events: mpsc::Sender<StreamEvent>,
}

impl Outlet {
    /// Sends the page a frame; an error if it is gone.
    pub(super) async fn send(&self, frame: Message) -> Result<(), SendError<Message>> {
        self.output.send(frame).await
    }

    /// Tells the connection. If that is gone, so is the stream.
    pub(super) async fn report(&self, event: StreamEvent) {
        drop(self.events.send(event).await);
    }

    /// The session has ended, or this view of it. The connection must free the stream's number
    /// before the page is told that the number is free.
    pub(super) async fn close(&self, SessionEnd { reason, exit }: SessionEnd, undelivered: u64) {
        if self.events.send(StreamEvent::Over(self.id)).await.is_err() {
            return;
        }
        let stream = self.id.stream;
        let dropped = (undelivered > 0).then_some(ToPage::InputDropped { stream, bytes: undelivered });
        for message in
            dropped.into_iter().chain([ToPage::End { stream }, ToPage::Closed { stream, reason, exit }])
        {
            if self.send(text(&message)).await.is_err() {
                return;
            }
        }
    }
}

/// The connection's handle on a stream of kind terminal.
#[derive(Debug)]
pub(super) struct TerminalHandle {
    pub(super) id: StreamId,
    pub(super) input: Arc<InputQueue>,
    controls: watch::Sender<Controls>,
}

/// The page's requests other than input, accumulated so that nothing queues: the last size and the
/// number of sizes sent, the total of bytes displayed, the numbers of refreshes and resets, and the
/// last theme.
#[derive(Debug, Default, Clone, Copy)]
struct Controls {
    size: Option<TermSize>,
    sizes: u64,
    shown: u64,
    refreshes: u64,
    resets: u64,
    theme: Option<Theme>,
}

impl TerminalHandle {
    /// Forwards a request. Requests that the worker has not taken yet are merged.
    pub(super) fn control(&self, control: Control) {
        self.controls.send_modify(|controls| match control {
            Control::Size(size) => {
                controls.size = Some(size);
                controls.sizes = controls.sizes.saturating_add(1);
            }
            Control::Shown(bytes) => controls.shown = controls.shown.saturating_add(bytes.into()),
            Control::Refresh => controls.refreshes = controls.refreshes.saturating_add(1),
            Control::ResetTerminal => controls.resets = controls.resets.saturating_add(1),
            Control::Theme(theme) => controls.theme = Some(theme),
        });
    }
}

/// A terminal stream, with all that its task needs.
#[derive(Debug)]
pub(super) struct Terminal {
    session: SessionId,
    target: Target,
    /// How many seconds were left until the session ends, when the view was made.
    left: Option<u32>,
    /// Whether the page already has this stream, because an earlier view of it broke off.
    again: bool,
    input: Arc<InputQueue>,
    controls: watch::Receiver<Controls>,
    outlet: Outlet,
    /// The channel of the step-up that the view was made through. The broker closes the view when
    /// the channel is closed, and input that came before must be delivered first.
    _step_up: Option<Arc<PrincipalChannel>>,
}

/// The view that a stream shows.
#[derive(Debug)]
pub(super) struct TerminalView {
    pub(super) session: SessionId,
    pub(super) target: Target,
    /// How many seconds are left until the session ends, if it has a time limit.
    pub(super) left: Option<u32>,
    /// Whether the page already has the stream, because an earlier view of it broke off.
    pub(super) again: bool,
    /// The channel of the step-up that the view was made through, if it was.
    pub(super) step_up: Option<Arc<PrincipalChannel>>,
}

impl Terminal {
    /// Creates a stream, and the connection's handle on it.
    pub(super) fn new(view: TerminalView, outlet: Outlet) -> (Self, TerminalHandle) {
        let input = Arc::new(InputQueue::default());
        let (sender, controls) = watch::channel(Controls::default());
        let handle = TerminalHandle { id: outlet.id, input: Arc::clone(&input), controls: sender };
        let TerminalView { session, target, left, again, step_up } = view;
        let terminal = Self { session, target, left, again, input, controls, outlet, _step_up: step_up };
        (terminal, handle)
    }

    /// Runs the stream from the handshake with its worker to its end. The first message to the page
    /// is `opened`, unless the page already has the stream: then it continues with the snapshot.
    pub(super) async fn run(mut self, socket: OwnedFd) {
        let id = self.outlet.id;
        let channel = match greet(socket, Intent::Viewer).await {
            Ok(channel) => channel,
            Err(error) => {
                tracing::warn!(session = %self.session, %error, "a worker does not answer");
                return self.outlet.report(StreamEvent::Failed(id)).await;
            }
        };
        let (session, target) = (self.session.clone(), self.target.clone());
        let opened = ToPage::Opened { stream: id.stream, session, target, left: self.left };
        if !self.again && self.outlet.send(text(&opened)).await.is_err() {
            return;
        }
        let end = tokio::select! {
            end = show(&channel, &self.outlet) => end,
            end = pass_on(&channel, &self.input, &mut self.controls) => end,
        };
        match end {
            End::Said(end) => self.outlet.close(end, self.input.undelivered()).await,
            End::Lost(error) => {
                tracing::warn!(session = %self.session, %error, "a worker broke off: {error}");
                let undelivered = self.input.undelivered();
                self.outlet.report(StreamEvent::Broke(id, undelivered)).await;
            }
            End::Left => self.finish(&channel).await,
        }
    }

    /// The page has left: delivers the queued input before the viewer socket is closed.
    async fn finish(&self, channel: &ViewerChannel) {
        let delivered = timeout(DELIVERY_TIMEOUT, deliver(channel, &self.input)).await;
        let undelivered = self.input.undelivered();
        if undelivered > 0 {
            let late = delivered.is_err();
            tracing::warn!(session = %self.session, undelivered, late, "input of a page that left is dropped");
        }
    }
}

type ViewerChannel = AsyncChannel<FromViewer, ToViewer>;

/// The channel to a worker, greeted.
pub(super) async fn greet<Out: wire::Message, In: wire::Message>(
    socket: OwnedFd,
    intent: Intent,
) -> Result<AsyncChannel<Out, In>, WireError> {
    let channel = AsyncChannel::over(socket)?;
    channel.greet(intent, GREETING_TIMEOUT).await?;
    Ok(channel)
}

/// How a view ends.
enum End {
    /// The worker gave the reason.
    Said(SessionEnd),
    /// The worker closed its end, or sent a packet that cannot be decoded.
    Lost(WireError),
    /// The page closed the stream, or is gone.
    Left,
}

/// Forwards the worker's messages to the page, one at a time. While the page does not read, at most
/// one message is held here, and the rest stays with the worker.
async fn show(channel: &ViewerChannel, outlet: &Outlet) -> End {
    let stream = outlet.id.stream;
    loop {
        let message = match channel.receive().await {
            Ok((ToViewer::Output(bytes), _)) if bytes.len() > CHUNK_MAX => {
                return End::Lost(WireError::Oversize);
            }
            Ok((ToViewer::Output(bytes), _)) => binary(stream, StreamKind::Terminal, &bytes),
            Ok((ToViewer::SnapshotBegins { size, length, extent }, _)) => {
                text(&ToPage::Snapshot { stream, size, bytes: length, extent })
            }
            Ok((ToViewer::Size(size), _)) => text(&ToPage::Size { stream, size }),
            Ok((ToViewer::InputDropped(bytes), _)) => text(&ToPage::InputDropped { stream, bytes }),
            Ok((ToViewer::Ended(end), _)) => return End::Said(end),
            Err(error) => return End::Lost(error),
        };
        if outlet.send(message).await.is_err() {
            return End::Left;
        }
    }
}

/// Forwards requests and input to the worker until the page has left. Pending requests are sent
/// before input, so that what is typed after a resize arrives after it; but a snapshot is asked for
/// once the input is sent, so that it shows what came of the input before. If the page only ends
/// its input, the worker is told, and output continues.
async fn pass_on(
    channel: &ViewerChannel,
    input: &InputQueue,
    controls: &mut watch::Receiver<Controls>,
) -> End {
    let (mut passed, mut is_ended) = (Controls::default(), false);
    let mut refreshes = 0;
    loop {
        let wants_refresh = passed.refreshes > refreshes && input.undelivered() == 0;
        let sent = tokio::select! {
            biased;
            changed = controls.changed() => match changed {
                Ok(()) => {
                    let latest = *controls.borrow_and_update();
                    pass_latest(channel, &mut passed, latest).await
                }
                // The connection has dropped its handle.
                Err(_) => return End::Left,
            },
            () = std::future::ready(()), if wants_refresh => {
                refreshes = passed.refreshes;
                channel.send(&FromViewer::Refresh, &[]).await
            }
            next = input.next(CHUNK_MAX), if !is_ended => match next {
                Some(bytes) => send_input(channel, input, bytes).await,
                None if input.is_closed() => return End::Left,
                None => {
                    is_ended = true;
                    channel.send(&FromViewer::End, &[]).await
                }
            },
            () = input.closed(), if is_ended => return End::Left,
        };
        if sent.is_err() {
            // The worker has closed the socket, but its last messages may still have to be read.
            std::future::pending::<()>().await;
        }
    }
}

/// Delivers the queued input until the queue is empty or the worker is gone.
async fn deliver(channel: &ViewerChannel, input: &InputQueue) -> Result<(), WireError> {
    while let Some(bytes) = input.next(CHUNK_MAX).await {
        send_input(channel, input, bytes).await?;
    }
    Ok(())
}

async fn send_input(channel: &ViewerChannel, input: &InputQueue, bytes: Vec<u8>) -> Result<(), WireError> {
    let length = bytes.len();
    channel.send(&FromViewer::Input(bytes), &[]).await?;
    input.took(length);
    Ok(())
}

/// Sends the worker the requests that it does not have yet.
async fn pass_latest(
    channel: &ViewerChannel,
    passed: &mut Controls,
    latest: Controls,
) -> Result<(), WireError> {
    let before = std::mem::replace(passed, latest);
    if let Some(size) = latest.size.filter(|_| latest.sizes > before.sizes) {
        channel.send(&FromViewer::Resize(size), &[]).await?;
    }
    let shown = u32::try_from(latest.shown - before.shown).unwrap_or(u32::MAX);
    if shown > 0 {
        channel.send(&FromViewer::Shown(shown), &[]).await?;
    }
    if let Some(theme) = latest.theme.filter(|_| latest.theme != before.theme) {
        channel.send(&FromViewer::Theme(theme), &[]).await?;
    }
    if latest.resets > before.resets {
        channel.send(&FromViewer::ResetTerminal, &[]).await?;
    }
    Ok(())
}
