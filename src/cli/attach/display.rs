//! The thread that shows a session in the terminal and passes on what is typed. All that it reads
//! from the session's worker may come from a worker that somebody has broken into, so it runs in a
//! sandbox: it can use the terminal, the sockets that it is given, and nothing else.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::pin::Pin;
use std::time::Duration;

use nix::errno::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::escape::{Escape, Order, Typed};
use crate::cli::tty;
use crate::names::{SessionId, TermSize};
use crate::protocol::viewer::{CHUNK_MAX, FromViewer, ToViewer};
use crate::protocol::{EndReason, SessionEnd};
use crate::sandbox::{self, SandboxError, Thread};
use crate::sys::reactor;
use crate::terminal::{Painter, Terminal};
use crate::wire::{AsyncChannel, Intent, WireError};

/// Most bytes that are typed and not yet sent. Beyond it, the terminal is not read: what is typed
/// then waits in the kernel.
const TYPED_MAX: usize = 64 * 1024;

/// The pause between two frames. A frame is painted at once if the last one is older.
const FRAME: Duration = Duration::from_millis(8);

/// How long what was typed before the person leaves may take to be sent.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a hint stands.
const HINT: Duration = Duration::from_secs(6);

/// How long a worker has for its greeting.
const GREETING: Duration = Duration::from_secs(10);

/// Longest snapshot, bytes. A worker that announces a longer one is left.
const SNAPSHOT_MAX: u32 = 16 * 1024 * 1024;

/// To the thread.
#[derive(Debug)]
pub(super) enum ToDisplay {
    /// Show this view.
    View(OwnedFd),
    /// There is no view just now, for this reason.
    Offline(String),
}

/// From the thread.
#[derive(Debug)]
pub(super) enum FromDisplay {
    /// The view broke off.
    Lost,
    /// The session, or the view, is over.
    Ended(SessionEnd),
    /// The person left.
    Detached,
    /// The terminal cannot be used.
    NoTerminal(io::Error),
    /// The thread may not run without its sandbox.
    NoSandbox(SandboxError),
}

/// How the session is shown.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    pub(super) session: SessionId,
    /// Whether nothing is typed, and the size of the session stays as it is.
    pub(super) looks_only: bool,
    /// The escape character.
    pub(super) escape: Option<u8>,
}

type ViewerChannel = AsyncChannel<FromViewer, ToViewer>;

/// The exchange of greetings with a worker: the channel, if it succeeds in time.
type Greeting = Pin<Box<dyn Future<Output = Option<ViewerChannel>>>>;

/// The state of the thread.
struct Display {
    manner: Manner,
    tty: AsyncFd<OwnedFd>,
    resized: Signal,
    viewer: Option<ViewerChannel>,
    /// A viewer whose worker has not greeted yet.
    greeting: Option<Greeting>,
    terminal: Terminal,
    painter: Painter,
    /// What the terminal has not taken yet: at most a frame, because the next one is painted when
    /// it is empty.
    frame: Vec<u8>,
    /// Whether something has changed since the last frame was painted.
    is_dirty: bool,
    next_frame: Instant,
    escape: Escape,
    /// What was typed and is not sent: at most [`TYPED_MAX`] and a read more.
    typed: VecDeque<u8>,
    /// Messages for the worker that go before what was typed, at most one of each kind.
    shown: u32,
    size: Option<TermSize>,
    reset: bool,
    /// Why there is no view just now.
    offline: Option<String>,
    /// What is said for a moment, and until when.
    hint: Option<(String, Instant)>,
    /// Set once the person leaves: until when what was typed before that is still sent.
    leaves_by: Option<Instant>,
    /// Bytes of the snapshot that are still to come.
    snapshot: u32,
}

/// Runs the thread: `views` are what it shows, and `events` is what it says. The terminal is left as
/// it was.
pub(super) fn run(
    manner: Manner,
    tty: OwnedFd,
    views: mpsc::Receiver<ToDisplay>,
    events: &mpsc::Sender<FromDisplay>,
) {
    // Fails only if nobody listens any more.
    let tell = |event| drop(events.try_send(event));
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tell(FromDisplay::NoTerminal(error)),
    };
    let registered = {
        let _entered = runtime.enter();
        signal(SignalKind::window_change()).and_then(|resized| Ok((resized, reactor::register(tty)?)))
    };
    let (resized, tty) = match registered {
        Ok(registered) => registered,
        Err(error) => return tell(FromDisplay::NoTerminal(error)),
    };
    if let Err(error) = sandbox::enter(Thread::Attach, &[]) {
        return tell(FromDisplay::NoSandbox(error));
    }
    let mut display = Display::new(manner, tty, resized);
    let event = runtime.block_on(display.serve(views, events));
    let event = event.unwrap_or_else(FromDisplay::NoTerminal);
    runtime.block_on(display.leave());
    tell(event);
}

