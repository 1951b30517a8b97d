//! What a fuzzer gives to auth, and what must hold then: see `fuzz/`. Only in tests and with the
//! feature `fuzz`.

// A panic is how a fuzzer notices.
#![allow(clippy::unwrap_used, clippy::panic, missing_debug_implementations)]

use webauthn_rs::prelude::{DiscoverableAuthentication, PasskeyRegistration, Url, Uuid};

use super::account_files::parse;
use super::accounts::{Account, AccountId, Accounts, Change, Link, Planned};
use super::passkeys::{IssuedChallenge, RelyingParty};
use super::secret::EnrolSecret;
use crate::clock::Moment;

/// When it all happens.
const NOW: Moment = Moment { unix: 5, uptime: 5 };

/// The file of an account.
pub fn account(data: &[u8]) {
    if let Ok(account) = parse(data) {
        // What is understood is kept to the letter, but for white space.
        let kept: serde_json::Value = serde_json::from_slice(data).unwrap();
        assert_eq!(serde_json::to_value(&account).unwrap(), kept);
        check_stored(&account);
    }
}

/// What is written is read again.
fn check_stored(account: &Account) {
    let written = serde_json::to_vec(account).unwrap();
    let read = parse(&written).unwrap();
    assert_eq!(serde_json::to_vec(&read).unwrap(), written);
}

/// The origin of an address, as browsers write it.
pub fn origin_of(address: &str) -> Option<String> {
    Some(Url::parse(address).ok()?.origin().ascii_serialization())
}

/// A ceremony of WebAuthn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ceremony {
    /// To sign in.
    SignIn,
    /// To step up.
    StepUp,
    /// To register a passkey.
    Register,
}

/// auth with the account `alice`, which has one passkey.
pub struct WebAuthn {
    party: RelyingParty,
    accounts: Accounts,
    alice: AccountId,
}

/// A challenge that waits for its answer.
pub struct Asked {
    /// What the browser is told, as JSON.
    pub options: String,
    kept: Kept,
}

enum Kept {
    Authentication(Ceremony, Box<DiscoverableAuthentication>),
    Registration(Box<PasskeyRegistration>),
}

impl WebAuthn {
    /// For a page of `origin`; `register` answers the options of a registration.
    pub fn new(origin: &str, register: impl FnOnce(&str) -> String) -> Self {
        let party = RelyingParty::new(&origin.parse().unwrap()).unwrap();
        let alice = AccountId::of(Uuid::from_bytes([7; 16]));
        let mut auth = Self { party, accounts: Accounts::default(), alice };
        let secret: EnrolSecret = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".parse().unwrap();
        let link = Link { hash: secret.hash(), expires: 10 };
        let name = "alice".parse().unwrap();
        auth.apply(Change::Add { id: alice, name, link });
        let asked = auth.ask(Ceremony::Register);
        let answer = register(&asked.options);
        let Kept::Registration(kept) = asked.kept else { panic!("no registration") };
        let passkey = auth.party.check_registration(&answer, &kept).unwrap();
        auth.apply(Change::Enrol { account: alice, link: secret.hash(), passkey: Box::new(passkey) });
        auth
    }

    fn apply(&mut self, change: Change) {
        let planned = self.accounts.plan(change, NOW).unwrap();
        self.accounts.commit(planned);
    }

    fn alice(&self) -> &Account {
        self.accounts.by_id(self.alice).unwrap()
    }

    /// The account's file.
    pub fn file(&self) -> Vec<u8> {
        serde_json::to_vec(self.alice()).unwrap()
    }

    /// Makes a challenge.
    pub fn ask(&self, ceremony: Ceremony) -> Asked {
        match ceremony {
            Ceremony::Register => {
                let IssuedChallenge { options, kept } = self.party.ask_to_register(self.alice()).unwrap();
                Asked { options, kept: Kept::Registration(kept) }
            }
            Ceremony::SignIn => {
                let IssuedChallenge { options, kept } = self.party.ask_to_sign_in().unwrap();
                Asked { options, kept: Kept::Authentication(ceremony, kept) }
            }
            Ceremony::StepUp => {
                let IssuedChallenge { options, kept } = self.party.ask_to_step_up(self.alice()).unwrap();
                Asked { options, kept: Kept::Authentication(ceremony, kept) }
            }
        }
    }

    /// Whether the answer is right. What it changes is stored and read again.
    pub fn accepts(&self, asked: Asked, answer: &str) -> bool {
        let planned = match asked.kept {
            Kept::Registration(kept) => {
                let Ok(passkey) = self.party.check_registration(answer, &kept) else { return false };
                let secret: EnrolSecret = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".parse().unwrap();
                let mut accounts = Accounts::default();
                let link = Link { hash: secret.hash(), expires: 10 };
                accounts.commit(Planned::Write(Account {
                    link: Some(link),
                    passkeys: Vec::new(),
                    ..self.alice().clone()
                }));
                let (account, link) = (self.alice, secret.hash());
                accounts.plan(Change::Enrol { account, link, passkey: Box::new(passkey) }, NOW)
            }
            Kept::Authentication(Ceremony::SignIn, kept) => {
                let (account, result) = self.party.check_sign_in(answer, *kept, &self.accounts);
                let Ok(result) = result else { return false };
                let account = account.unwrap().id;
                self.accounts.plan(Change::SignIn { account, result: Box::new(result) }, NOW)
            }
            Kept::Authentication(_, kept) => {
                let Ok(result) = self.party.check_step_up(answer, *kept, self.alice()) else { return false };
                let account = self.alice;
                self.accounts.plan(Change::SignIn { account, result: Box::new(result) }, NOW)
            }
        };
        let (Planned::Write(account) | Planned::Note(account)) = planned.unwrap() else {
            panic!("an account is removed")
        };
        check_stored(&account);
        true
    }
}
