//! The thread `viewers`: one loop over poll(2) that feeds every viewer from the ring and gives
//! what they type to the PTY.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::core::Input;
use super::ring::Ring;
use super::viewer::{Asked, Fed, Viewer};
use super::wake::Wake;
use crate::names::TermSize;
use crate::protocol::EndReason;
use crate::protocol::worker::ViewerNumber;
use crate::sys::pty;
use crate::wire::WireError;

/// Most typed bytes that wait for a program that does not read. Past it input is thrown away, and
/// whoever typed it is told.
const INPUT_MAX: usize = 256 * 1024;

/// How long viewers have to take the rest when the session ends. Who has not is cut off.
const FLUSH_TIME: Duration = Duration::from_secs(5);

/// From the control thread.
#[derive(Debug)]
pub(super) enum Order {
    /// With the size of its terminal.
    Add(Viewer, TermSize),
    /// A viewer of the worker before.
    GoOn(Viewer),
    Drop(ViewerNumber),
    Flush(EndReason),
}

/// What the thread needs, and its state.
#[derive(Debug)]
pub(super) struct Viewers {
    pub(super) pty: Arc<OwnedFd>,
    pub(super) ring: Arc<Ring>,
    /// Raised when the ring grew, and when an order waits.
    pub(super) wake: Arc<Wake>,
    pub(super) orders: Receiver<Order>,
    /// To the control thread, with its wake. Never full: see [`super::control::EVENTS`].
    pub(super) events: SyncSender<Input>,
    pub(super) control: Arc<Wake>,
    pub(super) state: State,
}

/// What the loop remembers.
#[derive(Debug, Default)]
pub(super) struct State {
    viewers: Vec<Viewer>,
    full: Vec<ViewerNumber>,
    typed: VecDeque<u8>,
    ending: Option<Ending>,
}

#[derive(Debug)]
struct Ending {
    reason: EndReason,
    /// Where the output ends.
    at: u64,
    deadline: Instant,
}

impl Viewers {
    /// Runs until the session is over and flushed.
    pub(super) fn run(mut self) {
        loop {
            self.wake.lower();
            self.obey();
            self.listen();
            let more = self.feed();
            self.type_on();
            if self.flushed() {
                self.report(Input::Flushed);
                return;
            }
            if let Err(error) = self.wait(more) {
                // poll(2) fails only for want of memory or for a bug: end the process, which
                // systemd restarts, rather than spin.
                tracing::error!(%error, "cannot wait for viewers");
                std::process::abort();
            }
        }
    }

    fn obey(&mut self) {
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Add(viewer, size) => {
                    if viewer.sets_size() {
                        resize(&self.pty, size);
                    }
                    self.state.viewers.push(viewer);
                }
                Order::GoOn(viewer) => self.state.viewers.push(viewer),
                Order::Drop(number) => {
                    self.ring.forget(number);
                    self.state.viewers.retain(|viewer| viewer.number != number);
                }
                Order::Flush(reason) => {
                    let (at, deadline) = (self.ring.head(), Instant::now() + FLUSH_TIME);
                    self.state.ending = Some(Ending { reason, at, deadline });
                }
            }
        }
    }

    /// Takes what viewers sent. No socket is asked that poll did not name, but one that is empty
    /// costs only a call.
    fn listen(&mut self) {
        let mut gone = Vec::new();
        for viewer in &mut self.state.viewers {
            let asked = match viewer.take(&self.ring) {
                Ok(asked) => asked,
                Err(error) => {
                    gone.push((viewer.number, error));
                    continue;
                }
            };
            for one in asked {
                match one {
                    Asked::Input(bytes) if self.state.typed.len() + bytes.len() > INPUT_MAX => {
                        viewer.input_dropped(bytes.len());
                    }
                    Asked::Input(bytes) => self.state.typed.extend(bytes),
                    Asked::Resize(size) => resize(&self.pty, size),
                }
            }
        }
        self.part(gone);
    }

    /// Sends output; true where a viewer has more to get and room for it.
    fn feed(&mut self) -> bool {
        let end = self.state.ending.as_ref().map_or(u64::MAX, |ending| ending.at);
        let (mut more, mut gone) = (false, Vec::new());
        self.state.full.clear();
        for viewer in &mut self.state.viewers {
            match viewer.feed(&self.ring, end) {
                Ok(Fed::All) => {}
                Ok(Fed::More) => more = true,
                Ok(Fed::Full) => self.state.full.push(viewer.number),
                Err(error) => gone.push((viewer.number, error)),
            }
        }
        self.part(gone);
        more
    }

    fn part(&mut self, gone: Vec<(ViewerNumber, WireError)>) {
        for (number, error) in gone {
            if !matches!(error, WireError::Closed) {
                tracing::warn!(viewer = number.0, %error, "a viewer is cut off");
            }
            self.ring.forget(number);
            self.state.viewers.retain(|viewer| viewer.number != number);
            self.report(Input::ViewerGone(number));
        }
    }

    /// Gives the PTY what it takes of what was typed.
    fn type_on(&mut self) {
        while !self.state.typed.is_empty() {
            let (bytes, _) = self.state.typed.as_slices();
            match nix::unistd::write(self.pty.as_fd(), bytes) {
                Ok(written) => drop(self.state.typed.drain(..written)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                // The terminal is gone; the reader says so.
                Err(_) => self.state.typed.clear(),
            }
        }
    }

    /// Whether the session is over and each viewer knows it, or had its time. A viewer is closed
    /// once it knows.
    fn flushed(&mut self) -> bool {
        let Some(ending) = &self.state.ending else { return false };
        let (reason, at) = (ending.reason, ending.at);
        // Kept: who has not got all, and who has but whose socket is full right now.
        self.state.viewers.retain(|viewer| !viewer.has_all(at) || matches!(viewer.end(reason), Ok(false)));
        self.state.viewers.is_empty() || Instant::now() >= ending.deadline
    }

    fn wait(&self, more: bool) -> io::Result<()> {
        let mut fds = vec![PollFd::new(self.wake.as_fd(), PollFlags::POLLIN)];
        // A PTY whose last slave is closed would report its hang-up at every poll, so it is only
        // asked about while there is something to type.
        if !self.state.typed.is_empty() {
            fds.push(PollFd::new(self.pty.as_fd(), PollFlags::POLLOUT));
        }
        for viewer in &self.state.viewers {
            let mut events = PollFlags::POLLIN;
            events.set(PollFlags::POLLOUT, self.state.full.contains(&viewer.number));
            fds.push(PollFd::new(viewer.as_fd(), events));
        }
        let timeout = match (more, &self.state.ending) {
            (true, _) => PollTimeout::ZERO,
            (false, Some(_)) => PollTimeout::from(100_u8),
            (false, None) => PollTimeout::NONE,
        };
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn report(&self, event: Input) {
        drop(self.events.try_send(event));
        self.control.raise();
    }
}

/// Sets the size of the terminal. A terminal that is gone has none, and the reader says so.
fn resize(terminal: &OwnedFd, size: TermSize) {
    if let Err(error) = pty::set_size(terminal.as_fd(), size) {
        tracing::debug!(%error, "the size of the terminal cannot be set");
    }
}
