//! The first packet in each direction of every channel. Its layout never changes, so that two
//! programs of any versions understand each other this far:
//!
//! ```text
//! bytes  0..4   "TERE"
//! byte   4      intent, see [`Intent`]
//! bytes  5..7   protocol version, big-endian
//! bytes  7..    build id, 1 to 32 of [0-9a-z]
//! ```
//!
//! Both sides send theirs at once and then read the other's.

use super::WireError;

/// The version of the protocols between tere's processes. Raise it with any change to a message.
pub const VERSION: u16 = if cfg!(feature = "test-next-version") { 4 } else { 3 };

/// The build of this program: a hash of its sources.
pub const BUILD: &str = env!("TERE_BUILD");

/// What a channel is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Intent {
    /// front and auth.
    Login = 1,
    /// `tere` and auth.
    Control = 2,
    /// auth and the broker.
    Vouch = 3,
    /// A principal and the broker.
    Principal = 4,
    /// The broker and a session's worker.
    Worker = 5,
    /// A viewer and a session's worker.
    Viewer = 6,
}

/// One greeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// What the sender came for, as its byte.
    pub intent: u8,
    /// The protocol version that it speaks.
    pub version: u16,
    /// Its build.
    pub build: String,
}

const MAGIC: &[u8; 4] = b"TERE";
const BUILD_MAX: usize = 32;

impl Hello {
    /// This program's greeting.
    pub fn ours(intent: Intent) -> Self {
        Self { intent: intent as u8, version: VERSION, build: BUILD.to_owned() }
    }

    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        let mut packet = MAGIC.to_vec();
        packet.push(self.intent);
        packet.extend(self.version.to_be_bytes());
        packet.extend(self.build.bytes().take(BUILD_MAX));
        packet
    }

    /// Reads a packet.
    ///
    /// # Errors
    /// [`WireError::NoGreeting`] for anything that is not one.
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

    /// Whether whoever sent this may go on, having come to a socket for `ours`.
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
