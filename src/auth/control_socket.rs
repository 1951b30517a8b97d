//! `control.sock`: requests of `tere` on the host. Everybody may connect. Whose request it is
//! follows from the uid that the kernel reports: root is the operator, and the UNIX user of an
//! account may have the principal channel of that account.

use std::collections::HashMap;
use std::fmt;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::Auth;
use super::account_store::StoredAccounts;
use super::accounts::{AccountId, Change, LINK_LIFE, Link};
use super::bounds::{CONTROLS_MAX, PEER_TIMEOUT};
use super::clock::Now;
use super::keys;
use super::secret::EnrolSecret;
use crate::names::{AccountName, UserUid};
use crate::protocol::Refusal;
use crate::protocol::control::{FromCli, ToCli};
use crate::protocol::vouch::{AuthMethod, Principal};
use crate::sys::seqpacket::Peer;
use crate::wire::{AsyncChannel, AsyncListener, Intent, WireError};

/// Number of control connections reserved for root, so that nobody on the host can keep root out.
const FOR_ROOT: usize = 16;

/// How long a control connection may be open without a request: `tere` sends one immediately.
const CONTROL_IDLE: Duration = Duration::from_secs(10);

/// Number of control connections that one user of the host may have at once, so that none keeps the
/// others out. A further one is closed.
const PER_USER_MAX: usize = 4;

type Cli = AsyncChannel<ToCli, FromCli>;

/// The control connections of each user but root.
#[derive(Debug, Default)]
struct PerUser {
    held: Mutex<HashMap<u32, usize>>,
}

/// One of the connections of a user.
#[derive(Debug)]
struct Held {
    per_user: Arc<PerUser>,
    uid: u32,
}

impl PerUser {
    fn hold(self: &Arc<Self>, uid: u32) -> Option<Held> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let theirs = held.entry(uid).or_default();
        if *theirs >= PER_USER_MAX {
            return None;
        }
        *theirs += 1;
        Some(Held { per_user: Arc::clone(self), uid })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.per_user.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(theirs) = held.get_mut(&self.uid) {
            *theirs -= 1;
            if *theirs == 0 {
                held.remove(&self.uid);
            }
        }
    }
}

/// Accepts connections for as long as the program runs.
pub(super) async fn serve(listener: AsyncListener<ToCli, FromCli>, auth: Arc<Auth>) {
    let (for_root, for_others) = (Semaphore::new(FOR_ROOT), Semaphore::new(CONTROLS_MAX - FOR_ROOT));
    let (for_root, for_others) = (Arc::new(for_root), Arc::new(for_others));
    let per_user = Arc::new(PerUser::default());
    loop {
        let (cli, peer) = listener.next().await;
        let is_root = peer.uid() == 0;
        let place = Arc::clone(if is_root { &for_root } else { &for_others }).try_acquire_owned();
        let theirs = if is_root { Some(None) } else { per_user.hold(peer.uid()).map(Some) };
        let (Ok(place), Some(theirs)) = (place, theirs) else {
            let (pid, uid) = (peer.pid(), peer.uid());
            record(peer, &auth, || {
                tracing::warn!(refusal = %Refusal::TooMany, pid, uid, "too many control connections");
            });
            continue;
        };
        let auth = Arc::clone(&auth);
        tokio::spawn(async move {
            match converse(&cli, peer, &auth).await {
                Ok(()) | Err(WireError::Closed) => {}
                Err(error) => {
                    let (pid, uid) = (peer.pid(), peer.uid());
                    record(peer, &auth, || {
                        tracing::warn!(refusal = %Refusal::BadMessage, pid, uid, "a control connection is cut: {error}");
                    });
                    drop(send(&cli, &ToCli::Refused(Refusal::BadMessage), None).await);
                }
            }
            drop((place, theirs));
        });
    }
}

/// A UNIX user whose records are limited.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct LocalUser(u32);

impl fmt::Display for LocalUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {}", self.0)
    }
}

/// Writes a record of what a peer did wrong. Those of anybody but root are limited: every user of
/// the host may connect.
fn record(peer: Peer, auth: &Auth, write: impl FnOnce()) {
    match peer.uid() {
        0 => write(),
        uid => auth.local_record_limiter.record(LocalUser(uid), write),
    }
}

