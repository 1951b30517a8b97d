//! `tere forward`: a port or a socket of this computer leads to one in a machine. Each connection is a
//! command of its own there, which connects: see [`super::exec`].

use std::fmt;
use std::fs::Permissions;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;

use super::ask::{PrincipalChannel, Unanswered, block_on};
use super::command::CommandClient;
use super::completion;
use super::failure::Failure;
use super::host::Host;
use crate::names::Target;
use crate::protocol::exec::{CHUNK_MAX, Command, NotACommand, Output, ToClient};
use crate::protocol::{EndReason, SessionEnd, ShellExit};
use crate::wire::WireError;

/// The program in the machine that connects.
const CONNECT: &str = include_str!("forward.sh");

/// Most connections at once. Another one waits until one of them ends.
const CONNECTIONS_MAX: usize = 32;

/// Most bytes that are kept of what the program in the machine says about a connection.
const SAID_MAX: usize = 1024;

/// How long to wait after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// `tere forward`.
#[derive(Debug, Args)]
pub(super) struct Forward {
    /// The target, USER@MACHINE, as 'tere list --targets' shows it.
    #[arg(value_name = "TARGET", add = ArgValueCompleter::new(completion::targets))]
    target: Target,
    /// The port in the machine, or the path of a UNIX socket there.
    #[arg(value_name = "THERE")]
    there: Place,
    /// The port of this computer's loopback, or the path of a socket to make, which only this user may
    /// open. The same port as in the machine if it is left out.
    #[arg(value_name = "HERE")]
    here: Option<Place>,
}

/// A port or a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Port(u16),
    Socket(PathBuf),
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(0) => Err("0 is no port"),
            Ok(port) => Ok(Self::Port(port)),
            Err(_) if text.starts_with('/') => Ok(Self::Socket(text.into())),
            Err(_) => Err("write a port, such as 8080, or a path that begins with /"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => write!(f, "port {port}"),
            Self::Socket(path) => path.display().fmt(f),
        }
    }
}

impl Place {
    /// The command in the machine that connects there.
    fn connecting(&self) -> Result<Command, NotACommand> {
        let there = match self {
            Self::Port(port) => port.to_string().into_bytes(),
            Self::Socket(path) => path.as_os_str().as_encoded_bytes().to_vec(),
        };
        let words = ["sh", "-c", CONNECT, "sh"].map(|word| word.as_bytes().to_vec());
        Command::new(words.into_iter().chain([there]).collect())
    }
}

/// Carries it out until a signal comes.
pub(super) fn run(forward: Forward, host: Host) -> Result<ExitCode, Failure> {
    let Forward { target, there, here } = forward;
    let here = match (here, &there) {
        (Some(here), _) => here,
        (None, Place::Port(_)) => there.clone(),
        (None, Place::Socket(_)) => {
            return Err(Failure {
                cause: "it is not said where on this host the socket is to be".to_owned(),
                next: format!("Write a port or a path after it: tere forward {target} {there} 8080"),
            });
        }
    };
    let leads = Arc::new(Leads { host, target, there });
    let done = block_on(async {
        let listener = Listener::at(&here).await?;
        let stopped = stopped().map_err(|error| cannot_listen(&here, &error))?;
        // Asked once now, so that somebody who may not do this learns it before the first
        // connection.
        drop(PrincipalChannel::vouched(&leads.host).await.map_err(|error| error.failure(&leads.what()))?);
        say(&format!("{here} leads to {} of {}. Ctrl-C ends it.", leads.there, leads.target));
        tokio::select! {
            () = listener.serve(&leads) => {}
            () = stopped => {}
        }
        Ok(())
    });
    if let Place::Socket(path) = &here {
        // It may never have been made.
        drop(std::fs::remove_file(path));
    }
    done.map(|()| ExitCode::SUCCESS)
}

/// Waits for a signal that ends the command.
fn stopped() -> io::Result<impl Future<Output = ()>> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut hung_up = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
            _ = hung_up.recv() => {}
        }
    })
}

fn say(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}

fn cannot_listen(here: &Place, error: &io::Error) -> Failure {
    Failure {
        cause: format!("cannot listen on {here}: {error}"),
        next: "Name another place after the one in the machine.".to_owned(),
    }
}

