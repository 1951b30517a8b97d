//! The streams of a signed-in connection, and the requests that the broker has not answered yet.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::closing::Closing;
use super::steps::{Action, Control, StreamId, tell};
use crate::names::{SessionId, Target, TermSize, Theme};
use crate::protocol::page::{STREAMS_MAX, ToPage};
use crate::protocol::principal::{Answer, Ask, REQUESTS_MAX, Request};
use crate::protocol::{EndReason, Refusal};

/// How long a view that broke off is asked for again. Its worker is started again within a second;
/// the broker waits 20 s for one.
pub(super) const AGAIN_WITHIN: Duration = Duration::from_secs(30);

/// From one refused attempt to the next.
pub(super) const AGAIN_PAUSE: Duration = Duration::from_millis(250);

/// A view that breaks off this often in a row, each time within [`AGAIN_WITHIN`] of the last, is over.
pub(in crate::front) const BROKEN_OFF_MAX: u32 = 8;

/// The streams of a connection, and its requests.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// The number of the next request.
    next: u32,
    pending: BTreeMap<u32, Pending>,
    streams: BTreeMap<u16, Stream>,
}

/// A request that the broker has not answered yet.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pending {
    Lobby,
    Open {
        stream: u16,
    },
    /// A stream that broke off, once more.
    Again {
        stream: u16,
    },
    Name,
    Share,
    EndSession,
}

/// A stream of the page.
#[derive(Debug)]
struct Stream {
    id: StreamId,
    state: StreamState,
    /// The last size that the page told.
    size: TermSize,
    /// The last theme that the page told: the next viewer is told it too.
    theme: Option<Theme>,
    /// The page sends no more input.
    input_ended: bool,
    /// How often the view broke off in a row, and when it did last.
    broken: Option<(u32, Instant)>,
}

#[derive(Debug)]
enum StreamState {
    /// Asked for.
    Opening {
        /// The size that was asked for.
        asked: TermSize,
    },
    /// Its viewer is there.
    Live(SessionId),
    /// Its viewer broke off, and is asked for again: the session is there as long as its shell.
    Again {
        session: SessionId,
        /// The size that was asked for.
        asked: TermSize,
        /// When to ask next; nothing while the broker has not answered.
        at: Option<Instant>,
    },
}

impl Stream {
    /// When its view is to be asked for again.
    fn due(&self) -> Option<Instant> {
        match self.state {
            StreamState::Again { at, .. } => at,
            StreamState::Opening { .. } | StreamState::Live(_) => None,
        }
    }

    fn control(&self, control: Control) -> Vec<Action> {
        match self.state {
            StreamState::Live(_) => vec![Action::Control { id: self.id, control }],
            // A viewer begins with the whole, in the last size and theme.
            StreamState::Opening { .. } | StreamState::Again { .. } => Vec::new(),
        }
    }
}

