//! The thread `viewers`: one loop around poll(2) that feeds every viewer from the memory file, and
//! writes the viewers' input and the terminal's answers to the PTY.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::command::ClientChannel;
use super::core::Input;
use super::exchange::{EXTENTS, Exchange, Snapshot};
use super::memory::SessionMemory;
use super::stats::SessionStats;
use super::viewer::{Allowed, Fed, Viewer};
use super::wake::Wake;
use crate::names::TermSize;
use crate::protocol::worker::{UnreadInput, ViewerId};
use crate::protocol::{EndReason, Role, SessionEnd};
use crate::sys::pty;
use crate::wire::WireError;

/// How long viewers may take to receive the remaining output when the session ends. Viewers that
/// have not received it by then are cut off.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Minimum interval between two changes of the terminal's size. Of the sizes requested in between,
/// only the last one counts: dragging a window requests hundreds, and each narrower size wraps rows
/// that are not joined again.
const BETWEEN_SIZES: Duration = Duration::from_millis(200);

/// Maximum total bytes of the snapshots that are being sent. Beyond it, viewers that are being sent
/// the oldest snapshot start over with a new one, which all of them share.
const SNAPSHOTS_MAX: usize = 12 * 1024 * 1024;

/// An order from the control thread.
#[derive(Debug)]
pub(super) enum ViewersOrder {
    /// Adds a viewer, with the size of its terminal.
    Add(Viewer, TermSize),
    /// Continues with a viewer of the previous worker.
    Resume(Viewer),
    /// Adds the client of a command.
    AddClient(ViewerId, ClientChannel),
    SetRole(ViewerId, Role),
    Drop(ViewerId, UnreadInput),
    Flush(SessionEnd),
}

/// The thread's shared resources, channels and state.
#[derive(Debug)]
pub(super) struct Viewers {
    pub(super) pty: Arc<OwnedFd>,
    pub(super) memory: Arc<SessionMemory>,
    pub(super) exchange: Arc<Exchange>,
    /// Raised when there is new output, when an order is queued, and when the terminal's thread has
    /// something for this thread.
    pub(super) wake: Arc<Wake>,
    pub(super) stats: Arc<SessionStats>,
    /// Wakes the terminal's thread.
    pub(super) terminal: Arc<Wake>,
    pub(super) orders: Receiver<ViewersOrder>,
    /// Events for the control thread, which `control` wakes. Never full: see
    /// [`super::control::EVENTS`].
    pub(super) events: SyncSender<Input>,
    pub(super) control: Arc<Wake>,
    pub(super) state: LoopState,
}

/// State of the loop between turns.
#[derive(Debug, Default)]
pub(super) struct LoopState {
    viewers: Vec<Viewer>,
    /// Viewers whose socket had something to read (`readable`) or was full (`full`).
    readable: Vec<ViewerId>,
    full: Vec<ViewerId>,
    /// At least one viewer holds output back to fill a packet. Until that pause is over, new output
    /// and orders do not wake the loop.
    is_collecting: bool,
    /// The last size requested by an owner that the terminal does not have yet.
    size: Option<TermSize>,
    /// Earliest time of the terminal's next change of size.
    next_size: Option<Instant>,
    ending: Option<Ending>,
}

#[derive(Debug)]
struct Ending {
    end: SessionEnd,
    /// Offset of the end of the output.
    at: u64,
    deadline: Instant,
}

impl Viewers {
    /// Runs until the session is over and its viewers have been flushed.
    pub(super) fn run(mut self) {
        loop {
            self.wake.lower();
            let now = Instant::now();
            self.obey(now);
            self.listen(now);
            self.resize(now);
            self.show_reset(now);
            self.show_snapshots(now);
            let more = self.feed(now);
            self.stats.set_viewers(self.state.viewers.len());
            self.ask_for_snapshots(now);
            self.type_on();
            if self.flushed(now) {
                self.report(Input::Flushed);
                return;
            }
            if let Err(error) = self.wait(more, now) {
                // poll(2) fails only for lack of memory or because of a bug: end the process, which
                // systemd restarts, rather than spin.
                tracing::error!(%error, "cannot wait for viewers");
                std::process::abort();
            }
        }
    }

