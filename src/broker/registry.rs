//! The registry of live sessions: it enforces their bounds and keeps their records.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, mpsc};

use super::decisions::{Decision, note};
use super::orders::WorkerOrder;
use super::policy::Policy;
use super::records::{LeftBehind, Record, Records};
use super::session::{Session, SessionNews, Views};
use crate::names::{AccountName, Label, MachineName, SessionId};
use crate::protocol::{GuestRole, Refusal, Role};

/// Maximum number of sessions per account. A further one is refused with `too-many`.
const PER_ACCOUNT_MAX: usize = 64;

/// Maximum number of sessions in total. A further one is refused with `too-many`.
const SESSIONS_MAX: usize = 1024;

/// Capacity of the queue of news of the sessions, of which each follower has read a part. A channel
/// that falls further behind is closed.
const NEWS_QUEUE: usize = 256;

/// The live sessions, and the folder of their records.
#[derive(Debug)]
pub(super) struct Registry {
    live: Mutex<Live>,
    records: Records,
    news: broadcast::Sender<SessionNews>,
}

#[derive(Debug, Default)]
struct Live {
    sessions: BTreeMap<SessionId, Arc<Session>>,
    /// The accounts of openings under way, by reservation number. Removing an account removes its
    /// reservations, so a reservation that is missing here belonged to a removed account.
    opening: BTreeMap<u64, AccountName>,
    next_reservation: u64,
}

/// Room for a session that is being opened, so that concurrent openings cannot exceed the bounds.
/// Released on drop.
#[derive(Debug)]
pub(super) struct Reservation<'a> {
    registry: &'a Registry,
    number: u64,
}

impl Reservation<'_> {
    /// Checks that the account that made the reservation still exists.
    ///
    /// # Errors
    /// [`Refusal::NotGranted`] if the account was removed.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        self.registry.live().check(self.number)
    }
}

impl Live {
    fn check(&self, reservation: u64) -> Result<(), Refusal> {
        if self.opening.contains_key(&reservation) { Ok(()) } else { Err(Refusal::NotGranted) }
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.registry.live().opening.remove(&self.number);
    }
}

impl Registry {
    /// Creates a registry without sessions.
    pub(super) fn new(records: Records) -> Self {
        Self { live: Mutex::default(), records, news: broadcast::Sender::new(NEWS_QUEUE) }
    }

    /// Returns a receiver of what happens to the sessions from now on, and the sessions that there
    /// are. A session that is added meanwhile may be in both.
    pub(super) fn follow(&self) -> (broadcast::Receiver<SessionNews>, Vec<Arc<Session>>) {
        let news = self.news.subscribe();
        (news, self.page(None, SESSIONS_MAX))
    }

