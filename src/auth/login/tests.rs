#![allow(clippy::wildcard_enum_match_arm)] // one outcome among many is the right one
#![allow(clippy::needless_pass_by_value)] // an outcome is looked at once and done with

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use tempfile::TempDir;

use super::super::account_files::AccountFiles;
use super::super::account_store::{Persistence, StoredAccounts};
use super::super::accounts::{LINK_LIFE, Link};
use super::*;
use crate::client_key::{NONCE_LENGTH, Purpose};
use crate::config::Config;
use passkey::SoftAuthenticator;

#[path = "../../../tests/parts/passkey.rs"]
mod passkey;

mod keys;
mod resume;

const ORIGIN: &str = "https://shell.example.org";

/// auth without its sockets: the account files are real, and the tests send the login messages.
struct Auth {
    folder: TempDir,
    pages: StoredAccounts,
    party: RelyingParty,
    now: Now,
    /// For how many seconds the policy lets a page come back.
    resume: Option<u32>,
}

/// The outcome of a message, after the actions that it led to.
#[derive(Debug)]
enum Outcome {
    Challenge(String),
    KeyChallenge(Nonce),
    /// A key was found, with these options for the touch that binds it.
    Binding(String),
    Wait(UnboundKey),
    Bound(String),
    KeyRemoved(ClientKeyId),
    SignedIn(String, How),
    Refused(Refusal),
    Violation,
}

impl Auth {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = AccountFiles::open(folder.path()).unwrap();
        let pages = StoredAccounts::over(store.read_all().unwrap(), store);
        let config = Config::parse(&format!("origin = \"{ORIGIN}\""), "test").unwrap();
        let party = RelyingParty::new(&config.origin).unwrap();
        Self {
            folder,
            pages,
            party,
            resume: None,
            now: Now { instant: Instant::now(), unix: 1_000_000, uptime: 5_000 },
        }
    }

    /// Adds an account, and returns the secret of its link.
    fn add(&mut self, name: &str) -> String {
        let (secret, link) = self.new_link();
        let id = AccountId::random().unwrap();
        self.pages.apply(Change::Add { id, name: name.parse().unwrap(), link }, self.now).unwrap();
        secret
    }

    fn link(&mut self, name: &str) -> String {
        let (secret, link) = self.new_link();
        self.pages.apply(Change::Link { name: name.parse().unwrap(), link }, self.now).unwrap();
        secret
    }

    fn new_link(&self) -> (String, Link) {
        let secret = EnrolSecret::random().unwrap();
        let link = Link { hash: secret.hash(), expires: self.now.unix + LINK_LIFE };
        (secret.link("").reveal().replace("/#enrol=", ""), link)
    }

    fn remove(&mut self, name: &str) {
        self.pages.apply(Change::Remove { name: name.parse().unwrap() }, self.now).unwrap();
    }

    fn pass(&mut self, seconds: u64) {
        self.now.instant += Duration::from_secs(seconds);
        self.now.unix += seconds;
        self.now.uptime += seconds;
    }

    /// Handles one message, with the real store. `broker` is the broker's answer to vouching.
    fn step(&mut self, login: &mut Login, asked: FromFront, broker: Result<Option<u32>, Refusal>) -> Outcome {
        self.input(login, Input::Asked(asked), broker)
    }

    fn input(
        &mut self,
        login: &mut Login,
        mut input: Input,
        broker: Result<Option<u32>, Refusal>,
    ) -> Outcome {
        loop {
            let taken = std::mem::replace(login, Login::new());
            let (next, action) = taken.handle(input, &self.pages.accounts, &self.party, self.now);
            *login = next;
            input = match action {
                Action::Store(change) => {
                    Input::Stored(self.pages.apply(change, self.now).and_then(Persistence::into_result))
                }
                Action::Vouch { .. } => Input::Vouched(broker),
                Action::Challenge(ToFront::Challenge { options, .. }) => return Outcome::Challenge(options),
                Action::Challenge(ToFront::KeyChallenge { nonce }) => return Outcome::KeyChallenge(nonce),
                Action::Challenge(ToFront::Binding { options, .. }) => return Outcome::Binding(options),
                Action::Challenge(other) => panic!("{other:?}"),
                Action::Wait(unbound) => return Outcome::Wait(unbound),
                Action::Bound { account, claimed, .. } => {
                    claimed.was_bound(account.clone());
                    return Outcome::Bound(account.to_string());
                }
                Action::KeyRemoved { key, .. } => return Outcome::KeyRemoved(key),
                Action::SignedIn { account, how, .. } => return Outcome::SignedIn(account.to_string(), how),
                Action::Refuse { refusal, .. } => return Outcome::Refused(refusal),
                Action::Violation => return Outcome::Violation,
            };
        }
    }

    fn say(&mut self, login: &mut Login, asked: FromFront) -> Outcome {
        self.step(login, asked, Ok(self.resume))
    }

    fn challenge(&mut self, login: &mut Login, asked: FromFront) -> String {
        match self.say(login, asked) {
            Outcome::Challenge(options) => options,
            other => panic!("no challenge: {other:?}"),
        }
    }

    fn answer(&mut self, login: &mut Login, credential: String) -> Outcome {
        self.say(login, FromFront::Answer { credential, resume_key: None })
    }

    /// Registers a passkey with a link, on a new connection.
    fn enrol(&mut self, token: &str, passkey: &mut SoftAuthenticator) -> Outcome {
        let mut login = Login::new();
        let options = self.challenge(&mut login, enrol(token));
        self.answer(&mut login, passkey.register(&options))
    }

    /// Signs in, on a new connection.
    fn sign_in(&mut self, passkey: &mut SoftAuthenticator) -> Outcome {
        let mut login = Login::new();
        let options = self.challenge(&mut login, FromFront::SignIn);
        self.answer(&mut login, passkey.sign_in(&options))
    }

    /// Creates an account `alice` with one passkey.
    fn with_alice() -> (Self, SoftAuthenticator) {
        let mut auth = Self::new();
        let token = auth.add("alice");
        let mut passkey = SoftAuthenticator::new(ORIGIN);
        assert_enrolled(auth.enrol(&token, &mut passkey));
        (auth, passkey)
    }

    /// Returns the account files, to show that nothing has changed.
    fn files(&self) -> Vec<(String, String)> {
        let entries = std::fs::read_dir(self.folder.path().join("accounts")).unwrap();
        let mut files: Vec<_> = entries
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap()))
            .collect();
        files.sort();
        files
    }
}

