//! The streams of a signed-in connection, and the requests that the broker has not answered yet.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::client::Client;
use super::closing::Closing;
use super::steps::{Action, Control, StreamId, tell};
use crate::names::{MachineChange, SessionId, Target, TermSize, Theme};
use crate::protocol::page::{STREAMS_MAX, StreamKind, ToPage};
use crate::protocol::principal::{Answer, Ask, REQUESTS_MAX, Request};
use crate::protocol::{EndReason, GuestRole, OpeningStep, Refusal};

/// How long the front tries to reattach a view that broke off. systemd restarts its worker within a
/// second; the broker waits 20 s for a worker.
pub(super) const REATTACH_TIMEOUT: Duration = Duration::from_secs(30);

/// The pause between a refused attempt to reattach and the next one.
pub(super) const REATTACH_DELAY: Duration = Duration::from_millis(250);

/// Most times in a row that a view is reattached. Two breaks count as in a row if they are less
/// than [`REATTACH_TIMEOUT`] apart. After one more the stream is closed.
pub(in crate::front) const BROKEN_OFF_MAX: u32 = 8;

/// The streams of a connection, and its pending requests.
#[derive(Debug)]
pub(super) struct Streams {
    client: Client,
    /// The number of the next request.
    next: u32,
    pending: BTreeMap<u32, Pending>,
    streams: BTreeMap<u16, Stream>,
    follows: bool,
}

/// A request that the broker has not answered yet.
#[derive(Debug)]
pub(super) enum Pending {
    Lobby,
    Follow,
    Open {
        stream: u16,
    },
    /// Reattach a view that broke off.
    Again {
        stream: u16,
    },
    Name,
    Share,
    EndSession,
    Change(MachineChange),
}

/// One stream of the page.
#[derive(Debug)]
struct Stream {
    id: StreamId,
    kind: StreamKind,
    state: StreamState,
    /// The last size that the page sent. A command has none, nor has a view with fewer rights.
    size: TermSize,
    /// The most that the view may do, if it was asked for with fewer rights than there are.
    most: Option<GuestRole>,
    /// The last theme that the page sent. Each new viewer gets it.
    theme: Option<Theme>,
    /// The page has ended its input.
    input_ended: bool,
    /// How often the view broke off in a row, and the time of the last break.
    broken: Option<(u32, Instant)>,
    /// The channel on which the broker is asked for its view.
    via: Via,
}

/// The channel on which the broker is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Via {
    /// The principal channel of the connection.
    SignIn,
    /// The channel of a step-up for the stream.
    StepUp,
    /// The channel of a step-up that has been closed.
    LostStepUp,
}

#[derive(Debug)]
enum StreamState {
    /// The broker has not answered the request to open it.
    Opening {
        /// The size in the request.
        asked: TermSize,
    },
    /// The view is attached to this session, or it runs the command.
    Live(SessionId),
    /// The view broke off and is being reattached. The session lives as long as its shell.
    Again {
        session: SessionId,
        /// The size in the last request.
        asked: TermSize,
        /// When to ask the broker next; `None` while a request is pending.
        at: Option<Instant>,
    },
}

impl Stream {
    /// When the next request to reattach is due.
    fn due(&self) -> Option<Instant> {
        match self.state {
            StreamState::Again { at, .. } => at,
            StreamState::Opening { .. } | StreamState::Live(_) => None,
        }
    }

    fn control(&self, control: Control) -> Vec<Action> {
        match self.state {
            StreamState::Live(_) => vec![Action::Control { id: self.id, control }],
            // A new viewer starts with a snapshot, in the last size and theme.
            StreamState::Opening { .. } | StreamState::Again { .. } => Vec::new(),
        }
    }
}

impl Streams {
    /// Creates the state of a connection that has just signed in.
    pub(super) fn new(client: Client) -> Self {
        Self { client, next: 0, pending: BTreeMap::new(), streams: BTreeMap::new(), follows: false }
    }

