//! One viewer: a socket, a role, and a cursor into the memory file. A viewer has no queue. It
//! starts with a snapshot and continues with the live output; a viewer that falls too far behind
//! gets another snapshot instead of the backlog.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::exchange::Snapshot;
use super::lag::Lag;
use super::memory::{Behind, Position, SessionMemory};
use super::pace::Pace;
use crate::names::{TermSize, Theme};
use crate::protocol::viewer::{CHUNK_MAX, Extent, FromViewer, ToViewer};
use crate::protocol::worker::ViewerId;
use crate::protocol::{Role, SessionEnd};
use crate::wire::{Channel, Intent, WireError};

/// Maximum packets received from, and sent to, one viewer per turn of the loop, so that no viewer
/// starves the others.
const PER_TURN: usize = 8;

/// Minimum interval between two snapshots sent to a late viewer.
const BETWEEN_SNAPSHOTS: Duration = Duration::from_millis(30);

/// A chunk of at least `FLOOD` bytes is part of a flood, not an echo. Output that arrives within
/// [`COLLECT_TIME`] after it is held back and sent in one packet, unless it already fills one: a
/// shell prints 4 KiB at a time, and each packet costs a turn in three programs.
const FLOOD: usize = 2 * 1024;
const COLLECT_TIME: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct Viewer {
    pub(super) id: ViewerId,
    role: Role,
    /// Non-blocking.
    channel: Channel<ToViewer, FromViewer>,
    greeted: bool,
    /// The viewer has announced the end of its input.
    input_ended: bool,
    /// The colours in which the viewer shows the terminal, if it has sent them. They do not survive
    /// a recovery: the next worker has none until the viewer sends them again.
    theme: Option<Theme>,
    showing: Showing,
    pace: Pace,
    /// End of the pause in which small amounts of output are collected into one packet.
    collects_until: Option<Instant>,
    lag: Lag,
    /// Earliest time of the next snapshot, if the viewer is late or asks for one.
    next_snapshot: Instant,
    /// Bytes of the viewer's input that were discarded and not yet reported to it.
    dropped: u64,
}

/// What a viewer is being sent.
#[derive(Debug)]
enum Showing {
    /// Nothing, until it gets a snapshot.
    Waiting { extent: Extent, not_before: Instant },
    /// A snapshot, of which `sent` bytes have been sent. `begun` is set once its `SnapshotBegins`
    /// has been sent.
    Snapshot { snapshot: Arc<Snapshot>, begun: bool, sent: usize },
    /// The output after `cursor`, and the sizes from number `sizes` on.
    Live { cursor: u64, sizes: u64 },
}

/// Result of [`Viewer::feed`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fed {
    /// Nothing can be sent now: the viewer has everything, waits for a snapshot, or must first
    /// acknowledge what it has shown.
    All,
    /// The turn is over, and there is more to send.
    More,
    /// There is more, but it is held back briefly to fill a packet.
    Collecting,
    /// The viewer's socket is full.
    Full,
}

/// A request of a viewer that its role permits.
#[derive(Debug)]
pub(super) enum Allowed {
    Input(Vec<u8>),
    Resize(TermSize),
    ResetTerminal,
    Theme(Theme),
}

impl Viewer {
    /// Creates a viewer that waits for the screen and the end of the scrollback. The rest of the
    /// scrollback takes time on a slow link, so a viewer gets it only on request.
    pub(super) fn new(
        id: ViewerId,
        role: Role,
        channel: Channel<ToViewer, FromViewer>,
        now: Instant,
    ) -> Self {
        let showing = Showing::Waiting { extent: Extent::Recent, not_before: now };
        Self {
            id,
            role,
            channel,
            greeted: false,
            input_ended: false,
            theme: None,
            showing,
            pace: Pace::new(),
            collects_until: None,
            lag: Lag::new(now),
            next_snapshot: now,
            dropped: 0,
        }
    }

    /// Marks the viewer as one that has already greeted the previous worker.
    pub(super) fn that_has_greeted(mut self) -> Self {
        self.greeted = true;
        self
    }

