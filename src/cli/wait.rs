//! `tere wait`: waits until something has happened in a session.
//!
//! Two threads, as for `tere attach`: this one holds the principal channel, and has the session
//! viewed again when a view breaks off; another one looks at what the worker sends, in a sandbox.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use nix::sys::socket::{Shutdown, shutdown};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::ask::{PrincipalChannel, Unanswered, block_on};
use super::failure::{Failure, is_for_now};
use super::host::Host;
use super::lobby::Lobby;
use super::print;
use super::session::{Named, looking, named_session};
use super::view::{News, Unseen, View, unconfined};
use crate::backoff::Backoff;
use crate::names::SessionId;
use crate::protocol::{EndReason, Refusal, SessionEnd, ShellExit};
use crate::sandbox::{self, Thread};
use crate::wire::WireError;

/// Longest time to wait for, seconds: a year.
const LONGEST: f64 = 365.0 * 86400.0;

/// The pauses between attempts to view a session again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// How long after its end a wait still hears what has come of it.
const GRACE: Duration = Duration::from_secs(1);

/// The exit statuses, besides 0.
const TIMED_OUT: u8 = 1;
const SESSION_OVER: u8 = 3;
const FAILED: u8 = 255;

/// `tere wait`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["text", "idle", "alert", "exit"])))]
#[command(after_help = "Exit status: 0 it has happened, 1 it has not in time, 2 not a command, \
    3 the session ended before, 255 refused or failed.")]
pub(super) struct Wait {
    #[command(flatten)]
    named: Named,
    /// Until this text is on the screen, in one line, wherever it is wrapped. May be given several
    /// times, for any of them.
    #[arg(long = "for", id = "text", value_name = "TEXT", allow_hyphen_values = true,
        value_parser = clap::builder::NonEmptyStringValueParser::new())]
    texts: Vec<String>,
    /// Until nothing was printed for so many seconds, from now on.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    idle: Option<Duration>,
    /// Until a program rings the bell or notifies (OSC 9, 99, 777): at once if one has and nobody has
    /// typed since.
    #[arg(long)]
    alert: bool,
    /// Until the session is over.
    #[arg(long)]
    exit: bool,
    /// How long to wait.
    #[arg(long, value_name = "SECONDS", default_value = "60", env = "TERE_TIMEOUT", value_parser = seconds)]
    timeout: Duration,
    /// Print JSON: an object with session, result (text, idle, alert, exit, ended or timed-out), text
    /// (that was found, or of the notification), line, the one in which it was found, and
    /// reason, status and signal of the session's end.
    /// What does not apply is null.
    #[arg(long)]
    json: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=LONGEST).contains(seconds));
    let seconds = seconds.ok_or_else(|| format!("write seconds, 0 to {LONGEST}, such as 2 or 0.5"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// What is waited for.
#[derive(Debug, Clone)]
struct Conditions {
    texts: Vec<String>,
    idle: Option<Duration>,
    /// Whether an alert ends the wait.
    alert: bool,
}

/// What has come of it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// This text is in this line.
    Text {
        text: String,
        line: String,
    },
    Idle(Duration),
    /// An alert, with this text; empty for the bell.
    Alert(String),
    /// The session is over. How, is not known if that was while there was no view.
    Over(Option<SessionEnd>),
    TimedOut,
}

/// Why the thread has come to no outcome.
#[derive(Debug)]
enum Lost {
    Unseen(WireError),
    NoSandbox(sandbox::SandboxError),
}

/// Carries out `tere wait`.
pub(super) fn wait(wait: &Wait, host: &impl Fn() -> Result<Host, Failure>) -> ExitCode {
    let Wait { named, texts, idle, alert, exit, timeout, json } = wait;
    let conditions = Conditions { texts: texts.clone(), idle: *idle, alert: *alert };
    let deadline = Instant::now() + *timeout;
    let waited = host().and_then(|host| {
        block_on(async {
            let mut waiting = Waiting::begin(named, &host, deadline).await?;
            // What answers late is not waited for either.
            let outcome =
                tokio::time::timeout_at((deadline + GRACE).into(), waiting.outcome(&conditions)).await;
            Ok((waiting.session, outcome.unwrap_or(Ok(Outcome::TimedOut))?))
        })
    });
    let said = waited.and_then(|(session, outcome)| {
        let text = if *json { outcome.json(&session, *exit) } else { outcome.words(&session) };
        print(&text)?;
        Ok(outcome.code(*exit))
    });
    said.unwrap_or_else(|failure| {
        failure.say();
        FAILED.into()
    })
}

/// The wait for a session.
struct Waiting<'a> {
    host: &'a Host,
    channel: PrincipalChannel,
    session: SessionId,
    deadline: Instant,
}

