//! The touch of a passkey that a step-up channel stands for. It is good for one session.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clock;
use crate::names::SessionId;
use crate::protocol::Refusal;

/// A touch.
#[derive(Debug)]
pub(super) struct Touch {
    /// When auth verified it, in seconds since 1970.
    at: u64,
    /// When auth vouched for it.
    vouched: Instant,
    used: Mutex<TouchUse>,
}

/// What a touch was used for.
#[derive(Debug)]
enum TouchUse {
    /// Nothing.
    Unused,
    /// A session that is being opened, or that could not be opened or viewed.
    Spent,
    /// This session.
    Session(SessionId),
}

impl Touch {
    /// A touch that auth vouches for now.
    pub(super) fn vouched(at: u64) -> Self {
        Self { at, vouched: Instant::now(), used: Mutex::new(TouchUse::Unused) }
    }

    /// Uses the touch up.
    ///
    /// # Errors
    /// It was used before, or is older than `within`.
    pub(super) fn spend(&self, within: Duration) -> Result<(), Refusal> {
        self.spend_at(clock::now(), self.vouched.elapsed(), within)
    }

    /// The same at a given time. Both clocks must agree that the touch is fresh: the clock of the
    /// host may be set, in either direction, and the other one stands still while the host sleeps.
    fn spend_at(&self, now: u64, since_vouched: Duration, within: Duration) -> Result<(), Refusal> {
        let mut used = self.used();
        match *used {
            TouchUse::Unused => {}
            TouchUse::Spent | TouchUse::Session(_) => return Err(Refusal::TouchSpent),
        }
        let age = now.checked_sub(self.at);
        let fresh = since_vouched <= within && age.is_some_and(|age| Duration::from_secs(age) <= within);
        if !fresh {
            return Err(Refusal::TouchStale);
        }
        *used = TouchUse::Spent;
        Ok(())
    }

    /// Records the session that the touch was used for.
    pub(super) fn used_for(&self, session: &SessionId) {
        *self.used() = TouchUse::Session(session.clone());
    }

    /// Whether the touch was used for this session.
    pub(super) fn was_for(&self, session: &SessionId) -> bool {
        matches!(&*self.used(), TouchUse::Session(of) if of == session)
    }

    fn used(&self) -> MutexGuard<'_, TouchUse> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_touch_opens_one_session_and_may_view_that_one_again() {
        let touch = Touch::vouched(1000);
        let session: SessionId = "aaaaaaaaaaaa".parse().unwrap();
        assert!(!touch.was_for(&session));
        assert_eq!(touch.spend_at(1000, Duration::ZERO, MINUTE), Ok(()));
        assert_eq!(touch.spend_at(1000, Duration::ZERO, MINUTE), Err(Refusal::TouchSpent));
        assert!(!touch.was_for(&session));
        touch.used_for(&session);
        assert!(touch.was_for(&session) && !touch.was_for(&"bbbbbbbbbbbb".parse().unwrap()));
        assert_eq!(touch.spend_at(1000, Duration::ZERO, MINUTE), Err(Refusal::TouchSpent));
    }

    #[test]
    fn a_touch_is_fresh_only_if_both_clocks_say_so() {
        let spend = |now, since| Touch::vouched(1000).spend_at(now, since, MINUTE);
        assert_eq!((spend(1000, Duration::ZERO), spend(1060, MINUTE)), (Ok(()), Ok(())));
        let stale = Err(Refusal::TouchStale);
        // The host slept, or its clock was set.
        assert_eq!(spend(1061, Duration::ZERO), stale);
        assert_eq!(spend(1000, MINUTE + Duration::from_millis(1)), stale);
        assert_eq!(spend(999, Duration::ZERO), stale, "a touch of the future");
        assert_eq!(spend(0, Duration::ZERO), stale);
        // A stale touch is not used up; it stays stale.
        let touch = Touch::vouched(u64::MAX);
        assert_eq!(touch.spend(MINUTE), stale);
        assert_eq!(touch.spend(MINUTE), stale);
    }
}
