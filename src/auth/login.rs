//! The state machine of a login connection. No I/O: [`super::login_socket`] passes in the inputs
//! and carries out the actions, and the time is an argument.
//!
//! ```text
//!           question                  Answer            Stored           Vouched
//!   Idle ───────────────▶ Challenged ───────▶ Storing ────────▶ Vouching ────────▶ Over
//!    ▲                      │   ▲ │              │                 │
//!    └──────────────────────┴───┼─┴──────────────┴─────────────────┘  refused
//!                               └─ question: a new challenge in place of the old
//! ```
//!
//! A question is one of SignIn, Enrol, StepUp and Resume, and of the command line from afar
//! KeySignIn, BindKey and RemoveKey. A claimed key ([`Input::Claimed`]) is one too: it is to be bound
//! with a touch of a passkey. A change that binds or removes a key is followed by nothing, and one
//! that was asked for with BindKey by the wait for a person ([`Action::Wait`]). If the page offered a
//! resume key with its answer, and the broker says that the policy has such keys, the key is stored
//! after the vouching. What is done with keys is in `by_key`.
//!
//! Every input consumes the state. The first answer to a challenge, right or wrong, uses the
//! challenge up, and only `Vouching` leads to signed in.

mod by_key;

use std::fmt;
use std::time::Instant;

use webauthn_rs::prelude::{
    AuthenticationResult, DiscoverableAuthentication, PasskeyRegistration, WebauthnError,
};

use super::accounts::{Account, AccountId, Accounts, BoundKey, Change, ResumeKey};
use super::bindings::{ClaimedKey, UnboundKey};
use super::clock::Now;
use super::passkeys::{RelyingParty, Unverified};
use super::secret::{EnrolSecret, SecretHash};
use super::vouch::KeyRule;
use crate::client_key::Nonce;
use crate::clock::Moment;
use crate::names::{AccountName, ClientKeyId, PasskeyId};
use crate::protocol::Refusal;
use crate::protocol::login::{CHALLENGE, FromFront, OfferedKey, ToFront};
use crate::protocol::page::Ceremony;
use crate::protocol::vouch::AuthMethod;

/// Maximum number of challenges on one connection. A person who cancels and tries again needs a
/// few. A further one is refused with `busy`; a new connection starts its own count.
pub(super) const CHALLENGES_MAX: u32 = 32;

/// One login connection.
#[derive(Debug)]
pub(super) struct Login {
    state: LoginState,
    /// The number of challenges made on this connection.
    challenges: u32,
}

/// The state of a login connection. It holds at most one challenge, so the limit on connections
/// also limits the challenges in memory.
#[derive(Debug)]
enum LoginState {
    /// No challenge is pending.
    Idle,
    /// A challenge was sent.
    Challenged(Challenge),
    /// The answer is valid, and the resulting change is being stored.
    Storing(Next),
    /// The change is stored, and the broker is being told.
    Vouching(Authenticated),
    /// Signed in, or ended by a violation.
    Over,
}

/// A challenge. It exists only in the state of its connection.
#[derive(Debug)]
struct Challenge {
    deadline: Instant,
    asked: CeremonyState,
}

/// What follows once a change is stored.
#[derive(Debug)]
enum Next {
    /// The broker is told of the principal.
    Vouch(Authenticated),
    /// The principal is signed in, and the page told of the key that it may come back with.
    SignedIn { authenticated: Authenticated, seconds: u32 },
    /// The command line is told that its key is bound.
    Bound { account: AccountName, passkey: PasskeyId, claimed: Box<ClaimedKey> },
    /// The key was removed, and what it has open is closed.
    Removed { account: AccountName, key: ClientKeyId },
}

