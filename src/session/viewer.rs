//! One viewer: a socket, a role, and a cursor into the memory file. It has no queue: it begins with a
//! snapshot and goes on with what is printed, and when it is too slow for that, with another
//! snapshot.

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
use crate::protocol::worker::ViewerNumber;
use crate::protocol::{Role, SessionEnd};
use crate::wire::{Channel, Intent, WireError};

/// Packets that one viewer may send or be sent in one turn of the loop, so that none starves the
/// others.
const PER_TURN: usize = 8;

/// From one snapshot of a viewer that is late to its next.
const BETWEEN_SNAPSHOTS: Duration = Duration::from_millis(30);

/// A chunk of this many bytes is a flood's, not an echo, and what comes within [`REST`] after it is sent in one
/// packet, unless it is a packet's worth: a shell prints 4 KiB at a time, and each packet costs three programs a turn.
const FLOOD: usize = 2 * 1024;
const REST: Duration = Duration::from_millis(1);

/// One viewer.
#[derive(Debug)]
pub(super) struct Viewer {
    pub(super) number: ViewerNumber,
    role: Role,
    /// Non-blocking.
    channel: Channel<ToViewer, FromViewer>,
    greeted: bool,
    /// It said that no more input comes.
    input_ended: bool,
    /// The colours in which it is shown, if it said so. It says so to one worker: after a recovery it
    /// has none until it says another.
    theme: Option<Theme>,
    showing: Showing,
    pace: Pace,
    /// Until when it may be collected what is not much.
    rests: Option<Instant>,
    lag: Lag,
    /// When it may have another snapshot for being late, or for wanting one.
    next_snapshot: Instant,
    /// Bytes of its input that were thrown away and that it has not been told of.
    dropped: u64,
}

/// What a viewer is being sent.
#[derive(Debug)]
enum Showing {
    /// Nothing before it is given a snapshot.
    Waiting { extent: Extent, not_before: Instant },
    /// A snapshot, of which this many bytes are sent. It begins with `begun`.
    Snapshot { snapshot: Arc<Snapshot>, begun: bool, sent: usize },
    /// What is printed behind the cursor, and the sizes from this one on.
    Live { cursor: u64, sizes: u64 },
}

/// How far feeding came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fed {
    /// It has everything, or waits for a snapshot, or has to say first what it has shown.
    All,
    /// Its turn is over, and there is more.
    More,
    /// There is more, which is worth a packet a moment later.
    Resting,
    /// Its socket is full.
    Full,
}

/// What a viewer asks for, as far as its role allows it.
#[derive(Debug)]
pub(super) enum Allowed {
    Input(Vec<u8>),
    Resize(TermSize),
    ResetTerminal,
    Theme(Theme),
}

impl Viewer {
    /// A viewer that is to see the screen and what it takes to look back a little. The rest of the scrollback is worth
    /// its time on a slow link only to somebody who looks at it, and asks for it then.
    pub(super) fn new(
        number: ViewerNumber,
        role: Role,
        channel: Channel<ToViewer, FromViewer>,
        now: Instant,
    ) -> Self {
        let showing = Showing::Waiting { extent: Extent::Recent, not_before: now };
        Self {
            number,
            role,
            channel,
            greeted: false,
            input_ended: false,
            theme: None,
            showing,
            pace: Pace::new(),
            rests: None,
            lag: Lag::new(now),
            next_snapshot: now,
            dropped: 0,
        }
    }

    /// The same viewer, which a worker before this one has greeted.
    pub(super) fn that_has_greeted(mut self) -> Self {
        self.greeted = true;
        self
    }

    /// The same viewer, which has a scrollback that is to have no gap: it waits for the whole.
    pub(super) fn without_gap(mut self, now: Instant) -> Self {
        self.showing = Showing::Waiting { extent: Extent::Whole, not_before: now };
        self
    }

    /// The same viewer, which has everything before this offset and was told of this many sizes.
    pub(super) fn live_at(mut self, cursor: u64, sizes: u64) -> Self {
        self.showing = Showing::Live { cursor, sizes };
        self
    }

    /// Whether the size of its window is the session's.
    pub(super) fn sets_size(&self) -> bool {
        self.role == Role::Owner
    }

    /// The snapshot that it waits for, and from when on it may have it.
    pub(super) fn waits_for(&self) -> Option<(Extent, Instant)> {
        match self.showing {
            Showing::Waiting { extent, not_before } if self.greeted => Some((extent, not_before)),
            Showing::Waiting { .. } | Showing::Snapshot { .. } | Showing::Live { .. } => None,
        }
    }

    /// Until when it rests, if it does.
    pub(super) fn rests(&self) -> Option<Instant> {
        self.rests
    }

