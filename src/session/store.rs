//! The unit's descriptor store, in which systemd keeps what the next worker needs. A worker that is
//! killed, restarted or upgraded leaves it as it is; a worker whose session is over empties it. See
//! sd_notify(3) and `FileDescriptorStoreMax=`.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::protocol::Role;
use crate::protocol::worker::ViewerId;
use crate::sys::inherited::Inherited;
use crate::sys::notify::Notify;

/// An item of the store. Its name in the store identifies it, and is a stored format: workers of
/// other builds read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoredItem {
    /// The PTY's master.
    Pty,
    /// The memory file.
    Memory,
    /// The worker's end of a viewer's socket.
    Viewer(ViewerId, Role),
}

impl StoredItem {
    fn name(self) -> String {
        match self {
            Self::Pty => "pty".to_owned(),
            Self::Memory => "black-box".to_owned(),
            Self::Viewer(number, Role::Owner) => format!("owner-{}", number.0),
            Self::Viewer(number, Role::Writer) => format!("writer-{}", number.0),
            Self::Viewer(number, Role::Watcher) => format!("watcher-{}", number.0),
        }
    }

    fn parse(name: &str) -> Option<Self> {
        if let Some(kept) = [Self::Pty, Self::Memory].into_iter().find(|kept| kept.name() == name) {
            return Some(kept);
        }
        if let Some((role, number)) = name.split_once('-') {
            let number = ViewerId(number.parse().ok()?);
            let roles = [("owner", Role::Owner), ("writer", Role::Writer), ("watcher", Role::Watcher)];
            let role = roles.into_iter().find(|(word, _)| *word == role)?.1;
            return Some(Self::Viewer(number, role));
        }
        None
    }
}

/// The descriptors that the previous worker left, if any.
#[derive(Debug, Default)]
pub(super) struct StoredDescriptors {
    pub(super) pty: Option<OwnedFd>,
    pub(super) memory: Option<OwnedFd>,
    pub(super) viewers: Vec<(ViewerId, Role, OwnedFd)>,
}

#[derive(Debug)]
pub(super) struct Store {
    notify: Notify,
    kept: Vec<StoredItem>,
    /// The role under whose name each viewer's socket is kept, and a duplicate of the worker's end
    /// of it: systemd needs the descriptor again to keep it under another name.
    viewers: BTreeMap<ViewerId, (Role, OwnedFd)>,
}

impl Store {
    /// Opens the store behind systemd's notify socket, and returns it with its contents.
    ///
    /// # Errors
    /// There is no room for one more descriptor.
    pub(super) fn open(notify: Notify, inherited: Vec<Inherited>) -> io::Result<(Self, StoredDescriptors)> {
        let mut store = Self { notify, kept: Vec::new(), viewers: BTreeMap::new() };
        let mut left = StoredDescriptors::default();
        for Inherited { name, fd } in inherited {
            let Some(kept) = StoredItem::parse(&name) else {
                tracing::warn!(name, "closing a descriptor with an unknown name");
                continue;
            };
            store.kept.push(kept);
            match kept {
                StoredItem::Pty => left.pty = Some(fd),
                StoredItem::Memory => left.memory = Some(fd),
                StoredItem::Viewer(number, role) => {
                    store.viewers.insert(number, (role, fd.try_clone()?));
                    left.viewers.push((number, role, fd));
                }
            }
        }
        Ok((store, left))
    }

    /// Sends a notification to systemd.
    pub(super) fn say(&self, text: &str) -> io::Result<()> {
        self.notify.say(text)
    }

    /// Puts a descriptor into the store. systemd does not poll it: this worker notices when a PTY
    /// or a viewer hangs up, and the descriptor must not disappear from the store before that.
    pub(super) fn keep(&mut self, kept: StoredItem, fd: BorrowedFd<'_>) -> io::Result<()> {
        let text = format!("FDSTORE=1\nFDNAME={}\nFDPOLL=0", kept.name());
        self.notify.say_with(&text, fd)?;
        self.kept.push(kept);
        Ok(())
    }

