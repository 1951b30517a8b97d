use super::super::super::accounts::RESUME_KEYS_MAX;
use super::*;
use crate::client_key::ClientKey;
use crate::names::Label;
use crate::protocol::control::KeyKind;

const HOURS: u32 = 12 * 60 * 60;

fn offer(key: &ClientKey) -> Option<OfferedKey> {
    let (key, name) = (key.public(), Label::cut("Chromium on Linux").unwrap());
    Some(OfferedKey { key, name, source: "192.0.2.1".parse().ok() })
}

impl Auth {
    /// Signs in with a passkey, and offers a key to come back with.
    fn sign_in_with(&mut self, passkey: &mut SoftAuthenticator, key: &ClientKey) -> Outcome {
        let mut login = Login::new();
        let options = self.challenge(&mut login, FromFront::SignIn);
        let (credential, resume_key) = (passkey.sign_in(&options), offer(key));
        self.say(&mut login, FromFront::Answer { credential, resume_key })
    }

    fn asked(&mut self, login: &mut Login, key: &ClientKey) -> Nonce {
        match self.say(login, FromFront::Resume { key: key.public().id() }) {
            Outcome::KeyChallenge(nonce) => nonce,
            other => panic!("no challenge: {other:?}"),
        }
    }

    /// Comes back with a key, on a new connection.
    fn come_back(&mut self, key: &ClientKey) -> Outcome {
        let mut login = Login::new();
        let nonce = self.asked(&mut login, key);
        let signature = key.sign(Purpose::Resume, ORIGIN, &nonce);
        self.say(&mut login, FromFront::KeyAnswer { signature })
    }

    fn pages_of_alice(&self) -> Vec<ClientKeyId> {
        let keys = self.pages.accounts.keys(&"alice".parse().unwrap(), self.resume, self.now.moment());
        let pages = keys.unwrap().into_iter().filter(|key| key.kind == KeyKind::Page);
        pages.map(|key| key.key).collect()
    }
}

fn alice_with_a_page() -> (Auth, SoftAuthenticator, ClientKey) {
    let (mut auth, mut passkey) = Auth::with_alice();
    auth.resume = Some(HOURS);
    let key = ClientKey::random().unwrap();
    assert_signed_in(auth.sign_in_with(&mut passkey, &key));
    (auth, passkey, key)
}

#[track_caller]
fn assert_back(outcome: Outcome) {
    assert!(matches!(&outcome, Outcome::SignedIn(name, How::ResumeKey) if name == "alice"), "{outcome:?}");
}

#[test]
fn a_page_comes_back_without_a_touch_also_after_a_restart() {
    let (mut auth, _, key) = alice_with_a_page();
    assert_back(auth.come_back(&key));
    let store = AccountFiles::open(auth.folder.path()).unwrap();
    auth.pages = StoredAccounts::over(store.read_all().unwrap(), store);
    assert_back(auth.come_back(&key));
    assert_eq!(auth.pages_of_alice(), [key.public().id()]);
}

#[test]
fn a_page_that_enrols_has_a_key_too() {
    let mut auth = Auth::new();
    auth.resume = Some(HOURS);
    let (token, key) = (auth.add("alice"), ClientKey::random().unwrap());
    let mut passkey = SoftAuthenticator::new(ORIGIN);
    let mut login = Login::new();
    let options = auth.challenge(&mut login, enrol(&token));
    let (credential, resume_key) = (passkey.register(&options), offer(&key));
    assert_enrolled(auth.say(&mut login, FromFront::Answer { credential, resume_key }));
    assert_back(auth.come_back(&key));
}

#[test]
fn the_broker_hears_when_the_passkey_was_touched_and_which() {
    let (mut auth, _, key) = alice_with_a_page();
    let touched = auth.now.moment();
    auth.pass(3600);
    let mut login = Login::new();
    let nonce = auth.asked(&mut login, &key);
    let signature = key.sign(Purpose::Resume, ORIGIN, &nonce);
    let asked = Input::Asked(FromFront::KeyAnswer { signature });
    let (next, action) = login.handle(asked, &auth.pages.accounts, &auth.party, auth.now);
    let Action::Store(change) = action else { panic!("{action:?}") };
    auth.pages.apply(change, auth.now).unwrap();
    let (next, action) = next.handle(Input::Stored(Ok(())), &auth.pages.accounts, &auth.party, auth.now);
    let Action::Vouch { how: AuthMethod::ResumeKey { key: by, touched: then, .. }, at, resume_key, .. } =
        action
    else {
        panic!("{action:?}")
    };
    assert_eq!((by, then, at), (key.public().id(), touched, auth.now.unix));
    assert_eq!(resume_key, Some(key.public().id()));
    // While the broker is told, the key is removed.
    let change = Change::RemoveKey { name: "alice".parse().unwrap(), key: key.public().id() };
    auth.pages.apply(change, auth.now).unwrap();
    let vouched = Input::Vouched(Ok(Some(HOURS)));
    let (_, action) = next.handle(vouched, &auth.pages.accounts, &auth.party, auth.now);
    assert!(matches!(action, Action::Refuse { refusal: Refusal::ResumeOver, .. }), "{action:?}");
    assert_refused(auth.come_back(&key), Refusal::ResumeOver);
}

