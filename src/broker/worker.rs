//! One task a session: the broker's end of the channel to its worker.

use std::collections::{HashMap, VecDeque};
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Broker;
use super::orders::{Attached, Order};
use super::returns::Returns;
use super::session::Session;
use crate::names::{AccountName, SessionId, TermSize};
use crate::protocol::worker::{FromWorker, Standing, ToWorker, ViewerNumber};
use crate::protocol::{About, EndReason, Refusal, Role};
use crate::wire::{AsyncChannel, Intent, WireError};

/// How long a worker has to answer. It starts in 50 ms, or 140 on a busy machine.
const ANSWER_TIME: Duration = Duration::from_secs(8);

/// The broker's end of a worker's channel.
pub(super) type WorkerChannel = AsyncChannel<ToWorker, FromWorker>;

/// A viewer that was asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    account: Option<AccountName>,
    role: Role,
    answer: Attached,
}

/// Ends a worker's session, and waits until the worker leaves.
pub(super) async fn end(channel: &WorkerChannel, reason: EndReason) -> Result<(), WireError> {
    channel.send(&ToWorker::End(reason), &[]).await?;
    let over = async { while channel.receive().await.is_ok() {} };
    tokio::time::timeout(ANSWER_TIME, over).await.map_err(|_| WireError::TimedOut)
}

/// Connects to the worker behind `path`, which systemd starts if it does not run.
pub(super) async fn connect(path: &Path) -> Result<(WorkerChannel, Standing), WireError> {
    let channel = WorkerChannel::connect(path, Intent::Worker, ANSWER_TIME).await?;
    let (first, _) = channel.receive_within(ANSWER_TIME).await?;
    let FromWorker::Standing(standing) = first else { return Err(WireError::NoGreeting) };
    Ok((channel, standing))
}

/// Why a worker does not keep a terminal that it was given.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotAdopted {
    /// Its channel broke before it said that it keeps it.
    #[error("it went away: {0}")]
    Gone(WireError),
    /// It may have it, and be only slow to say so.
    #[error("it may have it, or not: {0}")]
    Unclear(WireError),
}

/// Gives a waiting worker its PTY and makes the first viewer in the same breath, so that even a
/// shell that ends at once is seen to.
pub(super) async fn adopt(
    channel: &WorkerChannel,
    session: &SessionId,
    size: TermSize,
    pty: &OwnedFd,
    viewer: ViewerNumber,
) -> Result<OwnedFd, NotAdopted> {
    let adopt = ToWorker::Adopt { session: session.clone(), size };
    let given = async {
        channel.send(&adopt, &[pty.as_fd()]).await?;
        channel.send(&ToWorker::Attach { viewer, role: Role::Owner, size }, &[]).await
    };
    match given.await {
        Err(error) if !broke(&error) => return Err(NotAdopted::Unclear(error)),
        // What the worker said before its channel broke is heard first.
        Ok(()) | Err(_) => {}
    }
    let (adopted, _) = channel
        .receive_within(ANSWER_TIME)
        .await
        .map_err(|error| if broke(&error) { NotAdopted::Gone(error) } else { NotAdopted::Unclear(error) })?;
    let (attached, socket) = channel.receive_within(ANSWER_TIME).await.map_err(NotAdopted::Unclear)?;
    let in_order = adopted == FromWorker::Adopted && attached == FromWorker::Attached(viewer);
    let socket = socket.into_iter().next().filter(|_| in_order);
    socket.ok_or(NotAdopted::Unclear(WireError::NoGreeting))
}

fn broke(error: &WireError) -> bool {
    match error {
        WireError::Closed => true,
        WireError::Io(error) => matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
        WireError::TimedOut
        | WireError::Oversize
        | WireError::Unreadable { .. }
        | WireError::TrailingBytes { .. }
        | WireError::WrongDescriptors { .. }
        | WireError::OutOfTurn
        | WireError::NoGreeting
        | WireError::WrongIntent { .. }
        | WireError::WrongVersion { .. } => false,
    }
}

/// The task of one session.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) broker: Arc<Broker>,
    pub(super) id: SessionId,
    pub(super) channel: WorkerChannel,
    pub(super) orders: mpsc::Receiver<Order>,
    /// Viewers that were asked for and are not there yet. At most [`ORDERS`] and those under way.
    pub(super) asked: HashMap<ViewerNumber, Wanted>,
    /// Whoever waits for `Described`, first to last. At most [`DESCRIBING_MAX`]; one more is told that
    /// nothing is known.
    pub(super) describing: VecDeque<oneshot::Sender<About>>,
    pub(super) next_viewer: ViewerNumber,
    /// Why the session is to end, once somebody wants it to.
    pub(super) ending: Option<EndReason>,
    pub(super) returns: Returns,
}

/// Most questions about one session that its worker has not answered.
const DESCRIBING_MAX: usize = 64;

