//! Sessions over the time: taken up after a restart of the broker, reached after one of their worker,
//! and cleaned up when they are over.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Broker;
use super::bus::{BusError, NO_SUCH_UNIT};
use super::opening::first_viewer;
use super::units::Unit;
use super::worker::{self, ORDERS, Order, WorkerChannel};
use crate::names::SessionId;
use crate::protocol::EndReason;
use crate::protocol::worker::{Standing, ToWorker, ViewerNumber};
use crate::wire::WireError;

/// How long a worker that went away may take to be back, with crashes on the way.
const RETURN_TIME: Duration = Duration::from_secs(20);

/// Between two attempts: what `RestartSec=` of its unit is.
const RETURN_PAUSE: Duration = Duration::from_millis(50);

/// How long after a stop that failed the next is tried; it doubles up to [`STOP_AGAIN_MAX`].
const STOP_AGAIN: Duration = Duration::from_secs(1);
const STOP_AGAIN_MAX: Duration = Duration::from_secs(60);

/// Why the worker of a session cannot be talked to.
#[derive(Debug)]
pub(super) enum Unreached {
    /// The session is over: its worker lost it, or does not come back.
    Over(EndReason),
    /// The session goes on, in a worker that speaks another version than this broker, whichever of
    /// the two was not started again. The next broker reaches it.
    OtherVersion,
}

/// Why units of a session that is over are still there.
#[derive(Debug, thiserror::Error)]
enum Unstopped {
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error("its worker cannot be told that it is over: {0}")]
    Worker(#[from] WireError),
    #[error("its worker left {0} descriptors with systemd")]
    Kept(u32),
}

impl Broker {
    /// Connects to the worker of a session that is there, and hears which viewers it has: an earlier broker's, or one whose channel
    /// broke. systemd starts it again by itself, or because we connect. A worker of another version
    /// is started again in place, once: the programs were replaced under it.
    ///
    /// # Errors
    /// Why there is no channel to it.
    pub(super) async fn reach(
        &self,
        id: &SessionId,
    ) -> Result<(WorkerChannel, Vec<ViewerNumber>), Unreached> {
        let deadline = Instant::now() + RETURN_TIME;
        let mut started_again = false;
        loop {
            let error = match worker::connect(&self.socket(id)).await {
                Ok((channel, Standing::Keeping(viewers))) => return Ok((channel, viewers)),
                Ok((_, Standing::Waiting)) => return Err(Unreached::Over(EndReason::WorkerGone)),
                Err(error) => error,
            };
            let of_another_version = matches!(error, WireError::WrongVersion { .. });
            let late = Instant::now() >= deadline;
            if of_another_version && (started_again || late) {
                tracing::error!(session = %id, %error, "restart tere-broker: it is not of the version that is installed: {error}");
                return Err(Unreached::OtherVersion);
            }
            // No socket: the host was restarted under the record, and nothing can come back.
            let gone = matches!(&error, WireError::Io(error) if error.kind() == io::ErrorKind::NotFound);
            if gone || late {
                tracing::warn!(session = %id, %error, "the worker does not come back: {error}");
                return Err(Unreached::Over(EndReason::WorkerGone));
            }
            if of_another_version {
                tracing::info!(session = %id, %error, "a worker of another version is started again in place: {error}");
                match self.bus.stop(Unit::SessionService(id)).await {
                    Ok(()) => started_again = true,
                    Err(error) => {
                        tracing::warn!(session = %id, %error, "the worker of another version cannot be stopped: {error}");
                    }
                }
            }
            // It may have been killed while it greeted, and start again right now.
            tokio::time::sleep(RETURN_PAUSE).await;
        }
    }

