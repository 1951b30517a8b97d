//! Checks how tere's processes are confined now, which may not be what the unit files say: a
//! drop-in may undo a setting, and an older systemd or kernel ignores those that it does not know.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use landlock::{ABI, LandlockStatus};
use zbus_systemd::zbus::{self, Connection, Variant};

use super::{AS_ROOT, Finding, within};
use crate::sandbox;
use crate::sys::cgroup;

/// The landlock ABI up to which tere makes use of it: since Linux 6.12.
const LANDLOCK_WANTED: ABI = ABI::V6;

/// The landlock ABI without which a process could reach TCP: since Linux 6.7.
const LANDLOCK_NEEDED: ABI = ABI::V4;

/// The version of systemd without which settings of the units are ignored: `PrivatePIDs=`.
const SYSTEMD_NEEDED: u32 = 257;

/// What the kernel can do.
pub(super) fn kernel() -> Vec<Finding> {
    vec![landlock(sandbox::landlock_status()), seccomp(fs::read_to_string(SECCOMP_ACTIONS))]
}

fn landlock(status: Result<LandlockStatus, sandbox::SandboxError>) -> Finding {
    const WHAT: &str = "landlock";
    const FIX: &str = "Boot Linux 6.12 or newer, with landlock in lsm= if that is given at boot";
    match status {
        Ok(LandlockStatus::Available { effective_abi, .. }) if effective_abi >= LANDLOCK_WANTED => {
            Finding::ok(WHAT, "the kernel has all of it that tere makes use of")
        }
        Ok(LandlockStatus::Available { effective_abi, .. }) if effective_abi >= LANDLOCK_NEEDED => {
            Finding::ok(
                WHAT,
                format!(
                    "version {} of it; from 6 on (Linux 6.12) signals and abstract sockets are closed too",
                    effective_abi as i32
                ),
            )
        }
        Ok(LandlockStatus::Available { effective_abi, .. }) => Finding::wrong(
            WHAT,
            format!("version {} of it, which leaves TCP open", effective_abi as i32),
            FIX,
        ),
        Ok(LandlockStatus::NotEnabled | LandlockStatus::NotImplemented) => {
            Finding::wrong(WHAT, "the kernel does not enforce it, and tere does not start without", FIX)
        }
        Err(error) => Finding::unknown(WHAT, error.to_string(), "journalctl -k may say more"),
    }
}

const SECCOMP_ACTIONS: &str = "/proc/sys/kernel/seccomp/actions_avail";

fn seccomp(actions: io::Result<String>) -> Finding {
    const WHAT: &str = "seccomp";
    const FIX: &str = "Boot a kernel with CONFIG_SECCOMP_FILTER, such as Debian's";
    let Ok(actions) = actions else { return Finding::wrong(WHAT, "the kernel has no filters", FIX) };
    let has = |action| actions.split_whitespace().any(|one| one == action);
    if has("kill_process") && has("errno") {
        Finding::ok(WHAT, "the kernel has the filters that tere makes use of")
    } else {
        Finding::wrong(WHAT, format!("the kernel's filters know only: {}", actions.trim_end()), FIX)
    }
}

/// The version that systemd says it has, such as `257.9-1~deb13u1`.
pub(super) fn systemd(version: &str) -> Finding {
    const WHAT: &str = "version of systemd";
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    match digits.parse::<u32>() {
        Ok(number) if number >= SYSTEMD_NEEDED => Finding::ok(WHAT, version),
        Ok(_) => Finding::wrong(
            WHAT,
            format!("{version}, which ignores settings of the units"),
            format!("Upgrade the host to one with systemd {SYSTEMD_NEEDED} or newer, such as Debian 13"),
        ),
        Err(_) => Finding::unknown(WHAT, format!("{version:?}"), "systemctl --version"),
    }
}

/// A running process of tere, as the kernel describes it.
#[derive(Debug)]
struct Confined<'a> {
    unit: &'a str,
    /// `/proc/PID/status`.
    status: String,
    /// The namespaces that it shares with this process.
    shared: Vec<&'static str>,
    /// Whether it sees the host's files.
    sees_files: bool,
    /// Whether the kernel drops the packets that `IPAddressDeny=` says.
    drops_packets: bool,
}

/// The namespaces that a process of tere has of its own.
const NAMESPACES: [&str; 4] = ["user", "net", "mnt", "ipc"];

/// A file of the host that no process of tere sees.
const UNSEEN: &str = "etc/passwd";