impl<'a> Waiting<'a> {
    async fn begin(named: &Named, host: &'a Host, deadline: Instant) -> Result<Self, Failure> {
        let what = format!("wait for the session {}", named.text());
        let failed = |error: Unanswered| error.failure(&what);
        let mut channel = PrincipalChannel::vouched(host).await.map_err(failed)?;
        let session = named_session(&mut channel, named, &what).await?;
        Ok(Self { host, channel, session, deadline })
    }

    /// The text of the last alert since which nobody has typed. A snapshot does not contain the alerts
    /// before it, so this is asked after each.
    async fn last_alert(&mut self) -> Result<Option<String>, Unanswered> {
        let lobby = Lobby::of(&mut self.channel).await?;
        let session = lobby.sessions.into_iter().find(|session| session.id == self.session);
        let alert = session.and_then(|session| session.about?.alert);
        Ok(alert.map(|alert| alert.text.map_or_else(String::new, |text| text.to_string())))
    }

    /// Looks at the session, and again whenever a view or the principal channel breaks off.
    async fn outcome(&mut self, conditions: &Conditions) -> Result<Outcome, Failure> {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut is_again = false;
        loop {
            match self.view(is_again).await {
                Ok(socket) => {
                    if let Some(outcome) = self.look(socket, conditions).await? {
                        return Ok(outcome);
                    }
                }
                // It was there, and ended while nobody looked.
                Err(Unanswered::Refused(Refusal::NoSuchSession)) => return Ok(Outcome::Over(None)),
                Err(Unanswered::Refused(refusal)) if is_for_now(refusal) => {}
                Err(Unanswered::Channel(..) | Unanswered::Afar(_)) if is_again => {}
                Err(error) => return Err(error.failure(&format!("wait for {}", self.session))),
            }
            is_again = true;
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Outcome::TimedOut);
            }
            tokio::time::sleep(backoff.pause().min(left)).await;
        }
    }

    /// Views the session, on a new channel if the last one may be closed.
    async fn view(&mut self, is_again: bool) -> Result<OwnedFd, Unanswered> {
        if is_again {
            self.channel = PrincipalChannel::vouched(self.host).await?;
        }
        let ask = looking(&self.channel, &self.session);
        let (_, socket) = self.channel.ask(ask, |_| {}).await?;
        socket.ok_or_else(|| WireError::OutOfTurn.into())
    }

    /// Looks until there is an outcome, or the view breaks off (None).
    async fn look(&mut self, socket: OwnedFd, conditions: &Conditions) -> Result<Option<Outcome>, Failure> {
        let ours = socket.try_clone().map_err(|error| unconfined(&error))?;
        let (tell, mut told) = oneshot::channel();
        let (jumped, mut jumps) = mpsc::channel(1);
        let waits_for_alert = conditions.alert;
        let (conditions, deadline) = (conditions.clone(), self.deadline);
        let looking = move || {
            let entered = sandbox::enter(Thread::Show, &[]).map_err(Lost::NoSandbox);
            // Fails only if nobody waits any more.
            drop(tell.send(entered.and_then(|()| look(socket, &conditions, deadline, &jumped))));
        };
        let thread = std::thread::Builder::new().name("look".to_owned()).spawn(looking);
        let thread = thread.map_err(|error| unconfined(&error))?;
        let outcome = loop {
            tokio::select! {
                biased;
                outcome = &mut told => break Some(outcome),
                // A right may have been withdrawn: nothing is looked at without a channel.
                _ = self.channel.closed() => break None,
                Some(()) = jumps.recv(), if waits_for_alert => match self.last_alert().await {
                    Ok(None) => {}
                    Ok(Some(text)) => break Some(Ok(Ok(Outcome::Alert(text)))),
                    Err(_) => break None,
                },
            }
        };
        // Whatever it waits for, it gets no more.
        let _ = shutdown(ours.as_raw_fd(), Shutdown::Both);
        if thread.join().is_err() {
            return Err(unconfined(&"the thread that looks at it has ended"));
        }
        match outcome {
            Some(Ok(Ok(outcome))) => Ok(Some(outcome)),
            Some(Ok(Err(Lost::NoSandbox(error)))) => Err(unconfined(&error)),
            Some(
                Ok(Err(Lost::Unseen(WireError::Closed | WireError::TimedOut | WireError::Io(_)))) | Err(_),
            )
            | None => Ok(None),
            // A worker that cannot be understood will not be later.
            Some(Ok(Err(Lost::Unseen(error)))) => Err(Unseen::Channel(error).failure(&self.session)),
        }
    }
}

