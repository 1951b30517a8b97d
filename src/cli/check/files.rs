use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use nix::unistd::{Gid, Group, Uid, User};

use super::{AS_ROOT, Finding};
use crate::config::{Config, ConfigError};

/// The polkit rule of this version of tere.
const RULE: &str = include_str!("../../../polkit/50-tere.rules");

/// The folders where polkit looks for rules, see polkit(8). The package installs into the second.
const RULE_PLACES: [&str; 2] =
    ["/etc/polkit-1/rules.d/50-tere.rules", "/usr/share/polkit-1/rules.d/50-tere.rules"];

/// The sockets in the runtime folder: name, mode, group, and the unit that creates it.
const SOCKETS: [(&str, u32, &str, &str); 3] = [
    ("auth.sock", 0o660, "tere-to-auth", "tere-auth.socket"),
    ("control.sock", 0o666, "root", "tere-auth-control.socket"),
    ("broker.sock", 0o660, "tere-to-broker", "tere-broker.socket"),
];

pub(super) fn configuration(path: &Path) -> Finding {
    const WHAT: &str = "configuration";
    match Config::load(path) {
        Ok(config) => {
            let grants = match config.grants.len() {
                0 => {
                    return Finding::wrong(
                        WHAT,
                        format!("{} grants nothing: nobody can open a shell", path.display()),
                        "Add a grant, see tere.toml(5); then: systemctl reload tere-broker",
                    );
                }
                1 => "one grant".to_owned(),
                several => format!("{several} grants"),
            };
            Finding::ok(WHAT, format!("{}: {grants}, page at {}", path.display(), config.origin.as_str()))
        }
        Err(ConfigError::Unreadable { path, cause }) if cause.kind() == ErrorKind::PermissionDenied => {
            Finding::unknown(WHAT, format!("cannot read {path}: {cause}"), AS_ROOT)
        }
        Err(error) => {
            let fix = "Correct the file; then: systemctl reload tere-broker";
            Finding::wrong(WHAT, error.report(), fix)
        }
    }
}

/// The user and group of the broker. The broker reads the configuration file directly; other
/// services get it from systemd as a credential.
const BROKER: &str = "tere-broker";

/// Whether the broker may read the configuration, by owner, group and mode.
pub(super) fn readable_by_broker(path: &Path) -> Finding {
    let what = format!("configuration, for {BROKER}");
    let (Ok(Some(user)), Ok(Some(group))) = (User::from_name(BROKER), Group::from_name(BROKER)) else {
        return Finding::wrong(
            what,
            format!("there is no user and group {BROKER}"),
            "systemd-sysusers tere.conf",
        );
    };
    match closed_to(path, user.uid, group.gid) {
        Ok(None) => Finding::ok(what, format!("{} is readable by it", path.display())),
        Ok(Some((closed, mode))) => {
            let wanted = if closed == path { "0640" } else { "0750" };
            let closed = closed.display();
            Finding::wrong(
                what,
                format!("{closed} is closed to it: {mode}"),
                format!("chown root:{BROKER} {closed}; chmod {wanted} {closed}; systemctl restart {BROKER}"),
            )
        }
        Err(error) => Finding::unknown(what, format!("cannot look at {}: {error}", path.display()), AS_ROOT),
    }
}

/// Finds the path that keeps this user from reading the file, by its mode: the file, or its folder.
/// Returns it with its owner and mode.
fn closed_to(path: &Path, user: Uid, group: Gid) -> std::io::Result<Option<(&Path, String)>> {
    let folder = path.parent().map(|folder| (folder, 0o1));
    for (path, needed) in folder.into_iter().chain([(path, 0o4)]) {
        let meta = fs::metadata(path)?;
        // Only the first class that applies counts, see path_resolution(7).
        let given = if meta.uid() == user.as_raw() {
            meta.mode() >> 6
        } else if meta.gid() == group.as_raw() {
            meta.mode() >> 3
        } else {
            meta.mode()
        };
        if given & needed == 0 {
            let mode = format!("uid {}, gid {}, mode {:04o}", meta.uid(), meta.gid(), meta.mode() & 0o7777);
            return Ok(Some((path, mode)));
        }
    }
    Ok(None)
}

