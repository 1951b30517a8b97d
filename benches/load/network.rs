//! The network outside of the host. `tests/load` makes it; every address of [`CROWD`] is local here.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// The host, as it is reached from here.
pub const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Where the live session, and people who sign in, come from.
pub const LIVE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
pub const PERSON: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 8);

/// The first address of the attackers, and how many they have.
const CROWD: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const CROWD_SIZE: u32 = 4096;

/// How long a person waits for a connection, and for each answer on it.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// From how many addresses an attack comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sources {
    One,
    Many,
}

impl Sources {
    pub const ALL: [Self; 2] = [Self::One, Self::Many];

    /// The address from which the next connection comes.
    pub fn next(self) -> Ipv4Addr {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        match self {
            Self::One => CROWD,
            Self::Many => {
                Ipv4Addr::from_bits(CROWD.to_bits() + NEXT.fetch_add(1, Ordering::Relaxed) % CROWD_SIZE)
            }
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Many => "many",
        }
    }
}

/// Connects to a port of the host. Nothing on the connection takes longer than `patience`.
pub fn connect(source: Ipv4Addr, port: u16, patience: Duration) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from(SocketAddrV4::new(source, 0)).into())?;
    socket.connect_timeout(&SocketAddr::from(SocketAddrV4::new(HOST, port)).into(), patience)?;
    socket.set_read_timeout(Some(patience))?;
    socket.set_write_timeout(Some(patience))?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket)
}

/// The processors of this machine and how busy they are.
pub fn machine_load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<_> = load.split(' ').take(3).collect();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("load {}, {cores} cores, which attackers and servers share", load.join(" "))
}
