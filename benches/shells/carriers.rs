//! The carriers of shells that are compared. Each is started once and then opens shells.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::connection::{Connection, OnPty, OnTere, OnTtyd, STREAM};
use crate::link;
use crate::parts::page::{ORIGIN, Page};
use crate::parts::passkey::SoftAuthenticator;
use crate::processes;

/// How long a server may take to start listening.
const START_TIME: Duration = Duration::from_secs(10);

/// The shell of the carriers that start one themselves: it reads no settings.
const SHELL: [&str; 4] = ["bash", "--norc", "--noprofile", "-i"];

/// Opens shells, each of which lasts as long as its connection.
pub trait Carrier {
    /// The name of the carrier.
    fn name(&self) -> &'static str;

    /// Opens a shell into which nothing has been typed. `rate` is the speed of the link in bytes
    /// per second; `None` means that the link is not slowed down.
    fn open(&self, rate: Option<usize>) -> Box<dyn Connection>;

    /// The processes that carry the shells, without the shells.
    fn processes(&self) -> Vec<u32>;
}

type Start = fn() -> Result<Box<dyn Carrier>, String>;

/// All carriers, by name.
pub const ALL: [(&str, Start); 5] = [
    ("pty", || Ok(Box::new(Plain))),
    ("tere", || Ok(Box::new(Tere::start()))),
    ("ttyd", || Ok(Box::new(Ttyd::start()?))),
    ("ssh", || Ok(Box::new(Ssh::start()?))),
    ("tmux", || Ok(Box::new(Tmux::start()?))),
];

/// A PTY and nothing else.
struct Plain;

impl Carrier for Plain {
    fn name(&self) -> &'static str {
        "pty"
    }

    fn open(&self, rate: Option<usize>) -> Box<dyn Connection> {
        Box::new(OnPty::start(&words(&SHELL), rate))
    }

    fn processes(&self) -> Vec<u32> {
        Vec::new()
    }
}

/// The installed package. The bench runs in the network of its host.
struct Tere {
    passkey: Mutex<SoftAuthenticator>,
}

/// The address on which the package's front listens.
const FRONT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8022);

impl Tere {
    fn start() -> Self {
        let token = std::env::var("TERE_ENROL_TOKEN").expect("run this by tests/bench");
        let mut passkey = SoftAuthenticator::new(ORIGIN);
        Page::over(TcpStream::connect(FRONT).unwrap()).enrol(&token, &mut passkey);
        Self { passkey: Mutex::new(passkey) }
    }
}

impl Carrier for Tere {
    fn name(&self) -> &'static str {
        "tere"
    }

    fn open(&self, rate: Option<usize>) -> Box<dyn Connection> {
        let front = rate.map_or(FRONT, |rate| link::to(FRONT, rate));
        let socket = TcpStream::connect(front).unwrap();
        socket.set_nodelay(true).unwrap();
        let mut page = Page::over(socket);
        page.sign_in(&mut self.passkey.lock().unwrap());
        let session = page.open(STREAM, "dev@web1").unwrap();
        Box::new(OnTere { socket: page.into_socket(), session })
    }

    fn processes(&self) -> Vec<u32> {
        processes::named(&["tere-front", "tere-auth", "tere-broker", "tere-session"])
    }
}

/// ttyd, which starts a shell for each connection.
struct Ttyd {
    server: Server,
    address: SocketAddr,
}

impl Ttyd {
    fn start() -> Result<Self, String> {
        let address = free_address();
        let port = address.port().to_string();
        let mut command = vec!["ttyd", "-i", "127.0.0.1", "-p", &port, "-W"];
        command.extend(SHELL);
        let server = Server::start(&words(&command))?;
        listens(address)?;
        Ok(Self { server, address })
    }
}

impl Carrier for Ttyd {
    fn name(&self) -> &'static str {
        "ttyd"
    }

    fn open(&self, rate: Option<usize>) -> Box<dyn Connection> {
        let address = rate.map_or(self.address, |rate| link::to(self.address, rate));
        let socket = TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        let mut request = format!("ws://{}/ws", self.address).into_client_request().unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", "tty".parse().unwrap());
        let (mut socket, _) = tungstenite::client(request, socket).unwrap();
        let hello = r#"{"AuthToken":"","columns":80,"rows":24}"#;
        socket.send(Message::binary(hello.as_bytes().to_vec())).unwrap();
        Box::new(OnTtyd(socket))
    }

    fn processes(&self) -> Vec<u32> {
        vec![self.server.0.id()]
    }
}

