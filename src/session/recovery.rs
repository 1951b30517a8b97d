//! Recovery: a worker that goes on where another was killed, restarted or upgraded. systemd has kept the
//! terminal, the memory file and our end of each viewer's socket in the unit's descriptor store.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use super::memory::{Position, SessionMemory};
use super::store::{Store, StoredDescriptors, StoredItem};
use super::viewer::Viewer;
use crate::names::TermSize;
use crate::protocol::Role;
use crate::protocol::worker::ViewerNumber;
use crate::sys::pty;
use crate::wire::Channel;

/// What a worker begins with.
#[derive(Debug)]
pub(super) struct Recovered {
    /// That of the worker before, or a new one.
    pub(super) memory: Arc<SessionMemory>,
    /// The session, if there was a worker before that had one.
    pub(super) session: Option<RecoveredSession>,
}

/// A session to go on with. Its screen is recovered by the terminal's thread, which is in its sandbox by
/// then: it begins with the checkpoint, reads the output behind it, and answers nothing that was
/// answered before (`emulator`).
#[derive(Debug)]
pub(super) struct RecoveredSession {
    pub(super) pty: OwnedFd,
    pub(super) viewers: Vec<Viewer>,
}

/// Takes over what the worker before left.
pub(super) fn recover(store: &mut Store, stored: StoredDescriptors) -> io::Result<Recovered> {
    let StoredDescriptors { pty, memory, mut viewers } = stored;

    // The memory file first: everything else is understood by it.
    let memory = match memory {
        None => SessionMemory::new()?,
        Some(file) => match open(file) {
            Ok(memory) => memory,
            Err(error) => {
                tracing::error!(%error, "the memory file of the worker before cannot be read: {error}");
                close_views(store, &mut viewers)?;
                replace_unreadable(store, pty.as_ref())?
            }
        },
    };

    // Views that were made in another version of the protocols are closed; front asks for them again.
    if !memory.viewers_are_of_this_version() {
        close_views(store, &mut viewers)?;
    }

    // Without a terminal there is no session: this is the first worker of the unit.
    let memory = Arc::new(memory);
    let Some(pty) = pty else { return Ok(Recovered { memory, session: None }) };

    // The worker before may have been killed between noting a size and setting it.
    if let Some(size) = memory.latest_size() {
        pty::set_size(pty.as_fd(), size)?;
    }

    // Each viewer goes on from the byte where it was left.
    let now = Instant::now();
    let viewers = viewers.into_iter().map(|viewer| go_on(viewer, &memory, now)).collect();
    Ok(Recovered { memory, session: Some(RecoveredSession { pty, viewers }) })
}

/// Maps a memory file, and finishes what a worker was doing when it was killed: the read that it had not
/// counted, and the input that it was about to forget.
pub(super) fn open(file: OwnedFd) -> io::Result<SessionMemory> {
    let memory = SessionMemory::open(file)?;
    memory.recover_head();
    memory.recover_typed();
    memory.recover_ready();
    Ok(memory)
}

/// A new memory file in the place of one that cannot be read, as after a change of its layout. The screen
/// and the views are lost, but not the shell.
fn replace_unreadable(store: &mut Store, pty: Option<&OwnedFd>) -> io::Result<SessionMemory> {
    let size = pty.map(|pty| pty::size(pty.as_fd())).transpose()?.flatten();
    let memory = SessionMemory::in_place_of_an_unreadable_one(size.unwrap_or(TermSize::DEFAULT))?;
    store.forget_memory()?;
    store.keep(StoredItem::Memory, memory.as_fd())?;
    Ok(memory)
}

fn close_views(store: &mut Store, viewers: &mut Vec<(ViewerNumber, Role, OwnedFd)>) -> io::Result<()> {
    viewers.drain(..).try_for_each(|(viewer, ..)| store.forget_viewer(viewer))
}

/// A viewer that has no position had not greeted; one that had only a part of a snapshot gets another.
pub(super) fn go_on(
    (number, role, socket): (ViewerNumber, Role, OwnedFd),
    memory: &SessionMemory,
    now: Instant,
) -> Viewer {
    let viewer = Viewer::new(number, role, Channel::over(socket), now);
    match memory.position(number) {
        None => viewer.without_gap(now),
        Some(Position::Waiting) => viewer.that_has_greeted().without_gap(now),
        Some(Position::At { cursor, sizes }) => viewer.that_has_greeted().live_at(cursor, sizes),
    }
}
