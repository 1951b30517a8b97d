//! tere: the command line, on the host and from afar.
//!
//! Reads: its arguments, answers from auth and the broker; `tere check` also the configuration,
//! systemd, machined, /run/tere, and twelve bytes from the page's address; the commands that view a
//! session also what its worker sends.
//! From afar it reads what `client` gives it, as if that were auth, the broker and a worker.
//! Holds: nothing that outlives the command but the key of a login: the principal channel of
//! whoever runs it, and a viewer socket.
//! Has given up: nothing. It runs with the rights of its user. auth and the broker decide what that
//! user may do, from the peer uid that the kernel reports. Only the thread that reads what a worker
//! sends has given up everything but the sockets and the terminal that it was given.

mod account;
mod ask;
mod attach;
mod check;
mod command;
mod completion;
mod copy;
mod events;
mod exec;
mod failure;
mod forward;
mod host;
mod inheritance;
mod keys;
mod lobby;
mod login;
mod machine;
mod picker;
mod policy;
mod privileged;
mod send;
mod session;
mod show;
mod template;
mod time;
mod tty;
mod view;
mod wait;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::CompleteEnv;
use clap_complete::engine::ArgValueCompleter;

use crate::names::{Reason, Target};
use failure::Failure;
use host::Host;

/// A secure front door to shells in systemd-nspawn machines: the command line.
///
/// An account is a person as tere knows them: a name and passkeys. What an account may open is
/// written in /etc/tere/tere.toml. A session is one open shell. root is the operator, who opens
/// none; anybody else needs an account that their UNIX user belongs to.
#[derive(Debug, Parser)]
#[command(name = "tere", version = VERSION, propagate_version = true, max_term_width = 100)]
#[command(after_help = AFTER_HELP)]
struct Flags {
    /// Where tere's sockets are.
    #[arg(long, global = true, hide = true, value_name = "FOLDER", default_value = "/run/tere")]
    runtime_dir: PathBuf,
    /// The host: a name or an address that you have signed in to with 'tere login'. By default this
    /// one, or if it has no tere, the one that you have signed in to last.
    #[arg(long, global = true, value_name = "HOST", env = "TERE_HOST")]
    host: Option<String>,
    #[command(subcommand)]
    /// Without a command, a list to choose from.
    command: Option<Command>,
}

const AFTER_HELP: &str = "\
Examples:
  tere                                   choose from a list
  tere open alice@alice-box              a shell; ~. leaves it, and it goes on
  tere exec alice@alice-box -- make      a command, in pipes and scripts
  tere login https://shell.example.org   from another computer, once

Exit status: 0 done, 1 refused or failed, 2 not a command. See tere(1).";

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (build ", env!("TERE_BUILD"), ")");

#[derive(Debug, Subcommand)]
enum Command {
    /// Open a shell, and show it in this terminal.
    Open {
        /// The target, USER@MACHINE, as 'tere list --targets' shows it. Not needed if there is only
        /// one.
        #[arg(value_name = "TARGET", add = ArgValueCompleter::new(completion::targets))]
        target: Option<Target>,
        /// Why, in a few words, where the policy demands it. The journal keeps it.
        #[arg(long, value_name = "WORDS")]
        reason: Option<Reason>,
        #[command(flatten)]
        options: attach::Options,
    },
    /// Come back to a shell that is open: show its session in this terminal.
    Attach {
        #[command(flatten)]
        named: session::Named,
        #[command(flatten)]
        options: attach::Options,
    },
    /// Look at a session in this terminal.
    ///
    /// Nothing is typed, and its size stays as it is.
    Watch {
        #[command(flatten)]
        named: session::Named,
        #[command(flatten)]
        options: attach::Options,
    },
    /// List sessions, or the targets that may be opened.
    ///
    /// One's own sessions and those that are shared; root sees those of all accounts.
    List(session::List),
    /// End a session: its shell is hung up.
    ///
    /// As when a terminal is closed.
    End(session::End),
    /// Give a session a name, or take it away.
    Name(session::Name),
    /// Share a session with another account, or no longer.
    Share(session::Share),
    /// Run one command without a terminal, as in a pipe or a script.
    ///
    /// Its input, output and errors are this command's, and so is its exit status. It ends with this
    /// command.
    Exec(exec::Exec),
    /// The same for programs that expect ssh: rsync -e 'tere rsh'.
    ///
    /// For git: GIT_SSH_COMMAND='tere rsh'. See ssh(1).
    Rsh(exec::Rsh),
    /// Copy files to a machine or from it: cp FROM... TO.
    ///
    /// One side is TARGET:PATH. Repeated, it goes on where it was cut off.
    Cp(copy::Copy),
    /// Have a port of this computer lead to one in a machine.
    ///
    /// Or a UNIX socket, on either side.
    Forward(forward::Forward),
    /// Print the screen of a session as it is now.
    ///
    /// For root: the journal records that it was looked at.
    Show(session::Show),
    /// Type into a session: a text, keys, or both.
    Send(send::Send),
    /// Wait for a text on a session's screen, for silence, or its end.
    Wait(wait::Wait),
    /// Print what happens to the sessions, as it happens.
    ///
    /// One is opened, named, viewed, ended.
    Events(events::Events),
    /// Sign in at a host from another computer, once.
    ///
    /// A key of this computer is bound to your account in the page of the host.
    Login(login::LogIn),
    /// Sign out there: the key is removed.
    ///
    /// On the host and here. Sessions go on.
    Logout(login::LogOut),
    /// Accounts: who may sign in.
    #[command(subcommand)]
    Account(account::Command),
    /// Machines: the containers that tere makes.
    #[command(subcommand)]
    Machine(machine::Command),
    /// Templates: what machines are made from.
    #[command(subcommand)]
    Template(template::Command),
    /// The policy: what an account may open, and why.
    #[command(subcommand)]
    Policy(policy::Command),
    /// Look at everything that tere needs, and say what is wrong.
    ///
    /// And how to fix it.
    Check(check::Flags),
}

