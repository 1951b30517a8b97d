//! The account store: the one thread that holds the accounts and their files. A lookup, the
//! decision based on it and the resulting write are one job of this thread, so nothing can change
//! in between, and no lock is held across an await. Syncing a file takes milliseconds, which would
//! otherwise block the runtime's threads.

use std::io;
use std::sync::mpsc;

use tokio::sync::oneshot;

use super::account_files::{AccountFiles, FilesError};
use super::accounts::{Accounts, Change, Planned, Unusable};
use super::bounds::{CONTROLS_MAX, LOGINS_MAX};
use super::clock::Now;
use crate::protocol::Refusal;
use crate::protocol::control::{ToCli, UnusableFile};
use crate::sandbox::{self, AllowedPath, Thread};

/// Maximum number of jobs that wait for the thread: one per connection.
const JOBS_MAX: usize = LOGINS_MAX + CONTROLS_MAX;

type Job = Box<dyn FnOnce(&mut StoredAccounts) + Send>;

/// The handle of the thread.
#[derive(Debug)]
pub(super) struct AccountStore {
    jobs: mpsc::SyncSender<Job>,
}

/// The state of the thread.
#[derive(Debug)]
pub(super) struct StoredAccounts {
    pub(super) accounts: Accounts,
    store: AccountFiles,
}

/// Reports that the thread has ended, which only a bug can cause.
#[derive(Debug)]
pub(super) struct Ended(oneshot::Receiver<()>);

impl AccountStore {
    /// Starts the thread, which enters a sandbox with `paths` of its own: whoever is in one starts
    /// no thread.
    pub(super) fn open(
        accounts: Accounts,
        store: AccountFiles,
        paths: &[AllowedPath],
    ) -> io::Result<(Self, Ended)> {
        let (jobs, waiting) = mpsc::sync_channel::<Job>(JOBS_MAX);
        let (alive, ended) = oneshot::channel();
        let mut stored = StoredAccounts::over(accounts, store);
        let paths = paths.to_vec();
        std::thread::Builder::new().name("accounts".to_owned()).spawn(move || {
            sandbox::enter_or_abort(Thread::Auth, &paths);
            let _alive: oneshot::Sender<()> = alive;
            for job in waiting {
                job(&mut stored);
            }
        })?;
        Ok((Self { jobs }, Ended(ended)))
    }

    /// Runs `job` in the thread, and returns its result.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] if the thread has ended.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut StoredAccounts) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let (give, take) = oneshot::channel();
        let job = Box::new(move |stored: &mut StoredAccounts| drop(give.send(job(stored))));
        // Each connection has at most one job, and the queue has room for all of them, so this
        // fails only if the thread has ended.
        self.jobs.try_send(job).map_err(|_| Refusal::Unavailable)?;
        take.await.map_err(|_| Refusal::Unavailable)
    }
}

impl StoredAccounts {
    pub(super) fn over(accounts: Accounts, store: AccountFiles) -> Self {
        Self { accounts, store }
    }

    /// Makes a change in the files, and then in memory.
    ///
    /// # Errors
    /// Why the change is not allowed, or [`Refusal::StorageFailed`] if the files cannot be changed.
    /// In both cases nothing has changed.
    pub(super) fn apply(&mut self, change: Change, now: Now) -> Result<Persistence, Refusal> {
        let planned = self.accounts.plan(change, now.moment())?;
        let made = match self.store.make(&planned) {
            Ok(()) => Persistence::Done,
            Err(error) => in_spite_of(&error, &planned)?,
        };
        self.accounts.commit(planned);
        Ok(made)
    }

    /// Lists the files that are not valid account files, for `tere`.
    pub(super) fn unusable(&self) -> ToCli {
        let file = |unusable: &Unusable| UnusableFile {
            file: unusable.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            name: unusable.name.clone(),
        };
        let files = self.accounts.unusable().iter().map(file).collect();
        ToCli::Unusable { folder: self.store.folder().display().to_string(), files }
    }
}

/// How well a change is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Persistence {
    /// The change is stored as well as it needs to be.
    Done,
    /// The change is in the files, but may not survive a power failure.
    Unsynced,
}

impl Persistence {
    /// Makes [`Self::Unsynced`] an error, for callers that must report it.
    ///
    /// # Errors
    /// [`Refusal::MayNotLast`].
    pub(super) fn into_result(self) -> Result<(), Refusal> {
        match self {
            Self::Done => Ok(()),
            Self::Unsynced => Err(Refusal::MayNotLast),
        }
    }
}

/// Returns the result of a change that could not be stored properly.
fn in_spite_of(error: &FilesError, planned: &Planned) -> Result<Persistence, Refusal> {
    match (planned, error) {
        (
            Planned::Note(account),
            FilesError::NotSynced { .. }
            | FilesError::Unchanged { .. }
            | FilesError::Folder { .. }
            | FilesError::NotAnAccount { .. },
        ) => {
            tracing::warn!(account = %account.name, %error, "the time of a sign-in is not stored: {error}");
            Ok(Persistence::Done)
        }
        (Planned::Write(_) | Planned::Remove { .. }, FilesError::NotSynced { .. }) => {
            // The file has changed already, and memory must agree with it.
            tracing::error!(%error, "the accounts were changed, but a power cut may undo it: {error}");
            Ok(Persistence::Unsynced)
        }
        (
            Planned::Write(_) | Planned::Remove { .. },
            FilesError::Unchanged { .. } | FilesError::Folder { .. } | FilesError::NotAnAccount { .. },
        ) => {
            tracing::error!(%error, "the accounts were not changed: {error}");
            Err(Refusal::StorageFailed)
        }
    }
}

impl Ended {
    /// Waits until the thread has ended.
    pub(super) async fn wait(&mut self) {
        // Nothing is ever sent. The sender is dropped when the thread ends.
        drop((&mut self.0).await);
    }
}

#[cfg(test)]
mod tests {
    use landlock::{AccessFs, Ruleset, RulesetAttr as _};

    use super::super::accounts::{AccountId, Link};
    use super::super::secret::EnrolSecret;
    use super::*;

    #[test]
    fn what_stands_but_may_not_last_is_made_and_said_to_be() {
        let folder = tempfile::tempdir().unwrap();
        let store = AccountFiles::open(folder.path()).unwrap();
        let mut stored = StoredAccounts::over(store.read_all().unwrap(), store);
        let name: crate::names::AccountName = "alice".parse().unwrap();
        let link = Link { hash: EnrolSecret::random().unwrap().hash(), expires: u64::MAX };
        let id = AccountId::random().unwrap();
        let changes = [Change::Add { id, name: name.clone(), link }, Change::Remove { name }];
        // A thread that may write files, but not open the folder to sync it.
        let made = std::thread::scope(|scope| {
            let unsynced = || {
                let rules = Ruleset::default().handle_access(AccessFs::ReadDir).unwrap();
                rules.create().unwrap().restrict_self().unwrap();
                changes
                    .map(|change| (stored.apply(change, Now::read()), stored.accounts.summaries(None).len()))
            };
            scope.spawn(unsynced).join().unwrap()
        });
        assert_eq!(made, [(Ok(Persistence::Unsynced), 1), (Ok(Persistence::Unsynced), 0)]);
        assert_eq!(Persistence::Unsynced.into_result(), Err(Refusal::MayNotLast));
        assert_eq!(std::fs::read_dir(folder.path().join("accounts")).unwrap().count(), 0);
    }
}
