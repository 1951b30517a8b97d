//! The messages of the scripts behind the two terminals of a command (`src/broker/exec.sh` and
//! `exec-control.sh`), in the midst of what the command prints. Each begins with the key:
//!
//! ```text
//! KEY r          the script of the command takes frames
//! KEY t PATH .   the control script runs, behind the terminal with this path
//! KEY p GROUP .  the command waits to begin; it is this process group
//! KEY g          the control script knows the group
//! KEY e          the standard error is complete
//! KEY s STATUS . the standard output is complete, and the command ended with this status
//! ```
//!
//! Before the last message on each terminal its flow control changes: see [`super::pty`].
//!
//! The machine may lie. All that it can achieve is that its own command looks another way.

use memchr::memmem::Finder;

use crate::names::ReportKey;

/// Longest text of a message, in bytes. What is longer was printed by something else.
const TEXT_MAX: usize = 64;

/// A message of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    Ready,
    Terminal(Vec<u8>),
    Group(u32),
    Watching,
    ErrorsEnded,
    /// The status is `None` if the script does not know it.
    Ended(Option<u8>),
}

/// Separates messages from output.
#[derive(Debug)]
pub(super) struct Scanner {
    key: Finder<'static>,
    /// The end of the output so far that may be the beginning of a message: at most the key and the
    /// longest message.
    held: Vec<u8>,
}

/// What begins at the beginning of some bytes that begin with the key.
enum Begins {
    Message(Said, usize),
    /// More bytes will tell.
    Perhaps,
    Nothing,
}

impl Scanner {
    /// A scanner for messages with this key.
    pub(super) fn new(key: &ReportKey) -> Self {
        Self { key: Finder::new(key.as_str().as_bytes()).into_owned(), held: Vec::new() }
    }

    /// Takes what a terminal printed: output is appended to `output`, messages to `said`.
    pub(super) fn take(&mut self, printed: &[u8], output: &mut Vec<u8>, said: &mut Vec<Said>) {
        let mut joined = std::mem::take(&mut self.held);
        let mut rest = if joined.is_empty() {
            printed
        } else {
            joined.extend_from_slice(printed);
            joined.as_slice()
        };
        while let Some(at) = self.key.find(rest) {
            let (before, message) = rest.split_at(at);
            output.extend_from_slice(before);
            let length = self.key.needle().len();
            match begins(message.get(length..).unwrap_or_default()) {
                Begins::Message(one, more) => {
                    said.push(one);
                    rest = message.get(length + more..).unwrap_or_default();
                }
                Begins::Perhaps => {
                    self.held = message.to_vec();
                    return;
                }
                // The key may begin again within itself.
                Begins::Nothing => {
                    let (first, behind) = message.split_at(1);
                    output.extend_from_slice(first);
                    rest = behind;
                }
            }
        }
        let (whole, held) = rest.split_at(rest.len() - self.beginning_at_the_end(rest));
        output.extend_from_slice(whole);
        self.held = held.to_vec();
    }

    /// How many of the last bytes are the beginning of the key.
    fn beginning_at_the_end(&self, bytes: &[u8]) -> usize {
        let key = self.key.needle();
        let most = bytes.len().min(key.len() - 1);
        (1..=most)
            .rev()
            .find(|&length| key.get(..length).is_some_and(|begin| bytes.ends_with(begin)))
            .unwrap_or(0)
    }

    /// Appends what was held back: no more is printed.
    pub(super) fn end(&mut self, output: &mut Vec<u8>) {
        output.append(&mut self.held);
    }
}

/// Which message the bytes after a key are.
fn begins(bytes: &[u8]) -> Begins {
    let Some((&kind, rest)) = bytes.split_first() else { return Begins::Perhaps };
    match kind {
        b'r' => return Begins::Message(Said::Ready, 1),
        b'g' => return Begins::Message(Said::Watching, 1),
        b'e' => return Begins::Message(Said::ErrorsEnded, 1),
        b't' | b'p' | b's' => {}
        _ => return Begins::Nothing,
    }
    let Some(length) = rest.iter().take(TEXT_MAX).position(|byte| *byte == b'.') else {
        return if rest.len() < TEXT_MAX { Begins::Perhaps } else { Begins::Nothing };
    };
    let text = rest.get(..length).unwrap_or_default();
    let said = match kind {
        b't' => Some(Said::Terminal(text.to_vec())),
        // Neither "every process" nor the group of whoever asks.
        b'p' => number(text).filter(|group| *group > 1).map(Said::Group),
        _ => Some(Said::Ended(number(text).and_then(|status| u8::try_from(status).ok()))),
    };
    said.map_or(Begins::Nothing, |said| Begins::Message(said, length + 2))
}

fn number(digits: &[u8]) -> Option<u32> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ReportKey {
        "ab".repeat(16).parse().unwrap()
    }

    /// What comes of these pieces.
    fn taken<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Vec<Said>) {
        let (mut scanner, mut output, mut said) = (Scanner::new(&key()), Vec::new(), Vec::new());
        for piece in pieces {
            scanner.take(piece, &mut output, &mut said);
        }
        scanner.end(&mut output);
        (output, said)
    }

    #[test]
    fn messages_are_found_in_the_midst_of_output_wherever_it_is_cut() {
        let key = key();
        let text = format!("{key}raba{key}p1234.ab{key}xab{key}{key}t/dev/pts/3.\0\u{e9}{key}e{key}s7.");
        let (output, said) = taken([text.as_bytes()]);
        assert_eq!(output, format!("abaab{key}xab{key}\0\u{e9}").as_bytes());
        let path = b"/dev/pts/3".to_vec();
        let expected =
            [Said::Ready, Said::Group(1234), Said::Terminal(path), Said::ErrorsEnded, Said::Ended(Some(7))];
        assert_eq!(said, expected);
        for cut in 0..text.len() {
            let (one, two) = text.as_bytes().split_at(cut);
            assert_eq!(taken([one, two]), (output.clone(), said.clone()), "cut at {cut}");
        }
        assert_eq!(taken(text.as_bytes().chunks(1)), (output, said));
    }

    #[test]
    fn only_what_may_become_a_message_is_held_back() {
        let (mut scanner, mut output, mut said) = (Scanner::new(&key()), Vec::new(), Vec::new());
        scanner.take(b"Password: ", &mut output, &mut said);
        assert_eq!(output, b"Password: ");
        scanner.take(b"a", &mut output, &mut said);
        assert_eq!(output, b"Password: ");
        scanner.take(b"c", &mut output, &mut said);
        assert_eq!(output, b"Password: ac");
        // A message without an end is output at last.
        let long = format!("{}t{}", key(), "x".repeat(TEXT_MAX));
        scanner.take(long.as_bytes(), &mut output, &mut said);
        assert!(output.ends_with(long.as_bytes()) && said.is_empty());
    }

    #[test]
    fn a_group_is_one_that_may_be_signalled_and_a_status_a_number() {
        for group in ["", "0", "1", "-1", "99999999999", "x"] {
            assert_eq!(taken([format!("{}p{group}.", key()).as_bytes()]).1, [], "{group}");
        }
        for status in ["", "256", "-1", "x"] {
            assert_eq!(taken([format!("{}s{status}.", key()).as_bytes()]).1, [Said::Ended(None)], "{status}");
        }
    }
}
