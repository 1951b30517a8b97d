//! Stand-ins for the processes around the front.

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::config::ProxySource;
use crate::front::Front;
use crate::front::listener::Listener;
use crate::names::SessionId;
use crate::protocol::login::{FromFront, ToFront};
use crate::protocol::page::{Ceremony, FromPage, SENT_AT_UNKNOWN, StreamKind, ToPage};
use crate::protocol::principal::{Answer, Ask, FromBroker, Request};
use crate::protocol::viewer::{FromViewer, ToViewer};
use crate::protocol::{GrantedTarget, Refusal, Terms};
use crate::sandbox::{self, Thread};
use crate::sys::seqpacket;
use crate::wire::{Channel, Intent};

pub(super) const ORIGIN: &str = "http://localhost:8080";

/// How long any step may take before a test fails.
pub(super) const SOON: Duration = Duration::from_secs(20);

/// The worker's end of a viewer socket.
pub(super) type ViewerChannel = Channel<ToViewer, FromViewer>;

/// A running front, and the ends of the sockets that the stand-ins behind it hand out.
pub(super) struct Fixture {
    pub(super) address: SocketAddr,
    /// The worker's end of each view that was opened, after the handshake.
    pub(super) workers: mpsc::Receiver<ViewerChannel>,
    /// The broker's end of each principal channel, so that a test can shut it down.
    pub(super) principals: mpsc::Receiver<OwnedFd>,
    pub(super) folder: tempfile::TempDir,
    pub(super) front: Arc<Front>,
    /// Its threads are in the front's sandbox, as in the program. `None` while it is being dropped.
    runtime: Option<Runtime>,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Fixture {
    /// A front with a stand-in for auth.
    pub(super) fn build() -> Self {
        let (workers, taken) = mpsc::channel();
        let (principals, handed) = mpsc::channel();
        let fixture = Self::empty(taken, handed, None);
        fixture.start_auth(workers, principals);
        fixture
    }

    /// The same, that also listens on [`Self::path`] for such a proxy.
    pub(super) fn behind(proxy: ProxySource) -> Self {
        let (workers, taken) = mpsc::channel();
        let (principals, handed) = mpsc::channel();
        let fixture = Self::empty(taken, handed, Some(proxy));
        fixture.start_auth(workers, principals);
        fixture
    }

    /// A front with nothing listening on auth.sock.
    pub(super) fn without_auth() -> Self {
        Self::empty(mpsc::channel().1, mpsc::channel().1, None)
    }

    fn empty(
        workers: mpsc::Receiver<ViewerChannel>,
        principals: mpsc::Receiver<OwnedFd>,
        proxy: Option<ProxySource>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let origin = ORIGIN.parse().unwrap();
        let mut listeners = vec![Listener::new(listener.into(), &origin, None, proxy).unwrap()];
        if proxy.is_some() {
            let path = folder.path().join("front.sock");
            let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(0o660)).unwrap();
            listeners.push(Listener::new(listener.into(), &origin, None, proxy).unwrap());
        }
        let front = Arc::new(Front::new(origin, folder.path().join("auth.sock")));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .on_thread_start(|| sandbox::enter_or_abort(Thread::Front, &[]))
            .enable_all()
            .build()
            .unwrap();
        for listener in listeners {
            let served = Arc::clone(&front);
            runtime.spawn(async move { listener.serve(served).unwrap().await });
        }
        Self { address, workers, principals, folder, front, runtime: Some(runtime) }
    }

    pub(super) fn start_auth(&self, workers: mpsc::Sender<ViewerChannel>, principals: mpsc::Sender<OwnedFd>) {
        serve_auth(&self.folder.path().join("auth.sock"), workers, principals, 0);
    }

    /// A front whose auth closes its first `times` connections at once, as if it had been killed.
    pub(super) fn with_auth_that_dies(times: usize) -> Self {
        let (workers, taken) = mpsc::channel();
        let (principals, handed) = mpsc::channel();
        let fixture = Self::empty(taken, handed, None);
        serve_auth(&fixture.folder.path().join("auth.sock"), workers, principals, times);
        fixture
    }

