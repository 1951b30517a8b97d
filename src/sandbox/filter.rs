use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use super::table::{TABLE, Thread};

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: seccompiler::TargetArch = seccompiler::TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: seccompiler::TargetArch = seccompiler::TargetArch::aarch64;

/// The filter of a thread: allows the system calls of its rows and fails all others with `EPERM`.
pub(super) fn of(thread: Thread) -> Result<BpfProgram, seccompiler::BackendError> {
    let rows = TABLE.iter().filter(|row| row.threads.contains(&thread));
    let rules: BTreeMap<_, _> = rows.map(|row| (row.call, Vec::new())).collect();
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    SeccompFilter::new(rules, refuse, SeccompAction::Allow, ARCHITECTURE)?.try_into()
}
