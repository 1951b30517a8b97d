//! The sessions of whoever runs the command: those of all accounts for root, for anybody else their
//! own and those that are shared with them.

use std::process::ExitCode;

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use serde_json::json;

use super::ask::{PrincipalChannel, Unanswered, block_on};
use super::completion;
use super::failure::Failure;
use super::host::Host;
use super::lobby::Lobby;
use super::picker::Line;
use super::show::{Format, show};
use super::{print, table, time};
use crate::clock;
use crate::names::{AccountName, Label, SessionId, Target};
use crate::protocol::principal::Ask;
use crate::protocol::vouch::Principal;
use crate::protocol::{Alert, GuestRole, Refusal, SessionSummary};

/// `tere list`.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Print JSON: an array of objects with session, account, target, opened (seconds since 1970),
    /// left (seconds until its time limit, or null), name, viewing (accounts, at most four), exec
    /// (whether it is a command without a terminal), and,
    /// if the worker answers, title, size, idle (seconds), viewers, and alert: the last one since
    /// which nobody has typed, with text (null for the bell) and ago (seconds), or null.
    #[arg(long)]
    json: bool,
    /// List what may be opened instead; with --json, an array of targets.
    #[arg(long)]
    targets: bool,
}

/// `tere show`.
#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    named: Named,
    /// Print JSON: an object with session, title, size, cursor, modes, the rows of the screen, and
    /// its lines and those of the scrollback, in which long lines are whole. See tere(1).
    #[arg(long, conflicts_with = "ansi")]
    json: bool,
    /// With --json, print the cells of the screen too, with colours and attributes.
    #[arg(long, requires = "json")]
    cells: bool,
    /// Print terminal bytes: printed to a terminal of the same size, they give the same screen,
    /// with colours and scrollback.
    #[arg(long)]
    ansi: bool,
}

/// `tere end`.
#[derive(Debug, Args)]
pub(super) struct End {
    #[command(flatten)]
    named: Named,
    /// Print JSON: an object with session.
    #[arg(long)]
    json: bool,
}

/// `tere name`.
#[derive(Debug, Args)]
pub(super) struct Name {
    #[command(flatten)]
    named: Named,
    /// The new name, up to 120 bytes. Without it, the session has none.
    #[arg(value_name = "NAME")]
    name: Option<Label>,
}

/// `tere share`.
#[derive(Debug, Args)]
pub(super) struct Share {
    #[command(flatten)]
    named: Named,
    /// The account to share it with.
    #[arg(value_name = "ACCOUNT")]
    account: AccountName,
    /// Let them type, not only watch.
    #[arg(long, conflicts_with = "stop")]
    write: bool,
    /// Share it with them no longer.
    #[arg(long)]
    stop: bool,
}

/// A session.
#[derive(Debug, Clone, Args)]
pub(super) struct Named {
    /// The session: its id or its name, as 'tere list' shows them, or the beginning of one.
    #[arg(value_name = "SESSION", add = ArgValueCompleter::new(completion::sessions))]
    session: String,
}

impl Named {
    /// This session.
    pub(super) fn of(session: &SessionId) -> Self {
        Self { session: session.to_string() }
    }

    /// What was written for the session.
    pub(super) fn text(&self) -> &str {
        &self.session
    }
}

const LIST: &str = "list the sessions";

/// Carries out `tere list`.
pub(super) fn list(List { json, targets }: &List, host: &Host) -> Result<ExitCode, Failure> {
    block_on(async {
        let failed = |error: Unanswered| error.failure(LIST);
        let mut channel = PrincipalChannel::vouched(host).await.map_err(failed)?;
        if *targets {
            let Lobby { targets, .. } = Lobby::of(&mut channel).await.map_err(failed)?;
            return print(&listed_targets(&targets, *json));
        }
        let Lobby { mut sessions, targets } = Lobby::of(&mut channel).await.map_err(failed)?;
        sessions.sort_by_key(|session| session.opened);
        if *json {
            return print(&serde_json::Value::from_iter(sessions.iter().map(object)).to_string());
        }
        print(&listed(&sessions, &targets))
    })
}

