use std::path::Path;

use super::Finding;
use crate::cli::account::{Unusable, unusable};
use crate::cli::failure::Failure;

/// Asks auth, because only auth can read the account files.
pub(super) fn look(runtime_dir: &Path) -> Finding {
    finding(unusable(runtime_dir))
}

fn finding(asked: Result<Vec<Unusable>, Failure>) -> Finding {
    const WHAT: &str = "account files";
    let files = match asked {
        Ok(files) if files.is_empty() => return Finding::ok(WHAT, "all can be used"),
        Ok(files) => files,
        Err(failure) => return Finding::unknown(WHAT, failure.cause, failure.next),
    };
    let found: Vec<_> = files
        .iter()
        .map(|one| {
            let whose = one.account.as_ref().map(|account| format!(" (of {account})")).unwrap_or_default();
            format!("{}{whose} cannot be used", one.path.display())
        })
        .collect();
    Finding::wrong(
        WHAT,
        found.join("\n"),
        "journalctl -u tere-auth says why. Mend the file; then: systemctl restart tere-auth. Or: tere account remove NAME",
    )
}

#[cfg(test)]
mod tests {
    use super::super::FindingState;
    use super::*;

    #[test]
    fn a_file_that_cannot_be_used_is_wrong_and_named() {
        assert!(matches!(finding(Ok(Vec::new())).state, FindingState::Ok));
        assert!(matches!(finding(Err(Failure::out_of_turn("tere-auth"))).state, FindingState::Unknown(_)));
        let unusable = Unusable { account: Some("alice".parse().unwrap()), path: "/x/1.json".into() };
        let finding = finding(Ok(vec![unusable]));
        assert!(matches!(finding.state, FindingState::Wrong(_)));
        assert!(finding.found.contains("/x/1.json (of alice)"), "{}", finding.found);
    }
}
