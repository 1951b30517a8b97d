use std::net::IpAddr;
use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;

use super::super::client::Client;
use super::closing::Closing;
use super::step_up::StepUp;
use super::steps::{Action, Control, Input, StreamId, Verdict, tell};
use super::streams::{Pending, Streams};
use crate::client_key::SIGNATURE_LENGTH;
use crate::names::{AccountName, ClientKeyId};
use crate::protocol::login::{BINDING, FromFront, OfferedKey};
use crate::protocol::page::{
    Ceremony, FromPage, ResumeOffer, ResumeTerms, TEXT_FRAME_MAX, ToPage, TouchView,
};
use crate::protocol::principal::{Ask, FromBroker};
use crate::protocol::{Refusal, SecretText};

/// How long a connection may stay without a signed-in account after it began, or after the last
/// question of a sign-in, before it is closed. A challenge may be answered for 60 s. The page opens a
/// new connection when its user presses the sign-in button again.
pub(super) const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(75);

/// How long a connection may stay without a signed-in account, however often a sign-in is begun on it.
pub(super) const SIGN_IN_MAX: Duration = Duration::from_secs(5 * 60);

/// Most refused sign-ins on one connection, which ends with the last. The page makes a connection for
/// each.
pub(super) const REFUSED_MAX: u32 = 5;

/// How long a page may be silent before the front sends a ping. The browser answers it by itself,
/// even if it throttles the timers of a hidden tab.
pub(super) const PROBE_AFTER: Duration = Duration::from_secs(10);

/// How long a page may be silent before the connection is closed.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(30);

/// The state of the login.
#[derive(Debug)]
enum ConnectionState {
    /// Nobody is signed in, and no question to auth is pending.
    Anonymous,
    /// auth is making a challenge.
    LoginAsked,
    /// The page has a challenge to answer.
    Challenged,
    /// auth is verifying the page's answer.
    Answered,
    /// The key of the command line waits until somebody binds it to their account.
    Binding,
    /// An account is signed in.
    SignedIn(Streams),
    /// Closed. Further input is ignored.
    Over,
}

/// The state machine of one connection, without its sockets.
#[derive(Debug)]
pub(super) struct Core {
    state: ConnectionState,
    client: Client,
    /// Where the client is, if it is not on this host.
    address: Option<IpAddr>,
    /// The account that is signed in.
    account: Option<AccountName>,
    /// The resume key that the page came back with, or has offered.
    resume_key: Option<ClientKeyId>,
    step_up: StepUp,
    /// How many sign-ins were refused.
    refused: u32,
    sign_in_by: Instant,
    began: Instant,
    heard: Instant,
    probe_at: Instant,
    /// The numbers of the last ping that was sent, and of the last that was answered.
    probed: u32,
    answered: u32,
}

impl Core {
    pub(super) fn new(now: Instant, client: Client, address: Option<IpAddr>) -> Self {
        let (sign_in_by, probe_at) = (now + SIGN_IN_TIMEOUT, now + PROBE_AFTER);
        let (state, account, step_up) = (ConnectionState::Anonymous, None, StepUp::Idle);
        Self {
            state,
            client,
            address,
            account,
            resume_key: None,
            step_up,
            refused: 0,
            sign_in_by,
            began: now,
            heard: now,
            probe_at,
            probed: 0,
            answered: 0,
        }
    }

    /// When [`Input::Tick`] is due next.
    pub(super) fn deadline(&self) -> Instant {
        let quiet = self.probe_at.min(self.heard + SILENCE_MAX);
        match &self.state {
            ConnectionState::Anonymous
            | ConnectionState::LoginAsked
            | ConnectionState::Challenged
            | ConnectionState::Answered
            | ConnectionState::Binding => quiet.min(self.sign_in_by),
            ConnectionState::SignedIn(streams) => {
                streams.next_again().map_or(quiet, |again| quiet.min(again))
            }
            ConnectionState::Over => quiet,
        }
    }

