use std::time::{Duration, Instant};

use super::channels::{Asked, Principal, View};
use super::closing::Closing;
use super::viewer::Wish;
use crate::names::{AccountName, SessionId, Target, TermSize};
use crate::protocol::Refusal;
use crate::protocol::login::FromFront;
use crate::protocol::page::{Ceremony, FromPage, TEXT_FRAME_MAX, ToPage};
use crate::protocol::principal::{Ask, FromBroker, Request};

/// How long a connection may stay without an account: a passkey takes a minute at most. Then it
/// is closed; the page makes a new one when somebody presses its button.
pub(super) const SIGN_IN_WITHIN: Duration = Duration::from_secs(5 * 60);

/// How long a page may be silent before it is asked for a sign of life. The browser answers that
/// by itself, also where it has slowed the page's timers down because the tab is hidden.
pub(super) const PROBE_AFTER: Duration = Duration::from_secs(10);

/// How long a page may be silent at all. Then the connection is closed.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(30);

/// What comes to a connection.
#[derive(Debug)]
pub(super) enum Input {
    /// A text frame, read.
    Page(FromPage),
    /// A binary frame: what a person typed.
    Typed { channel: u16, bytes: Vec<u8> },
    /// A frame of the WebSocket itself: the page's browser is there.
    Alive,
    /// A frame that cannot be read; with what is wrong with it.
    Unreadable(&'static str),
    /// The page closed the WebSocket, or it failed.
    PageGone,
    /// What auth made of the last [`FromFront`].
    Login(Verdict),
    /// What came on the principal channel. A descriptor that came with it is kept by the shell.
    Broker(FromBroker),
    /// The principal channel is closed, or the broker broke its protocol.
    BrokerLost,
    /// A view is over; the page hears it from the view itself.
    ViewOver(View),
    /// A view broke off; the page has not heard of it.
    ViewBrokeOff(View),
    /// A view did not begin: its worker does not answer.
    ViewFailed(View),
    /// The time that [`Core::deadline`] gave has come.
    Tick,
}

/// What auth makes of a step of the login.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The page is to answer this.
    Challenge { ceremony: Ceremony, options: serde_json::Value },
    /// The shell holds the principal channel of this account.
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
    /// Begin a view on the descriptor that came with the reply just handled.
    StartView {
        view: View,
        session: SessionId,
        target: Target,
        /// The size of the page's window, where it is another one by now than was asked for.
        size: Option<TermSize>,
        /// The page has this view: it broke off.
        again: bool,
    },
    /// Drop a view.
    StopView(View),
    /// Pass typed bytes on.
    Type { view: View, bytes: Vec<u8> },
    /// Pass on what the page says of its view.
    Wish { view: View, wish: Wish },
    /// Ask the browser for a sign of life.
    Probe,
    /// Tell the page and end the connection.
    Close(Closing),
}

/// How far the login is.
#[derive(Debug)]
enum State {
    /// Nobody's. Nothing is asked of auth.
    Anonymous,
    /// auth is making a challenge.
    Asked,
    /// The page has a challenge.
    Challenged,
    /// auth is looking at the page's answer.
    Answered,
    /// An account's.
    SignedIn(Principal),
    /// Closed: what still comes is ignored.
    Over,
}

/// One connection, without its sockets.
#[derive(Debug)]
pub(super) struct Core {
    state: State,
    sign_in_by: Instant,
    heard: Instant,
    probe_at: Instant,
}

impl Core {
    pub(super) fn new(now: Instant) -> Self {
        let (sign_in_by, probe_at) = (now + SIGN_IN_WITHIN, now + PROBE_AFTER);
        Self { state: State::Anonymous, sign_in_by, heard: now, probe_at }
    }

    /// When [`Input::Tick`] is due.
    pub(super) fn deadline(&self) -> Instant {
        let quiet = self.probe_at.min(self.heard + SILENCE_MAX);
        match &self.state {
            State::Anonymous | State::Asked | State::Challenged | State::Answered => {
                quiet.min(self.sign_in_by)
            }
            State::SignedIn(principal) => principal.next_again().map_or(quiet, |again| quiet.min(again)),
            State::Over => quiet,
        }
    }

