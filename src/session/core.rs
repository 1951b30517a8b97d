//! The state machine of a worker: messages in, actions out. It carries out no action itself; the
//! event loop around it is in `control`.

use std::os::fd::OwnedFd;

use super::command::CommandPtys;
use crate::names::{ReportKey, SessionId, TermSize};
use crate::protocol::worker::{FromWorker, Standing, ToWorker, UnreadInput, VIEWERS_MAX, ViewerId};
use crate::protocol::{EndReason, Role, SessionEnd, ShellExit};

/// An event that the state machine handles.
#[derive(Debug)]
pub(super) enum Input {
    /// A message from the broker. The descriptor is the PTY of `Adopt`.
    Broker(ToWorker, Option<OwnedFd>),
    /// The broker's message `Exec`.
    Exec { session: SessionId, ptys: CommandPtys, key: ReportKey },
    /// The broker closed its channel.
    BrokerGone,
    /// The shell has ended, and all of its output is in the ring.
    ShellEnded(EndedShell),
    /// The viewers' thread now applies this role to the viewer.
    RoleSet { viewer: ViewerId, role: Role },
    /// The viewer closed its socket, broke the protocol, or was closed.
    ViewerGone(ViewerId),
    /// systemd asks this process to stop.
    Stop,
    /// Every viewer has received everything, or its time is up.
    Flushed,
}

/// A shell that has ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct EndedShell {
    /// Total output in bytes.
    pub(super) printed: u64,
    /// How it ended, if its machine reported it.
    pub(super) exit: Option<ShellExit>,
}

/// An action for the control thread to carry out.
#[derive(Debug)]
pub(super) enum Action {
    /// Start to read from this PTY.
    Keep { pty: OwnedFd, session: SessionId, size: TermSize, report: ReportKey },
    /// Run a command behind these PTYs.
    Exec { session: SessionId, ptys: CommandPtys, key: ReportKey },
    /// Make a viewer, or the client of a command, and send the other end of its socket to the
    /// broker.
    MakeViewer { viewer: ViewerId, role: Role, size: TermSize },
    /// Change the role of a viewer.
    SetRole { viewer: ViewerId, role: Role },
    /// Tell a viewer that its view is closed, and close its socket.
    DropViewer(ViewerId, UnreadInput),
    /// Send the broker a description of the session.
    Describe,
    /// Send the broker this message.
    Tell(FromWorker),
    /// Send the viewers the remaining output and the reason for the end, and close them.
    Flush(SessionEnd),
    /// Exit in this way.
    Exit(Leave),
}

/// How a worker exits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// The session is over, or never began.
    Done,
    /// systemd asked for it: the next worker continues with what is in the store.
    Restart,
    /// The broker sent a message that is not allowed in this state.
    Violation,
}

/// The state of a session's worker.
#[derive(Debug, Default)]
pub(super) enum Core {
    /// Started, without a shell.
    #[default]
    Waiting,
    /// Keeping a PTY that has not had a viewer yet. The broker asks for the first viewer right
    /// after `Adopt`, so if the shell ends before that, the session continues until the viewer can
    /// see the end.
    Adopted {
        /// The shell, once it has ended.
        ended: Option<EndedShell>,
    },
    /// Keeping a PTY.
    Live {
        /// Numbers of the attached viewers. At most [`VIEWERS_MAX`].
        viewers: Vec<ViewerId>,
    },
    /// The viewers are being sent the remaining output.
    Ending(SessionEnd),
}

impl Core {
    /// A worker that continues the session of a previous worker, with these viewers.
    pub(super) fn resumed(viewers: Vec<ViewerId>) -> Self {
        Self::Live { viewers }
    }

    /// The state to report to a broker that connects.
    pub(super) fn standing(&self) -> Standing {
        match self {
            Self::Waiting => Standing::Waiting,
            Self::Live { viewers } => Standing::Keeping(viewers.clone()),
            Self::Adopted { .. } | Self::Ending(_) => Standing::Keeping(Vec::new()),
        }
    }

