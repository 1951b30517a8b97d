use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::source::{Network, Source};

/// What a failed sign-in costs its IPv4 address or IPv6 /64. Each second pays back one second, so
/// such a source may fail once in this time for ever. A wider network pays the part of it that
/// [`Network::share`] says: a /48 may fail four times as often.
const COST: Duration = Duration::from_secs(10);

/// The debt from which on a source may not try to sign in: after six failures at once.
const DEBT_MAX: Duration = Duration::from_secs(60);

/// Most networks that are known to be in debt, up to three for each source. One more displaces the
/// one whose debt is paid first.
const NETWORKS_MAX: usize = 4096;

/// The networks of failed sign-ins. Whoever failed often may not try for a while, which costs
/// neither auth nor anybody else anything. Local sources are not held back: a proxy that does not
/// name its clients is all of them.
#[derive(Debug, Default)]
pub(super) struct Penalties {
    /// When the debt of each network is paid.
    paid: Mutex<HashMap<Network, Instant>>,
}

impl Penalties {
    /// Whether a source may try to sign in now.
    pub(super) fn allow(&self, source: Source, now: Instant) -> bool {
        let paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        source.networks().into_iter().all(|network| {
            let debt = paid.get(&network).map(|paid| paid.saturating_duration_since(now));
            debt.unwrap_or_default() + cost(network) <= DEBT_MAX
        })
    }

    /// Counts a failed sign-in.
    pub(super) fn failed(&self, source: Source, now: Instant) {
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        for network in source.networks() {
            if paid.len() >= NETWORKS_MAX && !paid.contains_key(&network) {
                paid.retain(|_, paid| *paid > now);
                let first = paid.iter().min_by_key(|(_, paid)| **paid).map(|(network, _)| *network);
                if let Some(first) = first.filter(|_| paid.len() >= NETWORKS_MAX) {
                    paid.remove(&first);
                }
            }
            let debt = paid.entry(network).or_insert(now);
            *debt = (*debt).max(now) + cost(network);
        }
    }
}

/// What a failed sign-in costs this network.
fn cost(network: Network) -> Duration {
    COST / network.share()
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
    fn whoever_spreads_over_a_wide_network_is_held_back_all_the_same() {
        let began = Instant::now();
        let failures = |format: fn(usize) -> String| {
            let penalties = Penalties::default();
            let tried = (0..100).map(|n| remote(&format(n)));
            let failed = tried.filter(|source| {
                let allowed = penalties.allow(*source, began);
                if allowed {
                    penalties.failed(*source, began);
                }
                allowed
            });
            failed.count()
        };
        assert_eq!(failures(|n| format!("2001:db8:1:{n:x}::1")), 12, "a /56");
        assert_eq!(failures(|n| format!("2001:db8:1:{:x}::1", n << 8)), 24, "a /48");
        assert_eq!(failures(|n| format!("2001:db8:{n:x}::1")), 100);
    }

    #[test]
    fn there_is_a_bound_on_the_sources_and_the_worst_is_kept() {
        let (penalties, now) = (Penalties::default(), Instant::now());
        let worst = remote("192.0.2.1");
        (0..6).for_each(|_| penalties.failed(worst, now));
        for number in 0..2 * u32::try_from(NETWORKS_MAX).unwrap() {
            penalties.failed(Source::Remote(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).into()), now);
        }
        assert_eq!(penalties.paid.lock().unwrap().len(), NETWORKS_MAX);
        assert!(!penalties.allow(worst, now));
    }
}