    /// The socket for a proxy.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("front.sock")
    }

    pub(super) async fn page(&self) -> Page {
        Page::open(self.address, None).await.unwrap()
    }

    pub(super) async fn signed_in(&self) -> Page {
        let mut page = self.page().await;
        page.sign_in().await;
        page
    }

    pub(super) fn worker(&self) -> ViewerChannel {
        self.workers.recv_timeout(SOON).unwrap()
    }
}

/// A stand-in for auth: whoever answers `"good"` is alice. Each connection has a thread.
fn serve_auth(
    path: &Path,
    workers: mpsc::Sender<ViewerChannel>,
    principals: mpsc::Sender<OwnedFd>,
    dies: usize,
) {
    let listener = seqpacket::listen(path).unwrap();
    std::thread::spawn(move || {
        for _ in 0..dies {
            drop(seqpacket::accept(listener.as_fd()));
        }
        while let Ok(socket) = seqpacket::accept(listener.as_fd()) {
            let (workers, principals) = (workers.clone(), principals.clone());
            std::thread::spawn(move || log_in(&Channel::over(socket), &workers, &principals));
        }
    });
}

fn log_in(
    front: &Channel<ToFront, FromFront>,
    workers: &mpsc::Sender<ViewerChannel>,
    principals: &mpsc::Sender<OwnedFd>,
) {
    front.greet(Intent::Login, SOON).unwrap();
    while let Ok((question, _)) = front.receive() {
        match question {
            FromFront::Enrol { token } if token.reveal() != "good" => {
                front.send(&ToFront::Refused(Refusal::LinkInvalid), &[]).unwrap();
            }
            FromFront::SignIn | FromFront::Enrol { .. } => {
                let challenge = ToFront::Challenge { ceremony: Ceremony::Get, options: "{}".into() };
                front.send(&challenge, &[]).unwrap();
            }
            FromFront::Answer { credential, .. } if credential == "\"good\"" => {
                let (ours, theirs) = Channel::<FromBroker, Request>::pair().unwrap();
                let signed_in = ToFront::SignedIn { account: "alice".parse().unwrap(), resume: None };
                front.send(&signed_in, &[theirs.as_fd()]).unwrap();
                drop(theirs);
                drop(principals.send(ours.as_fd().try_clone_to_owned().unwrap()));
                return answer_requests(&ours, workers);
            }
            FromFront::Answer { .. }
            | FromFront::StepUp { .. }
            | FromFront::Resume { .. }
            | FromFront::Keys { .. }
            | FromFront::DropKey { .. }
            | FromFront::KeySignIn { .. }
            | FromFront::BindKey { .. }
            | FromFront::RemoveKey { .. }
            | FromFront::KeyAnswer { .. }
            | FromFront::FindBinding { .. }
            | FromFront::DeclineBinding => {
                front.send(&ToFront::Refused(Refusal::UnknownPasskey), &[]).unwrap();
            }
        }
    }
}

/// A stand-in for the broker: every account may open shells as `dev`, and as nobody else.
fn answer_requests(front: &Channel<FromBroker, Request>, workers: &mpsc::Sender<ViewerChannel>) {
    front.greet(Intent::Principal, SOON).unwrap();
    while let Ok((Request { number, ask }, _)) = front.receive() {
        let target = "dev@box".parse().unwrap();
        let session: SessionId = "abcdefghijkl".parse().unwrap();
        let mut viewer = None;
        let answer = match ask {
            Ask::Lobby => Answer::Lobby {
                targets: vec![GrantedTarget { target, terms: Terms::default() }],
                sessions: vec![],
                machines: vec![],
                tasks: vec![],
            },
            Ask::Open { target, .. } if target.user.as_str() != "dev" => Answer::Refused(Refusal::NotGranted),
            Ask::Open { .. } | Ask::Attach { .. } | Ask::AttachAs { .. } => {
                let (ours, theirs) = ViewerChannel::pair().unwrap();
                viewer = Some(theirs);
                let workers = workers.clone();
                std::thread::spawn(move || {
                    if ours.greet(Intent::Viewer, SOON).is_ok() {
                        drop(workers.send(ours));
                    }
                });
                Answer::Opened { session, target, left: None }
            }
            Ask::Change(_) => Answer::Changed,
            Ask::Name { .. } => Answer::Named,
            Ask::Share { .. } => Answer::Shared,
            Ask::Follow => Answer::Following(Vec::new()),
            Ask::End { .. } => Answer::Ending,
            // The front asks for no commands.
            Ask::Exec { .. } => Answer::Refused(Refusal::NotGranted),
            Ask::Show { .. } | Ask::AllSessions { .. } => Answer::Refused(Refusal::NotOperator),
        };
        let descriptors: Vec<_> = viewer.iter().map(|viewer| viewer.as_fd()).collect();
        if front.send(&FromBroker::Reply { number, answer }, &descriptors).is_err() {
            return;
        }
    }
}