/// Looks at what the worker sends until there is an outcome. Says so in `jumped` when a snapshot was
/// there.
fn look(
    socket: OwnedFd,
    conditions: &Conditions,
    deadline: Instant,
    jumped: &mpsc::Sender<()>,
) -> Result<Outcome, Lost> {
    let ended = |unseen: Unseen| match unseen {
        // The session goes on.
        Unseen::Over(SessionEnd { reason: EndReason::ViewLost | EndReason::ViewClosed, .. }) => {
            Err(Lost::Unseen(WireError::Closed))
        }
        Unseen::Over(end) => Ok(Outcome::Over(Some(end))),
        Unseen::Channel(error) => Err(Lost::Unseen(error)),
    };
    let mut view = match View::over(socket) {
        Ok(view) => view,
        Err(unseen) => return ended(unseen),
    };
    let mut quiet_since = Instant::now();
    loop {
        let idle_at = conditions.idle.map(|idle| (quiet_since + idle, idle));
        let until = idle_at.map_or(deadline, |(at, _)| at.min(deadline));
        let news = match view.next(until) {
            Ok(news) => news,
            Err(unseen) => return ended(unseen),
        };
        match news {
            Some(News::Output(bytes)) => {
                quiet_since = Instant::now();
                if let Some(found) = print_and_find(&mut view, &bytes, &conditions.texts) {
                    return Ok(found);
                }
                if let Some(text) = view.terminal.take_alert().filter(|_| conditions.alert) {
                    return Ok(Outcome::Alert(text));
                }
            }
            Some(News::Snapshot) => {
                // If one waits to be looked at, that comes after this snapshot too.
                let _ = jumped.try_send(());
                if let Some(found) = find(&view, &conditions.texts) {
                    return Ok(found);
                }
            }
            // A late view gets a snapshot in place of output.
            Some(News::Begins(crate::protocol::viewer::Extent::Screen)) => quiet_since = Instant::now(),
            Some(News::Begins(_) | News::Size | News::Dropped(_)) => {}
            None => {
                return Ok(match idle_at {
                    Some((at, idle)) if at < deadline => Outcome::Idle(idle),
                    _ => Outcome::TimedOut,
                });
            }
        }
        if Instant::now() >= deadline {
            return Ok(Outcome::TimedOut);
        }
    }
}

/// Puts output into the terminal, in parts after each of which its screen still has what the part
/// printed, as long as nothing but lines moves it.
fn print_and_find(view: &mut View, bytes: &[u8], texts: &[String]) -> Option<Outcome> {
    if texts.is_empty() {
        view.print(bytes);
        return None;
    }
    let mut rest = bytes;
    while !rest.is_empty() {
        let size = view.terminal.size();
        let (rows, cols) = (usize::from(size.rows()), usize::from(size.cols()));
        let at_most = (cols * rows / 2).max(1);
        let lines = rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        let length = lines.take((rows / 2).max(1)).last().filter(|_| rest.contains(&b'\n'));
        let length = length.unwrap_or(rest.len()).min(at_most).min(rest.len());
        let (part, behind) = rest.split_at(length);
        view.print(part);
        rest = behind;
        if let Some(found) = find(view, texts) {
            return Some(found);
        }
    }
    None
}