    /// Handles one input and returns the actions to carry out.
    pub(super) fn handle(&mut self, input: Input) -> Vec<Action> {
        match (&mut *self, input) {
            (Self::Waiting, Input::Broker(ToWorker::Adopt { session, size, report }, Some(pty))) => {
                *self = Self::Adopted { ended: None };
                vec![Action::Keep { pty, session, size, report }, Action::Tell(FromWorker::Adopted)]
            }
            (Self::Waiting, Input::Exec { session, ptys, key }) => {
                *self = Self::Adopted { ended: None };
                vec![Action::Exec { session, ptys, key }, Action::Tell(FromWorker::Adopted)]
            }
            (Self::Adopted { ended }, Input::Broker(ToWorker::Attach { viewer, role, size }, None)) => {
                let ended = *ended;
                *self = Self::Live { viewers: vec![viewer] };
                let mut actions = vec![Action::MakeViewer { viewer, role, size }];
                actions.extend(ended.into_iter().flat_map(|shell| self.shell_ended(shell)));
                actions
            }
            (Self::Adopted { ended }, Input::ShellEnded(shell)) => {
                *ended = Some(shell);
                Vec::new()
            }
            // The broker will not ask for the first viewer any more.
            (Self::Adopted { ended }, Input::BrokerGone) => {
                let ended = *ended;
                *self = Self::Live { viewers: Vec::new() };
                ended.map(|shell| self.shell_ended(shell)).unwrap_or_default()
            }
            (Self::Live { viewers }, Input::Broker(ToWorker::Attach { viewer, role, size }, None)) => {
                if viewers.contains(&viewer) {
                    return vec![Action::Exit(Leave::Violation)];
                }
                if viewers.len() >= VIEWERS_MAX {
                    return vec![Action::Tell(FromWorker::Full(viewer))];
                }
                viewers.push(viewer);
                vec![Action::MakeViewer { viewer, role, size }]
            }
            (Self::Live { viewers }, Input::Broker(ToWorker::SetRole { viewer, role }, None)) => {
                // The viewer may have gone a moment ago.
                if viewers.contains(&viewer) { vec![Action::SetRole { viewer, role }] } else { Vec::new() }
            }
            (Self::Live { viewers }, Input::Broker(ToWorker::Detach { viewer, unread }, None)) => {
                if viewers.contains(&viewer) { vec![Action::DropViewer(viewer, unread)] } else { Vec::new() }
            }
            (Self::Live { .. }, Input::RoleSet { viewer, role }) => {
                vec![Action::Tell(FromWorker::RoleSet { viewer, role })]
            }
            (Self::Live { viewers }, Input::ViewerGone(viewer)) => {
                viewers.retain(|there| *there != viewer);
                vec![Action::Tell(FromWorker::ViewerGone(viewer))]
            }
            (
                Self::Adopted { .. } | Self::Live { .. } | Self::Ending(_),
                Input::Broker(ToWorker::Describe, None),
            ) => vec![Action::Describe],
            (Self::Adopted { .. } | Self::Live { .. }, Input::Broker(ToWorker::End(reason), None)) => {
                self.end(reason.into())
            }
            (Self::Live { .. }, Input::ShellEnded(shell)) => self.shell_ended(shell),
            // A restart or an upgrade. To end the session, a request goes to the broker instead.
            (Self::Adopted { .. } | Self::Live { .. }, Input::Stop) => vec![Action::Exit(Leave::Restart)],
            (Self::Ending(end), Input::Flushed) => {
                vec![Action::Tell(FromWorker::Ended(*end)), Action::Exit(Leave::Done)]
            }
            // A session does not depend on the broker, which may be restarting.
            (Self::Live { .. } | Self::Ending(_), Input::BrokerGone) => Vec::new(),
            // A worker that was given no shell has nothing to keep.
            (Self::Waiting, Input::BrokerGone | Input::Stop | Input::Broker(ToWorker::End(_), None)) => {
                vec![Action::Exit(Leave::Done)]
            }
            // Messages that were in flight when the session ended come too late; `Ended` is their
            // answer.
            (
                Self::Ending(_),
                Input::Broker(
                    ToWorker::Attach { .. }
                    | ToWorker::SetRole { .. }
                    | ToWorker::Detach { .. }
                    | ToWorker::End(_),
                    None,
                )
                | Input::ShellEnded(_)
                | Input::RoleSet { .. }
                | Input::ViewerGone(_)
                | Input::Stop,
            ) => Vec::new(),
            // The worker's own threads send none of these in these states; ignoring them loses
            // nothing.
            (
                Self::Waiting,
                Input::ShellEnded(_) | Input::RoleSet { .. } | Input::ViewerGone(_) | Input::Flushed,
            )
            | (Self::Adopted { .. }, Input::RoleSet { .. } | Input::ViewerGone(_) | Input::Flushed)
            | (Self::Live { .. }, Input::Flushed) => Vec::new(),
            (
                Self::Waiting | Self::Adopted { .. } | Self::Live { .. } | Self::Ending(_),
                Input::Broker(..) | Input::Exec { .. },
            ) => {
                vec![Action::Exit(Leave::Violation)]
            }
        }
    }

