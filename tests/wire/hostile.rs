//! Bytes that are not a message: an error, never a panic, and nothing taken for what it is not.

use std::os::fd::AsFd;
use std::time::Duration;

use proptest::prelude::*;
use tere::protocol::viewer::{FromViewer, ToViewer};
use tere::protocol::worker::{FromWorker, ToWorker};
use tere::sys::seqpacket;
use tere::wire::{Channel, Message, PACKET_MAX, WireError, decode, encode};

use crate::samples::every_direction;

fn cut_anywhere<M: Message>(sample: &M) {
    let packet = encode(sample).unwrap();
    for length in 0..packet.len() {
        let cut: Result<M, _> = decode(&packet[..length], sample.descriptors());
        assert!(cut.is_err(), "{length} of {} bytes were taken for a message", packet.len());
    }
}

#[test]
fn a_message_cut_at_any_byte_is_an_error() {
    macro_rules! visit {
        ($direction:expr, $samples:expr) => {
            $samples.iter().for_each(cut_anywhere)
        };
    }
    every_direction!(visit);
}

/// A flipped bit may make another message, but only one that encodes to these very bytes or to
/// fewer: nothing is smuggled beside it.
fn flip_everywhere<M: Message>(sample: &M) {
    let packet = encode(sample).unwrap();
    for bit in 0..packet.len() * 8 {
        let mut flipped = packet.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        for descriptors in 0..=2 {
            if let Ok(message) = decode::<M>(&flipped, descriptors) {
                assert_eq!(message.descriptors(), descriptors);
                assert!(encode(&message).unwrap().len() <= flipped.len());
            }
        }
    }
}

#[test]
fn a_flipped_bit_is_an_error_or_another_whole_message() {
    macro_rules! visit {
        ($direction:expr, $samples:expr) => {
            $samples.iter().for_each(flip_everywhere)
        };
    }
    every_direction!(visit);
}

fn wrong_descriptors<M: Message>(sample: &M) {
    let packet = encode(sample).unwrap();
    for descriptors in (0..4).filter(|count| *count != sample.descriptors()) {
        let read: Result<M, _> = decode(&packet, descriptors);
        assert!(matches!(read, Err(WireError::WrongDescriptors { .. })));
    }
}

#[test]
fn a_wrong_number_of_descriptors_is_an_error() {
    macro_rules! visit {
        ($direction:expr, $samples:expr) => {
            $samples.iter().for_each(wrong_descriptors)
        };
    }
    every_direction!(visit);
}

fn trailing<M: Message>(sample: &M) {
    let mut packet = encode(sample).unwrap();
    packet.push(0);
    let read: Result<M, _> = decode(&packet, sample.descriptors());
    assert!(read.is_err());
}

#[test]
fn bytes_after_a_message_are_an_error() {
    macro_rules! visit {
        ($direction:expr, $samples:expr) => {
            $samples.iter().for_each(trailing)
        };
    }
    every_direction!(visit);
}

#[test]
fn an_oversize_message_is_not_sent() {
    let oversize = ToViewer::Output(vec![0; PACKET_MAX]);
    assert!(matches!(encode(&oversize), Err(WireError::Oversize)));
}

const SOON: Duration = Duration::from_secs(5);

#[test]
fn an_oversize_packet_is_an_error_to_whoever_receives_it() {
    let (ours, theirs) = Channel::<FromViewer, ToViewer>::pair().unwrap();
    seqpacket::send(theirs.as_fd(), &vec![0; PACKET_MAX + 1], &[]).unwrap();
    assert!(matches!(ours.receive_within(SOON), Err(WireError::Oversize)));
}

#[test]
fn more_descriptors_than_any_message_has_are_an_error() {
    let (ours, theirs) = Channel::<FromWorker, ToWorker>::pair().unwrap();
    let packet = encode(&FromWorker::Adopted).unwrap();
    for count in [3, 20, 253] {
        let (sent, seen) = seqpacket::pair().unwrap();
        seqpacket::send(ours.as_fd(), &packet, &vec![sent.as_fd(); count]).unwrap();
        drop(sent);
        assert!(matches!(theirs.receive_within(SOON), Err(WireError::Oversize)));
        // None of them is left open: a peer could use up all that a process may have.
        let seen: Channel<FromViewer, ToViewer> = Channel::over(seen);
        assert!(matches!(seen.receive_within(SOON), Err(WireError::Closed)), "{count} descriptors");
    }
}

#[test]
fn a_closed_or_silent_peer_is_an_error_in_time() {
    let (ours, theirs) = Channel::<FromViewer, ToViewer>::pair().unwrap();
    let silent = ours.receive_within(Duration::from_millis(20));
    assert!(matches!(silent, Err(WireError::TimedOut)));
    drop(theirs);
    assert!(matches!(ours.receive_within(SOON), Err(WireError::Closed)));
}

fn survives<M: Message>(bytes: &[u8]) {
    for descriptors in 0..=2 {
        // Whatever it is taken for, it is whole.
        if let Ok(message) = decode::<M>(bytes, descriptors) {
            assert!(encode(&message).unwrap().len() <= bytes.len());
        }
    }
}

/// Calls `survives` for the type of a list.
fn like<M: Message>(_: &[M], bytes: &[u8]) {
    survives::<M>(bytes);
}

proptest! {
    #[test]
    fn any_bytes_at_all_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        macro_rules! visit {
            ($direction:expr, $samples:expr) => {
                like(&$samples, &bytes)
            };
        }
        every_direction!(visit);
    }
}

#[test]
fn a_wait_ends_in_time_although_signals_interrupt_it() {
    const WAIT: Duration = Duration::from_secs(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let guard = runtime.enter();
    // A handler that does nothing: without it the signal would end the process.
    let _handler = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::user_defined1()).unwrap();
    drop(guard);
    let (_theirs, ours) = Channel::<FromViewer, ToViewer>::pair().unwrap();
    let waiting = nix::sys::pthread::pthread_self();
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    let began = std::time::Instant::now();
    std::thread::scope(|scope| {
        // The last signal comes shortly before the end of the wait.
        scope.spawn(move || {
            while is_done.recv_timeout(WAIT / 10) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                if began.elapsed() < WAIT {
                    nix::sys::pthread::pthread_kill(waiting, nix::sys::signal::Signal::SIGUSR1).unwrap();
                }
            }
        });
        assert!(matches!(ours.receive_within(WAIT), Err(WireError::TimedOut)));
        drop(done);
    });
    let took = began.elapsed();
    assert!(took < WAIT + WAIT / 2, "a wait of {WAIT:?} took {took:?}");
}