    fn obey(&mut self, now: Instant) {
        while let Ok(order) = self.orders.try_recv() {
            match order {
                ViewersOrder::Add(viewer, size) => {
                    if viewer.sets_size() {
                        self.state.size = Some(size);
                    }
                    self.state.viewers.push(viewer);
                }
                ViewersOrder::Resume(viewer) => self.state.viewers.push(viewer),
                // A shell has no client.
                ViewersOrder::AddClient(..) => {}
                ViewersOrder::SetRole(number, role) => {
                    let viewers = self.state.viewers.iter_mut();
                    viewers.filter(|viewer| viewer.id == number).for_each(|viewer| viewer.set_role(role));
                    self.report(Input::RoleSet { viewer: number, role });
                }
                ViewersOrder::Drop(number, unread) => {
                    let at = self.state.viewers.iter().position(|viewer| viewer.id == number);
                    if let Some(mut viewer) = at.map(|at| self.state.viewers.remove(at)) {
                        if unread == UnreadInput::Typed {
                            let mut asked = Vec::new();
                            viewer.take_rest(&self.memory, &mut asked, now);
                            self.grant(&mut viewer, asked);
                        }
                        // A viewer that does not read still sees its socket close.
                        drop(viewer.end(EndReason::ViewClosed.into()));
                    }
                    self.memory.forget(number);
                    self.report(Input::ViewerGone(number));
                }
                ViewersOrder::Flush(end) => {
                    let (at, deadline) = (self.memory.head(), now + FLUSH_TIMEOUT);
                    self.state.ending = Some(Ending { end, at, deadline });
                }
            }
        }
    }

    /// Receives what the viewers have sent.
    fn listen(&mut self, now: Instant) {
        let mut gone = Vec::new();
        let readable = std::mem::take(&mut self.state.readable);
        let mut viewers = std::mem::take(&mut self.state.viewers);
        for viewer in viewers.iter_mut().filter(|viewer| readable.contains(&viewer.id)) {
            let mut asked = Vec::new();
            let taken = viewer.take(&self.memory, &mut asked, now);
            self.grant(viewer, asked);
            if let Err(error) = taken {
                gone.push((viewer.id, error));
            }
        }
        self.state.viewers = viewers;
        self.part(gone);
        // Answers for which there is no room are lost, as in any terminal.
        let _ = self.memory.add_typed(&self.exchange.answers());
    }

    /// Carries out a viewer's requests.
    fn grant(&mut self, viewer: &mut Viewer, asked: Vec<Allowed>) {
        for one in asked {
            match one {
                Allowed::Input(bytes) if self.memory.add_typed(&bytes) => self.stats.note_typed(),
                Allowed::Input(bytes) => viewer.input_dropped(bytes.len()),
                Allowed::Resize(size) => self.state.size = Some(size),
                // An owner's input brings along the theme of its window, which differs only when
                // the owner has moved to another window.
                Allowed::Theme(theme) => {
                    if self.memory.theme() != Some(theme) {
                        self.memory.set_theme(&theme);
                    }
                }
                Allowed::ResetTerminal => {
                    self.exchange.ask_for_reset();
                    self.terminal.raise();
                }
            }
        }
    }

    /// Gives the terminal the last requested size. The size is recorded in the memory file first:
    /// output that a program prints for the new size must not be interpreted at the old one.
    fn resize(&mut self, now: Instant) {
        let Some(size) = self.state.size else { return };
        if self.memory.latest_size() == Some(size) {
            self.state.size = None;
        } else if self.state.next_size.is_none_or(|next| now >= next) && self.memory.add_size(size) {
            self.state.size = None;
            self.state.next_size = Some(now + BETWEEN_SIZES);
            self.terminal.raise();
            // Fails if the terminal is gone, which the reader reports.
            if let Err(error) = pty::set_size(self.pty.as_fd(), size) {
                tracing::debug!(%error, "the size of the terminal cannot be set");
            }
        }
    }