/// Carries out `tere show`.
pub(super) fn show_screen(
    Show { named, json, cells, ansi }: &Show,
    host: &Host,
) -> Result<ExitCode, Failure> {
    let format = match (json, cells, ansi) {
        (true, true, _) => Format::Cells,
        (true, false, _) => Format::Json,
        (false, _, true) => Format::Ansi,
        (false, _, false) => Format::Text,
    };
    let what = format!("show the session {}", named.session);
    block_on(async {
        let failed = |error: Unanswered| error.failure(&what);
        let mut channel = PrincipalChannel::vouched(host).await.map_err(failed)?;
        let session = named_session(&mut channel, named, &what).await?;
        let (_, viewer) = channel.ask(looking(&channel, &session), |_| {}).await.map_err(failed)?;
        // The view lasts as long as the channel.
        show(&session, viewer.ok_or_else(|| Failure::out_of_turn("tere-broker"))?, format)
    })
}

/// Carries out `tere end`.
pub(super) fn end(End { named, json }: &End, host: &Host) -> Result<ExitCode, Failure> {
    let what = format!("end the session {}", named.session);
    let session = ask_about(named, host, &what, |session| Ask::End { session })?;
    if *json {
        print(&json!({ "session": session }).to_string())
    } else {
        print(&format!("The session {session} is ending."))
    }
}

/// Carries out `tere name`.
pub(super) fn name(Name { named, name }: &Name, host: &Host) -> Result<ExitCode, Failure> {
    let what = format!("name the session {}", named.session);
    let session = ask_about(named, host, &what, |session| Ask::Name { session, name: name.clone() })?;
    match name {
        Some(name) => print(&format!("The session {session} is called {name}.")),
        None => print(&format!("The session {session} has no name.")),
    }
}

/// Carries out `tere share`.
pub(super) fn share(Share { named, account, write, stop }: &Share, host: &Host) -> Result<ExitCode, Failure> {
    let what = format!("share the session {}", named.session);
    let role = (!stop).then_some(if *write { GuestRole::Writer } else { GuestRole::Watcher });
    let session =
        ask_about(named, host, &what, |session| Ask::Share { session, account: account.clone(), role })?;
    print(&match role {
        Some(GuestRole::Writer) => format!("{account} may type in the session {session}."),
        Some(GuestRole::Watcher) => format!("{account} may watch the session {session}."),
        None => format!("The session {session} is no longer shared with {account}."),
    })
}

/// Sends one request about a session, and returns the session.
fn ask_about(
    named: &Named,
    host: &Host,
    what: &str,
    ask: impl FnOnce(SessionId) -> Ask,
) -> Result<SessionId, Failure> {
    block_on(async {
        let failed = |error: Unanswered| error.failure(what);
        let mut channel = PrincipalChannel::vouched(host).await.map_err(failed)?;
        let session = match named.session.parse() {
            Ok(session) => session,
            Err(_) => named_session(&mut channel, named, what).await?,
        };
        channel.ask(ask(session.clone()), |_| {}).await.map_err(failed)?;
        Ok(session)
    })
}

/// The request for a view that types nothing and leaves the size of the terminal as it is.
pub(super) fn looking(channel: &PrincipalChannel, session: &SessionId) -> Ask {
    let session = session.clone();
    match channel.principal {
        Principal::Operator => Ask::Show { session },
        Principal::Account(_) => Ask::AttachAs { session, role: GuestRole::Watcher },
    }
}

/// The session that was named.
pub(super) async fn named_session(
    channel: &mut PrincipalChannel,
    named: &Named,
    what: &str,
) -> Result<SessionId, Failure> {
    let Lobby { sessions, .. } = Lobby::of(channel).await.map_err(|error| error.failure(what))?;
    Ok(find(&sessions, &named.session)?.id.clone())
}

