//! The packets between the processes of tere. They are sent over SEQPACKET sockets, and each packet
//! is one message with its descriptors. The type of a channel names the messages that it sends and
//! those that it receives; the other end has the same two types, swapped.
//!
//! Every channel begins with a handshake that is the same in all versions: see [`Hello`].

mod asynchronous;
mod blocking;
mod handshake;
mod packet;

pub use asynchronous::{AsyncChannel, AsyncListener};
pub use blocking::Channel;
pub use handshake::{BUILD, Hello, Intent, VERSION};
pub use packet::{Message, PACKET_MAX, WireError, decode, encode};