#[derive(Debug)]
enum CeremonyState {
    SignIn(Box<DiscoverableAuthentication>),
    Enrol {
        account: AccountId,
        link: SecretHash,
        kept: Box<PasskeyRegistration>,
    },
    StepUp {
        account: AccountId,
        kept: Box<DiscoverableAuthentication>,
    },
    /// A client key is bound by a touch of a passkey of this account.
    Bind {
        account: AccountId,
        claimed: Box<ClaimedKey>,
        kept: Box<DiscoverableAuthentication>,
    },
    /// A client key signs.
    Key {
        what: KeyQuestion,
        nonce: Nonce,
    },
}

/// What a client key signs for.
#[derive(Debug)]
enum KeyQuestion {
    SignIn(ClientKeyId),
    Bind(UnboundKey),
    Remove(ClientKeyId),
    /// The page comes back with a resume key.
    Resume(ClientKeyId),
}

/// How somebody has authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// With a passkey that was registered before.
    SignIn,
    /// With a passkey just registered with an enrolment link.
    Enrolment,
    /// With a passkey of the account that is signed in, once more.
    StepUp,
    /// With a client key.
    ClientKey,
    /// With a resume key, without a touch.
    ResumeKey,
}

/// What somebody has authenticated with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Proof {
    Passkey(PasskeyId),
    /// A client key, and when it was bound.
    ClientKey(ClientKeyId, u64),
    /// A resume key, and when the passkey was touched for it.
    ResumeKey(ClientKeyId, Moment),
}

impl fmt::Display for Proof {
    /// Writes it as the journal's field `credential` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passkey(passkey) => passkey.fmt(f),
            Self::ClientKey(key, _) => write!(f, "key:{key}"),
            Self::ResumeKey(key, _) => write!(f, "resume:{key}"),
        }
    }
}

/// Who has authenticated, and how.
#[derive(Debug)]
struct Authenticated {
    id: AccountId,
    name: AccountName,
    how: How,
    proof: Proof,
    /// When.
    at: Moment,
    /// The key that the page offered to come back with.
    offered: Option<OfferedKey>,
}

/// An input to the state machine.
#[derive(Debug)]
pub(super) enum Input {
    /// A message from the front, but not [`FromFront::FindBinding`], [`FromFront::Keys`] or
    /// [`FromFront::DropKey`].
    Asked(FromFront),
    /// Somebody who is signed in to this account gave the code of this key, and this is what the
    /// policy lets the account do with one. Or there is none.
    Claimed { account: AccountName, claimed: Result<(ClaimedKey, KeyRule), Refusal> },
    /// The result of [`Action::Store`].
    Stored(Result<(), Refusal>),
    /// The result of [`Action::Vouch`]: how many seconds the page may come back without a touch.
    Vouched(Result<Option<u32>, Refusal>),
}

/// What the caller must do. Each input leads to exactly one action.
#[derive(Debug)]
pub(super) enum Action {
    /// Send a challenge.
    Challenge(ToFront),
    /// Make a change, and pass its result in as [`Input::Stored`].
    Store(Change),
    /// Vouch for this principal to the broker, and pass the result in as [`Input::Vouched`].
    Vouch { account: AccountName, how: AuthMethod, at: u64, resume_key: Option<ClientKeyId> },
    /// Hand over the principal channel. The connection is done. `kept` is the resume key of the page,
    /// and for how many seconds it is good.
    SignedIn { account: AccountName, how: How, proof: Proof, kept: Option<(ClientKeyId, u32)> },
    /// Have this key wait until somebody binds it to an account.
    Wait(UnboundKey),
    /// Tell both sides that the key is bound. The connection is done.
    Bound { account: AccountName, passkey: PasskeyId, claimed: Box<ClaimedKey> },
    /// Have the broker close what the key has open, and say that it is removed. The connection is
    /// done.
    KeyRemoved { account: AccountName, key: ClientKeyId },
    /// Send a refusal, and log the reason.
    Refuse { refusal: Refusal, account: Option<AccountName>, why: RefusalReason },
    /// End the connection: the input is not allowed in this state.
    Violation,
}

