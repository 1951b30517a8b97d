use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::Finding;
use crate::config::Config;
use crate::names::{TemplateName, TemplateVersion};

/// Where templates are, see tere-machine(8).
const TEMPLATES: &str = "/var/lib/tere/templates";

/// Checks that each machine of the policy can be made. Without such machines there is nothing to
/// check.
pub(super) fn look(config: &Config) -> Vec<Finding> {
    let mut names: Vec<_> = config.machines.iter().map(|machine| &machine.template).collect();
    names.sort();
    names.dedup();
    names.into_iter().map(|name| finding(Path::new(TEMPLATES), name)).collect()
}

fn finding(templates: &Path, name: &TemplateName) -> Finding {
    let what = format!("template {name}");
    let folder = templates.join(name.as_str());
    let fix = "Put a version of it there, see tere-machine(8): until then, machines of it cannot be made.";
    match newest(&folder) {
        Ok(Some(version)) => Finding::ok(what, format!("its newest version is {version}")),
        Ok(None) => Finding::wrong(what, format!("{} has no version of it", folder.display()), fix),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Finding::wrong(what, format!("{} is not there", folder.display()), fix)
        }
        Err(error) => Finding::unknown(
            what,
            format!("cannot read {}: {error}", folder.display()),
            "Run 'tere check' as root.",
        ),
    }
}

fn newest(folder: &Path) -> std::io::Result<Option<TemplateVersion>> {
    let mut newest = None;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let version = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        newest = newest.max(version.filter(|_| is_folder));
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::super::FindingState;
    use super::*;

    #[test]
    fn a_template_needs_a_version() {
        let folder = tempfile::tempdir().unwrap();
        let name: TemplateName = "debian".parse().unwrap();
        let state = || finding(folder.path(), &name);
        assert!(matches!(state().state, FindingState::Wrong(_)));
        fs::create_dir_all(folder.path().join("debian/.unfinished")).unwrap();
        fs::write(folder.path().join("debian/1"), "a file").unwrap();
        assert!(matches!(state().state, FindingState::Wrong(_)));
        for version in ["9", "10"] {
            fs::create_dir(folder.path().join("debian").join(version)).unwrap();
        }
        assert_eq!(state().found, "its newest version is 10");
    }
}
