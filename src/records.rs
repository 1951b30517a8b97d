//! Journal records: one a decision, with fields `TERE_ACCOUNT`, `TERE_SESSION`, `TERE_MACHINE`,
//! `TERE_REFUSAL` and the like, named as the tracing fields are. Terminal bytes and secrets are
//! never among them.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Sends records to the journal where standard error is the journal's (see `JOURNAL_STREAM` in
/// systemd.exec(5)), and to standard error otherwise. `TERE_LOG` sets the level.
pub fn start(program: &str) {
    let mut filter = EnvFilter::try_from_env("TERE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // These would record challenges and whole credentials, at a level that somebody may ask for.
    // What they have to say of a refused login, auth's own record says.
    for silent in ["webauthn_rs=off", "webauthn_rs_core=off"] {
        filter = silent.parse().map_or(EnvFilter::new("info"), |directive| filter.add_directive(directive));
    }
    let registry = tracing_subscriber::registry().with(filter);
    let journal = std::env::var_os("JOURNAL_STREAM").and_then(|_| tracing_journald::layer().ok());
    match journal {
        Some(layer) => {
            let layer = layer.with_field_prefix(Some("TERE".into())).with_syslog_identifier(program.into());
            registry.with(layer).init();
        }
        None => registry.with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr)).init(),
    }
}