/// Why a request is refused, for the log. It contains nothing that the peer made up.
#[derive(Debug, thiserror::Error)]
pub(super) enum RefusalReason {
    #[error("no link of this hash works now")]
    Link,
    #[error("too many challenges on one connection")]
    Challenges,
    #[error("there was no challenge, or it was answered already")]
    NoChallenge,
    #[error("the challenge had expired")]
    TooLate,
    #[error("the answer does not verify: {0}")]
    Unverified(#[from] Unverified),
    #[error("no challenge can be made: {0}")]
    Making(WebauthnError),
    #[error("the change is not allowed or cannot be stored")]
    Change,
    #[error("the broker does not accept the principal")]
    Broker,
    #[error("the account was removed during the login")]
    Removed,
    #[error("the thread that keeps the accounts is gone")]
    Storage,
    #[error("no account has this client key, or the signature is not its own")]
    ClientKey,
    #[error("no account has this resume key, or the signature is not its own")]
    ResumeKey,
    #[error("the client key is bound already")]
    KnownKey,
    #[error("no client key can be found by this code")]
    Code,
    #[error("the command line does not wait any more")]
    CommandLineGone,
    #[error("the person declined")]
    Declined,
    #[error("no random bytes can be had")]
    Random,
}

impl Login {
    /// Creates the state of a connection that has received nothing.
    pub(super) fn new() -> Self {
        Self { state: LoginState::Idle, challenges: 0 }
    }