#[test]
fn a_challenge_is_good_once_for_one_key_one_purpose_and_one_connection() {
    let (mut auth, mut passkey, key) = alice_with_a_page();
    let (mut one, mut other) = (Login::new(), Login::new());
    let nonce = auth.asked(&mut one, &key);
    auth.asked(&mut other, &key);
    let signature = key.sign(Purpose::Resume, ORIGIN, &nonce);
    let replayed = FromFront::KeyAnswer { signature: signature.clone() };
    assert_refused(auth.say(&mut other, replayed.clone()), Refusal::ResumeOver);
    assert_refused(auth.say(&mut Login::new(), replayed.clone()), Refusal::ChallengeExpired);
    assert_back(auth.say(&mut one, replayed.clone()));
    assert!(matches!(auth.say(&mut one, replayed), Outcome::Violation));
    let thief = ClientKey::random().unwrap();
    for signature in [
        (|nonce: &Nonce, _: &ClientKey, thief: &ClientKey| thief.sign(Purpose::Resume, ORIGIN, nonce))
            as fn(&Nonce, &ClientKey, &ClientKey) -> Vec<u8>,
        |nonce, key, _| key.sign(Purpose::SignIn, ORIGIN, nonce),
        |nonce, key, _| key.sign(Purpose::Resume, "https://evil.example.org", nonce),
        |_, key, _| key.sign(Purpose::Resume, ORIGIN, &[0; NONCE_LENGTH]),
        |_, _, _| Vec::new(),
    ] {
        let mut login = Login::new();
        let nonce = auth.asked(&mut login, &key);
        let signature = signature(&nonce, &key, &thief);
        assert_refused(auth.say(&mut login, FromFront::KeyAnswer { signature }), Refusal::ResumeOver);
        // The challenge is used up.
        let signature = key.sign(Purpose::Resume, ORIGIN, &nonce);
        assert_refused(auth.say(&mut login, FromFront::KeyAnswer { signature }), Refusal::ChallengeExpired);
    }
    assert_refused(auth.come_back(&thief), Refusal::ResumeOver);
    // It is no client key, and a step-up does not take it.
    let mut login = Login::new();
    let asked = FromFront::KeySignIn { key: key.public().id() };
    let Outcome::KeyChallenge(nonce) = auth.say(&mut login, asked) else { panic!("no challenge") };
    let signature = key.sign(Purpose::SignIn, ORIGIN, &nonce);
    assert_refused(auth.say(&mut login, FromFront::KeyAnswer { signature }), Refusal::UnknownKey);
    auth.challenge(&mut login, FromFront::StepUp { account: "alice".parse().unwrap() });
    let signature = key.sign(Purpose::Resume, ORIGIN, &nonce);
    assert_refused(auth.say(&mut login, FromFront::KeyAnswer { signature }), Refusal::ChallengeExpired);
    assert_signed_in(auth.sign_in(&mut passkey));
}

#[test]
fn a_step_up_leaves_no_key() {
    let (mut auth, mut passkey, _) = alice_with_a_page();
    let mut login = Login::new();
    let options = auth.challenge(&mut login, FromFront::StepUp { account: "alice".parse().unwrap() });
    let key = ClientKey::random().unwrap();
    let (credential, resume_key) = (passkey.touch(&options), offer(&key));
    let outcome = auth.say(&mut login, FromFront::Answer { credential, resume_key });
    assert!(matches!(outcome, Outcome::SignedIn(_, How::StepUp)), "{outcome:?}");
    assert_refused(auth.come_back(&key), Refusal::ResumeOver);
}

#[test]
fn without_a_rule_or_room_a_page_signs_in_and_has_no_key() {
    let (mut auth, mut passkey, _) = alice_with_a_page();
    let sign_in = |auth: &mut Auth, passkey: &mut SoftAuthenticator| {
        let key = ClientKey::random().unwrap();
        assert_signed_in(auth.sign_in_with(passkey, &key));
        key
    };
    auth.resume = None;
    let key = sign_in(&mut auth, &mut passkey);
    auth.resume = Some(HOURS);
    assert_refused(auth.come_back(&key), Refusal::ResumeOver);
    for _ in 1..RESUME_KEYS_MAX {
        let key = sign_in(&mut auth, &mut passkey);
        assert_back(auth.come_back(&key));
    }
    let key = sign_in(&mut auth, &mut passkey);
    assert_refused(auth.come_back(&key), Refusal::ResumeOver);
    assert_eq!(auth.pages_of_alice().len(), RESUME_KEYS_MAX);
    // Those whose time is over make room.
    auth.pass(u64::from(HOURS));
    assert_eq!(auth.pages_of_alice().len(), 0);
    let key = sign_in(&mut auth, &mut passkey);
    assert_back(auth.come_back(&key));
    assert_eq!(auth.pages_of_alice(), [key.public().id()]);
}

#[test]
fn a_key_that_another_account_has_is_not_kept_again() {
    let (mut auth, _, key) = alice_with_a_page();
    let mut passkey = SoftAuthenticator::new(ORIGIN);
    let token = auth.add("bob");
    assert!(matches!(auth.enrol(&token, &mut passkey), Outcome::SignedIn(_, _)));
    assert!(matches!(auth.sign_in_with(&mut passkey, &key), Outcome::SignedIn(name, _) if name == "bob"));
    assert_back(auth.come_back(&key));
}

#[test]
fn a_key_goes_with_its_account_and_with_its_passkey() {
    let (mut auth, _, key) = alice_with_a_page();
    auth.remove("alice");
    assert_refused(auth.come_back(&key), Refusal::ResumeOver);
    let (mut auth, _, key) = alice_with_a_page();
    let name = "alice".parse().unwrap();
    let account = auth.pages.accounts.by_name(&name).unwrap();
    auth.pages.accounts.commit(super::super::super::accounts::Planned::Write(Account {
        passkeys: Vec::new(),
        ..account.clone()
    }));
    assert_refused(auth.come_back(&key), Refusal::ResumeOver);
}
