//! All accounts, and the rules for changing them. No I/O: a change is planned against the current
//! accounts, written by [`super::account_files`], and only then committed here.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use webauthn_rs::prelude::{AuthenticationResult, Passkey, Uuid};

use super::secret::SecretHash;
use crate::clock::Moment;
use crate::names::{AccountName, ClientKeyId, ClientPublicKey, Label, PasskeyId, UserUid};
use crate::protocol::Refusal;
use crate::protocol::control::{ACCOUNTS_A_PAGE, AccountSummary, KeyKind, KeySummary, UNUSABLE_MAX};

/// Maximum number of accounts.
pub(super) const ACCOUNTS_MAX: usize = 1000;

/// Maximum number of passkeys of one account: more than a person has devices.
pub(super) const PASSKEYS_MAX: usize = 16;

/// Maximum number of UNIX users of one account: more than a person has on one host.
pub(super) const UNIX_USERS_MAX: usize = 4;

/// Maximum number of client keys of one account: more than a person has computers.
pub(super) const CLIENT_KEYS_MAX: usize = 16;

/// Maximum number of resume keys of one account: more than a person has browsers. Who signs in on
/// one more has to touch the passkey there each time, until one of the others expires.
pub(super) const RESUME_KEYS_MAX: usize = 16;

/// How long an enrolment link is valid, in seconds.
pub(super) const LINK_LIFE: u64 = 15 * 60;

/// The permanent identifier of an account: random, part of its file name and of its passkeys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct AccountId(Uuid);

impl AccountId {
    pub(super) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(Uuid::from_bytes(bytes)))
    }

    pub(super) fn of(uuid: Uuid) -> Self {
        Self(uuid)
    }

    pub(super) fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

/// An account, as its file holds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Account {
    pub(super) id: AccountId,
    pub(super) name: AccountName,
    /// When the account was added, in seconds since 1970.
    pub(super) created: u64,
    /// The only valid link, if any. A new link replaces it.
    pub(super) link: Option<Link>,
    pub(super) passkeys: Vec<Enrolled>,
    /// The UNIX users of the host who may act as the account. No other account has one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) unix_users: Vec<UserUid>,
    /// The client keys by which the command line may act as the account from afar. No other account
    /// has one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) client_keys: Vec<BoundKey>,
    /// The keys with which a page of the account comes back without a touch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) resume_keys: Vec<ResumeKey>,
}

/// An enrolment link that has not been used.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    pub(super) hash: SecretHash,
    /// When the link expires, in seconds since 1970.
    pub(super) expires: u64,
}

/// A registered passkey, and its last use.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Enrolled {
    /// When the passkey was registered, in seconds since 1970.
    pub(super) enrolled: u64,
    /// When the passkey was last used to sign in, in seconds since 1970.
    pub(super) last_sign_in: Option<u64>,
    pub(super) passkey: Passkey,
}

/// A key with which a page comes back without a touch.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResumeKey {
    /// The key. It was bound at the touch.
    pub(super) key: BoundKey,
    /// The passkey that was touched.
    pub(super) passkey: PasskeyId,
    /// How long the host was up at the touch, in seconds.
    pub(super) uptime: u64,
}

/// A key that is bound to an account, and its last use.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BoundKey {
    pub(super) key: ClientPublicKey,
    pub(super) name: Label,
    /// When the key was bound, in seconds since 1970.
    pub(super) bound: u64,
    /// Where it was bound from, if that was not this host.
    pub(super) source: Option<IpAddr>,
    /// When the key was last used to sign in, in seconds since 1970.
    pub(super) last_sign_in: Option<u64>,
}

