use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::stream::SplitStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use super::super::capacity::Source;
use super::channels::View;
use super::closing::Closing;
use super::core::{Action, Core, Input};
use super::frames::{input, text};
use super::login::{Answered, Login, PrincipalChannel};
use super::viewer::{self, Outlets, PassedOn, Shown, Typing, ViewEvent, Wish};
use super::writer::{self, Written};
use crate::names::AccountName;
use crate::protocol::login::FromFront;
use crate::protocol::page::ToPage;
use crate::protocol::principal::{FromBroker, Request};
use crate::wire::WireError;

/// Most messages that wait for a page. With so many, nothing more is read from it.
const WAITING: usize = 16;

/// Most messages that wait for a page which is not read from any more: answers to what it asked
/// before. Past it the connection ends.
const WAITING_MAX: usize = 128;

/// How long a request may take to be handed to the broker, which never keeps one waiting.
const ASK_WITHIN: Duration = Duration::from_secs(5);

/// How long the page may take for its last messages and its own close.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Serves one connection to its end.
pub(in super::super) async fn run<S>(page: WebSocketStream<S>, auth: &Path, source: Source)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tracing::info!(%source, "connection opened");
    let (connection, mut page) = Connection::new(page, auth, source);
    let (closing, account) = connection.serve(&mut page).await;
    let account = account.as_ref().map(AccountName::as_str);
    if closing.is_fault() {
        tracing::warn!(%source, account, "connection closed: {closing}");
    } else {
        tracing::info!(%source, account, "connection closed: {closing}");
    }
}

/// A connection's core, and what it holds.
struct Connection {
    core: Core,
    source: Source,
    account: Option<AccountName>,
    /// What the page is to be told, in order; the writer takes one at a time.
    waiting: VecDeque<Message>,
    control: mpsc::Sender<Message>,
    questions: mpsc::Sender<FromFront>,
    answers: mpsc::Receiver<Answered>,
    principal: Option<PrincipalChannel>,
    views: BTreeMap<View, (Typing, AbortHandle)>,
    outlets: Outlets,
    events: mpsc::Receiver<ViewEvent>,
    /// The views and the login. They end with the connection.
    tasks: JoinSet<()>,
    writer: JoinSet<()>,
}

/// What the connection waits for.
enum Event {
    View(ViewEvent),
    Broker(Result<(FromBroker, Vec<OwnedFd>), WireError>),
    Login(Answered),
    Page(Option<Result<Message, Error>>),
    Place,
    WriterGone,
    Tick,
}

