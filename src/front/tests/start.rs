//! Tests of what the front needs to start, and of what keeps it from starting.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use crate::front::certificate::Certificate;
use crate::front::error::FrontError;
use crate::front::listener::Listener;
use crate::front::{Arguments, Front, prepare};
use crate::sys::inherited::Inherited;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: shell.example.org\r\nConnection: close\r\n\r\n";

fn bind(address: &str) -> OwnedFd {
    TcpListener::bind(address).unwrap().into()
}

/// A certificate and its key for shell.example.org, as PEM.
fn made() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["shell.example.org".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn certificate() -> Certificate {
    let (chain, key) = made();
    Certificate::new(chain.as_bytes(), key.as_bytes()).unwrap()
}

#[test]
fn plain_http_stays_on_this_host() {
    for origin in ["https://shell.example.org", "http://localhost:8080"] {
        let origin = origin.parse().unwrap();
        for address in ["127.0.0.1:0", "[::1]:0", "127.1.2.3:0"] {
            // A host without IPv6 has no ::1 to listen on.
            let Ok(listener) = TcpListener::bind(address) else { continue };
            assert!(Listener::new(listener.into(), &origin, None, None).is_ok(), "{address}");
        }
        for address in ["0.0.0.0:0", "[::]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let refused = Listener::new(listener.into(), &origin, None, None).unwrap_err();
            assert!(matches!(refused, FrontError::PlainToTheNetwork { .. }), "{address}");
            assert!(refused.to_string().contains("tls.crt"), "{refused}");
        }
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("front.sock")).unwrap();
        assert!(Listener::new(listener.into(), &origin, None, None).is_ok());
    }
}

#[test]
fn a_certificate_opens_the_network_for_https_alone() {
    let certificate = certificate();
    let https = "https://shell.example.org".parse().unwrap();
    let shown = Listener::new(bind("0.0.0.0:0"), &https, Some(&certificate), None).unwrap().to_string();
    assert!(shown.ends_with("(TLS)"), "{shown}");
    let http = "http://localhost:8080".parse().unwrap();
    let refused = Listener::new(bind("127.0.0.1:0"), &http, Some(&certificate), None).unwrap_err();
    assert!(matches!(refused, FrontError::TlsForHttp { .. }), "{refused}");
}

#[test]
fn what_is_no_listener_is_refused() {
    let origin = "https://shell.example.org".parse().unwrap();
    let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let file = tempfile::tempfile().unwrap();
    for (fd, what) in
        [(UnixDatagram::unbound().unwrap().into(), "datagrams"), (OwnedFd::from(one), "connected")]
    {
        assert!(matches!(Listener::new(fd, &origin, None, None), Err(FrontError::NotAListener)), "{what}");
    }
    assert!(matches!(Listener::new(file.into(), &origin, None, None), Err(FrontError::Socket(_))));
}

#[test]
fn a_certificate_is_whole_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = made();
    let path = |name: &str| folder.path().join(name);
    assert!(Certificate::load(folder.path()).unwrap().is_none());
    std::fs::write(path("tls.crt"), &chain).unwrap();
    assert!(matches!(Certificate::load(folder.path()), Err(FrontError::HalfCertificate { .. })));
    std::fs::write(path("tls.key"), made().1).unwrap();
    assert!(matches!(Certificate::load(folder.path()), Err(FrontError::Key(_))), "the key of another");
    std::fs::write(path("tls.key"), &key).unwrap();
    assert!(Certificate::load(folder.path()).unwrap().is_some());
    for bad in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(Certificate::new(bad.as_bytes(), key.as_bytes()).is_err(), "{bad:?}");
        assert!(Certificate::new(chain.as_bytes(), bad.as_bytes()).is_err(), "{bad:?}");
    }
    std::fs::remove_file(path("tls.crt")).unwrap();
    std::fs::create_dir(path("tls.crt")).unwrap();
    assert!(matches!(Certificate::load(folder.path()), Err(FrontError::Credential { .. })));
}

