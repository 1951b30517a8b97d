//! tere behind the proxies of Debian, with the configuration that `docs/proxy.md` has for each. Their
//! programs and units come from the image `proxies`, which the host sees at /run/proxies.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;

use rustls::pki_types::CertificateDer;
use tere::protocol::Refusal;
use tere::protocol::page::{FromPage, ToPage};

use crate::host::Host;
use crate::parts::page::{ORIGIN, Page};
use crate::parts::passkey::SoftAuthenticator;
use crate::parts::shell::PATIENCE;
use crate::parts::stream::{Stream, Trust};
use crate::stories::enrolment_token;

const DOCUMENT: &str = include_str!("../../docs/proxy.md");

/// The name that the document has for everybody's.
const NAME: &str = "shell.example.org";
const NAMES_ORIGIN: &str = "https://shell.example.org";

/// The proxy's address, and two of browsers. Not loopback, whose addresses are all one source.
const PROXY: &str = "192.0.2.10:443";
const ALICE: &str = "192.0.2.1";
const MALLORY: &str = "192.0.2.66";

const POLICY: &str = "/etc/tere/tere.toml";

/// The root folder of the proxies in the host: what the image has, and what is written over it.
const ROOT: &str = "/run/tests-proxies/root";

/// The host behind one of the proxies.
struct Behind {
    host: Host,
    policy: String,
    trust: Trust,
}

impl Behind {
    /// Follows one section of the document.
    fn new(section: &str) -> Self {
        let host = Host::alone();
        let policy = std::fs::read_to_string(host.path(POLICY)).unwrap();
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
        let trust = Trust::in_certificate(CertificateDer::from(made.cert.der().to_vec()), NAME);
        // From here on, what is changed is also undone if something fails.
        let behind = Self { host, policy, trust };
        behind.lay_out(&(made.cert.pem(), made.signing_key.serialize_pem()));
        let host = &behind.host;
        std::fs::write(host.path(POLICY), behind.policy.replace(ORIGIN, NAMES_ORIGIN)).unwrap();
        for block in blocks(section) {
            match block.path {
                Some(path) => behind.append(path, block.text),
                // systemd would refuse the sixth start within 10 s.
                None => drop(host.sh(&format!(
                    "set -e; systemctl reset-failed tere-front.socket; {}",
                    block.text.replace("sudo ", "")
                ))),
            }
        }
        host.run(&["systemctl", "try-restart", "tere-auth.service"]);
        assert!(host.reload_broker());
        behind
    }

    /// The files, units and users of the packages, a certificate, and the addresses.
    fn lay_out(&self, (certificate, key): &(String, String)) {
        self.host.sh(&format!(
            "set -e
             test -x /run/proxies/usr/sbin/nginx
             mkdir -p {ROOT} /run/tests-proxies/upper /run/tests-proxies/work
             mount -t overlay proxies -o lowerdir=/run/proxies,upperdir=/run/tests-proxies/upper,workdir=/run/tests-proxies/work {ROOT}
             mkdir -p {ROOT}/etc/ssl && echo 127.0.0.1 localhost >{ROOT}/etc/hosts
             for address in {PROXY_ADDRESS} {ALICE} {MALLORY}; do ip address add $address/32 dev lo; done
             for proxy in nginx haproxy caddy; do
                 cp {ROOT}/usr/lib/systemd/system/$proxy.service /run/systemd/system/
                 mkdir -p /run/systemd/system/$proxy.service.d
                 printf '[Unit]\\nConditionFileIsExecutable=\\n[Service]\\nRootDirectory={ROOT}\\nMountAPIVFS=no\\nBindPaths=/run /dev /proc\\n' >/run/systemd/system/$proxy.service.d/root.conf
             done
             for user in www-data haproxy caddy; do
                 getent passwd $user >/dev/null || grep ^$user: {ROOT}/etc/passwd >>/etc/passwd
                 getent group $user >/dev/null || grep ^$user: {ROOT}/etc/group >>/etc/group
             done
             systemd-tmpfiles --create {ROOT}/usr/lib/tmpfiles.d/haproxy.conf",
            PROXY_ADDRESS = PROXY.split(':').next().unwrap()
        ));
        let write = |kind: &str, text: &str| {
            std::fs::write(self.host.path(&format!("{ROOT}/etc/ssl/{NAME}.{kind}")), text).unwrap();
        };
        write("crt", certificate);
        write("key", key);
        write("pem", &format!("{certificate}{key}"));
    }

    /// Writes to the end of a file, of the host or of the proxies.
    fn append(&self, path: &str, text: &str) {
        let is_the_hosts = path == POLICY || path.starts_with("/etc/systemd/");
        let path = self.host.path(&if is_the_hosts { path.to_owned() } else { format!("{ROOT}{path}") });
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
        file.write_all(format!("\n{text}\n").as_bytes()).unwrap();
    }

    fn connect(&self, source: &str) -> Stream {
        let source = SocketAddr::new(source.parse().unwrap(), 0);
        Stream::tls(self.host.connect(source, PROXY.parse().unwrap()), &self.trust)
    }

