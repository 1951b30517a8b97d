//! The command socket: between the worker that runs one command without a terminal and the program
//! that has it run, `tere`. The worker makes a socketpair, and one end is passed through the
//! broker. Intent [`Intent::Exec`](crate::wire::Intent).
//!
//! Packets are postcard and carry no descriptors. The client begins with [`FromClient::Start`].
//! Each of the three streams has credit of its own, so that none holds up another, nor a signal:
//! neither side sends more than [`WINDOW`] bytes of a stream that the other has not passed on.

use serde::{Deserialize, Serialize};

use super::SessionEnd;
use crate::wire::Message;

/// Most bytes of a stream in one packet.
pub const CHUNK_MAX: usize = 32 * 1024;

/// Most bytes of a stream that were sent and not passed on.
pub const WINDOW: usize = 256 * 1024;

/// Most bytes of a command with its arguments, each of which counts one byte more.
pub const COMMAND_MAX: usize = 48 * 1024;

/// From the client to the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromClient {
    /// Run this. Sent once, first.
    Start(Command),
    /// The next bytes of the command's standard input. At most [`CHUNK_MAX`].
    Input(#[serde(with = "serde_bytes")] Vec<u8>),
    /// No more input comes.
    InputEnd,
    /// Send the command's process group this signal.
    Signal(CommandSignal),
    /// This many more bytes of this output were passed on.
    Written {
        /// Which output.
        output: Output,
        /// How many bytes.
        bytes: u32,
    },
}

/// From the worker to the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToClient {
    /// The command runs.
    Started,
    /// The next bytes that it has written. At most [`CHUNK_MAX`].
    Output {
        /// Where it has written them.
        output: Output,
        /// The bytes.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    },
    /// This many more bytes of the input were passed on.
    Taken(u32),
    /// It is over. All output was sent before.
    Ended(SessionEnd),
}

/// An output of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // stdout(3) has them
pub enum Output {
    Standard,
    Error,
}

/// A program and its arguments: at least one word, at most [`COMMAND_MAX`] bytes, and none of them
/// is NUL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<serde_bytes::ByteBuf>", into = "Vec<serde_bytes::ByteBuf>")]
pub struct Command(Vec<Vec<u8>>);

/// Why words are no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotACommand {
    /// There is no word.
    #[error("no command is named")]
    Empty,
    /// They are longer than [`COMMAND_MAX`].
    #[error("the command is longer than {} KiB", COMMAND_MAX / 1024)]
    TooLong,
    /// One of them contains NUL.
    #[error("the command contains a NUL")]
    Nul,
}

impl Command {
    /// A command of these words.
    ///
    /// # Errors
    /// See [`NotACommand`].
    pub fn new(words: Vec<Vec<u8>>) -> Result<Self, NotACommand> {
        if words.first().is_none_or(Vec::is_empty) {
            return Err(NotACommand::Empty);
        }
        if words.iter().map(|word| word.len() + 1).sum::<usize>() > COMMAND_MAX {
            return Err(NotACommand::TooLong);
        }
        if words.iter().any(|word| word.contains(&0)) {
            return Err(NotACommand::Nul);
        }
        Ok(Self(words))
    }

    /// The words.
    pub fn words(&self) -> &[Vec<u8>] {
        &self.0
    }
}

impl TryFrom<Vec<serde_bytes::ByteBuf>> for Command {
    type Error = NotACommand;

    fn try_from(words: Vec<serde_bytes::ByteBuf>) -> Result<Self, NotACommand> {
        Self::new(words.into_iter().map(serde_bytes::ByteBuf::into_vec).collect())
    }
}

impl From<Command> for Vec<serde_bytes::ByteBuf> {
    fn from(command: Command) -> Self {
        command.0.into_iter().map(serde_bytes::ByteBuf::from).collect()
    }
}

/// A signal that a client may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // signal(7) has them
pub enum CommandSignal {
    Hup,
    Int,
    Quit,
    Kill,
    Usr1,
    Usr2,
    Term,
    Cont,
    Tstp,
}

impl CommandSignal {
    /// Its name, as kill(1) takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hup => "HUP",
            Self::Int => "INT",
            Self::Quit => "QUIT",
            Self::Kill => "KILL",
            Self::Usr1 => "USR1",
            Self::Usr2 => "USR2",
            Self::Term => "TERM",
            Self::Cont => "CONT",
            Self::Tstp => "TSTP",
        }
    }
}

impl Message for FromClient {}
impl Message for ToClient {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_has_a_program_and_is_bounded() {
        let words = |words: &[&[u8]]| Command::new(words.iter().map(|word| word.to_vec()).collect());
        assert_eq!(words(&[]), Err(NotACommand::Empty));
        assert_eq!(words(&[b"", b"x"]), Err(NotACommand::Empty));
        assert_eq!(words(&[b"a", b"b\0"]), Err(NotACommand::Nul));
        assert_eq!(words(&[&[b'x'; COMMAND_MAX]]), Err(NotACommand::TooLong));
        assert!(words(&[&[b'x'; COMMAND_MAX - 1]]).is_ok());
        assert!(words(&[b"a", b"", b"\xff\n"]).is_ok());
    }
}
