//! A software passkey: an ES256 authenticator, and as much of a browser as its answers need. It
//! takes the options that the page receives and returns what the page sends, both as JSON
//! (<https://www.w3.org/TR/webauthn-3/>, sections 5.1.3 to 5.1.8). It can be made to lie.
//!
//! Several test programs include it with `#[path]`.
#![allow(dead_code, unreachable_pub)] // each test program uses what it needs
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a panic is how a test fails

use data_encoding::BASE64URL_NOPAD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// An authenticator with its passkeys, in a browser that shows a page of `origin`.
#[derive(Debug, Clone)]
pub struct SoftAuthenticator {
    /// The page's origin, as the browser reports it.
    pub origin: String,
    /// The relying party that the authenticator reports, instead of the one in the options.
    pub rp_id: Option<String>,
    /// Whether a page of another origin has framed the page, as the browser reports it.
    pub is_framed: bool,
    /// Whether the person gives a PIN or a fingerprint. The answer reports it if not.
    pub verifies_user: bool,
    /// Whether the authenticator counts its signatures. Authenticators whose passkeys are copied
    /// between devices do not.
    pub counts: bool,
    passkeys: Vec<Held>,
}

#[derive(Debug, Clone)]
struct Held {
    id: Vec<u8>,
    key: SigningKey,
    rp_id: String,
    user_handle: String,
    counter: u32,
}

const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const WITH_CREDENTIAL: u8 = 1 << 6;

impl SoftAuthenticator {
    /// An authenticator without passkeys, and a page of `origin`.
    pub fn new(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            rp_id: None,
            is_framed: false,
            verifies_user: true,
            counts: true,
            passkeys: Vec::new(),
        }
    }

    /// `navigator.credentials.create`: creates a passkey and returns the credential.
    pub fn register(&mut self, options: &str) -> String {
        let options: Value = serde_json::from_str(options).unwrap();
        let selection = &options["authenticatorSelection"];
        assert_eq!(selection["residentKey"], "required", "a passkey must be found without a name");
        assert_eq!(selection["userVerification"], "required");
        let algorithms = options["pubKeyCredParams"].as_array().unwrap();
        assert!(algorithms.iter().any(|algorithm| algorithm["alg"] == -7), "ES256 is not offered");
        for excluded in options["excludeCredentials"].as_array().into_iter().flatten() {
            let excluded = unbase64(&excluded["id"]);
            assert!(self.passkeys.iter().all(|held| held.id != excluded), "this passkey is registered");
        }
        let held = Held {
            id: random().to_vec(),
            key: SigningKey::from_slice(&random()).unwrap(),
            rp_id: options["rp"]["id"].as_str().unwrap().to_owned(),
            user_handle: options["user"]["id"].as_str().unwrap().to_owned(),
            counter: 0,
        };
        let client_data = self.client_data("webauthn.create", &options);
        let data = self.authenticator_data(&held, WITH_CREDENTIAL, &credential_data(&held));
        let mut attestation = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59".to_vec();
        attestation.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        attestation.extend(data);
        let id = base64(&held.id);
        self.passkeys.push(held);
        json!({
            "id": id, "rawId": id, "type": "public-key", "authenticatorAttachment": "platform",
            "response": {
                "clientDataJSON": base64(client_data.as_bytes()),
                "attestationObject": base64(&attestation),
                "transports": ["internal"],
            },
            "clientExtensionResults": { "credProps": { "rk": true } },
        })
        .to_string()
    }

    /// `navigator.credentials.get`: signs with the newest passkey for this relying party, and
    /// returns the credential.
    pub fn sign_in(&mut self, options: &str) -> String {
        let options: Value = serde_json::from_str(options).unwrap();
        assert_eq!(options["userVerification"], "required");
        assert_eq!(options["allowCredentials"], json!([]), "no account is named before it is shown");
        let asking = options["rpId"].as_str().unwrap();
        let at = self.passkeys.iter().rposition(|held| held.rp_id == asking).unwrap();
        self.sign(at, &options)
    }

    /// The same for a challenge that names the passkeys that may answer. If this authenticator has
    /// none of them, it answers all the same.
    pub fn touch(&mut self, options: &str) -> String {
        let options: Value = serde_json::from_str(options).unwrap();
        assert_eq!(options["userVerification"], "required");
        let allowed: Vec<_> = options["allowCredentials"].as_array().unwrap().iter().collect();
        assert!(!allowed.is_empty() && allowed.iter().all(|one| one["type"] == "public-key"), "{allowed:?}");
        let is_allowed = |held: &Held| allowed.iter().any(|one| unbase64(&one["id"]) == held.id);
        let at = self.passkeys.iter().rposition(is_allowed).unwrap_or(self.passkeys.len() - 1);
        self.sign(at, &options)
    }

    fn sign(&mut self, at: usize, options: &Value) -> String {
        self.passkeys[at].counter += u32::from(self.counts);
        let held = &self.passkeys[at];
        let client_data = self.client_data("webauthn.get", options);
        let data = self.authenticator_data(held, 0, &[]);
        let mut signed = data.clone();
        signed.extend(Sha256::digest(client_data.as_bytes()));
        let signature: Signature = held.key.sign(&signed);
        let id = base64(&held.id);
        json!({
            "id": id, "rawId": id, "type": "public-key", "authenticatorAttachment": "platform",
            "response": {
                "clientDataJSON": base64(client_data.as_bytes()),
                "authenticatorData": base64(&data),
                "signature": base64(signature.to_der().as_bytes()),
                "userHandle": held.user_handle,
            },
            "clientExtensionResults": {},
        })
        .to_string()
    }

    /// Sets the counters back to zero, as in a copy of an authenticator.
    pub fn turn_back(&mut self) {
        for held in &mut self.passkeys {
            held.counter = 0;
        }
    }

    fn client_data(&self, kind: &str, options: &Value) -> String {
        let challenge = &options["challenge"];
        json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": self.is_framed })
            .to_string()
    }

    fn authenticator_data(&self, held: &Held, flags: u8, rest: &[u8]) -> Vec<u8> {
        let verified = if self.verifies_user { USER_VERIFIED } else { 0 };
        let mut data = Sha256::digest(self.rp_id.as_ref().unwrap_or(&held.rp_id)).to_vec();
        data.push(flags | USER_PRESENT | verified);
        data.extend(held.counter.to_be_bytes());
        data.extend(rest);
        data
    }
}

/// The AAGUID (all zeros), the id, and the public key as COSE (RFC 9053, section 2.1).
fn credential_data(held: &Held) -> Vec<u8> {
    let point = held.key.verifying_key().to_sec1_point(false);
    let mut data = vec![0; 16];
    data.extend(u16::try_from(held.id.len()).unwrap().to_be_bytes());
    data.extend(&held.id);
    data.extend(b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20");
    data.extend(point.x().unwrap());
    data.extend(b"\x22\x58\x20");
    data.extend(point.y().unwrap());
    data
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

fn base64(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

fn unbase64(text: &Value) -> Vec<u8> {
    BASE64URL_NOPAD.decode(text.as_str().unwrap().as_bytes()).unwrap()
}
