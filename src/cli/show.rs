//! `tere show`: prints the screen of a session.

use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::json;

use super::failure::Failure;
use super::print;
use super::view::{SNAPSHOT_MAX, Unseen, ViewerChannel, confined, say};
use crate::names::{SessionId, TermSize};
use crate::protocol::viewer::{Extent, FromViewer, ToViewer};
use crate::terminal::{Lines, Terminal};
use crate::wire::{Intent, WireError};

/// How long the whole exchange with the worker may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// The format to print the screen in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Json,
    /// JSON with the cells of the screen.
    Cells,
    Ansi,
}

/// A complete snapshot.
struct Snapshot {
    size: TermSize,
    bytes: Vec<u8>,
}

/// Prints the screen of the session behind this viewer socket.
pub(super) fn show(session: &SessionId, viewer: OwnedFd, format: Format) -> Result<ExitCode, Failure> {
    print(&confined(|| text(session, viewer, format))??)
}

/// The screen in the given format.
fn text(session: &SessionId, viewer: OwnedFd, format: Format) -> Result<String, Failure> {
    let snapshot = snapshot(viewer, format, DEADLINE).map_err(|unseen| unseen.failure(session))?;
    if format == Format::Ansi {
        // Terminal bytes, meant for a terminal. Nothing else in tere prints them.
        return Ok(String::from_utf8_lossy(&snapshot.bytes).into_owned());
    }
    let mut terminal = Terminal::new(snapshot.size);
    terminal.print(&snapshot.bytes);
    if format == Format::Text {
        return Ok(terminal.screen_text());
    }
    Ok(object(session, &terminal, format).to_string())
}

/// The terminal as JSON.
fn object(session: &SessionId, terminal: &Terminal, format: Format) -> serde_json::Value {
    let (row, col) = terminal.cursor();
    let Lines { scrollback, screen } = terminal.lines();
    let mut object = json!({
        "session": session,
        "title": terminal.title(),
        "size": { "cols": terminal.size().cols(), "rows": terminal.size().rows() },
        "cursor": { "col": col, "row": row, "visible": terminal.cursor_is_visible() },
        "modes": terminal.modes(),
        "screen": terminal.screen_text().lines().collect::<Vec<_>>(),
        "lines": screen,
        "scrollback": scrollback,
    });
    if format == Format::Cells
        && let Some(object) = object.as_object_mut()
    {
        object.insert("cells".to_owned(), json!(terminal.runs()));
    }
    object
}

/// Reads the snapshot that the view begins with. If it is not complete, and the form shows more
/// than the screen, requests and reads a complete one.
fn snapshot(viewer: OwnedFd, format: Format, at_most: Duration) -> Result<Snapshot, Unseen> {
    let channel = ViewerChannel::over(viewer);
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
                let left = deadline.saturating_duration_since(Instant::now());
                say(&channel, &FromViewer::Shown(shown), left)?;
            }
            ToViewer::Ended(end) => return Err(Unseen::Over(end)),
            ToViewer::Size(_) | ToViewer::InputDropped(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd as _, AsRawFd as _};

    use nix::sys::socket::{Shutdown, shutdown};

    use super::*;
    use crate::protocol::{EndReason, SessionEnd, ShellExit};

    type WorkerChannel = crate::wire::Channel<ToViewer, FromViewer>;

    /// A worker that has sent its greeting, and its viewer socket.
    fn worker() -> (WorkerChannel, OwnedFd) {
        let (worker, viewer) = WorkerChannel::pair().unwrap();
        worker.send_greeting(Intent::Viewer).unwrap();
        (worker, viewer.into_socket())
    }

    fn begin(worker: &WorkerChannel, length: u32) {
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
    fn the_manual_has_all_that_the_screen_for_programs_has() {
        let mut terminal = Terminal::new(TermSize::new(20, 4).unwrap());
        terminal.print(b"\x1b[1;31;44;4;58;5;3m\x1b]8;;https://example.org/\x1b\\styled");
        let object = object(&"abcdefghijkl".parse().unwrap(), &terminal, Format::Cells);
        let words: Vec<_> = include_str!("../../docs/man/tere.1").split_whitespace().collect();
        let (mut keys, mut values) = (Vec::new(), vec![&object]);
        while let Some(value) = values.pop() {
            keys.extend(value.as_object().into_iter().flat_map(|object| object.keys()));
            values.extend(value.as_object().into_iter().flat_map(|object| object.values()));
            values.extend(value.as_array().into_iter().flatten());
        }
        assert!(keys.len() > 25, "{keys:?}");
        for key in keys {
            let is_there =
                words.windows(2).any(|pair| matches!(pair, [".Va" | "Va", named] if *named == key));
            assert!(is_there, "{key} is not in tere(1)");
        }
    }

    #[test]
    fn the_whole_scrollback_is_asked_for_where_it_is_shown() {
        let size = TermSize::new(80, 24).unwrap();
        for (format, is_asked) in
            [(Format::Text, false), (Format::Json, true), (Format::Cells, true), (Format::Ansi, true)]
        {
            let (worker, viewer) = WorkerChannel::pair().unwrap();
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
        let (worker, viewer) = WorkerChannel::pair().unwrap();
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
