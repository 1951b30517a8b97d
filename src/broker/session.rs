//! One live session: whose it is, who views it, and the way to its worker.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot, watch};

use super::orders::Order;
use super::participants::{Participants, Viewer};
use super::records::Record;
use crate::names::{AccountName, TermSize};
use crate::protocol::worker::{ToWorker, UnreadInput, ViewerNumber};
use crate::protocol::{About, Person, Refusal, Role, SessionSummary};

/// How long a worker has to describe its session. One that is just being restarted is listed
/// without that.
const DESCRIBE_TIME: Duration = Duration::from_secs(1);

/// How long a worker has to let a viewer do what it may, with a crash on the way.
const SETTLE_TIME: Duration = Duration::from_secs(8);

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

/// Views of sessions.
pub(super) type Views = Vec<(Arc<Session>, ViewerNumber)>;

/// One live session.
#[derive(Debug)]
pub(super) struct Session {
    /// Whose and where: the broker's own word. What of it can change is in `participants`.
    pub(super) record: Record,
    participants: Mutex<Participants>,
    /// Raised when who may view the session, or who does, has changed.
    changed: watch::Sender<()>,
    /// To the task that talks to its worker.
    pub(super) worker: mpsc::Sender<Order>,
}

impl Session {
    /// One that nobody views yet.
    pub(super) fn of(record: Record, worker: mpsc::Sender<Order>) -> Arc<Self> {
        let participants = Mutex::new(Participants::of(&record));
        Arc::new(Self { record, participants, changed: watch::Sender::new(()), worker })
    }

    /// How it stands in a list, for somebody of this role in it.
    pub(super) async fn summary(&self, role: Role) -> SessionSummary {
        let Record { id, owner, target, opened, .. } = &self.record;
        let about = tokio::time::timeout(DESCRIBE_TIME, self.describe()).await.ok().flatten();
        let (id, owner, target) = (id.clone(), owner.clone(), target.clone());
        let (name, viewing) = {
            let participants = self.participants();
            (participants.name.clone(), participants.viewing())
        };
        SessionSummary { id, target, opened: *opened, owner, role, name, viewing, about }
    }

    /// Makes a viewer of the session, for an account or, without one, for the operator.
    pub(super) async fn attach(
        self: &Arc<Self>,
        account: Option<AccountName>,
        role: Role,
        size: TermSize,
    ) -> Result<View, Refusal> {
        let (answer, answered) = oneshot::channel();
        let order = Order::Attach { account, role, size, answer };
        let attach = async {
            self.worker.send(order).await.map_err(|_| Refusal::NoSuchSession)?;
            answered.await.unwrap_or(Err(Refusal::NoSuchSession))
        };
        let attached = tokio::time::timeout(ATTACH_TIME, attach).await;
        let (viewer, socket) = attached.unwrap_or(Err(Refusal::WorkerUnavailable))?;
        Ok(View { session: Arc::clone(self), viewer, role, socket })
    }

    async fn describe(&self) -> Option<About> {
        let (asker, answer) = oneshot::channel();
        self.worker.send(Order::Describe(asker)).await.ok()?;
        answer.await.ok()
    }

    /// What this account may do in it; nothing where it is not the account's, nor shared with it.
    pub(super) fn role_of(&self, account: &AccountName) -> Option<Role> {
        self.participants().role_of(account)
    }

    /// Whether it is this account's own.
    pub(super) fn is_of(&self, account: &AccountName) -> bool {
        self.participants().owner.as_ref() == Some(account)
    }

    /// Whether an account may have one more view of it, with those that are asked for already.
    pub(super) fn has_room_for(&self, account: &AccountName, asked: &[&AccountName]) -> bool {
        self.participants().has_room_for(account, asked)
    }

    /// Whether its worker has this viewer.
    pub(super) fn has_viewer(&self, viewer: ViewerNumber) -> bool {
        self.participants().views.contains_key(&viewer)
    }

    /// Who may view it, and who does: the owner first.
    pub(super) fn participants_shown(&self) -> Vec<Person> {
        self.participants().all(&self.record.owner)
    }

    /// A receiver that hears of every change of [`Self::participants_shown`].
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Notes a viewer of this account, or of the operator.
    pub(super) fn viewer_came(&self, viewer: ViewerNumber, account: Option<AccountName>, role: Role) {
        let viewing = Viewer { account, role, closing: false };
        self.change(|participants| drop(participants.views.insert(viewer, viewing)));
    }

    /// Notes what its worker lets a viewer do.
    pub(super) fn role_set(&self, viewer: ViewerNumber, role: Role) {
        self.change(|participants| {
            if let Some(viewing) = participants.views.get_mut(&viewer) {
                viewing.role = role;
            }
        });
    }

    /// Notes that a viewer has gone.
    pub(super) fn viewer_left(&self, viewer: ViewerNumber) {
        self.change(|participants| drop(participants.views.remove(&viewer)));
    }

    /// Closes a view. If its worker is away, it is told when it is back.
    pub(super) async fn close_view(&self, viewer: ViewerNumber, unread: UnreadInput) {
        if let Some(viewing) = self.participants().views.get_mut(&viewer) {
            viewing.closing = true;
        }
        // A session that is over has no viewers.
        let _ = self.worker.send(Order::Detach { viewer, unread }).await;
    }

    /// Notes which viewers a worker has that was started again, and says what it is to be told: it may not
    /// have heard the last that was said to the one before it.
    pub(super) fn viewers_are(&self, viewers: &[ViewerNumber]) -> Vec<ToWorker> {
        self.change(|participants| participants.views.retain(|viewer, _| viewers.contains(viewer)));
        let participants = self.participants();
        let told = |viewer: &ViewerNumber| {
            let role = participants.role_of_viewer(*viewer);
            let viewer = *viewer;
            let detach = ToWorker::Detach { viewer, unread: UnreadInput::Dropped };
            role.map_or(detach, |role| ToWorker::SetRole { viewer, role })
        };
        viewers.iter().map(told).collect()
    }

    /// Waits until the worker lets the viewers of an account do just what they may.
    pub(super) async fn settled(&self, account: &AccountName) -> Result<(), Refusal> {
        let role = self.role_of(account);
        let mut changes = self.changes();
        let settled = changes.wait_for(|()| self.participants().settled(account, role));
        match tokio::time::timeout(SETTLE_TIME, settled).await {
            Ok(_) => Ok(()),
            // It is told again when it is back.
            Err(_) => Err(Refusal::WorkerUnavailable),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Participants)) {
        change(&mut self.participants());
        self.has_changed();
    }

    /// Says that who may view it, or who does, is not who it was.
    pub(super) fn has_changed(&self) {
        self.changed.send_replace(());
    }

    /// What can change about it. Whoever writes its record holds it meanwhile.
    pub(super) fn participants(&self) -> MutexGuard<'_, Participants> {
        self.participants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How sessions stand in a list, in their order. Their workers are asked all at once.
pub(super) async fn summaries(sessions: &[(Arc<Session>, Role)]) -> Vec<SessionSummary> {
    join_all(sessions.iter().map(|(session, role)| session.summary(*role))).await
}
