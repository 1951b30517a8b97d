//! The holder of a principal channel: whom auth vouched for, and what the channel is for.

use std::fmt;

use super::touch::Touch;
use crate::config::FreshTouch;
use crate::names::{PasskeyId, SessionId, UserUid};
use crate::protocol::Refusal;
use crate::protocol::principal::Ask;
use crate::protocol::vouch::{AuthMethod, Principal};

/// What an account was verified by, as it is logged in the field `credential`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credential {
    /// A passkey.
    Passkey(PasskeyId),
    /// The UNIX user that a command on the host was run by.
    UnixUser(UserUid),
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passkey(passkey) => passkey.fmt(f),
            Self::UnixUser(uid) => write!(f, "uid:{uid}"),
        }
    }
}

/// The holder of one principal channel.
#[derive(Debug)]
pub(super) struct Holder {
    pub(super) principal: Principal,
    /// What the account was verified by. The operator has none: it is root.
    pub(super) credential: Option<Credential>,
    /// The touch, if the channel is that of a step-up: it opens or views one session of which each
    /// view takes a touch, and does nothing else.
    touch: Option<Touch>,
}

impl Holder {
    /// The holder that auth vouches for.
    pub(super) fn vouched(principal: Principal, how: AuthMethod, at: u64) -> Self {
        match how {
            AuthMethod::Passkey(passkey) | AuthMethod::Enrolment(passkey) => {
                Self { principal, credential: Some(Credential::Passkey(passkey)), touch: None }
            }
            AuthMethod::StepUp(passkey) => {
                let touch = Some(Touch::vouched(at));
                Self { principal, credential: Some(Credential::Passkey(passkey)), touch }
            }
            AuthMethod::PeerUid(uid) => {
                let credential = UserUid::try_from(uid).ok().map(Credential::UnixUser);
                Self { principal, credential, touch: None }
            }
        }
    }

    /// Whether a channel of this kind may ask for this at all.
    pub(super) fn may_ask(&self, ask: &Ask) -> Result<(), Refusal> {
        match ask {
            Ask::Open { .. } | Ask::Exec { .. } | Ask::Attach { .. } | Ask::AttachAs { .. } => Ok(()),
            Ask::Lobby
            | Ask::Name { .. }
            | Ask::Share { .. }
            | Ask::Show { .. }
            | Ask::End { .. }
            | Ask::Change(_)
            | Ask::Follow
            | Ask::AllSessions { .. } => {
                if self.touch.is_some() {
                    Err(Refusal::NotGranted)
                } else {
                    Ok(())
                }
            }
        }
    }

    /// Checks that a view that takes a touch, if it takes one, is asked for on the channel of a
    /// step-up, and any other view on another channel.
    pub(super) fn may_view(&self, touch: Option<FreshTouch>) -> Result<(), Refusal> {
        match (&self.touch, touch) {
            (Some(_), Some(_)) | (None, None) => Ok(()),
            (None, Some(_)) => Err(Refusal::TouchRequired),
            (Some(_), None) => Err(Refusal::NoTouchNeeded),
        }
    }

    /// The same, and uses the touch up, which must be fresh enough.
    pub(super) fn spend_touch(&self, touch: Option<FreshTouch>) -> Result<(), Refusal> {
        self.may_view(touch)?;
        match (&self.touch, touch) {
            (Some(of_channel), Some(within)) => of_channel.spend(within.get()),
            (Some(_), None) | (None, _) => Ok(()),
        }
    }

    /// Whether the channel was got by this uid.
    pub(super) fn is_unix_user(&self, uid: UserUid) -> bool {
        self.credential == Some(Credential::UnixUser(uid))
    }

    /// Whether the touch was used for this session, and the channel may view it again.
    pub(super) fn touched_for(&self, session: &SessionId) -> bool {
        self.touch.as_ref().is_some_and(|touch| touch.was_for(session))
    }

    /// Records the session that the touch was used for.
    pub(super) fn used_touch_for(&self, session: &SessionId) {
        if let Some(touch) = &self.touch {
            touch.used_for(session);
        }
    }

    /// The principal as it is logged in the field `account`. No account name has parentheses.
    pub(super) fn account(&self) -> String {
        match &self.principal {
            Principal::Account(name) => name.to_string(),
            Principal::Operator => "(operator)".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::TermSize;

    #[test]
    fn a_step_up_asks_for_views_that_take_a_touch_and_a_sign_in_for_all_else() {
        let alice = || Principal::Account("alice".parse().unwrap());
        let passkey = || PasskeyId::of(b"a");
        let signed_in = Holder::vouched(alice(), AuthMethod::Passkey(passkey()), 0);
        let enrolled = Holder::vouched(alice(), AuthMethod::Enrolment(passkey()), 0);
        let operator = Holder::vouched(Principal::Operator, AuthMethod::PeerUid(0), 0);
        let stepped_up = Holder::vouched(alice(), AuthMethod::StepUp(passkey()), crate::clock::now());
        let touch = Some(FreshTouch::default());
        let (session, size) = (|| "aaaaaaaaaaaa".parse::<SessionId>().unwrap(), TermSize::DEFAULT);
        let open = Ask::Open { target: "ops@.host".parse().unwrap(), size, reason: None };
        let attach = Ask::Attach { session: session(), size };
        let others = [
            Ask::Lobby,
            Ask::Name { session: session(), name: None },
            Ask::Share { session: session(), account: "bob".parse().unwrap(), role: None },
            Ask::Show { session: session() },
            Ask::End { session: session() },
            Ask::Change("rebuild:alice-box".parse().unwrap()),
            Ask::AllSessions { after: None },
            Ask::Follow,
        ];
        for holder in [&signed_in, &enrolled, &operator] {
            assert_eq!(holder.spend_touch(touch), Err(Refusal::TouchRequired));
            assert_eq!((holder.may_view(None), holder.spend_touch(None)), (Ok(()), Ok(())));
            assert!(holder.may_ask(&open).is_ok() && holder.may_ask(&attach).is_ok());
            assert!(others.iter().all(|ask| holder.may_ask(ask).is_ok()));
        }
        assert!(stepped_up.may_ask(&open).is_ok() && stepped_up.may_ask(&attach).is_ok());
        assert_eq!(stepped_up.spend_touch(None), Err(Refusal::NoTouchNeeded));
        assert_eq!((stepped_up.may_view(touch), stepped_up.spend_touch(touch)), (Ok(()), Ok(())));
        assert_eq!(stepped_up.spend_touch(touch), Err(Refusal::TouchSpent));
        for ask in others {
            assert_eq!(stepped_up.may_ask(&ask), Err(Refusal::NotGranted), "{ask:?}");
        }
    }
}
