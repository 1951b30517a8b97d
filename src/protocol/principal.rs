//! The principal channel: the socket that stands for an authenticated principal. front holds it for
//! an account, `tere` for the operator. [`super::vouch`] establishes it. The channel begins with a
//! handshake of its own, intent [`Intent::Principal`](crate::wire::Intent), because its holder is
//! another program than the one that established it.
//!
//! Packets are postcard. The requester chooses a number for each request; the reply has the same
//! number, and replies may arrive in another order. [`Answer::Opened`] carries one descriptor, the
//! viewer socket, or the command socket for `Exec`.

use serde::{Deserialize, Serialize};

use super::machine::{MachineSummary, StopReason, TaskMachines};
use super::{GrantedTarget, GuestRole, OpeningStep, Participant, Refusal, Role, SessionEnd, SessionSummary};
use crate::names::{AccountName, Label, MachineChange, MachineName, Reason, SessionId, Target, TermSize};
use crate::wire::{Message, PACKET_MAX};

/// Most pending requests on one principal channel. One more is refused with `too-many`.
pub const REQUESTS_MAX: usize = 32;

/// Most sessions in one `AllSessions`: with the longest names they still fit into a packet.
pub const SESSIONS_A_PAGE: usize = 96;

/// Most targets in one `Lobby`. Further granted targets are left out of the list.
pub const TARGETS_MAX: usize = 112;

/// Most sessions of other accounts in one `Lobby`. Further sessions shared with the account are
/// left out of the list, but the account can still attach to them by id.
pub const SHARED_MAX: usize = 32;

/// Most users of machines for tasks in one `Lobby`. Further ones are left out of the list.
pub const TASKS_MAX: usize = 8;

/// Most bytes of a reply besides its answer: the kind of message and the number of the request.
const REPLY_HEADER: usize = 6;

/// From the holder of the channel to the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Repeated in the reply.
    pub number: u32,
    /// The request itself.
    pub ask: Ask,
}

/// A request of a principal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// List the principal's targets and sessions.
    Lobby,
    /// Start a new session on this target, and view it. On the channel of a step-up if, and only
    /// if, the grant demands a touch.
    Open {
        /// The target.
        target: Target,
        /// The initial size of the terminal.
        size: TermSize,
        /// Why, in the person's words.
        reason: Option<Reason>,
    },
    /// Run one command on this target, without a terminal. The command itself is told to the
    /// worker: see [`super::exec`]. The same applies.
    Exec {
        /// The target.
        target: Target,
        /// Why, in the person's words.
        reason: Option<Reason>,
    },
    /// View an existing session. The same applies.
    Attach {
        /// The session.
        session: SessionId,
        /// The size of the viewer's terminal.
        size: TermSize,
    },
    /// View an existing session with no more rights than this role, whoever owns it. The size of
    /// its terminal stays as it is. Refused if the principal may do less.
    AttachAs {
        /// The session.
        session: SessionId,
        /// The most that the view may do.
        role: GuestRole,
    },
    /// Name one of the principal's own sessions, or remove its name.
    Name {
        /// The session.
        session: SessionId,
        /// The new name; `None` removes it.
        name: Option<Label>,
    },
    /// Share one of the principal's own sessions with an account, change what that account may do,
    /// or stop sharing.
    Share {
        /// The session.
        session: SessionId,
        /// The account to share it with.
        account: AccountName,
        /// The account's role; `None` stops sharing.
        role: Option<GuestRole>,
    },
    /// View any session, to look at its screen. For the operator.
    Show {
        /// The session.
        session: SessionId,
    },
    /// End a session.
    End {
        /// The session.
        session: SessionId,
    },
    /// Have a machine of the principal's own changed. Answered when the change is made.
    Change(MachineChange),
    /// Be told of every session that the principal may view, for as long as the channel lives: how
    /// it is now, and of each change.
    Follow,
    /// List the sessions of all accounts, sorted by id, at most [`SESSIONS_A_PAGE`] of them. For
    /// the operator.
    AllSessions {
        /// The last id of the previous page; `None` for the first page.
        after: Option<SessionId>,
    },
}

