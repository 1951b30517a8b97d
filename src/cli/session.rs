use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::ask::Operator;
use super::failure::Failure;
use super::{print, table, time};
use crate::names::SessionId;
use crate::protocol::principal::{Answer, Ask, OwnedSession, SESSIONS_A_PAGE};

/// What can be done with sessions.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the sessions of everybody.
    List {
        /// Print JSON: an array of objects with session, account, target, opened (seconds since
        /// 1970).
        #[arg(long)]
        json: bool,
    },
    /// End a session: its shell is hung up, as when a terminal is closed.
    End {
        /// The session's id, as 'tere session list' shows it.
        #[arg(value_name = "ID")]
        session: SessionId,
    },
}

pub(super) fn run(command: Command, runtime_dir: &Path) -> Result<ExitCode, Failure> {
    match command {
        Command::List { json } => {
            let mut sessions = all(Operator::vouched(runtime_dir, LIST)?)?;
            sessions.sort_by_key(|owned| owned.session.opened);
            list(sessions, json)
        }
        Command::End { session } => {
            let what = format!("end the session {session}");
            let mut operator = Operator::vouched(runtime_dir, &what)?;
            match operator.ask(Ask::End { session: session.clone() }, &what)? {
                Answer::Ending => print(&format!("The session {session} is ending.")),
                Answer::Lobby { .. }
                | Answer::Opened { .. }
                | Answer::AllSessions(_)
                | Answer::Refused(_) => Err(Failure::out_of_turn("tere-broker")),
            }
        }
    }
}

const LIST: &str = "list the sessions";

/// Every page of the list.
fn all(mut operator: Operator) -> Result<Vec<OwnedSession>, Failure> {
    let mut all: Vec<OwnedSession> = Vec::new();
    loop {
        let after = all.last().map(|owned| owned.session.id.clone());
        match operator.ask(Ask::AllSessions { after }, LIST)? {
            Answer::AllSessions(page) => {
                let last = page.len() < SESSIONS_A_PAGE;
                all.extend(page);
                if last {
                    return Ok(all);
                }
            }
            Answer::Lobby { .. } | Answer::Opened { .. } | Answer::Ending | Answer::Refused(_) => {
                return Err(Failure::out_of_turn("tere-broker"));
            }
        }
    }
}

fn list(sessions: Vec<OwnedSession>, json: bool) -> Result<ExitCode, Failure> {
    if json {
        let object = |OwnedSession { owner, session }: OwnedSession| {
            json!({
                "session": session.id,
                "account": owner,
                "target": session.target.to_string(),
                "opened": session.opened,
            })
        };
        return print(&serde_json::Value::from_iter(sessions.into_iter().map(object)).to_string());
    }
    if sessions.is_empty() {
        return print("No session is open.");
    }
    let now = time::now();
    let row = |OwnedSession { owner, session }: OwnedSession| {
        let opened = time::told(session.opened, now);
        vec![session.id.to_string(), owner.to_string(), session.target.to_string(), opened]
    };
    print(&table(&["SESSION", "ACCOUNT", "TARGET", "OPENED"], sessions.into_iter().map(row).collect()))
}
