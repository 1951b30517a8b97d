//! The one thread that holds the accounts and their files. Whoever looks something up, decides
//! and stores does so in one turn of it: nothing can change in between, and no lock is held over
//! a wait. Syncing a file takes milliseconds, which the runtime's threads need not spend.

use std::io;
use std::sync::mpsc;

use tokio::sync::oneshot;

use super::accounts::{Accounts, Change};
use super::clock::Now;
use super::store::{Store, StoreError};
use crate::protocol::Refusal;

/// Most turns that wait for the thread: one a connection, at most.
const TURNS_MAX: usize = super::gate::LOGINS_MAX + super::control::CONTROLS_MAX;

type Turn = Box<dyn FnOnce(&mut Pages) + Send>;

/// The way to the thread.
#[derive(Debug)]
pub(super) struct Book {
    turns: mpsc::SyncSender<Turn>,
}

/// What the thread holds.
#[derive(Debug)]
pub(super) struct Pages {
    pub(super) accounts: Accounts,
    store: Store,
}

/// Tells when the thread is gone, which only a defect can bring about.
#[derive(Debug)]
pub(super) struct Ended(oneshot::Receiver<()>);

impl Book {
    /// Starts the thread. It inherits the sandbox of the calling one.
    pub(super) fn open(accounts: Accounts, store: Store) -> io::Result<(Self, Ended)> {
        let (turns, waiting) = mpsc::sync_channel::<Turn>(TURNS_MAX);
        let (alive, ended) = oneshot::channel();
        let mut pages = Pages::over(accounts, store);
        std::thread::Builder::new().name("book".to_owned()).spawn(move || {
            let _alive: oneshot::Sender<()> = alive;
            for turn in waiting {
                turn(&mut pages);
            }
        })?;
        Ok((Self { turns }, Ended(ended)))
    }

    /// Does `turn` in the thread.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] where the thread is gone.
    pub(super) async fn turn<T: Send + 'static>(
        &self,
        turn: impl FnOnce(&mut Pages) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let (give, take) = oneshot::channel();
        let turn = Box::new(move |pages: &mut Pages| drop(give.send(turn(pages))));
        // There is a place for every connection's one turn, so this fails only without a thread.
        self.turns.try_send(turn).map_err(|_| Refusal::Unavailable)?;
        take.await.map_err(|_| Refusal::Unavailable)
    }
}

impl Pages {
    pub(super) fn over(accounts: Accounts, store: Store) -> Self {
        Self { accounts, store }
    }

    /// Makes a change, in the files and then here.
    ///
    /// # Errors
    /// Why it may not be made; [`Refusal::StorageFailed`] where the files say no, and then
    /// nothing has changed.
    pub(super) fn apply(&mut self, change: Change, now: Now) -> Result<(), Refusal> {
        let planned = self.accounts.plan(change, now.unix)?;
        match self.store.make(&planned) {
            Ok(()) => {
                self.accounts.commit(planned);
                Ok(())
            }
            Err(error @ StoreError::NotSynced { .. }) => {
                // The file is changed already, and what is here must agree with it. The one who
                // asked is told that it may not last.
                tracing::error!(%error, "the accounts are changed but may not outlive a power cut");
                self.accounts.commit(planned);
                Err(Refusal::StorageFailed)
            }
            Err(
                error @ (StoreError::Unchanged { .. }
                | StoreError::Folder { .. }
                | StoreError::NotAnAccount { .. }),
            ) => {
                tracing::error!(%error, "the accounts are not changed");
                Err(Refusal::StorageFailed)
            }
        }
    }
}

impl Ended {
    /// Waits for the end of the thread.
    pub(super) async fn wait(&mut self) {
        // The sender is never used; it goes with the thread.
        drop((&mut self.0).await);
    }
}