/// Root, the only peer that may make every request. Created only from what the kernel reports.
#[derive(Debug, Clone, Copy)]
struct Operator {
    uid: u32,
}

impl Operator {
    fn vet(peer: Peer) -> Result<Self, Refusal> {
        if peer.uid() == 0 { Ok(Self { uid: 0 }) } else { Err(Refusal::NotOperator) }
    }
}

async fn converse(cli: &Cli, peer: Peer, auth: &Arc<Auth>) -> Result<(), WireError> {
    cli.greet(Intent::Control, PEER_TIMEOUT).await?;
    loop {
        let asked = match cli.receive_within(CONTROL_IDLE).await {
            Ok((asked, _)) => asked,
            Err(WireError::Closed | WireError::TimedOut) => return Ok(()),
            Err(error) => return Err(error),
        };
        let answered = match (asked, Operator::vet(peer)) {
            (FromCli::Principal, Err(_)) => principal_of_user(peer, auth).await,
            (asked, Ok(operator)) => answer(asked, operator, auth).await,
            (_, Err(refusal)) => Err(refusal),
        };
        let (reply, channel) = answered.unwrap_or_else(|refusal| {
            record(peer, auth, || {
                let (pid, uid) = (peer.pid(), peer.uid());
                tracing::warn!(%refusal, how = "refused", pid, uid, "a control request is refused");
            });
            (ToCli::Refused(refusal), None)
        });
        send(cli, &reply, channel).await?;
    }
}

/// The principal channel of the account that a UNIX user of the host belongs to.
async fn principal_of_user(peer: Peer, auth: &Arc<Auth>) -> Result<(ToCli, Option<OwnedFd>), Refusal> {
    let uid = UserUid::try_from(peer.uid()).map_err(|_| Refusal::NoAccountOfUser)?;
    let account_of = async || {
        let found = move |stored: &mut StoredAccounts| {
            stored.accounts.by_unix_user(uid).map(|account| (account.id, account.name.clone()))
        };
        auth.accounts.run(found).await
    };
    let (id, account) = account_of().await?.ok_or(Refusal::NoAccountOfUser)?;
    let principal = Principal::Account(account.clone());
    let vouched =
        auth.broker.vouch(principal.clone(), AuthMethod::PeerUid(uid.get()), Now::read().unix, None).await;
    let (channel, _) = vouched.map_err(|error| {
        tracing::error!(%account, %error, "the broker did not accept a UNIX user");
        error.refusal()
    })?;
    // The account, or its user, may have been removed meanwhile, and the broker told of that before
    // it had this channel. The channel ends when it is dropped.
    if account_of().await?.is_none_or(|(now, _)| now != id) {
        return Err(Refusal::NoAccountOfUser);
    }
    tracing::info!(%account, %uid, how = "unix user", "signed in");
    Ok((ToCli::Principal(principal), Some(channel)))
}

