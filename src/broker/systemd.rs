//! systemd: the units of sessions and of machines, which the broker starts and stops. polkit's rule
//! allows no others. See org.freedesktop.systemd1(5).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use zbus_systemd::systemd1::{ManagerProxy, ServiceProxy};
use zbus_systemd::zbus::proxy::CacheProperties;

use super::bus::{Bus, BusError, NO_SUCH_OBJECT, NO_SUCH_UNIT, within};
use super::worker;
use crate::backoff::Backoff;
use crate::names::{MachineName, SessionId};
use crate::protocol::EndReason;
use crate::protocol::worker::Standing;
use crate::wire::WireError;

/// How long systemd has for a session's units, and to list them. They start in about 0.1 s.
const SESSION_TIME: Duration = Duration::from_secs(8);

/// How long a machine has to boot, after which the person is told that it did not.
const BOOT_TIME: Duration = Duration::from_secs(60);

/// The pauses between attempts to stop the units of a session.
const STOP_AGAIN: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

/// systemd, as far as the broker may use it.
#[derive(Debug)]
pub(super) struct Systemd {
    bus: Arc<Bus>,
    /// Where the sockets of sessions are.
    sockets: PathBuf,
}

/// Why units of a session that is over are still there.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotStopped {
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error("its worker cannot be told that it is over: {0}")]
    Worker(#[from] WireError),
    #[error("its worker left {0} descriptors with systemd")]
    Stored(u32),
}

