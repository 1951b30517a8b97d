//! Answers to the queries of programs. Only this terminal answers; the terminals of viewers stay
//! silent. A program that does not read its answers gets no more of them once the limit is reached.

use super::cell::Style;

/// Maximum size of the waiting answers in bytes; an answer that does not fit is dropped as a whole.
const WAITING_MAX: usize = 4096;

/// The answers that wait to be sent to the program.
#[derive(Debug, Default)]
pub(super) struct Answers {
    waiting: Vec<u8>,
}

impl Answers {
    /// Adds an answer.
    pub(super) fn push(&mut self, answer: &str) {
        if self.waiting.len() + answer.len() <= WAITING_MAX {
            self.waiting.extend_from_slice(answer.as_bytes());
        }
    }

    /// Takes all waiting answers.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.waiting)
    }

    /// Memory use in bytes.
    pub(super) fn weight(&self) -> usize {
        self.waiting.capacity()
    }
}

/// DA1: a VT220 with colour.
pub(super) const PRIMARY: &str = "\x1b[?62;22c";

/// DA2: editors take this for an xterm that supports SGR mouse reports.
pub(super) const SECONDARY: &str = "\x1b[>0;277;0c";

/// DSR 5: no malfunction.
pub(super) const WELL: &str = "\x1b[0n";

/// XTVERSION.
pub(super) const VERSION: &str = concat!("\x1bP>|tere(", env!("CARGO_PKG_VERSION"), ")\x1b\\");

/// DECRQSS for `m`: the style as SGR parameters.
pub(super) fn style(style: Style) -> String {
    let mut parameters = Vec::new();
    style.write_parameters(&mut parameters);
    status(&format!("{}m", String::from_utf8_lossy(&parameters)))
}

/// DECRQSS: a setting as the sequence that would set it.
pub(super) fn status(setting: &str) -> String {
    format!("\x1bP1$r{setting}\x1b\\")
}

/// DECRQM: whether a mode is on. `state` is None if the mode is not supported.
pub(super) fn mode((private, mode): (bool, u16), state: Option<bool>) -> String {
    let state = match state {
        None => 0,
        Some(true) => 1,
        Some(false) => 2,
    };
    let marker = if private { "?" } else { "" };
    format!("\x1b[{marker}{mode};{state}$y")
}
