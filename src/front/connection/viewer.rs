use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Message;

use super::channels::View;
use super::frames::{terminal, text};
use crate::names::{SessionId, Target, TermSize};
use crate::protocol::EndReason;
use crate::protocol::page::{BINARY_FRAME_MAX, ToPage};
use crate::protocol::viewer::{CHUNK_MAX, FromViewer, ToViewer};
use crate::wire::{AsyncChannel, Intent, WireError};

/// How long the worker may take to greet.
const GREETING_WITHIN: Duration = Duration::from_secs(5);

/// Most chunks of input that wait for one worker; they are there for the moments in which it does
/// other things. A worker that takes none is not waited for: see [`Typing::pass_on`].
const INPUT_WAITING: usize = 4;

/// How long one chunk of input waits for its worker, while the page's other requests wait too.
const INPUT_WITHIN: Duration = Duration::from_secs(1);

// A frame and a chunk are the same bytes.
const _: () = assert!(CHUNK_MAX + 2 == BINARY_FRAME_MAX);

/// What a view says to its connection.
#[derive(Debug)]
pub(super) enum ViewEvent {
    /// It is over, and says so to the page after this.
    Over(View),
    /// It broke off, and the page has not heard of it.
    BrokeOff(View),
    /// It did not begin.
    Failed(View),
}

/// The connection's hold on a view: where what the page does on its channel goes.
#[derive(Debug)]
pub(super) struct Typing {
    input: mpsc::Sender<Vec<u8>>,
    wishes: watch::Sender<Wishes>,
    /// The worker did not take the last chunk in time.
    stuck: bool,
}

/// The other side of [`Typing`].
#[derive(Debug)]
pub(super) struct Typed {
    input: mpsc::Receiver<Vec<u8>>,
    wishes: watch::Receiver<Wishes>,
}

/// What a page says of its view, beside what is typed there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Its window has room for this size.
    Size(TermSize),
    /// It has shown this many more bytes.
    Shown(u32),
    /// It wants the whole history.
    Refresh,
}

/// All that it said, summed up, so that nothing queues: the last size and how many there were, the
/// bytes shown in all, and how often it wanted the history.
#[derive(Debug, Default, Clone, Copy)]
struct Wishes {
    size: Option<TermSize>,
    sizes: u64,
    shown: u64,
    refreshes: u64,
}

/// What became of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PassedOn {
    Taken,
    /// Thrown away, this many bytes.
    Dropped(u64),
}

impl Typing {
    pub(super) fn new() -> (Self, Typed) {
        let (input, typed) = mpsc::channel(INPUT_WAITING);
        let (wishes, wished) = watch::channel(Wishes::default());
        (Self { input, wishes, stuck: false }, Typed { input: typed, wishes: wished })
    }

    /// Passes input on, and waits for a busy worker, once: while one is stuck its input is thrown
    /// away at once, so that it cannot hold up the connection's other channels.
    pub(super) async fn pass_on(&mut self, bytes: Vec<u8>) -> PassedOn {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let patience = if self.stuck { Duration::ZERO } else { INPUT_WITHIN };
        match self.input.send_timeout(bytes, patience).await {
            Ok(()) => {
                self.stuck = false;
                PassedOn::Taken
            }
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                self.stuck = true;
                PassedOn::Dropped(length)
            }
            // The view is over, and the page will hear it.
            Err(mpsc::error::SendTimeoutError::Closed(_)) => PassedOn::Taken,
        }
    }

    /// Passes a wish on. One that the worker has not taken yet becomes one with this.
    pub(super) fn wish(&self, wish: Wish) {
        self.wishes.send_modify(|wishes| match wish {
            Wish::Size(size) => {
                wishes.size = Some(size);
                wishes.sizes = wishes.sizes.saturating_add(1);
            }
            Wish::Shown(bytes) => wishes.shown = wishes.shown.saturating_add(bytes.into()),
            Wish::Refresh => wishes.refreshes = wishes.refreshes.saturating_add(1),
        });
    }
}

/// Where a view's output goes.
#[derive(Debug, Clone)]
pub(super) struct Outlets {
    /// To the page; waits while the page does not read.
    pub(super) page: mpsc::Sender<Message>,
    /// To the connection.
    pub(super) events: mpsc::Sender<ViewEvent>,
}

/// What a view shows.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) view: View,
    pub(super) session: SessionId,
    pub(super) target: Target,
    /// The page has it already: an earlier view of it broke off.
    pub(super) again: bool,
}