/// A unit by its parsed parts: nothing else can be named.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unit<'a> {
    /// A session's socket. Connecting to it starts its worker.
    SessionSocket(&'a SessionId),
    /// A session's worker.
    SessionService(&'a SessionId),
    /// A machine.
    Machine(&'a MachineName),
}

impl Unit<'_> {
    fn name(self) -> String {
        match self {
            Self::SessionSocket(id) => format!("tere-session@{id}.socket"),
            Self::SessionService(id) => format!("tere-session@{id}.service"),
            Self::Machine(name) => format!("tere-machine@{}.service", escape(name)),
        }
    }

    fn time(self) -> Duration {
        match self {
            Self::SessionSocket(_) | Self::SessionService(_) => SESSION_TIME,
            Self::Machine(_) => BOOT_TIME,
        }
    }
}

/// A machine's name as an instance: systemd reads `-` in a path-like instance as `/` only where a
/// unit asks for it with %I; ours asks for %i, which is taken as it stands.
fn escape(name: &MachineName) -> &str {
    name.as_str()
}

impl Systemd {
    /// systemd behind this bus, with the sockets of sessions in this folder.
    pub(super) fn new(bus: Arc<Bus>, sockets: PathBuf) -> Self {
        Self { bus, sockets }
    }

    /// Forgets a connection that broke, so that the next request makes another.
    pub(super) async fn forget_connection(&self) {
        self.bus.forget().await;
    }

    /// Where a session's worker is reached.
    pub(super) fn socket(&self, id: &SessionId) -> PathBuf {
        self.sockets.join(format!("{id}.sock"))
    }

    /// Starts a unit and waits until it is started.
    pub(super) async fn start(&self, unit: Unit<'_>) -> Result<(), BusError> {
        self.job(unit, Verb::Start).await
    }

    /// Stops a unit and waits until it is stopped.
    pub(super) async fn stop(&self, unit: Unit<'_>) -> Result<(), BusError> {
        self.job(unit, Verb::Stop).await
    }

    /// Has systemd forget that a worker failed, if it did, or its unit would be kept for people to look at.
    pub(super) async fn forget_failure(&self, id: &SessionId) -> Result<(), BusError> {
        let unit = Unit::SessionService(id);
        let forget = async {
            let manager = ManagerProxy::new(&self.bus.connection().await?).await?;
            Ok(manager.reset_failed_unit(unit.name()).await?)
        };
        within(unit.time(), forget).await
    }

    /// How many descriptors are in the store of a session's worker.
    pub(super) async fn stored_descriptors(&self, id: &SessionId) -> Result<u32, BusError> {
        let unit = Unit::SessionService(id);
        let count = async {
            let connection = self.bus.connection().await?;
            let path = ManagerProxy::new(&connection).await?.get_unit(unit.name()).await?;
            let service = ServiceProxy::builder(&connection).path(path);
            let service = service.cache_properties(CacheProperties::No).build().await?;
            Ok(service.n_file_descriptor_store().await?)
        };
        match within(unit.time(), count).await {
            // It is forgotten, and they with it.
            Err(error) if error.is(NO_SUCH_UNIT) || error.is(NO_SUCH_OBJECT) => Ok(0),
            counted => counted,
        }
    }

    async fn job(&self, unit: Unit<'_>, verb: Verb) -> Result<(), BusError> {
        let done = within(unit.time(), self.try_job(unit.name(), verb)).await;
        if matches!(done, Err(BusError::Unreachable(_))) {
            // dbus-daemon was restarted, perhaps: once more, over a new connection.
            self.bus.forget().await;
            return within(unit.time(), self.try_job(unit.name(), verb)).await;
        }
        done
    }

    async fn try_job(&self, unit: String, verb: Verb) -> Result<(), BusError> {
        let manager = ManagerProxy::new(&self.bus.connection().await?).await?;
        // Before the job is made, so that its end cannot be missed.
        let mut removed = manager.receive_job_removed().await?;
        let mode = "replace".to_owned();
        let call = async {
            match verb {
                Verb::Start => manager.start_unit(unit.clone(), mode).await,
                Verb::Stop => manager.stop_unit(unit.clone(), mode).await,
            }
        };
        tokio::pin!(call);
        // The ends of jobs are taken while the call is under way too. A stream that nobody takes from is
        // full after some dozens, and with it the whole connection stands still: no answer comes any more.
        let (mut job, mut ends) = (None, Vec::new());
        loop {
            tokio::select! {
                made = &mut call, if job.is_none() => job = Some(made?),
                signal = removed.next() => {
                    let Some(signal) = signal else { break };
                    let ended = signal.args()?;
                    if *ended.unit() == unit {
                        ends.push((ended.job().clone(), ended.result().clone()));
                    }
                }
            }
            let ours = job.as_ref().and_then(|job| ends.iter().find(|(ended, _)| ended == job));
            if let Some((_, result)) = ours {
                let result = result.clone();
                return if result == "done" {
                    Ok(())
                } else {
                    Err(BusError::Job { unit: unit.clone(), result })
                };
            }
        }
        Err(BusError::Unreachable(zbus_systemd::zbus::Error::Failure("the bus went away".into())))
    }

    /// The sessions that have a unit loaded.
    pub(super) async fn session_units(&self) -> Result<Vec<SessionId>, BusError> {
        let patterns = vec!["tere-session@*.socket".to_owned(), "tere-session@*.service".to_owned()];
        let list = async {
            let manager = ManagerProxy::new(&self.bus.connection().await?).await?;
            Ok(manager.list_units_by_patterns(Vec::new(), patterns).await?)
        };
        let units = within(SESSION_TIME, list).await?;
        let id = |name: &str| name.strip_prefix("tere-session@")?.split('.').next()?.parse().ok();
        let mut ids: Vec<SessionId> = units.iter().filter_map(|unit| id(&unit.0)).collect();
        ids.sort();
        ids.dedup();
        Ok(ids)
    }

    /// [`Self::stop_session`], while nobody waits.
    pub(super) fn stop_session_later(self: &Arc<Self>, id: &SessionId) {
        let (systemd, id) = (Arc::clone(self), id.clone());
        tokio::spawn(async move { systemd.stop_session(&id).await });
    }

    /// Stops a session's units, its socket first so that nothing starts the worker again. Goes on until
    /// they are stopped: systemd cannot be asked while polkit or the bus is away.
    pub(super) async fn stop_session(&self, id: &SessionId) {
        let mut again = STOP_AGAIN;
        while let Err(error) = self.try_stop_session(id).await {
            tracing::warn!(session = %id, %error, "units cannot be stopped yet: {error}");
            tokio::time::sleep(again.pause()).await;
        }
    }

    /// [`Self::stop_session`], once.
    pub(super) async fn try_stop_session(&self, id: &SessionId) -> Result<(), NotStopped> {
        self.stop_both(id).await?;
        if self.stored_descriptors(id).await? == 0 {
            return Ok(());
        }
        self.let_go(id).await?;
        self.stop_both(id).await?;
        match self.stored_descriptors(id).await? {
            0 => Ok(()),
            left => Err(NotStopped::Stored(left)),
        }
    }

    async fn stop_both(&self, id: &SessionId) -> Result<(), BusError> {
        for unit in [Unit::SessionSocket(id), Unit::SessionService(id)] {
            match self.stop(unit).await {
                // Another job took this one's place, or there is no such unit any more.
                Ok(()) | Err(BusError::Job { .. }) => {}
                Err(error) if error.is(NO_SUCH_UNIT) => {}
                Err(error) => return Err(error),
            }
        }
        match self.forget_failure(id).await {
            // As a rule: a unit that ended well is forgotten by itself.
            Err(error) if !error.is(NO_SUCH_UNIT) => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Has a worker end what a worker before it left in systemd's store: the terminal is in there, and
    /// with it the shell would run on, with nobody to reach it. systemd 257 throws the store away when it
    /// forgets a stopped unit; 262 keeps both until the store is empty, which only a worker, or root,
    /// can do.
    async fn let_go(&self, id: &SessionId) -> Result<(), NotStopped> {
        tracing::info!(session = %id, "a worker is started to end what one before it left");
        self.start(Unit::SessionSocket(id)).await?;
        let (channel, standing) = worker::connect(&self.socket(id)).await?;
        match standing {
            Standing::Keeping(_) => Ok(worker::end(&channel, EndReason::WorkerGone).await?),
            // It has let go, and leaves with us.
            Standing::Waiting => Ok(()),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Verb {
    Start,
    Stop,
}
