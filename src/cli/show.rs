//! `tere show`: prints the screen of a session without telling its viewers. The worker's
//! messages are not trusted, and the user of this command is root, so they are read in a thread
//! that has entered the same sandbox as the worker's terminal thread.

use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::json;

use super::failure::Failure;
use super::print;
use crate::names::{SessionId, TermSize};
use crate::protocol::SessionEnd;
use crate::protocol::viewer::{Extent, FromViewer, ToViewer};
use crate::sandbox::{self, Thread};
use crate::terminal::Terminal;
use crate::wire::{Channel, Intent, WireError};

/// How long the whole exchange with the worker may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// Longest snapshot, bytes. A longer one is refused.
const SNAPSHOT_MAX: usize = 16 * 1024 * 1024;

/// The format to print the screen in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Json,
    Ansi,
}

/// A complete snapshot.
struct Snapshot {
    size: TermSize,
    bytes: Vec<u8>,
}

/// Why there is no snapshot.
#[derive(Debug)]
enum Unseen {
    /// The session has ended, or is being ended.
    Over(SessionEnd),
    Channel(WireError),
}

impl From<WireError> for Unseen {
    fn from(error: WireError) -> Self {
        Self::Channel(error)
    }
}

/// Prints the screen of the session behind this viewer socket.
pub(super) fn show(session: &SessionId, viewer: OwnedFd, format: Format) -> Result<ExitCode, Failure> {
    print(&confined(|| text(session, viewer, format))??)
}

/// Runs `work` in a thread of its own, in a sandbox.
fn confined<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, Failure> {
    let failed = |why: String| Failure {
        cause: format!("cannot look at what a worker sends: {why}"),
        next: "It is looked at in a sandbox or not at all. 'journalctl -k' may tell more.".to_owned(),
    };
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| sandbox::enter(Thread::Show, &[]).map(|()| work()));
        let done = thread.join().map_err(|_| failed("the thread that looks at it has ended".to_owned()))?;
        done.map_err(|error| failed(error.to_string()))
    })
}

/// The screen in the given format.
fn text(session: &SessionId, viewer: OwnedFd, format: Format) -> Result<String, Failure> {
    let whom = format!("the worker of {session}");
    let snapshot = snapshot(viewer, format, DEADLINE).map_err(|unseen| match unseen {
        Unseen::Over(end) => Failure::over(session, end),
        Unseen::Channel(error) => Failure::channel(&whom, &error),
    })?;
    if format == Format::Ansi {
        // Terminal bytes, meant for a terminal. Nothing else in tere prints them.
        return Ok(String::from_utf8_lossy(&snapshot.bytes).into_owned());
    }
    let mut terminal = Terminal::new(snapshot.size);
    terminal.print(&snapshot.bytes);
    if format == Format::Text {
        return Ok(terminal.screen_text());
    }
    let (row, col) = terminal.cursor();
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let object = json!({
        "session": session,
        "title": terminal.title(),
        "size": { "cols": snapshot.size.cols(), "rows": snapshot.size.rows() },
        "cursor": { "col": col, "row": row },
        "screen": lines(&terminal.screen_text()),
        "scrollback": terminal.scrollback_text().collect::<Vec<_>>(),
    });
    Ok(object.to_string())
}

/// Reads the snapshot that the view begins with. If it is not complete, and the form shows more
/// than the screen, requests and reads a complete one.
fn snapshot(viewer: OwnedFd, format: Format, at_most: Duration) -> Result<Snapshot, Unseen> {
    let channel: Channel<FromViewer, ToViewer> = Channel::over(viewer);
    let deadline = Instant::now() + at_most;
    channel.greet(Intent::Viewer, at_most)?;
    let mut begun: Option<(TermSize, usize)> = None;
    let mut is_enough = false;
    let mut bytes = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if !is_enough && begun.take_if(|(_, length)| bytes.len() >= *length).is_some() {
            say(&channel, &FromViewer::Refresh, left)?;
        }
        match channel.receive_within(left)?.0 {
            ToViewer::SnapshotBegins { size, length, extent } => {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                if length > SNAPSHOT_MAX {
                    return Err(WireError::Oversize.into());
                }
                bytes.clear();
                is_enough = format == Format::Text || extent == Extent::Whole;
                begun = Some((size, length));
            }
            ToViewer::Output(part) => {
                let shown = u32::try_from(part.len()).unwrap_or(u32::MAX);
                let missing = begun.map_or(0, |(_, length)| length.saturating_sub(bytes.len()));
                bytes.extend(part.into_iter().take(missing));
                if let Some((size, _)) = begun.filter(|(_, length)| is_enough && bytes.len() >= *length) {
                    return Ok(Snapshot { size, bytes });
                }
                // Sending has the same deadline, so that a worker that keeps sending and does not
                // read cannot block this.
                let left = deadline.saturating_duration_since(Instant::now());
                say(&channel, &FromViewer::Shown(shown), left)?;
            }
            ToViewer::Ended(end) => return Err(Unseen::Over(end)),
            ToViewer::Size(_) | ToViewer::InputDropped(_) => {}
        }
    }
}

