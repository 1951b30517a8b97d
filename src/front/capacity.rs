use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::places::{Place, Places};
use super::source::Source;

/// Most open sockets on which nobody is signed in, those that speak HTTP included. One more
/// displaces the oldest of the source that has the most, whose socket is closed at once.
pub(super) const ANONYMOUS_MAX: usize = 1024;

/// Most of them from one IPv4 address or IPv6 /64, enough for an office behind one address. One
/// more displaces the oldest from there. An IPv6 /56 has twice as many, and a /48 four times.
pub(super) const ANONYMOUS_PER_SOURCE_MAX: usize = 64;

/// Most connections that are signed in, as many as the broker has channels for. A further sign-in
/// is refused with `busy`. Nobody who is not signed in can take these places, nor these the others.
pub(super) const SIGNED_IN_MAX: usize = 1024;

/// Most connections to auth at a time, for a challenge each. auth has 256 places; the rest are for
/// those that are just being closed. One more displaces the oldest of the source that has the most,
/// whose challenge is given up.
pub(super) const LOGINS_MAX: usize = 224;

/// Most of them for one IPv4 address or IPv6 /64. One more displaces the oldest from there. An IPv6
/// /56 has twice as many, and a /48 four times.
pub(super) const LOGINS_PER_SOURCE_MAX: usize = 32;

/// The bounds on what browsers may have at a time.
#[derive(Debug)]
pub(super) struct Capacity {
    anonymous: Arc<Places>,
    signed_in: Arc<Semaphore>,
    logins: Arc<Places>,
}

/// The place of one open socket. Dropping it frees the place.
#[derive(Debug)]
pub(super) struct SocketPlace {
    held: Mutex<Held>,
    displaced: Arc<Notify>,
    signed_in: Arc<Semaphore>,
}

#[derive(Debug)]
enum Held {
    Anonymous(Place),
    SignedIn { _permit: OwnedSemaphorePermit },
}

impl Default for Capacity {
    fn default() -> Self {
        Self {
            anonymous: Places::new(ANONYMOUS_MAX, ANONYMOUS_PER_SOURCE_MAX),
            signed_in: Arc::new(Semaphore::new(SIGNED_IN_MAX)),
            logins: Places::new(LOGINS_MAX, LOGINS_PER_SOURCE_MAX),
        }
    }
}

impl Capacity {
    /// Takes a place for one more socket from `source`.
    pub(super) fn socket(&self, source: Source) -> SocketPlace {
        let place = self.anonymous.take(source);
        let displaced = place.notice();
        let signed_in = Arc::clone(&self.signed_in);
        SocketPlace { held: Mutex::new(Held::Anonymous(place)), displaced, signed_in }
    }

    /// Takes a place for a challenge to somebody at `source`.
    pub(super) fn login(&self, source: Source) -> Place {
        self.logins.take(source)
    }
}

impl SocketPlace {
    /// Waits until another socket has taken the place. Never resolves once somebody is signed in.
    pub(super) async fn displaced(&self) {
        self.displaced.notified().await;
    }

    /// Counts the socket for this source from now on, because a proxy has named it.
    pub(super) fn move_to(&self, source: Source) {
        if let Held::Anonymous(place) = &mut *self.held.lock().unwrap_or_else(PoisonError::into_inner) {
            place.move_to(source);
        }
    }

    /// Exchanges the place for one of those who are signed in. Returns false if there is none, or
    /// if another socket has just taken this one.
    pub(super) fn sign_in(&self) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Held::Anonymous(place) = &*held else { return true };
        let Ok(permit) = Arc::clone(&self.signed_in).try_acquire_owned() else { return false };
        let is_ours = place.leave();
        if is_ours {
            *held = Held::SignedIn { _permit: permit };
        }
        is_ours
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn remote(text: &str) -> Source {
        Source::of(text.parse().unwrap())
    }

    fn is_displaced(place: &SocketPlace) -> bool {
        place.displaced().now_or_never().is_some()
    }

    #[test]
    fn one_source_does_not_take_the_places_of_others() {
        let capacity = Capacity::default();
        let alice = capacity.socket(remote("192.0.2.1"));
        let held: Vec<_> = (0..=ANONYMOUS_PER_SOURCE_MAX)
            .map(|n| capacity.socket(remote(&format!("2001:db8::{n:x}"))))
            .collect();
        assert!(is_displaced(&held[0]), "the /64 has had its places");
        assert!(!held[1..].iter().chain([&alice]).any(is_displaced));
    }

    #[test]
    fn idle_sockets_keep_nobody_from_signing_in() {
        let capacity = Capacity::default();
        let alice = capacity.socket(remote("192.0.2.1"));
        let idle: Vec<_> = (0..2 * ANONYMOUS_MAX).map(|_| capacity.socket(Source::Local)).collect();
        let bob = capacity.socket(Source::Local);
        assert_eq!(idle.iter().filter(|place| is_displaced(place)).count(), ANONYMOUS_MAX + 2);
        assert!(!is_displaced(&alice) && alice.sign_in());
        assert!(!is_displaced(&bob) && bob.sign_in());
        assert!(!idle[0].sign_in(), "it has lost its place");
    }

    #[test]
    fn those_who_are_signed_in_keep_their_places_and_take_no_others() {
        let capacity = Capacity::default();
        let signed_in: Vec<_> = (0..SIGNED_IN_MAX)
            .map(|_| {
                let place = capacity.socket(Source::Local);
                assert!(place.sign_in());
                place
            })
            .collect();
        let late = capacity.socket(Source::Local);
        assert!(!late.sign_in() && !is_displaced(&late));
        let idle: Vec<_> = (1..ANONYMOUS_MAX).map(|_| capacity.socket(Source::Local)).collect();
        assert!(!signed_in.iter().chain(&idle).chain([&late]).any(is_displaced));
        let _more: Vec<_> = (0..ANONYMOUS_MAX).map(|_| capacity.socket(Source::Local)).collect();
        assert!(!signed_in.iter().any(is_displaced));
        drop(signed_in);
        assert!(capacity.socket(Source::Local).sign_in(), "their places are free again");
    }

    #[test]
    fn the_unit_lets_all_of_them_have_all_their_channels() {
        let unit = include_str!("../../systemd/tere-front.service");
        let limit = unit.lines().find_map(|line| line.strip_prefix("LimitNOFILE=")).unwrap();
        // Each socket needs a descriptor, and one for its channel to auth or the broker. Whoever is
        // signed in also needs one for each viewer, and one for the channel of its step-up.
        let all = 2 * ANONYMOUS_MAX + SIGNED_IN_MAX * (2 + 2 * crate::protocol::page::STREAMS_MAX);
        assert!(limit.parse::<usize>().unwrap() >= all + 256, "{limit} descriptors for {all} and the rest");
    }
}
