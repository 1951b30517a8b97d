//! Memory of a process.

/// Private memory of a process in bytes, from its `/proc/PID/status`: memory that no file on a disk
/// backs. See proc_pid_status(5).
pub fn memory(status: &str) -> usize {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    };
    field("RssAnon:") + field("RssShmem:")
}
