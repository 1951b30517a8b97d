//! From a granted request to a viewer of a live session.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Broker;
use super::decisions::{Decision, note};
use super::orders::{ORDERS, Order};
use super::records::Record;
use super::request::Granted;
use super::returns::Returns;
use super::session::Session;
use super::sessions::Place;
use super::spares::Spare;
use super::units::Unit;
use super::worker::{self, NotAdopted, Worker, WorkerChannel};
use crate::names::{AccountName, SessionId, TermSize};
use crate::protocol::worker::{Standing, ViewerNumber};
use crate::protocol::{Refusal, Role};
use crate::wire::WireError;

/// How long a worker has to make a viewer.
const ATTACH_TIME: Duration = Duration::from_secs(8);

/// A new view of a session.
#[derive(Debug)]
pub(super) struct View {
    pub(super) session: Arc<Session>,
    pub(super) viewer: ViewerNumber,
    pub(super) role: Role,
    /// For whoever asked.
    pub(super) socket: OwnedFd,
}

/// Why a worker does not keep a session.
#[derive(Debug)]
enum Unkept {
    /// It is gone, with all that it had. Another may have the terminal.
    Gone,
    /// The session is not to be.
    Refused(Refusal),
}

impl Broker {
    /// Opens a session and views it.
    pub(super) async fn open(self: &Arc<Self>, granted: Granted) -> Result<View, Refusal> {
        let place = self.sessions.place(granted.owner())?;
        self.bus.ensure_running(&granted.target().machine).await?;
        // Not before: a machine that boots for a minute must not hold up the others.
        let _turn = self.turns.take(&granted.target().machine).await?;
        place.check()?;
        // The worker starts, where none waits, while machined opens the shell.
        let (worker, shell) = tokio::join!(self.worker(), self.bus.open_shell(&granted));
        let (worker, pty) = match (worker, shell) {
            (Ok(worker), Ok(pty)) => (worker, pty),
            (Ok(worker), Err(refusal)) => {
                self.stop_units_later(&worker.id);
                return Err(refusal);
            }
            // A shell without a worker is hung up here, by closing its PTY.
            (Err(refusal), _) => return Err(refusal),
        };
        let view = match self.keep(worker, &place, &granted, &pty).await {
            // The shell is there, and a worker that starts now takes it.
            Err(Unkept::Gone) => {
                let another = Box::pin(self.start_worker()).await?;
                self.keep(another, &place, &granted, &pty).await
            }
            kept @ (Ok(_) | Err(Unkept::Refused(_))) => kept,
        };
        let view = view.map_err(|unkept| match unkept {
            Unkept::Gone => Refusal::WorkerUnavailable,
            Unkept::Refused(refusal) => refusal,
        })?;
        drop(place);
        note(Decision::Opened, None, &view.session.record);
        Ok(view)
    }

    /// A worker without a session: one that waits, or a new one.
    async fn worker(self: &Arc<Self>) -> Result<Spare, Refusal> {
        match self.take_spare().await {
            Some(spare) => Ok(spare),
            None => Box::pin(self.start_worker()).await,
        }
    }

    /// Starts a worker, which then waits for a session.
    pub(super) async fn start_worker(self: &Arc<Self>) -> Result<Spare, Refusal> {
        let id = SessionId::random().map_err(|error| {
            tracing::error!(%error, "no random numbers: {error}");
            Refusal::Unavailable
        })?;
        self.no_strays.note(&id);
        let mut refusal = Refusal::WorkerUnavailable;
        let error: Box<dyn std::fmt::Display + Send> = match self.bus.start(Unit::SessionSocket(&id)).await {
            Ok(()) => match worker::connect(&self.socket(&id)).await {
                Ok((channel, Standing::Waiting)) => return Ok(Spare { id, channel }),
                Ok((_, Standing::Keeping(_))) => Box::new("it has a session already"),
                Err(error) => {
                    if matches!(error, WireError::WrongVersion { .. }) {
                        refusal = Refusal::VersionMismatch;
                    }
                    Box::new(error)
                }
            },
            Err(error) => Box::new(error),
        };
        tracing::error!(session = %id, %error, "the worker does not start: {error}");
        self.stop_units_later(&id);
        Err(refusal)
    }

