//! What a machine reaches over the network.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::Deserialize;

use crate::names::BadName;

/// Most entries of a list. A longer list is refused.
const ENTRIES_MAX: usize = 256;

/// Longest name of a network interface, bytes: the kernel's limit.
pub const INTERFACE_MAX: usize = 15;

/// The network of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "Written")]
pub enum Network {
    /// Nothing but its own loopback.
    #[default]
    None,
    /// An interface of its own, behind a packet filter on the host.
    Filtered(Reach),
    /// A port of a bridge of the host, whose packets tere does not filter.
    Bridge(Bridge),
}

/// What a machine behind the packet filter reaches. It never reaches another machine, and the host
/// only if one of the host's addresses is listed by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    /// All public addresses.
    pub internet: bool,
    /// The DNS servers that the host uses.
    pub dns: bool,
    /// Addresses and networks, public or not.
    pub prefixes: BTreeSet<Prefix>,
}

/// An address, or the network of all addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    /// The address. Its bits after the first `bits` are zero.
    address: IpAddr,
    bits: u8,
}

/// The name of a bridge of the host: 1 to 15 of `A-Z a-z 0-9 . _ -`, beginning with a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge(String);

/// As in the file.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "write it like network = \"internet\" or network = [\"dns\", \"192.0.2.0/24\"]"
)]
enum Written {
    One(String),
    Several(Vec<String>),
}

impl fmt::Display for Network {
    /// What the machine reaches, in words that follow "it reaches".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("nothing"),
            Self::Filtered(reach) => reach.fmt(f),
            Self::Bridge(bridge) => write!(f, "what the bridge {} leads to", bridge.0),
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.internet {
            Some("the internet")
        } else if self.dns {
            Some("DNS")
        } else {
            None
        };
        let names = name.map(str::to_owned).into_iter();
        let parts: Vec<_> = names.chain(self.prefixes.iter().map(ToString::to_string)).collect();
        f.write_str(&parts.join(", "))
    }
}

impl Prefix {
    /// Whether this is an IPv4 address or network.
    pub fn is_v4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// Whether this is a single address.
    pub fn is_address(&self) -> bool {
        self.bits == most_bits(self.address)
    }
}

fn most_bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl FromStr for Prefix {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let rule = "write an address or a network, like 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32, with zeros after its bits";
        let bad = || BadName::new(text, "an address", rule);
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let most = most_bits(address);
        let bits = match bits {
            None => most,
            // `parse` would accept a sign.
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| bad())?
            }
            Some(_) => return Err(bad()),
        };
        let number = match address {
            IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
            IpAddr::V6(address) => address.to_bits(),
        };
        let rest = number.checked_shl(u32::from(bits)).unwrap_or(0);
        if bits > most || rest != 0 { Err(bad()) } else { Ok(Self { address, bits }) }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Bridge {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Bridge {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let begins = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
        if begins && text.len() <= INTERFACE_MAX && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            let rule = "use 1 to 15 of A-Z, a-z, 0-9 and '._-', beginning with a letter";
            Err(BadName::new(text, "the name of a bridge", rule))
        }
    }
}

