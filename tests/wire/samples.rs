//! One of each message that there is.

use std::collections::BTreeSet;

use tere::clock::Moment;
use tere::names::{
    AccountName, ChangeKind, ClientKeyId, ClientPublicKey, KeyRight, Label, MachineChange, MachineName,
    PasskeyId, SessionId, Target, TermSize, Theme, UnixUser, UserUid,
};
use tere::protocol::control::{AccountSummary, FromCli, KeyKind, KeySummary, ToCli, UnusableFile};
use tere::protocol::exec::{Command, CommandSignal, FromClient, Output, ToClient};
use tere::protocol::login::{FromFront, OfferedKey, ToFront};
use tere::protocol::machine::{
    CheckpointReason, CheckpointSummary, MachineSummary, StopReason, TaskMachines,
};
use tere::protocol::page::Ceremony;
use tere::protocol::principal::{Answer, Ask, FromBroker, Request};
use tere::protocol::viewer::{Extent, FromViewer, ToViewer};
use tere::protocol::vouch::{AuthMethod, FromAuth, Principal, ToAuth};
use tere::protocol::worker::{FromWorker, Standing, ToWorker, UnreadInput, ViewerId};
use tere::protocol::{
    About, Alert, EndReason, GrantedTarget, GuestRole, OpeningStep, Participant, Refusal, Role, SessionEnd,
    SessionSummary, ShellExit, Signal, Terms,
};

pub(crate) fn alice() -> AccountName {
    "alice".parse().unwrap()
}

fn passkey() -> PasskeyId {
    "0123456789abcdef".parse().unwrap()
}

fn client_key() -> ClientKeyId {
    ClientPublicKey::of(&[7; 32]).id()
}

fn label() -> Label {
    Label::cut("laptop").unwrap()
}

fn rights() -> BTreeSet<KeyRight> {
    BTreeSet::from([KeyRight::List, KeyRight::Share])
}

fn user() -> UnixUser {
    "ops".parse().unwrap()
}

fn session() -> SessionId {
    "abcdefghijkl".parse().unwrap()
}

fn target() -> Target {
    "dev@box".parse().unwrap()
}

fn machine() -> MachineName {
    "box".parse().unwrap()
}

fn size() -> TermSize {
    TermSize::new(80, 24).unwrap()
}

fn summary() -> SessionSummary {
    SessionSummary {
        id: session(),
        target: target(),
        opened: 300,
        left: Some(300),
        touch: true,
        owner: alice(),
        role: Role::Writer,
        viewing: vec![alice()],
        name: Label::cut("build"),
        about: Some(about()),
        exec: false,
    }
}

fn about() -> About {
    About {
        title: Label::cut("vim notes"),
        size: size(),
        idle: 300,
        viewers: 2,
        alert: Some(Alert { text: Label::cut("done"), ago: 5 }),
    }
}

/// Calls the macro `$visit` with each list of samples: one for each direction of each socket.
macro_rules! every_direction {
    ($visit:ident) => {
        $visit!("login, from front", crate::samples::from_front());
        $visit!("login, to front", crate::samples::to_front());
        $visit!("control, from cli", crate::samples::from_cli());
        $visit!("control, to cli", crate::samples::to_cli());
        $visit!("vouch, from auth", crate::samples::from_auth());
        $visit!("vouch, to auth", crate::samples::to_auth());
        $visit!("principal, request", crate::samples::requests());
        $visit!("principal, from broker", crate::samples::from_broker());
        $visit!("worker, to worker", crate::samples::to_worker());
        $visit!("worker, from worker", crate::samples::from_worker());
        $visit!("viewer, to viewer", crate::samples::to_viewer());
        $visit!("viewer, from viewer", crate::samples::from_viewer());
        $visit!("exec, to client", crate::samples::to_client());
        $visit!("exec, from client", crate::samples::from_client());
    };
}
pub(crate) use every_direction;

fn uid() -> UserUid {
    UserUid::try_from(1000).unwrap()
}