    /// Returns the next state and the action for an input.
    pub(super) fn handle(
        self,
        input: Input,
        accounts: &Accounts,
        party: &RelyingParty,
        now: Now,
    ) -> (Self, Action) {
        match (self.state, input) {
            (LoginState::Idle | LoginState::Challenged(_), Input::Asked(FromFront::SignIn)) => {
                Self { state: LoginState::Idle, ..self }.challenge(now, || {
                    let asked = party.ask_to_sign_in().map_err(no_challenge)?;
                    Ok((passkey_challenge(Ceremony::Get, asked.options), CeremonyState::SignIn(asked.kept)))
                })
            }
            (LoginState::Idle | LoginState::Challenged(_), Input::Asked(FromFront::Enrol { token })) => {
                Self { state: LoginState::Idle, ..self }.challenge(now, || {
                    let link = token.reveal().parse().map(|secret: EnrolSecret| secret.hash());
                    let link = link.map_err(|_| (Refusal::LinkInvalid, RefusalReason::Link))?;
                    let account = accounts.by_link(&link, now.unix);
                    let account = account.ok_or((Refusal::LinkInvalid, RefusalReason::Link))?;
                    let asked = party.ask_to_register(account).map_err(no_challenge)?;
                    let asked_of = CeremonyState::Enrol { account: account.id, link, kept: asked.kept };
                    Ok((passkey_challenge(Ceremony::Create, asked.options), asked_of))
                })
            }
            (LoginState::Idle | LoginState::Challenged(_), Input::Asked(FromFront::StepUp { account })) => {
                Self { state: LoginState::Idle, ..self }.challenge(now, || {
                    let account = accounts.by_name(&account);
                    let account = account.ok_or((Refusal::UnknownPasskey, RefusalReason::Removed))?;
                    let asked = party.ask_to_step_up(account).map_err(no_challenge)?;
                    let asked_of = CeremonyState::StepUp { account: account.id, kept: asked.kept };
                    Ok((passkey_challenge(Ceremony::Get, asked.options), asked_of))
                })
            }
            // Whether there is such a key is not told before it has signed.
            (LoginState::Idle | LoginState::Challenged(_), Input::Asked(FromFront::KeySignIn { key })) => {
                Self { state: LoginState::Idle, ..self }.key_challenge(KeyQuestion::SignIn(key), now)
            }
            (LoginState::Idle | LoginState::Challenged(_), Input::Asked(FromFront::RemoveKey { key })) => {
                Self { state: LoginState::Idle, ..self }.key_challenge(KeyQuestion::Remove(key), now)
            }
            (LoginState::Idle | LoginState::Challenged(_), Input::Asked(FromFront::Resume { key })) => {
                Self { state: LoginState::Idle, ..self }.key_challenge(KeyQuestion::Resume(key), now)
            }
            (
                LoginState::Idle | LoginState::Challenged(_),
                Input::Asked(FromFront::BindKey { key, name, source }),
            ) => Self { state: LoginState::Idle, ..self }
                .key_challenge(KeyQuestion::Bind(UnboundKey { key, name, source }), now),
            (
                LoginState::Idle | LoginState::Challenged(_),
                Input::Claimed { account, claimed: Ok((claimed, rule)) },
            ) => Self { state: LoginState::Idle, ..self }.ask_to_bind(
                &account,
                Box::new(claimed),
                rule,
                accounts,
                party,
                now,
            ),
            (
                LoginState::Idle | LoginState::Challenged(_),
                Input::Claimed { account, claimed: Err(refusal) },
            ) => Self { state: LoginState::Idle, ..self }.refuse(refusal, Some(account), RefusalReason::Code),
            // The command line learns of it when the claimed key is dropped.
            (LoginState::Idle | LoginState::Challenged(_), Input::Asked(FromFront::DeclineBinding)) => {
                Self { state: LoginState::Idle, ..self }.refuse(
                    Refusal::KeyDeclined,
                    None,
                    RefusalReason::Declined,
                )
            }
            (LoginState::Idle, Input::Asked(FromFront::KeyAnswer { .. })) => {
                let login = Self { state: LoginState::Idle, ..self };
                login.refuse(Refusal::ChallengeExpired, None, RefusalReason::NoChallenge)
            }
            (LoginState::Challenged(challenge), Input::Asked(FromFront::KeyAnswer { signature })) => {
                // The challenge is used up from here on, whatever the result is.
                let login = Self { state: LoginState::Idle, ..self };
                if now.instant >= challenge.deadline {
                    return login.refuse(Refusal::ChallengeExpired, None, RefusalReason::TooLate);
                }
                match challenge.asked {
                    CeremonyState::Key { what, nonce } => {
                        login.check_key(what, &nonce, &signature, accounts, party, now)
                    }
                    CeremonyState::SignIn(_)
                    | CeremonyState::Enrol { .. }
                    | CeremonyState::StepUp { .. }
                    | CeremonyState::Bind { .. } => {
                        login.refuse(Refusal::ChallengeExpired, None, RefusalReason::NoChallenge)
                    }
                }
            }
            (LoginState::Idle, Input::Asked(FromFront::Answer { .. })) => {
                let login = Self { state: LoginState::Idle, ..self };
                login.refuse(Refusal::ChallengeExpired, None, RefusalReason::NoChallenge)
            }
            (
                LoginState::Challenged(challenge),
                Input::Asked(FromFront::Answer { credential, resume_key }),
            ) => {
                // The challenge is used up from here on, whatever the result is.
                let login = Self { state: LoginState::Idle, ..self };
                if now.instant >= challenge.deadline {
                    return login.refuse(Refusal::ChallengeExpired, None, RefusalReason::TooLate);
                }
                match challenge.asked {
                    CeremonyState::SignIn(kept) => {
                        let (account, result) = party.check_sign_in(&credential, *kept, accounts);
                        match (account, result) {
                            (Some(account), Ok(result)) => {
                                login.store_sign_in(account, How::SignIn, result, resume_key, now)
                            }
                            (account, Err(why)) => {
                                let name = account.map(|account| account.name.clone());
                                login.refuse(Refusal::UnknownPasskey, name, why.into())
                            }
                            (None, Ok(_)) => {
                                let why = Unverified::NoAccount.into();
                                login.refuse(Refusal::UnknownPasskey, None, why)
                            }
                        }
                    }
                    CeremonyState::Enrol { account, link, kept } => {
                        let Some(account) = accounts.by_id(account) else {
                            return login.refuse(Refusal::LinkInvalid, None, RefusalReason::Removed);
                        };
                        match party.check_registration(&credential, &kept) {
                            Ok(passkey) => {
                                let credential = passkey.cred_id();
                                let proof = Proof::Passkey(PasskeyId::of(credential));
                                let authenticated = Authenticated {
                                    offered: resume_key,
                                    ..Authenticated::of(account, How::Enrolment, proof, now)
                                };
                                let (account, passkey) = (account.id, Box::new(passkey));
                                let change = Change::Enrol { account, link, passkey };
                                login.store(Next::Vouch(authenticated), change)
                            }
                            Err(why) => {
                                let name = Some(account.name.clone());
                                login.refuse(Refusal::UnknownPasskey, name, why.into())
                            }
                        }
                    }
                    CeremonyState::StepUp { account, kept } => {
                        let Some(account) = accounts.by_id(account) else {
                            return login.refuse(Refusal::UnknownPasskey, None, RefusalReason::Removed);
                        };
                        match party.check_step_up(&credential, *kept, account) {
                            Ok(result) => login.store_sign_in(account, How::StepUp, result, None, now),
                            Err(why) => {
                                let another = matches!(why, Unverified::NoPasskey);
                                let refusal =
                                    if another { Refusal::PasskeyOfAnother } else { Refusal::UnknownPasskey };
                                login.refuse(refusal, Some(account.name.clone()), why.into())
                            }
                        }
                    }
                    CeremonyState::Bind { account, claimed, kept } => {
                        let Some(account) = accounts.by_id(account) else {
                            return login.refuse(Refusal::UnknownPasskey, None, RefusalReason::Removed);
                        };
                        let name = Some(account.name.clone());
                        match party.check_step_up(&credential, *kept, account) {
                            Ok(_) if !claimed.is_wanted() => {
                                login.refuse(Refusal::CodeInvalid, name, RefusalReason::CommandLineGone)
                            }
                            Ok(result) => login.bind(account, claimed, result, now),
                            Err(why) => {
                                let another = matches!(why, Unverified::NoPasskey);
                                let refusal =
                                    if another { Refusal::PasskeyOfAnother } else { Refusal::UnknownPasskey };
                                login.refuse(refusal, name, why.into())
                            }
                        }
                    }
                    CeremonyState::Key { .. } => {
                        login.refuse(Refusal::ChallengeExpired, None, RefusalReason::NoChallenge)
                    }
                }
            }
            (LoginState::Storing(Next::Vouch(authenticated)), Input::Stored(Ok(()))) => {
                let action = Action::Vouch {
                    account: authenticated.name.clone(),
                    how: authenticated.method(),
                    at: authenticated.at.unix,
                    resume_key: authenticated.resume_key(),
                };
                (Self { state: LoginState::Vouching(authenticated), ..self }, action)
            }
            (LoginState::Storing(Next::Bound { account, passkey, claimed }), Input::Stored(Ok(()))) => {
                let action = Action::Bound { account, passkey, claimed };
                (Self { state: LoginState::Over, ..self }, action)
            }
            (LoginState::Storing(Next::Removed { account, key }), Input::Stored(Ok(()))) => {
                (Self { state: LoginState::Over, ..self }, Action::KeyRemoved { account, key })
            }
            (LoginState::Storing(Next::SignedIn { authenticated, seconds }), Input::Stored(stored)) => {
                // Who signs in is not kept out because their key is not kept.
                let kept = stored.is_ok().then_some(seconds);
                Self { state: LoginState::Over, ..self }.signed_in(authenticated, kept)
            }
            (
                LoginState::Storing(
                    Next::Vouch(Authenticated { name: account, .. })
                    | Next::Bound { account, .. }
                    | Next::Removed { account, .. },
                ),
                Input::Stored(Err(refusal)),
            ) => {
                Self { state: LoginState::Idle, ..self }.refuse(refusal, Some(account), RefusalReason::Change)
            }
            (LoginState::Vouching(authenticated), Input::Vouched(Ok(seconds))) => {
                // The account may have been removed after the change was stored, and the broker
                // told of the removal before it was told of this principal. A removal after this
                // check is told to the broker after the vouching, and closes the channel.
                // The same goes for a client key and a resume key.
                let account = accounts.by_id(authenticated.id);
                let (is_there, refusal) = match &authenticated.proof {
                    Proof::Passkey(_) => (account.is_some(), Refusal::UnknownPasskey),
                    Proof::ClientKey(key, _) => {
                        let bound = account.and_then(|account| account.client_key(key));
                        (bound.is_some(), Refusal::UnknownKey)
                    }
                    Proof::ResumeKey(key, _) => {
                        let kept = account.and_then(|account| account.resume_key(key));
                        (kept.is_some(), Refusal::ResumeOver)
                    }
                };
                if !is_there {
                    let login = Self { state: LoginState::Idle, ..self };
                    return login.refuse(refusal, Some(authenticated.name), RefusalReason::Removed);
                }
                match seconds.and_then(|seconds| Some((authenticated.keep(seconds)?, seconds))) {
                    Some((change, seconds)) => {
                        let login = Self { state: LoginState::Idle, ..self };
                        login.store(Next::SignedIn { authenticated, seconds }, change)
                    }
                    None => Self { state: LoginState::Idle, ..self }.signed_in(authenticated, seconds),
                }
            }
            (LoginState::Vouching(authenticated), Input::Vouched(Err(refusal))) => {
                let refusal = match authenticated.how {
                    How::SignIn | How::StepUp | How::ClientKey | How::ResumeKey => refusal,
                    // The link is used up, so another attempt with it would fail.
                    How::Enrolment => Refusal::PasskeyRegistered,
                };
                Self { state: LoginState::Idle, ..self }.refuse(
                    refusal,
                    Some(authenticated.name),
                    RefusalReason::Broker,
                )
            }
            // Nothing else is allowed in these states: the front sends a message when it must wait
            // or after the end, or a result arrives for an action that was not requested.
            (LoginState::Storing(_), Input::Asked(_) | Input::Claimed { .. } | Input::Vouched(_))
            | (LoginState::Vouching(_), Input::Asked(_) | Input::Claimed { .. } | Input::Stored(_))
            | (
                LoginState::Idle | LoginState::Challenged(_),
                Input::Asked(
                    FromFront::FindBinding { .. } | FromFront::Keys { .. } | FromFront::DropKey { .. },
                )
                | Input::Stored(_)
                | Input::Vouched(_),
            )
            | (
                LoginState::Over,
                Input::Asked(_) | Input::Claimed { .. } | Input::Stored(_) | Input::Vouched(_),
            ) => (Self { state: LoginState::Over, ..self }, Action::Violation),
        }
    }

