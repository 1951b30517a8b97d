//! The live sessions: whose each is, and the way to its worker.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot, watch};

use super::people::{People, Viewing};
use super::records::{LeftBehind, Record, Records};
use super::worker::Order;
use crate::names::{AccountName, Label, MachineName, SessionId};
use crate::protocol::worker::{ToWorker, ViewerNumber};
use crate::protocol::{About, GuestRole, Person, Refusal, Role, SessionSummary};

/// Most sessions of one account; one more is refused with `too-many`.
const PER_ACCOUNT_MAX: usize = 64;

/// Most sessions of everybody; one more is refused with `too-many`.
const SESSIONS_MAX: usize = 1024;

/// How long a worker has to describe its session. One that is just being restarted is listed
/// without that.
const DESCRIBE_TIME: Duration = Duration::from_secs(1);

/// How long a worker has to let a viewer do what it may, with a crash on the way.
const SETTLE_TIME: Duration = Duration::from_secs(8);

/// One live session.
#[derive(Debug)]
pub(super) struct Session {
    /// Whose and where: the broker's own word. Its name and guests are in `people`, where they can change.
    pub(super) record: Record,
    people: Mutex<People>,
    /// Raised when who may view the session, or who does, has changed.
    changed: watch::Sender<()>,
    /// To the task that talks to its worker.
    pub(super) worker: mpsc::Sender<Order>,
}

impl Session {
    /// How it stands in a list, for somebody of this role in it.
    pub(super) async fn summary(&self, role: Role) -> SessionSummary {
        let Record { id, owner, target, opened, .. } = &self.record;
        let about = tokio::time::timeout(DESCRIBE_TIME, self.describe()).await.ok().flatten();
        let (id, owner, target) = (id.clone(), owner.clone(), target.clone());
        let (name, viewing) = {
            let people = self.people();
            (people.name.clone(), people.viewing())
        };
        SessionSummary { id, target, opened: *opened, owner, role, name, viewing, about }
    }

    async fn describe(&self) -> Option<About> {
        let (asker, answer) = oneshot::channel();
        self.worker.send(Order::Describe(asker)).await.ok()?;
        answer.await.ok()
    }

    /// What this account may do in it; nothing where it is not the account's, nor shared with it.
    pub(super) fn role_of(&self, account: &AccountName) -> Option<Role> {
        if *account == self.record.owner { Some(Role::Owner) } else { self.people().guest(account) }
    }

    /// Who may view it, and who does: the owner first.
    pub(super) fn company(&self) -> Vec<Person> {
        self.people().company(&self.record.owner)
    }

    /// A receiver that hears of every change of [`Self::company`].
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Notes a viewer of this account, or of the operator.
    pub(super) fn viewer_came(&self, viewer: ViewerNumber, account: Option<AccountName>, role: Role) {
        let viewing = Viewing { account, role, closing: false };
        self.change(|people| drop(people.views.insert(viewer, viewing)));
    }

    /// Notes what its worker lets a viewer do.
    pub(super) fn role_set(&self, viewer: ViewerNumber, role: Role) {
        self.change(|people| {
            if let Some(viewing) = people.views.get_mut(&viewer) {
                viewing.role = role;
            }
        });
    }

    /// Notes that a viewer has gone.
    pub(super) fn viewer_left(&self, viewer: ViewerNumber) {
        self.change(|people| drop(people.views.remove(&viewer)));
    }

    /// Closes a view. Its worker may be away: then it is told when it is back.
    pub(super) async fn close_view(&self, viewer: ViewerNumber) {
        if let Some(viewing) = self.people().views.get_mut(&viewer) {
            viewing.closing = true;
        }
        // A session that is over has no viewers.
        let _ = self.worker.send(Order::Detach(viewer)).await;
    }

