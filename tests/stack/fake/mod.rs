//! Stand-ins for the rest of the system: a private dbus-daemon, and on it fakes of systemd and
//! machined that implement only what tere asks of them. They behave like the real ones where tere
//! depends on it, and no further; each place where a fake is simpler says so. The stories, which
//! run both here and on a real host, keep the fakes from drifting.
//!
//! Calls are answered one at a time, in the order in which they come. The real services answer
//! other calls during one that takes long (the start of a machine); here all calls are quick.

#![allow(clippy::wildcard_enum_match_arm)] // of zbus's errors

mod bus;
mod machined;
mod polkit;
mod store;
mod systemd;
mod unit;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use tokio::runtime::Runtime;
use zbus_systemd::zbus::message::{Header, Message, Type};
use zbus_systemd::zbus::{self, Connection, DBusError as _, MessageStream};

use self::bus::Bus;
use self::machined::{Answered, Shell};
use self::unit::SessionUnits;

/// State of the fakes.
#[derive(Debug)]
pub(crate) struct World {
    /// The folder that stands for `/`.
    root: PathBuf,
    /// The programs' standard error.
    log: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Number of next shells that are opened, but reported only when the caller no longer waits.
    late_shells: usize,
    /// The machine whose next shell stalls machined, and for how long.
    stall: Option<(String, Duration)>,
    /// Until when machined answers nothing.
    stalled_until: Option<Instant>,
    /// The program from which the next worker is started, instead of the one under test.
    next_worker: Option<PathBuf>,
    /// Running machines.
    machines: BTreeSet<String>,
    /// Shells in these machines.
    shells: Vec<Shell>,
    /// Loaded units of sessions, by session id.
    sessions: BTreeMap<String, Arc<SessionUnits>>,
    /// How workers ended that were neither asked to stop nor exited with success.
    deaths: Vec<String>,
    /// A client has called systemd's Subscribe. Before that, systemd sends no signals.
    subscribed: bool,
    jobs: u32,
}