/// The target of an account that has only one.
pub(super) async fn only_target(channel: &mut PrincipalChannel, what: &str) -> Result<Target, Failure> {
    let Lobby { mut targets, .. } = Lobby::of(channel).await.map_err(|error| error.failure(what))?;
    if targets.len() > 1 {
        return Err(Failure {
            cause: format!("cannot {what}: there are {} targets", targets.len()),
            next: "Name one of those that 'tere list --targets' shows, or choose from the list that 'tere' alone shows.".to_owned(),
        });
    }
    targets.pop().ok_or_else(|| Failure::refused(what, Refusal::NotGranted))
}

/// What can be chosen from a list.
#[derive(Debug)]
pub(super) enum Chosen {
    Session(SessionId),
    Target(Target),
}

/// The list of what the person may come back to and open, and what each choice of it is.
pub(super) fn choices(host: &Host) -> Result<(Vec<Line>, Vec<Chosen>), Failure> {
    block_on(async {
        let failed = |error: Unanswered| error.failure(LIST);
        let mut channel = PrincipalChannel::vouched(host).await.map_err(failed)?;
        if channel.principal == Principal::Operator {
            return Err(Failure {
                cause: "root opens no shells, and has nothing to choose from".to_owned(),
                next: "'tere --help' shows what root does. 'tere list' lists the sessions.".to_owned(),
            });
        }
        let Lobby { mut sessions, targets } = Lobby::of(&mut channel).await.map_err(failed)?;
        // A command has no screen to come back to.
        sessions.retain(|session| !session.exec);
        let (mut lines, mut choices) = (Vec::new(), Vec::new());
        if !sessions.is_empty() {
            lines.push(Line::Heading("Still running".to_owned()));
            let table = sessions_table(&sessions);
            lines.extend(table.lines().skip(1).map(|line| Line::Choice(line.to_owned())));
            choices.extend(sessions.into_iter().map(|session| Chosen::Session(session.id)));
        }
        if !targets.is_empty() {
            lines.push(Line::Heading("Open a new one".to_owned()));
            lines.extend(targets.iter().map(|target| Line::Choice(target.to_string())));
            choices.extend(targets.into_iter().map(Chosen::Target));
        }
        if choices.is_empty() {
            return Err(Failure::refused("open a shell", Refusal::NotGranted));
        }
        Ok((lines, choices))
    })
}

/// The sessions that this account opened.
pub(super) fn of(account: &AccountName, host: &Host) -> Result<Vec<SessionSummary>, Failure> {
    block_on(async {
        let failed = |error: Unanswered| error.failure(LIST);
        let mut channel = PrincipalChannel::vouched(host).await.map_err(failed)?;
        let Lobby { mut sessions, .. } = Lobby::of(&mut channel).await.map_err(failed)?;
        sessions.retain(|session| session.owner == *account);
        Ok(sessions)
    })
}

/// The session whose id or name this is, or the only one whose id or name begins with it.
fn find<'a>(sessions: &'a [SessionSummary], text: &str) -> Result<&'a SessionSummary, Failure> {
    let name = |session: &SessionSummary| session.name.as_ref().map(ToString::to_string);
    let is =
        |session: &&SessionSummary| session.id.as_str() == text || name(session).as_deref() == Some(text);
    let begins = |session: &&SessionSummary| {
        session.id.as_str().starts_with(text) || name(session).is_some_and(|name| name.starts_with(text))
    };
    let next =
        "'tere list' shows those that live. How another ended is in the journal: journalctl TERE_SESSION=ID";
    let exact: Vec<_> = sessions.iter().filter(is).collect();
    let found = if exact.is_empty() { sessions.iter().filter(begins).collect() } else { exact };
    match *found {
        [] => Err(Failure { cause: format!("there is no session {text}"), next: next.to_owned() }),
        [one] => Ok(one),
        [..] => {
            let ids: Vec<_> = found.iter().map(|session| session.id.as_str()).collect();
            let cause = format!("{text} may be any of {}", ids.join(", "));
            Err(Failure { cause, next: "Write more of one of them.".to_owned() })
        }
    }
}

fn listed(sessions: &[SessionSummary], targets: &[Target]) -> String {
    match (sessions.is_empty(), targets) {
        (false, _) => sessions_table(sessions),
        (true, []) => "No session is open.".to_owned(),
        (true, targets) => format!(
            "No session is open. 'tere open TARGET' opens one on:\n\n{}",
            listed_targets(targets, false)
        ),
    }
}