    /// Handles one input and returns the actions that follow from it.
    pub(super) fn handle(&mut self, input: Input, now: Instant) -> Vec<Action> {
        let heard = match input {
            Input::Pong { probe } => self.is_answer(probe),
            Input::Page(_) | Input::StrayBytes { .. } | Input::Alive => true,
            Input::Unreadable(_)
            | Input::PageGone
            | Input::Login(_)
            | Input::Broker(_)
            | Input::StepUpLost(_)
            | Input::BrokerLost
            | Input::StreamOver(_)
            | Input::StreamBroke(_)
            | Input::StreamFailed(_)
            | Input::Tick => false,
        };
        if heard {
            self.heard = now;
            self.probe_at = now + PROBE_AFTER;
        }
        if matches!(self.state, ConnectionState::Over) {
            return Vec::new();
        }
        let handled = match input {
            Input::Page(message) => self.page(message, now),
            Input::StrayBytes { stream, length } => self.stray_bytes(stream, length),
            Input::Alive | Input::Pong { .. } => Ok(Vec::new()),
            Input::Unreadable(what) => Err(Closing::BadMessage(what)),
            Input::PageGone => Err(Closing::PageGone),
            Input::Login(verdict) => self.login(verdict, now),
            Input::Broker(message) => self.broker(message, now),
            Input::StepUpLost(stream) => Ok(self.of_stream(|streams| streams.step_up_lost(stream))),
            Input::BrokerLost => Err(Closing::BrokerLost),
            Input::StreamOver(id) => Ok(self.stream_over(id)),
            Input::StreamBroke(id) => Ok(self.of_stream(|streams| streams.broke(id, now))),
            Input::StreamFailed(id) => Ok(self.of_stream(|streams| streams.failed(id, now))),
            Input::Tick => self.tick(now),
        };
        handled.unwrap_or_else(|closing| {
            self.state = ConnectionState::Over;
            vec![Action::Close(closing)]
        })
    }

    /// Whether a pong answers a ping that was sent and not answered before. Others show nothing: a
    /// page that never reads could send them for ever.
    fn is_answer(&mut self, probe: Option<u32>) -> bool {
        let answers = probe.filter(|number| *number > self.answered && *number <= self.probed);
        self.answered = answers.unwrap_or(self.answered);
        answers.is_some()
    }

