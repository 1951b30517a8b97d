use std::time::{Duration, Instant};

use super::closing::Closing;
use super::steps::{Action, Control, Input, StreamId, Verdict, tell};
use super::streams::{Pending, Streams};
use crate::protocol::Refusal;
use crate::protocol::login::FromFront;
use crate::protocol::page::{FromPage, TEXT_FRAME_MAX, ToPage};
use crate::protocol::principal::{Ask, FromBroker};

/// How long a connection may stay without a signed-in account before it is closed. A passkey takes
/// a minute at most. The page opens a new connection when its user presses the sign-in button
/// again.
pub(super) const SIGN_IN_WITHIN: Duration = Duration::from_secs(5 * 60);

/// How long a page may be silent before the front sends a ping. The browser answers it by itself,
/// even if it throttles the timers of a hidden tab.
pub(super) const PROBE_AFTER: Duration = Duration::from_secs(10);

/// How long a page may be silent before the connection is closed.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(30);

/// The state of the login.
#[derive(Debug)]
enum State {
    /// Nobody is signed in, and no question to auth is pending.
    Anonymous,
    /// auth is making a challenge.
    LoginAsked,
    /// The page has a challenge to answer.
    Challenged,
    /// auth is verifying the page's answer.
    Answered,
    /// An account is signed in.
    SignedIn(Streams),
    /// Closed. Further input is ignored.
    Over,
}

/// The state machine of one connection, without its sockets.
#[derive(Debug)]
pub(super) struct Core {
    state: State,
    sign_in_by: Instant,
    began: Instant,
    heard: Instant,
    probe_at: Instant,
}

impl Core {
    pub(super) fn new(now: Instant) -> Self {
        let (sign_in_by, probe_at) = (now + SIGN_IN_WITHIN, now + PROBE_AFTER);
        Self { state: State::Anonymous, sign_in_by, began: now, heard: now, probe_at }
    }

    /// When [`Input::Tick`] is due next.
    pub(super) fn deadline(&self) -> Instant {
        let quiet = self.probe_at.min(self.heard + SILENCE_MAX);
        match &self.state {
            State::Anonymous | State::LoginAsked | State::Challenged | State::Answered => {
                quiet.min(self.sign_in_by)
            }
            State::SignedIn(streams) => streams.next_again().map_or(quiet, |again| quiet.min(again)),
            State::Over => quiet,
        }
    }

    /// Handles one input and returns the actions that follow from it.
    pub(super) fn handle(&mut self, input: Input, now: Instant) -> Vec<Action> {
        let heard = matches!(input, Input::Page(_) | Input::StrayBytes { .. } | Input::Alive);
        if heard {
            self.heard = now;
            self.probe_at = now + PROBE_AFTER;
        }
        if matches!(self.state, State::Over) {
            return Vec::new();
        }
        let handled = match input {
            Input::Page(message) => self.page(message, now),
            Input::StrayBytes { stream, length } => self.stray_bytes(stream, length),
            Input::Alive => Ok(Vec::new()),
            Input::Unreadable(what) => Err(Closing::BadMessage(what)),
            Input::PageGone => Err(Closing::PageGone),
            Input::Login(verdict) => self.login(verdict),
            Input::Broker(message) => self.broker(message, now),
            Input::BrokerLost => Err(Closing::BrokerLost),
            Input::StreamOver(id) => Ok(self.stream_over(id)),
            Input::StreamBroke(id) => Ok(self.of_stream(|streams| streams.broke(id, now))),
            Input::StreamFailed(id) => Ok(self.of_stream(|streams| streams.failed(id, now))),
            Input::Tick => self.tick(now),
        };
        handled.unwrap_or_else(|closing| {
            self.state = State::Over;
            vec![Action::Close(closing)]
        })
    }

