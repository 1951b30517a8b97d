use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::source::Source;

/// Most open sockets from browsers. One more is closed without reading it, so that existing
/// connections keep their descriptors and memory. The page retries by itself.
pub(super) const SOCKETS_MAX: usize = 2048;

/// Most open sockets from one source (an IPv4 address, an IPv6 /64), enough for an office behind
/// one address. One more is closed without reading it.
pub(super) const SOCKETS_PER_SOURCE_MAX: usize = 64;

/// Counts the sockets that are open.
#[derive(Debug, Default)]
pub(super) struct Capacity {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_network: HashMap<IpAddr, usize>,
}

/// The place of one open socket. Dropping it frees the place.
#[derive(Debug)]
pub(super) struct SocketPermit {
    capacity: Arc<Capacity>,
    source: Source,
}

/// The limit that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    #[error("{SOCKETS_MAX} sockets are open already")]
    All,
    #[error("this source has {SOCKETS_PER_SOURCE_MAX} sockets open already")]
    Source,
}

impl Capacity {
    /// Takes a place for one more socket from `source`.
    pub(super) fn take(self: &Arc<Self>, source: Source) -> Result<SocketPermit, Full> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= SOCKETS_MAX {
            return Err(Full::All);
        }
        if let Some(network) = source.network() {
            let count = open.by_network.entry(network).or_default();
            if *count >= SOCKETS_PER_SOURCE_MAX {
                return Err(Full::Source);
            }
            *count += 1;
        }
        open.all += 1;
        Ok(SocketPermit { capacity: Arc::clone(self), source })
    }
}

impl Drop for SocketPermit {
    fn drop(&mut self) {
        let mut open = self.capacity.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all = open.all.saturating_sub(1);
        let Some(network) = self.source.network() else { return };
        let Some(count) = open.by_network.get_mut(&network) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            open.by_network.remove(&network);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(text: &str) -> Source {
        Source::of(text.parse().unwrap())
    }

    #[test]
    fn one_source_does_not_take_the_places_of_others() {
        let capacity = Arc::new(Capacity::default());
        let mut places: Vec<_> = (0..SOCKETS_PER_SOURCE_MAX)
            .map(|n| capacity.take(remote(&format!("2001:db8::{n:x}"))).unwrap())
            .collect();
        assert_eq!(capacity.take(remote("2001:db8::ffff:1")).unwrap_err(), Full::Source, "the same /64");
        assert!(capacity.take(remote("2001:db8:0:1::1")).is_ok(), "another /64");
        assert!(capacity.take(remote("192.0.2.1")).is_ok());
        places.pop();
        places.push(capacity.take(remote("2001:db8::1")).unwrap());
        places.clear();
        assert!(capacity.open.lock().unwrap().by_network.is_empty(), "nothing is kept of those who left");
    }

    #[test]
    fn the_unit_lets_all_of_them_have_all_their_channels() {
        let unit = include_str!("../../systemd/tere-front.service");
        let limit = unit.lines().find_map(|line| line.strip_prefix("LimitNOFILE=")).unwrap();
        // Each socket needs a descriptor, one for its channel to auth or the broker, and one per
        // viewer.
        let all = SOCKETS_MAX * (2 + crate::protocol::page::STREAMS_MAX);
        assert!(limit.parse::<usize>().unwrap() >= all + 256, "{limit} descriptors for {all} and the rest");
    }

    #[test]
    fn there_is_a_bound_on_all_of_them() {
        let capacity = Arc::new(Capacity::default());
        let mut places: Vec<_> = (0..SOCKETS_MAX).map(|_| capacity.take(Source::Local).unwrap()).collect();
        assert_eq!(capacity.take(remote("192.0.2.1")).unwrap_err(), Full::All);
        places.pop();
        assert!(capacity.take(remote("192.0.2.1")).is_ok());
    }
}
