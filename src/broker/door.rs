//! `broker.sock`: auth comes in, says who stands behind the connection, and hands it over.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::{Broker, News, principal};
use crate::protocol::vouch::{FromAuth, ToAuth};
use crate::sys::inherited::Inherited;
use crate::sys::{reactor, seqpacket};
use crate::wire::{AsyncChannel, Intent, WireError};

/// Most connections at once, principal channels among them. Further ones wait in the backlog of
/// the socket, and whoever waits there too long is told that tere is not available.
const CONNECTIONS_MAX: usize = 1024;

/// How long auth has to say what it came for.
const VOUCH_TIME: Duration = Duration::from_secs(5);

/// Serves the listening sockets for as long as the broker runs.
pub(super) fn open(
    listeners: Vec<Inherited>,
    broker: &Arc<Broker>,
) -> Result<impl Future<Output = Result<(), String>>, String> {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut doors = JoinSet::new();
    for listener in listeners {
        doors.spawn(serve(listener.fd, Arc::clone(broker), Arc::clone(&room)));
    }
    Ok(async move {
        match doors.join_next().await {
            Some(Ok(Err(error))) => Err(format!("the listening socket failed: {error}")),
            Some(Err(error)) => Err(error.to_string()),
            Some(Ok(Ok(()))) | None => Ok(()),
        }
    })
}

async fn serve(listener: OwnedFd, broker: Arc<Broker>, room: Arc<Semaphore>) -> std::io::Result<()> {
    seqpacket::set_nonblocking(listener.as_fd())?;
    let listener = reactor::register(listener)?;
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return Ok(()) };
        let socket = listener.async_io(Interest::READABLE, |fd| seqpacket::accept(fd.as_fd())).await?;
        tokio::spawn(receive(socket, Arc::clone(&broker), permit));
    }
}

async fn receive(socket: OwnedFd, broker: Arc<Broker>, permit: OwnedSemaphorePermit) {
    let peer = seqpacket::peer(socket.as_fd()).map(|peer| (peer.pid(), peer.uid())).unwrap_or_default();
    if let Err(error) = vouched(socket, broker).await {
        tracing::warn!(pid = peer.0, uid = peer.1, %error, "a connection of auth is cut off: {error}");
    }
    drop(permit);
}

async fn vouched(socket: OwnedFd, broker: Arc<Broker>) -> Result<(), WireError> {
    let channel: AsyncChannel<ToAuth, FromAuth> = AsyncChannel::over(socket)?;
    channel.greet(Intent::Vouch, VOUCH_TIME).await?;
    match channel.receive_within(VOUCH_TIME).await?.0 {
        FromAuth::Vouch { principal, how, at } => {
            tracing::debug!(?principal, ?how, at, "vouched");
            // Before auth hears that the channel is the account's: from then on a removal reaches it.
            let news = broker.news.subscribe();
            channel.send(&ToAuth::Vouched, &[]).await?;
            principal::serve(channel.into_socket(), principal, broker, news).await
        }
        FromAuth::Revoke(account) => {
            tracing::info!(%account, "account revoked");
            // Whoever gets the name next is not whom it was shared with.
            for (session, _) in broker.sessions.shared_with(&account, usize::MAX) {
                if let Err(refusal) = broker.sessions.share(&session, &account, None) {
                    tracing::error!(session = %session.record.id, %refusal, "it stays shared with a revoked account");
                }
            }
            // No channel is open: then nobody needs to hear it.
            let _ = broker.news.send(News::Revoked(account));
            channel.send(&ToAuth::Revoked, &[]).await
        }
    }
}
