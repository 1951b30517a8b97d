//! The bridge: it holds the WebSocket of a login, and speaks to the rest of `tere` as the broker
//! and the workers do on the host itself. So `tere` lists, opens and shows sessions in one way.
//!
//! A request without a stream has no number on the WebSocket. So at most one of them is under way,
//! and its answer is the next message that can be one.
//!
//! The terminal bytes of a view go from the WebSocket to its viewer socket and are not looked at,
//! and the packets of a command to its command socket. If nobody takes them, nothing more is read:
//! the worker sends no more than a window beyond what was shown or passed on, so that lasts as long
//! as a display takes to show it.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};

use super::ClientError;
use super::logins::Login;
use super::sign_in::sign_in;
use super::socket::{Heard, Socket};
use crate::names::AccountName;
use crate::protocol::exec::{FromClient, ToClient};
use crate::protocol::page::{FromPage, SENT_AT_UNKNOWN, STREAMS_MAX, StreamKind, TO_PAGE_HEADER, ToPage};
use crate::protocol::principal::{Answer, Ask, FromBroker, Request};
use crate::protocol::viewer::{CHUNK_MAX, FromViewer, ToViewer};
use crate::protocol::{Refusal, SessionEnd};
use crate::wire::{self, AsyncChannel, Intent, Message, WireError};

/// How often the host is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(5);

/// How long the host may be silent before the connection counts as lost. Input that takes as long
/// is dropped by the host ([`INPUT_PATIENCE`](crate::protocol::page::INPUT_PATIENCE)).
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// How long the wire handshakes may take. Both ends are in this process.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);

/// How long `tere` may leave a message unread.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long what was typed may take to be sent once `tere` leaves.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Messages of the host that wait for a stream's program. With more, the host is not read from.
const TO_PROGRAM: usize = 16;

/// Messages of the streams' programs that wait for the network. With more, they are not read from.
const FROM_PROGRAMS: usize = 16;

type ToTere = AsyncChannel<FromBroker, Request>;
/// What the program at the end of a stream says, with the number of the stream. `None` if it has
/// left.
type Said = (u16, Option<FromProgram>);

/// What the program at the end of a stream says.
#[derive(Debug)]
enum FromProgram {
    Viewer(FromViewer),
    Command(FromClient),
}

impl From<FromViewer> for FromProgram {
    fn from(message: FromViewer) -> Self {
        Self::Viewer(message)
    }
}

impl From<FromClient> for FromProgram {
    fn from(message: FromClient) -> Self {
        Self::Command(message)
    }
}

/// What there is once somebody is signed in.
#[derive(Debug)]
pub struct Opened {
    /// Who is signed in.
    pub account: AccountName,
    /// The principal channel, before its greeting. If the connection is lost, it closes.
    pub channel: OwnedFd,
    /// The bridge. It ends after the channel is closed, once it has sent what was typed.
    pub bridge: JoinHandle<()>,
}

/// Connects, and signs in. The bridge is a task of the runtime.
///
/// # Errors
/// The host cannot be reached, or refuses.
pub async fn open(login: &Login) -> Result<Opened, ClientError> {
    let (socket, account) = sign_in(login).await?;
    let (ours, theirs) = ToTere::pair()?;
    let bridge = tokio::spawn(Bridge::new(socket, ours).run());
    Ok(Opened { account, channel: theirs.into_socket(), bridge })
}

/// What a request without a stream is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Lobby,
    Follow,
    Name,
    Share,
    End,
}

/// A stream, with the queue to the program at its end. The socket is held by two tasks.
#[derive(Debug)]
struct Stream {
    to: ToProgram,
    tasks: [AbortHandle; 2],
}

#[derive(Debug)]
enum ToProgram {
    Viewer(mpsc::Sender<ToViewer>),
    Command(mpsc::Sender<ToClient>),
}

impl Drop for Stream {
    /// The task that writes ends by itself once it has written all.
    fn drop(&mut self) {
        let [reads, _writes] = &self.tasks;
        reads.abort();
    }
}

