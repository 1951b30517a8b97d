//! The inputs and actions of the connection's core.

use crate::client_key::Nonce;
use crate::names::{AccountName, SessionId, Target, TermSize, Theme};
use crate::protocol::control::KeySummary;
use crate::protocol::login::FromFront;
use crate::protocol::page::{Ceremony, FromPage, ToPage};
use crate::protocol::principal::{FromBroker, Request};
use crate::protocol::{Refusal, SecretText};

use super::closing::Closing;

/// A stream of the page: its number, and the number of the request that opened it. The latter
/// distinguishes it from an earlier stream with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StreamId {
    pub(super) stream: u16,
    pub(super) request: u32,
}

/// An input of the core. The bytes of streams do not pass through the core.
#[derive(Debug)]
pub(super) enum Input {
    /// A decoded text frame.
    Page(FromPage),
    /// A binary frame with this many bytes, for a stream that currently takes no input.
    StrayBytes { stream: u16, length: u64 },
    /// A frame that does not concern the core, except that it shows the page to be alive.
    Alive,
    /// A pong with the number of the ping that it answers, if it has one.
    Pong { probe: Option<u32> },
    /// A frame that cannot be decoded, with the reason.
    Unreadable(&'static str),
    /// The page closed the WebSocket, or the WebSocket failed.
    PageGone,
    /// auth's answer to the last [`FromFront`].
    Login(Verdict),
    /// A message on the principal channel. The caller keeps the descriptor that came with it.
    Broker(FromBroker),
    /// The channel of the step-up for this stream is closed, or the broker broke its protocol
    /// there.
    StepUpLost(u16),
    /// The principal channel is closed, or the broker broke its protocol.
    BrokerLost,
    /// A stream has ended. The stream itself tells the page.
    StreamOver(StreamId),
    /// A view lost the connection to its worker (it broke off). The page has not been told.
    StreamBroke(StreamId),
    /// A stream could not start: its worker does not answer.
    StreamFailed(StreamId),
    /// The deadline given by [`super::core::Core::deadline`] has passed.
    Tick,
}

/// auth's answer to one step of a login.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The page must answer this challenge.
    Challenge { ceremony: Ceremony, options: serde_json::Value },
    /// This account is signed in. The caller holds its principal channel.
    SignedIn { account: AccountName, resume: Option<u32> },
    /// The keys of the account.
    Keys(Vec<KeySummary>),
    /// The command line or the page must sign this challenge.
    KeyChallenge { nonce: Nonce },
    /// The key of the command line waits to be bound. Another verdict follows.
    BindingCode { code: SecretText, seconds: u32 },
    /// The key of the command line is bound to this account.
    KeyBound { account: AccountName },
    /// The key of the command line is removed.
    KeyRemoved,
    /// A key that waits, and a challenge to bind it: [`ToPage::Binding`].
    Binding(Box<ToPage>),
    /// The key is bound to the account that is signed in.
    Bound,
    /// The account that is signed in has stepped up. The caller holds the channel for it.
    SteppedUp,
    /// The step was refused.
    Refused(Refusal),
}

/// An action for the caller to perform. Actions are performed in the order returned.
#[derive(Debug, PartialEq)]
pub(super) enum Action {
    /// Send this message to the page.
    Tell(ToPage),
    /// Send this question to auth. The answer arrives as [`Input::Login`].
    Login(FromFront),
    /// Send this request to the broker.
    Ask(Request),
    /// Keep the channel that came with [`Verdict::SteppedUp`], for this stream.
    KeepStepUp(u16),
    /// Send this request to the broker, on the channel of the step-up for this stream.
    AskSteppedUp { stream: u16, request: Request },
    /// Start a stream on the descriptor that came with the reply just handled.
    StartStream {
        id: StreamId,
        session: SessionId,
        target: Target,
        /// How many seconds are left until the session ends, if it has a time limit.
        left: Option<u32>,
        /// The size of the page's window, if it has changed since the request.
        size: Option<TermSize>,
        /// The page's theme, if the page has sent one.
        theme: Option<Theme>,
        /// Whether the page already has this stream, because an earlier view of it broke off.
        again: bool,
    },
    /// Start a stream of kind exec on the descriptor that came with the reply just handled.
    StartExec { id: StreamId, session: SessionId, target: Target },
    /// Accept no more input for a stream. Input received before is delivered.
    EndInput(StreamId),
    /// Close a stream. Input received before is delivered.
    CloseStream(StreamId),
    /// Forward a request of the page to a stream.
    Control { id: StreamId, control: Control },
    /// Send the browser a ping with this number.
    Probe { number: u32 },
    /// Tell the page why, and end the connection.
    Close(Closing),
}

/// A request of the page to a terminal stream, other than input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Control {
    /// The page has room for a terminal of this size.
    Size(TermSize),
    /// The page has displayed this many more bytes.
    Shown(u32),
    /// The page asks for a snapshot with the whole scrollback.
    Refresh,
    /// The page asks to reset the terminal's modes.
    ResetTerminal,
    /// The page displays the terminal in these colours.
    Theme(Theme),
}

/// Returns the single action of sending `message` to the page.
pub(super) fn tell(message: ToPage) -> Vec<Action> {
    vec![Action::Tell(message)]
}