    /// Gives a worker its session. One that does not take it is stopped.
    async fn keep(
        self: &Arc<Self>,
        worker: Spare,
        place: &Place<'_>,
        granted: &Granted,
        pty: &OwnedFd,
    ) -> Result<View, Unkept> {
        let Spare { id, channel } = worker;
        let viewer = first_viewer();
        let socket = match worker::adopt(&channel, &id, granted.size(), pty, viewer).await {
            Ok(socket) => socket,
            Err(error) => {
                tracing::error!(session = %id, %error, "the worker does not take the terminal: {error}");
                return Err(self.take_back(&id, &error).await);
            }
        };
        let (orders, inbox) = mpsc::channel(ORDERS);
        let record = Record::of_now(id.clone(), granted.owner().clone(), granted.target().clone());
        let session = self.sessions.keep(place, record, orders).map_err(|refusal| {
            self.stop_units_later(&id);
            Unkept::Refused(refusal)
        })?;
        session.viewer_came(viewer, Some(granted.owner().clone()), Role::Owner);
        self.run_worker(&id, channel, inbox, ViewerNumber(viewer.0.wrapping_add(1)));
        Ok(View { session, viewer, role: Role::Owner, socket })
    }

    /// Stops a worker that did not say that it keeps a terminal, which it may have all the same. Another one may have
    /// it only when this one is known not to come back: two would each read half of what the shell prints.
    async fn take_back(self: &Arc<Self>, id: &SessionId, error: &NotAdopted) -> Unkept {
        match error {
            NotAdopted::Gone(_) => match self.try_stop_units(id).await {
                Ok(()) => return Unkept::Gone,
                Err(error) => tracing::warn!(session = %id, %error, "units cannot be stopped yet: {error}"),
            },
            NotAdopted::Unclear(_) => {}
        }
        self.stop_units_later(id);
        Unkept::Refused(Refusal::WorkerUnavailable)
    }

    pub(super) fn run_worker(
        self: &Arc<Self>,
        id: &SessionId,
        channel: WorkerChannel,
        orders: mpsc::Receiver<Order>,
        next_viewer: ViewerNumber,
    ) {
        let broker = Arc::clone(self);
        let (asked, describing) = (HashMap::new(), VecDeque::new());
        let (id, ending, returns) = (id.clone(), None, Returns::to_come(Instant::now()));
        let worker = Worker { broker, id, channel, orders, asked, describing, next_viewer, ending, returns };
        tokio::spawn(worker.run());
    }

    /// Makes a viewer of a session, for an account or, without one, for the operator.
    pub(super) async fn attach(
        &self,
        session: Arc<Session>,
        account: Option<AccountName>,
        role: Role,
        size: TermSize,
    ) -> Result<View, Refusal> {
        let (answer, answered) = oneshot::channel();
        let order = Order::Attach { account, role, size, answer };
        let attach = async {
            session.worker.send(order).await.map_err(|_| Refusal::NoSuchSession)?;
            answered.await.unwrap_or(Err(Refusal::NoSuchSession))
        };
        let attached = tokio::time::timeout(ATTACH_TIME, attach).await;
        let (viewer, socket) = attached.unwrap_or(Err(Refusal::WorkerUnavailable))?;
        Ok(View { session, viewer, role, socket })
    }

    pub(super) fn socket(&self, id: &SessionId) -> PathBuf {
        self.session_sockets.join(format!("{id}.sock"))
    }
}

/// Where a broker begins to number viewers. Not where the one before it did: a worker that lives
/// on may still have viewers of that one, which are closed in a moment.
pub(super) fn first_viewer() -> ViewerNumber {
    ViewerNumber(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos())
}
