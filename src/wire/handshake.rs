//! The greeting, the first packet in each direction of every channel. Its layout never changes, so
//! that programs of any two versions can read the greetings of each other:
//!
//! ```text
//! bytes  0..4   "TERE"
//! byte   4      intent, see [`Intent`]
//! bytes  5..7   protocol version, big-endian
//! bytes  7..    build id, 1 to 32 of [0-9a-z]
//! ```
//!
//! Each side sends its greeting at once and then reads that of the other.

use super::WireError;

/// The version of the protocols between the processes of tere. Raise it with any change to a
/// message.
pub const VERSION: u16 = if cfg!(feature = "test-next-version") { 11 } else { 10 };

/// The build id of this program: a hash of its sources.
pub const BUILD: &str = env!("TERE_BUILD");

/// The purpose of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Intent {
    /// Between front and auth.
    Login = 1,
    /// Between `tere` and auth.
    Control = 2,
    /// Between auth and the broker.
    Vouch = 3,
    /// Between a principal and the broker.
    Principal = 4,
    /// Between the broker and the worker of a session.
    Worker = 5,
    /// Between a viewer and the worker of a session.
    Viewer = 6,
    /// Between a program that has a command run and the worker that runs it.
    Exec = 7,
}

/// A greeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The intent of the sender, as its byte.
    pub intent: u8,
    /// The protocol version of the sender.
    pub version: u16,
    /// The build id of the sender.
    pub build: String,
}

const MAGIC: &[u8; 4] = b"TERE";
const BUILD_MAX: usize = 32;

impl Hello {
    /// The greeting of this program.
    pub fn ours(intent: Intent) -> Self {
        Self { intent: intent as u8, version: VERSION, build: BUILD.to_owned() }
    }

    /// Encodes the greeting as a packet.
    pub fn encode(&self) -> Vec<u8> {
        let mut packet = MAGIC.to_vec();
        packet.push(self.intent);
        packet.extend(self.version.to_be_bytes());
        packet.extend(self.build.bytes().take(BUILD_MAX));
        packet
    }

    /// Decodes a packet.
    ///
    /// # Errors
    /// [`WireError::NoGreeting`] if the packet is not a greeting.
    pub fn decode(packet: &[u8]) -> Result<Self, WireError> {
        let rest = packet.strip_prefix(MAGIC).ok_or(WireError::NoGreeting)?;
        let (&intent, rest) = rest.split_first().ok_or(WireError::NoGreeting)?;
        let (version, build) = rest.split_first_chunk::<2>().ok_or(WireError::NoGreeting)?;
        let good = |b: &u8| b.is_ascii_digit() || b.is_ascii_lowercase();
        if build.is_empty() || build.len() > BUILD_MAX || !build.iter().all(good) {
            return Err(WireError::NoGreeting);
        }
        let build = String::from_utf8_lossy(build).into_owned();
        Ok(Self { intent, version: u16::from_be_bytes(*version), build })
    }

    /// Checks whether the sender of this greeting may use a socket whose intent is `ours`. A
    /// different build of the same version is accepted and logged.
    ///
    /// # Errors
    /// [`WireError::WrongIntent`] or [`WireError::WrongVersion`].
    pub fn accept(self, ours: Intent) -> Result<(), WireError> {
        if self.intent != ours as u8 {
            return Err(WireError::WrongIntent { ours, theirs: self.intent });
        }
        if self.version != VERSION {
            return Err(WireError::WrongVersion { ours: VERSION, theirs: self.version, build: self.build });
        }
        if self.build != BUILD {
            tracing::info!(
                ours = BUILD,
                theirs = self.build,
                "the peer is of another build of the same version"
            );
        }
        Ok(())
    }
}
