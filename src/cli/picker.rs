//! `tere` alone: a list of what one may come back to or open, in which the arrow keys choose.

use std::os::fd::{AsFd as _, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use unicode_width::UnicodeWidthChar as _;

use super::failure::Failure;
use super::tty::Tty;

/// What is shown, one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// A heading, which is not chosen.
    Heading(String),
    Choice(String),
}

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Up,
    Down,
    Choose,
    Leave,
}

/// The list, and where one is in it.
#[derive(Debug)]
struct Picker {
    lines: Vec<Line>,
    /// The line that is chosen. There is one.
    chosen: usize,
}

const HINT: &str = "Up and down choose, Enter opens, q leaves.";

/// Has the person choose a line. Returns its number among the choices, or None if they leave.
pub(super) fn pick(tty: &Tty, lines: Vec<Line>) -> Result<Option<usize>, Failure> {
    let Some(mut picker) = Picker::new(lines) else { return Ok(None) };
    let fd = tty.make_raw()?;
    let picked = picker.run(&fd, tty);
    write(&fd, b"\x1b[?25h\x1b[?1049l").and(picked).map_err(|error| Failure {
        cause: format!("cannot use the terminal: {}", error.desc()),
        next: "'tere list' prints the list, 'tere open' and 'tere attach' take one of it.".to_owned(),
    })
}

impl Picker {
    fn new(lines: Vec<Line>) -> Option<Self> {
        let chosen = lines.iter().position(|line| matches!(line, Line::Choice(_)))?;
        Some(Self { lines, chosen })
    }

    fn run(&mut self, fd: &OwnedFd, tty: &Tty) -> Result<Option<usize>, Errno> {
        write(fd, b"\x1b[?1049h\x1b[?25l")?;
        loop {
            let size = tty.size();
            write(fd, self.painted(size.cols().into(), size.rows().into()).as_bytes())?;
            for key in keys(&read(fd)?) {
                match key {
                    Key::Up => self.go(|at| at.checked_sub(1)),
                    Key::Down => self.go(|at| at.checked_add(1)),
                    Key::Choose => return Ok(Some(self.number())),
                    Key::Leave => return Ok(None),
                }
            }
        }
    }

    /// Chooses the next line in a direction, if there is one.
    fn go(&mut self, next: impl Fn(usize) -> Option<usize>) {
        let mut at = self.chosen;
        while let Some((there, line)) = next(at).and_then(|there| Some((there, self.lines.get(there)?))) {
            at = there;
            if matches!(line, Line::Choice(_)) {
                self.chosen = there;
                return;
            }
        }
    }

    /// The number of the chosen line among the choices.
    fn number(&self) -> usize {
        let before = self.lines.iter().take(self.chosen);
        before.filter(|line| matches!(line, Line::Choice(_))).count()
    }

    /// The list on a terminal of this size, with the chosen line in it.
    fn painted(&self, cols: usize, rows: usize) -> String {
        let room = rows.saturating_sub(2).max(1);
        let top = (self.chosen + 1).saturating_sub(room);
        let mut painted = "\x1b[H\x1b[J".to_owned();
        for (number, line) in self.lines.iter().enumerate().skip(top).take(room) {
            painted += &match line {
                Line::Heading(text) => format!("\x1b[1m{}\x1b[m\r\n", cut(text, cols)),
                Line::Choice(text) if number == self.chosen => {
                    format!("\x1b[7m{}\x1b[m\r\n", cut(&format!("> {text}"), cols))
                }
                Line::Choice(text) => format!("{}\r\n", cut(&format!("  {text}"), cols)),
            };
        }
        format!("{painted}\x1b[{rows};1H\x1b[2m{}\x1b[m", cut(HINT, cols))
    }
}