    /// Takes one input in.
    pub(super) fn handle(&mut self, input: Input, now: Instant) -> Vec<Action> {
        let heard = matches!(input, Input::Page(_) | Input::Typed { .. } | Input::Alive);
        if heard {
            self.heard = now;
            self.probe_at = now + PROBE_AFTER;
        }
        if matches!(self.state, State::Over) {
            return Vec::new();
        }
        let handled = match input {
            Input::Page(message) => self.page(message),
            Input::Typed { channel, bytes } => self.typed(channel, bytes),
            Input::Alive => Ok(Vec::new()),
            Input::Unreadable(what) => Err(Closing::BadMessage(what)),
            Input::PageGone => Err(Closing::PageGone),
            Input::Login(verdict) => self.login(verdict),
            Input::Broker(message) => self.broker(message, now),
            Input::BrokerLost => Err(Closing::BrokerLost),
            Input::ViewOver(view) => Ok(self.view_over(view)),
            Input::ViewBrokeOff(view) => Ok(self.of_view(|principal| principal.broke_off(view, now))),
            Input::ViewFailed(view) => Ok(self.of_view(|principal| principal.failed(view, now))),
            Input::Tick => self.tick(now),
        };
        handled.unwrap_or_else(|closing| {
            self.state = State::Over;
            vec![Action::Close(closing)]
        })
    }

    fn page(&mut self, message: FromPage) -> Result<Vec<Action>, Closing> {
        match (&mut self.state, message) {
            (_, FromPage::Ping {}) => Ok(tell(ToPage::Pong {})),
            // A page may begin again while it has a challenge: the person gave up the first.
            (State::Anonymous | State::Challenged, FromPage::SignIn {}) => {
                self.state = State::Asked;
                Ok(vec![Action::Login(FromFront::SignIn)])
            }
            (State::Anonymous | State::Challenged, FromPage::Enrol { token }) => {
                self.state = State::Asked;
                Ok(vec![Action::Login(FromFront::Enrol { token })])
            }
            (State::Challenged, FromPage::Answer { credential }) => {
                let credential = credential.to_string();
                // Numbers can grow when they are written again.
                if credential.len() > TEXT_FRAME_MAX {
                    return Err(Closing::BadMessage("the answer is too long"));
                }
                self.state = State::Answered;
                Ok(vec![Action::Login(FromFront::Answer { credential })])
            }
            (State::SignedIn(principal), FromPage::List {}) => Ok(principal.ask(Asked::Lobby, Ask::Lobby)),
            (State::SignedIn(principal), FromPage::Open { channel, target, size }) => {
                principal.open(channel, size, Ask::Open { target, size })
            }
            (State::SignedIn(principal), FromPage::Attach { channel, session, size }) => {
                principal.open(channel, size, Ask::Attach { session, size })
            }
            (State::SignedIn(principal), FromPage::Name { session, name }) => {
                Ok(principal.ask(Asked::Name, Ask::Name { session, name }))
            }
            (State::SignedIn(principal), FromPage::Share { session, account, role }) => {
                Ok(principal.ask(Asked::Share, Ask::Share { session, account, role }))
            }
            (State::SignedIn(principal), FromPage::End { session }) => {
                Ok(principal.ask(Asked::End, Ask::End { session }))
            }
            (State::SignedIn(principal), FromPage::Resize { channel, size }) => {
                Ok(principal.resize(channel, size))
            }
            (State::SignedIn(principal), FromPage::Shown { channel, bytes }) => {
                Ok(principal.wish(channel, Wish::Shown(bytes)))
            }
            (State::SignedIn(principal), FromPage::Refresh { channel }) => {
                Ok(principal.wish(channel, Wish::Refresh))
            }
            (State::SignedIn(principal), FromPage::Detach { channel }) => Ok(principal.detach(channel)),
            (
                State::Anonymous | State::Asked | State::Challenged | State::Answered,
                FromPage::List {}
                | FromPage::Open { .. }
                | FromPage::Attach { .. }
                | FromPage::Name { .. }
                | FromPage::Share { .. }
                | FromPage::End { .. }
                | FromPage::Resize { .. }
                | FromPage::Shown { .. }
                | FromPage::Refresh { .. }
                | FromPage::Detach { .. },
            ) => Err(Closing::BadMessage("a request before signing in")),
            (State::Anonymous | State::Asked | State::Answered, FromPage::Answer { .. }) => {
                Err(Closing::BadMessage("an answer without a challenge"))
            }
            (State::Asked | State::Answered, FromPage::SignIn {} | FromPage::Enrol { .. }) => {
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
                | FromPage::End { .. }
                | FromPage::Resize { .. }
                | FromPage::Shown { .. }
                | FromPage::Refresh { .. }
                | FromPage::Detach { .. },
            ) => Ok(Vec::new()),
        }
    }

