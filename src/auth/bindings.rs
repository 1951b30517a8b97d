//! Client keys that wait to be bound to an account: each has a code, which its command line shows,
//! and which a person enters in the page. They are in memory only.
//!
//! A code is good once, for [`BINDING`], while the connection of its command line lasts. Whoever
//! gives a right code takes the key out of here, so that nobody can bind it a second time. A code
//! alone binds nothing: a passkey is touched for it ([`super::login`]).

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use subtle::{Choice, ConstantTimeEq as _};
use tokio::sync::oneshot;
use zeroize::Zeroize as _;

use crate::names::{AccountName, ClientPublicKey, Label};
use crate::protocol::login::BINDING;
use crate::protocol::{Refusal, SecretText};

/// Maximum number of keys that wait. A further one is refused with `busy`.
pub(super) const WAITING_MAX: usize = 64;

/// Maximum number of keys that wait from one source: an IPv4 address, the /64 of an IPv6 address,
/// or this host. A further one is refused with `too-many`.
pub(super) const WAITING_PER_SOURCE_MAX: usize = 4;

/// Maximum number of wrong codes that one account gives within [`WRONG_CODES_TIME`]. After that,
/// even a right one is refused with `too-many-failures`. There are 2^40 codes.
pub(super) const WRONG_CODES_MAX: u32 = 10;

/// See [`WRONG_CODES_MAX`].
pub(super) const WRONG_CODES_TIME: Duration = Duration::from_secs(10 * 60);

/// The digits of a code (Crockford's base 32): no two of them are easily confused.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Digits of a code.
const LENGTH: usize = 8;

/// A code. Its `Debug` output does not show it.
struct Code([u8; LENGTH]);

/// The text is not a code.
#[derive(Debug)]
struct NotACode;

impl Code {
    fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; LENGTH];
        getrandom::fill(&mut bytes)?;
        // 256 is a multiple of 32, so each digit is as likely as another.
        Ok(Self(bytes.map(|byte| DIGITS.get(usize::from(byte % 32)).copied().unwrap_or(b'0'))))
    }

    /// As people read it: two groups of four.
    fn text(&self) -> SecretText {
        let digits: String = self.0.iter().map(|digit| char::from(*digit)).collect();
        let (first, second) = digits.split_at(LENGTH / 2);
        format!("{first}-{second}").into()
    }

    fn is(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl FromStr for Code {
    type Err = NotACode;

    /// Accepts what people make of a code: small letters, without the dash, O for 0.
    fn from_str(text: &str) -> Result<Self, NotACode> {
        let mut code = Self([0; LENGTH]);
        let mut digits = 0;
        for character in text.chars().filter(|character| !matches!(character, ' ' | '-')) {
            let digit = match character.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let digit = u8::try_from(digit).ok().filter(|digit| DIGITS.contains(digit)).ok_or(NotACode)?;
            *code.0.get_mut(digits).ok_or(NotACode)? = digit;
            digits += 1;
        }
        if digits == LENGTH { Ok(code) } else { Err(NotACode) }
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code")
    }
}

/// A key that is to be bound to an account.
#[derive(Debug)]
pub(super) struct UnboundKey {
    pub(super) key: ClientPublicKey,
    pub(super) name: Label,
    /// Where its command line is, if it is not on this host.
    pub(super) source: Option<IpAddr>,
}

/// A key for which somebody gave the right code. If it is dropped, its command line learns that it
/// was declined.
#[derive(Debug)]
pub(super) struct ClaimedKey {
    pub(super) key: UnboundKey,
    /// Until when it may be bound.
    pub(super) deadline: Instant,
    bound: oneshot::Sender<AccountName>,
}

impl ClaimedKey {
    /// Whether its command line still waits.
    pub(super) fn is_wanted(&self) -> bool {
        !self.bound.is_closed()
    }

    /// Tells its command line that it is bound to this account.
    pub(super) fn was_bound(self, account: AccountName) {
        // The command line may have gone just now. Its key is bound all the same, and is listed.
        drop(self.bound.send(account));
    }
}

/// All keys that wait.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// The number of the next entry.
    next: u64,
    /// At most [`WAITING_MAX`].
    waiting: BTreeMap<u64, (Code, ClaimedKey)>,
    /// How many wrong codes each account gave, since when. Only accounts that the policy lets have
    /// client keys are here.
    wrong: BTreeMap<AccountName, (u32, Instant)>,
}

