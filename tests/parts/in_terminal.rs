//! A program in a terminal, and what a person sees of it.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use tere::names::TermSize;
use tere::terminal::Terminal;

use super::shell::PATIENCE;
use super::wait::eventually;

/// `tere` in a terminal of 80 columns and 24 rows, which script(1) makes, and what a person sees of
/// it.
pub struct InTerminal {
    child: Child,
    keys: ChildStdin,
    output: Receiver<Vec<u8>>,
    pub screen: Terminal,
    /// All that it printed.
    pub raw: Vec<u8>,
}

impl InTerminal {
    /// Runs it, with the environment that it was given.
    pub fn run(command: &Command) -> Self {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<_> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
        // stty: the terminal of script(1) has no size if its own standard input has none.
        let line = format!("stty rows 24 cols 80; exec {}", words.join(" "));
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--flush", "--command", &line, "/dev/null"]);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = script.spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let (tell, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65536];
            while let Ok(length @ 1..) = stdout.read(&mut buffer) {
                if tell.send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        let keys = child.stdin.take().unwrap();
        Self { child, keys, output, screen: Terminal::new(TermSize::new(80, 24).unwrap()), raw: Vec::new() }
    }

    pub fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until the screen is as it should be.
    pub fn sees(&mut self, what: &str, is: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is(&self.screen.screen_text()) {
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.take(&bytes),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("not seen: {what}\n{}", self.screen.screen_text())
                }
            }
        }
    }

    /// Waits for a line on the screen.
    pub fn sees_line(&mut self, line: &str) {
        self.sees(line, |screen| screen.lines().any(|shown| shown.trim_end() == line));
    }

    /// Whether there is such a line on the screen within this time.
    pub fn sees_line_within(&mut self, line: &str, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        loop {
            if self.screen.screen_text().lines().any(|shown| shown.trim_end() == line) {
                return true;
            }
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.take(&bytes),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.screen.print(bytes);
        self.raw.extend_from_slice(bytes);
    }

    /// Waits for its end: the exit status, and the screen that it leaves.
    pub fn ends(mut self) -> (i32, String) {
        let deadline = Instant::now() + PATIENCE;
        while let Ok(bytes) = self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.take(&bytes);
        }
        let status = eventually("the command ends", PATIENCE, || self.child.try_wait().unwrap());
        (status.code().unwrap_or(-1), self.screen.screen_text())
    }
}

impl Drop for InTerminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
