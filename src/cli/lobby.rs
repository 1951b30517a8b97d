//! The list of sessions and targets, as the broker gives it.

use super::ask::{PrincipalChannel, Unanswered};
use crate::names::Target;
use crate::protocol::SessionSummary;
use crate::protocol::principal::{Answer, Ask, SESSIONS_A_PAGE};
use crate::protocol::vouch::Principal;
use crate::wire::WireError;

/// What a principal may view and open.
#[derive(Debug, Default)]
pub(super) struct Lobby {
    pub(super) sessions: Vec<SessionSummary>,
    /// None for the operator.
    pub(super) targets: Vec<Target>,
}

impl Lobby {
    /// Asks the broker.
    pub(super) async fn of(channel: &mut PrincipalChannel) -> Result<Self, Unanswered> {
        let out_of_turn = || WireError::OutOfTurn.into();
        if matches!(channel.principal, Principal::Account(_)) {
            let Answer::Lobby { sessions, targets, .. } = channel.ask(Ask::Lobby, |_| {}).await?.0 else {
                return Err(out_of_turn());
            };
            let targets = targets.into_iter().map(|granted| granted.target).collect();
            return Ok(Self { sessions, targets });
        }
        let mut sessions: Vec<SessionSummary> = Vec::new();
        loop {
            let after = sessions.last().map(|session| session.id.clone());
            let Answer::AllSessions(page) = channel.ask(Ask::AllSessions { after }, |_| {}).await?.0 else {
                return Err(out_of_turn());
            };
            let is_last = page.len() < SESSIONS_A_PAGE;
            sessions.extend(page);
            if is_last {
                return Ok(Self { sessions, targets: Vec::new() });
            }
        }
    }
}
