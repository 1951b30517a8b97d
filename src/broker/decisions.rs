//! The journal entries of decisions about sessions: who asked, which session, which machine.
//! tere-broker(8) lists their fields. No entry contains what a person typed.

use super::holder::Holder;
use super::records::Record;
use crate::names::{AccountName, MachineName, Reason, SessionId, Target};
use crate::protocol::principal::Ask;
use crate::protocol::{GuestRole, Refusal, Role, SessionEnd};

/// A decision about a session.
#[derive(Debug, Clone, Copy)]
pub(super) enum Decision<'a> {
    /// The session was opened, for this reason if the person gave one.
    Opened(Option<&'a Reason>),
    /// The session outlived an earlier broker, and this one has taken it over.
    TakenUp,
    /// A viewer with this role was made.
    Viewed(Role),
    /// The session was given another name, or its name was removed.
    Named,
    /// The session was shared with this account.
    Shared(&'a AccountName, GuestRole),
    /// The session is no longer shared with this account.
    NotShared(&'a AccountName),
    /// This guest may not type any more, by a policy that became narrower.
    KeyboardWithdrawn(&'a AccountName),
    /// The end of the session was requested.
    EndAsked,
    /// The account that opened the session was removed.
    Ownerless,
    /// The session is over.
    Ended(SessionEnd),
}

impl Decision<'_> {
    fn words(self, of: &Record) -> &'static str {
        match self {
            Self::Opened(_) if of.exec => "session opened for a command",
            Self::Opened(_) => "session opened",
            Self::TakenUp => "session taken up",
            Self::Viewed(_) => "session viewed",
            Self::Named => "session named",
            Self::Shared(..) => "session shared",
            Self::NotShared(_) => "session not shared any more",
            Self::KeyboardWithdrawn(_) => "keyboard withdrawn by the policy",
            Self::EndAsked => "end of session asked for",
            Self::Ownerless => "session is nobody's any more",
            Self::Ended(_) => "session ended",
        }
    }
}

/// Logs a decision. `by` is the holder of the channel that asked for it; without one, the session's
/// owner is logged as the account.
pub(super) fn note(decision: Decision<'_>, by: Option<&Holder>, of: &Record) {
    let purpose = if let Decision::Opened(reason) = decision { reason } else { None };
    let (guest, role, end) = match decision {
        Decision::Viewed(role) => (None, Some(role), None),
        Decision::Shared(guest, role) => (Some(guest), Some(role.into()), None),
        Decision::NotShared(guest) => (Some(guest), None, None),
        Decision::KeyboardWithdrawn(guest) => (Some(guest), Some(Role::Watcher), None),
        Decision::Ended(end) => (None, None, Some(end)),
        Decision::Opened(_)
        | Decision::TakenUp
        | Decision::Named
        | Decision::EndAsked
        | Decision::Ownerless => (None, None, None),
    };
    let Record { id, owner, target, .. } = of;
    tracing::info!(
        account = by.map_or_else(|| owner.to_string(), Holder::account),
        credential = by.and_then(|by| by.credential.as_ref()).map(display),
        session = %id,
        machine = %target.machine,
        user = %target.user,
        %owner,
        guest = guest.map(display),
        role = role.map(debug),
        purpose = purpose.map(display),
        reason = end.map(|end| display(end.reason)),
        exit_status = end.and_then(|end| end.exit).map(display),
        "{}",
        decision.words(of)
    );
}

/// The parts of a request that are logged.
#[derive(Debug)]
pub(super) struct LoggedRequest {
    what: &'static str,
    session: Option<SessionId>,
    target: Option<Target>,
    machine: Option<MachineName>,
    guest: Option<AccountName>,
}

impl LoggedRequest {
    /// Takes the parts to log from a request.
    pub(super) fn by(ask: &Ask) -> Self {
        let (what, session, target, guest) = match ask {
            Ask::Lobby => ("lobby", None, None, None),
            Ask::Open { target, .. } => ("open", None, Some(target), None),
            Ask::Exec { target, .. } => ("exec", None, Some(target), None),
            Ask::Attach { session, .. } => ("attach", Some(session), None, None),
            Ask::AttachAs { session, .. } => ("attach-as", Some(session), None, None),
            Ask::Name { session, .. } => ("name", Some(session), None, None),
            Ask::Share { session, account, .. } => ("share", Some(session), None, Some(account)),
            Ask::Show { session } => ("show", Some(session), None, None),
            Ask::Change(change) => {
                let machine = Some(change.machine().clone());
                return Self { what: "change", session: None, target: None, machine, guest: None };
            }
            Ask::End { session } => ("end", Some(session), None, None),
            Ask::AllSessions { .. } => ("all-sessions", None, None, None),
            Ask::Follow => ("follow", None, None, None),
        };
        let (session, target, guest) = (session.cloned(), target.cloned(), guest.cloned());
        Self { what, session, target, machine: None, guest }
    }

    /// The session that the request is about.
    pub(super) fn session(&self) -> Option<&SessionId> {
        self.session.as_ref()
    }

    /// Logs that the request is refused. `of` is the record of the session that it is about, if
    /// there is one.
    pub(super) fn note_refused(&self, by: &Holder, refusal: Refusal, of: Option<&Record>) {
        let target = self.target.as_ref().or(of.map(|record| &record.target));
        tracing::warn!(
            account = by.account(),
            credential = by.credential.as_ref().map(display),
            session = self.session.as_ref().map(display),
            machine = target.map(|target| &target.machine).or(self.machine.as_ref()).map(display),
            user = target.map(|target| display(&target.user)),
            owner = of.map(|record| display(&record.owner)),
            guest = self.guest.as_ref().map(display),
            asked = self.what,
            %refusal,
            "request refused"
        );
    }
}
