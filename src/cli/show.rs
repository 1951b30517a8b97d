//! `tere session show`: a look at the screen of a session, without a word to whoever works there.

use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::json;

use super::failure::Failure;
use super::print;
use crate::names::{SessionId, TermSize};
use crate::protocol::viewer::{FromViewer, ToViewer};
use crate::terminal::Terminal;
use crate::wire::{Channel, Intent, WireError};

/// How long the worker may take for the whole.
const DEADLINE: Duration = Duration::from_secs(10);

/// Longest snapshot, bytes; a longer one is not waited for.
const SNAPSHOT_MAX: usize = 16 * 1024 * 1024;

/// How it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Json,
    Ansi,
}

/// A snapshot, as it came.
struct Snapshot {
    size: TermSize,
    bytes: Vec<u8>,
}

/// Prints the screen of the session that this viewer socket leads to.
pub(super) fn show(session: &SessionId, viewer: OwnedFd, form: Form) -> Result<ExitCode, Failure> {
    let whom = format!("the worker of {session}");
    let snapshot = snapshot(viewer).map_err(|error| Failure::channel(&whom, &error))?;
    if form == Form::Ansi {
        // Terminal bytes for a terminal: nothing else in tere prints them.
        return print(&String::from_utf8_lossy(&snapshot.bytes));
    }
    let mut terminal = Terminal::new(snapshot.size);
    terminal.print(&snapshot.bytes);
    if form == Form::Text {
        return print(&terminal.screen_text());
    }
    let (row, col) = terminal.cursor();
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let object = json!({
        "session": session,
        "title": terminal.title(),
        "size": { "cols": snapshot.size.cols(), "rows": snapshot.size.rows() },
        "cursor": { "col": col, "row": row },
        "screen": lines(&terminal.screen_text()),
        "history": terminal.history_text().collect::<Vec<_>>(),
    });
    print(&object.to_string())
}

/// Takes the snapshot that a view begins with.
fn snapshot(viewer: OwnedFd) -> Result<Snapshot, WireError> {
    let channel: Channel<FromViewer, ToViewer> = Channel::over(viewer);
    channel.greet(Intent::Viewer, DEADLINE)?;
    let deadline = Instant::now() + DEADLINE;
    let mut begun: Option<(TermSize, usize)> = None;
    let mut bytes = Vec::new();
    loop {
        if let Some((size, _)) = begun.filter(|(_, length)| bytes.len() >= *length) {
            return Ok(Snapshot { size, bytes });
        }
        let left = deadline.saturating_duration_since(Instant::now());
        match (channel.receive_within(left)?.0, begun) {
            (ToViewer::SnapshotBegins { size, length, .. }, _) => {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                if length > SNAPSHOT_MAX {
                    return Err(WireError::Oversize);
                }
                bytes.clear();
                begun = Some((size, length));
            }
            (ToViewer::Output(part), Some((_, length))) => {
                let shown = u32::try_from(part.len()).unwrap_or(u32::MAX);
                let missing = length.saturating_sub(bytes.len());
                bytes.extend(part.into_iter().take(missing));
                channel.send(&FromViewer::Shown(shown), &[])?;
            }
            (ToViewer::Ended(_), _) => return Err(WireError::Closed),
            (ToViewer::Output(_), None) | (ToViewer::Size(_) | ToViewer::InputDropped(_), _) => {}
        }
    }
}
