//! The descriptor store of one service, and its notify socket. Of a worker's messages it handles
//! FDSTORE, FDSTOREREMOVE and FDNAME. Nothing waits for READY=1; the broker's connection does that.

use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tere::sys::seqpacket;

pub(super) struct Store {
    pub(super) path: PathBuf,
    inner: Arc<Inner>,
}

struct Inner {
    socket: UnixDatagram,
    kept: Mutex<Vec<(String, OwnedFd)>>,
}

impl Store {
    /// Opens an empty store, with its socket at `path`.
    pub(super) fn open(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        let inner = Arc::new(Inner { socket, kept: Mutex::default() });
        let here = Arc::clone(&inner);
        std::thread::spawn(move || here.listen());
        Self { path: path.to_owned(), inner }
    }

    /// Empties the store.
    pub(super) fn lose(&self) {
        self.inner.kept().clear();
    }

    /// The descriptors that a new worker is given. All messages sent before this call are taken
    /// into account.
    pub(super) fn kept(&self) -> Vec<(String, OwnedFd)> {
        // The thread may not have read the last messages yet. This message is queued after them,
        // and is waited for.
        let (heard, hears) = std::io::pipe().unwrap();
        let barrier = UnixDatagram::unbound().unwrap();
        barrier.connect(&self.path).unwrap();
        seqpacket::send(barrier.as_fd(), b"BARRIER=1", &[hears.as_fd()]).unwrap();
        drop(hears);
        // The thread closes its end of the pipe when it drops the message.
        std::io::Read::read_to_end(&mut { heard }, &mut Vec::new()).unwrap();
        let kept = self.inner.kept();
        kept.iter().map(|(name, fd)| (name.clone(), fd.try_clone().unwrap())).collect()
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // An empty message ends the thread, which holds the last reference to the stored
        // descriptors.
        let end = UnixDatagram::unbound().unwrap();
        end.send_to(b"", &self.path).unwrap();
        std::fs::remove_file(&self.path).unwrap();
    }
}

impl Inner {
    fn kept(&self) -> MutexGuard<'_, Vec<(String, OwnedFd)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self) {
        let mut buffer = [0; 4096];
        loop {
            let said = seqpacket::receive(self.socket.as_fd(), &mut buffer).unwrap();
            if said.length == 0 {
                return;
            }
            let text = String::from_utf8(buffer[..said.length].to_vec()).unwrap();
            let name = text.lines().find_map(|line| line.strip_prefix("FDNAME=")).unwrap_or("stored");
            if text.contains("FDSTORE=1") {
                let fds = said.descriptors.into_iter().map(|fd| (name.to_owned(), fd));
                self.kept().extend(fds);
            } else if text.contains("FDSTOREREMOVE=1") {
                self.kept().retain(|(kept, _)| kept != name);
            }
        }
    }
}
