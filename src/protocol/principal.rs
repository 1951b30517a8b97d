//! The principal channel: the socket that IS an authenticated principal. front holds it for an
//! account, `tere` for the operator. Made by [`super::vouch`]; it begins with a handshake of its
//! own, intent [`Intent::Principal`](crate::wire::Intent), because its holder is another program.
//!
//! Packets are postcard. A request has a number, chosen by the asker; its reply bears the same
//! one, and replies may overtake each other. [`Answer::Opened`] carries one descriptor, the
//! viewer socket.

use serde::{Deserialize, Serialize};

use super::{GuestRole, Person, Refusal, Role, SessionSummary};
use crate::names::{AccountName, Label, MachineName, SessionId, Target, TermSize};
use crate::wire::Message;

/// Most requests under way at once on one principal channel; one more is refused with `too-many`.
pub const REQUESTS_MAX: usize = 32;

/// Most sessions in one `AllSessions`: with the longest names they fit into a packet.
pub const SESSIONS_A_PAGE: usize = 96;

/// Most targets in one `Lobby`; what an account is granted beyond them is left out of its list.
pub const TARGETS_MAX: usize = 128;

/// Most sessions of others in one `Lobby`; what is shared with an account beyond them is left out of
/// its list, and can be viewed by whoever knows its id.
pub const SHARED_MAX: usize = 32;

/// From the holder of the channel to the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Comes back in the reply.
    pub number: u32,
    /// What is asked.
    pub ask: Ask,
}

/// What a principal can ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// My targets and my sessions.
    Lobby,
    /// A new session on this target, and a view of it.
    Open {
        /// Where.
        target: Target,
        /// The size its terminal begins with.
        size: TermSize,
    },
    /// A view of a session that is there.
    Attach {
        /// Which.
        session: SessionId,
        /// The size of the viewer's terminal.
        size: TermSize,
    },
    /// Name a session of mine, or take its name away.
    Name {
        /// Which.
        session: SessionId,
        /// What it is called from now on.
        name: Option<Label>,
    },
    /// Share a session of mine with an account, change what it may do there, or share it no more.
    Share {
        /// Which.
        session: SessionId,
        /// With whom.
        account: AccountName,
        /// Writer or watcher; nothing for no more.
        role: Option<GuestRole>,
    },
    /// A view of any session, to look at its screen. For the operator.
    Show {
        /// Which.
        session: SessionId,
    },
    /// End a session.
    End {
        /// Which.
        session: SessionId,
    },
    /// The sessions of everybody, by id, at most [`SESSIONS_A_PAGE`] of them. For the operator.
    AllSessions {
        /// The last id of the page before; nothing for the first page.
        after: Option<SessionId>,
    },
}

/// From the broker to the holder of the channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromBroker {
    /// The reply to a request.
    Reply {
        /// Of the request.
        number: u32,
        /// What came of it.
        answer: Answer,
    },
    /// Who may view a session, and who does: said to each of its viewers when the view begins, and
    /// whenever it changes.
    Sharing {
        /// Of which.
        session: SessionId,
        /// The owner first.
        people: Vec<Person>,
        /// What whoever holds the channel may do.
        role: Role,
        /// Whether the owner may share it, by the policy.
        shareable: bool,
    },
    /// A machine went away on which this principal had a session until a moment ago: this is why
    /// the shell ended.
    MachineStopped(MachineName),
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// To `Lobby`.
    Lobby {
        /// Granted targets, in the order of the policy.
        targets: Vec<Target>,
        /// The principal's live sessions, oldest first, then those that are shared with it.
        sessions: Vec<SessionSummary>,
    },
    /// To `Name`.
    Named,
    /// To `Share`.
    Shared,
    /// To `Open`, `Attach` and `Show`. With the viewer socket.
    Opened {
        /// The session viewed.
        session: SessionId,
        /// Where it runs.
        target: Target,
    },
    /// To `End`: its shell is hung up and will be gone in a moment.
    Ending,
    /// To `AllSessions`. Fewer than [`SESSIONS_A_PAGE`]: these were the last.
    AllSessions(Vec<SessionSummary>),
    /// Not granted.
    Refused(Refusal),
}

impl Message for Request {}

impl Message for FromBroker {
    fn descriptors(&self) -> usize {
        match self {
            Self::Reply { answer: Answer::Opened { .. }, .. } => 1,
            Self::Reply {
                answer:
                    Answer::Lobby { .. }
                    | Answer::Named
                    | Answer::Shared
                    | Answer::Ending
                    | Answer::AllSessions(_)
                    | Answer::Refused(_),
                ..
            }
            | Self::Sharing { .. }
            | Self::MachineStopped(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{About, VIEWING_MAX};
    use super::*;
    use crate::wire::PACKET_MAX;

    /// The longest names that there are.
    fn summary() -> SessionSummary {
        let account: AccountName = "a".repeat(32).parse().unwrap();
        let label = Label::cut(&"a".repeat(1000));
        let size = TermSize::new(1000, 250).unwrap();
        SessionSummary {
            id: "abcdefghijkl".parse().unwrap(),
            target: target(),
            opened: u64::MAX,
            owner: account.clone(),
            role: Role::Watcher,
            name: label.clone(),
            viewing: vec![account; VIEWING_MAX],
            about: Some(About { title: label, size, idle: u32::MAX, viewers: u16::MAX }),
        }
    }

    fn target() -> Target {
        format!("{}@{}", "a".repeat(32), "a".repeat(64)).parse().unwrap()
    }

    #[test]
    fn the_longest_lists_fit_into_a_packet() {
        let sessions = vec![summary(); 64 + SHARED_MAX];
        let lobby = Answer::Lobby { targets: vec![target(); TARGETS_MAX], sessions };
        let all = Answer::AllSessions(vec![summary(); SESSIONS_A_PAGE]);
        for answer in [lobby, all] {
            let reply = FromBroker::Reply { number: u32::MAX, answer };
            let length = postcard::to_allocvec(&reply).unwrap().len();
            assert!(length <= PACKET_MAX, "{length} bytes");
        }
    }
}
