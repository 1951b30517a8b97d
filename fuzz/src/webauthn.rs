//! A browser's answer to a challenge of WebAuthn: <https://www.w3.org/TR/webauthn-3/>. The first
//! byte of an input says which ceremony, which part of a right answer the rest takes the place of,
//! and whether it is signed.

use std::sync::LazyLock;

use data_encoding::BASE64URL_NOPAD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tere::auth::fuzz::{Asked, Ceremony, WebAuthn, origin_of};

const ORIGIN: &str = "https://shell.example.org";
const RP_ID: &str = "shell.example.org";
const ID: [u8; 32] = [3; 32];

/// In a part that is text, these bytes stand for parts of the right answer.
const CHALLENGE: u8 = 1;
const CREDENTIAL: u8 = 2;
const HANDLE: u8 = 3;
const CLIENT_DATA: u8 = 4;
const DATA: u8 = 5;
const SIGNATURE: u8 = 6;

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_slice(&[5; 32]).unwrap());

static AUTH: LazyLock<WebAuthn> =
    LazyLock::new(|| WebAuthn::new(ORIGIN, |options| Answer::right(Ceremony::Register, options).text()));

/// The parts of an answer.
#[derive(Clone)]
struct Answer {
    ceremony: Ceremony,
    challenge: String,
    id: Vec<u8>,
    handle: String,
    client_data: Vec<u8>,
    /// The data of the authenticator, or the attestation object that contains it.
    data: Vec<u8>,
    /// What it signs; `None` for a right signature.
    signature: Option<Vec<u8>>,
}

impl Answer {
    fn right(ceremony: Ceremony, options: &str) -> Self {
        let options: Value = serde_json::from_str(options).unwrap();
        let challenge = options["challenge"].as_str().unwrap().to_owned();
        let kind = if ceremony == Ceremony::Register { "webauthn.create" } else { "webauthn.get" };
        let client_data =
            json!({ "type": kind, "challenge": challenge, "origin": ORIGIN, "crossOrigin": false });
        let data = match ceremony {
            Ceremony::Register => attestation(),
            Ceremony::SignIn | Ceremony::StepUp => authenticator_data(5, 9),
        };
        Self {
            ceremony,
            challenge,
            id: ID.to_vec(),
            handle: BASE64URL_NOPAD.encode(&[7; 16]),
            client_data: client_data.to_string().into_bytes(),
            data,
            signature: None,
        }
    }

    fn signature(&self) -> Vec<u8> {
        self.signature.clone().unwrap_or_else(|| {
            let signed = [&self.data[..], &Sha256::digest(&self.client_data)].concat();
            let signature: Signature = KEY.sign(&signed);
            signature.to_der().as_bytes().to_vec()
        })
    }

    fn text(&self) -> String {
        let id = BASE64URL_NOPAD.encode(&self.id);
        let client_data = BASE64URL_NOPAD.encode(&self.client_data);
        let data = BASE64URL_NOPAD.encode(&self.data);
        let response = match self.ceremony {
            Ceremony::Register => json!({ "clientDataJSON": client_data, "attestationObject": data }),
            Ceremony::SignIn | Ceremony::StepUp => json!({
                "clientDataJSON": client_data,
                "authenticatorData": data,
                "signature": BASE64URL_NOPAD.encode(&self.signature()),
                "userHandle": self.handle,
            }),
        };
        json!({
            "id": id, "rawId": id, "type": "public-key", "authenticatorAttachment": "platform",
            "response": response, "clientExtensionResults": {},
        })
        .to_string()
    }

    /// The bytes, with the right parts in them.
    fn filled(&self, template: &[u8]) -> Vec<u8> {
        let mut filled = Vec::new();
        for byte in template {
            match *byte {
                CHALLENGE => filled.extend(self.challenge.bytes()),
                CREDENTIAL => filled.extend(BASE64URL_NOPAD.encode(&self.id).bytes()),
                HANDLE => filled.extend(self.handle.bytes()),
                CLIENT_DATA => filled.extend(BASE64URL_NOPAD.encode(&self.client_data).bytes()),
                DATA => filled.extend(BASE64URL_NOPAD.encode(&self.data).bytes()),
                SIGNATURE => filled.extend(BASE64URL_NOPAD.encode(&self.signature()).bytes()),
                byte => filled.push(byte),
            }
        }
        filled
    }
}

fn authenticator_data(flags: u8, counter: u32) -> Vec<u8> {
    let mut data = Sha256::digest(RP_ID).to_vec();
    data.push(flags);
    data.extend(counter.to_be_bytes());
    data
}

