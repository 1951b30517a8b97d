//! What attackers do, who have no account on any of the servers, but for one-byte frames on tere.

use std::io::{self, ErrorKind, Read, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::connection::STREAM;
use crate::network::{Sources, connect};
use crate::parts::page::{Page, typed};
use crate::parts::stream::Stream;
use crate::servers::{ORIGIN, Server, Setup};

/// Handshakes that are begun in a second, and how many wait for an answer at a time.
const HANDSHAKES: u32 = 500;
const HANDSHAKERS: usize = 64;

/// Sockets that are opened in a second to be held, and the threads that hold them.
const SOCKETS: u32 = 100;
const HOLDERS: u32 = 4;

/// How often a byte is sent on a socket that is held.
const BYTE_EVERY: Duration = Duration::from_secs(1);

/// Requests that are sent on a socket whose answers nobody reads.
const REQUESTS: usize = 50;

/// Connections that flood, each as fast as the server reads, and frames in one write.
const FLOODS: usize = 8;
const BATCH: usize = 64;

/// How long an attacker waits for anything.
const PATIENCE: Duration = Duration::from_secs(1);

/// Opcodes of frames. See RFC 6455, section 5.2.
const BINARY: u8 = 0x2;
const PING: u8 = 0x9;

/// An attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// The first message of a handshake, which makes the server sign; then the socket is closed.
    Handshakes,
    /// A request of which a byte comes each second; of SSH, the line with the version.
    SlowHeads,
    /// Requests for more than the kernel buffers, and no answer is read.
    NeverReaders,
    /// Pings of a WebSocket.
    Pings,
    /// Frames that each type one byte into a shell.
    OneByteFrames,
}

impl Attack {
    pub const ALL: [Self; 5] =
        [Self::Handshakes, Self::SlowHeads, Self::NeverReaders, Self::Pings, Self::OneByteFrames];

    pub fn name(self) -> &'static str {
        match self {
            Self::Handshakes => "handshakes",
            Self::SlowHeads => "slow heads",
            Self::NeverReaders => "never-readers",
            Self::Pings => "ping floods",
            Self::OneByteFrames => "1-byte frames",
        }
    }

    /// Whether the server has what is attacked: cockpit has no WebSocket for strangers, and sshd
    /// sends strangers next to nothing.
    pub fn is_for(self, server: Server) -> bool {
        match self {
            Self::Handshakes | Self::SlowHeads => true,
            Self::NeverReaders => server != Server::Sshd,
            Self::Pings | Self::OneByteFrames => server == Server::Tere,
        }
    }

    /// Attacks until told to stop. Returns how many handshakes were answered, or sockets and frames
    /// sent.
    pub fn run(self, setup: &Setup, server: Server, sources: Sources, stop: &AtomicBool) -> u64 {
        let to = Target { setup, server, sources, stop, made: AtomicU64::new(0) };
        match self {
            Self::Handshakes => to.handshakes(),
            Self::SlowHeads => to.hold(b"", true),
            Self::NeverReaders => to.hold(to.request().repeat(REQUESTS).as_bytes(), false),
            Self::Pings => to.floods(|| to.ping()),
            Self::OneByteFrames => to.floods(|| to.type_bytes()),
        }
        to.made.into_inner()
    }
}

/// The server that is attacked, and the attacker.
struct Target<'a> {
    setup: &'a Setup,
    server: Server,
    sources: Sources,
    stop: &'a AtomicBool,
    made: AtomicU64,
}

