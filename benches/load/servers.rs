//! The servers, as the packages of Debian and tere have them, and a person who connects to each.

use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use rustls::pki_types::CertificateDer;

use crate::connection::{OnTere, STREAM};
use crate::host::{enrol, host, leader};
use crate::network::{HOST, LIVE, PATIENCE, PERSON, connect};
use crate::parts::page::Page;
use crate::parts::passkey::SoftAuthenticator;
use crate::parts::stream::{Stream, Trust};
use crate::processes;

/// The name in the certificate of all servers.
pub const NAME: &str = "shell.example.org";

/// The origin of tere.
pub const ORIGIN: &str = "https://shell.example.org";

/// A user of the host, who signs in to cockpit, and what proves it: `visitor:correct-horse`.
const VISITOR: &str = "visitor:correct-horse";
const VISITOR_BASIC: &str = "dmlzaXRvcjpjb3JyZWN0LWhvcnNl";

/// A server under attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    Tere,
    Sshd,
    Cockpit,
}

impl Server {
    pub const ALL: [Self; 3] = [Self::Tere, Self::Sshd, Self::Cockpit];

    pub fn name(self) -> &'static str {
        match self {
            Self::Tere => "tere",
            Self::Sshd => "sshd",
            Self::Cockpit => "cockpit-ws",
        }
    }

    pub fn port(self) -> u16 {
        match self {
            Self::Tere => 443,
            Self::Sshd => 22,
            Self::Cockpit => 9090,
        }
    }

    /// The control groups of its processes, below system.slice. The shells of people are not in
    /// them.
    fn groups(self) -> &'static [&'static str] {
        match self {
            Self::Tere => &["tere-front.service", "tere-auth.service", "tere-broker.service"],
            Self::Sshd => &["ssh.service"],
            Self::Cockpit => {
                &["cockpit.service", "system-cockpithttps.slice", "cockpit-wsinstance-http.service"]
            }
        }
    }

    /// Its `Host`, if it speaks HTTP.
    pub fn host_header(self) -> String {
        match self {
            Self::Tere => NAME.to_owned(),
            Self::Sshd | Self::Cockpit => format!("{HOST}:{}", self.port()),
        }
    }

    fn group_folders(self) -> impl Iterator<Item = PathBuf> {
        let root = format!("/proc/{}/root/sys/fs/cgroup/system.slice", leader());
        self.groups().iter().map(move |group| PathBuf::from(&root).join(group))
    }

    /// Processor seconds that each of its groups has used. A group that ends and begins again
    /// begins at 0.
    pub fn seconds(self) -> Vec<f64> {
        let used = |folder: PathBuf| {
            let stat = std::fs::read_to_string(folder.join("cpu.stat")).unwrap_or_default();
            let line = stat.lines().find_map(|line| line.strip_prefix("usage_usec "));
            line.and_then(|line| line.parse::<f64>().ok()).unwrap_or_default() / 1e6
        };
        self.group_folders().map(used).collect()
    }

    /// Its memory in MiB (PSS).
    pub fn memory(self) -> f64 {
        let mut folders: Vec<PathBuf> = self.group_folders().collect();
        let mut pids = Vec::new();
        while let Some(folder) = folders.pop() {
            let listed = std::fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            pids.extend(listed.lines().filter_map(|line| line.parse::<u32>().ok()));
            let below = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            folders.extend(below.map(|entry| entry.path()).filter(|path| path.is_dir()));
        }
        processes::memory(&pids) / f64::from(1 << 20)
    }
}

/// What the servers need, made once.
pub struct Setup {
    trust: Trust,
    /// Signs in, and has the live session.
    pub alice: SoftAuthenticator,
    /// The same passkey, for the people who sign in.
    signs_in: Mutex<SoftAuthenticator>,
    /// Has an account, and abuses it.
    bob: Mutex<SoftAuthenticator>,
}