fn find(view: &View, texts: &[String]) -> Option<Outcome> {
    if texts.is_empty() {
        return None;
    }
    let lines = view.terminal.screen_lines();
    texts.iter().find_map(|text| {
        let line = lines.iter().find(|line| line.contains(text.as_str()))?;
        Some(Outcome::Text { text: text.clone(), line: line.clone() })
    })
}

impl Outcome {
    fn code(&self, exit_is_wanted: bool) -> ExitCode {
        match self {
            Self::Text { .. } | Self::Idle(_) | Self::Alert(_) => ExitCode::SUCCESS,
            Self::Over(_) if exit_is_wanted => ExitCode::SUCCESS,
            Self::Over(_) => SESSION_OVER.into(),
            Self::TimedOut => TIMED_OUT.into(),
        }
    }

    fn words(&self, session: &SessionId) -> String {
        match self {
            Self::Text { line, .. } => line.clone(),
            Self::Idle(idle) => format!("Nothing was printed for {} s.", idle.as_secs_f64()),
            Self::Alert(text) if text.is_empty() => "The bell rang.".to_owned(),
            Self::Alert(text) => text.clone(),
            Self::Over(Some(end)) => Failure::over(session, *end).cause,
            Self::Over(None) => format!("the session {session} is over"),
            Self::TimedOut => "The time is up.".to_owned(),
        }
    }

