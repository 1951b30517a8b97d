//! Who may view a session beside its owner, and who does.

use std::collections::BTreeMap;

use super::records::{Guest, Record};
use crate::names::{AccountName, Label};
use crate::protocol::worker::{VIEWERS_MAX, ViewerNumber};
use crate::protocol::{GUESTS_MAX, GuestRole, Person, Refusal, Role, VIEWING_MAX};

/// What can change about a session.
#[derive(Debug)]
pub(super) struct People {
    /// What its owner calls it.
    pub(super) name: Option<Label>,
    /// Whom its owner shares it with. At most [`GUESTS_MAX`].
    pub(super) guests: Vec<Guest>,
    /// Whose each viewer is. At most [`VIEWERS_MAX`]: the worker makes no more.
    pub(super) views: BTreeMap<ViewerNumber, Viewing>,
}

/// A viewer, as its worker has it.
#[derive(Debug)]
pub(super) struct Viewing {
    /// Whose it is; nobody's, where it is the operator's.
    pub(super) account: Option<AccountName>,
    /// What the worker lets it do.
    pub(super) role: Role,
    /// It is to be closed, and the worker has not said that it is.
    pub(super) closing: bool,
}

impl People {
    /// As the record has it. A viewer that is left from before belongs to a channel that is closed.
    pub(super) fn of(record: &Record) -> Self {
        Self { name: record.name.clone(), guests: record.guests.clone(), views: BTreeMap::new() }
    }

    /// What this account may do, if the session is shared with it.
    pub(super) fn guest(&self, account: &AccountName) -> Option<Role> {
        self.guests.iter().find(|guest| guest.account == *account).map(|guest| guest.role.into())
    }

    /// The guests as they are once this account has this role, or none.
    pub(super) fn guests_with(
        &self,
        account: &AccountName,
        role: Option<GuestRole>,
    ) -> Result<Vec<Guest>, Refusal> {
        let mut guests = self.guests.clone();
        let full = guests.len() >= GUESTS_MAX;
        match (guests.iter_mut().find(|guest| guest.account == *account), role) {
            (Some(guest), Some(role)) => guest.role = role,
            (None, Some(_)) if full => return Err(Refusal::TooMany),
            (None, Some(role)) => guests.push(Guest { account: account.clone(), role }),
            (_, None) => guests.retain(|guest| guest.account != *account),
        }
        Ok(guests)
    }

    /// The owner and the guests, with how many views each has.
    pub(super) fn company(&self, owner: &AccountName) -> Vec<Person> {
        let guests = self.guests.iter().map(|guest| (&guest.account, guest.role.into()));
        let all = std::iter::once((owner, Role::Owner)).chain(guests);
        all.map(|(account, role)| Person { account: account.clone(), role, views: self.count(account) })
            .collect()
    }

    fn count(&self, account: &AccountName) -> u16 {
        const _: () = assert!(VIEWERS_MAX <= u16::MAX as usize);
        u16::try_from(self.viewers_of(account).len()).unwrap_or(u16::MAX)
    }

    /// The viewers of an account.
    pub(super) fn viewers_of(&self, account: &AccountName) -> Vec<ViewerNumber> {
        let theirs = self.views.iter().filter(|(_, viewing)| viewing.account.as_ref() == Some(account));
        theirs.map(|(number, _)| *number).collect()
    }

    /// Whether the worker lets each viewer of an account do just this; no viewer is there for nothing.
    pub(super) fn settled(&self, account: &AccountName, role: Option<Role>) -> bool {
        let mut theirs = self.views.values().filter(|viewing| viewing.account.as_ref() == Some(account));
        theirs.all(|viewing| Some(viewing.role) == role)
    }

    /// Who views it, at most [`VIEWING_MAX`] of them.
    pub(super) fn viewing(&self) -> Vec<AccountName> {
        let mut viewing: Vec<_> = self.views.values().filter_map(|viewing| viewing.account.clone()).collect();
        viewing.sort();
        viewing.dedup();
        viewing.truncate(VIEWING_MAX);
        viewing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> AccountName {
        format!("guest{number}").parse().unwrap()
    }

    #[test]
    fn guests_are_bounded_and_each_is_one_once() {
        let mut people = People { name: None, guests: Vec::new(), views: BTreeMap::new() };
        for number in 0..GUESTS_MAX {
            for role in [GuestRole::Watcher, GuestRole::Writer] {
                people.guests = people.guests_with(&name(number), Some(role)).unwrap();
            }
        }
        assert_eq!(people.guests.len(), GUESTS_MAX);
        let one_more = people.guests_with(&name(GUESTS_MAX), Some(GuestRole::Watcher));
        assert_eq!(one_more.unwrap_err(), Refusal::TooMany);
        assert_eq!(people.guest(&name(3)), Some(Role::Writer));
        people.guests = people.guests_with(&name(3), None).unwrap();
        assert_eq!(people.guest(&name(3)), None);
        assert!(people.guests_with(&name(GUESTS_MAX), Some(GuestRole::Watcher)).is_ok());
    }

    #[test]
    fn a_company_is_the_owner_and_the_guests_with_their_views() {
        let mut people = People { name: None, guests: Vec::new(), views: BTreeMap::new() };
        people.guests = people.guests_with(&name(1), Some(GuestRole::Watcher)).unwrap();
        for (number, account) in [(1, 0), (2, 1), (3, 1)] {
            let role = if account == 0 { Role::Owner } else { Role::Watcher };
            people
                .views
                .insert(ViewerNumber(number), Viewing { account: Some(name(account)), role, closing: false });
        }
        let person = |number, role, views| Person { account: name(number), role, views };
        assert_eq!(people.company(&name(0)), [person(0, Role::Owner, 1), person(1, Role::Watcher, 2)]);
        assert_eq!(people.viewers_of(&name(1)), [ViewerNumber(2), ViewerNumber(3)]);
        assert_eq!(people.viewing(), [name(0), name(1)]);
        assert!(people.settled(&name(1), Some(Role::Watcher)) && people.settled(&name(2), None));
        assert!(!people.settled(&name(1), Some(Role::Writer)) && !people.settled(&name(1), None));
    }
}