    fn page(&self, source: &str, headers: &[(&'static str, &str)]) -> Page {
        Page::of(NAMES_ORIGIN, self.connect(source), headers)
    }

    /// Everything that is answered to these bytes.
    fn answer(&self, request: &str) -> String {
        let mut stream = self.connect(ALICE);
        stream.socket().set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let (mut answer, mut bytes) = (Vec::new(), [0; 4096]);
        // A proxy that refuses a request may reset the connection, or end it without ending TLS.
        while let Ok(length @ 1..) = stream.read(&mut bytes) {
            answer.extend_from_slice(&bytes[..length]);
        }
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        drop(std::fs::write(self.host.path(POLICY), &self.policy));
        let undone = format!(
            "systemctl stop nginx haproxy caddy tere-front.service 2>/dev/null
             rm -rf /etc/systemd/system/tere-front.socket.d/proxy.conf /etc/systemd/system/haproxy.service.d
             for proxy in nginx haproxy caddy; do rm -rf /run/systemd/system/$proxy.service*; done
             ip address flush dev lo to 192.0.2.0/24
             umount {ROOT}; rm -rf /run/tests-proxies /run/haproxy
             sed -i '/^haproxy:/d; /^caddy:/d' /etc/passwd /etc/group
             systemctl daemon-reload
             systemctl reset-failed tere-front.socket
             systemctl restart tere-front.socket
             systemctl try-restart tere-auth.service"
        );
        self.host.try_run(&["sh", "-c", &undone]);
        self.host.reload_broker();
    }
}

/// A block of the document: the file to which it is added, or commands.
struct Block {
    path: Option<&'static str>,
    text: &'static str,
}

/// The blocks of a section. The line before a block ends with its path.
fn blocks(section: &str) -> Vec<Block> {
    let (_, section) = DOCUMENT.split_once(&format!("\n## {section}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut parts = section.split("\n```");
    let mut before = parts.next().unwrap();
    let mut found = Vec::new();
    while let Some(block) = parts.next() {
        let (kind, text) = block.split_once('\n').unwrap();
        let path = before.trim_end().rsplit("\n\n").next().unwrap();
        let path = path.split('`').find(|word| word.starts_with("/etc/"));
        assert_eq!(path.is_none(), kind == "sh", "{before}");
        found.push(Block { path, text });
        before = parts.next().unwrap_or_default();
    }
    assert!(found.len() >= 4, "{section}");
    found
}

fn refused(refusal: Refusal) -> ToPage {
    ToPage::Refused { stream: None, refusal }
}

/// Signs in through the proxy, and tries what a browser must not get away with.
fn tells_sources_apart(section: &str) {
    let behind = Behind::new(section);
    let (host, mut passkey) = (&behind.host, SoftAuthenticator::new(NAMES_ORIGIN));
    let lobby = behind.page(ALICE, &[]).enrol(&enrolment_token(host, "alice"), &mut passkey);
    assert_eq!(lobby.account, "alice");

    // Whoever claims to be alice's browser is held back where they are, and alice is not.
    let forged = [("X-Forwarded-For", ALICE), ("Forwarded", "for=192.0.2.1"), ("X-Real-IP", ALICE)];
    let guess = || {
        let mut page = behind.page(MALLORY, &forged);
        page.say(&FromPage::Enrol { token: "guessed".into() });
        page.hear()
    };
    for _ in 0..6 {
        assert_eq!(guess(), refused(Refusal::LinkInvalid));
    }
    assert_eq!(guess(), refused(Refusal::TooManyFailures));
    let mut page = behind.page(ALICE, &[]);
    assert_eq!(page.sign_in(&mut passkey).account, "alice");
    // The WebSocket passes terminal bytes.
    page.open(1, "dev@web1").unwrap();
    page.type_in(1, "echo through $((6*7))\r");
    page.expect(1, "through 42");

    let own = format!("Host: {NAME}\r\nConnection: close\r\n");
    let page = behind.answer(&format!("GET / HTTP/1.1\r\n{own}\r\n"));
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("<title>tere</title>"), "{page}");
    let smuggled = format!("GET /favicon.ico HTTP/1.1\r\nHost: {NAME}\r\n\r\n");
    let chunks = format!("0\r\n\r\n{smuggled}");
    for (request, body) in [
        (format!("GET / HTTP/1.1\r\n{own}Host: evil.example.org\r\n"), ""),
        (format!("GET / HTTP/1.1\r\n{own}Content-Length: {}\r\n", smuggled.len()), &smuggled),
        (format!("POST / HTTP/1.1\r\n{own}Content-Length: {}\r\n", smuggled.len()), &smuggled),
        (
            format!(
                "POST / HTTP/1.1\r\n{own}Content-Length: {}\r\nTransfer-Encoding: chunked\r\n",
                chunks.len()
            ),
            &chunks,
        ),
        (format!("POST / HTTP/1.1\r\n{own}Content-Length: 4\r\nTransfer-Encoding : chunked\r\n"), &chunks),
        (format!("GET / HTTP/1.1\r\n{own}Content-Length: 0\r\nContent-Length: 4\r\n"), "GET "),
    ] {
        let answer = behind.answer(&format!("{request}\r\n{body}"));
        // A refusal, and no second answer behind it. The kernel may reset the connection of a proxy
        // that still sends the body when tere has refused it.
        let is_refused = answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 502 ");
        assert!(is_refused, "{request}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{request}: {answer}");
        assert!(!answer.contains("<title>tere</title>"), "{request}: {answer}");
    }
}

#[test]
fn behind_nginx_sources_are_told_apart_and_nothing_forged_counts() {
    tells_sources_apart("nginx");
}

#[test]
fn behind_haproxy_sources_are_told_apart_and_nothing_forged_counts() {
    tells_sources_apart("HAProxy");
}

#[test]
fn behind_caddy_sources_are_told_apart_and_nothing_forged_counts() {
    tells_sources_apart("Caddy");
}
