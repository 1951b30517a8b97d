//! What a login connection may say when, and what is done then. No I/O: [`super::login_socket`] brings
//! the inputs and does the actions, and the time is an argument.
//!
//! ```text
//!           SignIn | Enrol            Answer            Stored           Vouched
//!   Idle ───────────────▶ Challenged ───────▶ Storing ────────▶ Vouching ────────▶ Over
//!    ▲                      │   ▲ │              │                 │
//!    └──────────────────────┴───┼─┴──────────────┴─────────────────┘  refused
//!                               └─ SignIn | Enrol: a new challenge in place of the old
//! ```
//!
//! A state is used up by what happens in it. The first answer to a challenge, right or wrong, is
//! the last one, and only `Vouching` leads to signed in.

use std::time::Instant;

use webauthn_rs::prelude::{DiscoverableAuthentication, PasskeyRegistration, WebauthnError};

use super::accounts::{AccountId, Accounts, Change};
use super::clock::Now;
use super::passkeys::{RelyingParty, Unverified};
use super::secret::{EnrolSecret, SecretHash};
use crate::names::AccountName;
use crate::protocol::Refusal;
use crate::protocol::login::{CHALLENGE, FromFront, ToFront};
use crate::protocol::page::Ceremony;
use crate::protocol::vouch::Verified;

/// Most challenges on one connection. A person who cancels and tries again needs a few; one more is
/// refused with `busy`, and a new connection has its own.
pub(super) const CHALLENGES_MAX: u32 = 32;

/// One login connection.
#[derive(Debug)]
pub(super) struct Login {
    state: State,
    /// How many challenges were made on it.
    challenges: u32,
}

/// Where it stands. It holds one challenge at most: the bound on challenges in memory is the one
/// on connections.
#[derive(Debug)]
enum State {
    /// Nothing is asked.
    Idle,
    /// A challenge is out.
    Challenged(Challenge),
    /// The answer is right; what it changes is being stored.
    Storing(Person),
    /// It is stored; the broker is being told.
    Vouching(Person),
    /// Signed in, or out of turn.
    Over,
}

/// One challenge, which is in this connection's state and nowhere else.
#[derive(Debug)]
struct Challenge {
    deadline: Instant,
    asked: Ceremonial,
}

#[derive(Debug)]
enum Ceremonial {
    SignIn(Box<DiscoverableAuthentication>),
    Enrol { account: AccountId, link: SecretHash, kept: Box<PasskeyRegistration> },
}

/// How somebody has shown who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// By a passkey that was there before.
    SignIn,
    /// By a passkey just registered with an enrolment link.
    Enrolment,
}

impl From<How> for Verified {
    fn from(how: How) -> Self {
        match how {
            How::SignIn => Self::Passkey,
            How::Enrolment => Self::Enrolment,
        }
    }
}

/// Who has shown who they are, and how.
#[derive(Debug)]
struct Person {
    id: AccountId,
    name: AccountName,
    how: How,
    /// When, seconds since 1970.
    at: u64,
}

/// What happens to a login.
#[derive(Debug)]
pub(super) enum Input {
    /// The front says something.
    Asked(FromFront),
    /// [`Action::Store`] is done, or not.
    Stored(Result<(), Refusal>),
    /// [`Action::Vouch`] is done, or not.
    Vouched(Result<(), Refusal>),
}

/// What is to be done. Exactly one for each input.
#[derive(Debug)]
pub(super) enum Action {
    /// Send a challenge.
    Challenge(ToFront),
    /// Make a change, and say what came of it.
    Store(Change),
    /// Have the broker take this principal, and say what came of it.
    Vouch { account: AccountName, how: How, at: u64 },
    /// Hand the principal channel over; the connection is done.
    SignedIn { account: AccountName, how: How },
    /// Say no, and keep a record of why.
    Refuse { refusal: Refusal, account: Option<AccountName>, why: Why },
    /// End the connection: this was not allowed now.
    Violation,
}

/// Why something is refused, for the record. It says nothing that a peer made up.
#[derive(Debug, thiserror::Error)]
pub(super) enum Why {
    #[error("no link of this hash works now")]
    Link,
    #[error("too many challenges on one connection")]
    Challenges,
    #[error("there was no challenge, or it was answered already")]
    NoChallenge,
    #[error("the challenge's time was over")]
    TooLate,
    #[error("the answer does not verify: {0}")]
    Unverified(#[from] Unverified),
    #[error("no challenge can be made: {0}")]
    Making(WebauthnError),
    #[error("the change may not be made or cannot be stored")]
    Change,
    #[error("the broker does not take the principal")]
    Broker,
    #[error("the account was removed meanwhile")]
    Removed,
    #[error("the thread that keeps the accounts is gone")]
    Storage,
}

impl Login {
    /// A connection that has said nothing yet.
    pub(super) fn new() -> Self {
        Self { state: State::Idle, challenges: 0 }
    }