    /// Reserves room for one more session of this account.
    pub(super) fn reserve(&self, owner: &AccountName) -> Result<Reservation<'_>, Refusal> {
        let mut live = self.live();
        let theirs = live.sessions.values().filter(|session| session.is_of(owner)).count();
        let opening = live.opening.values().filter(|opening| *opening == owner).count();
        let all = live.sessions.len() + live.opening.len();
        if theirs + opening >= PER_ACCOUNT_MAX || all >= SESSIONS_MAX {
            return Err(Refusal::TooMany);
        }
        let number = live.next_reservation;
        live.next_reservation += 1;
        live.opening.insert(number, owner.clone());
        Ok(Reservation { registry: self, number })
    }

    /// Registers a new session. Its record is written before the session becomes live.
    ///
    /// # Errors
    /// The record cannot be written, or the account was removed.
    pub(super) fn register(
        &self,
        reservation: &Reservation<'_>,
        record: Record,
        worker: mpsc::Sender<WorkerOrder>,
    ) -> Result<Arc<Session>, Refusal> {
        self.records.keep(&record).map_err(|error| not_kept(&record, &error))?;
        let session = Session::of(record, worker, self.news.clone());
        let mut live = self.live();
        // The check and the insertion hold the same lock, so `part_with` either finds the session
        // among the live ones or has already invalidated its reservation.
        match live.check(reservation.number) {
            Ok(()) => drop(live.sessions.insert(session.record.id.clone(), Arc::clone(&session))),
            Err(refusal) => {
                drop(live);
                self.records.forget(&session.record.id);
                return Err(refusal);
            }
        }
        Ok(session)
    }

    /// Adds a session whose record exists already.
    pub(super) fn restore(&self, record: Record, worker: mpsc::Sender<WorkerOrder>) -> Arc<Session> {
        let session = Session::of(record, worker, self.news.clone());
        self.live().sessions.insert(session.record.id.clone(), Arc::clone(&session));
        session
    }

    /// Removes an account from all sessions, so that a later account of the same name inherits
    /// nothing. Its own sessions go on without an owner, it is no longer a guest of others, and its
    /// openings under way are refused. Returns the views to close, and [`Refusal::MayNotLast`] if a
    /// record could not be written.
    pub(super) fn part_with(&self, account: &AccountName) -> (Views, Result<(), Refusal>) {
        let concerned: Vec<_> = {
            let mut live = self.live();
            live.opening.retain(|_, opening| opening != account);
            // Includes sessions that have lost this owner before: their records may still have to
            // be written.
            let concerned = |session: &&Arc<Session>| {
                session.record.owner == *account || session.role_of(account).is_some()
            };
            live.sessions.values().filter(concerned).cloned().collect()
        };
        let (mut over, mut kept) = (Vec::new(), Ok(()));
        for session in concerned {
            let mut participants = session.participants();
            if participants.owner.as_ref() == Some(account) {
                note(Decision::Ownerless, None, &session.record);
            }
            over.extend(
                participants.part_with(account).into_iter().map(|viewer| (Arc::clone(&session), viewer)),
            );
            // Even if the record cannot be written, the change holds for as long as this broker
            // runs.
            let record = participants.record(&session.record);
            if let Err(error) = self.records.keep(&record) {
                not_kept(&record, &error);
                kept = Err(Refusal::MayNotLast);
            }
            drop(participants);
            session.has_changed();
        }
        (over, kept)
    }

    /// Renames a session. Its record is written first.
    pub(super) fn rename(&self, session: &Session, name: Option<Label>) -> Result<(), Refusal> {
        let mut participants = session.participants();
        let record = Record { name, ..participants.record(&session.record) };
        self.records.keep(&record).map_err(|error| not_kept(&record, &error))?;
        participants.name = record.name;
        drop(participants);
        session.has_changed();
        Ok(())
    }

    /// Shares a session with an account in this role, as far as the policy lets its owner, or stops
    /// sharing it if `role` is `None`, which the owner may do at any time. The record is written
    /// first.
    pub(super) fn share(
        &self,
        session: &Session,
        account: &AccountName,
        role: Option<GuestRole>,
        policy: &Policy,
    ) -> Result<(), Refusal> {
        let mut participants = session.participants();
        // Read under the lock: [`Self::withdraw_keyboards`] takes the lock after a new policy is in
        // force, so whatever an earlier one permits here is withdrawn there.
        let Record { owner, target, .. } = &session.record;
        match (role, policy.now().share(owner, target)) {
            (Some(_), None) => return Err(Refusal::NotShareable),
            (Some(GuestRole::Writer), Some(GuestRole::Watcher)) => return Err(Refusal::OnlyToWatch),
            (Some(GuestRole::Writer), Some(GuestRole::Writer))
            | (Some(GuestRole::Watcher), Some(_))
            | (None, _) => {}
        }
        let guests = participants.guests_with(account, role)?;
        let record = Record { guests, ..participants.record(&session.record) };
        self.records.keep(&record).map_err(|error| not_kept(&record, &error))?;
        participants.guests = record.guests;
        drop(participants);
        session.has_changed();
        Ok(())
    }

    /// Takes the keyboard from the guests of all sessions that may only be watched by the policy in
    /// force. Returns these guests, with the session. A policy that is wider again gives nothing
    /// back. The participants of every session are told what its owner may share now.
    pub(super) fn withdraw_keyboards(&self, policy: &Policy) -> Vec<(Arc<Session>, AccountName)> {
        let policy = policy.now();
        let sessions: Vec<_> = self.live().sessions.values().cloned().collect();
        let mut withdrawn = Vec::new();
        for session in sessions {
            let Record { owner, target, .. } = &session.record;
            if policy.share(owner, target) == Some(GuestRole::Watcher) {
                let mut participants = session.participants();
                let guests = participants.withdraw_keyboard();
                let record = participants.record(&session.record);
                if !guests.is_empty()
                    && let Err(error) = self.records.keep(&record)
                {
                    // It holds for as long as this broker runs, and the next one withdraws it
                    // again.
                    not_kept(&record, &error);
                }
                drop(participants);
                for guest in guests {
                    note(Decision::KeyboardWithdrawn(&guest), None, &session.record);
                    withdrawn.push((Arc::clone(&session), guest));
                }
            }
            session.has_changed();
        }
        withdrawn
    }

    /// Removes a session that is over, and its record.
    pub(super) fn forget(&self, id: &SessionId) -> Option<Arc<Session>> {
        self.records.forget(id);
        self.live().sessions.remove(id)
    }

    /// Returns the live session with this id.
    pub(super) fn find(&self, id: &SessionId) -> Option<Arc<Session>> {
        self.live().sessions.get(id).cloned()
    }

    /// Returns at most `most` sessions in the order of their ids, starting after `after`.
    pub(super) fn page(&self, after: Option<&SessionId>, most: usize) -> Vec<Arc<Session>> {
        let behind = |id: &SessionId| after.is_none_or(|after| id > after);
        let live = self.live();
        live.sessions.iter().filter(|(id, _)| behind(id)).take(most).map(|(_, s)| Arc::clone(s)).collect()
    }

    /// Returns the sessions that an account owns, oldest first.
    pub(super) fn of(&self, owner: &AccountName) -> Vec<Arc<Session>> {
        let theirs = |session: &&Arc<Session>| session.is_of(owner);
        let mut sessions: Vec<_> = self.live().sessions.values().filter(theirs).cloned().collect();
        sessions.sort_by_key(|session| session.record.opened);
        sessions
    }

    /// Returns at most `most` sessions of others that are shared with this account, oldest first.
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

    /// Returns the sessions on a machine.
    pub(super) fn on(&self, machine: &MachineName) -> Vec<Arc<Session>> {
        let there = |session: &&Arc<Session>| session.record.target.machine == *machine;
        self.live().sessions.values().filter(there).cloned().collect()
    }

    /// Reads the records that an earlier broker left.
    pub(super) fn left_behind(&self) -> io::Result<LeftBehind> {
        self.records.all()
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_kept(record: &Record, error: &io::Error) -> Refusal {
    tracing::error!(session = %record.id, %error, "the record cannot be kept: {error}");
    Refusal::StorageFailed
}

#[cfg(test)]
mod tests {
    use super::super::test_support;
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::new(Records::at(folder.path().to_owned()));
        let alice = "alice".parse().unwrap();
        let places: Vec<_> = (0..PER_ACCOUNT_MAX).map(|_| registry.reserve(&alice).unwrap()).collect();
        assert_eq!(registry.reserve(&alice).unwrap_err(), Refusal::TooMany);
        assert!(registry.reserve(&"bob".parse().unwrap()).is_ok());
        drop(places);
        assert!(registry.reserve(&alice).is_ok());
    }

    #[tokio::test]
    async fn a_keyboard_that_the_policy_withdraws_is_given_back_by_the_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let broker = test_support::broker(folder.path());
        let (session, _orders) = test_support::session(&broker, "aaaaaaaaaaaa");
        let (registry, bob) = (&broker.registry, "bob".parse().unwrap());
        let share = |role| registry.share(&session, &bob, role, &broker.policy);
        let stored = || registry.left_behind().unwrap().records[0].guests[0].role;
        share(Some(GuestRole::Writer)).unwrap();
        assert!(registry.withdraw_keyboards(&broker.policy).is_empty());

        test_support::set_policy(&broker, folder.path(), "share = \"watch\"");
        let changes = session.changes();
        let withdrawn = registry.withdraw_keyboards(&broker.policy);
        assert_eq!(withdrawn.iter().map(|(_, guest)| guest).collect::<Vec<_>>(), [&bob]);
        assert!(changes.has_changed().unwrap(), "the participants are told");
        assert_eq!((session.role_of(&bob), stored()), (Some(Role::Watcher), GuestRole::Watcher));
        assert_eq!(share(Some(GuestRole::Writer)), Err(Refusal::OnlyToWatch));
        assert_eq!(share(Some(GuestRole::Watcher)), Ok(()));
        assert!(registry.withdraw_keyboards(&broker.policy).is_empty());

        test_support::set_policy(&broker, folder.path(), "share = true");
        registry.withdraw_keyboards(&broker.policy);
        assert_eq!((session.role_of(&bob), stored()), (Some(Role::Watcher), GuestRole::Watcher));
        assert_eq!(share(Some(GuestRole::Writer)), Ok(()));
        // What may not be shared any more can still be taken back.
        test_support::set_policy(&broker, folder.path(), "share = false");
        assert_eq!(share(Some(GuestRole::Watcher)), Err(Refusal::NotShareable));
        assert_eq!(share(None), Ok(()));
    }

    #[test]
    fn nothing_of_a_gone_account_is_left_to_whoever_has_its_name_next() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::new(Records::at(folder.path().to_owned()));
        let alice: AccountName = "alice".parse().unwrap();
        let record =
            |id: &str| Record::of_now(id.parse().unwrap(), alice.clone(), "dev@box".parse().unwrap());
        let worker = || mpsc::channel(1).0;
        let (place, later) = (registry.reserve(&alice).unwrap(), registry.reserve(&alice).unwrap());
        let session = registry.register(&place, record("aaaaaaaaaaaa"), worker()).unwrap();
        registry.rename(&session, Label::cut("build")).unwrap();
        assert!(session.is_of(&alice) && later.check().is_ok());

        assert_eq!(registry.part_with(&alice).1, Ok(()));
        assert_eq!(session.role_of(&alice), None);
        assert!(registry.of(&alice).is_empty() && registry.find(&session.record.id).is_some());
        // Its opening under way is refused, although a new account has the same name.
        let _hers = registry.reserve(&alice).unwrap();
        assert_eq!(later.check(), Err(Refusal::NotGranted));
        let kept = registry.register(&later, record("bbbbbbbbbbbb"), worker());
        assert_eq!(kept.unwrap_err(), Refusal::NotGranted);
        // A record that could not be written is written when the removal is repeated.
        let path = folder.path().join("aaaaaaaaaaaa.json");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(registry.part_with(&alice).1, Err(Refusal::MayNotLast));
        std::fs::remove_dir(&path).unwrap();
        assert_eq!(registry.part_with(&alice).1, Ok(()));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        let left = registry.left_behind().unwrap().records;
        assert_eq!(left.len(), 1);
        assert!(left[0].ownerless && left[0].name == Label::cut("build") && left[0].owner == alice);
        let taken_up = registry.restore(left[0].clone(), worker());
        assert_eq!(taken_up.role_of(&alice), None);
    }
}