/// The bridge, without its end.
struct Bridge {
    socket: Socket,
    tere: ToTere,
    /// The request without a stream that is under way, and its number.
    asked: Option<(u32, Asked)>,
    /// The streams that are being opened, and the number of the request for each.
    opening: BTreeMap<u16, (StreamKind, u32)>,
    streams: BTreeMap<u16, Stream>,
    last_stream: u16,
    /// What the programs at the ends of streams say.
    said: mpsc::Receiver<Said>,
    /// Cloned for each of them.
    says: mpsc::Sender<Said>,
    tasks: JoinSet<()>,
    /// The clock of the host, and when it was told.
    clock: Option<(u32, Instant)>,
    heard: Instant,
}

impl Bridge {
    fn new(socket: Socket, tere: ToTere) -> Self {
        let (says, said) = mpsc::channel(FROM_PROGRAMS);
        Self {
            socket,
            tere,
            asked: None,
            opening: BTreeMap::new(),
            streams: BTreeMap::new(),
            last_stream: 0,
            said,
            says,
            tasks: JoinSet::new(),
            clock: None,
            heard: Instant::now(),
        }
    }

    /// Serves until either side is gone. Whoever waits for the other learns it when the sockets are
    /// dropped here.
    async fn run(mut self) {
        if self.tere.greet(Intent::Principal, GREETING_TIMEOUT).await.is_ok()
            && let Err(ClientError::Channel(_)) = self.serve().await
        {
            // `tere` leaves. What it has typed before is delivered.
            drop(timeout(LEAVE_TIMEOUT, self.leave()).await);
        }
    }

    async fn serve(&mut self) -> Result<(), ClientError> {
        let mut pings = tokio::time::interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        self.socket.say(&FromPage::Ping {}).await?;
        loop {
            tokio::select! {
                request = self.tere.receive() => {
                    let Request { number, ask } = request?.0;
                    self.ask(number, ask).await?;
                }
                heard = self.socket.hear() => {
                    self.heard = Instant::now();
                    match heard? {
                        Heard::Message(message) => self.hear(*message).await?,
                        Heard::Bytes(bytes) => self.pass_to_program(&bytes).await?,
                        Heard::Nothing => {}
                    }
                }
                Some((stream, said)) = self.said.recv() => self.pass_on(stream, said).await?,
                _ = pings.tick() => {
                    if self.heard.elapsed() >= SILENCE_MAX {
                        return Err(ClientError::Lost);
                    }
                    self.socket.say(&FromPage::Ping {}).await?;
                }
            }
            // Tasks that have finished.
            while self.tasks.try_join_next().is_some() {}
        }
    }

    /// Passes on what programs have said before they left.
    async fn leave(&mut self) -> Result<(), ClientError> {
        while !self.streams.is_empty() {
            let Some((stream, said)) = self.said.recv().await else { break };
            self.pass_on(stream, said).await?;
        }
        self.socket.close().await
    }

    /// A request of `tere`.
    async fn ask(&mut self, number: u32, ask: Ask) -> Result<(), ClientError> {
        let (asked, message) = match ask {
            Ask::Open { target, size, reason } => {
                let Some(stream) = self.new_stream(StreamKind::Terminal, number) else {
                    return self.refuse(number).await;
                };
                return self.socket.say(&FromPage::Open { stream, target, size, reason }).await;
            }
            Ask::Exec { target, reason } => {
                let Some(stream) = self.new_stream(StreamKind::Exec, number) else {
                    return self.refuse(number).await;
                };
                return self.socket.say(&FromPage::Exec { stream, target, reason }).await;
            }
            Ask::Attach { session, size } => {
                let Some(stream) = self.new_stream(StreamKind::Terminal, number) else {
                    return self.refuse(number).await;
                };
                return self.socket.say(&FromPage::Attach { stream, session, size }).await;
            }
            Ask::AttachAs { session, role } => {
                let Some(stream) = self.new_stream(StreamKind::Terminal, number) else {
                    return self.refuse(number).await;
                };
                return self.socket.say(&FromPage::AttachAs { stream, session, role }).await;
            }
            Ask::Follow => (Asked::Follow, FromPage::Follow {}),
            Ask::Lobby => (Asked::Lobby, FromPage::List {}),
            Ask::Name { session, name } => (Asked::Name, FromPage::Name { session, name }),
            Ask::Share { session, account, role } => {
                (Asked::Share, FromPage::Share { session, account, role })
            }
            Ask::End { session } => (Asked::End, FromPage::EndSession { session }),
            // No key may do these: they need not be asked for.
            Ask::Show { .. } | Ask::AllSessions { .. } | Ask::Change(_) => {
                return self.reply(number, Answer::Refused(Refusal::NotByKey), None).await;
            }
        };
        if self.asked.is_some() {
            return self.refuse(number).await;
        }
        self.asked = Some((number, asked));
        self.socket.say(&message).await
    }

