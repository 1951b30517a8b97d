//! What a process takes of the host's memory.

/// Memory that a process has to itself, from its `/proc/PID/status`: bytes that are in no file of a
/// disk. See proc_pid_status(5).
pub fn memory(status: &str) -> usize {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    };
    field("RssAnon:") + field("RssShmem:")
}