    /// The snapshot that it is being sent.
    pub(super) fn snapshot(&self) -> Option<&Arc<Snapshot>> {
        match &self.showing {
            Showing::Snapshot { snapshot, .. } => Some(snapshot),
            Showing::Waiting { .. } | Showing::Live { .. } => None,
        }
    }

    /// Shows it a snapshot next.
    pub(super) fn show(&mut self, snapshot: &Arc<Snapshot>, now: Instant) {
        self.next_snapshot = now + BETWEEN_SNAPSHOTS;
        self.lag.snapshot(snapshot.offset, &self.pace);
        self.showing = Showing::Snapshot { snapshot: Arc::clone(snapshot), begun: false, sent: 0 };
    }

    /// Has it wait for a snapshot.
    pub(super) fn want(&mut self, extent: Extent, not_before: Instant, memory: &SessionMemory) {
        self.showing = Showing::Waiting { extent, not_before };
        memory.set_position(self.number, Position::Waiting);
    }

    /// Has it shown the terminal anew, after a reset that no output tells of.
    pub(super) fn show_again(&mut self, now: Instant, memory: &SessionMemory) {
        match &self.showing {
            // What it waits for is made after the reset.
            Showing::Waiting { .. } => {}
            Showing::Snapshot { snapshot, .. } => self.want(snapshot.extent, now, memory),
            Showing::Live { .. } => self.want(Extent::Screen, now, memory),
        }
    }

    /// Sends what it has not got, up to `end`.
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
            self.go_on_at(memory, snapshot.offset, snapshot.sizes);
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
        if self.rests.is_some_and(|until| now < until) && (1..CHUNK_MAX as u64 / 2).contains(&behind) {
            return Ok(Fed::Resting);
        }
        self.rests = None;
        let mut end = end.min(head);
        if sizes < memory.sizes() {
            match memory.size(sizes) {
                Some((offset, size)) if offset <= cursor => {
                    if !self.send(&ToViewer::Size(size))? {
                        return Ok(Fed::Full);
                    }
                    // Terminals do not agree on where lines go at another size: it is shown what the session's has.
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
        // A worker that is killed between sending and noting must not send the same again: what it
        // leaves is then a viewer that gets a snapshot.
        memory.set_position(self.number, Position::Waiting);
        if !self.send(&ToViewer::Output(chunk))? {
            self.go_on_at(memory, before, sizes);
            return Ok(Fed::Full);
        }
        self.pace.sent(length, now);
        self.rests = (length >= FLOOD).then(|| now + REST);
        self.go_on_at(memory, cursor, sizes);
        Ok(Fed::More)
    }

    fn go_on_at(&mut self, memory: &SessionMemory, cursor: u64, sizes: u64) {
        self.showing = Showing::Live { cursor, sizes };
        memory.set_position(self.number, Position::At { cursor, sizes });
    }

    /// Whether it has everything up to `end`. One that has not greeted has nothing yet.
    pub(super) fn has_all(&self, end: u64) -> bool {
        self.greeted && matches!(self.showing, Showing::Live { cursor, .. } if cursor >= end)
    }

    /// Says how much of its input was thrown away, if any was; false where the socket is full.
    fn say_dropped(&mut self) -> Result<bool, WireError> {
        if self.dropped > 0 {
            if !self.send(&ToViewer::InputDropped(self.dropped))? {
                return Ok(false);
            }
            self.dropped = 0;
        }
        Ok(true)
    }

    /// Notes that this much of its input was thrown away.
    pub(super) fn input_dropped(&mut self, bytes: usize) {
        self.dropped += bytes as u64;
    }

    /// Adds what it sent to `asked`, up to a turn's worth; what came before an error counts. True
    /// where there may be more. Input, sizes and themes that its role does not allow are left out here,
    /// whatever its page believes.
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
                        memory.set_position(self.number, Position::Waiting);
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
                // No more often than a late viewer has one, so that it costs the session no more.
                (Ok((FromViewer::Refresh, _)), _) => {
                    self.want(Extent::Whole, self.next_snapshot, memory);
                }
                (Err(error), _) if would_block(&error) => return Ok(false),
                (Err(error), _) => return Err(error),
            }
        }
        Ok(true)
    }

    /// The theme that it gives the session: an owner's.
    fn owners_theme(&self) -> Option<Theme> {
        self.theme.filter(|_| self.role == Role::Owner)
    }

    /// Adds to `asked` what is left of a viewer whose socket broke: it may have sent input, closed,
    /// and been noticed by a write first. The kernel bounds what a socket holds.
    pub(super) fn take_rest(&mut self, memory: &SessionMemory, asked: &mut Vec<Allowed>, now: Instant) {
        while let Ok(true) = self.take(memory, asked, now) {}
    }

    /// Lets it do this from now on.
    pub(super) fn set_role(&mut self, role: Role) {
        self.role = role;
    }

    /// Says why its view is over; false where the socket is full.
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
