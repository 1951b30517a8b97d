//! What is done to the machines every minute: those whose time is over are removed, those that nobody
//! uses are stopped, and what killed processes left is deleted. After the host has booted, those that
//! run whenever it does are started.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::folders::{Folders, names_in, storage};
use super::idleness::{self, Seen};
use super::record::find;
use super::units::{self, RunState};
use super::{index, removal, starting, state};
use crate::atomic_file::{Durability, replace};
use crate::clock::now;
use crate::config::{Config, Machine};
use crate::names::MachineName;
use crate::protocol::machine::StopReason;

/// How long before it is stopped a machine's terminals say so; less if it is stopped after a short time.
const NOTICE: Duration = Duration::from_secs(5 * 60);

/// What was seen of a machine the last time: a file in the runtime directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Record {
    /// The start of its unit.
    invocation: String,
    /// When it was looked at, seconds since 1970.
    looked: u64,
    /// The processor time that it had taken, seconds.
    usage: f64,
    /// When it was used last, seconds since 1970.
    used: u64,
    /// Whether its terminals say that it is going to be stopped.
    announced: bool,
}

/// What is to be done with a machine that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Leave,
    Announce,
    Stop,
}

/// Looks after all machines. One that fails is reported, and the others are looked after.
pub(super) fn upkeep(folders: &Folders, policy: &Path, runtime_dir: &Path) -> Result<(), Failure> {
    let policy = Config::load(policy)?;
    for name in names_in::<MachineName>(&folders.machines())? {
        if let Err(failure) = look_after(folders, &policy, &name, runtime_dir) {
            tracing::warn!(machine = %name, error = %failure, "a machine is not looked after: {failure}");
        }
    }
    starting::start_once(folders, &policy, runtime_dir)?;
    state::remove_unfinished(folders)
}

fn look_after(
    folders: &Folders,
    policy: &Config,
    name: &MachineName,
    runtime_dir: &Path,
) -> Result<(), Failure> {
    let expires = find(folders, name)?.and_then(|made| made.expires);
    if expires.is_some_and(|expires| expires <= now()) {
        tracing::info!(machine = %name, "the machine's time is over");
        return removal::remove_machine(folders, name, true);
    }
    let Some((machine, idle)) = policy.machine(name).and_then(|machine| Some((machine, machine.idle?)))
    else {
        return Ok(());
    };
    stop_if_idle(folders, name, machine, idle.duration(), runtime_dir)
}

fn stop_if_idle(
    folders: &Folders,
    name: &MachineName,
    machine: &Machine,
    idle: Duration,
    runtime_dir: &Path,
) -> Result<(), Failure> {
    // Nobody boots or copies it meanwhile. One that is being copied is looked at a minute later.
    let Some(_machine) = folders.try_lock_machine(name)? else { return Ok(()) };
    let path = runtime_dir.join(name.as_str());
    let RunState::Running { processes: payload, booted: true, invocation } = units::run_state(name)? else {
        return forget(&path);
    };
    let seen = idleness::look(&payload)?;
    let now = now();
    let before = read(&path)?.filter(|record| record.invocation == invocation);
    let mut record = judge(before, &invocation, &seen, now);
    let step = next(&record, idle, now);
    match step {
        Step::Leave => {}
        Step::Announce => {
            let left = (record.used + idle.as_secs()).saturating_sub(now).div_ceil(60);
            let minutes = if left == 1 { "a minute".to_owned() } else { format!("{left} minutes") };
            idleness::notify(
                &payload,
                &format!(
                    "[tere] Nobody uses this machine. It is stopped in {minutes}: press a key to keep it."
                ),
            )?;
            record.announced = true;
        }
        Step::Stop => {
            let text = "[tere] Stopped to save resources. Open a new shell to start it again.";
            idleness::notify(&payload, text)?;
            tracing::info!(machine = %name, template = %machine.template, "nobody uses the machine: it is stopped");
            index::stopping(folders, name, StopReason::Idle);
            units::stop(name)?;
            return forget(&path);
        }
    }
    let bytes = serde_json::to_vec(&record).map_err(|error| storage("write", &path)(error.into()))?;
    replace(&path, &bytes, Durability::InMemory).map_err(|(what, error)| storage(what, &path)(error))
}