    /// Gives every viewer a new snapshot once the terminal has been reset.
    fn show_reset(&mut self, now: Instant) {
        if self.exchange.take_reset() {
            self.state.viewers.iter_mut().for_each(|viewer| viewer.show_again(now, &self.memory));
        }
    }

    /// Hands finished snapshots to the viewers that wait for them, and enforces [`SNAPSHOTS_MAX`].
    fn show_snapshots(&mut self, now: Instant) {
        for extent in EXTENTS {
            let Some(snapshot) = self.exchange.take(extent) else { continue };
            for viewer in &mut self.state.viewers {
                if viewer.waits_for().is_some_and(|(wanted, _)| wanted == extent) {
                    viewer.show(&snapshot, now);
                }
            }
        }
        let mut held: Vec<Arc<Snapshot>> =
            self.state.viewers.iter().filter_map(|viewer| viewer.snapshot().cloned()).collect();
        held.sort_by_key(|snapshot| snapshot.offset);
        held.dedup_by(|one, other| Arc::ptr_eq(one, other));
        let mut bytes: usize = held.iter().map(|snapshot| snapshot.bytes.len()).sum();
        for oldest in held.iter().take(held.len().saturating_sub(1)) {
            if bytes <= SNAPSHOTS_MAX {
                return;
            }
            bytes -= oldest.bytes.len();
            for viewer in &mut self.state.viewers {
                if viewer.snapshot().is_some_and(|snapshot| Arc::ptr_eq(snapshot, oldest)) {
                    viewer.want(oldest.extent, now, &self.memory);
                }
            }
        }
    }

    /// Requests the snapshots that viewers wait for and may have by now.
    fn ask_for_snapshots(&mut self, now: Instant) {
        let due = self.state.viewers.iter().filter_map(Viewer::waits_for).filter(|(_, from)| *from <= now);
        for (extent, _) in due {
            self.exchange.ask(extent);
            self.terminal.raise();
        }
    }

    /// Sends output; true if a viewer has more to get and room for it.
    fn feed(&mut self, now: Instant) -> bool {
        let end = self.state.ending.as_ref().map_or(u64::MAX, |ending| ending.at);
        let (mut more, mut gone) = (false, Vec::new());
        self.state.full.clear();
        self.state.is_collecting = false;
        let mut viewers = std::mem::take(&mut self.state.viewers);
        for viewer in &mut viewers {
            match viewer.feed(&self.memory, end, now) {
                Ok(Fed::All) => {}
                Ok(Fed::More) => more = true,
                Ok(Fed::Collecting) => self.state.is_collecting = true,
                Ok(Fed::Full) => self.state.full.push(viewer.id),
                Err(error) => {
                    let mut asked = Vec::new();
                    viewer.take_rest(&self.memory, &mut asked, now);
                    self.grant(viewer, asked);
                    gone.push((viewer.id, error));
                }
            }
        }
        self.state.viewers = viewers;
        self.part(gone);
        more
    }

    fn part(&mut self, gone: Vec<(ViewerId, WireError)>) {
        for (number, error) in gone {
            if !matches!(error, WireError::Closed) {
                tracing::warn!(viewer = number.0, %error, "a viewer is cut off");
            }
            self.memory.forget(number);
            self.state.viewers.retain(|viewer| viewer.id != number);
            self.report(Input::ViewerGone(number));
        }
    }

    /// Writes waiting input to the PTY, as much as it takes.
    fn type_on(&mut self) {
        // Write only to a PTY that accepts input: bytes are marked as typed before they are handed
        // to write(2), and a worker that ends in between loses them.
        while self.may_type() && self.takes_input() {
            match self.memory.type_some(|bytes| nix::unistd::write(self.pty.as_fd(), bytes)) {
                Ok(()) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                // The terminal is gone, which the reader reports.
                Err(_) => self.memory.forget_typed(),
            }
        }
    }

