use serde::{Deserialize, Serialize};

/// The id of a session: 12 characters of `[a-z2-7]`, 60 random bits. It is part of the names of the
/// session's units, user, socket and journal records. Knowing it confers no right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
pub struct SessionId(String);

super::parsed_text!(SessionId, "a session id", "it has 12 characters of a-z and 2-7", accepts);

const LENGTH: usize = 12;

fn accepts(text: &str) -> bool {
    text.len() == LENGTH && text.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b))
}

impl SessionId {
    /// A new id from the kernel's random numbers.
    ///
    /// # Errors
    /// The error of getrandom(2).
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0_u8; 8];
        getrandom::fill(&mut bytes)?;
        let mut text = data_encoding::BASE32_NOPAD.encode(&bytes).to_ascii_lowercase();
        text.truncate(LENGTH);
        Ok(Self(text))
    }
}
