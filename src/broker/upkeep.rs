//! Sessions over the time: taken up after a restart of the broker, reached after one of their worker,
//! and cleaned up when they are over.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Broker;
use super::bus::{BusError, NO_SUCH_UNIT};
use super::decisions::{Decision, note};
use super::opening::first_viewer;
use super::orders::{ORDERS, Order};
use super::units::Unit;
use super::worker::{self, WorkerChannel};
use crate::names::SessionId;
use crate::protocol::worker::{FromWorker, Standing, ToWorker, UnreadInput, ViewerNumber};
use crate::protocol::{EndReason, Refusal};
use crate::wire::WireError;

/// How long a worker that went away may take to be back, with crashes on the way.
const RETURN_TIME: Duration = Duration::from_secs(20);

/// Between two attempts: what `RestartSec=` of its unit is.
const RETURN_PAUSE: Duration = Duration::from_millis(50);

/// How long after a stop that failed the next is tried; it doubles up to [`STOP_AGAIN_MAX`].
const STOP_AGAIN: Duration = Duration::from_secs(1);
const STOP_AGAIN_MAX: Duration = Duration::from_secs(60);

/// How long the worker of a session that goes on is left alone after it did not come back in time.
const LEFT_ALONE: Duration = Duration::from_secs(5);

/// How long a worker has to close the viewers of a session that is left alone.
const LEAVE_TIME: Duration = Duration::from_secs(8);

/// Why the worker of a session cannot be talked to.
#[derive(Debug)]
enum Unreached {
    /// The session is over: its worker lost it.
    Over,
    /// The session goes on: systemd has its terminal. But no worker answered in [`RETURN_TIME`]; the host may be
    /// busy with other things.
    NoAnswer,
    /// The session goes on, in a worker that speaks another version than this broker, whichever of
    /// the two was not started again. The next broker reaches it.
    OtherVersion,
}

/// The channel to a worker, and the viewers that it has.
type Reached = (WorkerChannel, Vec<ViewerNumber>);

/// Why units of a session that is over are still there.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unstopped {
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error("its worker cannot be told that it is over: {0}")]
    Worker(#[from] WireError),
    #[error("its worker left {0} descriptors with systemd")]
    Kept(u32),
}

impl Broker {
    /// Connects to the worker of a session that is there, and hears which viewers it has: an earlier broker's, or one whose channel
    /// broke. While that takes longer than a restart does, whoever wants something of the session is told so.
    ///
    /// # Errors
    /// The session is over, or somebody wants its end: now, or before, which is what `ending` says.
    pub(super) async fn return_to(
        &self,
        id: &SessionId,
        orders: &mut mpsc::Receiver<Order>,
        ending: Option<EndReason>,
    ) -> Result<Reached, EndReason> {
        loop {
            let unreached = match self.reach(id).await {
                Ok(reached) => return Ok(reached),
                Err(unreached) => unreached,
            };
            match (unreached, ending) {
                (Unreached::Over, _) => return Err(EndReason::WorkerGone),
                (Unreached::OtherVersion | Unreached::NoAnswer, Some(reason)) => return Err(reason),
                (Unreached::OtherVersion, None) => {
                    return Err(worker::stand_by(orders, Refusal::VersionMismatch).await);
                }
                (Unreached::NoAnswer, None) => {
                    let standing_by = worker::stand_by(orders, Refusal::WorkerUnavailable);
                    if let Ok(reason) = tokio::time::timeout(LEFT_ALONE, standing_by).await {
                        return Err(reason);
                    }
                }
            }
        }
    }