    /// Whether the PTY accepts input now.
    fn takes_input(&self) -> bool {
        let mut fds = [PollFd::new(self.pty.as_fd(), PollFlags::POLLOUT)];
        matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1))
    }

    /// Whether input is waiting and the shell is ready for it.
    fn may_type(&self) -> bool {
        !self.memory.is_typed_out() && self.memory.is_ready()
    }

    /// Whether the session is over and every viewer has been told, or its time is up. The socket of
    /// a viewer that has been told is closed.
    fn flushed(&mut self, now: Instant) -> bool {
        let Some(ending) = &self.state.ending else { return false };
        let (end, at) = (ending.end, ending.at);
        // Keep the viewers that lack output, and those that have all of it but whose socket is
        // full.
        self.state.viewers.retain(|viewer| !viewer.has_all(at) || matches!(viewer.end(end), Ok(false)));
        let late = now >= ending.deadline;
        if late {
            // Tell the remaining viewers at least the reason. A viewer whose socket is full misses
            // it.
            self.state.viewers.iter().for_each(|viewer| drop(viewer.end(end)));
        }
        late || self.state.viewers.is_empty()
    }

    fn wait(&mut self, more: bool, now: Instant) -> io::Result<()> {
        // While output is being collected, new output is no reason to wake up, and orders can wait
        // as long.
        let wakes = if self.state.is_collecting { PollFlags::empty() } else { PollFlags::POLLIN };
        let mut fds = vec![PollFd::new(self.wake.as_fd(), wakes)];
        // A PTY whose last slave is closed reports a hang-up on every poll, so it is polled only
        // while there is something to type.
        if self.may_type() {
            fds.push(PollFd::new(self.pty.as_fd(), PollFlags::POLLOUT));
        }
        let before = fds.len();
        for viewer in &self.state.viewers {
            let mut events = PollFlags::POLLIN;
            events.set(PollFlags::POLLOUT, self.state.full.contains(&viewer.id));
            fds.push(PollFd::new(viewer.as_fd(), events));
        }
        let timeout = if more { PollTimeout::ZERO } else { self.next_deadline(now) };
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        // Any event but POLLOUT is a reason to read: the read reports a broken socket.
        let is_readable = |fd: &PollFd<'_>| fd.revents().is_some_and(|is| is.intersects(!PollFlags::POLLOUT));
        let viewers = self.state.viewers.iter().zip(fds.iter().skip(before));
        let readable = viewers.filter(|(_, fd)| is_readable(fd)).map(|(viewer, _)| viewer.id).collect();
        self.state.readable = readable;
        Ok(())
    }

    /// How long the thread may wait if no event arrives.
    fn next_deadline(&self, now: Instant) -> PollTimeout {
        let snapshots = self.state.viewers.iter().filter_map(Viewer::waits_for).map(|(_, from)| from);
        // A snapshot that is due has been requested already, and its arrival is an event.
        let snapshots = snapshots.filter(|from| *from > now);
        let collecting =
            self.state.viewers.iter().filter(|_| self.state.is_collecting).filter_map(Viewer::collects_until);
        let size = self.state.size.and(self.state.next_size).filter(|next| *next > now);
        let ending = self.state.ending.as_ref().map(|ending| ending.deadline);
        let all = snapshots.chain(collecting).chain(size).chain(ending);
        let Some(next) = all.min() else { return PollTimeout::NONE };
        // Rounded up: waking too early would waste a turn.
        let wait = next.saturating_duration_since(now) + Duration::from_millis(1);
        PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)
    }

    fn report(&self, event: Input) {
        if self.events.try_send(event).is_err() {
            tracing::error!("the control thread takes no events");
            std::process::abort();
        }
        self.control.raise();
    }
}
