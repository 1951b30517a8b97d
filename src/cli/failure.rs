use crate::protocol::Refusal;
use crate::wire::WireError;

/// Why a command did not do what it was asked: one line for the cause, one for the next step.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) cause: String,
    pub(super) next: String,
}

impl Failure {
    /// auth or the broker refuses `what`, which completes "cannot".
    pub(super) fn refused(what: &str, refusal: Refusal) -> Self {
        let next = match refusal {
            Refusal::NotOperator => "Only root may do this. Run it again with sudo.",
            Refusal::TooMany => "There are as many as tere can keep. Remove some first.",
            Refusal::NoSuchSession => "There is no such session. 'tere session list' shows them.",
            Refusal::StorageFailed => {
                "tere-auth could not store this, and nothing has changed. Is the disk full? 'journalctl -u tere-auth' tells more."
            }
            Refusal::MayNotLast => {
                "This is done, but the disk failed: a power cut may undo it. 'journalctl -u tere-auth' tells more, and 'tere account list' shows what there is."
            }
            Refusal::Unavailable => {
                "A part of tere is not running. 'tere check' says which, and how to mend it."
            }
            Refusal::BadMessage | Refusal::VersionMismatch => RESTART,
            // The rest say the same to everybody.
            Refusal::UnknownPasskey
            | Refusal::ChallengeExpired
            | Refusal::LinkInvalid
            | Refusal::PasskeyRegistered
            | Refusal::NotGranted
            | Refusal::MachineUnavailable
            | Refusal::MachineWithoutBus
            | Refusal::MachinedUnavailable
            | Refusal::ShellTimedOut
            | Refusal::ShellRefused
            | Refusal::WorkerUnavailable
            | Refusal::NotShareable
            | Refusal::Yourself
            | Refusal::Busy
            | Refusal::AccountExists
            | Refusal::AccountUnusable
            | Refusal::NoSuchAccount
            | Refusal::NotRevoked
            | Refusal::PasskeysFull => refusal.sentence(),
        };
        Self { cause: format!("cannot {what}: {refusal}"), next: next.to_owned() }
    }

    /// The channel to `whom` failed.
    pub(super) fn channel(whom: &str, error: &WireError) -> Self {
        let next = match error {
            WireError::WrongVersion { .. }
            | WireError::Unreadable { .. }
            | WireError::TrailingBytes { .. }
            | WireError::WrongDescriptors { .. }
            | WireError::WrongIntent { .. }
            | WireError::OutOfTurn
            | WireError::NoGreeting
            | WireError::Oversize => RESTART,
            WireError::Closed | WireError::TimedOut | WireError::Io(_) => {
                "Is tere running? 'tere check' says what is wrong, and how to mend it."
            }
        };
        Self { cause: format!("cannot talk to {whom}: {error}"), next: next.to_owned() }
    }

    /// An answer that does not belong to the question.
    pub(super) fn out_of_turn(whom: &str) -> Self {
        Self { cause: format!("{whom} answers what it was not asked"), next: RESTART.to_owned() }
    }
}

const RESTART: &str = "tere and its services are of different versions. Restart them: systemctl restart tere-front tere-auth tere-broker";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_is_not_said_to_have_changed_nothing() {
        let next = |refusal| Failure::refused("remove the account alice", refusal).next;
        assert!(next(Refusal::StorageFailed).contains("nothing has changed"));
        for refusal in [Refusal::MayNotLast, Refusal::NotRevoked] {
            assert!(!next(refusal).contains("nothing has changed"), "{refusal}");
        }
    }
}