/// A page, as far as the WebSocket goes.
pub(super) struct Page<S = TcpStream>(pub(super) WebSocketStream<S>);

impl Page {
    /// Opens a WebSocket as a browser would. `receive_buffer` limits what the page's kernel buffers
    /// while the page does not read, bytes.
    pub(super) async fn open(address: SocketAddr, receive_buffer: Option<u32>) -> Result<Self, Error> {
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        Self::over(socket.connect(address).await?, &[]).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Page<S> {
    /// Opens a WebSocket on this socket, with more headers.
    pub(super) async fn over(stream: S, headers: &[(&'static str, &str)]) -> Result<Self, Error> {
        let mut request = "ws://localhost:8080/ws".into_client_request()?;
        request.headers_mut().insert("Origin", ORIGIN.parse().unwrap());
        request.headers_mut().insert("Sec-WebSocket-Protocol", "tere-6".parse().unwrap());
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        Ok(Self(tokio_tungstenite::client_async(request, stream).await?.0))
    }

    pub(super) async fn say(&mut self, message: &FromPage) {
        self.0.send(Message::text(serde_json::to_string(message).unwrap())).await.unwrap();
    }

    pub(super) async fn send_typed(&mut self, stream: u16, bytes: &[u8]) {
        self.send_typed_at(stream, SENT_AT_UNKNOWN, bytes).await;
    }

    pub(super) async fn send_typed_at(&mut self, stream: u16, sent_at: u32, bytes: &[u8]) {
        let kind = StreamKind::Terminal as u8;
        let frame = [&stream.to_be_bytes()[..], &[kind], &sent_at.to_be_bytes(), bytes].concat();
        self.0.send(Message::binary(frame)).await.unwrap();
    }

    /// The next frame that is not a control frame of the WebSocket.
    pub(super) async fn next(&mut self) -> Message {
        let next = async {
            loop {
                let frame = self.0.next().await.expect("a frame").expect("a good frame");
                if !frame.is_ping() && !frame.is_pong() {
                    return frame;
                }
            }
        };
        tokio::time::timeout(SOON, next).await.expect("a frame in time")
    }

    pub(super) async fn heard(&mut self) -> ToPage {
        let frame = self.next().await;
        serde_json::from_str(frame.to_text().unwrap()).unwrap()
    }

    /// The next output: its stream and its bytes.
    pub(super) async fn output(&mut self) -> (u16, Vec<u8>) {
        let bytes = self.next().await.into_data();
        let ([s1, s0, kind], rest) = bytes.split_first_chunk().unwrap();
        assert_eq!(*kind, StreamKind::Terminal as u8);
        (u16::from_be_bytes([*s1, *s0]), rest.to_vec())
    }

    /// The refusal that ends the connection, if any, and the close frame.
    pub(super) async fn last_words(&mut self) -> (Option<ToPage>, String) {
        let mut heard = None;
        loop {
            let frame = self.next().await;
            if let Message::Close(Some(frame)) = frame {
                return (heard, format!("{} {}", frame.code, frame.reason));
            }
            heard = Some(serde_json::from_str(frame.to_text().unwrap()).unwrap());
        }
    }

    pub(super) async fn sign_in(&mut self) {
        self.say(&FromPage::SignIn {}).await;
        assert!(matches!(self.heard().await, ToPage::Challenge { .. }));
        self.say(&FromPage::Answer { credential: "good".into(), resume: None }).await;
        assert!(matches!(self.heard().await, ToPage::SignedIn { .. }));
        assert!(matches!(self.heard().await, ToPage::Lobby { .. }));
    }

    pub(super) async fn ask_open(&mut self, stream: u16) {
        let size = crate::names::TermSize::new(80, 24).unwrap();
        self.say(&FromPage::Open { stream, target: "dev@box".parse().unwrap(), size, reason: None }).await;
    }
}
