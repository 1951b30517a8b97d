//! `auth.sock`: the login connections, one for each WebSocket of the front. Each message is handled
//! by the connection's own [`Login`], in a job of the account store. The resulting action is
//! carried out here.

use std::fmt;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::Auth;
use super::account_store::Persistence;
use super::bindings::{ClaimedKey, UnboundKey};
use super::bounds::{LOGINS_MAX, PEER_TIMEOUT};
use super::clock::Now;
use super::keys;
use super::login::{Action, How, Input, Login, RefusalReason};
use super::vouch::{KeyRule, VouchError};
use crate::names::{AccountName, ClientKeyId};
use crate::protocol::Refusal;
use crate::protocol::login::{BINDING, FromFront, IDLE, ToFront};
use crate::protocol::vouch::Principal;
use crate::sys::seqpacket::Peer;
use crate::wire::{AsyncChannel, AsyncListener, Intent, WireError};

/// Maximum number of connections that are being refused at once. Further ones wait in the kernel's
/// backlog.
const TURNED_AWAY_MAX: usize = 32;

type FrontChannel = AsyncChannel<ToFront, FromFront>;

/// Accepts connections for as long as the program runs.
pub(super) async fn serve(listener: AsyncListener<ToFront, FromFront>, auth: Arc<Auth>) {
    let places = Arc::new(Semaphore::new(LOGINS_MAX));
    let turned_away = Arc::new(Semaphore::new(TURNED_AWAY_MAX));
    loop {
        let (front, peer) = listener.next().await;
        match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => {
                let auth = Arc::clone(&auth);
                tokio::spawn(async move {
                    end(converse(&front, &auth).await, &front, &auth, peer).await;
                    drop(place);
                });
            }
            Err(_) => {
                auth.record_limiter.record(ClaimedAccount(None), || {
                    tracing::warn!(refusal = %Refusal::Busy, "too many login connections");
                });
                let place = Arc::clone(&turned_away).acquire_owned().await;
                tokio::spawn(async move {
                    // The connection ends in any case.
                    drop(turn_away(&front).await);
                    drop(place);
                });
            }
        }
    }
}

/// Refuses the first request. The request is read first, because closing the connection without
/// reading it could lose the answer.
async fn turn_away(front: &FrontChannel) -> Result<(), WireError> {
    front.greet(Intent::Login, PEER_TIMEOUT).await?;
    front.receive_within(PEER_TIMEOUT).await?;
    send(front, &ToFront::Refused(Refusal::Busy), None).await
}

/// The account that somebody who is not signed in says to be.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ClaimedAccount(Option<AccountName>);

impl fmt::Display for ClaimedAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(account) => write!(f, "somebody as {account}"),
            None => f.write_str("unknown people"),
        }
    }
}

/// How a connection ended that did not end with an error.
enum Ending {
    /// Signed in, closed by the front, or idle.
    Done,
    /// The front sent a message that is not allowed now.
    Violation,
}

/// Serves one connection, from its greeting to its end.
async fn converse(front: &FrontChannel, auth: &Arc<Auth>) -> Result<Ending, WireError> {
    front.greet(Intent::Login, PEER_TIMEOUT).await?;
    let mut login = Login::new();
    loop {
        let asked = match front.receive_within(IDLE).await {
            Ok((asked, _)) => asked,
            Err(WireError::Closed | WireError::TimedOut) => return Ok(Ending::Done),
            Err(error) => return Err(error),
        };
        let input = match asked {
            FromFront::Keys { account } => return list_keys(front, auth, account).await,
            FromFront::DropKey { account, key } => return drop_key(front, auth, account, key).await,
            FromFront::FindBinding { account, code } => {
                let claimed = claim(auth, &account, code.reveal()).await;
                Input::Claimed { account, claimed }
            }
            asked @ (FromFront::SignIn
            | FromFront::Enrol { .. }
            | FromFront::StepUp { .. }
            | FromFront::KeySignIn { .. }
            | FromFront::BindKey { .. }
            | FromFront::RemoveKey { .. }
            | FromFront::Resume { .. }
            | FromFront::KeyAnswer { .. }
            | FromFront::DeclineBinding
            | FromFront::Answer { .. }) => Input::Asked(asked),
        };
        let (next, action) = turn(auth, login, input).await;
        let (next, action, channel) = match action {
            Action::Vouch { account, how, at, resume_key } => {
                let principal = Principal::Account(account.clone());
                let (outcome, channel) = match auth.broker.vouch(principal, how, at, resume_key).await {
                    Ok((channel, seconds)) => (Ok(seconds), Some(channel)),
                    Err(error) => {
                        match &error {
                            // Its policy says so, for example of a key that is too old.
                            VouchError::Refused(_) => {
                                tracing::warn!(%account, %error, "the broker did not accept a principal");
                            }
                            VouchError::Wire(_) | VouchError::OutOfTurn => {
                                tracing::error!(%account, %error, "the broker did not accept a principal");
                            }
                        }
                        (Err(error.refusal()), None)
                    }
                };
                let (next, action) = turn(auth, next, Input::Vouched(outcome)).await;
                (next, action, channel)
            }
            Action::Wait(unbound) => return wait(front, auth, unbound).await,
            action @ (Action::Challenge(_)
            | Action::Store(_)
            | Action::SignedIn { .. }
            | Action::Bound { .. }
            | Action::KeyRemoved { .. }
            | Action::Refuse { .. }
            | Action::Violation) => (next, action, None),
        };
        if let Some(ending) = act(front, auth, action, channel).await? {
            return Ok(ending);
        }
        login = next;
    }
}