/// OpenSSH's server, with keys generated for the bench.
struct Ssh {
    server: Server,
    address: SocketAddr,
    folder: TempDir,
}

impl Ssh {
    fn start() -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        for key in ["host", "user"] {
            let made =
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &at(key)]).status();
            made.map_err(|error| format!("ssh-keygen: {error}"))?;
        }
        let address = free_address();
        let settings = format!(
            "Port {}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nPidFile none\n\
             UsePAM no\nPermitRootLogin yes\nMaxStartups 100\nPrintMotd no\nPrintLastLog no\n",
            address.port(),
            at("host"),
            at("user.pub")
        );
        fs::write(at("settings"), settings).unwrap();
        // sshd needs this folder, and its package creates it only where systemd runs.
        fs::create_dir_all("/run/sshd").map_err(|error| format!("/run/sshd: {error}"))?;
        let server = Server::start(&words(&["/usr/sbin/sshd", "-D", "-f", &at("settings")]))?;
        listens(address)?;
        Ok(Self { server, address, folder })
    }
}

impl Carrier for Ssh {
    fn name(&self) -> &'static str {
        "ssh"
    }

    fn open(&self, rate: Option<usize>) -> Box<dyn Connection> {
        let address = rate.map_or(self.address, |rate| link::to(self.address, rate));
        let key = self.folder.path().join("user").display().to_string();
        let port = address.port().to_string();
        let mut command = vec!["ssh", "-tt", "-q", "-F", "none", "-i", &key, "-p", &port];
        command.extend([
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "root@127.0.0.1",
        ]);
        command.extend(SHELL);
        Box::new(OnPty::start(&words(&command), None))
    }

    fn processes(&self) -> Vec<u32> {
        processes::below(self.server.0.id(), "sshd")
    }
}

/// One server of tmux, with a session for each connection.
struct Tmux {
    name: String,
    server: u32,
}

impl Tmux {
    fn start() -> Result<Self, String> {
        let name = format!("tere-bench-{}", std::process::id());
        let tmux = |words: &[&str]| {
            let said = Command::new("tmux").args(["-L", &name, "-f", "/dev/null"]).args(words).output();
            let said = said.map_err(|error| format!("tmux: {error}"))?;
            Ok::<_, String>(String::from_utf8_lossy(&said.stdout).trim().to_owned())
        };
        tmux(&["new-session", "-d", "sleep infinity"])?;
        let server = tmux(&["display-message", "-p", "#{pid}"])?;
        let server = server.parse().map_err(|_| format!("tmux does not start: {server}"))?;
        Ok(Self { name, server })
    }
}

impl Carrier for Tmux {
    fn name(&self) -> &'static str {
        "tmux"
    }

    fn open(&self, rate: Option<usize>) -> Box<dyn Connection> {
        let mut command = vec!["tmux", "-L", &self.name, "new-session"];
        command.extend(SHELL);
        // Otherwise the session would outlive its client and disturb later rounds.
        command.extend([";", "set-option", "destroy-unattached", "on"]);
        Box::new(OnPty::start(&words(&command), rate))
    }

    fn processes(&self) -> Vec<u32> {
        vec![self.server]
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        drop(Command::new("tmux").args(["-L", &self.name, "kill-server"]).status());
    }
}

/// A server process, killed on drop.
struct Server(Child);

impl Server {
    fn start(words: &[String]) -> Result<Self, String> {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.envs([("LANG", "C.UTF-8")]);
        command.spawn().map(Self).map_err(|error| format!("{}: {error}", words[0]))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have exited already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// An address on which nobody was listening a moment ago.
fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// Waits until a server listens on this address.
fn listens(address: SocketAddr) -> Result<(), String> {
    let deadline = Instant::now() + START_TIME;
    while TcpStream::connect(address).is_err() {
        if Instant::now() >= deadline {
            return Err(format!("nobody listens on {address}"));
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    Ok(())
}
