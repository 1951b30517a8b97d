//! tere-session: the worker that keeps one session.
//!
//! Reads: packets of the broker, what the shell prints, packets of its viewers.
//! Holds: one PTY, the last bytes printed, its viewers' sockets. It runs as a uid of its own.
//! Has given up: files, new sockets, connecting, programs, and every other session.
//!
//! Three threads, named as in `ps -T`: the first is the control thread (`control`), `pty` reads
//! the shell's output into the `ring`, `viewers` feeds each `viewer` from there. systemd keeps
//! what the next worker needs, should this one be killed or restarted, in the `store`.

mod control;
mod core;
mod reader;
mod ring;
mod store;
mod viewer;
mod viewers;
mod wake;

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

fn run() -> io::Result<Leave> {
    let signals = signals::termination()?;
    let notify = Notify::open()?;
    let mut inherited = inherited::take()?;
    let at = inherited.iter().position(|one| one.name == "session");
    let Some(at) = at else {
        return Err(io::Error::other("no socket named session was passed in: start tere-session@ID.socket"));
    };
    let listener = inherited.swap_remove(at).fd;
    let control = Control::start(listener, Store::open(notify, inherited), signals)?;
    sandbox::enter(Thread::WorkerControl, &[]).map_err(io::Error::other)?;
    control.run()
}
