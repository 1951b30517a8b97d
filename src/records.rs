//! Journal records: one per decision, with fields such as `TERE_ACCOUNT`, `TERE_SESSION`,
//! `TERE_MACHINE` and `TERE_REFUSAL`, named after the tracing fields. Terminal bytes and secrets
//! are never recorded.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Sends records to the journal if standard error is connected to it (see `JOURNAL_STREAM` in
/// systemd.exec(5)), and to standard error otherwise. `TERE_LOG` sets the level.
pub fn start(program: &str) {
    start_with(program, std::env::var_os("JOURNAL_STREAM").is_some());
}

/// The same for a program that people run too: its records belong in the journal even then.
pub fn start_in_journal(program: &str) {
    start_with(program, true);
}

fn start_with(program: &str, in_journal: bool) {
    let level = std::env::var("TERE_LOG").ok().and_then(|level| level.parse().ok());
    // webauthn-rs would record challenges and whole credentials at levels that `TERE_LOG` can
    // enable. auth's own record says why a login was refused.
    let filter = Targets::new()
        .with_default(level.unwrap_or(LevelFilter::INFO))
        .with_target("webauthn_rs", LevelFilter::OFF)
        .with_target("webauthn_rs_core", LevelFilter::OFF);
    let registry = tracing_subscriber::registry().with(filter);
    let journal = in_journal.then(tracing_journald::layer).and_then(Result::ok);
    match journal {
        Some(layer) => {
            let layer = layer.with_field_prefix(Some("TERE".into())).with_syslog_identifier(program.into());
            registry.with(layer).init();
        }
        None => registry.with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr)).init(),
    }
}
