//! The files of the accounts: one `accounts/ID.json` per account in the state folder, accessible
//! only to the user of tere-auth. A file is replaced as a whole: the new version is written beside
//! it and synced, then renamed over it, and the folder is synced (see rename(2) and fsync(2)), so
//! that a crash leaves either the old version or the new one.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::accounts::{Account, AccountId, Accounts, Planned, Unusable};
use crate::atomic_file::{self, Durability, UNFINISHED};
use crate::names::AccountName;

/// Maximum size of an account file, in bytes. The largest that auth writes, with 16 passkeys, is a
/// tenth of it.
const FILE_MAX: u64 = 256 * 1024;

/// Why the accounts cannot be read or written. An error from the kernel is the host's fault;
/// invalid content is the fault of whoever wrote the file.
#[derive(Debug, thiserror::Error)]
pub(super) enum FilesError {
    /// The folder cannot be used at all.
    #[error("cannot {operation} {path}: {cause}: the state folder must be writable by tere-auth")]
    Folder { operation: &'static str, path: PathBuf, cause: io::Error },
    /// The change failed, and nothing has changed.
    #[error("cannot {operation} {path}: {cause}")]
    Unchanged { operation: &'static str, path: PathBuf, cause: io::Error },
    /// The change is in the folder, but may not survive a power failure.
    #[error("cannot sync {path} after a change: {cause}")]
    NotSynced { path: PathBuf, cause: io::Error },
    /// A file is not a valid account file.
    #[error(
        "{path} is not an account file ({why}): this account cannot be used until it is fixed or removed"
    )]
    NotAnAccount { path: PathBuf, why: String },
}

/// The folder of the account files.
#[derive(Debug)]
pub(super) struct AccountFiles {
    folder: PathBuf,
}

impl AccountFiles {
    /// Makes the folder if it does not exist, and deletes files that a crash left half written.
    pub(super) fn open(state_dir: &Path) -> Result<Self, FilesError> {
        let folder = state_dir.join("accounts");
        let failed = |operation, cause| FilesError::Folder { operation, path: folder.clone(), cause };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|cause| failed("make", cause))?;
        for entry in fs::read_dir(&folder).map_err(|cause| failed("list", cause))? {
            let path = entry.map_err(|cause| failed("list", cause))?.path();
            if path.as_os_str().as_encoded_bytes().ends_with(UNFINISHED.as_bytes()) {
                fs::remove_file(&path).map_err(|cause| failed("clear", cause))?;
            }
        }
        Ok(Self { folder })
    }

    /// Reads every account. A file that cannot be read is logged and set aside; the other accounts
    /// work.
    pub(super) fn read_all(&self) -> Result<Accounts, FilesError> {
        let failed = |cause| FilesError::Folder { operation: "list", path: self.folder.clone(), cause };
        let mut accounts = Accounts::default();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let read = read(&path).and_then(|account| match accounts.by_name(&account.name) {
                None => Ok(account),
                Some(other) => {
                    let why = format!("{}.json has the same name, {}", other.id, account.name);
                    Err(FilesError::NotAnAccount { path: path.clone(), why })
                }
            });
            match read {
                Ok(account) => accounts.commit(Planned::Write(account)),
                Err(error) => {
                    let name = read_name(&path);
                    let account = name.as_ref().map(AccountName::as_str);
                    tracing::error!(account, %error, "an account cannot be used: {error}");
                    accounts.set_aside(Unusable { path, name });
                }
            }
        }
        Ok(accounts)
    }

    /// Makes the planned change in the files.
    pub(super) fn make(&self, planned: &Planned) -> Result<(), FilesError> {
        match planned {
            Planned::Write(account) | Planned::Note(account) => self.write(account),
            Planned::Remove { account, unusable } => self.remove(*account, unusable),
        }
    }

    fn write(&self, account: &Account) -> Result<(), FilesError> {
        let path = self.path(account.id);
        let json = serde_json::to_vec(account).map_err(|error| ("write", error.into()));
        let replaced = json.and_then(|json| atomic_file::replace(&path, &json, Durability::Synced));
        replaced.map_err(|(operation, cause)| FilesError::Unchanged { operation, path, cause })?;
        self.sync()
    }

    /// Removes the unusable files first: if that fails, the account is unchanged.
    fn remove(&self, account: Option<AccountId>, unusable: &[PathBuf]) -> Result<(), FilesError> {
        let failed =
            |path: &Path, cause| FilesError::Unchanged { operation: "remove", path: path.to_owned(), cause };
        for path in unusable {
            match fs::remove_file(path) {
                // Somebody removed it by hand.
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(|cause| failed(path, cause))?,
            }
        }
        if let Some(account) = account {
            let path = self.path(account);
            fs::remove_file(&path).map_err(|cause| failed(&path, cause))?;
        }
        self.sync()
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn sync(&self) -> Result<(), FilesError> {
        let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
        synced.map_err(|cause| FilesError::NotSynced { path: self.folder.clone(), cause })
    }

    fn path(&self, id: AccountId) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }
}

