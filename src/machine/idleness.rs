//! Whether somebody uses a machine, or something works in it. Seen from outside, by what the kernel
//! says: a machine's root can make it look busy, which costs the machine's own account, and cannot
//! make it look idle without stopping what works.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::failure::Failure;
use super::folders::storage;

/// The share of one processor above which a machine works. One that only waits has less than a
/// thousandth.
const BUSY_SHARE: f64 = 0.02;

/// The shortest period for which that is asked, seconds. In a shorter one, the little that a moment's
/// work of the system takes would be a large share.
const SHORTEST: f64 = 30.0;

/// Largest file of a machine that is read, bytes.
const FILE_MAX: u64 = 4096;

/// Most terminals and inhibitor locks of a machine that are looked at. More of them are not believed.
const ENTRIES_MAX: usize = 256;

/// Units of a user's service manager that run whenever somebody has used them once, and wait.
const WAITING_UNITS: &[&str] = &[
    "init.scope",
    "dbus.service",
    "dbus-broker.service",
    "gpg-agent.service",
    "dirmngr.service",
    "keyboxd.service",
    "ssh-agent.service",
];

/// What is to be seen of the machine of a control group.
#[derive(Debug)]
pub(super) struct Seen {
    /// The processor time that its processes have taken, seconds.
    pub(super) usage: f64,
    /// When somebody typed last.
    pub(super) typed: Option<u64>,
    /// Something that works in it, in a few words.
    pub(super) work: Option<&'static str>,
}

/// Looks at a machine. `payload` is the control group of its processes.
pub(super) fn look(payload: &Path) -> Result<Seen, Failure> {
    let usage = usage(payload)?;
    let root = root(payload)?;
    let typed = terminals(&root)?.into_iter().filter_map(|(_, typed)| typed).max();
    let work = if is_inhibited(&root)? {
        Some("an inhibitor lock")
    } else if has_user_unit(payload) {
        Some("a unit of a user")
    } else if has_job(payload) {
        Some("a job")
    } else {
        None
    };
    Ok(Seen { usage, typed, work })
}

/// Whether this much processor time, in this many seconds, is work.
pub(super) fn is_work(usage: f64, seconds: f64) -> bool {
    usage > BUSY_SHARE * seconds.max(SHORTEST)
}

/// Prints a notice on every terminal of the machine.
pub(super) fn notify(payload: &Path, text: &str) -> Result<(), Failure> {
    let root = root(payload)?;
    for (path, _) in terminals(&root)? {
        // A terminal may be gone by now, or not be read.
        let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let Ok(mut terminal) = open_in(&root, &path, flags).map(File::from) else { continue };
        // Only root can have put something else there; it would get the text of the notice.
        if terminal.metadata().is_ok_and(|data| data.file_type().is_char_device()) {
            drop(terminal.write_all(format!("\r\n{text}\r\n").as_bytes()));
        }
    }
    Ok(())
}

fn usage(payload: &Path) -> Result<f64, Failure> {
    let path = payload.join("cpu.stat");
    let text = fs::read_to_string(&path).map_err(storage("read", &path))?;
    let micros = text.lines().find_map(|line| line.strip_prefix("usage_usec ")?.parse::<u64>().ok());
    Ok(micros.map_or(Duration::ZERO, Duration::from_micros).as_secs_f64())
}

/// The machine's root folder, by way of its first process.
fn root(payload: &Path) -> Result<File, Failure> {
    let init = processes(&payload.join("init.scope")).into_iter().next().unwrap_or_default();
    let path = PathBuf::from(format!("/proc/{init}/root"));
    File::open(&path).map_err(storage("open", &path))
}

