//! The limit on concurrent openings of sessions, in total and per machine.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::names::MachineName;
use crate::protocol::Refusal;

/// Maximum number of concurrent openings; further ones wait. More would only slow each other down
/// until each misses its deadlines.
const AT_ONCE: usize = 4;

/// Maximum number of concurrent openings on one machine. An opening on a machine that hangs keeps
/// its permit for as long as machined has to answer; the other permits are for other machines.
const ON_ONE_MACHINE: usize = 2;

/// How long an opening waits for a permit before the person is told to try again.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(60);

/// The limiter of concurrent openings.
#[derive(Debug)]
pub(super) struct StartLimiter {
    all: Semaphore,
    /// The machines on which an opening runs or waits. Other entries are removed when a machine is
    /// added.
    machines: Mutex<HashMap<MachineName, Weak<Semaphore>>>,
}

/// A permit to open a session, released on drop.
#[derive(Debug)]
pub(super) struct StartPermit<'a> {
    _of_all: SemaphorePermit<'a>,
    _on_the_machine: OwnedSemaphorePermit,
}

impl Default for StartLimiter {
    fn default() -> Self {
        Self { all: Semaphore::new(AT_ONCE), machines: Mutex::default() }
    }
}

impl StartLimiter {
    /// Waits for a permit to open a session on this machine. The limit of the machine is acquired
    /// first, so that an opening that waits for it does not hold up other machines.
    pub(super) async fn acquire(&self, machine: &MachineName) -> Result<StartPermit<'_>, Refusal> {
        let permit = async {
            let on_the_machine = self.on(machine).acquire_owned().await;
            (on_the_machine, self.all.acquire().await)
        };
        match tokio::time::timeout(PERMIT_TIMEOUT, permit).await {
            Ok((Ok(on_the_machine), Ok(of_all))) => {
                Ok(StartPermit { _of_all: of_all, _on_the_machine: on_the_machine })
            }
            // The semaphores are never closed, so this is the timeout.
            Ok((Err(_), _) | (_, Err(_))) | Err(_) => Err(Refusal::Unavailable),
        }
    }

    fn on(&self, machine: &MachineName) -> Arc<Semaphore> {
        let mut machines = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = machines.get(machine).and_then(Weak::upgrade) {
            return there;
        }
        machines.retain(|_, limit| limit.strong_count() > 0);
        let limit = Arc::new(Semaphore::new(ON_ONE_MACHINE));
        machines.insert(machine.clone(), Arc::downgrade(&limit));
        limit
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn one_machine_does_not_take_every_permit_and_none_is_remembered_for_ever() {
        let limiter = StartLimiter::default();
        let machine = |name: &str| name.parse::<MachineName>().unwrap();
        let (frozen, other, third) = (machine("frozen"), machine("other"), machine("third"));
        let now = |machine| limiter.acquire(machine).now_or_never();
        let held: Vec<_> = (0..ON_ONE_MACHINE).map(|_| now(&frozen).unwrap().unwrap()).collect();
        assert!(now(&frozen).is_none());
        // An opening that waits for the frozen machine does not hold up others.
        let mut waits = Box::pin(limiter.acquire(&frozen));
        assert!(waits.as_mut().now_or_never().is_none());
        let others: Vec<_> = (0..AT_ONCE - ON_ONE_MACHINE).map(|_| now(&other).unwrap().unwrap()).collect();
        assert!(now(&third).is_none());
        drop(others);
        drop(now(&third).unwrap().unwrap());
        drop(held);
        assert!(waits.await.is_ok());
        drop(now(&third).unwrap());
        drop(now(&other).unwrap());
        assert_eq!(limiter.machines.lock().unwrap().len(), 1);
    }
}