/// The program.
pub fn main() -> ExitCode {
    // Ends here if a shell asks what it may complete.
    CompleteEnv::with_factory(Flags::command)
        .var(completion::VARIABLE)
        .bin("tere")
        .completer("tere")
        .complete();
    let flags = Flags::parse();
    exit(carry_out(flags))
}

fn carry_out(flags: Flags) -> Result<ExitCode, Failure> {
    let Flags { runtime_dir, host: named, command } = flags;
    let named = named.filter(|named| !named.is_empty());
    let host = || Host::chosen(named.as_deref(), &runtime_dir);
    let only_here = |what| login::only_here(named.as_deref(), what);
    let Some(command) = command else { return attach::choose(&host()?) };
    match command {
        Command::Login(log_in) => login::log_in(&log_in),
        Command::Logout(log_out) => login::log_out(&log_out, named.as_deref()),
        Command::Account(command) => {
            only_here("account")?;
            account::run(command, &runtime_dir)
        }
        Command::Open { target, reason, options } => {
            attach::run(&attach::Wanted::Open(target, reason), &options, &host()?)
        }
        Command::Attach { named, options } => attach::run(&attach::Wanted::Attach(named), &options, &host()?),
        Command::Watch { named, options } => attach::run(&attach::Wanted::Watch(named), &options, &host()?),
        Command::Exec(exec) => Ok(exec::run(exec, &host)),
        Command::Rsh(rsh) => Ok(exec::run_as_ssh_does(rsh, &host)),
        Command::Cp(copied) => copy::run(&copied, named.as_deref(), &runtime_dir),
        Command::Forward(forward) => forward::run(forward, host()?),
        Command::Events(followed) => events::events(&followed, &host()?),
        Command::Send(sent) => send::send(&sent, &host()?),
        Command::Wait(waited) => Ok(wait::wait(&waited, &host)),
        Command::List(list) => session::list(&list, &host()?),
        Command::Show(show) => session::show_screen(&show, &host()?),
        Command::End(end) => session::end(&end, &host()?),
        Command::Name(name) => session::name(&name, &host()?),
        Command::Share(share) => session::share(&share, &host()?),
        Command::Machine(command) => {
            only_here("machine")?;
            machine::run(command)
        }
        Command::Template(command) => {
            only_here("template")?;
            template::run(command)
        }
        Command::Policy(command) => {
            only_here("policy")?;
            policy::run(command)
        }
        Command::Check(checked) => {
            only_here("check")?;
            check::run(&checked, &runtime_dir)
        }
    }
}

fn exit(done: Result<ExitCode, Failure>) -> ExitCode {
    match done {
        Ok(code) => code,
        Err(failure) => {
            failure.say();
            ExitCode::FAILURE
        }
    }
}

/// Prints the result. Unlike `println!`, treats a closed pipe as success.
fn print(text: &str) -> Result<ExitCode, Failure> {
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(Failure {
            cause: format!("it is done, but the result cannot be printed: {error}"),
            next: "Have standard output lead somewhere and look again with a list.".to_owned(),
        }),
    }
}

/// Formats a table for people: aligned columns, no frame.
fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(head.to_vec()).add_rows(rows);
    table.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Flags::command().debug_assert();
    }

    #[test]
    fn a_shell_is_offered_what_can_be_written() {
        let offered = |words: &[&str]| {
            let words: Vec<std::ffi::OsString> =
                std::iter::once("tere").chain(words.iter().copied()).map(Into::into).collect();
            let last = words.len() - 1;
            let offered = clap_complete::engine::complete(&mut Flags::command(), words, last, None).unwrap();
            let texts = offered.iter().map(|one| one.get_value().to_string_lossy().into_owned());
            texts.collect::<Vec<_>>()
        };
        assert_eq!(offered(&["att"]), ["attach"]);
        assert_eq!(offered(&["machine", "ro"]), ["rollback"]);
        assert_eq!(offered(&["wait", "build", "--t"]), ["--timeout"]);
    }

    /// An argument of a command that has the id of an option of all commands would be taken for it.
    #[test]
    fn no_argument_is_taken_for_the_host() {
        let flags = Flags::try_parse_from(["tere", "rsh", "dev@web1", "true"]).unwrap();
        assert_eq!(flags.host, None);
        let mut command = Flags::command();
        command.build();
        let global: Vec<_> = command.get_arguments().map(|argument| argument.get_id().clone()).collect();
        for one in command.get_subcommands() {
            for argument in one.get_arguments().filter(|argument| argument.is_positional()) {
                assert!(!global.contains(argument.get_id()), "{} {}", one.get_name(), argument.get_id());
            }
        }
    }

    #[test]
    fn names_are_looked_at_before_anybody_is_asked() {
        for bad in [
            &["tere", "account", "add", "Alice"][..],
            &["tere", "account", "remove", "../x"],
            &["tere", "open", "nowhere"],
            &["tere", "machine", "remove", "../x"],
            &["tere", "send", "build"],
            &["tere", "send", "build", "--keys", "Entre"],
            &["tere", "send", "build", "--keys", "q", "--raw"],
            &["tere", "wait", "build"],
            &["tere", "wait", "build", "--for", ""],
            &["tere", "wait", "build", "--idle", "soon"],
            &["tere", "show", "build", "--cells"],
        ] {
            assert_eq!(Flags::try_parse_from(bad).unwrap_err().exit_code(), 2, "{bad:?}");
        }
        assert!(Flags::try_parse_from(["tere", "account", "add", "alice", "--json"]).is_ok());
    }
}
