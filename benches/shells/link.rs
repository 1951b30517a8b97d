//! A slow link: a relay on loopback that passes on a limited number of bytes per second from the
//! server.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// Receive buffer of the relay, in bytes: about as much as a modem would hold.
const UNDER_WAY: usize = 16 * 1024;

/// Maximum bytes of one step: a packet of an ordinary network.
const PACKET: usize = 1460;

/// Returns an address that leads to `server` over a link of `rate` bytes per second. It accepts one
/// connection.
pub fn to(server: SocketAddr, rate: usize) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (near, _) = listener.accept().unwrap();
        let far = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        far.set_recv_buffer_size(UNDER_WAY).unwrap();
        far.connect(&server.into()).unwrap();
        let far = TcpStream::from(far);
        near.set_nodelay(true).unwrap();
        far.set_nodelay(true).unwrap();
        let (mut from_near, mut to_far) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        std::thread::spawn(move || {
            // Either side may have closed its connection.
            drop(std::io::copy(&mut from_near, &mut to_far));
            drop(to_far.shutdown(std::net::Shutdown::Write));
        });
        bring(far, near, rate);
    });
    address
}

/// Copies until either side closes its connection.
fn bring(mut from: TcpStream, mut to: TcpStream, rate: usize) {
    let mut packet = [0; PACKET];
    while let Ok(length @ 1..) = from.read(&mut packet) {
        // Simulates the link: waits for as long as it would take to transfer these bytes.
        std::thread::sleep(Duration::from_secs_f64(length as f64 / rate as f64));
        if to.write_all(&packet[..length]).is_err() {
            return;
        }
    }
    drop(to.shutdown(std::net::Shutdown::Both));
}