impl Worker {
    /// Runs until the session is over, and cleans up after it.
    pub(super) async fn run(mut self) {
        let reason = loop {
            tokio::select! {
                received = self.channel.receive() => match received {
                    Ok((message, descriptors)) => {
                        if let Some(reason) = self.hear(&message, descriptors) {
                            break reason;
                        }
                    }
                    Err(error) => if let Err(reason) = self.find_again(error).await {
                        break reason;
                    }
                },
                order = self.orders.recv() => {
                    // The table holds a sender for as long as the session is live.
                    let Some(order) = order else { break EndReason::WorkerGone };
                    match self.pass_on(order).await {
                        Ok(()) => {}
                        // What the worker said before its channel broke is heard first: it may be its end.
                        Err(error) if broke(&error) => {}
                        Err(error) => if let Err(reason) = self.find_again(error).await {
                            break reason;
                        }
                    }
                }
            }
        };
        let (broker, id) = (Arc::clone(&self.broker), self.id.clone());
        // Whoever waits for something of it hears that it is over, and not when its units are stopped.
        drop(self);
        broker.clean_up(&id, reason).await;
    }

    fn hear(&mut self, message: &FromWorker, descriptors: Vec<OwnedFd>) -> Option<EndReason> {
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
            FromWorker::Ended(reason) => Some(reason),
            // Out of turn: it is not a worker of ours any more.
            FromWorker::Standing(_) | FromWorker::Adopted => {
                tracing::error!(session = %self.id, "the worker broke the protocol");
                Some(EndReason::WorkerGone)
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
        self.broker.sessions.find(&self.id)
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
            tokio::time::sleep(self.returns.pause(Instant::now())).await;
            let returned = self.broker.return_to(&self.id, &mut self.orders, self.ending).await;
            let (channel, viewers) = returned.map_err(|reason| self.ending.unwrap_or(reason))?;
            self.channel = channel;
            match self.tell_again(&viewers).await {
                Err(again) if !broke(&again) => error = again,
                // One that broke says so when it is listened to.
                Ok(()) | Err(_) => return Ok(()),
            }
        }
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

/// Answers for a worker that cannot be talked to, until the session is to end: it goes on, and its viewers with it.
pub(super) async fn stand_by(orders: &mut mpsc::Receiver<Order>, refusal: Refusal) -> EndReason {
    loop {
        match orders.recv().await {
            Some(Order::Attach { answer, .. }) => {
                // Nobody waits any more.
                let _ = answer.send(Err(refusal));
            }
            // It is listed without what its worker could say.
            Some(Order::Describe(_) | Order::SetRole { .. } | Order::Detach { .. }) => {}
            Some(Order::End(reason)) => return reason,
            // The table holds a sender for as long as the session is live.
            None => return EndReason::WorkerGone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stand_in;
    use super::*;
    use crate::wire::Message as _;

    const VIEWER: ViewerNumber = ViewerNumber(7);

    /// What comes of it where the worker says this, and goes.
    async fn adopted(says: &[FromWorker]) -> Result<OwnedFd, NotAdopted> {
        let (channel, worker) = WorkerChannel::pair().unwrap();
        for word in says {
            let socket = crate::sys::seqpacket::pair().unwrap().0;
            let sockets = if word.descriptors() == 1 { vec![socket.as_fd()] } else { Vec::new() };
            worker.send(word, &sockets).await.unwrap();
        }
        drop(worker);
        let pty = crate::sys::seqpacket::pair().unwrap().0;
        adopt(&channel, &"abcdefghijkl".parse().unwrap(), TermSize::DEFAULT, &pty, VIEWER).await
    }

    /// A session is over, and somebody asks for a view of it: whichever of the two is seen first, it is over.
    #[tokio::test]
    async fn what_a_worker_said_before_it_went_counts() {
        let folder = tempfile::tempdir().unwrap();
        let broker = stand_in::broker(folder.path());
        for _ in 0..20 {
            let (session, orders) = stand_in::session(&broker, "abcdefghijkl");
            let (channel, worker) = WorkerChannel::pair().unwrap();
            worker.send(&FromWorker::Ended(EndReason::ShellEnded), &[]).await.unwrap();
            drop(worker);
            let (answer, answered) = oneshot::channel();
            let (account, role, size) = (None, Role::Watcher, TermSize::DEFAULT);
            session.worker.send(Order::Attach { account, role, size, answer }).await.unwrap();
            broker.run_worker(&session.record.id, channel, orders, VIEWER);
            let answered = tokio::time::timeout(Duration::from_secs(2), answered).await.unwrap();
            assert!(answered.is_err(), "{answered:?}");
        }
    }

    #[tokio::test]
    async fn only_a_worker_that_went_without_a_word_has_no_terminal_for_sure() {
        assert!(matches!(adopted(&[]).await, Err(NotAdopted::Gone(_))));
        assert!(matches!(adopted(&[FromWorker::Adopted]).await, Err(NotAdopted::Unclear(_))));
        assert!(matches!(adopted(&[FromWorker::Full(VIEWER)]).await, Err(NotAdopted::Unclear(_))));
    }
}