fn attestation() -> Vec<u8> {
    let point = KEY.verifying_key().to_sec1_point(false);
    let mut data = authenticator_data(0x45, 0);
    data.extend([0; 16]);
    data.extend(32_u16.to_be_bytes());
    data.extend(ID);
    data.extend(b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20");
    data.extend(point.x().unwrap());
    data.extend(b"\x22\x58\x20");
    data.extend(point.y().unwrap());
    let mut attestation = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59".to_vec();
    attestation.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    attestation.extend(data);
    attestation
}

/// The target.
pub fn answer(input: &[u8]) {
    let Some((first, part)) = input.split_first() else { return };
    let ceremony = match first & 3 {
        0 => Ceremony::SignIn,
        1 => Ceremony::StepUp,
        _ => Ceremony::Register,
    };
    let asked = AUTH.ask(ceremony);
    let right = Answer::right(ceremony, &asked.options);
    if first >> 2 & 7 == 0 {
        // The whole text. If it is accepted, what it signs is right.
        if let Ok(text) = String::from_utf8(right.filled(part)) {
            let accepted = accepts(asked, &text);
            let answer: Option<Value> = serde_json::from_str(&text).ok();
            if accepted {
                let answer = answer.unwrap();
                check_client_data(&right, &bytes_of(&answer["response"]["clientDataJSON"]));
            }
        }
        return;
    }
    let mut answer = right.clone();
    // With the right signature of the changed parts, or with that of the right ones.
    if first & 0x80 == 0 && ceremony != Ceremony::Register && first >> 2 & 7 < 4 {
        answer.signature = Some(right.signature());
    }
    match first >> 2 & 7 {
        1 => answer.client_data = right.filled(part),
        2 => answer.data = part.to_vec(),
        3 => answer.id = part.to_vec(),
        4 => answer.signature = Some(part.to_vec()),
        5 => match String::from_utf8(right.filled(part)) {
            Ok(handle) => answer.handle = handle,
            Err(_) => return,
        },
        _ => return,
    }
    if accepts(asked, &answer.text()) {
        check_client_data(&right, &answer.client_data);
        check_data(&answer);
        if ceremony != Ceremony::Register {
            assert_eq!(answer.id, right.id, "another passkey");
            assert!(answer.signature.is_none() || answer.client_data == right.client_data);
            assert!(answer.signature.is_none() || answer.data == right.data);
        }
        if ceremony == Ceremony::SignIn {
            assert_eq!(bytes_of(&json!(answer.handle)), [7; 16], "another account");
        }
    }
}

fn accepts(asked: Asked, text: &str) -> bool {
    AUTH.accepts(asked, text)
}

/// Bytes in JSON: base64, or a list of numbers.
fn bytes_of(value: &Value) -> Vec<u8> {
    if let Some(bytes) = value.as_array() {
        return bytes.iter().map(|byte| u8::try_from(byte.as_u64().unwrap()).unwrap()).collect();
    }
    let text = value.as_str().unwrap();
    let text = text.trim_end_matches('=').replace('+', "-").replace('/', "_");
    BASE64URL_NOPAD.decode(text.as_bytes()).unwrap()
}

/// The browser says that it is for this challenge, this ceremony and this page.
fn check_client_data(right: &Answer, client_data: &[u8]) {
    let given: Value = serde_json::from_slice(client_data).unwrap();
    let wanted: Value = serde_json::from_slice(&right.client_data).unwrap();
    assert_eq!(given["type"], wanted["type"]);
    assert_eq!(bytes_of(&given["challenge"]), bytes_of(&wanted["challenge"]));
    assert_eq!(origin_of(given["origin"].as_str().unwrap()).unwrap(), ORIGIN);
    assert_ne!(given["crossOrigin"], true);
}

/// The authenticator says that it is for this host, and that it has verified the person.
fn check_data(answer: &Answer) {
    let hash = Sha256::digest(RP_ID);
    let at = match answer.ceremony {
        Ceremony::Register => answer.data.windows(32).position(|window| window == &hash[..]).unwrap(),
        Ceremony::SignIn | Ceremony::StepUp => 0,
    };
    let data = &answer.data[at..];
    assert_eq!(data[..32], hash[..]);
    assert_eq!(data[32] & 5, 5, "nobody was verified");
}

/// Right answers, and each part of them.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (number, ceremony) in (0..).zip([Ceremony::SignIn, Ceremony::StepUp, Ceremony::Register]) {
        let right = Answer::right(ceremony, &AUTH.ask(ceremony).options);
        let whole = match ceremony {
            Ceremony::Register => {
                r#"{"id":"~2","rawId":"~2","type":"public-key","response":{"clientDataJSON":"~4","attestationObject":"~5","transports":["internal"]},"clientExtensionResults":{"credProps":{"rk":true}}}"#
            }
            Ceremony::SignIn | Ceremony::StepUp => {
                r#"{"id":"~2","rawId":"~2","type":"public-key","authenticatorAttachment":"platform","response":{"clientDataJSON":"~4","authenticatorData":"~5","signature":"~6","userHandle":"~3"},"clientExtensionResults":{}}"#
            }
        };
        let client_data = String::from_utf8(right.client_data.clone()).unwrap();
        let client_data = client_data.replace(&right.challenge, "\u{1}");
        let parts = [
            (1..=6_u8)
                .fold(whole.to_owned(), |text, number| {
                    text.replace(&format!("~{number}"), &char::from(number).to_string())
                })
                .into_bytes(),
            client_data.into_bytes(),
            right.data.clone(),
            right.id.clone(),
            right.signature(),
            right.handle.clone().into_bytes(),
        ];
        for (kind, part) in (0..).zip(parts) {
            for signed in [0, 0x80] {
                seeds.push([&[number | kind << 2 | signed][..], &part].concat());
            }
        }
    }
    seeds
}

/// The file of an account with a passkey.
pub fn account_file() -> Vec<u8> {
    AUTH.file()
}
