use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::BadName;

/// The name of a systemd-machined machine, or `.host` for the host itself. Follows machined's own
/// rule (a host name of at most 64 characters, see machinectl(1)), but in lower case only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
pub struct MachineName(String);

super::parsed_text!(
    MachineName,
    "a machine name",
    "use 1 to 64 of a-z, 0-9, '.' and '-', each part beginning and ending with a letter or a digit, or '.host'",
    is_machine
);

/// The name that machined gives to the host itself.
const HOST: &str = ".host";

impl MachineName {
    /// Whether this is the host itself.
    pub fn is_host(&self) -> bool {
        self.0 == HOST
    }
}

fn is_machine(text: &str) -> bool {
    let part = |part: &str| {
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        edge(part.bytes().next())
            && edge(part.bytes().last())
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text == HOST || (text.len() <= 64 && text.split('.').all(part))
}

/// The name of a UNIX user on a machine: 1 to 32 of `a-z 0-9 _ -`, beginning with a letter or `_`.
/// A number is not a name: machined would take `0` for root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
pub struct UnixUser(String);

super::parsed_text!(
    UnixUser,
    "a UNIX user name",
    "use 1 to 32 of a-z, 0-9, '_' and '-', beginning with a letter or '_'",
    is_user
);

impl UnixUser {
    /// Whether this is root.
    pub fn is_root(&self) -> bool {
        self.0 == "root"
    }

    /// The uid of this user in a machine whose template has no such user: from 10000 to 59999, made
    /// from the name. So it is the same in each machine that is made anew over the same home.
    pub fn uid(&self) -> u32 {
        let hash = blake3::hash(self.0.as_bytes());
        10_000 + hash.as_bytes().iter().fold(0, |sum, byte| (sum * 256 + u32::from(*byte)) % 50_000)
    }
}

/// The name of a UNIX group in a machine, by the same rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnixGroup(String);

super::parsed_text!(
    UnixGroup,
    "a UNIX group name",
    "use 1 to 32 of a-z, 0-9, '_' and '-', beginning with a letter or '_'",
    is_user
);

fn is_user(text: &str) -> bool {
    let mut bytes = text.bytes();
    let first = bytes.next();
    text.len() <= 32
        && first.is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b))
}

/// A machine and a UNIX user on it, written `user@machine`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Target {
    /// The machine that the shell runs on.
    pub machine: MachineName,
    /// The user that the shell runs as.
    pub user: UnixUser,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.user, self.machine)
    }
}

impl FromStr for Target {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let Some((user, machine)) = text.split_once('@') else {
            return Err(BadName::new(text, "a target", "write it as user@machine"));
        };
        Ok(Self { machine: machine.parse()?, user: user.parse()? })
    }
}
