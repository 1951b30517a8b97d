use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a request was refused. The word for each is stable: the page and the CLI turn it into a
/// sentence that says what to do next. The word tells a peer no more than that sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Refusal {
    /// The passkey is unknown to tere, or its answer does not verify.
    UnknownPasskey,
    /// The answer came more than 60 seconds after the challenge, or a second time.
    ChallengeExpired,
    /// The enrolment link was used, is older than 15 minutes, or never existed.
    LinkInvalid,
    /// The passkey was registered and the enrolment link used up, but the person is not signed in.
    PasskeyRegistered,
    /// No grant gives this account this target, or the account was removed.
    NotGranted,
    /// The machine is not running and did not start.
    MachineUnavailable,
    /// The machine could not be made or mounted: its template is missing, or something is damaged.
    MachineNotMade,
    /// There is no such machine, or no such checkpoint of it.
    NoSuchMachine,
    /// A machine or a home of that name is there already.
    MachineExists,
    /// The machine is just being started or stopped, or has too much that would have to be copied
    /// while it runs.
    MachineInUse,
    /// The account has as many machines for tasks, or the machine as many checkpoints, as it may
    /// have.
    TooManyMachines,
    /// The account has another change of a machine made just now.
    ChangeUnderWay,
    /// The machine could not be changed.
    NotChanged,
    /// The machine runs, but nothing in it can open a shell: it lacks systemd or D-Bus.
    MachineWithoutBus,
    /// systemd-machined on the host does not answer.
    MachinedUnavailable,
    /// machined was asked for a shell and did not answer in time.
    ShellTimedOut,
    /// machined or polkit refused the shell.
    ShellRefused,
    /// The session's worker did not start or does not answer.
    WorkerUnavailable,
    /// The policy demands a touch of a passkey for this view, and there is none.
    TouchRequired,
    /// The policy demands no touch for this view, and the channel of a touch is for nothing else.
    NoTouchNeeded,
    /// The touch was too long ago.
    TouchStale,
    /// The touch was used for a session before.
    TouchSpent,
    /// The passkey that was touched belongs to another account than the one that is signed in.
    PasskeyOfAnother,
    /// The grant demands a reason in words, and none was given.
    ReasonRequired,
    /// The session does not exist, or the account may not use it.
    NoSuchSession,
    /// The session is one command without a terminal: it cannot be viewed.
    NotATerminal,
    /// The policy does not let this session be shared.
    NotShareable,
    /// The policy lets this session be shared with others who watch, and not with others who type.
    OnlyToWatch,
    /// The session would be shared with its owner.
    Yourself,
    /// A limit on sessions, channels or requests is reached.
    TooMany,
    /// A limit on sign-ins is reached.
    Busy,
    /// The message cannot be decoded, or is not allowed in the current state. The connection ends.
    BadMessage,
    /// A part of tere is not running.
    Unavailable,
    /// The two ends speak different versions of a protocol.
    VersionMismatch,
    /// The operation is reserved for root on the host.
    NotOperator,
    /// The UNIX user who runs the command belongs to no account.
    NoAccountOfUser,
    /// The UNIX user belongs to another account.
    UnixUserTaken,
    /// An account of that name exists.
    AccountExists,
    /// The account has a file, but the file cannot be used.
    AccountUnusable,
    /// There is no account of that name.
    NoSuchAccount,
    /// The account, or a UNIX user of one, was removed, but the broker, which may still hold
    /// channels of it, could not be told.
    NotRevoked,
    /// The disk is full or the state folder is not writable. Nothing has changed.
    StorageFailed,
    /// The change was made, but the disk failed, and a power cut may undo it.
    MayNotLast,
    /// The account has the maximum number of passkeys.
    PasskeysFull,
    /// Too many sign-ins from the person's network have failed just now, or too many codes of one
    /// account.
    TooManyFailures,
    /// The policy lets this account have no client key, or not do this with one.
    NotByKey,
    /// The client key is bound to no account, or its signature does not verify.
    UnknownKey,
    /// The client key was bound longer ago than the policy lets one be used.
    KeyExpired,
    /// The resume key of the page is unknown, its touch is too long ago, or the policy lets no page
    /// come back without one.
    ResumeOver,
    /// No client key waits with this code: it was used, it is older than 4 minutes, the command
    /// line is gone, or it never existed.
    CodeInvalid,
    /// The person in the page did not bind the client key.
    KeyDeclined,
    /// The account has as many client keys as it may have.
    KeysFull,
    /// The account has no client key of this id.
    NoSuchKey,
}

