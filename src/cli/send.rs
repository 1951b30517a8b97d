//! `tere send`: types into a session, in the way that the program in it expects at that moment.

use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::ask::{PrincipalChannel, Unanswered, block_on};
use super::failure::Failure;
use super::host::Host;
use super::keys::Key;
use super::print;
use super::session::{Named, named_session};
use super::view::{News, Unseen, View, confined};
use crate::names::SessionId;
use crate::protocol::principal::Ask;
use crate::protocol::viewer::{CHUNK_MAX, Extent, FromViewer};
use crate::protocol::vouch::Principal;
use crate::protocol::{EndReason, GuestRole, Refusal};
use crate::terminal::ModesShown;
use crate::wire::WireError;

/// How long the whole exchange with the worker may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// `tere send`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["text", "keys"])))]
pub(super) struct Send {
    #[command(flatten)]
    named: Named,
    /// Type this text, as a terminal pastes it: in brackets if the program has asked for them. It
    /// may have line ends and tabs, and no other control characters.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    text: Option<String>,
    /// Press these keys, after the text: one character each, or a name such as Enter, Up, F5, C-c
    /// or M-x.
    #[arg(long, value_name = "KEY", num_args = 1..)]
    keys: Vec<Key>,
    /// Send the text as it is, without brackets.
    #[arg(long, requires = "text")]
    raw: bool,
    /// Print JSON: an object with session and bytes, how many were sent.
    #[arg(long)]
    json: bool,
}

/// A text that can be pasted.
#[derive(Debug, PartialEq, Eq)]
struct Pasted(String);

impl FromStr for Pasted {
    type Err = Failure;

    /// A terminal sends Enter for each line end. The other control characters would be keys, and
    /// one of them ends the brackets.
    fn from_str(text: &str) -> Result<Self, Failure> {
        let text = text.replace("\r\n", "\r").replace('\n', "\r");
        if text.chars().any(|character| character.is_control() && !matches!(character, '\r' | '\t')) {
            return Err(Failure {
                cause: "the text has control characters".to_owned(),
                next: "Name them as --keys, such as C-c or Escape, or send the text with --raw.".to_owned(),
            });
        }
        Ok(Self(text))
    }
}

/// What to type.
#[derive(Debug)]
struct Typing {
    text: Text,
    keys: Vec<Key>,
}

#[derive(Debug)]
enum Text {
    Raw(String),
    Pasted(Pasted),
}

impl Typing {
    /// What a terminal in these modes sends.
    fn bytes(&self, modes: &ModesShown) -> Vec<u8> {
        let mut bytes = match &self.text {
            Text::Raw(text) => text.clone().into_bytes(),
            Text::Pasted(Pasted(text)) if modes.bracketed_paste && !text.is_empty() => {
                format!("\x1b[200~{text}\x1b[201~").into_bytes()
            }
            Text::Pasted(Pasted(text)) => text.clone().into_bytes(),
        };
        bytes.extend(self.keys.iter().flat_map(|key| key.bytes(modes)));
        bytes
    }
}

/// Carries out `tere send`.
pub(super) fn send(Send { named, text, keys, raw, json }: &Send, host: &Host) -> Result<ExitCode, Failure> {
    let text = text.clone().unwrap_or_default();
    let text = if *raw { Text::Raw(text) } else { Text::Pasted(text.parse()?) };
    let typing = Typing { text, keys: keys.clone() };
    let what = format!("type into the session {}", named.text());
    block_on(async {
        let failed = |error: Unanswered| match error {
            Unanswered::Refused(Refusal::OnlyToWatch) => Failure {
                cause: format!("cannot {what}: {}", Refusal::OnlyToWatch),
                next: "You may watch it. Its owner can let you type: tere share SESSION ACCOUNT --write"
                    .to_owned(),
            },
            Unanswered::Refused(_) | Unanswered::Channel(..) | Unanswered::Afar(_) => error.failure(&what),
        };
        let mut channel = PrincipalChannel::vouched(host).await.map_err(failed)?;
        if channel.principal == Principal::Operator {
            return Err(Failure {
                cause: format!("cannot {what}: root looks at sessions, and types into none"),
                next: "Run this as a UNIX user who belongs to an account (tere account add-unix-user)."
                    .to_owned(),
            });
        }
        let session = named_session(&mut channel, named, &what).await?;
        let ask = Ask::AttachAs { session: session.clone(), role: GuestRole::Writer };
        let (_, viewer) = channel.ask(ask, |_| {}).await.map_err(failed)?;
        let viewer = viewer.ok_or_else(|| Failure::out_of_turn("tere-broker"))?;
        // The view lasts as long as the channel.
        let bytes = confined(|| type_in(&session, viewer, &typing))??;
        if *json {
            print(&json!({ "session": session, "bytes": bytes }).to_string())
        } else {
            Ok(ExitCode::SUCCESS)
        }
    })
}

