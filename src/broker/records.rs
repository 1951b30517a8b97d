//! The record of each session: one small file, kept by systemd while the broker restarts. Only the
//! record says who owns a session; a worker is never asked.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::atomic_file::{self, Durability};
use crate::clock;
use crate::names::{AccountName, Label, SessionId, Target};
use crate::protocol::GuestRole;

/// Maximum size of a record, in bytes. A longer file is not a record.
const RECORD_MAX: u64 = 4096;

/// What the broker stores about a session. A later build may have added fields. They are kept
/// unchanged, so that a session survives a rollback and the way back. Information that an earlier
/// build must not ignore belongs in a field which that build has, in a form that it cannot read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The id of the session.
    pub(super) id: SessionId,
    /// The account that opened the session.
    pub(super) owner: AccountName,
    /// The machine and the user of the session's shell.
    pub(super) target: Target,
    /// When the session was opened, in seconds since 1970.
    pub(super) opened: u64,
    /// The name that the owner gave the session.
    pub(super) name: Option<Label>,
    /// The accounts that the session is shared with. At most
    /// [`GUESTS_MAX`](crate::protocol::GUESTS_MAX). Records of earlier versions do not have this
    /// field.
    #[serde(default)]
    pub(super) guests: Vec<Guest>,
    /// Whether the account that opened the session was removed. If so, an account of the same name
    /// is a different one. Records of earlier builds do not have this field.
    #[serde(default)]
    pub(super) ownerless: bool,
    /// When the session has to end, in seconds since 1970, if it has a time limit. Records of earlier
    /// builds do not have this field; those builds open no session with a limit.
    #[serde(default)]
    pub(super) ends: Option<u64>,
    /// Whether it is one command without a terminal. Records of earlier builds do not have this
    /// field; those builds run no commands.
    #[serde(default)]
    pub(super) exec: bool,
    /// Fields that a later build has added.
    #[serde(flatten)]
    pub(super) later: serde_json::Map<String, serde_json::Value>,
}

impl Record {
    /// Gives the session a time limit, counted from its opening.
    pub(super) fn ending_after(self, limit: Option<Duration>) -> Self {
        let ends = limit.map(|limit| self.opened.saturating_add(limit.as_secs()));
        Self { ends, ..self }
    }

    /// How many seconds are left until the session ends, if it has a time limit.
    pub(super) fn seconds_left(&self) -> Option<u32> {
        self.ends.map(|ends| u32::try_from(ends.saturating_sub(clock::now())).unwrap_or(u32::MAX))
    }

    /// Creates the record of a session that is opened now.
    pub(super) fn of_now(id: SessionId, owner: AccountName, target: Target) -> Self {
        let opened = clock::now();
        let (guests, later) = (Vec::new(), serde_json::Map::new());
        let (ownerless, exec) = (false, false);
        Self { id, owner, target, opened, name: None, guests, ownerless, ends: None, exec, later }
    }
}

/// An account that a session is shared with. An entry with fields that this build does not know is
/// rejected, which makes the whole record unreadable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Guest {
    /// The account of the guest.
    pub(super) account: AccountName,
    /// The role of the guest.
    pub(super) role: GuestRole,
}

/// The records that an earlier broker left.
#[derive(Debug, Default)]
pub(super) struct LeftBehind {
    /// The records that can be read.
    pub(super) records: Vec<Record>,
    /// The sessions whose record exists but cannot be read. They go on, and nobody can reach them.
    pub(super) unreadable: BTreeSet<SessionId>,
}

/// The folder of records.
#[derive(Debug)]
pub(super) struct Records {
    folder: PathBuf,
}

impl Records {
    /// Uses the records in this folder.
    pub(super) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Writes a record. The file is always either complete or absent. The folder is in memory, so
    /// there is nothing to sync.
    pub(super) fn keep(&self, record: &Record) -> io::Result<()> {
        let text = serde_json::to_vec(record)?;
        let kept = atomic_file::replace(&self.path(&record.id), &text, Durability::InMemory);
        kept.map_err(|(_, error)| error)
    }

    /// Deletes a record.
    pub(super) fn forget(&self, id: &SessionId) {
        if let Err(error) = fs::remove_file(self.path(id)) {
            tracing::warn!(session = %id, %error, "the record of an ended session stays behind: {error}");
        }
    }

