//! Requests of the command line: to auth on `control.sock`, and to the broker on the principal
//! channel of whoever runs the command, which auth hands over.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::failure::Failure;
use super::host::Host;
use crate::client::{self, ClientError, Opened};
use crate::protocol::control::{FromCli, ToCli};
use crate::protocol::principal::{Answer, Ask, FromBroker, Request};
use crate::protocol::vouch::Principal;
use crate::protocol::{OpeningStep, Refusal};
use crate::wire::{AsyncChannel, Intent, WireError};

/// How long an answer may take, and each step of an opening. The broker has deadlines of its own,
/// which are shorter.
const DEADLINE: Duration = Duration::from_secs(120);

/// How long auth has for its answer. Of this, it allows the broker 5 s.
const AUTH_DEADLINE: Duration = Duration::from_secs(10);

/// Runs a command that waits for answers.
pub(super) fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    // One thread more: what speaks for a host from afar goes on while this one waits for another.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| Failure {
        cause: format!("cannot begin: {error}"),
        next: "Are too many files open, or too many processes running? ulimit -a".to_owned(),
    })?;
    runtime.block_on(command)
}

/// Sends auth one request. `what` completes the error message "cannot ...".
pub(super) fn auth(runtime_dir: &Path, asked: &FromCli, what: &str) -> Result<ToCli, Failure> {
    block_on(async {
        let (reply, _) = exchange(runtime_dir, asked).await.map_err(|error| error.failure(what))?;
        Ok(reply)
    })
}

async fn exchange(runtime_dir: &Path, asked: &FromCli) -> Result<(ToCli, Option<OwnedFd>), Unanswered> {
    let path = runtime_dir.join("control.sock");
    let failed = |error| Unanswered::Channel(format!("tere-auth on {}", path.display()), error);
    let exchanged = async {
        let channel: AsyncChannel<FromCli, ToCli> =
            AsyncChannel::connect(&path, Intent::Control, AUTH_DEADLINE).await?;
        channel.send(asked, &[]).await?;
        channel.receive_within(AUTH_DEADLINE).await
    };
    match exchanged.await.map_err(failed)? {
        (ToCli::Refused(refusal), _) => Err(Unanswered::Refused(refusal)),
        (reply, descriptors) => Ok((reply, descriptors.into_iter().next())),
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The request was refused.
    Refused(Refusal),
    /// The channel to this program failed.
    Channel(String, WireError),
    /// A host from afar cannot be used just now.
    Afar(ClientError),
}

impl Unanswered {
    /// As an error for people. `what` completes the error message "cannot ...".
    pub(super) fn failure(&self, what: &str) -> Failure {
        match self {
            Self::Refused(refusal) => Failure::refused(what, *refusal),
            Self::Channel(whom, error) => Failure::channel(whom, error),
            Self::Afar(error) => Failure::afar(what, error),
        }
    }
}

/// A host from afar refused, or could not be used.
impl From<ClientError> for Unanswered {
    fn from(error: ClientError) -> Self {
        if let ClientError::Refused(refusal) = error { Self::Refused(refusal) } else { Self::Afar(error) }
    }
}

/// The channel to the broker failed.
impl From<WireError> for Unanswered {
    fn from(error: WireError) -> Self {
        Self::Channel("tere-broker".to_owned(), error)
    }
}

/// The channel.
#[derive(Debug)]
pub(super) struct PrincipalChannel {
    /// Whom it stands for.
    pub(super) principal: Principal,
    channel: AsyncChannel<Request, FromBroker>,
    /// The number of the last request.
    number: u32,
    /// What speaks for a host from afar.
    bridge: Option<JoinHandle<()>>,
}

impl PrincipalChannel {
    /// Obtains the channel: auth vouches for the user who runs this command, or from afar for
    /// whoever has bound the key.
    pub(super) async fn vouched(host: &Host) -> Result<Self, Unanswered> {
        let (principal, socket, bridge) = match host {
            Host::Here(runtime_dir) => {
                let (ToCli::Principal(principal), socket) =
                    exchange(runtime_dir, &FromCli::Principal).await?
                else {
                    return Err(WireError::OutOfTurn.into());
                };
                (principal, socket.ok_or(WireError::OutOfTurn)?, None)
            }
            Host::Afar(login) => {
                let Opened { account, channel, bridge } = client::open(login).await?;
                (Principal::Account(account), channel, Some(bridge))
            }
        };
        let channel = AsyncChannel::over(socket)?;
        channel.greet(Intent::Principal, AUTH_DEADLINE).await?;
        Ok(Self { principal, channel, number: 0, bridge })
    }

    /// Closes the channel, and waits until what was typed has been sent.
    pub(super) async fn finish(self) {
        drop(self.channel);
        if let Some(bridge) = self.bridge {
            // It has a deadline of its own.
            drop(bridge.await);
        }
    }

    /// Sends a request and waits for its answer. `progress` is told the steps of an opening.
    pub(super) async fn ask(
        &mut self,
        ask: Ask,
        mut progress: impl FnMut(OpeningStep),
    ) -> Result<(Answer, Option<OwnedFd>), Unanswered> {
        self.number += 1;
        self.channel.send(&Request { number: self.number, ask }, &[]).await?;
        let mut deadline = Instant::now() + DEADLINE;
        loop {
            let received = timeout_at(deadline, self.channel.receive()).await;
            match received.unwrap_or(Err(WireError::TimedOut))? {
                (FromBroker::Reply { number, answer }, descriptors) if number == self.number => {
                    if let Answer::Refused(refusal) = answer {
                        return Err(Unanswered::Refused(refusal));
                    }
                    return Ok((answer, descriptors.into_iter().next()));
                }
                (FromBroker::Reply { .. }, _) => return Err(WireError::OutOfTurn.into()),
                (FromBroker::Progress { step, .. }, _) => {
                    progress(step);
                    deadline = Instant::now() + DEADLINE;
                }
                // For those who view or follow sessions.
                (
                    FromBroker::Sharing { .. }
                    | FromBroker::Session { .. }
                    | FromBroker::SessionEnded { .. }
                    | FromBroker::SessionHidden(_)
                    | FromBroker::MachineStopped { .. },
                    _,
                ) => {}
            }
        }
    }

    /// Waits for what the broker says next. It may say nothing for as long as nothing happens.
    pub(super) async fn next(&self) -> Result<FromBroker, WireError> {
        Ok(self.channel.receive().await?.0)
    }

    /// Waits until the broker closes the channel, and throws away what it says meanwhile.
    pub(super) async fn closed(&self) -> WireError {
        loop {
            if let Err(error) = self.channel.receive().await {
                return error;
            }
        }
    }
}
