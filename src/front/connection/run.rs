use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::select_all;
use futures_util::stream::SplitStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use super::super::Front;
use super::super::capacity::SocketPlace;
use super::super::client::Client;
use super::super::source::Source;
use super::closing::Closing;
use super::core::{Core, clock};
use super::exec::{Exec, ExecHandle, NotTaken};
use super::frames::{Frame, StreamBytes, read, text};
use super::input::{PushError, is_too_old};
use super::login::{Answered, Login, PrincipalChannel};
use super::pace::Pace;
use super::steps::{Action, Control, Input, StreamId, Verdict};
use super::terminal::{DELIVERY_TIMEOUT, Outlet, StreamEvent, Terminal, TerminalHandle, TerminalView};
use super::websocket::{self, SignedIn};
use super::writer::{self, OUTPUT_QUEUE, Written};
use crate::names::AccountName;
use crate::protocol::Refusal;
use crate::protocol::login::FromFront;
use crate::protocol::page::{STREAMS_MAX, StreamKind, ToPage};
use crate::protocol::principal::{FromBroker, Request};
use crate::wire::WireError;

/// The number of messages waiting for a page at which the front stops reading from it.
const WAITING: usize = 16;

/// Most messages that wait for a page. Past [`WAITING`], they are answers to requests that the
/// front read before it stopped reading. With more than this the connection ends.
const WAITING_MAX: usize = 128;

/// How long sending a request to the broker may take. The broker normally accepts one at once.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the page may take to read its last messages and to close the WebSocket.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves one connection until it ends. `read` holds the bytes that arrived after the head of the
/// request.
pub(in super::super) async fn run<S>(
    stream: S,
    read: Vec<u8>,
    front: Arc<Front>,
    (source, client): (Source, Client),
    place: Arc<SocketPlace>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (page, signed_in) = websocket::open(stream, read).await;
    let (connection, mut page) =
        Connection::new(page, signed_in, Arc::clone(&front), (source, client), place);
    let (closing, account) = connection.serve(&mut page).await;
    match account {
        Some(account) if closing.is_fault() => {
            tracing::warn!(%source, %account, "connection closed: {closing}");
        }
        Some(account) => tracing::info!(%source, %account, "connection closed: {closing}"),
        None if closing.is_fault() => front.record_limiter.record(source, || {
            tracing::warn!(%source, "connection closed: {closing}");
        }),
        None => tracing::debug!(%source, "connection closed: {closing}"),
    }
}

/// The core of a connection, and the sockets, queues and tasks that it drives.
struct Connection {
    core: Core,
    front: Arc<Front>,
    source: Source,
    place: Arc<SocketPlace>,
    signed_in: SignedIn,
    account: Option<AccountName>,
    pace: Pace,
    /// Messages for the page, in order. The writer takes one at a time.
    waiting: VecDeque<Message>,
    control: mpsc::Sender<Message>,
    questions: mpsc::Sender<FromFront>,
    answers: mpsc::Receiver<Answered>,
    principal: Option<PrincipalChannel>,
    /// A channel that auth has just handed over for a step-up.
    stepped_up: Option<PrincipalChannel>,
    /// The channels of step-ups, by the stream that each was made for. At most [`STREAMS_MAX`].
    step_ups: BTreeMap<u16, Arc<PrincipalChannel>>,
    /// When the connection began, the zero of its clock.
    began: Instant,
    /// The streams that accept input, by number.
    streams: BTreeMap<u16, Handle>,
    /// Passes the output queues of new streams to the writer.
    outputs: mpsc::Sender<mpsc::Receiver<Message>>,
    /// Cloned for each stream, which reports its events through it.
    reports: mpsc::Sender<StreamEvent>,
    events: mpsc::Receiver<StreamEvent>,
    /// One task for each stream that has not finished.
    stream_tasks: JoinSet<()>,
    /// The login task. It is aborted when the connection ends.
    _login: JoinSet<()>,
    writer: JoinSet<()>,
}

/// The connection's handle on a stream.
#[derive(Debug)]
enum Handle {
    Terminal(TerminalHandle),
    Exec(ExecHandle),
}

impl Handle {
    fn id(&self) -> StreamId {
        match self {
            Self::Terminal(terminal) => terminal.id,
            Self::Exec(exec) => exec.id,
        }
    }

