//! What a shell offers for a session or a target when somebody presses Tab. Only ids and targets
//! are offered, which have no character that a shell would not take as it is; a session's name is
//! said beside its id.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use clap_complete::CompletionCandidate;

use super::ask::{PrincipalChannel, block_on};
use super::failure::Failure;
use super::host::Host;
use super::lobby::Lobby;

/// The variable with the name of the shell that asks for completions.
pub(super) const VARIABLE: &str = "TERE_COMPLETE";

/// How long the answer may take. A shell that waits longer seems to hang; it offers nothing then.
const PATIENCE: Duration = Duration::from_secs(2);

/// The sessions.
pub(super) fn sessions(begun: &OsStr) -> Vec<CompletionCandidate> {
    let sessions = lobby().sessions.into_iter().map(|session| {
        let name = session.name.map(|name| format!("{} {name}", session.target));
        (session.id.to_string(), name.unwrap_or_else(|| session.target.to_string()))
    });
    offered(sessions, begun)
}

/// The targets.
pub(super) fn targets(begun: &OsStr) -> Vec<CompletionCandidate> {
    offered(lobby().targets.into_iter().map(|target| (target.to_string(), String::new())), begun)
}

fn offered(all: impl Iterator<Item = (String, String)>, begun: &OsStr) -> Vec<CompletionCandidate> {
    let begun = begun.to_string_lossy();
    let fitting = all.filter(|(value, _)| value.starts_with(&*begun));
    let candidate = |(value, help): (String, String)| {
        CompletionCandidate::new(value).help((!help.is_empty()).then(|| help.into()))
    };
    fitting.map(candidate).collect()
}

/// What there is; nothing if the broker does not say.
fn lobby() -> Lobby {
    let Ok(host) = Host::chosen(None, &runtime_dir()) else { return Lobby::default() };
    let asked = block_on(async {
        let lobby = async {
            let mut channel = PrincipalChannel::vouched(&host).await?;
            Lobby::of(&mut channel).await
        };
        Ok::<_, Failure>(tokio::time::timeout(PATIENCE, lobby).await)
    });
    asked.ok().and_then(Result::ok).and_then(Result::ok).unwrap_or_default()
}

/// The folder that is given on the command line, which is not parsed while it is completed.
fn runtime_dir() -> PathBuf {
    let mut arguments = std::env::args_os().skip_while(|argument| argument != "--runtime-dir").skip(1);
    arguments.next().map_or_else(|| "/run/tere".into(), PathBuf::from)
}
