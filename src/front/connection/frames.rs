//! The frames of [`crate::protocol::page`], both ways.

use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use super::core::Input;
use crate::protocol::page::{FromPage, TEXT_FRAME_MAX, ToPage};

/// What a frame of the page is to the core.
pub(super) fn input(frame: Option<Result<Message, Error>>) -> Input {
    match frame {
        Some(Ok(Message::Text(text))) if text.len() > TEXT_FRAME_MAX => {
            Input::Unreadable("a text frame is too long")
        }
        Some(Ok(Message::Text(text))) => match serde_json::from_str::<FromPage>(&text) {
            Ok(message) => Input::Page(message),
            Err(_) => Input::Unreadable("a text frame is not a message"),
        },
        Some(Ok(Message::Binary(bytes))) => match bytes.split_first_chunk() {
            Some((channel, typed)) => {
                Input::Typed { channel: u16::from_be_bytes(*channel), bytes: typed.to_vec() }
            }
            None => Input::Unreadable("a binary frame has no channel"),
        },
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Input::Alive,
        Some(Err(Error::Capacity(_))) => Input::Unreadable("a frame is too long"),
        Some(Err(Error::Utf8(_))) => Input::Unreadable("a text frame is not UTF-8"),
        Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => Input::PageGone,
        Some(Err(Error::Protocol(_))) => Input::Unreadable("a frame is not one of the WebSocket protocol"),
        Some(Ok(Message::Close(_)) | Err(_)) | None => Input::PageGone,
    }
}

/// A message as a text frame.
pub(super) fn text(message: &ToPage) -> Message {
    // Such a message has no map with keys that are not texts, the one thing JSON cannot hold.
    Message::text(serde_json::to_string(message).unwrap_or_default())
}

/// Terminal bytes as a binary frame.
pub(super) fn terminal(channel: u16, bytes: &[u8]) -> Message {
    let mut frame = Vec::with_capacity(2 + bytes.len());
    frame.extend(channel.to_be_bytes());
    frame.extend(bytes);
    Message::Binary(Bytes::from(frame))
}
