//! Client keys: bound by a touch, used by a signature.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::super::accounts::CLIENT_KEYS_MAX;
use super::super::super::bindings::{Bindings, WaitingKey};
use super::*;
use crate::client_key::ClientKey;
use crate::names::{KeyRight, Label};
use crate::protocol::login::BINDING;

fn bind_key(key: &ClientKey) -> FromFront {
    let name = Label::cut("laptop").unwrap();
    FromFront::BindKey { key: key.public(), name, source: "192.0.2.1".parse().ok() }
}

fn key_sign_in(key: &ClientKey) -> FromFront {
    FromFront::KeySignIn { key: key.public().id() }
}

fn remove_key(key: &ClientKey) -> FromFront {
    FromFront::RemoveKey { key: key.public().id() }
}

/// Auth with codes of its own, and alice.
struct Keys {
    auth: Auth,
    passkey: SoftAuthenticator,
    bindings: Arc<Bindings>,
}

impl Keys {
    fn new() -> Self {
        let (auth, passkey) = Auth::with_alice();
        Self { auth, passkey, bindings: Arc::default() }
    }

    fn nonce(&mut self, login: &mut Login, asked: FromFront) -> Nonce {
        match self.auth.say(login, asked) {
            Outcome::KeyChallenge(nonce) => nonce,
            other => panic!("no challenge: {other:?}"),
        }
    }

    fn answer(&mut self, login: &mut Login, signature: Vec<u8>) -> Outcome {
        self.auth.say(login, FromFront::KeyAnswer { signature })
    }

    /// Asks, signs what is asked, and answers.
    fn signed(&mut self, key: &ClientKey, asked: FromFront, purpose: Purpose) -> Outcome {
        let mut login = Login::new();
        let nonce = self.nonce(&mut login, asked);
        self.answer(&mut login, key.sign(purpose, ORIGIN, &nonce))
    }

    /// Has a key wait for its binding.
    fn waiting(&mut self, key: &ClientKey) -> WaitingKey {
        match self.signed(key, bind_key(key), Purpose::Bind) {
            Outcome::Wait(unbound) => self.bindings.wait(unbound, self.auth.now.instant).unwrap(),
            other => panic!("it does not wait: {other:?}"),
        }
    }

    /// Gives a code as somebody who is signed in to this account.
    fn find(&mut self, login: &mut Login, account: &str, code: &str) -> Outcome {
        let account: AccountName = account.parse().unwrap();
        let claimed = self.bindings.claim(&account, code, self.auth.now.instant);
        let rule = || KeyRule { allow: BTreeSet::from([KeyRight::List]), seconds: 60 };
        let claimed = claimed.map(|claimed| (claimed, rule()));
        self.auth.input(login, Input::Claimed { account, claimed }, Ok(None))
    }

    fn found(&mut self, login: &mut Login, code: &str) -> String {
        match self.find(login, "alice", code) {
            Outcome::Binding(options) => options,
            other => panic!("it is not found: {other:?}"),
        }
    }

    fn bind(&mut self, key: &ClientKey) -> Outcome {
        let waiting = self.waiting(key);
        let mut login = Login::new();
        let options = self.found(&mut login, waiting.code.reveal());
        let credential = self.passkey.touch(&options);
        self.auth.answer(&mut login, credential)
    }

    fn bound() -> (Self, ClientKey) {
        let (mut keys, key) = (Self::new(), ClientKey::random().unwrap());
        assert!(matches!(keys.bind(&key), Outcome::Bound(account) if account == "alice"));
        (keys, key)
    }

    fn sign_in(&mut self, key: &ClientKey) -> Outcome {
        self.signed(key, key_sign_in(key), Purpose::SignIn)
    }
}

fn is_signed_in(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::SignedIn(name, How::ClientKey) if name == "alice")
}

#[test]
fn a_key_that_was_bound_by_a_touch_signs_in_until_it_is_removed() {
    let (mut keys, key) = Keys::bound();
    keys.auth.pass(10);
    assert!(is_signed_in(&keys.sign_in(&key)));
    let alice = "alice".parse().unwrap();
    let listed = keys.auth.pages.accounts.keys(&alice, None, keys.auth.now.moment()).unwrap().remove(0);
    assert_eq!((listed.key, listed.name.as_str()), (key.public().id(), "laptop"));
    assert_eq!((listed.bound, listed.last_sign_in), (1_000_000, Some(1_000_010)));
    assert_eq!(listed.source, "192.0.2.1".parse().ok());
    // It is in the file of the account.
    let store = AccountFiles::open(keys.auth.folder.path()).unwrap();
    keys.auth.pages = StoredAccounts::over(store.read_all().unwrap(), store);
    assert!(is_signed_in(&keys.sign_in(&key)));
    // Its command line removes it with a signature of its own.
    let removed = keys.signed(&key, remove_key(&key), Purpose::Remove);
    assert!(matches!(removed, Outcome::KeyRemoved(id) if id == key.public().id()));
    assert_refused(keys.sign_in(&key), Refusal::UnknownKey);
    assert_refused(keys.signed(&key, remove_key(&key), Purpose::Remove), Refusal::UnknownKey);
}