    /// systemd starts a worker again by itself, or because we connect. One of another version
    /// is started again in place, once: the programs were replaced under it.
    async fn reach(&self, id: &SessionId) -> Result<Reached, Unreached> {
        let deadline = Instant::now() + RETURN_TIME;
        let mut started_again = false;
        loop {
            let error = match worker::connect(&self.socket(id)).await {
                Ok((channel, Standing::Keeping(viewers))) => return Ok((channel, viewers)),
                Ok((_, Standing::Waiting)) => return Err(Unreached::Over),
                Err(error) => error,
            };
            let of_another_version = matches!(error, WireError::WrongVersion { .. });
            let late = Instant::now() >= deadline;
            if of_another_version && (started_again || late) {
                tracing::error!(session = %id, %error, "restart tere-broker: it is not of the version that is installed: {error}");
                return Err(Unreached::OtherVersion);
            }
            // No socket: the host was restarted under the record, or somebody stopped it.
            let gone = matches!(&error, WireError::Io(error) if error.kind() == io::ErrorKind::NotFound);
            if gone || late {
                self.still_kept(id, &error).await?;
            }
            if late {
                return Err(Unreached::NoAnswer);
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

    /// Looks whether systemd still has the terminal of a session whose worker does not answer, and has its socket there.
    async fn still_kept(&self, id: &SessionId, error: &WireError) -> Result<(), Unreached> {
        match self.bus.kept(id).await {
            Ok(0) => {
                tracing::warn!(session = %id, %error, "the worker does not come back: {error}");
                return Err(Unreached::Over);
            }
            Ok(_) => {
                tracing::warn!(session = %id, %error, "the session goes on, but its worker does not answer: {error}")
            }
            Err(unasked) => {
                tracing::warn!(session = %id, error = %unasked, "systemd cannot be asked for a session: {unasked}");
                return Ok(());
            }
        }
        if let Err(error) = self.bus.start(Unit::SessionSocket(id)).await {
            tracing::warn!(session = %id, %error, "the socket of a session cannot be started: {error}");
        }
        Ok(())
    }

    /// Takes up the sessions that an earlier broker left. How their workers are is found out while others are served.
    ///
    /// # Errors
    /// The records cannot be read. A broker that went on would take living sessions for strays.
    pub(super) fn take_up(self: &Arc<Self>) -> Result<(), String> {
        let unreadable = |error| format!("the records of sessions cannot be read: {error}");
        let left = self.sessions.left_behind().map_err(unreadable)?;
        // Their shells run on: they are not this build's to judge.
        for id in left.unreadable {
            self.no_strays.note(&id);
            tokio::spawn(Arc::clone(self).leave_alone(id));
        }
        for record in left.records {
            let id = record.id.clone();
            self.no_strays.note(&id);
            let (orders, inbox) = mpsc::channel(ORDERS);
            self.sessions.take_up(record, orders);
            tokio::spawn(Arc::clone(self).go_on_with(id, inbox));
        }
        tokio::spawn(Arc::clone(self).stop_strays());
        Ok(())
    }

    /// Goes on with a session of an earlier broker, or cleans up after it where it ended meanwhile.
    async fn go_on_with(self: Arc<Self>, id: SessionId, mut orders: mpsc::Receiver<Order>) {
        let (channel, viewers) = match self.return_to(&id, &mut orders, None).await {
            Ok(reached) => reached,
            Err(reason) => return self.clean_up(&id, reason).await,
        };
        if let Err(error) = close_views_of_before(&channel, &viewers).await {
            tracing::warn!(session = %id, %error, "a viewer of before cannot be closed: {error}");
        }
        if let Some(session) = self.sessions.find(&id) {
            note(Decision::TakenUp, None, &session.record);
        }
        self.run_worker(&id, channel, orders, first_viewer());
    }

    /// Leaves a session alone whose record cannot be read: nobody views it, and it goes on.
    async fn leave_alone(self: Arc<Self>, id: SessionId) {
        let Ok((channel, viewers)) = self.reach(&id).await else { return };
        let mut closed = close_views_of_before(&channel, &viewers).await;
        let mut left = viewers.len();
        while closed.is_ok() && left > 0 {
            closed = match channel.receive_within(LEAVE_TIME).await {
                Ok((FromWorker::ViewerGone(_), _)) => {
                    left -= 1;
                    Ok(())
                }
                Ok(_) => Ok(()),
                Err(error) => Err(error),
            };
        }
        if let Err(error) = closed {
            tracing::warn!(session = %id, %error, "a viewer of before cannot be closed: {error}");
        }
    }

    /// Removes what is left of a session that is over.
    pub(super) async fn clean_up(&self, id: &SessionId, reason: EndReason) {
        if let Some(session) = self.sessions.forget(id) {
            note(Decision::Ended(reason), None, &session.record);
        }
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

    /// [`Self::stop_units`], once.
    pub(super) async fn try_stop_units(&self, id: &SessionId) -> Result<(), Unstopped> {
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

/// Closes the viewers that a worker has from before: those of channels that closed with an earlier broker.
async fn close_views_of_before(channel: &WorkerChannel, viewers: &[ViewerNumber]) -> Result<(), WireError> {
    for viewer in viewers {
        channel.send(&ToWorker::Detach { viewer: *viewer, unread: UnreadInput::Dropped }, &[]).await?;
    }
    Ok(())
}
