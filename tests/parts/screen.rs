//! What a person sees of a session: a terminal that is fed everything a viewer is sent.

use tere::names::TermSize;
use tere::protocol::viewer::Extent;
use tere::terminal::Terminal;

/// The screen of one viewer.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal,
    /// Bytes of the snapshot that are still to come; `None` if no snapshot is being received.
    missing: Option<usize>,
    snapshot: Vec<u8>,
    /// Output that no test has expected yet. A snapshot is included as its text, in place of
    /// everything before it.
    pub printed: Vec<u8>,
    /// Number of snapshots received without the whole scrollback: after one, lines may be missing
    /// above.
    pub gaps: usize,
    /// Number of complete snapshots.
    pub snapshots: usize,
    /// Number of complete snapshots with the whole scrollback.
    pub wholes: usize,
    /// Extent of the latest snapshot that began.
    extent: Extent,
}

impl Default for Screen {
    fn default() -> Self {
        let terminal = Terminal::new(TermSize::DEFAULT);
        let (snapshot, printed) = (Vec::new(), Vec::new());
        let (gaps, snapshots, wholes, extent) = (0, 0, 0, Extent::Whole);
        Self { terminal, missing: None, snapshot, printed, gaps, snapshots, wholes, extent }
    }
}

impl Screen {
    /// Starts to receive a snapshot.
    pub fn begin(&mut self, size: TermSize, length: u32, extent: Extent) {
        self.missing = Some(usize::try_from(length).unwrap());
        self.snapshot.clear();
        self.extent = extent;
        self.gaps += usize::from(extent != Extent::Whole);
        match extent {
            Extent::Whole | Extent::Recent => self.terminal = Terminal::new(size),
            Extent::Screen => self.terminal.resize(size),
        }
        self.take(b"");
    }

    /// Receives bytes of a snapshot or of output.
    pub fn take(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if let Some(missing) = self.missing {
            let (part, behind) = bytes.split_at(missing.min(bytes.len()));
            self.snapshot.extend_from_slice(part);
            self.missing = Some(missing - part.len()).filter(|missing| *missing > 0);
            rest = behind;
            if self.missing.is_none() {
                self.terminal.print(&std::mem::take(&mut self.snapshot));
                self.printed = self.text().into_bytes();
                self.snapshots += 1;
                self.wholes += usize::from(self.extent == Extent::Whole);
            }
        }
        self.terminal.print(rest);
        self.printed.extend_from_slice(rest);
    }

    /// Changes the size of the terminal.
    pub fn resize(&mut self, size: TermSize) {
        self.terminal.resize(size);
    }

    /// All lines down to the cursor, with blanks up to it.
    pub fn text(&self) -> String {
        let (row, col) = self.terminal.cursor();
        let screen = self.terminal.screen_text();
        let mut screen: Vec<String> = screen.lines().map(str::to_owned).collect();
        screen.resize(screen.len().max(row + 1), String::new());
        let missing = col.saturating_sub(screen[row].chars().count());
        screen[row].extend(std::iter::repeat_n(' ', missing));
        let lines: Vec<String> = self.terminal.scrollback_text().chain(screen).collect();
        lines.join("\r\n")
    }

    /// The terminal.
    pub fn terminal(&self) -> &Terminal {
        &self.terminal
    }
}