    fn page(&mut self, message: FromPage, now: Instant) -> Result<Vec<Action>, Closing> {
        if !self.client.may_send(&message) {
            return Err(Closing::BadMessage("a message of another kind of client"));
        }
        match (&mut self.state, message) {
            (_, FromPage::Ping {}) => Ok(tell(ToPage::Pong { at: clock(self.began, now) })),
            // A page may start a new login while it has a challenge: its user gave up the first
            // one.
            (ConnectionState::Anonymous | ConnectionState::Challenged, FromPage::SignIn {}) => {
                self.state = ConnectionState::LoginAsked;
                self.sign_in_by = (now + SIGN_IN_TIMEOUT).min(self.began + SIGN_IN_MAX);
                Ok(vec![Action::Login(FromFront::SignIn)])
            }
            (ConnectionState::Anonymous | ConnectionState::Challenged, FromPage::Enrol { token }) => {
                self.state = ConnectionState::LoginAsked;
                self.sign_in_by = (now + SIGN_IN_TIMEOUT).min(self.began + SIGN_IN_MAX);
                Ok(vec![Action::Login(FromFront::Enrol { token })])
            }
            (
                ConnectionState::Anonymous | ConnectionState::Challenged,
                message
                @ (FromPage::KeySignIn { .. } | FromPage::BindKey { .. } | FromPage::RemoveKey { .. }),
            ) => {
                self.state = ConnectionState::LoginAsked;
                self.sign_in_by = (now + SIGN_IN_TIMEOUT).min(self.began + SIGN_IN_MAX);
                Ok(key_question(message, self.address).map(Action::Login).into_iter().collect())
            }
            (ConnectionState::Anonymous | ConnectionState::Challenged, FromPage::Resume { key }) => {
                self.state = ConnectionState::LoginAsked;
                self.sign_in_by = (now + SIGN_IN_TIMEOUT).min(self.began + SIGN_IN_MAX);
                let key = key.id();
                self.resume_key = Some(key.clone());
                Ok(vec![Action::Login(FromFront::Resume { key })])
            }
            (ConnectionState::Challenged, FromPage::KeyAnswer { signature }) => {
                let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).ok();
                let signature = signature.filter(|signature| signature.len() == SIGNATURE_LENGTH);
                let signature = signature.ok_or(Closing::BadMessage("the answer is not a signature"))?;
                self.state = ConnectionState::Answered;
                Ok(vec![Action::Login(FromFront::KeyAnswer { signature })])
            }
            (ConnectionState::Challenged, FromPage::Answer { credential, resume }) => {
                let credential = credential_text(&credential)?;
                self.state = ConnectionState::Answered;
                let source = self.address;
                let resume_key = resume.map(|ResumeOffer { key, name }| OfferedKey { key, name, source });
                self.resume_key = resume_key.as_ref().map(|offered| offered.key.id());
                Ok(vec![Action::Login(FromFront::Answer { credential, resume_key })])
            }
            (ConnectionState::SignedIn(streams), FromPage::List {}) => {
                Ok(streams.ask(Pending::Lobby, Ask::Lobby))
            }
            (ConnectionState::SignedIn(streams), FromPage::Open { stream, target, size, reason }) => {
                streams.open(stream, size, Ask::Open { target, size, reason })
            }
            (ConnectionState::SignedIn(streams), FromPage::Attach { stream, session, size }) => {
                streams.open(stream, size, Ask::Attach { session, size })
            }
            (ConnectionState::SignedIn(streams), FromPage::AttachAs { stream, session, role }) => {
                streams.attach_as(stream, session, role)
            }
            (ConnectionState::SignedIn(streams), FromPage::Follow {}) => Ok(streams.follow()),
            (ConnectionState::SignedIn(streams), FromPage::Exec { stream, target, reason }) => {
                streams.exec(stream, Ask::Exec { target, reason })
            }
            (ConnectionState::SignedIn(_), FromPage::StepUp { stream }) => Ok(self.ask_to_step_up(stream)),
            (ConnectionState::SignedIn(streams), FromPage::Touch { stream, credential, view, size }) => {
                if !self.step_up.is_challenged(stream) {
                    return Err(Closing::BadMessage("a touch without a challenge"));
                }
                let credential = credential_text(&credential)?;
                self.step_up = StepUp::Idle;
                let ask = match view {
                    TouchView::Open { target, reason } => Ask::Open { target, size, reason },
                    TouchView::Attach { session } => Ask::Attach { session, size },
                };
                match streams.open_stepped_up(stream, size, ask)? {
                    Ok((stream, request)) => {
                        self.step_up = StepUp::Answered { stream, request };
                        Ok(vec![Action::Login(FromFront::Answer { credential, resume_key: None })])
                    }
                    Err(no_room) => Ok(no_room),
                }
            }
            (ConnectionState::SignedIn(_), FromPage::FindBinding { code }) => Ok(self.find_binding(code)),
            (ConnectionState::SignedIn(_), FromPage::Bind { credential }) => {
                let StepUp::BindingFound = self.step_up else {
                    return Err(Closing::BadMessage("a binding without a challenge"));
                };
                let credential = credential_text(&credential)?;
                self.step_up = StepUp::BindingAnswered;
                Ok(vec![Action::Login(FromFront::Answer { credential, resume_key: None })])
            }
            (ConnectionState::SignedIn(_), FromPage::DeclineBinding {}) => {
                let StepUp::BindingFound = self.step_up else {
                    return Err(Closing::BadMessage("nothing to decline"));
                };
                self.step_up = StepUp::BindingAnswered;
                Ok(vec![Action::Login(FromFront::DeclineBinding)])
            }
            (ConnectionState::SignedIn(_), FromPage::Keys {}) => {
                Ok(self.ask_for_keys(|account| FromFront::Keys { account }))
            }
            (ConnectionState::SignedIn(_), FromPage::DropKey { key }) => {
                Ok(self.ask_for_keys(|account| FromFront::DropKey { account, key }))
            }
            (ConnectionState::SignedIn(streams), FromPage::Name { session, name }) => {
                Ok(streams.ask(Pending::Name, Ask::Name { session, name }))
            }
            (ConnectionState::SignedIn(streams), FromPage::Share { session, account, role }) => {
                Ok(streams.ask(Pending::Share, Ask::Share { session, account, role }))
            }
            (ConnectionState::SignedIn(streams), FromPage::EndSession { session }) => {
                Ok(streams.ask(Pending::EndSession, Ask::End { session }))
            }
            (ConnectionState::SignedIn(streams), FromPage::ChangeMachine { change }) => {
                Ok(streams.ask(Pending::Change(change.clone()), Ask::Change(change)))
            }
            (ConnectionState::SignedIn(streams), FromPage::Resize { stream, size }) => {
                streams.resize(stream, size)
            }
            (ConnectionState::SignedIn(streams), FromPage::Shown { stream, bytes }) => {
                streams.control(stream, Control::Shown(bytes))
            }
            (ConnectionState::SignedIn(streams), FromPage::Refresh { stream }) => {
                streams.control(stream, Control::Refresh)
            }
            (ConnectionState::SignedIn(streams), FromPage::ResetTerminal { stream }) => {
                streams.control(stream, Control::ResetTerminal)
            }
            (ConnectionState::SignedIn(streams), FromPage::Theme { stream, theme }) => {
                streams.theme(stream, theme)
            }
            (ConnectionState::SignedIn(streams), FromPage::End { stream }) => streams.end(stream),
            (ConnectionState::SignedIn(streams), FromPage::Close { stream }) => Ok(streams.close(stream)),
            (
                ConnectionState::Anonymous
                | ConnectionState::LoginAsked
                | ConnectionState::Answered
                | ConnectionState::Binding,
                FromPage::Answer { .. } | FromPage::KeyAnswer { .. },
            ) => Err(Closing::BadMessage("an answer without a challenge")),
            (
                ConnectionState::LoginAsked | ConnectionState::Answered | ConnectionState::Binding,
                FromPage::SignIn {}
                | FromPage::Enrol { .. }
                | FromPage::Resume { .. }
                | FromPage::KeySignIn { .. }
                | FromPage::BindKey { .. }
                | FromPage::RemoveKey { .. },
            ) => Err(Closing::BadMessage("a second login while one is under way")),
            (
                ConnectionState::Anonymous
                | ConnectionState::LoginAsked
                | ConnectionState::Challenged
                | ConnectionState::Answered
                | ConnectionState::Binding,
                _,
            ) => Err(Closing::BadMessage("a request before signing in")),
            (
                ConnectionState::SignedIn(_),
                FromPage::SignIn {}
                | FromPage::Enrol { .. }
                | FromPage::Resume { .. }
                | FromPage::Answer { .. }
                | FromPage::KeySignIn { .. }
                | FromPage::BindKey { .. }
                | FromPage::RemoveKey { .. }
                | FromPage::KeyAnswer { .. },
            ) => Err(Closing::BadMessage("a login on a signed-in connection")),
            (ConnectionState::Over, _) => Ok(Vec::new()),
        }
    }

    fn stray_bytes(&mut self, stream: u16, length: u64) -> Result<Vec<Action>, Closing> {
        match &self.state {
            ConnectionState::SignedIn(streams) => Ok(streams.stray_bytes(stream, length)),
            ConnectionState::Anonymous
            | ConnectionState::LoginAsked
            | ConnectionState::Challenged
            | ConnectionState::Answered
            | ConnectionState::Binding => Err(Closing::BadMessage("input before signing in")),
            ConnectionState::Over => Ok(Vec::new()),
        }
    }

    /// Asks auth for a challenge that only passkeys of the signed-in account may answer.
    fn ask_to_step_up(&mut self, stream: u16) -> Vec<Action> {
        let Some(account) = self.account.clone().filter(|_| !self.step_up.is_waiting()) else {
            return tell(ToPage::Refused { stream: Some(stream), refusal: Refusal::Busy });
        };
        self.step_up = StepUp::Asked { stream };
        vec![Action::Login(FromFront::StepUp { account })]
    }

    /// Asks auth for the client key that waits with this code.
    fn find_binding(&mut self, code: SecretText) -> Vec<Action> {
        let Some(account) = self.account.clone().filter(|_| !self.step_up.is_waiting()) else {
            return tell(ToPage::Refused { stream: None, refusal: Refusal::Busy });
        };
        self.step_up = StepUp::BindingAsked;
        vec![Action::Login(FromFront::FindBinding { account, code })]
    }

    /// Asks auth for the keys of the account, or to remove one of them.
    fn ask_for_keys(&mut self, question: impl FnOnce(AccountName) -> FromFront) -> Vec<Action> {
        let Some(account) = self.account.clone().filter(|_| !self.step_up.is_waiting()) else {
            return tell(ToPage::Refused { stream: None, refusal: Refusal::Busy });
        };
        self.step_up = StepUp::KeysAsked;
        vec![Action::Login(question(account))]
    }

    /// auth's answer to a question of the step-up.
    fn stepped_up(&mut self, verdict: Verdict) -> Result<Vec<Action>, Closing> {
        let ConnectionState::SignedIn(streams) = &mut self.state else { return Ok(Vec::new()) };
        match (std::mem::take(&mut self.step_up), verdict) {
            (StepUp::Asked { stream }, Verdict::Challenge { ceremony: Ceremony::Get, options }) => {
                self.step_up = StepUp::Challenged { stream };
                Ok(tell(ToPage::TouchChallenge { stream, options }))
            }
            (StepUp::Asked { stream }, Verdict::Refused(refusal)) => {
                Ok(tell(ToPage::Refused { stream: Some(stream), refusal }))
            }
            (StepUp::Answered { .. }, Verdict::Refused(Refusal::BadMessage)) => {
                Err(Closing::BadMessage("auth cannot read the page's message"))
            }
            (StepUp::Answered { stream, .. }, Verdict::Refused(refusal)) => {
                Ok(streams.not_stepped_up(stream, refusal))
            }
            // If the page has closed the stream meanwhile, the channel is dropped unused.
            (StepUp::Answered { stream, .. }, Verdict::SteppedUp) if !streams.is_there(stream) => {
                Ok(streams.not_stepped_up(stream, Refusal::TouchRequired))
            }
            (StepUp::Answered { stream: StreamId { stream, .. }, request }, Verdict::SteppedUp) => {
                Ok(vec![Action::KeepStepUp(stream), Action::AskSteppedUp { stream, request }])
            }
            (StepUp::BindingAsked, Verdict::Binding(binding)) => {
                self.step_up = StepUp::BindingFound;
                Ok(tell(*binding))
            }
            (StepUp::BindingAnswered, Verdict::Bound) => Ok(tell(ToPage::Bound {})),
            (StepUp::KeysAsked, Verdict::Keys(keys)) => Ok(tell(ToPage::Keys { keys })),
            (StepUp::BindingAnswered, Verdict::Refused(Refusal::BadMessage)) => {
                Err(Closing::BadMessage("auth cannot read the page's message"))
            }
            (
                StepUp::BindingAsked | StepUp::BindingAnswered | StepUp::KeysAsked,
                Verdict::Refused(refusal),
            ) => Ok(tell(ToPage::Refused { stream: None, refusal })),
            (
                StepUp::Idle
                | StepUp::Asked { .. }
                | StepUp::Challenged { .. }
                | StepUp::Answered { .. }
                | StepUp::BindingAsked
                | StepUp::BindingFound
                | StepUp::BindingAnswered
                | StepUp::KeysAsked,
                Verdict::Challenge { .. }
                | Verdict::KeyChallenge { .. }
                | Verdict::BindingCode { .. }
                | Verdict::KeyBound { .. }
                | Verdict::KeyRemoved
                | Verdict::Binding(_)
                | Verdict::Bound
                | Verdict::Keys(_)
                | Verdict::SignedIn { .. }
                | Verdict::SteppedUp
                | Verdict::Refused(_),
            ) => Err(Closing::Broken("auth answered what was not asked")),
        }
    }

    /// Whether the client is told of every session.
    pub(super) fn follows(&self) -> bool {
        matches!(&self.state, ConnectionState::SignedIn(streams) if streams.follows())
    }

    /// Whether there is such a stream.
    pub(super) fn has_stream(&self, stream: u16) -> bool {
        match &self.state {
            ConnectionState::SignedIn(streams) => streams.has(stream),
            ConnectionState::Anonymous
            | ConnectionState::LoginAsked
            | ConnectionState::Challenged
            | ConnectionState::Answered
            | ConnectionState::Binding
            | ConnectionState::Over => false,
        }
    }

    fn login(&mut self, verdict: Verdict, now: Instant) -> Result<Vec<Action>, Closing> {
        match (&self.state, verdict) {
            (ConnectionState::LoginAsked, Verdict::Challenge { ceremony, options }) => {
                self.state = ConnectionState::Challenged;
                Ok(tell(ToPage::Challenge { ceremony, options }))
            }
            (ConnectionState::LoginAsked, Verdict::KeyChallenge { nonce }) => {
                self.state = ConnectionState::Challenged;
                Ok(tell(ToPage::KeyChallenge { nonce: BASE64URL_NOPAD.encode(&nonce) }))
            }
            (ConnectionState::Answered, Verdict::BindingCode { code, seconds }) => {
                self.state = ConnectionState::Binding;
                // auth gives it up by itself.
                self.sign_in_by = (now + BINDING + SIGN_IN_TIMEOUT).min(self.began + SIGN_IN_MAX);
                Ok(tell(ToPage::BindingCode { code, seconds }))
            }
            (ConnectionState::Binding, Verdict::KeyBound { account }) => {
                self.state = ConnectionState::Anonymous;
                Ok(tell(ToPage::KeyBound { account }))
            }
            (ConnectionState::Answered, Verdict::KeyRemoved) => {
                self.state = ConnectionState::Anonymous;
                Ok(tell(ToPage::KeyRemoved {}))
            }
            (ConnectionState::Answered, Verdict::SignedIn { account, resume }) => {
                let mut streams = Streams::new(self.client);
                self.account = Some(account.clone());
                let terms = |(key, seconds)| ResumeTerms { key, seconds };
                let resume = self.resume_key.clone().zip(resume).map(terms);
                let mut actions = tell(ToPage::SignedIn { account, resume });
                actions.extend(streams.ask(Pending::Lobby, Ask::Lobby));
                self.state = ConnectionState::SignedIn(streams);
                Ok(actions)
            }
            (
                ConnectionState::LoginAsked | ConnectionState::Answered,
                Verdict::Refused(Refusal::BadMessage),
            ) => Err(Closing::BadMessage("auth cannot read the page's message")),
            // A challenge that nobody has answered yet is given up if another login needs its place.
            (
                ConnectionState::LoginAsked
                | ConnectionState::Challenged
                | ConnectionState::Answered
                | ConnectionState::Binding,
                Verdict::Refused(refusal),
            ) => {
                self.state = ConnectionState::Anonymous;
                self.refused += 1;
                let mut actions = tell(ToPage::Refused { stream: None, refusal });
                if self.refused >= REFUSED_MAX {
                    self.state = ConnectionState::Over;
                    actions.push(Action::Close(Closing::TooManyFailures));
                }
                Ok(actions)
            }
            (
                ConnectionState::SignedIn(_),
                verdict @ (Verdict::Challenge { .. }
                | Verdict::KeyChallenge { .. }
                | Verdict::BindingCode { .. }
                | Verdict::KeyBound { .. }
                | Verdict::KeyRemoved
                | Verdict::Binding(_)
                | Verdict::Bound
                | Verdict::Keys(_)
                | Verdict::SignedIn { .. }
                | Verdict::SteppedUp
                | Verdict::Refused(_)),
            ) => self.stepped_up(verdict),
            (ConnectionState::Over, _) => Ok(Vec::new()),
            (
                ConnectionState::Anonymous
                | ConnectionState::LoginAsked
                | ConnectionState::Challenged
                | ConnectionState::Answered
                | ConnectionState::Binding,
                Verdict::Challenge { .. }
                | Verdict::KeyChallenge { .. }
                | Verdict::BindingCode { .. }
                | Verdict::KeyBound { .. }
                | Verdict::KeyRemoved
                | Verdict::Binding(_)
                | Verdict::Bound
                | Verdict::Keys(_)
                | Verdict::SignedIn { .. }
                | Verdict::SteppedUp
                | Verdict::Refused(_),
            ) => Err(Closing::Broken("auth answered what was not asked")),
        }
    }

    fn broker(&mut self, message: FromBroker, now: Instant) -> Result<Vec<Action>, Closing> {
        match (&mut self.state, message) {
            (ConnectionState::SignedIn(streams), FromBroker::Reply { number, answer }) => {
                streams.reply(number, answer, now)
            }
            (ConnectionState::SignedIn(streams), FromBroker::Progress { number, step }) => {
                Ok(streams.progress(number, step))
            }
            (
                ConnectionState::SignedIn(_),
                FromBroker::Sharing { session, participants, role, shareable },
            ) => Ok(tell(ToPage::Sharing { session, participants, role, shareable })),
            (ConnectionState::SignedIn(_), FromBroker::MachineStopped { machine, why }) => {
                Ok(tell(ToPage::MachineStopped { machine, why }))
            }
            (
                ConnectionState::SignedIn(streams),
                FromBroker::Session { .. } | FromBroker::SessionEnded { .. } | FromBroker::SessionHidden(_),
            ) if !streams.follows() => Err(Closing::Broken("the broker told what was not asked")),
            (ConnectionState::SignedIn(_), FromBroker::Session { summary, participants }) => {
                Ok(tell(ToPage::Session { summary, participants }))
            }
            (ConnectionState::SignedIn(_), FromBroker::SessionEnded { session, end }) => {
                Ok(tell(ToPage::SessionEnded { session, reason: end.reason, exit: end.exit }))
            }
            (ConnectionState::SignedIn(_), FromBroker::SessionHidden(session)) => {
                Ok(tell(ToPage::SessionHidden { session }))
            }
            (
                ConnectionState::Anonymous
                | ConnectionState::LoginAsked
                | ConnectionState::Challenged
                | ConnectionState::Answered
                | ConnectionState::Binding,
                _,
            ) => Err(Closing::Broken("the broker spoke before anybody signed in")),
            (ConnectionState::Over, _) => Ok(Vec::new()),
        }
    }

    fn stream_over(&mut self, id: StreamId) -> Vec<Action> {
        if let ConnectionState::SignedIn(streams) = &mut self.state {
            streams.forget(id);
        }
        Vec::new()
    }

    fn of_stream(&mut self, act: impl FnOnce(&mut Streams) -> Vec<Action>) -> Vec<Action> {
        match &mut self.state {
            ConnectionState::SignedIn(streams) => act(streams),
            ConnectionState::Anonymous
            | ConnectionState::LoginAsked
            | ConnectionState::Challenged
            | ConnectionState::Answered
            | ConnectionState::Binding
            | ConnectionState::Over => Vec::new(),
        }
    }

    fn tick(&mut self, now: Instant) -> Result<Vec<Action>, Closing> {
        if now >= self.heard + SILENCE_MAX {
            return Err(Closing::Silent);
        }
        if now >= self.sign_in_by && !matches!(self.state, ConnectionState::SignedIn(_)) {
            return Err(Closing::NeverSignedIn);
        }
        let mut actions = self.of_stream(|streams| streams.ask_again(now));
        if now >= self.probe_at {
            self.probe_at = now + PROBE_AFTER;
            self.probed = self.probed.wrapping_add(1);
            actions.push(Action::Probe { number: self.probed });
        }
        Ok(actions)
    }
}

/// The question of the command line as auth reads it. `None` if it is another message.
fn key_question(message: FromPage, source: Option<IpAddr>) -> Option<FromFront> {
    if let FromPage::KeySignIn { key } = message {
        Some(FromFront::KeySignIn { key })
    } else if let FromPage::BindKey { key, name } = message {
        Some(FromFront::BindKey { key, name, source })
    } else if let FromPage::RemoveKey { key } = message {
        Some(FromFront::RemoveKey { key })
    } else {
        None
    }
}

/// The browser's answer as auth reads it.
fn credential_text(credential: &Value) -> Result<String, Closing> {
    let text = credential.to_string();
    // Numbers can become longer when they are serialized again.
    if text.len() > TEXT_FRAME_MAX { Err(Closing::BadMessage("the answer is too long")) } else { Ok(text) }
}

/// The front's clock as a page knows it: milliseconds since the connection began. Wraps after 49
/// days.
pub(super) fn clock(began: Instant, now: Instant) -> u32 {
    let millis = now.saturating_duration_since(began).as_millis() & u128::from(u32::MAX);
    u32::try_from(millis).unwrap_or_default()
}
