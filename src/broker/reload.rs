//! `systemctl reload`, from both sides. `tere-broker --reload` checks the policy, sends the broker
//! SIGHUP, and waits until the broker has read the policy: when `systemctl reload` returns, the new
//! policy is in force. A signal alone would only say that it is going to be.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::policy::Policy;
use crate::atomic_file::{Durability, replace};

/// How long the broker has to read a policy. It takes some milliseconds.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause between two looks at the counter.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The number of policies that this broker has read after a signal, good or bad, in a file that both
/// sides know.
#[derive(Debug)]
pub(super) struct ReloadCounter {
    path: PathBuf,
    count: u64,
}

impl ReloadCounter {
    /// The counter of a broker that has just started.
    pub(super) fn start(folder: &Path) -> Self {
        let counter = Self { path: path(folder), count: 0 };
        counter.write();
        counter
    }

    /// A policy was read after a signal.
    pub(super) fn add(&mut self) {
        self.count += 1;
        self.write();
    }

    fn write(&self) {
        if let Err((what, error)) =
            replace(&self.path, self.count.to_string().as_bytes(), Durability::InMemory)
        {
            tracing::warn!(%error, "cannot {what} {}: a reload will seem to fail", self.path.display());
        }
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join("reloads")
}

fn count(folder: &Path) -> Result<u64, String> {
    let path = path(folder);
    let said = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = fs::read_to_string(&path).map_err(|error: io::Error| said(&error))?;
    text.parse().map_err(|error| said(&error))
}

/// Has the broker with this PID read the policy, and waits until it has.
///
/// # Errors
/// The policy is bad, and the broker was not asked; or the broker does not answer. The text is for
/// the journal.
pub(super) fn reload(config: PathBuf, folder: &Path, broker: Pid) -> Result<(), String> {
    Policy::load(config).map_err(|error| error.to_string())?;
    let before = count(folder)?;
    kill(broker, Signal::SIGHUP).map_err(|errno| format!("cannot signal the broker: {errno}"))?;
    let deadline = Instant::now() + RELOAD_TIMEOUT;
    while count(folder)? == before {
        if Instant::now() >= deadline {
            return Err(format!(
                "the broker has not read the policy within {RELOAD_TIMEOUT:?}: systemctl restart tere-broker"
            ));
        }
        // It takes a few of these. An inotify watch would need a deadline and a look before it too.
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_checked_before_anybody_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("tere.toml");
        fs::write(&config, "origin = 1\n").unwrap();
        // A process that does not exist: asking it would fail in another way.
        let nobody = Pid::from_raw(i32::MAX);
        assert!(reload(config.clone(), folder.path(), nobody).unwrap_err().contains("tere.toml:1:10"));
        fs::write(&config, "origin = \"https://a.example\"\n").unwrap();
        assert!(reload(config.clone(), folder.path(), nobody).unwrap_err().contains("reloads"));
        let mut counter = ReloadCounter::start(folder.path());
        assert_eq!(count(folder.path()), Ok(0));
        counter.add();
        assert_eq!(count(folder.path()), Ok(1));
        assert!(reload(config, folder.path(), nobody).unwrap_err().contains("cannot signal the broker"));
    }
}
