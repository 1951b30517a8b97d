//! tere-broker: decides who may open what, and has systemd and machined carry it out.
//!
//! Reads: auth's statements of who holds a channel, requests on principal channels, and workers'
//! packets.
//! Holds: the policy, a record of each session, the right to open shells (a gid, see polkit/).
//! Has given up: the network, all files but its policy, its records and the list of machines,
//! starting programs.
//!
//! Auth connects to `listener` and states who holds a channel. `channels` counts the channels, and
//! `principal` serves each one in a task of its own, for its `holder`, who may have a fresh
//! `touch`. `answers` answers the requests. `opening` runs the steps that open a session; each step
//! is the concern of one module: `request` (what may be asked for), `policy`, `registry` (the
//! sessions, with their `records`), `machined`, `systemd`, `pool` (waiting workers) and
//! `start_limiter`. Each session has a task (`session_task`), which talks to its `worker` and takes
//! `orders`. `reach` reconnects to a restarted worker. `recovery` takes over the sessions of an
//! earlier broker, and `orphans` stops units that have no record. A `session` has `participants`,
//! and may have a `time_limit`. `machines` knows which machines there are, and
//! `changing` has one of them changed. `decisions` writes the decisions to the journal.

mod answers;
mod bus;
mod changing;
mod channels;
mod decisions;
mod holder;
mod listener;
mod machined;
mod machines;
mod opening;
mod orders;
mod orphans;
mod participants;
mod policy;
mod pool;
mod principal;
mod progress;
mod reach;
mod records;
mod recovery;
mod registry;
mod reload;
mod request;
mod session;
mod session_task;
mod shell;
mod stalls;
mod start_limiter;
mod systemd;
#[cfg(test)]
mod test_support;
mod time_limit;
mod touch;
mod watched;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use futures_util::future::join_all;
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast;

use self::bus::Bus;
use self::changing::Changes;
use self::channels::Channels;
use self::machined::Machined;
use self::machines::Machines;
use self::orders::WorkerOrder;
use self::orphans::Orphans;
use self::policy::Policy;
use self::pool::Pool;
use self::records::Records;
use self::registry::Registry;
use self::reload::ReloadCounter;
use self::start_limiter::StartLimiter;
use self::systemd::Systemd;
use crate::names::{AccountName, ClientKeyId, MachineName, UserUid};
use crate::protocol::EndReason;
use crate::protocol::machine::{self, StopReason};
use crate::sandbox::{AllowedPath, Thread};
use crate::service::{self, Service, StartError};

/// tere's broker. systemd starts it; see tere-broker(8).
#[derive(Debug, Parser)]
#[command(name = "tere-broker", version)]
struct Flags {
    /// Where tere's sockets are.
    #[arg(long, value_name = "FOLDER", default_value = "/run/tere")]
    runtime_dir: PathBuf,
    /// Where the records of sessions are kept.
    #[arg(long, value_name = "FOLDER", env = "RUNTIME_DIRECTORY", default_value = "/run/tere-broker")]
    records_dir: PathBuf,
    /// Where tere-machine says what machines there are.
    #[arg(long, hide = true, value_name = "FOLDER", default_value = machine::FOLDER)]
    machines_dir: PathBuf,
    /// The policy.
    #[arg(long, value_name = "FILE", default_value = "/etc/tere/tere.toml")]
    config: PathBuf,
    /// Check the policy, say what is wrong with it, and leave.
    #[arg(long)]
    check: bool,
    /// Check the policy, have the broker with the PID in $MAINPID read it, and wait until it has. For
    /// 'systemctl reload'.
    #[arg(long, requires = "mainpid")]
    reload: bool,
    #[arg(long, hide = true, value_name = "PID", env = "MAINPID")]
    mainpid: Option<i32>,
}

