//! systemd: starts and stops the units of sessions and of machines. polkit's rule allows no other
//! units. See org.freedesktop.systemd1(5).

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use zbus_systemd::systemd1::{ManagerProxy, ServiceProxy};
use zbus_systemd::zbus::proxy::CacheProperties;

use super::bus::{Bus, BusError, NO_SUCH_OBJECT, NO_SUCH_UNIT, within};
use super::progress::Progress;
use super::worker;
use crate::backoff::Backoff;
use crate::names::{MachineChange, MachineName, SessionId};
use crate::protocol::boot::exit_status;
use crate::protocol::worker::Standing;
use crate::protocol::{EndReason, OpeningStep, Refusal};
use crate::wire::WireError;

/// How long systemd has to start, stop or list the units of sessions. A start takes about 0.1 s.
const SESSION_TIMEOUT: Duration = Duration::from_secs(8);

/// How long a machine may take to boot before the person is told that it did not start.
const BOOT_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a change of a machine may take: it may have to copy a large home. The unit has a
/// shorter limit of its own, so that its end is seen here.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10 * 60 + 30);

/// The delays between attempts to stop the units of a session.
const STOP_BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

/// A client of systemd that offers only what the broker may use.
#[derive(Debug)]
pub(super) struct Systemd {
    bus: Arc<Bus>,
    /// The folder of the sessions' sockets.
    sockets: PathBuf,
}

/// Why the units of a session that is over are still there.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotStopped {
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error("its worker cannot be told that it is over: {0}")]
    Worker(#[from] WireError),
    #[error("its worker left {0} descriptors with systemd")]
    Stored(u32),
}