/// What is not there in a container, for example. It would come after two other locks: the process
/// has a network of its own, which is empty, and may make no socket but UNIX ones.
const WITHOUT_BPF: &str = "but for IPAddressDeny=, for which this host has no BPF on control groups. \
                           The process has no network anyway";

/// Checks the sandbox of the process of a unit.
pub(super) fn of(unit: &str, pid: u32) -> Finding {
    let process = PathBuf::from(format!("/proc/{pid}"));
    match confined(unit, &process) {
        Ok(confined) => confined.finding(),
        Err(error) => Finding::unknown(format!("sandbox of {unit}"), error.to_string(), AS_ROOT),
    }
}

fn confined<'a>(unit: &'a str, process: &Path) -> io::Result<Confined<'a>> {
    let mut shared = Vec::new();
    for namespace in NAMESPACES.into_iter().chain(unit.starts_with("tere-session@").then_some("pid")) {
        let theirs = fs::read_link(process.join("ns").join(namespace))?;
        if theirs == fs::read_link(Path::new("/proc/self/ns").join(namespace))? {
            shared.push(namespace);
        }
    }
    let status = fs::read_to_string(process.join("status"))?;
    let sees_files = process.join("root").join(UNSEEN).exists();
    Ok(Confined { unit, status, shared, sees_files, drops_packets: drops_packets(process).unwrap_or(false) })
}

/// Whether the kernel runs a program on the packets of the control group of a process.
fn drops_packets(process: &Path) -> io::Result<bool> {
    let groups = fs::read_to_string(process.join("cgroup"))?;
    // See cgroups(7): the one of version 2 has the number 0.
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let folder = fs::File::open(Path::new("/sys/fs/cgroup").join(group))?;
    Ok(cgroup::ingress_programs(folder.as_fd())? > 0)
}

impl Confined<'_> {
    fn field(&self, name: &str) -> &str {
        let value = self.status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap_or_default().trim()
    }

    /// What is missing, in words.
    fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        let is_zero = |name: &str| self.field(name).chars().all(|digit| digit == '0');
        // 2 is a filter, see proc_pid_status(5).
        if self.field("Seccomp") != "2" {
            missing.push("a filter of system calls".to_owned());
        }
        if self.field("NoNewPrivs") != "1" {
            missing.push("NoNewPrivileges=".to_owned());
        }
        if !is_zero("CapEff") || !is_zero("CapBnd") {
            missing.push("an empty CapabilityBoundingSet=".to_owned());
        }
        if self.field("Uid").split_whitespace().any(|uid| uid == "0") {
            missing.push("a user that is not root".to_owned());
        }
        missing.extend(self.shared.iter().map(|namespace| format!("a {namespace} namespace of its own")));
        if self.sees_files {
            missing.push("RootDirectory=".to_owned());
        }
        missing
    }

    fn finding(&self) -> Finding {
        let what = format!("sandbox of {}", self.unit);
        let missing = self.missing();
        if missing.is_empty() && self.drops_packets {
            return Finding::ok(what, "complete");
        }
        if missing.is_empty() {
            return Finding::ok(what, format!("complete, {WITHOUT_BPF}"));
        }
        let fix = format!(
            "systemctl cat {unit} shows the settings, and who changed them; then: systemctl restart {unit}",
            unit = self.unit
        );
        Finding::wrong(what, format!("it runs without {}", missing.join(", ")), fix)
    }
}

/// An action, its details, and whether the broker may.
type Question = (&'static str, &'static [(&'static str, &'static str)], bool);

/// What the broker may ask polkit for, as polkit answers: a rule of the administrator that comes
/// first can open or close what tere's rule says.
const QUESTIONS: [Question; 4] = [
    (
        "org.freedesktop.machine1.shell",
        &[("machine", "tere-check"), ("user", "tere-check"), ("program", "/bin/sh")],
        true,
    ),
    (
        "org.freedesktop.machine1.shell",
        &[("machine", "tere-check"), ("user", "root"), ("program", "/bin/sh")],
        false,
    ),
    ("org.freedesktop.systemd1.manage-units", &[("unit", "dbus.service"), ("verb", "restart")], false),
    ("org.freedesktop.login1.set-self-linger", &[], false),
];

