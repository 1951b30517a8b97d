//! tere-broker: decides who may open what, and has systemd and machined do it.
//!
//! Reads: auth's word on who holds a channel, requests on principal channels, workers' packets.
//! Holds: the policy, the record of each session, the right to open shells (a gid, see polkit/).
//! Has given up: the network, all files but its policy and its records, starting programs.
//!
//! A request comes in through `door` (auth vouches, `channels` has a place) and `principal` (one task a channel), is answered in
//! `answers`, becomes what it may be in `request`, and ends in `sessions`, where one task a session (`worker`)
//! talks to its worker. `upkeep` takes sessions up after a restart and cleans up after their end, `strays` finds what nobody
//! cleaned up after, `spares` keeps workers waiting for sessions to come, `turns` says how many are opened at once.
//! `units` and `machines` ask systemd and machined over the `bus`. What was decided is recorded by `decisions`.

mod answers;
mod bus;
mod channels;
mod decisions;
mod door;
mod machines;
mod opening;
mod orders;
mod people;
mod policy;
mod principal;
mod records;
mod request;
mod returns;
mod session;
mod sessions;
mod spares;
#[cfg(test)]
mod stand_in;
mod strays;
mod turns;
mod units;
mod upkeep;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{broadcast, mpsc};

use self::bus::Bus;
use self::channels::Channels;
use self::policy::Policy;
use self::records::Records;
use self::sessions::Sessions;
use self::strays::NoStrays;
use self::turns::Turns;
use crate::names::{AccountName, MachineName};
use crate::sandbox::{Keep, Thread};
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
    /// The policy.
    #[arg(long, value_name = "FILE", default_value = "/etc/tere/tere.toml")]
    config: PathBuf,
    /// Check the policy, say what is wrong with it, and leave.
    #[arg(long)]
    check: bool,
}

/// What all tasks share.
#[derive(Debug)]
struct Broker {
    policy: Policy,
    bus: Bus,
    sessions: Sessions,
    channels: Channels,
    no_strays: NoStrays,
    /// To the task that keeps workers waiting.
    spares: mpsc::Sender<spares::Asker>,
    turns: Turns,
    /// Where the sockets of sessions are.
    session_sockets: PathBuf,
    news: broadcast::Sender<News>,
}

/// What every principal channel must hear of.
#[derive(Debug, Clone)]
enum News {
    /// This account is gone.
    Revoked(AccountName),
    /// The policy is another one.
    PolicyChanged,
    /// This machine went away.
    MachineRemoved(MachineName),
}

/// Room for news that a channel has not taken. One that falls behind it looks at everything anew.
const NEWS: usize = 64;

/// The program.
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
    service::exit(start(flags))
}

fn start(flags: Flags) -> Result<(), StartError> {
    let mut service = Service::begin("tere-broker")?;
    let listeners = service.sockets("broker")?;
    let folder = flags.config.parent().map(PathBuf::from).unwrap_or_default();
    let policy = Policy::load(flags.config).map_err(|error| StartError::Program(error.to_string()))?;
    let keep = [Keep::Read(folder), Keep::Write(flags.records_dir.clone())];
    service.run(Thread::Broker, &keep, async move |notify| {
        let records = Records::at(flags.records_dir);
        let (broker, asked) = Broker::new(policy, records, flags.runtime_dir.join("session"));
        // First of all: until it is there, SIGHUP ends the process.
        tokio::spawn(Arc::clone(&broker).reload_on_request()?);
        broker.take_up()?;
        tokio::spawn(Arc::clone(&broker).keep_spares(asked));
        tokio::spawn(Arc::clone(&broker).watch_machines());
        let door = door::open(listeners, &broker)?;
        notify.say("READY=1").map_err(|error| error.to_string())?;
        door.await
    })
}

impl Broker {
    /// One that has not looked around yet, and whoever will ask for a spare of it.
    fn new(
        policy: Policy,
        records: Records,
        session_sockets: PathBuf,
    ) -> (Arc<Self>, mpsc::Receiver<spares::Asker>) {
        let (spares, asked) = mpsc::channel(spares::ASKED);
        let broker = Self {
            policy,
            bus: Bus::default(),
            sessions: Sessions::new(records),
            channels: Channels::default(),
            no_strays: NoStrays::default(),
            spares,
            turns: Turns::default(),
            session_sockets,
            news: broadcast::Sender::new(NEWS),
        };
        (Arc::new(broker), asked)
    }

    /// Reads the policy again at each SIGHUP. A bad one changes nothing.
    fn reload_on_request(self: Arc<Self>) -> Result<impl Future<Output = ()>, String> {
        let mut hangup = signal(SignalKind::hangup()).map_err(|error| error.to_string())?;
        Ok(async move {
            while hangup.recv().await.is_some() {
                match self.policy.reload() {
                    Ok(()) => {
                        tracing::info!("the policy is read anew");
                        // No channel is open: then nobody needs to hear it.
                        let _ = self.news.send(News::PolicyChanged);
                    }
                    Err(error) => {
                        tracing::error!(%error, "the new policy is bad; the old one stays: {error}")
                    }
                }
            }
        })
    }
}
