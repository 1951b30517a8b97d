use super::Finding;
use crate::config::Config;

/// The kernel's limit of inotify instances of a user. Those of machines count as root's.
const LIMIT: &str = "/proc/sys/fs/inotify/max_user_instances";

/// How many of them a machine takes.
const PER_MACHINE: usize = 7;

/// Checks that the kernel lets all machines of the policy run at once. Without machines that tere
/// makes, there is nothing to check.
pub(super) fn look(config: &Config) -> Option<Finding> {
    let machines = config.most_machines();
    (machines > 0).then(|| match std::fs::read_to_string(LIMIT) {
        Ok(text) => finding(text.trim().parse().unwrap_or_default(), machines),
        Err(error) => Finding::unknown(
            "inotify instances",
            format!("{LIMIT}: {error}"),
            "Is /proc mounted? findmnt /proc",
        ),
    })
}

fn finding(limit: usize, machines: usize) -> Finding {
    let (what, room) = ("inotify instances", limit / PER_MACHINE);
    let found = format!("there is room for about {room} machines; the policy has up to {machines}");
    if room >= machines {
        Finding::ok(what, found)
    } else {
        let fix = "More do not boot. Raise the limit: /usr/lib/systemd/systemd-sysctl 10-tere.conf";
        Finding::wrong(what, found, fix)
    }
}

#[cfg(test)]
mod tests {
    use super::super::FindingState;
    use super::*;

    #[test]
    fn the_usual_limit_is_too_low_for_many() {
        let usual = finding(128, 19);
        assert!(
            matches!(usual.state, FindingState::Wrong(_)) && usual.found.contains("about 18"),
            "{usual:?}"
        );
        assert!(matches!(finding(128, 18).state, FindingState::Ok));
        assert!(matches!(finding(8192, 1000).state, FindingState::Ok));
    }
}