    /// Says that a request without a stream is done, to a client that has no other way to learn it.
    fn done(&self) -> Vec<Action> {
        match self.client {
            Client::Page => Vec::new(),
            Client::CommandLine => tell(ToPage::Done {}),
        }
    }

    /// Sends a request to the broker, unless [`REQUESTS_MAX`] requests are pending.
    pub(super) fn ask(&mut self, asked: Pending, ask: Ask) -> Vec<Action> {
        self.ask_via(asked, ask, Via::SignIn)
    }

    fn ask_via(&mut self, asked: Pending, ask: Ask, via: Via) -> Vec<Action> {
        if self.pending.len() >= REQUESTS_MAX {
            let stream = match asked {
                Pending::Open { stream } | Pending::Again { stream } => Some(stream),
                Pending::Change(change) => {
                    return tell(ToPage::MachineChanged { change, refusal: Some(Refusal::TooMany) });
                }
                Pending::Lobby | Pending::Follow | Pending::Name | Pending::Share | Pending::EndSession => {
                    None
                }
            };
            return tell(ToPage::Refused { stream, refusal: Refusal::TooMany });
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let request = Request { number, ask };
        let action = match (via, &asked) {
            (Via::StepUp, Pending::Open { stream } | Pending::Again { stream }) => {
                Action::AskSteppedUp { stream: *stream, request }
            }
            // A stream that has lost the channel of its step-up is not asked for again.
            (
                Via::StepUp,
                Pending::Lobby
                | Pending::Follow
                | Pending::Name
                | Pending::Share
                | Pending::EndSession
                | Pending::Change(_),
            )
            | (Via::SignIn | Via::LostStepUp, _) => Action::Ask(request),
        };
        self.pending.insert(number, asked);
        vec![action]
    }

    /// Opens a stream, and sends the request for it.
    pub(super) fn open(&mut self, stream: u16, size: TermSize, ask: Ask) -> Result<Vec<Action>, Closing> {
        self.place(StreamKind::Terminal, stream, size, (ask, Via::SignIn))
    }

    /// Opens a stream for a view with no more rights than this role, and sends the request for it.
    pub(super) fn attach_as(
        &mut self,
        stream: u16,
        session: SessionId,
        role: GuestRole,
    ) -> Result<Vec<Action>, Closing> {
        let actions = self.open(stream, TermSize::DEFAULT, Ask::AttachAs { session, role })?;
        if let Some(opening) = self.streams.get_mut(&stream) {
            opening.most = Some(role);
        }
        Ok(actions)
    }

    /// Asks to be told of every session.
    pub(super) fn follow(&mut self) -> Vec<Action> {
        self.ask(Pending::Follow, Ask::Follow)
    }

    /// Whether the client is told of every session.
    pub(super) fn follows(&self) -> bool {
        self.follows
    }

    /// Opens a stream of kind exec, and sends the request for it.
    pub(super) fn exec(&mut self, stream: u16, ask: Ask) -> Result<Vec<Action>, Closing> {
        self.place(StreamKind::Exec, stream, TermSize::DEFAULT, (ask, Via::SignIn))
    }

    /// Opens a stream of which the request is to be sent on the channel of a step-up, once there is
    /// one. Returns the request, or what to do if there is no room for the stream.
    pub(super) fn open_stepped_up(
        &mut self,
        stream: u16,
        size: TermSize,
        ask: Ask,
    ) -> Result<Result<(StreamId, Request), Vec<Action>>, Closing> {
        let mut actions = self.place(StreamKind::Terminal, stream, size, (ask, Via::StepUp))?;
        match (actions.pop(), self.streams.get(&stream)) {
            (Some(Action::AskSteppedUp { request, .. }), Some(opening)) => Ok(Ok((opening.id, request))),
            (last, _) => Ok(Err(actions.into_iter().chain(last).collect())),
        }
    }

    fn place(
        &mut self,
        kind: StreamKind,
        stream: u16,
        size: TermSize,
        (ask, via): (Ask, Via),
    ) -> Result<Vec<Action>, Closing> {
        if self.streams.contains_key(&stream) {
            return Err(Closing::BadMessage("a stream that is open was opened"));
        }
        if self.streams.len() >= STREAMS_MAX {
            return Ok(tell(ToPage::Refused { stream: Some(stream), refusal: Refusal::TooMany }));
        }
        let id = StreamId { stream, request: self.next };
        let actions = self.ask_via(Pending::Open { stream }, ask, via);
        if self.pending.contains_key(&id.request) {
            let state = StreamState::Opening { asked: size };
            let (theme, input_ended, broken) = (None, false, None);
            let most = None;
            let opening = Stream { id, kind, state, size, most, theme, input_ended, broken, via };
            self.streams.insert(stream, opening);
        }
        Ok(actions)
    }

    pub(super) fn reply(
        &mut self,
        number: u32,
        answer: Answer,
        now: Instant,
    ) -> Result<Vec<Action>, Closing> {
        let asked =
            self.pending.remove(&number).ok_or(Closing::Broken("the broker answered what was not asked"))?;
        match (asked, answer) {
            (Pending::Lobby, Answer::Lobby { targets, sessions, machines, tasks }) => {
                Ok(tell(ToPage::Lobby { targets, sessions, machines, tasks }))
            }
            (Pending::Follow, Answer::Following(sessions)) => {
                self.follows = true;
                Ok(tell(ToPage::Following { sessions }))
            }
            (
                Pending::Open { stream } | Pending::Again { stream },
                Answer::Opened { session, target, left },
            ) => Ok(self.opened(StreamId { stream, request: number }, session, target, left)),
            (Pending::Again { stream }, Answer::Refused(refusal)) => {
                Ok(self.refused_again(StreamId { stream, request: number }, refusal, now))
            }
            (Pending::Open { stream }, Answer::Refused(refusal)) => {
                let wanted = self.forget(StreamId { stream, request: number });
                let refused = ToPage::Refused { stream: Some(stream), refusal };
                Ok(if wanted { tell(refused) } else { Vec::new() })
            }
            // The page is told by the views of the session, which end.
            (Pending::EndSession, Answer::Ending) => Ok(self.done()),
            // The broker sends `sharing` to each viewer of the session.
            (Pending::Share, Answer::Shared) => Ok(self.done()),
            (Pending::Name, Answer::Named) => Ok(match self.client {
                Client::Page => self.ask(Pending::Lobby, Ask::Lobby),
                Client::CommandLine => self.done(),
            }),
            (Pending::Change(change), Answer::Changed) => Ok(self.changed(change, None)),
            (Pending::Change(change), Answer::Refused(refusal)) => Ok(self.changed(change, Some(refusal))),
            (
                Pending::Lobby | Pending::Follow | Pending::Name | Pending::Share | Pending::EndSession,
                Answer::Refused(refusal),
            ) => Ok(tell(ToPage::Refused { stream: None, refusal })),
            (
                Pending::Lobby
                | Pending::Follow
                | Pending::Open { .. }
                | Pending::Again { .. }
                | Pending::Name
                | Pending::Share
                | Pending::EndSession
                | Pending::Change(_),
                Answer::Lobby { .. }
                | Answer::Opened { .. }
                | Answer::Named
                | Answer::Changed
                | Answer::Shared
                | Answer::Following(_)
                | Answer::Ending
                | Answer::AllSessions(_),
            ) => Err(Closing::Broken("the broker answered something else than was asked")),
        }
    }

    fn changed(&mut self, change: MachineChange, refusal: Option<Refusal>) -> Vec<Action> {
        let mut actions = tell(ToPage::MachineChanged { change, refusal });
        actions.extend(self.ask(Pending::Lobby, Ask::Lobby));
        actions
    }

    /// Tells the page how far an opening is, if the page still waits for it.
    pub(super) fn progress(&self, number: u32, step: OpeningStep) -> Vec<Action> {
        match self.pending.get(&number) {
            Some(Pending::Open { stream }) if self.streams.contains_key(stream) => {
                tell(ToPage::Progress { stream: *stream, step })
            }
            // Nobody waits for it, or the broker reports what was not asked: there is nothing to tell.
            Some(_) | None => Vec::new(),
        }
    }

    /// The broker has opened a view. If the page has closed the stream meanwhile, the descriptor is
    /// dropped and the session stays in its list.
    fn opened(&mut self, id: StreamId, session: SessionId, target: Target, left: Option<u32>) -> Vec<Action> {
        let Some(stream) = self.stream(id) else { return Vec::new() };
        let (asked, again) = match stream.state {
            StreamState::Opening { asked } => (asked, false),
            StreamState::Again { asked, .. } => (asked, true),
            // Cannot happen: the first reply to a request removes its number.
            StreamState::Live(_) => return Vec::new(),
        };
        stream.state = StreamState::Live(session.clone());
        if stream.kind == StreamKind::Exec {
            return vec![Action::StartExec { id, session, target }];
        }
        let size = (stream.size != asked).then_some(stream.size);
        let ended = stream.input_ended.then_some(Action::EndInput(id));
        let theme = stream.theme;
        let start = Action::StartStream { id, session, target, left, size, theme, again };
        [start].into_iter().chain(ended).collect()
    }

    /// A view broke off, but its session is not known to have ended: the front asks for it again.
    /// The page notices only the snapshot that the new view starts with.
    pub(super) fn broke(&mut self, id: StreamId, now: Instant) -> Vec<Action> {
        let Some(stream) = self.stream(id) else { return Vec::new() };
        let StreamState::Live(session) = &stream.state else { return Vec::new() };
        let session = session.clone();
        if stream.kind == StreamKind::Exec {
            return self.over(id, EndReason::WorkerGone);
        }
        let before = stream.broken.filter(|(_, last)| now < *last + REATTACH_TIMEOUT);
        let times = before.map_or(0, |(times, _)| times) + 1;
        stream.broken = Some((times, now));
        if times > BROKEN_OFF_MAX || stream.via == Via::LostStepUp {
            return self.over(id, EndReason::ViewLost);
        }
        stream.state = StreamState::Again { session, asked: stream.size, at: Some(now) };
        self.ask_again(now)
    }

    /// Sends the requests to reattach that are due.
    pub(super) fn ask_again(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        while self.pending.len() < REQUESTS_MAX {
            let (request, latest) = (self.next, &mut self.streams);
            let Some(due) = latest.values_mut().find(|stream| stream.due().is_some_and(|at| at <= now))
            else {
                break;
            };
            let StreamState::Again { session, asked, at } = &mut due.state else { break };
            (*asked, *at) = (due.size, None);
            due.id.request = request;
            let session = session.clone();
            let ask = match due.most {
                Some(role) => Ask::AttachAs { session, role },
                None => Ask::Attach { session, size: due.size },
            };
            let stream = due.id.stream;
            let via = due.via;
            actions.extend(self.ask_via(Pending::Again { stream }, ask, via));
        }
        actions
    }

    /// When [`Self::ask_again`] is due next. `None` if nothing is due, or if [`REQUESTS_MAX`]
    /// requests are pending: then the next reply makes room.
    pub(super) fn next_again(&self) -> Option<Instant> {
        if self.pending.len() >= REQUESTS_MAX {
            return None;
        }
        self.streams.values().filter_map(Stream::due).min()
    }

    /// The broker refused to reattach a view. If its worker is being restarted, the front tries
    /// again later. Any other refusal ends the stream, and the page is told why.
    fn refused_again(&mut self, id: StreamId, refusal: Refusal, now: Instant) -> Vec<Action> {
        let Some(stream) = self.stream(id) else { return Vec::new() };
        let in_time = stream.broken.is_some_and(|(_, last)| now < last + REATTACH_TIMEOUT);
        match &mut stream.state {
            StreamState::Again { at, .. } if refusal == Refusal::WorkerUnavailable && in_time => {
                *at = Some(now + REATTACH_DELAY);
                Vec::new()
            }
            StreamState::Again { .. } | StreamState::Opening { .. } | StreamState::Live(_) => {
                self.over(id, after(refusal))
            }
        }
    }

    /// The step-up for a stream was refused: nothing is asked of the broker.
    pub(super) fn not_stepped_up(&mut self, id: StreamId, refusal: Refusal) -> Vec<Action> {
        self.pending.remove(&id.request);
        let refused = ToPage::Refused { stream: Some(id.stream), refusal };
        if self.forget(id) { tell(refused) } else { Vec::new() }
    }

    /// The channel of the step-up for a stream is closed. A request on it gets no reply, and the
    /// view cannot be reattached any more; one that is open is closed by its worker.
    pub(super) fn step_up_lost(&mut self, stream: u16) -> Vec<Action> {
        let Some(Stream { id, state, via: via @ Via::StepUp, .. }) = self.streams.get_mut(&stream) else {
            return Vec::new();
        };
        *via = Via::LostStepUp;
        let id = *id;
        match state {
            StreamState::Opening { .. } => self.not_stepped_up(id, Refusal::Unavailable),
            StreamState::Again { .. } => {
                self.pending.remove(&id.request);
                self.over(id, EndReason::ViewLost)
            }
            StreamState::Live(_) => Vec::new(),
        }
    }

    /// Whether this stream is still there.
    pub(super) fn is_there(&self, id: StreamId) -> bool {
        self.streams.get(&id.stream).is_some_and(|stream| stream.id == id)
    }

    /// Whether there is such a stream.
    pub(super) fn has(&self, stream: u16) -> bool {
        self.streams.contains_key(&stream)
    }

    fn over(&mut self, id: StreamId, reason: EndReason) -> Vec<Action> {
        self.forget(id);
        tell(ToPage::Closed { stream: id.stream, reason, exit: None })
    }

    /// A view could not start because its worker does not answer.
    pub(super) fn failed(&mut self, id: StreamId, now: Instant) -> Vec<Action> {
        let broke_off_before = self.stream(id).is_some_and(|stream| stream.broken.is_some());
        if broke_off_before {
            return self.broke(id, now);
        }
        let refused = ToPage::Refused { stream: Some(id.stream), refusal: Refusal::WorkerUnavailable };
        if self.forget(id) { tell(refused) } else { Vec::new() }
    }

    /// Handles input for a stream that currently takes none. If the stream does not exist, it ended
    /// before the page was told, and the input is ignored. Input that arrives while the view is
    /// being reattached is dropped, and the page is told.
    pub(super) fn stray_bytes(&self, stream: u16, length: u64) -> Vec<Action> {
        match self.streams.get(&stream).map(|stream| &stream.state) {
            Some(StreamState::Again { .. }) => tell(ToPage::InputDropped { stream, bytes: length }),
            Some(StreamState::Opening { .. } | StreamState::Live(_)) | None => Vec::new(),
        }
    }

    pub(super) fn resize(&mut self, stream: u16, size: TermSize) -> Result<Vec<Action>, Closing> {
        let Some(stream) = self.terminal(stream)? else { return Ok(Vec::new()) };
        stream.size = size;
        Ok(stream.control(Control::Size(size)))
    }

    pub(super) fn theme(&mut self, stream: u16, theme: Theme) -> Result<Vec<Action>, Closing> {
        let Some(stream) = self.terminal(stream)? else { return Ok(Vec::new()) };
        stream.theme = Some(theme);
        Ok(stream.control(Control::Theme(theme)))
    }

    /// Forwards a request to a stream. If the stream does not exist, it ended before the page was
    /// told, and the request is ignored.
    pub(super) fn control(&mut self, stream: u16, control: Control) -> Result<Vec<Action>, Closing> {
        let stream = self.terminal(stream)?;
        Ok(stream.map(|stream| stream.control(control)).unwrap_or_default())
    }

    /// The stream of kind terminal with this number, if there is one.
    fn terminal(&mut self, stream: u16) -> Result<Option<&mut Stream>, Closing> {
        let stream = self.streams.get_mut(&stream);
        if stream.as_ref().is_some_and(|stream| stream.kind != StreamKind::Terminal) {
            return Err(Closing::BadMessage("a stream of another kind has no terminal"));
        }
        Ok(stream)
    }

    pub(super) fn end(&mut self, stream: u16) -> Result<Vec<Action>, Closing> {
        let Some(stream) = self.terminal(stream)? else { return Ok(Vec::new()) };
        if std::mem::replace(&mut stream.input_ended, true) {
            return Err(Closing::BadMessage("the input of a stream was ended twice"));
        }
        Ok(match stream.state {
            StreamState::Live(_) => vec![Action::EndInput(stream.id)],
            StreamState::Opening { .. } | StreamState::Again { .. } => Vec::new(),
        })
    }

    pub(super) fn close(&mut self, stream: u16) -> Vec<Action> {
        match self.streams.remove(&stream) {
            Some(Stream { id, state: StreamState::Live(_), .. }) => vec![Action::CloseStream(id)],
            Some(Stream { state: StreamState::Opening { .. } | StreamState::Again { .. }, .. }) | None => {
                Vec::new()
            }
        }
    }

    fn stream(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.streams.get_mut(&id.stream).filter(|stream| stream.id == id)
    }

    /// Frees the number of a stream. Returns whether the number still belonged to that stream.
    pub(super) fn forget(&mut self, id: StreamId) -> bool {
        let there = self.stream(id).is_some();
        if there {
            self.streams.remove(&id.stream);
        }
        there
    }
}

/// The reason why a stream ends, given the refusal to reattach it.
fn after(refusal: Refusal) -> EndReason {
    match refusal {
        Refusal::NoSuchSession => EndReason::WorkerGone,
        Refusal::NotGranted | Refusal::NotByKey | Refusal::KeyExpired | Refusal::ResumeOver => {
            EndReason::ViewClosed
        }
        // The session still exists, and can be reopened from the list.
        Refusal::WorkerUnavailable
        | Refusal::TooMany
        | Refusal::VersionMismatch
        | Refusal::Unavailable
        | Refusal::UnknownPasskey
        | Refusal::ChallengeExpired
        | Refusal::LinkInvalid
        | Refusal::PasskeyRegistered
        | Refusal::MachineUnavailable
        | Refusal::NoSuchMachine
        | Refusal::MachineExists
        | Refusal::MachineInUse
        | Refusal::TooManyMachines
        | Refusal::ChangeUnderWay
        | Refusal::NotChanged
        | Refusal::MachineWithoutBus
        | Refusal::MachinedUnavailable
        | Refusal::ShellTimedOut
        | Refusal::ShellRefused
        | Refusal::TouchRequired
        | Refusal::NoTouchNeeded
        | Refusal::TouchStale
        | Refusal::TouchSpent
        | Refusal::PasskeyOfAnother
        | Refusal::ReasonRequired
        | Refusal::NotATerminal
        | Refusal::NotShareable
        | Refusal::OnlyToWatch
        | Refusal::Yourself
        | Refusal::Busy
        | Refusal::TooManyFailures
        | Refusal::BadMessage
        | Refusal::NotOperator
        | Refusal::NoAccountOfUser
        | Refusal::UnixUserTaken
        | Refusal::AccountExists
        | Refusal::AccountUnusable
        | Refusal::NoSuchAccount
        | Refusal::NotRevoked
        | Refusal::StorageFailed
        | Refusal::MayNotLast
        | Refusal::MachineNotMade
        | Refusal::UnknownKey
        | Refusal::CodeInvalid
        | Refusal::KeyDeclined
        | Refusal::KeysFull
        | Refusal::NoSuchKey
        | Refusal::PasskeysFull => EndReason::ViewLost,
    }
}
