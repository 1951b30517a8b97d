use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::source::Source;

/// What a failed sign-in costs its source. Each second pays back one second, so a source may fail
/// once in this time for ever.
const COST: Duration = Duration::from_secs(10);

/// The debt from which on a source may not try to sign in: after six failures at once.
const DEBT_MAX: Duration = Duration::from_secs(60);

/// Most sources (IPv4 addresses, IPv6 /64s) that are known to be in debt. One more displaces the one
/// whose debt is paid first.
const SOURCES_MAX: usize = 4096;

/// The sources of failed sign-ins. Those that failed often may not try for a while, which costs
/// neither auth nor anybody else anything. Sources behind a proxy on this host cannot be told apart,
/// and are not held back.
#[derive(Debug, Default)]
pub(super) struct Penalties {
    /// When the debt of each source is paid.
    paid: Mutex<HashMap<IpAddr, Instant>>,
}

impl Penalties {
    /// Whether a source may try to sign in now.
    pub(super) fn allow(&self, source: Source, now: Instant) -> bool {
        let Some(network) = source.network() else { return true };
        let paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        paid.get(&network).is_none_or(|paid| paid.saturating_duration_since(now) + COST <= DEBT_MAX)
    }

    /// Counts a failed sign-in.
    pub(super) fn failed(&self, source: Source, now: Instant) {
        let Some(network) = source.network() else { return };
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        if paid.len() >= SOURCES_MAX && !paid.contains_key(&network) {
            paid.retain(|_, paid| *paid > now);
            let first = paid.iter().min_by_key(|(_, paid)| **paid).map(|(network, _)| *network);
            if let Some(first) = first.filter(|_| paid.len() >= SOURCES_MAX) {
                paid.remove(&first);
            }
        }
        let debt = paid.entry(network).or_insert(now);
        *debt = (*debt).max(now) + COST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(text: &str) -> Source {
        Source::of(text.parse().unwrap())
    }

    #[test]
    fn who_fails_often_is_held_back_for_a_while_and_nobody_else() {
        let (penalties, began) = (Penalties::default(), Instant::now());
        let (mallory, alice) = (remote("2001:db8::1"), remote("192.0.2.1"));
        let fails = |now| {
            let allowed = penalties.allow(mallory, now);
            if allowed {
                penalties.failed(mallory, now);
            }
            allowed
        };
        assert_eq!((0..100).filter(|_| fails(began)).count(), 6);
        assert!(!penalties.allow(remote("2001:db8::ffff:2"), began), "the same /64");
        assert!(penalties.allow(alice, began));
        assert!(penalties.allow(Source::Local, began));
        // Then once in ten seconds.
        let hour = (0..3600).filter(|second| fails(began + Duration::from_secs(*second))).count();
        assert!((359..=360).contains(&hour), "{hour}");
        let later = began + Duration::from_secs(3600) + DEBT_MAX;
        assert_eq!((0..100).filter(|_| fails(later)).count(), 6, "it fades");
        (0..100).for_each(|_| penalties.failed(Source::Local, began));
        assert!(penalties.allow(Source::Local, began), "a proxy is many people");
    }

    #[test]
    fn there_is_a_bound_on_the_sources_and_the_worst_is_kept() {
        let (penalties, now) = (Penalties::default(), Instant::now());
        let worst = remote("192.0.2.1");
        (0..6).for_each(|_| penalties.failed(worst, now));
        for number in 0..2 * u32::try_from(SOURCES_MAX).unwrap() {
            penalties.failed(Source::Remote(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).into()), now);
        }
        assert_eq!(penalties.paid.lock().unwrap().len(), SOURCES_MAX);
        assert!(!penalties.allow(worst, now));
    }
}