    fn challenge(
        self,
        now: Now,
        make: impl FnOnce() -> Result<(ToFront, CeremonyState), (Refusal, RefusalReason)>,
    ) -> (Self, Action) {
        self.challenge_until(now.instant + CHALLENGE, make)
    }

    fn challenge_until(
        self,
        deadline: Instant,
        make: impl FnOnce() -> Result<(ToFront, CeremonyState), (Refusal, RefusalReason)>,
    ) -> (Self, Action) {
        if self.challenges >= CHALLENGES_MAX {
            return self.refuse(Refusal::Busy, None, RefusalReason::Challenges);
        }
        let login = Self { challenges: self.challenges + 1, ..self };
        match make() {
            Ok((message, asked)) => {
                let challenge = Challenge { deadline, asked };
                let action = Action::Challenge(message);
                (Self { state: LoginState::Challenged(challenge), ..login }, action)
            }
            Err((refusal, why)) => login.refuse(refusal, None, why),
        }
    }

    fn store(self, next: Next, change: Change) -> (Self, Action) {
        (Self { state: LoginState::Storing(next), ..self }, Action::Store(change))
    }

    fn store_sign_in(
        self,
        account: &Account,
        how: How,
        result: AuthenticationResult,
        offered: Option<OfferedKey>,
        now: Now,
    ) -> (Self, Action) {
        let proof = Proof::Passkey(PasskeyId::of(result.cred_id()));
        let authenticated = Authenticated { offered, ..Authenticated::of(account, how, proof, now) };
        let (account, result) = (account.id, Box::new(result));
        self.store(Next::Vouch(authenticated), Change::SignIn { account, result })
    }