/// A unit, made of parsed names only, so that no other unit can be named.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unit<'a> {
    /// A session's socket. Connecting to it starts its worker.
    SessionSocket(&'a SessionId),
    /// A session's worker.
    SessionService(&'a SessionId),
    /// A machine that was there before, in `/var/lib/machines`.
    Machine(&'a MachineName),
    /// A machine that tere makes. Starting it makes it, if the policy that root reads allows that.
    ManagedMachine(&'a MachineName),
    /// A change of a machine, which is made while the unit starts.
    Change(&'a MachineChange),
}

impl Unit<'_> {
    fn name(self) -> String {
        match self {
            Self::SessionSocket(id) => format!("tere-session@{id}.socket"),
            Self::SessionService(id) => format!("tere-session@{id}.service"),
            Self::Machine(name) => format!("tere-machine@{}.service", escape(name)),
            Self::ManagedMachine(name) => format!("tere-managed@{}.service", escape(name)),
            // Neither a colon nor a name of a machine needs escaping.
            Self::Change(change) => format!("tere-change@{change}.service"),
        }
    }

    fn time(self) -> Duration {
        match self {
            Self::SessionSocket(_) | Self::SessionService(_) => SESSION_TIMEOUT,
            Self::Machine(_) | Self::ManagedMachine(_) => BOOT_TIMEOUT,
            Self::Change(_) => CHANGE_TIMEOUT,
        }
    }
}

/// Returns the name of a machine as the instance of a unit. It needs no escaping: systemd reads `-`
/// as `/` only where a unit uses `%I`, and these units use `%i`, which is the instance unchanged.
fn escape(name: &MachineName) -> &str {
    name.as_str()
}

impl Systemd {
    /// Creates a client that uses this bus. `sockets` is the folder of the sessions' sockets.
    pub(super) fn new(bus: Arc<Bus>, sockets: PathBuf) -> Self {
        Self { bus, sockets }
    }

    /// Drops a broken connection, so that the next request makes a new one.
    pub(super) async fn forget_connection(&self) {
        self.bus.forget().await;
    }

    /// Returns the path of the socket of a session's worker.
    pub(super) fn socket(&self, id: &SessionId) -> PathBuf {
        self.sockets.join(format!("{id}.sock"))
    }

    /// Starts a unit and waits until it is started.
    pub(super) async fn start(&self, unit: Unit<'_>) -> Result<(), BusError> {
        self.job(unit, Verb::Start).await
    }

    /// Starts the unit of a machine and waits until it is started. Reports its steps meanwhile.
    pub(super) async fn start_machine(&self, unit: Unit<'_>, progress: &Progress) -> Result<(), BusError> {
        tokio::select! {
            // The start goes on even if its steps cannot be watched.
            done = self.start(unit) => done,
            never = self.report_steps(unit, progress) => match never {},
        }
    }

    /// Reports each step that the status of a machine's unit names, until this is dropped.
    async fn report_steps(&self, unit: Unit<'_>, progress: &Progress) -> Infallible {
        let watch = async {
            let connection = self.bus.connection().await?;
            let manager = ManagerProxy::new(&connection).await?;
            // systemd reports changes only to those who subscribe. A second subscription is an
            // error, and changes nothing.
            drop(manager.subscribe().await);
            let path = manager.load_unit(unit.name()).await?;
            let service = ServiceProxy::builder(&connection).path(path).build().await?;
            let mut changes = service.receive_status_text_changed().await;
            let mut last = None;
            while let Some(change) = changes.next().await {
                let step = OpeningStep::of_status(&change.get().await?);
                if let Some(step) = step.filter(|_| step != last) {
                    progress.tell(step);
                    last = Some(step);
                }
            }
            Ok::<(), BusError>(())
        };
        if let Err(error) = watch.await {
            tracing::debug!(%error, "the start of a machine cannot be watched: {error}");
        }
        std::future::pending().await
    }

    /// Why the unit of a machine has failed to start, by the exit status of tere-machine.
    pub(super) async fn why_not_started(&self, unit: Unit<'_>) -> Refusal {
        let Unit::ManagedMachine(_) = unit else { return Refusal::MachineUnavailable };
        match self.exit_status(unit).await {
            Some(exit_status::STORAGE) => Refusal::StorageFailed,
            Some(exit_status::TOO_MANY) => Refusal::TooManyMachines,
            Some(exit_status::DAMAGED..=exit_status::POLICY) => Refusal::MachineNotMade,
            Some(_) | None => Refusal::MachineUnavailable,
        }
    }

    /// Has a change of a machine made, and waits until it is made or has failed.
    pub(super) async fn make_change(&self, change: &MachineChange) -> Result<(), Refusal> {
        let unit = Unit::Change(change);
        // Not tried again if the bus went away meanwhile: the change may have been made.
        let error = match within(unit.time(), self.try_job(unit.name(), Verb::Start)).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        tracing::warn!(%change, %error, "the change is not made: {error}");
        let refusal = match &error {
            BusError::Job { .. } => self.why_not_changed(unit).await,
            BusError::Unreachable(_) | BusError::TimedOut(_) | BusError::Refused { .. } => {
                Refusal::Unavailable
            }
        };
        self.unload_failed(unit).await;
        Err(refusal)
    }

    /// Why a change was not made, by the exit status of tere-machine.
    async fn why_not_changed(&self, unit: Unit<'_>) -> Refusal {
        match self.exit_status(unit).await {
            Some(exit_status::STORAGE) => Refusal::StorageFailed,
            Some(exit_status::NO_MACHINE) => Refusal::NoSuchMachine,
            Some(exit_status::EXISTS) => Refusal::MachineExists,
            Some(exit_status::IN_USE) => Refusal::MachineInUse,
            Some(exit_status::TOO_MANY) => Refusal::TooManyMachines,
            Some(exit_status::NOT_IN_POLICY) => Refusal::NotGranted,
            Some(_) | None => Refusal::NotChanged,
        }
    }

    /// The exit status of the last process of a service, if it can be had.
    async fn exit_status(&self, unit: Unit<'_>) -> Option<u8> {
        let status = async { Ok(self.service(unit).await?.exec_main_status().await?) };
        let status = within(SESSION_TIMEOUT, status).await.ok();
        status.and_then(|status| u8::try_from(status).ok())
    }

    /// The loaded unit of a service, whose properties are read each time.
    async fn service(&self, unit: Unit<'_>) -> Result<ServiceProxy<'static>, BusError> {
        let connection = self.bus.connection().await?;
        let path = ManagerProxy::new(&connection).await?.get_unit(unit.name()).await?;
        let service = ServiceProxy::builder(&connection).path(path);
        Ok(service.cache_properties(CacheProperties::No).build().await?)
    }

    /// Stops a unit and waits until it is stopped.
    pub(super) async fn stop(&self, unit: Unit<'_>) -> Result<(), BusError> {
        self.job(unit, Verb::Stop).await
    }

    /// Resets the failed state of a session's worker, because systemd keeps failed units loaded.
    pub(super) async fn forget_failure(&self, id: &SessionId) -> Result<(), BusError> {
        self.reset_failed(Unit::SessionService(id)).await
    }

    /// Has systemd forget a unit that has failed, which it would keep loaded.
    pub(super) async fn unload_failed(&self, unit: Unit<'_>) {
        if let Err(error) = self.reset_failed(unit).await {
            tracing::debug!(unit = unit.name(), %error, "a failed unit stays loaded: {error}");
        }
    }

    async fn reset_failed(&self, unit: Unit<'_>) -> Result<(), BusError> {
        let forget = async {
            let manager = ManagerProxy::new(&self.bus.connection().await?).await?;
            Ok(manager.reset_failed_unit(unit.name()).await?)
        };
        within(SESSION_TIMEOUT, forget).await
    }

    /// Returns the number of descriptors in the descriptor store of a session's worker.
    pub(super) async fn stored_descriptors(&self, id: &SessionId) -> Result<u32, BusError> {
        let unit = Unit::SessionService(id);
        let count = async { Ok(self.service(unit).await?.n_file_descriptor_store().await?) };
        match within(unit.time(), count).await {
            // The unit is unloaded, and its store is gone with it.
            Err(error) if error.is(NO_SUCH_UNIT) || error.is(NO_SUCH_OBJECT) => Ok(0),
            counted => counted,
        }
    }

    async fn job(&self, unit: Unit<'_>, verb: Verb) -> Result<(), BusError> {
        let done = within(unit.time(), self.try_job(unit.name(), verb)).await;
        if matches!(done, Err(BusError::Unreachable(_))) {
            // dbus-daemon may have been restarted: try once more, over a new connection.
            self.bus.forget().await;
            return within(unit.time(), self.try_job(unit.name(), verb)).await;
        }
        done
    }

    async fn try_job(&self, unit: String, verb: Verb) -> Result<(), BusError> {
        let manager = ManagerProxy::new(&self.bus.connection().await?).await?;
        // Subscribed before the job is made, so that its end cannot be missed.
        let mut removed = manager.receive_job_removed().await?;
        let mode = "replace".to_owned();
        let call = async {
            match verb {
                Verb::Start => manager.start_unit(unit.clone(), mode).await,
                Verb::Stop => manager.stop_unit(unit.clone(), mode).await,
            }
        };
        tokio::pin!(call);
        // Signals are also received while the call is under way. A stream that nobody reads is full
        // after some dozens of signals; then the whole connection stalls, and no reply arrives any
        // more.
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

    /// Returns the sessions that have a loaded unit.
    pub(super) async fn session_units(&self) -> Result<Vec<SessionId>, BusError> {
        let patterns = vec!["tere-session@*.socket".to_owned(), "tere-session@*.service".to_owned()];
        let list = async {
            let manager = ManagerProxy::new(&self.bus.connection().await?).await?;
            Ok(manager.list_units_by_patterns(Vec::new(), patterns).await?)
        };
        let units = within(SESSION_TIMEOUT, list).await?;
        let id = |name: &str| name.strip_prefix("tere-session@")?.split('.').next()?.parse().ok();
        let mut ids: Vec<SessionId> = units.iter().filter_map(|unit| id(&unit.0)).collect();
        ids.sort();
        ids.dedup();
        Ok(ids)
    }

    /// Runs [`Self::stop_session`] in the background.
    pub(super) fn stop_session_later(self: &Arc<Self>, id: &SessionId) {
        let (systemd, id) = (Arc::clone(self), id.clone());
        tokio::spawn(async move { systemd.stop_session(&id).await });
    }

    /// Stops the units of a session, the socket first so that nothing restarts the worker. Retries
    /// until they are stopped, because systemd cannot be asked while polkit or the bus is away.
    pub(super) async fn stop_session(&self, id: &SessionId) {
        let mut again = STOP_BACKOFF;
        while let Err(error) = self.try_stop_session(id).await {
            tracing::warn!(session = %id, %error, "units cannot be stopped yet: {error}");
            tokio::time::sleep(again.pause()).await;
        }
    }

    /// Makes a single attempt at [`Self::stop_session`].
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
                // Another job replaced this one, or the unit no longer exists.
                Ok(()) | Err(BusError::Job { .. }) => {}
                Err(error) if error.is(NO_SUCH_UNIT) => {}
                Err(error) => return Err(error),
            }
        }
        match self.forget_failure(id).await {
            // No such unit is the usual case: systemd unloads a unit that ended well by itself.
            Err(error) if !error.is(NO_SUCH_UNIT) => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Has a worker close the descriptors that an earlier worker left in systemd's store. They
    /// include the terminal; while it is open, the shell runs on, and nobody can reach it. systemd
    /// 257 discards the store when it unloads a stopped unit. 262 keeps both until the store is
    /// empty, and only a worker or root can empty it.
    async fn let_go(&self, id: &SessionId) -> Result<(), NotStopped> {
        tracing::info!(session = %id, "starting a worker to clean up after the previous one");
        self.start(Unit::SessionSocket(id)).await?;
        let (channel, standing) = worker::connect(&self.socket(id)).await?;
        match standing {
            Standing::Keeping(_) => Ok(worker::end(&channel, EndReason::WorkerGone).await?),
            // The worker has nothing left in the store, and exits when this channel closes.
            Standing::Waiting => Ok(()),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Verb {
    Start,
    Stop,
}
