use std::fmt;

use serde::{Deserialize, Serialize};

/// The uid of a UNIX user of the host who may be somebody: not root, who is the operator, and not a
/// uid that belongs to whichever service has it just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct UserUid(u32);

/// Why a uid belongs to nobody in particular.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadUid {
    /// 0.
    #[error("root is the operator, and opens no shells")]
    Root,
    /// One of systemd's range for `DynamicUser=`.
    #[error("the uid {0} belongs to whichever service systemd gives it to")]
    OfService(u32),
    /// 65534, as which the kernel shows every uid that auth's user namespace does not have, or a
    /// uid beyond that namespace.
    #[error("the uid {0} cannot be told apart from others here: it has to be below 65534")]
    Unmapped(u32),
}

/// systemd's range for `DynamicUser=`, see systemd.exec(5).
const OF_SERVICES: std::ops::RangeInclusive<u32> = 61184..=65519;

/// The first uid that auth's user namespace (`PrivateUsers=identity`) does not show as it is.
const UNMAPPED: u32 = 65534;

impl UserUid {
    /// The uid as a number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for UserUid {
    type Error = BadUid;

    fn try_from(uid: u32) -> Result<Self, BadUid> {
        if uid == 0 {
            Err(BadUid::Root)
        } else if OF_SERVICES.contains(&uid) {
            Err(BadUid::OfService(uid))
        } else if uid >= UNMAPPED {
            Err(BadUid::Unmapped(uid))
        } else {
            Ok(Self(uid))
        }
    }
}

impl From<UserUid> for u32 {
    fn from(uid: UserUid) -> Self {
        uid.0
    }
}

impl fmt::Display for UserUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_is_that_of_a_person_or_none() {
        for good in [1, 999, 1000, 60000, 61183, 65520, 65533] {
            assert_eq!(UserUid::try_from(good).map(UserUid::get), Ok(good));
        }
        assert_eq!(UserUid::try_from(0), Err(BadUid::Root));
        for service in [61184, 65519] {
            assert_eq!(UserUid::try_from(service), Err(BadUid::OfService(service)));
        }
        for nobody in [65534, 65535, 65536, 524_288, u32::MAX] {
            assert_eq!(UserUid::try_from(nobody), Err(BadUid::Unmapped(nobody)));
        }
        assert!(
            serde_json::from_str::<UserUid>("1000").is_ok() && serde_json::from_str::<UserUid>("0").is_err()
        );
    }
}
