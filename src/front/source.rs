use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Where a socket or a request comes from, according to the kernel or to a trusted proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// Another host.
    Remote(IpAddr),
    /// This host: a local browser, or a proxy that does not say for whom it asks. Has no bounds of
    /// its own, because the connections of such a proxy are those of all its clients.
    Local,
}

/// A network by which bounds are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Network {
    address: IpAddr,
    /// Bits of the address that are the network's.
    prefix: u8,
}

impl Source {
    pub(super) fn of(address: IpAddr) -> Self {
        let address = address.to_canonical();
        if address.is_loopback() { Self::Local } else { Self::Remote(address) }
    }

    /// The address, if it is not this host's.
    pub(super) fn address(self) -> Option<IpAddr> {
        match self {
            Self::Remote(address) => Some(address),
            Self::Local => None,
        }
    }

    /// The networks in which the source is counted, the widest first: an IPv4 address alone, and of
    /// an IPv6 address the /48, the /56 and the /64. A customer of a provider typically gets a /56
    /// or a /48, and a rented server a /64; each can use all addresses in it. Empty for local
    /// sources.
    pub(super) fn networks(self) -> Vec<Network> {
        match self {
            Self::Local => Vec::new(),
            Self::Remote(address @ IpAddr::V4(_)) => vec![Network { address, prefix: 32 }],
            Self::Remote(IpAddr::V6(address)) => {
                [48, 56, 64].map(|prefix| Network::of(address, prefix)).to_vec()
            }
        }
    }
}

impl Network {
    fn of(address: Ipv6Addr, prefix: u8) -> Self {
        let mask = !(u128::MAX >> prefix);
        Self { address: Ipv6Addr::from_bits(address.to_bits() & mask).into(), prefix }
    }

    /// How many times the bounds of a single IPv4 address or an IPv6 /64 this network has. The
    /// wider networks may belong to several customers, so they have more, but not as much as all
    /// the networks in them would have.
    pub(super) fn share(self) -> u32 {
        match self.prefix {
            48 => 4,
            56 => 2,
            _ => 1,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remote(address) => address.fmt(f),
            Self::Local => f.write_str("local"),
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
    fn an_address_is_taken_for_what_it_is() {
        assert_eq!(remote("::ffff:127.0.0.1"), Source::Local);
        assert_eq!(remote("::1"), Source::Local);
        assert_eq!(remote("::ffff:192.0.2.1"), remote("192.0.2.1"));
    }

    #[test]
    fn an_address_is_counted_in_each_of_its_networks() {
        assert!(Source::Local.networks().is_empty());
        assert_eq!(remote("192.0.2.1").networks().len(), 1);
        let shared = |one, other| {
            let (one, other) = (remote(one).networks(), remote(other).networks());
            one.iter().zip(&other).filter(|(one, other)| one == other).map(|(one, _)| one.prefix).max()
        };
        assert_eq!(shared("2001:db8:1:200::1", "2001:db8:1:200:ffff::2"), Some(64));
        assert_eq!(shared("2001:db8:1:200::1", "2001:db8:1:2ff::1"), Some(56));
        assert_eq!(shared("2001:db8:1:200::1", "2001:db8:1:300::1"), Some(48));
        assert_eq!(shared("2001:db8:1:200::1", "2001:db8:2:200::1"), None);
        assert_eq!(shared("192.0.2.1", "192.0.2.2"), None);
    }
}