impl Target<'_> {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn count(&self, number: u64) {
        self.made.fetch_add(number, Ordering::Relaxed);
    }

    fn socket(&self) -> io::Result<socket2::Socket> {
        connect(self.sources.next(), self.server.port(), PATIENCE)
    }

    fn stream(&self) -> io::Result<Stream> {
        let socket = self.socket()?;
        Ok(if self.server == Server::Sshd { socket.into() } else { Stream::tls(socket, self.setup.trust()) })
    }

    fn handshakes(&self) {
        let hello = self.hello();
        let (next, began) = (AtomicU32::new(0), Instant::now());
        std::thread::scope(|scope| {
            for _ in 0..HANDSHAKERS {
                scope.spawn(|| {
                    while self.goes_on() {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        pause_until(began + Duration::from_secs(1) * number / HANDSHAKES);
                        self.count(u64::from(self.handshake(&hello).is_ok()));
                    }
                });
            }
        });
    }

    /// The same bytes serve for all connections: a server cannot tell before it has computed its
    /// part.
    fn hello(&self) -> Vec<u8> {
        if self.server == Server::Sshd {
            return ssh_hello();
        }
        let mut hello = Vec::new();
        self.setup.trust().client().write_tls(&mut hello).unwrap();
        hello
    }

    fn handshake(&self, hello: &[u8]) -> io::Result<()> {
        let mut socket = self.socket()?;
        socket.write_all(hello)?;
        if self.server == Server::Sshd {
            return await_ssh_reply(&mut socket);
        }
        // Its hello, the certificate and the signature come together.
        socket.read_exact(&mut [0; 1])
    }

    fn request(&self) -> String {
        // The largest file that each has for strangers.
        let path = match self.server {
            Server::Tere => crate::servers::page_script(),
            Server::Sshd | Server::Cockpit => "/".to_owned(),
        };
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.server.host_header())
    }

    /// Opens more and more sockets, sends `first` on each, and then a byte now and then, or nothing.
    fn hold(&self, first: &[u8], feeds: bool) {
        let slow = if self.server == Server::Sshd { "SSH-2.0-slow".to_owned() } else { self.request() };
        // Never complete: the last letters come again and again.
        let slow = slow.trim_end().as_bytes();
        let hold = || {
            let mut held: Vec<(Stream, usize, Instant)> = Vec::new();
            let (mut opened, began) = (0, Instant::now());
            while self.goes_on() {
                opened += 1;
                pause_until(began + Duration::from_secs(1) * opened * HOLDERS / SOCKETS);
                if let Ok(mut stream) = self.stream()
                    && (first.is_empty() || stream.write_all(first).is_ok())
                {
                    held.push((stream, 0, Instant::now()));
                    self.count(1);
                }
                held.retain_mut(|(stream, at, next)| {
                    if !feeds || *next > Instant::now() {
                        return true;
                    }
                    *next += BYTE_EVERY;
                    *at += 1;
                    stream.write_all(&slow[(*at - 1).min(slow.len() - 1)..][..1]).is_ok()
                });
            }
        };
        std::thread::scope(|scope| (0..HOLDERS).for_each(|_| drop(scope.spawn(hold))));
    }

    /// Keeps up [`FLOODS`] connections.
    fn floods(&self, flood: impl Fn() -> io::Result<()> + Sync) {
        let keep_up = || {
            while self.goes_on() {
                // A server that closes the connection is attacked by the next one.
                if flood().is_err() {
                    std::thread::park_timeout(Duration::from_millis(10));
                }
            }
        };
        std::thread::scope(|scope| (0..FLOODS).for_each(|_| drop(scope.spawn(keep_up))));
    }

    fn ping(&self) -> io::Result<()> {
        let stream = self.stream()?;
        let mut socket = caught(|| Page::of(ORIGIN, stream, &[]).into_socket())?;
        self.flood(socket.get_mut(), &frame(PING, b""))
    }

    fn type_bytes(&self) -> io::Result<()> {
        let mut shell = caught(|| self.setup.shell_of_bob(self.sources.next()))?;
        self.flood(shell.socket.get_mut(), &frame(BINARY, &typed(STREAM, b"x")))
    }

    /// Sends frames without end, and reads what comes to throw it away.
    fn flood(&self, stream: &mut Stream, frame: &[u8]) -> io::Result<()> {
        let (batch, mut thrown) = (frame.repeat(BATCH), vec![0; 64 * 1024]);
        let mut sent = 0;
        stream.socket().set_nonblocking(true)?;
        while self.goes_on() {
            let wrote = or_nothing(stream.write(&batch[sent % frame.len()..]))?;
            let read = match stream.read(&mut thrown) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                other => or_nothing(other)?,
            };
            self.count(u64::try_from((sent % frame.len() + wrote) / frame.len()).unwrap_or_default());
            sent += wrote;
            if wrote + read == 0 {
                std::thread::park_timeout(Duration::from_millis(1));
            }
        }
        stream.socket().set_nonblocking(false)?;
        stream.write_all(&batch[sent % frame.len()..frame.len()])
    }
}

/// An error instead of a panic: the clients of tests panic if something is not as it should be.
fn caught<T>(open: impl FnOnce() -> T) -> io::Result<T> {
    let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(open));
    opened.map_err(|_| ErrorKind::ConnectionRefused.into())
}

/// Waits until then.
fn pause_until(then: Instant) {
    // The rate of the attack is what is measured.
    std::thread::sleep(then.saturating_duration_since(Instant::now()));
}

/// Nothing, if the socket is not ready.
fn or_nothing(done: io::Result<usize>) -> io::Result<usize> {
    match done {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}

/// A final frame of a client, masked with zeros (RFC 6455, section 5.2).
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).ok().filter(|length| *length < 126).unwrap();
    [&[0x80 | opcode, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

/// The version, the algorithms and the public key of a client (RFC 4253, section 7; RFC 8731).
fn ssh_hello() -> Vec<u8> {
    const KEXINIT: u8 = 20;
    const KEX_ECDH_INIT: u8 = 30;
    let text = |text: &[u8]| [&u32::try_from(text.len()).unwrap().to_be_bytes(), text].concat();
    let packet = |payload: Vec<u8>| {
        let padding = 8 + 7 - (payload.len() + 4) % 8;
        let length = u32::try_from(1 + payload.len() + padding).unwrap().to_be_bytes();
        [&length[..], &[u8::try_from(padding).unwrap()], &payload, &vec![0; padding]].concat()
    };
    let algorithms = ["curve25519-sha256", "ssh-ed25519", "aes128-ctr", "aes128-ctr", "hmac-sha2-256"];
    let algorithms = algorithms.into_iter().chain(["hmac-sha2-256", "none", "none", "", ""]);
    let mut proposal = vec![KEXINIT];
    proposal.extend([0; 16]);
    proposal.extend(algorithms.flat_map(|name| text(name.as_bytes())));
    proposal.extend([0; 5]);
    // The base point.
    let mut key = vec![KEX_ECDH_INIT];
    key.extend(text(&[&[9][..], &[0; 31]].concat()));
    [b"SSH-2.0-load\r\n".to_vec(), packet(proposal), packet(key)].concat()
}

/// Reads the version, and the packets up to the one with the signature.
fn await_ssh_reply(socket: &mut socket2::Socket) -> io::Result<()> {
    let mut byte = [0];
    while byte != *b"\n" {
        socket.read_exact(&mut byte)?;
    }
    for _ in 0..2 {
        let mut length = [0; 4];
        socket.read_exact(&mut length)?;
        let length = u64::from(u32::from_be_bytes(length)).min(64 * 1024);
        io::copy(&mut Read::by_ref(socket).take(length), &mut io::sink())?;
    }
    Ok(())
}