/// Asks polkit what it lets the broker do.
pub(super) async fn polkit(connection: &Connection, broker: u32) -> Finding {
    const WHAT: &str = "polkit's answers to the broker";
    const FIX: &str = "Look for a rule that comes before 50-tere.rules: ls /etc/polkit-1/rules.d /usr/share/polkit-1/rules.d";
    for (action, details, expected) in QUESTIONS {
        match within(is_authorized(connection, broker, action, details)).await {
            Ok(answer) if answer == expected => {}
            Ok(answer) => {
                let what_it_is = if answer { "is allowed" } else { "is not allowed" };
                let shown: Vec<_> = details.iter().map(|(name, value)| format!("{name} {value}")).collect();
                return Finding::wrong(WHAT, format!("{action} {} {what_it_is}", shown.join(", ")), FIX);
            }
            Err(error) => return Finding::unknown(WHAT, error, AS_ROOT),
        }
    }
    Finding::ok(WHAT, "as tere's rule says")
}

/// Whether polkit authorises a process without asking anybody.
async fn is_authorized(
    connection: &Connection,
    pid: u32,
    action: &str,
    details: &[(&str, &str)],
) -> zbus::Result<bool> {
    // Zero has polkit look up when the process started.
    let subject =
        ("unix-process", HashMap::from([("pid", Variant::from(pid)), ("start-time", Variant::from(0_u64))]));
    let details: HashMap<&str, &str> = details.iter().copied().collect();
    let reply = connection
        .call_method(
            Some("org.freedesktop.PolicyKit1"),
            "/org/freedesktop/PolicyKit1/Authority",
            Some("org.freedesktop.PolicyKit1.Authority"),
            "CheckAuthorization",
            &(subject, action, details, 0_u32, ""),
        )
        .await?;
    let (is_authorized, _, _): (bool, bool, HashMap<String, String>) = reply.body().deserialize()?;
    Ok(is_authorized)
}

#[cfg(test)]
mod tests {
    use super::super::FindingState;
    use super::*;

    const STATUS: &str = "Name:\ttere-front\nUid:\t61184\t61184\t61184\t61184\nCapEff:\t0000000000000000\n\
                          CapBnd:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t9\n";

    fn confined(status: &str, shared: Vec<&'static str>, sees_files: bool) -> Confined<'static> {
        let drops_packets = true;
        Confined { unit: "tere-front.service", status: status.to_owned(), shared, sees_files, drops_packets }
    }

    #[test]
    fn a_process_that_runs_without_a_part_of_its_sandbox_is_wrong() {
        let whole = confined(STATUS, Vec::new(), false);
        assert!(matches!(whole.finding().state, FindingState::Ok), "{whole:?}");
        assert_eq!(whole.finding().found, "complete");
        let without = Confined { drops_packets: false, ..confined(STATUS, Vec::new(), false) }.finding();
        assert!(matches!(without.state, FindingState::Ok) && without.found.contains("IPAddressDeny="));
        for (from, to, missing) in [
            ("Seccomp:\t2", "Seccomp:\t0", "filter"),
            ("NoNewPrivs:\t1", "NoNewPrivs:\t0", "NoNewPrivileges="),
            ("CapBnd:\t0", "CapBnd:\t4", "CapabilityBoundingSet="),
            ("Uid:\t61184", "Uid:\t0", "not root"),
        ] {
            let finding = confined(&STATUS.replace(from, to), Vec::new(), false).finding();
            assert!(
                matches!(finding.state, FindingState::Wrong(_)) && finding.found.contains(missing),
                "{finding:?}"
            );
        }
        assert!(confined(STATUS, vec!["net"], false).finding().found.contains("net namespace"));
        assert!(confined(STATUS, Vec::new(), true).finding().found.contains("RootDirectory="));
    }

    #[test]
    fn a_kernel_and_a_systemd_that_are_too_old_are_wrong() {
        let available = |abi| Ok(LandlockStatus::Available { effective_abi: abi, kernel_abi: None });
        for (finding, good) in [
            (landlock(available(ABI::V6)), true),
            (landlock(available(ABI::V5)), true),
            (landlock(available(ABI::V3)), false),
            (landlock(Ok(LandlockStatus::NotEnabled)), false),
            (seccomp(Ok("kill_process kill_thread trap errno allow\n".to_owned())), true),
            (seccomp(Ok("kill_thread trap errno allow\n".to_owned())), false),
            (seccomp(Err(io::ErrorKind::NotFound.into())), false),
            (systemd("257.9-1~deb13u1"), true),
            (systemd("262~rc1"), true),
            (systemd("252.38-1~deb12u1"), false),
        ] {
            assert_eq!(matches!(finding.state, FindingState::Ok), good, "{finding:?}");
        }
    }
}