    /// Notes which viewers a worker has that was started again, and says what it is to be told: it may not
    /// have heard the last that was said to the one before it.
    pub(super) fn viewers_are(&self, viewers: &[ViewerNumber]) -> Vec<ToWorker> {
        self.change(|people| people.views.retain(|viewer, _| viewers.contains(viewer)));
        let people = self.people();
        let told = |viewer: &ViewerNumber| {
            let role = match people.views.get(viewer) {
                Some(Viewing { closing: true, .. }) | None => None,
                Some(Viewing { account: Some(account), .. }) if *account == self.record.owner => {
                    Some(Role::Owner)
                }
                Some(Viewing { account: Some(account), .. }) => people.guest(account),
                Some(Viewing { account: None, role, .. }) => Some(*role),
            };
            let viewer = *viewer;
            role.map_or(ToWorker::Detach(viewer), |role| ToWorker::SetRole { viewer, role })
        };
        viewers.iter().map(told).collect()
    }

    /// Waits until the worker lets the viewers of an account do just what they may.
    pub(super) async fn settled(&self, account: &AccountName) -> Result<(), Refusal> {
        let role = self.role_of(account);
        let mut changes = self.changes();
        let settled = changes.wait_for(|()| self.people().settled(account, role));
        match tokio::time::timeout(SETTLE_TIME, settled).await {
            Ok(_) => Ok(()),
            // It is told again when it is back.
            Err(_) => Err(Refusal::WorkerUnavailable),
        }
    }

    fn change(&self, change: impl FnOnce(&mut People)) {
        change(&mut self.people());
        self.changed.send_replace(());
    }

    fn people(&self) -> MutexGuard<'_, People> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How sessions stand in a list, in their order. Their workers are asked all at once.
pub(super) async fn summaries(sessions: &[(Arc<Session>, Role)]) -> Vec<SessionSummary> {
    join_all(sessions.iter().map(|(session, role)| session.summary(*role))).await
}

/// All of them.
#[derive(Debug)]
pub(super) struct Sessions {
    live: Mutex<Live>,
    records: Records,
}

#[derive(Debug, Default)]
struct Live {
    sessions: BTreeMap<SessionId, Arc<Session>>,
    /// Accounts that are opening one right now, an entry each.
    opening: Vec<AccountName>,
}

/// A place kept for a session that is being opened, so that many at once cannot pass the bounds.
#[derive(Debug)]
pub(super) struct Place<'a> {
    sessions: &'a Sessions,
    owner: AccountName,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut live = self.sessions.live();
        if let Some(at) = live.opening.iter().position(|owner| *owner == self.owner) {
            live.opening.swap_remove(at);
        }
    }
}

impl Sessions {
    /// None yet.
    pub(super) fn new(records: Records) -> Self {
        Self { live: Mutex::default(), records }
    }

