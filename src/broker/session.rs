//! One live session: its record, its participants, and the way to its worker.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::orders::WorkerOrder;
use super::participants::{Participants, Viewer};
use super::records::Record;
use crate::config::Config;
use crate::names::{AccountName, TermSize};
use crate::protocol::worker::{ToWorker, UnreadInput, ViewerId};
use crate::protocol::{About, Participant, Refusal, Role, SessionEnd, SessionSummary};

/// How long a worker has to describe its session. A session whose worker does not answer in time,
/// for example because it is restarting, is listed without a description.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a worker has to acknowledge the roles of its viewers, including a restart after a
/// crash.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(8);

/// How long a worker has to make a viewer.
const ATTACH_TIMEOUT: Duration = Duration::from_secs(8);

/// A new view of a session.
#[derive(Debug)]
pub(super) struct View {
    pub(super) session: Arc<Session>,
    pub(super) viewer: ViewerId,
    pub(super) role: Role,
    /// The most that it may do, whatever its account may do.
    pub(super) most: Role,
    /// The viewer's socket, for the principal that asked for the view.
    pub(super) socket: OwnedFd,
}

/// Sessions and the viewers in them.
pub(super) type Views = Vec<(Arc<Session>, ViewerId)>;

/// What happens to sessions, for the channels that follow them.
#[derive(Debug, Clone)]
pub(super) enum SessionNews {
    /// Its name or its participants are others, or it is new.
    Changed(Arc<Session>),
    Ended(Arc<Session>, SessionEnd),
}

/// One live session.
#[derive(Debug)]
pub(super) struct Session {
    /// The record as of the start of the session in this broker, with the owner and the target that
    /// the broker granted. Fields that can change are current only in `participants`.
    pub(super) record: Record,
    participants: Mutex<Participants>,
    /// Notified when the participants have changed: who may view the session, or who does.
    changed: watch::Sender<()>,
    /// The news of all sessions, and this session as it is named in them.
    news: broadcast::Sender<SessionNews>,
    itself: Weak<Self>,
    /// Orders to the task that talks to the worker.
    pub(super) worker: mpsc::Sender<WorkerOrder>,
}

impl Session {
    /// Creates a session without viewers.
    pub(super) fn of(
        record: Record,
        worker: mpsc::Sender<WorkerOrder>,
        news: broadcast::Sender<SessionNews>,
    ) -> Arc<Self> {
        let participants = Mutex::new(Participants::of(&record));
        let changed = watch::Sender::new(());
        Arc::new_cyclic(|itself| {
            let itself = Weak::clone(itself);
            Self { record, participants, changed, news, itself, worker }
        })
    }

    /// Returns the session's entry in a list, for somebody with this role, under this policy.
    pub(super) async fn summary(&self, role: Role, policy: &Config) -> SessionSummary {
        let about = tokio::time::timeout(DESCRIBE_TIMEOUT, self.describe()).await.ok().flatten();
        SessionSummary { about, ..self.known_summary(role, policy) }
    }

    /// The same, without the worker's report.
    pub(super) fn known_summary(&self, role: Role, policy: &Config) -> SessionSummary {
        let Record { id, owner, target, opened, .. } = &self.record;
        let (id, owner, target) = (id.clone(), owner.clone(), target.clone());
        let (name, viewing) = {
            let participants = self.participants();
            (participants.name.clone(), participants.viewing())
        };
        let left = self.record.seconds_left();
        let touch = policy.terms(&owner, &target).is_some_and(|terms| terms.fresh_touch.is_some());
        let (about, exec) = (None, self.record.exec);
        SessionSummary { id, target, opened: *opened, left, touch, owner, role, name, viewing, about, exec }
    }

    /// Has the worker make a viewer, for an account or, if `account` is `None`, for the operator.
    /// It never may do more than `most`.
    pub(super) async fn attach(
        self: &Arc<Self>,
        account: Option<AccountName>,
        (role, most): (Role, Role),
        size: TermSize,
    ) -> Result<View, Refusal> {
        let (answer, answered) = oneshot::channel();
        let order = WorkerOrder::Attach { account, role, most, size, answer };
        let attach = async {
            self.worker.send(order).await.map_err(|_| Refusal::NoSuchSession)?;
            answered.await.unwrap_or(Err(Refusal::NoSuchSession))
        };
        let attached = tokio::time::timeout(ATTACH_TIMEOUT, attach).await;
        let (viewer, socket) = attached.unwrap_or(Err(Refusal::WorkerUnavailable))?;
        Ok(View { session: Arc::clone(self), viewer, role, most, socket })
    }

    async fn describe(&self) -> Option<About> {
        let (asker, answer) = oneshot::channel();
        self.worker.send(WorkerOrder::Describe(asker)).await.ok()?;
        answer.await.ok()
    }

    /// Returns the role of an account, or `None` if it is neither the owner nor a guest.
    pub(super) fn role_of(&self, account: &AccountName) -> Option<Role> {
        self.participants().role_of(account)
    }

    /// Whether this account is the owner.
    pub(super) fn is_of(&self, account: &AccountName) -> bool {
        self.participants().owner.as_ref() == Some(account)
    }

