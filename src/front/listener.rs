use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::SocketAddr as UnixAddress;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, SockType, SockaddrLike as _, SockaddrStorage, getsockname, getsockopt, sockopt,
};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::Front;
use super::capacity::SocketPermit;
use super::certificate::Certificate;
use super::error::FrontError;
use super::socket;
use super::source::Source;
use crate::config::Origin;

/// Most unsent output in the kernel for one browser, bytes. It is small because on a slow link the
/// echo of a key press waits behind it. It does not limit the data in flight. See TCP_NOTSENT_LOWAT
/// in tcp(7).
const UNSENT_MAX: u32 = 16 * 1024;

/// The send buffer of a UNIX socket, whose other end is a proxy on this host. See SO_SNDBUF in
/// socket(7).
const UNIX_BUFFER: usize = 64 * 1024;

/// How long a TLS handshake may take before the socket is closed.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause before accepting again when the kernel is out of descriptors or memory, which only
/// other sockets can free by closing.
const PAUSE: Duration = Duration::from_millis(100);

/// A listening socket that systemd passed to the front.
#[derive(Debug)]
pub(super) enum Listener {
    /// A TCP socket, reached from the network or from this host.
    Tcp { listener: std::net::TcpListener, address: SocketAddr, certificate: Option<Certificate> },
    /// A UNIX socket, reached by a proxy on this host. Not encrypted: only processes that may open
    /// the path can reach it.
    Unix { listener: std::os::unix::net::UnixListener, address: UnixAddress },
}

impl Listener {
    /// Checks an inherited descriptor, and makes a listener of it.
    pub(super) fn new(
        fd: OwnedFd,
        origin: &Origin,
        certificate: Option<&Certificate>,
    ) -> Result<Self, FrontError> {
        let errno = |error: nix::errno::Errno| FrontError::Socket(error.into());
        let stream = getsockopt(&fd, sockopt::SockType).map_err(errno)? == SockType::Stream;
        if !stream || !getsockopt(&fd, sockopt::AcceptConn).map_err(errno)? {
            return Err(FrontError::NotAListener);
        }
        let name: SockaddrStorage = getsockname(fd.as_raw_fd()).map_err(errno)?;
        match name.family() {
            Some(AddressFamily::Inet | AddressFamily::Inet6) => Self::tcp(fd.into(), origin, certificate),
            Some(AddressFamily::Unix) => Self::unix(fd.into()),
            Some(_) | None => Err(FrontError::NotAListener),
        }
    }

    fn tcp(
        listener: std::net::TcpListener,
        origin: &Origin,
        certificate: Option<&Certificate>,
    ) -> Result<Self, FrontError> {
        listener.set_nonblocking(true).map_err(FrontError::Socket)?;
        let address = listener.local_addr().map_err(FrontError::Socket)?;
        let local = address.ip().to_canonical().is_loopback();
        match certificate {
            None if !local => return Err(FrontError::PlainToTheNetwork { address }),
            Some(_) if !origin.is_https() => {
                return Err(FrontError::TlsForHttp { origin: origin.clone(), address });
            }
            None | Some(_) => {}
        }
        Ok(Self::Tcp { listener, address, certificate: certificate.cloned() })
    }

    fn unix(listener: std::os::unix::net::UnixListener) -> Result<Self, FrontError> {
        listener.set_nonblocking(true).map_err(FrontError::Socket)?;
        let address = listener.local_addr().map_err(FrontError::Socket)?;
        Ok(Self::Unix { listener, address })
    }

    /// Returns the task that accepts sockets. Must be called within the runtime.
    pub(super) fn serve(self, front: Arc<Front>) -> io::Result<impl Future<Output = ()> + Send + 'static> {
        let accepting = match self {
            Self::Tcp { listener, address: _, certificate } => {
                Accepting::Tcp(TcpListener::from_std(listener)?, certificate)
            }
            Self::Unix { listener, address: _ } => Accepting::Unix(UnixListener::from_std(listener)?),
        };
        Ok(async move {
            loop {
                if let Err(error) = accepting.next(&front).await {
                    tracing::warn!(%error, "cannot accept a socket");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        })
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { address, certificate: Some(_), .. } => write!(f, "{address} (TLS)"),
            Self::Tcp { address, certificate: None, .. } => write!(f, "{address} (plain)"),
            Self::Unix { address, .. } => write!(f, "{address:?} (plain)"),
        }
    }
}

/// A listener registered with the runtime.
enum Accepting {
    Tcp(TcpListener, Option<Certificate>),
    Unix(UnixListener),
}

impl Accepting {
    /// Accepts the next socket, and starts a task for it.
    async fn next(&self, front: &Arc<Front>) -> io::Result<()> {
        match self {
            Self::Tcp(listener, certificate) => {
                let (stream, address) = listener.accept().await?;
                let source = Source::of(address.ip());
                let Some(permit) = permit(front, source) else { return Ok(()) };
                let certificate = certificate.clone();
                let front = Arc::clone(front);
                tokio::spawn(async move {
                    if let Err(error) = tcp(stream, certificate, source, &front).await {
                        tracing::debug!(%source, %error, "a socket failed");
                    }
                    drop(permit);
                });
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let Some(permit) = permit(front, Source::Local) else { return Ok(()) };
                let front = Arc::clone(front);
                tokio::spawn(async move {
                    if let Err(error) = unix(stream, &front).await {
                        tracing::debug!(%error, "a proxy's socket failed");
                    }
                    drop(permit);
                });
            }
        }
        Ok(())
    }
}

fn permit(front: &Front, source: Source) -> Option<SocketPermit> {
    match front.capacity.take(source) {
        Ok(permit) => Some(permit),
        Err(full) => {
            front
                .record_limiter
                .record(source, || tracing::warn!(%source, reason = %full, "a socket is closed unread"));
            None
        }
    }
}

async fn tcp(
    stream: TcpStream,
    certificate: Option<Certificate>,
    source: Source,
    front: &Arc<Front>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_MAX)?;
    let Some(certificate) = certificate else {
        attend(stream, source, front).await;
        return Ok(());
    };
    let handshake = certificate.acceptor().accept(stream);
    let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await??;
    attend(stream, source, front).await;
    Ok(())
}

async fn unix(stream: UnixStream, front: &Arc<Front>) -> io::Result<()> {
    SockRef::from(&stream).set_send_buffer_size(UNIX_BUFFER)?;
    attend(stream, Source::Local, front).await;
    Ok(())
}

async fn attend<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    source: Source,
    front: &Arc<Front>,
) {
    // Boxed, because the state of a connection is too large to be embedded in every future above
    // it.
    Box::pin(socket::serve(stream, source, front)).await;
}
