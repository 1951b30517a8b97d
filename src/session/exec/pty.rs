//! One of the two PTYs behind which the scripts run a command.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use nix::errno::Errno;

use super::messages::{Said, Scanner};
use crate::names::ReportKey;
use crate::protocol::exec::{Output, WINDOW};
use crate::sys::pty::set_packet_mode;

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
    /// Whether a script may say something: before the command runs, and once the terminal has
    /// changed. What looks like the beginning of a message is held back only then, because output
    /// must not wait for more.
    pub(super) script_speaks: bool,
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
    ///
    /// # Errors
    /// Any error of ioctl(2).
    pub(super) fn new(output: Output, master: OwnedFd, key: &ReportKey) -> io::Result<Self> {
        set_packet_mode(master.as_fd())?;
        Ok(Self {
            output,
            master: Some(master),
            scanner: Scanner::new(key),
            script_speaks: true,
            unsent: Vec::new(),
            room: WINDOW,
            is_complete: false,
            to_write: Vec::new(),
        })
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
            let length = match nix::unistd::read(master.as_fd(), buffer) {
                Ok(length) => length,
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => {
                    // Whatever changes at the terminal is read first, so there was no change.
                    if !self.script_speaks {
                        self.scanner.end(&mut self.unsent);
                    }
                    break;
                }
                // EIO: nobody has it open any more.
                Err(_) => 0,
            };
            match buffer.get(..length).and_then(<[u8]>::split_first) {
                Some((0, printed)) => {
                    self.scanner.take(printed, &mut self.unsent, said);
                    any = true;
                }
                Some(_) => self.script_speaks = true,
                None => self.hung_up(),
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
    use std::fs::File;
    use std::io::Write as _;
    use std::time::{Duration, Instant};

    use nix::poll::{PollFd, PollFlags, poll};
    use nix::sys::termios::{InputFlags, SetArg, cfmakeraw, tcgetattr, tcsetattr};

    use super::*;

    /// A PTY with its terminal, which is raw.
    fn pty(key: &ReportKey) -> (CommandPty, File) {
        let pair = nix::pty::openpty(None, None).unwrap();
        let mut raw = tcgetattr(&pair.slave).unwrap();
        cfmakeraw(&mut raw);
        tcsetattr(&pair.slave, SetArg::TCSANOW, &raw).unwrap();
        crate::sys::seqpacket::set_nonblocking(pair.master.as_fd()).unwrap();
        (CommandPty::new(Output::Standard, pair.master, key).unwrap(), pair.slave.into())
    }

    /// Reads until there is that much output, and no more than that.
    fn read_until(pty: &mut CommandPty, said: &mut Vec<Said>, output: &[u8]) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while pty.unsent != output {
            assert!(Instant::now() < deadline && output.starts_with(&pty.unsent), "{:?}", pty.unsent);
            let master = pty.master.as_ref().unwrap();
            poll(&mut [PollFd::new(master.as_fd(), PollFlags::POLLIN)], 100_u8).unwrap();
            pty.read(&mut vec![0; READ_MAX], said);
        }
    }

    #[test]
    fn output_waits_for_nothing_until_the_terminal_changes() {
        let key = ReportKey::random().unwrap();
        let ((mut pty, mut machine), mut said) = (pty(&key), Vec::new());
        let begin = &key.as_str().as_bytes()[..3];
        pty.script_speaks = false;
        machine.write_all(begin).unwrap();
        read_until(&mut pty, &mut said, begin);
        // What is said is told from output wherever it is cut.
        let mut cooked = tcgetattr(&machine).unwrap();
        cooked.input_flags.insert(InputFlags::IXON);
        machine.write_all(b"last").unwrap();
        tcsetattr(&machine, SetArg::TCSANOW, &cooked).unwrap();
        let all = [begin, b"last"].concat();
        for byte in format!("{key}s7.").bytes() {
            machine.write_all(&[byte]).unwrap();
            read_until(&mut pty, &mut said, &all);
        }
        while said.is_empty() {
            read_until(&mut pty, &mut said, &all);
            pty.read(&mut vec![0; READ_MAX], &mut said);
        }
        assert_eq!((said, pty.unsent), (vec![Said::Ended(Some(7))], all));
    }

    #[test]
    fn a_flood_of_messages_is_read_a_turn_at_a_time() {
        let key = ReportKey::random().unwrap();
        let ((mut pty, mut machine), mut said) = (pty(&key), Vec::new());
        let message = format!("{key}r");
        machine.write_all(message.repeat(2 * READS_MAX).as_bytes()).unwrap();
        let master = pty.master.as_ref().unwrap();
        poll(&mut [PollFd::new(master.as_fd(), PollFlags::POLLIN)], 10_000_u16).unwrap();
        // A read begins with a byte that is no output.
        assert!(pty.read(&mut vec![0; 1 + message.len()], &mut said));
        assert_eq!(said, vec![Said::Ready; READS_MAX]);
    }

    #[test]
    fn a_frame_says_its_length_and_a_word_is_one_to_a_shell() {
        assert_eq!(framed(b"ab"), b"2\n\n\n\n\n\n\nab");
        assert_eq!(framed(&[0; 262_144])[..LENGTH_BYTES], *b"262144\n\n");
        assert_eq!(quoted(b"it's $x"), b"'it'\\''s $x'");
    }
}