    fn typed(&mut self, channel: u16, bytes: Vec<u8>) -> Result<Vec<Action>, Closing> {
        match &self.state {
            State::SignedIn(principal) => Ok(principal.typed(channel, bytes)),
            State::Anonymous | State::Asked | State::Challenged | State::Answered => {
                Err(Closing::BadMessage("input before signing in"))
            }
            State::Over => Ok(Vec::new()),
        }
    }

    fn login(&mut self, verdict: Verdict) -> Result<Vec<Action>, Closing> {
        match (&self.state, verdict) {
            (State::Asked, Verdict::Challenge { ceremony, options }) => {
                self.state = State::Challenged;
                Ok(tell(ToPage::Challenge { ceremony, options }))
            }
            (State::Answered, Verdict::SignedIn { account }) => {
                let mut principal = Principal::default();
                let mut actions = tell(ToPage::SignedIn { account });
                actions.extend(principal.ask(Asked::Lobby, Ask::Lobby));
                self.state = State::SignedIn(principal);
                Ok(actions)
            }
            (State::Asked | State::Answered, Verdict::Refused(Refusal::BadMessage)) => {
                Err(Closing::BadMessage("auth cannot read the page's message"))
            }
            (State::Asked | State::Answered, Verdict::Refused(refusal)) => {
                self.state = State::Anonymous;
                Ok(tell(ToPage::Refused { channel: None, refusal }))
            }
            (State::Asked, Verdict::SignedIn { .. })
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
            (State::SignedIn(principal), FromBroker::Reply { number, answer }) => {
                principal.reply(number, answer, now)
            }
            (State::SignedIn(_), FromBroker::Sharing { session, people, role, shareable }) => {
                Ok(tell(ToPage::Sharing { session, people, role, shareable }))
            }
            (State::SignedIn(_), FromBroker::MachineStopped(machine)) => {
                Ok(tell(ToPage::MachineStopped { machine }))
            }
            (
                State::Anonymous | State::Asked | State::Challenged | State::Answered,
                FromBroker::Reply { .. } | FromBroker::Sharing { .. } | FromBroker::MachineStopped(_),
            ) => Err(Closing::Broken("the broker spoke before anybody signed in")),
            (
                State::Over,
                FromBroker::Reply { .. } | FromBroker::Sharing { .. } | FromBroker::MachineStopped(_),
            ) => Ok(Vec::new()),
        }
    }

    fn view_over(&mut self, view: View) -> Vec<Action> {
        if let State::SignedIn(principal) = &mut self.state {
            principal.forget(view);
        }
        Vec::new()
    }

    fn of_view(&mut self, act: impl FnOnce(&mut Principal) -> Vec<Action>) -> Vec<Action> {
        match &mut self.state {
            State::SignedIn(principal) => act(principal),
            State::Anonymous | State::Asked | State::Challenged | State::Answered | State::Over => Vec::new(),
        }
    }

    fn tick(&mut self, now: Instant) -> Result<Vec<Action>, Closing> {
        if now >= self.heard + SILENCE_MAX {
            return Err(Closing::Silent);
        }
        if now >= self.sign_in_by && !matches!(self.state, State::SignedIn(_)) {
            return Err(Closing::NeverSignedIn);
        }
        let mut actions = self.of_view(|principal| principal.ask_again(now));
        if now >= self.probe_at {
            self.probe_at = now + PROBE_AFTER;
            actions.push(Action::Probe);
        }
        Ok(actions)
    }
}

/// The one action of saying this to the page.
pub(super) fn tell(message: ToPage) -> Vec<Action> {
    vec![Action::Tell(message)]
}
