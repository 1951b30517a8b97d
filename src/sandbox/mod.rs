//! What each thread gives up before it touches a byte from a peer: files by landlock(7), system
//! calls by seccomp(2). Both act on the calling thread alone. Threads of one process share their
//! memory, so a thread's filter limits a bug; the wall is the process and its unit.

mod filter;
mod table;

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};

pub use table::Thread;

/// Why a thread is not sandboxed. It must not go on.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A folder that the thread is to keep cannot be opened.
    #[error("cannot open {path} for the sandbox: {cause}")]
    Path {
        /// Which.
        path: String,
        /// Why.
        cause: landlock::PathFdError,
    },
    /// landlock says no.
    #[error("landlock refuses the sandbox: {0}")]
    Landlock(#[from] landlock::RulesetError),
    /// The kernel has no landlock.
    #[error(
        "this kernel does not enforce landlock: boot one with CONFIG_SECURITY_LANDLOCK and lsm=landlock,..."
    )]
    NoLandlock,
    /// seccomp says no.
    #[error("seccomp refuses the filter: {0}")]
    Seccomp(#[from] seccompiler::Error),
    /// The filter cannot be made from the table.
    #[error("the filter cannot be made: {0}")]
    Filter(#[from] seccompiler::BackendError),
}

/// A file or folder that a thread keeps.
#[derive(Debug, Clone)]
pub enum Keep {
    /// May be read.
    Read(PathBuf),
    /// May be read, written, made and removed.
    Write(PathBuf),
}

/// The landlock interface that is asked for; an older kernel enforces what it knows of it.
const LANDLOCK: ABI = ABI::V6;

/// Puts the calling thread, and those it starts from now on, into its sandbox for good.
///
/// # Errors
/// [`SandboxError`]: nothing less than both walls is taken for a sandbox.
pub fn enter(thread: Thread, keep: &[Keep]) -> Result<(), SandboxError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::from_all(LANDLOCK))?
        .create()?;
    for kept in keep {
        let (path, access) = match kept {
            Keep::Read(path) => (path, AccessFs::from_read(LANDLOCK)),
            Keep::Write(path) => (path, AccessFs::from_all(LANDLOCK)),
        };
        let fd = PathFd::new(path)
            .map_err(|cause| SandboxError::Path { path: path.display().to_string(), cause })?;
        // Rights that only make sense on a folder are left out for a file.
        let access = if path.is_dir() { access } else { access & AccessFs::from_file(LANDLOCK) };
        rules = rules.add_rule(PathBeneath::new(fd, access))?;
    }
    if rules.restrict_self()?.ruleset == RulesetStatus::NotEnforced {
        return Err(SandboxError::NoLandlock);
    }
    Ok(seccompiler::apply_filter(&filter::of(thread)?)?)
}

/// [`enter`] for a hook that cannot return an error, such as a runtime's thread start: a thread
/// that cannot be sandboxed ends the process.
pub fn enter_or_abort(thread: Thread, keep: &[Keep]) {
    if let Err(error) = enter(thread, keep) {
        tracing::error!(%error, ?thread, "a thread cannot be sandboxed, ending the process: {error}");
        std::process::abort();
    }
}

#[cfg(test)]
mod tests;
