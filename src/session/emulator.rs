//! The thread `terminal`: a cursor into the memory file that feeds the session's terminal, answers
//! programs' queries to the terminal, and makes checkpoints and snapshots for viewers.

use std::cell::OnceCell;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::exchange::{Exchange, Snapshot};
use super::memory::{Behind, SessionMemory};
use super::stats::SessionStats;
use super::wake::Wake;
use crate::names::TermSize;
use crate::protocol::viewer::Extent;
use crate::terminal::Terminal;

/// Maximum bytes fed to the terminal at a time. Of many, most rows leave the screen at once, which
/// costs much less than printing them.
const FEED: usize = 64 * 1024;

/// Cells that the terminal may touch in one feed before the remaining bytes wait for the next. Two
/// bytes can clear a large screen in colour, so a feed of them would be minutes of work.
const FEED_CELLS: usize = 64 * 1024;

/// How long the terminal is fed in one turn. Waiting viewers then get their snapshots. The clock is
/// read between two feeds.
const TURN: Duration = Duration::from_millis(5);

/// The same limit in bytes: after this many, the reader may continue. See [`super::reader`].
const TURN_BYTES: u64 = 64 * 1024;

/// A checkpoint is due after this many bytes of output since the last one: half of the ring, so
/// that the shell does not have to wait for the checkpoint.
const CHECKPOINT_BYTES: u64 = 1024 * 1024;

/// A checkpoint is due after this many sizes since the last one: half of the sizes that are kept.
const CHECKPOINT_SIZES: u64 = 32;

/// Bytes of scrollback that a new viewer gets at first: a quarter of a second on a link of 1
/// Mbit/s.
const RECENT: usize = 32 * 1024;

/// A turn that feeds at least `FLOOD` bytes is part of a flood; the thread then rests for `REST`
/// milliseconds.
const FLOOD: u64 = 2 * 1024;
const REST: u8 = 1;

/// Shown on a screen that could not be restored.
const LOST: &[u8] =
    b"\x1b[7m tere lost this screen: what was printed could not be read. The shell goes on. \x1b[m\r\n";

thread_local! {
    /// The memory file in which a panic of this thread is recorded.
    static NOTED_IN: OnceCell<Arc<SessionMemory>> = const { OnceCell::new() };
}

/// Records a panic for the next worker, if the panicking thread is the terminal's.
pub(super) fn note_panic() {
    // Thread-local storage is gone in a thread that is exiting.
    let _ = NOTED_IN.try_with(|memory| {
        if let Some(memory) = memory.get() {
            memory.note_panic();
        }
    });
}

/// The thread's shared resources.
#[derive(Debug)]
pub(super) struct Emulator {
    pub(super) memory: Arc<SessionMemory>,
    pub(super) exchange: Arc<Exchange>,
    /// Raised when there is new output or a new size, and when a snapshot or a reset is wanted.
    pub(super) wake: Arc<Wake>,
    pub(super) stats: Arc<SessionStats>,
    /// Raised when the emulator has read on, and when a checkpoint has made room in the ring.
    pub(super) room: Arc<Wake>,
    /// Raised when a snapshot or an answer is ready, and when there is room for another size.
    pub(super) viewers: Arc<Wake>,
}

/// Result of [`Reading::step`].
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    /// The step made progress, and there may be more.
    More,
    Nothing,
    /// The next bytes have been overwritten.
    Lost,
}

/// The terminal, and how far it has read.
#[derive(Debug)]
struct Reading {
    terminal: Terminal,
    cursor: u64,
    /// Number of sizes that have been applied.
    sizes: u64,
    /// The value of [`SessionMemory::themes`] when the terminal's theme was set.
    themes: u64,
    buffer: Vec<u8>,
    title: String,
}

impl Emulator {
    /// Runs until the process ends.
    pub(super) fn run(&self) {
        NOTED_IN.with(|memory| drop(memory.set(Arc::clone(&self.memory))));
        let mut reading = self.begin();
        loop {
            self.wake.lower();
            let before = reading.cursor;
            let more = self.advance(&mut reading);
            let fed = reading.cursor - before;
            self.reset(&mut reading);
            self.note_checkpoint(&reading);
            self.make_snapshots(&reading);
            if more {
                continue;
            }
            if fed < FLOOD {
                reading.buffer = Vec::new();
                reading.terminal.shrink();
                self.memory.free_old_checkpoint();
            }
            if let Err(error) = self.wait(fed) {
                // poll(2) fails only for lack of memory or because of a bug: end the process, which
                // systemd restarts, rather than spin.
                tracing::error!(%error, "cannot wait for output");
                std::process::abort();
            }
        }
    }

