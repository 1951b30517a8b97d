//! Tests of the connection's core, input by input.

use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;
use serde_json::json;

use super::super::client::Client;
use super::closing::Closing;
use super::core::{Core, PROBE_AFTER, REFUSED_MAX, SIGN_IN_MAX, SIGN_IN_TIMEOUT, SILENCE_MAX};
use super::steps::{Action, Control, Input, StreamId, Verdict};
use super::streams::{BROKEN_OFF_MAX, REATTACH_DELAY, REATTACH_TIMEOUT};
use crate::names::{ClientPublicKey, KeyRight, Label, SessionId, Target, TermSize, Theme};
use crate::protocol::login::{BINDING, FromFront, OfferedKey};
use crate::protocol::page::{Ceremony, FromPage, ResumeOffer, ResumeTerms, STREAMS_MAX, ToPage, TouchView};
use crate::protocol::principal::{Answer, Ask, FromBroker, REQUESTS_MAX, Request};
use crate::protocol::{EndReason, GrantedTarget, GuestRole, OpeningStep, Refusal, Terms};

/// A core with a clock that only a test advances.
struct TestCore {
    core: Core,
    now: Instant,
}

impl TestCore {
    fn new() -> Self {
        let now = Instant::now();
        Self { core: Core::new(now, Client::Page, None), now }
    }

    fn take(&mut self, input: Input) -> Vec<Action> {
        self.core.handle(input, self.now)
    }

    fn page(&mut self, message: FromPage) -> Vec<Action> {
        self.take(Input::Page(message))
    }

    fn asked() -> Self {
        let mut core = Self::new();
        assert_eq!(core.page(FromPage::SignIn {}), [Action::Login(FromFront::SignIn)]);
        core
    }

    fn challenged() -> Self {
        let mut core = Self::asked();
        let challenge = Verdict::Challenge { ceremony: Ceremony::Get, options: json!({"x": 1}) };
        let told = ToPage::Challenge { ceremony: Ceremony::Get, options: json!({"x": 1}) };
        assert_eq!(core.take(Input::Login(challenge)), [Action::Tell(told)]);
        core
    }