    fn page(&mut self, message: FromPage, now: Instant) -> Result<Vec<Action>, Closing> {
        match (&mut self.state, message) {
            (_, FromPage::Ping {}) => Ok(tell(ToPage::Pong { at: clock(self.began, now) })),
            // A page may start a new login while it has a challenge: its user gave up the first
            // one.
            (State::Anonymous | State::Challenged, FromPage::SignIn {}) => {
                self.state = State::LoginAsked;
                Ok(vec![Action::Login(FromFront::SignIn)])
            }
            (State::Anonymous | State::Challenged, FromPage::Enrol { token }) => {
                self.state = State::LoginAsked;
                Ok(vec![Action::Login(FromFront::Enrol { token })])
            }
            (State::Challenged, FromPage::Answer { credential }) => {
                let credential = credential.to_string();
                // Numbers can become longer when they are serialized again.
                if credential.len() > TEXT_FRAME_MAX {
                    return Err(Closing::BadMessage("the answer is too long"));
                }
                self.state = State::Answered;
                Ok(vec![Action::Login(FromFront::Answer { credential })])
            }
            (State::SignedIn(streams), FromPage::List {}) => Ok(streams.ask(Pending::Lobby, Ask::Lobby)),
            (State::SignedIn(streams), FromPage::Open { stream, target, size }) => {
                streams.open(stream, size, Ask::Open { target, size })
            }
            (State::SignedIn(streams), FromPage::Attach { stream, session, size }) => {
                streams.open(stream, size, Ask::Attach { session, size })
            }
            (State::SignedIn(streams), FromPage::Name { session, name }) => {
                Ok(streams.ask(Pending::Name, Ask::Name { session, name }))
            }
            (State::SignedIn(streams), FromPage::Share { session, account, role }) => {
                Ok(streams.ask(Pending::Share, Ask::Share { session, account, role }))
            }
            (State::SignedIn(streams), FromPage::EndSession { session }) => {
                Ok(streams.ask(Pending::EndSession, Ask::End { session }))
            }
            (State::SignedIn(streams), FromPage::Resize { stream, size }) => Ok(streams.resize(stream, size)),
            (State::SignedIn(streams), FromPage::Shown { stream, bytes }) => {
                Ok(streams.control(stream, Control::Shown(bytes)))
            }
            (State::SignedIn(streams), FromPage::Refresh { stream }) => {
                Ok(streams.control(stream, Control::Refresh))
            }
            (State::SignedIn(streams), FromPage::ResetTerminal { stream }) => {
                Ok(streams.control(stream, Control::ResetTerminal))
            }
            (State::SignedIn(streams), FromPage::Theme { stream, theme }) => Ok(streams.theme(stream, theme)),
            (State::SignedIn(streams), FromPage::End { stream }) => streams.end(stream),
            (State::SignedIn(streams), FromPage::Close { stream }) => Ok(streams.close(stream)),
            (
                State::Anonymous | State::LoginAsked | State::Challenged | State::Answered,
                FromPage::List {}
                | FromPage::Open { .. }
                | FromPage::Attach { .. }
                | FromPage::Name { .. }
                | FromPage::Share { .. }
                | FromPage::EndSession { .. }
                | FromPage::Resize { .. }
                | FromPage::Shown { .. }
                | FromPage::Refresh { .. }
                | FromPage::ResetTerminal { .. }
                | FromPage::Theme { .. }
                | FromPage::End { .. }
                | FromPage::Close { .. },
            ) => Err(Closing::BadMessage("a request before signing in")),
            (State::Anonymous | State::LoginAsked | State::Answered, FromPage::Answer { .. }) => {
                Err(Closing::BadMessage("an answer without a challenge"))
            }
            (State::LoginAsked | State::Answered, FromPage::SignIn {} | FromPage::Enrol { .. }) => {
                Err(Closing::BadMessage("a second login while one is under way"))
            }
            (State::SignedIn(_), FromPage::SignIn {} | FromPage::Enrol { .. } | FromPage::Answer { .. }) => {
                Err(Closing::BadMessage("a login on a signed-in connection"))
            }
            (
                State::Over,
                FromPage::SignIn {}
                | FromPage::Enrol { .. }
                | FromPage::Answer { .. }
                | FromPage::List {}
                | FromPage::Open { .. }
                | FromPage::Attach { .. }
                | FromPage::Name { .. }
                | FromPage::Share { .. }
                | FromPage::EndSession { .. }
                | FromPage::Resize { .. }
                | FromPage::Shown { .. }
                | FromPage::Refresh { .. }
                | FromPage::ResetTerminal { .. }
                | FromPage::Theme { .. }
                | FromPage::End { .. }
                | FromPage::Close { .. },
            ) => Ok(Vec::new()),
        }
    }