    /// Restores the terminal of the previous worker from its checkpoint and the output up to where
    /// it had answered queries. Those queries are not answered again.
    fn begin(&self) -> Reading {
        if self.memory.is_poisoned() {
            return self.begin_blank();
        }
        let checkpoint = self.memory.checkpoint();
        let first = || self.memory.size(0).map(|(_, size)| size);
        let size = checkpoint.as_ref().map(|checkpoint| checkpoint.size).or_else(first);
        let terminal = Terminal::new(size.unwrap_or(TermSize::DEFAULT));
        let mut reading = Reading::new(terminal, 0, 0);
        if let Some(checkpoint) = checkpoint {
            reading.terminal.print(&checkpoint.bytes);
            (reading.cursor, reading.sizes) = (checkpoint.offset, checkpoint.sizes);
        }
        let answered = self.memory.answered();
        while reading.cursor < answered {
            match reading.step(&self.memory, answered) {
                Progress::More => {}
                Progress::Nothing => break,
                Progress::Lost => return self.begin_blank(),
            }
        }
        drop(reading.terminal.answers());
        drop(reading.terminal.take_alert());
        reading
    }

    /// A blank terminal that skips all output so far: the output cannot be read, or it has made the
    /// terminal panic and would do so in every later worker. The shell and its viewers continue.
    fn begin_blank(&self) -> Reading {
        tracing::error!("the output cannot be read again: the screen is lost, the shell goes on");
        let (cursor, sizes) = (self.memory.head(), self.memory.sizes());
        let mut terminal = Terminal::new(self.memory.latest_size().unwrap_or(TermSize::DEFAULT));
        terminal.print(LOST);
        self.memory.note_answered(cursor);
        let reading = Reading::new(terminal, cursor, sizes);
        self.set_checkpoint(&reading);
        reading
    }

    /// Feeds the terminal for one turn; true if there is more.
    fn advance(&self, reading: &mut Reading) -> bool {
        let (before, deadline) = (reading.cursor, Instant::now() + TURN);
        let mut more = true;
        while more && reading.cursor - before < TURN_BYTES && Instant::now() < deadline {
            match reading.step(&self.memory, u64::MAX) {
                Progress::More => {}
                Progress::Nothing => more = false,
                // The writer waits for this cursor, so this happens only if the memory file is
                // corrupt.
                Progress::Lost => *reading = self.begin_blank(),
            }
        }
        let answers = reading.terminal.answers();
        if !answers.is_empty() {
            self.exchange.answer(&answers);
            self.viewers.raise();
        }
        self.memory.note_answered(reading.cursor);
        if reading.title != reading.terminal.title() {
            reading.terminal.title().clone_into(&mut reading.title);
            self.stats.set_title(&reading.title);
        }
        if let Some(text) = reading.terminal.take_alert() {
            self.stats.note_alert(&text);
        }
        if reading.cursor > before {
            self.room.raise();
            self.stats.note_activity();
        }
        more
    }

    /// Resets the terminal's modes if a person asked for it. The output does not record the reset,
    /// so a checkpoint does, from which the next worker continues.
    fn reset(&self, reading: &mut Reading) {
        if self.exchange.wants_reset() {
            reading.terminal.reset_modes();
            self.set_checkpoint(reading);
            self.exchange.note_reset();
            self.viewers.raise();
        }
    }

    fn note_checkpoint(&self, reading: &Reading) {
        let (bytes, sizes) = self.memory.since_checkpoint(reading.cursor, reading.sizes);
        if bytes < CHECKPOINT_BYTES && sizes < CHECKPOINT_SIZES {
            return;
        }
        self.set_checkpoint(reading);
    }

    fn set_checkpoint(&self, reading: &Reading) {
        let note = |bytes: &[u8]| {
            self.memory.set_checkpoint(reading.cursor, reading.terminal.size(), reading.sizes, bytes)
        };
        // A whole snapshot always fits. If one ever does not, the shell must continue all the same.
        if !note(&reading.terminal.snapshot()) && !note(&reading.terminal.snapshot_of_screen()) {
            note(b"");
        }
        self.memory.forget_panics();
        self.room.raise();
        self.viewers.raise();
    }

    fn make_snapshots(&self, reading: &Reading) {
        for wanted in self.exchange.wanted() {
            let (extent, bytes) = match wanted {
                Extent::Recent if reading.terminal.scrollback_bytes() > RECENT => {
                    (Extent::Recent, reading.terminal.snapshot_of_recent(RECENT))
                }
                Extent::Whole | Extent::Recent => (Extent::Whole, reading.terminal.snapshot()),
                Extent::Screen => (Extent::Screen, reading.terminal.snapshot_of_screen()),
            };
            let (size, offset, sizes) = (reading.terminal.size(), reading.cursor, reading.sizes);
            self.exchange.give(wanted, Snapshot { extent, size, bytes, offset, sizes });
            self.viewers.raise();
        }
    }