/// Makes an authenticator or its browser lie.
type Lie = fn(&mut SoftAuthenticator);

fn enrol(token: &str) -> FromFront {
    FromFront::Enrol { token: token.into() }
}

#[track_caller]
fn assert_refused(outcome: Outcome, expected: Refusal) {
    assert!(matches!(outcome, Outcome::Refused(refusal) if refusal == expected), "{outcome:?}");
}

#[track_caller]
fn assert_enrolled(outcome: Outcome) {
    assert!(matches!(&outcome, Outcome::SignedIn(name, How::Enrolment) if name == "alice"), "{outcome:?}");
}

#[track_caller]
fn assert_signed_in(outcome: Outcome) {
    assert!(matches!(&outcome, Outcome::SignedIn(name, How::SignIn) if name == "alice"), "{outcome:?}");
}

#[test]
fn a_person_enrols_and_signs_in_with_any_of_their_passkeys() {
    let (mut auth, mut phone) = Auth::with_alice();
    assert_signed_in(auth.sign_in(&mut phone));
    assert_signed_in(auth.sign_in(&mut phone));
    let mut laptop = SoftAuthenticator::new(ORIGIN);
    let token = auth.link("alice");
    assert_enrolled(auth.enrol(&token, &mut laptop));
    for passkey in [&mut phone, &mut laptop] {
        assert_signed_in(auth.sign_in(passkey));
    }
    let summary = auth.pages.accounts.summaries(None).remove(0);
    assert_eq!((summary.passkeys, summary.last_sign_in), (2, Some(auth.now.unix)));
}

#[test]
fn accounts_outlive_the_program() {
    let (mut auth, mut passkey) = Auth::with_alice();
    let store = AccountFiles::open(auth.folder.path()).unwrap();
    auth.pages = StoredAccounts::over(store.read_all().unwrap(), store);
    assert_signed_in(auth.sign_in(&mut passkey));
}

