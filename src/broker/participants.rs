//! The participants of a session: its owner, its guests, and the viewers of each.

use std::collections::BTreeMap;

use super::records::{Guest, Record};
use crate::names::{AccountName, Label};
use crate::protocol::worker::{VIEWERS_MAX, ViewerId};
use crate::protocol::{GUESTS_MAX, GuestRole, Participant, Refusal, Role, VIEWING_MAX, VIEWS_PER_GUEST_MAX};

/// Maximum number of views that the guests of a session have together. A further one is refused
/// with `too-many`. The rest of [`VIEWERS_MAX`] is left to the owner.
const GUEST_VIEWS_MAX: usize = 32;

/// The participants, and the other fields of a session that can change.
#[derive(Debug)]
pub(super) struct Participants {
    /// The account that opened the session; `None` once it was removed.
    pub(super) owner: Option<AccountName>,
    /// The name that the owner gave the session.
    pub(super) name: Option<Label>,
    /// The accounts that the owner shares the session with. At most [`GUESTS_MAX`].
    pub(super) guests: Vec<Guest>,
    /// The viewers. At most [`VIEWERS_MAX`]: the worker makes no more.
    pub(super) views: BTreeMap<ViewerId, Viewer>,
}

/// A viewer that the worker has.
#[derive(Debug)]
pub(super) struct Viewer {
    /// The account that views; `None` for the operator.
    pub(super) account: Option<AccountName>,
    /// The role that the worker enforces.
    pub(super) role: Role,
    /// The most that the viewer may do, whatever the account may do.
    pub(super) most: Role,
    /// Whether the viewer is to be closed and the worker has not confirmed it yet.
    pub(super) closing: bool,
}

impl Participants {
    /// Takes the participants from a record. There are no viewers: those of an earlier broker
    /// belong to channels that are closed.
    pub(super) fn of(record: &Record) -> Self {
        let owner = (!record.ownerless).then(|| record.owner.clone());
        Self { owner, name: record.name.clone(), guests: record.guests.clone(), views: BTreeMap::new() }
    }

    /// Returns the record with the current values of the fields that can change.
    pub(super) fn record(&self, of: &Record) -> Record {
        let (name, guests, ownerless) = (self.name.clone(), self.guests.clone(), self.owner.is_none());
        Record { name, guests, ownerless, ..of.clone() }
    }

    /// Returns the role of an account, as the owner or as a guest.
    pub(super) fn role_of(&self, account: &AccountName) -> Option<Role> {
        if self.owner.as_ref() == Some(account) {
            return Some(Role::Owner);
        }
        self.guests.iter().find(|guest| guest.account == *account).map(|guest| guest.role.into())
    }

    /// Returns the current role of a viewer that the worker has, or `None` if it must be closed.
    pub(super) fn role_of_viewer(&self, viewer: ViewerId) -> Option<Role> {
        let Viewer { account, role, most, closing } = self.views.get(&viewer)?;
        match account {
            _ if *closing => None,
            Some(account) => self.role_of(account).map(|role| role.limited_to(*most)),
            None => Some(*role),
        }
    }

    /// Removes an account. If it was the owner, the session has neither owner nor guests from now
    /// on, and only the operator sees it. Returns the views to close.
    pub(super) fn part_with(&mut self, account: &AccountName) -> Vec<ViewerId> {
        if self.owner.as_ref() == Some(account) {
            self.owner = None;
            self.guests.clear();
        }
        self.guests.retain(|guest| guest.account != *account);
        let over = |viewing: &Viewer| {
            viewing.account.as_ref().is_some_and(|account| self.role_of(account).is_none())
        };
        self.views.iter().filter(|(_, viewing)| over(viewing)).map(|(viewer, _)| *viewer).collect()
    }

    /// Whether an account may have one more view. The requests in `asked` count as views; views
    /// that are being closed do not.
    pub(super) fn has_room_for(&self, account: &AccountName, asked: &[&AccountName]) -> bool {
        if self.owner.as_ref() == Some(account) {
            return true;
        }
        let there = self.views.values().filter(|viewing| !viewing.closing);
        let all = there.filter_map(|viewing| viewing.account.as_ref()).chain(asked.iter().copied());
        let guests: Vec<_> = all.filter(|viewer| self.owner.as_ref() != Some(*viewer)).collect();
        let theirs = guests.iter().filter(|viewer| **viewer == account).count();
        theirs < VIEWS_PER_GUEST_MAX && guests.len() < GUEST_VIEWS_MAX
    }

