use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// The id by which the journal names a passkey: the beginning of a hash of its credential id, as 16
/// digits of hexadecimal. It identifies a passkey, and is of no use for signing in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PasskeyId(String);

super::parsed_text!(PasskeyId, "the id of a passkey", "use 16 of 0-9 and a-f", accepts);

/// Bytes of the hash in an id.
const LENGTH: usize = 8;

fn accepts(text: &str) -> bool {
    text.len() == 2 * LENGTH && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl PasskeyId {
    /// The id of the passkey with this credential id.
    #[must_use]
    pub fn of(credential: &[u8]) -> Self {
        let hash = blake3::hash(credential);
        let mut text = String::new();
        for byte in hash.as_bytes().iter().take(LENGTH) {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_passkey_is_short_and_its_own() {
        let (one, other) = (PasskeyId::of(b"one"), PasskeyId::of(b"other"));
        assert_ne!(one, other);
        assert_eq!(one.as_str().parse::<PasskeyId>().unwrap(), one);
        for bad in ["", "0123", "0123456789ABCDEF", "0123456789abcdeg", "0123456789abcdef0"] {
            assert!(bad.parse::<PasskeyId>().is_err(), "{bad:?}");
        }
    }
}
