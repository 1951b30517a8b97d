//! Places for people who are not signed in. Taking one never fails: if there is none left, somebody
//! else loses theirs.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::source::{Network, Source};

/// Places of one kind. All local sources together count as one source, without a bound of its own.
#[derive(Debug)]
pub(super) struct Places {
    /// Most places. One more displaces the oldest of the source that has the most.
    max: usize,
    /// Most places of one IPv4 address or IPv6 /64; wider networks have the multiple that
    /// [`Network::share`] says. One more displaces the oldest of that network.
    per_source_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    /// The number of the next place.
    next: u64,
    /// By number, so that the oldest comes first.
    places: BTreeMap<u64, Holder>,
}

#[derive(Debug)]
struct Holder {
    /// The widest first.
    networks: Vec<Network>,
    displaced: Arc<Notify>,
}

/// A place, which is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    all: Arc<Places>,
    number: u64,
    displaced: Arc<Notify>,
}

impl Places {
    pub(super) fn new(max: usize, per_source_max: usize) -> Arc<Self> {
        Arc::new(Self { max, per_source_max, taken: Mutex::default() })
    }

    /// Takes a place for `source`.
    pub(super) fn take(self: &Arc<Self>, source: Source) -> Place {
        let displaced = Arc::new(Notify::new());
        let number = self.enter(source, Arc::clone(&displaced));
        Place { all: Arc::clone(self), number, displaced }
    }

    fn enter(&self, source: Source, displaced: Arc<Notify>) -> u64 {
        let networks = source.networks();
        let mut taken = self.lock();
        for network in networks.iter().rev() {
            let share = usize::try_from(network.share()).unwrap_or(1);
            if taken.held_by(*network) >= self.per_source_max * share {
                taken.displace(Some(*network));
            }
        }
        if taken.places.len() >= self.max {
            taken.displace(None);
        }
        let number = taken.next;
        taken.next += 1;
        taken.places.insert(number, Holder { networks, displaced });
        number
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn held_by(&self, network: Network) -> usize {
        self.places.values().filter(|holder| holder.networks.contains(&network)).count()
    }

    /// Frees a place of the source that has the most in this network, or in all: of the widest
    /// networks the one with the most, in it the narrower one with the most, and there the oldest.
    fn displace(&mut self, within: Option<Network>) {
        let mut candidates: Vec<(u64, &[Network])> = self
            .places
            .iter()
            .filter(|(_, holder)| within.is_none_or(|network| holder.networks.contains(&network)))
            .map(|(number, holder)| (*number, holder.networks.as_slice()))
            .collect();
        let levels = candidates.iter().map(|(_, networks)| networks.len()).max().unwrap_or_default();
        for level in 0..levels {
            // How many each network has, and its oldest.
            let mut counts: HashMap<Option<&Network>, (usize, u64)> = HashMap::new();
            for (number, networks) in &candidates {
                counts.entry(networks.get(level)).or_insert((0, *number)).0 += 1;
            }
            let worst = counts
                .into_iter()
                .max_by_key(|(_, (count, oldest))| (*count, std::cmp::Reverse(*oldest)))
                .map(|(network, _)| network);
            candidates.retain(|(_, networks)| Some(networks.get(level)) == worst);
        }
        let oldest = candidates.first().map(|(number, _)| *number);
        if let Some(holder) = oldest.and_then(|number| self.places.remove(&number)) {
            holder.displaced.notify_one();
        }
    }
}

impl Place {
    /// Waits until somebody else has taken the place.
    pub(super) async fn displaced(&self) {
        self.displaced.notified().await;
    }

    /// Notified when somebody else has taken the place.
    pub(super) fn notice(&self) -> Arc<Notify> {
        Arc::clone(&self.displaced)
    }

    /// Gives up the place. Returns false if somebody else has taken it.
    pub(super) fn leave(&self) -> bool {
        self.all.lock().places.remove(&self.number).is_some()
    }