#[test]
fn a_challenge_is_for_one_connection_one_answer_and_sixty_seconds() {
    let (mut auth, mut passkey) = Auth::with_alice();
    let (mut one, mut other) = (Login::new(), Login::new());
    let options = auth.challenge(&mut one, FromFront::SignIn);
    auth.challenge(&mut other, FromFront::SignIn);
    let credential = passkey.sign_in(&options);
    let before = auth.files();
    assert_refused(auth.answer(&mut other, credential.clone()), Refusal::UnknownPasskey);
    let mut fresh = Login::new();
    assert_refused(auth.answer(&mut fresh, credential.clone()), Refusal::ChallengeExpired);
    assert_eq!(auth.files(), before);
    // The same answer is accepted on its own connection, so it was refused above for the
    // connection.
    assert_signed_in(auth.answer(&mut one, credential.clone()));
    assert!(matches!(auth.answer(&mut one, credential), Outcome::Violation), "the connection is done");

    let mut wrong_first = Login::new();
    let options = auth.challenge(&mut wrong_first, FromFront::SignIn);
    let credential = passkey.sign_in(&options);
    assert_refused(auth.answer(&mut wrong_first, "{}".to_owned()), Refusal::UnknownPasskey);
    assert_refused(auth.answer(&mut wrong_first, credential), Refusal::ChallengeExpired);

    for (seconds, in_time) in [(59, true), (60, false), (3600, false)] {
        let mut login = Login::new();
        let options = auth.challenge(&mut login, FromFront::SignIn);
        let credential = passkey.sign_in(&options);
        auth.pass(seconds);
        let outcome = auth.answer(&mut login, credential);
        if in_time {
            assert_signed_in(outcome);
        } else {
            assert_refused(outcome, Refusal::ChallengeExpired);
        }
    }
}

#[test]
fn a_new_challenge_takes_the_place_of_the_old() {
    let (mut auth, mut passkey) = Auth::with_alice();
    let mut login = Login::new();
    let old = auth.challenge(&mut login, FromFront::SignIn);
    auth.challenge(&mut login, FromFront::SignIn);
    assert_refused(auth.answer(&mut login, passkey.sign_in(&old)), Refusal::UnknownPasskey);
    let new = auth.challenge(&mut login, FromFront::SignIn);
    assert_signed_in(auth.answer(&mut login, passkey.sign_in(&new)));
}

#[test]
fn an_answer_for_another_page_or_without_the_person_is_refused() {
    let lies: [(&str, Lie); 6] = [
        ("origin", |passkey| passkey.origin = "https://evil.example.org".to_owned()),
        ("port", |passkey| passkey.origin = format!("{ORIGIN}:8443")),
        ("scheme", |passkey| passkey.origin = "http://shell.example.org".to_owned()),
        ("frame of another page", |passkey| passkey.is_framed = true),
        ("relying party", |passkey| passkey.rp_id = Some("example.org".to_owned())),
        ("user verification", |passkey| passkey.verifies_user = false),
    ];
    for (lie, tell) in lies {
        let (mut auth, mut passkey) = Auth::with_alice();
        let token = auth.link("alice");
        let before = auth.files();
        let mut liar = passkey.clone();
        tell(&mut liar);
        assert_refused(auth.sign_in(&mut liar), Refusal::UnknownPasskey);
        let mut liar = SoftAuthenticator::new(ORIGIN);
        tell(&mut liar);
        assert_refused(auth.enrol(&token, &mut liar), Refusal::UnknownPasskey);
        assert_eq!(auth.files(), before, "{lie}");
        // The honest answers are accepted, and the lie has not used up the link.
        assert_signed_in(auth.sign_in(&mut passkey));
        assert_enrolled(auth.enrol(&token, &mut SoftAuthenticator::new(ORIGIN)));
    }
}

#[test]
fn a_copied_authenticator_and_a_strangers_passkey_are_refused() {
    let (mut auth, mut passkey) = Auth::with_alice();
    assert_signed_in(auth.sign_in(&mut passkey));
    passkey.turn_back();
    assert_refused(auth.sign_in(&mut passkey), Refusal::UnknownPasskey);
    // A passkey made for the same host by an auth with other accounts.
    let (_, mut stranger) = Auth::with_alice();
    assert_refused(auth.sign_in(&mut stranger), Refusal::UnknownPasskey);
    for garbage in ["", "null", "[]", "{\"id\":1}", "\u{0}"] {
        let mut login = Login::new();
        auth.challenge(&mut login, FromFront::SignIn);
        assert_refused(auth.answer(&mut login, garbage.to_owned()), Refusal::UnknownPasskey);
    }
}

