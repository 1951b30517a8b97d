//! Workers that are started and wait, so that a new session does not pay for the start of its unit.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Broker;
use super::worker::{self, WorkerChannel};
use crate::names::SessionId;
use crate::protocol::Refusal;
use crate::protocol::worker::Standing;

/// How many wait. Whoever opens more sessions than these at once waits for units to start.
const SPARES: usize = 2;

/// How long after one is taken the next is started. The shell of whoever took it starts meanwhile, and on a small machine
/// the two would wait for the same processors: the prompt then comes a quarter later (`tests/bench`, click to prompt).
const REST: Duration = Duration::from_millis(500);

/// How long after a start that failed the next is tried; it doubles up to [`RETRY_MAX`]. A host on
/// which no worker starts is then not kept busy with it.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Room for those who ask for a spare. It is answered at once; whoever finds no room starts a
/// worker of their own.
pub(super) const ASKED: usize = 16;

/// A worker without a session, and what its session's id will be.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) id: SessionId,
    pub(super) channel: WorkerChannel,
}

/// Where a spare is handed to.
pub(super) type Asker = oneshot::Sender<Spare>;

impl Broker {
    /// A spare, if one waits.
    pub(super) async fn take_spare(&self) -> Option<Spare> {
        let (asker, answer) = oneshot::channel();
        self.spares.try_send(asker).ok()?;
        answer.await.ok()
    }

    /// Keeps [`SPARES`] workers waiting, for as long as the broker runs.
    pub(super) async fn keep_spares(self: Arc<Self>, mut asked: mpsc::Receiver<Asker>) {
        let mut waiting: VecDeque<Spare> = VecDeque::new();
        let mut starting = JoinSet::new();
        let (mut pause, mut not_before) = (RETRY, Instant::now());
        loop {
            if waiting.len() + starting.len() < SPARES {
                let broker = Arc::clone(&self);
                starting.spawn(async move {
                    tokio::time::sleep_until(not_before).await;
                    Box::pin(broker.start_worker()).await
                });
                continue;
            }
            tokio::select! {
                Some(started) = starting.join_next() => match started {
                    Ok(Ok(spare)) => {
                        waiting.push_back(spare);
                        (pause, not_before) = (RETRY, Instant::now());
                    }
                    Ok(Err(_)) | Err(_) => {
                        not_before = Instant::now() + pause;
                        pause = (2 * pause).min(RETRY_MAX);
                    }
                },
                asker = asked.recv() => {
                    let Some(asker) = asker else { return };
                    if let Some(spare) = waiting.pop_front() {
                        match asker.send(spare) {
                            Ok(()) => not_before = not_before.max(Instant::now() + REST),
                            Err(spare) => waiting.push_front(spare),
                        }
                    }
                }
                gone = first_gone(&mut waiting) => {
                    let broker = Arc::clone(&self);
                    starting.spawn(async move { Box::pin(broker.find_spare(gone.id)).await });
                }
            }
        }
    }
}

impl Broker {
    /// A spare whose channel broke: an upgrade restarts it, and it waits again.
    async fn find_spare(self: &Arc<Self>, id: SessionId) -> Result<Spare, Refusal> {
        match worker::connect(&self.socket(&id)).await {
            Ok((channel, Standing::Waiting)) => Ok(Spare { id, channel }),
            Ok((_, Standing::Keeping(_))) | Err(_) => {
                tracing::warn!(session = %id, "a spare worker is gone");
                self.stop_units_later(&id);
                Err(Refusal::WorkerUnavailable)
            }
        }
    }
}

/// Waits until one of these says something or closes its channel, and takes it out: a worker that
/// waits does neither.
async fn first_gone(waiting: &mut VecDeque<Spare>) -> Spare {
    let words = waiting.iter().map(|spare| Box::pin(spare.channel.receive()));
    let at = match words.len() {
        // Waiting for nothing would be over at once.
        0 => std::future::pending().await,
        _ => select_all(words).await.1,
    };
    match waiting.remove(at) {
        Some(gone) => gone,
        None => std::future::pending().await,
    }
}
