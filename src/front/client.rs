//! The two kinds of clients that a WebSocket may have.

use crate::protocol::page::{CLIENT_SUBPROTOCOL, FromPage, SUBPROTOCOL};

/// What is at the other end of a WebSocket, as its subprotocol and its `Origin` say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    /// The page, in a browser. Passkeys are asked for here.
    Page,
    /// `tere` from afar, which has a client key. No browser can be taken for it.
    CommandLine,
}

impl Client {
    /// The subprotocol that it speaks.
    pub(super) fn subprotocol(self) -> &'static str {
        match self {
            Self::Page => SUBPROTOCOL,
            Self::CommandLine => CLIENT_SUBPROTOCOL,
        }
    }

    /// Whether a client of this kind may send this message at all.
    pub(super) fn may_send(self, message: &FromPage) -> bool {
        match message {
            FromPage::SignIn {}
            | FromPage::Enrol { .. }
            | FromPage::Answer { .. }
            | FromPage::Resume { .. }
            | FromPage::Keys {}
            | FromPage::DropKey { .. }
            | FromPage::StepUp { .. }
            | FromPage::Touch { .. }
            | FromPage::FindBinding { .. }
            | FromPage::Bind { .. }
            | FromPage::DeclineBinding {} => self == Self::Page,
            FromPage::BindKey { .. }
            | FromPage::KeySignIn { .. }
            | FromPage::RemoveKey { .. }
            | FromPage::AttachAs { .. }
            | FromPage::Follow {}
            | FromPage::Exec { .. } => self == Self::CommandLine,
            FromPage::KeyAnswer { .. }
            | FromPage::List {}
            | FromPage::Open { .. }
            | FromPage::Attach { .. }
            | FromPage::Name { .. }
            | FromPage::Share { .. }
            | FromPage::EndSession { .. }
            | FromPage::ChangeMachine { .. }
            | FromPage::Resize { .. }
            | FromPage::Shown { .. }
            | FromPage::Refresh { .. }
            | FromPage::ResetTerminal { .. }
            | FromPage::Theme { .. }
            | FromPage::End { .. }
            | FromPage::Close { .. }
            | FromPage::Ping {} => true,
        }
    }
}
