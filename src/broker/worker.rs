//! The broker's end of a worker's channel: connecting, and the messages to a worker before its
//! session has a task.

use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use super::shell::OpenedShell;
use crate::names::{SessionId, TermSize};
use crate::protocol::worker::{FromWorker, Standing, ToWorker, ViewerId};
use crate::protocol::{EndReason, Role};
use crate::wire::{AsyncChannel, Intent, WireError};

/// How long a worker has to answer. It starts in 50 ms, or 140 ms on a busy machine.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);

/// The broker's end of a worker's channel.
pub(super) type WorkerChannel = AsyncChannel<ToWorker, FromWorker>;

/// Ends a worker's session, and waits until the worker closes the channel.
pub(super) async fn end(channel: &WorkerChannel, reason: EndReason) -> Result<(), WireError> {
    channel.send(&ToWorker::End(reason), &[]).await?;
    let over = async { while channel.receive().await.is_ok() {} };
    tokio::time::timeout(ANSWER_TIMEOUT, over).await.map_err(|_| WireError::TimedOut)
}

/// Connects to the worker behind `path`. systemd starts the worker if it does not run.
pub(super) async fn connect(path: &Path) -> Result<(WorkerChannel, Standing), WireError> {
    let channel = WorkerChannel::connect(path, Intent::Worker, ANSWER_TIMEOUT).await?;
    let (first, _) = channel.receive_within(ANSWER_TIMEOUT).await?;
    let FromWorker::Standing(standing) = first else { return Err(WireError::NoGreeting) };
    Ok((channel, standing))
}

/// Why a worker has not adopted a terminal that it was given.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotAdopted {
    /// The channel broke before the worker confirmed that it has the terminal.
    #[error("it went away: {0}")]
    Gone(WireError),
    /// The worker may have the terminal, but it did not confirm it properly or in time.
    #[error("it may or may not have the terminal: {0}")]
    Unclear(WireError),
}

/// Gives a waiting worker its PTY, and requests the first viewer right away, so that the viewer
/// sees even a shell that ends at once.
pub(super) async fn adopt(
    channel: &WorkerChannel,
    session: &SessionId,
    size: TermSize,
    shell: &OpenedShell,
    viewer: ViewerId,
) -> Result<OwnedFd, NotAdopted> {
    let (session, report) = (session.clone(), shell.report.clone());
    let (adopt, ptys) = match &shell.errors {
        None => (ToWorker::Adopt { session, size, report }, vec![shell.pty.as_fd()]),
        Some(errors) => (ToWorker::Exec { session, key: report }, vec![shell.pty.as_fd(), errors.as_fd()]),
    };
    let given = async {
        channel.send(&adopt, &ptys).await?;
        channel.send(&ToWorker::Attach { viewer, role: Role::Owner, size }, &[]).await
    };
    match given.await {
        Err(error) if !is_broken(&error) => return Err(NotAdopted::Unclear(error)),
        // Messages that the worker sent before its channel broke are received first.
        Ok(()) | Err(_) => {}
    }
    let (adopted, _) = channel.receive_within(ANSWER_TIMEOUT).await.map_err(|error| {
        if is_broken(&error) { NotAdopted::Gone(error) } else { NotAdopted::Unclear(error) }
    })?;
    let (attached, socket) = channel.receive_within(ANSWER_TIMEOUT).await.map_err(NotAdopted::Unclear)?;
    let in_order = adopted == FromWorker::Adopted && attached == FromWorker::Attached(viewer);
    let socket = socket.into_iter().next().filter(|_| in_order);
    socket.ok_or(NotAdopted::Unclear(WireError::NoGreeting))
}

pub(super) fn is_broken(error: &WireError) -> bool {
    match error {
        WireError::Closed => true,
        WireError::Io(error) => matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
        WireError::TimedOut
        | WireError::Oversize
        | WireError::Unreadable { .. }
        | WireError::TrailingBytes { .. }
        | WireError::WrongDescriptors { .. }
        | WireError::OutOfTurn
        | WireError::NoGreeting
        | WireError::WrongIntent { .. }
        | WireError::WrongVersion { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::ReportKey;
    use crate::wire::Message as _;

    const VIEWER: ViewerId = ViewerId(7);

    /// Returns the result of `adopt` if the worker sends these messages and closes the channel.
    async fn adopted(says: &[FromWorker]) -> Result<OwnedFd, NotAdopted> {
        let (channel, worker) = WorkerChannel::pair().unwrap();
        for word in says {
            let socket = crate::sys::seqpacket::pair().unwrap().0;
            let sockets = if word.descriptors() == 1 { vec![socket.as_fd()] } else { Vec::new() };
            worker.send(word, &sockets).await.unwrap();
        }
        drop(worker);
        let pty = crate::sys::seqpacket::pair().unwrap().0;
        let shell = OpenedShell { pty, errors: None, report: ReportKey::random().unwrap() };
        adopt(&channel, &"abcdefghijkl".parse().unwrap(), TermSize::DEFAULT, &shell, VIEWER).await
    }

    #[tokio::test]
    async fn only_a_worker_that_went_without_a_word_has_no_terminal_for_sure() {
        assert!(matches!(adopted(&[]).await, Err(NotAdopted::Gone(_))));
        assert!(matches!(adopted(&[FromWorker::Adopted]).await, Err(NotAdopted::Unclear(_))));
        assert!(matches!(adopted(&[FromWorker::Full(VIEWER)]).await, Err(NotAdopted::Unclear(_))));
    }
}