fn read(path: &Path) -> Result<Account, FilesError> {
    let not = |why: String| FilesError::NotAnAccount { path: path.to_owned(), why };
    let bytes = read_bytes(path).map_err(|cause| not(cause.to_string()))?;
    let account = parse(&bytes).map_err(not)?;
    if path.file_name() != Some(format!("{}.json", account.id).as_ref()) {
        return Err(not("its name is not its id".to_owned()));
    }
    Ok(account)
}

/// Reads an account as its file holds it, or says why it is none.
pub(super) fn parse(bytes: &[u8]) -> Result<Account, String> {
    // serde's messages name a field and a position, never a whole value of a passkey.
    let account: Account = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    // The account must serialize to what was read: anything that would be lost is not understood.
    // This includes the passkeys, because webauthn-rs's types accept unknown fields.
    let understood = serde_json::to_value(&account).ok();
    let whole: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if understood.as_ref() != Some(&whole) {
        return Err("it has parts that this version does not understand".to_owned());
    }
    Ok(account)
}

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns the name in a file that is otherwise invalid.
fn read_name(path: &Path) -> Option<AccountName> {
    let json: serde_json::Value = serde_json::from_slice(&read_bytes(path).ok()?).ok()?;
    json.get("name")?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::super::accounts::{Change, Link};
    use super::super::secret::EnrolSecret;
    use super::*;
    use crate::clock::Moment;
    use crate::protocol::Refusal;
    use crate::sandbox::{AllowedPath, Thread, enter};

    const NOW: Moment = Moment { unix: 1, uptime: 1 };

    fn store_with(names: &[&str]) -> (TempDir, AccountFiles, Accounts) {
        let folder = tempfile::tempdir().unwrap();
        let store = AccountFiles::open(folder.path()).unwrap();
        let mut accounts = store.read_all().unwrap();
        for name in names {
            let planned = planned(&accounts, name);
            store.make(&planned).unwrap();
            accounts.commit(planned);
        }
        (folder, store, accounts)
    }

    fn planned(accounts: &Accounts, name: &str) -> Planned {
        let id = AccountId::random().unwrap();
        let link = Link { hash: EnrolSecret::random().unwrap().hash(), expires: 9 };
        accounts.plan(Change::Add { id, name: name.parse().unwrap(), link }, NOW).unwrap()
    }

    fn names(accounts: &Accounts) -> Vec<String> {
        accounts.summaries(None).into_iter().map(|summary| summary.name.into()).collect()
    }

    #[test]
    fn files_are_their_owners_alone_and_not_named_after_people() {
        let (_folder, store, accounts) = store_with(&["alice", "bob"]);
        assert_eq!(names(&store.read_all().unwrap()), ["alice", "bob"]);
        assert_eq!(fs::metadata(&store.folder).unwrap().permissions().mode() & 0o777, 0o700);
        for entry in fs::read_dir(&store.folder).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert!(!path.to_str().unwrap().contains("alice"));
        }
        let alice = accounts.plan(Change::Remove { name: "alice".parse().unwrap() }, NOW).unwrap();
        store.make(&alice).unwrap();
        assert_eq!(names(&store.read_all().unwrap()), ["bob"]);
    }

    #[test]
    fn what_is_not_understood_is_left_out_and_the_others_work() {
        let (_folder, store, accounts) = store_with(&["alice", "bob"]);
        let alice = accounts.by_name(&"alice".parse().unwrap()).unwrap();
        let path = store.path(alice.id);
        let good = fs::read_to_string(&path).unwrap();
        let twin = store.path(AccountId::random().unwrap());
        for bad in [
            good.replacen('{', "{\"admin\":true,", 1),
            good.replace("\"expires\"", "\"until\""),
            good.replace("\"passkeys\":[]", "\"passkeys\":[{}]"),
            good.replace("alice", "../alice"),
            good.replace("alice", "bob"),
            good[..good.len() - 1].to_owned(),
            format!("{good}{good}"),
            String::new(),
        ] {
            fs::write(&path, &bad).unwrap();
            let read = store.read_all().unwrap();
            // If two files have the same name, either of them may be the one that is used.
            assert_eq!(names(&read), ["bob"], "{bad}");
        }
        fs::write(&path, &good).unwrap();
        fs::write(&twin, &good).unwrap();
        assert_eq!(names(&store.read_all().unwrap()), ["alice", "bob"], "a file under another id");
    }

    #[test]
    fn a_name_whose_file_cannot_be_used_is_nobody_elses_until_the_file_is_removed() {
        let (_folder, store, accounts) = store_with(&["alice", "bob"]);
        let alice = accounts.by_name(&"alice".parse().unwrap()).unwrap();
        let path = store.path(alice.id);
        let good = fs::read_to_string(&path).unwrap();
        fs::write(&path, good.replacen('{', "{\"of a later version\":true,", 1)).unwrap();
        fs::write(store.folder.join("nameless.json"), "{").unwrap();
        let mut accounts = store.read_all().unwrap();
        let mut unusable = accounts.unusable().to_vec();
        unusable.sort_by(|one, other| one.name.cmp(&other.name));
        let nameless = Unusable { path: store.folder.join("nameless.json"), name: None };
        let alices = Unusable { path: path.clone(), name: Some("alice".parse().unwrap()) };
        assert_eq!(unusable, [nameless, alices]);

        let link = || Link { hash: EnrolSecret::random().unwrap().hash(), expires: 9 };
        let name = || "alice".parse().unwrap();
        let add = Change::Add { id: AccountId::random().unwrap(), name: name(), link: link() };
        assert_eq!(accounts.plan(add, NOW).unwrap_err(), Refusal::AccountUnusable);
        let made = accounts.plan(Change::Link { name: name(), link: link() }, NOW);
        assert_eq!(made.unwrap_err(), Refusal::AccountUnusable);
        let removed = accounts.plan(Change::Remove { name: name() }, NOW).unwrap();
        store.make(&removed).unwrap();
        accounts.commit(removed);
        assert!(!path.exists());
        store.make(&planned(&accounts, "alice")).unwrap();
        assert_eq!(names(&store.read_all().unwrap()), ["alice", "bob"]);
    }

    #[test]
    fn what_a_crash_left_is_cleared_away() {
        let (folder, store, _) = store_with(&["alice"]);
        let left = store.folder.join("0.json.new");
        fs::write(&left, "{").unwrap();
        let store = AccountFiles::open(folder.path()).unwrap();
        assert!(!left.exists());
        assert_eq!(names(&store.read_all().unwrap()), ["alice"]);
    }

    #[test]
    fn in_its_sandbox_a_folder_that_may_be_written_is_and_another_is_left_as_it_was() {
        let (folder, store, accounts) = store_with(&["alice"]);
        let planned = planned(&accounts, "bob");
        let inside = |paths: AllowedPath| {
            std::thread::scope(|scope| {
                let store = &store;
                let planned = &planned;
                let attempt = move || {
                    enter(Thread::Auth, &[paths]).unwrap();
                    store.make(planned)
                };
                scope.spawn(attempt).join().unwrap()
            })
        };
        let refused = inside(AllowedPath::Read(folder.path().to_owned()));
        assert!(matches!(refused, Err(FilesError::Unchanged { .. })), "{refused:?}");
        assert_eq!(names(&store.read_all().unwrap()), ["alice"]);
        inside(AllowedPath::Write(folder.path().to_owned())).unwrap();
        assert_eq!(names(&store.read_all().unwrap()), ["alice", "bob"]);
    }
}
