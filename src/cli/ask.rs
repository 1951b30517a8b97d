//! Requests of the command line: to auth on `control.sock`, and to the broker on the operator's
//! principal channel, which auth hands over.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use super::failure::Failure;
use crate::protocol::control::{FromCli, ToCli};
use crate::protocol::principal::{Answer, Ask, FromBroker, Request};
use crate::wire::{Channel, Intent};

/// How long a reply may take. Of this, auth allows the broker 5 s.
const DEADLINE: Duration = Duration::from_secs(10);

/// Sends auth one request. `what` completes the error message "cannot ...".
pub(super) fn auth(runtime_dir: &Path, asked: &FromCli, what: &str) -> Result<ToCli, Failure> {
    let (reply, _) = exchange(runtime_dir, asked, what)?;
    Ok(reply)
}

fn exchange(runtime_dir: &Path, asked: &FromCli, what: &str) -> Result<(ToCli, Vec<OwnedFd>), Failure> {
    let path = runtime_dir.join("control.sock");
    let whom = format!("tere-auth on {}", path.display());
    let exchanged = Channel::<FromCli, ToCli>::connect(&path, Intent::Control, DEADLINE)
        .and_then(|channel| channel.send(asked, &[]).map(|()| channel))
        .and_then(|channel| channel.receive_within(DEADLINE));
    match exchanged.map_err(|error| Failure::channel(&whom, &error))? {
        (ToCli::Refused(refusal), _) => Err(Failure::refused(what, refusal)),
        answered => Ok(answered),
    }
}

/// The operator's principal channel.
#[derive(Debug)]
pub(super) struct Operator {
    channel: Channel<Request, FromBroker>,
    /// The number of the last request.
    number: u32,
}

impl Operator {
    /// Obtains the channel: auth vouches for the person who runs this command.
    pub(super) fn vouched(runtime_dir: &Path, what: &str) -> Result<Self, Failure> {
        let (reply, mut descriptors) = exchange(runtime_dir, &FromCli::Principal, what)?;
        let (ToCli::Principal, Some(socket)) = (reply, descriptors.pop()) else {
            return Err(Failure::out_of_turn("tere-auth"));
        };
        let channel = Channel::over(socket);
        channel.greet(Intent::Principal, DEADLINE).map_err(|error| Failure::channel(BROKER, &error))?;
        Ok(Self { channel, number: 0 })
    }

    /// Sends the broker one request and waits for its answer.
    pub(super) fn ask(&mut self, ask: Ask, what: &str) -> Result<(Answer, Vec<OwnedFd>), Failure> {
        self.number += 1;
        let failed = |error| Failure::channel(BROKER, &error);
        self.channel.send(&Request { number: self.number, ask }, &[]).map_err(failed)?;
        loop {
            match self.channel.receive_within(DEADLINE).map_err(failed)? {
                (FromBroker::Reply { number, answer }, descriptors) if number == self.number => {
                    match answer {
                        Answer::Refused(refusal) => return Err(Failure::refused(what, refusal)),
                        Answer::Lobby { .. }
                        | Answer::Opened { .. }
                        | Answer::Named
                        | Answer::Changed
                        | Answer::Shared
                        | Answer::Ending
                        | Answer::AllSessions(_) => return Ok((answer, descriptors)),
                    }
                }
                (FromBroker::Reply { .. }, _) => return Err(Failure::out_of_turn(BROKER)),
                // Notices for viewers of a session.
                (
                    FromBroker::Progress { .. }
                    | FromBroker::Sharing { .. }
                    | FromBroker::MachineStopped { .. },
                    _,
                ) => {}
            }
        }
    }
}

const BROKER: &str = "tere-broker";