    async fn refuse(&mut self, number: u32) -> Result<(), ClientError> {
        self.reply(number, Answer::Refused(Refusal::TooMany), None).await
    }

    fn new_stream(&mut self, kind: StreamKind, number: u32) -> Option<u16> {
        if self.opening.len() + self.streams.len() >= STREAMS_MAX {
            return None;
        }
        loop {
            self.last_stream = self.last_stream.wrapping_add(1);
            let stream = self.last_stream;
            if !self.opening.contains_key(&stream) && !self.streams.contains_key(&stream) {
                self.opening.insert(stream, (kind, number));
                return Some(stream);
            }
        }
    }

    /// A message of the host.
    async fn hear(&mut self, message: ToPage) -> Result<(), ClientError> {
        match message {
            ToPage::Lobby { targets, sessions, machines, tasks } => {
                let lobby = Answer::Lobby { targets, sessions, machines, tasks }.that_fits();
                self.answered(|asked| (asked == Asked::Lobby).then_some(lobby)).await
            }
            ToPage::Done {} => {
                let done = |asked| match asked {
                    Asked::Name => Some(Answer::Named),
                    Asked::Share => Some(Answer::Shared),
                    Asked::End => Some(Answer::Ending),
                    Asked::Lobby | Asked::Follow => None,
                };
                self.answered(done).await
            }
            ToPage::Refused { stream: None, refusal: Refusal::BadMessage } => Err(ClientError::OutOfTurn),
            ToPage::Refused { stream: None, refusal } => {
                self.answered(|_| Some(Answer::Refused(refusal))).await
            }
            ToPage::Refused { stream: Some(stream), refusal } => match self.opening.remove(&stream) {
                Some((_, number)) => self.reply(number, Answer::Refused(refusal), None).await,
                None => Ok(()),
            },
            ToPage::Progress { stream, step } => match self.opening.get(&stream) {
                Some((_, number)) => self.tell(&FromBroker::Progress { number: *number, step }, None).await,
                None => Ok(()),
            },
            ToPage::Opened { stream, session, target, left } => {
                let Some((kind, number)) = self.opening.remove(&stream) else {
                    return Err(ClientError::OutOfTurn);
                };
                let socket = match kind {
                    StreamKind::Terminal => {
                        self.begin::<_, FromViewer>(stream, Intent::Viewer, ToProgram::Viewer)?
                    }
                    StreamKind::Exec => {
                        self.begin::<_, FromClient>(stream, Intent::Exec, ToProgram::Command)?
                    }
                };
                self.reply(number, Answer::Opened { session, target, left }, Some(socket)).await
            }
            ToPage::Snapshot { stream, size, bytes: length, extent } => {
                self.display(stream, ToViewer::SnapshotBegins { size, length, extent }).await
            }
            ToPage::Size { stream, size } => self.display(stream, ToViewer::Size(size)).await,
            ToPage::InputDropped { stream, bytes } => {
                self.display(stream, ToViewer::InputDropped(bytes)).await
            }
            ToPage::Closed { stream, reason, exit } => {
                let end = SessionEnd { reason, exit };
                match self.streams.get(&stream).map(|stream| &stream.to) {
                    Some(ToProgram::Viewer(_)) => self.display(stream, ToViewer::Ended(end)).await?,
                    Some(ToProgram::Command(to)) => drop(to.send(ToClient::Ended(end)).await),
                    None => {}
                }
                self.streams.remove(&stream);
                Ok(())
            }
            ToPage::Sharing { session, participants, role, shareable } => {
                self.tell(&FromBroker::Sharing { session, participants, role, shareable }, None).await
            }
            ToPage::Following { sessions } => {
                let following = Answer::Following(sessions);
                self.answered(|asked| (asked == Asked::Follow).then_some(following)).await
            }
            ToPage::Session { summary, participants } => {
                self.tell(&FromBroker::Session { summary, participants }, None).await
            }
            ToPage::SessionEnded { session, reason, exit } => {
                let end = SessionEnd { reason, exit };
                self.tell(&FromBroker::SessionEnded { session, end }, None).await
            }
            ToPage::SessionHidden { session } => self.tell(&FromBroker::SessionHidden(session), None).await,
            ToPage::MachineStopped { machine, why } => {
                self.tell(&FromBroker::MachineStopped { machine, why }, None).await
            }
            ToPage::Pong { at } => {
                self.clock = Some((at, Instant::now()));
                Ok(())
            }
            ToPage::End { .. } | ToPage::MachineChanged { .. } => Ok(()),
            ToPage::Challenge { .. }
            | ToPage::KeyChallenge { .. }
            | ToPage::BindingCode { .. }
            | ToPage::KeyBound { .. }
            | ToPage::KeyRemoved {}
            | ToPage::Binding { .. }
            | ToPage::Bound {}
            | ToPage::Keys { .. }
            | ToPage::SignedIn { .. }
            | ToPage::TouchChallenge { .. } => Err(ClientError::OutOfTurn),
        }
    }

