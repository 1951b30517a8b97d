//! The holder of a principal channel: whom auth vouched for, and what the channel is for.

use std::fmt;
use std::time::Duration;

use super::touch::Touch;
use crate::clock::{self, Moment};
use crate::config::{ClientKeyRule, Config, FreshTouch};
use crate::names::{ClientKeyId, KeyRight, PasskeyId, SessionId, UserUid};
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
    /// A client key.
    ClientKey(ClientKeyId),
    /// A resume key.
    ResumeKey(ClientKeyId),
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passkey(passkey) => passkey.fmt(f),
            Self::UnixUser(uid) => write!(f, "uid:{uid}"),
            Self::ClientKey(key) => write!(f, "key:{key}"),
            // auth's record of the sign-in that bound it names the passkey.
            Self::ResumeKey(key) => write!(f, "resume:{key}"),
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
    /// When the client key was bound to the account, in seconds since 1970, if the channel was got
    /// with one. It has no touch, and does what the policy says of such keys.
    bound: Option<u64>,
    /// When the passkey was touched, if the channel was got with a resume key. It does what one that
    /// was got with a touch does, for as long as the policy says.
    touched: Option<Moment>,
    /// The resume key of the page that has the channel.
    resume_key: Option<ClientKeyId>,
}

impl Holder {
    /// The holder that auth vouches for.
    pub(super) fn vouched(principal: Principal, how: AuthMethod, at: u64) -> Self {
        let holder = |credential| Self {
            principal,
            credential,
            touch: None,
            bound: None,
            touched: None,
            resume_key: None,
        };
        match how {
            AuthMethod::Passkey(passkey) | AuthMethod::Enrolment(passkey) => {
                holder(Some(Credential::Passkey(passkey)))
            }
            AuthMethod::StepUp(passkey) => {
                let touch = Some(Touch::vouched(at));
                Self { touch, ..holder(Some(Credential::Passkey(passkey))) }
            }
            AuthMethod::PeerUid(uid) => holder(UserUid::try_from(uid).ok().map(Credential::UnixUser)),
            AuthMethod::ClientKey { key, bound } => {
                Self { bound: Some(bound), ..holder(Some(Credential::ClientKey(key))) }
            }
            AuthMethod::ResumeKey { key, touched } => {
                Self { touched: Some(touched), ..holder(Some(Credential::ResumeKey(key))) }
            }
        }
    }

