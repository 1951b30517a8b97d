use std::fmt::Write as _;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

/// The public half of a client key: 32 bytes of Ed25519 (RFC 8032), as 43 characters of base64url.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
pub struct ClientPublicKey(String);

super::parsed_text!(ClientPublicKey, "a client key", "use 32 bytes in base64url", is_public_key);

/// The id of a client key: the beginning of a hash of its public half, as 16 digits of hexadecimal.
/// It identifies a key, and is of no use for signing in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
pub struct ClientKeyId(String);

super::parsed_text!(ClientKeyId, "the id of a client key", "use 16 of 0-9 and a-f", is_id);

/// Bytes of a public key.
const KEY_LENGTH: usize = 32;

/// Bytes of the hash in an id.
const ID_LENGTH: usize = 8;

fn is_public_key(text: &str) -> bool {
    BASE64URL_NOPAD.decode(text.as_bytes()).is_ok_and(|bytes| bytes.len() == KEY_LENGTH)
}

fn is_id(text: &str) -> bool {
    text.len() == 2 * ID_LENGTH && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl ClientPublicKey {
    /// The key of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8; KEY_LENGTH]) -> Self {
        Self(BASE64URL_NOPAD.encode(bytes))
    }

    /// The bytes of the key.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        // The text was decoded when it was parsed.
        BASE64URL_NOPAD.decode(self.0.as_bytes()).unwrap_or_default()
    }

    /// The id of the key.
    #[must_use]
    pub fn id(&self) -> ClientKeyId {
        let hash = blake3::hash(&self.bytes());
        let mut text = String::new();
        for byte in hash.as_bytes().iter().take(ID_LENGTH) {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        ClientKeyId(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_key_has_32_bytes_and_an_id_of_its_own() {
        let (one, other) = (ClientPublicKey::of(&[1; 32]), ClientPublicKey::of(&[2; 32]));
        assert_ne!(one.id(), other.id());
        assert_eq!(one.as_str().parse::<ClientPublicKey>().unwrap().bytes(), [1; 32]);
        assert!(one.id().as_str().parse::<ClientKeyId>().is_ok());
        let padded = format!("{one}=");
        for bad in ["", "AAAA", &one.as_str()[1..], &padded, &"é".repeat(22)] {
            assert!(bad.parse::<ClientPublicKey>().is_err(), "{bad:?}");
        }
        for bad in ["", "0123", "0123456789ABCDEF", "0123456789abcdeg"] {
            assert!(bad.parse::<ClientKeyId>().is_err(), "{bad:?}");
        }
    }
}
