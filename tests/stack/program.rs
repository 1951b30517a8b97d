//! tere's own programs, started as systemd starts them: with their listening sockets.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use command_fds::{CommandFdExt as _, FdMapping};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::DEADLINE;
use crate::parts::wait::eventually;

/// Passes standard input and output on as the descriptors 3 and 4, by the rules of
/// sd_listen_fds(3).
const PASS_ON: &str =
    r#"exec 3<&0 4<&1 0</dev/null 1>&2; export LISTEN_PID=$$; [ "$LISTEN_FDS" = 2 ] || exec 4<&-; exec "$@""#;

/// A command line that becomes `program`, run by `wrapper`, with one or two `sockets` passed in
/// under the given `names`. The environment contains only what the program needs.
pub(crate) fn command(wrapper: &[&str], program: &str, names: &str, sockets: &[OwnedFd]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", PASS_ON, "sh"]).args(wrapper).arg(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("LISTEN_FDS", sockets.len().to_string()).env("LISTEN_FDNAMES", names);
    let mut sockets = sockets.iter().map(|socket| Stdio::from(socket.try_clone().unwrap()));
    command.stdin(sockets.next().unwrap());
    command.stdout(sockets.next().unwrap_or_else(Stdio::null));
    command
}

/// A command line that becomes `program`, with any number of sockets passed in, each with its name.
pub(crate) fn command_with(program: impl AsRef<OsStr>, sockets: Vec<(String, OwnedFd)>) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", r#"export LISTEN_PID=$$; exec "$@""#, "sh"]).arg(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let names: Vec<&str> = sockets.iter().map(|(name, _)| name.as_str()).collect();
    command.env("LISTEN_FDS", names.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mappings = sockets.into_iter().zip(3..);
    let mappings = mappings.map(|((_, parent_fd), child_fd)| FdMapping { parent_fd, child_fd });
    command.fd_mappings(mappings.collect()).unwrap();
    command
}

/// A running program that can be restarted.
pub(crate) struct Program {
    name: &'static str,
    recipe: Box<dyn Fn() -> Command + Send>,
    child: Child,
}

impl Program {
    /// Starts the program, with a command line that is made anew for each start.
    pub(crate) fn start(name: &'static str, recipe: impl Fn() -> Command + Send + 'static) -> Self {
        let child = recipe().spawn().unwrap();
        Self { name, recipe: Box::new(recipe), child }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How the program ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().unwrap()?;
        Some(format!("{} ended with {status}", self.name))
    }

    /// Stops the program in an orderly way and starts it again, as `systemctl restart` does.
    pub(crate) fn restart(&mut self) {
        self.signal(Signal::SIGTERM);
        let status = eventually("the program stops", DEADLINE, || self.child.try_wait().unwrap());
        assert!(status.success(), "{}: {status}", self.name);
        self.child = (self.recipe)().spawn().unwrap();
    }

    /// Kills the program and starts it again, as `Restart=on-failure` does after a crash.
    pub(crate) fn crash(&mut self) {
        assert_eq!(self.ended(), None);
        self.kill();
        self.child = (self.recipe)().spawn().unwrap();
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        assert_eq!(self.ended(), None);
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    fn kill(&mut self) {
        // The program may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct(self.name).field("pid", &self.child.id()).finish_non_exhaustive()
    }
}