#[test]
fn a_bad_policy_is_a_reason_not_to_start() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("tere.toml");
    let start = || {
        let socket = Inherited { name: "front".into(), fd: bind("127.0.0.1:0") };
        let arguments = Arguments { runtime_dir: folder.path().into(), config: Some(config.clone()) };
        prepare(vec![socket], arguments).map_err(|error| error.to_string())
    };
    assert!(start().unwrap_err().contains("tere.toml(5)"));
    std::fs::write(&config, "origin = \"x\"").unwrap();
    assert!(start().unwrap_err().contains("tere.toml:1:10: "));
    std::fs::write(&config, "origin = \"https://shell.example.org\"").unwrap();
    let (front, listeners) = start().unwrap();
    assert_eq!((front.auth, listeners.len()), (folder.path().join("auth.sock"), 1));
}

#[test]
fn a_proxy_has_a_socket_that_not_everybody_may_open() {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("tere.toml");
    let start = |socket: OwnedFd| {
        let tcp = Inherited { name: "front".into(), fd: bind("127.0.0.1:0") };
        let socket = Inherited { name: "front".into(), fd: socket };
        let arguments = Arguments { runtime_dir: folder.path().into(), config: Some(config.clone()) };
        prepare(vec![tcp, socket], arguments).map(drop)
    };
    let by_path = |mode| {
        let path = folder.path().join("front.sock");
        drop(std::fs::remove_file(&path));
        let listener = UnixListener::bind(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        start(listener.into())
    };
    std::fs::write(&config, "origin = \"https://shell.example.org\"").unwrap();
    assert!(by_path(0o666).is_ok());
    for source in ["proxy-protocol", "x-forwarded-for"] {
        let text = format!("origin = \"https://shell.example.org\"\n[proxy]\nsource = \"{source}\"\n");
        std::fs::write(&config, text).unwrap();
        assert!(matches!(start(bind("127.0.0.1:0")), Err(FrontError::NoSocketForProxies)));
        assert!(by_path(0o660).is_ok() && by_path(0o600).is_ok());
        assert!(matches!(by_path(0o666), Err(FrontError::OpenToEverybody { .. })));
        let name =
            std::os::unix::net::SocketAddr::from_abstract_name(folder.path().as_os_str().as_encoded_bytes());
        let nameless = UnixListener::bind_addr(&name.unwrap()).unwrap();
        assert!(matches!(start(nameless.into()), Err(FrontError::OpenToEverybody { .. })));
        let listener = UnixListener::bind(folder.path().join("gone.sock")).unwrap();
        std::fs::remove_file(folder.path().join("gone.sock")).unwrap();
        assert!(matches!(start(listener.into()), Err(FrontError::HiddenSocket { .. })));
    }
}

#[tokio::test]
async fn tls_is_served_with_the_certificate_given() {
    let (chain, key) = made();
    let certificate = Certificate::new(chain.as_bytes(), key.as_bytes()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let origin: crate::config::Origin = "https://shell.example.org".parse().unwrap();
    let listener = Listener::new(listener.into(), &origin, Some(&certificate), None).unwrap();
    let front = Arc::new(Front::new(origin, "/nowhere/auth.sock".into()));
    let serving = tokio::spawn(listener.serve(front).unwrap());

    use rustls::pki_types::pem::PemObject as _;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("shell.example.org").unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let mut stream = connector.connect(name, stream).await.unwrap();
    stream.write_all(GET).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("Strict-Transport-Security"),
        "{answer}"
    );

    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(GET).await.unwrap();
    let mut answer = Vec::new();
    drop(plain.read_to_end(&mut answer).await);
    assert!(!answer.starts_with(b"HTTP"), "nothing is said without TLS");
    serving.abort();
}

#[tokio::test]
async fn a_proxy_reaches_the_front_by_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("front.sock");
    let origin: crate::config::Origin = "https://shell.example.org".parse().unwrap();
    // The certificate is for TCP only: a UNIX socket stays plain.
    let listener = UnixListener::bind(&path).unwrap();
    let listener = Listener::new(listener.into(), &origin, Some(&certificate()), None).unwrap();
    let front = Arc::new(Front::new(origin, "/nowhere/auth.sock".into()));
    let serving = tokio::spawn(listener.serve(front).unwrap());
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(GET).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("Strict-Transport-Security"),
        "{answer}"
    );
    serving.abort();
}