    /// What comes of `input`.
    pub(super) fn handle(
        self,
        input: Input,
        accounts: &Accounts,
        party: &RelyingParty,
        now: Now,
    ) -> (Self, Action) {
        match (self.state, input) {
            (State::Idle | State::Challenged(_), Input::Asked(FromFront::SignIn)) => {
                Self { state: State::Idle, ..self }.challenge(now, || {
                    let asked = party.ask_to_sign_in().map_err(no_challenge)?;
                    Ok((Ceremony::Get, asked.options, Ceremonial::SignIn(asked.kept)))
                })
            }
            (State::Idle | State::Challenged(_), Input::Asked(FromFront::Enrol { token })) => {
                Self { state: State::Idle, ..self }.challenge(now, || {
                    let link = token.parse().map(|secret: EnrolSecret| secret.hash());
                    let link = link.map_err(|_| (Refusal::LinkInvalid, Why::Link))?;
                    let account = accounts.by_link(&link, now.unix);
                    let account = account.ok_or((Refusal::LinkInvalid, Why::Link))?;
                    let asked = party.ask_to_register(account).map_err(no_challenge)?;
                    let asked_of = Ceremonial::Enrol { account: account.id, link, kept: asked.kept };
                    Ok((Ceremony::Create, asked.options, asked_of))
                })
            }
            (State::Idle, Input::Asked(FromFront::Answer { .. })) => {
                let login = Self { state: State::Idle, ..self };
                login.refuse(Refusal::ChallengeExpired, None, Why::NoChallenge)
            }
            (State::Challenged(challenge), Input::Asked(FromFront::Answer { credential })) => {
                // Whatever comes of it, the challenge is gone from here on.
                let login = Self { state: State::Idle, ..self };
                if now.instant >= challenge.deadline {
                    return login.refuse(Refusal::ChallengeExpired, None, Why::TooLate);
                }
                match challenge.asked {
                    Ceremonial::SignIn(kept) => {
                        let (account, result) = party.check_sign_in(&credential, *kept, accounts);
                        match (account, result) {
                            (Some(account), Ok(result)) => {
                                let person = Person::of(account, How::SignIn, now);
                                let result = Box::new(result);
                                login.store(person, Change::SignIn { account: account.id, result })
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
                    Ceremonial::Enrol { account, link, kept } => {
                        let Some(account) = accounts.by_id(account) else {
                            return login.refuse(Refusal::LinkInvalid, None, Why::Removed);
                        };
                        match party.check_registration(&credential, &kept) {
                            Ok(passkey) => {
                                let person = Person::of(account, How::Enrolment, now);
                                let (account, passkey) = (account.id, Box::new(passkey));
                                login.store(person, Change::Enrol { account, link, passkey })
                            }
                            Err(why) => {
                                let name = Some(account.name.clone());
                                login.refuse(Refusal::UnknownPasskey, name, why.into())
                            }
                        }
                    }
                }
            }
            (State::Storing(person), Input::Stored(Ok(()))) => {
                let action = Action::Vouch { account: person.name.clone(), how: person.how, at: person.at };
                (Self { state: State::Vouching(person), ..self }, action)
            }
            (State::Storing(person), Input::Stored(Err(refusal))) => {
                Self { state: State::Idle, ..self }.refuse(refusal, Some(person.name), Why::Change)
            }
            (State::Vouching(person), Input::Vouched(Ok(()))) => {
                // The account may have been removed since it was stored, and the broker told of
                // that before it was told of this principal. From here on, a removal comes after
                // the vouching, and closes the channel.
                if accounts.by_id(person.id).is_none() {
                    let login = Self { state: State::Idle, ..self };
                    return login.refuse(Refusal::UnknownPasskey, Some(person.name), Why::Removed);
                }
                let action = Action::SignedIn { account: person.name, how: person.how };
                (Self { state: State::Over, ..self }, action)
            }
            (State::Vouching(person), Input::Vouched(Err(refusal))) => {
                let refusal = match person.how {
                    How::SignIn => refusal,
                    // Its link is used up: to try that again would lead nowhere.
                    How::Enrolment => Refusal::PasskeyRegistered,
                };
                Self { state: State::Idle, ..self }.refuse(refusal, Some(person.name), Why::Broker)
            }
            // Nothing else may happen in these states: the front talks while it should wait or
            // when it is done, or an outcome comes of what was not begun.
            (State::Storing(_), Input::Asked(_) | Input::Vouched(_))
            | (State::Vouching(_), Input::Asked(_) | Input::Stored(_))
            | (State::Idle | State::Challenged(_), Input::Stored(_) | Input::Vouched(_))
            | (State::Over, Input::Asked(_) | Input::Stored(_) | Input::Vouched(_)) => {
                (Self { state: State::Over, ..self }, Action::Violation)
            }
        }
    }

    fn challenge(
        self,
        now: Now,
        make: impl FnOnce() -> Result<(Ceremony, String, Ceremonial), (Refusal, Why)>,
    ) -> (Self, Action) {
        if self.challenges >= CHALLENGES_MAX {
            return self.refuse(Refusal::Busy, None, Why::Challenges);
        }
        let login = Self { challenges: self.challenges + 1, ..self };
        match make() {
            Ok((ceremony, options, asked)) => {
                let challenge = Challenge { deadline: now.instant + CHALLENGE, asked };
                let action = Action::Challenge(ToFront::Challenge { ceremony, options });
                (Self { state: State::Challenged(challenge), ..login }, action)
            }
            Err((refusal, why)) => login.refuse(refusal, None, why),
        }
    }

    fn store(self, person: Person, change: Change) -> (Self, Action) {
        (Self { state: State::Storing(person), ..self }, Action::Store(change))
    }

    fn refuse(self, refusal: Refusal, account: Option<AccountName>, why: Why) -> (Self, Action) {
        (Self { state: State::Idle, ..self }, Action::Refuse { refusal, account, why })
    }
}

impl Person {
    fn of(account: &super::accounts::Account, how: How, now: Now) -> Self {
        Self { id: account.id, name: account.name.clone(), how, at: now.unix }
    }
}

fn no_challenge(error: WebauthnError) -> (Refusal, Why) {
    (Refusal::Unavailable, Why::Making(error))
}

#[cfg(test)]
mod tests;