    /// Signs in. The key that the page has offered, or came back with, is good for `seconds` more.
    fn signed_in(self, authenticated: Authenticated, seconds: Option<u32>) -> (Self, Action) {
        let kept = authenticated.resume_key().zip(seconds);
        let Authenticated { name: account, how, proof, .. } = authenticated;
        let action = Action::SignedIn { account, how, proof, kept };
        (Self { state: LoginState::Over, ..self }, action)
    }

    fn refuse(self, refusal: Refusal, account: Option<AccountName>, why: RefusalReason) -> (Self, Action) {
        (Self { state: LoginState::Idle, ..self }, Action::Refuse { refusal, account, why })
    }
}

impl Authenticated {
    fn of(account: &Account, how: How, proof: Proof, now: Now) -> Self {
        let (id, name, at) = (account.id, account.name.clone(), now.moment());
        Self { id, name, how, proof, at, offered: None }
    }

    /// The resume key of the page: the one that it offered, or came back with.
    fn resume_key(&self) -> Option<ClientKeyId> {
        match (&self.proof, &self.offered) {
            (Proof::ResumeKey(key, _), _) => Some(key.clone()),
            (Proof::Passkey(_), Some(offered)) => Some(offered.key.id()),
            (Proof::Passkey(_) | Proof::ClientKey(_, _), _) => None,
        }
    }

