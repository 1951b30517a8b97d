use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::protocol::Refusal;

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Closing {
    /// The page closed the connection, or its network failed.
    #[error("the page is gone")]
    PageGone,
    /// Nothing came from the page, not even the browser's pong.
    #[error("the page is silent")]
    Silent,
    /// Nobody signed in within the time allowed.
    #[error("nobody signed in")]
    NeverSignedIn,
    /// More sign-ins were refused than one connection may try.
    #[error("too many refused sign-ins")]
    TooManyFailures,
    /// The page sent a message that is invalid, or not allowed in the current state.
    #[error("the page sent a bad message: {0}")]
    BadMessage(&'static str),
    /// The page keeps sending requests and does not read the answers.
    #[error("the page does not read what it asked for")]
    NotReading,
    /// The broker closed the principal channel: the broker stopped, or the account was removed.
    #[error("the broker closed the channel")]
    BrokerLost,
    /// auth or the broker broke its protocol.
    #[error("a program of tere misbehaved: {0}")]
    Broken(&'static str),
}

impl Closing {
    /// Whether undelivered input is dropped. It is dropped if the account may have been removed, or
    /// if auth or the broker cannot be trusted any more.
    pub(super) fn withdraws_rights(self) -> bool {
        match self {
            Self::BrokerLost | Self::Broken(_) => true,
            Self::PageGone
            | Self::Silent
            | Self::NeverSignedIn
            | Self::TooManyFailures
            | Self::BadMessage(_)
            | Self::NotReading => false,
        }
    }

    /// The refusal that the page shows to its user before the connection ends.
    pub(super) fn refusal(self) -> Option<Refusal> {
        match self {
            Self::BadMessage(_) => Some(Refusal::BadMessage),
            Self::Broken(_) => Some(Refusal::Unavailable),
            Self::PageGone
            | Self::Silent
            | Self::NeverSignedIn
            | Self::TooManyFailures
            | Self::NotReading
            | Self::BrokerLost => None,
        }
    }

    /// The WebSocket close frame. See RFC 6455, section 7.4.
    pub(super) fn frame(self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::PageGone => return None,
            Self::Silent => (CloseCode::Away, "silent"),
            Self::NeverSignedIn => (CloseCode::Away, "nobody-signed-in"),
            Self::TooManyFailures => (CloseCode::Policy, "too-many-failures"),
            Self::BadMessage(_) => (CloseCode::Policy, "bad-message"),
            Self::NotReading => (CloseCode::Policy, "not-reading"),
            Self::BrokerLost => (CloseCode::Restart, "unavailable"),
            Self::Broken(_) => (CloseCode::Error, "unavailable"),
        };
        Some(CloseFrame { code, reason: reason.into() })
    }

    /// Whether the page or a program of tere is at fault, so that the end is logged as a warning.
    pub(super) fn is_fault(self) -> bool {
        match self {
            Self::TooManyFailures | Self::BadMessage(_) | Self::NotReading | Self::Broken(_) => true,
            Self::PageGone | Self::Silent | Self::NeverSignedIn | Self::BrokerLost => false,
        }
    }
}