    /// The same holder, whose page has this resume key.
    pub(super) fn with_resume_key(self, resume_key: Option<ClientKeyId>) -> Self {
        Self { resume_key, ..self }
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

    /// Checks that the policy lets a channel got with a client key ask for this.
    pub(super) fn may_ask_by_key(&self, ask: &Ask, policy: &Config) -> Result<(), Refusal> {
        let right = match ask {
            Ask::Lobby | Ask::Follow => Some(KeyRight::List),
            Ask::Open { .. } => Some(KeyRight::Open),
            Ask::Exec { .. } => Some(KeyRight::Exec),
            Ask::Attach { .. } | Ask::AttachAs { .. } => Some(KeyRight::Attach),
            Ask::Name { .. } => Some(KeyRight::Name),
            Ask::Share { .. } => Some(KeyRight::Share),
            Ask::End { .. } => Some(KeyRight::End),
            Ask::Show { .. } | Ask::Change(_) | Ask::AllSessions { .. } => None,
        };
        match self.key_rule(policy)? {
            None => Ok(()),
            Some(rule) if right.is_some_and(|right| rule.allow.contains(&right)) => Ok(()),
            Some(_) => Err(Refusal::NotByKey),
        }
    }

    /// Checks that the policy lets a channel got with a client key have a session at all.
    pub(super) fn may_view_by_key(&self, policy: &Config) -> Result<(), Refusal> {
        let views = [KeyRight::Open, KeyRight::Attach, KeyRight::Exec];
        match self.key_rule(policy)? {
            Some(rule) if views.iter().all(|right| !rule.allow.contains(right)) => Err(Refusal::NotByKey),
            Some(_) | None => Ok(()),
        }
    }

    /// What the policy says of the client key that the channel was got with; `None` without one.
    ///
    /// # Errors
    /// The policy says nothing of keys of this account, or the key, or the touch of a resume key, is
    /// too old.
    pub(super) fn key_rule<'a>(&self, policy: &'a Config) -> Result<Option<&'a ClientKeyRule>, Refusal> {
        if let Some(touched) = self.touched {
            let left = resume_left(touched, policy, Moment::now());
            return left.map(|_| None).ok_or(Refusal::ResumeOver);
        }
        let Some(bound) = self.bound else { return Ok(None) };
        let Principal::Account(account) = &self.principal else { return Err(Refusal::NotByKey) };
        let rule = policy.client_key_rule(account).ok_or(Refusal::NotByKey)?;
        if clock::now() < expiry(bound, rule) { Ok(Some(rule)) } else { Err(Refusal::KeyExpired) }
    }

    /// How long the client key or the resume key is still good by this policy, if the channel was got
    /// with one.
    pub(super) fn key_lasts(&self, policy: &Config) -> Option<Duration> {
        if let Some(touched) = self.touched {
            return Some(resume_left(touched, policy, Moment::now()).unwrap_or_default());
        }
        self.bound?;
        let rule = self.key_rule(policy).ok().flatten();
        let left = rule.map(|rule| expiry(self.bound.unwrap_or_default(), rule).saturating_sub(clock::now()));
        Some(Duration::from_secs(left.unwrap_or_default()))
    }

    /// How many seconds the page may come back without a touch, from now on, by this policy.
    pub(super) fn resume_lasts(&self, policy: &Config) -> Option<u32> {
        match self.touched {
            Some(touched) => {
                let left = resume_left(touched, policy, Moment::now())?;
                Some(u32::try_from(left.as_secs()).unwrap_or(u32::MAX))
            }
            None => policy.resume.seconds(),
        }
    }

    /// Whether the channel was got with this client key, or its page has this resume key.
    pub(super) fn has_key(&self, key: &ClientKeyId) -> bool {
        let is_its_client_key =
            matches!(&self.credential, Some(Credential::ClientKey(of_channel)) if of_channel == key);
        is_its_client_key || self.resume_key.as_ref() == Some(key)
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

/// How long a page may still come back whose passkey was touched then.
fn resume_left(touched: Moment, policy: &Config, now: Moment) -> Option<Duration> {
    let age = Duration::from_secs(touched.age(now)?);
    policy.resume.get()?.checked_sub(age).filter(|left| !left.is_zero())
}

/// When a client key that was bound at this time is no longer good, in seconds since 1970.
fn expiry(bound: u64, rule: &ClientKeyRule) -> u64 {
    bound.saturating_add(rule.max_age.get().as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{ClientPublicKey, TermSize};

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

    #[test]
    fn a_client_key_may_do_what_the_policy_says_for_as_long_as_it_says() {
        let policy = |tables: &str| {
            Config::parse(&format!("origin = \"https://a.example\"\n{tables}"), "tere.toml").unwrap()
        };
        let rule = |allow: &str| {
            let rule =
                format!("[[client-key]]\naccounts = [\"alice\"]\nallow = [{allow}]\nmax-age = \"1h\"\n");
            policy(&rule)
        };
        let holder = |account: &str, age: u64| {
            let key = ClientPublicKey::of(&[7; 32]).id();
            let how = AuthMethod::ClientKey { key, bound: clock::now() - age };
            Holder::vouched(Principal::Account(account.parse().unwrap()), how, clock::now())
        };
        let session = || "aaaaaaaaaaaa".parse::<SessionId>().unwrap();
        let size = TermSize::DEFAULT;
        let asks = [
            ("list", Ask::Lobby),
            ("list", Ask::Follow),
            ("open", Ask::Open { target: "dev@box".parse().unwrap(), size, reason: None }),
            ("exec", Ask::Exec { target: "dev@box".parse().unwrap(), reason: None }),
            ("attach", Ask::Attach { session: session(), size }),
            ("name", Ask::Name { session: session(), name: None }),
            ("share", Ask::Share { session: session(), account: "bob".parse().unwrap(), role: None }),
            ("end", Ask::End { session: session() }),
        ];
        let alice = holder("alice", 0);
        for (right, _) in &asks {
            let policy = rule(&format!("\"{right}\""));
            for (asked, ask) in &asks {
                let may = alice.may_ask_by_key(ask, &policy);
                assert_eq!(may, if asked == right { Ok(()) } else { Err(Refusal::NotByKey) }, "{asked}");
            }
            let views = ["open", "attach", "exec"].contains(right);
            assert_eq!(alice.may_view_by_key(&policy).is_ok(), views, "{right}");
        }
        let all = rule(r#""list", "open", "attach", "name", "share", "end""#);
        for ask in [
            Ask::Show { session: session() },
            Ask::AllSessions { after: None },
            Ask::Change("rebuild:box".parse().unwrap()),
        ] {
            assert_eq!(alice.may_ask_by_key(&ask, &all), Err(Refusal::NotByKey), "{ask:?}");
        }
        for (holder, policy, expected) in [
            (holder("bob", 0), &all, Refusal::NotByKey),
            (holder("alice", 0), &policy(""), Refusal::NotByKey),
            (holder("alice", 3600), &all, Refusal::KeyExpired),
        ] {
            assert_eq!(holder.may_ask_by_key(&Ask::Lobby, policy), Err(expected));
            assert_eq!(holder.may_view_by_key(policy), Err(expected));
            assert_eq!(holder.key_lasts(policy), Some(Duration::ZERO));
        }
        assert!(holder("alice", 3500).may_ask_by_key(&Ask::Lobby, &all).is_ok());
        assert!(holder("alice", 3500).key_lasts(&all).unwrap() <= Duration::from_secs(100));
        // It never has a touch.
        assert_eq!(alice.may_view(Some(FreshTouch::default())), Err(Refusal::TouchRequired));
        // Nor does the rule concern anybody else.
        let by_passkey = AuthMethod::Passkey(PasskeyId::of(b"a"));
        let signed_in = Holder::vouched(alice.principal.clone(), by_passkey, 0);
        assert_eq!(
            (signed_in.may_ask_by_key(&Ask::Lobby, &policy("")), signed_in.key_lasts(&all)),
            (Ok(()), None)
        );
        let key = ClientPublicKey::of(&[7; 32]).id();
        assert!(alice.has_key(&key) && !signed_in.has_key(&key));
        let operator =
            Holder::vouched(Principal::Operator, AuthMethod::ClientKey { key, bound: u64::MAX }, 0);
        assert_eq!(operator.may_ask_by_key(&Ask::Lobby, &all), Err(Refusal::NotByKey));
    }

    #[test]
    fn a_page_comes_back_for_as_long_as_the_policy_says_and_may_what_a_touch_may_but_no_more() {
        let policy = |line: &str| {
            Config::parse(&format!("origin = \"https://a.example\"\n{line}"), "tere.toml").unwrap()
        };
        let key = ClientPublicKey::of(&[7; 32]).id();
        let now = Moment::now();
        let back = |touched: Moment| {
            let how = AuthMethod::ResumeKey { key: key.clone(), touched };
            let alice = Principal::Account("alice".parse().unwrap());
            Holder::vouched(alice, how, now.unix).with_resume_key(Some(key.clone()))
        };
        let ago = |seconds: u64| Moment { unix: now.unix - seconds, ..now };
        let session: SessionId = "aaaaaaaaaaaa".parse().unwrap();
        let asks = [
            Ask::Lobby,
            Ask::Open { target: "dev@box".parse().unwrap(), size: TermSize::DEFAULT, reason: None },
            Ask::End { session },
            Ask::Change("rebuild:box".parse().unwrap()),
        ];
        let fresh = back(ago(60));
        for ask in &asks {
            assert_eq!((fresh.may_ask(ask), fresh.may_ask_by_key(ask, &policy(""))), (Ok(()), Ok(())));
        }
        // It is no touch.
        assert_eq!(fresh.may_view(Some(FreshTouch::default())), Err(Refusal::TouchRequired));
        assert_eq!(fresh.spend_touch(Some(FreshTouch::default())), Err(Refusal::TouchRequired));
        assert!(fresh.may_view_by_key(&policy("")).is_ok());
        let over = Err(Refusal::ResumeOver);
        let twelve_hours = 12 * 60 * 60;
        for (holder, line, expected) in [
            (back(ago(twelve_hours - 60)), "", Ok(None)),
            (back(ago(twelve_hours)), "", over),
            (back(ago(twelve_hours)), "resume = \"13h\"", Ok(None)),
            (back(ago(3600)), "resume = \"1h\"", over),
            (back(ago(1)), "resume = false", over),
            (back(Moment { unix: now.unix + 5, ..now }), "", over),
        ] {
            let policy = policy(line);
            assert_eq!(holder.key_rule(&policy), expected, "{line}");
            assert_eq!(holder.may_ask_by_key(&Ask::Lobby, &policy), expected.map(|_| ()), "{line}");
            assert_eq!(holder.may_view_by_key(&policy), expected.map(|_| ()), "{line}");
            assert_eq!(holder.key_lasts(&policy) > Some(Duration::ZERO), expected.is_ok(), "{line}");
            assert_eq!(holder.resume_lasts(&policy).is_some(), expected.is_ok(), "{line}");
        }
        // The clock of the host was set back by as much as has passed since the touch.
        if let Some(uptime) = now.uptime.checked_sub(3600) {
            let holder = back(Moment { unix: now.unix, uptime });
            assert_eq!(holder.key_rule(&policy("resume = \"1h\"")), over);
        }
        let by_passkey = || AuthMethod::Passkey(PasskeyId::of(b"a"));
        let signed_in = Holder::vouched(fresh.principal.clone(), by_passkey(), now.unix);
        assert_eq!(signed_in.resume_lasts(&policy("")), Some(twelve_hours.try_into().unwrap()));
        assert_eq!(signed_in.resume_lasts(&policy("resume = false")), None);
        // Removing the key closes the channel that was got with it, and that of the page which has it.
        assert!(fresh.has_key(&key) && !signed_in.has_key(&key));
        assert!(signed_in.with_resume_key(Some(key.clone())).has_key(&key));
    }
}
