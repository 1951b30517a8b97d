//! `tere-session@ID.socket` and its service: the real worker, started at the first connection.

use std::io::PipeWriter;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use tere::sys::seqpacket;

use super::World;
use super::store::Store;
use crate::program;

/// `TimeoutStopSec=` of the service, after which SIGKILL is sent.
const STOP_TIME: Duration = Duration::from_secs(10);

/// Both units of one session.
#[derive(Debug)]
pub(super) struct SessionUnits {
    handle: Handle,
    store: Arc<Store>,
    path: PathBuf,
    thread: Mutex<Serving>,
}

/// The thread that listens.
#[derive(Debug)]
struct Serving {
    /// Dropped to wake the thread.
    wake: Option<PipeWriter>,
    /// Closed when the thread ends.
    over: Receiver<()>,
}

/// A handle to the worker.
#[derive(Debug, Clone)]
struct Handle(Arc<Mutex<Service>>);

#[derive(Debug, Default)]
struct Service {
    worker: Option<Pid>,
    /// The worker was asked to stop, so any exit status is fine.
    asked_to_stop: bool,
    /// The socket is stopping: no worker is started any more.
    stopping: bool,
}

impl SessionUnits {
    /// Listens, and starts the worker when somebody connects.
    pub(super) fn start(world: &Arc<World>, id: &str) -> Self {
        let path = world.root.join(format!("run/tere/session/{id}.sock"));
        let listener = seqpacket::listen(&path).unwrap();
        let (woken, wake) = std::io::pipe().unwrap();
        let (done, over) = channel::<()>();
        let handle = Handle(Arc::default());
        let (here, world) = (handle.clone(), Arc::clone(world));
        let store = Arc::new(Store::open(&world.root.join(format!("run/notify-{id}"))));
        let stored = Arc::clone(&store);
        std::thread::spawn(move || {
            here.serve(&listener, &OwnedFd::from(woken), &world, &stored);
            drop(done);
        });
        Self { handle, store, path, thread: Mutex::new(Serving { wake: Some(wake), over }) }
    }

    /// Empties the descriptor store, which no real systemd does.
    pub(super) fn lose(&self) {
        self.store.lose();
    }

    pub(super) fn worker(&self) -> Option<i32> {
        self.handle.service().worker.map(Pid::as_raw)
    }

    /// Stops only the service. Unlike the real job, this does not wait for its end.
    pub(super) fn terminate(&self) {
        self.handle.signal(Signal::SIGTERM);
    }

    /// Stops the service, then the socket, and removes its file (`RemoveOnStop=`).
    pub(super) fn stop(&self) {
        self.handle.service().stopping = true;
        self.handle.signal(Signal::SIGTERM);
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.wake.take().is_none() {
            return;
        }
        if thread.over.recv_timeout(STOP_TIME) == Err(RecvTimeoutError::Timeout) {
            self.handle.signal(Signal::SIGKILL);
            let over = thread.over.recv_timeout(STOP_TIME);
            assert_eq!(over, Err(RecvTimeoutError::Disconnected), "a worker that was killed does not end");
        }
        std::fs::remove_file(&self.path).unwrap();
    }
}

impl Handle {
    fn signal(&self, signal: Signal) {
        let mut service = self.service();
        service.asked_to_stop = true;
        if let Some(worker) = service.worker {
            kill(worker, signal).unwrap();
        }
    }

    fn service(&self) -> MutexGuard<'_, Service> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a worker whenever a client connects and none is running, as a socket unit with
    /// Accept=no does. A worker that failed is restarted only at the next connection; the real one
    /// is restarted after 50 ms (`Restart=on-failure`). By the time that the broker has connected,
    /// there is no difference.
    fn serve(&self, listener: &OwnedFd, woken: &OwnedFd, world: &World, store: &Store) {
        while connected(listener, woken) {
            // Taken before the service is locked: code that locks the world locks services next.
            let other = world.state().next_worker.take();
            let mut child = {
                let mut service = self.service();
                if service.stopping {
                    return;
                }
                service.asked_to_stop = false;
                let child = start_worker(listener, store, world, other.as_deref());
                service.worker = Some(pid(&child));
                child
            };
            // Waits for the child's end without reaping it: until the child is forgotten, its pid
            // is not reused.
            let _ = waitid(Id::Pid(pid(&child)), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
            let asked = {
                let mut service = self.service();
                service.worker = None;
                service.asked_to_stop
            };
            let status = child.wait().unwrap();
            if !asked && is_a_death(status) {
                world.state().deaths.push(format!("a worker: {status}"));
            }
        }
    }
}

/// Waits until a client connects; false when the socket is to stop.
fn connected(listener: &OwnedFd, woken: &OwnedFd) -> bool {
    let mut fds = [listener, woken].map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN));
    // No deadline: it serves for as long as the test wants, and the pipe ends it.
    poll(&mut fds, PollTimeout::NONE).unwrap();
    !fds[1].any().unwrap()
}

/// Starts the real worker.
fn start_worker(listener: &OwnedFd, store: &Store, world: &World, other: Option<&Path>) -> Child {
    let mut passed = vec![("session".to_owned(), listener.try_clone().unwrap())];
    passed.extend(store.kept());
    let ours = Path::new(env!("CARGO_BIN_EXE_tere-session"));
    let mut command = program::command_with(other.unwrap_or(ours), passed);
    command.env("NOTIFY_SOCKET", &store.path);
    command.stderr(super::log_file(&world.log)).spawn().unwrap()
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

/// Whether a worker crashed. Tests send SIGKILL, and 75 is its `SuccessExitStatus=`. SIGTERM may
/// hit a worker that has only just started; on a real host the worker is pid 1 of its namespace and
/// does not die of it.
fn is_a_death(status: ExitStatus) -> bool {
    let sent = [Signal::SIGKILL as i32, Signal::SIGTERM as i32];
    !status.success() && status.code() != Some(75) && !status.signal().is_some_and(|one| sent.contains(&one))
}
