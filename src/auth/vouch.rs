//! Auth's end of `broker.sock`: [`crate::protocol::vouch`].

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use crate::names::{AccountName, ClientKeyId, KeyRight, UserUid};
use crate::protocol::Refusal;
use crate::protocol::vouch::{AuthMethod, FromAuth, Principal, ToAuth};
use crate::wire::{AsyncChannel, Intent, WireError};

/// How long the broker has for the whole exchange: its greeting and its answer.
const BROKER_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the broker did not carry out a request.
#[derive(Debug, thiserror::Error)]
pub(super) enum VouchError {
    /// The broker is not running or does not answer.
    #[error("the broker does not answer on its socket: {0}")]
    Wire(#[from] WireError),
    /// The broker refused the request.
    #[error("the broker refuses: {0}")]
    Refused(Refusal),
    /// The broker sent an answer to another request.
    #[error("the broker sent an answer to no request of ours")]
    OutOfTurn,
}

impl VouchError {
    /// Returns the refusal that the person who signs in is told.
    pub(super) fn refusal(&self) -> Refusal {
        match self {
            Self::Wire(WireError::WrongVersion { .. }) => Refusal::VersionMismatch,
            Self::Wire(_) | Self::OutOfTurn => Refusal::Unavailable,
            Self::Refused(refusal) => *refusal,
        }
    }
}

/// What the policy lets an account do with a client key.
#[derive(Debug)]
pub(super) struct KeyRule {
    /// What the key may do.
    pub(super) allow: BTreeSet<KeyRight>,
    /// How many seconds it is good after it was bound.
    pub(super) seconds: u32,
}

/// The broker's socket.
#[derive(Debug)]
pub(super) struct Broker {
    path: PathBuf,
}

impl Broker {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Vouches for the holder of the returned socket, which is the principal channel from now on.
    /// Returns also how many seconds a page may come back without a touch.
    pub(super) async fn vouch(
        &self,
        principal: Principal,
        how: AuthMethod,
        at: u64,
        resume_key: Option<ClientKeyId>,
    ) -> Result<(OwnedFd, Option<u32>), VouchError> {
        let (answer, channel) = self.say(FromAuth::Vouch { principal, how, at, resume_key }).await?;
        match answer {
            ToAuth::Vouched { resume } => Ok((channel.into_socket(), resume)),
            ToAuth::Refused(refusal) => Err(VouchError::Refused(refusal)),
            ToAuth::Revoked | ToAuth::KeyRule { .. } | ToAuth::ResumeRule(_) => Err(VouchError::OutOfTurn),
        }
    }

    /// How many seconds after a touch a page may come back without another; `None` for never.
    pub(super) async fn resume_rule(&self) -> Result<Option<u32>, VouchError> {
        match self.say(FromAuth::ResumeRule).await?.0 {
            ToAuth::ResumeRule(seconds) => Ok(seconds),
            ToAuth::Refused(refusal) => Err(VouchError::Refused(refusal)),
            ToAuth::Vouched { .. } | ToAuth::Revoked | ToAuth::KeyRule { .. } => Err(VouchError::OutOfTurn),
        }
    }

    /// Has the broker close everything that the account holds.
    pub(super) async fn revoke(&self, account: AccountName) -> Result<(), VouchError> {
        self.close(FromAuth::Revoke(account)).await
    }

    /// Has the broker close the principal channels that a UNIX user got by its uid.
    pub(super) async fn close_channels(&self, uid: UserUid) -> Result<(), VouchError> {
        self.close(FromAuth::CloseChannels(uid)).await
    }

    /// Has the broker close the principal channels that a client key or a resume key got.
    pub(super) async fn close_key_channels(&self, key: ClientKeyId) -> Result<(), VouchError> {
        self.close(FromAuth::CloseKeyChannels(key)).await
    }

    /// What the policy lets the account do with a client key.
    pub(super) async fn key_rule(&self, account: AccountName) -> Result<KeyRule, VouchError> {
        match self.say(FromAuth::KeyRule(account)).await?.0 {
            ToAuth::KeyRule { allow, seconds } => Ok(KeyRule { allow, seconds }),
            ToAuth::Refused(refusal) => Err(VouchError::Refused(refusal)),
            ToAuth::Vouched { .. } | ToAuth::Revoked | ToAuth::ResumeRule(_) => Err(VouchError::OutOfTurn),
        }
    }

    async fn close(&self, message: FromAuth) -> Result<(), VouchError> {
        let (answer, _) = self.say(message).await?;
        match answer {
            ToAuth::Revoked => Ok(()),
            ToAuth::Refused(refusal) => Err(VouchError::Refused(refusal)),
            ToAuth::Vouched { .. } | ToAuth::KeyRule { .. } | ToAuth::ResumeRule(_) => {
                Err(VouchError::OutOfTurn)
            }
        }
    }

    async fn say(&self, message: FromAuth) -> Result<(ToAuth, AsyncChannel<FromAuth, ToAuth>), WireError> {
        let ask = async {
            let channel = AsyncChannel::connect(&self.path, Intent::Vouch, BROKER_TIMEOUT).await?;
            channel.send(&message, &[]).await?;
            let (answer, _) = channel.receive().await?;
            Ok((answer, channel))
        };
        tokio::time::timeout(BROKER_TIMEOUT, ask).await.unwrap_or(Err(WireError::TimedOut))
    }
}