/// Takes out the client key that waits with this code, if the policy lets the account have one.
async fn claim(auth: &Auth, account: &AccountName, code: &str) -> Result<(ClaimedKey, KeyRule), Refusal> {
    let rule = auth.broker.key_rule(account.clone()).await.map_err(|error| error.refusal())?;
    let claimed = auth.bindings.claim(account, code, Now::read().instant)?;
    Ok((claimed, rule))
}

/// Tells a page the keys of its account.
async fn list_keys(front: &FrontChannel, auth: &Auth, account: AccountName) -> Result<Ending, WireError> {
    let message = keys::list(auth, account).await.map_or_else(ToFront::Refused, ToFront::Keys);
    send(front, &message, None).await?;
    Ok(Ending::Done)
}

/// Removes a key of the account of a page, and tells it those that are left.
async fn drop_key(
    front: &FrontChannel,
    auth: &Auth,
    account: AccountName,
    key: ClientKeyId,
) -> Result<Ending, WireError> {
    let message = match keys::remove(auth, &account, key, "the account itself, in the page").await {
        Ok(()) => keys::list(auth, account).await.map_or_else(ToFront::Refused, ToFront::Keys),
        Err(refusal) => ToFront::Refused(refusal),
    };
    send(front, &message, None).await?;
    Ok(Ending::Done)
}

/// Has a client key wait until somebody binds it to their account, and tells its command line.
async fn wait(front: &FrontChannel, auth: &Auth, unbound: UnboundKey) -> Result<Ending, WireError> {
    let source = unbound.source.map(|source| source.to_string());
    let mut waiting = match auth.bindings.wait(unbound, Now::read().instant) {
        Ok(waiting) => waiting,
        Err(refusal) => {
            auth.record_limiter.record(ClaimedAccount(None), || {
                tracing::warn!(source, %refusal, how = "refused", "a client key may not wait for its binding");
            });
            send(front, &ToFront::Refused(refusal), None).await?;
            return Ok(Ending::Done);
        }
    };
    let seconds = u32::try_from(BINDING.as_secs()).unwrap_or(u32::MAX);
    send(front, &ToFront::BindingCode { code: waiting.code.clone(), seconds }, None).await?;
    let bound = tokio::select! {
        bound = waiting.bound() => bound,
        asked = front.receive() => return asked.map(|_| Ending::Violation),
    };
    let message = match bound {
        Ok(account) => ToFront::KeyBound { account },
        Err(refusal) => ToFront::Refused(refusal),
    };
    send(front, &message, None).await?;
    Ok(Ending::Done)
}

/// Handles an input in one job of the account store: lookup, decision and write, with nothing in
/// between.
async fn turn(auth: &Arc<Auth>, login: Login, input: Input) -> (Login, Action) {
    let party = Arc::clone(&auth.party);
    let turn = auth.accounts.run(move |stored| {
        let now = Now::read();
        match login.handle(input, &stored.accounts, &party, now) {
            (next, Action::Store(change)) => {
                let outcome = Input::Stored(stored.apply(change, now).and_then(Persistence::into_result));
                next.handle(outcome, &stored.accounts, &party, now)
            }
            (
                next,
                action @ (Action::Challenge(_)
                | Action::Vouch { .. }
                | Action::SignedIn { .. }
                | Action::Wait(_)
                | Action::Bound { .. }
                | Action::KeyRemoved { .. }
                | Action::Refuse { .. }
                | Action::Violation),
            ) => (next, action),
        }
    });
    // Without the store's thread, the whole program is about to end.
    turn.await.unwrap_or_else(|refusal| {
        (Login::new(), Action::Refuse { refusal, account: None, why: RefusalReason::Storage })
    })
}