/// A requested change.
#[derive(Debug)]
pub(super) enum Change {
    /// Add an account with an enrolment link.
    Add { id: AccountId, name: AccountName, link: Link },
    /// Replace the enrolment link of an account.
    Link { name: AccountName, link: Link },
    /// Remove an account with its passkeys and its link.
    Remove { name: AccountName },
    /// Register a passkey with a link, which is used up.
    Enrol { account: AccountId, link: SecretHash, passkey: Box<Passkey> },
    /// Let a UNIX user act as an account.
    AddUnixUser { name: AccountName, uid: UserUid },
    /// No longer let a UNIX user act as an account.
    RemoveUnixUser { name: AccountName, uid: UserUid },
    /// Bind a client key to the account of the passkey that was touched for it.
    BindKey { account: AccountId, result: Box<AuthenticationResult>, key: BoundKey },
    /// Record that a client key or a resume key was used to sign in.
    UseKey { account: AccountId, key: ClientKeyId },
    /// Remove a client key or a resume key.
    RemoveKey { name: AccountName, key: ClientKeyId },
    /// Let a page come back with this key for `seconds` after the touch, and forget those of which
    /// that time is over.
    AddResumeKey { account: AccountId, key: ResumeKey, seconds: u32 },
    /// Record that a passkey was used to sign in.
    SignIn { account: AccountId, result: Box<AuthenticationResult> },
}

/// A change that is allowed, as the state of the files after it.
#[derive(Debug)]
pub(super) enum Planned {
    Write(Account),
    /// Only the time of the last sign-in changes. It does not matter if storing it fails.
    Note(Account),
    /// The usable account, and the unusable files with its name.
    Remove {
        account: Option<AccountId>,
        unusable: Vec<PathBuf>,
    },
}

/// A file that is not a valid account file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unusable {
    pub(super) path: PathBuf,
    /// The account's name, if it can be read. No other account gets this name.
    pub(super) name: Option<AccountName>,
}

/// All accounts.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    by_id: BTreeMap<AccountId, Account>,
    /// At most [`UNUSABLE_MAX`].
    unusable: Vec<Unusable>,
}

impl Accounts {
    pub(super) fn by_id(&self, id: AccountId) -> Option<&Account> {
        self.by_id.get(&id)
    }

    pub(super) fn by_name(&self, name: &AccountName) -> Option<&Account> {
        self.by_id.values().find(|account| account.name == *name)
    }

    /// Returns the account that this UNIX user may act as.
    pub(super) fn by_unix_user(&self, uid: UserUid) -> Option<&Account> {
        self.by_id.values().find(|account| account.unix_users.contains(&uid))
    }

    /// Returns the account that the client key with this id is bound to, and the key.
    pub(super) fn by_client_key(&self, id: &ClientKeyId) -> Option<(&Account, &BoundKey)> {
        let mut accounts = self.by_id.values();
        accounts.find_map(|account| Some((account, account.client_key(id)?)))
    }

    /// Returns the account that the resume key with this id belongs to, and the key.
    pub(super) fn by_resume_key(&self, id: &ClientKeyId) -> Option<(&Account, &ResumeKey)> {
        let mut accounts = self.by_id.values();
        accounts.find_map(|account| Some((account, account.resume_key(id)?)))
    }

    /// Returns the client keys of an account, and the resume keys that are good at this time, if one
    /// is good for `seconds` after its touch.
    pub(super) fn keys(
        &self,
        name: &AccountName,
        seconds: Option<u32>,
        now: Moment,
    ) -> Result<Vec<KeySummary>, Refusal> {
        let account = self.by_name(name).ok_or_else(|| self.missing(name))?;
        let client_keys = account.client_keys.iter().map(|key| key.summary(KeyKind::CommandLine));
        let good =
            account.resume_keys.iter().filter(|key| seconds.is_some_and(|most| key.is_good(most, now)));
        Ok(client_keys.chain(good.map(|key| key.key.summary(KeyKind::Page))).collect())
    }

    /// Returns the account for which the link with this hash is valid at this time.
    pub(super) fn by_link(&self, hash: &SecretHash, now: u64) -> Option<&Account> {
        self.by_id.values().find(|account| account.link_works(hash, now))
    }

