//! A view of a session for a program: what the worker sends, until it is asked for no more. The
//! worker's messages are not trusted, and the user of the command may be root, so they are read in
//! a thread that has entered the same sandbox as the worker's terminal thread.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::failure::Failure;
use crate::names::SessionId;
use crate::protocol::SessionEnd;
use crate::protocol::viewer::{Extent, FromViewer, ToViewer};
use crate::sandbox::{self, Thread};
use crate::terminal::Terminal;
use crate::wire::{Channel, Intent, WireError};

/// Longest snapshot, bytes. A longer one is refused.
pub(super) const SNAPSHOT_MAX: usize = 16 * 1024 * 1024;

/// How long a worker has to read a message, and for its greeting.
const PATIENCE: Duration = Duration::from_secs(10);

/// The socket.
pub(super) type ViewerChannel = Channel<FromViewer, ToViewer>;

/// Why a view is over.
#[derive(Debug)]
pub(super) enum Unseen {
    /// The session has ended, or is being ended.
    Over(SessionEnd),
    Channel(WireError),
}

impl From<WireError> for Unseen {
    fn from(error: WireError) -> Self {
        Self::Channel(error)
    }
}

impl Unseen {
    /// As an error for people.
    pub(super) fn failure(&self, session: &SessionId) -> Failure {
        match self {
            Self::Over(end) => Failure::over(session, *end),
            Self::Channel(error) => Failure::channel(&format!("the worker of {session}"), error),
        }
    }
}

/// Runs `work` in a thread of its own, in a sandbox.
pub(super) fn confined<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, Failure> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| sandbox::enter(Thread::Show, &[]).map(|()| work()));
        let done = thread.join().map_err(|_| unconfined(&"the thread that looks at it has ended"))?;
        done.map_err(|error| unconfined(&error))
    })
}

/// Nothing that a worker sends is looked at, for this reason.
pub(super) fn unconfined(why: &dyn std::fmt::Display) -> Failure {
    Failure {
        cause: format!("cannot look at what a worker sends: {why}"),
        next: "It is looked at in a sandbox or not at all. 'journalctl -k' may tell more.".to_owned(),
    }
}

/// What a view has to say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A snapshot of this extent begins, in place of all before.
    Begins(Extent),
    /// The snapshot is complete, and in the terminal.
    Snapshot,
    /// Output, which is not in the terminal yet.
    Output(Vec<u8>),
    /// The terminal has another size.
    Size,
    /// So many bytes of what was typed were thrown away.
    Dropped(u64),
}

/// A view.
#[derive(Debug)]
pub(super) struct View {
    channel: ViewerChannel,
    pub(super) terminal: Terminal,
    /// Bytes of a snapshot that are still to come, if one has begun.
    missing: Option<usize>,
}

impl View {
    /// The view behind this socket.
    pub(super) fn over(socket: OwnedFd) -> Result<Self, Unseen> {
        let channel = ViewerChannel::over(socket);
        channel.greet(Intent::Viewer, PATIENCE)?;
        Ok(Self { channel, terminal: Terminal::new(crate::names::TermSize::DEFAULT), missing: None })
    }

    /// Waits for the next news, or until a moment.
    pub(super) fn next(&mut self, until: Instant) -> Result<Option<News>, Unseen> {
        loop {
            if self.missing == Some(0) {
                self.missing = None;
                return Ok(Some(News::Snapshot));
            }
            let left = until.saturating_duration_since(Instant::now());
            let message = match self.channel.receive_within(left) {
                Ok((message, _)) => message,
                Err(WireError::TimedOut) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            match message {
                ToViewer::SnapshotBegins { size, length, extent } => {
                    let length = usize::try_from(length).unwrap_or(usize::MAX);
                    if length > SNAPSHOT_MAX {
                        return Err(WireError::Oversize.into());
                    }
                    self.terminal = Terminal::new(size);
                    self.missing = Some(length);
                    return Ok(Some(News::Begins(extent)));
                }
                ToViewer::Output(bytes) => {
                    self.say(&FromViewer::Shown(u32::try_from(bytes.len()).unwrap_or(u32::MAX)))?;
                    match self.missing {
                        None => return Ok(Some(News::Output(bytes))),
                        Some(missing) => {
                            self.print(&bytes);
                            self.missing = Some(missing.saturating_sub(bytes.len()));
                        }
                    }
                }
                ToViewer::Size(size) => {
                    self.terminal.resize(size);
                    return Ok(Some(News::Size));
                }
                ToViewer::InputDropped(bytes) => return Ok(Some(News::Dropped(bytes))),
                ToViewer::Ended(end) => return Err(Unseen::Over(end)),
            }
        }
    }

    /// Puts output into the terminal.
    pub(super) fn print(&mut self, bytes: &[u8]) {
        self.terminal.print(bytes);
        // The worker has answered the queries of programs already.
        drop(self.terminal.answers());
    }

    /// Sends the worker a message.
    pub(super) fn say(&self, words: &FromViewer) -> Result<(), WireError> {
        say(&self.channel, words, PATIENCE)
    }
}

/// Sends the worker a message. If the worker is gone, everything needed may have arrived already;
/// the next read finds out. Sending has a deadline, so that a worker that keeps sending and does
/// not read cannot block this.
pub(super) fn say(channel: &ViewerChannel, words: &FromViewer, within: Duration) -> Result<(), WireError> {
    match channel.send_within(words, &[], within) {
        Err(WireError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        said => said,
    }
}