/// Executes a request.
async fn answer(
    asked: FromCli,
    operator: Operator,
    auth: &Arc<Auth>,
) -> Result<(ToCli, Option<OwnedFd>), Refusal> {
    match asked {
        FromCli::AccountList { after } => {
            let page = move |stored: &mut StoredAccounts| stored.accounts.summaries(after.as_ref());
            let accounts = auth.accounts.run(page).await?;
            Ok((ToCli::Accounts(accounts), None))
        }
        FromCli::AccountUnusable => Ok((auth.accounts.run(|stored| stored.unusable()).await?, None)),
        FromCli::AccountAdd(name) => {
            // A new account must not be mistaken for an earlier one of the same name.
            let _held = auth.revocations.hold_names().await;
            if auth.revocations.has(&name) {
                auth.revocations.settle_now(&name, &auth.broker).await?;
            }
            let origin = Arc::clone(&auth.party);
            let added =
                auth.accounts.run(move |stored| add(stored, name, origin.origin(), Now::read())).await??;
            Ok((added, None))
        }
        FromCli::AccountLink(name) => {
            let origin = Arc::clone(&auth.party);
            let made =
                auth.accounts.run(move |stored| link(stored, name, origin.origin(), Now::read())).await??;
            Ok((made, None))
        }
        FromCli::AccountRemove(name) => {
            remove(name, auth).await?;
            Ok((ToCli::Done, None))
        }
        FromCli::AccountAddUnixUser(name, uid) => {
            let change = Change::AddUnixUser { name: name.clone(), uid };
            auth.accounts.run(move |stored| stored.apply(change, Now::read())).await??.into_result()?;
            tracing::info!(account = %name, %uid, how = "unix user added", "a UNIX user may act as the account");
            Ok((ToCli::Done, None))
        }
        FromCli::AccountRemoveUnixUser(name, uid) => {
            let change = Change::RemoveUnixUser { name: name.clone(), uid };
            auth.accounts.run(move |stored| stored.apply(change, Now::read())).await??.into_result()?;
            tracing::info!(account = %name, %uid, how = "unix user removed", "a UNIX user may no longer act as the account");
            auth.broker.close_channels(uid).await.map_err(|error| {
                tracing::error!(account = %name, %uid, %error, "the broker could not be told that a UNIX user is gone");
                Refusal::NotRevoked
            })?;
            Ok((ToCli::Done, None))
        }
        FromCli::AccountKeys(name) => Ok((ToCli::Keys(keys::list(auth, name).await?), None)),
        FromCli::AccountRemoveKey(name, key) => {
            keys::remove(auth, &name, key, "the operator").await?;
            Ok((ToCli::Done, None))
        }
        FromCli::Principal => {
            let how = AuthMethod::PeerUid(operator.uid);
            let vouched = auth.broker.vouch(Principal::Operator, how, Now::read().unix, None).await;
            let (channel, _) = vouched.map_err(|error| {
                tracing::error!(%error, "the broker did not accept the operator");
                error.refusal()
            })?;
            tracing::info!(uid = operator.uid, how = "operator", "operator connected");
            Ok((ToCli::Principal(Principal::Operator), Some(channel)))
        }
    }
}

/// Removes an account, and has the broker close what it holds. The broker is told even if the name
/// is unknown: the account may have been removed before without the broker hearing of it.
async fn remove(account: AccountName, auth: &Arc<Auth>) -> Result<(), Refusal> {
    let _held = auth.revocations.hold_names().await;
    let place = auth.revocations.place()?;
    let told_before = auth.revocations.has(&account);
    let name = account.clone();
    let made = auth.accounts.run(move |stored| stored.apply(Change::Remove { name }, Now::read())).await?;
    let removed = match made {
        Ok(made) => {
            tracing::info!(%account, how = "account removed", "account removed");
            made.into_result()
        }
        Err(Refusal::NoSuchAccount) if told_before => Ok(()),
        Err(Refusal::NoSuchAccount) => Err(Refusal::NoSuchAccount),
        // The account still exists.
        Err(refusal) => return Err(refusal),
    };
    auth.revocations.settle(&account, place, &auth.broker).await?;
    removed
}

fn add(stored: &mut StoredAccounts, name: AccountName, origin: &str, now: Now) -> Result<ToCli, Refusal> {
    let (secret, link) = new_link(now)?;
    let id = AccountId::random().map_err(|_| Refusal::Unavailable)?;
    let expires = link.expires;
    stored.apply(Change::Add { id, name: name.clone(), link }, now)?.into_result()?;
    tracing::info!(account = %name, how = "account added", "account added, with an enrolment link");
    Ok(ToCli::Link { account: name, link: secret.link(origin), expires })
}

fn link(stored: &mut StoredAccounts, name: AccountName, origin: &str, now: Now) -> Result<ToCli, Refusal> {
    let (secret, link) = new_link(now)?;
    let expires = link.expires;
    stored.apply(Change::Link { name: name.clone(), link }, now)?.into_result()?;
    tracing::info!(account = %name, how = "link made", "enrolment link created");
    Ok(ToCli::Link { account: name, link: secret.link(origin), expires })
}

fn new_link(now: Now) -> Result<(EnrolSecret, Link), Refusal> {
    let secret = EnrolSecret::random().map_err(|_| Refusal::Unavailable)?;
    let link = Link { hash: secret.hash(), expires: now.unix.saturating_add(LINK_LIFE) };
    Ok((secret, link))
}

async fn send(cli: &Cli, message: &ToCli, channel: Option<OwnedFd>) -> Result<(), WireError> {
    let descriptors: Vec<_> = channel.iter().map(|channel| channel.as_fd()).collect();
    let sent = tokio::time::timeout(PEER_TIMEOUT, cli.send(message, &descriptors)).await;
    sent.unwrap_or(Err(WireError::TimedOut))
}
