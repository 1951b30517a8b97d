//! Reads: HTTP and WebSockets from anybody on the network; answers from auth, the broker and
//! workers.
//! Holds: connections, each with its channel to auth, its principal channel and its viewer sockets.
//! Has given up: files, D-Bus, TCP of its own, and every connect() but the one to auth.sock.
//!
//! The front carries bytes and trusts nobody. It never learns who may do what: it passes a login to
//! auth, gets the principal channel back, and sends requests over it. An attacker who controls the
//! front can do what the people connected at that moment can do, and nothing once they have left.
//!
//! The path of a socket through this room: `listener` accepts the socket, and `capacity` counts it
//! among the `places` of its `source`; `freed_memory` returns what it took. `proxy` reads which
//! source that is, if a proxy says so.
//! `socket` reads requests through `incoming` and serves them with hyper. The `router` has
//! `admission` check each request, and say which `client` a WebSocket is for. Then either a
//! `response` with one of the page's `files` is sent through `outgoing`, or the socket becomes a
//! `connection`.

mod admission;
mod capacity;
mod certificate;
mod client;
mod connection;

mod error;
mod files;
mod freed_memory;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod incoming;
mod listener;
mod outgoing;
mod penalties;
mod places;
mod proxy;
mod response;
mod router;
#[cfg(any(test, feature = "fuzz"))]
mod script;
mod socket;
mod source;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use crate::config::{Config, Origin};
use crate::record_limiter::RecordLimiter;
use crate::sandbox::Thread;
use crate::service::{self, Service, StartError};
use crate::sys::inherited::Inherited;
use capacity::Capacity;
use certificate::Certificate;
use error::FrontError;
use files::Files;
use freed_memory::FreedMemory;
use listener::Listener;
use penalties::Penalties;
use socket::Timeouts;
use source::Source;

/// Serves the page and its WebSockets. Started by tere-front.socket.
#[derive(Debug, Parser)]
#[command(name = "tere-front", version)]
struct Arguments {
    /// The folder that contains auth.sock.
    #[arg(long, default_value = "/run/tere")]
    runtime_dir: PathBuf,
    /// The configuration; by default the credential tere.toml, or else /etc/tere/tere.toml.
    #[arg(long)]
    config: Option<PathBuf>,
}

/// The state shared by all sockets of the front.
#[derive(Debug)]
struct Front {
    origin: Origin,
    files: Files,
    auth: PathBuf,
    capacity: Capacity,
    freed_memory: FreedMemory,
    penalties: Penalties,
    /// For all records of people who are not signed in.
    record_limiter: RecordLimiter<Source>,
    timeouts: Timeouts,
}

impl Front {
    fn new(origin: Origin, auth: PathBuf) -> Self {
        Self {
            origin,
            files: Files::embedded(),
            auth,
            capacity: Capacity::default(),
            freed_memory: FreedMemory::default(),
            penalties: Penalties::default(),
            record_limiter: RecordLimiter::default(),
            timeouts: Timeouts::default(),
        }
    }
}

/// The program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    service::exit(Service::begin("tere-front").and_then(|service| start(service, arguments)))
}

fn start(mut service: Service, arguments: Arguments) -> Result<(), StartError> {
    let inherited = service.sockets("front")?;
    let (front, listeners) =
        prepare(inherited, arguments).map_err(|error| StartError::Program(error.to_string()))?;
    service.run(Thread::Front, &[], async move || {
        let front = Arc::new(front);
        let mut serving = tokio::task::JoinSet::new();
        for listener in listeners {
            tracing::info!(listener = %listener, origin = %front.origin, "listening");
            serving.spawn(listener.serve(Arc::clone(&front)).map_err(|error| error.to_string())?);
        }
        let memory = Arc::clone(&front);
        tokio::spawn(async move { memory.freed_memory.give_back().await });
        service::ready()?;
        // Listeners never return.
        while serving.join_next().await.is_some() {}
        Err("no listener is left".to_owned())
    })
}

/// Reads all files that the front needs: after this the front enters its sandbox.
fn prepare(inherited: Vec<Inherited>, arguments: Arguments) -> Result<(Front, Vec<Listener>), FrontError> {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let config = arguments.config.unwrap_or_else(|| {
        let passed = credentials.as_ref().map(|folder| folder.join("tere.toml")).filter(|path| path.exists());
        passed.unwrap_or_else(|| "/etc/tere/tere.toml".into())
    });
    let Config { origin, proxy, .. } = Config::load(&config)?;
    let certificate = match credentials {
        Some(folder) => Certificate::load(&folder)?,
        None => None,
    };
    let listeners = inherited
        .into_iter()
        .map(|socket| Listener::new(socket.fd, &origin, certificate.as_ref(), proxy))
        .collect::<Result<Vec<_>, _>>()?;
    if proxy.is_some() && !listeners.iter().any(Listener::is_for_proxies) {
        return Err(FrontError::NoSocketForProxies);
    }
    Ok((Front::new(origin, arguments.runtime_dir.join("auth.sock")), listeners))
}
