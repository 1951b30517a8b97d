use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::source::Source;

/// Most connections to auth at a time, for a challenge each. auth has 256 places; the rest are for
/// those that are just being closed. One more displaces another.
pub(super) const LOGINS_MAX: usize = 224;

/// The connections to auth that are open. If all places are taken, the source (an IPv4 address, an
/// IPv6 /64, or all proxies on this host together) that has the most of them loses its oldest.
#[derive(Debug, Default)]
pub(super) struct LoginPlaces {
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    /// The number of the next place.
    next: u64,
    /// By number, so that the oldest comes first.
    places: BTreeMap<u64, (Option<IpAddr>, Arc<Notify>)>,
}

/// A place, which is free again when this is dropped.
#[derive(Debug)]
pub(super) struct LoginPlace {
    all: Arc<LoginPlaces>,
    number: u64,
    displaced: Arc<Notify>,
}

impl LoginPlaces {
    /// Takes a place for a login from `source`.
    pub(super) fn take(self: &Arc<Self>, source: Source) -> LoginPlace {
        let mut taken = self.lock();
        if taken.places.len() >= LOGINS_MAX {
            taken.displace();
        }
        let (number, displaced) = (taken.next, Arc::new(Notify::new()));
        taken.next += 1;
        taken.places.insert(number, (source.network(), Arc::clone(&displaced)));
        LoginPlace { all: Arc::clone(self), number, displaced }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Frees the oldest place of the source that has the most.
    fn displace(&mut self) {
        let mut counts: HashMap<Option<IpAddr>, (usize, u64)> = HashMap::new();
        for (number, (network, _)) in &self.places {
            counts.entry(*network).or_insert((0, *number)).0 += 1;
        }
        let worst = counts.into_values().max_by_key(|(count, oldest)| (*count, std::cmp::Reverse(*oldest)));
        if let Some((_, displaced)) = worst.and_then(|(_, oldest)| self.places.remove(&oldest)) {
            displaced.notify_one();
        }
    }
}

impl LoginPlace {
    /// Waits until another login has taken the place.
    pub(super) async fn displaced(&self) {
        self.displaced.notified().await;
    }
}

impl Drop for LoginPlace {
    fn drop(&mut self) {
        self.all.lock().places.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn remote(text: &str) -> Source {
        Source::of(text.parse().unwrap())
    }

    #[test]
    fn whoever_holds_the_most_places_loses_the_oldest_and_nobody_else_any() {
        let places = Arc::new(LoginPlaces::default());
        let alice = places.take(remote("192.0.2.1"));
        let mut held: Vec<_> =
            (0..LOGINS_MAX).map(|n| places.take(remote(&format!("2001:db8::{n:x}")))).collect();
        let is_displaced = |place: &LoginPlace| place.displaced().now_or_never().is_some();
        assert!(is_displaced(&held[0]), "the oldest of the /64");
        let bob = places.take(Source::Local);
        assert!(is_displaced(&held[1]));
        assert!(!held[2..].iter().chain([&alice, &bob]).any(is_displaced));
        assert_eq!(places.lock().places.len(), LOGINS_MAX);
        // A place that is given up is free.
        held.truncate(10);
        let carol = places.take(remote("192.0.2.3"));
        assert!(!held[2..].iter().chain([&alice, &bob, &carol]).any(is_displaced));
        drop((held, alice, bob, carol));
        assert!(places.lock().places.is_empty());
    }
}