/// Types, and waits until the worker has taken it. Returns how many bytes that were.
fn type_in(session: &SessionId, viewer: OwnedFd, typing: &Typing) -> Result<usize, Failure> {
    match typed(viewer, typing, DEADLINE).map_err(|unseen| unseen.failure(session))? {
        Typed { bytes, dropped: 0 } => Ok(bytes),
        Typed { bytes, dropped } => Err(Failure {
            cause: format!("{dropped} of {bytes} bytes did not reach the program: it does not read"),
            next: format!("What it shows: tere show {session}"),
        }),
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Typed {
    bytes: usize,
    dropped: u64,
}

fn typed(viewer: OwnedFd, typing: &Typing, at_most: Duration) -> Result<Typed, Unseen> {
    let deadline = Instant::now() + at_most;
    let mut view = View::over(viewer)?;
    // The modes are known with the first snapshot.
    while until(&mut view, deadline)? != News::Snapshot {}
    let bytes = typing.bytes(&view.terminal.modes());
    for part in bytes.chunks(CHUNK_MAX) {
        view.say(&FromViewer::Input(part.to_vec()))?;
    }
    // The worker carries out what a viewer sends in order. The snapshot that is asked for here
    // comes once the input was taken, after the word on what was dropped.
    view.say(&FromViewer::Refresh)?;
    let mut dropped = 0;
    loop {
        let news = match until(&mut view, deadline) {
            // As after 'exit': what was typed, or what was under way, has ended the session.
            Err(Unseen::Over(end)) if !matches!(end.reason, EndReason::ViewClosed | EndReason::ViewLost) => {
                return Ok(Typed { bytes: bytes.len(), dropped });
            }
            news => news?,
        };
        match news {
            News::Begins(Extent::Whole) => return Ok(Typed { bytes: bytes.len(), dropped }),
            News::Dropped(bytes) => dropped += bytes,
            News::Begins(_) | News::Snapshot | News::Output(_) | News::Size => {}
        }
    }
}

fn until(view: &mut View, deadline: Instant) -> Result<News, Unseen> {
    view.next(deadline)?.ok_or(Unseen::Channel(WireError::TimedOut))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::TermSize;
    use crate::protocol::viewer::ToViewer;
    use crate::wire::{Channel, Intent};

    type WorkerChannel = Channel<ToViewer, FromViewer>;

    fn typing(text: &str, keys: &[&str]) -> Typing {
        let keys = keys.iter().map(|key| key.parse().unwrap()).collect();
        Typing { text: Text::Pasted(text.parse().unwrap()), keys }
    }

    /// A worker whose terminal has printed this. Returns what it was sent.
    fn sent_to(printed: &'static [u8], drops: u64, typing: &Typing) -> (Vec<u8>, Result<Typed, Unseen>) {
        let (worker, viewer) = WorkerChannel::pair().unwrap();
        let worker = std::thread::spawn(move || {
            let snapshot = |extent| {
                let length = u32::try_from(printed.len()).unwrap();
                let size = TermSize::DEFAULT;
                worker.send(&ToViewer::SnapshotBegins { size, length, extent }, &[]).unwrap();
            };
            worker.greet(Intent::Viewer, DEADLINE).unwrap();
            // It may be whole already, and another may come before the one that is asked for.
            snapshot(Extent::Whole);
            worker.send(&ToViewer::Output(printed.to_vec()), &[]).unwrap();
            worker.send(&ToViewer::Output(b"more".to_vec()), &[]).unwrap();
            let mut typed = Vec::new();
            loop {
                let heard = worker.receive_within(DEADLINE).unwrap().0;
                if let FromViewer::Input(bytes) = heard {
                    typed.extend(bytes);
                } else if heard == FromViewer::Refresh {
                    break;
                }
            }
            snapshot(Extent::Screen);
            worker.send(&ToViewer::Output(printed.to_vec()), &[]).unwrap();
            if drops > 0 {
                worker.send(&ToViewer::InputDropped(drops), &[]).unwrap();
            }
            snapshot(Extent::Whole);
            typed
        });
        let done = typed(viewer.into_socket(), typing, DEADLINE);
        (worker.join().unwrap(), done)
    }

    #[test]
    fn text_is_pasted_and_keys_are_pressed_as_the_program_has_asked_for() {
        let lines = typing("a\nb\r\nc", &["Up", "Enter"]);
        let (sent, done) = sent_to(b"$ ", 0, &lines);
        assert_eq!(sent, b"a\rb\rc\x1b[A\r");
        assert_eq!(done.unwrap(), Typed { bytes: sent.len(), dropped: 0 });
        let (sent, _) = sent_to(b"\x1b[?2004h\x1b[?1h", 0, &lines);
        assert_eq!(sent, b"\x1b[200~a\rb\rc\x1b[201~\x1bOA\r");
        let raw = Typing { text: Text::Raw("a\n\x1b[Z".to_owned()), keys: Vec::new() };
        assert_eq!(sent_to(b"\x1b[?2004h", 0, &raw).0, b"a\n\x1b[Z");
        // Keys alone are in no brackets.
        assert_eq!(sent_to(b"\x1b[?2004h", 0, &typing("", &["q"])).0, b"q");
    }

    #[test]
    fn a_text_ends_its_brackets_no_earlier_than_they_end() {
        for text in ["\x1b[201~rm", "\u{9b}201~", "\x03", "\x7f", "\0"] {
            assert!(text.parse::<Pasted>().is_err(), "{text:?}");
        }
        assert_eq!("a\tb\n".parse::<Pasted>().unwrap(), Pasted("a\tb\r".to_owned()));
    }

    #[test]
    fn a_session_that_ends_of_what_is_typed_has_taken_it_and_one_that_ended_before_has_not() {
        let ends = |reason: EndReason, is_shown: bool| {
            let (worker, viewer) = WorkerChannel::pair().unwrap();
            let worker = std::thread::spawn(move || {
                worker.greet(Intent::Viewer, DEADLINE).unwrap();
                if is_shown {
                    let (size, extent) = (TermSize::DEFAULT, Extent::Whole);
                    worker.send(&ToViewer::SnapshotBegins { size, length: 0, extent }, &[]).unwrap();
                    while worker.receive_within(DEADLINE).unwrap().0 != FromViewer::Refresh {}
                }
                worker.send(&ToViewer::Ended(reason.into()), &[]).unwrap();
            });
            let done = typed(viewer.into_socket(), &typing("exit", &["Enter"]), DEADLINE);
            worker.join().unwrap();
            done.ok()
        };
        assert_eq!(ends(EndReason::ShellEnded, true), Some(Typed { bytes: 5, dropped: 0 }));
        assert_eq!(ends(EndReason::ShellEnded, false), None);
        // The right to type was withdrawn.
        assert_eq!(ends(EndReason::ViewClosed, true), None);
    }

    #[test]
    fn what_the_program_does_not_read_is_said_to_be_lost() {
        let (_, done) = sent_to(b"$ ", 3, &typing("abc", &[]));
        assert_eq!(done.unwrap(), Typed { bytes: 3, dropped: 3 });
        let session = "abcdefghijkl".parse().unwrap();
        let (worker, viewer) = WorkerChannel::pair().unwrap();
        drop(worker);
        assert!(type_in(&session, viewer.into_socket(), &typing("abc", &[])).is_err());
    }
}
