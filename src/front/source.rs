use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Where a socket comes from, according to the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// Another host.
    Remote(IpAddr),
    /// This host: a proxy, or a local browser. Not limited per source, because a proxy's
    /// connections are those of all its clients, and no header that names the client can be
    /// trusted.
    Local,
}

impl Source {
    pub(super) fn of(address: IpAddr) -> Self {
        let address = address.to_canonical();
        if address.is_loopback() { Self::Local } else { Self::Remote(address) }
    }

    /// The network by which bounds are counted; `None` for local ones.
    pub(super) fn network(self) -> Option<IpAddr> {
        match self {
            Self::Local => None,
            Self::Remote(IpAddr::V4(address)) => Some(address.into()),
            // A customer typically gets a /64, and can use every address in it.
            Self::Remote(IpAddr::V6(address)) => {
                Some(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into())
            }
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
}