#[test]
fn a_signature_is_good_for_its_connection_its_challenge_and_its_purpose() {
    let (mut keys, key) = Keys::bound();
    let (mut one, mut other) = (Login::new(), Login::new());
    let nonce = keys.nonce(&mut one, key_sign_in(&key));
    keys.nonce(&mut other, key_sign_in(&key));
    let signature = key.sign(Purpose::SignIn, ORIGIN, &nonce);
    assert_refused(keys.answer(&mut other, signature.clone()), Refusal::UnknownKey);
    assert!(is_signed_in(&keys.answer(&mut one, signature.clone())));
    assert!(matches!(keys.answer(&mut one, signature.clone()), Outcome::Violation));
    let mut again = Login::new();
    assert_refused(keys.answer(&mut again, signature.clone()), Refusal::ChallengeExpired);
    keys.nonce(&mut again, key_sign_in(&key));
    assert_refused(keys.answer(&mut again, signature), Refusal::UnknownKey);
    // The challenge is used up by a wrong answer.
    let nonce = keys.nonce(&mut again, key_sign_in(&key));
    assert_refused(keys.answer(&mut again, vec![0; 64]), Refusal::UnknownKey);
    let late = key.sign(Purpose::SignIn, ORIGIN, &nonce);
    assert_refused(keys.answer(&mut again, late), Refusal::ChallengeExpired);

    for purpose in [Purpose::Bind, Purpose::Remove] {
        assert_refused(keys.signed(&key, key_sign_in(&key), purpose), Refusal::UnknownKey);
    }
    assert_refused(keys.signed(&key, remove_key(&key), Purpose::SignIn), Refusal::UnknownKey);
    // A host in between passes a challenge on, and its command line signs the name of that host.
    let nonce = keys.nonce(&mut again, key_sign_in(&key));
    let elsewhere = key.sign(Purpose::SignIn, "https://evil.example.org", &nonce);
    assert_refused(keys.answer(&mut again, elsewhere), Refusal::UnknownKey);
    for (seconds, in_time) in [(59, true), (60, false)] {
        let mut login = Login::new();
        let nonce = keys.nonce(&mut login, key_sign_in(&key));
        keys.auth.pass(seconds);
        let answered = keys.answer(&mut login, key.sign(Purpose::SignIn, ORIGIN, &nonce));
        assert_eq!(is_signed_in(&answered), in_time, "{answered:?}");
    }
}

#[test]
fn a_key_that_nobody_has_bound_gets_a_challenge_and_nothing_for_it() {
    let (mut keys, _) = Keys::bound();
    let stranger = ClientKey::random().unwrap();
    assert_refused(keys.sign_in(&stranger), Refusal::UnknownKey);
    assert_refused(keys.signed(&stranger, remove_key(&stranger), Purpose::Remove), Refusal::UnknownKey);
}

#[test]
fn nothing_but_a_touch_of_the_account_binds_a_key_and_each_code_once() {
    let mut keys = Keys::new();
    let key = ClientKey::random().unwrap();
    let before = keys.auth.files();
    // Whoever binds a key has to hold it.
    let other = ClientKey::random().unwrap();
    assert_refused(keys.signed(&other, bind_key(&key), Purpose::Bind), Refusal::UnknownKey);
    // The code alone, a touch of another challenge, a wrong one, a late one, and none.
    let waiting = keys.waiting(&key);
    let mut login = Login::new();
    assert_refused(keys.find(&mut login, "alice", "0000-0000"), Refusal::CodeInvalid);
    let options = keys.found(&mut login, waiting.code.reveal());
    assert_refused(keys.find(&mut Login::new(), "alice", waiting.code.reveal()), Refusal::CodeInvalid);
    assert_refused(keys.auth.answer(&mut login, "{}".to_owned()), Refusal::UnknownPasskey);
    let credential = keys.passkey.touch(&options);
    assert_refused(keys.auth.answer(&mut login, credential.clone()), Refusal::ChallengeExpired);

    let waiting = keys.waiting(&key);
    keys.found(&mut login, waiting.code.reveal());
    assert_refused(keys.auth.answer(&mut login, credential), Refusal::UnknownPasskey);

    let waiting = keys.waiting(&key);
    keys.found(&mut login, waiting.code.reveal());
    let mut of_bob = SoftAuthenticator::new(ORIGIN);
    let token = keys.auth.add("bob");
    keys.auth.enrol(&token, &mut of_bob);
    let before_bob = keys.auth.files();
    let options = keys.auth.challenge(&mut Login::new(), FromFront::SignIn);
    let of_another = of_bob.sign_in(&options);
    assert_refused(keys.auth.answer(&mut login, of_another), Refusal::PasskeyOfAnother);

    let waiting = keys.waiting(&key);
    let options = keys.found(&mut login, waiting.code.reveal());
    let credential = keys.passkey.touch(&options);
    keys.auth.pass(BINDING.as_secs());
    assert_refused(keys.auth.answer(&mut login, credential), Refusal::ChallengeExpired);

    let waiting = keys.waiting(&key);
    let options = keys.found(&mut login, waiting.code.reveal());
    drop(waiting);
    let credential = keys.passkey.touch(&options);
    assert_refused(keys.auth.answer(&mut login, credential), Refusal::CodeInvalid);

    let waiting = keys.waiting(&key);
    keys.found(&mut login, waiting.code.reveal());
    assert_refused(keys.auth.say(&mut login, FromFront::DeclineBinding), Refusal::KeyDeclined);
    assert_eq!(keys.auth.files(), before_bob);
    assert!(before.iter().all(|file| before_bob.contains(file)));
    assert_refused(keys.sign_in(&key), Refusal::UnknownKey);
    assert!(matches!(keys.bind(&key), Outcome::Bound(_)), "what is right is accepted");
}

