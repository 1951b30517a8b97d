//! What a person sees of a session: a terminal that is fed what a viewer is sent.

use tere::names::TermSize;
use tere::protocol::viewer::Extent;
use tere::terminal::Terminal;

/// The screen of one viewer.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal,
    /// Bytes of the snapshot that are still to come.
    missing: usize,
    snapshot: Vec<u8>,
    extent: Extent,
    /// How many snapshots it was given.
    pub snapshots: usize,
}

impl Default for Screen {
    fn default() -> Self {
        let terminal = Terminal::new(TermSize::DEFAULT);
        Self { terminal, missing: 0, snapshot: Vec::new(), extent: Extent::Whole, snapshots: 0 }
    }
}

impl Screen {
    /// A snapshot begins.
    pub fn begin(&mut self, size: TermSize, length: u32, extent: Extent) {
        self.missing = usize::try_from(length).unwrap();
        self.snapshot.clear();
        self.extent = extent;
        self.snapshots += 1;
        match extent {
            Extent::Whole => self.terminal = Terminal::new(size),
            Extent::Screen => self.terminal.resize(size),
        }
    }

    /// Bytes came.
    pub fn take(&mut self, bytes: &[u8]) {
        let (part, rest) = bytes.split_at(self.missing.min(bytes.len()));
        self.missing -= part.len();
        self.snapshot.extend_from_slice(part);
        if self.missing == 0 {
            self.terminal.print(&std::mem::take(&mut self.snapshot));
        }
        self.terminal.print(rest);
    }

    /// The terminal has another size.
    pub fn resize(&mut self, size: TermSize) {
        self.terminal.resize(size);
    }

    /// The screen as text.
    pub fn text(&self) -> String {
        self.terminal.screen_text()
    }

    /// The terminal.
    pub fn terminal(&self) -> &Terminal {
        &self.terminal
    }
}