/// From the broker to the holder of the channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromBroker {
    /// The reply to a request.
    Reply {
        /// The number of the request.
        number: u32,
        /// The result of the request.
        answer: Answer,
    },
    /// How far the `Open` with this number is. More steps may follow, and then its reply.
    Progress {
        /// The number of the request.
        number: u32,
        /// The step that has begun.
        step: OpeningStep,
    },
    /// Who may view a session, and who does. Sent to each viewer of the session when its view
    /// begins, and on every change.
    Sharing {
        /// The session.
        session: SessionId,
        /// The people, the owner first.
        participants: Vec<Participant>,
        /// The role of the channel's principal.
        role: Role,
        /// The most that the policy lets the owner give a guest; `None` if it lets nothing be
        /// shared.
        shareable: Option<GuestRole>,
    },
    /// How a session is now: after `Follow`, for each session that the principal may view, and then
    /// whenever one of these facts is another.
    Session {
        /// The session, without its worker's report.
        summary: SessionSummary,
        /// The people, the owner first. Empty if a view of the session takes a touch.
        participants: Vec<Participant>,
    },
    /// A session of which the follower was told is over.
    SessionEnded {
        /// The session.
        session: SessionId,
        /// How.
        end: SessionEnd,
    },
    /// The follower may not view a session any more of which it was told.
    SessionHidden(SessionId),
    /// A machine stopped on which this principal had a session until a moment ago: the reason why
    /// that shell ended. A follower is told of every machine on which it is granted a target.
    MachineStopped {
        /// The machine.
        machine: MachineName,
        /// Why, if tere stopped it.
        why: Option<StopReason>,
    },
}

/// The result of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Answers `Lobby`.
    Lobby {
        /// Granted targets, in the order of the policy.
        targets: Vec<GrantedTarget>,
        /// The principal's live sessions, oldest first, then those that are shared with it.
        sessions: Vec<SessionSummary>,
        /// The principal's own machines that tere has made, sorted by name, at most
        /// [`MACHINES_MAX`](super::machine::MACHINES_MAX) of them, and fewer if the answer would
        /// not fit into a packet.
        machines: Vec<MachineSummary>,
        /// The machines for tasks that it may have made.
        tasks: Vec<TaskMachines>,
    },
    /// Answers `Change`: it is made.
    Changed,
    /// Answers `Name`.
    Named,
    /// Answers `Share`.
    Shared,
    /// Answers `Follow`, with the sessions that there are. Each comes as a `Session`.
    Following(Vec<SessionId>),
    /// Answers `Open`, `Attach` and `Show`, and carries the viewer socket; or `Exec`, and carries
    /// the command socket.
    Opened {
        /// The session in view.
        session: SessionId,
        /// The target that it runs on.
        target: Target,
        /// How many seconds are left until the session ends, if it has a time limit.
        left: Option<u32>,
    },
    /// Answers `End`: the shell has been hung up and will be gone in a moment.
    Ending,
    /// Answers `AllSessions`. A page of fewer than [`SESSIONS_A_PAGE`] is the last one.
    AllSessions(Vec<SessionSummary>),
    /// The request was refused.
    Refused(Refusal),
}

impl Answer {
    /// Leaves the alerts out of a list of sessions if it does not fit into a packet, and
    /// then machines out of a lobby, the last first, until it does. That concerns only dozens of
    /// sessions with the longest names and alerts, and an account with dozens of machines too.
    #[must_use]
    pub fn that_fits(mut self) -> Self {
        let fits = |answer: &Self| {
            postcard::to_allocvec(answer).is_ok_and(|bytes| bytes.len() <= PACKET_MAX - REPLY_HEADER)
        };
        if !fits(&self)
            && let Self::Lobby { sessions, .. } | Self::AllSessions(sessions) = &mut self
        {
            let abouts = sessions.iter_mut().filter_map(|session| session.about.as_mut());
            abouts.for_each(|about| about.alert = None);
        }
        while !fits(&self) {
            let Self::Lobby { machines, tasks, .. } = &mut self else { break };
            if machines.pop().is_none() && tasks.pop().is_none() {
                break;
            }
        }
        self
    }
}