pub(super) fn polkit_rule() -> Finding {
    const WHAT: &str = "polkit rule";
    for place in RULE_PLACES {
        match fs::read_to_string(place) {
            Ok(rule) if rule == RULE => return Finding::ok(WHAT, place),
            Ok(_) => {
                return Finding::wrong(
                    WHAT,
                    format!("{place} is not the rule that this version of tere came with"),
                    "Compare them; if nobody changed it on purpose: apt install --reinstall tere",
                );
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Finding::unknown(WHAT, format!("cannot read {place}: {error}"), AS_ROOT),
        }
    }
    let found = format!("there is none in {}", RULE_PLACES.join(" or "));
    Finding::wrong(WHAT, found, "Without it machined opens no shell. apt install --reinstall tere")
}

pub(super) fn sockets(runtime_dir: &Path) -> Vec<Finding> {
    let one = |(name, mode, group, unit): (&str, u32, &str, &str)| {
        let path = runtime_dir.join(name);
        socket(&path, mode, group, unit)
    };
    SOCKETS.into_iter().map(one).collect()
}

fn socket(path: &Path, mode: u32, group: &str, unit: &str) -> Finding {
    let what = format!("socket {}", path.display());
    let again = format!("systemctl restart {unit}");
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_socket() => meta,
        Ok(_) => {
            let fix = format!("Find out who made it, remove it; then: {again}");
            return Finding::wrong(what, "this is not a socket", fix);
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Finding::wrong(what, "it is not there", again);
        }
        Err(error) => return Finding::unknown(what, error.to_string(), AS_ROOT),
    };
    let found_mode = meta.mode() & 0o7777;
    let found_group = match Group::from_gid(Gid::from_raw(meta.gid())) {
        Ok(Some(group)) => group.name,
        Ok(None) | Err(_) => meta.gid().to_string(),
    };
    if found_mode == mode && found_group == group {
        Finding::ok(what, format!("mode {mode:04o}, group {group}"))
    } else {
        let found = format!("mode {found_mode:04o}, group {found_group}; it should be {mode:04o}, {group}");
        Finding::wrong(what, found, format!("See 'systemctl cat {unit}' for who changed it; then: {again}"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixListener;

    use super::super::FindingState;
    use super::*;

    fn is_wrong(finding: &Finding) -> bool {
        matches!(finding.state, FindingState::Wrong(_))
    }

    #[test]
    fn a_socket_is_wrong_by_absence_kind_mode_and_group() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let mine = Group::from_gid(Gid::effective()).unwrap().unwrap().name;
        assert!(is_wrong(&socket(&path, 0o666, &mine, "u")));
        fs::write(&path, "").unwrap();
        assert!(is_wrong(&socket(&path, 0o666, &mine, "u")));
        fs::remove_file(&path).unwrap();
        let _listener = UnixListener::bind(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(!is_wrong(&socket(&path, 0o666, &mine, "u")));
        assert!(is_wrong(&socket(&path, 0o660, &mine, "u")));
        assert!(is_wrong(&socket(&path, 0o666, "another", "u")));
    }

    #[test]
    fn a_configuration_that_the_broker_may_not_read_is_found_by_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tere.toml");
        fs::write(&path, "").unwrap();
        let mine = fs::metadata(&path).unwrap();
        let (uid, gid) = (Uid::from_raw(mine.uid()), Gid::from_raw(mine.gid()));
        let (other_uid, other_gid) = (Uid::from_raw(mine.uid() + 1), Gid::from_raw(mine.gid() + 1));
        for (of_folder, of_file, uid, gid, closed) in [
            (0o755, 0o640, other_uid, gid, None),
            (0o755, 0o644, other_uid, other_gid, None),
            (0o750, 0o400, uid, other_gid, None),
            (0o755, 0o600, other_uid, gid, Some(path.as_path())),
            (0o755, 0o640, other_uid, other_gid, Some(path.as_path())),
            // Only the owner's permission bits count for the owner, even if others may read the
            // file.
            (0o755, 0o044, uid, other_gid, Some(path.as_path())),
            (0o700, 0o644, other_uid, gid, Some(folder.path())),
        ] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(of_folder)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(of_file)).unwrap();
            let found = closed_to(&path, uid, gid).unwrap().map(|(closed, _)| closed);
            assert_eq!(found, closed, "{of_folder:o}, {of_file:o}");
        }
    }

    #[test]
    fn a_configuration_that_does_not_read_shows_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tere.toml");
        fs::write(&path, "origin = \"http://localhost:1\"\nfoo = 1\n").unwrap();
        let finding = configuration(&path);
        assert!(is_wrong(&finding));
        assert!(finding.found.contains("foo"), "{}", finding.found);
    }
}
