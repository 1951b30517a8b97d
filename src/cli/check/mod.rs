//! `tere check`: checks everything that tere needs. Each check returns findings. A finding that
//! something is wrong says how to fix it.

mod accounts;
mod builds;
mod bus;
mod disk;
mod files;
mod host_rule;
mod inotify;
mod network;
mod page;
mod proxy;
mod sandboxes;
mod templates;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use zbus_systemd::zbus;

use super::failure::Failure;
use super::print;
use crate::config::Config;

/// The options of `tere check`.
#[derive(Debug, Args)]
pub(super) struct Flags {
    /// The configuration file to check.
    #[arg(long, value_name = "FILE", default_value = CONFIGURATION)]
    config: PathBuf,
    /// Print JSON: an array of objects with what, state (ok, wrong or unknown), found, fix.
    #[arg(long)]
    json: bool,
}

/// The configuration in force. A file elsewhere is checked before it is installed, and nothing else
/// reads it.
const CONFIGURATION: &str = "/etc/tere/tere.toml";

/// The next step if only root may look.
const AS_ROOT: &str = "Run 'tere check' as root.";

/// How long each answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The result of one check.
#[derive(Debug)]
struct Finding {
    /// The thing that was checked.
    what: String,
    state: FindingState,
    /// What the check found.
    found: String,
}

/// The state of the thing that was checked.
#[derive(Debug)]
enum FindingState {
    Ok,
    /// Wrong, with the way to fix it.
    Wrong(String),
    /// It could not be checked, with the way to make that possible.
    Unknown(String),
}

impl Finding {
    fn ok(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { what: what.into(), state: FindingState::Ok, found: found.into() }
    }

    fn wrong(what: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), state: FindingState::Wrong(fix.into()), found: found.into() }
    }

    fn unknown(what: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), state: FindingState::Unknown(fix.into()), found: found.into() }
    }

    fn for_people(&self) -> String {
        let (mark, fix) = match &self.state {
            FindingState::Ok => ("ok     ", None),
            FindingState::Wrong(fix) => ("WRONG  ", Some(fix)),
            FindingState::Unknown(fix) => ("?      ", Some(fix)),
        };
        // A finding may have several lines, such as an excerpt of a file.
        let found = self.found.replace('\n', "\n       ");
        let fix = fix.map(|fix| format!("\n       → {fix}")).unwrap_or_default();
        format!("{mark}{}: {found}{fix}", self.what)
    }

    fn for_programs(&self) -> serde_json::Value {
        let (state, fix) = match &self.state {
            FindingState::Ok => ("ok", None),
            FindingState::Wrong(fix) => ("wrong", Some(fix)),
            FindingState::Unknown(fix) => ("unknown", Some(fix)),
        };
        json!({ "what": self.what, "state": state, "found": self.found, "fix": fix })
    }
}

/// Waits for an answer. If it fails or does not come within [`PATIENCE`], returns the reason in one
/// line.
async fn within<T>(asked: impl Future<Output = zbus::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(error.to_string().replace('\n', " ")),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

pub(super) fn run(flags: &Flags, runtime_dir: &Path) -> Result<ExitCode, Failure> {
    let mut findings = vec![files::configuration(&flags.config)];
    if flags.config == Path::new(CONFIGURATION) && flags.config.exists() {
        findings.push(files::readable_by_broker(&flags.config));
    }
    findings.extend(sandboxes::kernel());
    findings.extend(bus::look());
    findings.push(files::polkit_rule());
    findings.extend(files::sockets(runtime_dir));
    findings.extend(builds::look(runtime_dir));
    findings.push(accounts::look(runtime_dir));
    // tere-front serves the address of the configuration in force only.
    if flags.config == Path::new(CONFIGURATION)
        && let Ok(config) = Config::load(&flags.config)
    {
        findings.extend(host_rule::look(&config));
        findings.extend(templates::look(&config));
        findings.extend(disk::look(&config));
        findings.extend(inotify::look(&config));
        findings.extend(network::look(&config));
        findings.extend(config.proxy.map(|_| proxy::look()));
        findings.push(page::look(&config.origin));
    }
    if flags.json {
        let all = findings.iter().map(Finding::for_programs);
        print(&serde_json::Value::from_iter(all).to_string())?;
    } else {
        let all: Vec<_> = findings.iter().map(Finding::for_people).collect();
        print(&format!("{}\n\n{}", all.join("\n"), summary(&findings)))?;
    }
    let wrong = findings.iter().any(|finding| matches!(finding.state, FindingState::Wrong(_)));
    Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn summary(findings: &[Finding]) -> String {
    let count = |wanted: fn(&FindingState) -> bool| findings.iter().filter(|one| wanted(&one.state)).count();
    let wrong = count(|state| matches!(state, FindingState::Wrong(_)));
    let unknown = count(|state| matches!(state, FindingState::Unknown(_)));
    match (wrong, unknown) {
        (0, 0) => "All is well.".to_owned(),
        (0, unknown) => format!("Nothing wrong was found, but {unknown} could not be looked at."),
        (1, _) => "One thing is wrong.".to_owned(),
        (wrong, _) => format!("{wrong} things are wrong."),
    }
}