pub(crate) fn from_front() -> Vec<FromFront> {
    vec![
        FromFront::SignIn,
        FromFront::Enrol { token: "tok".into() },
        FromFront::StepUp { account: alice() },
        FromFront::KeySignIn { key: client_key() },
        FromFront::BindKey {
            key: ClientPublicKey::of(&[7; 32]),
            name: label(),
            source: "192.0.2.1".parse().ok(),
        },
        FromFront::BindKey { key: ClientPublicKey::of(&[7; 32]), name: label(), source: None },
        FromFront::RemoveKey { key: client_key() },
        FromFront::KeyAnswer { signature: vec![7; 64] },
        FromFront::FindBinding { account: alice(), code: "01AZ-9K01".into() },
        FromFront::DeclineBinding,
        FromFront::Answer { credential: "{}".into(), resume_key: None },
        FromFront::Answer { credential: "{}".into(), resume_key: Some(offered()) },
        FromFront::Resume { key: client_key() },
        FromFront::Keys { account: alice() },
        FromFront::DropKey { account: alice(), key: client_key() },
    ]
}

pub(crate) fn to_front() -> Vec<ToFront> {
    vec![
        ToFront::Challenge { ceremony: Ceremony::Get, options: "{}".into() },
        ToFront::KeyChallenge { nonce: [7; 32] },
        ToFront::BindingCode { code: "01AZ-9K01".into(), seconds: 240 },
        ToFront::KeyBound { account: alice() },
        ToFront::KeyRemoved,
        ToFront::Binding {
            key: client_key(),
            name: label(),
            source: "192.0.2.1".parse().ok(),
            allow: rights(),
            seconds: 300,
            options: "{}".into(),
        },
        ToFront::Bound,
        ToFront::SignedIn { account: alice(), resume: Some(43200) },
        ToFront::SignedIn { account: alice(), resume: None },
        ToFront::Keys(vec![key_summary(KeyKind::CommandLine), key_summary(KeyKind::Page)]),
        ToFront::SteppedUp,
        ToFront::Refused(Refusal::LinkInvalid),
    ]
}

pub(crate) fn from_cli() -> Vec<FromCli> {
    vec![
        FromCli::AccountAdd(alice()),
        FromCli::AccountList { after: None },
        FromCli::AccountList { after: Some(alice()) },
        FromCli::AccountUnusable,
        FromCli::AccountRemove(alice()),
        FromCli::AccountLink(alice()),
        FromCli::AccountAddUnixUser(alice(), uid()),
        FromCli::AccountRemoveUnixUser(alice(), uid()),
        FromCli::AccountKeys(alice()),
        FromCli::AccountRemoveKey(alice(), client_key()),
        FromCli::Principal,
    ]
}

fn key_summary(kind: KeyKind) -> KeySummary {
    KeySummary {
        kind,
        key: client_key(),
        name: label(),
        bound: 300,
        last_sign_in: Some(301),
        source: "192.0.2.1".parse().ok(),
    }
}

fn offered() -> OfferedKey {
    OfferedKey { key: ClientPublicKey::of(&[7; 32]), name: label(), source: "192.0.2.1".parse().ok() }
}

pub(crate) fn to_cli() -> Vec<ToCli> {
    let unusable = UnusableFile { file: "1.json".into(), name: Some(alice()) };
    let summary = AccountSummary {
        name: alice(),
        created: 300,
        passkeys: 2,
        last_sign_in: Some(301),
        unix_users: vec![uid()],
    };
    vec![
        ToCli::Keys(vec![key_summary(KeyKind::CommandLine)]),
        ToCli::Link { account: alice(), link: "http://x".into(), expires: 300 },
        ToCli::Accounts(vec![summary]),
        ToCli::Unusable { folder: "/x".into(), files: vec![unusable] },
        ToCli::Done,
        ToCli::Refused(Refusal::NotOperator),
        ToCli::Principal(Principal::Operator),
        ToCli::Principal(Principal::Account(alice())),
    ]
}

