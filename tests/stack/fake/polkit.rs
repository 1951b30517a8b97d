//! What polkit's rules in `polkit/` let the broker do, implemented a second time. Every caller here
//! is the broker: nothing else is on the bus.

use std::path::Path;

use super::Refused;

/// `org.freedesktop.systemd1.manage-units`, for one method of the manager.
pub(super) fn manage_unit(unit: &str, method: &str) -> Result<(), Refused> {
    let instance = |prefix: &str, suffixes: &[&str]| {
        let rest = unit.strip_prefix(prefix)?;
        suffixes.iter().find_map(|suffix| rest.strip_suffix(suffix))
    };
    let session = instance("tere-session@", &[".socket", ".service"])
        .is_some_and(|id| id.len() == 12 && id.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7')));
    let machine = instance("tere-machine@", &[".service"]).is_some_and(is_machine);
    let (start, end) =
        (method == "StartUnit", ["StopUnit", "CleanUnit", "ResetFailedUnit"].contains(&method));
    if session && (start || end) || machine && start { Ok(()) } else { Err(denied()) }
}

/// `org.freedesktop.machine1.shell`.
pub(super) fn shell(machine: &str, user: &str, program: &str) -> Result<(), Refused> {
    let first = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let user_is_good = user.bytes().next().is_some_and(first)
        && user.bytes().all(|byte| first(byte) || byte.is_ascii_digit() || byte == b'-');
    if is_machine(machine) && user_is_good && user != "root" && program == "/bin/sh" {
        Ok(())
    } else {
        Err(denied())
    }
}

/// `org.freedesktop.machine1.host-shell`. 50-tere.rules refuses it, and 40-tere-host.rules, which
/// an administrator may have installed below `root`, permits it for the users in its list.
pub(super) fn host_shell(root: &Path, user: &str, program: &str) -> Result<(), Refused> {
    let rule = std::fs::read_to_string(root.join("etc/polkit-1/rules.d/40-tere-host.rules"));
    let rule = rule.map_err(|_| denied())?;
    let list = rule.split_once("var tereHostUsers = [").and_then(|(_, rest)| rest.split_once("];"));
    let users = list.expect("the rule has its list").0;
    let is_listed = users.split(',').any(|listed| listed.trim() == format!("\"{user}\""));
    if is_listed && program == "/bin/sh" { Ok(()) } else { Err(denied()) }
}

fn is_machine(name: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let inside = |byte: u8| edge(Some(byte)) || byte == b'.' || byte == b'-';
    edge(name.bytes().next()) && edge(name.bytes().last()) && name.bytes().all(inside)
}

fn denied() -> Refused {
    Refused("org.freedesktop.DBus.Error.AccessDenied", "Permission denied".to_owned())
}
