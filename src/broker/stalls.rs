//! Machines whose bus did not answer while machined opened a shell. machined does one thing at a
//! time and waits for such a machine for up to 90 s, so nothing is opened there for a while.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Config;
use crate::names::{AccountName, MachineName};

/// How long nothing is opened after the first time. It doubles each time, up to the maximum.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const PAUSE_MAX: Duration = Duration::from_secs(10 * 60);

/// After this time without another, one time is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(20 * 60);

/// Most accounts and machines of which this is known. One more displaces the one whose pause is over
/// first.
const KNOWN_MAX: usize = 1024;

/// Who answers for a machine: the account that it belongs to alone, since an account can have several
/// machines and make more of them, or else the machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Responsible {
    Account(AccountName),
    Machine(MachineName),
}

impl Responsible {
    pub(super) fn of(machine: &MachineName, policy: &Config) -> Self {
        match policy.owner_of(machine) {
            Some(account) => Self::Account(account.clone()),
            None => Self::Machine(machine.clone()),
        }
    }
}

impl fmt::Display for Responsible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(account) => write!(f, "the machines of {account}"),
            Self::Machine(machine) => write!(f, "{machine}"),
        }
    }
}

/// The pauses.
#[derive(Debug, Default)]
pub(super) struct Stalls {
    known: Mutex<HashMap<Responsible, Stall>>,
}

#[derive(Debug)]
struct Stall {
    times: u32,
    /// When the last one was, and until when nothing is opened.
    last: Instant,
    until: Instant,
}

impl Stall {
    /// How many times still count.
    fn times_at(&self, now: Instant) -> u32 {
        let quiet = now.saturating_duration_since(self.last).as_secs() / FORGOTTEN_AFTER.as_secs();
        self.times.saturating_sub(u32::try_from(quiet).unwrap_or(u32::MAX))
    }
}

impl Stalls {
    /// Whether a shell may be opened there now.
    pub(super) fn allow(&self, responsible: &Responsible, now: Instant) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(responsible).is_none_or(|stall| now >= stall.until)
    }

    /// Whether no pause is left.
    pub(super) fn are_over(&self, now: Instant) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().all(|stall| now >= stall.until)
    }

    /// Counts a stall. Returns how long nothing is opened there.
    pub(super) fn count(&self, responsible: Responsible, now: Instant) -> Duration {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, stall| stall.times_at(now) > 0 || now < stall.until);
        if known.len() >= KNOWN_MAX && !known.contains_key(&responsible) {
            let first = known.iter().min_by_key(|(_, stall)| stall.until).map(|(first, _)| first.clone());
            first.and_then(|first| known.remove(&first));
        }
        let times = known.get(&responsible).map_or(0, |stall| stall.times_at(now)).saturating_add(1);
        let pause = FIRST_PAUSE.saturating_mul(1 << (times - 1).min(16)).min(PAUSE_MAX);
        known.insert(responsible, Stall { times, last: now, until: now + pause });
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn machine(name: &str) -> Responsible {
        Responsible::Machine(name.parse().unwrap())
    }

    #[test]
    fn pauses_grow_and_fade() {
        let (stalls, began) = (Stalls::default(), Instant::now());
        let (bad, good) = (machine("bad"), machine("good"));
        let mut now = began;
        let pauses: Vec<u64> = (0..9)
            .map(|_| {
                let pause = stalls.count(bad.clone(), now);
                assert!(!stalls.allow(&bad, now + pause - SECOND) && stalls.allow(&good, now));
                assert!(!stalls.are_over(now + pause - SECOND) && stalls.are_over(now + pause));
                now += pause;
                assert!(stalls.allow(&bad, now));
                pause.as_secs()
            })
            .collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 600, 600, 600]);
        now += 7 * FORGOTTEN_AFTER;
        assert_eq!(stalls.count(bad.clone(), now), FIRST_PAUSE * 4, "two of them still count");
        now += 10 * FORGOTTEN_AFTER;
        assert_eq!(stalls.count(bad, now), FIRST_PAUSE);
    }

    #[test]
    fn an_account_answers_for_all_of_its_machines() {
        let policy = Config::parse(
            r#"
            origin = "https://shell.example.org"
            [[grant]]
            accounts = ["alice", "bob"]
            machine = "{account}.{task}"
            user = "dev"
            [[grant]]
            accounts = ["alice", "bob"]
            machine = "web1"
            user = "dev"
            [[machine]]
            name = "{account}.{task}"
            template = "debian"
            "#,
            "tere.toml",
        )
        .unwrap();
        let of = |name: &str| Responsible::of(&name.parse().unwrap(), &policy);
        assert_eq!(of("alice.one"), of("alice.two"));
        assert_ne!(of("alice.one"), of("bob.one"));
        assert_eq!(of("web1"), machine("web1"));
    }

    #[test]
    fn there_is_a_bound_and_the_longest_pauses_stay() {
        let (stalls, now) = (Stalls::default(), Instant::now());
        let bad = machine("bad");
        stalls.count(bad.clone(), now);
        stalls.count(bad.clone(), now);
        for number in 0..2 * KNOWN_MAX {
            stalls.count(machine(&format!("m{number}")), now);
        }
        assert_eq!(stalls.known.lock().unwrap().len(), KNOWN_MAX);
        assert!(!stalls.allow(&bad, now + 2 * FIRST_PAUSE - SECOND));
    }
}
