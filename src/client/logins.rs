//! The logins of a user: one file for each host, `HOST.json` in `$XDG_STATE_HOME/tere`, which
//! nobody else may read. Whoever has the file has what the policy of the host lets its key do.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::atomic_file::{self, Durability};
use crate::client_key::ClientKey;
use crate::config::Origin;
use crate::names::AccountName;

/// Bits of a mode that let others than the owner do anything.
const OTHERS: u32 = 0o077;

/// What signs a user in at one host.
#[derive(Debug)]
pub struct Login {
    /// The host, as its user named it.
    pub origin: Origin,
    /// The account that the key is bound to.
    pub account: AccountName,
    /// The key.
    pub key: ClientKey,
}

/// A login as its file has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    origin: String,
    account: AccountName,
    /// PKCS #8 in base64url.
    key: Zeroizing<String>,
}

/// Why a login cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LoginsError {
    /// The file system fails.
    #[error("cannot {operation} {path}: {cause}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// The error of the kernel.
        cause: io::Error,
    },
    /// Others may read the file.
    #[error("others may read {path}, and the key in it may be theirs")]
    Open {
        /// The file.
        path: PathBuf,
    },
    /// The file is none.
    #[error("{path} is no login")]
    Unreadable {
        /// The file.
        path: PathBuf,
    },
    /// There is no such folder.
    #[error("neither XDG_STATE_HOME nor HOME is set")]
    NoHome,
}

/// The folder.
#[derive(Debug)]
pub struct Logins {
    folder: PathBuf,
}

impl Logins {
    /// Those of the user who runs this.
    ///
    /// # Errors
    /// [`LoginsError::NoHome`].
    pub fn of_user() -> Result<Self, LoginsError> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
        Ok(Self::at(state.ok_or(LoginsError::NoHome)?.join("tere")))
    }

    /// Those in this folder.
    #[must_use]
    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The file of the login at this host.
    #[must_use]
    pub fn path(&self, origin: &Origin) -> PathBuf {
        let scheme = if origin.is_https() { "" } else { "http-" };
        // A host header has no slash, and begins with a letter or a digit.
        self.folder.join(format!("{scheme}{}.json", origin.host_header()))
    }

    /// Keeps a login.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&self, login: &Login) -> Result<(), LoginsError> {
        let failed =
            |operation, path: &Path, cause| LoginsError::Io { operation, path: path.to_owned(), cause };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(|cause| failed("make", &self.folder, cause))?;
        let path = self.path(&login.origin);
        let kept = Kept {
            origin: login.origin.as_str().to_owned(),
            account: login.account.clone(),
            key: Zeroizing::new(BASE64URL_NOPAD.encode(login.key.secret())),
        };
        let text = serde_json::to_vec(&kept).map(Zeroizing::new);
        let text = text.map_err(|error| failed("write", &path, error.into()))?;
        let replaced = atomic_file::replace(&path, &text, Durability::Synced);
        replaced.map_err(|(operation, cause)| failed(operation, &path, cause))
    }

    /// The login at this host, if there is one.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn at_host(&self, origin: &Origin) -> Result<Option<Login>, LoginsError> {
        let path = self.path(origin);
        if path.exists() { read(&path).map(Some) } else { Ok(None) }
    }

    /// The login whose host has this name, without scheme and port if need be.
    ///
    /// # Errors
    /// A file cannot be used.
    pub fn by_name(&self, name: &str) -> Result<Option<Login>, LoginsError> {
        let logins = self.files()?.into_iter().map(|(_, path)| read(&path)).collect::<Result<Vec<_>, _>>()?;
        let is = |login: &Login| {
            [login.origin.as_str(), login.origin.host_header(), login.origin.rp_id()].contains(&name)
        };
        Ok(logins.into_iter().find(is))
    }

    /// The login that was made last.
    ///
    /// # Errors
    /// Its file cannot be used.
    pub fn last(&self) -> Result<Option<Login>, LoginsError> {
        self.files()?.into_iter().max().map(|(_, path)| read(&path)).transpose()
    }

    /// Forgets the login at this host.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn forget(&self, origin: &Origin) -> Result<(), LoginsError> {
        let path = self.path(origin);
        fs::remove_file(&path).map_err(|cause| LoginsError::Io { operation: "remove", path, cause })
    }

    /// The files, each with the time when it was written.
    fn files(&self) -> Result<Vec<(SystemTime, PathBuf)>, LoginsError> {
        let failed = |cause| LoginsError::Io { operation: "list", path: self.folder.clone(), cause };
        let entries = match fs::read_dir(&self.folder) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            if entry.path().extension().is_some_and(|extension| extension == "json") {
                let written = entry.metadata().and_then(|metadata| metadata.modified()).map_err(failed)?;
                files.push((written, entry.path()));
            }
        }
        Ok(files)
    }
}

fn read(path: &Path) -> Result<Login, LoginsError> {
    let failed = |cause| LoginsError::Io { operation: "read", path: path.to_owned(), cause };
    if fs::metadata(path).map_err(failed)?.mode() & OTHERS != 0 {
        return Err(LoginsError::Open { path: path.to_owned() });
    }
    let text = fs::read(path).map(Zeroizing::new).map_err(failed)?;
    let unreadable = || LoginsError::Unreadable { path: path.to_owned() };
    let Kept { origin, account, key } = serde_json::from_slice(&text).map_err(|_| unreadable())?;
    let secret = BASE64URL_NOPAD.decode(key.as_bytes()).map(Zeroizing::new).map_err(|_| unreadable())?;
    let key = ClientKey::from_secret(secret).map_err(|_| unreadable())?;
    Ok(Login { origin: origin.parse().map_err(|_| unreadable())?, account, key })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn login(origin: &str) -> Login {
        let key = ClientKey::random().unwrap();
        Login { origin: origin.parse().unwrap(), account: "alice".parse().unwrap(), key }
    }

    #[test]
    fn a_login_is_kept_for_its_user_alone_and_found_by_its_host() {
        let folder = tempfile::tempdir().unwrap();
        let logins = Logins::at(folder.path().join("tere"));
        assert!(logins.last().unwrap().is_none() && logins.by_name("shell.example.org").unwrap().is_none());
        let (one, other) = (login("https://shell.example.org"), login("http://localhost:8022"));
        logins.keep(&one).unwrap();
        logins.keep(&other).unwrap();
        let path = logins.path(&one.origin);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(folder.path().join("tere")).unwrap().mode() & 0o777, 0o700);
        for (name, key) in [
            ("shell.example.org", Some(&one)),
            ("https://shell.example.org", Some(&one)),
            ("localhost", Some(&other)),
            ("localhost:8022", Some(&other)),
            ("example.org", None),
        ] {
            let found = logins.by_name(name).unwrap().map(|login| login.key.public());
            assert_eq!(found, key.map(|login| login.key.public()), "{name}");
        }
        let later = SystemTime::now() + std::time::Duration::from_secs(60);
        fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
        assert_eq!(logins.last().unwrap().unwrap().origin, one.origin);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(logins.at_host(&one.origin), Err(LoginsError::Open { .. })));
        logins.forget(&one.origin).unwrap();
        assert!(logins.at_host(&one.origin).unwrap().is_none());
        fs::write(logins.path(&other.origin), "{}").unwrap();
        assert!(matches!(logins.last(), Err(LoginsError::Unreadable { .. })));
    }
}
