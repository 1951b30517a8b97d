//! Machines that tere makes. The policy of the host has the machine `{account}-box` for alice and bob.

use tere::protocol::{EndReason, Refusal};

use crate::host::Host;
use crate::parts::shell::{PATIENCE, Shell};
use crate::parts::wait::eventually;
use crate::stories::holder;

/// Removes what there is of alice's and bob's machines, and their homes.
fn no_machines(host: &Host) {
    host.sh("systemctl stop 'tere-managed@*.service'; rm -rf /var/lib/tere/machines/* /var/lib/tere/machines/.[a-z]* \
             /var/lib/tere/homes/* /var/lib/tere/homes/.[a-z]* /var/lib/tere/bases/*");
}

fn asks(shell: &mut Shell, line: &str, answer: &str) {
    shell.type_in(&format!("{line}\r"));
    shell.expect(answer);
}

#[test]
fn a_machine_is_made_when_it_is_first_opened_and_its_home_is_kept() {
    let host = Host::alone();
    no_machines(&host);
    let mut alice = holder(&host, "alice");
    let mut shell = alice.open("dev@alice-box").unwrap();
    asks(&mut shell, "echo $(id -un)@$(hostname):$HOME", "dev@alice-box:/home/dev");
    asks(&mut shell, "echo mine >~/kept && sync && echo written", "written");
    // Something in the system, by the machine's root.
    host.run(&[
        "systemd-run",
        "--quiet",
        "--machine=alice-box",
        "--pipe",
        "--wait",
        "sh",
        "-c",
        "echo there >/etc/mark",
    ]);
    // It is nobody else's: another machine, with other uids.
    let mut bob = holder(&host, "bob");
    assert_eq!(bob.open("dev@alice-box").unwrap_err(), Refusal::NotGranted);
    let mut other = bob.open("dev@bob-box").unwrap();
    asks(&mut other, "ls ~/kept /etc/mark", "cannot access '/etc/mark'");
    let base = |machine: &str| host.sh(&format!("grep base /var/lib/tere/machines/{machine}/machine.json"));
    assert_ne!(base("alice-box"), base("bob-box"));
    // It is there again after it was stopped.
    host.power_off("alice-box");
    assert_eq!(shell.expect_end(), EndReason::ShellEnded);
    let mut shell = eventually("the machine is back", PATIENCE, || alice.open("dev@alice-box").ok());
    asks(&mut shell, "cat ~/kept /etc/mark", "mine\r\nthere\r\n");
    // Nobody but root gets to the files on disk.
    let outsider = host.try_run(&["setpriv", "--reuid=1000", "--clear-groups", "ls", "/var/lib/tere/homes"]);
    assert!(!outsider.success && outsider.err.contains("Permission denied"), "{outsider:?}");
    no_machines(&host);
}