    /// Returns the guests after giving this account a role, or after removing it if `role` is
    /// `None`.
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

    /// Makes every guest who may type one who may only watch, and returns them.
    pub(super) fn withdraw_keyboard(&mut self) -> Vec<AccountName> {
        let writers = self.guests.iter_mut().filter(|guest| guest.role == GuestRole::Writer);
        let watching = |guest: &mut Guest| {
            guest.role = GuestRole::Watcher;
            guest.account.clone()
        };
        writers.map(watching).collect()
    }

    /// Lists the owner, then the guests, each with the number of their views.
    pub(super) fn all(&self, owner: &AccountName) -> Vec<Participant> {
        let guests = self.guests.iter().map(|guest| (&guest.account, guest.role.into()));
        let all = std::iter::once((owner, Role::Owner)).chain(guests);
        all.map(|(account, role)| Participant { account: account.clone(), role, views: self.count(account) })
            .collect()
    }

    fn count(&self, account: &AccountName) -> u16 {
        const _: () = assert!(VIEWERS_MAX <= u16::MAX as usize);
        u16::try_from(self.viewers_of(account).len()).unwrap_or(u16::MAX)
    }

    /// Returns the viewers of an account.
    pub(super) fn viewers_of(&self, account: &AccountName) -> Vec<ViewerId> {
        let theirs = self.views.iter().filter(|(_, viewing)| viewing.account.as_ref() == Some(account));
        theirs.map(|(number, _)| *number).collect()
    }

    /// Whether the worker enforces exactly this role for every viewer of an account, as far as the
    /// viewer may do so much. For `None`, whether the account has no viewer.
    pub(super) fn settled(&self, account: &AccountName, role: Option<Role>) -> bool {
        let mut theirs = self.views.values().filter(|viewing| viewing.account.as_ref() == Some(account));
        theirs.all(|viewing| role.is_some_and(|role| viewing.role == role.limited_to(viewing.most)))
    }

    /// Returns the accounts that view the session, at most [`VIEWING_MAX`] of them.
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

    /// The participants of a session that account 0 owns.
    fn participants() -> Participants {
        let (owner, guests, views) = (Some(name(0)), Vec::new(), BTreeMap::new());
        Participants { owner, name: None, guests, views }
    }

    fn viewing(account: Option<usize>) -> Viewer {
        Viewer { account: account.map(name), role: Role::Watcher, most: Role::Owner, closing: false }
    }

    #[test]
    fn guests_are_bounded_and_each_is_one_once() {
        let mut participants = participants();
        for number in 1..=GUESTS_MAX {
            for role in [GuestRole::Watcher, GuestRole::Writer] {
                participants.guests = participants.guests_with(&name(number), Some(role)).unwrap();
            }
        }
        assert_eq!(participants.guests.len(), GUESTS_MAX);
        let one_more = participants.guests_with(&name(GUESTS_MAX + 1), Some(GuestRole::Watcher));
        assert_eq!(one_more.unwrap_err(), Refusal::TooMany);
        assert_eq!(participants.role_of(&name(3)), Some(Role::Writer));
        participants.guests = participants.guests_with(&name(3), None).unwrap();
        assert_eq!(participants.role_of(&name(3)), None);
        assert!(participants.guests_with(&name(GUESTS_MAX + 1), Some(GuestRole::Watcher)).is_ok());
    }

    #[test]
    fn participants_are_the_owner_and_the_guests_with_their_views() {
        let mut participants = participants();
        participants.guests = participants.guests_with(&name(1), Some(GuestRole::Watcher)).unwrap();
        for (number, account) in [(1, 0), (2, 1), (3, 1)] {
            let role = if account == 0 { Role::Owner } else { Role::Watcher };
            participants.views.insert(ViewerId(number), Viewer { role, ..viewing(Some(account)) });
        }
        let person = |number, role, views| Participant { account: name(number), role, views };
        assert_eq!(participants.all(&name(0)), [person(0, Role::Owner, 1), person(1, Role::Watcher, 2)]);
        assert_eq!(participants.viewers_of(&name(1)), [ViewerId(2), ViewerId(3)]);
        assert_eq!(participants.viewing(), [name(0), name(1)]);
        assert!(participants.settled(&name(1), Some(Role::Watcher)) && participants.settled(&name(2), None));
        assert!(!participants.settled(&name(1), Some(Role::Writer)) && !participants.settled(&name(1), None));
    }