    /// A place for one more session of this account.
    pub(super) fn place(&self, owner: &AccountName) -> Result<Place<'_>, Refusal> {
        let mut live = self.live();
        let theirs = live.sessions.values().filter(|session| session.record.owner == *owner).count();
        let opening = live.opening.iter().filter(|opening| *opening == owner).count();
        let all = live.sessions.len() + live.opening.len();
        if theirs + opening >= PER_ACCOUNT_MAX || all >= SESSIONS_MAX {
            return Err(Refusal::TooMany);
        }
        live.opening.push(owner.clone());
        Ok(Place { sessions: self, owner: owner.clone() })
    }

    /// Keeps a new session: its record first, then it is live.
    pub(super) fn keep(&self, record: Record, worker: mpsc::Sender<Order>) -> io::Result<Arc<Session>> {
        self.records.keep(&record)?;
        Ok(self.take_up(record, worker))
    }

    /// Makes a session live whose record is there already.
    pub(super) fn take_up(&self, record: Record, worker: mpsc::Sender<Order>) -> Arc<Session> {
        let people = Mutex::new(People::of(&record));
        let changed = watch::Sender::new(());
        let session = Arc::new(Session { record, people, changed, worker });
        self.live().sessions.insert(session.record.id.clone(), Arc::clone(&session));
        session
    }

    /// Gives a session a name, in its record first.
    pub(super) fn rename(&self, session: &Session, name: Option<Label>) -> io::Result<()> {
        let mut people = session.people();
        let (name, guests) = (name, people.guests.clone());
        self.records.keep(&Record { name: name.clone(), guests, ..session.record.clone() })?;
        people.name = name;
        Ok(())
    }

    /// Shares a session with an account, or no more, in its record first. Gives the viewers that the account
    /// has there now.
    pub(super) fn share(
        &self,
        session: &Session,
        account: &AccountName,
        role: Option<GuestRole>,
    ) -> Result<Vec<ViewerNumber>, Refusal> {
        let mut people = session.people();
        let guests = people.guests_with(account, role)?;
        let record = Record { name: people.name.clone(), guests, ..session.record.clone() };
        self.records.keep(&record).map_err(|error| {
            tracing::error!(session = %record.id, %error, "the record cannot be kept: {error}");
            Refusal::StorageFailed
        })?;
        people.guests = record.guests;
        let viewers = people.viewers_of(account);
        drop(people);
        session.changed.send_replace(());
        Ok(viewers)
    }

    /// Forgets a session that is over.
    pub(super) fn forget(&self, id: &SessionId) -> Option<Arc<Session>> {
        self.records.forget(id);
        self.live().sessions.remove(id)
    }

    /// The session of this id.
    pub(super) fn find(&self, id: &SessionId) -> Option<Arc<Session>> {
        self.live().sessions.get(id).cloned()
    }

    /// At most `most` sessions by id, those behind `after`.
    pub(super) fn page(&self, after: Option<&SessionId>, most: usize) -> Vec<Arc<Session>> {
        let behind = |id: &SessionId| after.is_none_or(|after| id > after);
        let live = self.live();
        live.sessions.iter().filter(|(id, _)| behind(id)).take(most).map(|(_, s)| Arc::clone(s)).collect()
    }

    /// An account's sessions, oldest first.
    pub(super) fn of(&self, owner: &AccountName) -> Vec<Arc<Session>> {
        let theirs = |session: &&Arc<Session>| session.record.owner == *owner;
        let mut sessions: Vec<_> = self.live().sessions.values().filter(theirs).cloned().collect();
        sessions.sort_by_key(|session| session.record.opened);
        sessions
    }

    /// The sessions of others that are shared with an account, at most `most` of them, oldest first.
    pub(super) fn shared_with(&self, account: &AccountName, most: usize) -> Vec<(Arc<Session>, Role)> {
        let live = self.live();
        let shared = live.sessions.values().filter_map(|session| {
            let role = session.role_of(account).filter(|role| *role != Role::Owner)?;
            Some((Arc::clone(session), role))
        });
        let mut shared: Vec<_> = shared.collect();
        drop(live);
        shared.sort_by_key(|(session, _)| session.record.opened);
        shared.truncate(most);
        shared
    }

    /// The sessions on a machine.
    pub(super) fn on(&self, machine: &MachineName) -> Vec<Arc<Session>> {
        let there = |session: &&Arc<Session>| session.record.target.machine == *machine;
        self.live().sessions.values().filter(there).cloned().collect()
    }

    /// The records that an earlier broker left.
    pub(super) fn left_behind(&self) -> io::Result<LeftBehind> {
        self.records.all()
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let sessions = Sessions::new(Records::at(folder.path().to_owned()));
        let alice = "alice".parse().unwrap();
        let places: Vec<_> = (0..PER_ACCOUNT_MAX).map(|_| sessions.place(&alice).unwrap()).collect();
        assert_eq!(sessions.place(&alice).unwrap_err(), Refusal::TooMany);
        assert!(sessions.place(&"bob".parse().unwrap()).is_ok());
        drop(places);
        assert!(sessions.place(&alice).is_ok());
    }
}
