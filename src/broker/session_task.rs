//! The task of one live session: it passes orders on to the worker, hears what the worker says, finds a
//! worker that was restarted, and cleans up after the session.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Broker;
use super::decisions::{Decision, note};
use super::orders::{Attached, Order};
use super::reach;
use super::session::Session;
use super::worker::{ANSWER_TIME, WorkerChannel, is_broken};
use crate::backoff::Backoff;
use crate::names::{AccountName, SessionId};
use crate::protocol::worker::{FromWorker, ToWorker, ViewerNumber};
use crate::protocol::{About, EndReason, Refusal, Role, SessionEnd};
use crate::wire::WireError;

/// A channel that lived this long is one that lasts.
const LASTS: Duration = Duration::from_secs(1);

/// The pauses before connecting again to a worker whose channel did not last.
const RECONNECT: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(4));

/// A viewer that was asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    account: Option<AccountName>,
    role: Role,
    answer: Attached,
}

/// Starts the task of a session.
pub(super) fn spawn(
    broker: &Arc<Broker>,
    id: &SessionId,
    channel: WorkerChannel,
    orders: mpsc::Receiver<Order>,
    next_viewer: ViewerNumber,
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

/// The number of the first viewer that a broker makes. It comes from the clock: a worker that lives on
/// may still have viewers of the broker before, which are closed in a moment.
pub(super) fn first_viewer() -> ViewerNumber {
    ViewerNumber(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos())
}

/// Removes what is left of a session that is over.
pub(super) async fn clean_up(broker: &Broker, id: &SessionId, end: SessionEnd) {
    if let Some(session) = broker.registry.forget(id) {
        note(Decision::Ended(end), None, &session.record);
    }
    broker.systemd.stop_session(id).await;
}

/// The task of one session.
#[derive(Debug)]
struct SessionTask {
    broker: Arc<Broker>,
    id: SessionId,
    channel: WorkerChannel,
    orders: mpsc::Receiver<Order>,
    /// Viewers that were asked for and are not there yet. At most [`ORDERS`](super::orders::ORDERS) and those under way.
    asked: HashMap<ViewerNumber, Wanted>,
    /// Whoever waits for `Described`, first to last. At most [`DESCRIBING_MAX`]; one more is told that
    /// nothing is known.
    describing: VecDeque<oneshot::Sender<About>>,
    next_viewer: ViewerNumber,
    /// Why the session is to end, once somebody wants it to.
    ending: Option<EndReason>,
    /// When the last channel came, and the pauses before the next if it does not last.
    connected: Instant,
    reconnect: Backoff,
}

/// Most questions about one session that its worker has not answered.
const DESCRIBING_MAX: usize = 64;

impl SessionTask {
    /// Runs until the session is over, and cleans up after it.
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
                    // The table holds a sender for as long as the session is live.
                    let Some(order) = order else { break EndReason::WorkerGone.into() };
                    match self.pass_on(order).await {
                        Ok(()) => {}
                        // What the worker said before its channel broke is heard first: it may be its end.
                        Err(error) if is_broken(&error) => {}
                        Err(error) => if let Err(reason) = self.find_again(error).await {
                            break reason.into();
                        }
                    }
                }
            }
        };
        let (broker, id) = (Arc::clone(&self.broker), self.id.clone());
        // Whoever waits for something of it hears that it is over, and not when its units are stopped.
        drop(self);
        clean_up(&broker, &id, end).await;
    }

    fn hear(&mut self, message: &FromWorker, descriptors: Vec<OwnedFd>) -> Option<SessionEnd> {
        match *message {
            FromWorker::Attached(viewer) => {
                let asked = self.asked.remove(&viewer);
                let socket = descriptors.into_iter().next();
                if let (Some(Wanted { account, role, answer }), Some(socket)) = (asked, socket) {
                    if let Some(session) = self.session() {
                        session.viewer_came(viewer, account, role);
                    }
                    // Nobody waits any more: the socket closes, and the worker sees it.
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
                    // It may have stopped waiting.
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
            // Out of turn: it is not a worker of ours any more.
            FromWorker::Standing(_) | FromWorker::Adopted => {
                tracing::error!(session = %self.id, "the worker broke the protocol");
                Some(EndReason::WorkerGone.into())
            }
        }
    }

    async fn pass_on(&mut self, order: Order) -> Result<(), WireError> {
        let message = match order {
            Order::Attach { account, role, size, answer } => {
                if !self.has_room_for(account.as_ref()) {
                    // Nobody waits any more.
                    let _ = answer.send(Err(Refusal::TooMany));
                    return Ok(());
                }
                let viewer = self.next_viewer;
                self.next_viewer = ViewerNumber(viewer.0.wrapping_add(1));
                self.asked.insert(viewer, Wanted { account, role, answer });
                ToWorker::Attach { viewer, role, size }
            }
            Order::Describe(asker) => {
                if self.describing.len() >= DESCRIBING_MAX {
                    return Ok(());
                }
                self.describing.push_back(asker);
                ToWorker::Describe
            }
            Order::SetRole { viewer, role } => ToWorker::SetRole { viewer, role },
            Order::Detach { viewer, unread } => ToWorker::Detach { viewer, unread },
            Order::End(reason) => ToWorker::End(*self.ending.get_or_insert(reason)),
        };
        self.tell(&message).await
    }

    async fn tell(&self, message: &ToWorker) -> Result<(), WireError> {
        tokio::time::timeout(ANSWER_TIME, self.channel.send(message, &[]))
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

    fn viewer_left(&self, viewer: ViewerNumber) {
        if let Some(session) = self.session() {
            session.viewer_left(viewer);
        }
    }

    /// The channel broke: systemd has started the worker again by now, or does when we connect.
    /// One that still keeps the session goes on; one that lost it is the session's end.
    async fn find_again(&mut self, mut error: WireError) -> Result<(), EndReason> {
        loop {
            tracing::warn!(session = %self.id, %error, "the worker's channel broke; connecting again: {error}");
            // Whoever waits for a viewer may ask again.
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
                // One that broke says so when it is listened to.
                Ok(()) | Err(_) => return Ok(()),
            }
        }
    }

    /// How long to wait before connecting again: not at all, unless the last channel did not last. A
    /// worker that greets and hangs up for ever must not keep the broker busy.
    fn pause(&mut self) -> Duration {
        if self.connected.elapsed() >= LASTS {
            self.reconnect.reset();
            return Duration::ZERO;
        }
        self.reconnect.pause()
    }

    /// Tells a worker that is back what counts now. What the one before it was told last may have been lost with it.
    async fn tell_again(&self, viewers: &[ViewerNumber]) -> Result<(), WireError> {
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
    use super::super::stand_in;
    use super::*;
    use crate::names::TermSize;

    const VIEWER: ViewerNumber = ViewerNumber(7);

    /// A session is over, and somebody asks for a view of it: whichever of the two is seen first, it is over.
    #[tokio::test]
    async fn what_a_worker_said_before_it_went_counts() {
        let folder = tempfile::tempdir().unwrap();
        let broker = stand_in::broker(folder.path());
        for _ in 0..20 {
            let (session, orders) = stand_in::session(&broker, "abcdefghijkl");
            let (channel, worker) = WorkerChannel::pair().unwrap();
            worker.send(&FromWorker::Ended(EndReason::ShellEnded.into()), &[]).await.unwrap();
            drop(worker);
            let (answer, answered) = oneshot::channel();
            let (account, role, size) = (None, Role::Watcher, TermSize::DEFAULT);
            session.worker.send(Order::Attach { account, role, size, answer }).await.unwrap();
            spawn(&broker, &session.record.id, channel, orders, VIEWER);
            let answered = tokio::time::timeout(Duration::from_secs(2), answered).await.unwrap();
            assert!(answered.is_err(), "{answered:?}");
        }
    }

    #[tokio::test]
    async fn a_worker_that_hangs_up_again_and_again_is_connected_to_less_and_less_often() {
        let folder = tempfile::tempdir().unwrap();
        let broker = stand_in::broker(folder.path());
        let (session, orders) = stand_in::session(&broker, "abcdefghijkl");
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
