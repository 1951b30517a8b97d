//! Making machines in a folder of the test's own. Mounting and booting them needs root and systemd:
//! see tests/machines/managed.rs.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::folders::Folders;
use super::{bases, boot, fork, making, rebuild, record, state, templates};
use super::{change, checkpoints, index};
use crate::config::Config;
use crate::names::MachineName;
use crate::protocol::machine::{CheckpointReason, Index, StopReason};

const POLICY: &str = "origin = \"https://a.example\"\n\
    [[grant]]\naccounts = [\"alice\", \"bob\"]\nmachine = \"{account}-box\"\nuser = \"dev\"\n\
    [[grant]]\naccounts = [\"alice\"]\nmachine = \"lab\"\nuser = \"dev\"\n\
    [[grant]]\naccounts = [\"alice\", \"bob\"]\nmachine = \"{account}.{task}\"\nuser = \"dev\"\n\
    [[machine]]\nname = \"{account}-box\"\ntemplate = \"debian\"\n\
    [[machine]]\nname = \"{account}.{task}\"\ntemplate = \"debian\"\nper-account = 2\nlifetime = \"8h\"\n";

/// A state folder with one version of a template.
struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in
            ["machines", "homes", "bases", "checkpoints", "incoming", "locks", "templates/debian/1/home/dev"]
        {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("templates/debian/1/home/dev/.profile"), "hello").unwrap();
        fs::write(folder.path().join("tere.toml"), POLICY).unwrap();
        Self { folder }
    }

    fn folders(&self) -> Folders {
        Folders::new(self.folder.path(), self.folder.path())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn make(&self, name: &str) -> Result<record::MachineRecord, Failure> {
        let config = Config::parse(POLICY, "tere.toml").unwrap();
        let name: MachineName = name.parse().unwrap();
        making::find_or_make(&self.folders(), &name, &config).map(|(made, _lock)| made)
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
    let folders = Folders::new(fixture.folder.path(), fixture.folder.path());
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

/// A limit that nobody enforces would be none. tmpfs knows no project quotas.
#[test]
fn a_machine_with_a_limit_that_nobody_would_enforce_is_not_made() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let (state, policy) = (Folders::new(folder.path(), folder.path()), folder.path().join("tere.toml"));
    fs::create_dir(folder.path().join("machines")).unwrap();
    let limited = POLICY.replace("{account}-box\"\ntemplate", "{account}-box\"\ndisk = \"1G\"\ntemplate");
    assert_ne!(limited, POLICY);
    fs::write(&policy, limited).unwrap();
    let refused = boot(&"alice-box".parse().unwrap(), &policy, &state, Path::new("/nowhere"));
    assert!(matches!(refused, Err(Failure::NoQuota(_))), "{refused:?}");
    assert_eq!(fs::read_dir(folder.path().join("machines")).unwrap().count(), 0);
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

/// A person who goes back from a version does not get it again at the next start.
#[test]
fn a_machine_that_follows_its_template_is_made_anew_once_for_each_version() {
    let fixture = Fixture::new();
    let (folders, name) = (fixture.folders(), "alice-box".parse().unwrap());
    let policy = |update: &str| {
        let text =
            POLICY.replacen("template = \"debian\"\n", &format!("template = \"debian\"\n{update}\n"), 1);
        Config::parse(&text, "tere.toml").unwrap()
    };
    let start = |update: &str| {
        let config = policy(update);
        let _machine = folders.lock_machine(&name).unwrap();
        rebuild::follow_template(&folders, &name, config.machine(&name).unwrap()).unwrap();
        making::find_or_make(&folders, &name, &config).unwrap().0.version.to_string()
    };
    assert_eq!(start("update = \"at-start\""), "1");
    let mark = fixture.path("machines/alice-box/upper/etc/mark");
    fs::write(&mark, "old").unwrap();
    fs::create_dir_all(fixture.path("templates/debian/2/home")).unwrap();
    assert_eq!(start(""), "1");
    assert_eq!(start("update = \"at-start\""), "2");
    assert!(!mark.exists());
    let kept = fixture.path("checkpoints/alice-box/1/system/upper/etc/mark");
    assert_eq!(fs::read_to_string(kept).unwrap(), "old");
    assert_eq!(start("update = \"at-start\""), "2");
    assert_eq!(fixture.listed("checkpoints/alice-box"), ["1"]);
    // As a rollback leaves it.
    fs::rename(fixture.path("machines/alice-box"), fixture.path("checkpoints/alice-box/aside")).unwrap();
    fs::rename(fixture.path("checkpoints/alice-box/1/system"), fixture.path("machines/alice-box")).unwrap();
    fs::rename(fixture.path("checkpoints/alice-box/aside"), fixture.path("checkpoints/alice-box/1/system"))
        .unwrap();
    assert_eq!(start("update = \"at-start\""), "1");
    fs::create_dir_all(fixture.path("templates/debian/3/home")).unwrap();
    assert_eq!(start("update = \"at-start\""), "3");
    // Without any version of the template in the policy, what there is boots.
    fs::remove_dir_all(fixture.path("templates/debian")).unwrap();
    assert_eq!(start("update = \"at-start\""), "3");
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

/// A process that is killed while a machine's state is replaced leaves one of these; the next one
/// that boots or changes the machine finishes it.
#[test]
fn a_state_that_is_half_replaced_is_finished() {
    // What had been moved when the process was killed: parts put aside, parts put in place.
    for (aside, in_place) in [(0, 0), (1, 0), (1, 1), (2, 1), (2, 2)] {
        let fixture = Fixture::new();
        let name: MachineName = "alice-box".parse().unwrap();
        let folders = fixture.folders();
        let record = fixture.make("alice-box").unwrap();
        let number = checkpoints::make_empty(&folders, &name, CheckpointReason::BeforeRollback).unwrap();
        let incoming = fixture.path("incoming/alice-box");
        let parts = [("system", "machines"), ("home", "homes")];
        for (part, folder) in parts {
            fs::create_dir_all(incoming.join(part)).unwrap();
            fs::write(incoming.join(part).join("mark"), "new").unwrap();
            fs::write(fixture.path(folder).join("alice-box/mark"), "old").unwrap();
        }
        let bytes = serde_json::to_vec(&record).unwrap();
        fs::write(incoming.join("system/machine.json"), bytes).unwrap();
        fs::write(incoming.join("incoming.json"), format!("{{\"checkpoint\":{number}}}")).unwrap();
        let checkpoint = checkpoints::path(&folders, &name, number);
        for (index, (part, folder)) in parts.into_iter().enumerate() {
            let place = fixture.path(folder).join("alice-box");
            if index < aside {
                fs::rename(&place, checkpoint.join(part)).unwrap();
            }
            if index < in_place {
                fs::rename(incoming.join(part), &place).unwrap();
            }
        }
        state::finish(&folders, &name).unwrap();
        let mark = |path: PathBuf| fs::read_to_string(path.join("mark")).unwrap();
        for (part, folder) in parts {
            assert_eq!(mark(fixture.path(folder).join("alice-box")), "new", "{aside} {in_place}");
            assert_eq!(mark(checkpoint.join(part)), "old", "{aside} {in_place}");
        }
        assert!(!incoming.exists());
        assert_eq!(checkpoints::of(&folders, &name).unwrap().len(), 1);
        assert_eq!(fixture.make("alice-box").unwrap(), record);
        // Nothing is left to be done.
        state::finish(&folders, &name).unwrap();
    }
}

/// A fork has nothing to put aside, and must never replace a machine.
#[test]
fn a_state_that_comes_does_not_replace_one_that_is_not_put_aside() {
    let fixture = Fixture::new();
    let name: MachineName = "alice-box".parse().unwrap();
    fixture.make("alice-box").unwrap();
    fs::create_dir_all(fixture.path("incoming/alice-box/home")).unwrap();
    fs::write(fixture.path("incoming/alice-box/incoming.json"), "{\"checkpoint\":null}").unwrap();
    assert!(matches!(state::finish(&fixture.folders(), &name), Err(Failure::Damaged(..))));
    assert_eq!(fs::read_to_string(fixture.path("homes/alice-box/dev/.profile")).unwrap(), "hello");
}

/// The upper layer's contents are a machine's root's. Its links lead to files of the machine, and out
/// here to files of the host.
#[test]
fn naming_a_copy_follows_no_link_of_the_machines_root() {
    let fixture = Fixture::new();
    let name: MachineName = "alice.try".parse().unwrap();
    let outside = fixture.path("outside");
    fs::create_dir_all(&outside).unwrap();
    for file in ["hostname", "machine-id"] {
        fs::write(outside.join(file), "of the host").unwrap();
    }
    let etc = |system: &str| fixture.path(system).join("upper/etc");
    // The folder is a link.
    fs::create_dir_all(fixture.path("one/upper")).unwrap();
    symlink(&outside, etc("one")).unwrap();
    // The files are links.
    fs::create_dir_all(etc("two")).unwrap();
    for file in ["hostname", "machine-id"] {
        symlink(outside.join(file), etc("two").join(file)).unwrap();
    }
    // The folder is a file, or is not there; a file is a folder.
    fs::create_dir_all(fixture.path("three/upper")).unwrap();
    fs::write(etc("three"), "").unwrap();
    fs::create_dir_all(fixture.path("four/upper")).unwrap();
    fs::create_dir_all(etc("five").join("hostname")).unwrap();
    for system in ["one", "two", "three", "four", "five"] {
        state::rename_system(&fixture.path(system), &name).unwrap();
    }
    for file in ["hostname", "machine-id"] {
        assert_eq!(fs::read_to_string(outside.join(file)).unwrap(), "of the host");
    }
    assert_eq!(fs::read_to_string(etc("two").join("hostname")).unwrap(), "alice.try\n");
    assert!(fs::symlink_metadata(etc("two").join("hostname")).unwrap().is_file());
    assert!(!etc("two").join("machine-id").exists());
}

#[test]
fn an_account_has_no_more_machines_for_tasks_than_the_policy_says() {
    let fixture = Fixture::new();
    fixture.make("alice.one").unwrap();
    fixture.make("alice.two").unwrap();
    assert!(matches!(fixture.make("alice.three"), Err(Failure::TooManyMachines(_))));
    // One that is being copied counts.
    fs::remove_dir_all(fixture.path("machines/alice.two")).unwrap();
    fs::create_dir(fixture.path("incoming/.alice.four")).unwrap();
    assert!(matches!(fixture.make("alice.two"), Err(Failure::TooManyMachines(_))));
    fs::remove_dir(fixture.path("incoming/.alice.four")).unwrap();
    // Those that are there can be booted, and another account has its own.
    fixture.make("alice.two").unwrap();
    fixture.make("bob.one").unwrap();
    assert_eq!(fixture.listed("machines"), ["alice.one", "alice.two", "bob.one"]);
    let expires = fixture.make("alice.one").unwrap().expires.unwrap();
    assert!(expires.abs_diff(crate::clock::now() + 8 * 3600) < 600, "{expires}");
}

#[test]
fn a_template_is_used_by_checkpoints_too() {
    let fixture = Fixture::new();
    let (folders, name) = (fixture.folders(), "alice-box".parse().unwrap());
    fixture.make("alice-box").unwrap();
    let number = checkpoints::make_empty(&folders, &name, CheckpointReason::BeforeRebuild).unwrap();
    let system = checkpoints::path(&folders, &name, number).join("system");
    fs::rename(fixture.path("machines/alice-box"), system).unwrap();
    let remove = || templates::remove_version(&folders, &"debian".parse().unwrap(), &"1".parse().unwrap());
    assert!(matches!(remove(), Err(Failure::TemplateUsed(machine)) if machine == name));
    checkpoints::remove_checkpoint(&folders, &name, number).unwrap();
    remove().unwrap();
}

#[test]
fn a_fork_stays_with_its_account() {
    let fixture = Fixture::new();
    for machine in ["alice-box", "alice.one", "bob.one"] {
        fixture.make(machine).unwrap();
    }
    let fork = |machine: &str, copy: &str| {
        let (machine, copy) = (machine.parse().unwrap(), copy.parse().unwrap());
        fork::fork(&fixture.folders(), &fixture.path("tere.toml"), &machine, &copy).unwrap_err()
    };
    for (machine, copy) in [("alice-box", "bob.two"), ("bob.one", "alice.two"), ("lab", "alice.two")] {
        let refused = fork(machine, copy);
        assert!(matches!(refused, Failure::NotItsOwn), "{machine} {copy}: {refused:?}");
    }
    assert!(matches!(fork("alice-box", "lab"), Failure::NotInPolicy));
    assert!(matches!(fork("alice-box", "alice.one"), Failure::MachineExists));
    assert!(matches!(fork("alice-box", "alice-box"), Failure::MachineExists));
    assert_eq!(fixture.listed("machines"), ["alice-box", "alice.one", "bob.one"]);
}

#[test]
fn what_killed_processes_left_is_removed_by_upkeep_and_nothing_else_is() {
    let fixture = Fixture::new();
    let (folders, name) = (fixture.folders(), "alice-box".parse().unwrap());
    let kept = checkpoints::make_empty(&folders, &name, CheckpointReason::Asked).unwrap();
    fs::create_dir(checkpoints::path(&folders, &name, kept).join("system")).unwrap();
    checkpoints::make_empty(&folders, &name, CheckpointReason::BeforeRebuild).unwrap();
    fs::create_dir_all(fixture.path("checkpoints/alice-box/.7/system")).unwrap();
    for left in ["incoming/.alice.one", "incoming/.alice.two", "incoming/alice.three"] {
        fs::create_dir_all(fixture.path(left)).unwrap();
    }
    // A process that copies holds the lock.
    let busy = folders.lock_machine(&"alice.two".parse().unwrap()).unwrap();
    state::remove_unfinished(&folders).unwrap();
    assert_eq!(fixture.listed("checkpoints/alice-box"), ["1"]);
    assert_eq!(fixture.listed("incoming"), [".alice.two", "alice.three"]);
    drop(busy);
    state::remove_unfinished(&folders).unwrap();
    assert_eq!(fixture.listed("incoming"), ["alice.three"]);
}

#[test]
fn root_asks_the_policy_itself_whether_a_change_is_allowed() {
    let fixture = Fixture::new();
    let (folders, policy) = (fixture.folders(), fixture.path("tere.toml"));
    fixture.make("alice-box").unwrap();
    let ask = |asked: &str| change::change(&folders, &policy, &asked.parse().unwrap());
    for asked in ["checkpoint:alice-box", "remove-checkpoint:alice-box:1", "fork:alice-box:alice.try"] {
        let refused = ask(asked);
        assert!(matches!(refused, Err(Failure::NotAllowed)), "{asked}: {refused:?}");
    }
    for asked in ["checkpoint:lab", "fork:.host:alice.try", "checkpoint:mallory-box"] {
        let refused = ask(asked);
        assert!(matches!(refused, Err(Failure::NotInPolicy)), "{asked}: {refused:?}");
    }
    // With a policy that allows it, it is not refused for that.
    let allowed = POLICY.replace("debian\"\n", "debian\"\nallow = [\"checkpoint\"]\n");
    fs::write(&policy, allowed).unwrap();
    let missing = ask("remove-checkpoint:alice-box:1");
    assert!(matches!(missing, Err(Failure::NoCheckpoint(1))), "{missing:?}");
    let forked = ask("fork:alice-box:alice.try");
    assert!(matches!(forked, Err(Failure::NotAllowed)), "{forked:?}");
}

#[test]
fn the_broker_is_left_a_list_of_machines_and_why_one_is_stopped() {
    let fixture = Fixture::new();
    let (folders, name) = (fixture.folders(), "alice-box".parse().unwrap());
    fs::create_dir(fixture.path("stopped")).unwrap();
    let listed = || -> Index {
        index::update(&folders);
        serde_json::from_slice(&fs::read(fixture.path("index.json")).unwrap()).unwrap()
    };
    assert!(listed().machines.is_empty());
    fixture.make("alice-box").unwrap();
    fixture.make("alice.try").unwrap();
    let kept = checkpoints::make_empty(&folders, &name, CheckpointReason::Asked).unwrap();
    fs::create_dir(fixture.path("checkpoints/alice-box/1/home")).unwrap();
    fs::create_dir_all(fixture.path("templates/debian/2/home")).unwrap();
    let [alice, task] = listed().machines.try_into().unwrap();
    assert_eq!((alice.machine.as_str(), alice.expires, alice.outdated), ("alice-box", None, true));
    assert_eq!((alice.checkpoints[0].checkpoint, alice.checkpoints[0].home), (kept, true));
    assert!(task.expires.is_some() && task.checkpoints.is_empty());
    // One that is damaged hides no other.
    fs::write(fixture.path("machines/alice-box/machine.json"), "{}").unwrap();
    assert_eq!(listed().machines.len(), 1);

    let note = fixture.path("stopped/alice-box");
    index::stopping(&folders, &name, StopReason::Idle);
    assert_eq!(fs::read_to_string(&note).unwrap(), "idle");
    assert_eq!(fs::metadata(&note).unwrap().permissions().mode() & 0o777, 0o640);
    index::starting(&folders, &name);
    index::starting(&folders, &name);
    assert!(!note.exists());
}
