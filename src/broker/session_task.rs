//! The task of one live session: it passes orders on to the worker, handles the worker's messages,
//! reconnects to a worker that was restarted, and cleans up after the session.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Broker;
use super::decisions::{Decision, note};
use super::orders::{Attached, WorkerOrder};
use super::reach;
use super::session::Session;
use super::worker::{ANSWER_TIMEOUT, WorkerChannel, is_broken};
use crate::backoff::Backoff;
use crate::names::{AccountName, SessionId};
use crate::protocol::worker::{FromWorker, ToWorker, ViewerId};
use crate::protocol::{About, EndReason, Refusal, Role, SessionEnd};
use crate::wire::WireError;

/// A channel that lived this long counts as stable.
const LASTS: Duration = Duration::from_secs(1);

/// The delays before reconnecting to a worker whose last channel was not stable.
const RECONNECT: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(4));

/// A requested viewer that the worker has not made yet.
#[derive(Debug)]
pub(super) struct Wanted {
    account: Option<AccountName>,
    role: Role,
    most: Role,
    answer: Attached,
}

/// Starts the task of a session.
pub(super) fn spawn(
    broker: &Arc<Broker>,
    id: &SessionId,
    channel: WorkerChannel,
    orders: mpsc::Receiver<WorkerOrder>,
    next_viewer: ViewerId,
) {
    let task = SessionTask {
        broker: Arc::clone(broker),
        id: id.clone(),
        channel,
        orders,
        asked: HashMap::new(),
        describing: VecDeque::new(),
        next_viewer,
        ending: None,
        connected: Instant::now(),
        reconnect: RECONNECT,
    };
    tokio::spawn(task.run());
}

/// Returns the number of the first viewer that this broker makes in a session. It is taken from the
/// clock because the worker may still have viewers of an earlier broker, which are about to be
/// closed.
pub(super) fn first_viewer() -> ViewerId {
    ViewerId(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos())
}

/// Removes the record and the units of a session that is over.
pub(super) async fn clean_up(broker: &Broker, id: &SessionId, end: SessionEnd) {
    if let Some(session) = broker.registry.forget(id) {
        note(Decision::Ended(end), None, &session.record);
        session.has_ended(end);
    }
    broker.systemd.stop_session(id).await;
}

/// State of the task of one session.
#[derive(Debug)]
struct SessionTask {
    broker: Arc<Broker>,
    id: SessionId,
    channel: WorkerChannel,
    orders: mpsc::Receiver<WorkerOrder>,
    /// Viewers that were requested and that the worker has neither made nor refused yet. Cleared
    /// when the channel breaks.
    asked: HashMap<ViewerId, Wanted>,
    /// Requests for a description that the worker has not answered, oldest first. At most
    /// [`DESCRIBING_MAX`]; a further one is dropped, and its session is listed without a
    /// description.
    describing: VecDeque<oneshot::Sender<About>>,
    next_viewer: ViewerId,
    /// Why the session is to end, once somebody has requested that. The first reason is kept.
    ending: Option<EndReason>,
    /// When the last channel was connected, and the delays before the next if it is not stable.
    connected: Instant,
    reconnect: Backoff,
}

/// Maximum number of descriptions of one session that its worker has not answered.
const DESCRIBING_MAX: usize = 64;

impl SessionTask {
    /// Runs until the session is over, then cleans up after it.
    pub(super) async fn run(mut self) {
        let end = loop {
            tokio::select! {
                received = self.channel.receive() => match received {
                    Ok((message, descriptors)) => {
                        if let Some(end) = self.hear(&message, descriptors) {
                            break end;
                        }
                    }
                    Err(error) => if let Err(reason) = self.find_again(error).await {
                        break reason.into();
                    }
                },
                order = self.orders.recv() => {
                    // The registry holds a sender for as long as the session is live.
                    let Some(order) = order else { break EndReason::WorkerGone.into() };
                    match self.pass_on(order).await {
                        Ok(()) => {}
                        // Messages that the worker sent before its channel broke are handled first:
                        // one of them may end the session.
                        Err(error) if is_broken(&error) => {}
                        Err(error) => if let Err(reason) = self.find_again(error).await {
                            break reason.into();
                        }
                    }
                }
            }
        };
        let (broker, id) = (Arc::clone(&self.broker), self.id.clone());
        // Dropped first, so that pending requests fail now and not after the units are stopped.
        drop(self);
        clean_up(&broker, &id, end).await;
    }

