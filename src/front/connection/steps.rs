//! The inputs and actions of the connection's core.

use crate::names::{AccountName, SessionId, Target, TermSize, Theme};
use crate::protocol::Refusal;
use crate::protocol::login::FromFront;
use crate::protocol::page::{Ceremony, FromPage, ToPage};
use crate::protocol::principal::{FromBroker, Request};

use super::closing::Closing;

/// A stream of the page: its number, and the number of the request that opened it, which tells it
/// from an earlier stream of the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StreamId {
    pub(super) stream: u16,
    pub(super) request: u32,
}

/// What happens to a connection. The bytes of its streams do not come by here.
#[derive(Debug)]
pub(super) enum Input {
    /// A text frame, read.
    Page(FromPage),
    /// A binary frame of this many bytes for a stream that takes none right now.
    StrayBytes { stream: u16, length: u64 },
    /// A frame that the core need not see: the page is there.
    Alive,
    /// A frame that cannot be read; with what is wrong with it.
    Unreadable(&'static str),
    /// The page closed the WebSocket, or it failed.
    PageGone,
    /// What auth made of the last [`FromFront`].
    Login(Verdict),
    /// What came on the principal channel. A descriptor that came with it is kept by the caller.
    Broker(FromBroker),
    /// The principal channel is closed, or the broker broke its protocol.
    BrokerLost,
    /// A stream is over; the page hears it from the stream itself.
    StreamOver(StreamId),
    /// A stream broke off; the page has not heard of it.
    StreamBroke(StreamId),
    /// A stream did not begin: its worker does not answer.
    StreamFailed(StreamId),
    /// The time that [`super::core::Core::deadline`] gave has come.
    Tick,
}

/// What auth makes of a step of the login.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The page is to answer this.
    Challenge { ceremony: Ceremony, options: serde_json::Value },
    /// The caller holds the principal channel of this account.
    SignedIn { account: AccountName },
    /// No.
    Refused(Refusal),
}

/// What a connection does, in this order.
#[derive(Debug, PartialEq)]
pub(super) enum Action {
    /// Say this to the page.
    Tell(ToPage),
    /// Say this to auth; its answer comes as [`Input::Login`].
    Login(FromFront),
    /// Say this to the broker.
    Ask(Request),
    /// Begin a stream on the descriptor that came with the reply just handled.
    StartStream {
        id: StreamId,
        session: SessionId,
        target: Target,
        /// The size of the page's window, if it has changed since the stream was asked for.
        size: Option<TermSize>,
        /// The colours in which the page shows it, if it has said so.
        theme: Option<Theme>,
        /// The page has this stream already: it broke off.
        again: bool,
    },
    /// Take no more input for a stream. What came before is delivered.
    EndInput(StreamId),
    /// Close a stream. Input that came before is delivered.
    CloseStream(StreamId),
    /// Pass a request of the page on to a stream.
    Control { id: StreamId, control: Control },
    /// Ask the browser for a sign of life.
    Probe,
    /// Tell the page and end the connection.
    Close(Closing),
}

/// What a page asks of a terminal stream, beside its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Control {
    /// The page's window has room for this size.
    Size(TermSize),
    /// The page has shown this many more bytes.
    Shown(u32),
    /// The page wants the whole scrollback.
    Refresh,
    /// The page wants the terminal's modes put back.
    ResetTerminal,
    /// The page shows the terminal in these colours.
    Theme(Theme),
}

/// The one action of saying this to the page.
pub(super) fn tell(message: ToPage) -> Vec<Action> {
    vec![Action::Tell(message)]
}
