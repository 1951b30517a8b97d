//! Turns: how many sessions are opened at once, of all and on one machine.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::names::MachineName;
use crate::protocol::Refusal;

/// How many sessions are opened at once. More only slow each other down until each misses its
/// deadlines; they wait for their turn instead.
const AT_ONCE: usize = 4;

/// How many of these on one machine. One that hangs keeps a turn for as long as machined has to answer; the others
/// are for the machines beside it.
const ON_ONE_MACHINE: usize = 2;

/// How long to wait for a turn, after which the person is told to try again.
const TURN_TIME: Duration = Duration::from_secs(60);

/// Who may open a session now.
#[derive(Debug)]
pub(super) struct Turns {
    all: Semaphore,
    /// Those machines on which somebody has a turn or waits for one; an entry of another goes with the next turn.
    machines: Mutex<HashMap<MachineName, Weak<Semaphore>>>,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    _of_all: SemaphorePermit<'a>,
    _on_the_machine: OwnedSemaphorePermit,
}

impl Default for Turns {
    fn default() -> Self {
        Self { all: Semaphore::new(AT_ONCE), machines: Mutex::default() }
    }
}

impl Turns {
    /// Waits for a turn on this machine. The machine's own first: whoever waits for it holds up nobody else.
    pub(super) async fn take(&self, machine: &MachineName) -> Result<Turn<'_>, Refusal> {
        let turn = async {
            let on_the_machine = self.on(machine).acquire_owned().await;
            (on_the_machine, self.all.acquire().await)
        };
        match tokio::time::timeout(TURN_TIME, turn).await {
            Ok((Ok(on_the_machine), Ok(of_all))) => {
                Ok(Turn { _of_all: of_all, _on_the_machine: on_the_machine })
            }
            // Nobody closes them: it took too long.
            Ok((Err(_), _) | (_, Err(_))) | Err(_) => Err(Refusal::Unavailable),
        }
    }

    fn on(&self, machine: &MachineName) -> Arc<Semaphore> {
        let mut machines = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = machines.get(machine).and_then(Weak::upgrade) {
            return there;
        }
        machines.retain(|_, turns| turns.strong_count() > 0);
        let turns = Arc::new(Semaphore::new(ON_ONE_MACHINE));
        machines.insert(machine.clone(), Arc::downgrade(&turns));
        turns
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn one_machine_has_not_all_turns_and_none_is_remembered_for_ever() {
        let turns = Turns::default();
        let machine = |name: &str| name.parse::<MachineName>().unwrap();
        let (frozen, other, third) = (machine("frozen"), machine("other"), machine("third"));
        let now = |machine| turns.take(machine).now_or_never();
        let held: Vec<_> = (0..ON_ONE_MACHINE).map(|_| now(&frozen).unwrap().unwrap()).collect();
        assert!(now(&frozen).is_none());
        // Those who wait for the frozen one are in nobody's way.
        let mut waits = Box::pin(turns.take(&frozen));
        assert!(waits.as_mut().now_or_never().is_none());
        let others: Vec<_> = (0..AT_ONCE - ON_ONE_MACHINE).map(|_| now(&other).unwrap().unwrap()).collect();
        assert!(now(&third).is_none());
        drop(others);
        drop(now(&third).unwrap().unwrap());
        drop(held);
        assert!(waits.await.is_ok());
        drop(now(&third).unwrap());
        drop(now(&other).unwrap());
        assert_eq!(turns.machines.lock().unwrap().len(), 1);
    }
}