impl Display {
    fn new(manner: Manner, tty: AsyncFd<OwnedFd>, resized: Signal) -> Self {
        let size = tty::size(tty.as_fd());
        let (painter, frame) = Painter::begin(size);
        let escape = Escape::new(manner.escape);
        Self {
            manner,
            tty,
            resized,
            viewer: None,
            greeting: None,
            terminal: Terminal::new(size),
            painter,
            frame,
            is_dirty: true,
            next_frame: Instant::now(),
            escape,
            typed: VecDeque::new(),
            shown: 0,
            size: None,
            reset: false,
            offline: None,
            hint: None,
            leaves_by: None,
            snapshot: 0,
        }
    }

    /// Shows what it is given until the person leaves or the session is over.
    async fn serve(
        &mut self,
        mut views: mpsc::Receiver<ToDisplay>,
        events: &mpsc::Sender<FromDisplay>,
    ) -> io::Result<FromDisplay> {
        loop {
            if self.has_left() {
                return Ok(FromDisplay::Detached);
            }
            self.paint();
            let message = self.message();
            let leaves_by = self.leaves_by;
            let hint_ends = self.hint.as_ref().map(|(_, until)| *until);
            tokio::select! {
                // What comes first below is served first, so that neither a flood nor a held key
                // keeps a person from leaving.
                biased;
                order = views.recv() => match order {
                    Some(order) => self.take(order),
                    None => return Ok(FromDisplay::Detached),
                },
                greeted = greeted(self.greeting.as_mut()), if self.greeting.is_some() => {
                    self.greeting = None;
                    self.viewer = greeted;
                    if self.viewer.is_none() {
                        drop(events.try_send(FromDisplay::Lost));
                    }
                    self.offline = None;
                    self.is_dirty = true;
                }
                typed = read(&self.tty), if self.typed.len() < TYPED_MAX && self.leaves_by.is_none() => {
                    self.take_typed(&typed?);
                }
                Some(()) = self.resized.recv() => self.resize(),
                written = write(&self.tty, &self.frame), if !self.frame.is_empty() => {
                    self.frame.drain(..written?);
                }
                sent = send(self.viewer.as_ref(), message.as_ref()), if message.is_some() && self.viewer.is_some() => {
                    match sent {
                        Ok(()) => self.sent(message.as_ref()),
                        // What the worker said before it went is still to be read.
                        Err(_) => self.not_sent(),
                    }
                }
                received = receive(self.viewer.as_ref()), if self.viewer.is_some() => {
                    match received.and_then(|message| self.show(message)) {
                        Ok(None) => {}
                        Ok(Some(end)) if end.reason != EndReason::ViewLost => return Ok(FromDisplay::Ended(end)),
                        Ok(Some(_)) | Err(_) => {
                            self.viewer = None;
                            drop(events.try_send(FromDisplay::Lost));
                        }
                    }
                }
                () = sleep_until(leaves_by.unwrap_or_else(Instant::now)), if leaves_by.is_some() => {}
                () = sleep_until(self.next_frame), if self.is_dirty && self.frame.is_empty() => {}
                () = sleep_until(hint_ends.unwrap_or_else(Instant::now)), if hint_ends.is_some() => {
                    self.hint = None;
                    self.is_dirty = true;
                }
            }
        }
    }

    fn take(&mut self, order: ToDisplay) {
        (self.viewer, self.greeting) = (None, None);
        match order {
            ToDisplay::View(socket) => {
                (self.shown, self.snapshot) = (0, 0);
                self.greeting = Some(Box::pin(async {
                    let viewer = ViewerChannel::over(socket).ok()?;
                    viewer.greet(Intent::Viewer, GREETING).await.ok().map(|()| viewer)
                }));
            }
            ToDisplay::Offline(why) => {
                // What is typed while nobody listens is not kept.
                self.typed.clear();
                self.offline = Some(why);
                self.is_dirty = true;
            }
        }
    }

    /// Says something for a moment, over the last row of the terminal.
    fn say(&mut self, hint: String) {
        self.hint = Some((hint, Instant::now() + HINT));
        self.is_dirty = true;
    }

    /// Takes what was typed, up to the order to leave.
    fn take_typed(&mut self, bytes: &[u8]) {
        for typed in self.escape.take(bytes) {
            match typed {
                Typed::Input(input) if self.viewer.is_some() && !self.manner.looks_only => {
                    self.typed.extend(input);
                }
                Typed::Input(_) => {}
                Typed::Order(Order::Detach) => {
                    self.leaves_by = Some(Instant::now() + LEAVE_TIMEOUT);
                    return;
                }
                Typed::Order(Order::Reset) if self.manner.looks_only => {}
                Typed::Order(Order::Reset) => self.reset = true,
                Typed::Order(Order::Help) => {
                    let escape = self.manner.escape.map_or(' ', char::from);
                    let help = format!(
                        " {}   {escape}. leaves it   {escape}R resets the terminal   {escape}{escape} types {escape}",
                        self.manner.session
                    );
                    self.say(help);
                }
            }
        }
    }

    /// Whether the person leaves, and what was typed before that has been sent, or cannot be.
    fn has_left(&self) -> bool {
        let is_late = |by| Instant::now() >= by || self.viewer.is_none() || self.typed.is_empty();
        self.leaves_by.is_some_and(is_late)
    }

