//! The participants of a session: its owner, its guests, and the viewers that each of them has.

use std::collections::BTreeMap;

use super::records::{Guest, Record};
use crate::names::{AccountName, Label};
use crate::protocol::worker::{VIEWERS_MAX, ViewerNumber};
use crate::protocol::{GUESTS_MAX, GuestRole, Person, Refusal, Role, VIEWING_MAX, VIEWS_PER_GUEST_MAX};

/// Most views that the guests of a session have of it together; one more is refused with `too-many`. The rest of
/// [`VIEWERS_MAX`] is its owner's.
const GUEST_VIEWS_MAX: usize = 32;

/// The participants, and what else can change about a session.
#[derive(Debug)]
pub(super) struct Participants {
    /// Who opened it; nobody, once that account is gone.
    pub(super) owner: Option<AccountName>,
    /// What its owner calls it.
    pub(super) name: Option<Label>,
    /// Whom its owner shares it with. At most [`GUESTS_MAX`].
    pub(super) guests: Vec<Guest>,
    /// Whose each viewer is. At most [`VIEWERS_MAX`]: the worker makes no more.
    pub(super) views: BTreeMap<ViewerNumber, Viewer>,
}

/// A viewer, as its worker has it.
#[derive(Debug)]
pub(super) struct Viewer {
    /// Whose it is; nobody's, where it is the operator's.
    pub(super) account: Option<AccountName>,
    /// What the worker lets it do.
    pub(super) role: Role,
    /// It is to be closed, and the worker has not said that it is.
    pub(super) closing: bool,
}

impl Participants {
    /// As the record has it. A viewer that is left from before belongs to a channel that is closed.
    pub(super) fn of(record: &Record) -> Self {
        let owner = (!record.ownerless).then(|| record.owner.clone());
        Self { owner, name: record.name.clone(), guests: record.guests.clone(), views: BTreeMap::new() }
    }

    /// The record of how they are now.
    pub(super) fn record(&self, of: &Record) -> Record {
        let (name, guests, ownerless) = (self.name.clone(), self.guests.clone(), self.owner.is_none());
        Record { name, guests, ownerless, ..of.clone() }
    }

    /// What this account may do: as the owner, or as a guest.
    pub(super) fn role_of(&self, account: &AccountName) -> Option<Role> {
        if self.owner.as_ref() == Some(account) {
            return Some(Role::Owner);
        }
        self.guests.iter().find(|guest| guest.account == *account).map(|guest| guest.role.into())
    }

    /// What a viewer may do that its worker has; nothing where it is to be closed.
    pub(super) fn role_of_viewer(&self, viewer: ViewerNumber) -> Option<Role> {
        let Viewer { account, role, closing } = self.views.get(&viewer)?;
        match account {
            _ if *closing => None,
            Some(account) => self.role_of(account),
            None => Some(*role),
        }
    }

    /// Parts with an account that is gone. Where it was the owner, the session is nobody's from now on, and shared
    /// with nobody; only the operator sees it. Gives the views that are over.
    pub(super) fn part_with(&mut self, account: &AccountName) -> Vec<ViewerNumber> {
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

    /// Whether an account may have one more view, with those that are `asked` for already. What is being closed
    /// does not count.
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
    pub(super) fn all(&self, owner: &AccountName) -> Vec<Person> {
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

    /// Of a session of the first.
    fn participants() -> Participants {
        let (owner, guests, views) = (Some(name(0)), Vec::new(), BTreeMap::new());
        Participants { owner, name: None, guests, views }
    }

    fn viewing(account: Option<usize>) -> Viewer {
        Viewer { account: account.map(name), role: Role::Watcher, closing: false }
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
            participants
                .views
                .insert(ViewerNumber(number), Viewer { account: Some(name(account)), role, closing: false });
        }
        let person = |number, role, views| Person { account: name(number), role, views };
        assert_eq!(participants.all(&name(0)), [person(0, Role::Owner, 1), person(1, Role::Watcher, 2)]);
        assert_eq!(participants.viewers_of(&name(1)), [ViewerNumber(2), ViewerNumber(3)]);
        assert_eq!(participants.viewing(), [name(0), name(1)]);
        assert!(participants.settled(&name(1), Some(Role::Watcher)) && participants.settled(&name(2), None));
        assert!(!participants.settled(&name(1), Some(Role::Writer)) && !participants.settled(&name(1), None));
    }
    #[test]
    fn guests_leave_room_for_the_owner() {
        let mut participants = participants();
        let mut take = |account: usize, most: usize| {
            let mut taken = 0;
            while taken < most && participants.has_room_for(&name(account), &[]) {
                let number = ViewerNumber(participants.views.len().try_into().unwrap());
                participants.views.insert(number, viewing(Some(account)));
                taken += 1;
            }
            taken
        };
        assert_eq!(take(1, VIEWERS_MAX), VIEWS_PER_GUEST_MAX);
        let others: usize = (2..GUESTS_MAX).map(|guest| take(guest, VIEWERS_MAX)).sum();
        assert_eq!(others, GUEST_VIEWS_MAX - VIEWS_PER_GUEST_MAX);
        assert_eq!(take(0, VIEWERS_MAX - GUEST_VIEWS_MAX), VIEWERS_MAX - GUEST_VIEWS_MAX);
        // What is under way counts, and what is on its way out does not.
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
            participants.views.insert(ViewerNumber(number), viewing(account));
        }
        assert_eq!(participants.part_with(&name(2)), [ViewerNumber(3)]);
        assert_eq!(participants.role_of(&name(2)), None);
        assert_eq!(participants.part_with(&name(0)), [1, 2, 3].map(ViewerNumber));
        assert!([0, 1, 2].iter().all(|account| participants.role_of(&name(*account)).is_none()));
        // The operator still looks.
        assert_eq!(participants.role_of_viewer(ViewerNumber(1)), None);
        assert_eq!(participants.role_of_viewer(ViewerNumber(4)), Some(Role::Watcher));
    }
}
