//! `control.sock`: requests of `tere` on the host. Everybody may connect, but only root may make
//! requests, as identified by the uid that the kernel reports.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::Auth;
use super::account_store::StoredAccounts;
use super::accounts::{AccountId, Change, LINK_LIFE, Link};
use super::bounds::{CONTROLS_MAX, PEER_TIMEOUT};
use super::clock::Now;
use super::secret::EnrolSecret;
use crate::names::AccountName;
use crate::protocol::Refusal;
use crate::protocol::control::{FromCli, ToCli};
use crate::protocol::vouch::{AuthMethod, Principal};
use crate::sys::seqpacket::Peer;
use crate::wire::{AsyncChannel, AsyncListener, Intent, WireError};

/// Number of control connections reserved for root, so that nobody on the host can keep root out.
const FOR_ROOT: usize = 16;

/// How long a control connection may be open without a request: `tere` sends one immediately.
const CONTROL_IDLE: Duration = Duration::from_secs(10);

type Cli = AsyncChannel<ToCli, FromCli>;

/// Accepts connections for as long as the program runs.
pub(super) async fn serve(listener: AsyncListener<ToCli, FromCli>, auth: Arc<Auth>) {
    let (for_root, for_others) = (Semaphore::new(FOR_ROOT), Semaphore::new(CONTROLS_MAX - FOR_ROOT));
    let (for_root, for_others) = (Arc::new(for_root), Arc::new(for_others));
    loop {
        let (cli, peer) = listener.next().await;
        let places = if peer.uid() == 0 { &for_root } else { &for_others };
        let Ok(place) = Arc::clone(places).try_acquire_owned() else {
            let (pid, uid) = (peer.pid(), peer.uid());
            tracing::warn!(refusal = %Refusal::TooMany, pid, uid, "too many control connections");
            continue;
        };
        let auth = Arc::clone(&auth);
        tokio::spawn(async move {
            match converse(&cli, peer, &auth).await {
                Ok(()) | Err(WireError::Closed) => {}
                Err(error) => {
                    let (pid, uid) = (peer.pid(), peer.uid());
                    tracing::warn!(refusal = %Refusal::BadMessage, pid, uid, "a control connection is cut: {error}");
                    drop(send(&cli, &ToCli::Refused(Refusal::BadMessage), None).await);
                }
            }
            drop(place);
        });
    }
}

/// Root, the only peer that may make requests. Created only from what the kernel reports.
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
        let answered = match Operator::vet(peer) {
            Ok(operator) => answer(asked, operator, auth).await,
            Err(refusal) => Err(refusal),
        };
        let (reply, channel) = answered.unwrap_or_else(|refusal| {
            tracing::warn!(%refusal, how = "refused", pid = peer.pid(), uid = peer.uid(), "a control request is refused");
            (ToCli::Refused(refusal), None)
        });
        send(cli, &reply, channel).await?;
    }
}

/// Executes a request.
async fn answer(
    asked: FromCli,
    operator: Operator,
    auth: &Arc<Auth>,
) -> Result<(ToCli, Option<OwnedFd>), Refusal> {
    match asked {
        FromCli::AccountList => {
            let accounts = auth.accounts.run(|stored| stored.accounts.summaries()).await?;
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
        FromCli::Principal => {
            let how = AuthMethod::PeerUid(operator.uid);
            let vouched = auth.broker.vouch(Principal::Operator, how, Now::read().unix).await;
            let channel = vouched.map_err(|error| {
                tracing::error!(%error, "the broker did not accept the operator");
                error.refusal()
            })?;
            tracing::info!(uid = operator.uid, how = "operator", "operator connected");
            Ok((ToCli::Principal, Some(channel)))
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