    fn hear(&mut self, message: &FromWorker, descriptors: Vec<OwnedFd>) -> Option<SessionEnd> {
        match *message {
            FromWorker::Attached(viewer) => {
                let asked = self.asked.remove(&viewer);
                let socket = descriptors.into_iter().next();
                if let (Some(Wanted { account, role, most, answer }), Some(socket)) = (asked, socket) {
                    if let Some(session) = self.session() {
                        session.viewer_came(viewer, account, (role, most));
                    }
                    // If the request has timed out, the socket closes, and the worker notices.
                    let _ = answer.send(Ok((viewer, socket)));
                }
                None
            }
            FromWorker::Full(viewer) => {
                if let Some(Wanted { answer, .. }) = self.asked.remove(&viewer) {
                    let _ = answer.send(Err(Refusal::TooMany));
                }
                None
            }
            FromWorker::Described(ref about) => {
                if let Some(asker) = self.describing.pop_front() {
                    // Fails if the request has timed out.
                    let _ = asker.send(about.clone());
                }
                None
            }
            FromWorker::RoleSet { viewer, role } => {
                if let Some(session) = self.session() {
                    session.role_set(viewer, role);
                }
                None
            }
            FromWorker::ViewerGone(viewer) => {
                self.viewer_left(viewer);
                None
            }
            FromWorker::Ended(end) => Some(end),
            // Not allowed once the session has a task: this is not a worker of ours.
            FromWorker::Standing(_) | FromWorker::Adopted => {
                tracing::error!(session = %self.id, "the worker broke the protocol");
                Some(EndReason::WorkerGone.into())
            }
        }
    }

    async fn pass_on(&mut self, order: WorkerOrder) -> Result<(), WireError> {
        let message = match order {
            WorkerOrder::Attach { account, role, most, size, answer } => {
                if !self.has_room_for(account.as_ref()) {
                    // Fails if the request has timed out.
                    let _ = answer.send(Err(Refusal::TooMany));
                    return Ok(());
                }
                let viewer = self.next_viewer;
                self.next_viewer = ViewerId(viewer.0.wrapping_add(1));
                self.asked.insert(viewer, Wanted { account, role, most, answer });
                ToWorker::Attach { viewer, role, size }
            }
            WorkerOrder::Describe(asker) => {
                if self.describing.len() >= DESCRIBING_MAX {
                    return Ok(());
                }
                self.describing.push_back(asker);
                ToWorker::Describe
            }
            WorkerOrder::SetRole { viewer, role } => ToWorker::SetRole { viewer, role },
            WorkerOrder::Detach { viewer, unread } => ToWorker::Detach { viewer, unread },
            WorkerOrder::End(reason) => ToWorker::End(*self.ending.get_or_insert(reason)),
        };
        self.tell(&message).await
    }

    async fn tell(&self, message: &ToWorker) -> Result<(), WireError> {
        tokio::time::timeout(ANSWER_TIMEOUT, self.channel.send(message, &[]))
            .await
            .unwrap_or(Err(WireError::TimedOut))
    }

    fn has_room_for(&self, account: Option<&AccountName>) -> bool {
        let (Some(account), Some(session)) = (account, self.session()) else { return true };
        let asked: Vec<_> = self.asked.values().filter_map(|wanted| wanted.account.as_ref()).collect();
        session.has_room_for(account, &asked)
    }

    fn session(&self) -> Option<Arc<Session>> {
        self.broker.registry.find(&self.id)
    }

    fn viewer_left(&self, viewer: ViewerId) {
        if let Some(session) = self.session() {
            session.viewer_left(viewer);
        }
    }

