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
//! A question is one of SignIn, Enrol and StepUp.
//!
//! Every input consumes the state. The first answer to a challenge, right or wrong, uses the
//! challenge up, and only `Vouching` leads to signed in.

use std::time::Instant;

use webauthn_rs::prelude::{
    AuthenticationResult, DiscoverableAuthentication, PasskeyRegistration, WebauthnError,
};

use super::accounts::{Account, AccountId, Accounts, Change};
use super::clock::Now;
use super::passkeys::{RelyingParty, Unverified};
use super::secret::{EnrolSecret, SecretHash};
use crate::names::{AccountName, PasskeyId};
use crate::protocol::Refusal;
use crate::protocol::login::{CHALLENGE, FromFront, ToFront};
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
    Storing(Authenticated),
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

#[derive(Debug)]
enum CeremonyState {
    SignIn(Box<DiscoverableAuthentication>),
    Enrol { account: AccountId, link: SecretHash, kept: Box<PasskeyRegistration> },
    StepUp { account: AccountId, kept: Box<DiscoverableAuthentication> },
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
}

/// Who has authenticated, and how.
#[derive(Debug)]
struct Authenticated {
    id: AccountId,
    name: AccountName,
    how: How,
    passkey: PasskeyId,
    /// When, in seconds since 1970.
    at: u64,
}

/// An input to the state machine.
#[derive(Debug)]
pub(super) enum Input {
    /// A message from the front.
    Asked(FromFront),
    /// The result of [`Action::Store`].
    Stored(Result<(), Refusal>),
    /// The result of [`Action::Vouch`].
    Vouched(Result<(), Refusal>),
}