    fn shell_ended(&mut self, shell: EndedShell) -> Vec<Action> {
        let reason = if shell.printed == 0 { EndReason::NeverStarted } else { EndReason::ShellEnded };
        self.end(SessionEnd { reason, exit: shell.exit })
    }

    fn end(&mut self, end: SessionEnd) -> Vec<Action> {
        *self = Self::Ending(end);
        vec![Action::Flush(end)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXIT: Option<ShellExit> = Some(ShellExit::Exited(3));
    const ENDED: SessionEnd = SessionEnd { reason: EndReason::ShellEnded, exit: EXIT };
    const NEVER_STARTED: SessionEnd = SessionEnd { reason: EndReason::NeverStarted, exit: None };

    fn shell_ended(printed: u64) -> Input {
        Input::ShellEnded(EndedShell { printed, exit: EXIT.filter(|_| printed > 0) })
    }

    fn pty() -> OwnedFd {
        crate::sys::seqpacket::pair().unwrap().0
    }

    fn adopt() -> Input {
        let session = "abcdefghijkl".parse().unwrap();
        let report = ReportKey::random().unwrap();
        Input::Broker(ToWorker::Adopt { session, size: TermSize::new(80, 24).unwrap(), report }, Some(pty()))
    }

    fn attach(number: u32) -> Input {
        let size = TermSize::new(80, 24).unwrap();
        let viewer = ViewerId(number);
        Input::Broker(ToWorker::Attach { viewer, role: Role::Owner, size }, None)
    }

    fn adopted() -> Core {
        let mut core = Core::default();
        core.handle(adopt());
        core
    }

    /// A live session whose first viewer has gone again.
    fn live() -> Core {
        let mut core = adopted();
        core.handle(attach(u32::MAX));
        core.handle(Input::ViewerGone(ViewerId(u32::MAX)));
        core
    }

    #[test]
    fn a_shell_that_ends_before_its_first_viewer_is_there_waits_for_it() {
        let mut core = adopted();
        assert!(core.handle(shell_ended(0)).is_empty());
        let seen = core.handle(attach(1));
        assert!(matches!(seen[..], [Action::MakeViewer { .. }, Action::Flush(NEVER_STARTED)]));
        let mut core = adopted();
        core.handle(shell_ended(1));
        let gone = core.handle(Input::BrokerGone);
        assert!(matches!(gone[..], [Action::Flush(ENDED)]));
    }

    #[test]
    fn a_shell_that_ends_is_flushed_before_the_worker_leaves() {
        let mut core = live();
        let flush = core.handle(shell_ended(1));
        assert!(matches!(flush[..], [Action::Flush(ENDED)]));
        assert!(core.handle(Input::BrokerGone).is_empty());
        let leave = core.handle(Input::Flushed);
        assert!(matches!(leave[..], [Action::Tell(FromWorker::Ended(ENDED)), Action::Exit(Leave::Done)]));
    }

    #[test]
    fn a_session_outlives_the_broker_but_a_waiting_worker_does_not() {
        assert!(live().handle(Input::BrokerGone).is_empty());
        let leave = Core::default().handle(Input::BrokerGone);
        assert!(matches!(leave[..], [Action::Exit(Leave::Done)]));
    }

    #[test]
    fn what_may_not_be_said_now_is_a_violation() {
        let violation = |actions: Vec<Action>| matches!(actions[..], [Action::Exit(Leave::Violation)]);
        assert!(violation(Core::default().handle(attach(1))));
        assert!(violation(live().handle(adopt())));
        let mut core = live();
        core.handle(attach(1));
        assert!(violation(core.handle(attach(1))));
    }

    #[test]
    fn a_restart_ends_no_session() {
        let restart = live().handle(Input::Stop);
        assert!(matches!(restart[..], [Action::Exit(Leave::Restart)]));
        let mut again = Core::resumed(vec![ViewerId(3)]);
        assert_eq!(again.standing(), Standing::Keeping(vec![ViewerId(3)]));
        assert!(matches!(again.handle(attach(4))[..], [Action::MakeViewer { .. }]));
    }

    #[test]
    fn viewers_are_bounded() {
        let mut core = live();
        for number in (0..).take(VIEWERS_MAX) {
            assert!(matches!(core.handle(attach(number))[..], [Action::MakeViewer { .. }]));
        }
        assert!(matches!(core.handle(attach(1000))[..], [Action::Tell(FromWorker::Full(_))]));
        core.handle(Input::ViewerGone(ViewerId(3)));
        assert!(matches!(core.handle(attach(1000))[..], [Action::MakeViewer { .. }]));
    }
}