/// Where connections lead.
#[derive(Debug)]
struct Leads {
    host: Host,
    target: Target,
    there: Place,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    async fn at(here: &Place) -> Result<Self, Failure> {
        let listening = match here {
            Place::Port(port) => {
                TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, *port)).await.map(Self::Tcp)
            }
            Place::Socket(path) => UnixListener::bind(path).and_then(|listener| {
                // Until then the umask decides, and nobody is accepted.
                std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
                Ok(Self::Unix(listener))
            }),
        };
        listening.map_err(|error| cannot_listen(here, &error))
    }

    async fn serve(&self, leads: &Arc<Leads>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let leads = Arc::clone(leads);
            match self.accept().await {
                Ok(stream) => drop(tokio::spawn(async move {
                    if let Err(failure) = leads.carry(stream).await {
                        say(&format!("tere: {}\n      {}", failure.cause, failure.next));
                    }
                    drop(place);
                })),
                Err(error) => {
                    say(&format!("tere: cannot take a connection: {error}"));
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Tcp(listener) => Box::new(listener.accept().await?.0),
            Self::Unix(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

/// A connection, of either kind.
trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

impl Leads {
    fn what(&self) -> String {
        format!("reach {} of {}", self.there, self.target)
    }

    /// Carries one connection to its end.
    async fn carry(&self, stream: Box<dyn Stream>) -> Result<(), Failure> {
        let failed = |error: Unanswered| error.failure(&self.what());
        let command = self.there.connecting().map_err(|error| Failure {
            cause: format!("cannot {}: {error}", self.what()),
            next: "Use a shorter path.".to_owned(),
        })?;
        let begun = CommandClient::begin(&self.host, (self.target.clone(), None), command, |_| {}).await;
        let command = begun.map_err(failed)?;
        let session = command.session.clone();
        let (end, said) = carry(command, stream).await.map_err(|error| failed(error.into()))?;
        match end {
            // The person's program has closed its connection.
            None => Ok(()),
            Some(SessionEnd { reason: EndReason::ShellEnded, exit: Some(ShellExit::Exited(0)) }) => Ok(()),
            Some(SessionEnd { reason: EndReason::ShellEnded, .. }) => Err(Failure {
                cause: format!("cannot {}: {}", self.what(), said.trim()),
                next: "Does anything listen there?".to_owned(),
            }),
            Some(end) => Err(Failure::over(&session, end)),
        }
    }
}

/// Moves bytes until the program in the machine has ended, or this end of the connection is gone.
/// Returns how it ended, and what it said.
async fn carry(
    mut command: CommandClient,
    stream: Box<dyn Stream>,
) -> Result<(Option<SessionEnd>, String), WireError> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (mut buffer, mut said) = (vec![0; CHUNK_MAX], Vec::new());
    let end = loop {
        tokio::select! {
            received = command.receive() => match received? {
                ToClient::Output { output: Output::Standard, bytes } => {
                    if writer.write_all(&bytes).await.is_err() {
                        break None;
                    }
                    command.written(Output::Standard, bytes.len()).await;
                }
                ToClient::Output { output: Output::Error, bytes } => {
                    let kept = bytes.len().min(SAID_MAX - said.len());
                    said.extend(bytes.get(..kept).unwrap_or_default());
                    command.written(Output::Error, bytes.len()).await;
                }
                ToClient::Taken(bytes) => command.took(bytes),
                ToClient::Ended(end) => break Some(end),
                ToClient::Started => {}
            },
            read = reader.read(&mut buffer), if command.takes_input() => match read {
                Ok(0) => command.input(None).await,
                Ok(length) => command.input(buffer.get(..length).map(<[u8]>::to_vec)).await,
                Err(_) => break None,
            },
        }
    };
    // Printable, because it comes from a machine.
    let said = String::from_utf8_lossy(&said).chars().filter(|c| !c.is_control()).collect();
    Ok((end, said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_port_or_a_whole_path() {
        assert_eq!("8080".parse(), Ok(Place::Port(8080)));
        assert_eq!("/run/x.sock".parse(), Ok(Place::Socket("/run/x.sock".into())));
        for bad in ["", "0", "65536", "-1", "x", "a/b", "localhost:80"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }
}