    /// Answers the request without a stream that is under way, if this can be its answer.
    async fn answered(&mut self, answer: impl FnOnce(Asked) -> Option<Answer>) -> Result<(), ClientError> {
        let Some((number, asked)) = self.asked else { return Ok(()) };
        let Some(answer) = answer(asked) else { return Ok(()) };
        self.asked = None;
        self.reply(number, answer, None).await
    }

    async fn reply(&self, number: u32, answer: Answer, viewer: Option<OwnedFd>) -> Result<(), ClientError> {
        self.tell(&FromBroker::Reply { number, answer }, viewer).await
    }

    async fn tell(&self, message: &FromBroker, viewer: Option<OwnedFd>) -> Result<(), ClientError> {
        let descriptors: Vec<_> = viewer.iter().map(|viewer| viewer.as_fd()).collect();
        let told = timeout(REPLY_TIMEOUT, self.tere.send(message, &descriptors)).await;
        Ok(told.unwrap_or(Err(WireError::TimedOut))?)
    }

    /// Makes the socket of a stream, and returns the end of the program.
    fn begin<Out, In>(
        &mut self,
        stream: u16,
        intent: Intent,
        to: impl FnOnce(mpsc::Sender<Out>) -> ToProgram,
    ) -> Result<OwnedFd, ClientError>
    where
        Out: Message + Send + Sync + 'static,
        In: Message + Into<FromProgram> + Send + Sync + 'static,
    {
        let (ours, theirs) = AsyncChannel::<Out, In>::pair()?;
        let ours = Arc::new(ours);
        let (sender, messages) = mpsc::channel(TO_PROGRAM);
        let (greeted, is_greeted) = tokio::sync::oneshot::channel();
        let reads = self.tasks.spawn(read(Arc::clone(&ours), intent, greeted, stream, self.says.clone()));
        let writes = self.tasks.spawn(write(ours, is_greeted, messages));
        self.streams.insert(stream, Stream { to: to(sender), tasks: [reads, writes] });
        Ok(theirs.into_socket())
    }

    /// Gives a display a message. One that is gone has left the stream.
    async fn display(&mut self, stream: u16, message: ToViewer) -> Result<(), ClientError> {
        match self.streams.get(&stream).map(|stream| &stream.to) {
            Some(ToProgram::Viewer(to)) => drop(to.send(message).await),
            Some(ToProgram::Command(_)) => return Err(ClientError::OutOfTurn),
            None => {}
        }
        Ok(())
    }

