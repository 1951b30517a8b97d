//! Client keys: what the command line signs to sign in from afar, and how auth verifies it. The same
//! for resume keys, which a page makes and signs with by itself. Ed25519 (RFC 8032), by ring, which
//! does the TLS of front already.
//!
//! What is signed begins with words that nothing else signs, says what for, and contains the origin
//! that the command line was told by its user. So a signature is of no use for another purpose, at
//! another host, or for another challenge.

use std::fmt;

use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use zeroize::Zeroizing;

use crate::names::ClientPublicKey;

/// Bytes of a challenge.
pub const NONCE_LENGTH: usize = 32;

/// A challenge: random bytes that are signed once.
pub type Nonce = [u8; NONCE_LENGTH];

/// Bytes of a signature.
pub const SIGNATURE_LENGTH: usize = 64;

/// What begins each statement that a client key signs.
const DOMAIN: &[u8] = b"tere client key 1";

/// What a signature is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To sign in.
    SignIn,
    /// To have the key bound to an account.
    Bind,
    /// To have the key removed.
    Remove,
    /// To come back to a page. No client key signs for this, and no resume key for anything else.
    Resume,
}

impl Purpose {
    fn word(self) -> &'static [u8] {
        match self {
            Self::SignIn => b"sign-in",
            Self::Bind => b"bind",
            Self::Remove => b"remove",
            Self::Resume => b"resume",
        }
    }
}

/// The bytes that are signed. No part contains NUL but the last two, whose lengths are fixed.
fn statement(purpose: Purpose, origin: &str, key: &ClientPublicKey, nonce: &Nonce) -> Vec<u8> {
    let (key, origin) = (key.bytes(), origin.as_bytes());
    [DOMAIN, b"\0", purpose.word(), b"\0", origin, b"\0", &key, nonce].concat()
}

/// Whether `signature` is that of `key` under this challenge of the host with this origin.
#[must_use]
pub fn verify(
    purpose: Purpose,
    origin: &str,
    key: &ClientPublicKey,
    nonce: &Nonce,
    signature: &[u8],
) -> bool {
    let statement = statement(purpose, origin, key, nonce);
    UnparsedPublicKey::new(&ED25519, key.bytes()).verify(&statement, signature).is_ok()
}

/// A client key with its secret half.
pub struct ClientKey {
    /// As PKCS #8 (RFC 8410), for the file that keeps it.
    secret: Zeroizing<Vec<u8>>,
    pair: Ed25519KeyPair,
}

/// The bytes are no client key, or none can be made.
#[derive(Debug, thiserror::Error)]
#[error("this is not a client key")]
pub struct NotAKey;

impl ClientKey {
    /// Makes a key.
    ///
    /// # Errors
    /// The kernel gives no random bytes.
    pub fn random() -> Result<Self, NotAKey> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| NotAKey)?;
        Self::from_secret(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// Reads a key as [`Self::secret`] gives it.
    ///
    /// # Errors
    /// It is none.
    pub fn from_secret(secret: Zeroizing<Vec<u8>>) -> Result<Self, NotAKey> {
        let pair = Ed25519KeyPair::from_pkcs8(&secret).map_err(|_| NotAKey)?;
        Ok(Self { secret, pair })
    }

    /// The secret half, for the file that keeps it.
    #[must_use]
    pub fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> ClientPublicKey {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(self.pair.public_key().as_ref()) {
            *to = *from;
        }
        ClientPublicKey::of(&bytes)
    }

    /// Signs a challenge of the host with this origin.
    #[must_use]
    pub fn sign(&self, purpose: Purpose, origin: &str, nonce: &Nonce) -> Vec<u8> {
        self.pair.sign(&statement(purpose, origin, &self.public(), nonce)).as_ref().to_vec()
    }
}

/// Does not show the secret.
impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientKey").field(&self.public()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "https://shell.example.org";

    #[test]
    fn a_signature_is_good_for_one_purpose_one_host_one_challenge_and_one_key() {
        let (key, other) = (ClientKey::random().unwrap(), ClientKey::random().unwrap());
        let nonce = [7; NONCE_LENGTH];
        let signature = key.sign(Purpose::SignIn, ORIGIN, &nonce);
        assert_eq!(signature.len(), SIGNATURE_LENGTH);
        let public = key.public();
        let verify = |purpose, origin: &str, key: &ClientPublicKey, nonce: &Nonce| {
            super::verify(purpose, origin, key, nonce, &signature)
        };
        assert!(verify(Purpose::SignIn, ORIGIN, &public, &nonce));
        assert!(!verify(Purpose::Bind, ORIGIN, &public, &nonce));
        assert!(!verify(Purpose::Remove, ORIGIN, &public, &nonce));
        assert!(!verify(Purpose::Resume, ORIGIN, &public, &nonce));
        assert!(!verify(Purpose::SignIn, "https://evil.example.org", &public, &nonce));
        assert!(!verify(Purpose::SignIn, ORIGIN, &other.public(), &nonce));
        assert!(!verify(Purpose::SignIn, ORIGIN, &public, &[8; NONCE_LENGTH]));
        for bad in [&[][..], &signature[1..], &[0; SIGNATURE_LENGTH]] {
            assert!(!super::verify(Purpose::SignIn, ORIGIN, &public, &nonce, bad));
        }
    }

    #[test]
    fn what_is_signed_is_what_the_page_signs() {
        // The same bytes as in web/src/resume.test.ts.
        let (key, nonce) = (ClientPublicKey::of(&[1; 32]), [2; NONCE_LENGTH]);
        let statement = statement(Purpose::Resume, ORIGIN, &key, &nonce);
        let words = b"tere client key 1\0resume\0https://shell.example.org\0";
        assert_eq!(statement, [&words[..], &[1; 32], &[2; 32]].concat());
    }

    #[test]
    fn a_key_is_the_same_after_it_was_kept() {
        let key = ClientKey::random().unwrap();
        let again = ClientKey::from_secret(Zeroizing::new(key.secret().to_vec())).unwrap();
        assert_eq!(again.public(), key.public());
        assert!(ClientKey::from_secret(Zeroizing::new(vec![0; 83])).is_err());
        assert_eq!(format!("{key:?}"), format!("ClientKey({:?})", key.public()));
    }
}