impl World {
    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked still cleans up.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A D-Bus error: its name and its message.
#[derive(Debug)]
struct Refused(&'static str, String);

/// The running fakes.
#[derive(Debug)]
pub(crate) struct Fake {
    world: Arc<World>,
    bus: Bus,
    connection: Connection,
    runtime: Option<Runtime>,
}

impl Fake {
    /// Starts the fakes, with the machines web1 and nobus running.
    pub(crate) fn start(root: &Path, log: &Path) -> Self {
        let bus = Bus::start(&root.join("bus"), log);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let machines = ["web1", "nobus"].map(str::to_owned).into();
        let state = Mutex::new(State { machines, ..State::default() });
        let world = Arc::new(World { root: root.to_owned(), log: log.to_owned(), state });
        let connection = runtime.block_on(async {
            let builder = zbus::connection::Builder::address(bus.address()).build();
            let connection = builder.await.unwrap();
            let calls = MessageStream::from(&connection);
            tokio::spawn(answer(connection.clone(), calls, Arc::clone(&world)));
            connection.request_name(systemd::NAME).await.unwrap();
            connection.request_name(machined::NAME).await.unwrap();
            connection
        });
        Self { world, bus, connection, runtime: Some(runtime) }
    }

    /// For `DBUS_SYSTEM_BUS_ADDRESS`.
    pub(crate) fn address(&self) -> &str {
        self.bus.address()
    }

    /// Loaded units of sessions.
    pub(crate) fn session_units(&self) -> Vec<String> {
        systemd::session_units(&self.world)
    }

    /// The worker of a session, if it runs.
    pub(crate) fn worker(&self, session: &str) -> Option<i32> {
        self.world.state().sessions.get(session)?.worker()
    }

    /// Makes systemd lose what it keeps for the worker of a session.
    pub(crate) fn lose_store(&self, session: &str) {
        self.world.state().sessions[session].lose();
    }

    /// Starts the next worker from another program.
    pub(crate) fn next_worker_is(&self, program: PathBuf) {
        self.world.state().next_worker = Some(program);
    }

    /// Number of running workers and shells.
    pub(crate) fn processes(&self) -> usize {
        let state = self.world.state();
        let workers = state.sessions.values().filter(|units| units.worker().is_some()).count();
        workers + state.shells.len()
    }

    /// How workers crashed. Kills that a test may make are not included.
    pub(crate) fn deaths(&self) -> Vec<String> {
        self.world.state().deaths.clone()
    }

    /// Powers a machine off.
    pub(crate) fn power_off(&self, machine: &str) {
        self.block_on(machined::power_off(&self.connection, &self.world, machine));
    }

    /// Stops machined, so that nothing starts it again.
    pub(crate) fn stop_machined(&self) {
        assert!(self.block_on(self.connection.release_name(machined::NAME)).unwrap());
    }

    /// Makes systemd stop answering on the bus.
    pub(crate) fn stop_systemd(&self) {
        assert!(self.block_on(self.connection.release_name(systemd::NAME)).unwrap());
    }

    /// Makes systemd answer again.
    pub(crate) fn start_systemd(&self) {
        self.block_on(self.connection.request_name(systemd::NAME)).unwrap();
    }

    /// Makes the next request for a shell in this machine stall machined, which is restarted then.
    pub(crate) fn stall(&self, machine: &str, time: Duration) {
        self.world.state().stall = Some((machine.to_owned(), time));
    }

    /// Whether machined answers nothing now.
    pub(crate) fn is_stalled(&self) -> bool {
        self.world.state().stalled_until.is_some_and(|until| Instant::now() < until)
    }

    /// Makes the answers to the next `count` requests for a shell come too late.
    pub(crate) fn answer_late(&self, count: usize) {
        self.world.state().late_shells = count;
    }

    /// Makes machined run again.
    pub(crate) fn start_machined(&self) {
        self.block_on(self.connection.request_name(machined::NAME)).unwrap();
    }

    /// Calls a method of a manager as the broker does. The error is the name of the D-Bus error.
    pub(crate) fn call(&self, name: &str, method: &str, arguments: &[&str]) -> Result<(), String> {
        let (path, interface) = (format!("/{}", name.replace('.', "/")), format!("{name}.Manager"));
        let (destination, interface) = (Some(name), Some(interface));
        let called = self.block_on(async {
            let caller = zbus::connection::Builder::address(self.bus.address()).build().await?;
            match *arguments {
                [unit, mode] => caller.call_method(destination, path, interface, method, &(unit, mode)).await,
                [machine, user, program] => {
                    let arguments = (machine, user, program, ["sh"].as_slice(), [""; 0].as_slice());
                    caller.call_method(destination, path, interface, method, &arguments).await
                }
                _ => panic!("no call has {} arguments", arguments.len()),
            }
        });
        called.map(drop).map_err(|error| match error {
            // Errors that every service can send have types of their own.
            zbus::Error::FDO(error) => error.name().to_string(),
            error => error.to_string(),
        })
    }

    fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.as_ref().unwrap().block_on(work)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let sessions = std::mem::take(&mut self.world.state().sessions);
        sessions.values().for_each(|units| units.stop());
        machined::kill_shells(&self.world, |_| true);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Answers the calls on the bus.
async fn answer(connection: Connection, mut calls: MessageStream, world: Arc<World>) {
    while let Some(Ok(call)) = calls.next().await {
        if call.message_type() != Type::MethodCall {
            continue;
        }
        let header = call.header();
        let word = |word: Option<&str>| word.unwrap_or_default().to_owned();
        let interface = word(header.interface().map(|name| name.as_str()));
        let method = word(header.member().map(|name| name.as_str()));
        let done = match interface.as_str() {
            systemd::INTERFACE => systemd::answer(&connection, &world, &method, &call).await,
            machined::INTERFACE => {
                let until = world.state().stalled_until;
                if let Some(until) = until.filter(|until| Instant::now() < *until) {
                    // What is asked meanwhile gets no other answer than that machined went away.
                    tokio::spawn(no_reply(connection.clone(), call, until));
                    continue;
                }
                match machined::answer(&connection, &world, &method, &call).await {
                    Ok(Answered::Stalled(until)) => {
                        world.state().stalled_until = Some(until);
                        tokio::spawn(no_reply(connection.clone(), call, until));
                        continue;
                    }
                    Ok(Answered::Now) => Ok(()),
                    Err(refused) => Err(refused),
                }
            }
            _ => Err(unknown(&interface, &method)),
        };
        if let Err(Refused(name, message)) = done {
            // The caller may be gone.
            drop(connection.reply_error(&header, name, &message).await);
        }
    }
}

/// Answers a call as the bus does once a machined that hung is killed.
async fn no_reply(connection: Connection, call: Message, at: Instant) {
    tokio::time::sleep_until(at.into()).await;
    let message = "Message recipient disconnected from message bus without replying".to_owned();
    drop(connection.reply_error(&call.header(), "org.freedesktop.DBus.Error.NoReply", &message).await);
}

fn unknown(interface: &str, method: &str) -> Refused {
    Refused("org.freedesktop.DBus.Error.UnknownMethod", format!("the fake has no {interface}.{method}"))
}

fn body<'a, T: serde::Deserialize<'a> + zbus::zvariant::Type>(
    message: &'a zbus::message::Body,
) -> Result<T, Refused> {
    let read = message.deserialize();
    read.map_err(|error| Refused("org.freedesktop.DBus.Error.InvalidArgs", error.to_string()))
}

/// Replies to a call. The caller may be gone by now.
async fn reply<B>(connection: &Connection, header: &Header<'_>, body: &B)
where
    B: serde::Serialize + zbus::zvariant::DynamicType,
{
    drop(connection.reply(header, body).await);
}

/// Opens a log file to which programs append.
pub(crate) fn log_file(path: &Path) -> std::fs::File {
    std::fs::File::options().append(true).create(true).open(path).unwrap()
}