    /// Takes up the sessions that an earlier broker left, and cleans up after those that ended
    /// meanwhile.
    ///
    /// # Errors
    /// The records cannot be read. A broker that went on would take living sessions for strays.
    pub(super) async fn take_up(self: &Arc<Self>) -> Result<(), String> {
        let unreadable = |error| format!("the records of sessions cannot be read: {error}");
        let records = self.sessions.left_behind().map_err(unreadable)?;
        let reached = records.into_iter().map(async |record| (self.reach(&record.id).await, record));
        for (reached, record) in join_all(reached).await {
            let id = record.id.clone();
            match reached {
                Ok((channel, viewers)) => {
                    // They are those of channels that closed with the broker before.
                    for viewer in viewers {
                        if let Err(error) = channel.send(&ToWorker::Detach(viewer), &[]).await {
                            tracing::warn!(session = %id, %error, "a viewer of before cannot be closed: {error}");
                        }
                    }
                    let (orders, inbox) = mpsc::channel(ORDERS);
                    self.sessions.take_up(record, orders);
                    self.run_worker(&id, channel, inbox, first_viewer());
                    tracing::info!(session = %id, "session taken up");
                }
                Err(Unreached::Over(reason)) => {
                    let broker = Arc::clone(self);
                    tokio::spawn(async move { broker.clean_up(&id, reason).await });
                }
                Err(Unreached::OtherVersion) => {
                    let (orders, inbox) = mpsc::channel(ORDERS);
                    self.sessions.take_up(record, orders);
                    tokio::spawn(Arc::clone(self).stand_by(id, inbox));
                }
            }
        }
        match self.bus.session_units().await {
            Ok(units) => {
                for id in units.into_iter().filter(|id| self.sessions.find(id).is_none()) {
                    tracing::warn!(session = %id, "units without a record are stopped");
                    self.stop_units_later(&id);
                }
            }
            Err(error) => tracing::warn!(%error, "systemd cannot be asked for units of sessions: {error}"),
        }
        Ok(())
    }

    /// Answers for a session whose worker this broker cannot talk to.
    async fn stand_by(self: Arc<Self>, id: SessionId, mut orders: mpsc::Receiver<Order>) {
        let reason = worker::stand_by(&mut orders).await;
        self.clean_up(&id, reason).await;
    }

    /// Removes what is left of a session that is over.
    pub(super) async fn clean_up(&self, id: &SessionId, reason: EndReason) {
        let account = self.sessions.forget(id).map(|session| session.record.owner.to_string());
        tracing::info!(session = %id, account, %reason, "session ended");
        self.stop_units(id).await;
    }

    /// [`Self::stop_units`], while nobody waits.
    pub(super) fn stop_units_later(self: &Arc<Self>, id: &SessionId) {
        let (broker, id) = (Arc::clone(self), id.clone());
        tokio::spawn(async move { broker.stop_units(&id).await });
    }

    /// Stops a session's units, its socket first so that nothing starts the worker again. Goes on until
    /// they are stopped: systemd cannot be asked while polkit or the bus is away.
    pub(super) async fn stop_units(&self, id: &SessionId) {
        let mut pause = STOP_AGAIN;
        while let Err(error) = self.try_stop_units(id).await {
            tracing::warn!(session = %id, %error, "units cannot be stopped yet: {error}");
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(STOP_AGAIN_MAX);
        }
    }

    async fn try_stop_units(&self, id: &SessionId) -> Result<(), Unstopped> {
        self.stop_both(id).await?;
        if self.bus.kept(id).await? == 0 {
            return Ok(());
        }
        self.let_go(id).await?;
        self.stop_both(id).await?;
        match self.bus.kept(id).await? {
            0 => Ok(()),
            kept => Err(Unstopped::Kept(kept)),
        }
    }

    async fn stop_both(&self, id: &SessionId) -> Result<(), BusError> {
        for unit in [Unit::SessionSocket(id), Unit::SessionService(id)] {
            match self.bus.stop(unit).await {
                // Another job took this one's place, or there is no such unit any more.
                Ok(()) | Err(BusError::Job { .. }) => {}
                Err(error) if error.is(NO_SUCH_UNIT) => {}
                Err(error) => return Err(error),
            }
        }
        match self.bus.forget_failure(id).await {
            // As a rule: a unit that ended well is forgotten by itself.
            Err(error) if !error.is(NO_SUCH_UNIT) => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Has a worker end what a worker before it left in systemd's store: the terminal is in there, and
    /// with it the shell would run on, with nobody to reach it. systemd 257 throws the store away when it
    /// forgets a stopped unit; 262 keeps both until the store is empty, which only a worker, or root,
    /// can do.
    async fn let_go(&self, id: &SessionId) -> Result<(), Unstopped> {
        tracing::info!(session = %id, "a worker is started to end what one before it left");
        self.bus.start(Unit::SessionSocket(id)).await?;
        let (channel, standing) = worker::connect(&self.socket(id)).await?;
        match standing {
            Standing::Keeping(_) => Ok(worker::end(&channel, EndReason::WorkerGone).await?),
            // It has let go, and leaves with us.
            Standing::Waiting => Ok(()),
        }
    }
}