    fn resize(&mut self) {
        let size = tty::size(self.tty.as_fd());
        self.painter.resize(size);
        self.is_dirty = true;
        if !self.manner.looks_only {
            self.size = Some(size);
        }
    }

    /// The next message for the worker.
    fn message(&self) -> Option<FromViewer> {
        if self.shown > 0 {
            Some(FromViewer::Shown(self.shown))
        } else if let Some(size) = self.size {
            Some(FromViewer::Resize(size))
        } else if self.reset {
            Some(FromViewer::ResetTerminal)
        } else if !self.typed.is_empty() {
            Some(FromViewer::Input(self.typed.iter().copied().take(CHUNK_MAX).collect()))
        } else {
            None
        }
    }

    fn sent(&mut self, message: Option<&FromViewer>) {
        match message {
            Some(FromViewer::Shown(bytes)) => self.shown -= bytes,
            Some(FromViewer::Resize(_)) => self.size = None,
            Some(FromViewer::ResetTerminal) => self.reset = false,
            Some(FromViewer::Input(input)) => drop(self.typed.drain(..input.len())),
            Some(FromViewer::End | FromViewer::Refresh | FromViewer::Theme(_)) | None => {}
        }
    }

    fn not_sent(&mut self) {
        (self.shown, self.reset) = (0, false);
        self.typed.clear();
    }

    /// Takes what the worker says. Returns how the view ended, if it did.
    fn show(&mut self, message: ToViewer) -> Result<Option<SessionEnd>, WireError> {
        match message {
            ToViewer::SnapshotBegins { length, .. } if length > SNAPSHOT_MAX => {
                return Err(WireError::Oversize);
            }
            ToViewer::SnapshotBegins { size, length, .. } => {
                self.snapshot = length;
                // A fresh one: the scrollback of the last is not shown here.
                self.terminal = Terminal::new(size);
            }
            ToViewer::Output(bytes) => {
                let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                self.shown = self.shown.saturating_add(length);
                self.snapshot = self.snapshot.saturating_sub(length);
                self.terminal.print(&bytes);
                // The worker has answered the queries of programs already.
                drop(self.terminal.answers());
                if self.terminal.take_bell() && self.snapshot == 0 {
                    self.frame.push(0x07);
                }
                // Half of a snapshot is nothing to look at.
                self.is_dirty |= self.snapshot == 0;
            }
            ToViewer::Size(size) => {
                self.terminal.resize(size);
                self.is_dirty = true;
            }
            ToViewer::InputDropped(bytes) => {
                self.say(format!(
                    " {bytes} bytes of what you typed did not reach the program: it does not read"
                ));
            }
            ToViewer::Ended(end) => return Ok(Some(end)),
        }
        Ok(None)
    }

    fn paint(&mut self) {
        if !self.is_dirty || !self.frame.is_empty() || Instant::now() < self.next_frame {
            return;
        }
        let status = self.hint.as_ref().map(|(hint, _)| hint).or(self.offline.as_ref());
        self.frame = self.painter.paint(&self.terminal, status.map(String::as_str));
        self.is_dirty = false;
        self.next_frame = Instant::now() + FRAME;
    }

    /// Gives the terminal back. It has a moment to take what is to be written.
    async fn leave(self) {
        let bytes = [self.frame, self.painter.end()].concat();
        let mut rest = &*bytes;
        let writing = async {
            while let Some(written) =
                Some(write(&self.tty, rest).await.unwrap_or(0)).filter(|written| *written > 0)
            {
                rest = rest.get(written..).unwrap_or_default();
                if rest.is_empty() {
                    break;
                }
            }
        };
        // A terminal that takes nothing is left as it is.
        drop(tokio::time::timeout(Duration::from_secs(2), writing).await);
    }
}

async fn read(tty: &AsyncFd<OwnedFd>) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; 4096];
    let length = tty
        .async_io(Interest::READABLE, |fd| nix::unistd::read(fd, &mut buffer).map_err(io::Error::from))
        .await?;
    if length == 0 {
        return Err(Errno::EIO.into());
    }
    buffer.truncate(length);
    Ok(buffer)
}

async fn write(tty: &AsyncFd<OwnedFd>, bytes: &[u8]) -> io::Result<usize> {
    tty.async_io(Interest::WRITABLE, |fd| nix::unistd::write(fd, bytes).map_err(io::Error::from)).await
}

async fn greeted(greeting: Option<&mut Greeting>) -> Option<ViewerChannel> {
    match greeting {
        Some(greeting) => greeting.await,
        None => std::future::pending().await,
    }
}

async fn send(viewer: Option<&ViewerChannel>, message: Option<&FromViewer>) -> Result<(), WireError> {
    match (viewer, message) {
        (Some(viewer), Some(message)) => viewer.send(message, &[]).await,
        (None, _) | (_, None) => std::future::pending().await,
    }
}

async fn receive(viewer: Option<&ViewerChannel>) -> Result<ToViewer, WireError> {
    match viewer {
        Some(viewer) => Ok(viewer.receive().await?.0),
        None => std::future::pending().await,
    }
}