    fn json(&self, session: &SessionId, exit_is_wanted: bool) -> String {
        let (mut text, mut line, mut end) = (None, None, None);
        let result = match self {
            Self::Text { text: found, line: there } => {
                (text, line) = (Some(found), Some(there));
                "text"
            }
            Self::Idle(_) => "idle",
            Self::Alert(told) => {
                text = Some(told).filter(|text| !text.is_empty());
                "alert"
            }
            Self::Over(how) => {
                end = *how;
                if exit_is_wanted { "exit" } else { "ended" }
            }
            Self::TimedOut => "timed-out",
        };
        let (status, signal) = match end.and_then(|end| end.exit) {
            Some(ShellExit::Exited(status)) => (Some(status), None),
            Some(killed @ ShellExit::Killed(_)) => (None, Some(killed.to_string())),
            None => (None, None),
        };
        json!({
            "session": session,
            "result": result,
            "text": text,
            "line": line,
            "reason": end.map(|end| end.reason),
            "status": status,
            "signal": signal,
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::TermSize;
    use crate::protocol::viewer::{Extent, FromViewer, ToViewer};
    use crate::wire::{Channel, Intent};

    type WorkerChannel = Channel<ToViewer, FromViewer>;

    const SOON: Duration = Duration::from_secs(10);

    /// What comes of a wait for a worker that says this. It keeps the view open until then.
    fn outcome(said: Vec<ToViewer>, texts: &[&str], idle: Option<Duration>, at_most: Duration) -> Outcome {
        let (worker, viewer) = WorkerChannel::pair().unwrap();
        let worker = std::thread::spawn(move || {
            worker.greet(Intent::Viewer, SOON).unwrap();
            for message in said {
                worker.send(&message, &[]).unwrap();
            }
            while worker.receive_within(SOON).is_ok() {}
        });
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        let conditions = Conditions { texts, idle, alert: true };
        let outcome =
            look(viewer.into_socket(), &conditions, Instant::now() + at_most, &mpsc::channel(1).0).unwrap();
        worker.join().unwrap();
        outcome
    }

    fn snapshot(text: &str) -> Vec<ToViewer> {
        let (length, size) = (u32::try_from(text.len()).unwrap(), TermSize::new(10, 4).unwrap());
        let begins = ToViewer::SnapshotBegins { size, length, extent: Extent::Whole };
        vec![begins, ToViewer::Output(text.as_bytes().to_vec())]
    }

    fn printed(text: &str) -> ToViewer {
        ToViewer::Output(text.as_bytes().to_vec())
    }

    fn text(text: &str, line: &str) -> Outcome {
        Outcome::Text { text: text.to_owned(), line: line.to_owned() }
    }

    #[test]
    fn a_text_is_found_where_it_is_and_where_it_was_for_a_moment() {
        let found = |said, texts: &[&str]| outcome(said, texts, None, SOON);
        assert_eq!(found(snapshot("$ make\r\ndone\r\n$ "), &["never", "done"]), text("done", "done"));
        // Over the end of a row.
        let long = [snapshot("$ "), vec![printed("123456789012345")]].concat();
        assert_eq!(found(long, &["789012"]), text("789012", "$ 123456789012345"));
        // In a packet that scrolls it away at once.
        let mut flood = String::from("marked\r\n");
        flood += &"x\r\n".repeat(1000);
        assert_eq!(
            found([snapshot(""), vec![printed(&flood)]].concat(), &["marked"]),
            text("marked", "marked")
        );
        // In two packets, with colours.
        let parts = [snapshot(""), vec![printed("mar\x1b[1"), printed(";31mked")]].concat();
        assert_eq!(found(parts, &["marked"]), text("marked", "marked"));
    }

    #[test]
    fn a_program_that_alerts_ends_a_wait_for_it() {
        let alerted = |said| outcome(said, &[], None, SOON);
        let by_bell = [snapshot("$ "), vec![printed("done\x07")]].concat();
        assert_eq!(alerted(by_bell), Outcome::Alert(String::new()));
        let told = [snapshot("$ "), vec![printed("\x1b]9;May I "), printed("proceed?\x07")]].concat();
        assert_eq!(alerted(told), Outcome::Alert("May I proceed?".to_owned()));
    }

    #[test]
    fn a_wait_that_is_in_vain_ends_in_time() {
        let short = Duration::from_millis(50);
        assert_eq!(outcome(snapshot("$ "), &["never"], Some(SOON), short), Outcome::TimedOut);
        assert_eq!(outcome(Vec::new(), &["never"], None, short), Outcome::TimedOut);
        assert_eq!(outcome(snapshot("$ "), &["never"], Some(short), SOON), Outcome::Idle(short));
    }

    #[test]
    fn the_end_of_a_session_is_told_from_that_of_a_view() {
        let exit = Some(ShellExit::Exited(3));
        let end = SessionEnd { reason: EndReason::ShellEnded, exit };
        let over = outcome([snapshot("$ "), vec![ToViewer::Ended(end)]].concat(), &["never"], None, SOON);
        assert_eq!(over, Outcome::Over(Some(end)));
        let session = "abcdefghijkl".parse().unwrap();
        let json: serde_json::Value = serde_json::from_str(&over.json(&session, true)).unwrap();
        assert!(json["result"] == "exit" && json["status"] == 3 && json["reason"] == "shell-ended", "{json}");
        let json: serde_json::Value = serde_json::from_str(&over.json(&session, false)).unwrap();
        assert_eq!(json["result"], "ended");
        for reason in [EndReason::ViewClosed, EndReason::ViewLost] {
            let (worker, viewer) = WorkerChannel::pair().unwrap();
            worker.send_greeting(Intent::Viewer).unwrap();
            worker.send(&ToViewer::Ended(reason.into()), &[]).unwrap();
            let conditions = Conditions { texts: Vec::new(), idle: None, alert: false };
            let lost = look(viewer.into_socket(), &conditions, Instant::now() + SOON, &mpsc::channel(1).0);
            assert!(matches!(lost, Err(Lost::Unseen(_))), "{lost:?}");
        }
    }

    #[test]
    fn the_help_and_the_manual_say_what_comes_of_a_wait() {
        let mut help = Wait::augment_args(clap::Command::new("wait"));
        let help = help.render_long_help().to_string();
        let words: Vec<_> = help.split(|c: char| !c.is_alphanumeric() && c != '-').collect();
        let json = Outcome::TimedOut.json(&"abcdefghijkl".parse().unwrap(), false);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        for key in json.as_object().unwrap().keys() {
            assert!(words.contains(&key.as_str()), "{key} is not in: {help}");
        }
    }

    #[test]
    fn times_are_seconds() {
        assert_eq!(seconds("0.5").unwrap(), Duration::from_millis(500));
        for text in ["-1", "", "1e9", "inf", "NaN", "5s"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