    /// Makes the viewer wait for the whole scrollback, so that the scrollback it shows has no gap.
    pub(super) fn without_gap(mut self, now: Instant) -> Self {
        self.showing = Showing::Waiting { extent: Extent::Whole, not_before: now };
        self
    }

    /// Makes the viewer live: it has all output before `cursor` and knows the first `sizes` sizes.
    pub(super) fn live_at(mut self, cursor: u64, sizes: u64) -> Self {
        self.showing = Showing::Live { cursor, sizes };
        self
    }

    /// Whether the session takes its size from this viewer's window.
    pub(super) fn sets_size(&self) -> bool {
        self.role == Role::Owner
    }

    /// The snapshot that the viewer waits for, and the earliest time at which it may get it.
    pub(super) fn waits_for(&self) -> Option<(Extent, Instant)> {
        match self.showing {
            Showing::Waiting { extent, not_before } if self.greeted => Some((extent, not_before)),
            Showing::Waiting { .. } | Showing::Snapshot { .. } | Showing::Live { .. } => None,
        }
    }

    /// End of the pause in which small amounts of output are held back, if there is one.
    pub(super) fn collects_until(&self) -> Option<Instant> {
        self.collects_until
    }

    /// The snapshot that the viewer is being sent.
    pub(super) fn snapshot(&self) -> Option<&Arc<Snapshot>> {
        match &self.showing {
            Showing::Snapshot { snapshot, .. } => Some(snapshot),
            Showing::Waiting { .. } | Showing::Live { .. } => None,
        }
    }

    /// Starts to send the viewer a snapshot, in place of whatever it was being sent.
    pub(super) fn show(&mut self, snapshot: &Arc<Snapshot>, now: Instant) {
        self.next_snapshot = now + BETWEEN_SNAPSHOTS;
        self.lag.snapshot(snapshot.offset, &self.pace);
        self.showing = Showing::Snapshot { snapshot: Arc::clone(snapshot), begun: false, sent: 0 };
    }

    /// Makes the viewer wait for a snapshot, which it gets at `not_before` at the earliest.
    pub(super) fn want(&mut self, extent: Extent, not_before: Instant, memory: &SessionMemory) {
        self.showing = Showing::Waiting { extent, not_before };
        memory.set_position(self.id, Position::Waiting);
    }

    /// Gives the viewer a new snapshot after a reset of the terminal, which leaves no trace in the
    /// output.
    pub(super) fn show_again(&mut self, now: Instant, memory: &SessionMemory) {
        match &self.showing {
            // The snapshot that the viewer waits for will be made after the reset.
            Showing::Waiting { .. } => {}
            Showing::Snapshot { snapshot, .. } => self.want(snapshot.extent, now, memory),
            Showing::Live { .. } => self.want(Extent::Screen, now, memory),
        }
    }

    /// Sends what the viewer has not received yet, up to offset `end`.
    pub(super) fn feed(&mut self, memory: &SessionMemory, end: u64, now: Instant) -> Result<Fed, WireError> {
        if !self.greeted {
            return Ok(Fed::All);
        }
        for _ in 0..PER_TURN {
            if !self.say_dropped()? {
                return Ok(Fed::Full);
            }
            let fed = match self.showing {
                Showing::Waiting { .. } => Fed::All,
                Showing::Snapshot { .. } => self.feed_snapshot(memory, now)?,
                Showing::Live { cursor, sizes } => self.feed_live(memory, (cursor, sizes), end, now)?,
            };
            if fed != Fed::More {
                return Ok(fed);
            }
        }
        Ok(Fed::More)
    }