    /// The change that lets the page come back with the key that it offered, if it did.
    fn keep(&self, seconds: u32) -> Option<Change> {
        let Proof::Passkey(passkey) = &self.proof else { return None };
        let OfferedKey { key, name, source } = self.offered.clone()?;
        let Moment { unix: bound, uptime } = self.at;
        let key = BoundKey { key, name, bound, source, last_sign_in: None };
        let key = ResumeKey { key, passkey: passkey.clone(), uptime };
        Some(Change::AddResumeKey { account: self.id, key, seconds })
    }

    /// How the principal was verified, for the broker.
    fn method(&self) -> AuthMethod {
        let passkey = match &self.proof {
            Proof::ClientKey(key, bound) => {
                return AuthMethod::ClientKey { key: key.clone(), bound: *bound };
            }
            Proof::ResumeKey(key, touched) => {
                return AuthMethod::ResumeKey { key: key.clone(), touched: *touched };
            }
            Proof::Passkey(passkey) => passkey.clone(),
        };
        match self.how {
            How::SignIn | How::ClientKey | How::ResumeKey => AuthMethod::Passkey(passkey),
            How::Enrolment => AuthMethod::Enrolment(passkey),
            How::StepUp => AuthMethod::StepUp(passkey),
        }
    }
}

fn passkey_challenge(ceremony: Ceremony, options: String) -> ToFront {
    ToFront::Challenge { ceremony, options }
}

fn no_challenge(error: WebauthnError) -> (Refusal, RefusalReason) {
    (Refusal::Unavailable, RefusalReason::Making(error))
}

#[cfg(test)]
mod tests;