    /// Returns summaries of the accounts whose names come after this one, sorted by name: a page.
    pub(super) fn summaries(&self, after: Option<&AccountName>) -> Vec<AccountSummary> {
        let behind = |account: &&Account| after.is_none_or(|after| account.name > *after);
        let mut page: Vec<_> = self.by_id.values().filter(behind).map(Account::summary).collect();
        page.sort_by(|one, other| one.name.cmp(&other.name));
        page.truncate(ACCOUNTS_A_PAGE);
        page
    }

    /// Records a file that cannot be used.
    pub(super) fn set_aside(&mut self, unusable: Unusable) {
        if self.unusable.len() < UNUSABLE_MAX {
            self.unusable.push(unusable);
        }
    }

    /// The recorded files that cannot be used.
    pub(super) fn unusable(&self) -> &[Unusable] {
        &self.unusable
    }

    fn unusable_of(&self, name: &AccountName) -> Vec<PathBuf> {
        let theirs = self.unusable.iter().filter(|unusable| unusable.name.as_ref() == Some(name));
        theirs.map(|unusable| unusable.path.clone()).collect()
    }

    /// Returns why there is no usable account of this name.
    fn missing(&self, name: &AccountName) -> Refusal {
        if self.unusable_of(name).is_empty() { Refusal::NoSuchAccount } else { Refusal::AccountUnusable }
    }

    /// Plans a change.
    ///
    /// # Errors
    /// Why the change is not allowed. The conditions that held when it was requested are checked
    /// again here: if a link is used twice at the same time, the second use finds it gone.
    pub(super) fn plan(&self, change: Change, now: Moment) -> Result<Planned, Refusal> {
        match change {
            Change::Add { id, name, link } => self.plan_add(id, name, link, now.unix),
            Change::Link { name, link } => {
                let mut account = self.by_name(&name).ok_or_else(|| self.missing(&name))?.clone();
                account.link = Some(link);
                Ok(Planned::Write(account))
            }
            Change::Remove { name } => {
                let account = self.by_name(&name).map(|account| account.id);
                let unusable = self.unusable_of(&name);
                if account.is_none() && unusable.is_empty() {
                    return Err(Refusal::NoSuchAccount);
                }
                Ok(Planned::Remove { account, unusable })
            }
            Change::AddUnixUser { name, uid } => self.plan_add_unix_user(&name, uid),
            Change::RemoveUnixUser { name, uid } => {
                let mut account = self.by_name(&name).ok_or_else(|| self.missing(&name))?.clone();
                account.unix_users.retain(|one| *one != uid);
                Ok(Planned::Write(account))
            }
            Change::Enrol { account, link, passkey } => self.plan_enrol(account, &link, *passkey, now.unix),
            Change::BindKey { account, result, key } => self.plan_bind_key(account, &result, key, now.unix),
            Change::UseKey { account, key } => {
                let mut account = self.by_id(account).ok_or(Refusal::UnknownKey)?.clone();
                let resume_keys = account.resume_keys.iter_mut().map(|one| &mut one.key);
                let mut keys = account.client_keys.iter_mut().chain(resume_keys);
                let used = keys.find(|bound| bound.key.id() == key).ok_or(Refusal::UnknownKey)?;
                used.last_sign_in = Some(now.unix);
                Ok(Planned::Note(account))
            }
            Change::AddResumeKey { account, key, seconds } => {
                self.plan_add_resume_key(account, key, seconds, now)
            }
            Change::RemoveKey { name, key } => {
                let mut account = self.by_name(&name).ok_or_else(|| self.missing(&name))?.clone();
                let before = account.client_keys.len() + account.resume_keys.len();
                account.client_keys.retain(|bound| bound.key.id() != key);
                account.resume_keys.retain(|one| one.key.key.id() != key);
                if account.client_keys.len() + account.resume_keys.len() == before {
                    return Err(Refusal::NoSuchKey);
                }
                Ok(Planned::Write(account))
            }
            Change::SignIn { account, result } => self.plan_sign_in(account, &result, now.unix),
        }
    }

