//! One viewer: a socket, a role, and a cursor into the ring. It has no queue: what it has not
//! taken is in the ring, or gone.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::ring::{Behind, Ring};
use crate::names::TermSize;
use crate::protocol::EndReason;
use crate::protocol::viewer::{CHUNK_MAX, FromViewer, ToViewer};
use crate::protocol::worker::{Role, ViewerNumber};
use crate::wire::{Channel, Intent, WireError};

/// Packets that one viewer may send or be sent in one turn of the loop, so that none starves the
/// others.
const PER_TURN: usize = 8;

/// One viewer.
#[derive(Debug)]
pub(super) struct Viewer {
    pub(super) number: ViewerNumber,
    role: Role,
    /// Non-blocking.
    channel: Channel<ToViewer, FromViewer>,
    greeted: bool,
    cursor: u64,
    /// Bytes of output that it lost and has not been told of.
    skipped: u64,
    /// Bytes of its input that were thrown away and that it has not been told of.
    dropped: u64,
}

/// How far feeding came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fed {
    /// It has everything.
    All,
    /// Its turn is over, and there is more.
    More,
    /// Its socket is full.
    Full,
}

/// What a viewer asks for, as far as its role allows it.
#[derive(Debug)]
pub(super) enum Asked {
    Input(Vec<u8>),
    Resize(TermSize),
}

impl Viewer {
    /// A viewer that begins with the oldest byte there is.
    pub(super) fn new(
        number: ViewerNumber,
        role: Role,
        channel: Channel<ToViewer, FromViewer>,
        ring: &Ring,
    ) -> Self {
        Self { number, role, channel, greeted: false, cursor: ring.oldest(), skipped: 0, dropped: 0 }
    }

    /// The viewer of an earlier worker, where it was left.
    pub(super) fn left(
        number: ViewerNumber,
        role: Role,
        channel: Channel<ToViewer, FromViewer>,
        ring: &Ring,
    ) -> Self {
        let mut viewer = Self::new(number, role, channel, ring);
        if let Some(cursor) = ring.noted(number) {
            // Noted when it has greeted, not before.
            viewer.greeted = true;
            viewer.cursor = cursor;
        }
        viewer
    }

    /// Whether the size of its terminal is the session's.
    pub(super) fn sets_size(&self) -> bool {
        self.role == Role::Owner
    }

    /// Sends what is behind the cursor, up to `end`.
    pub(super) fn feed(&mut self, ring: &Ring, end: u64) -> Result<Fed, WireError> {
        if !self.greeted {
            return Ok(Fed::All);
        }
        for _ in 0..PER_TURN {
            if !self.settle()? {
                return Ok(Fed::Full);
            }
            let before = self.cursor;
            let most = usize::try_from(end.saturating_sub(before)).unwrap_or(CHUNK_MAX).min(CHUNK_MAX);
            let mut chunk = Vec::new();
            match ring.read(&mut self.cursor, most, &mut chunk) {
                Behind::Nothing => return Ok(Fed::All),
                Behind::Lost(lost) => self.skipped += lost,
                Behind::Bytes => {
                    if !self.send(&ToViewer::Output(chunk))? {
                        self.cursor = before;
                        return Ok(Fed::Full);
                    }
                    ring.note(self.number, self.cursor);
                }
            }
        }
        Ok(Fed::More)
    }

    /// Whether it has everything up to `end`. One that has not greeted has nothing yet.
    pub(super) fn has_all(&self, end: u64) -> bool {
        self.greeted && self.cursor >= end
    }

    /// Says how much was lost, if anything; false where the socket is full.
    fn settle(&mut self) -> Result<bool, WireError> {
        if self.skipped > 0 {
            if !self.send(&ToViewer::Skipped(self.skipped))? {
                return Ok(false);
            }
            self.skipped = 0;
        }
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

    /// Takes what it sent, up to a turn's worth. Input and sizes that its role does not allow are
    /// left out here, whatever its page believes.
    pub(super) fn take(&mut self, ring: &Ring) -> Result<Vec<Asked>, WireError> {
        let mut asked = Vec::new();
        for _ in 0..PER_TURN {
            if !self.greeted {
                match self.channel.receive_greeting(Intent::Viewer) {
                    Ok(()) => {
                        self.greeted = true;
                        ring.note(self.number, self.cursor);
                    }
                    Err(error) if would_block(&error) => break,
                    Err(error) => return Err(error),
                }
                continue;
            }
            match (self.channel.receive(), self.role) {
                (Ok((FromViewer::Input(bytes), _)), Role::Owner | Role::Writer) => {
                    asked.push(Asked::Input(bytes));
                }
                (Ok((FromViewer::Resize(size), _)), Role::Owner) => asked.push(Asked::Resize(size)),
                (Ok((FromViewer::Input(_), _)), Role::Watcher)
                | (Ok((FromViewer::Resize(_), _)), Role::Writer | Role::Watcher) => {}
                (Err(error), _) if would_block(&error) => break,
                (Err(error), _) => return Err(error),
            }
        }
        Ok(asked)
    }

    /// Says why the session is over; false where the socket is full.
    pub(super) fn end(&self, reason: EndReason) -> Result<bool, WireError> {
        self.send(&ToViewer::Ended(reason))
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
mod tests {
    use super::*;
    use crate::sys::seqpacket;

    /// What a viewer of this role is taken to ask for, after it typed and resized.
    fn asked(role: Role) -> Vec<Asked> {
        let ring = Ring::new().unwrap();
        let (ours, theirs) = Channel::<ToViewer, FromViewer>::pair().unwrap();
        seqpacket::set_nonblocking(ours.as_fd()).unwrap();
        theirs.send_greeting(Intent::Viewer).unwrap();
        theirs.send(&FromViewer::Input(b"rm\r".to_vec()), &[]).unwrap();
        theirs.send(&FromViewer::Resize(TermSize::new(1, 1).unwrap()), &[]).unwrap();
        Viewer::new(ViewerNumber(1), role, ours, &ring).take(&ring).unwrap()
    }

    #[test]
    fn a_watcher_types_nothing_and_sets_no_size() {
        assert!(matches!(asked(Role::Owner)[..], [Asked::Input(_), Asked::Resize(_)]));
        assert!(matches!(asked(Role::Writer)[..], [Asked::Input(_)]));
        assert!(asked(Role::Watcher).is_empty());
    }

    #[test]
    fn a_viewer_that_does_not_greet_is_given_nothing() {
        let ring = Ring::new().unwrap();
        let (ours, _theirs) = Channel::<ToViewer, FromViewer>::pair().unwrap();
        seqpacket::set_nonblocking(ours.as_fd()).unwrap();
        let mut viewer = Viewer::new(ViewerNumber(1), Role::Owner, ours, &ring);
        assert!(viewer.take(&ring).unwrap().is_empty());
        assert_eq!(viewer.feed(&ring, u64::MAX).unwrap(), Fed::All);
        assert!(!viewer.has_all(0));
    }
}
