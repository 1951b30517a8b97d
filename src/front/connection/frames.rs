//! Decodes and encodes the frames of [`crate::protocol::page`].

use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use super::websocket::FrameFault;
use crate::protocol::page::{
    FROM_PAGE_HEADER, FromPage, StreamKind, TERMINAL_BYTES_MAX, TEXT_FRAME_MAX, TO_PAGE_HEADER, ToPage,
};

/// A frame from the page.
#[derive(Debug)]
pub(super) enum Frame {
    /// A text frame.
    Message(FromPage),
    /// A binary frame.
    Bytes(StreamBytes),
    /// The browser's answer to the ping with this number.
    Pong(Option<u32>),
    /// A ping, which tungstenite answers.
    Ping,
    /// A frame that cannot be decoded, with the reason.
    Unreadable(&'static str),
    /// The page closed the WebSocket, or the WebSocket failed.
    Gone,
}

/// Bytes of a stream.
#[derive(Debug)]
pub(super) struct StreamBytes {
    pub(super) stream: u16,
    pub(super) kind: StreamKind,
    /// When the bytes were typed, on the front's clock as the page knows it.
    pub(super) sent_at: u32,
    pub(super) bytes: Bytes,
}

/// Decodes a frame.
pub(super) fn read(frame: Option<Result<Message, Error>>) -> Frame {
    match frame {
        Some(Ok(Message::Text(text))) if text.len() > TEXT_FRAME_MAX => {
            Frame::Unreadable("a text frame is too long")
        }
        Some(Ok(Message::Text(text))) => match serde_json::from_str::<FromPage>(&text) {
            Ok(message) => Frame::Message(message),
            Err(_) => Frame::Unreadable("a text frame is not a message"),
        },
        Some(Ok(Message::Binary(bytes))) => read_bytes(&bytes),
        Some(Ok(Message::Pong(probe))) => {
            Frame::Pong(<[u8; 4]>::try_from(&*probe).ok().map(u32::from_be_bytes))
        }
        // tungstenite returns no message of the kind `Frame`.
        Some(Ok(Message::Ping(_) | Message::Frame(_))) => Frame::Ping,
        Some(Err(Error::Capacity(_))) => Frame::Unreadable("a frame is too long"),
        Some(Err(Error::Utf8(_))) => Frame::Unreadable("a text frame is not UTF-8"),
        Some(Err(Error::Io(error))) => match error.get_ref().and_then(|error| error.downcast_ref()) {
            Some(FrameFault::TooLong) => Frame::Unreadable("a frame is too long"),
            Some(FrameFault::TooManyFragments) => Frame::Unreadable("a message has too many frames"),
            None => Frame::Gone,
        },
        Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => Frame::Gone,
        Some(Err(Error::Protocol(_))) => Frame::Unreadable("a frame is not one of the WebSocket protocol"),
        Some(Ok(Message::Close(_)) | Err(_)) | None => Frame::Gone,
    }
}

fn read_bytes(frame: &Bytes) -> Frame {
    let Some(([s1, s0, kind, t3, t2, t1, t0], _)) = frame.split_first_chunk::<FROM_PAGE_HEADER>() else {
        return Frame::Unreadable("a binary frame has no header");
    };
    let Some(kind) = StreamKind::from_byte(*kind) else {
        return Frame::Unreadable("a binary frame is of an unknown kind");
    };
    let bytes = frame.slice(FROM_PAGE_HEADER..);
    if kind == StreamKind::Terminal && bytes.len() > TERMINAL_BYTES_MAX {
        return Frame::Unreadable("a frame is too long");
    }
    Frame::Bytes(StreamBytes {
        stream: u16::from_be_bytes([*s1, *s0]),
        kind,
        sent_at: u32::from_be_bytes([*t3, *t2, *t1, *t0]),
        bytes,
    })
}

/// Encodes a message as a text frame.
pub(super) fn text(message: &ToPage) -> Message {
    // Serialization fails only for maps whose keys are not strings, and a message has none.
    Message::text(serde_json::to_string(message).unwrap_or_default())
}

/// Encodes bytes of a stream as a binary frame.
pub(super) fn binary(stream: u16, kind: StreamKind, bytes: &[u8]) -> Message {
    let mut frame = Vec::with_capacity(TO_PAGE_HEADER + bytes.len());
    frame.extend(stream.to_be_bytes());
    frame.push(kind as u8);
    frame.extend(bytes);
    Message::Binary(Bytes::from(frame))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mutation::mutated;

    /// Frames that pages send.
    const TEXTS: [&str; 6] = [
        r#"{"type":"enrol","token":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#,
        r#"{"type":"answer","credential":{"id":"AA","rawId":"AA","type":"public-key","response":{}}}"#,
        r#"{"type":"open","stream":1,"target":{"machine":"web1","user":"dev"},"size":{"cols":80,"rows":24}}"#,
        r#"{"type":"attach","stream":65535,"session":"abcdefgh2345","size":{"cols":1000,"rows":250}}"#,
        r#"{"type":"share","session":"abcdefgh2345","account":"bob","role":"watcher"}"#,
        r#"{"type":"name","session":"abcdefgh2345","name":"the build"}"#,
    ];

    #[test]
    fn the_frames_that_are_changed_below_are_frames() {
        for text in TEXTS {
            let frame = read(Some(Ok(Message::text(text))));
            assert!(matches!(frame, Frame::Message(_)), "{text}: {frame:?}");
        }
    }

    proptest! {
        #[test]
        fn no_frame_of_a_page_makes_the_front_panic(
            text in prop::sample::select(TEXTS.to_vec()).prop_flat_map(|text| mutated(text.as_bytes().to_vec())),
            bytes in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            if let Ok(text) = String::from_utf8(text) {
                // What is understood is understood the same again.
                if let Frame::Message(message) = read(Some(Ok(Message::text(text)))) {
                    let again = read(Some(Ok(Message::text(serde_json::to_string(&message).unwrap()))));
                    prop_assert!(matches!(again, Frame::Message(other) if other == message));
                }
            }
            if let Frame::Bytes(one) = read(Some(Ok(Message::binary(bytes.clone())))) {
                prop_assert_eq!(one.bytes.len() + FROM_PAGE_HEADER, bytes.len());
            }
        }
    }
}