    /// Whether an account may have one more view. `asked` are the accounts of viewers under way.
    pub(super) fn has_room_for(&self, account: &AccountName, asked: &[&AccountName]) -> bool {
        self.participants().has_room_for(account, asked)
    }

    /// Whether the worker has this viewer.
    pub(super) fn has_viewer(&self, viewer: ViewerId) -> bool {
        self.participants().views.contains_key(&viewer)
    }

    /// Lists the owner, then the guests, each with the number of their views.
    pub(super) fn participants_shown(&self) -> Vec<Participant> {
        self.participants().all(&self.record.owner)
    }

    /// Returns a receiver that is notified of every change of [`Self::participants_shown`].
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Records a new viewer. `account` is `None` for the operator.
    pub(super) fn viewer_came(
        &self,
        viewer: ViewerId,
        account: Option<AccountName>,
        (role, most): (Role, Role),
    ) {
        let viewing = Viewer { account, role, most, closing: false };
        self.change(|participants| drop(participants.views.insert(viewer, viewing)));
    }

    /// Records the role that the worker enforces for a viewer.
    pub(super) fn role_set(&self, viewer: ViewerId, role: Role) {
        self.change(|participants| {
            if let Some(viewing) = participants.views.get_mut(&viewer) {
                viewing.role = role;
            }
        });
    }

    /// Records that a viewer is gone.
    pub(super) fn viewer_left(&self, viewer: ViewerId) {
        self.change(|participants| drop(participants.views.remove(&viewer)));
    }

    /// Closes a view. A worker that is away is told when it is back.
    pub(super) async fn close_view(&self, viewer: ViewerId, unread: UnreadInput) {
        if let Some(viewing) = self.participants().views.get_mut(&viewer) {
            viewing.closing = true;
        }
        // Fails only if the session is over, and then it has no viewers.
        let _ = self.worker.send(WorkerOrder::Detach { viewer, unread }).await;
    }

    /// Forgets the viewers that a restarted worker no longer has. Returns the messages that give
    /// each remaining viewer its current role or close it: those sent to the previous worker may be
    /// lost.
    pub(super) fn viewers_are(&self, viewers: &[ViewerId]) -> Vec<ToWorker> {
        self.change(|participants| participants.views.retain(|viewer, _| viewers.contains(viewer)));
        let participants = self.participants();
        let told = |viewer: &ViewerId| {
            let role = participants.role_of_viewer(*viewer);
            let viewer = *viewer;
            let detach = ToWorker::Detach { viewer, unread: UnreadInput::Dropped };
            role.map_or(detach, |role| ToWorker::SetRole { viewer, role })
        };
        viewers.iter().map(told).collect()
    }

    /// Has the worker give every viewer of this account its current role, or close it if the
    /// account has none, and waits as [`Self::settled`] does.
    pub(super) async fn enforce_role(&self, account: &AccountName) -> Result<(), Refusal> {
        let viewers = self.participants().viewers_of(account);
        for viewer in viewers {
            match self.role_of(account) {
                Some(role) => {
                    let most = self.participants().views.get(&viewer).map(|viewing| viewing.most);
                    let role = most.map_or(role, |most| role.limited_to(most));
                    // Fails only if the session is over, and then it has no viewers.
                    let _ = self.worker.send(WorkerOrder::SetRole { viewer, role }).await;
                }
                None => self.close_view(viewer, UnreadInput::Dropped).await,
            }
        }
        self.settled(account).await
    }

    /// Waits until the worker has acknowledged the current role of every viewer of this account, at
    /// most [`SETTLE_TIMEOUT`].
    pub(super) async fn settled(&self, account: &AccountName) -> Result<(), Refusal> {
        let role = self.role_of(account);
        let mut changes = self.changes();
        let settled = changes.wait_for(|()| self.participants().settled(account, role));
        match tokio::time::timeout(SETTLE_TIMEOUT, settled).await {
            Ok(_) => Ok(()),
            // The worker is told again when it is back.
            Err(_) => Err(Refusal::WorkerUnavailable),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Participants)) {
        change(&mut self.participants());
        self.has_changed();
    }

    /// Notifies the receivers that the participants or the name have changed.
    pub(super) fn has_changed(&self) {
        self.changed.send_replace(());
        // Nothing changes in a session that is over: its task has ended.
        if let Some(itself) = self.itself.upgrade().filter(|_| !self.worker.is_closed()) {
            // Fails only if no channel follows the sessions.
            let _ = self.news.send(SessionNews::Changed(itself));
        }
    }

    /// Notifies the channels that follow the sessions that this one is over.
    pub(super) fn has_ended(&self, end: SessionEnd) {
        if let Some(itself) = self.itself.upgrade() {
            let _ = self.news.send(SessionNews::Ended(itself, end));
        }
    }

    /// Locks the fields that can change. The lock is held while the record is written.
    pub(super) fn participants(&self) -> MutexGuard<'_, Participants> {
        self.participants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the list entries of sessions, in the given order. All workers are asked at the same
/// time.
pub(super) async fn summaries(sessions: &[(Arc<Session>, Role)], policy: &Config) -> Vec<SessionSummary> {
    join_all(sessions.iter().map(|(session, role)| session.summary(*role, policy))).await
}