    fn feed_snapshot(&mut self, memory: &SessionMemory, now: Instant) -> Result<Fed, WireError> {
        let Showing::Snapshot { snapshot, begun, sent } = &self.showing else { return Ok(Fed::All) };
        let (snapshot, mut begun, mut sent) = (Arc::clone(snapshot), *begun, *sent);
        let rest = snapshot.bytes.get(sent..).unwrap_or_default();
        let room = self.pace.room();
        if begun && room == 0 && !rest.is_empty() {
            return Ok(Fed::All);
        }
        let next = rest.get(..rest.len().min(CHUNK_MAX).min(room)).unwrap_or_default();
        let message = if begun {
            ToViewer::Output(next.to_vec())
        } else {
            let length = u32::try_from(snapshot.bytes.len()).unwrap_or(u32::MAX);
            ToViewer::SnapshotBegins { size: snapshot.size, length, extent: snapshot.extent }
        };
        if !self.send(&message)? {
            return Ok(Fed::Full);
        }
        if begun {
            sent += next.len();
            self.pace.sent(next.len(), now);
        }
        begun = true;
        if sent < snapshot.bytes.len() {
            self.showing = Showing::Snapshot { snapshot, begun, sent };
        } else {
            self.lag.snapshot_sent(memory.head(), now);
            self.resume_at(memory, snapshot.offset, snapshot.sizes);
        }
        Ok(Fed::More)
    }

    fn feed_live(
        &mut self,
        memory: &SessionMemory,
        (mut cursor, sizes): (u64, u64),
        end: u64,
        now: Instant,
    ) -> Result<Fed, WireError> {
        let head = memory.head();
        if self.lag.is_late(cursor, head, &self.pace, now) {
            self.want(Extent::Screen, self.next_snapshot, memory);
            return Ok(Fed::All);
        }
        let behind = head.saturating_sub(cursor);
        if self.collects_until.is_some_and(|until| now < until) && (1..CHUNK_MAX as u64).contains(&behind) {
            return Ok(Fed::Collecting);
        }
        self.collects_until = None;
        let mut end = end.min(head);
        if sizes < memory.sizes() {
            match memory.size(sizes) {
                Some((offset, size)) if offset <= cursor => {
                    if !self.send(&ToViewer::Size(size))? {
                        return Ok(Fed::Full);
                    }
                    // Terminals disagree about how lines move on a resize: the viewer is shown the
                    // result of the session's terminal.
                    self.want(Extent::Screen, now + BETWEEN_SNAPSHOTS, memory);
                    return Ok(Fed::All);
                }
                Some((offset, _)) => end = end.min(offset),
                None => {
                    self.want(Extent::Screen, now, memory);
                    return Ok(Fed::All);
                }
            }
        }
        let most = usize::try_from(end.saturating_sub(cursor)).unwrap_or(CHUNK_MAX).min(CHUNK_MAX);
        let most = if most == 0 { 0 } else { most.min(self.pace.room()) };
        let mut chunk = Vec::new();
        let before = cursor;
        match memory.read(&mut cursor, most, &mut chunk) {
            Behind::Nothing => return Ok(Fed::All),
            Behind::Lost => {
                self.lag.overwritten();
                self.want(Extent::Screen, self.next_snapshot, memory);
                return Ok(Fed::All);
            }
            Behind::Bytes => {}
        }
        let length = chunk.len();
        // The viewer is marked as waiting until its new position is recorded. If the worker is
        // killed in between, the next one sends a snapshot instead of sending this chunk twice.
        memory.set_position(self.id, Position::Waiting);
        if !self.send(&ToViewer::Output(chunk))? {
            self.resume_at(memory, before, sizes);
            return Ok(Fed::Full);
        }
        self.pace.sent(length, now);
        self.collects_until = (length >= FLOOD).then(|| now + COLLECT_TIME);
        self.resume_at(memory, cursor, sizes);
        Ok(Fed::More)
    }

    fn resume_at(&mut self, memory: &SessionMemory, cursor: u64, sizes: u64) {
        self.showing = Showing::Live { cursor, sizes };
        memory.set_position(self.id, Position::At { cursor, sizes });
    }

    /// Whether the viewer has been sent everything up to `end`. A viewer that has not greeted has
    /// been sent nothing.
    pub(super) fn has_all(&self, end: u64) -> bool {
        self.greeted && matches!(self.showing, Showing::Live { cursor, .. } if cursor >= end)
    }

