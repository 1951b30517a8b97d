//! Stops the processes of a machine for the moment in which its files are copied. The copy is one of
//! a single point in time, and nobody in the machine can put a symbolic link in the way of the copy.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::failure::Failure;
use super::folders::storage;
use super::units::{self, RunState};
use crate::names::MachineName;

/// How long the processes have to stop. It takes milliseconds, unless one of them waits for a disk.
const FREEZE_TIMEOUT: Duration = Duration::from_secs(5);

/// A machine whose processes are stopped until this value is dropped. If this process is killed, they
/// stay stopped until [`thaw`]: the unit that it runs in does that when it ends.
#[derive(Debug)]
pub(super) struct Frozen {
    control_group: PathBuf,
}

impl Frozen {
    /// Stops the processes of a machine, whose lock is held; `None` if it does not run. A machine that
    /// is just being started or stopped is refused: its processes could run on during a copy.
    pub(super) fn new(name: &MachineName) -> Result<Option<Self>, Failure> {
        let control_group = match units::run_state(name)? {
            RunState::Stopped => return Ok(None),
            RunState::Running { processes, .. } => processes,
            RunState::Changing => return Err(Failure::Changing),
        };
        write(&control_group, "1")?;
        // From here on, they go on if anything fails.
        let frozen = Self { control_group };
        frozen.wait()?;
        Ok(Some(frozen))
    }

    fn wait(&self) -> Result<(), Failure> {
        let path = self.control_group.join("cgroup.events");
        let mut events = File::open(&path).map_err(storage("open", &path))?;
        let deadline = Instant::now() + FREEZE_TIMEOUT;
        loop {
            let mut text = String::new();
            events
                .rewind()
                .and_then(|()| events.read_to_string(&mut text))
                .map_err(storage("read", &path))?;
            if text.lines().any(|line| line == "frozen 1") {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let late = io::Error::new(io::ErrorKind::TimedOut, "its processes do not stop");
                return Err(storage("freeze", &self.control_group)(late));
            }
            // The kernel reports a change of the file as an exceptional condition.
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut file = [PollFd::new(events.as_fd(), PollFlags::POLLPRI)];
            match poll(&mut file, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(storage("watch", &path)(errno.into())),
            }
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if let Err(failure) = write(&self.control_group, "0") {
            tracing::error!(error = %failure, "a machine stays frozen: {failure}");
        }
    }
}

/// Lets the processes of a machine go on, if it runs.
pub(super) fn thaw(name: &MachineName) -> Result<(), Failure> {
    match units::run_state(name)? {
        RunState::Running { processes, .. } => write(&processes, "0"),
        RunState::Stopped | RunState::Changing => Ok(()),
    }
}

fn write(control_group: &Path, text: &str) -> Result<(), Failure> {
    let path = control_group.join("cgroup.freeze");
    fs::write(&path, text).map_err(storage("write", &path))
}
