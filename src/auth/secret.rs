//! The secret of an enrolment link. It is shown once, in the link; only its hash is kept.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

use crate::protocol::SecretText;

/// The part of a link after `#enrol=`: 32 random bytes. Its `Debug` output does not contain them.
pub(super) struct EnrolSecret([u8; 32]);

/// The text is not an enrolment secret.
#[derive(Debug, thiserror::Error)]
#[error("an enrolment secret is 32 bytes in base64url")]
pub(super) struct NotASecret;

impl EnrolSecret {
    pub(super) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    pub(super) fn hash(&self) -> SecretHash {
        SecretHash(*blake3::hash(&self.0).as_bytes())
    }

    /// Returns the link that carries the secret, in a fragment, which browsers send to no server.
    pub(super) fn link(&self, origin: &str) -> SecretText {
        format!("{origin}/#enrol={}", BASE64URL_NOPAD.encode(&self.0)).into()
    }
}

impl Drop for EnrolSecret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl FromStr for EnrolSecret {
    type Err = NotASecret;

    fn from_str(text: &str) -> Result<Self, NotASecret> {
        let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| NotASecret)?);
        Ok(Self(bytes.as_slice().try_into().map_err(|_| NotASecret)?))
    }
}

impl fmt::Debug for EnrolSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnrolSecret")
    }
}

/// The stored form of a secret: its BLAKE3 hash. The secret has 256 random bits, so neither a salt
/// nor a slow hash would add anything.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct SecretHash([u8; 32]);

/// Compares in constant time.
impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl TryFrom<String> for SecretHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("a link's hash is 64 hexadecimal digits")
    }
}

impl From<SecretHash> for String {
    fn from(hash: SecretHash) -> Self {
        HEXLOWER.encode(&hash.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_carries_the_secret_and_nothing_else_shows_it() {
        let secret = EnrolSecret::random().unwrap();
        let link = secret.link("https://shell.example.org");
        let text = link.reveal().strip_prefix("https://shell.example.org/#enrol=").unwrap();
        assert_eq!(text.len(), 43);
        assert!(text.parse::<EnrolSecret>().unwrap().hash() == secret.hash());
        assert_eq!(format!("{secret:?}"), "EnrolSecret");
        assert!(!String::from(secret.hash()).contains(text));
    }

    #[test]
    fn an_altered_secret_is_another_or_none() {
        let secret = EnrolSecret::random().unwrap();
        let text = secret.link("").reveal()["/#enrol=".len()..].to_owned();
        for at in 0..text.len() {
            let mut altered = text.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert!(!altered.parse::<EnrolSecret>().is_ok_and(|other| other.hash() == secret.hash()));
        }
        for bad in ["", "A", &text[1..], &format!("{text}="), &format!("{text}A"), &format!(" {text}"), "é"]
        {
            assert!(bad.parse::<EnrolSecret>().is_err(), "{bad:?}");
        }
    }
}