/// Carries out an action. Returns how the connection has ended, or `None` if it goes on.
async fn act(
    front: &FrontChannel,
    auth: &Auth,
    action: Action,
    channel: Option<OwnedFd>,
) -> Result<Option<Ending>, WireError> {
    match (action, channel) {
        (Action::Challenge(challenge), _) => {
            send(front, &challenge, None).await?;
            Ok(None)
        }
        (Action::Refuse { refusal, account, why }, _) => {
            let name = account.as_ref().map(AccountName::as_str);
            auth.record_limiter.record(ClaimedAccount(account.clone()), || {
                tracing::warn!(account = name, %refusal, how = "refused", "a login is refused: {why}");
            });
            send(front, &ToFront::Refused(refusal), None).await?;
            Ok(None)
        }
        (Action::Bound { account, passkey, claimed }, _) => {
            let key = &claimed.key;
            tracing::info!(
                %account,
                how = "client key bound",
                credential = %passkey,
                key = %key.key.id(),
                name = %key.name,
                source = key.source.map(tracing::field::display),
                "a client key is bound to the account"
            );
            claimed.was_bound(account);
            send(front, &ToFront::Bound, None).await?;
            Ok(Some(Ending::Done))
        }
        (Action::KeyRemoved { account, key }, _) => {
            tracing::info!(%account, how = "key removed", credential = %format_args!("key:{key}"), "a client key is removed by its command line");
            let message = match auth.broker.close_key_channels(key.clone()).await {
                Ok(()) => ToFront::KeyRemoved,
                Err(error) => {
                    tracing::error!(%account, %key, %error, "the broker could not be told that a client key is gone");
                    ToFront::Refused(Refusal::NotRevoked)
                }
            };
            send(front, &message, None).await?;
            Ok(Some(Ending::Done))
        }
        (Action::SignedIn { account, how, proof, kept }, Some(channel)) => {
            let (resume_key, resume) = kept.unzip();
            let signed_in = ToFront::SignedIn { account: account.clone(), resume };
            let (how, message) = match how {
                How::SignIn => ("signed in", signed_in),
                How::ClientKey => ("signed in with a client key", signed_in),
                How::ResumeKey => ("resumed", signed_in),
                How::Enrolment => ("enrolled", signed_in),
                How::StepUp => ("stepped up", ToFront::SteppedUp),
            };
            send(front, &message, Some(channel)).await?;
            let key = resume_key.as_ref().map(tracing::field::display);
            tracing::info!(%account, how, credential = %proof, key, "account signed in");
            Ok(Some(Ending::Done))
        }
        (
            Action::Store(_)
            | Action::Vouch { .. }
            | Action::Wait(_)
            | Action::SignedIn { .. }
            | Action::Violation,
            _,
        ) => Ok(Some(Ending::Violation)),
    }
}

async fn send(front: &FrontChannel, message: &ToFront, channel: Option<OwnedFd>) -> Result<(), WireError> {
    let descriptors: Vec<_> = channel.iter().map(|channel| channel.as_fd()).collect();
    let sent = tokio::time::timeout(PEER_TIMEOUT, front.send(message, &descriptors)).await;
    sent.unwrap_or(Err(WireError::TimedOut))
}

/// Sends a last refusal and logs the reason, if the peer is to blame.
async fn end(ending: Result<Ending, WireError>, front: &FrontChannel, auth: &Auth, peer: Peer) {
    let fault = match ending {
        Ok(Ending::Done) | Err(WireError::Closed) => return,
        Ok(Ending::Violation) => "it spoke out of turn".to_owned(),
        Err(error) => error.to_string(),
    };
    auth.record_limiter.record(ClaimedAccount(None), || {
        tracing::warn!(
            refusal = %Refusal::BadMessage,
            pid = peer.pid(),
            uid = peer.uid(),
            "a login connection is cut: {fault}"
        );
    });
    drop(send(front, &ToFront::Refused(Refusal::BadMessage), None).await);
}