/// JSON with the string behind one of its names decoded, changed and encoded again, or with its own
/// text changed.
fn changed(credential: &str, name: Option<&str>, change: impl Fn(Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    let Some(name) = name else { return change(credential.as_bytes().to_vec()) };
    let mut value: serde_json::Value = serde_json::from_str(credential).unwrap();
    let held = value["response"].get_mut(name).unwrap();
    let bytes = BASE64URL_NOPAD.decode(held.as_str().unwrap().as_bytes()).unwrap();
    *held = BASE64URL_NOPAD.encode(&change(bytes)).into();
    serde_json::to_vec(&value).unwrap()
}

#[test]
fn an_answer_that_is_not_to_the_letter_what_was_signed_signs_nobody_in() {
    use proptest::strategy::{Strategy as _, ValueTree as _};
    let mut runner = proptest::test_runner::TestRunner::default();
    let cases = runner.config().cases;
    let (mut auth, mut passkey) = Auth::with_alice();
    let mut newcomer = SoftAuthenticator::new(ORIGIN);
    let signed =
        [None, Some("clientDataJSON"), Some("authenticatorData"), Some("signature"), Some("userHandle")];
    let registered = [None, Some("clientDataJSON"), Some("attestationObject")];
    for case in 0..cases as usize {
        // Only the change is random: what is changed is a right answer.
        let mut change =
            |bytes: Vec<u8>| crate::mutation::mutated(bytes).new_tree(&mut runner).unwrap().current();
        let mut login = Login::new();
        let options = auth.challenge(&mut login, FromFront::SignIn);
        let right = passkey.sign_in(&options);
        let name = signed[case % signed.len()];
        let change_once = std::cell::RefCell::new(&mut change);
        let bytes = changed(&right, name, |bytes| (change_once.borrow_mut())(bytes));
        let Ok(text) = String::from_utf8(bytes) else { continue };
        let same = serde_json::from_str::<serde_json::Value>(&text).ok()
            == serde_json::from_str::<serde_json::Value>(&right).ok();
        match auth.answer(&mut login, text.clone()) {
            // Parts of the answer are not signed: its type, where the passkey is, white space.
            Outcome::SignedIn(account, _) => {
                assert!(account == "alice" && (same || name.is_none()), "{name:?}: {text}")
            }
            Outcome::Refused(_) | Outcome::Violation => assert_ne!(text, right),
            other => panic!("another challenge: {other:?} for {text}"),
        }
        let token = auth.link("alice");
        let mut login = Login::new();
        let options = auth.challenge(&mut login, enrol(&token));
        let right = newcomer.register(&options);
        let name = registered[case % registered.len()];
        let change_once = std::cell::RefCell::new(&mut change);
        let Ok(text) = String::from_utf8(changed(&right, name, |bytes| (change_once.borrow_mut())(bytes)))
        else {
            continue;
        };
        if let Outcome::SignedIn(account, _) = auth.answer(&mut login, text) {
            assert_eq!(account, "alice");
            // There is a bound on the passkeys of an account.
            (auth, passkey) = Auth::with_alice();
        }
    }
}

/// The path of the file of an account with a passkey and a link, and what is in it.
static WHOLE: std::sync::LazyLock<(String, String)> = std::sync::LazyLock::new(|| {
    let (mut auth, _) = Auth::with_alice();
    auth.link("alice");
    let (path, json) = auth.files().remove(0);
    (path.rsplit_once('/').unwrap().1.to_owned(), json)
});

proptest::proptest! {
    #[test]
    fn a_file_that_is_almost_an_account_is_one_or_is_set_aside(
        bytes in crate::mutation::mutated(WHOLE.1.clone().into_bytes()),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let files = AccountFiles::open(folder.path()).unwrap();
        std::fs::write(folder.path().join("accounts").join(&WHOLE.0), &bytes).unwrap();
        let accounts = files.read_all().unwrap();
        let found = accounts.summaries(None);
        assert_eq!(found.len() + accounts.unusable().len(), 1);
        // What is understood is kept to the letter, but for white space.
        if let Some(summary) = found.first() {
            let kept = serde_json::to_value(accounts.by_name(&summary.name).unwrap()).unwrap();
            assert_eq!(kept, serde_json::from_slice::<serde_json::Value>(&bytes).unwrap());
        }
    }
}

#[test]
fn a_link_works_once_whole_and_for_fifteen_minutes() {
    let mut auth = Auth::new();
    let token = auth.add("alice");
    let before = auth.files();
    let mut altered = token.clone();
    altered.replace_range(0..1, if token.starts_with('A') { "B" } else { "A" });
    for bad in [altered.as_str(), "", &token[1..], &format!("{token}="), &format!("{token}AAAA")] {
        assert_refused(auth.say(&mut Login::new(), enrol(bad)), Refusal::LinkInvalid);
    }
    assert_eq!(auth.files(), before);
    assert_enrolled(auth.enrol(&token, &mut SoftAuthenticator::new(ORIGIN)));
    let before = auth.files();
    assert_refused(auth.say(&mut Login::new(), enrol(&token)), Refusal::LinkInvalid);

    let token = auth.link("alice");
    let mut login = Login::new();
    auth.pass(LINK_LIFE - 1);
    let options = auth.challenge(&mut login, enrol(&token));
    auth.pass(1);
    // The link expires before the ceremony, and during it.
    assert_refused(auth.say(&mut Login::new(), enrol(&token)), Refusal::LinkInvalid);
    let credential = SoftAuthenticator::new(ORIGIN).register(&options);
    assert_refused(auth.answer(&mut login, credential), Refusal::LinkInvalid);
    assert_eq!(auth.pages.accounts.summaries(None)[0].passkeys, 1);
    assert_ne!(auth.files(), before, "the second link is stored");
    assert!(!auth.files()[0].1.contains(&token), "a link is stored as its hash");
}

#[test]
fn of_two_ceremonies_with_one_link_one_wins() {
    let mut auth = Auth::new();
    let token = auth.add("alice");
    let (mut one, mut other) = (Login::new(), Login::new());
    let first = auth.challenge(&mut one, enrol(&token));
    let second = auth.challenge(&mut other, enrol(&token));
    let (mut winner, mut loser) = (SoftAuthenticator::new(ORIGIN), SoftAuthenticator::new(ORIGIN));
    assert_enrolled(auth.answer(&mut other, winner.register(&second)));
    let before = auth.files();
    assert_refused(auth.answer(&mut one, loser.register(&first)), Refusal::LinkInvalid);
    assert_eq!(auth.files(), before);
    assert_signed_in(auth.sign_in(&mut winner));
    assert_refused(auth.sign_in(&mut loser), Refusal::UnknownPasskey);
}

#[test]
fn an_account_removed_in_the_middle_is_not_signed_in() {
    let (mut auth, mut passkey) = Auth::with_alice();
    let token = auth.link("alice");
    let (mut signing, mut enrolling, mut vouching) = (Login::new(), Login::new(), Login::new());
    let sign_in = auth.challenge(&mut signing, FromFront::SignIn);
    let create = auth.challenge(&mut enrolling, enrol(&token));
    // This change is stored, and the account is removed while the broker is being told.
    let vouch = auth.challenge(&mut vouching, FromFront::SignIn);
    let credential = passkey.sign_in(&vouch);
    let answer = Input::Asked(FromFront::Answer { credential, resume_key: None });
    let (next, action) = vouching.handle(answer, &auth.pages.accounts, &auth.party, auth.now);
    let Action::Store(change) = action else { panic!("{action:?}") };
    let stored = Input::Stored(auth.pages.apply(change, auth.now).and_then(Persistence::into_result));
    let (next, action) = next.handle(stored, &auth.pages.accounts, &auth.party, auth.now);
    assert!(matches!(action, Action::Vouch { .. }), "{action:?}");

    auth.remove("alice");
    let (_, action) = next.handle(Input::Vouched(Ok(None)), &auth.pages.accounts, &auth.party, auth.now);
    assert!(matches!(action, Action::Refuse { refusal: Refusal::UnknownPasskey, .. }), "{action:?}");
    assert_refused(auth.answer(&mut signing, passkey.sign_in(&sign_in)), Refusal::UnknownPasskey);
    let credential = SoftAuthenticator::new(ORIGIN).register(&create);
    assert_refused(auth.answer(&mut enrolling, credential), Refusal::LinkInvalid);
    assert!(auth.files().is_empty());

    // A new account of the same name is not the old account.
    auth.add("alice");
    assert_refused(auth.sign_in(&mut passkey), Refusal::UnknownPasskey);
}

#[test]
fn what_cannot_be_stored_changes_nothing() {
    let (mut auth, mut passkey) = Auth::with_alice();
    let token = auth.link("alice");
    let folder = auth.folder.path().join("accounts");
    let aside = auth.folder.path().join("aside");
    std::fs::rename(&folder, &aside).unwrap();
    assert_refused(auth.enrol(&token, &mut SoftAuthenticator::new(ORIGIN)), Refusal::StorageFailed);
    assert_refused(auth.sign_in(&mut passkey), Refusal::StorageFailed);
    let bob = Change::Add {
        id: AccountId::random().unwrap(),
        name: "bob".parse().unwrap(),
        link: auth.new_link().1,
    };
    assert_eq!(auth.pages.apply(bob, auth.now), Err(Refusal::StorageFailed));
    let alice = Change::Remove { name: "alice".parse().unwrap() };
    assert_eq!(auth.pages.apply(alice, auth.now), Err(Refusal::StorageFailed));
    std::fs::rename(&aside, &folder).unwrap();
    assert_eq!(auth.pages.accounts.summaries(None).len(), 1);
    assert_eq!(auth.pages.accounts.summaries(None)[0].passkeys, 1);
    assert_signed_in(auth.sign_in(&mut passkey));
    assert_enrolled(auth.enrol(&token, &mut SoftAuthenticator::new(ORIGIN)));
}

#[test]
fn a_full_disk_keeps_nobody_out_whose_passkey_has_nothing_new() {
    let mut auth = Auth::new();
    let token = auth.add("alice");
    let mut passkey = SoftAuthenticator::new(ORIGIN);
    passkey.counts = false;
    assert_enrolled(auth.enrol(&token, &mut passkey));
    let before = auth.files();
    let folder = auth.folder.path().join("accounts");
    let aside = auth.folder.path().join("aside");
    std::fs::rename(&folder, &aside).unwrap();
    auth.pass(5);
    assert_signed_in(auth.sign_in(&mut passkey));
    assert_eq!(
        auth.pages.accounts.summaries(None)[0].last_sign_in,
        Some(auth.now.unix),
        "it is known till the end"
    );
    // If the counter cannot be stored, nobody is signed in.
    passkey.counts = true;
    assert_refused(auth.sign_in(&mut passkey), Refusal::StorageFailed);
    std::fs::rename(&aside, &folder).unwrap();
    assert_eq!(auth.files(), before);
    assert_signed_in(auth.sign_in(&mut passkey));
    assert_ne!(auth.files(), before);
}

#[test]
fn without_the_broker_nobody_is_signed_in_and_the_page_may_try_again() {
    let (mut auth, mut passkey) = Auth::with_alice();
    let mut login = Login::new();
    let options = auth.challenge(&mut login, FromFront::SignIn);
    let answer = FromFront::Answer { credential: passkey.sign_in(&options), resume_key: None };
    assert_refused(auth.step(&mut login, answer, Err(Refusal::Unavailable)), Refusal::Unavailable);
    let options = auth.challenge(&mut login, FromFront::SignIn);
    assert_signed_in(auth.answer(&mut login, passkey.sign_in(&options)));

    // An enrolment is complete apart from the vouching: its link is used up, and its passkey works.
    let token = auth.link("alice");
    let mut laptop = SoftAuthenticator::new(ORIGIN);
    let mut login = Login::new();
    let options = auth.challenge(&mut login, enrol(&token));
    let answer = FromFront::Answer { credential: laptop.register(&options), resume_key: None };
    assert_refused(auth.step(&mut login, answer, Err(Refusal::Unavailable)), Refusal::PasskeyRegistered);
    assert_refused(auth.say(&mut login, enrol(&token)), Refusal::LinkInvalid);
    let options = auth.challenge(&mut login, FromFront::SignIn);
    assert_signed_in(auth.answer(&mut login, laptop.sign_in(&options)));
}

#[test]
fn a_connection_has_its_fill_of_challenges() {
    let (mut auth, _) = Auth::with_alice();
    let mut login = Login::new();
    for _ in 0..CHALLENGES_MAX {
        auth.challenge(&mut login, FromFront::SignIn);
    }
    assert_refused(auth.say(&mut login, FromFront::SignIn), Refusal::Busy);
}

#[test]
fn an_outcome_of_nothing_is_a_violation() {
    let auth = Auth::new();
    for outcome in [Input::Stored(Ok(())), Input::Vouched(Ok(None))] {
        let (_, action) = Login::new().handle(outcome, &auth.pages.accounts, &auth.party, auth.now);
        assert!(matches!(action, Action::Violation), "{action:?}");
    }
}

impl Auth {
    /// Steps up for an account, on a new connection.
    fn step_up(&mut self, account: &str, passkey: &mut SoftAuthenticator) -> Outcome {
        let mut login = Login::new();
        let options = self.challenge(&mut login, step_up(account));
        self.answer(&mut login, passkey.touch(&options))
    }
}

fn step_up(account: &str) -> FromFront {
    FromFront::StepUp { account: account.parse().unwrap() }
}

#[test]
fn a_step_up_takes_a_passkey_of_the_account_that_is_signed_in() {
    let (mut auth, mut of_alice) = Auth::with_alice();
    let token = auth.add("bob");
    let mut of_bob = SoftAuthenticator::new(ORIGIN);
    assert!(matches!(auth.enrol(&token, &mut of_bob), Outcome::SignedIn(_, How::Enrolment)));
    let stepped_up = auth.step_up("alice", &mut of_alice);
    assert!(matches!(&stepped_up, Outcome::SignedIn(name, How::StepUp) if name == "alice"), "{stepped_up:?}");
    let refused = auth.step_up("alice", &mut of_bob);
    assert!(matches!(refused, Outcome::Refused(Refusal::PasskeyOfAnother)), "{refused:?}");
    // A second passkey of hers is as good as the first.
    let token = auth.link("alice");
    let mut second = SoftAuthenticator::new(ORIGIN);
    assert_enrolled(auth.enrol(&token, &mut second));
    assert!(matches!(auth.step_up("alice", &mut second), Outcome::SignedIn(_, How::StepUp)));
    // Nobody is told of accounts by another refusal.
    let unknown = auth.say(&mut Login::new(), step_up("nobody"));
    assert!(matches!(unknown, Outcome::Refused(Refusal::UnknownPasskey)), "{unknown:?}");
}

#[test]
fn an_answer_to_a_step_up_is_verified_like_one_to_a_sign_in() {
    let (mut auth, mut passkey) = Auth::with_alice();
    // Used twice, too late, and for another challenge.
    let mut login = Login::new();
    let options = auth.challenge(&mut login, step_up("alice"));
    let answer = passkey.touch(&options);
    assert!(matches!(auth.answer(&mut login, answer.clone()), Outcome::SignedIn(_, How::StepUp)));
    assert!(matches!(auth.answer(&mut login, answer.clone()), Outcome::Violation));
    let mut login = Login::new();
    auth.challenge(&mut login, step_up("alice"));
    assert!(matches!(auth.answer(&mut login, answer), Outcome::Refused(Refusal::UnknownPasskey)));
    let mut login = Login::new();
    let options = auth.challenge(&mut login, step_up("alice"));
    auth.pass(61);
    let late = auth.answer(&mut login, passkey.touch(&options));
    assert!(matches!(late, Outcome::Refused(Refusal::ChallengeExpired)));
    // Without its user, of another origin, and a copy of the authenticator.
    let lies: [Lie; 3] = [
        |passkey| passkey.verifies_user = false,
        |passkey| passkey.origin = "https://evil.example".to_owned(),
        SoftAuthenticator::turn_back,
    ];
    for lie in lies {
        let mut liar = passkey.clone();
        lie(&mut liar);
        let refused = auth.step_up("alice", &mut liar);
        assert!(matches!(refused, Outcome::Refused(Refusal::UnknownPasskey)), "{refused:?}");
    }
    // An account that is removed meanwhile.
    let mut login = Login::new();
    let options = auth.challenge(&mut login, step_up("alice"));
    auth.remove("alice");
    let removed = auth.answer(&mut login, passkey.touch(&options));
    assert!(matches!(removed, Outcome::Refused(Refusal::UnknownPasskey)), "{removed:?}");
}