    /// Counts the place for this source from now on, which may displace another place of it.
    pub(super) fn move_to(&mut self, source: Source) {
        if self.leave() {
            self.number = self.all.enter(source, Arc::clone(&self.displaced));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const MAX: usize = 40;
    const PER_SOURCE_MAX: usize = 4;

    fn remote(text: &str) -> Source {
        Source::of(text.parse().unwrap())
    }

    fn is_displaced(place: &Place) -> bool {
        place.displaced().now_or_never().is_some()
    }

    #[test]
    fn whoever_holds_the_most_places_loses_the_oldest_and_nobody_else_any() {
        let places = Places::new(MAX, MAX);
        let alice = places.take(remote("192.0.2.1"));
        let mut held: Vec<_> = (0..MAX).map(|n| places.take(remote(&format!("2001:db8::{n:x}")))).collect();
        assert!(is_displaced(&held[0]), "the oldest of the /64");
        let bob = places.take(Source::Local);
        assert!(is_displaced(&held[1]));
        assert!(!held[2..].iter().chain([&alice, &bob]).any(is_displaced));
        assert_eq!(places.lock().places.len(), MAX);
        // A place that is given up is free.
        held.truncate(10);
        let carol = places.take(remote("192.0.2.3"));
        assert!(!held[2..].iter().chain([&alice, &bob, &carol]).any(is_displaced));
        drop((held, alice, bob, carol));
        assert!(places.lock().places.is_empty());
    }

    #[test]
    fn whoever_spreads_over_a_wide_network_loses_places_before_anybody_else() {
        let places = Places::new(MAX, MAX);
        let alice: Vec<_> = (0..2).map(|_| places.take(remote("2001:db8:a::1"))).collect();
        let bob: Vec<_> = (0..2).map(|_| places.take(remote("192.0.2.1"))).collect();
        // Each from a /64 of its own, but all in one /48.
        let held: Vec<_> = (0..MAX).map(|n| places.take(remote(&format!("2001:db8:b:{n:x}::1")))).collect();
        assert!(!alice.iter().chain(&bob).any(is_displaced));
        assert_eq!(held.iter().filter(|place| is_displaced(place)).count(), 4);
    }

    #[test]
    fn a_network_has_its_bound_and_loses_its_own_oldest() {
        let places = Places::new(MAX, PER_SOURCE_MAX);
        let alice = places.take(remote("192.0.2.1"));
        let held_of = |format: fn(usize) -> String| {
            let held: Vec<_> = (0..30).map(|n| places.take(remote(&format(n)))).collect();
            let displaced = held.iter().filter(|place| is_displaced(place)).count();
            assert!(!is_displaced(&alice));
            30 - displaced
        };
        assert_eq!(held_of(|_| "192.0.2.2".to_owned()), PER_SOURCE_MAX);
        assert_eq!(held_of(|n| format!("2001:db8:1::{n:x}")), PER_SOURCE_MAX, "a /64");
        assert_eq!(held_of(|n| format!("2001:db8:1:{n:x}::1")), 2 * PER_SOURCE_MAX, "a /56");
        assert_eq!(held_of(|n| format!("2001:db8:1:{:x}::1", n << 8)), 4 * PER_SOURCE_MAX, "a /48");
        assert_eq!(held_of(|n| format!("2001:db8:{n:x}::1")), 30);
        let local: Vec<_> = (1..MAX).map(|_| places.take(Source::Local)).collect();
        assert!(!local.iter().any(is_displaced), "a proxy is many people");
    }

    #[test]
    fn a_place_moves_to_the_source_that_a_proxy_names() {
        let places = Places::new(MAX, PER_SOURCE_MAX);
        let move_to = |text| {
            let mut place = places.take(Source::Local);
            place.move_to(remote(text));
            place
        };
        let held: Vec<_> = (0..=PER_SOURCE_MAX).map(|_| move_to("192.0.2.1")).collect();
        assert!(is_displaced(&held[0]));
        assert!(!held[1..].iter().any(is_displaced));
        assert_eq!(places.lock().places.len(), PER_SOURCE_MAX);
        // Whoever has lost a place gets none by moving.
        let mut lost = places.take(Source::Local);
        let _others: Vec<_> = (0..MAX).map(|_| places.take(Source::Local)).collect();
        lost.move_to(remote("192.0.2.9"));
        assert!(!lost.leave());
    }
}
