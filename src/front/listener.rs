use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
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
use super::capacity::SocketPlace;
use super::certificate::Certificate;
use super::error::FrontError;
use super::proxy;
use super::socket::{self, SourceFrom};
use super::source::Source;
use crate::config::{Origin, ProxySource};

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
    /// the path can reach it. Only here is a proxy believed about its sources, because every local
    /// user reaches the TCP sockets on loopback.
    Unix { listener: std::os::unix::net::UnixListener, address: UnixAddress, proxy: Option<ProxySource> },
}

impl Listener {
    /// Checks an inherited descriptor, and makes a listener of it.
    pub(super) fn new(
        fd: OwnedFd,
        origin: &Origin,
        certificate: Option<&Certificate>,
        proxy: Option<ProxySource>,
    ) -> Result<Self, FrontError> {
        let errno = |error: nix::errno::Errno| FrontError::Socket(error.into());
        let stream = getsockopt(&fd, sockopt::SockType).map_err(errno)? == SockType::Stream;
        if !stream || !getsockopt(&fd, sockopt::AcceptConn).map_err(errno)? {
            return Err(FrontError::NotAListener);
        }
        let name: SockaddrStorage = getsockname(fd.as_raw_fd()).map_err(errno)?;
        match name.family() {
            Some(AddressFamily::Inet | AddressFamily::Inet6) => Self::tcp(fd.into(), origin, certificate),
            Some(AddressFamily::Unix) => Self::unix(fd.into(), proxy),
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

    fn unix(
        listener: std::os::unix::net::UnixListener,
        proxy: Option<ProxySource>,
    ) -> Result<Self, FrontError> {
        listener.set_nonblocking(true).map_err(FrontError::Socket)?;
        let address = listener.local_addr().map_err(FrontError::Socket)?;
        if proxy.is_some() {
            refuse_open(&address)?;
        }
        Ok(Self::Unix { listener, address, proxy })
    }

    /// Whether a proxy is believed about its sources here.
    pub(super) fn is_for_proxies(&self) -> bool {
        matches!(self, Self::Unix { proxy: Some(_), .. })
    }

    /// Returns the task that accepts sockets. Must be called within the runtime.
    pub(super) fn serve(self, front: Arc<Front>) -> io::Result<impl Future<Output = ()> + Send + 'static> {
        let accepting = match self {
            Self::Tcp { listener, address: _, certificate } => {
                Accepting::Tcp(TcpListener::from_std(listener)?, certificate)
            }
            Self::Unix { listener, address: _, proxy } => {
                Accepting::Unix(UnixListener::from_std(listener)?, proxy)
            }
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
            Self::Unix { address, proxy: None, .. } => write!(f, "{address:?} (plain)"),
            Self::Unix { address, proxy: Some(proxy), .. } => write!(f, "{address:?} (plain, {proxy:?})"),
        }
    }
}

/// Refuses a socket on which everybody on this host could claim to be a proxy. The kernel demands
/// the right to write to its file from whoever connects; see unix(7).
fn refuse_open(address: &UnixAddress) -> Result<(), FrontError> {
    const OTHERS_WRITE: u32 = 0o002;
    // Whoever shares the network namespace can connect to a socket without a file.
    let Some(path) = address.as_pathname() else {
        return Err(FrontError::OpenToEverybody { path: format!("{address:?}") });
    };
    let hidden = |cause| FrontError::HiddenSocket { path: path.to_owned(), cause };
    let mode = std::fs::metadata(path).map_err(hidden)?.permissions().mode();
    if mode & OTHERS_WRITE != 0 {
        return Err(FrontError::OpenToEverybody { path: path.display().to_string() });
    }
    Ok(())
}

/// A listener registered with the runtime.
enum Accepting {
    Tcp(TcpListener, Option<Certificate>),
    Unix(UnixListener, Option<ProxySource>),
}

impl Accepting {
    /// Accepts the next socket, and starts a task for it.
    async fn next(&self, front: &Arc<Front>) -> io::Result<()> {
        match self {
            Self::Tcp(listener, certificate) => {
                let (stream, address) = listener.accept().await?;
                let (source, certificate) = (Source::of(address.ip()), certificate.clone());
                let place = Arc::new(front.capacity.socket(source));
                let (front, held) = (Arc::clone(front), Arc::clone(&place));
                tokio::spawn(async move {
                    keep(&held, source, &front, tcp(stream, certificate, source, place, &front)).await;
                });
            }
            Self::Unix(listener, proxy) => {
                let (stream, _) = listener.accept().await?;
                let place = Arc::new(front.capacity.socket(Source::Local));
                let (front, held, proxy) = (Arc::clone(front), Arc::clone(&place), *proxy);
                tokio::spawn(async move {
                    keep(&held, Source::Local, &front, unix(stream, proxy, place, &front)).await;
                });
            }
        }
        Ok(())
    }
}

/// Serves a socket until it ends, or until another one needs its place.
async fn keep(
    place: &SocketPlace,
    source: Source,
    front: &Front,
    served: impl Future<Output = io::Result<()>>,
) {
    tokio::select! {
        served = served => {
            if let Err(error) = served {
                tracing::debug!(%source, %error, "a socket failed");
            }
        }
        // Without a word to its peer, which may not read it.
        () = place.displaced() => front.record_limiter.record(source, || {
            tracing::warn!(%source, "a socket without a signed-in account is closed: another needs its place");
        }),
    }
    front.freed_memory.socket_ended();
}

async fn tcp(
    stream: TcpStream,
    certificate: Option<Certificate>,
    source: Source,
    place: Arc<SocketPlace>,
    front: &Arc<Front>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_MAX)?;
    let Some(certificate) = certificate else {
        attend(stream, SourceFrom::Socket(source), place, front).await;
        return Ok(());
    };
    let handshake = certificate.acceptor().accept(stream);
    let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await??;
    attend(stream, SourceFrom::Socket(source), place, front).await;
    Ok(())
}

async fn unix(
    mut stream: UnixStream,
    proxy: Option<ProxySource>,
    place: Arc<SocketPlace>,
    front: &Arc<Front>,
) -> io::Result<()> {
    SockRef::from(&stream).set_send_buffer_size(UNIX_BUFFER)?;
    let source_from = match proxy {
        None => SourceFrom::Socket(Source::Local),
        Some(ProxySource::XForwardedFor) => SourceFrom::Header,
        Some(ProxySource::ProxyProtocol) => {
            match proxy::read_header(&mut stream, front.timeouts.head).await {
                Ok(source) => {
                    place.move_to(source);
                    SourceFrom::Socket(source)
                }
                Err(fault) => {
                    front.record_limiter.record(Source::Local, || {
                        tracing::warn!("a proxy's socket is closed: {fault}");
                    });
                    return Ok(());
                }
            }
        }
    };
    attend(stream, source_from, place, front).await;
    Ok(())
}

async fn attend<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    source_from: SourceFrom,
    place: Arc<SocketPlace>,
    front: &Arc<Front>,
) {
    // Boxed, because the state of a connection is too large to be embedded in every future above
    // it.
    Box::pin(socket::serve(stream, source_from, place, front)).await;
}
