use super::Finding;
use crate::cli::failure::Failure;
use crate::cli::template::{Listed, versions};
use crate::config::Config;
use crate::names::TemplateName;

/// Checks that each machine of the policy can be made. Without such machines there is nothing to
/// check.
pub(super) fn look(config: &Config) -> Vec<Finding> {
    let mut names: Vec<_> = config.machines.iter().map(|machine| &machine.template).collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        return Vec::new();
    }
    match versions() {
        Ok(versions) => names.into_iter().map(|name| finding(&versions, name)).collect(),
        Err(Failure { cause, next }) => vec![Finding::unknown("templates", cause, next)],
    }
}

fn finding(versions: &[Listed], name: &TemplateName) -> Finding {
    let what = format!("template {name}");
    let newest = versions.iter().find(|one| one.template == name.as_str() && one.newest);
    match newest {
        None => {
            let fix = format!("Machines of it cannot be made. Build one: tere template build {name}");
            Finding::wrong(what, "it has no version", fix)
        }
        Some(one) if !one.faults.is_empty() => Finding::wrong(
            what,
            format!("its newest version {} cannot be used: {}", one.version, one.faults.join("; ")),
            format!("Build a newer one: tere template build {name}"),
        ),
        Some(one) => Finding::ok(what, format!("its newest version is {}", one.version)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::FindingState;
    use super::*;

    #[test]
    fn a_template_needs_a_newest_version_that_can_be_used() {
        let name: TemplateName = "debian".parse().unwrap();
        let listed = |template: &str, version: &str, newest, faults: &[&str]| Listed {
            template: template.to_owned(),
            version: version.parse().unwrap(),
            newest,
            machines: Vec::new(),
            faults: faults.iter().map(|fault| (*fault).to_owned()).collect(),
        };
        let wrong = |versions: &[Listed]| matches!(finding(versions, &name).state, FindingState::Wrong(_));
        assert!(wrong(&[]));
        assert!(wrong(&[listed("other", "1", true, &[])]));
        assert!(wrong(&[
            listed("debian", "10", true, &["it has no systemd"]),
            listed("debian", "9", false, &[])
        ]));
        let good = [listed("debian", "10", true, &[]), listed("debian", "9", false, &["it has no systemd"])];
        assert_eq!(finding(&good, &name).found, "its newest version is 10");
    }
}
