//! A slow link: a relay on loopback that brings so many bytes a second from the server.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// What the relay has under way at most, as a modem would.
const UNDER_WAY: usize = 16 * 1024;

/// Most in one step: a packet of an ordinary network.
const PACKET: usize = 1460;

/// An address that leads to `server` over a link of `rate` bytes a second, once.
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
            // Either side may be gone.
            drop(std::io::copy(&mut from_near, &mut to_far));
            drop(to_far.shutdown(std::net::Shutdown::Write));
        });
        bring(far, near, rate);
    });
    address
}

/// Until one of the two is gone.
fn bring(mut from: TcpStream, mut to: TcpStream, rate: usize) {
    let mut packet = [0; PACKET];
    while let Ok(length @ 1..) = from.read(&mut packet) {
        // There is no such link here: this is what its bytes would take.
        std::thread::sleep(Duration::from_secs_f64(length as f64 / rate as f64));
        if to.write_all(&packet[..length]).is_err() {
            return;
        }
    }
    drop(to.shutdown(std::net::Shutdown::Both));
}
