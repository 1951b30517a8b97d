//! A pool of started workers without a session, so that a new session does not wait for the start
//! of its unit.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::orphans::Orphans;
use super::systemd::{Systemd, Unit};
use super::worker::{self, WorkerChannel};
use crate::backoff::Backoff;
use crate::names::SessionId;
use crate::protocol::Refusal;
use crate::protocol::worker::Standing;
use crate::wire::WireError;

/// Number of workers that wait. An opening that finds none waits for a unit to start.
const POOL: usize = 2;

/// Delay between taking a worker and starting its replacement. The shell for which the worker was
/// taken starts in the meantime. On a small machine the two would compete for the processors, and
/// the prompt would take a quarter longer (`tests/bench`, click to prompt).
const REFILL_DELAY: Duration = Duration::from_millis(500);

/// The delays after failed starts, so that a host on which no worker starts is not kept busy.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

/// Maximum number of openings that ask the pool for a worker at the same moment. The pool answers
/// immediately; a further opening starts a worker of its own.
const ASKS: usize = 16;

/// A worker without a session. Its id becomes the id of the session.
#[derive(Debug)]
pub(super) struct WaitingWorker {
    pub(super) id: SessionId,
    pub(super) channel: WorkerChannel,
}

/// A request for a worker; the worker is sent through it.
type WorkerRequest = oneshot::Sender<WaitingWorker>;

/// Starts workers.
#[derive(Debug)]
pub(super) struct Starter {
    systemd: Arc<Systemd>,
    orphans: Arc<Orphans>,
}

/// The pool.
#[derive(Debug)]
pub(super) struct Pool {
    starter: Arc<Starter>,
    asks: mpsc::Sender<WorkerRequest>,
}

impl Starter {
    /// Starts a worker, which then waits for a session.
    async fn start(&self) -> Result<WaitingWorker, Refusal> {
        let id = SessionId::random().map_err(|error| {
            tracing::error!(%error, "no random numbers: {error}");
            Refusal::Unavailable
        })?;
        self.orphans.exempt(&id);
        let mut refusal = Refusal::WorkerUnavailable;
        let socket = self.systemd.socket(&id);
        let error: Box<dyn std::fmt::Display + Send> =
            match self.systemd.start(Unit::SessionSocket(&id)).await {
                Ok(()) => match worker::connect(&socket).await {
                    Ok((channel, Standing::Waiting)) => return Ok(WaitingWorker { id, channel }),
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
        self.systemd.stop_session_later(&id);
        Err(refusal)
    }

    /// Reconnects to a worker of the pool whose channel broke: an upgrade restarts the worker, and
    /// it waits again.
    async fn find_again(&self, id: SessionId) -> Result<WaitingWorker, Refusal> {
        match worker::connect(&self.systemd.socket(&id)).await {
            Ok((channel, Standing::Waiting)) => Ok(WaitingWorker { id, channel }),
            Ok((_, Standing::Keeping(_))) | Err(_) => {
                tracing::warn!(session = %id, "a waiting worker is gone");
                self.systemd.stop_session_later(&id);
                Err(Refusal::WorkerUnavailable)
            }
        }
    }
}

impl Pool {
    /// Creates an empty pool, and the task that keeps it full.
    pub(super) fn new(
        systemd: Arc<Systemd>,
        orphans: Arc<Orphans>,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (asks, asked) = mpsc::channel(ASKS);
        let starter = Arc::new(Starter { systemd, orphans });
        let filling = fill(Arc::clone(&starter), asked);
        (Self { starter, asks }, filling)
    }

    /// Takes a worker from the pool, or starts one if none waits.
    pub(super) async fn take(&self) -> Result<WaitingWorker, Refusal> {
        let (ask, answer) = oneshot::channel();
        if self.asks.try_send(ask).is_ok()
            && let Ok(worker) = answer.await
        {
            return Ok(worker);
        }
        self.start_another().await
    }

    /// Starts a worker that does not come from the pool.
    pub(super) async fn start_another(&self) -> Result<WaitingWorker, Refusal> {
        Box::pin(self.starter.start()).await
    }
}

/// Keeps [`POOL`] workers waiting, for as long as the broker runs.
async fn fill(starter: Arc<Starter>, mut asked: mpsc::Receiver<WorkerRequest>) {
    let mut waiting: VecDeque<WaitingWorker> = VecDeque::new();
    let mut starting = JoinSet::new();
    let (mut retry, mut not_before) = (RETRY, Instant::now());
    loop {
        if waiting.len() + starting.len() < POOL {
            let starter = Arc::clone(&starter);
            starting.spawn(async move {
                tokio::time::sleep_until(not_before).await;
                Box::pin(starter.start()).await
            });
            continue;
        }
        tokio::select! {
            Some(started) = starting.join_next() => match started {
                Ok(Ok(worker)) => {
                    waiting.push_back(worker);
                    retry.reset();
                    not_before = Instant::now();
                }
                Ok(Err(_)) | Err(_) => not_before = Instant::now() + retry.pause(),
            },
            ask = asked.recv() => {
                let Some(ask) = ask else { return };
                if let Some(worker) = waiting.pop_front() {
                    match ask.send(worker) {
                        Ok(()) => not_before = not_before.max(Instant::now() + REFILL_DELAY),
                        Err(worker) => waiting.push_front(worker),
                    }
                }
            }
            gone = first_gone(&mut waiting) => {
                let starter = Arc::clone(&starter);
                starting.spawn(async move { Box::pin(starter.find_again(gone.id)).await });
            }
        }
    }
}

/// Waits until one of these workers sends something or closes its channel, and removes it: a worker
/// that waits does neither.
async fn first_gone(waiting: &mut VecDeque<WaitingWorker>) -> WaitingWorker {
    let words = waiting.iter().map(|worker| Box::pin(worker.channel.receive()));
    let at = match words.len() {
        // `select_all` panics if there is nothing to wait for.
        0 => std::future::pending().await,
        _ => select_all(words).await.1,
    };
    match waiting.remove(at) {
        Some(gone) => gone,
        None => std::future::pending().await,
    }
}