    /// Reads all records. A file that is not a valid record is logged and left where it is.
    pub(super) fn all(&self) -> io::Result<LeftBehind> {
        let mut left = LeftBehind::default();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let error = match read(&path) {
                Ok(record) if self.path(&record.id) == path => {
                    left.records.push(record);
                    continue;
                }
                Ok(record) => format!("it is of the session {}", record.id),
                Err(error) => error.to_string(),
            };
            match path.file_stem().and_then(|stem| stem.to_str()?.parse::<SessionId>().ok()) {
                Some(id) => {
                    let (session, path) = (id.to_string(), path.display());
                    tracing::error!(
                        session, %path, error,
                        "a record cannot be read ({error}); its session goes on, and nobody reaches it: start the build of \
                         tere-broker that wrote {path}, or stop tere-session@{id}.socket and remove the file"
                    );
                    left.unreadable.insert(id);
                }
                None => tracing::warn!(path = %path.display(), error, "not a record: {error}"),
            }
        }
        Ok(left)
    }

    fn path(&self, id: &SessionId) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }
}

fn read(path: &Path) -> io::Result<Record> {
    let file = io::Read::take(File::open(path)?, RECORD_MAX);
    Ok(serde_json::from_reader(file)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_kept_and_forgotten_and_rubbish_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::at(folder.path().to_owned());
        let record = Record {
            id: "abcdefghijkl".parse().unwrap(),
            owner: "alice".parse().unwrap(),
            target: "dev@box".parse().unwrap(),
            opened: 7,
            name: Label::cut("build"),
            guests: vec![Guest { account: "bob".parse().unwrap(), role: GuestRole::Watcher }],
            ownerless: true,
            ends: Some(9),
            exec: true,
            later: serde_json::Map::new(),
        };
        records.keep(&record).unwrap();
        fs::write(folder.path().join("bad.json"), "{}").unwrap();
        fs::copy(folder.path().join("abcdefghijkl.json"), folder.path().join("mallory.json")).unwrap();
        let left = records.all().unwrap();
        assert_eq!(left.records, std::slice::from_ref(&record));
        assert!(left.unreadable.is_empty());
        records.forget(&record.id);
        assert!(records.all().unwrap().records.is_empty());
    }

    #[test]
    fn what_a_later_build_wrote_is_kept_or_its_session_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::at(folder.path().to_owned());
        let write = |id: &str, guest: &str, more: &str| {
            let record =
                Record::of_now(id.parse().unwrap(), "alice".parse().unwrap(), "dev@box".parse().unwrap());
            records.keep(&record).unwrap();
            let path = folder.path().join(format!("{id}.json"));
            let text = fs::read_to_string(&path)
                .unwrap()
                .replace(r#""guests":[]"#, &format!(r#""guests":[{guest}]{more}"#));
            fs::write(path, text).unwrap();
        };
        write("aaaaaaaaaaaa", "", "");
        write("bbbbbbbbbbbb", "", r#","colour":{"red":7}"#);
        write("cccccccccccc", r#"{"account":"bob","role":"conductor"}"#, "");
        write("dddddddddddd", r#"{"account":"bob","role":"writer","until":7}"#, "");
        let id = |id: &str| id.parse::<SessionId>().unwrap();
        fs::copy(folder.path().join("aaaaaaaaaaaa.json"), folder.path().join("eeeeeeeeeeee.json")).unwrap();
        let left = records.all().unwrap();
        let unreadable = ["cccccccccccc", "dddddddddddd", "eeeeeeeeeeee"].map(id);
        assert_eq!(left.unreadable, BTreeSet::from(unreadable));
        assert_eq!(left.records.len(), 2);
        let newer = left.records.into_iter().find(|record| record.id == id("bbbbbbbbbbbb")).unwrap();
        records.keep(&Record { name: Label::cut("build"), ..newer }).unwrap();
        let text = fs::read_to_string(folder.path().join("bbbbbbbbbbbb.json")).unwrap();
        assert!(text.contains(r#""colour":{"red":7}"#) && text.contains("build"), "{text}");
    }
}
