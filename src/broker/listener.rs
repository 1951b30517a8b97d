//! `broker.sock`: auth connects, states who holds the connection, and hands it over.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::holder::Holder;
use super::{Broker, BrokerEvent, principal};
use crate::config::ClientKeyRule;
use crate::names::AccountName;
use crate::protocol::Refusal;
use crate::protocol::vouch::{FromAuth, ToAuth};
use crate::protocol::worker::UnreadInput;
use crate::sys::inherited::Inherited;
use crate::wire::{AsyncChannel, AsyncListener, Intent, WireError};

/// Maximum number of connections that have not sent their request or not received the answer.
/// Further connections wait in the backlog of the socket; if that takes too long, the person is
/// told that tere is not available. Principal channels do not count, so a revocation is received
/// however many there are.
const ARRIVING_MAX: usize = 64;

/// How long auth has to send its request, and to receive the answer.
const VOUCH_TIMEOUT: Duration = Duration::from_secs(5);

type AuthChannel = AsyncChannel<ToAuth, FromAuth>;

/// Serves the listening sockets for as long as the broker runs.
pub(super) fn listen(
    listeners: Vec<Inherited>,
    broker: &Arc<Broker>,
) -> Result<impl Future<Output = Result<(), String>>, String> {
    let arriving = Arc::new(Semaphore::new(ARRIVING_MAX));
    let mut serving = JoinSet::new();
    for listener in listeners {
        let listener = AsyncListener::over(listener)
            .map_err(|error| format!("cannot listen on the socket that was passed in: {error}"))?;
        serving.spawn(serve(listener, Arc::clone(broker), Arc::clone(&arriving)));
    }
    Ok(async move {
        match serving.join_next().await {
            Some(Err(error)) => Err(error.to_string()),
            Some(Ok(())) | None => Ok(()),
        }
    })
}

async fn serve(listener: AsyncListener<ToAuth, FromAuth>, broker: Arc<Broker>, arriving: Arc<Semaphore>) {
    loop {
        let Ok(permit) = Arc::clone(&arriving).acquire_owned().await else { return };
        let (channel, peer) = listener.next().await;
        let broker = Arc::clone(&broker);
        tokio::spawn(async move {
            if let Err(error) = receive(channel, broker, permit).await {
                let (pid, uid) = (peer.pid(), peer.uid());
                tracing::warn!(pid, uid, %error, "a connection of auth is cut off: {error}");
            }
        });
    }
}

/// Receives auth's request and answers it. The place is released once the answer is sent.
async fn receive(
    channel: AuthChannel,
    broker: Arc<Broker>,
    permit: OwnedSemaphorePermit,
) -> Result<(), WireError> {
    channel.greet(Intent::Vouch, VOUCH_TIMEOUT).await?;
    match channel.receive_within(VOUCH_TIMEOUT).await?.0 {
        FromAuth::Vouch { principal, how, at, resume_key } => {
            tracing::debug!(?principal, ?how, at, "to be vouched for");
            let holder = Holder::vouched(principal, how, at).with_resume_key(resume_key);
            if let Err(refusal) = holder.key_rule(&broker.policy.now()) {
                let credential = holder.credential.as_ref().map(tracing::field::display);
                tracing::warn!(account = holder.account(), credential, %refusal, "a key is refused by the policy");
                return tell(&channel, &ToAuth::Refused(refusal)).await;
            }
            let _held = match broker.channels.permit(&holder.principal) {
                Ok(held) => held,
                Err(refusal) => {
                    let account = holder.account();
                    tracing::warn!(account, %refusal, "a principal is refused: there are too many channels");
                    return tell(&channel, &ToAuth::Refused(refusal)).await;
                }
            };
            // Subscribed before auth learns that the channel is the account's: from then on a
            // revocation must reach it.
            let events = broker.events.subscribe();
            let resume = holder.resume_lasts(&broker.policy.now());
            tell(&channel, &ToAuth::Vouched { resume }).await?;
            drop(permit);
            principal::serve(channel.into_socket(), holder, Arc::clone(&broker), events).await
        }
        FromAuth::Revoke(account) => {
            let answer = match revoke(&broker, account) {
                Ok(()) => ToAuth::Revoked,
                Err(refusal) => ToAuth::Refused(refusal),
            };
            tell(&channel, &answer).await
        }
        FromAuth::CloseKeyChannels(key) => {
            tracing::info!(%key, "a key was removed");
            // Fails only if no principal channel is open.
            let _ = broker.events.send(BrokerEvent::KeyRemoved(key));
            tell(&channel, &ToAuth::Revoked).await
        }
        FromAuth::KeyRule(account) => {
            let policy = broker.policy.now();
            let answer = match policy.client_key_rule(&account) {
                Some(ClientKeyRule { allow, max_age, .. }) => {
                    let seconds = u32::try_from(max_age.get().as_secs()).unwrap_or(u32::MAX);
                    ToAuth::KeyRule { allow: allow.clone(), seconds }
                }
                None => {
                    let refusal = Refusal::NotByKey;
                    tracing::warn!(%account, %refusal, "the policy lets this account have no client key");
                    ToAuth::Refused(refusal)
                }
            };
            tell(&channel, &answer).await
        }
        FromAuth::ResumeRule => {
            tell(&channel, &ToAuth::ResumeRule(broker.policy.now().resume.seconds())).await
        }
        FromAuth::CloseChannels(uid) => {
            tracing::info!(%uid, "a UNIX user no longer belongs to its account");
            // Fails only if no principal channel is open.
            let _ = broker.events.send(BrokerEvent::UnixUserRemoved(uid));
            tell(&channel, &ToAuth::Revoked).await
        }
    }
}

async fn tell(channel: &AuthChannel, answer: &ToAuth) -> Result<(), WireError> {
    let told = tokio::time::timeout(VOUCH_TIMEOUT, channel.send(answer, &[]));
    told.await.unwrap_or(Err(WireError::TimedOut))
}

/// Removes an account from all sessions. Its views are closed in the background: each worker is
/// told as soon as it can be.
///
/// # Errors
/// A record could not be written. The removal takes effect, but the next broker will not know of
/// it.
fn revoke(broker: &Broker, account: AccountName) -> Result<(), Refusal> {
    tracing::info!(%account, "account revoked");
    let (over, kept) = broker.registry.part_with(&account);
    // Fails only if no principal channel is open.
    let _ = broker.events.send(BrokerEvent::Revoked(account));
    tokio::spawn(principal::detach(over, UnreadInput::Dropped));
    kept
}
