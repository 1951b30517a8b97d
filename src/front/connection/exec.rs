//! A stream of kind exec: one command without a terminal, over the command socket of its worker.
//! Both directions carry the packets of that socket, which bound themselves by windows; here they
//! are decoded, so that nothing else reaches a worker.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::frames::{binary, text};
use super::steps::StreamId;
use super::terminal::{Outlet, StreamEvent, greet};
use crate::names::{SessionId, Target};
use crate::protocol::SessionEnd;
use crate::protocol::exec::{FromClient, ToClient, WINDOW};
use crate::protocol::page::{StreamKind, ToPage};
use crate::wire::{self, AsyncChannel, Intent, WireError};

/// Most bytes of packets that wait for the worker of a command, which reads whatever happens. With
/// more, the stream ends.
const WAITING_MAX: usize = 2 * WINDOW;

/// What a waiting packet counts for besides its own bytes.
const PACKET_COST: usize = 64;

type CommandChannel = AsyncChannel<FromClient, ToClient>;
type Packet = (FromClient, OwnedSemaphorePermit);

/// The connection's handle on a command. When it is dropped, the command is hung up.
#[derive(Debug)]
pub(super) struct ExecHandle {
    pub(super) id: StreamId,
    packets: UnboundedSender<Packet>,
    /// What is left of [`WAITING_MAX`].
    room: Arc<Semaphore>,
}

/// Why a packet was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// It is none.
    Unreadable,
    /// Too much waits for the worker, or the worker is gone.
    Full,
}

impl ExecHandle {
    /// Takes a packet of the client. Does not wait.
    pub(super) fn push(&self, packet: &[u8]) -> Result<(), NotTaken> {
        let decoded = wire::decode(packet, 0).map_err(|_| NotTaken::Unreadable)?;
        let cost = u32::try_from(packet.len() + PACKET_COST).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(cost).map_err(|_| NotTaken::Full)?;
        self.packets.send((decoded, room)).map_err(|_| NotTaken::Full)
    }
}

/// A stream of kind exec, with all that its task needs.
#[derive(Debug)]
pub(super) struct Exec {
    session: SessionId,
    target: Target,
    packets: UnboundedReceiver<Packet>,
    outlet: Outlet,
}

impl Exec {
    /// Creates a stream, and the connection's handle on it.
    pub(super) fn new(session: SessionId, target: Target, outlet: Outlet) -> (Self, ExecHandle) {
        let (sender, packets) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(WAITING_MAX));
        let handle = ExecHandle { id: outlet.id, packets: sender, room };
        (Self { session, target, packets, outlet }, handle)
    }

    /// Runs the stream from the handshake with its worker to its end. The first message to the
    /// client is `opened`.
    pub(super) async fn run(mut self, socket: OwnedFd) {
        let id = self.outlet.id;
        let channel: CommandChannel = match greet(socket, Intent::Exec).await {
            Ok(channel) => channel,
            Err(error) => {
                tracing::warn!(session = %self.session, %error, "a worker does not answer");
                return self.outlet.report(StreamEvent::Failed(id)).await;
            }
        };
        let (session, target) = (self.session.clone(), self.target);
        let opened = ToPage::Opened { stream: id.stream, session, target, left: None };
        if self.outlet.send(text(&opened)).await.is_err() {
            return;
        }
        let end = tokio::select! {
            end = show(&channel, &self.outlet) => end,
            () = pass_on(&channel, &mut self.packets) => return,
        };
        match end {
            Some(Ok(end)) => self.outlet.close(end, 0).await,
            Some(Err(error)) => {
                tracing::warn!(session = %self.session, %error, "a worker broke off: {error}");
                self.outlet.report(StreamEvent::Broke(id, 0)).await;
            }
            None => {}
        }
    }
}

/// Forwards the worker's packets to the client, one at a time, until it says how the command ended,
/// or is lost; `None` if the client is gone.
async fn show(channel: &CommandChannel, outlet: &Outlet) -> Option<Result<SessionEnd, WireError>> {
    loop {
        let message = match channel.receive().await {
            Ok((ToClient::Ended(end), _)) => return Some(Ok(end)),
            Ok((message, _)) => message,
            Err(error) => return Some(Err(error)),
        };
        let packet = match wire::encode(&message) {
            Ok(packet) => packet,
            Err(error) => return Some(Err(error)),
        };
        outlet.send(binary(outlet.id.stream, StreamKind::Exec, &packet)).await.ok()?;
    }
}

/// Forwards the client's packets to the worker until the client has left.
async fn pass_on(channel: &CommandChannel, packets: &mut UnboundedReceiver<Packet>) {
    while let Some((packet, _room)) = packets.recv().await {
        if channel.send(&packet, &[]).await.is_err() {
            // The worker has closed the socket, but its last packets may still have to be read.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::exec::CHUNK_MAX;

    #[test]
    fn what_waits_for_a_worker_is_packets_and_bounded() {
        let id = StreamId { stream: 1, request: 1 };
        let (output, _page) = mpsc::channel(1);
        let (events, _connection) = mpsc::channel(1);
        let outlet = Outlet { id, output, events };
        let (mut exec, handle) =
            Exec::new("aaaaaaaaaaaa".parse().unwrap(), "dev@box".parse().unwrap(), outlet);
        for bad in [&b""[..], b"\xff", b"\x02 more than InputEnd"] {
            assert_eq!(handle.push(bad), Err(NotTaken::Unreadable), "{bad:?}");
        }
        let piece = wire::encode(&FromClient::Input(vec![7; CHUNK_MAX])).unwrap();
        for _ in 0..WINDOW / CHUNK_MAX {
            assert_eq!(handle.push(&piece), Ok(()), "a window of input");
        }
        let mut more = 0;
        while handle.push(&wire::encode(&FromClient::InputEnd).unwrap()) == Ok(()) {
            more += 1;
            assert!(more < WAITING_MAX / PACKET_COST, "nothing bounds it");
        }
        assert!(more > 1000, "{more}");
        // What is taken makes room.
        drop(exec.packets.try_recv().unwrap());
        assert_eq!(handle.push(&piece), Ok(()));
        drop(exec);
        assert_eq!(handle.push(&piece), Err(NotTaken::Full));
    }
}