/// What is known of a machine now, by what was known before.
fn judge(before: Option<Record>, invocation: &str, seen: &Seen, now: u64) -> Record {
    let mut record = before.unwrap_or_else(|| Record {
        invocation: invocation.to_owned(),
        looked: now,
        usage: seen.usage,
        used: now,
        announced: false,
    });
    let seconds = Duration::from_secs(now.saturating_sub(record.looked)).as_secs_f64();
    let works = seen.work.is_some() || idleness::is_work(seen.usage - record.usage, seconds);
    // A clock that was set back makes no machine idle for longer.
    let typed = seen.typed.unwrap_or(0).min(now);
    let used = if works { now } else { record.used.min(now).max(typed) };
    record.announced &= used == record.used;
    Record { looked: now, usage: seen.usage, used, ..record }
}

fn next(record: &Record, idle: Duration, now: u64) -> Step {
    let unused = Duration::from_secs(now.saturating_sub(record.used));
    let notice = NOTICE.min(idle / 2);
    if unused < idle.saturating_sub(notice) {
        Step::Leave
    } else if !record.announced {
        // Nobody's machine is stopped without a notice before it.
        Step::Announce
    } else if unused < idle {
        Step::Leave
    } else {
        Step::Stop
    }
}

fn read(path: &PathBuf) -> Result<Option<Record>, Failure> {
    match fs::read(path) {
        // One that cannot be read begins anew.
        Ok(text) => Ok(serde_json::from_slice(&text).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(storage("read", path)(error)),
    }
}

fn forget(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(storage("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(3600);

    fn seen(usage: f64, typed: u64, work: bool) -> Seen {
        Seen { usage, typed: Some(typed), work: work.then_some("a job") }
    }

    /// Looks once a minute, and returns the time of the announcement and of the stop.
    fn watch(what_is_seen: impl Fn(u64) -> Seen) -> (Option<u64>, Option<u64>) {
        let (mut record, mut announced) = (None, None);
        for now in (1000..1000 + 3 * 3600).step_by(60) {
            let mut judged = judge(record, "one", &what_is_seen(now), now);
            match next(&judged, IDLE, now) {
                Step::Leave => {}
                Step::Announce => {
                    announced = announced.or(Some(now - 1000));
                    judged.announced = true;
                }
                Step::Stop => return (announced, Some(now - 1000)),
            }
            record = Some(judged);
        }
        (announced, None)
    }

    #[test]
    fn a_machine_that_nobody_uses_is_announced_and_then_stopped() {
        assert_eq!(watch(|_| seen(1.0, 0, false)), (Some(3300), Some(3600)));
        // The little that an idle system takes is no work.
        let waits = |now: u64| seen(f64::from(u32::try_from(now).unwrap()) * 0.001, 0, false);
        assert_eq!(watch(waits), (Some(3300), Some(3600)));
        // Somebody typed once, and again after the announcement.
        assert_eq!(watch(|now| seen(1.0, now.min(2000), false)).1, Some(4620));
        let back = |now: u64| seen(1.0, if now > 1000 + 3400 { 1000 + 3400 } else { 0 }, false);
        assert_eq!(watch(back).1, Some(3400 + 3620));
    }

    #[test]
    fn a_machine_in_which_something_works_is_left_alone() {
        assert_eq!(watch(|_| seen(1.0, 0, true)), (None, None));
        assert_eq!(watch(|now| seen(1.0, now, false)), (None, None));
        let computes = |now: u64| seen(f64::from(u32::try_from(now).unwrap()) * 0.05, 0, false);
        assert_eq!(watch(computes), (None, None));
    }

    #[test]
    fn clocks_that_are_set_stop_no_machine_without_notice() {
        // Set forward by a day: announced first.
        let record = judge(None, "one", &seen(1.0, 0, false), 1000);
        let later = judge(Some(record.clone()), "one", &seen(1.0, 0, false), 90_000);
        assert_eq!(next(&later, IDLE, 90_000), Step::Announce);
        // Set back by a day, with times in the future on the terminals.
        let back = judge(
            Some(judge(None, "one", &seen(1.0, 0, false), 90_000)),
            "one",
            &seen(1.0, 80_000, false),
            1000,
        );
        assert_eq!((back.used, next(&back, IDLE, 1000)), (1000, Step::Leave));
    }
}