    fn stray_bytes(&mut self, stream: u16, length: u64) -> Result<Vec<Action>, Closing> {
        match &self.state {
            State::SignedIn(streams) => Ok(streams.stray_bytes(stream, length)),
            State::Anonymous | State::LoginAsked | State::Challenged | State::Answered => {
                Err(Closing::BadMessage("input before signing in"))
            }
            State::Over => Ok(Vec::new()),
        }
    }

    fn login(&mut self, verdict: Verdict) -> Result<Vec<Action>, Closing> {
        match (&self.state, verdict) {
            (State::LoginAsked, Verdict::Challenge { ceremony, options }) => {
                self.state = State::Challenged;
                Ok(tell(ToPage::Challenge { ceremony, options }))
            }
            (State::Answered, Verdict::SignedIn { account }) => {
                let mut streams = Streams::default();
                let mut actions = tell(ToPage::SignedIn { account });
                actions.extend(streams.ask(Pending::Lobby, Ask::Lobby));
                self.state = State::SignedIn(streams);
                Ok(actions)
            }
            (State::LoginAsked | State::Answered, Verdict::Refused(Refusal::BadMessage)) => {
                Err(Closing::BadMessage("auth cannot read the page's message"))
            }
            (State::LoginAsked | State::Answered, Verdict::Refused(refusal)) => {
                self.state = State::Anonymous;
                Ok(tell(ToPage::Refused { stream: None, refusal }))
            }
            (State::LoginAsked, Verdict::SignedIn { .. })
            | (State::Answered, Verdict::Challenge { .. })
            | (
                State::Anonymous | State::Challenged | State::SignedIn(_),
                Verdict::Challenge { .. } | Verdict::SignedIn { .. } | Verdict::Refused(_),
            ) => Err(Closing::Broken("auth answered what was not asked")),
            (State::Over, Verdict::Challenge { .. } | Verdict::SignedIn { .. } | Verdict::Refused(_)) => {
                Ok(Vec::new())
            }
        }
    }

    fn broker(&mut self, message: FromBroker, now: Instant) -> Result<Vec<Action>, Closing> {
        match (&mut self.state, message) {
            (State::SignedIn(streams), FromBroker::Reply { number, answer }) => {
                streams.reply(number, answer, now)
            }
            (State::SignedIn(_), FromBroker::Sharing { session, people, role, shareable }) => {
                Ok(tell(ToPage::Sharing { session, people, role, shareable }))
            }
            (State::SignedIn(_), FromBroker::MachineStopped(machine)) => {
                Ok(tell(ToPage::MachineStopped { machine }))
            }
            (
                State::Anonymous | State::LoginAsked | State::Challenged | State::Answered,
                FromBroker::Reply { .. } | FromBroker::Sharing { .. } | FromBroker::MachineStopped(_),
            ) => Err(Closing::Broken("the broker spoke before anybody signed in")),
            (
                State::Over,
                FromBroker::Reply { .. } | FromBroker::Sharing { .. } | FromBroker::MachineStopped(_),
            ) => Ok(Vec::new()),
        }
    }

    fn stream_over(&mut self, id: StreamId) -> Vec<Action> {
        if let State::SignedIn(streams) = &mut self.state {
            streams.forget(id);
        }
        Vec::new()
    }

    fn of_stream(&mut self, act: impl FnOnce(&mut Streams) -> Vec<Action>) -> Vec<Action> {
        match &mut self.state {
            State::SignedIn(streams) => act(streams),
            State::Anonymous | State::LoginAsked | State::Challenged | State::Answered | State::Over => {
                Vec::new()
            }
        }
    }

    fn tick(&mut self, now: Instant) -> Result<Vec<Action>, Closing> {
        if now >= self.heard + SILENCE_MAX {
            return Err(Closing::Silent);
        }
        if now >= self.sign_in_by && !matches!(self.state, State::SignedIn(_)) {
            return Err(Closing::NeverSignedIn);
        }
        let mut actions = self.of_stream(|streams| streams.ask_again(now));
        if now >= self.probe_at {
            self.probe_at = now + PROBE_AFTER;
            actions.push(Action::Probe);
        }
        Ok(actions)
    }
}

/// The front's clock as a page knows it: milliseconds since the connection began. Wraps after 49
/// days.
pub(super) fn clock(began: Instant, now: Instant) -> u32 {
    let millis = now.saturating_duration_since(began).as_millis() & u128::from(u32::MAX);
    u32::try_from(millis).unwrap_or_default()
}