impl Refusal {
    /// A sentence for a person: what happened and what to do next.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::UnknownPasskey => {
                "This passkey is not known here. Try another one, or ask for a new enrolment link."
            }
            Self::ChallengeExpired => "That took too long. Please sign in again.",
            Self::LinkInvalid => {
                "This enrolment link has been used, has expired or is not complete. Ask for a new one."
            }
            Self::PasskeyRegistered => {
                "Your passkey is registered, but you are not signed in yet. Sign in with it in a moment."
            }
            Self::NotGranted => "You are not allowed there. Ask whoever runs this host for a grant.",
            Self::MachineUnavailable => {
                "The machine is not running and could not be started. Ask whoever runs this host to look at it."
            }
            Self::MachineNotMade => {
                "This machine could not be made. Ask whoever runs this host to look at 'journalctl -t tere-machine'."
            }
            Self::NoSuchMachine => "There is no such machine or checkpoint any more.",
            Self::MachineExists => {
                "A machine of that name, or a home that it left, is there already. Choose another name."
            }
            Self::MachineInUse => {
                "The machine cannot be copied just now: it is starting, stopping or too busy. Try again in a moment."
            }
            Self::TooManyMachines => {
                "You have as many machines or checkpoints as you may have. Remove one, and try again."
            }
            Self::ChangeUnderWay => "Another change of a machine of yours is not finished yet. Wait for it.",
            Self::NotChanged => {
                "The machine could not be changed. Ask whoever runs this host to look at 'journalctl -t tere-machine'."
            }
            Self::MachineWithoutBus => {
                "The machine is running but cannot open a shell: it needs systemd and D-Bus inside."
            }
            Self::MachinedUnavailable => {
                "systemd-machined is not answering on this host. Try again in a moment, or ask whoever runs it."
            }
            Self::ShellTimedOut => "The machine did not open a shell in time. Try again in a moment.",
            Self::ShellRefused => {
                "The host refused to open this shell. Ask whoever runs it to run 'tere check'."
            }
            Self::WorkerUnavailable => "The session's process does not answer. Try again in a moment.",
            Self::TouchRequired => "This shell needs your passkey once more. Try again.",
            Self::NoTouchNeeded => "This shell does not need your passkey any more. Try again.",
            Self::TouchStale => "Your passkey was used too long ago. Use it again.",
            Self::TouchSpent => "Each use of your passkey opens one shell. Use it again.",
            Self::PasskeyOfAnother => {
                "This passkey is not one of the account that you are signed in to. Use one that is."
            }
            Self::ReasonRequired => "Say in a few words why you need this shell.",
            Self::NoSuchSession => "There is no such session of yours. It may have ended.",
            Self::NotATerminal => "This is a command without a terminal, so there is nothing to see of it.",
            Self::NotShareable => {
                "This session may not be shared. Ask whoever runs this host to write 'share = true' into its grant."
            }
            Self::OnlyToWatch => {
                "Others may watch this session, but not type. Ask whoever runs this host to write 'share = true' into its grant."
            }
            Self::Yourself => "This session is yours already. Name somebody else to share it with.",
            Self::TooMany => "Too many are open already. Close one and try again.",
            Self::Busy => {
                "Too many people are signing in just now. Reload the page and try again in a moment."
            }
            Self::TooManyFailures => {
                "Too many sign-ins from your network have failed. Wait a minute, and try again."
            }
            Self::BadMessage => "The page and the server did not understand each other. Reload the page.",
            Self::Unavailable => {
                "A part of tere is not running. Try again in a moment, or ask whoever runs this host."
            }
            Self::VersionMismatch => {
                "tere is being upgraded. Try again in a moment; if it stays like this, ask whoever runs this host to restart tere-broker, or what 'tere check' names."
            }
            Self::NotOperator => "Only root may do this.",
            Self::NoAccountOfUser => {
                "Your UNIX user belongs to no account. root can change that: tere account add-unix-user ACCOUNT USER"
            }
            Self::UnixUserTaken => {
                "This UNIX user belongs to another account. 'tere account list' shows which."
            }
            Self::AccountExists => "An account of that name exists already.",
            Self::AccountUnusable => {
                "The file of this account cannot be used. 'tere account list' shows it: fix it, or remove the account."
            }
            Self::NoSuchAccount => "There is no account of that name. 'tere account list' shows them.",
            Self::NotRevoked => {
                "This is done, but tere-broker could not be told: what was open may still be open. If an account was removed, tere-auth tells it again until it answers; 'systemctl restart tere-broker' closes all of it at once."
            }
            Self::StorageFailed => "The host could not store this. Its disk may be full.",
            Self::MayNotLast => {
                "This is done, but the host's disk failed: a power cut may undo it. Ask whoever runs this host to look at the disk."
            }
            Self::NotByKey => {
                "Not with a client key: sign in to the page for this, or ask whoever runs this host for a [[client-key]] in its policy."
            }
            Self::UnknownKey => "This client key is not known here any more. Sign in again: tere login",
            Self::ResumeOver => {
                "Use your passkey again: its last use here is too long ago, or this browser was signed out."
            }
            Self::KeyExpired => "This client key is too old. Sign in again: tere login",
            Self::CodeInvalid => {
                "No command line waits with this code. Each code is good once, for a few minutes: run 'tere login' again."
            }
            Self::KeyDeclined => "It was declined in the page. Nothing has changed.",
            Self::KeysFull => {
                "This account has as many client keys as it may have. Remove one: tere logout there, or 'tere account remove-key' on the host."
            }
            Self::NoSuchKey => {
                "This account has no such client key. 'tere account list-keys' shows those that it has."
            }
            Self::PasskeysFull => {
                "This account has as many passkeys as it may have. Sign in with one of them, or ask for a new account."
            }
        }
    }
}

/// Writes the word, as used in messages and in the journal.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
