//! The WebSocket of a connection. tungstenite bounds frames and messages by one size each, which
//! cannot change once somebody is signed in, and it reads fragments of a message without end as
//! long as they are empty. So the heads of frames are looked at on their way to it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::protocol::page::{BINARY_FRAME_MAX, SIGN_IN_FRAME_MAX};

/// Most frames of one message, which is never longer than one frame may be. With one more the
/// connection ends. Browsers send a message in one frame, or in a few.
pub(super) const FRAGMENTS_MAX: u32 = 64;

/// The longest head of a frame, bytes. See RFC 6455, section 5.2.
const HEAD_MAX: usize = 14;

/// Whether somebody is signed in on the connection, shared with its reader.
#[derive(Debug, Clone, Default)]
pub(super) struct SignedIn(Arc<AtomicBool>);

impl SignedIn {
    /// Allows longer frames from now on.
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Longest message, bytes.
    fn message_max(&self) -> usize {
        if self.is_set() { BINARY_FRAME_MAX } else { SIGN_IN_FRAME_MAX }
    }
}

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameFault {
    #[error("a frame is too long")]
    TooLong,
    #[error("a message has too many frames")]
    TooManyFragments,
}

/// Makes a socket whose request is answered into a WebSocket. `read` holds the bytes that arrived
/// after the head of the request.
pub(super) async fn open<S>(stream: S, read: Vec<u8>) -> (WebSocketStream<Inspected<S>>, SignedIn)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // Nothing is buffered for writing, so output that a slow page has not taken stays with the
    // worker. A message may span several frames, but is never longer than one frame may be.
    let config = WebSocketConfig::default()
        .read_buffer_size(16 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * BINARY_FRAME_MAX)
        .max_message_size(Some(BINARY_FRAME_MAX))
        .max_frame_size(Some(BINARY_FRAME_MAX));
    let signed_in = SignedIn::default();
    let inspected = Inspected {
        stream,
        read: read.into(),
        frames: Frames::default(),
        fault: None,
        signed_in: signed_in.clone(),
    };
    (WebSocketStream::from_raw_socket(inspected, Role::Server, Some(config)).await, signed_in)
}

/// A socket that passes on the frames within the bounds, and fails at the first beyond them.
#[derive(Debug)]
pub(in super::super) struct Inspected<S> {
    stream: S,
    /// Bytes that come before those of the stream.
    read: std::collections::VecDeque<u8>,
    frames: Frames,
    /// What was wrong with the frame behind the bytes that were passed on.
    fault: Option<FrameFault>,
    signed_in: SignedIn,
}

/// Where the reader is.
#[derive(Debug, Default)]
struct Frames {
    /// The head that is being read.
    head: [u8; HEAD_MAX],
    head_length: usize,
    /// Bytes of the payload that are still to come.
    payload_left: u64,
    /// Frames and bytes of the message so far.
    fragments: u32,
    message: u64,
}

