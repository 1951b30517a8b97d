//! One of the two PTYs behind which the scripts run a command.

use std::os::fd::{AsFd as _, OwnedFd};

use nix::errno::Errno;

use super::messages::{Said, Scanner};
use crate::names::ReportKey;
use crate::protocol::exec::{Output, WINDOW};

/// Most bytes of one read, and how much output may wait for the client before nothing more is read.
pub(super) const READ_MAX: usize = 64 * 1024;

/// Most reads in one turn. A machine that prints nothing but messages gives no output that would end
/// the turn.
const READS_MAX: usize = 32;

/// Bytes of the length at the beginning of a frame.
const LENGTH_BYTES: usize = 8;

#[derive(Debug)]
pub(super) struct CommandPty {
    /// Which output of the command it carries.
    pub(super) output: Output,
    /// `None` once it has hung up.
    pub(super) master: Option<OwnedFd>,
    scanner: Scanner,
    /// Output that the client has not been sent. Nothing is read beyond [`READ_MAX`].
    pub(super) unsent: Vec<u8>,
    /// How much the client takes.
    pub(super) room: usize,
    /// No more output comes.
    pub(super) is_complete: bool,
    /// What is to be written to the script.
    pub(super) to_write: Vec<u8>,
}

impl CommandPty {
    /// A PTY with this master, whose script has this key.
    pub(super) fn new(output: Output, master: OwnedFd, key: &ReportKey) -> Self {
        Self {
            output,
            master: Some(master),
            scanner: Scanner::new(key),
            unsent: Vec::new(),
            room: WINDOW,
            is_complete: false,
            to_write: Vec::new(),
        }
    }

    pub(super) fn has_hung_up(&self) -> bool {
        self.master.is_none()
    }

    pub(super) fn may_read(&self) -> bool {
        self.unsent.len() < READ_MAX
    }

    pub(super) fn hung_up(&mut self) {
        self.master = None;
        self.scanner.end(&mut self.unsent);
        self.to_write.clear();
    }

    /// Reads what there is, so that a packet to the client has more of it than the 4 KiB that a
    /// terminal gives at once. True if there was anything.
    pub(super) fn read(&mut self, buffer: &mut [u8], said: &mut Vec<Said>) -> bool {
        let mut any = false;
        for _ in 0..READS_MAX {
            let Some(master) = self.master.as_ref().filter(|_| self.may_read()) else { break };
            match nix::unistd::read(master.as_fd(), buffer) {
                Ok(length @ 1..) => {
                    self.scanner.take(buffer.get(..length).unwrap_or_default(), &mut self.unsent, said);
                    any = true;
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                // EIO: nobody has it open any more.
                Ok(0) | Err(_) => self.hung_up(),
            }
        }
        any
    }

    pub(super) fn write(&mut self) {
        while let Some(master) = self.master.as_ref().filter(|_| !self.to_write.is_empty()) {
            match nix::unistd::write(master.as_fd(), &self.to_write) {
                Ok(length) => drop(self.to_write.drain(..length)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                // It has hung up, which the next read reports after the last output.
                Err(_) => self.to_write.clear(),
            }
        }
    }
}

/// A frame for the script: see `src/broker/exec.sh`.
pub(super) fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut frame = bytes.len().to_string().into_bytes();
    frame.resize(LENGTH_BYTES, b'\n');
    frame.extend(bytes);
    frame
}

/// One word for the shell.
pub(super) fn quoted(word: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for byte in word {
        match byte {
            b'\'' => quoted.extend(b"'\\''"),
            _ => quoted.push(*byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_flood_of_messages_is_read_a_turn_at_a_time() {
        let key = ReportKey::random().unwrap();
        let (master, mut machine) = std::os::unix::net::UnixStream::pair().unwrap();
        let message = format!("{}r", key.as_str());
        machine.write_all(message.repeat(2 * READS_MAX).as_bytes()).unwrap();
        let (mut pty, mut said) = (CommandPty::new(Output::Standard, master.into(), &key), Vec::new());
        assert!(pty.read(&mut vec![0; message.len()], &mut said));
        assert_eq!(said, vec![Said::Ready; READS_MAX]);
    }

    #[test]
    fn a_frame_says_its_length_and_a_word_is_one_to_a_shell() {
        assert_eq!(framed(b"ab"), b"2\n\n\n\n\n\n\nab");
        assert_eq!(framed(&[0; 262_144])[..LENGTH_BYTES], *b"262144\n\n");
        assert_eq!(quoted(b"it's $x"), b"'it'\\''s $x'");
    }
}