/// Runs one view from its greeting to its end. `opened` is its first word to the page, so that
/// nothing of an earlier view on the same channel can come after it. A view that the page has
/// already goes on with its snapshot.
pub(super) async fn run(socket: OwnedFd, shown: Shown, typed: Typed, outlets: Outlets) {
    let Shown { view, session, target, again } = shown;
    let channel = match greet(socket).await {
        Ok(channel) => channel,
        Err(error) => {
            tracing::warn!(%session, %error, "a worker does not answer");
            drop(outlets.events.send(ViewEvent::Failed(view)).await);
            return;
        }
    };
    let opened = ToPage::Opened { channel: view.channel, session: session.clone(), target };
    if !again && outlets.page.send(text(&opened)).await.is_err() {
        return;
    }
    let end = tokio::select! {
        end = show(&channel, view, &outlets.page) => end,
        () = pass_input(&channel, typed) => return,
    };
    let reason = match end {
        End::Said(reason) => reason,
        End::Lost(error) => {
            tracing::warn!(%session, %error, "a worker broke off: {error}");
            drop(outlets.events.send(ViewEvent::BrokeOff(view)).await);
            return;
        }
        End::PageGone => return,
    };
    // First the connection frees the channel, then the page hears that it is free.
    if outlets.events.send(ViewEvent::Over(view)).await.is_ok() {
        let ended = ToPage::Ended { channel: view.channel, reason };
        drop(outlets.page.send(text(&ended)).await);
    }
}

type ViewerChannel = AsyncChannel<FromViewer, ToViewer>;

async fn greet(socket: OwnedFd) -> Result<ViewerChannel, WireError> {
    let channel = ViewerChannel::over(socket)?;
    channel.greet(Intent::Viewer, GREETING_WITHIN).await?;
    Ok(channel)
}

/// How a view ends.
enum End {
    /// The worker said why.
    Said(EndReason),
    /// The worker closed its end, or cannot be understood.
    Lost(WireError),
    PageGone,
}

/// Shows what the worker sends, a message at a time: while the page does not read, one is in hand
/// here, and the rest stays with the worker.
async fn show(channel: &ViewerChannel, view: View, page: &mpsc::Sender<Message>) -> End {
    let View { channel: number, .. } = view;
    loop {
        let message = match channel.receive().await {
            Ok((ToViewer::Output(bytes), _)) if bytes.len() > CHUNK_MAX => {
                return End::Lost(WireError::Oversize);
            }
            Ok((ToViewer::Output(bytes), _)) => terminal(number, &bytes),
            Ok((ToViewer::SnapshotBegins { size, length, extent }, _)) => {
                text(&ToPage::Snapshot { channel: number, size, bytes: length, extent })
            }
            Ok((ToViewer::Size(size), _)) => text(&ToPage::Size { channel: number, size }),
            Ok((ToViewer::InputDropped(bytes), _)) => text(&ToPage::InputDropped { channel: number, bytes }),
            Ok((ToViewer::Ended(reason), _)) => return End::Said(reason),
            Err(error) => return End::Lost(error),
        };
        if page.send(message).await.is_err() {
            return End::PageGone;
        }
    }
}

/// Passes input and wishes on to the worker. Ends when the connection lets go of the view.
async fn pass_input(channel: &ViewerChannel, mut typed: Typed) {
    let mut passed = Wishes::default();
    loop {
        let passing = tokio::select! {
            input = typed.input.recv() => match input {
                Some(bytes) => channel.send(&FromViewer::Input(bytes), &[]).await,
                None => return,
            },
            changed = typed.wishes.changed() => {
                let Ok(wishes) = changed.map(|()| *typed.wishes.borrow_and_update()) else { return };
                pass_wishes(channel, &mut passed, wishes).await
            }
        };
        if passing.is_err() {
            // The worker has gone; its last words are still to be read.
            std::future::pending::<()>().await;
        }
    }
}

/// Tells the worker what it has not heard yet.
async fn pass_wishes(channel: &ViewerChannel, passed: &mut Wishes, wishes: Wishes) -> Result<(), WireError> {
    let before = std::mem::replace(passed, wishes);
    if let Some(size) = wishes.size.filter(|_| wishes.sizes > before.sizes) {
        channel.send(&FromViewer::Resize(size), &[]).await?;
    }
    let shown = u32::try_from(wishes.shown - before.shown).unwrap_or(u32::MAX);
    if shown > 0 {
        channel.send(&FromViewer::Shown(shown), &[]).await?;
    }
    if wishes.refreshes > before.refreshes {
        channel.send(&FromViewer::Refresh, &[]).await?;
    }
    Ok(())
}
