//! `tere events`: prints what happens to the sessions, as it happens. The broker tells it; nothing
//! is asked again and again. If tere is restarted, what changed meanwhile is found by comparison.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value, json};

use super::ask::{PrincipalChannel, Unanswered, block_on};
use super::failure::{Failure, is_for_now};
use super::host::Host;
use super::session::object;
use crate::backoff::Backoff;
use crate::clock;
use crate::names::{Label, SessionId};
use crate::protocol::principal::{Answer, Ask, FromBroker};
use crate::protocol::vouch::Principal;
use crate::protocol::{Participant, Role, SessionEnd, SessionSummary, ShellExit};
use crate::wire::WireError;

/// The pauses between attempts to reach the broker again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// `tere events`.
#[derive(Debug, Args)]
pub(super) struct Events {
    /// Print JSON: one object in each line, with event, at (seconds since 1970), session, and what
    /// belongs to the event. See tere(1).
    #[arg(long)]
    json: bool,
}

const WHAT: &str = "follow the sessions";

/// Carries out `tere events`.
pub(super) fn events(Events { json }: &Events, host: &Host) -> Result<ExitCode, Failure> {
    block_on(async {
        let mut following = Following::default();
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            match follow(&mut following, *json, host).await {
                Err(Stopped::Unanswered(Unanswered::Refused(refusal))) if is_for_now(refusal) => {}
                Err(Stopped::Unanswered(Unanswered::Channel(..) | Unanswered::Afar(_)))
                    if following.has_begun => {}
                Err(Stopped::Unanswered(error)) => return Err(error.failure(WHAT)),
                // Nobody listens any more.
                Err(Stopped::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                    return Ok(ExitCode::SUCCESS);
                }
                Err(Stopped::Output(error)) => {
                    return Err(Failure {
                        cause: format!("cannot print what happens: {error}"),
                        next: "Have standard output lead somewhere.".to_owned(),
                    });
                }
                Ok(()) => backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    })
}

/// Why a channel is not followed any more.
enum Stopped {
    Unanswered(Unanswered),
    Output(io::Error),
}

impl From<Unanswered> for Stopped {
    fn from(error: Unanswered) -> Self {
        Self::Unanswered(error)
    }
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Follows the sessions on one channel until it closes.
async fn follow(following: &mut Following, json: bool, host: &Host) -> Result<(), Stopped> {
    let mut channel = PrincipalChannel::vouched(host).await?;
    let (Answer::Following(sessions), _) = channel.ask(Ask::Follow, |_| {}).await? else {
        return Err(Unanswered::from(WireError::OutOfTurn).into());
    };
    following.is_operator = channel.principal == Principal::Operator;
    print(&following.begin(sessions), json)?;
    while let Ok(message) = channel.next().await {
        print(&following.hear(message), json)?;
    }
    Ok(())
}

fn print(events: &[Value], json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for event in events {
        if json {
            writeln!(out, "{event}")?;
        } else {
            writeln!(out, "{}", words(event))?;
        }
    }
    out.flush()
}

/// The sessions, as far as they were told.
#[derive(Debug, Default)]
struct Following {
    is_operator: bool,
    /// Whether it was told before.
    has_begun: bool,
    known: BTreeMap<SessionId, Known>,
    /// The sessions that were there when this channel began, and were not told yet.
    listed: BTreeSet<SessionId>,
}

#[derive(Debug, PartialEq, Eq)]
struct Known {
    name: Option<Label>,
    participants: Vec<Participant>,
}

impl Following {
    /// Takes the sessions that there are when a channel begins. Those that are known and not among
    /// them have ended, or are hidden, while nobody told.
    fn begin(&mut self, sessions: Vec<SessionId>) -> Vec<Value> {
        self.listed = sessions.into_iter().collect();
        if !std::mem::replace(&mut self.has_begun, true) {
            return vec![event("following", None, Map::new())];
        }
        let mut events = vec![event("resumed", None, Map::new())];
        let gone: Vec<_> = self.known.keys().filter(|id| !self.listed.contains(*id)).cloned().collect();
        // A session that came and went meanwhile is in neither list.
        for session in gone {
            self.known.remove(&session);
            events.push(event("gone", Some(&session), Map::new()));
        }
        self.listed.clear();
        events
    }

    /// Takes what the broker says.
    fn hear(&mut self, message: FromBroker) -> Vec<Value> {
        match message {
            FromBroker::Session { summary, participants } => self.session(&summary, participants),
            FromBroker::SessionEnded { session, end } => {
                self.known.remove(&session);
                vec![event("ended", Some(&session), end_facts(end))]
            }
            FromBroker::SessionHidden(session) => {
                self.known.remove(&session);
                vec![event("hidden", Some(&session), Map::new())]
            }
            FromBroker::MachineStopped { machine, why } => {
                let facts = [("machine", json!(machine)), ("why", json!(why))];
                vec![event(
                    "machine-stopped",
                    None,
                    facts.map(|(key, value)| (key.to_owned(), value)).into_iter().collect(),
                )]
            }
            // For those who view or open a session.
            FromBroker::Reply { .. } | FromBroker::Progress { .. } | FromBroker::Sharing { .. } => Vec::new(),
        }
    }

    fn session(&mut self, summary: &SessionSummary, participants: Vec<Participant>) -> Vec<Value> {
        let is_listed = self.listed.remove(&summary.id);
        let now = Known { name: summary.name.clone(), participants };
        let Some(before) = self.known.get(&summary.id) else {
            let what = match summary.role {
                _ if is_listed => "listed",
                Role::Owner => "opened",
                // Nobody shares anything with the operator, who may watch everything.
                Role::Writer | Role::Watcher if self.is_operator => "opened",
                Role::Writer | Role::Watcher => "shown",
            };
            let mut facts = object(summary).as_object().cloned().unwrap_or_default();
            facts.insert("participants".to_owned(), json!(now.participants));
            let told = event(what, Some(&summary.id), facts);
            self.known.insert(summary.id.clone(), now);
            return vec![told];
        };
        let mut events = Vec::new();
        let fact = |key: &str, value| Map::from_iter([(key.to_owned(), value)]);
        if before.name != now.name {
            events.push(event("named", Some(&summary.id), fact("name", json!(now.name))));
        }
        if before.participants != now.participants {
            let people = fact("participants", json!(now.participants));
            events.push(event("participants", Some(&summary.id), people));
        }
        self.known.insert(summary.id.clone(), now);
        events
    }
}

fn end_facts(end: SessionEnd) -> Map<String, Value> {
    let (status, signal) = match end.exit {
        Some(ShellExit::Exited(status)) => (Some(status), None),
        Some(killed @ ShellExit::Killed(_)) => (None, Some(killed.to_string())),
        None => (None, None),
    };
    let facts = [("reason", json!(end.reason)), ("status", json!(status)), ("signal", json!(signal))];
    facts.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
}

fn event(what: &str, session: Option<&SessionId>, mut facts: Map<String, Value>) -> Value {
    facts.insert("event".to_owned(), json!(what));
    facts.insert("at".to_owned(), json!(clock::now()));
    facts.insert("session".to_owned(), json!(session));
    Value::Object(facts)
}

/// An event for people.
fn words(event: &Value) -> String {
    let text = |key: &str| {
        let value = event.get(key)?;
        value.as_str().map(str::to_owned).or_else(|| value.as_u64().map(|number| number.to_string()))
    };
    let people = event.get("participants").and_then(Value::as_array).into_iter().flatten();
    let viewing = people.filter_map(|one| {
        let views = one.get("views").and_then(Value::as_u64).filter(|views| *views > 0)?;
        Some(format!("{}:{views}", one.get("account").and_then(Value::as_str)?))
    });
    let keys =
        ["event", "session", "machine", "account", "target", "name", "reason", "status", "signal", "why"];
    let parts: Vec<_> = keys.into_iter().filter_map(text).chain(viewing).collect();
    parts.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::EndReason;

    fn summary(id: &str, role: Role, name: Option<&str>) -> SessionSummary {
        SessionSummary { role, ..super::super::session::tests::summary(id, name) }
    }

    fn is_now(id: &str, role: Role, name: Option<&str>, views: u16) -> FromBroker {
        let participants = vec![Participant { account: "alice".parse().unwrap(), role: Role::Owner, views }];
        FromBroker::Session { summary: summary(id, role, name), participants }
    }

    fn said(events: &[Value]) -> Vec<&str> {
        events.iter().map(|event| event["event"].as_str().unwrap()).collect()
    }

    const ONE: &str = "aaaaaaaaaaaa";
    const TWO: &str = "bbbbbbbbbbbb";

    #[test]
    fn what_is_told_becomes_what_has_changed() {
        let mut following = Following::default();
        assert_eq!(said(&following.begin(vec![ONE.parse().unwrap()])), ["following"]);
        let mut hear = |message| following.hear(message);
        assert_eq!(said(&hear(is_now(ONE, Role::Owner, None, 0))), ["listed"]);
        assert_eq!(said(&hear(is_now(TWO, Role::Owner, None, 0))), ["opened"]);
        assert!(hear(is_now(TWO, Role::Owner, None, 0)).is_empty());
        assert_eq!(said(&hear(is_now(TWO, Role::Owner, Some("build"), 1))), ["named", "participants"]);
        let exit = Some(ShellExit::Exited(3));
        let end = SessionEnd { reason: EndReason::ShellEnded, exit };
        let ended = hear(FromBroker::SessionEnded { session: TWO.parse().unwrap(), end });
        assert_eq!((said(&ended), &ended[0]["status"]), (vec!["ended"], &json!(3)));
        assert_eq!(words(&ended[0]), "ended  bbbbbbbbbbbb  shell-ended  3");
        assert_eq!(said(&hear(is_now(TWO, Role::Watcher, None, 0))), ["shown"]);
        assert_eq!(said(&hear(FromBroker::SessionHidden(TWO.parse().unwrap()))), ["hidden"]);
    }

    #[test]
    fn what_changed_while_nobody_told_is_found_by_comparison() {
        let mut following = Following::default();
        following.begin(vec![ONE.parse().unwrap(), TWO.parse().unwrap()]);
        for id in [ONE, TWO] {
            following.hear(is_now(id, Role::Owner, None, 0));
        }
        const THREE: &str = "cccccccccccc";
        let again = following.begin(vec![TWO.parse().unwrap(), THREE.parse().unwrap()]);
        assert_eq!(said(&again), ["resumed", "gone"]);
        assert_eq!(again[1]["session"], ONE);
        assert_eq!(said(&following.hear(is_now(TWO, Role::Owner, Some("build"), 0))), ["named"]);
        assert_eq!(said(&following.hear(is_now(THREE, Role::Owner, None, 0))), ["opened"]);
    }

    #[test]
    fn the_manual_has_every_event() {
        let manual = include_str!("../../docs/man/tere.1");
        for what in [
            "following",
            "listed",
            "opened",
            "shown",
            "named",
            "participants",
            "ended",
            "hidden",
            "gone",
            "machine-stopped",
            "resumed",
        ] {
            assert!(manual.contains(&format!(".It Ql {what}\n")), "{what} is not in tere(1)");
        }
    }
}