    /// Reconnects after the channel broke. systemd has restarted the worker by now, or starts it
    /// when the broker connects. If the worker has lost the session, the session is over.
    async fn find_again(&mut self, mut error: WireError) -> Result<(), EndReason> {
        loop {
            tracing::warn!(session = %self.id, %error, "the worker's channel broke; connecting again: {error}");
            // Pending requests for viewers are refused; they may be repeated.
            for (_, Wanted { answer, .. }) in self.asked.drain() {
                let _ = answer.send(Err(Refusal::WorkerUnavailable));
            }
            self.describing.clear();
            tokio::time::sleep(self.pause()).await;
            let systemd = &self.broker.systemd;
            let returned = reach::return_to(systemd, &self.id, &mut self.orders, self.ending).await;
            let (channel, viewers) = returned.map_err(|reason| self.ending.unwrap_or(reason))?;
            self.channel = channel;
            self.connected = Instant::now();
            match self.tell_again(&viewers).await {
                Err(again) if !is_broken(&again) => error = again,
                // A broken channel is noticed when the task next receives from it.
                Ok(()) | Err(_) => return Ok(()),
            }
        }
    }

    /// Returns how long to wait before reconnecting: not at all if the last channel was stable,
    /// else an increasing delay. A worker that keeps hanging up after its greeting must not keep
    /// the broker busy.
    fn pause(&mut self) -> Duration {
        if self.connected.elapsed() >= LASTS {
            self.reconnect.reset();
            return Duration::ZERO;
        }
        self.reconnect.pause()
    }

    /// Sends a worker that is back the current roles and any requested end. The last messages to
    /// the previous worker may have been lost with it.
    async fn tell_again(&self, viewers: &[ViewerId]) -> Result<(), WireError> {
        for told in self.session().map(|session| session.viewers_are(viewers)).unwrap_or_default() {
            self.tell(&told).await?;
        }
        match self.ending {
            Some(reason) => self.tell(&ToWorker::End(reason)).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support;
    use super::*;
    use crate::names::TermSize;

    const VIEWER: ViewerId = ViewerId(7);

    /// A session is over while somebody asks for a view of it. Whichever of the two is seen first,
    /// the request fails.
    #[tokio::test]
    async fn what_a_worker_said_before_it_went_counts() {
        let folder = tempfile::tempdir().unwrap();
        let broker = test_support::broker(folder.path());
        for _ in 0..20 {
            let (session, orders) = test_support::session(&broker, "abcdefghijkl");
            let (channel, worker) = WorkerChannel::pair().unwrap();
            worker.send(&FromWorker::Ended(EndReason::ShellEnded.into()), &[]).await.unwrap();
            drop(worker);
            let (answer, answered) = oneshot::channel();
            let (account, role, most, size) = (None, Role::Watcher, Role::Watcher, TermSize::DEFAULT);
            session.worker.send(WorkerOrder::Attach { account, role, most, size, answer }).await.unwrap();
            spawn(&broker, &session.record.id, channel, orders, VIEWER);
            let answered = tokio::time::timeout(Duration::from_secs(2), answered).await.unwrap();
            assert!(answered.is_err(), "{answered:?}");
        }
    }

    #[tokio::test]
    async fn a_worker_that_hangs_up_again_and_again_is_connected_to_less_and_less_often() {
        let folder = tempfile::tempdir().unwrap();
        let broker = test_support::broker(folder.path());
        let (session, orders) = test_support::session(&broker, "abcdefghijkl");
        let (channel, _worker) = WorkerChannel::pair().unwrap();
        let mut task = SessionTask {
            broker,
            id: session.record.id.clone(),
            channel,
            orders,
            asked: HashMap::new(),
            describing: VecDeque::new(),
            next_viewer: VIEWER,
            ending: None,
            connected: Instant::now(),
            reconnect: RECONNECT,
        };
        let millis: Vec<_> = std::iter::repeat_with(|| task.pause().as_millis()).take(9).collect();
        assert_eq!(millis, [50, 100, 200, 400, 800, 1600, 3200, 4000, 4000]);
        task.connected = Instant::now().checked_sub(LASTS).unwrap();
        assert_eq!(task.pause(), Duration::ZERO);
        task.connected = Instant::now();
        assert_eq!(task.pause().as_millis(), 50);
    }
}
