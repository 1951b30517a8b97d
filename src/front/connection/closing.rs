use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::protocol::Refusal;

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Closing {
    /// The page closed it, or its network did.
    #[error("the page is gone")]
    PageGone,
    /// Nothing came from the page, not even its browser's sign of life.
    #[error("the page is silent")]
    Silent,
    /// Nobody signed in.
    #[error("nobody signed in")]
    NeverSignedIn,
    /// The page sent something that it may not send, or not then.
    #[error("the page sent a bad message: {0}")]
    BadMessage(&'static str),
    /// The page asks and asks, and does not read.
    #[error("the page does not read what it asked for")]
    NotReading,
    /// The broker closed the principal channel: it is gone, or the account is.
    #[error("the broker closed the channel")]
    BrokerLost,
    /// auth or the broker broke its protocol.
    #[error("a program of tere misbehaved: {0}")]
    Broken(&'static str),
}

impl Closing {
    /// Whether input that has not been delivered is dropped: the account may be gone, or whoever
    /// speaks for it is not to be believed.
    pub(super) fn withdraws_rights(self) -> bool {
        match self {
            Self::BrokerLost | Self::Broken(_) => true,
            Self::PageGone | Self::Silent | Self::NeverSignedIn | Self::BadMessage(_) | Self::NotReading => {
                false
            }
        }
    }

    /// What the page is told before the end, for its person.
    pub(super) fn refusal(self) -> Option<Refusal> {
        match self {
            Self::BadMessage(_) => Some(Refusal::BadMessage),
            Self::Broken(_) => Some(Refusal::Unavailable),
            Self::PageGone | Self::Silent | Self::NeverSignedIn | Self::NotReading | Self::BrokerLost => None,
        }
    }

    /// The WebSocket's own last word. See RFC 6455, section 7.4.
    pub(super) fn frame(self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::PageGone => return None,
            Self::Silent => (CloseCode::Away, "silent"),
            Self::NeverSignedIn => (CloseCode::Away, "nobody-signed-in"),
            Self::BadMessage(_) => (CloseCode::Policy, "bad-message"),
            Self::NotReading => (CloseCode::Policy, "not-reading"),
            Self::BrokerLost => (CloseCode::Restart, "unavailable"),
            Self::Broken(_) => (CloseCode::Error, "unavailable"),
        };
        Some(CloseFrame { code, reason: reason.into() })
    }

    /// Whether the page or a program of tere is to blame, so that the record is a warning.
    pub(super) fn is_fault(self) -> bool {
        match self {
            Self::BadMessage(_) | Self::NotReading | Self::Broken(_) => true,
            Self::PageGone | Self::Silent | Self::NeverSignedIn | Self::BrokerLost => false,
        }
    }
}