/// Opens a file of the machine. No symbolic link is followed: out here, it would lead to a file of the
/// host.
fn open_in(root: &impl AsFd, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    let (folder, name) = (path.parent().unwrap_or(path), path.file_name().unwrap_or_default());
    let mut opened = openat(root, ".", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    for part in folder {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        opened = openat(&opened, part, flags, Mode::empty())?;
    }
    openat(&opened, name, flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())
}

/// The names in a folder of the machine; none if it is not there. Any other error is one: a machine
/// that cannot be looked at is not stopped.
fn names_in(root: &impl AsFd, folder: &Path) -> Result<Vec<String>, Failure> {
    let opened = match open_in(root, folder, OFlag::O_RDONLY | OFlag::O_DIRECTORY) {
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(Vec::new()),
        opened => opened.and_then(Dir::from_fd),
    };
    let mut opened = opened.map_err(|errno| storage("look at the machine's", folder)(errno.into()))?;
    let names = opened.iter().take(ENTRIES_MAX).flatten();
    Ok(names.filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned)).collect())
}

/// The terminals of the machine, and when something was last read from each: when somebody typed.
fn terminals(root: &impl AsFd) -> Result<Vec<(PathBuf, Option<u64>)>, Failure> {
    let folder = Path::new("dev/pts");
    let names = names_in(root, folder)?.into_iter().filter(|name| name.parse::<u32>().is_ok());
    let terminal = |name: String| {
        let path = folder.join(name);
        // One that is gone by now was not typed at.
        let terminal = open_in(root, &path, OFlag::O_PATH).ok().map(File::from);
        let read = terminal.and_then(|terminal| terminal.metadata().ok());
        let read = read.and_then(|data| u64::try_from(data.atime()).ok());
        (path, read)
    };
    Ok(names.map(terminal).collect())
}

/// Whether something holds an inhibitor lock that blocks, see systemd-inhibit(1).
fn is_inhibited(root: &impl AsFd) -> Result<bool, Failure> {
    let folder = Path::new("run/systemd/inhibit");
    let mut locks = names_in(root, folder)?.into_iter().filter(|name| name.parse::<u64>().is_ok());
    Ok(locks.any(|name| {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
        let Ok(file) = open_in(root, &folder.join(name), flags) else { return false };
        let mut text = String::new();
        // What cannot be read is no lock of logind's.
        drop(File::from(file).take(FILE_MAX).read_to_string(&mut text));
        text.lines().any(|line| line == "MODE=block")
    }))
}

/// Whether a user's service manager runs something that does not just wait.
fn has_user_unit(payload: &Path) -> bool {
    let managers = users(payload)
        .into_iter()
        .flat_map(|user| folders(&user))
        .filter(|group| group.file_name().is_some_and(|name| name.to_string_lossy().starts_with("user@")));
    managers.into_iter().any(|manager| runs_unit(&manager))
}

fn runs_unit(group: &Path) -> bool {
    folders(group).into_iter().any(|group| {
        let name = group.file_name().unwrap_or_default().to_string_lossy().into_owned();
        !WAITING_UNITS.contains(&name.as_str()) && (!processes(&group).is_empty() || runs_unit(&group))
    })
}

/// Whether a session has a process besides a shell at its prompt.
fn has_job(payload: &Path) -> bool {
    let mut sessions: Vec<PathBuf> = users(payload).iter().flat_map(|user| folders(user)).collect();
    sessions.extend(folders(&payload.join("system.slice")));
    sessions.into_iter().any(|group| {
        let name = group.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_session = name.starts_with("session-") || name.starts_with("container-shell@");
        is_session && has_job_in(&processes(&group))
    })
}

/// A process, as `/proc/PID/stat` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Process {
    pid: u32,
    parent: u32,
    session: u32,
    has_terminal: bool,
    is_pam: bool,
}

fn has_job_in(pids: &[u32]) -> bool {
    let processes: Vec<_> = pids.iter().filter_map(|pid| process(*pid)).collect();
    is_job(&processes)
}

/// Whether there is more than leaders of sessions on terminals, and a shell below each.
fn is_job(processes: &[Process]) -> bool {
    let leads = |process: &Process| process.pid == process.session && process.has_terminal;
    let leader = |pid: u32| processes.iter().any(|process| process.pid == pid && leads(process));
    let mut below: Vec<u32> = Vec::new();
    for process in processes.iter().filter(|process| !process.is_pam && !leads(process)) {
        if !leader(process.parent) || below.contains(&process.parent) {
            return true;
        }
        below.push(process.parent);
    }
    false
}