impl Message for Request {}

impl Message for FromBroker {
    fn descriptors(&self) -> usize {
        match self {
            Self::Reply { answer: Answer::Opened { .. }, .. } => 1,
            Self::Reply {
                answer:
                    Answer::Lobby { .. }
                    | Answer::Changed
                    | Answer::Named
                    | Answer::Shared
                    | Answer::Following(_)
                    | Answer::Ending
                    | Answer::AllSessions(_)
                    | Answer::Refused(_),
                ..
            }
            | Self::Progress { .. }
            | Self::Sharing { .. }
            | Self::Session { .. }
            | Self::SessionEnded { .. }
            | Self::SessionHidden(_)
            | Self::MachineStopped { .. } => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Alert;
    use super::super::machine::{CHECKPOINTS_MAX, CheckpointReason, CheckpointSummary, MACHINES_MAX};
    use super::super::{About, Terms, VIEWING_MAX};
    use super::*;
    use crate::names::{ChangeKind, UnixUser};

    /// A summary with the longest possible names.
    fn summary() -> SessionSummary {
        let account: AccountName = "a".repeat(32).parse().unwrap();
        let label = Label::cut(&"a".repeat(1000));
        let size = TermSize::new(1000, 250).unwrap();
        let alert = Some(Alert { text: label.clone(), ago: u32::MAX });
        SessionSummary {
            id: "abcdefghijkl".parse().unwrap(),
            target: target(),
            opened: u64::MAX,
            left: Some(u32::MAX),
            touch: true,
            owner: account.clone(),
            role: Role::Watcher,
            name: label.clone(),
            viewing: vec![account; VIEWING_MAX],
            about: Some(About { title: label, size, idle: u32::MAX, viewers: u16::MAX, alert }),
            exec: true,
        }
    }

    fn target() -> Target {
        format!("{}@{}", "a".repeat(32), "a".repeat(64)).parse().unwrap()
    }

    #[test]
    fn the_longest_lists_fit_into_a_packet() {
        let sessions = vec![summary(); 64 + SHARED_MAX];
        let user: UnixUser = "a".repeat(32).parse().unwrap();
        let terms = Terms { touch: true, reason: true, limit: Some(u32::MAX) };
        let checkpoint = CheckpointSummary {
            checkpoint: u32::MAX,
            kept: u64::MAX,
            reason: CheckpointReason::BeforeRollback,
            home: true,
        };
        let machine = MachineSummary {
            machine: "a".repeat(64).parse().unwrap(),
            task: true,
            expires: Some(u64::MAX),
            outdated: true,
            checkpoints: vec![checkpoint; CHECKPOINTS_MAX],
            allow: vec![ChangeKind::Remove; 4],
        };
        let machines = vec![machine; MACHINES_MAX];
        let task = TaskMachines { user, terms, before: "a".repeat(64), after: "a".repeat(64) };
        let tasks = vec![task; TASKS_MAX];
        let lobby = Answer::Lobby {
            targets: vec![GrantedTarget { target: target(), terms }; TARGETS_MAX],
            sessions,
            machines,
            tasks,
        };
        let all = Answer::AllSessions(vec![summary(); SESSIONS_A_PAGE]);
        let following = Answer::Following(vec!["abcdefghijkl".parse().unwrap(); 1024]);
        for answer in [lobby, all, following].map(Answer::that_fits) {
            if let Answer::Lobby { targets, sessions, .. } = &answer {
                assert_eq!((targets.len(), sessions.len()), (TARGETS_MAX, 64 + SHARED_MAX));
            }
            let reply = FromBroker::Reply { number: u32::MAX, answer };
            let length = postcard::to_allocvec(&reply).unwrap().len();
            assert!(length <= PACKET_MAX, "{length} bytes");
        }
    }
}