    fn answered() -> Self {
        let mut core = Self::challenged();
        let answer = FromFront::Answer { credential: r#"{"id":"a"}"#.into(), resume_key: None };
        assert_eq!(
            core.page(FromPage::Answer { credential: json!({"id": "a"}), resume: None }),
            [Action::Login(answer)]
        );
        core
    }

    fn command_line() -> Self {
        let now = Instant::now();
        Self { core: Core::new(now, Client::CommandLine, "192.0.2.1".parse().ok()), now }
    }

    fn key_asked() -> Self {
        let mut core = Self::command_line();
        let key = client_key().id();
        let asked = Action::Login(FromFront::KeySignIn { key: key.clone() });
        assert_eq!(core.page(FromPage::KeySignIn { key }), [asked]);
        core
    }

    fn key_challenged() -> Self {
        let mut core = Self::key_asked();
        let nonce = BASE64URL_NOPAD.encode(&[8; 32]);
        let told = Action::Tell(ToPage::KeyChallenge { nonce });
        assert_eq!(core.take(Input::Login(Verdict::KeyChallenge { nonce: [8; 32] })), [told]);
        core
    }

    fn key_answered() -> Self {
        let mut core = Self::key_challenged();
        let answer = Action::Login(FromFront::KeyAnswer { signature: vec![7; 64] });
        assert_eq!(core.page(key_answer()), [answer]);
        core
    }

    fn key_waits() -> Self {
        let mut core = Self::key_answered();
        let code = || "01AZ-9K01".into();
        let told = Action::Tell(ToPage::BindingCode { code: code(), seconds: 240 });
        let verdict = Verdict::BindingCode { code: code(), seconds: 240 };
        assert_eq!(core.take(Input::Login(verdict)), [told]);
        core
    }

    fn key_signed_in() -> Self {
        let mut core = Self::key_answered();
        let account: crate::names::AccountName = "alice".parse().unwrap();
        let verdict = Verdict::SignedIn { account: account.clone(), resume: None };
        let lobby = Action::Ask(Request { number: 0, ask: Ask::Lobby });
        let told = Action::Tell(ToPage::SignedIn { account, resume: None });
        assert_eq!(core.take(Input::Login(verdict)), [told, lobby]);
        core
    }

    fn resuming() -> Self {
        let mut core = Self::new();
        let asked = Action::Login(FromFront::Resume { key: client_key().id() });
        assert_eq!(core.page(FromPage::Resume { key: client_key() }), [asked]);
        let told = Action::Tell(ToPage::KeyChallenge { nonce: BASE64URL_NOPAD.encode(&[8; 32]) });
        assert_eq!(core.take(Input::Login(Verdict::KeyChallenge { nonce: [8; 32] })), [told]);
        core
    }

    fn with_binding_found() -> Self {
        let mut core = Self::signed_in();
        let (account, code) = ("alice".parse().unwrap(), || "01AZ-9K01".into());
        let asked = Action::Login(FromFront::FindBinding { account, code: code() });
        assert_eq!(core.page(FromPage::FindBinding { code: code() }), [asked]);
        assert_eq!(core.page(FromPage::FindBinding { code: code() }), [refused(None, Refusal::Busy)]);
        let found = core.take(Input::Login(Verdict::Binding(Box::new(binding()))));
        assert_eq!(found, [Action::Tell(binding())]);
        core
    }

    fn signed_in() -> Self {
        let mut core = Self::answered();
        let account: crate::names::AccountName = "alice".parse().unwrap();
        let lobby = Request { number: 0, ask: Ask::Lobby };
        assert_eq!(
            core.take(Input::Login(Verdict::SignedIn { account: account.clone(), resume: None })),
            [Action::Tell(ToPage::SignedIn { account, resume: None }), Action::Ask(lobby)]
        );
        assert_eq!(
            core.reply(
                0,
                Answer::Lobby { targets: vec![granted()], sessions: vec![], machines: vec![], tasks: vec![] }
            ),
            [Action::Tell(ToPage::Lobby {
                targets: vec![granted()],
                sessions: vec![],
                machines: vec![],
                tasks: vec![]
            })]
        );
        core
    }

    fn reply(&mut self, number: u32, answer: Answer) -> Vec<Action> {
        self.take(Input::Broker(FromBroker::Reply { number, answer }))
    }

    /// A signed-in core with a live view on stream 7, opened by request 1.
    fn viewing() -> Self {
        let mut core = Self::signed_in();
        core.page(open(7));
        let opened = core.reply(1, opened());
        assert_eq!(opened, [start(7, 1, None)]);
        core
    }

    fn is_closed(&mut self) -> bool {
        self.page(FromPage::List {}).is_empty() && self.page(FromPage::SignIn {}).is_empty()
    }
}

fn target() -> Target {
    "dev@box".parse().unwrap()
}

fn session() -> SessionId {
    "abcdefghijkl".parse().unwrap()
}

fn size(cols: u16) -> TermSize {
    TermSize::new(cols, 24).unwrap()
}

fn open(stream: u16) -> FromPage {
    FromPage::Open { stream, target: target(), size: size(80), reason: None }
}

fn granted() -> GrantedTarget {
    GrantedTarget { target: target(), terms: Terms { touch: true, reason: false, limit: Some(300) } }
}

fn opened() -> Answer {
    Answer::Opened { session: session(), target: target(), left: None }
}

fn start(stream: u16, request: u32, size: Option<TermSize>) -> Action {
    let (view, again) = (StreamId { stream, request }, false);
    Action::StartStream {
        id: view,
        session: session(),
        target: target(),
        left: None,
        size,
        theme: None,
        again,
    }
}

/// The answer to the challenge of a step-up, for a new session.
fn touch(stream: u16) -> FromPage {
    let view = TouchView::Open { target: "ops@.host".parse().unwrap(), reason: None };
    FromPage::Touch { stream, credential: json!({"id": "b"}), view, size: size(80) }
}

fn refused(stream: Option<u16>, refusal: Refusal) -> Action {
    Action::Tell(ToPage::Refused { stream, refusal })
}

fn client_key() -> ClientPublicKey {
    ClientPublicKey::of(&[7; 32])
}

fn key_answer() -> FromPage {
    FromPage::KeyAnswer { signature: BASE64URL_NOPAD.encode(&[7; 64]) }
}

fn every_page_message() -> Vec<FromPage> {
    vec![
        FromPage::SignIn {},
        FromPage::Enrol { token: "t".into() },
        FromPage::Answer { credential: json!({}), resume: None },
        FromPage::List {},
        open(1),
        FromPage::Attach { stream: 2, session: session(), size: size(80) },
        FromPage::AttachAs { stream: 5, session: session(), role: GuestRole::Watcher },
        FromPage::Follow {},
        FromPage::Exec { stream: 4, target: target(), reason: None },
        FromPage::StepUp { stream: 3 },
        touch(3),
        FromPage::Resume { key: client_key() },
        FromPage::Keys {},
        FromPage::DropKey { key: client_key().id() },
        FromPage::KeySignIn { key: client_key().id() },
        FromPage::BindKey { key: client_key(), name: Label::cut("laptop").unwrap() },
        FromPage::RemoveKey { key: client_key().id() },
        key_answer(),
        FromPage::FindBinding { code: "01AZ-9K01".into() },
        FromPage::Bind { credential: json!({}) },
        FromPage::DeclineBinding {},
        FromPage::Resize { stream: 1, size: size(80) },
        FromPage::Theme { stream: 1, theme: Theme::DEFAULT },
        FromPage::Close { stream: 1 },
        FromPage::End { stream: 1 },
        FromPage::EndSession { session: session() },
        FromPage::Ping {},
    ]
}

fn word(message: &FromPage) -> String {
    serde_json::to_value(message).unwrap()["type"].as_str().unwrap().to_owned()
}

#[test]
fn each_state_takes_its_own_messages_and_ends_the_connection_for_any_other() {
    const IN_ACCOUNT: [&str; 13] = [
        "list",
        "keys",
        "drop-key",
        "open",
        "attach",
        "step-up",
        "find-binding",
        "resize",
        "theme",
        "close",
        "end",
        "end-session",
        "ping",
    ];
    const OF_CLI: [&str; 11] = [
        "list",
        "open",
        "attach",
        "attach-as",
        "follow",
        "exec",
        "resize",
        "theme",
        "close",
        "end",
        "end-session",
    ];
    const CHALLENGED: [&str; 6] = ["sign-in", "enrol", "resume", "answer", "key-answer", "ping"];
    const BEGINNINGS: [&str; 4] = ["key-sign-in", "bind-key", "remove-key", "ping"];
    const FOUND: [&str; 2] = ["bind", "decline-binding"];
    type Case = (&'static str, fn() -> TestCore, Vec<&'static str>);
    let cases: [Case; 13] = [
        ("anonymous", TestCore::new, vec!["sign-in", "enrol", "resume", "ping"]),
        ("asked", TestCore::asked, vec!["ping"]),
        ("challenged", TestCore::challenged, CHALLENGED.to_vec()),
        ("resuming", TestCore::resuming, CHALLENGED.to_vec()),
        ("answered", TestCore::answered, vec!["ping"]),
        ("signed in", TestCore::signed_in, IN_ACCOUNT.to_vec()),
        ("found", TestCore::with_binding_found, [&IN_ACCOUNT[..], &FOUND].concat()),
        ("command line", TestCore::command_line, BEGINNINGS.to_vec()),
        ("key asked", TestCore::key_asked, vec!["ping"]),
        ("key challenged", TestCore::key_challenged, [&BEGINNINGS[..], &["key-answer"]].concat()),
        ("key answered", TestCore::key_answered, vec!["ping"]),
        ("key waits", TestCore::key_waits, vec!["ping"]),
        ("command line signed in", TestCore::key_signed_in, [&OF_CLI[..], &["ping"]].concat()),
    ];
    for (state, core, allowed) in cases {
        for message in every_page_message() {
            let word = word(&message);
            let mut core = core();
            let actions = core.page(message);
            let ended = matches!(actions.as_slice(), [Action::Close(Closing::BadMessage(_))]);
            assert_eq!(ended, !allowed.contains(&word.as_str()), "{word} when {state}: {actions:?}");
            assert!(!ended || core.is_closed(), "{word} when {state}");
        }
        let mut core = core();
        let typed = core.take(Input::StrayBytes { stream: 1, length: 1 });
        let ended = matches!(typed.as_slice(), [Action::Close(Closing::BadMessage(_))]);
        let takes_input = state.ends_with("signed in") || state == "found";
        assert_eq!(ended, !takes_input, "input when {state}");
    }
}

#[test]
fn a_page_comes_back_with_its_key_or_signs_in_when_that_is_over() {
    let account = || "alice".parse().unwrap();
    let mut core = TestCore::resuming();
    let answer = Action::Login(FromFront::KeyAnswer { signature: vec![7; 64] });
    assert_eq!(core.page(key_answer()), [answer]);
    let verdict = Verdict::SignedIn { account: account(), resume: Some(60) };
    let resume = Some(ResumeTerms { key: client_key().id(), seconds: 60 });
    let told = Action::Tell(ToPage::SignedIn { account: account(), resume });
    assert_eq!(core.take(Input::Login(verdict)).first(), Some(&told));

    let mut core = TestCore::resuming();
    core.page(key_answer());
    let over = core.take(Input::Login(Verdict::Refused(Refusal::ResumeOver)));
    assert_eq!(over, [refused(None, Refusal::ResumeOver)]);
    assert_eq!(core.page(FromPage::SignIn {}), [Action::Login(FromFront::SignIn)]);
}

#[test]
fn a_page_offers_a_key_with_its_touch_and_learns_whether_it_is_kept() {
    for kept in [Some(60), None] {
        let now = Instant::now();
        let mut core = TestCore { core: Core::new(now, Client::Page, "192.0.2.1".parse().ok()), now };
        core.page(FromPage::SignIn {});
        let (ceremony, options) = (Ceremony::Get, json!({}));
        core.take(Input::Login(Verdict::Challenge { ceremony, options }));
        let (key, name) = (client_key(), Label::cut("Chromium").unwrap());
        let offer = Some(ResumeOffer { key: key.clone(), name: name.clone() });
        let source = "192.0.2.1".parse().ok();
        let resume_key = Some(OfferedKey { key: key.clone(), name, source });
        let asked = Action::Login(FromFront::Answer { credential: "{}".into(), resume_key });
        assert_eq!(core.page(FromPage::Answer { credential: json!({}), resume: offer }), [asked]);
        let account = "alice".parse().unwrap();
        let actions = core.take(Input::Login(Verdict::SignedIn { account, resume: kept }));
        let resume = kept.map(|seconds| ResumeTerms { key: key.id(), seconds });
        let told = Action::Tell(ToPage::SignedIn { account: "alice".parse().unwrap(), resume });
        assert_eq!(actions.first(), Some(&told));
    }
}

#[test]
fn a_page_sees_and_removes_the_keys_of_its_own_account() {
    let mut core = TestCore::signed_in();
    let account = || "alice".parse().unwrap();
    assert_eq!(core.page(FromPage::Keys {}), [Action::Login(FromFront::Keys { account: account() })]);
    // One question at a time.
    assert_eq!(core.page(FromPage::Keys {}), [refused(None, Refusal::Busy)]);
    assert_eq!(core.page(FromPage::StepUp { stream: 3 }), [refused(Some(3), Refusal::Busy)]);
    let keys = || vec![];
    assert_eq!(core.take(Input::Login(Verdict::Keys(keys()))), [Action::Tell(ToPage::Keys { keys: keys() })]);
    let key = client_key().id();
    let asked = Action::Login(FromFront::DropKey { account: account(), key: key.clone() });
    assert_eq!(core.page(FromPage::DropKey { key }), [asked]);
    let refusal = Refusal::NoSuchKey;
    assert_eq!(core.take(Input::Login(Verdict::Refused(refusal))), [refused(None, refusal)]);
    let mut core = TestCore::signed_in();
    let unasked = core.take(Input::Login(Verdict::Keys(keys())));
    assert!(matches!(unasked.as_slice(), [Action::Close(Closing::Broken(_))]), "{unasked:?}");
}

fn binding() -> ToPage {
    ToPage::Binding {
        key: client_key().id(),
        name: Label::cut("laptop").unwrap(),
        source: "192.0.2.1".parse().ok(),
        allow: vec![KeyRight::List],
        seconds: 60,
        options: json!({}),
    }
}

#[test]
fn a_key_is_bound_or_declined_once_it_is_found() {
    let mut core = TestCore::with_binding_found();
    let answer = FromFront::Answer { credential: r#"{"id":"a"}"#.into(), resume_key: None };
    assert_eq!(core.page(FromPage::Bind { credential: json!({"id": "a"}) }), [Action::Login(answer)]);
    assert_eq!(core.page(FromPage::StepUp { stream: 3 }), [refused(Some(3), Refusal::Busy)]);
    assert_eq!(core.take(Input::Login(Verdict::Bound)), [Action::Tell(ToPage::Bound {})]);

    let mut core = TestCore::with_binding_found();
    assert_eq!(core.page(FromPage::DeclineBinding {}), [Action::Login(FromFront::DeclineBinding)]);
    let declined = core.take(Input::Login(Verdict::Refused(Refusal::KeyDeclined)));
    assert_eq!(declined, [refused(None, Refusal::KeyDeclined)]);
    let closed = core.page(FromPage::Bind { credential: json!({}) });
    assert!(matches!(closed.as_slice(), [Action::Close(Closing::BadMessage(_))]), "{closed:?}");
}

#[test]
fn a_key_waits_with_the_source_of_its_socket_until_it_is_bound_or_its_time_is_over() {
    let mut core = TestCore::command_line();
    let (key, name) = (client_key(), Label::cut("laptop").unwrap());
    let source = "192.0.2.1".parse().ok();
    let asked = Action::Login(FromFront::BindKey { key: key.clone(), name: name.clone(), source });
    assert_eq!(core.page(FromPage::BindKey { key, name }), [asked]);

    let mut core = TestCore::key_waits();
    let account: crate::names::AccountName = "alice".parse().unwrap();
    let bound = core.take(Input::Login(Verdict::KeyBound { account: account.clone() }));
    assert_eq!(bound, [Action::Tell(ToPage::KeyBound { account })]);

    let mut core = TestCore::key_waits();
    for _ in 0..BINDING.as_secs() {
        core.now += Duration::from_secs(1);
        core.take(Input::Alive);
        assert_ne!(core.take(Input::Tick).last(), Some(&Action::Close(Closing::NeverSignedIn)));
    }
    core.now += SIGN_IN_TIMEOUT;
    core.take(Input::Alive);
    assert_eq!(core.take(Input::Tick), [Action::Close(Closing::NeverSignedIn)]);
    for bad in ["", "AAAA", "é"] {
        let mut core = TestCore::key_challenged();
        let closed = core.page(FromPage::KeyAnswer { signature: bad.into() });
        assert!(matches!(closed.as_slice(), [Action::Close(Closing::BadMessage(_))]), "{bad}");
    }
}

#[test]
fn a_refused_login_begins_again_on_the_same_connection() {
    for core in [TestCore::asked as fn() -> TestCore, TestCore::answered] {
        for refusal in [Refusal::UnknownPasskey, Refusal::LinkInvalid, Refusal::Unavailable] {
            let mut core = core();
            assert_eq!(core.take(Input::Login(Verdict::Refused(refusal))), [refused(None, refusal)]);
            assert_eq!(core.page(FromPage::SignIn {}), [Action::Login(FromFront::SignIn)]);
        }
        let mut core = core();
        let bad = core.take(Input::Login(Verdict::Refused(Refusal::BadMessage)));
        assert!(matches!(bad.as_slice(), [Action::Close(Closing::BadMessage(_))]), "{bad:?}");
    }
}

#[test]
fn a_connection_ends_after_a_few_refused_logins() {
    let mut core = TestCore::asked();
    let verdict = || Input::Login(Verdict::Refused(Refusal::LinkInvalid));
    for _ in 1..REFUSED_MAX {
        assert_eq!(core.take(verdict()), [refused(None, Refusal::LinkInvalid)]);
        core.page(FromPage::SignIn {});
    }
    let over = Action::Close(Closing::TooManyFailures);
    assert_eq!(core.take(verdict()), [refused(None, Refusal::LinkInvalid), over]);
    assert_eq!(core.page(FromPage::SignIn {}), []);
}

#[test]
fn what_auth_or_the_broker_was_not_asked_ends_the_connection() {
    let broken = |actions: Vec<Action>| matches!(actions.as_slice(), [Action::Close(Closing::Broken(_))]);
    let signed_in = || Verdict::SignedIn { account: "alice".parse().unwrap(), resume: None };
    let challenge = || Verdict::Challenge { ceremony: Ceremony::Get, options: json!({}) };
    for core in
        [TestCore::new as fn() -> TestCore, TestCore::asked, TestCore::challenged, TestCore::signed_in]
    {
        assert!(broken(core().take(Input::Login(signed_in()))));
    }
    for core in
        [TestCore::new as fn() -> TestCore, TestCore::challenged, TestCore::answered, TestCore::signed_in]
    {
        assert!(broken(core().take(Input::Login(challenge()))));
    }
    assert!(broken(TestCore::challenged().reply(0, Answer::Ending)), "before anybody signed in");
    let lobby = || Answer::Lobby { targets: vec![], sessions: vec![], machines: vec![], tasks: vec![] };
    assert!(broken(TestCore::signed_in().reply(0, lobby())), "answered twice");
    assert!(broken(TestCore::signed_in().reply(99, lobby())), "never asked");
    for answer in [lobby(), Answer::Ending, Answer::AllSessions(vec![])] {
        let mut core = TestCore::signed_in();
        core.page(open(1));
        assert!(broken(core.reply(1, answer)));
    }
}

#[test]
fn a_view_begins_passes_things_on_and_ends() {
    let mut core = TestCore::signed_in();
    let asked = Request { number: 1, ask: Ask::Open { target: target(), size: size(80), reason: None } };
    assert_eq!(core.page(open(7)), [Action::Ask(asked)]);
    assert_eq!(core.take(Input::StrayBytes { stream: 7, length: 1 }), [], "it is not there yet");
    assert_eq!(core.page(FromPage::Resize { stream: 7, size: size(90) }), []);
    assert_eq!(core.page(FromPage::Resize { stream: 7, size: size(100) }), []);
    assert_eq!(core.reply(1, opened()), [start(7, 1, Some(size(100)))], "with the last size");
    let view = StreamId { stream: 7, request: 1 };
    let resize = FromPage::Resize { stream: 7, size: size(60) };
    assert_eq!(core.page(resize), [Action::Control { id: view, control: Control::Size(size(60)) }]);
    assert_eq!(core.take(Input::StreamOver(view)), []);
    assert_eq!(core.take(Input::StrayBytes { stream: 7, length: 4 }), [], "typed before it knew");
    let attach = FromPage::Attach { stream: 7, session: session(), size: size(80) };
    assert!(
        matches!(core.page(attach).as_slice(), [Action::Ask(Request { number: 2, .. })]),
        "the number is free"
    );
}

/// Makes a view break off, and checks the request to reattach it.
fn break_off(core: &mut TestCore, view: StreamId, number: u32, at: TermSize) {
    let attach = Request { number, ask: Ask::Attach { session: session(), size: at } };
    assert_eq!(core.take(Input::StreamBroke(view)), [Action::Ask(attach)]);
}

#[test]
fn a_view_that_breaks_off_is_asked_for_again() {
    let mut core = TestCore::viewing();
    let (first, second) = (StreamId { stream: 7, request: 1 }, StreamId { stream: 7, request: 2 });
    core.page(FromPage::Resize { stream: 7, size: size(90) });
    let theme = FromPage::Theme { stream: 7, theme: Theme::DEFAULT };
    let control = Action::Control { id: first, control: Control::Theme(Theme::DEFAULT) };
    assert_eq!(core.page(theme), [control]);
    break_off(&mut core, first, 2, size(90));
    assert_eq!(core.take(Input::StreamBroke(first)), [], "it is over");
    let dropped = ToPage::InputDropped { stream: 7, bytes: 3 };
    let typed = core.take(Input::StrayBytes { stream: 7, length: 3 });
    assert_eq!(typed, [Action::Tell(dropped)], "what is typed meanwhile is dropped, and said to be");
    assert_eq!(core.page(FromPage::Resize { stream: 7, size: size(100) }), []);
    let begin = |view, size| {
        let (theme, again) = (Some(Theme::DEFAULT), true);
        [Action::StartStream {
            id: view,
            session: session(),
            target: target(),
            left: None,
            size,
            theme,
            again,
        }]
    };
    assert_eq!(core.reply(2, opened()), begin(second, Some(size(100))));
    // The new view's worker does not answer: the front asks once more.
    let attach = Request { number: 3, ask: Ask::Attach { session: session(), size: size(100) } };
    assert_eq!(core.take(Input::StreamFailed(second)), [Action::Ask(attach)]);
    assert_eq!(core.page(FromPage::Close { stream: 7 }), []);
    assert_eq!(core.reply(3, opened()), [], "the page has left it");
}

#[test]
fn a_view_that_cannot_be_had_again_is_over() {
    let gone = |refusal| {
        let mut core = TestCore::viewing();
        break_off(&mut core, StreamId { stream: 7, request: 1 }, 2, size(80));
        (core.reply(2, Answer::Refused(refusal)), core)
    };
    let over = |reason| [Action::Tell(ToPage::Closed { stream: 7, reason, exit: None })];
    for (refusal, reason) in [
        (Refusal::NoSuchSession, EndReason::WorkerGone),
        (Refusal::NotGranted, EndReason::ViewClosed),
        // These refusals do not mean that the session has ended.
        (Refusal::TooMany, EndReason::ViewLost),
        (Refusal::VersionMismatch, EndReason::ViewLost),
        (Refusal::Unavailable, EndReason::ViewLost),
    ] {
        let (said, mut core) = gone(refusal);
        assert_eq!(said, over(reason), "{refusal}");
        assert!(matches!(core.page(open(7)).as_slice(), [Action::Ask(_)]), "the number is free");
    }
    // While a worker is being restarted, the front keeps asking for a limited time.
    let (said, mut core) = gone(Refusal::WorkerUnavailable);
    assert_eq!(said, []);
    let begun = core.now;
    let mut number = 3;
    let last = loop {
        assert_eq!(core.core.deadline().min(core.now + REATTACH_DELAY), core.now + REATTACH_DELAY);
        core.take(Input::Alive);
        core.now += REATTACH_DELAY;
        let asked = core.take(Input::Tick);
        assert!(matches!(&asked[..], [Action::Ask(request)] if request.number == number), "{asked:?}");
        let said = core.reply(number, Answer::Refused(Refusal::WorkerUnavailable));
        number += 1;
        if !said.is_empty() {
            break said;
        }
    };
    let lost = over(EndReason::ViewLost);
    assert_eq!((last.as_slice(), core.now), (&lost[..], begun + REATTACH_TIMEOUT));
    // A view that keeps breaking off is closed.
    let mut core = TestCore::viewing();
    let mut view = StreamId { stream: 7, request: 1 };
    for _ in 0..BROKEN_OFF_MAX {
        break_off(&mut core, view, view.request + 1, size(80));
        view.request += 1;
        core.reply(view.request, opened());
    }
    assert_eq!(core.take(Input::StreamBroke(view)), lost);
}

#[test]
fn a_view_with_fewer_rights_comes_back_with_no_more() {
    let mut core = TestCore::key_signed_in();
    let attach = FromPage::AttachAs { stream: 7, session: session(), role: GuestRole::Watcher };
    let ask = || Ask::AttachAs { session: session(), role: GuestRole::Watcher };
    assert_eq!(core.page(attach), [Action::Ask(Request { number: 1, ask: ask() })]);
    core.take(Input::Broker(FromBroker::Reply { number: 1, answer: opened() }));
    let broke = core.take(Input::StreamBroke(StreamId { stream: 7, request: 1 }));
    assert_eq!(broke, [Action::Ask(Request { number: 2, ask: ask() })]);
}

#[test]
fn a_follower_is_told_of_sessions_and_nobody_else() {
    let hidden = || Input::Broker(FromBroker::SessionHidden(session()));
    let mut core = TestCore::key_signed_in();
    assert_eq!(core.page(FromPage::Follow {}), [Action::Ask(Request { number: 1, ask: Ask::Follow })]);
    assert!(!core.core.follows());
    let answer = Answer::Following(vec![session()]);
    let told = Action::Tell(ToPage::Following { sessions: vec![session()] });
    assert_eq!(core.take(Input::Broker(FromBroker::Reply { number: 1, answer })), [told]);
    assert!(core.core.follows());
    assert_eq!(core.take(hidden()), [Action::Tell(ToPage::SessionHidden { session: session() })]);
    let mut other = TestCore::key_signed_in();
    assert!(matches!(other.take(hidden())[..], [Action::Close(Closing::Broken(_))]));
}

#[test]
fn a_command_has_no_terminal_and_is_over_when_its_worker_is() {
    let begin = || {
        let mut core = TestCore::key_signed_in();
        let exec = FromPage::Exec { stream: 4, target: target(), reason: None };
        let request = Request { number: 1, ask: Ask::Exec { target: target(), reason: None } };
        assert_eq!(core.page(exec), [Action::Ask(request)]);
        let id = StreamId { stream: 4, request: 1 };
        let started = Action::StartExec { id, session: session(), target: target() };
        let opened = FromBroker::Reply { number: 1, answer: opened() };
        assert_eq!(core.take(Input::Broker(opened)), [started]);
        (core, id)
    };
    for message in [
        FromPage::Resize { stream: 4, size: size(80) },
        FromPage::Shown { stream: 4, bytes: 1 },
        FromPage::Refresh { stream: 4 },
        FromPage::ResetTerminal { stream: 4 },
        FromPage::Theme { stream: 4, theme: Theme::DEFAULT },
        FromPage::End { stream: 4 },
    ] {
        let actions = begin().0.page(message.clone());
        assert!(matches!(actions[..], [Action::Close(Closing::BadMessage(_))]), "{message:?}: {actions:?}");
    }
    let (mut core, id) = begin();
    let closed = ToPage::Closed { stream: 4, reason: EndReason::WorkerGone, exit: None };
    assert_eq!(core.take(Input::StreamBroke(id)), [Action::Tell(closed)], "it is not asked for again");
    let (mut core, id) = begin();
    assert_eq!(core.page(FromPage::Close { stream: 4 }), [Action::CloseStream(id)]);
    let (mut core, id) = begin();
    assert_eq!(core.take(Input::StreamFailed(id)), [refused(Some(4), Refusal::WorkerUnavailable)]);
}

#[test]
fn the_page_hears_how_far_an_opening_is_while_it_waits_for_it() {
    let mut core = TestCore::signed_in();
    core.page(open(7));
    let progress = |number, step| Input::Broker(FromBroker::Progress { number, step });
    for step in [OpeningStep::Making, OpeningStep::Booting] {
        assert_eq!(core.take(progress(1, step)), [Action::Tell(ToPage::Progress { stream: 7, step })]);
    }
    // Of another request, or once the page does not wait any more.
    assert_eq!(core.take(progress(0, OpeningStep::Making)), []);
    assert_eq!(core.take(progress(2, OpeningStep::Making)), []);
    core.page(FromPage::Close { stream: 7 });
    assert_eq!(core.take(progress(1, OpeningStep::Booting)), []);
    let mut core = TestCore::viewing();
    assert_eq!(core.take(progress(1, OpeningStep::Booting)), []);
}

#[test]
fn a_channel_that_is_open_is_not_opened_again() {
    let mut core = TestCore::viewing();
    assert!(matches!(core.page(open(7)).as_slice(), [Action::Close(Closing::BadMessage(_))]));
}

#[test]
fn the_input_of_a_stream_is_ended_once() {
    let mut core = TestCore::viewing();
    let id = StreamId { stream: 7, request: 1 };
    assert_eq!(core.page(FromPage::End { stream: 7 }), [Action::EndInput(id)]);
    assert!(matches!(
        core.page(FromPage::End { stream: 7 }).as_slice(),
        [Action::Close(Closing::BadMessage(_))]
    ));
    // If the page ends its input before the stream opens or while it reattaches, the end is passed
    // on.
    let mut core = TestCore::signed_in();
    core.page(open(7));
    assert_eq!(core.page(FromPage::End { stream: 7 }), []);
    assert_eq!(core.reply(1, opened()), [start(7, 1, None), Action::EndInput(id)]);
    break_off(&mut core, id, 2, size(80));
    let next = StreamId { stream: 7, request: 2 };
    assert_eq!(core.reply(2, opened()).last(), Some(&Action::EndInput(next)));
}

#[test]
fn a_page_that_looks_away_gets_nothing_more() {
    let mut core = TestCore::viewing();
    let view = StreamId { stream: 7, request: 1 };
    assert_eq!(core.page(FromPage::Close { stream: 7 }), [Action::CloseStream(view)]);
    assert_eq!(core.page(FromPage::Close { stream: 7 }), [], "there is nothing left");
    core.page(open(7));
    assert_eq!(core.page(FromPage::Close { stream: 7 }), [], "before it came");
    core.page(open(7));
    assert_eq!(core.reply(2, opened()), [], "the earlier one is dropped");
    assert_eq!(core.take(Input::StreamOver(view)), [], "an old view does not end a new one");
    assert_eq!(core.reply(3, opened()), [start(7, 3, None)]);
}

#[test]
fn refusals_name_their_channel_and_free_it() {
    let mut core = TestCore::signed_in();
    core.page(open(7));
    assert_eq!(core.reply(1, Answer::Refused(Refusal::NotGranted)), [refused(Some(7), Refusal::NotGranted)]);
    core.page(open(7));
    assert_eq!(core.reply(2, opened()), [start(7, 2, None)]);
    let failed = core.take(Input::StreamFailed(StreamId { stream: 7, request: 2 }));
    assert_eq!(failed, [refused(Some(7), Refusal::WorkerUnavailable)]);
    core.page(open(7));
    core.page(FromPage::EndSession { session: session() });
    assert_eq!(
        core.reply(4, Answer::Refused(Refusal::NoSuchSession)),
        [refused(None, Refusal::NoSuchSession)]
    );
}

#[test]
fn channels_and_requests_have_bounds() {
    let mut core = TestCore::signed_in();
    let most = u16::try_from(STREAMS_MAX).unwrap();
    for stream in 0..most {
        assert!(matches!(core.page(open(stream)).as_slice(), [Action::Ask(_)]));
        core.reply(u32::from(stream) + 1, opened());
    }
    assert_eq!(core.page(open(most)), [refused(Some(most), Refusal::TooMany)]);
    core.page(FromPage::Close { stream: 0 });
    assert!(matches!(core.page(open(most)).as_slice(), [Action::Ask(_)]));

    let mut core = TestCore::signed_in();
    for _ in 0..REQUESTS_MAX {
        assert!(matches!(core.page(FromPage::List {}).as_slice(), [Action::Ask(_)]));
    }
    assert_eq!(core.page(FromPage::List {}), [refused(None, Refusal::TooMany)]);
    assert_eq!(core.page(open(1)), [refused(Some(1), Refusal::TooMany)]);
    core.reply(1, Answer::Refused(Refusal::Unavailable));
    assert!(matches!(core.page(open(1)).as_slice(), [Action::Ask(_)]), "stream 1 was never taken");
}

#[test]
fn a_silent_page_is_asked_and_then_left() {
    let mut core = TestCore::signed_in();
    let begun = core.now;
    assert_eq!(core.core.deadline(), begun + PROBE_AFTER);
    for number in 1..=2 {
        core.now = core.core.deadline();
        assert_eq!(core.take(Input::Tick), [Action::Probe { number }]);
    }
    core.now = core.core.deadline();
    assert_eq!(core.now, begun + SILENCE_MAX);
    assert_eq!(core.take(Input::Tick), [Action::Close(Closing::Silent)]);

    let mut core = TestCore::signed_in();
    for number in 1..100 {
        core.now = core.core.deadline();
        assert_eq!(core.take(Input::Tick), [Action::Probe { number }]);
        core.take(Input::Pong { probe: Some(number) });
    }
}

#[test]
fn pongs_that_answer_no_ping_do_not_keep_a_connection() {
    for forged in [None, Some(0), Some(1), Some(u32::MAX)] {
        let mut core = TestCore::signed_in();
        core.now = core.core.deadline();
        assert_eq!(core.take(Input::Tick), [Action::Probe { number: 1 }]);
        core.take(Input::Pong { probe: Some(1) });
        let answered = core.now;
        loop {
            core.now = core.core.deadline();
            core.take(Input::Pong { probe: forged });
            if core.take(Input::Tick) == [Action::Close(Closing::Silent)] {
                break;
            }
            assert!(core.now < answered + SILENCE_MAX, "{forged:?}");
        }
    }
    // On a slow network, an answer may come after the next ping was sent.
    let mut core = TestCore::signed_in();
    for number in 1..100 {
        core.now = core.core.deadline();
        core.take(Input::Tick);
        core.take(Input::Pong { probe: Some(number - 1) });
        assert!(core.core.deadline() < core.now + SILENCE_MAX);
    }
}

#[test]
fn a_connection_that_nobody_signs_in_on_is_closed() {
    let mut core = TestCore::challenged();
    let begun = core.now;
    loop {
        core.now = core.core.deadline();
        core.take(Input::Alive);
        if core.take(Input::Tick) == [Action::Close(Closing::NeverSignedIn)] {
            break;
        }
        assert!(core.now < begun + SIGN_IN_TIMEOUT);
    }
    assert_eq!(core.now, begun + SIGN_IN_TIMEOUT);
    // However often a sign-in is begun.
    let mut core = TestCore::new();
    let begun = core.now;
    loop {
        core.take(Input::Alive);
        assert_eq!(core.page(FromPage::SignIn {}), [Action::Login(FromFront::SignIn)]);
        let challenge = Verdict::Challenge { ceremony: Ceremony::Get, options: json!({}) };
        core.take(Input::Login(challenge));
        core.now += SIGN_IN_TIMEOUT - Duration::from_secs(1);
        if core.now >= begun + SIGN_IN_MAX {
            core.take(Input::Alive);
            assert_eq!(core.take(Input::Tick), [Action::Close(Closing::NeverSignedIn)]);
            break;
        }
        core.take(Input::Alive);
        assert_eq!(core.take(Input::Tick), []);
    }
    let mut core = TestCore::signed_in();
    core.now += SIGN_IN_TIMEOUT + Duration::from_secs(1);
    core.take(Input::Alive);
    assert_eq!(core.take(Input::Tick), []);
}

#[test]
fn numbers_that_grow_when_written_again_do_not_pass_the_bound() {
    let mut core = TestCore::challenged();
    let text = format!("[{}1e15]", "1e15,".repeat(5000));
    let credential = serde_json::from_str(&text).unwrap();
    assert!(matches!(
        core.page(FromPage::Answer { credential, resume: None }).as_slice(),
        [Action::Close(Closing::BadMessage(_))]
    ));
}

#[test]
fn the_end_of_the_principal_channel_is_the_end() {
    let mut core = TestCore::viewing();
    assert_eq!(core.take(Input::BrokerLost), [Action::Close(Closing::BrokerLost)]);
    assert!(core.is_closed());
    assert_eq!(core.take(Input::Tick), []);
    assert_eq!(core.reply(1, Answer::Ending), []);
}

impl TestCore {
    /// A signed-in core with a challenge for a step-up on stream 3.
    fn stepping_up() -> Self {
        let mut core = Self::signed_in();
        let account: crate::names::AccountName = "alice".parse().unwrap();
        let asked = [Action::Login(FromFront::StepUp { account })];
        assert_eq!(core.page(FromPage::StepUp { stream: 3 }), asked);
        let challenge = Verdict::Challenge { ceremony: Ceremony::Get, options: json!({"y": 1}) };
        let told = ToPage::TouchChallenge { stream: 3, options: json!({"y": 1}) };
        assert_eq!(core.take(Input::Login(challenge)), [Action::Tell(told)]);
        core
    }

    /// The same once the page has answered: request 1 waits for auth.
    fn touched() -> Self {
        let mut core = Self::stepping_up();
        let answer = FromFront::Answer { credential: r#"{"id":"b"}"#.into(), resume_key: None };
        assert_eq!(core.page(touch(3)), [Action::Login(answer)]);
        core
    }
}

#[test]
fn a_view_with_a_touch_is_asked_for_on_the_channel_of_its_step_up_and_again() {
    let mut core = TestCore::touched();
    let ask = Ask::Open { target: "ops@.host".parse().unwrap(), size: size(80), reason: None };
    let request = Request { number: 1, ask };
    assert_eq!(
        core.take(Input::Login(Verdict::SteppedUp)),
        [Action::KeepStepUp(3), Action::AskSteppedUp { stream: 3, request }]
    );
    assert!(core.core.has_stream(3));
    assert_eq!(core.reply(1, opened()), [start(3, 1, None)]);
    let id = StreamId { stream: 3, request: 1 };
    let again = Request { number: 2, ask: Ask::Attach { session: session(), size: size(80) } };
    assert_eq!(
        core.take(Input::StreamBroke(id)),
        [Action::AskSteppedUp { stream: 3, request: again }],
        "the main channel may not view the session"
    );
    // Another stream is opened as before.
    assert!(matches!(core.page(open(4)).as_slice(), [Action::Ask(_)]));
    assert_eq!(core.take(Input::StepUpLost(4)), []);
    let lost = ToPage::Closed { stream: 3, reason: EndReason::ViewLost, exit: None };
    assert_eq!(core.take(Input::StepUpLost(3)), [Action::Tell(lost)]);
    assert!(!core.core.has_stream(3));
}

#[test]
fn a_view_with_a_touch_that_loses_its_channel_is_not_asked_for_again() {
    let mut core = TestCore::touched();
    core.take(Input::Login(Verdict::SteppedUp));
    core.reply(1, opened());
    assert_eq!(core.take(Input::StepUpLost(3)), [], "its worker closes the view");
    let lost = ToPage::Closed { stream: 3, reason: EndReason::ViewLost, exit: None };
    let id = StreamId { stream: 3, request: 1 };
    assert_eq!(core.take(Input::StreamBroke(id)), [Action::Tell(lost)]);
    // Before there is a view, the page is refused.
    let mut core = TestCore::touched();
    core.take(Input::Login(Verdict::SteppedUp));
    assert_eq!(core.take(Input::StepUpLost(3)), [refused(Some(3), Refusal::Unavailable)]);
}

#[test]
fn a_step_up_is_for_one_stream_and_one_answer() {
    let mut core = TestCore::stepping_up();
    assert!(matches!(core.page(touch(4)).as_slice(), [Action::Close(Closing::BadMessage(_))]));
    let mut core = TestCore::touched();
    assert!(matches!(core.page(touch(3)).as_slice(), [Action::Close(Closing::BadMessage(_))]));
    // One at a time: auth is asked nothing more before it has answered.
    let mut core = TestCore::touched();
    assert_eq!(core.page(FromPage::StepUp { stream: 5 }), [refused(Some(5), Refusal::Busy)]);
    assert_eq!(
        core.take(Input::Login(Verdict::Refused(Refusal::PasskeyOfAnother))),
        [refused(Some(3), Refusal::PasskeyOfAnother)]
    );
    assert!(!core.core.has_stream(3));
    assert!(matches!(core.page(FromPage::StepUp { stream: 3 }).as_slice(), [Action::Login(_)]));
    assert_eq!(
        core.take(Input::Login(Verdict::Refused(Refusal::Unavailable))),
        [refused(Some(3), Refusal::Unavailable)]
    );
    // Whatever auth says that was not asked for ends the connection.
    for (core, verdict) in [
        (TestCore::signed_in(), Verdict::SteppedUp),
        (TestCore::stepping_up(), Verdict::SteppedUp),
        (TestCore::touched(), Verdict::SignedIn { account: "bob".parse().unwrap(), resume: None }),
        (TestCore::answered(), Verdict::SteppedUp),
    ] {
        let mut core = core;
        assert!(matches!(core.take(Input::Login(verdict)).as_slice(), [Action::Close(Closing::Broken(_))]));
    }
    // A page that has closed the stream meanwhile leaves the channel unused.
    let mut core = TestCore::touched();
    core.page(FromPage::Close { stream: 3 });
    assert_eq!(core.take(Input::Login(Verdict::SteppedUp)), []);
}