/// What the caller must do. Each input leads to exactly one action.
#[derive(Debug)]
pub(super) enum Action {
    /// Send a challenge.
    Challenge(ToFront),
    /// Make a change, and pass its result in as [`Input::Stored`].
    Store(Change),
    /// Vouch for this principal to the broker, and pass the result in as [`Input::Vouched`].
    Vouch { account: AccountName, how: AuthMethod, at: u64 },
    /// Hand over the principal channel. The connection is done.
    SignedIn { account: AccountName, how: How, passkey: PasskeyId },
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
                    Ok((Ceremony::Get, asked.options, CeremonyState::SignIn(asked.kept)))
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
                    Ok((Ceremony::Create, asked.options, asked_of))
                })
            }
            (LoginState::Idle | LoginState::Challenged(_), Input::Asked(FromFront::StepUp { account })) => {
                Self { state: LoginState::Idle, ..self }.challenge(now, || {
                    let account = accounts.by_name(&account);
                    let account = account.ok_or((Refusal::UnknownPasskey, RefusalReason::Removed))?;
                    let asked = party.ask_to_step_up(account).map_err(no_challenge)?;
                    let asked_of = CeremonyState::StepUp { account: account.id, kept: asked.kept };
                    Ok((Ceremony::Get, asked.options, asked_of))
                })
            }
            (LoginState::Idle, Input::Asked(FromFront::Answer { .. })) => {
                let login = Self { state: LoginState::Idle, ..self };
                login.refuse(Refusal::ChallengeExpired, None, RefusalReason::NoChallenge)
            }
            (LoginState::Challenged(challenge), Input::Asked(FromFront::Answer { credential })) => {
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
                                login.store_sign_in(account, How::SignIn, result, now)
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
                                let authenticated =
                                    Authenticated::of(account, How::Enrolment, credential, now);
                                let (account, passkey) = (account.id, Box::new(passkey));
                                login.store(authenticated, Change::Enrol { account, link, passkey })
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
                            Ok(result) => login.store_sign_in(account, How::StepUp, result, now),
                            Err(why) => {
                                let another = matches!(why, Unverified::NoPasskey);
                                let refusal =
                                    if another { Refusal::PasskeyOfAnother } else { Refusal::UnknownPasskey };
                                login.refuse(refusal, Some(account.name.clone()), why.into())
                            }
                        }
                    }
                }
            }
            (LoginState::Storing(authenticated), Input::Stored(Ok(()))) => {
                let action = Action::Vouch {
                    account: authenticated.name.clone(),
                    how: authenticated.method(),
                    at: authenticated.at,
                };
                (Self { state: LoginState::Vouching(authenticated), ..self }, action)
            }
            (LoginState::Storing(authenticated), Input::Stored(Err(refusal))) => {
                Self { state: LoginState::Idle, ..self }.refuse(
                    refusal,
                    Some(authenticated.name),
                    RefusalReason::Change,
                )
            }
            (LoginState::Vouching(authenticated), Input::Vouched(Ok(()))) => {
                // The account may have been removed after the change was stored, and the broker
                // told of the removal before it was told of this principal. A removal after this
                // check is told to the broker after the vouching, and closes the channel.
                if accounts.by_id(authenticated.id).is_none() {
                    let login = Self { state: LoginState::Idle, ..self };
                    return login.refuse(
                        Refusal::UnknownPasskey,
                        Some(authenticated.name),
                        RefusalReason::Removed,
                    );
                }
                let Authenticated { name: account, how, passkey, .. } = authenticated;
                let action = Action::SignedIn { account, how, passkey };
                (Self { state: LoginState::Over, ..self }, action)
            }
            (LoginState::Vouching(authenticated), Input::Vouched(Err(refusal))) => {
                let refusal = match authenticated.how {
                    How::SignIn | How::StepUp => refusal,
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
            (LoginState::Storing(_), Input::Asked(_) | Input::Vouched(_))
            | (LoginState::Vouching(_), Input::Asked(_) | Input::Stored(_))
            | (LoginState::Idle | LoginState::Challenged(_), Input::Stored(_) | Input::Vouched(_))
            | (LoginState::Over, Input::Asked(_) | Input::Stored(_) | Input::Vouched(_)) => {
                (Self { state: LoginState::Over, ..self }, Action::Violation)
            }
        }
    }

    fn challenge(
        self,
        now: Now,
        make: impl FnOnce() -> Result<(Ceremony, String, CeremonyState), (Refusal, RefusalReason)>,
    ) -> (Self, Action) {
        if self.challenges >= CHALLENGES_MAX {
            return self.refuse(Refusal::Busy, None, RefusalReason::Challenges);
        }
        let login = Self { challenges: self.challenges + 1, ..self };
        match make() {
            Ok((ceremony, options, asked)) => {
                let challenge = Challenge { deadline: now.instant + CHALLENGE, asked };
                let action = Action::Challenge(ToFront::Challenge { ceremony, options });
                (Self { state: LoginState::Challenged(challenge), ..login }, action)
            }
            Err((refusal, why)) => login.refuse(refusal, None, why),
        }
    }

    fn store(self, authenticated: Authenticated, change: Change) -> (Self, Action) {
        (Self { state: LoginState::Storing(authenticated), ..self }, Action::Store(change))
    }

    fn store_sign_in(
        self,
        account: &Account,
        how: How,
        result: AuthenticationResult,
        now: Now,
    ) -> (Self, Action) {
        let authenticated = Authenticated::of(account, how, result.cred_id(), now);
        let (account, result) = (account.id, Box::new(result));
        self.store(authenticated, Change::SignIn { account, result })
    }

    fn refuse(self, refusal: Refusal, account: Option<AccountName>, why: RefusalReason) -> (Self, Action) {
        (Self { state: LoginState::Idle, ..self }, Action::Refuse { refusal, account, why })
    }
}

impl Authenticated {
    fn of(account: &Account, how: How, credential: &[u8], now: Now) -> Self {
        let passkey = PasskeyId::of(credential);
        Self { id: account.id, name: account.name.clone(), how, passkey, at: now.unix }
    }

    /// How the principal was verified, for the broker.
    fn method(&self) -> AuthMethod {
        let passkey = self.passkey.clone();
        match self.how {
            How::SignIn => AuthMethod::Passkey(passkey),
            How::Enrolment => AuthMethod::Enrolment(passkey),
            How::StepUp => AuthMethod::StepUp(passkey),
        }
    }
}

fn no_challenge(error: WebauthnError) -> (Refusal, RefusalReason) {
    (Refusal::Unavailable, RefusalReason::Making(error))
}

#[cfg(test)]
mod tests;
