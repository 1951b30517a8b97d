//! Recovery: a worker that continues the session of one that was killed, restarted or upgraded.
//! systemd has kept the terminal, the memory file and the worker's end of each viewer's socket in
//! the unit's descriptor store.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use super::memory::{Position, SessionMemory};
use super::store::{Store, StoredDescriptors, StoredItem};
use super::viewer::Viewer;
use crate::names::TermSize;
use crate::protocol::Role;
use crate::protocol::worker::ViewerId;
use crate::sys::pty;
use crate::wire::Channel;

/// What a worker starts with.
#[derive(Debug)]
pub(super) struct Recovered {
    /// The memory file of the previous worker, or a new one.
    pub(super) memory: Arc<SessionMemory>,
    /// The session, if the previous worker had one.
    pub(super) session: Option<RecoveredSession>,
}

/// A session to continue. The terminal's thread, which is sandboxed by then, restores the screen:
/// it starts with the checkpoint, reads the output after it, and repeats no answers (`emulator`).
#[derive(Debug)]
pub(super) struct RecoveredSession {
    pub(super) pty: OwnedFd,
    pub(super) viewers: Vec<Viewer>,
}

/// Takes over what the previous worker left. `empty` is a memory file without contents, for a
/// session that has none.
pub(super) fn recover(
    store: &mut Store,
    stored: StoredDescriptors,
    empty: SessionMemory,
) -> io::Result<Recovered> {
    let StoredDescriptors { pty, memory, mut viewers } = stored;

    // The memory file comes first: everything else depends on it.
    let memory = match memory {
        None => empty,
        Some(file) => match open(file) {
            Ok(memory) => memory,
            Err(error) => {
                tracing::error!(%error, "the memory file of the previous worker cannot be read: {error}");
                close_views(store, &mut viewers)?;
                replace_unreadable(store, empty, pty.as_ref())?
            }
        },
    };

    // Views that use another version of the protocols are closed; front asks for them again.
    if !memory.viewers_are_of_this_version() {
        close_views(store, &mut viewers)?;
    }

    // Without a terminal there is no session: this is the first worker of the unit.
    let memory = Arc::new(memory);
    let Some(pty) = pty else { return Ok(Recovered { memory, session: None }) };

    // The previous worker may have been killed between recording a size and setting it.
    if let Some(size) = memory.latest_size() {
        pty::set_size(pty.as_fd(), size)?;
    }

    // Each viewer continues at the byte where the previous worker left it.
    let now = Instant::now();
    let viewers = viewers.into_iter().map(|viewer| resume(viewer, &memory, now)).collect();
    Ok(Recovered { memory, session: Some(RecoveredSession { pty, viewers }) })
}

/// Maps a memory file, and completes what the previous worker was doing when it was killed: it
/// counts a read that was not counted yet, and discards input that was being discarded.
pub(super) fn open(file: OwnedFd) -> io::Result<SessionMemory> {
    let memory = SessionMemory::open(file)?;
    memory.recover_head();
    memory.recover_typed();
    memory.recover_ready();
    Ok(memory)
}

/// Puts an empty memory file in place of one that cannot be read, for example after a change of its
/// layout. The screen and the views are lost, but the shell is not.
fn replace_unreadable(
    store: &mut Store,
    memory: SessionMemory,
    pty: Option<&OwnedFd>,
) -> io::Result<SessionMemory> {
    let size = pty.map(|pty| pty::size(pty.as_fd())).transpose()?.flatten();
    memory.replace_an_unreadable_one(size.unwrap_or(TermSize::DEFAULT));
    store.forget_memory()?;
    store.keep(StoredItem::Memory, memory.as_fd())?;
    Ok(memory)
}

fn close_views(store: &mut Store, viewers: &mut Vec<(ViewerId, Role, OwnedFd)>) -> io::Result<()> {
    viewers.drain(..).try_for_each(|(viewer, ..)| store.forget_viewer(viewer))
}

/// Restores a viewer. A viewer without a position had not greeted; one that had received only part
/// of a snapshot gets another.
pub(super) fn resume(
    (number, role, socket): (ViewerId, Role, OwnedFd),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{self, Thread};
    use crate::sys::inherited::Inherited;
    use crate::sys::notify::Notify;

    #[test]
    fn what_the_worker_before_left_is_taken_over_inside_the_sandbox() {
        let whole = SessionMemory::new().unwrap().as_fd().try_clone_to_owned().unwrap();
        let (no_memory, _) = nix::unistd::pipe().unwrap();
        for (memory, views) in [(whole, 1), (no_memory, 0)] {
            let pty = nix::pty::openpty(None, None).unwrap();
            let (view, _page) =
                Channel::<crate::protocol::viewer::ToViewer, crate::protocol::viewer::FromViewer>::pair()
                    .unwrap();
            let view = view.as_fd().try_clone_to_owned().unwrap();
            let left = [("pty", pty.master), ("black-box", memory), ("owner-1", view)];
            let inherited = left.map(|(name, fd)| Inherited { name: name.to_owned(), fd }).into();
            let (notify, empty) = (Notify::open().unwrap(), SessionMemory::new().unwrap());
            let taken_over = || {
                sandbox::enter(Thread::WorkerControl, &[]).unwrap();
                let (mut store, stored) = Store::open(notify, inherited).unwrap();
                recover(&mut store, stored, empty).unwrap()
            };
            let recovered = std::thread::scope(|scope| scope.spawn(taken_over).join().unwrap());
            assert_eq!(recovered.session.unwrap().viewers.len(), views);
        }
    }
}
