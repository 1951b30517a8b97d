//! The record of each session: one small file, kept by systemd while the broker restarts. It is
//! the only word on whose a session is; a worker is never asked.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::names::{AccountName, Label, SessionId, Target};
use crate::protocol::GuestRole;

/// Longest record, bytes; a longer file is not one.
const RECORD_MAX: u64 = 4096;

/// What is known of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// Its id.
    pub(super) id: SessionId,
    /// Who opened it.
    pub(super) owner: AccountName,
    /// Where its shell runs.
    pub(super) target: Target,
    /// When, seconds since 1970.
    pub(super) opened: u64,
    /// What its owner calls it.
    pub(super) name: Option<Label>,
    /// Whom its owner shares it with. At most [`GUESTS_MAX`](crate::protocol::GUESTS_MAX). The record of
    /// an earlier version has none.
    #[serde(default)]
    pub(super) guests: Vec<Guest>,
}

/// An account that a session is shared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Guest {
    /// Who.
    pub(super) account: AccountName,
    /// What it may do.
    pub(super) role: GuestRole,
}

/// The folder of records.
#[derive(Debug)]
pub(super) struct Records {
    folder: PathBuf,
}

impl Records {
    /// The records in this folder.
    pub(super) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Keeps a record: a file is there whole, or not at all. The folder is in memory, so there is
    /// nothing to sync.
    pub(super) fn keep(&self, record: &Record) -> io::Result<()> {
        let text = serde_json::to_vec(record)?;
        let new = self.folder.join(format!("{}.new", record.id));
        let kept = File::create(&new)
            .and_then(|mut file| file.write_all(&text))
            .and_then(|()| fs::rename(&new, self.path(&record.id)));
        if kept.is_err() {
            // What was begun must not fill the folder; it is not a record yet.
            let _ = fs::remove_file(&new);
        }
        kept
    }

    /// Forgets a record.
    pub(super) fn forget(&self, id: &SessionId) {
        if let Err(error) = fs::remove_file(self.path(id)) {
            tracing::warn!(session = %id, %error, "the record of an ended session stays behind: {error}");
        }
    }

    /// All records. A file that is not one is left where it is, and said.
    pub(super) fn all(&self) -> io::Result<Vec<Record>> {
        let mut records = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match read(&path) {
                Ok(record) if self.path(&record.id) == path => records.push(record),
                Ok(_) => tracing::warn!(path = %path.display(), "a record has another's name"),
                Err(error) => tracing::warn!(path = %path.display(), %error, "not a record: {error}"),
            }
        }
        Ok(records)
    }

    fn path(&self, id: &SessionId) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }
}

fn read(path: &std::path::Path) -> io::Result<Record> {
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
        };
        records.keep(&record).unwrap();
        fs::write(folder.path().join("bad.json"), "{}").unwrap();
        fs::copy(folder.path().join("abcdefghijkl.json"), folder.path().join("mallory.json")).unwrap();
        assert_eq!(records.all().unwrap(), std::slice::from_ref(&record));
        records.forget(&record.id);
        assert!(records.all().unwrap().is_empty());
    }
}