/// Reads `/proc/PID/stat`; `None` if the process is gone.
fn process(pid: u32) -> Option<Process> {
    parse_stat(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(pid: u32, stat: &str) -> Option<Process> {
    // The name may contain anything; the fields begin after its last parenthesis.
    let (before, after) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let [_state, parent, _group, session, terminal, ..] = fields.as_slice() else { return None };
    Some(Process {
        pid,
        parent: parent.parse().ok()?,
        session: session.parse().ok()?,
        has_terminal: *terminal != "0",
        is_pam: before.ends_with("((sd-pam)"),
    })
}

/// The slices of the machine's users.
fn users(payload: &Path) -> Vec<PathBuf> {
    folders(&payload.join("user.slice"))
}

/// The control groups in one; none if it is gone.
fn folders(group: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// The processes of a control group, not of those in it.
fn processes(group: &Path) -> Vec<u32> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|pid| pid.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// The machine's root puts links where its terminals and locks are looked for.
    #[test]
    fn no_link_of_the_machine_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("host/inhibit")).unwrap();
        fs::create_dir_all(at("root/run/systemd")).unwrap();
        fs::write(at("host/inhibit/1"), "MODE=block\n").unwrap();
        let root = File::open(at("root")).unwrap();
        symlink(at("host/inhibit"), at("root/run/systemd/inhibit")).unwrap();
        assert!(!is_inhibited(&root).unwrap());
        fs::remove_file(at("root/run/systemd/inhibit")).unwrap();
        fs::create_dir(at("root/run/systemd/inhibit")).unwrap();
        symlink(at("host/inhibit/1"), at("root/run/systemd/inhibit/1")).unwrap();
        assert!(!is_inhibited(&root).unwrap());
        fs::write(at("root/run/systemd/inhibit/2"), "WHAT=sleep\nMODE=block\n").unwrap();
        assert!(is_inhibited(&root).unwrap());
        fs::rename(at("root/run/systemd"), at("host/systemd")).unwrap();
        symlink(at("host/systemd"), at("root/run/systemd")).unwrap();
        assert!(!is_inhibited(&root).unwrap());
    }

    fn at(pid: u32, parent: u32, session: u32, has_terminal: bool) -> Process {
        Process { pid, parent, session, has_terminal, is_pam: false }
    }

    #[test]
    fn a_shell_at_its_prompt_is_no_job_and_everything_else_is() {
        let script = at(10, 1, 10, true);
        let shell = at(11, 10, 10, true);
        let pam = Process { is_pam: true, ..at(12, 10, 12, false) };
        assert!(!is_job(&[]));
        assert!(!is_job(&[script.clone(), pam.clone(), shell.clone()]));
        // A shell without the script, and two sessions in one group.
        assert!(!is_job(std::slice::from_ref(&script)));
        assert!(!is_job(&[script.clone(), shell.clone(), at(20, 1, 20, true), at(21, 20, 20, true)]));
        for (what, job) in [
            ("a command of the shell", at(13, 11, 10, true)),
            ("one that the shell left behind", at(13, 1, 10, true)),
            ("a server of tmux", at(13, 1, 13, false)),
            ("a second child of the script", at(13, 10, 10, true)),
        ] {
            assert!(is_job(&[script.clone(), pam.clone(), shell.clone(), job]), "{what}");
        }
        assert!(is_job(&[at(13, 1, 13, false), at(14, 13, 14, true)]), "tmux alone");
    }

    #[test]
    fn a_process_is_read_whatever_its_name_is() {
        let read = parse_stat(7, "7 (a) b 1 2) S 3 7 5 34816 7 4194304").unwrap();
        assert_eq!(read, at(7, 3, 5, true));
        assert!(parse_stat(7, "7 ((sd-pam)) S 3 7 7 0 -1").unwrap().is_pam);
        assert!(parse_stat(7, "7 (cat").is_none() && parse_stat(7, "").is_none());
    }
}