impl TryFrom<Written> for Network {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let entries = match written {
            Written::One(text) if text == "none" => return Ok(Self::None),
            Written::One(text) => match text.strip_prefix("bridge:") {
                Some(bridge) => {
                    return bridge.parse().map(Self::Bridge).map_err(|bad: BadName| bad.to_string());
                }
                None => vec![text],
            },
            Written::Several(entries) => entries,
        };
        if entries.is_empty() || entries.len() > ENTRIES_MAX {
            return Err(format!(
                "a list has 1 to {ENTRIES_MAX} entries: for no network at all, write \"none\""
            ));
        }
        let mut reach = Reach::default();
        for entry in entries {
            match entry.as_str() {
                // Names of the internet are of no use without DNS.
                "internet" => (reach.internet, reach.dns) = (true, true),
                "dns" => reach.dns = true,
                "none" => return Err("\"none\" stands alone: write network = \"none\"".to_owned()),
                other if other.starts_with("bridge:") => {
                    return Err(format!("a bridge stands alone: write network = {other:?}"));
                }
                other => {
                    let prefix = other.parse().map_err(|_| {
                        format!(
                            "{other:?} is no network: use \"none\", \"internet\", \"dns\", \"bridge:NAME\", an address, or a network like 192.0.2.0/24 with zeros after its bits"
                        )
                    })?;
                    reach.prefixes.insert(prefix);
                }
            }
        }
        Ok(Self::Filtered(reach))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(written: &str) -> Result<Network, String> {
        #[derive(Debug, Deserialize)]
        struct Table {
            network: Network,
        }
        let table: Result<Table, _> = toml::from_str(&format!("network = {written}"));
        table.map(|table| table.network).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_network_is_what_it_says() {
        assert_eq!(network("\"none\""), Ok(Network::None));
        let internet = Reach { internet: true, dns: true, prefixes: BTreeSet::new() };
        assert_eq!(network("\"internet\""), Ok(Network::Filtered(internet)));
        let prefixes = ["10.1.2.0/24", "2001:db8::1", "192.0.2.7/32"].map(|text| text.parse().unwrap());
        let listed = Reach { internet: false, dns: true, prefixes: prefixes.into() };
        let list = "[\"dns\", \"192.0.2.7\", \"10.1.2.0/24\", \"2001:db8::1/128\"]";
        assert_eq!(network(list), Ok(Network::Filtered(listed)));
        let bridge = network("\"bridge:br0\"").unwrap();
        assert!(matches!(bridge, Network::Bridge(bridge) if bridge.as_str() == "br0"));
        let said = |written| network(written).unwrap().to_string();
        assert_eq!(said("[\"internet\", \"10.1.2.0/24\"]"), "the internet, 10.1.2.0/24");
        assert_eq!(said(list), "DNS, 10.1.2.0/24, 192.0.2.7/32, 2001:db8::1/128");
        assert_eq!(said("\"bridge:br0\""), "what the bridge br0 leads to");
        let all: Prefix = "0.0.0.0/0".parse().unwrap();
        assert_eq!((all.to_string().as_str(), all.is_address(), all.is_v4()), ("0.0.0.0/0", false, true));
        let one: Prefix = "2001:db8::7".parse().unwrap();
        assert_eq!(
            (one.to_string().as_str(), one.is_address(), one.is_v4()),
            ("2001:db8::7/128", true, false)
        );
    }

    #[test]
    fn what_is_no_network_is_refused_with_what_to_write() {
        for bad in [
            "1.2.3.4/33",
            "1.2.3.4/24",
            "1.2.3.4/",
            "1.2.3.0/+24",
            "1.2.3",
            "::1/129",
            "2001:db8::1/64",
            "example.org",
            "1.2.3.4;",
            "1.2.3.4 }",
            "",
            "1.2.3.0/024000000000",
            "all",
        ] {
            let said = network(&format!("{bad:?}")).expect_err(bad);
            assert!(said.contains("is no network: use \"none\", \"internet\""), "{said}");
        }
        for (bad, expected) in [
            ("[]", "a list has 1 to 256 entries"),
            ("[\"none\"]", "\"none\" stands alone"),
            ("[\"bridge:a\"]", "a bridge stands alone"),
            ("\"bridge:\"", "\"\" is not the name of a bridge"),
            ("\"bridge:a b\"", "\"a b\" is not the name of a bridge"),
            ("\"bridge:abcdefghijklmnop\"", "is not the name of a bridge"),
            ("1", "write it like network = "),
            ("[1]", "write it like network = "),
        ] {
            let said = network(bad).expect_err(bad);
            assert!(said.contains(expected), "{said}");
        }
        let many = (0..257).map(|n| format!("\"10.0.{}.{}\",", n / 256, n % 256)).collect::<String>();
        assert!(network(&format!("[{many}]")).expect_err("many").contains("a list has 1 to 256"));
    }
}