impl Setup {
    /// Gives all servers a certificate, and starts tere.
    pub fn start() -> Self {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(format!("/proc/{}/root/etc/ssl/{name}", leader()), text).unwrap();
        };
        write("load.crt", &made.cert.pem());
        write("load.key", &made.signing_key.serialize_pem());
        let trust = Trust::in_certificate(CertificateDer::from(made.cert.der().to_vec()), NAME);
        host(&format!(
            "mkdir -p /etc/systemd/system/tere-front.socket.d /etc/systemd/system/tere-front.service.d && \
             printf '[Socket]\\nListenStream=\\nListenStream=443\\n' >/etc/systemd/system/tere-front.socket.d/load.conf && \
             printf '[Service]\\nLoadCredential=tls.crt:/etc/ssl/load.crt\\nLoadCredential=tls.key:/etc/ssl/load.key\\n' \
                 >/etc/systemd/system/tere-front.service.d/load.conf && \
             printf 'origin = \"{ORIGIN}\"\\n[[grant]]\\naccounts = [\"alice\", \"bob\"]\\nmachine = \"web1\"\\nuser = \"dev\"\\n' \
                 >/etc/tere/tere.toml && \
             systemctl daemon-reload && systemctl stop tere-front.service && systemctl restart tere-front.socket && \
             systemctl try-restart tere-auth.service tere-broker.service && systemctl start tere-machine@web1.service && \
             useradd --create-home --shell /bin/bash {} && echo '{VISITOR}' | chpasswd && \
             install -d -m 0700 /root/.ssh && ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/load && \
             cp /root/.ssh/load.pub /root/.ssh/authorized_keys",
            VISITOR.split(':').next().unwrap_or_default()
        ));
        let mut setup = Self {
            trust,
            alice: SoftAuthenticator::new(ORIGIN),
            signs_in: Mutex::new(SoftAuthenticator::new(ORIGIN)),
            bob: Mutex::new(SoftAuthenticator::new(ORIGIN)),
        };
        // A copy of a passkey that counts is refused.
        setup.alice = enrol("alice", &mut setup.page(LIVE), ORIGIN);
        setup.alice.counts = false;
        setup.signs_in = Mutex::new(setup.alice.clone());
        setup.bob = Mutex::new(enrol("bob", &mut setup.page(LIVE), ORIGIN));
        setup
    }

    /// Starts a server.
    pub fn begin(&self, server: Server) {
        host(match server {
            Server::Tere => "true",
            Server::Sshd => "systemctl start ssh.service",
            Server::Cockpit => {
                "mkdir -p /etc/cockpit/ws-certs.d && cp /etc/ssl/load.crt /etc/cockpit/ws-certs.d/load.cert && \
                 cp /etc/ssl/load.key /etc/cockpit/ws-certs.d/load.key && systemctl start cockpit.socket"
            }
        });
        // Whatever is started at the first connection is part of the server.
        crate::parts::wait::eventually(server.name(), PATIENCE, || self.visit(server).ok());
    }

    /// Stops a server. tere stays, because of the live session.
    pub fn end(&self, server: Server) {
        host(match server {
            Server::Tere => "true",
            Server::Sshd => "systemctl stop ssh.service",
            Server::Cockpit => "systemctl stop cockpit.socket cockpit.service system-cockpithttps.slice",
        });
    }

    /// The certificate that the clients of all servers believe.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// A shell in which one-byte input goes nowhere, as an attacker opens it who has an account.
    pub fn shell_of_bob(&self, source: Ipv4Addr) -> OnTere {
        let mut page = self.page(source);
        page.sign_in(&mut self.bob.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        let session = page.open(STREAM, "dev@web1").unwrap();
        page.type_in(STREAM, "stty -echo; exec cat >/dev/null\r");
        OnTere { socket: page.into_socket(), session }
    }

    /// A page of tere.
    pub fn page(&self, source: Ipv4Addr) -> Page {
        let socket = connect(source, Server::Tere.port(), PATIENCE).expect("tere accepts a socket");
        Page::of(ORIGIN, Stream::tls(socket, &self.trust), &[])
    }

    /// Connects, signs in as far as the server asks for it, and waits for the first sign of what the
    /// person came for.
    pub fn visit(&self, server: Server) -> Result<(), String> {
        // The clients of tests panic if something is not as it should be.
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| match server {
            Server::Tere => self.visit_tere(),
            Server::Sshd => visit_sshd(),
            Server::Cockpit => self.visit_cockpit(),
        }))
        .map_err(|why| why.downcast::<String>().map_or_else(|_| "refused".to_owned(), |why| *why))
    }

    fn visit_tere(&self) {
        let mut passkey = self.signs_in.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.page(PERSON).sign_in(&mut passkey);
    }

    fn visit_cockpit(&self) {
        let socket = connect(PERSON, Server::Cockpit.port(), PATIENCE).unwrap();
        let mut stream = Stream::tls(socket, &self.trust);
        let request = format!(
            "GET /cockpit/login HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {VISITOR_BASIC}\r\nConnection: close\r\n\r\n",
            Server::Cockpit.host_header()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
}

/// The path of the largest file of tere's page.
pub fn page_script() -> String {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("web/dist");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let script = files.filter_map(|name| name.into_string().ok()).find(|name| name.ends_with(".js"));
    format!("/{}", script.unwrap())
}

/// Runs a command by the client of the host's files, in the network of this process.
fn visit_sshd() {
    let mut command = Command::new("nsenter");
    command.args(["-t", &leader(), "-m", "--", "ssh", "-q", "-F", "none", "-i", "/root/.ssh/load"]);
    command.args(["-b", &PERSON.to_string(), "-o", "StrictHostKeyChecking=no"]);
    command.args(["-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=10", "-o", "BatchMode=yes"]);
    command.args([&format!("root@{HOST}"), "true"]).stdin(Stdio::null());
    assert!(command.status().unwrap().success());
}
