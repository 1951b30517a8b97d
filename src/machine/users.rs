//! The UNIX users of a machine: those that the policy's grants name and the template lacks are made
//! when the machine boots, by its own systemd-sysusers and systemd-tmpfiles, which get lines of
//! sysusers.d(5) and tmpfiles.d(5) as credentials. A user who is there already is left as it is.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::folders::storage;
use crate::config::{Config, Machine};
use crate::names::MachineName;

/// The shell of a user for whom the policy names none.
const SHELL: &str = "/bin/bash";

/// What a new home is a copy of, in the machine.
const SKELETON: &str = "/etc/skel";

/// The files of the credentials.
#[derive(Debug)]
pub(super) struct Credentials {
    /// For systemd-sysusers.
    pub(super) sysusers: PathBuf,
    /// For systemd-tmpfiles.
    pub(super) tmpfiles: PathBuf,
}

/// Writes the credentials of a machine into `runtime_dir`. `template` is the system that it is made
/// of.
pub(super) fn write(
    name: &MachineName,
    machine: &Machine,
    policy: &Config,
    template: &Path,
    runtime_dir: &Path,
) -> Result<Credentials, Failure> {
    let (sysusers, tmpfiles) = lines(name, machine, policy, has_skeleton(template));
    let credentials =
        Credentials { sysusers: runtime_dir.join("sysusers"), tmpfiles: runtime_dir.join("tmpfiles") };
    for (path, lines) in [(&credentials.sysusers, sysusers), (&credentials.tmpfiles, tmpfiles)] {
        fs::write(path, lines).map_err(storage("write", path))?;
    }
    Ok(credentials)
}

fn has_skeleton(template: &Path) -> bool {
    template.join(SKELETON.trim_start_matches('/')).is_dir()
}

/// The lines for sysusers.d and for tmpfiles.d. Names and paths are of types that contain nothing
/// with a meaning there.
fn lines(name: &MachineName, machine: &Machine, policy: &Config, skeleton: bool) -> (String, String) {
    let (mut sysusers, mut tmpfiles) = (String::new(), String::new());
    for (user, shell) in policy.users_in(name) {
        let (uid, shell) = (user.uid(), shell.map_or(SHELL, |shell| shell.as_str()));
        // Writing to a String cannot fail.
        let _ = writeln!(sysusers, "u {user} {uid} \"{user}\" /home/{user} {shell}");
        for group in &machine.user_groups {
            let _ = writeln!(sysusers, "m {user} {group}");
        }
        // Copies only if there is no such home, or an empty one.
        let _ = if skeleton {
            writeln!(tmpfiles, "C /home/{user} 0700 {user} {user} - {SKELETON}")
        } else {
            writeln!(tmpfiles, "d /home/{user} 0700 {user} {user} -")
        };
    }
    (sysusers, tmpfiles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_of_all_grants_of_a_machine_are_in_it_and_nobody_else() {
        let policy = "origin = \"https://a.example\"\n\
            [[grant]]\naccounts = [\"alice\", \"bob\"]\nmachine = \"lab\"\nuser = \"{account}\"\n\
            [[grant]]\naccounts = [\"bob\"]\nmachine = \"lab\"\nuser = \"ops\"\nshell = \"/usr/bin/zsh\"\n\
            [[grant]]\naccounts = [\"eve\"]\nmachine = \"{account}-box\"\nuser = \"{account}\"\n\
            [[machine]]\nname = \"lab\"\ntemplate = \"debian\"\nuser-groups = [\"sudo\"]\n\
            [[machine]]\nname = \"{account}-box\"\ntemplate = \"debian\"\n";
        let policy = Config::parse(policy, "tere.toml").unwrap();
        let of = |name: &str, skeleton| {
            let name = name.parse().unwrap();
            lines(&name, policy.machine(&name).unwrap(), &policy, skeleton)
        };
        let uid = |user: &str| user.parse::<crate::names::UnixUser>().unwrap().uid();
        let (sysusers, tmpfiles) = of("lab", true);
        let expected = format!(
            "u alice {} \"alice\" /home/alice /bin/bash\nm alice sudo\n\
             u bob {} \"bob\" /home/bob /bin/bash\nm bob sudo\n\
             u ops {} \"ops\" /home/ops /usr/bin/zsh\nm ops sudo\n",
            uid("alice"),
            uid("bob"),
            uid("ops")
        );
        assert_eq!(sysusers, expected);
        assert!(tmpfiles.starts_with("C /home/alice 0700 alice alice - /etc/skel\n"), "{tmpfiles}");
        let (sysusers, tmpfiles) = of("eve-box", false);
        assert_eq!(sysusers, format!("u eve {} \"eve\" /home/eve /bin/bash\n", uid("eve")));
        assert_eq!(tmpfiles, "d /home/eve 0700 eve eve -\n");
    }
}