/// State that all tasks share.
#[derive(Debug)]
struct Broker {
    policy: Policy,
    registry: Registry,
    channels: Channels,
    systemd: Arc<Systemd>,
    machined: Arc<Machined>,
    machines: Machines,
    changes: Changes,
    pool: Pool,
    start_limiter: StartLimiter,
    orphans: Arc<Orphans>,
    events: broadcast::Sender<BrokerEvent>,
}

/// An event that is broadcast to every principal channel.
#[derive(Debug, Clone)]
enum BrokerEvent {
    /// The account was removed.
    Revoked(AccountName),
    /// A UNIX user no longer belongs to its account.
    UnixUserRemoved(UserUid),
    /// A client key or a resume key was removed.
    KeyRemoved(ClientKeyId),
    /// The policy was reloaded.
    PolicyChanged,
    /// The machine went away, for this reason if tere stopped it.
    MachineRemoved(MachineName, Option<StopReason>),
}

/// Capacity of the news queue of each principal channel. A channel that falls further behind is
/// closed, and the person signs in again.
const EVENT_QUEUE: usize = 64;

/// How long a reload waits for the workers that take the keyboard from guests. `tere-broker --reload`
/// waits longer. A worker that does not answer is told again when it is back.
const WITHDRAW_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs the program `tere-broker`.
pub fn main() -> ExitCode {
    let flags = Flags::parse();
    if flags.check {
        return match Policy::load(flags.config) {
            Ok(_) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    if let (true, Some(mainpid)) = (flags.reload, flags.mainpid) {
        return match reload::reload(flags.config, &flags.records_dir, Pid::from_raw(mainpid)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    service::exit(start(flags))
}

fn start(flags: Flags) -> Result<(), StartError> {
    let mut service = Service::begin("tere-broker")?;
    let listeners = service.sockets("broker")?;
    let folder = flags.config.parent().map(PathBuf::from).unwrap_or_default();
    let policy = Policy::load(flags.config).map_err(|error| StartError::Program(error.to_string()))?;
    let mut paths = vec![AllowedPath::Read(folder), AllowedPath::Write(flags.records_dir.clone())];
    if flags.machines_dir.is_dir() {
        paths.push(AllowedPath::Read(flags.machines_dir.clone()));
    } else {
        tracing::warn!("no machines are listed: there is no folder {}", flags.machines_dir.display());
    }
    service.run(Thread::Broker, &paths, async move || {
        let reloads = ReloadCounter::start(&flags.records_dir);
        let records = Records::at(flags.records_dir);
        let machines = Machines::at(flags.machines_dir);
        let (broker, filling) = Broker::new(policy, records, machines, flags.runtime_dir.join("session"));
        // Before everything else: until the handler is installed, SIGHUP ends the process.
        tokio::spawn(Arc::clone(&broker).reload_on_request(reloads)?);
        recovery::restore(&broker)?;
        tokio::spawn(filling);
        tokio::spawn(Arc::clone(&broker).watch_machines());
        let listening = listener::listen(listeners, &broker)?;
        service::ready()?;
        listening.await
    })
}

impl Broker {
    /// Creates a broker without sessions, and the task that fills its pool of workers.
    fn new(
        policy: Policy,
        records: Records,
        machines: Machines,
        session_sockets: PathBuf,
    ) -> (Arc<Self>, impl Future<Output = ()> + Send + 'static) {
        let (bus, orphans) = (Arc::new(Bus::default()), Arc::new(Orphans::default()));
        let systemd = Arc::new(Systemd::new(Arc::clone(&bus), session_sockets));
        let (pool, filling) = Pool::new(Arc::clone(&systemd), Arc::clone(&orphans));
        let broker = Self {
            policy,
            registry: Registry::new(records),
            channels: Channels::default(),
            machined: Arc::new(Machined::new(bus, Arc::clone(&systemd))),
            machines,
            changes: Changes::default(),
            systemd,
            pool,
            start_limiter: StartLimiter::default(),
            orphans,
            events: broadcast::Sender::new(EVENT_QUEUE),
        };
        (Arc::new(broker), filling)
    }

    /// Ends the remaining sessions on every machine that goes away, for as long as the broker runs.
    async fn watch_machines(self: Arc<Self>) {
        self.machined
            .report_removals(|machine| {
                self.end_sessions_on(&machine);
                // Fails only if no principal channel is open.
                let why = self.machines.why_stopped(&machine);
                let _ = self.events.send(BrokerEvent::MachineRemoved(machine, why));
            })
            .await;
    }

    /// Ends the sessions that are on the machine at this moment. Their terminals usually hang up by
    /// themselves before this. Each order is sent in a task of its own, so a slow worker delays no
    /// other. Sessions that are opened once the machine is back are not affected.
    fn end_sessions_on(&self, machine: &MachineName) {
        for session in self.registry.on(machine) {
            tokio::spawn(async move {
                // Fails only if the session is already over.
                let _ = session.worker.send(WorkerOrder::End(EndReason::MachineGone)).await;
            });
        }
    }

    /// Has guests who may type only watch where a new policy permits no more, and waits until their
    /// workers enforce it, at most [`WITHDRAW_TIMEOUT`].
    async fn withdraw_keyboards(&self) {
        let withdrawn = self.registry.withdraw_keyboards(&self.policy).into_iter();
        let enforced = withdrawn.map(|(session, guest)| async move { session.enforce_role(&guest).await });
        // In a task of its own, so that no order is lost with the wait.
        let enforced = tokio::spawn(join_all(enforced));
        match tokio::time::timeout(WITHDRAW_TIMEOUT, enforced).await {
            Ok(Ok(settled)) if settled.iter().all(Result::is_ok) => {}
            Ok(_) | Err(_) => tracing::warn!("a worker has not confirmed yet that a guest may only watch"),
        }
    }

    /// Reloads the policy on each SIGHUP. An invalid file changes nothing.
    fn reload_on_request(
        self: Arc<Self>,
        mut reloads: ReloadCounter,
    ) -> Result<impl Future<Output = ()>, String> {
        let mut hangup = signal(SignalKind::hangup()).map_err(|error| error.to_string())?;
        Ok(async move {
            while hangup.recv().await.is_some() {
                service::reloading();
                match self.policy.reload() {
                    Ok(()) => {
                        tracing::info!("policy reloaded");
                        // Fails only if no principal channel is open.
                        let _ = self.events.send(BrokerEvent::PolicyChanged);
                        self.withdraw_keyboards().await;
                    }
                    Err(error) => {
                        tracing::error!(%error, "the new policy is bad; the old one stays: {error}")
                    }
                }
                reloads.add();
                if let Err(error) = service::ready() {
                    tracing::warn!("{error}");
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::orders::ORDERS;
    use super::*;

    #[tokio::test]
    async fn a_machine_that_goes_away_ends_its_sessions_though_one_worker_is_slow() {
        const SOON: Duration = Duration::from_secs(2);
        let folder = tempfile::tempdir().unwrap();
        let broker = test_support::broker(folder.path());
        let (slow, mut full) = test_support::session(&broker, "aaaaaaaaaaaa");
        for _ in 0..ORDERS {
            slow.worker.send(WorkerOrder::Describe(oneshot::channel().0)).await.unwrap();
        }
        let (_quick, mut inbox) = test_support::session(&broker, "bbbbbbbbbbbb");
        broker.end_sessions_on(&"box".parse().unwrap());
        let ended = tokio::time::timeout(SOON, inbox.recv()).await.unwrap();
        assert!(matches!(ended, Some(WorkerOrder::End(EndReason::MachineGone))));
        let (_later, mut inbox) = test_support::session(&broker, "cccccccccccc");
        for _ in 0..ORDERS {
            full.recv().await.unwrap();
        }
        let ended = tokio::time::timeout(SOON, full.recv()).await.unwrap();
        assert!(matches!(ended, Some(WorkerOrder::End(EndReason::MachineGone))));
        assert!(inbox.try_recv().is_err());
    }
}
