//! The unit's descriptor store: systemd keeps there what this worker's successor needs. A worker
//! that is killed, restarted or upgraded leaves it as it is; one whose session is over empties it.
//! See sd_notify(3) and `FileDescriptorStoreMax=`.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::protocol::Role;
use crate::protocol::worker::ViewerNumber;
use crate::sys::inherited::Inherited;
use crate::sys::notify::Notify;

/// One thing in the store. Its name there says what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// The PTY's master.
    Pty,
    /// The black box's memfd.
    BlackBox,
    /// Our end of a viewer's socket.
    Viewer(ViewerNumber, Role),
}

impl Kept {
    fn name(self) -> String {
        match self {
            Self::Pty => "pty".to_owned(),
            Self::BlackBox => "black-box".to_owned(),
            Self::Viewer(number, Role::Owner) => format!("owner-{}", number.0),
            Self::Viewer(number, Role::Writer) => format!("writer-{}", number.0),
            Self::Viewer(number, Role::Watcher) => format!("watcher-{}", number.0),
        }
    }

    fn parse(name: &str) -> Option<Self> {
        if let Some(kept) = [Self::Pty, Self::BlackBox].into_iter().find(|kept| kept.name() == name) {
            return Some(kept);
        }
        if let Some((role, number)) = name.split_once('-') {
            let number = ViewerNumber(number.parse().ok()?);
            let roles = [("owner", Role::Owner), ("writer", Role::Writer), ("watcher", Role::Watcher)];
            let role = roles.into_iter().find(|(word, _)| *word == role)?.1;
            return Some(Self::Viewer(number, role));
        }
        None
    }
}

/// What an earlier worker left, if any.
#[derive(Debug, Default)]
pub(super) struct Left {
    pub(super) pty: Option<OwnedFd>,
    pub(super) black_box: Option<OwnedFd>,
    pub(super) viewers: Vec<(ViewerNumber, Role, OwnedFd)>,
}

/// The store.
#[derive(Debug)]
pub(super) struct Store {
    notify: Notify,
    kept: Vec<Kept>,
    /// Our end of each viewer's socket once more: systemd wants it again to keep it under another name.
    viewers: BTreeMap<ViewerNumber, OwnedFd>,
}

impl Store {
    /// The store behind systemd's notify socket, and what is in it.
    ///
    /// # Errors
    /// There is no room for one more descriptor.
    pub(super) fn open(notify: Notify, inherited: Vec<Inherited>) -> io::Result<(Self, Left)> {
        let mut store = Self { notify, kept: Vec::new(), viewers: BTreeMap::new() };
        let mut left = Left::default();
        for Inherited { name, fd } in inherited {
            let Some(kept) = Kept::parse(&name) else {
                tracing::warn!(name, "a descriptor of another name is closed");
                continue;
            };
            store.kept.push(kept);
            match kept {
                Kept::Pty => left.pty = Some(fd),
                Kept::BlackBox => left.black_box = Some(fd),
                Kept::Viewer(number, role) => {
                    store.viewers.insert(number, fd.try_clone()?);
                    left.viewers.push((number, role, fd));
                }
            }
        }
        Ok((store, left))
    }

    /// Says one thing to systemd.
    pub(super) fn say(&self, text: &str) -> io::Result<()> {
        self.notify.say(text)
    }

    /// Has systemd keep a descriptor. It is not polled: a PTY or a viewer that hangs up is noticed
    /// here, and must not be gone from the store before.
    pub(super) fn keep(&mut self, kept: Kept, fd: BorrowedFd<'_>) -> io::Result<()> {
        let text = format!("FDSTORE=1\nFDNAME={}\nFDPOLL=0", kept.name());
        self.notify.say_with(&text, fd)?;
        self.kept.push(kept);
        Ok(())
    }

    /// Has systemd keep a viewer's socket.
    pub(super) fn keep_viewer(
        &mut self,
        number: ViewerNumber,
        role: Role,
        fd: BorrowedFd<'_>,
    ) -> io::Result<()> {
        self.viewers.insert(number, fd.try_clone_to_owned()?);
        self.keep(Kept::Viewer(number, role), fd)
    }

    /// Has systemd keep a viewer's socket under the name of another role. It keeps a descriptor only
    /// once, so the first name goes first: a worker killed in between loses the view, and front asks for it again.
    pub(super) fn change_role(&mut self, number: ViewerNumber, role: Role) -> io::Result<()> {
        let Some(fd) = self.viewers.remove(&number) else { return Ok(()) };
        self.forget_viewer(number)?;
        self.keep_viewer(number, role, fd.as_fd())
    }

    /// Has systemd close a viewer's socket.
    pub(super) fn forget_viewer(&mut self, number: ViewerNumber) -> io::Result<()> {
        self.viewers.remove(&number);
        self.forget(|kept| matches!(kept, Kept::Viewer(viewer, _) if viewer == number))
    }

    /// Has systemd close the black box.
    pub(super) fn forget_black_box(&mut self) -> io::Result<()> {
        self.forget(|kept| kept == Kept::BlackBox)
    }

    /// Has systemd close everything.
    pub(super) fn forget_all(&mut self) -> io::Result<()> {
        self.forget(|_| true)
    }

    fn forget(&mut self, which: impl Fn(Kept) -> bool) -> io::Result<()> {
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
    fn a_name_in_the_store_says_what_it_is() {
        let viewer = ViewerNumber(u32::MAX);
        for kept in [
            Kept::Pty,
            Kept::BlackBox,
            Kept::Viewer(viewer, Role::Owner),
            Kept::Viewer(viewer, Role::Writer),
            Kept::Viewer(ViewerNumber(0), Role::Watcher),
        ] {
            assert_eq!(Kept::parse(&kept.name()), Some(kept));
        }
        for other in ["", "stored", "owner", "owner-", "owner--1", "root-1", "pty-1"] {
            assert_eq!(Kept::parse(other), None, "{other}");
        }
    }
}
