//! The client of a command in a machine: what `tere exec` and `tere forward` have in common.

use std::time::Duration;

use super::ask::{PrincipalChannel, Unanswered};
use super::host::Host;
use crate::names::{Reason, SessionId, Target};
use crate::protocol::OpeningStep;
use crate::protocol::exec::{CHUNK_MAX, Command, CommandSignal, FromClient, Output, ToClient, WINDOW};
use crate::protocol::principal::{Answer, Ask};
use crate::wire::{AsyncChannel, Intent, WireError};

/// How long the worker has to greet.
const GREETING: Duration = Duration::from_secs(10);

/// A command that runs, or is about to. It ends when this is dropped.
///
/// What cannot be sent to the worker any more is not an error here: the worker has closed the socket
/// then, and its last packets, which are still to be received, say why.
#[derive(Debug)]
pub(super) struct CommandClient {
    pub(super) session: SessionId,
    channel: AsyncChannel<FromClient, ToClient>,
    /// How much more input the worker takes.
    room: usize,
    input_ended: bool,
    /// The broker closes the command when this closes.
    _principal: PrincipalChannel,
}

impl CommandClient {
    /// Has a command run. `progress` is told the steps of the opening.
    pub(super) async fn begin(
        host: &Host,
        (target, reason): (Target, Option<Reason>),
        command: Command,
        progress: impl FnMut(OpeningStep),
    ) -> Result<Self, Unanswered> {
        let mut principal = PrincipalChannel::vouched(host).await?;
        let asked = principal.ask(Ask::Exec { target, reason }, progress).await?;
        let (Answer::Opened { session, .. }, Some(socket)) = asked else {
            return Err(WireError::OutOfTurn.into());
        };
        let channel = AsyncChannel::over(socket)?;
        channel.greet(Intent::Exec, GREETING).await?;
        let client = Self { session, channel, room: WINDOW, input_ended: false, _principal: principal };
        client.send(&FromClient::Start(command)).await;
        Ok(client)
    }

    /// Receives one packet. Dropping the future loses none.
    pub(super) async fn receive(&self) -> Result<ToClient, WireError> {
        Ok(self.channel.receive().await?.0)
    }

    /// The worker has passed this much input on.
    pub(super) fn took(&mut self, bytes: u32) {
        self.room = self.room.saturating_add(bytes as usize);
    }

    /// Whether there is room for a piece of input, and its end was not sent.
    pub(super) fn takes_input(&self) -> bool {
        !self.input_ended && self.room >= CHUNK_MAX
    }

    /// Sends a piece of input, at most [`CHUNK_MAX`] bytes, or its end.
    pub(super) async fn input(&mut self, piece: Option<Vec<u8>>) {
        let message = if let Some(bytes) = piece {
            self.room = self.room.saturating_sub(bytes.len());
            FromClient::Input(bytes)
        } else {
            self.input_ended = true;
            FromClient::InputEnd
        };
        self.send(&message).await;
    }

    /// This many more bytes of an output were passed on.
    pub(super) async fn written(&self, output: Output, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.send(&FromClient::Written { output, bytes }).await;
    }

    pub(super) async fn signal(&self, signal: CommandSignal) {
        self.send(&FromClient::Signal(signal)).await;
    }

    /// The worker reads whatever happens, so this does not wait for anything that it sends.
    async fn send(&self, message: &FromClient) {
        drop(self.channel.send(message, &[]).await);
    }
}
