//! The WebSocket to the front of a host.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Bytes, Message};

use super::ClientError;
use crate::config::Origin;
use crate::protocol::page::{CLIENT_SUBPROTOCOL, FromPage, ToPage};

/// How long it may take to connect, with the handshakes of TLS and of the WebSocket.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a message may wait for the network. After that, the connection counts as lost.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest message of the host, bytes: a list of sessions and machines with the longest names.
const MESSAGE_MAX: usize = 1024 * 1024;

/// The certificates that Debian trusts. `SSL_CERT_FILE` names another file.
const ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// TCP, or TLS over it.
trait Transport: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Transport for T {}

/// A WebSocket to the front of a host.
pub(super) struct Socket(WebSocketStream<Box<dyn Transport>>);

/// What the host sent.
pub(super) enum Heard {
    /// A message.
    Message(Box<ToPage>),
    /// Bytes of a stream, with their header.
    Bytes(Bytes),
    /// A sign of life.
    Nothing,
}

impl Socket {
    /// Connects to the host with this origin.
    pub(super) async fn connect(origin: &Origin) -> Result<Self, ClientError> {
        let host = || origin.host_header().to_owned();
        let unreachable = |cause| ClientError::Unreachable { host: host(), cause };
        let late = || unreachable(io::ErrorKind::TimedOut.into());
        timeout(CONNECT_TIMEOUT, Self::connect_now(origin)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn connect_now(origin: &Origin) -> Result<Self, ClientError> {
        let host = || origin.host_header().to_owned();
        let unreachable = |cause| ClientError::Unreachable { host: host(), cause };
        let stream = TcpStream::connect((origin.rp_id(), origin.port())).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let transport: Box<dyn Transport> = if origin.is_https() {
            let name = ServerName::try_from(origin.rp_id().to_owned());
            let name = name.map_err(|error| unreachable(io::Error::other(error)))?;
            Box::new(connector()?.connect(name, stream).await.map_err(unreachable)?)
        } else {
            Box::new(stream)
        };
        let not_tere = |cause: String| ClientError::NotTere { host: host(), cause };
        let mut request = format!("ws://{}/ws", origin.host_header())
            .into_client_request()
            .map_err(|error| not_tere(error.to_string()))?;
        let protocol = HeaderValue::from_static(CLIENT_SUBPROTOCOL);
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        let config =
            WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX)).max_frame_size(Some(MESSAGE_MAX));
        let upgraded = tokio_tungstenite::client_async_with_config(request, transport, Some(config)).await;
        let (socket, _) = upgraded.map_err(|error| {
            not_tere(if let tungstenite::Error::Http(response) = error {
                response.status().to_string()
            } else {
                error.to_string()
            })
        })?;
        Ok(Self(socket))
    }

    /// Sends a message.
    pub(super) async fn say(&mut self, message: &FromPage) -> Result<(), ClientError> {
        let text = serde_json::to_string(message).map_err(|_| ClientError::OutOfTurn)?;
        self.send(Message::text(text)).await
    }

    /// Sends bytes of a stream, with their header.
    pub(super) async fn send_bytes(&mut self, bytes: Vec<u8>) -> Result<(), ClientError> {
        self.send(Message::binary(bytes)).await
    }

    async fn send(&mut self, message: Message) -> Result<(), ClientError> {
        match timeout(SEND_TIMEOUT, self.0.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(ClientError::Lost),
        }
    }

    /// Sends all, and closes the WebSocket.
    pub(super) async fn close(&mut self) -> Result<(), ClientError> {
        self.0.close(None).await.map_err(|_| ClientError::Lost)
    }

    /// Receives what comes next. Dropping the future loses nothing.
    pub(super) async fn hear(&mut self) -> Result<Heard, ClientError> {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text)
                .map(|message| Heard::Message(Box::new(message)))
                .map_err(|_| ClientError::OutOfTurn),
            Some(Ok(Message::Binary(bytes))) => Ok(Heard::Bytes(bytes)),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(Heard::Nothing),
            Some(Ok(Message::Close(_)) | Err(_)) | None => Err(ClientError::Lost),
        }
    }

    /// Receives the next message, within this time.
    pub(super) async fn answer(&mut self, within: Duration) -> Result<ToPage, ClientError> {
        let answer = async {
            loop {
                match self.hear().await? {
                    Heard::Message(message) => return Ok(*message),
                    Heard::Bytes(_) => return Err(ClientError::OutOfTurn),
                    Heard::Nothing => {}
                }
            }
        };
        timeout(within, answer).await.unwrap_or(Err(ClientError::Lost))
    }
}

/// TLS by the certificates that this computer trusts.
fn connector() -> Result<TlsConnector, ClientError> {
    let path = std::env::var_os("SSL_CERT_FILE").map_or_else(|| PathBuf::from(ROOTS), PathBuf::from);
    let failed = |cause: String| ClientError::NoRoots { path: path.display().to_string(), cause };
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(&path).map_err(|error| failed(error.to_string()))?;
    roots.add_parsable_certificates(certificates.filter_map(Result::ok));
    if roots.is_empty() {
        return Err(failed("it holds no certificate".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