/// Sends the worker a message. If the worker is gone, everything needed may have arrived already;
/// the next read finds out.
fn say(
    channel: &Channel<FromViewer, ToViewer>,
    words: &FromViewer,
    within: Duration,
) -> Result<(), WireError> {
    match channel.send_within(words, &[], within) {
        Err(WireError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        said => said,
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd as _, AsRawFd as _};

    use nix::sys::socket::{Shutdown, shutdown};

    use super::*;
    use crate::protocol::{EndReason, ShellExit};

    type ViewerChannel = Channel<ToViewer, FromViewer>;

    /// A worker that has sent its greeting, and its viewer socket.
    fn worker() -> (ViewerChannel, OwnedFd) {
        let (worker, viewer) = ViewerChannel::pair().unwrap();
        worker.send_greeting(Intent::Viewer).unwrap();
        (worker, viewer.into_socket())
    }

    fn begin(worker: &ViewerChannel, length: u32) {
        let size = TermSize::new(80, 24).unwrap();
        worker.send(&ToViewer::SnapshotBegins { size, length, extent: Extent::Whole }, &[]).unwrap();
    }

    #[test]
    fn a_screen_is_read_where_a_worker_that_breaks_in_finds_nothing() {
        let (worker, viewer) = worker();
        begin(&worker, 5);
        worker.send(&ToViewer::Output(b"hello".to_vec()), &[]).unwrap();
        let session = "abcdefghijkl".parse().unwrap();
        let (text, opened) = confined(|| {
            (text(&session, viewer, Format::Text).unwrap(), std::fs::File::open("/etc/passwd").is_ok())
        })
        .unwrap();
        assert_eq!(text.trim_end(), "hello");
        assert!(!opened);
        assert!(std::fs::File::open("/etc/passwd").is_ok(), "or that proves nothing");
    }

    #[test]
    fn the_whole_scrollback_is_asked_for_where_it_is_shown() {
        let size = TermSize::new(80, 24).unwrap();
        for (format, is_asked) in [(Format::Text, false), (Format::Json, true), (Format::Ansi, true)] {
            let (worker, viewer) = ViewerChannel::pair().unwrap();
            let asked = std::thread::spawn(move || {
                let say = |extent, text: &[u8]| {
                    let length = u32::try_from(text.len()).unwrap();
                    worker.send(&ToViewer::SnapshotBegins { size, length, extent }, &[]).unwrap();
                    worker.send(&ToViewer::Output(text.to_vec()), &[]).unwrap();
                };
                worker.greet(Intent::Viewer, DEADLINE).unwrap();
                say(Extent::Recent, b"recent");
                // A viewer that has enough may be gone by now.
                drop(worker.send(&ToViewer::Output(b" and on".to_vec()), &[]));
                while let Ok((heard, _)) = worker.receive_within(DEADLINE) {
                    if heard == FromViewer::Refresh {
                        say(Extent::Whole, b"whole");
                        return true;
                    }
                }
                false
            });
            let snapshot = snapshot(viewer.into_socket(), format, DEADLINE).unwrap();
            let expected: &[u8] = if is_asked { b"whole" } else { b"recent" };
            assert_eq!((asked.join().unwrap(), &*snapshot.bytes), (is_asked, expected), "{format:?}");
        }
    }

    #[test]
    fn what_a_worker_said_before_it_stopped_listening_is_shown() {
        let (worker, viewer) = ViewerChannel::pair().unwrap();
        let dying = std::thread::spawn(move || {
            worker.greet(Intent::Viewer, DEADLINE).unwrap();
            shutdown(worker.as_fd().as_raw_fd(), Shutdown::Read).unwrap();
            begin(&worker, 5);
            worker.send(&ToViewer::Output(b"he".to_vec()), &[]).unwrap();
            worker.send(&ToViewer::Output(b"llo".to_vec()), &[]).unwrap();
        });
        assert_eq!(snapshot(viewer.into_socket(), Format::Ansi, DEADLINE).unwrap().bytes, b"hello");
        dying.join().unwrap();
    }

    #[test]
    fn whoever_looks_at_a_shell_that_ends_hears_how() {
        let (worker, viewer) = worker();
        let exit = Some(ShellExit::Exited(3));
        worker.send(&ToViewer::Ended(SessionEnd { reason: EndReason::ShellEnded, exit }), &[]).unwrap();
        let failure = text(&"abcdefghijkl".parse().unwrap(), viewer, Format::Text).unwrap_err();
        assert_eq!(failure.cause, "the session abcdefghijkl is over: its shell has ended (exit status 3)");
        assert!(failure.next.contains("journalctl TERE_SESSION=abcdefghijkl"), "{}", failure.next);
    }

    #[test]
    fn a_worker_that_does_not_read_is_not_waited_for() {
        let (worker, viewer) = worker();
        begin(&worker, 1_000_000);
        // The thread ends when the viewer's end closes.
        std::thread::spawn(move || while worker.send(&ToViewer::Output(vec![b'x']), &[]).is_ok() {});
        let (done, heard) = std::sync::mpsc::channel();
        let looking =
            move || drop(done.send(snapshot(viewer, Format::Text, Duration::from_millis(500)).map(|_| ())));
        std::thread::spawn(looking);
        let outcome = heard.recv_timeout(DEADLINE).expect("it waits for ever");
        assert!(matches!(outcome, Err(Unseen::Channel(WireError::TimedOut))), "{outcome:?}");
    }
}