/// The entry of a command line that waits. If it is dropped, the code is void.
#[derive(Debug)]
pub(super) struct WaitingKey {
    bindings: Arc<Bindings>,
    number: u64,
    /// The code, to be shown.
    pub(super) code: SecretText,
    bound: oneshot::Receiver<AccountName>,
}

impl Bindings {
    /// Has a key wait.
    pub(super) fn wait(self: &Arc<Self>, key: UnboundKey, now: Instant) -> Result<WaitingKey, Refusal> {
        let mut table = self.table();
        table.waiting.retain(|_, (_, waiting)| now < waiting.deadline && waiting.is_wanted());
        let source = network(key.source);
        let from_there = table.waiting.values().filter(|(_, waiting)| network(waiting.key.source) == source);
        if from_there.count() >= WAITING_PER_SOURCE_MAX {
            return Err(Refusal::TooMany);
        }
        if table.waiting.len() >= WAITING_MAX {
            return Err(Refusal::Busy);
        }
        let code = Code::random().map_err(|_| Refusal::Unavailable)?;
        let (sender, bound) = oneshot::channel();
        let (number, shown) = (table.next, code.text());
        table.next += 1;
        let waiting = ClaimedKey { key, deadline: now + BINDING, bound: sender };
        table.waiting.insert(number, (code, waiting));
        Ok(WaitingKey { bindings: Arc::clone(self), number, code: shown, bound })
    }

