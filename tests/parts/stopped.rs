//! Processes that are stopped with SIGSTOP.

use std::path::Path;

/// Whether every thread of a process has stopped, from its folder in `/proc`. The kernel delivers
/// SIGSTOP to one thread, and the others run on until that thread has been scheduled: on a busy
/// machine long enough to answer a request. A process that is gone counts as stopped.
pub fn has_stopped(process: &Path) -> bool {
    let Ok(threads) = std::fs::read_dir(process.join("task")) else { return true };
    threads.flatten().all(|thread| {
        // The state comes after the name, which may contain anything. See proc_pid_stat(5).
        let stat = std::fs::read_to_string(thread.path().join("stat"));
        stat.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
    })
}
