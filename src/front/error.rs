use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::{ConfigError, Origin};

/// Why the front does not start. The message names the next step.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrontError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the credential {} cannot be read: {cause}", .path.display())]
    Credential { path: PathBuf, cause: io::Error },
    #[error("there is a credential {present} but no {missing}: TLS needs both, see tere-front(8)")]
    HalfCertificate { present: &'static str, missing: &'static str },
    #[error(
        "the certificate in tls.crt cannot be used: {0}: give the chain as PEM, the host's own certificate first"
    )]
    Certificate(String),
    #[error("the key in tls.key cannot be used: {0}: give the certificate's private key as PEM")]
    Key(String),
    #[error("a socket passed in as 'front' cannot be used: {0}")]
    Socket(io::Error),
    #[error(
        "a socket passed in as 'front' is not a listening stream socket: use ListenStream= with an IP address or a path in tere-front.socket"
    )]
    NotAListener,
    #[error(
        "{address} can be reached from other hosts, and there is no certificate: give the credentials tls.crt and tls.key, or listen on 127.0.0.1, [::1] or a path and put a proxy before it"
    )]
    PlainToTheNetwork { address: SocketAddr },
    #[error(
        "tere.toml has a [proxy], but no socket is for one: use ListenStream= with a path in tere-front.socket, or remove [proxy]"
    )]
    NoSocketForProxies,
    #[error(
        "tere.toml has a [proxy], and the socket {path} is open to everybody on this host, who could claim any address: set SocketMode=0660 and the proxy's group as SocketGroup= in tere-front.socket"
    )]
    OpenToEverybody { path: String },
    #[error(
        "tere.toml has a [proxy], and who may open the socket {} cannot be seen: {cause}: use a path in /run/tere, the folder of sockets that this service sees", .path.display()
    )]
    HiddenSocket { path: PathBuf, cause: io::Error },
    #[error(
        "the origin is {origin}, but with a certificate {address} is reached by https: write the origin with https, or remove the credentials tls.crt and tls.key"
    )]
    TlsForHttp { origin: Origin, address: SocketAddr },
}
