//! From a granted request to a viewer of a live session.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};

use super::Broker;
use super::records::Record;
use super::request::Granted;
use super::sessions::Session;
use super::spares::Spare;
use super::units::Unit;
use super::worker::{self, ORDERS, Order, Worker, WorkerChannel};
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

impl Broker {
    /// Opens a session and views it.
    pub(super) async fn open(self: &Arc<Self>, granted: Granted) -> Result<View, Refusal> {
        let place = self.sessions.place(granted.owner())?;
        self.bus.ensure_running(&granted.target().machine).await?;
        // Not before: a machine that boots for a minute must not hold up the others.
        let _turn = self.turns.take(&granted.target().machine).await?;
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
        let mut placed = self.keep(worker, &granted, &pty).await;
        if placed.is_err() {
            // It may have died while it waited. The shell is there, and one that starts now takes it.
            placed = match Box::pin(self.start_worker()).await {
                Ok(worker) => self.keep(worker, &granted, &pty).await,
                Err(refusal) => Err(refusal),
            };
        }
        drop(place);
        if let Ok(view) = &placed {
            let (account, target) = (granted.owner(), granted.target());
            let (machine, user) = (&target.machine, &target.user);
            tracing::info!(session = %view.session.record.id, %account, %machine, %user, "session opened");
        }
        placed
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
        granted: &Granted,
        pty: &OwnedFd,
    ) -> Result<View, Refusal> {
        let Spare { id, channel } = worker;
        let viewer = first_viewer();
        let kept = match worker::adopt(&channel, &id, granted.size(), pty, viewer).await {
            Ok(socket) => {
                let (orders, inbox) = mpsc::channel(ORDERS);
                self.record(&id, granted, orders).map(|session| (session, socket, inbox))
            }
            Err(error) => {
                tracing::error!(session = %id, %error, "the worker does not take the terminal: {error}");
                Err(Refusal::WorkerUnavailable)
            }
        };
        match kept {
            Ok((session, socket, inbox)) => {
                session.viewer_came(viewer, Some(granted.owner().clone()), Role::Owner);
                self.run_worker(&id, channel, inbox, ViewerNumber(viewer.0.wrapping_add(1)));
                Ok(View { session, viewer, role: Role::Owner, socket })
            }
            Err(refusal) => {
                self.stop_units_later(&id);
                Err(refusal)
            }
        }
    }

    /// Keeps the record of a new session.
    fn record(
        &self,
        id: &SessionId,
        granted: &Granted,
        orders: mpsc::Sender<Order>,
    ) -> Result<Arc<Session>, Refusal> {
        let record = Record::of_now(id.clone(), granted.owner().clone(), granted.target().clone());
        self.sessions.keep(record, orders).map_err(|error| {
            tracing::error!(session = %id, %error, "the record cannot be kept: {error}");
            Refusal::StorageFailed
        })
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
        let worker = Worker { broker, id: id.clone(), channel, orders, asked, describing, next_viewer };
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