/// As much of a text as fits, without control characters.
fn cut(text: &str, cols: usize) -> String {
    let mut width = 0;
    let fits = |character: &char| {
        width += character.width().unwrap_or(0);
        width < cols
    };
    text.chars().filter(|character| !character.is_control()).take_while(fits).collect()
}

/// The keys in what was typed. What is no key here is passed over.
fn keys(typed: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut rest = typed;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        match (*first, behind) {
            (0x1b, [b'[' | b'O', last, behind @ ..]) => {
                rest = behind;
                match last {
                    b'A' => keys.push(Key::Up),
                    b'B' => keys.push(Key::Down),
                    _ => {}
                }
            }
            (b'k' | 0x10, _) => keys.push(Key::Up),
            (b'j' | 0x0e, _) => keys.push(Key::Down),
            (b'\r' | b'\n', _) => keys.push(Key::Choose),
            // Escape, q, Ctrl-C, Ctrl-D.
            (0x1b | b'q' | 0x03 | 0x04, _) => keys.push(Key::Leave),
            _ => {}
        }
    }
    keys
}

/// Waits for keys: a person may take as long as they like.
fn read(fd: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; 256];
    loop {
        match nix::unistd::read(fd, &mut buffer) {
            Ok(0) => return Err(Errno::EIO),
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            Err(Errno::EAGAIN) => wait(fd, PollFlags::POLLIN)?,
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}

fn write(fd: &OwnedFd, bytes: &[u8]) -> Result<(), Errno> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match nix::unistd::write(fd, rest) {
            Ok(length) => rest = rest.get(length..).unwrap_or_default(),
            Err(Errno::EAGAIN) => wait(fd, PollFlags::POLLOUT)?,
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn wait(fd: &OwnedFd, for_what: PollFlags) -> Result<(), Errno> {
    match poll(&mut [PollFd::new(fd.as_fd(), for_what)], PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::TermSize;
    use crate::terminal::Terminal;

    fn picker() -> Picker {
        let line = |text: &str| match text.strip_prefix('#') {
            Some(heading) => Line::Heading(heading.to_owned()),
            None => Line::Choice(text.to_owned()),
        };
        Picker::new(["#Running", "one", "two", "#New", "dev@web1"].map(line).into()).unwrap()
    }

    fn shown(picker: &Picker, rows: u16) -> String {
        let mut terminal = Terminal::new(TermSize::new(20, rows).unwrap());
        terminal.print(picker.painted(20, rows.into()).as_bytes());
        terminal.screen_text()
    }

    #[test]
    fn the_arrow_keys_choose_among_what_can_be_chosen() {
        let mut picker = picker();
        assert_eq!(picker.number(), 0);
        picker.go(|at| at.checked_sub(1));
        assert_eq!(picker.number(), 0);
        for number in [1, 2, 2] {
            picker.go(|at| at.checked_add(1));
            assert_eq!(picker.number(), number);
        }
        picker.go(|at| at.checked_sub(1));
        assert_eq!(picker.number(), 1);
        assert!(Picker::new(vec![Line::Heading("nothing".to_owned())]).is_none());
    }

    #[test]
    fn the_chosen_line_is_in_view() {
        let mut picker = picker();
        assert_eq!(shown(&picker, 8), "Running\n> one\n  two\nNew\n  dev@web1\n\n\nUp and down choose,");
        for _ in 0..2 {
            picker.go(|at| at.checked_add(1));
        }
        assert_eq!(shown(&picker, 4), "New\n> dev@web1\n\nUp and down choose,");
    }

    #[test]
    fn keys_are_what_terminals_send_for_them() {
        use Key::{Choose, Down, Leave, Up};
        assert_eq!(keys(b"\x1b[A\x1bOBkj\r"), [Up, Down, Up, Down, Choose]);
        assert_eq!(keys(b"\x1b[Cx"), []);
        for leave in [&b"q"[..], b"\x1b", b"\x03", b"\x04"] {
            assert_eq!(keys(leave), [Leave]);
        }
    }
}
