//! What a grant lets its accounts share.

use serde::Deserialize;

use crate::names::BadName;
use crate::protocol::GuestRole;

/// What stands in the file: `true`, `false` or `"watch"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub(super) struct Share(pub(super) Option<GuestRole>);

#[derive(Deserialize)]
#[serde(untagged, expecting = "write it like share = true or share = \"watch\"")]
enum Written {
    All(bool),
    Some(String),
}

impl TryFrom<Written> for Share {
    type Error = BadName;

    fn try_from(written: Written) -> Result<Self, BadName> {
        match written {
            Written::All(true) => Ok(Self(Some(GuestRole::Writer))),
            Written::All(false) => Ok(Self(None)),
            Written::Some(word) if word == "watch" => Ok(Self(Some(GuestRole::Watcher))),
            Written::Some(word) => Err(BadName::new(&word, "a way to share", "use true, false or \"watch\"")),
        }
    }
}
