use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use nix::unistd::{Gid, Group};

use super::Finding;
use crate::config::{Config, ConfigError};

/// polkit's rule, as this version of tere ships it.
const RULE: &str = include_str!("../../../polkit/50-tere.rules");

/// Where polkit looks for rules, see polkit(8). The package puts it into the second.
const RULE_PLACES: [&str; 2] =
    ["/etc/polkit-1/rules.d/50-tere.rules", "/usr/share/polkit-1/rules.d/50-tere.rules"];

/// The sockets in the runtime folder: name, mode, group, the unit that makes it.
const SOCKETS: [(&str, u32, &str, &str); 3] = [
    ("auth.sock", 0o660, "tere-to-auth", "tere-auth.socket"),
    ("control.sock", 0o666, "root", "tere-auth-control.socket"),
    ("broker.sock", 0o660, "tere-to-broker", "tere-broker.socket"),
];

const AS_ROOT: &str = "Run 'tere check' as root.";

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
            let mend = "Correct the file; then: systemctl reload tere-broker";
            let found = match &error {
                // As a diagnostic it shows the place in the file, over several lines.
                ConfigError::Wrong { .. } => format!("{:?}", miette::Report::new(error)),
                ConfigError::Unreadable { .. }
                | ConfigError::TooLarge { .. }
                | ConfigError::NotUtf8 { .. } => error.to_string(),
            };
            Finding::wrong(WHAT, found.trim(), mend)
        }
    }
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
            let mend = format!("Find out who made it, remove it; then: {again}");
            return Finding::wrong(what, "this is not a socket", mend);
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

    use super::super::State;
    use super::*;

    fn is_wrong(finding: &Finding) -> bool {
        matches!(finding.state, State::Wrong(_))
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
    fn a_configuration_that_does_not_read_shows_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tere.toml");
        fs::write(&path, "origin = \"http://localhost:1\"\nfoo = 1\n").unwrap();
        let finding = configuration(&path);
        assert!(is_wrong(&finding));
        assert!(finding.found.contains("foo"), "{}", finding.found);
    }
}