    /// Tells the viewer how much of its input was discarded, if any; false if the socket is full.
    fn say_dropped(&mut self) -> Result<bool, WireError> {
        if self.dropped > 0 {
            if !self.send(&ToViewer::InputDropped(self.dropped))? {
                return Ok(false);
            }
            self.dropped = 0;
        }
        Ok(true)
    }

    /// Records that this many bytes of the viewer's input were discarded.
    pub(super) fn input_dropped(&mut self, bytes: usize) {
        self.dropped += bytes as u64;
    }

    /// Receives at most [`PER_TURN`] packets and appends the viewer's requests to `asked`. Requests
    /// received before an error are kept. Returns true if there may be more. Requests that the role
    /// does not allow are ignored, whatever the viewer's page believes.
    pub(super) fn take(
        &mut self,
        memory: &SessionMemory,
        asked: &mut Vec<Allowed>,
        now: Instant,
    ) -> Result<bool, WireError> {
        for _ in 0..PER_TURN {
            if !self.greeted {
                match self.channel.receive_greeting(Intent::Viewer) {
                    Ok(()) => {
                        self.greeted = true;
                        memory.set_position(self.id, Position::Waiting);
                    }
                    Err(error) if would_block(&error) => return Ok(false),
                    Err(error) => return Err(error),
                }
                continue;
            }
            match (self.channel.receive(), self.role) {
                (Ok((FromViewer::Input(_), _)), _) if self.input_ended => return Err(WireError::OutOfTurn),
                (Ok((FromViewer::Input(bytes), _)), Role::Owner | Role::Writer) => {
                    asked.extend(self.owners_theme().map(Allowed::Theme));
                    asked.push(Allowed::Input(bytes));
                }
                (Ok((FromViewer::Theme(theme), _)), _) => {
                    self.theme = Some(theme);
                    asked.extend(self.owners_theme().map(Allowed::Theme));
                }
                (Ok((FromViewer::Resize(size), _)), Role::Owner) => asked.push(Allowed::Resize(size)),
                (Ok((FromViewer::ResetTerminal, _)), Role::Owner | Role::Writer) => {
                    asked.push(Allowed::ResetTerminal);
                }
                (Ok((FromViewer::Input(_), _)), Role::Watcher)
                | (Ok((FromViewer::ResetTerminal, _)), Role::Watcher)
                | (Ok((FromViewer::Resize(_), _)), Role::Writer | Role::Watcher) => {}
                (Ok((FromViewer::End, _)), _) => self.input_ended = true,
                (Ok((FromViewer::Shown(bytes), _)), _) => self.pace.shown(bytes.into(), now),
                // No more often than a late viewer gets a snapshot, so that a refresh costs the
                // session no more.
                (Ok((FromViewer::Refresh, _)), _) => {
                    self.want(Extent::Whole, self.next_snapshot, memory);
                }
                (Err(error), _) if would_block(&error) => return Ok(false),
                (Err(error), _) => return Err(error),
            }
        }
        Ok(true)
    }

    /// The viewer's theme, if the viewer is an owner's and so sets the theme of the session.
    fn owners_theme(&self) -> Option<Theme> {
        self.theme.filter(|_| self.role == Role::Owner)
    }

    /// Appends all remaining requests of a viewer that is about to be removed. The viewer may have
    /// sent input and then closed its socket, and a write may notice the close before the input is
    /// read. The kernel bounds what a socket holds.
    pub(super) fn take_rest(&mut self, memory: &SessionMemory, asked: &mut Vec<Allowed>, now: Instant) {
        while let Ok(true) = self.take(memory, asked, now) {}
    }

    pub(super) fn set_role(&mut self, role: Role) {
        self.role = role;
    }

    /// Tells the viewer why its view has ended; false if the socket is full.
    pub(super) fn end(&self, end: SessionEnd) -> Result<bool, WireError> {
        self.send(&ToViewer::Ended(end))
    }

    fn send(&self, message: &ToViewer) -> Result<bool, WireError> {
        match self.channel.send(message, &[]) {
            Ok(()) => Ok(true),
            Err(error) if would_block(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Viewer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

fn would_block(error: &WireError) -> bool {
    matches!(error, WireError::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests;
