//! Connects to the page as a browser does: at its public address, through any proxy in front of it.
//! The answer is not trusted: only its first twelve bytes are read.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::{Arc, mpsc};

use axum::http::StatusCode;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::{Finding, PATIENCE};
use crate::config::Origin;
use crate::protocol::page::SUBPROTOCOL;

/// The certificates that this host trusts, at the path of Debian's ca-certificates.
const TRUSTED: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Why there was no answer.
#[derive(Debug)]
enum Unanswered {
    /// The origin's host name has no address on this host.
    NoAddress(io::Error),
    /// Nothing accepts the connection, or the connection breaks.
    NotReached(io::Error),
    /// TLS failed, with the library's message.
    NoTls(String),
    /// The answer is not HTTP.
    NotHttp,
}

/// Requests a WebSocket as the page does.
pub(super) fn look(origin: &Origin) -> Finding {
    let (answered, answer) = mpsc::channel();
    let asked = origin.clone();
    // The resolver has no deadline of its own. A thread that is still waiting ends with the
    // command.
    std::thread::spawn(move || answered.send(status(&asked)));
    let late = || Err(Unanswered::NotReached(io::ErrorKind::TimedOut.into()));
    finding(origin, answer.recv_timeout(2 * PATIENCE).unwrap_or_else(|_| late()))
}

fn finding(origin: &Origin, answer: Result<u16, Unanswered>) -> Finding {
    const WHAT: &str = "page";
    const PROXY: &str = "Have the proxy pass the headers on unchanged, and speak HTTP/1.1 to tere-front";
    match answer {
        Ok(101) => Finding::ok(WHAT, format!("{origin} opens WebSockets")),
        Ok(426) => Finding::wrong(
            WHAT,
            format!("a proxy at {origin} drops the header Upgrade, so the page gets no WebSocket"),
            format!(
                "{PROXY}; for nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; \
                 proxy_set_header Connection upgrade; proxy_set_header Host $host"
            ),
        ),
        Ok(403) => Finding::wrong(
            WHAT,
            format!(
                "the page's WebSocket is refused at {origin} (403): a proxy changes Host or Origin, or refuses it"
            ),
            format!("{PROXY}; for nginx: proxy_set_header Host $host"),
        ),
        Ok(400) => Finding::wrong(
            WHAT,
            format!("tere-front refuses what the proxy at {origin} passes on (400)"),
            "journalctl -u tere-front says why. If tere.toml has source = \"x-forwarded-for\", have the \
             proxy set that header to the one address of the browser; for nginx: \
             proxy_set_header X-Forwarded-For $remote_addr",
        ),
        Ok(status @ 502..=504) => Finding::wrong(
            WHAT,
            format!("a proxy at {origin} does not reach tere-front ({status})"),
            "Have the proxy connect to where 'systemctl status tere-front.socket' says that it listens",
        ),
        Ok(status) => Finding::wrong(
            WHAT,
            format!("what answers at {origin} ({status}) is not tere-front"),
            "Have a proxy there pass everything on to tere-front, or correct 'origin' in tere.toml",
        ),
        Err(Unanswered::NotHttp) => Finding::wrong(
            WHAT,
            format!("what answers at {origin} does not speak HTTP"),
            "Correct 'origin' in tere.toml, or stop what listens there",
        ),
        Err(Unanswered::NotReached(error)) => {
            let found = format!("{origin} cannot be reached from this host: {error}");
            let fix =
                "See whether it listens: systemctl status tere-front.socket, or the proxy in front of it";
            if is_local(origin) {
                Finding::wrong(WHAT, found, fix)
            } else {
                // A router need not lead a host back to its own public address.
                Finding::unknown(WHAT, found, format!("If browsers reach it, this is no fault. {fix}"))
            }
        }
        Err(Unanswered::NoAddress(error)) => Finding::unknown(
            WHAT,
            format!("the name in {origin} has no address on this host: {error}"),
            "If browsers find it, this is no fault. Otherwise make the name known in the DNS.",
        ),
        Err(Unanswered::NoTls(error)) => Finding::unknown(
            WHAT,
            format!("TLS with {origin} fails on this host: {error}"),
            format!(
                "If browsers trust the certificate, this is no fault. This host trusts those in {TRUSTED}."
            ),
        ),
    }
}

/// The HTTP status of the answer to a WebSocket request.
fn status(origin: &Origin) -> Result<u16, Unanswered> {
    let stream = connect(origin)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(Unanswered::NotReached)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(Unanswered::NotReached)?;
    if origin.is_https() { ask(tls(origin, stream)?, origin) } else { ask(stream, origin) }
}

fn connect(origin: &Origin) -> Result<TcpStream, Unanswered> {
    let (name, port) = (origin.rp_id(), origin.port());
    let addresses: Vec<SocketAddr> = if is_local(origin) {
        // Browsers resolve these names without asking the resolver.
        vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]
    } else {
        (name, port).to_socket_addrs().map_err(Unanswered::NoAddress)?.collect()
    };
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(Unanswered::NotReached(last))
}