    /// A binary frame of the host.
    async fn pass_to_program(&mut self, frame: &[u8]) -> Result<(), ClientError> {
        let Some((header, bytes)) = frame.split_first_chunk::<TO_PAGE_HEADER>() else {
            return Err(ClientError::OutOfTurn);
        };
        let [high, low, kind] = *header;
        let stream = u16::from_be_bytes([high, low]);
        match StreamKind::from_byte(kind) {
            Some(StreamKind::Terminal) if bytes.len() <= CHUNK_MAX => {
                self.display(stream, ToViewer::Output(bytes.to_vec())).await
            }
            Some(StreamKind::Exec) => {
                let packet = wire::decode(bytes, 0).map_err(|_| ClientError::OutOfTurn)?;
                match self.streams.get(&stream).map(|stream| &stream.to) {
                    Some(ToProgram::Command(to)) => drop(to.send(packet).await),
                    Some(ToProgram::Viewer(_)) => return Err(ClientError::OutOfTurn),
                    None => {}
                }
                Ok(())
            }
            Some(StreamKind::Terminal) | None => Err(ClientError::OutOfTurn),
        }
    }

    /// What the program at the end of a stream says; `None` if it has left.
    async fn pass_on(&mut self, stream: u16, said: Option<FromProgram>) -> Result<(), ClientError> {
        if !self.streams.contains_key(&stream) {
            return Ok(());
        }
        let message = match said {
            None => {
                self.streams.remove(&stream);
                FromPage::Close { stream }
            }
            Some(FromProgram::Command(packet)) => {
                return self.send_bytes(stream, StreamKind::Exec, &wire::encode(&packet)?).await;
            }
            Some(FromProgram::Viewer(FromViewer::Input(bytes))) => {
                return self.send_bytes(stream, StreamKind::Terminal, &bytes).await;
            }
            Some(FromProgram::Viewer(FromViewer::End)) => FromPage::End { stream },
            Some(FromProgram::Viewer(FromViewer::Resize(size))) => FromPage::Resize { stream, size },
            Some(FromProgram::Viewer(FromViewer::Shown(bytes))) => FromPage::Shown { stream, bytes },
            Some(FromProgram::Viewer(FromViewer::Refresh)) => FromPage::Refresh { stream },
            Some(FromProgram::Viewer(FromViewer::ResetTerminal)) => FromPage::ResetTerminal { stream },
            Some(FromProgram::Viewer(FromViewer::Theme(theme))) => FromPage::Theme { stream, theme },
        };
        self.socket.say(&message).await
    }

    /// Sends the host bytes of a stream.
    async fn send_bytes(&mut self, stream: u16, kind: StreamKind, bytes: &[u8]) -> Result<(), ClientError> {
        let header = [&stream.to_be_bytes()[..], &[kind as u8], &self.sent_at()].concat();
        self.socket.send_bytes([&header, bytes].concat()).await
    }

    /// Now, on the clock of the host, so that input that comes too late is dropped there.
    fn sent_at(&self) -> [u8; 4] {
        let now = self.clock.map(|(at, told)| {
            let since = told.elapsed().as_millis() & u128::from(u32::MAX);
            at.wrapping_add(u32::try_from(since).unwrap_or_default())
        });
        now.unwrap_or(SENT_AT_UNKNOWN).to_be_bytes()
    }
}

/// Reads what a program says until it has left.
async fn read<Out: Message, In: Message + Into<FromProgram>>(
    program: Arc<AsyncChannel<Out, In>>,
    intent: Intent,
    greeted: tokio::sync::oneshot::Sender<()>,
    stream: u16,
    said: mpsc::Sender<Said>,
) {
    if program.greet(intent, GREETING_TIMEOUT).await.is_ok() && greeted.send(()).is_ok() {
        while let Ok((message, _)) = program.receive().await {
            if said.send((stream, Some(message.into()))).await.is_err() {
                return;
            }
        }
    }
    drop(said.send((stream, None)).await);
}

/// Writes what is for a program, once it has greeted.
async fn write<Out: Message, In: Message>(
    program: Arc<AsyncChannel<Out, In>>,
    greeted: tokio::sync::oneshot::Receiver<()>,
    mut messages: mpsc::Receiver<Out>,
) {
    if greeted.await.is_err() {
        return;
    }
    while let Some(message) = messages.recv().await {
        if program.send(&message, &[]).await.is_err() {
            return;
        }
    }
}
