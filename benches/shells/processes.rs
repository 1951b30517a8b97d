//! Processor time and memory of processes, from proc(5).

use std::fs;

/// Clock ticks per second in `/proc/PID/stat`; the same on every Linux.
const TICKS: f64 = 100.0;

/// All processes with their names and parents.
fn all() -> Vec<(u32, String, u32)> {
    let entries =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    entries
        .filter_map(|pid: u32| stat(pid).map(|(name, fields)| (pid, name, fields[1].parse().unwrap())))
        .collect()
}

/// The name, and the fields from the state on; `None` if the process is gone.
fn stat(pid: u32) -> Option<(String, Vec<String>)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, rest) = stat.rsplit_once(") ")?;
    let name = head.split_once('(')?.1.to_owned();
    Some((name, rest.split(' ').map(str::to_owned).collect()))
}

/// The processes with these names.
pub fn named(names: &[&str]) -> Vec<u32> {
    all().into_iter().filter(|(_, name, _)| names.contains(&&**name)).map(|(pid, ..)| pid).collect()
}

/// A process, and all its descendants whose names begin with `name`.
pub fn below(root: u32, name: &str) -> Vec<u32> {
    let all = all();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(
            all.iter().filter(|(_, its, of)| *of == parent && its.starts_with(name)).map(|(pid, ..)| *pid),
        );
        next += 1;
    }
    found
}

/// Total processor seconds that these processes have used.
pub fn seconds(pids: &[u32]) -> f64 {
    let ticks = |pid: &u32| {
        let (_, fields) = stat(*pid)?;
        Some(fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap())
    };
    pids.iter().filter_map(ticks).sum::<f64>() / TICKS
}

/// Memory of these processes in bytes. Shared memory is divided among the processes that share it
/// (PSS).
pub fn memory(pids: &[u32]) -> f64 {
    let bytes = |pid: &u32| {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    pids.iter().filter_map(bytes).sum::<f64>() * 1024.0
}
