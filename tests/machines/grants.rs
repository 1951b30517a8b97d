//! What a grant says besides who opens what: groups of accounts, the shell, its environment, and the
//! UNIX user, whom tere makes in the machine.

use tere::protocol::{EndReason, ShellExit};

use crate::host::Host;
use crate::managed::{asks, no_machines};
use crate::parts::shell::PATIENCE;
use crate::parts::wait::eventually;
use crate::stories::holder;

const POLICY: &str = "/etc/tere/tere.toml";

/// A host with more in its policy, which is taken out again at the end.
pub struct PolicyHost {
    before: String,
    pub host: Host,
}

impl PolicyHost {
    /// With these lines at the end of the policy.
    pub fn with(lines: &str) -> Self {
        let host = Host::alone();
        no_machines(&host);
        let before = std::fs::read_to_string(host.path(POLICY)).unwrap();
        let changed = Self { before, host };
        changed.rewrite(lines);
        changed
    }

    /// With these lines instead.
    pub fn rewrite(&self, lines: &str) {
        std::fs::write(self.host.path(POLICY), format!("{}\n{lines}", self.before)).unwrap();
        assert!(self.host.reload_broker(), "{lines}");
    }
}

impl Drop for PolicyHost {
    fn drop(&mut self) {
        drop(std::fs::write(self.host.path(POLICY), &self.before));
        self.host.reload_broker();
        no_machines(&self.host);
    }
}

const GRANTS: &str = r#"
[[group]]
name = "staff"
accounts = ["alice"]

[[grant]]
accounts = ["@staff"]
machine = "{account}-own"
user = "{account}"
shell = "/usr/bin/rbash"
environment = { EDITOR = "vim", WHO = "{account} of ${HOME} $$ %h" }

[[grant]]
accounts = ["@staff"]
machine = "{account}-own"
user = "dev"
shell = "/usr/bin/absent"

[[machine]]
name = "{account}-own"
template = "debian"
user-groups = ["sudo"]
"#;

#[test]
fn a_person_of_a_group_is_a_user_of_their_own_name_in_a_shell_of_the_policys_choice() {
    let changed = PolicyHost::with(GRANTS);
    let host = &changed.host;
    let mut alice = holder(host, "alice");
    let mut shell = alice.open("alice@alice-own").unwrap();
    asks(
        &mut shell,
        "echo $(id -un):$(id -nG):$HOME:$PWD:$USER",
        "alice:alice sudo:/home/alice:/home/alice:alice",
    );
    asks(
        &mut shell,
        "echo $SHELL $0 $EDITOR $TERM $LANG",
        "/usr/bin/rbash /usr/bin/rbash vim xterm-256color C.UTF-8",
    );
    // Nothing in a value means anything to whoever passes it on.
    asks(&mut shell, r#"echo "[$WHO]""#, "[alice of ${HOME} $$ %h]");
    asks(&mut shell, "ls -A ~ && id -u", &format!(".bashrc  .profile\r\n{}", uid("alice")));
    asks(&mut shell, "date >kept || tee kept </etc/hostname; stat -c %U:%a ~ ~/kept", "alice:700\r\nalice:");
    // A system that is made anew has the same user, to whom the home belongs.
    host.sh("tere machine rebuild --yes alice-own");
    assert_eq!(shell.expect_end(), EndReason::ShellEnded);
    let mut shell = eventually("the machine is back", PATIENCE, || alice.open("alice@alice-own").ok());
    asks(&mut shell, "id -u; cat kept", &format!("{}\r\nalice-own", uid("alice")));
    // The template's own user stays as it was.
    let mut shell = alice.open("dev@alice-own").unwrap();
    shell.expect("/usr/bin/absent, which the policy names as the shell, is not in this machine.");
    assert_eq!(shell.expect_exit().exit, Some(ShellExit::Exited(127)));
    assert_eq!(host.sh("systemd-run -qM alice-own --pipe --wait id -u dev"), "1000");
}

fn uid(user: &str) -> u32 {
    user.parse::<tere::names::UnixUser>().unwrap().uid()
}
