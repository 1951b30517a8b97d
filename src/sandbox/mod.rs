//! The sandbox that each thread enters before it reads a byte from a peer: landlock(7) restricts
//! files and TCP, seccomp(2) restricts system calls. Both apply only to the calling thread and the
//! threads that it starts. The threads of a process share memory, so the filter of a thread only
//! limits the effect of a bug; the security boundary is the process and its unit.

mod filter;
mod table;

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};

pub use table::Thread;

/// The reason why a thread is not sandboxed. The thread must not go on.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A file or folder that the thread is to keep cannot be opened.
    #[error("cannot open {path} for the sandbox: {cause}")]
    Path {
        /// The path.
        path: String,
        /// The cause.
        cause: landlock::PathFdError,
    },
    /// landlock refuses the rules.
    #[error("landlock refuses the sandbox: {0}")]
    Landlock(#[from] landlock::RulesetError),
    /// The kernel does not enforce landlock.
    #[error(
        "this kernel does not enforce landlock: boot one with CONFIG_SECURITY_LANDLOCK and lsm=landlock,..."
    )]
    NoLandlock,
    /// seccomp refuses the filter.
    #[error("seccomp refuses the filter: {0}")]
    Seccomp(#[from] seccompiler::Error),
    /// The filter cannot be compiled from the table.
    #[error("the filter cannot be made: {0}")]
    Filter(#[from] seccompiler::BackendError),
}

/// A file or folder to which a thread keeps access.
#[derive(Debug, Clone)]
pub enum AllowedPath {
    /// The thread may read it.
    Read(PathBuf),
    /// The thread may read, write, create and remove it.
    Write(PathBuf),
}

/// The landlock ABI that is requested; an older kernel enforces the part that it supports.
const LANDLOCK: ABI = ABI::V6;

/// Puts the calling thread, and the threads that it starts from now on, into its sandbox for good.
///
/// # Errors
/// [`SandboxError`] unless both landlock and seccomp are in force.
pub fn enter(thread: Thread, paths: &[AllowedPath]) -> Result<(), SandboxError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::from_all(LANDLOCK))?
        .create()?;
    for allowed in paths {
        let (path, access) = match allowed {
            AllowedPath::Read(path) => (path, AccessFs::from_read(LANDLOCK)),
            AllowedPath::Write(path) => (path, AccessFs::from_all(LANDLOCK)),
        };
        let fd = PathFd::new(path)
            .map_err(|cause| SandboxError::Path { path: path.display().to_string(), cause })?;
        // Rights that only apply to folders are left out for a file.
        let access = if path.is_dir() { access } else { access & AccessFs::from_file(LANDLOCK) };
        rules = rules.add_rule(PathBeneath::new(fd, access))?;
    }
    if rules.restrict_self()?.ruleset == RulesetStatus::NotEnforced {
        return Err(SandboxError::NoLandlock);
    }
    for filter in filter::of(thread)? {
        seccompiler::apply_filter(&filter)?;
    }
    Ok(())
}

/// What this kernel's landlock can do.
///
/// # Errors
/// [`SandboxError::Landlock`], or [`SandboxError::NoLandlock`] if the thread that asks it cannot be
/// started.
pub fn landlock_status() -> Result<LandlockStatus, SandboxError> {
    // landlock answers only a thread that restricts itself.
    let asked = std::thread::spawn(|| {
        let rules = Ruleset::default().handle_access(AccessFs::from_all(LANDLOCK))?.create()?;
        Ok(rules.restrict_self()?.landlock)
    });
    asked.join().map_err(|_| SandboxError::NoLandlock)?
}

/// Like [`enter`], for a hook that cannot return an error, such as the thread start of a runtime:
/// aborts the process if the thread cannot be sandboxed.
pub fn enter_or_abort(thread: Thread, paths: &[AllowedPath]) {
    if let Err(error) = enter(thread, paths) {
        tracing::error!(%error, ?thread, "a thread cannot be sandboxed, ending the process: {error}");
        std::process::abort();
    }
}

#[cfg(test)]
mod tests;
