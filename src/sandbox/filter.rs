use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use super::table::{Condition, NEVER, Rule, TABLE, Thread};

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: seccompiler::TargetArch = seccompiler::TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: seccompiler::TargetArch = seccompiler::TargetArch::aarch64;

/// The filters of a thread. If they disagree about a system call, the kernel takes the stricter.
pub(super) fn of(thread: Thread) -> Result<[BpfProgram; 2], BackendError> {
    Ok([never()?, table(thread)?])
}

/// Ends the process at a system call that it never makes.
fn never() -> Result<BpfProgram, BackendError> {
    let rules = NEVER.iter().map(|call| (*call, Vec::new())).collect();
    SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::KillProcess, ARCHITECTURE)?.try_into()
}

/// Allows the system calls of the thread's rows and fails all others with `EPERM`.
fn table(thread: Thread) -> Result<BpfProgram, BackendError> {
    let mut rules = BTreeMap::new();
    for row in TABLE.iter().filter(|row| row.threads.contains(&thread)) {
        let accepted = row.rules.iter().map(|conditions| rule(conditions)).collect::<Result<Vec<_>, _>>()?;
        rules.insert(row.call, accepted);
    }
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    SeccompFilter::new(rules, refuse, SeccompAction::Allow, ARCHITECTURE)?.try_into()
}

fn rule(conditions: Rule) -> Result<SeccompRule, BackendError> {
    let condition = |argument: &Condition| {
        let mask = SeccompCmpOp::MaskedEq(argument.mask);
        SeccompCondition::new(argument.index, SeccompCmpArgLen::Dword, mask, argument.value)
    };
    SeccompRule::new(conditions.iter().map(condition).collect::<Result<_, _>>()?)
}