/// A row for each session, under a head.
fn sessions_table(sessions: &[SessionSummary]) -> String {
    let now = clock::now();
    let row = |session: &SessionSummary| {
        let about = session.about.as_ref();
        let title = about.and_then(|about| about.title.as_ref());
        vec![
            session.id.to_string(),
            session.owner.to_string(),
            session.target.to_string(),
            time::relative(session.opened, now),
            about
                .map_or_else(String::new, |about| time::relative(now.saturating_sub(about.idle.into()), now)),
            about.map_or_else(String::new, |about| about.viewers.to_string()),
            match session.name.as_ref().or(title) {
                Some(label) => label.to_string(),
                None if session.exec => "(a command)".to_owned(),
                None => String::new(),
            },
            alert(about.and_then(|about| about.alert.as_ref())),
        ]
    };
    let head = ["SESSION", "ACCOUNT", "TARGET", "OPENED", "ACTIVE", "VIEWERS", "NAME", "ALERT"];
    table(&head, sessions.iter().map(row).collect())
}

/// An alert as the table shows it.
fn alert(alert: Option<&Alert>) -> String {
    match alert.map(|alert| &alert.text) {
        None => String::new(),
        Some(None) => "(bell)".to_owned(),
        Some(Some(text)) => text.to_string(),
    }
}

fn listed_targets(targets: &[Target], json: bool) -> String {
    let targets: Vec<_> = targets.iter().map(ToString::to_string).collect();
    if json {
        json!(targets).to_string()
    } else if targets.is_empty() {
        "Nothing may be opened. Ask whoever runs this host for a grant.".to_owned()
    } else {
        targets.join("\n")
    }
}

/// A session as JSON.
pub(super) fn object(session: &SessionSummary) -> serde_json::Value {
    let about = session.about.as_ref();
    json!({
        "session": session.id,
        "account": session.owner,
        "target": session.target.to_string(),
        "opened": session.opened,
        "left": session.left,
        "name": session.name,
        "viewing": session.viewing,
        "exec": session.exec,
        "title": about.map(|about| &about.title),
        "size": about.map(|about| about.size),
        "idle": about.map(|about| about.idle),
        "viewers": about.map(|about| about.viewers),
        "alert": about.map(|about| &about.alert),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::protocol::Role;

    /// A session of alice's.
    pub(in crate::cli) fn summary(id: &str, name: Option<&str>) -> SessionSummary {
        SessionSummary {
            id: id.parse().unwrap(),
            target: "dev@web1".parse().unwrap(),
            opened: 1,
            left: None,
            touch: false,
            owner: "alice".parse().unwrap(),
            role: Role::Watcher,
            name: name.map(|name| name.parse().unwrap()),
            viewing: Vec::new(),
            about: None,
            exec: false,
        }
    }

    #[test]
    fn the_help_says_all_that_a_list_for_programs_has() {
        let mut list = List::augment_args(clap::Command::new("list"));
        let help = list.render_long_help().to_string();
        let words: Vec<_> = help.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        for key in object(&summary("abcdefghijkl", None)).as_object().unwrap().keys() {
            assert!(words.contains(&key.as_str()), "{key} is not in: {help}");
        }
    }

    #[test]
    fn a_session_is_found_by_its_id_its_name_or_the_beginning_of_one() {
        let all = [
            summary("abcdefghijkl", Some("build")),
            summary("abzzzzzzzzzz", Some("builder")),
            summary("czzzzzzzzzzz", None),
        ];
        let found = |text: &str| find(&all, text).map(|session| session.id.to_string()[..3].to_owned());
        for (text, id) in
            [("abcdefghijkl", "abc"), ("abc", "abc"), ("build", "abc"), ("builder", "abz"), ("c", "czz")]
        {
            assert_eq!(found(text).unwrap(), id);
        }
        assert!(found("bui").unwrap_err().cause.contains("abcdefghijkl, abzzzzzzzzzz"));
        assert!(found("x").unwrap_err().cause.contains("no session x"));
    }
}
