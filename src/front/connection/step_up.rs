//! The step-up of a signed-in connection: the person's passkey is touched once more, for one view
//! of a session, or to bind one client key to the account. There is at most one at a time.

use super::steps::StreamId;
use crate::protocol::principal::Request;

/// How far the step-up is.
#[derive(Debug, Default)]
pub(super) enum StepUp {
    /// There is none.
    #[default]
    Idle,
    /// auth is making a challenge for this stream.
    Asked { stream: u16 },
    /// The page has a challenge to answer.
    Challenged { stream: u16 },
    /// auth is verifying the answer. The request then goes to the broker on the new channel.
    Answered { stream: StreamId, request: Request },
    /// auth is looking for a client key that waits to be bound.
    BindingAsked,
    /// The page has to bind the key that was found, with a touch, or to decline.
    BindingFound,
    /// auth is verifying the answer, or is told that there is none.
    BindingAnswered,
    /// auth is listing the keys of the account, or removing one. It takes no touch, but the same turn.
    KeysAsked,
}

impl StepUp {
    /// Whether auth has been asked something and has not answered yet.
    pub(super) fn is_waiting(&self) -> bool {
        match self {
            Self::Asked { .. }
            | Self::Answered { .. }
            | Self::BindingAsked
            | Self::BindingAnswered
            | Self::KeysAsked => true,
            Self::Idle | Self::Challenged { .. } | Self::BindingFound => false,
        }
    }

    /// Whether the page has a challenge to answer on this stream.
    pub(super) fn is_challenged(&self, on: u16) -> bool {
        matches!(self, Self::Challenged { stream } if *stream == on)
    }
}