impl Streams {
    /// Asks the broker, if it has room for one more request.
    pub(super) fn ask(&mut self, asked: Pending, ask: Ask) -> Vec<Action> {
        if self.pending.len() >= REQUESTS_MAX {
            let stream = match asked {
                Pending::Open { stream } | Pending::Again { stream } => Some(stream),
                Pending::Lobby | Pending::Name | Pending::Share | Pending::EndSession => None,
            };
            return tell(ToPage::Refused { stream, refusal: Refusal::TooMany });
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.pending.insert(number, asked);
        vec![Action::Ask(Request { number, ask })]
    }

    pub(super) fn open(&mut self, stream: u16, size: TermSize, ask: Ask) -> Result<Vec<Action>, Closing> {
        if self.streams.contains_key(&stream) {
            return Err(Closing::BadMessage("a stream that is open was opened"));
        }
        if self.streams.len() >= STREAMS_MAX {
            return Ok(tell(ToPage::Refused { stream: Some(stream), refusal: Refusal::TooMany }));
        }
        let id = StreamId { stream, request: self.next };
        let actions = self.ask(Pending::Open { stream }, ask);
        if self.pending.contains_key(&id.request) {
            let state = StreamState::Opening { asked: size };
            let (theme, input_ended, broken) = (None, false, None);
            self.streams.insert(stream, Stream { id, state, size, theme, input_ended, broken });
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
            (Pending::Lobby, Answer::Lobby { targets, sessions }) => {
                Ok(tell(ToPage::Lobby { targets, sessions }))
            }
            (Pending::Open { stream } | Pending::Again { stream }, Answer::Opened { session, target }) => {
                Ok(self.opened(StreamId { stream, request: number }, session, target))
            }
            (Pending::Again { stream }, Answer::Refused(refusal)) => {
                Ok(self.refused_again(StreamId { stream, request: number }, refusal, now))
            }
            (Pending::Open { stream }, Answer::Refused(refusal)) => {
                let wanted = self.forget(StreamId { stream, request: number });
                let refused = ToPage::Refused { stream: Some(stream), refusal };
                Ok(if wanted { tell(refused) } else { Vec::new() })
            }
            // The views of the session end, and that is what the page hears.
            (Pending::EndSession, Answer::Ending) => Ok(Vec::new()),
            // What changed is said to each of the session's viewers.
            (Pending::Share, Answer::Shared) => Ok(Vec::new()),
            (Pending::Name, Answer::Named) => Ok(self.ask(Pending::Lobby, Ask::Lobby)),
            (
                Pending::Lobby | Pending::Name | Pending::Share | Pending::EndSession,
                Answer::Refused(refusal),
            ) => Ok(tell(ToPage::Refused { stream: None, refusal })),
            (
                Pending::Lobby
                | Pending::Open { .. }
                | Pending::Again { .. }
                | Pending::Name
                | Pending::Share
                | Pending::EndSession,
                Answer::Lobby { .. }
                | Answer::Opened { .. }
                | Answer::Named
                | Answer::Shared
                | Answer::Ending
                | Answer::AllSessions(_),
            ) => Err(Closing::Broken("the broker answered something else than was asked")),
        }
    }

    /// Where the page has left the stream meanwhile, the descriptor is dropped, and the session
    /// stays in its list.
    fn opened(&mut self, id: StreamId, session: SessionId, target: Target) -> Vec<Action> {
        let Some(stream) = self.stream(id) else { return Vec::new() };
        let (asked, again) = match stream.state {
            StreamState::Opening { asked } => (asked, false),
            StreamState::Again { asked, .. } => (asked, true),
            // A request is answered once: its number is gone after that.
            StreamState::Live(_) => return Vec::new(),
        };
        stream.state = StreamState::Live(session.clone());
        let size = (stream.size != asked).then_some(stream.size);
        let ended = stream.input_ended.then_some(Action::EndInput(id));
        let theme = stream.theme;
        let start = Action::StartStream { id, session, target, size, theme, again };
        [start].into_iter().chain(ended).collect()
    }

    /// A view broke off, though its session is not known to be over: it is asked for again. The
    /// page hears of it by the snapshot that comes then.
    pub(super) fn broke(&mut self, id: StreamId, now: Instant) -> Vec<Action> {
        let Some(stream) = self.stream(id) else { return Vec::new() };
        let StreamState::Live(session) = &stream.state else { return Vec::new() };
        let session = session.clone();
        let before = stream.broken.filter(|(_, last)| now < *last + AGAIN_WITHIN);
        let times = before.map_or(0, |(times, _)| times) + 1;
        stream.broken = Some((times, now));
        if times > BROKEN_OFF_MAX {
            return self.over(id, EndReason::ViewLost);
        }
        stream.state = StreamState::Again { session, asked: stream.size, at: Some(now) };
        self.ask_again(now)
    }

    /// Asks for the views that broke off and are due.
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
            let (stream, ask) = (due.id.stream, Ask::Attach { session: session.clone(), size: due.size });
            actions.extend(self.ask(Pending::Again { stream }, ask));
        }
        actions
    }

    /// When [`Self::ask_again`] has something to do next. Where too much is asked already, after the next reply.
    pub(super) fn next_again(&self) -> Option<Instant> {
        if self.pending.len() >= REQUESTS_MAX {
            return None;
        }
        self.streams.values().filter_map(Stream::due).min()
    }

    /// A worker that is just being started again is asked for once more; anything else is the end of
    /// the view, and the page is told what becomes of the session.
    fn refused_again(&mut self, id: StreamId, refusal: Refusal, now: Instant) -> Vec<Action> {
        let Some(stream) = self.stream(id) else { return Vec::new() };
        let in_time = stream.broken.is_some_and(|(_, last)| now < last + AGAIN_WITHIN);
        match &mut stream.state {
            StreamState::Again { at, .. } if refusal == Refusal::WorkerUnavailable && in_time => {
                *at = Some(now + AGAIN_PAUSE);
                Vec::new()
            }
            StreamState::Again { .. } | StreamState::Opening { .. } | StreamState::Live(_) => {
                self.over(id, after(refusal))
            }
        }
    }

    fn over(&mut self, id: StreamId, reason: EndReason) -> Vec<Action> {
        self.forget(id);
        tell(ToPage::Closed { stream: id.stream, reason, exit: None })
    }

    /// A view did not begin: its worker does not answer.
    pub(super) fn failed(&mut self, id: StreamId, now: Instant) -> Vec<Action> {
        let broke_off_before = self.stream(id).is_some_and(|stream| stream.broken.is_some());
        if broke_off_before {
            return self.broke(id, now);
        }
        let refused = ToPage::Refused { stream: Some(id.stream), refusal: Refusal::WorkerUnavailable };
        if self.forget(id) { tell(refused) } else { Vec::new() }
    }

    /// Input for a stream that takes none now. One that is not there was closed before the page heard
    /// of it. Input that comes while a viewer is away is dropped, and the page is told.
    pub(super) fn stray_bytes(&self, stream: u16, length: u64) -> Vec<Action> {
        match self.streams.get(&stream).map(|stream| &stream.state) {
            Some(StreamState::Again { .. }) => tell(ToPage::InputDropped { stream, bytes: length }),
            Some(StreamState::Opening { .. } | StreamState::Live(_)) | None => Vec::new(),
        }
    }

    pub(super) fn resize(&mut self, stream: u16, size: TermSize) -> Vec<Action> {
        let Some(stream) = self.streams.get_mut(&stream) else { return Vec::new() };
        stream.size = size;
        stream.control(Control::Size(size))
    }

    pub(super) fn theme(&mut self, stream: u16, theme: Theme) -> Vec<Action> {
        let Some(stream) = self.streams.get_mut(&stream) else { return Vec::new() };
        stream.theme = Some(theme);
        stream.control(Control::Theme(theme))
    }

    /// A stream that is not there is one that the page has not heard the end of.
    pub(super) fn control(&self, stream: u16, control: Control) -> Vec<Action> {
        self.streams.get(&stream).map(|stream| stream.control(control)).unwrap_or_default()
    }

    pub(super) fn end(&mut self, stream: u16) -> Result<Vec<Action>, Closing> {
        let Some(stream) = self.streams.get_mut(&stream) else { return Ok(Vec::new()) };
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

    /// Frees the number of a stream, and says whether it was still that stream's.
    pub(super) fn forget(&mut self, id: StreamId) -> bool {
        let there = self.stream(id).is_some();
        if there {
            self.streams.remove(&id.stream);
        }
        there
    }
}

/// Why a view is over that was asked for again and refused.
fn after(refusal: Refusal) -> EndReason {
    match refusal {
        Refusal::NoSuchSession => EndReason::WorkerGone,
        Refusal::NotGranted => EndReason::ViewClosed,
        // The session is there, and whoever wants it back has it in the list.
        Refusal::WorkerUnavailable
        | Refusal::TooMany
        | Refusal::VersionMismatch
        | Refusal::Unavailable
        | Refusal::UnknownPasskey
        | Refusal::ChallengeExpired
        | Refusal::LinkInvalid
        | Refusal::PasskeyRegistered
        | Refusal::MachineUnavailable
        | Refusal::MachineWithoutBus
        | Refusal::MachinedUnavailable
        | Refusal::ShellTimedOut
        | Refusal::ShellRefused
        | Refusal::NotShareable
        | Refusal::Yourself
        | Refusal::Busy
        | Refusal::BadMessage
        | Refusal::NotOperator
        | Refusal::AccountExists
        | Refusal::AccountUnusable
        | Refusal::NoSuchAccount
        | Refusal::NotRevoked
        | Refusal::StorageFailed
        | Refusal::MayNotLast
        | Refusal::PasskeysFull => EndReason::ViewLost,
    }
}