    /// Commits a planned change, once it is stored.
    pub(super) fn commit(&mut self, planned: Planned) {
        match planned {
            Planned::Write(account) | Planned::Note(account) => {
                drop(self.by_id.insert(account.id, account));
            }
            Planned::Remove { account, unusable } => {
                account.map(|account| self.by_id.remove(&account));
                self.unusable.retain(|one| !unusable.contains(&one.path));
            }
        }
    }

    fn plan_add(&self, id: AccountId, name: AccountName, link: Link, now: u64) -> Result<Planned, Refusal> {
        if self.by_name(&name).is_some() {
            Err(Refusal::AccountExists)
        } else if !self.unusable_of(&name).is_empty() {
            Err(Refusal::AccountUnusable)
        } else if self.by_id.len() >= ACCOUNTS_MAX {
            Err(Refusal::TooMany)
        } else {
            let link = Some(link);
            Ok(Planned::Write(Account {
                id,
                name,
                created: now,
                link,
                passkeys: Vec::new(),
                unix_users: Vec::new(),
                client_keys: Vec::new(),
                resume_keys: Vec::new(),
            }))
        }
    }

    fn plan_add_unix_user(&self, name: &AccountName, uid: UserUid) -> Result<Planned, Refusal> {
        let mut account = self.by_name(name).ok_or_else(|| self.missing(name))?.clone();
        match self.by_unix_user(uid) {
            Some(other) if other.id != account.id => return Err(Refusal::UnixUserTaken),
            Some(_) => return Ok(Planned::Write(account)),
            None if account.unix_users.len() >= UNIX_USERS_MAX => return Err(Refusal::TooMany),
            None => account.unix_users.push(uid),
        }
        Ok(Planned::Write(account))
    }

    fn plan_enrol(
        &self,
        id: AccountId,
        link: &SecretHash,
        passkey: Passkey,
        now: u64,
    ) -> Result<Planned, Refusal> {
        let account = self.by_id(id).filter(|account| account.link_works(link, now));
        let mut account = account.ok_or(Refusal::LinkInvalid)?.clone();
        if account.passkeys.len() >= PASSKEYS_MAX {
            return Err(Refusal::PasskeysFull);
        }
        // A credential id belongs to one account. Authenticators choose it at random, so a
        // duplicate is forged.
        let known = self.by_id.values().flat_map(|account| &account.passkeys);
        if known.map(|enrolled| enrolled.passkey.cred_id()).any(|known| known == passkey.cred_id()) {
            return Err(Refusal::UnknownPasskey);
        }
        account.link = None;
        account.passkeys.push(Enrolled { enrolled: now, last_sign_in: None, passkey });
        Ok(Planned::Write(account))
    }

    fn plan_bind_key(
        &self,
        id: AccountId,
        result: &AuthenticationResult,
        key: BoundKey,
        now: u64,
    ) -> Result<Planned, Refusal> {
        let (Planned::Write(mut account) | Planned::Note(mut account)) =
            self.plan_sign_in(id, result, now)?
        else {
            return Err(Refusal::UnknownPasskey);
        };
        // A key belongs to one account. Whoever binds one has shown to hold it, so a duplicate is
        // the same command line again.
        if self.by_client_key(&key.key.id()).is_some() {
            return Err(Refusal::CodeInvalid);
        }
        if account.client_keys.len() >= CLIENT_KEYS_MAX {
            return Err(Refusal::KeysFull);
        }
        account.client_keys.push(key);
        Ok(Planned::Write(account))
    }

    fn plan_add_resume_key(
        &self,
        id: AccountId,
        key: ResumeKey,
        seconds: u32,
        now: Moment,
    ) -> Result<Planned, Refusal> {
        let mut account = self.by_id(id).ok_or(Refusal::UnknownPasskey)?.clone();
        account.resume_keys.retain(|one| one.is_good(seconds, now));
        // A page makes its key at random, so a duplicate is forged, or was offered twice.
        let id = key.key.key.id();
        if self.by_resume_key(&id).is_some() || self.by_client_key(&id).is_some() {
            return Err(Refusal::UnknownKey);
        }
        if account.resume_keys.len() >= RESUME_KEYS_MAX {
            return Err(Refusal::KeysFull);
        }
        account.resume_keys.push(key);
        Ok(Planned::Write(account))
    }