impl Connection {
    fn new<S>(
        page: WebSocketStream<S>,
        auth: &Path,
        source: Source,
    ) -> (Self, SplitStream<WebSocketStream<S>>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sink, stream) = page.split();
        let (control, control_written) = mpsc::channel(1);
        let (output, output_written) = mpsc::channel(1);
        let (questions, asked) = mpsc::channel(1);
        let (answered, answers) = mpsc::channel(1);
        let (event, events) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        tasks.spawn(Login::new(auth.to_owned()).run(asked, answered));
        let mut writer = JoinSet::new();
        writer.spawn(writer::run(sink, Written { control: control_written, output: output_written }));
        let connection = Self {
            core: Core::new(Instant::now()),
            source,
            account: None,
            waiting: VecDeque::new(),
            control,
            questions,
            answers,
            principal: None,
            views: BTreeMap::new(),
            outlets: Outlets { page: output, events: event },
            events,
            tasks,
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
                Event::Place => continue,
                Event::View(ViewEvent::Over(view)) => {
                    // Its task is not aborted: it has one more word for the page.
                    self.views.remove(&view);
                    Input::ViewOver(view)
                }
                Event::View(ViewEvent::BrokeOff(view)) => {
                    self.views.remove(&view);
                    Input::ViewBrokeOff(view)
                }
                Event::View(ViewEvent::Failed(view)) => {
                    self.views.remove(&view);
                    Input::ViewFailed(view)
                }
                Event::Broker(Ok((message, with))) => {
                    descriptors = with;
                    Input::Broker(message)
                }
                Event::Broker(Err(error)) => {
                    tracing::warn!(source = %self.source, %error, "the principal channel is closed");
                    Input::BrokerLost
                }
                Event::Login(Answered { verdict, principal }) => {
                    self.principal = principal;
                    Input::Login(verdict)
                }
                Event::Page(frame) => input(frame),
                Event::WriterGone => Input::PageGone,
                Event::Tick => Input::Tick,
            };
            let mut descriptors = descriptors.into_iter();
            for action in self.core.handle(input, Instant::now()) {
                if let Err(closing) = self.perform(action, &mut descriptors).await {
                    return self.close(closing, page).await;
                }
            }
            if self.waiting.len() > WAITING_MAX {
                return self.close(Closing::NotReading, page).await;
            }
        }
    }

    /// The next thing that happens. What ends views and connections comes first; the page's own
    /// requests last, and only while it reads the answers.
    async fn next<S>(&mut self, page: &mut SplitStream<WebSocketStream<S>>) -> Event
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let deadline = tokio::time::Instant::from_std(self.core.deadline());
        let principal = self.principal.as_ref();
        tokio::select! {
            biased;
            message = receive(principal) => Event::Broker(message),
            Some(event) = self.events.recv() => Event::View(event),
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
            frame = page.next(), if self.waiting.len() < WAITING => Event::Page(frame),
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
                // One question at a time is asked, so there is room. The task ends only with us.
                let _ = self.questions.send(question).await;
            }
            Action::Ask(request) => self.ask(&request).await?,
            Action::StartView { view, session, target, size, again } => {
                let socket = descriptors.next().ok_or(Closing::Broken("a viewer socket is missing"))?;
                let (typing, typed) = Typing::new();
                if let Some(size) = size {
                    typing.wish(Wish::Size(size));
                }
                let shown = Shown { view, session, target, again };
                let task = self.tasks.spawn(viewer::run(socket, shown, typed, self.outlets.clone()));
                self.views.insert(view, (typing, task));
            }
            Action::StopView(view) => {
                if let Some((_, task)) = self.views.remove(&view) {
                    task.abort();
                }
            }
            Action::Type { view, bytes } => {
                let Some((typing, _)) = self.views.get_mut(&view) else { return Ok(()) };
                if let PassedOn::Dropped(bytes) = typing.pass_on(bytes).await {
                    self.tell(&ToPage::InputDropped { channel: view.channel, bytes });
                }
            }
            Action::Wish { view, wish } => {
                if let Some((typing, _)) = self.views.get(&view) {
                    typing.wish(wish);
                }
            }
            Action::Probe => self.waiting.push_back(Message::Ping(Bytes::new())),
            Action::Close(closing) => return Err(closing),
        }
        // Tasks that are over are not kept.
        while self.tasks.try_join_next().is_some() {}
        Ok(())
    }

    fn tell(&mut self, message: &ToPage) {
        match message {
            ToPage::SignedIn { account } => {
                tracing::info!(source = %self.source, %account, "signed in");
                self.account = Some(account.clone());
            }
            ToPage::Refused { refusal, .. } => {
                let account = self.account.as_ref().map(AccountName::as_str);
                tracing::info!(source = %self.source, account, %refusal, "refused a request");
            }
            ToPage::Challenge { .. }
            | ToPage::Lobby { .. }
            | ToPage::Opened { .. }
            | ToPage::Snapshot { .. }
            | ToPage::Size { .. }
            | ToPage::InputDropped { .. }
            | ToPage::Ended { .. }
            | ToPage::Sharing { .. }
            | ToPage::MachineStopped { .. }
            | ToPage::Pong {} => {}
        }
        self.waiting.push_back(text(message));
    }

    async fn ask(&self, request: &Request) -> Result<(), Closing> {
        let Some(principal) = &self.principal else { return Err(Closing::BrokerLost) };
        match timeout(ASK_WITHIN, principal.send(request, &[])).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Closing::BrokerLost),
        }
    }

    /// Ends it: first everything that is held for the page, then the page's last words.
    async fn close<S>(
        mut self,
        closing: Closing,
        page: &mut SplitStream<WebSocketStream<S>>,
    ) -> (Closing, Option<AccountName>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.tasks.abort_all();
        self.views.clear();
        self.principal = None;
        if let Some(refusal) = closing.refusal() {
            self.tell(&ToPage::Refused { channel: None, refusal });
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
                // Until the page has closed too, what it still sends is read and thrown away: the
                // kernel would answer bytes to a closed socket with a reset, and that overtakes
                // our last words.
                while let Ok(Some(_)) = page.try_next().await {}
            };
            drop(timeout(CLOSE_WITHIN, goodbye).await);
        }
        (closing, self.account)
    }
}

/// The next message on the principal channel; waits for ever where there is none.
async fn receive(principal: Option<&PrincipalChannel>) -> Result<(FromBroker, Vec<OwnedFd>), WireError> {
    match principal {
        Some(principal) => principal.receive().await,
        None => std::future::pending().await,
    }
}
