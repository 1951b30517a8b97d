//! What a fuzzer sends to each socket of tere, and what must hold then: see `fuzz/`. Only in tests
//! and with the feature `fuzz`. The first byte of an input chooses the direction.

// A panic is how a fuzzer notices.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::control::{FromCli, ToCli};
use super::exec::{FromClient, ToClient};
use super::login::{FromFront, ToFront};
use super::principal::{FromBroker, Request};
use super::viewer::{FromViewer, ToViewer};
use super::vouch::{FromAuth, ToAuth};
use super::worker::{FromWorker, ToWorker};
use crate::wire::{Hello, Message, WireError, decode, encode};

/// `auth.sock`.
pub fn login(data: &[u8]) {
    either::<FromFront, ToFront>(data);
}

/// `control.sock`.
pub fn control(data: &[u8]) {
    either::<FromCli, ToCli>(data);
}

/// `broker.sock`, until it is handed over.
pub fn vouch(data: &[u8]) {
    either::<FromAuth, ToAuth>(data);
}

/// The principal channel.
pub fn principal(data: &[u8]) {
    either::<Request, FromBroker>(data);
}

/// `session/ID.sock`.
pub fn worker(data: &[u8]) {
    either::<ToWorker, FromWorker>(data);
}

/// A viewer socket.
pub fn viewer(data: &[u8]) {
    either::<FromViewer, ToViewer>(data);
}

/// A command socket.
pub fn exec(data: &[u8]) {
    either::<FromClient, ToClient>(data);
}

fn either<One, Other>(data: &[u8])
where
    One: Message + PartialEq + std::fmt::Debug,
    Other: Message + PartialEq + std::fmt::Debug,
{
    match data {
        [0, packet @ ..] => check::<One>(packet),
        [1, packet @ ..] => check::<Other>(packet),
        [2, packet @ ..] => greeting(packet),
        _ => {}
    }
}

/// What is taken for a message is one to the last byte, with one number of descriptors.
fn check<M: Message + PartialEq + std::fmt::Debug>(packet: &[u8]) {
    let message: M = match decode(packet, 0) {
        Err(WireError::WrongDescriptors { expected, .. }) => decode(packet, expected).unwrap(),
        Ok(message) => message,
        Err(_) => return,
    };
    let more = decode::<M>(packet, message.descriptors() + 1);
    assert!(matches!(more, Err(WireError::WrongDescriptors { .. })), "{more:?}");
    let again = encode(&message).unwrap();
    // A number may be written in more bytes than it needs, and a colour in capitals.
    assert!(again.len() < packet.len() || again.eq_ignore_ascii_case(packet), "{message:?}");
    assert_eq!(decode::<M>(&again, message.descriptors()).unwrap(), message);
}

fn greeting(packet: &[u8]) {
    if let Ok(hello) = Hello::decode(packet) {
        assert_eq!(hello.encode(), packet);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mutation::mutated;

    /// The golden bytes of every message.
    fn packets() -> Vec<Vec<u8>> {
        let golden = include_str!("../../tests/wire/golden.hex");
        let lines = golden.lines().filter(|line| !line.starts_with('#'));
        let greeting = Hello::ours(crate::wire::Intent::Login).encode();
        let packets = lines.map(|line| data_encoding::HEXLOWER.decode(line.as_bytes()).unwrap());
        packets.chain([greeting]).collect()
    }

    proptest! {
        #[test]
        fn a_packet_that_is_almost_a_message_is_one_or_is_refused(
            packet in prop::sample::select(packets()).prop_flat_map(mutated),
            direction in 0..3_u8,
        ) {
            let data = [&[direction][..], &packet].concat();
            for socket in [login, control, vouch, principal, worker, viewer, exec] {
                socket(&data);
            }
        }
    }
}
