//! What becomes of an attempt.

use std::fmt;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, alarm, fork};
use tere::sandbox::{self, AllowedPath, Thread};

use crate::attempts::Attempt;

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was done, or the kernel found fault with its arguments alone.
    Allowed,
    /// It was refused, or what it was for is not there.
    Refused,
    /// The process was ended for it.
    Killed,
    /// It took so long that the process was ended.
    Hung,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allowed => "allowed",
            Self::Refused => "refused",
            Self::Killed => "killed",
            Self::Hung => "hung",
        })
    }
}

/// How long an attempt may take, seconds.
const TIMEOUT: u32 = 20;

/// The exit statuses of the process that makes an attempt.
const ALLOWED: i32 = 0;
const REFUSED: i32 = 1;

/// Makes an attempt in a new process, in the sandbox of a thread if one is given.
pub(crate) fn outcome_of(thread: Option<Thread>, paths: &[AllowedPath], attempt: &Attempt) -> Outcome {
    // SAFETY: this process has one thread, so its child may do what it wants.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            alarm::set(TIMEOUT);
            // A thread, because the filters of some do not let a process end.
            let made = std::thread::scope(|scope| {
                let inside = scope.spawn(|| {
                    let prepared = (attempt.prepare)();
                    if let Some(thread) = thread {
                        sandbox::enter(thread, paths).expect("the sandbox is entered");
                    }
                    (attempt.make)(prepared)
                });
                inside.join().unwrap()
            });
            // SAFETY: ends the process without what else its parent had registered.
            unsafe { nix::libc::_exit(if is_allowed(attempt, made) { ALLOWED } else { REFUSED }) }
        }
        ForkResult::Parent { child } => {
            let status = waitpid(child, None).unwrap();
            let ended = [
                (WaitStatus::Exited(child, ALLOWED), Outcome::Allowed),
                (WaitStatus::Exited(child, REFUSED), Outcome::Refused),
                (WaitStatus::Signaled(child, Signal::SIGSYS, false), Outcome::Killed),
                (WaitStatus::Signaled(child, Signal::SIGSYS, true), Outcome::Killed),
                (WaitStatus::Signaled(child, Signal::SIGALRM, false), Outcome::Hung),
            ];
            let outcome = ended.into_iter().find(|(end, _)| *end == status);
            outcome.unwrap_or_else(|| panic!("{}: {status:?}", attempt.name)).1
        }
    }
}

/// Whether an attempt came through. A bare system call has made-up arguments: what the kernel says
/// of those it says only to who may make the call.
fn is_allowed(attempt: &Attempt, made: Result<(), Errno>) -> bool {
    match made {
        Ok(()) => true,
        Err(Errno::EPERM | Errno::EACCES | Errno::ENOSYS) => false,
        Err(_) => attempt.is_bare_call,
    }
}
