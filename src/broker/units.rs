//! Units that the broker starts and stops through systemd: those of sessions and of machines, and
//! by polkit's rule no others. See org.freedesktop.systemd1(5).

use std::time::Duration;

use futures_util::StreamExt;
use zbus_systemd::systemd1::{ManagerProxy, ServiceProxy};
use zbus_systemd::zbus::proxy::CacheProperties;

use super::bus::{Bus, BusError, NO_SUCH_OBJECT, NO_SUCH_UNIT, within};
use crate::names::{MachineName, SessionId};

/// How long systemd has for a session's units, and to list them. They start in about 0.1 s.
const SESSION_TIME: Duration = Duration::from_secs(8);

/// How long a machine has to boot, after which the person is told that it did not.
const BOOT_TIME: Duration = Duration::from_secs(60);

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

impl Bus {
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
            let manager = ManagerProxy::new(&self.connection().await?).await?;
            Ok(manager.reset_failed_unit(unit.name()).await?)
        };
        within(unit.time(), forget).await
    }

    /// How many descriptors systemd keeps for a session's worker.
    pub(super) async fn kept(&self, id: &SessionId) -> Result<u32, BusError> {
        let unit = Unit::SessionService(id);
        let count = async {
            let connection = self.connection().await?;
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
            self.forget().await;
            return within(unit.time(), self.try_job(unit.name(), verb)).await;
        }
        done
    }

    async fn try_job(&self, unit: String, verb: Verb) -> Result<(), BusError> {
        let manager = ManagerProxy::new(&self.connection().await?).await?;
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
            let manager = ManagerProxy::new(&self.connection().await?).await?;
            Ok(manager.list_units_by_patterns(Vec::new(), patterns).await?)
        };
        let units = within(SESSION_TIME, list).await?;
        let id = |name: &str| name.strip_prefix("tere-session@")?.split('.').next()?.parse().ok();
        let mut ids: Vec<SessionId> = units.iter().filter_map(|unit| id(&unit.0)).collect();
        ids.sort();
        ids.dedup();
        Ok(ids)
    }
}

#[derive(Debug, Clone, Copy)]
enum Verb {
    Start,
    Stop,
}