impl Frames {
    /// Returns how many bytes at the start of `bytes` belong to frames within the bounds, and what
    /// is wrong with the frame whose head follows or ends there, if anything.
    fn inspect(&mut self, bytes: &[u8], message_max: usize) -> (usize, Option<FrameFault>) {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if self.payload_left > 0 {
                let left = usize::try_from(self.payload_left).unwrap_or(usize::MAX);
                let part = left.min(bytes.len() - at);
                self.payload_left -= u64::try_from(part).unwrap_or_default();
                at += part;
                continue;
            }
            if let Some(place) = self.head.get_mut(self.head_length) {
                *place = *byte;
            }
            self.head_length += 1;
            if let Some(length) = self.payload_length() {
                if let Err(fault) = self.count(length, message_max) {
                    return (at, Some(fault));
                }
                (self.head_length, self.payload_left) = (0, length);
            }
            at += 1;
        }
        (at, None)
    }

    /// The length of the payload, once the head is complete.
    fn payload_length(&self) -> Option<u64> {
        let head = self.head.get(..self.head_length)?;
        let ([_, second], rest) = head.split_first_chunk()?;
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        let (length, extended) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes(*rest.first_chunk()?)), 2),
            127 => (u64::from_be_bytes(*rest.first_chunk()?), 8),
            length => (u64::from(length), 0),
        };
        (rest.len() >= extended + mask).then_some(length)
    }

    /// Counts a frame with this length of its payload.
    fn count(&mut self, length: u64, message_max: usize) -> Result<(), FrameFault> {
        let [first, ..] = self.head;
        let (is_final, opcode) = (first & 0x80 != 0, first & 0x0f);
        let is_control = opcode & 0x08 != 0;
        // Control frames may come between the fragments of a message.
        let message = if is_control { length } else { self.message.saturating_add(length) };
        if message > u64::try_from(message_max).unwrap_or(u64::MAX) {
            return Err(FrameFault::TooLong);
        }
        if !is_control {
            if self.fragments >= FRAGMENTS_MAX {
                return Err(FrameFault::TooManyFragments);
            }
            (self.fragments, self.message) = if is_final { (0, 0) } else { (self.fragments + 1, message) };
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Inspected<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(fault) = this.fault {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, fault)));
        }
        let before = buffer.filled().len();
        let polled = if this.read.is_empty() {
            Pin::new(&mut this.stream).poll_read(cx, buffer)
        } else {
            let length = this.read.len().min(buffer.remaining());
            let (part, _) = this.read.make_contiguous().split_at(length);
            buffer.put_slice(part);
            drop(this.read.drain(..length));
            Poll::Ready(Ok(()))
        };
        let new = buffer.filled().get(before..).unwrap_or_default();
        let (good, fault) = this.frames.inspect(new, this.signed_in.message_max());
        this.fault = fault;
        match fault {
            // The frames before it are passed on, and the next read fails.
            Some(_) if good > 0 => {
                buffer.set_filled(before + good);
                polled
            }
            Some(fault) => {
                buffer.set_filled(before);
                Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, fault)))
            }
            None => polled,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Inspected<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: u8 = 0x1;
    const CONTINUATION: u8 = 0x0;
    const PING: u8 = 0x9;
    const FINAL: u8 = 0x80;

    fn frame(first: u8, length: usize) -> Vec<u8> {
        let mut frame = vec![first];
        match u16::try_from(length) {
            Ok(short @ 0..126) => frame.push(0x80 | u8::try_from(short).unwrap()),
            Ok(length) => {
                frame.push(0x80 | 126);
                frame.extend(length.to_be_bytes());
            }
            Err(_) => {
                frame.push(0x80 | 127);
                frame.extend(u64::try_from(length).unwrap().to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.resize(frame.len() + length, b'x');
        frame
    }

    /// What is wrong with the frames, read in pieces of this size.
    fn fault(frames: &[Vec<u8>], piece: usize, message_max: usize) -> Option<FrameFault> {
        let mut reader = Frames::default();
        frames.concat().chunks(piece).find_map(|bytes| reader.inspect(bytes, message_max).1)
    }

    #[test]
    fn a_message_has_a_length_and_a_number_of_frames() {
        let many = |count: usize| {
            let mut frames = vec![frame(TEXT, 1)];
            frames.resize(count - 1, frame(CONTINUATION, 0));
            frames.push(frame(FINAL | CONTINUATION, 0));
            frames
        };
        for (frames, expected) in [
            (vec![frame(FINAL | TEXT, 4096)], None),
            (vec![frame(FINAL | TEXT, 4097)], Some(FrameFault::TooLong)),
            (vec![frame(FINAL | TEXT, 70_000)], Some(FrameFault::TooLong)),
            (vec![frame(TEXT, 4000), frame(FINAL | CONTINUATION, 96)], None),
            (vec![frame(TEXT, 4000), frame(FINAL | CONTINUATION, 97)], Some(FrameFault::TooLong)),
            (vec![frame(TEXT, 4000), frame(FINAL | PING, 125), frame(FINAL | CONTINUATION, 96)], None),
            (vec![frame(FINAL | PING, 5000)], Some(FrameFault::TooLong)),
            (vec![frame(FINAL | TEXT, 4096); 3], None),
            (many(64), None),
            ([many(64), many(64)].concat(), None),
            (many(65), Some(FrameFault::TooManyFragments)),
        ] {
            for piece in [1, 7, 100_000] {
                assert_eq!(fault(&frames, piece, 4096), expected);
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_of_frames_make_the_front_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), piece in 1..20_usize) {
            fault(&[bytes], piece, 4096);
        }
    }
}
