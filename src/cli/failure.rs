use std::io::{self, Write as _};

use crate::client::ClientError;
use crate::names::SessionId;
use crate::protocol::{EndReason, Refusal, SessionEnd, ShellExit};
use crate::wire::WireError;

/// Why a command failed: one line for the cause, one for the next step.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) cause: String,
    pub(super) next: String,
}

/// Whether a refusal may be over in a moment.
pub(super) fn is_for_now(refusal: Refusal) -> bool {
    matches!(refusal, Refusal::Unavailable | Refusal::WorkerUnavailable | Refusal::TooMany | Refusal::Busy)
}

impl Failure {
    /// Says it to people.
    pub(super) fn say(&self) {
        // If standard error is closed, nobody can read the message anyway.
        drop(writeln!(io::stderr(), "tere: {}\n      {}", self.cause, self.next));
    }

    /// auth or the broker refused the request. `what` completes the error message "cannot ...".
    pub(super) fn refused(what: &str, refusal: Refusal) -> Self {
        let next = match refusal {
            Refusal::NotOperator => "Only root may do this. Run it again with sudo.",
            Refusal::TooMany => "There are as many as tere can keep. Remove some first.",
            Refusal::NoSuchSession => {
                "'tere list' shows those that live. How another ended is in the journal: journalctl TERE_SESSION=ID"
            }
            Refusal::StorageFailed => {
                "tere-auth could not store this, and nothing has changed. Is the disk full? 'journalctl -u tere-auth' tells more."
            }
            Refusal::MayNotLast => {
                "This is done, but the disk failed: a power cut may undo it. 'journalctl -u tere-auth' tells more, and 'tere account list' shows what there is."
            }
            Refusal::Unavailable => {
                "A part of tere is not running. 'tere check' says which, and how to fix it."
            }
            Refusal::TouchRequired => "It needs a touch of your passkey: open it in the page.",
            Refusal::BadMessage | Refusal::VersionMismatch => RESTART,
            // The sentences for the other refusals suit the operator too.
            Refusal::UnknownPasskey
            | Refusal::ChallengeExpired
            | Refusal::LinkInvalid
            | Refusal::PasskeyRegistered
            | Refusal::NotGranted
            | Refusal::MachineUnavailable
            | Refusal::MachineNotMade
            | Refusal::NoSuchMachine
            | Refusal::MachineExists
            | Refusal::MachineInUse
            | Refusal::TooManyMachines
            | Refusal::ChangeUnderWay
            | Refusal::NotChanged
            | Refusal::MachineWithoutBus
            | Refusal::MachinedUnavailable
            | Refusal::ShellTimedOut
            | Refusal::ShellRefused
            | Refusal::WorkerUnavailable
            | Refusal::NoTouchNeeded
            | Refusal::TouchStale
            | Refusal::TouchSpent
            | Refusal::PasskeyOfAnother
            | Refusal::ReasonRequired
            | Refusal::NotATerminal
            | Refusal::NotShareable
            | Refusal::OnlyToWatch
            | Refusal::Yourself
            | Refusal::Busy
            | Refusal::TooManyFailures
            | Refusal::NoAccountOfUser
            | Refusal::UnixUserTaken
            | Refusal::AccountExists
            | Refusal::AccountUnusable
            | Refusal::NoSuchAccount
            | Refusal::NotRevoked
            | Refusal::NotByKey
            | Refusal::UnknownKey
            | Refusal::KeyExpired
            | Refusal::ResumeOver
            | Refusal::CodeInvalid
            | Refusal::KeyDeclined
            | Refusal::KeysFull
            | Refusal::NoSuchKey
            | Refusal::PasskeysFull => refusal.sentence(),
        };
        Self { cause: format!("cannot {what}: {refusal}"), next: next.to_owned() }
    }

    /// A host from afar cannot be used. `what` completes the error message "cannot ...".
    pub(super) fn afar(what: &str, error: &ClientError) -> Self {
        let next = match error {
            ClientError::Unreachable { .. } => {
                "Is the network there, and the address right? Open it in a browser."
            }
            ClientError::NotTere { .. } => {
                "Is it the address of the page? A proxy there has to pass WebSockets on. If it is of another version, use the tere of that version."
            }
            ClientError::NoRoots { .. } => "Install ca-certificates, or set SSL_CERT_FILE.",
            ClientError::Lost => "Try again.",
            ClientError::OutOfTurn | ClientError::Channel(_) | ClientError::Refused(_) => {
                "Is this tere of another version than the host's? Use one of that version."
            }
        };
        Self { cause: format!("cannot {what}: {error}"), next: next.to_owned() }
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
                "Is tere running? 'tere check' says what is wrong, and how to fix it."
            }
        };
        Self { cause: format!("cannot talk to {whom}: {error}"), next: next.to_owned() }
    }

    /// The session to look at has ended.
    pub(super) fn over(session: &SessionId, SessionEnd { reason, exit }: SessionEnd) -> Self {
        let how = match (reason, exit) {
            (EndReason::ShellEnded, Some(ShellExit::Exited(status))) => {
                format!("its shell has ended (exit status {status})")
            }
            (EndReason::ShellEnded, Some(ShellExit::Killed(signal))) => {
                format!("its shell was killed (SIG{})", ShellExit::Killed(signal))
            }
            (EndReason::ShellEnded, None) => "its shell has ended".to_owned(),
            (EndReason::NeverStarted, _) => "its shell did not start".to_owned(),
            (EndReason::MachineGone, _) => "its machine went away".to_owned(),
            (EndReason::EndedByRequest, _) => "it was ended on request".to_owned(),
            (EndReason::TimeLimit, _) => "it reached its time limit".to_owned(),
            (EndReason::WorkerGone, _) => "its process went away".to_owned(),
            (EndReason::ViewClosed | EndReason::ViewLost, _) => {
                return Self {
                    cause: format!("the view of the session {session} was closed ({reason})"),
                    next: "The session goes on. Try again.".to_owned(),
                };
            }
        };
        Self {
            cause: format!("the session {session} is over: {how}"),
            next: format!("The rest is in the journal: journalctl TERE_SESSION={session}"),
        }
    }

    /// The answer does not match the request.
    pub(super) fn out_of_turn(whom: &str) -> Self {
        Self { cause: format!("{whom} sent an answer to another question"), next: RESTART.to_owned() }
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
