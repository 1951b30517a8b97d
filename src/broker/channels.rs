//! Places for principal channels: no account can keep others out, and all accounts together cannot
//! keep the operator out.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::protocol::Refusal;
use crate::protocol::vouch::{CHANNELS_PER_ACCOUNT_MAX, Principal};

/// Maximum number of principal channels of all accounts. A further one is refused with `busy`.
const CHANNELS_MAX: usize = 1024;

/// Maximum number of channels of the operator, counted separately from those of accounts. A further
/// one is refused with `too-many`.
const OPERATORS_MAX: usize = 16;

/// The number of channels of each principal. An entry is removed with the last channel.
#[derive(Debug, Default)]
pub(super) struct Channels {
    held: Mutex<HashMap<Principal, usize>>,
}

/// A place for one channel, released on drop.
#[derive(Debug)]
pub(super) struct ChannelPermit<'a> {
    channels: &'a Channels,
    principal: Principal,
}

impl Channels {
    /// Reserves a place for one more channel of this principal.
    pub(super) fn permit(&self, principal: &Principal) -> Result<ChannelPermit<'_>, Refusal> {
        let mut held = self.held();
        let theirs = held.get(principal).copied().unwrap_or_default();
        match principal {
            Principal::Account(_) => {
                let operators = held.get(&Principal::Operator).copied().unwrap_or_default();
                if theirs >= CHANNELS_PER_ACCOUNT_MAX {
                    return Err(Refusal::TooMany);
                }
                if held.values().sum::<usize>() - operators >= CHANNELS_MAX {
                    return Err(Refusal::Busy);
                }
            }
            Principal::Operator if theirs >= OPERATORS_MAX => return Err(Refusal::TooMany),
            Principal::Operator => {}
        }
        held.insert(principal.clone(), theirs + 1);
        Ok(ChannelPermit { channels: self, principal: principal.clone() })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Principal, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ChannelPermit<'_> {
    fn drop(&mut self) {
        let mut held = self.channels.held();
        if let Some(count) = held.get_mut(&self.principal) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.principal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(number: usize) -> Principal {
        Principal::Account(format!("account{number}").parse().unwrap())
    }

    #[test]
    fn an_account_keeps_no_other_out_and_all_of_them_not_the_operator() {
        let channels = Channels::default();
        let take = |principal| channels.permit(&principal);
        let mut permits: Vec<_> = (0..CHANNELS_PER_ACCOUNT_MAX).map(|_| take(account(0)).unwrap()).collect();
        assert_eq!(take(account(0)).unwrap_err(), Refusal::TooMany);
        permits.extend((CHANNELS_PER_ACCOUNT_MAX..CHANNELS_MAX).map(|number| take(account(number)).unwrap()));
        assert_eq!(take(account(CHANNELS_MAX)).unwrap_err(), Refusal::Busy);
        let operators: Vec<_> = (0..OPERATORS_MAX).map(|_| take(Principal::Operator).unwrap()).collect();
        assert_eq!(take(Principal::Operator).unwrap_err(), Refusal::TooMany);
        // The operator's channels are counted separately.
        drop(permits.pop());
        assert!(take(account(0)).is_err());
        permits.push(take(account(CHANNELS_MAX)).unwrap());
        drop((permits, operators));
        assert!(channels.held().is_empty());
    }
}