/// Whether the origin is on this host by its name.
fn is_local(origin: &Origin) -> bool {
    origin.rp_id() == "localhost" || origin.rp_id().ends_with(".localhost")
}

fn tls(
    origin: &Origin,
    stream: TcpStream,
) -> Result<rustls::StreamOwned<ClientConnection, TcpStream>, Unanswered> {
    let failed = |error: &dyn std::fmt::Display| Unanswered::NoTls(error.to_string());
    let mut trusted = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(TRUSTED).map_err(|error| failed(&error))?;
    trusted.add_parsable_certificates(certificates.flatten());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(origin.rp_id().to_owned()).map_err(|error| failed(&error))?;
    let client = ClientConnection::new(Arc::new(config), name).map_err(|error| failed(&error))?;
    Ok(rustls::StreamOwned::new(client, stream))
}

fn ask(mut stream: impl Read + Write, origin: &Origin) -> Result<u16, Unanswered> {
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {}\r\nOrigin: {origin}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n",
        origin.host_header(),
    );
    let mut line = [0; "HTTP/1.1 101".len()];
    stream.write_all(request.as_bytes()).and_then(|()| stream.read_exact(&mut line)).map_err(unanswered)?;
    let code = line.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..));
    let status = code.and_then(|digits| StatusCode::from_bytes(digits).ok());
    status.map(|status| status.as_u16()).ok_or(Unanswered::NotHttp)
}

/// Maps an I/O error. A certificate error of rustls is inside the stream's error.
fn unanswered(error: io::Error) -> Unanswered {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(tls) => Unanswered::NoTls(tls.to_string()),
        None if error.kind() == io::ErrorKind::UnexpectedEof => Unanswered::NotHttp,
        None => Unanswered::NotReached(error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::super::FindingState;
    use super::*;

    /// The finding for a server that sends this answer, and the request that the server received.
    fn found(answer: &'static [u8]) -> (Finding, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://shell.localhost:{}", listener.local_addr().unwrap().port());
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            stream.write_all(answer).unwrap();
            String::from_utf8(request).unwrap()
        });
        let finding = look(&origin.parse().unwrap());
        (finding, serving.join().unwrap())
    }

    #[test]
    fn a_proxy_that_drops_the_upgrade_is_told_apart_from_a_server_that_is_down() {
        for (answer, is_ok, words) in [
            (&b"HTTP/1.1 101 Switching Protocols\r\n\r\n"[..], true, "opens WebSockets"),
            (b"HTTP/1.1 426 Upgrade Required\r\n\r\n", false, "drops the header Upgrade"),
            (b"HTTP/1.1 403 Forbidden\r\n\r\n", false, "changes Host or Origin"),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", false, "refuses what the proxy"),
            (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", false, "does not reach tere-front (502)"),
            (b"HTTP/1.0 404 Not Found\r\n\r\n", false, "(404) is not tere-front"),
            (b"SSH-2.0-OpenSSH_10.0\r\n", false, "does not speak HTTP"),
            (b"HTTP/1.1 +10", false, "does not speak HTTP"),
            (b"", false, "does not speak HTTP"),
        ] {
            let (finding, request) = found(answer);
            assert_eq!(matches!(finding.state, FindingState::Ok), is_ok, "{finding:?}");
            assert!(finding.found.contains(words), "{finding:?}");
            assert!(request.contains("\r\nHost: shell.localhost:"), "{request}");
        }
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let finding = look(&format!("http://localhost:{nobody}").parse().unwrap());
        assert!(finding.found.contains("cannot be reached"), "{finding:?}");
        assert!(matches!(finding.state, FindingState::Wrong(_)), "{finding:?}");
        let refused = || Err(Unanswered::NotReached(io::ErrorKind::ConnectionRefused.into()));
        let far = super::finding(&"https://shell.example.org".parse().unwrap(), refused());
        assert!(matches!(far.state, FindingState::Unknown(_)), "its router may not lead back: {far:?}");
    }

    #[test]
    fn a_certificate_that_this_host_does_not_trust_is_named() {
        let key = rcgen::KeyPair::generate().unwrap();
        let own =
            rcgen::CertificateParams::new(["shell.localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(
                    vec![own.der().clone()],
                    rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
                )
                .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("https://shell.localhost:{}", listener.local_addr().unwrap().port());
        let serving = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let server = rustls::ServerConnection::new(Arc::new(config)).unwrap();
            // The handshake ends with the client's alert.
            rustls::StreamOwned::new(server, stream).read_to_end(&mut Vec::new())
        });
        let finding = look(&origin.parse().unwrap());
        assert!(serving.join().unwrap().is_err());
        assert!(matches!(finding.state, FindingState::Unknown(_)), "{finding:?}");
        assert!(finding.found.starts_with("TLS with https://shell.localhost:"), "{finding:?}");
        assert!(finding.found.contains("invalid peer certificate: UnknownIssuer"), "{finding:?}");
    }
}
