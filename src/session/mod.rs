//! tere-session: the worker that keeps one session.
//!
//! Reads: packets of the broker, what the shell prints, packets of its viewers.
//! Holds: one PTY, its terminal, the last bytes printed, its viewers' sockets. It runs as a uid of its own.
//! Has given up: files, new sockets, connecting, programs, and every other session.
//!
//! Four threads, named as in `ps -T`: the first is the control thread (`control`), `pty` (`reader`) reads
//! the shell's output into the `memory`, `terminal` (`emulator`) keeps the screen and answers for it, and
//! `viewers` feeds each `viewer`. The last two hand each other snapshots and answers in the `exchange`; what
//! the broker may ask is in `about`, and how the shell ended is read by `report`. systemd keeps what the
//! next worker needs in the `store`, and that worker begins with `recovery`.

mod about;
mod control;
mod core;
mod emulator;
mod exchange;
mod lag;
mod memory;
mod pace;
mod reader;
mod recovery;
mod report;
mod store;
mod viewer;
mod viewers;
mod wake;
mod watchdog;

use std::io;
use std::process::ExitCode;

use self::control::Control;
use self::core::Leave;
use self::store::Store;
use crate::records;
use crate::sandbox::{self, Thread};
use crate::sys::notify::Notify;
use crate::sys::{inherited, signals};

/// The exit status that says "start me again": `RestartForceExitStatus=` of the unit.
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

/// A worker of which one thread is gone would keep its viewers waiting for ever; one that is gone is
/// started again. What a panic says may hold terminal bytes, so only its place is told.
fn abort_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        emulator::note_panic();
        tracing::error!(place, "a thread panicked; the worker is started again");
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
    let control = Control::start(listener, Store::open(notify, inherited)?, signals)?;
    sandbox::enter(Thread::WorkerControl, &[]).map_err(io::Error::other)?;
    control.run()
}
