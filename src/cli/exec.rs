//! `tere exec` and `tere rsh`: one command in a machine, without a terminal.
//!
//! One task moves packets; a thread reads standard input, and one for each output writes, because
//! those may block. What is on its way is bounded by the windows of [`crate::protocol::exec`]. When
//! this program ends, however it does, the command is hung up.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::process::ExitCode;
use std::thread::JoinHandle;

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::ask::{Unanswered, block_on};
use super::attach::say_step;
use super::command::CommandClient;
use super::completion;
use super::failure::Failure;
use super::host::Host;
use crate::names::{Reason, SessionId, Target, UnixUser};
use crate::protocol::exec::{CHUNK_MAX, Command, CommandSignal, Output, ToClient};
use crate::protocol::{EndReason, SessionEnd};
use crate::wire::WireError;

/// The exit status where the command has none, as of ssh(1).
const NO_STATUS: u8 = 255;

/// The exit status of a program that SIGPIPE killed, and of one that SIGINT did.
const PIPE_STATUS: u8 = 128 + 13;
const INTERRUPTED_STATUS: u8 = 128 + 2;

/// `tere exec`.
#[derive(Debug, Args)]
pub(super) struct Exec {
    /// The target, USER@MACHINE, as 'tere list --targets' shows it.
    #[arg(value_name = "TARGET", add = ArgValueCompleter::new(completion::targets))]
    target: Target,
    /// Why, in a few words, where the policy demands it. The journal keeps it.
    #[arg(long, value_name = "WORDS")]
    reason: Option<Reason>,
    /// The program and its arguments. No shell reads them: for one, write sh -c 'COMMANDS'.
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// `tere rsh`.
#[derive(Debug, Args)]
pub(super) struct Rsh {
    /// The UNIX user, if HOST is only a machine.
    #[arg(short = 'l', value_name = "USER")]
    user: Option<UnixUser>,
    /// The target, USER@MACHINE, or its machine.
    #[arg(value_name = "HOST")]
    target: String,
    /// The command. As with ssh(1), its words are joined with spaces, and the user's shell reads
    /// them.
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Carries out `tere exec`. The exit status is the command's; if there is none, it is 255.
pub(super) fn run(exec: Exec, host: &impl Fn() -> Result<Host, Failure>) -> ExitCode {
    status(host().and_then(|host| block_on(exec.done(&host))))
}

/// Carries out `tere rsh`.
pub(super) fn run_as_ssh_does(rsh: Rsh, host: &impl Fn() -> Result<Host, Failure>) -> ExitCode {
    let done = rsh.into_exec().and_then(|exec| host().and_then(|host| block_on(exec.done(&host))));
    status(done)
}

fn status(done: Result<u8, Failure>) -> ExitCode {
    match done {
        Ok(status) => status.into(),
        Err(Failure { cause, next }) => {
            drop(writeln!(io::stderr(), "tere: {cause}\n      {next}"));
            NO_STATUS.into()
        }
    }
}

impl Rsh {
    fn into_exec(self) -> Result<Exec, Failure> {
        let Self { user, target, command } = self;
        let target = match user {
            Some(user) if !target.contains('@') => format!("{user}@{target}"),
            _ => target,
        };
        let target = target.parse().map_err(|error| Failure {
            cause: format!("{target} is no target: {error}"),
            next: "Write USER@MACHINE, as 'tere list --targets' shows it.".to_owned(),
        })?;
        let line = command.join(OsStr::new(" "));
        // machined has set SHELL for the user's session.
        let words = ["sh", "-c", r#"exec "${SHELL:-/bin/sh}" -c "$1""#, "sh"].map(OsString::from);
        Ok(Exec { target, reason: None, command: words.into_iter().chain([line]).collect() })
    }
}

impl Exec {
    async fn done(self, host: &Host) -> Result<u8, Failure> {
        let what = format!("run a command on {}", self.target);
        let words = self.command.into_iter().map(OsString::into_vec).collect();
        let command = Command::new(words).map_err(|error| Failure {
            cause: format!("cannot {what}: {error}"),
            next: "Write the program and its arguments after the target.".to_owned(),
        })?;
        let failed = |error: Unanswered| error.failure(&what);
        let broken = |error: io::Error| failed(WireError::from(error).into());
        let mut signals = Signals::new().map_err(broken)?;
        let command = CommandClient::begin(host, (self.target, self.reason), command, say_step).await;
        let command = command.map_err(failed)?;
        let session = command.session.clone();
        let running = Running::begin(command).map_err(broken)?;
        running.until_over(&mut signals).await.said(&session)
    }
}

/// How it ended.
#[derive(Debug)]
enum Over {
    Ended(SessionEnd),
    /// Nobody reads standard output any more.
    Unread,
    /// A signal came before the command ran.
    Interrupted,
    Lost(WireError),
}

impl Over {
    fn said(self, session: &SessionId) -> Result<u8, Failure> {
        let end = match self {
            Self::Ended(end) => end,
            Self::Unread => return Ok(PIPE_STATUS),
            Self::Interrupted => return Ok(INTERRUPTED_STATUS),
            Self::Lost(error) => {
                return Err(Failure {
                    cause: format!("the command was hung up: the connection to it was lost ({error})"),
                    next: format!("The journal of the host has the rest: journalctl TERE_SESSION={session}"),
                });
            }
        };
        match (end.reason, end.exit) {
            (EndReason::ShellEnded, Some(exit)) => Ok(exit.status()),
            (EndReason::NeverStarted, _) => Err(Failure {
                cause: "the command did not start".to_owned(),
                next: "Does the user exist in the machine? It needs sh, stty, dd, cat, tty and setsid there."
                    .to_owned(),
            }),
            (EndReason::ViewClosed, _) => Err(Failure {
                cause: "the command was hung up: the right to it was withdrawn, or tere-broker restarted"
                    .to_owned(),
                next: format!("The journal of the host has the rest: journalctl TERE_SESSION={session}"),
            }),
            _ => Err(Failure::over(session, end)),
        }
    }
}

/// A command that runs, or is about to.
struct Running {
    command: CommandClient,
    /// What standard input has; `None` at its end. One piece waits.
    input: mpsc::Receiver<Option<Vec<u8>>>,
    has_started: bool,
    writers: [Writer; 2],
    /// How much of which output was written, or that this cannot be done.
    written: UnboundedReceiver<(Output, io::Result<usize>)>,
}

/// A thread that writes one output.
struct Writer {
    /// Holds at most the window of the output.
    pieces: std::sync::mpsc::Sender<Vec<u8>>,
    thread: JoinHandle<()>,
}

impl Running {
    fn begin(command: CommandClient) -> io::Result<Self> {
        let (pieces, input) = mpsc::channel(1);
        std::thread::Builder::new().name("input".to_owned()).spawn(move || read_input(&pieces))?;
        let (told, written) = mpsc::unbounded_channel();
        let writers = [
            Writer::start(Output::Standard, &io::stdout(), told.clone())?,
            Writer::start(Output::Error, &io::stderr(), told)?,
        ];
        Ok(Self { command, input, has_started: false, writers, written })
    }