#[test]
fn a_key_is_one_accounts_and_an_account_has_a_bounded_number() {
    let (mut keys, key) = Keys::bound();
    assert_refused(keys.signed(&key, bind_key(&key), Purpose::Bind), Refusal::UnknownKey);
    // Two connections may bind the same key at once.
    let twice = ClientKey::random().unwrap();
    let (first, second) = (keys.waiting(&twice), keys.waiting(&twice));
    for (waiting, is_first) in [(first, true), (second, false)] {
        let mut login = Login::new();
        let options = keys.found(&mut login, waiting.code.reveal());
        let credential = keys.passkey.touch(&options);
        let outcome = keys.auth.answer(&mut login, credential);
        assert_eq!(matches!(outcome, Outcome::Bound(_)), is_first, "{outcome:?}");
    }
    for _ in 2..CLIENT_KEYS_MAX {
        assert!(matches!(keys.bind(&ClientKey::random().unwrap()), Outcome::Bound(_)));
    }
    assert_refused(keys.bind(&ClientKey::random().unwrap()), Refusal::KeysFull);
}

#[test]
fn a_removed_account_or_key_signs_in_no_more_not_even_while_the_broker_is_told() {
    for remove_account in [true, false] {
        let (mut keys, key) = Keys::bound();
        let mut login = Login::new();
        let nonce = keys.nonce(&mut login, key_sign_in(&key));
        let signature = key.sign(Purpose::SignIn, ORIGIN, &nonce);
        let taken = std::mem::replace(&mut login, Login::new());
        let asked = Input::Asked(FromFront::KeyAnswer { signature });
        let auth = &mut keys.auth;
        let (next, action) = taken.handle(asked, &auth.pages.accounts, &auth.party, auth.now);
        let Action::Store(change) = action else { panic!("{action:?}") };
        auth.pages.apply(change, auth.now).unwrap();
        let stored = Input::Stored(Ok(()));
        let (next, action) = next.handle(stored, &auth.pages.accounts, &auth.party, auth.now);
        let Action::Vouch { how, .. } = &action else { panic!("{action:?}") };
        assert_eq!(*how, AuthMethod::ClientKey { key: key.public().id(), bound: 1_000_000 });
        let name = "alice".parse().unwrap();
        let change = if remove_account {
            Change::Remove { name }
        } else {
            Change::RemoveKey { name, key: key.public().id() }
        };
        auth.pages.apply(change, auth.now).unwrap();
        let vouched = Input::Vouched(Ok(None));
        let (_, action) = next.handle(vouched, &auth.pages.accounts, &auth.party, auth.now);
        assert!(matches!(action, Action::Refuse { refusal: Refusal::UnknownKey, .. }), "{action:?}");
        assert_refused(keys.sign_in(&key), Refusal::UnknownKey);
    }
}

#[test]
fn an_answer_of_the_other_kind_uses_the_challenge_up() {
    let (mut keys, key) = Keys::bound();
    let mut login = Login::new();
    let nonce = keys.nonce(&mut login, key_sign_in(&key));
    assert_refused(keys.auth.answer(&mut login, "{}".to_owned()), Refusal::ChallengeExpired);
    let signature = key.sign(Purpose::SignIn, ORIGIN, &nonce);
    assert_refused(keys.answer(&mut login, signature.clone()), Refusal::ChallengeExpired);
    let options = keys.auth.challenge(&mut login, FromFront::SignIn);
    assert_refused(keys.answer(&mut login, signature), Refusal::ChallengeExpired);
    let credential = keys.passkey.sign_in(&options);
    assert_refused(keys.auth.answer(&mut login, credential), Refusal::ChallengeExpired);
}