    fn terminal(&self) -> Option<&TerminalHandle> {
        match self {
            Self::Terminal(terminal) => Some(terminal),
            Self::Exec(_) => None,
        }
    }
}

/// An event that the connection waits for.
enum Event {
    Stream(StreamEvent),
    Broker(Result<(FromBroker, Vec<OwnedFd>), WireError>),
    /// A message on the channel of the step-up for this stream.
    SteppedUp(u16, Result<(FromBroker, Vec<OwnedFd>), WireError>),
    Login(Answered),
    Page(Option<Result<Message, Error>>),
    Place,
    /// The page may be read from again.
    Rested,
    WriterGone,
    Tick,
}

impl Connection {
    fn new<S>(
        page: WebSocketStream<S>,
        signed_in: SignedIn,
        front: Arc<Front>,
        (source, client): (Source, Client),
        place: Arc<SocketPlace>,
    ) -> (Self, SplitStream<WebSocketStream<S>>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sink, stream) = page.split();
        let (control, control_written) = mpsc::channel(1);
        let (outputs, streams_written) = mpsc::channel(STREAMS_MAX);
        let (questions, asked) = mpsc::channel(1);
        let (answered, answers) = mpsc::channel(1);
        let (reports, events) = mpsc::channel(1);
        let mut login = JoinSet::new();
        login.spawn(Login::new(Arc::clone(&front), source).run(asked, answered));
        let mut writer = JoinSet::new();
        writer.spawn(writer::run(sink, Written { control: control_written, streams: streams_written }));
        let began = Instant::now();
        let connection = Self {
            core: Core::new(began, client, source.address()),
            front,
            source,
            place,
            signed_in,
            account: None,
            pace: Pace::new(tokio::time::Instant::now()),
            waiting: VecDeque::new(),
            control,
            questions,
            answers,
            principal: None,
            stepped_up: None,
            step_ups: BTreeMap::new(),
            began,
            streams: BTreeMap::new(),
            outputs,
            reports,
            events,
            stream_tasks: JoinSet::new(),
            _login: login,
            writer,
        };
        (connection, stream)
    }

    async fn serve<S>(mut self, page: &mut SplitStream<WebSocketStream<S>>) -> (Closing, Option<AccountName>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            let event = self.next(page).await;
            let mut descriptors = Vec::new();
            let input = match event {
                Event::Place | Event::Rested => continue,
                Event::Stream(StreamEvent::Over(id)) => {
                    // The task is not aborted: it still has to send `closed` to the page.
                    self.let_go(id);
                    Input::StreamOver(id)
                }
                Event::Stream(StreamEvent::Broke(id, undelivered)) => {
                    self.let_go(id);
                    self.tell_dropped(id.stream, undelivered);
                    Input::StreamBroke(id)
                }
                Event::Stream(StreamEvent::Failed(id)) => {
                    self.let_go(id);
                    Input::StreamFailed(id)
                }
                Event::Broker(Ok((message, with))) => {
                    descriptors = with;
                    Input::Broker(message)
                }
                Event::Broker(Err(error)) => {
                    tracing::warn!(source = %self.source, %error, "the principal channel is closed");
                    Input::BrokerLost
                }
                Event::SteppedUp(_, Ok((message, with))) => {
                    descriptors = with;
                    Input::Broker(message)
                }
                Event::SteppedUp(stream, Err(error)) => {
                    tracing::warn!(source = %self.source, %error, "the channel of a step-up is closed");
                    self.step_ups.remove(&stream);
                    Input::StepUpLost(stream)
                }
                Event::Login(Answered { verdict: Verdict::SignedIn { .. }, .. }) if !self.place.sign_in() => {
                    // The broker closes the channel that is dropped here.
                    Input::Login(Verdict::Refused(Refusal::Busy))
                }
                Event::Login(Answered { verdict, principal }) => {
                    match verdict {
                        Verdict::SignedIn { .. } => {
                            self.signed_in.set();
                            self.principal = principal;
                        }
                        Verdict::SteppedUp => self.stepped_up = principal,
                        Verdict::Challenge { .. }
                        | Verdict::KeyChallenge { .. }
                        | Verdict::BindingCode { .. }
                        | Verdict::KeyBound { .. }
                        | Verdict::KeyRemoved
                        | Verdict::Binding(_)
                        | Verdict::Bound
                        | Verdict::Keys(_)
                        | Verdict::Refused(_) => {}
                    }
                    Input::Login(verdict)
                }
                Event::Page(frame) => match read(frame) {
                    Frame::Message(message) => Input::Page(message),
                    Frame::Bytes(bytes) => self.take_input(&bytes),
                    Frame::Pong(probe) => Input::Pong { probe },
                    // Not even a sign of life: browsers send no pings.
                    Frame::Ping => continue,
                    Frame::Unreadable(what) => Input::Unreadable(what),
                    Frame::Gone => Input::PageGone,
                },
                Event::WriterGone => Input::PageGone,
                Event::Tick => Input::Tick,
            };
            let mut descriptors = descriptors.into_iter();
            for action in self.core.handle(input, Instant::now()) {
                if let Err(closing) = self.perform(action, &mut descriptors).await {
                    return self.close(closing, page).await;
                }
            }
            self.stepped_up = None;
            self.step_ups.retain(|stream, _| self.core.has_stream(*stream));
            if self.waiting.len() > WAITING_MAX {
                return self.close(Closing::NotReading, page).await;
            }
        }
    }

    /// Waits for the next event. Events that end views or connections take precedence. Frames from
    /// the page come last, and are read only while the page reads its messages.
    async fn next<S>(&mut self, page: &mut SplitStream<WebSocketStream<S>>) -> Event
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let deadline = tokio::time::Instant::from_std(self.core.deadline());
        let rest = self.pace.rest(tokio::time::Instant::now(), self.signed_in.is_set());
        let principal = self.principal.as_ref();
        // A follower may be told of any number of sessions at once.
        let hears = self.waiting.len() < WAITING || !self.core.follows();
        tokio::select! {
            biased;
            message = receive(principal), if hears => Event::Broker(message),
            (stream, message) = receive_of_step_ups(&self.step_ups) => Event::SteppedUp(stream, message),
            Some(event) = self.events.recv() => Event::Stream(event),
            Some(answered) = self.answers.recv() => Event::Login(answered),
            place = self.control.reserve(), if !self.waiting.is_empty() => match place {
                Ok(place) => {
                    if let Some(message) = self.waiting.pop_front() {
                        place.send(message);
                    }
                    Event::Place
                }
                Err(_) => Event::WriterGone,
            },
            _ = self.writer.join_next() => Event::WriterGone,
            () = tokio::time::sleep_until(deadline) => Event::Tick,
            () = tokio::time::sleep_until(rest.unwrap_or(deadline)), if rest.is_some() => Event::Rested,
            frame = page.next(), if self.waiting.len() < WAITING && rest.is_none() => {
                self.pace.count(tokio::time::Instant::now());
                Event::Page(frame)
            }
        }
    }

    async fn perform(
        &mut self,
        action: Action,
        descriptors: &mut impl Iterator<Item = OwnedFd>,
    ) -> Result<(), Closing> {
        match action {
            Action::Tell(message) => self.tell(&message),
            Action::Login(question) => {
                // Only one question is pending at a time, so the queue has room. The login task
                // ends only when the connection does, or once an account is signed in.
                let _ = self.questions.send(question).await;
            }
            Action::Ask(request) => self.ask(&request).await?,
            Action::KeepStepUp(stream) => {
                let channel = self.stepped_up.take().ok_or(Closing::Broken("a channel is missing"))?;
                self.step_ups.insert(stream, Arc::new(channel));
            }
            Action::AskSteppedUp { stream, request } => self.ask_stepped_up(stream, &request).await?,
            Action::StartStream { id, session, target, left, size, theme, again } => {
                let socket = descriptors.next().ok_or(Closing::Broken("a viewer socket is missing"))?;
                let outlet = self.outlet(id).await;
                let step_up = self.step_ups.get(&id.stream).map(Arc::clone);
                let view = TerminalView { session, target, left, again, step_up };
                let (terminal, handle) = Terminal::new(view, outlet);
                if let Some(size) = size {
                    handle.control(Control::Size(size));
                }
                if let Some(theme) = theme {
                    handle.control(Control::Theme(theme));
                }
                self.stream_tasks.spawn(terminal.run(socket));
                self.streams.insert(id.stream, Handle::Terminal(handle));
            }
            Action::StartExec { id, session, target } => {
                let socket = descriptors.next().ok_or(Closing::Broken("a command socket is missing"))?;
                let (exec, handle) = Exec::new(session, target, self.outlet(id).await);
                self.stream_tasks.spawn(exec.run(socket));
                self.streams.insert(id.stream, Handle::Exec(handle));
            }
            Action::EndInput(id) => {
                if let Some(terminal) = self.stream(id).and_then(Handle::terminal) {
                    terminal.input.end();
                }
            }
            // The task of a terminal ends once the input received before is delivered; a command
            // is hung up.
            Action::CloseStream(id) => {
                if let Some(terminal) = self.stream(id).and_then(Handle::terminal) {
                    terminal.input.close();
                }
                self.let_go(id);
            }
            Action::Control { id, control } => {
                if let Some(terminal) = self.stream(id).and_then(Handle::terminal) {
                    terminal.control(control);
                }
            }
            Action::Probe { number } => {
                let number = Bytes::copy_from_slice(&number.to_be_bytes());
                self.waiting.push_back(Message::Ping(number));
            }
            Action::Close(closing) => return Err(closing),
        }
        // Reap the tasks that have finished.
        while self.stream_tasks.try_join_next().is_some() {}
        Ok(())
    }

    fn stream(&self, id: StreamId) -> Option<&Handle> {
        self.streams.get(&id.stream).filter(|handle| handle.id() == id)
    }

    /// The way of a new stream to the page and to this connection.
    async fn outlet(&self, id: StreamId) -> Outlet {
        let (output, written) = mpsc::channel(OUTPUT_QUEUE);
        // The queue has room for as many streams as can be open. If the writer has ended, the main
        // loop notices it.
        drop(self.outputs.send(written).await);
        Outlet { id, output, events: self.reports.clone() }
    }

    fn let_go(&mut self, id: StreamId) {
        if self.stream(id).is_some() {
            self.streams.remove(&id.stream);
        }
    }

    /// Puts input into the queue of its stream without waiting. Input of a terminal that is too old
    /// or does not fit into the queue is dropped, and the page is told.
    fn take_input(&mut self, input: &StreamBytes) -> Input {
        let StreamBytes { stream, kind, sent_at, bytes } = input;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let Some(handle) = self.streams.get(stream) else {
            return Input::StrayBytes { stream: *stream, length };
        };
        let terminal = match (handle, kind) {
            (Handle::Terminal(terminal), StreamKind::Terminal) => terminal,
            (Handle::Exec(exec), StreamKind::Exec) => {
                let id = exec.id;
                return match exec.push(bytes) {
                    Ok(()) => Input::Alive,
                    Err(NotTaken::Unreadable) => Input::Unreadable("a packet of a command is none"),
                    Err(NotTaken::Full) => {
                        self.let_go(id);
                        Input::StreamBroke(id)
                    }
                };
            }
            (Handle::Terminal(_), StreamKind::Exec) | (Handle::Exec(_), StreamKind::Terminal) => {
                return Input::Unreadable("a binary frame is of another kind than its stream");
            }
        };
        if is_too_old(*sent_at, clock(self.began, Instant::now())) {
            tracing::info!(source = %self.source, length, "input that came too late is dropped");
            self.tell_dropped(*stream, length);
            return Input::Alive;
        }
        match terminal.input.push(bytes) {
            Ok(()) => Input::Alive,
            Err(PushError::Full) => {
                self.tell_dropped(*stream, length);
                Input::Alive
            }
            Err(PushError::Ended) => Input::Unreadable("input for a stream whose input was ended"),
        }
    }

    fn tell_dropped(&mut self, stream: u16, bytes: u64) {
        if bytes > 0 {
            self.tell(&ToPage::InputDropped { stream, bytes });
        }
    }

    fn tell(&mut self, message: &ToPage) {
        match message {
            ToPage::SignedIn { account, .. } => {
                tracing::info!(source = %self.source, %account, "signed in");
                self.account = Some(account.clone());
            }
            ToPage::Refused { refusal, .. } => match &self.account {
                Some(account) => {
                    tracing::info!(source = %self.source, %account, %refusal, "refused a request");
                }
                None => self.front.record_limiter.record(self.source, || {
                    tracing::info!(source = %self.source, %refusal, "refused a sign-in");
                }),
            },
            ToPage::Challenge { .. }
            | ToPage::TouchChallenge { .. }
            | ToPage::Lobby { .. }
            | ToPage::Opened { .. }
            | ToPage::Snapshot { .. }
            | ToPage::Size { .. }
            | ToPage::InputDropped { .. }
            | ToPage::End { .. }
            | ToPage::Closed { .. }
            | ToPage::Sharing { .. }
            | ToPage::Progress { .. }
            | ToPage::MachineStopped { .. }
            | ToPage::MachineChanged { .. }
            | ToPage::KeyChallenge { .. }
            | ToPage::BindingCode { .. }
            | ToPage::KeyBound { .. }
            | ToPage::KeyRemoved {}
            | ToPage::Binding { .. }
            | ToPage::Bound {}
            | ToPage::Keys { .. }
            | ToPage::Done {}
            | ToPage::Following { .. }
            | ToPage::Session { .. }
            | ToPage::SessionEnded { .. }
            | ToPage::SessionHidden { .. }
            | ToPage::Pong { .. } => {}
        }
        self.waiting.push_back(text(message));
    }

    /// Waits until every stream has delivered its queued input, at most [`DELIVERY_TIMEOUT`]. The
    /// principal channel stays open meanwhile, because the broker closes the views when it closes.
    async fn deliver_input(&mut self) {
        self.streams.values().filter_map(Handle::terminal).for_each(|terminal| terminal.input.close());
        // Without its handle, a command is hung up.
        self.streams.retain(|_, handle| handle.terminal().is_some());
        // Nobody receives events any more; closing the channel keeps the tasks from waiting on it.
        self.events.close();
        let all = async { while self.stream_tasks.join_next().await.is_some() {} };
        if timeout(DELIVERY_TIMEOUT, all).await.is_err() {
            self.stream_tasks.abort_all();
        }
    }

    async fn ask(&self, request: &Request) -> Result<(), Closing> {
        let Some(principal) = &self.principal else { return Err(Closing::BrokerLost) };
        match timeout(ASK_TIMEOUT, principal.send(request, &[])).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Closing::BrokerLost),
        }
    }

    /// Sends a request on the channel of the step-up for a stream.
    async fn ask_stepped_up(&self, stream: u16, request: &Request) -> Result<(), Closing> {
        let channel = self.step_ups.get(&stream).ok_or(Closing::Broken("a channel is missing"))?;
        match timeout(ASK_TIMEOUT, channel.send(request, &[])).await {
            // A closed channel is noticed when the next message is received from it.
            Ok(_) => Ok(()),
            Err(_) => Err(Closing::BrokerLost),
        }
    }

    /// Ends the connection: first delivers or drops the queued input, then sends the page its last
    /// messages and the close frame.
    async fn close<S>(
        mut self,
        closing: Closing,
        page: &mut SplitStream<WebSocketStream<S>>,
    ) -> (Closing, Option<AccountName>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if closing.withdraws_rights() {
            self.stream_tasks.abort_all();
        } else {
            self.deliver_input().await;
        }
        self.streams.clear();
        // Closing the principal channel makes the broker close the remaining views.
        self.principal = None;
        self.step_ups.clear();
        if let Some(refusal) = closing.refusal() {
            self.tell(&ToPage::Refused { stream: None, refusal });
        }
        if let Some(frame) = closing.frame() {
            self.waiting.push_back(Message::Close(Some(frame)));
            let goodbye = async {
                for message in self.waiting.drain(..) {
                    if self.control.send(message).await.is_err() {
                        return;
                    }
                }
                self.writer.join_next().await;
                // Data that arrives at a closed socket makes the kernel send a reset, which would
                // overtake the last messages. So read and discard what the page still sends until
                // the page has closed the WebSocket too.
                while let Ok(Some(_)) = page.try_next().await {}
            };
            drop(timeout(CLOSE_TIMEOUT, goodbye).await);
        }
        (closing, self.account)
    }
}

/// The next message on the principal channel. Never resolves if there is no channel.
async fn receive(principal: Option<&PrincipalChannel>) -> Result<(FromBroker, Vec<OwnedFd>), WireError> {
    match principal {
        Some(principal) => principal.receive().await,
        None => std::future::pending().await,
    }
}

/// The next message on the channel of a step-up, with its stream. Never resolves if there is none.
async fn receive_of_step_ups(
    step_ups: &BTreeMap<u16, Arc<PrincipalChannel>>,
) -> (u16, Result<(FromBroker, Vec<OwnedFd>), WireError>) {
    let received =
        step_ups.iter().map(|(stream, channel)| Box::pin(async { (*stream, channel.receive().await) }));
    let received: Vec<_> = received.collect();
    if received.is_empty() {
        return std::future::pending().await;
    }
    select_all(received).await.0
}