pub(crate) fn from_auth() -> Vec<FromAuth> {
    let principal = Principal::Account(alice());
    vec![
        FromAuth::Vouch {
            principal: principal.clone(),
            how: AuthMethod::Passkey(passkey()),
            at: 300,
            resume_key: None,
        },
        FromAuth::Vouch {
            principal: principal.clone(),
            how: AuthMethod::Enrolment(passkey()),
            at: 300,
            resume_key: None,
        },
        FromAuth::Vouch { principal, how: AuthMethod::StepUp(passkey()), at: 300, resume_key: None },
        FromAuth::Vouch {
            principal: Principal::Operator,
            how: AuthMethod::PeerUid(0),
            at: 300,
            resume_key: None,
        },
        FromAuth::Vouch {
            principal: Principal::Account(alice()),
            how: AuthMethod::ClientKey { key: client_key(), bound: 300 },
            at: 300,
            resume_key: None,
        },
        FromAuth::Vouch {
            principal: Principal::Account(alice()),
            how: AuthMethod::ResumeKey { key: client_key(), touched: Moment { unix: 300, uptime: 5 } },
            at: 600,
            resume_key: Some(client_key()),
        },
        FromAuth::Revoke(alice()),
        FromAuth::CloseChannels(uid()),
        FromAuth::CloseKeyChannels(client_key()),
        FromAuth::KeyRule(alice()),
        FromAuth::ResumeRule,
    ]
}

pub(crate) fn to_auth() -> Vec<ToAuth> {
    vec![
        ToAuth::Vouched { resume: None },
        ToAuth::Vouched { resume: Some(43200) },
        ToAuth::ResumeRule(Some(43200)),
        ToAuth::Revoked,
        ToAuth::KeyRule { allow: rights(), seconds: 300 },
        ToAuth::Refused(Refusal::TooMany),
    ]
}

pub(crate) fn requests() -> Vec<Request> {
    let asks = [
        Ask::Lobby,
        Ask::Open { target: target(), size: size(), reason: "why".parse().ok() },
        Ask::Exec { target: target(), reason: "why".parse().ok() },
        Ask::Attach { session: session(), size: size() },
        Ask::AttachAs { session: session(), role: GuestRole::Writer },
        Ask::Name { session: session(), name: Label::cut("build") },
        Ask::Share { session: session(), account: alice(), role: Some(GuestRole::Watcher) },
        Ask::Show { session: session() },
        Ask::End { session: session() },
        Ask::AllSessions { after: Some(session()) },
        Ask::Change(change()),
        Ask::Follow,
    ];
    asks.into_iter().map(|ask| Request { number: 7, ask }).collect()
}

fn change() -> MachineChange {
    "rollback:box:3".parse().unwrap()
}

fn made() -> MachineSummary {
    let kept = CheckpointSummary { checkpoint: 3, kept: 300, reason: CheckpointReason::Asked, home: true };
    MachineSummary {
        machine: machine(),
        task: false,
        expires: Some(600),
        outdated: true,
        checkpoints: vec![kept],
        allow: vec![ChangeKind::Checkpoint],
    }
}

pub(crate) fn from_broker() -> Vec<FromBroker> {
    let terms = Terms { touch: true, reason: true, limit: Some(300) };
    let answers = [
        Answer::Lobby {
            targets: vec![GrantedTarget { target: target(), terms }],
            sessions: vec![summary()],
            machines: vec![made()],
            tasks: vec![TaskMachines {
                user: user(),
                terms,
                before: "alice.".to_owned(),
                after: String::new(),
            }],
        },
        Answer::Changed,
        Answer::Opened { session: session(), target: target(), left: None },
        Answer::Opened { session: session(), target: target(), left: Some(300) },
        Answer::Named,
        Answer::Shared,
        Answer::Ending,
        Answer::AllSessions(vec![summary()]),
        Answer::Refused(Refusal::NotGranted),
        Answer::Following(vec![session()]),
    ];
    let replies = answers.into_iter().map(|answer| FromBroker::Reply { number: 7, answer });
    let participants = vec![Participant { account: alice(), role: Role::Owner, views: 2 }];
    let shareable = Some(GuestRole::Watcher);
    let sharing = FromBroker::Sharing { session: session(), participants, role: Role::Owner, shareable };
    let steps = [OpeningStep::Making, OpeningStep::Booting];
    let progress = steps.map(|step| FromBroker::Progress { number: 7, step });
    let stopped = FromBroker::MachineStopped { machine: machine(), why: Some(StopReason::Idle) };
    let participants = vec![Participant { account: alice(), role: Role::Owner, views: 2 }];
    let is_now = FromBroker::Session { summary: summary(), participants };
    let ended = FromBroker::SessionEnded { session: session(), end: EndReason::ShellEnded.into() };
    let hidden = FromBroker::SessionHidden(session());
    replies.chain(progress).chain([sharing, stopped, is_now, ended, hidden]).collect()
}

