//! How much of the host a machine may use.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use crate::names::BadName;

/// The limits of a machine that tere makes. systemd enforces those on memory, tasks and processors,
/// see systemd.resource-control(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// The most memory; without it, there is no limit but the host's.
    pub memory: Option<Memory>,
    /// The most processes and threads; [`Tasks::DEFAULT`] without it.
    pub tasks: Option<Tasks>,
    /// Its share of the processors when they are busy; [`CpuWeight::DEFAULT`] without it.
    pub cpu_weight: Option<CpuWeight>,
    /// The most disk space; without it, there is no limit but the host's. The file system enforces
    /// it.
    pub disk: Option<DiskSpace>,
}

/// An amount of memory, bytes: a number with K, M, G or T (powers of 1024), as systemd writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Memory(u64);

impl Memory {
    /// The least that a machine needs to boot.
    const MIN: u64 = 64 << 20;

    /// The amount in bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Memory {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = || {
            BadName::new(text, "an amount of memory", "use a number and K, M, G or T, at least 64M, like 2G")
        };
        bytes(text).filter(|bytes| *bytes >= Self::MIN).map(Self).ok_or_else(bad)
    }
}

impl TryFrom<String> for Memory {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

/// An amount of disk space, bytes, written like an amount of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct DiskSpace(u64);

impl DiskSpace {
    /// The least with which a machine boots and has some room.
    const MIN: u64 = 64 << 20;

    /// The amount in bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for DiskSpace {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let how = "use a number and K, M, G or T, at least 64M, like 20G";
        let bad = || BadName::new(text, "an amount of disk space", how);
        bytes(text).filter(|bytes| *bytes >= Self::MIN).map(Self).ok_or_else(bad)
    }
}

impl TryFrom<String> for DiskSpace {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl fmt::Display for DiskSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shift = [40, 30, 20].into_iter().find(|shift| self.0.is_multiple_of(1 << shift)).unwrap_or(10);
        let unit = match shift {
            40 => 'T',
            30 => 'G',
            20 => 'M',
            _ => 'K',
        };
        write!(f, "{}{unit}", self.0 >> shift)
    }
}

/// The number of bytes that a number with K, M, G or T (powers of 1024) stands for.
fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let shift = match unit {
        b'K' => 10,
        b'M' => 20,
        b'G' => 30,
        b'T' => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

/// Splits a text like `2G` into its number and its last byte.
pub(super) fn number_and_unit(text: &str) -> Option<(u64, u8)> {
    let (unit, digits) = text.as_bytes().split_last()?;
    // `parse` would accept a sign.
    let plain = digits.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()?;
    Some((number, *unit))
}

/// A number of processes and threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "i64")]
pub struct Tasks(u32);

impl Tasks {
    /// For a machine without a limit of its own, as systemd has it for its containers.
    pub const DEFAULT: Self = Self(16_384);

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<i64> for Tasks {
    type Error = &'static str;

    fn try_from(number: i64) -> Result<Self, &'static str> {
        let fits = u32::try_from(number).ok().filter(|number| (64..=4_194_304).contains(number));
        fits.map(Self).ok_or("a machine may have from 64 to 4194304 tasks: write it like tasks = 4096")
    }
}

/// A share of the processors, in relation to the shares of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "i64")]
pub struct CpuWeight(u16);

impl CpuWeight {
    /// What every unit has.
    pub const DEFAULT: Self = Self(100);

    /// The weight.
    pub fn get(self) -> u16 {
        self.0
    }
}

/// How many machines for tasks an account may have at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "i64")]
pub struct PerAccount(u16);

impl PerAccount {
    /// Without a number of its own.
    pub const DEFAULT: Self = Self(4);

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<i64> for PerAccount {
    type Error = &'static str;

    fn try_from(number: i64) -> Result<Self, &'static str> {
        let fits = u16::try_from(number).ok().filter(|number| (1..=100).contains(number));
        fits.map(Self)
            .ok_or("an account may have from 1 to 100 machines for tasks: write it like per-account = 4")
    }
}

impl TryFrom<i64> for CpuWeight {
    type Error = &'static str;

    fn try_from(number: i64) -> Result<Self, &'static str> {
        let fits = u16::try_from(number).ok().filter(|number| (1..=10_000).contains(number));
        fits.map(Self)
            .ok_or("the weight is from 1 to 10000, where 100 is usual: write it like cpu-weight = 50")
    }
}
