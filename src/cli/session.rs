use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::ask::Operator;
use super::failure::Failure;
use super::show::{Format, show};
use super::{print, table, time};
use crate::clock;
use crate::names::{AccountName, SessionId};
use crate::protocol::SessionSummary;
use crate::protocol::principal::{Answer, Ask, SESSIONS_A_PAGE};

/// The subcommands for sessions.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the sessions of all accounts.
    List {
        /// Print JSON: an array of objects with session, account, target, opened (seconds since
        /// 1970), left (seconds until its time limit, or null), name, viewing (accounts, at most
        /// four), and, if the worker answers, title, size, idle (seconds), viewers.
        #[arg(long)]
        json: bool,
    },
    /// Print the screen of a session as it is now. The journal records that it was looked at.
    Show {
        /// The session's id, as 'tere session list' shows it.
        #[arg(value_name = "ID")]
        session: SessionId,
        /// Print JSON: an object with session, title, size, cursor, and the lines of screen and
        /// scrollback as text.
        #[arg(long, conflicts_with = "ansi")]
        json: bool,
        /// Print terminal bytes: printed to a terminal of the same size, they give the same screen,
        /// with colours and scrollback.
        #[arg(long)]
        ansi: bool,
    },
    /// End a session: its shell is hung up, as when a terminal is closed.
    End {
        /// The session's id, as 'tere session list' shows it.
        #[arg(value_name = "ID")]
        session: SessionId,
        /// Print JSON: an object with session.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(command: Command, runtime_dir: &Path) -> Result<ExitCode, Failure> {
    match command {
        Command::List { json } => {
            let mut sessions = all(Operator::vouched(runtime_dir, LIST)?)?;
            sessions.sort_by_key(|session| session.opened);
            list(sessions, json)
        }
        Command::Show { session, json, ansi } => {
            let what = format!("show the session {session}");
            let mut operator = Operator::vouched(runtime_dir, &what)?;
            let format = match (json, ansi) {
                (true, _) => Format::Json,
                (false, true) => Format::Ansi,
                (false, false) => Format::Text,
            };
            match operator.ask(Ask::Show { session: session.clone() }, &what)? {
                (Answer::Opened { .. }, descriptors) => {
                    let viewer = descriptors.into_iter().next();
                    show(&session, viewer.ok_or_else(|| Failure::out_of_turn("tere-broker"))?, format)
                }
                (
                    Answer::Lobby { .. }
                    | Answer::Named
                    | Answer::Changed
                    | Answer::Shared
                    | Answer::Ending
                    | Answer::AllSessions(_)
                    | Answer::Refused(_),
                    _,
                ) => Err(Failure::out_of_turn("tere-broker")),
            }
        }
        Command::End { session, json } => {
            let what = format!("end the session {session}");
            let mut operator = Operator::vouched(runtime_dir, &what)?;
            match operator.ask(Ask::End { session: session.clone() }, &what)?.0 {
                Answer::Ending if json => print(&json!({ "session": session }).to_string()),
                Answer::Ending => print(&format!("The session {session} is ending.")),
                Answer::Lobby { .. }
                | Answer::Opened { .. }
                | Answer::Named
                | Answer::Changed
                | Answer::Shared
                | Answer::AllSessions(_)
                | Answer::Refused(_) => Err(Failure::out_of_turn("tere-broker")),
            }
        }
    }
}

const LIST: &str = "list the sessions";

/// The sessions that this account opened.
pub(super) fn of(account: &AccountName, runtime_dir: &Path) -> Result<Vec<SessionSummary>, Failure> {
    let mut sessions = all(Operator::vouched(runtime_dir, LIST)?)?;
    sessions.retain(|session| session.owner == *account);
    Ok(sessions)
}

/// Fetches all pages of the list.
fn all(mut operator: Operator) -> Result<Vec<SessionSummary>, Failure> {
    let mut all: Vec<SessionSummary> = Vec::new();
    loop {
        let after = all.last().map(|session| session.id.clone());
        match operator.ask(Ask::AllSessions { after }, LIST)?.0 {
            Answer::AllSessions(page) => {
                let last = page.len() < SESSIONS_A_PAGE;
                all.extend(page);
                if last {
                    return Ok(all);
                }
            }
            Answer::Lobby { .. }
            | Answer::Opened { .. }
            | Answer::Named
            | Answer::Changed
            | Answer::Shared
            | Answer::Ending
            | Answer::Refused(_) => return Err(Failure::out_of_turn("tere-broker")),
        }
    }
}

fn list(sessions: Vec<SessionSummary>, json: bool) -> Result<ExitCode, Failure> {
    if json {
        return print(&serde_json::Value::from_iter(sessions.iter().map(object)).to_string());
    }
    if sessions.is_empty() {
        return print("No session is open.");
    }
    let now = clock::now();
    let row = |session: SessionSummary| {
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
            session.name.as_ref().or(title).map_or_else(String::new, ToString::to_string),
        ]
    };
    let head = ["SESSION", "ACCOUNT", "TARGET", "OPENED", "ACTIVE", "VIEWERS", "NAME"];
    print(&table(&head, sessions.into_iter().map(row).collect()))
}

/// A session as JSON.
fn object(session: &SessionSummary) -> serde_json::Value {
    let about = session.about.as_ref();
    json!({
        "session": session.id,
        "account": session.owner,
        "target": session.target.to_string(),
        "opened": session.opened,
        "left": session.left,
        "name": session.name,
        "viewing": session.viewing,
        "title": about.map(|about| &about.title),
        "size": about.map(|about| about.size),
        "idle": about.map(|about| about.idle),
        "viewers": about.map(|about| about.viewers),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Role;

    #[test]
    fn the_help_says_all_that_a_list_for_programs_has() {
        let summary = SessionSummary {
            id: "abcdefghijkl".parse().unwrap(),
            target: "dev@web1".parse().unwrap(),
            opened: 1,
            left: None,
            touch: false,
            owner: "alice".parse().unwrap(),
            role: Role::Watcher,
            name: None,
            viewing: Vec::new(),
            about: None,
        };
        let mut command = Command::augment_subcommands(clap::Command::new("session"));
        let list = command.find_subcommand_mut("list").unwrap();
        let help = list.render_long_help().to_string();
        let words: Vec<_> = help.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        for key in object(&summary).as_object().unwrap().keys() {
            assert!(words.contains(&key.as_str()), "{key} is not in: {help}");
        }
    }
}