pub(crate) fn to_worker() -> Vec<ToWorker> {
    let viewer = ViewerId(5);
    vec![
        ToWorker::Adopt { session: session(), size: size(), report: "a2".repeat(16).parse().unwrap() },
        ToWorker::Exec { session: session(), key: "a2".repeat(16).parse().unwrap() },
        ToWorker::Attach { viewer, role: Role::Watcher, size: size() },
        ToWorker::SetRole { viewer, role: Role::Writer },
        ToWorker::Detach { viewer, unread: UnreadInput::Typed },
        ToWorker::Detach { viewer, unread: UnreadInput::Dropped },
        ToWorker::Describe,
        ToWorker::End(EndReason::EndedByRequest),
        ToWorker::End(EndReason::TimeLimit),
    ]
}

pub(crate) fn from_worker() -> Vec<FromWorker> {
    let viewer = ViewerId(5);
    vec![
        FromWorker::Standing(Standing::Keeping(vec![viewer])),
        FromWorker::Adopted,
        FromWorker::Attached(viewer),
        FromWorker::Full(viewer),
        FromWorker::Described(about()),
        FromWorker::RoleSet { viewer, role: Role::Watcher },
        FromWorker::ViewerGone(viewer),
        FromWorker::Ended(EndReason::ShellEnded.into()),
        FromWorker::Ended(SessionEnd { reason: EndReason::ShellEnded, exit: Some(ShellExit::Exited(3)) }),
    ]
}

pub(crate) fn to_viewer() -> Vec<ToViewer> {
    vec![
        ToViewer::SnapshotBegins { size: size(), length: 4, extent: Extent::Screen },
        ToViewer::SnapshotBegins { size: size(), length: 4, extent: Extent::Recent },
        ToViewer::Output(b"hi\r\n".to_vec()),
        ToViewer::Size(size()),
        ToViewer::InputDropped(300),
        ToViewer::Ended(EndReason::MachineGone.into()),
        ToViewer::Ended(SessionEnd {
            reason: EndReason::ShellEnded,
            exit: Some(ShellExit::Killed(Signal::Kill)),
        }),
    ]
}

pub(crate) fn from_viewer() -> Vec<FromViewer> {
    vec![
        FromViewer::Input(b"ls\r".to_vec()),
        FromViewer::Resize(size()),
        FromViewer::Shown(300),
        FromViewer::Refresh,
        FromViewer::ResetTerminal,
        FromViewer::Theme(Theme::DEFAULT),
        FromViewer::End,
    ]
}

pub(crate) fn to_client() -> Vec<ToClient> {
    vec![
        ToClient::Started,
        ToClient::Output { output: Output::Standard, bytes: b"hi\n".to_vec() },
        ToClient::Output { output: Output::Error, bytes: b"no\n".to_vec() },
        ToClient::Taken(300),
        ToClient::Ended(EndReason::NeverStarted.into()),
    ]
}

pub(crate) fn from_client() -> Vec<FromClient> {
    vec![
        FromClient::Start(Command::new(vec![b"ls".to_vec(), b"-l".to_vec()]).unwrap()),
        FromClient::Input(b"hi\n".to_vec()),
        FromClient::InputEnd,
        FromClient::Signal(CommandSignal::Tstp),
        FromClient::Written { output: Output::Error, bytes: 300 },
    ]
}