    fn plan_sign_in(
        &self,
        id: AccountId,
        result: &AuthenticationResult,
        now: u64,
    ) -> Result<Planned, Refusal> {
        let mut account = self.by_id(id).ok_or(Refusal::UnknownPasskey)?.clone();
        let mut passkeys = account.passkeys.iter_mut();
        let enrolled = passkeys.find(|enrolled| enrolled.passkey.cred_id() == result.cred_id());
        let enrolled = enrolled.ok_or(Refusal::UnknownPasskey)?;
        let changed = enrolled.passkey.update_credential(result).ok_or(Refusal::UnknownPasskey)?;
        enrolled.last_sign_in = Some(now);
        // A signature counter must be stored before the passkey is accepted; otherwise a copy of
        // the authenticator would be as good as the original. Most passkeys have no counter.
        Ok(if changed { Planned::Write(account) } else { Planned::Note(account) })
    }
}

impl BoundKey {
    fn summary(&self, kind: KeyKind) -> KeySummary {
        KeySummary {
            kind,
            key: self.key.id(),
            name: self.name.clone(),
            bound: self.bound,
            last_sign_in: self.last_sign_in,
            source: self.source,
        }
    }
}

impl ResumeKey {
    /// When the passkey was touched for it.
    pub(super) fn touched(&self) -> Moment {
        Moment { unix: self.key.bound, uptime: self.uptime }
    }

    /// Whether the touch was less than `seconds` ago.
    fn is_good(&self, seconds: u32, now: Moment) -> bool {
        self.touched().age(now).is_some_and(|age| age < u64::from(seconds))
    }
}

impl Account {
    /// The resume key with this id. It is good for nothing without the passkey that was touched.
    pub(super) fn resume_key(&self, id: &ClientKeyId) -> Option<&ResumeKey> {
        let key = self.resume_keys.iter().find(|one| one.key.key.id() == *id)?;
        let mut passkeys = self.passkeys.iter().map(|enrolled| PasskeyId::of(enrolled.passkey.cred_id()));
        passkeys.any(|passkey| passkey == key.passkey).then_some(key)
    }

    /// The client key with this id.
    pub(super) fn client_key(&self, id: &ClientKeyId) -> Option<&BoundKey> {
        self.client_keys.iter().find(|bound| bound.key.id() == *id)
    }

    fn link_works(&self, hash: &SecretHash, now: u64) -> bool {
        self.link.as_ref().is_some_and(|link| link.hash == *hash && now < link.expires)
    }

