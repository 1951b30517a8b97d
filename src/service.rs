//! What front, auth and the broker have in common: the sockets passed in by systemd, a runtime with
//! every thread in a sandbox, readiness, the watchdog, and an orderly stop.

use std::process::ExitCode;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use crate::records;
use crate::sandbox::{self, AllowedPath, SandboxError, Thread};
use crate::sys::inherited::{self, Inherited};

/// Why a service does not start. The message names the next step.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The inherited sockets cannot be taken over.
    #[error("cannot take over what systemd passes in: {0}")]
    Inherit(std::io::Error),
    /// systemd passed no socket of this name.
    #[error("no socket named {name} was passed in: start this program through its socket unit")]
    NoSocket {
        /// The `FileDescriptorName=` that is missing.
        name: &'static str,
    },
    /// The runtime does not start.
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
    /// The sandbox cannot be entered.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A reason specific to the program.
    #[error("{0}")]
    Program(String),
}

/// A service that is starting, with its inherited sockets.
#[derive(Debug)]
pub struct Service {
    sockets: Vec<Inherited>,
}

impl Service {
    /// Takes over the sockets that systemd passes in. Must be called first in a program, before any
    /// thread is started.
    ///
    /// # Errors
    /// [`StartError::Inherit`].
    pub fn begin(program: &str) -> Result<Self, StartError> {
        records::start(program);
        let sockets = inherited::take().map_err(StartError::Inherit)?;
        Ok(Self { sockets })
    }

    /// The sockets whose `FileDescriptorName=` is `name`: one or more.
    ///
    /// # Errors
    /// [`StartError::NoSocket`].
    pub fn sockets(&mut self, name: &'static str) -> Result<Vec<Inherited>, StartError> {
        let (named, rest) = self.sockets.drain(..).partition(|socket: &Inherited| socket.name == name);
        self.sockets = rest;
        if named.is_empty() { Err(StartError::NoSocket { name }) } else { Ok(named) }
    }

    /// Runs `serve` until it returns or the service is asked to stop. Every thread of the runtime,
    /// including the calling one, is in the sandbox of `thread`. Whatever the sandbox does not
    /// allow must be done before.
    ///
    /// # Errors
    /// Why the service does not start. An error returned by `serve` is passed on.
    pub fn run<F>(self, thread: Thread, paths: &[AllowedPath], serve: F) -> Result<(), StartError>
    where
        F: AsyncFnOnce() -> Result<(), String>,
    {
        let kept = paths.to_vec();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name(format!("{thread:?}").to_lowercase())
            .on_thread_start(move || sandbox::enter_or_abort(thread, &kept))
            .enable_all()
            .build()
            .map_err(StartError::Runtime)?;
        // This asks for the process's id, which the sandbox does not answer.
        let watchdog = sd_notify::watchdog_enabled();
        sandbox::enter(thread, paths)?;
        runtime.block_on(async {
            let mut stop = signal(SignalKind::terminate()).map_err(StartError::Runtime)?;
            tokio::spawn(ping_the_watchdog(watchdog));
            let done = tokio::select! {
                done = serve() => done.map_err(StartError::Program),
                _ = stop.recv() => Ok(()),
            };
            drop(sd_notify::notify(&[NotifyState::Stopping]));
            done
        })
    }
}

/// Tells systemd that the service is ready, as required by `Type=notify`.
///
/// # Errors
/// systemd's notify socket cannot be reached.
pub fn ready() -> Result<(), String> {
    sd_notify::notify(&[NotifyState::Ready]).map_err(|error| format!("cannot reach systemd: {error}"))
}

/// Tells systemd that the service is reloading its configuration. [`ready`] ends the reload.
pub fn reloading() {
    let told =
        NotifyState::monotonic_usec_now().and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now]));
    if let Err(error) = told {
        tracing::warn!(%error, "cannot tell systemd of a reload");
    }
}

/// Tells systemd, and so whoever asks for the state of the service, in a few words what is the matter
/// with it. Nothing is, if they are empty.
pub fn status(words: &str) {
    if let Err(error) = sd_notify::notify(&[NotifyState::Status(words)]) {
        tracing::warn!(%error, "cannot tell systemd the state of the service");
    }
}

/// Pings systemd's watchdog, if it wants a ping within this time, from within the runtime, so that
/// a runtime that hangs is restarted.
async fn ping_the_watchdog(within: Option<Duration>) {
    let Some(within) = within else { return };
    let mut tick = tokio::time::interval((within / 2).max(Duration::from_millis(10)));
    loop {
        tick.tick().await;
        if let Err(error) = sd_notify::notify(&[NotifyState::Watchdog]) {
            tracing::warn!(%error, "cannot reach systemd's watchdog");
        }
    }
}

/// The exit code of a program. An error is recorded with the reason.
pub fn exit(result: Result<(), StartError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "cannot go on: {error}");
            ExitCode::FAILURE
        }
    }
}
