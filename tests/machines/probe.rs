//! The attempts of `tests/probe`, each in a unit with the properties of one of tere's units, and
//! behind the sandbox of each of its threads. What is let through is listed in `probe/*.txt`.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use crate::host::Host;
use crate::stories::holder;

const PROBE: &str = "/usr/lib/tere/tere-probe";

/// A unit, its instance, the arguments of the probe for each of its threads, and what is let
/// through.
struct Probed {
    unit: &'static str,
    instance: &'static str,
    threads: &'static [&'static str],
    listed: &'static str,
}

const UNITS: [Probed; 4] = [
    Probed {
        unit: "tere-front",
        instance: "",
        threads: &["none", "Front"],
        listed: include_str!("probe/front.txt"),
    },
    Probed {
        unit: "tere-auth",
        instance: "",
        threads: &["none", "Auth --write /var/lib/tere-auth"],
        listed: include_str!("probe/auth.txt"),
    },
    Probed {
        unit: "tere-broker",
        instance: "",
        threads: &["none", "Broker --read /etc/tere --write /run/tere-broker --read /run/tere-machines"],
        listed: include_str!("probe/broker.txt"),
    },
    Probed {
        unit: "tere-session@",
        instance: "probe2222222",
        threads: &["none", "WorkerControl", "WorkerPty", "WorkerTerminal", "WorkerViewers"],
        listed: include_str!("probe/session.txt"),
    },
];

/// Settings of a service that say how it is run, and not what it may do.
const HOW_IT_IS_RUN: [&str; 12] = [
    "Type=",
    "Exec",
    "WatchdogSec=",
    "Restart",
    "SuccessExitStatus=",
    "TimeoutStopSec=",
    "FileDescriptorStore",
    "Sockets=",
    "Requires=",
    "Wants=",
    "After=",
    "#",
];

/// The unit with the probe in place of its program.
fn unit_file(host: &Host, probed: &Probed, output: &str) -> String {
    let whole = host.run(&["systemctl", "cat", &format!("{}.service", probed.unit)]);
    let mut file = String::new();
    for line in whole.lines().filter(|line| !HOW_IT_IS_RUN.iter().any(|start| line.starts_with(start))) {
        file.push_str(line);
        file.push('\n');
    }
    file.push_str(&format!("[Service]\nType=oneshot\nStandardOutput=append:{output}\n"));
    for thread in probed.threads {
        file.push_str(&format!("ExecStart={PROBE} {thread}\n"));
    }
    file
}

/// What was let through: a thread and an attempt in each line.
fn let_through(host: &Host, probed: &Probed) -> BTreeSet<String> {
    let output = format!("/run/probe-{}.out", probed.unit);
    let name = format!("probe-{}", probed.unit);
    let file = unit_file(host, probed, &output);
    std::fs::write(host.path(&format!("/run/systemd/system/{name}.service")), file).unwrap();
    host.sh(&format!(
        "rm -f {output}; systemctl daemon-reload; systemctl start {name}{}.service",
        probed.instance
    ));
    let said = host.run(&["cat", &output]);
    // Each thread prints the same attempts in the same order.
    let lines: Vec<&str> = said.lines().collect();
    let attempts = lines.len() / probed.threads.len();
    assert!(attempts >= 160 && attempts * probed.threads.len() == lines.len(), "{} lines", lines.len());
    let threads = probed.threads.iter().zip(lines.chunks_exact(attempts));
    threads
        .flat_map(|(thread, lines)| {
            let thread = thread.split(' ').next().unwrap();
            let allowed = lines.iter().filter_map(|line| line.strip_suffix(": allowed"));
            allowed.map(move |attempt| format!("{thread}: {attempt}"))
        })
        // Only the filters of threads decide about these; systemd's own group of system calls
        // differs from version to version.
        .filter(|line| !line.starts_with("none: call ") && !line.starts_with("none: ask a terminal "))
        .collect()
}

#[test]
fn no_unit_is_let_through_to_more_than_is_listed() {
    let host = Host::shared();
    let program = std::env::var("TERE_PROBE").expect("tests/run builds the probe");
    std::fs::copy(program, host.path(PROBE)).unwrap();
    std::fs::set_permissions(host.path(PROBE), std::fs::Permissions::from_mode(0o755)).unwrap();
    host.run(&["systemctl", "start", "tere-front", "tere-auth", "tere-broker"]);
    let mut alice = holder(&host, "alice");
    let shell = alice.open("dev@web1").unwrap();
    host.sh(&format!("ln -sf {}.sock /run/tere/session/probe.sock", shell.session));
    let mut wrong = String::new();
    for probed in &UNITS {
        let listed: BTreeSet<String> = probed.listed.lines().map(str::to_owned).collect();
        let found = let_through(&host, probed);
        for more in found.difference(&listed) {
            wrong.push_str(&format!("{} is let through, and not listed: {more}\n", probed.unit));
        }
        for less in listed.difference(&found) {
            wrong.push_str(&format!("{} is listed, and not let through: {less}\n", probed.unit));
        }
    }
    host.sh(&format!("rm -f {PROBE} /run/tere/session/probe.sock /run/probe-* /run/systemd/system/probe-*; systemctl daemon-reload"));
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn each_unit_is_as_closed_as_systemd_can_tell() {
    let host = Host::shared();
    host.run(&["systemctl", "start", "tere-front", "tere-auth", "tere-broker"]);
    let mut alice = holder(&host, "alice");
    let shell = alice.open("dev@web1").unwrap();
    let worker = format!("tere-session@{}.service", shell.session);
    for unit in ["tere-front.service", "tere-auth.service", "tere-broker.service", &worker] {
        // In tenths: an exposure of more than 0.2 of 10 is an error.
        host.run(&["systemd-analyze", "security", "--no-pager", "--threshold=2", unit]);
    }
}