    fn summary(&self) -> AccountSummary {
        AccountSummary {
            name: self.name.clone(),
            created: self.created,
            passkeys: u32::try_from(self.passkeys.len()).unwrap_or(u32::MAX),
            last_sign_in: self.passkeys.iter().filter_map(|enrolled| enrolled.last_sign_in).max(),
            unix_users: self.unix_users.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::secret::EnrolSecret;
    use super::*;
    use crate::protocol::control::{ToCli, UnusableFile};

    const NOW: Moment = Moment { unix: 5, uptime: 5 };

    fn link(expires: u64) -> Link {
        Link { hash: EnrolSecret::random().unwrap().hash(), expires }
    }

    fn add(accounts: &mut Accounts, name: &str) -> Result<(), Refusal> {
        let id = AccountId::random().unwrap();
        let change = Change::Add { id, name: name.parse().unwrap(), link: link(10) };
        let planned = accounts.plan(change, NOW)?;
        accounts.commit(planned);
        Ok(())
    }

    #[test]
    fn names_are_one_accounts_each_and_bounded() {
        let mut accounts = Accounts::default();
        for number in 0..ACCOUNTS_MAX {
            let name = format!("{number:032}");
            add(&mut accounts, &name).unwrap();
        }
        assert_eq!(add(&mut accounts, &format!("{:032}", 7)), Err(Refusal::AccountExists));
        assert_eq!(add(&mut accounts, "one-more"), Err(Refusal::TooMany));
        let mut longest = accounts.summaries(None);
        let next = accounts.summaries(longest.last().map(|last| &last.name));
        let names: std::collections::BTreeSet<_> =
            longest.iter().chain(&next).map(|one| one.name.clone()).collect();
        assert_eq!(names.len(), ACCOUNTS_MAX);
        for summary in &mut longest {
            summary.created = u64::MAX;
            summary.passkeys = u32::MAX;
            summary.last_sign_in = Some(u64::MAX);
            summary.unix_users = vec![UserUid::try_from(65533).unwrap(); UNIX_USERS_MAX];
        }
        assert_eq!(longest.len(), ACCOUNTS_A_PAGE);
        assert!(crate::wire::encode(&ToCli::Accounts(longest)).is_ok(), "a full page fits one packet");
        // The longest path and file name that the kernel accepts, see path_resolution(7).
        let name = Some(format!("{:032}", 7).parse().unwrap());
        let file = UnusableFile { file: "f".repeat(255), name };
        let unusable = ToCli::Unusable { folder: "f".repeat(4096), files: vec![file; UNUSABLE_MAX] };
        assert!(crate::wire::encode(&unusable).is_ok(), "and so does this one");
    }

    #[test]
    fn a_unix_user_belongs_to_one_account_until_it_is_removed() {
        let mut accounts = Accounts::default();
        let [alice, bob]: [AccountName; 2] = ["alice", "bob"].map(|name| name.parse().unwrap());
        add(&mut accounts, "alice").unwrap();
        add(&mut accounts, "bob").unwrap();
        let uid = |number: u32| UserUid::try_from(number).unwrap();
        let mut make = |change| accounts.plan(change, NOW).map(|planned| accounts.commit(planned));
        let add = |name: &AccountName, number| Change::AddUnixUser { name: name.clone(), uid: uid(number) };
        make(add(&alice, 1000)).unwrap();
        make(add(&alice, 1000)).unwrap();
        assert_eq!(make(add(&bob, 1000)), Err(Refusal::UnixUserTaken));
        for number in 1001..1004 {
            make(add(&alice, number)).unwrap();
        }
        assert_eq!(make(add(&alice, 1004)), Err(Refusal::TooMany));
        make(Change::RemoveUnixUser { name: alice.clone(), uid: uid(1000) }).unwrap();
        make(add(&bob, 1000)).unwrap();
        make(Change::Remove { name: alice }).unwrap();
        let name = |number| accounts.by_unix_user(uid(number)).map(|account| account.name.clone());
        assert_eq!((name(1000), name(1001)), (Some(bob), None));
    }

    #[test]
    fn a_new_link_takes_the_place_of_the_old_and_a_removed_account_has_none() {
        let mut accounts = Accounts::default();
        add(&mut accounts, "alice").unwrap();
        let name: AccountName = "alice".parse().unwrap();
        let old = accounts.by_name(&name).unwrap().link.clone().unwrap();
        let new = link(10);
        let planned = accounts.plan(Change::Link { name: name.clone(), link: new.clone() }, NOW).unwrap();
        accounts.commit(planned);
        assert!(accounts.by_link(&old.hash, 5).is_none());
        assert!(accounts.by_link(&new.hash, 9).is_some());
        assert!(accounts.by_link(&new.hash, 10).is_none(), "expired");
        let planned = accounts.plan(Change::Remove { name: name.clone() }, NOW).unwrap();
        accounts.commit(planned);
        assert!(accounts.by_link(&new.hash, 5).is_none());
        assert!(matches!(accounts.plan(Change::Remove { name }, NOW), Err(Refusal::NoSuchAccount)));
    }
}