    /// Waits for something to do. In a flood it first rests for [`REST`] to collect output, because
    /// a shell prints 4 KiB at a time.
    fn wait(&self, fed: u64) -> io::Result<()> {
        if fed >= FLOOD {
            match poll(&mut [], REST) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut fds = [PollFd::new(self.wake.as_fd(), PollFlags::POLLIN)];
        // No deadline: a shell may stay silent indefinitely.
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Reading {
    fn new(terminal: Terminal, cursor: u64, sizes: u64) -> Self {
        Self { terminal, cursor, sizes, themes: 0, buffer: Vec::new(), title: String::new() }
    }

    /// Applies the theme if it has changed. A theme has no position in the output: queries from
    /// here on are answered with the new one.
    fn take_theme(&mut self, memory: &SessionMemory) {
        let themes = memory.themes();
        if self.themes != themes {
            memory.theme().into_iter().for_each(|theme| self.terminal.set_theme(theme));
            self.themes = themes;
        }
    }

    /// Applies the next size, or feeds the bytes before it, but none after `end`.
    fn step(&mut self, memory: &SessionMemory, end: u64) -> Progress {
        // The head is read before the sizes, because a size that is added later begins at or after
        // this head. It is read before the theme, because a program that gets input after a later
        // change of the theme prints its query after this head.
        let end = end.min(memory.head());
        self.take_theme(memory);
        let next = if self.sizes < memory.sizes() { memory.size(self.sizes) } else { None };
        let end = match next {
            Some((offset, size)) if offset <= self.cursor => {
                self.terminal.resize(size);
                self.sizes += 1;
                return Progress::More;
            }
            Some((offset, _)) => end.min(offset),
            None => end,
        };
        let most = usize::try_from(end.saturating_sub(self.cursor)).unwrap_or(FEED).min(FEED);
        self.buffer.clear();
        match memory.read(&mut self.cursor, most, &mut self.buffer) {
            Behind::Nothing => Progress::Nothing,
            Behind::Bytes => {
                let taken = self.terminal.print_within(&self.buffer, FEED_CELLS);
                // The rest is still in the ring: nothing after the checkpoint is overwritten.
                self.cursor -= u64::try_from(self.buffer.len().saturating_sub(taken)).unwrap_or_default();
                Progress::More
            }
            Behind::Lost => Progress::Lost,
        }
    }
}

/// The terminal's thread without the thread, for [`super::fuzz`].
#[cfg(any(test, feature = "fuzz"))]
#[allow(clippy::unwrap_used)] // a panic is how a test fails
pub(super) mod fuzz {
    use super::*;

    pub(super) fn emulator(memory: &Arc<SessionMemory>) -> Emulator {
        let wake = || Arc::new(Wake::new().unwrap());
        Emulator {
            memory: Arc::clone(memory),
            exchange: Arc::default(),
            stats: Arc::new(SessionStats::new()),
            wake: wake(),
            room: wake(),
            viewers: wake(),
        }
    }

    /// Reads all output and leaves a checkpoint.
    pub(in crate::session) fn leave_checkpoint(memory: &Arc<SessionMemory>) {
        let worker = emulator(memory);
        let mut reading = worker.begin();
        while worker.advance(&mut reading) {}
        worker.set_checkpoint(&reading);
    }

    /// Begins from whatever is in the memory file, and reads some of the output.
    pub(in crate::session) fn run(memory: &Arc<SessionMemory>) {
        let worker = emulator(memory);
        let mut reading = worker.begin();
        for _ in 0..8 {
            match reading.step(memory, u64::MAX) {
                Progress::More => {}
                Progress::Nothing => break,
                Progress::Lost => reading = worker.begin_blank(),
            }
        }
        worker.note_checkpoint(&reading);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::fuzz::emulator;
    use super::*;
    use crate::names::{Color, Theme};

    #[test]
    fn what_makes_the_terminal_panic_is_not_read_a_third_time() {
        let memory = Arc::new(SessionMemory::new().unwrap());
        memory.add_size(TermSize::new(100, 30).unwrap());
        let (read, mut write) = io::pipe().unwrap();
        write.write_all(b"poison").unwrap();
        memory.fill_from(read.as_fd()).unwrap();
        for _ in 0..2 {
            let worker = emulator(&memory);
            let mut reading = worker.begin();
            while worker.advance(&mut reading) {}
            assert_eq!(reading.terminal.screen_text(), "poison");
            let panics = std::thread::spawn(move || {
                NOTED_IN.with(|noted| noted.set(worker.memory).unwrap());
                note_panic();
            });
            panics.join().unwrap();
        }
        let reading = emulator(&memory).begin();
        assert!(reading.terminal.screen_text().starts_with(" tere lost this screen"));
        assert_eq!((reading.cursor, reading.terminal.size().cols()), (memory.head(), 100));
        // The next worker restores this screen from the checkpoint and reads all new output.
        assert!(!memory.is_poisoned());
        assert_eq!(emulator(&memory).begin().terminal.screen_text(), reading.terminal.screen_text());
    }

    #[test]
    fn programs_are_told_the_theme_that_counts_when_they_ask() {
        let memory = Arc::new(SessionMemory::new().unwrap());
        memory.add_size(TermSize::new(80, 24).unwrap());
        let (read, mut write) = io::pipe().unwrap();
        let worker = emulator(&memory);
        let mut reading = worker.begin();
        let mut ask = |reading: &mut Reading, worker: &Emulator| {
            // A reset of the terminal does not change the theme.
            write.write_all(b"\x1bc\x1b]11;?\x07").unwrap();
            memory.fill_from(read.as_fd()).unwrap();
            while worker.advance(reading) {}
            String::from_utf8(worker.exchange.answers()).unwrap()
        };
        assert_eq!(ask(&mut reading, &worker), "\x1b]11;rgb:1313/1515/1b1b\x1b\\");
        let background = Color(0xfb, 0xfb, 0xfd);
        memory.set_theme(&Theme { background, ..Theme::DEFAULT });
        assert_eq!(ask(&mut reading, &worker), "\x1b]11;rgb:fbfb/fbfb/fdfd\x1b\\");
        let next = emulator(&memory);
        let mut reading = next.begin();
        assert_eq!(ask(&mut reading, &next), "\x1b]11;rgb:fbfb/fbfb/fdfd\x1b\\");
        memory.note_panic();
        memory.note_panic();
        let blank = emulator(&memory);
        let mut reading = blank.begin();
        assert_eq!(ask(&mut reading, &blank), "\x1b]11;rgb:fbfb/fbfb/fdfd\x1b\\");
    }

    #[test]
    fn a_reset_is_in_the_terminal_of_the_next_worker() {
        let memory = Arc::new(SessionMemory::new().unwrap());
        memory.add_size(TermSize::new(80, 24).unwrap());
        let (read, mut write) = io::pipe().unwrap();
        // Text, a scrolling region, line-drawing characters, a hidden cursor, mouse reports,
        // bracketed paste, and a title that never ends.
        write.write_all(b"kept\x1b[5;9r\x1b(0\x1b[?25l\x1b[?1003h\x1b[?1006h\x1b[?2004h\x1b]0;lost").unwrap();
        memory.fill_from(read.as_fd()).unwrap();
        let worker = emulator(&memory);
        let mut reading = worker.begin();
        while worker.advance(&mut reading) {}
        worker.exchange.ask_for_reset();
        worker.reset(&mut reading);
        assert!(worker.exchange.take_reset() && !worker.exchange.take_reset());
        write.write_all(b"\x1b[1;5H back").unwrap();
        memory.fill_from(read.as_fd()).unwrap();
        while worker.advance(&mut reading) {}
        let mut next = emulator(&memory).begin();
        while worker.advance(&mut next) {}
        assert_eq!(reading.terminal.screen_text(), "kept back");
        assert_eq!(next.terminal.snapshot(), reading.terminal.snapshot());
        let mut fresh = Terminal::new(TermSize::new(80, 24).unwrap());
        fresh.print(b"kept\x1b[1;5H back");
        assert_eq!(next.terminal.snapshot(), fresh.snapshot());
    }

    #[test]
    fn a_step_ends_early_where_few_bytes_are_much_work_and_no_byte_is_lost() {
        let memory = Arc::new(SessionMemory::new().unwrap());
        memory.add_size(TermSize::new(1000, 250).unwrap());
        let (read, mut write) = io::pipe().unwrap();
        write
            .write_all(format!("\x1b[41m{}\x1b[m\x1b[H\x1b[2Jend", "\x1b[J".repeat(300)).as_bytes())
            .unwrap();
        memory.fill_from(read.as_fd()).unwrap();
        let mut reading = emulator(&memory).begin();
        let mut steps = 0;
        while reading.step(&memory, u64::MAX) == Progress::More {
            steps += 1;
        }
        assert!(steps >= 300, "{steps} steps");
        assert_eq!((reading.cursor, reading.terminal.screen_text().as_str()), (memory.head(), "end"));
    }
}
