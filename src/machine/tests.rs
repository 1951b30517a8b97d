//! Making machines in a folder of the test's own. Mounting and booting them needs root and systemd:
//! see tests/machines/managed.rs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::folders::Folders;
use super::{bases, boot, making};
use crate::config::Config;
use crate::names::MachineName;

const POLICY: &str = "origin = \"https://a.example\"\n\
    [[grant]]\naccounts = [\"alice\", \"bob\"]\nmachine = \"{account}-box\"\nuser = \"dev\"\n\
    [[grant]]\naccounts = [\"alice\"]\nmachine = \"lab\"\nuser = \"dev\"\n\
    [[machine]]\nname = \"{account}-box\"\ntemplate = \"debian\"\n";

/// A state folder with one version of a template.
struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["machines", "homes", "bases", "templates/debian/1/home/dev"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("templates/debian/1/home/dev/.profile"), "hello").unwrap();
        fs::write(folder.path().join("tere.toml"), POLICY).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn make(&self, name: &str) -> Result<making::MachineRecord, Failure> {
        let config = Config::parse(POLICY, "tere.toml").unwrap();
        let name: MachineName = name.parse().unwrap();
        let folders = Folders::below(self.folder.path());
        making::find_or_make(&folders, &name, config.machine(&name).unwrap()).map(|(made, _lock)| made)
    }

    /// Everything below the folders of machines and homes, by name.
    fn listed(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn only_machines_of_the_policy_are_made() {
    let fixture = Fixture::new();
    let folders = Folders::below(fixture.folder.path());
    for name in ["mallory-box", "lab", "alice", "alice-box-box", ".host"] {
        let refused =
            boot(&name.parse().unwrap(), &fixture.path("tere.toml"), &folders, Path::new("/nowhere"));
        assert!(matches!(refused, Err(Failure::NotInPolicy)), "{name}: {refused:?}");
    }
    let unreadable =
        boot(&"alice-box".parse().unwrap(), &fixture.path("nothing"), &folders, Path::new("/nowhere"));
    assert!(matches!(unreadable, Err(Failure::Policy(_))));
    for folder in ["machines", "homes", "bases"] {
        assert!(fixture.listed(folder).is_empty(), "{folder}");
    }
}

#[test]
fn a_machine_is_made_once_with_a_range_of_its_own() {
    let fixture = Fixture::new();
    let alice = fixture.make("alice-box").unwrap();
    let bob = fixture.make("bob-box").unwrap();
    assert_ne!(alice.base, bob.base);
    assert!(alice.base.is_multiple_of(bases::RANGE) && alice.base >= 0x7000_0000, "{:x}", alice.base);
    assert_eq!(
        fs::read_to_string(fixture.path("machines/alice-box/upper/etc/hostname")).unwrap(),
        "alice-box\n"
    );
    assert_eq!(fs::read_to_string(fixture.path("homes/alice-box/dev/.profile")).unwrap(), "hello");
    // It keeps its version and its home when there is a newer template.
    fs::create_dir_all(fixture.path("templates/debian/10/home")).unwrap();
    fs::create_dir_all(fixture.path("templates/debian/9/home")).unwrap();
    fs::write(fixture.path("homes/alice-box/dev/.profile"), "changed").unwrap();
    assert_eq!(fixture.make("alice-box").unwrap(), alice);
    // Without its system it is made anew, with the same range.
    fs::remove_dir_all(fixture.path("machines/alice-box")).unwrap();
    let anew = fixture.make("alice-box").unwrap();
    assert_eq!((anew.version.as_str(), anew.base), ("10", alice.base));
    assert_eq!(fs::read_to_string(fixture.path("homes/alice-box/dev/.profile")).unwrap(), "changed");
    assert_eq!(fixture.listed("machines"), ["alice-box", "bob-box"]);
    assert_eq!(fixture.listed("bases").len(), 2);
}

#[test]
fn a_range_that_another_machine_has_is_not_given_again() {
    let fixture = Fixture::new();
    let first = fixture.make("alice-box").unwrap();
    fs::remove_dir_all(fixture.path("machines/alice-box")).unwrap();
    let number = ((first.base - 0x7000_0000) / bases::RANGE).to_string();
    fs::remove_file(fixture.path("bases").join(&number)).unwrap();
    symlink("other", fixture.path("bases").join(&number)).unwrap();
    assert_eq!(fixture.make("alice-box").unwrap().base, first.base + bases::RANGE);
}

#[test]
fn what_a_killed_process_left_is_removed() {
    let fixture = Fixture::new();
    for left in ["machines/.alice-box/upper/etc", "homes/.alice-box/dev"] {
        fs::create_dir_all(fixture.path(left)).unwrap();
    }
    fs::write(fixture.path("homes/.alice-box/dev/.profile"), "half").unwrap();
    fixture.make("alice-box").unwrap();
    assert_eq!(fixture.listed("machines"), ["alice-box"]);
    assert_eq!(fixture.listed("homes"), ["alice-box"]);
    assert_eq!(fs::read_to_string(fixture.path("homes/alice-box/dev/.profile")).unwrap(), "hello");
}

#[test]
fn a_record_that_is_not_ours_is_refused() {
    let fixture = Fixture::new();
    fixture.make("alice-box").unwrap();
    let record = fixture.path("machines/alice-box/machine.json");
    let good = fs::read_to_string(&record).unwrap();
    let with = |base: u64| {
        let mut value: serde_json::Value = serde_json::from_str(&good).unwrap();
        value["base"] = base.into();
        value.to_string()
    };
    // The uids of the host, of systemd-nspawn's machines, and no range at all.
    let bases = [0, 65536, 0x6fff_0000, 0x7ffe_0000, 0x7000_0001, 0xffff_0000, 1 << 32].map(with);
    let texts = [
        "",
        "{}",
        "null",
        &" ".repeat(5000),
        &good.replace("debian", "../x"),
        &good.replace("\"1\"", "\"..\""),
    ];
    for text in bases.iter().map(String::as_str).chain(texts) {
        fs::write(&record, text).unwrap();
        let refused = fixture.make("alice-box");
        assert!(matches!(refused, Err(Failure::Damaged(..))), "{text}: {refused:?}");
    }
    fs::write(&record, &good).unwrap();
    fixture.make("alice-box").unwrap();
}

#[test]
fn a_template_that_is_missing_makes_nothing() {
    let fixture = Fixture::new();
    fs::rename(fixture.path("templates/debian"), fixture.path("templates/away")).unwrap();
    assert!(matches!(fixture.make("alice-box"), Err(Failure::NoTemplate(..))));
    fs::create_dir_all(fixture.path("templates/debian/.unfinished")).unwrap();
    fs::write(fixture.path("templates/debian/5"), "a file").unwrap();
    assert!(matches!(fixture.make("alice-box"), Err(Failure::NoTemplate(..))));
    assert!(fixture.listed("machines").is_empty() && fixture.listed("homes").is_empty());
}