    /// Puts a viewer's socket into the store.
    pub(super) fn keep_viewer(&mut self, number: ViewerId, role: Role, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.viewers.insert(number, (role, fd.try_clone_to_owned()?));
        self.keep(StoredItem::Viewer(number, role), fd)
    }

    /// Keeps a viewer's socket under the name of this role. systemd keeps a descriptor only once,
    /// so it is removed under its old name first. If the worker is killed in between, the view is
    /// lost and front asks for it again. A role that is unchanged changes nothing: the broker
    /// repeats the roles to each new worker, which must not cost a view if that one is killed as
    /// well.
    pub(super) fn change_role(&mut self, number: ViewerId, role: Role) -> io::Result<()> {
        if self.viewers.get(&number).is_none_or(|(kept, _)| *kept == role) {
            return Ok(());
        }
        let Some((_, fd)) = self.viewers.remove(&number) else { return Ok(()) };
        self.forget_viewer(number)?;
        self.keep_viewer(number, role, fd.as_fd())
    }

    /// Removes a viewer's socket from the store.
    pub(super) fn forget_viewer(&mut self, number: ViewerId) -> io::Result<()> {
        self.viewers.remove(&number);
        self.forget(|kept| matches!(kept, StoredItem::Viewer(viewer, _) if viewer == number))
    }

    /// Removes the memory file from the store.
    pub(super) fn forget_memory(&mut self) -> io::Result<()> {
        self.forget(|kept| kept == StoredItem::Memory)
    }

    /// Empties the store.
    pub(super) fn forget_all(&mut self) -> io::Result<()> {
        self.forget(|_| true)
    }

    fn forget(&mut self, which: impl Fn(StoredItem) -> bool) -> io::Result<()> {
        for kept in self.kept.extract_if(.., |kept| which(*kept)) {
            self.notify.say(&format!("FDSTOREREMOVE=1\nFDNAME={}", kept.name()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_put_under_another_name_only_for_another_role() {
        let (socket, systemd) = std::os::unix::net::UnixDatagram::pair().unwrap();
        let notify = Notify { socket: Some(socket) };
        systemd.set_nonblocking(true).unwrap();
        let said = || {
            let mut buffer = [0; 256];
            let messages =
                std::iter::from_fn(|| systemd.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec()));
            messages.map(|message| String::from_utf8(message).unwrap()).collect::<Vec<_>>()
        };
        let (mut store, _) = Store::open(notify, Vec::new()).unwrap();
        let (view, _page) = std::io::pipe().unwrap();
        store.keep_viewer(ViewerId(1), Role::Writer, view.as_fd()).unwrap();
        assert_eq!(said(), ["FDSTORE=1\nFDNAME=writer-1\nFDPOLL=0"]);
        for _ in 0..2 {
            store.change_role(ViewerId(1), Role::Writer).unwrap();
            assert_eq!(said(), [""; 0]);
        }
        store.change_role(ViewerId(1), Role::Watcher).unwrap();
        assert_eq!(said(), ["FDSTOREREMOVE=1\nFDNAME=writer-1", "FDSTORE=1\nFDNAME=watcher-1\nFDPOLL=0"]);
    }

    #[test]
    fn a_name_in_the_store_says_what_it_is() {
        let viewer = ViewerId(u32::MAX);
        for kept in [
            StoredItem::Pty,
            StoredItem::Memory,
            StoredItem::Viewer(viewer, Role::Owner),
            StoredItem::Viewer(viewer, Role::Writer),
            StoredItem::Viewer(ViewerId(0), Role::Watcher),
        ] {
            assert_eq!(StoredItem::parse(&kept.name()), Some(kept));
        }
        for other in ["", "stored", "owner", "owner-", "owner--1", "root-1", "pty-1"] {
            assert_eq!(StoredItem::parse(other), None, "{other}");
        }
    }
}