    /// Moves everything until it is over, and waits until the output is written.
    async fn until_over(mut self, signals: &mut Signals) -> Over {
        let over = loop {
            match self.step(signals).await {
                Ok(None) => {}
                Ok(Some(over)) => break over,
                Err(error) => break Over::Lost(error),
            }
        };
        let Self { writers, command, .. } = self;
        // First: whatever still runs must not wait for a pipe that nobody reads.
        drop(command);
        if !matches!(over, Over::Unread) {
            for Writer { pieces, thread } in writers {
                drop(pieces);
                drop(thread.join());
            }
        }
        over
    }

    async fn step(&mut self, signals: &mut Signals) -> Result<Option<Over>, WireError> {
        tokio::select! {
            received = self.command.receive() => match received? {
                ToClient::Started => self.has_started = true,
                ToClient::Output { output, bytes } => {
                    let [standard, error] = &self.writers;
                    let writer = match output { Output::Standard => standard, Output::Error => error };
                    // Fails if the thread has ended, which it has said.
                    drop(writer.pieces.send(bytes));
                }
                ToClient::Taken(bytes) => self.command.took(bytes),
                ToClient::Ended(end) => return Ok(Some(Over::Ended(end))),
            },
            Some((output, written)) = self.written.recv() => match (output, written) {
                (output, Ok(bytes)) => self.command.written(output, bytes).await,
                (Output::Standard, Err(_)) => return Ok(Some(Over::Unread)),
                // The thread goes on, and writes nothing any more.
                (Output::Error, Err(_)) => {}
            },
            Some(piece) = self.input.recv(), if self.command.takes_input() => {
                self.command.input(piece).await;
            }
            signal = signals.next() => {
                if !self.has_started {
                    return Ok(Some(Over::Interrupted));
                }
                self.command.signal(signal).await;
            }
        }
        Ok(None)
    }
}

/// Reads standard input until its end. What cannot be read is at its end.
fn read_input(pieces: &mpsc::Sender<Option<Vec<u8>>>) {
    let mut buffer = vec![0; CHUNK_MAX];
    loop {
        let piece = match io::stdin().read(&mut buffer) {
            Ok(length @ 1..) => buffer.get(..length).map(<[u8]>::to_vec),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                await_ready(io::stdin().as_fd(), PollFlags::POLLIN);
                continue;
            }
            Ok(0) | Err(_) => None,
        };
        let is_last = piece.is_none();
        // Fails once the command is over.
        if pieces.blocking_send(piece).is_err() || is_last {
            return;
        }
    }
}

/// Waits until a descriptor is ready that whoever started this program has made non-blocking, as
/// rsync does. There is no deadline: nor is there one for a descriptor that blocks.
fn await_ready(fd: BorrowedFd<'_>, events: PollFlags) {
    // If it fails, the next attempt says why.
    let _ = poll(&mut [PollFd::new(fd, events)], PollTimeout::NONE);
}

fn write_all(mut to: &File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(length) => bytes = bytes.get(length..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                await_ready(to.as_fd(), PollFlags::POLLOUT);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Writer {
    fn start(
        output: Output,
        to: &impl AsFd,
        told: UnboundedSender<(Output, io::Result<usize>)>,
    ) -> io::Result<Self> {
        // Without the line buffer of the standard library.
        let to = File::from(to.as_fd().try_clone_to_owned()?);
        let (pieces, waiting) = std::sync::mpsc::channel::<Vec<u8>>();
        let write = move || {
            for piece in waiting {
                let written = write_all(&to, &piece);
                let failed = written.is_err();
                // Fails once the command is over.
                drop(told.send((output, written.map(|()| piece.len()))));
                if failed && output == Output::Standard {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("output".to_owned()).spawn(write)?;
        Ok(Self { pieces, thread })
    }
}

/// The signals that are passed on.
struct Signals([(CommandSignal, Signal); 6]);

impl Signals {
    fn new() -> io::Result<Self> {
        let of = |kind, passed| Ok::<_, io::Error>((passed, signal(kind)?));
        Ok(Self([
            of(SignalKind::interrupt(), CommandSignal::Int)?,
            of(SignalKind::terminate(), CommandSignal::Term)?,
            of(SignalKind::hangup(), CommandSignal::Hup)?,
            of(SignalKind::quit(), CommandSignal::Quit)?,
            of(SignalKind::user_defined1(), CommandSignal::Usr1)?,
            of(SignalKind::user_defined2(), CommandSignal::Usr2)?,
        ]))
    }

    /// The next one that arrives.
    async fn next(&mut self) -> CommandSignal {
        std::future::poll_fn(|context| {
            for (passed, signal) in &mut self.0 {
                if signal.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*passed);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        rsh: Rsh,
    }

    #[test]
    fn whoever_started_it_may_have_made_its_output_non_blocking() {
        let (mut read, write) = io::pipe().unwrap();
        let write = File::from(std::os::fd::OwnedFd::from(write));
        crate::sys::seqpacket::set_nonblocking(write.as_fd()).unwrap();
        let text = vec![b'x'; 1_000_000];
        let written = std::thread::scope(|scope| {
            let writer = scope.spawn(|| write_all(&write, &text));
            let mut all = vec![0; text.len()];
            read.read_exact(&mut all).unwrap();
            writer.join().unwrap()
        });
        written.unwrap();
        drop(read);
        assert_eq!(write_all(&write, b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn what_rsync_and_git_write_is_understood() {
        for (words, target, line) in [
            (
                &["-l", "dev", "web1", "rsync", "--server", "-vlogDtpre.iLsfxCIvu", ".", "a b"][..],
                "dev@web1",
                "rsync --server -vlogDtpre.iLsfxCIvu . a b",
            ),
            (&["dev@web1", "git-upload-pack 'repo'"], "dev@web1", "git-upload-pack 'repo'"),
        ] {
            let Line { rsh } = Line::parse_from([&["rsh"], words].concat());
            let exec = rsh.into_exec().unwrap();
            assert_eq!((exec.target.to_string().as_str(), exec.command.last()), (target, Some(&line.into())));
        }
        for words in [&["web1", "true"][..], &["-l", "dev", "no machine", "true"]] {
            let Line { rsh } = Line::parse_from([&["rsh"], words].concat());
            assert!(rsh.into_exec().is_err(), "{words:?}");
        }
    }
}
