//! tere-session: the worker that keeps one session.
//!
//! Reads: packets from the broker, the shell's output, packets from its viewers.
//! Holds: one PTY, its terminal, the latest output, its viewers' sockets. Runs as a uid of its own.
//! Has given up: files, new sockets, connecting, starting programs, and every other session.
//!
//! It has four threads, named as in `ps -T`. The first is the control thread (`control`). `pty`
//! (`reader`) reads the shell's output into the `memory`. `terminal` (`emulator`) maintains the
//! screen and answers programs' queries to it. `viewers` feeds each `viewer`. The last two hand
//! each other snapshots and answers through the `exchange`. `about` holds what the broker may ask
//! about, and `report` reads how the shell ended. systemd keeps what the next worker needs in the
//! `store`, and that worker starts with `recovery`.
//!
//! A worker that is given a command instead of a shell (`exec`) has two PTYs and one client. Its
//! thread `viewers` serves them; `pty` and `terminal` end.

mod command;
mod control;
mod core;
mod emulator;
mod exchange;
mod exec;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod lag;
mod memory;
mod pace;
mod reader;
mod recovery;
mod report;
mod signals;
mod stats;
mod store;
mod viewer;
mod viewers;
mod wake;
mod watchdog;

use std::io;
use std::process::ExitCode;

use self::control::Control;
use self::core::Leave;
use crate::records;
use crate::sys::inherited;
use crate::sys::notify::Notify;

/// The exit status that asks systemd for a restart: `RestartForceExitStatus=` of the unit.
const RESTART: u8 = 75;

/// The program.
pub fn main() -> ExitCode {
    records::start("tere-session");
    abort_on_panic();
    match run() {
        Ok(Leave::Done) => ExitCode::SUCCESS,
        Ok(Leave::Restart) => ExitCode::from(RESTART),
        Ok(Leave::Violation) => {
            tracing::error!("the broker broke the protocol; ending");
            ExitCode::FAILURE
        }
        Err(error) => {
            tracing::error!(%error, "the session cannot go on: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Makes a panic in any thread abort the process. A worker that had lost a thread would keep its
/// viewers waiting forever; a worker that has ended is restarted. A panic message may contain
/// terminal bytes, so only the panic's location is logged.
fn abort_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        emulator::note_panic();
        tracing::error!(place, "a thread panicked; the worker restarts");
        std::process::abort();
    }));
}

fn run() -> io::Result<Leave> {
    let signals = signals::termination()?;
    let notify = Notify::open()?;
    let mut inherited = inherited::take()?;
    let at = inherited.iter().position(|one| one.name == "session");
    let Some(at) = at else {
        return Err(io::Error::other("no socket named session was passed in: start tere-session@ID.socket"));
    };
    let listener = inherited.swap_remove(at).fd;
    Control::start(listener, notify, inherited, signals)?.run()
}
