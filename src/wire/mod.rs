//! The packets between tere's processes: SEQPACKET sockets, one packet one message, with its
//! descriptors. A channel is typed by what goes out and what comes in; both ends are made from
//! the same two types, swapped.
//!
//! Every channel begins with a handshake, the same in all versions: see [`Hello`].

mod asynchronous;
mod blocking;
mod handshake;
mod packet;

pub use asynchronous::{AsyncChannel, AsyncListener};
pub use blocking::Channel;
pub use handshake::{BUILD, Hello, Intent, VERSION};
pub use packet::{Message, PACKET_MAX, WireError, decode, encode};