    /// Takes out the key that waits with this code.
    ///
    /// # Errors
    /// There is none, or the account gave too many wrong codes.
    pub(super) fn claim(
        &self,
        account: &AccountName,
        code: &str,
        now: Instant,
    ) -> Result<ClaimedKey, Refusal> {
        let mut table = self.table();
        table.wrong.retain(|_, (_, since)| now.saturating_duration_since(*since) < WRONG_CODES_TIME);
        let wrong = table.wrong.get(account).map_or(0, |(wrong, _)| *wrong);
        if wrong >= WRONG_CODES_MAX {
            return Err(Refusal::TooManyFailures);
        }
        let given: Option<Code> = code.parse().ok();
        let mut number = None;
        // Each code is looked at, so that the time tells nothing about any of them.
        for (candidate, (code, _)) in &table.waiting {
            if given.as_ref().is_some_and(|given| code.is(given).into()) {
                number = Some(*candidate);
            }
        }
        let claimed = number.and_then(|number| table.waiting.remove(&number));
        match claimed.filter(|(_, waiting)| now < waiting.deadline && waiting.is_wanted()) {
            Some((_, claimed)) => Ok(claimed),
            None => {
                table.wrong.entry(account.clone()).or_insert((0, now)).0 += 1;
                Err(Refusal::CodeInvalid)
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WaitingKey {
    /// Waits until the key is bound, and returns the account.
    ///
    /// # Errors
    /// It was declined, or nobody has given the code in time.
    pub(super) async fn bound(&mut self) -> Result<AccountName, Refusal> {
        // Whoever gives the code at the last moment has the rest of the time to touch the passkey.
        match tokio::time::timeout(BINDING, &mut self.bound).await {
            Ok(Ok(account)) => Ok(account),
            Ok(Err(_)) => Err(Refusal::KeyDeclined),
            Err(_) => Err(Refusal::CodeInvalid),
        }
    }
}

impl Drop for WaitingKey {
    fn drop(&mut self) {
        self.bindings.table().waiting.remove(&self.number);
    }
}

/// The network by which keys are counted.
fn network(source: Option<IpAddr>) -> Option<IpAddr> {
    source.map(|address| match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => std::net::Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_key::ClientKey;

    fn key(source: &str) -> UnboundKey {
        let key = ClientKey::random().unwrap().public();
        UnboundKey { key, name: Label::cut("laptop").unwrap(), source: source.parse().ok() }
    }

    fn alice() -> AccountName {
        "alice".parse().unwrap()
    }

    #[test]
    fn a_code_is_read_as_people_write_it() {
        let code = Code([b'0', b'1', b'A', b'Z', b'9', b'K', b'0', b'1']);
        assert_eq!(code.text().reveal(), "01AZ-9K01");
        for good in ["01AZ-9K01", "oiaz9kol", " 01 az 9k 01 "] {
            assert!(bool::from(good.parse::<Code>().unwrap().is(&code)), "{good:?}");
        }
        for bad in ["", "01AZ-9K0", "01AZ-9K011", "01AZ-9KU1", "01AZ-9Ké1", "01AZ_9K01"] {
            assert!(bad.parse::<Code>().is_err(), "{bad:?}");
        }
        assert!(!bool::from("11AZ-9K01".parse::<Code>().unwrap().is(&code)));
        assert_eq!(format!("{code:?}"), "Code");
    }

    #[tokio::test]
    async fn a_code_is_good_once_and_for_its_time_and_while_somebody_waits() {
        let bindings = Arc::new(Bindings::default());
        let now = Instant::now();
        let mut waiting = bindings.wait(key("192.0.2.1"), now).unwrap();
        let code = waiting.code.reveal().to_owned();
        let claimed = bindings.claim(&alice(), &code, now).unwrap();
        assert_eq!(bindings.claim(&alice(), &code, now).unwrap_err(), Refusal::CodeInvalid);
        claimed.was_bound(alice());
        assert_eq!(waiting.bound().await, Ok(alice()));

        let mut waiting = bindings.wait(key("192.0.2.1"), now).unwrap();
        drop(bindings.claim(&alice(), waiting.code.reveal(), now).unwrap());
        assert_eq!(waiting.bound().await, Err(Refusal::KeyDeclined));

        let waiting = bindings.wait(key("192.0.2.1"), now).unwrap();
        let late = bindings.claim(&alice(), waiting.code.reveal(), now + BINDING);
        assert_eq!(late.unwrap_err(), Refusal::CodeInvalid);

        let waiting = bindings.wait(key("192.0.2.1"), now).unwrap();
        let code = waiting.code.reveal().to_owned();
        drop(waiting);
        assert_eq!(bindings.claim(&alice(), &code, now).unwrap_err(), Refusal::CodeInvalid);
        assert!(bindings.table().waiting.is_empty());
    }

    #[test]
    fn after_some_wrong_codes_an_account_may_give_none_for_a_while() {
        let bindings = Arc::new(Bindings::default());
        let now = Instant::now();
        let waiting = bindings.wait(key("192.0.2.1"), now).unwrap();
        for _ in 0..WRONG_CODES_MAX {
            assert_eq!(bindings.claim(&alice(), "0000-0000", now).unwrap_err(), Refusal::CodeInvalid);
        }
        let code = waiting.code.reveal();
        assert_eq!(bindings.claim(&alice(), code, now).unwrap_err(), Refusal::TooManyFailures);
        let later = now + WRONG_CODES_TIME;
        assert_eq!(bindings.claim(&alice(), "0000-0000", later).unwrap_err(), Refusal::CodeInvalid);
        let bob = "bob".parse().unwrap();
        assert!(bindings.claim(&bob, code, now).is_ok(), "another account is not concerned");
    }

    #[test]
    fn keys_that_wait_are_bounded_in_all_and_for_each_source() {
        let bindings = Arc::new(Bindings::default());
        let now = Instant::now();
        let mut waiting = Vec::new();
        for _ in 0..WAITING_PER_SOURCE_MAX {
            waiting.push(bindings.wait(key("2001:db8::1"), now).unwrap());
        }
        assert_eq!(bindings.wait(key("2001:db8::ffff"), now).unwrap_err(), Refusal::TooMany);
        for number in waiting.len()..WAITING_MAX {
            waiting.push(bindings.wait(key(&format!("192.0.2.{number}")), now).unwrap());
        }
        assert_eq!(bindings.wait(key("192.0.2.1"), now).unwrap_err(), Refusal::Busy);
        waiting.pop();
        waiting.push(bindings.wait(key("192.0.2.1"), now).unwrap());
        // Those whose time is over make room.
        assert!(bindings.wait(key("2001:db8::1"), now + BINDING).is_ok());
    }
}