    #[test]
    fn a_view_that_was_asked_for_with_fewer_rights_never_has_more() {
        let mut participants = participants();
        participants.guests = participants.guests_with(&name(1), Some(GuestRole::Writer)).unwrap();
        let (owners, guests) = (ViewerId(1), ViewerId(2));
        for (viewer, account, most) in [(owners, 0, Role::Writer), (guests, 1, Role::Watcher)] {
            let viewing = Viewer { role: most, most, ..viewing(Some(account)) };
            participants.views.insert(viewer, viewing);
        }
        assert_eq!(participants.role_of_viewer(owners), Some(Role::Writer));
        assert_eq!(participants.role_of_viewer(guests), Some(Role::Watcher));
        assert!(participants.settled(&name(0), Some(Role::Owner)));
        assert!(participants.settled(&name(1), Some(Role::Writer)));
        assert!(
            !participants.settled(&name(0), Some(Role::Watcher)) && !participants.settled(&name(0), None)
        );
        // Less is less for them too.
        participants.withdraw_keyboard();
        assert_eq!(participants.role_of_viewer(guests), Some(Role::Watcher));
        participants.guests.clear();
        assert_eq!(participants.role_of_viewer(guests), None);
    }

    #[test]
    fn guests_whose_keyboard_is_withdrawn_are_watchers() {
        let mut participants = participants();
        for (guest, role) in [(1, GuestRole::Writer), (2, GuestRole::Watcher), (3, GuestRole::Writer)] {
            participants.guests = participants.guests_with(&name(guest), Some(role)).unwrap();
        }
        assert_eq!(participants.withdraw_keyboard(), [name(1), name(3)]);
        assert!((1..=3).all(|guest| participants.role_of(&name(guest)) == Some(Role::Watcher)));
        assert_eq!(participants.role_of(&name(0)), Some(Role::Owner));
        assert!(participants.withdraw_keyboard().is_empty());
    }

    #[test]
    fn guests_leave_room_for_the_owner() {
        let mut participants = participants();
        let mut take = |account: usize, most: usize| {
            let mut taken = 0;
            while taken < most && participants.has_room_for(&name(account), &[]) {
                let number = ViewerId(participants.views.len().try_into().unwrap());
                participants.views.insert(number, viewing(Some(account)));
                taken += 1;
            }
            taken
        };
        assert_eq!(take(1, VIEWERS_MAX), VIEWS_PER_GUEST_MAX);
        let others: usize = (2..GUESTS_MAX).map(|guest| take(guest, VIEWERS_MAX)).sum();
        assert_eq!(others, GUEST_VIEWS_MAX - VIEWS_PER_GUEST_MAX);
        assert_eq!(take(0, VIEWERS_MAX - GUEST_VIEWS_MAX), VIEWERS_MAX - GUEST_VIEWS_MAX);
        // Requests under way count, and views that are being closed do not.
        participants.views.values_mut().for_each(|viewing| viewing.closing = true);
        let guest = name(1);
        let asked = [&guest; VIEWS_PER_GUEST_MAX];
        assert!(participants.has_room_for(&guest, &asked[1..]));
        assert!(!participants.has_room_for(&guest, &asked));
    }

    #[test]
    fn sessions_of_a_removed_account_are_nobodys_and_it_is_nobodys_guest() {
        let mut participants = participants();
        for guest in [1, 2] {
            participants.guests = participants.guests_with(&name(guest), Some(GuestRole::Watcher)).unwrap();
        }
        for (number, account) in [(1, Some(0)), (2, Some(1)), (3, Some(2)), (4, None)] {
            participants.views.insert(ViewerId(number), viewing(account));
        }
        assert_eq!(participants.part_with(&name(2)), [ViewerId(3)]);
        assert_eq!(participants.role_of(&name(2)), None);
        assert_eq!(participants.part_with(&name(0)), [1, 2, 3].map(ViewerId));
        assert!([0, 1, 2].iter().all(|account| participants.role_of(&name(*account)).is_none()));
        // The operator's view is unaffected.
        assert_eq!(participants.role_of_viewer(ViewerId(1)), None);
        assert_eq!(participants.role_of_viewer(ViewerId(4)), Some(Role::Watcher));
    }
}
