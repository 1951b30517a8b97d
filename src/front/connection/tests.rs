//! Tests of the connection's core, input by input.

use std::time::{Duration, Instant};

use serde_json::json;

use super::closing::Closing;
use super::core::{Core, PROBE_AFTER, SIGN_IN_WITHIN, SILENCE_MAX};
use super::steps::{Action, Control, Input, StreamId, Verdict};
use super::streams::{AGAIN_PAUSE, AGAIN_WITHIN, BROKEN_OFF_MAX};
use crate::names::{SessionId, Target, TermSize, Theme};
use crate::protocol::login::FromFront;
use crate::protocol::page::{Ceremony, FromPage, STREAMS_MAX, ToPage};
use crate::protocol::principal::{Answer, Ask, FromBroker, REQUESTS_MAX, Request};
use crate::protocol::{EndReason, Refusal};

/// A core with a clock that only a test advances.
struct Desk {
    core: Core,
    now: Instant,
}

impl Desk {
    fn new() -> Self {
        let now = Instant::now();
        Self { core: Core::new(now), now }
    }

    fn take(&mut self, input: Input) -> Vec<Action> {
        self.core.handle(input, self.now)
    }

    fn page(&mut self, message: FromPage) -> Vec<Action> {
        self.take(Input::Page(message))
    }

    fn asked() -> Self {
        let mut desk = Self::new();
        assert_eq!(desk.page(FromPage::SignIn {}), [Action::Login(FromFront::SignIn)]);
        desk
    }

    fn challenged() -> Self {
        let mut desk = Self::asked();
        let challenge = Verdict::Challenge { ceremony: Ceremony::Get, options: json!({"x": 1}) };
        let told = ToPage::Challenge { ceremony: Ceremony::Get, options: json!({"x": 1}) };
        assert_eq!(desk.take(Input::Login(challenge)), [Action::Tell(told)]);
        desk
    }

    fn answered() -> Self {
        let mut desk = Self::challenged();
        let answer = FromFront::Answer { credential: r#"{"id":"a"}"#.into() };
        assert_eq!(desk.page(FromPage::Answer { credential: json!({"id": "a"}) }), [Action::Login(answer)]);
        desk
    }

    fn signed_in() -> Self {
        let mut desk = Self::answered();
        let account: crate::names::AccountName = "alice".parse().unwrap();
        let lobby = Request { number: 0, ask: Ask::Lobby };
        assert_eq!(
            desk.take(Input::Login(Verdict::SignedIn { account: account.clone() })),
            [Action::Tell(ToPage::SignedIn { account }), Action::Ask(lobby)]
        );
        assert_eq!(
            desk.reply(0, Answer::Lobby { targets: vec![target()], sessions: vec![] }),
            [Action::Tell(ToPage::Lobby { targets: vec![target()], sessions: vec![] })]
        );
        desk
    }

    fn reply(&mut self, number: u32, answer: Answer) -> Vec<Action> {
        self.take(Input::Broker(FromBroker::Reply { number, answer }))
    }

    /// A signed-in core with a live view on stream 7, opened by request 1.
    fn viewing() -> Self {
        let mut desk = Self::signed_in();
        desk.page(open(7));
        let opened = desk.reply(1, opened());
        assert_eq!(opened, [start(7, 1, None)]);
        desk
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
    FromPage::Open { stream, target: target(), size: size(80) }
}

fn opened() -> Answer {
    Answer::Opened { session: session(), target: target() }
}

fn start(stream: u16, request: u32, size: Option<TermSize>) -> Action {
    let (view, again) = (StreamId { stream, request }, false);
    Action::StartStream { id: view, session: session(), target: target(), size, theme: None, again }
}

fn refused(stream: Option<u16>, refusal: Refusal) -> Action {
    Action::Tell(ToPage::Refused { stream, refusal })
}

fn every_page_message() -> Vec<FromPage> {
    vec![
        FromPage::SignIn {},
        FromPage::Enrol { token: "t".into() },
        FromPage::Answer { credential: json!({}) },
        FromPage::List {},
        open(1),
        FromPage::Attach { stream: 2, session: session(), size: size(80) },
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
    const IN_ACCOUNT: [&str; 9] =
        ["list", "open", "attach", "resize", "theme", "close", "end", "end-session", "ping"];
    type Case = (&'static str, fn() -> Desk, &'static [&'static str]);
    let cases: [Case; 5] = [
        ("anonymous", Desk::new, &["sign-in", "enrol", "ping"]),
        ("asked", Desk::asked, &["ping"]),
        ("challenged", Desk::challenged, &["sign-in", "enrol", "answer", "ping"]),
        ("answered", Desk::answered, &["ping"]),
        ("signed in", Desk::signed_in, &IN_ACCOUNT),
    ];
    for (state, desk, allowed) in cases {
        for message in every_page_message() {
            let word = word(&message);
            let mut desk = desk();
            let actions = desk.page(message);
            let ended = matches!(actions.as_slice(), [Action::Close(Closing::BadMessage(_))]);
            assert_eq!(ended, !allowed.contains(&word.as_str()), "{word} when {state}: {actions:?}");
            assert!(!ended || desk.is_closed(), "{word} when {state}");
        }
        let mut desk = desk();
        let typed = desk.take(Input::StrayBytes { stream: 1, length: 1 });
        let ended = matches!(typed.as_slice(), [Action::Close(Closing::BadMessage(_))]);
        assert_eq!(ended, state != "signed in", "input when {state}");
    }
}

#[test]
fn a_refused_login_begins_again_on_the_same_connection() {
    for desk in [Desk::asked as fn() -> Desk, Desk::answered] {
        for refusal in [Refusal::UnknownPasskey, Refusal::LinkInvalid, Refusal::Unavailable] {
            let mut desk = desk();
            assert_eq!(desk.take(Input::Login(Verdict::Refused(refusal))), [refused(None, refusal)]);
            assert_eq!(desk.page(FromPage::SignIn {}), [Action::Login(FromFront::SignIn)]);
        }
        let mut desk = desk();
        let bad = desk.take(Input::Login(Verdict::Refused(Refusal::BadMessage)));
        assert!(matches!(bad.as_slice(), [Action::Close(Closing::BadMessage(_))]), "{bad:?}");
    }
}

#[test]
fn what_auth_or_the_broker_was_not_asked_ends_the_connection() {
    let broken = |actions: Vec<Action>| matches!(actions.as_slice(), [Action::Close(Closing::Broken(_))]);
    let signed_in = || Verdict::SignedIn { account: "alice".parse().unwrap() };
    let challenge = || Verdict::Challenge { ceremony: Ceremony::Get, options: json!({}) };
    for desk in [Desk::new as fn() -> Desk, Desk::asked, Desk::challenged, Desk::signed_in] {
        assert!(broken(desk().take(Input::Login(signed_in()))));
    }
    for desk in [Desk::new as fn() -> Desk, Desk::challenged, Desk::answered, Desk::signed_in] {
        assert!(broken(desk().take(Input::Login(challenge()))));
    }
    assert!(broken(Desk::challenged().reply(0, Answer::Ending)), "before anybody signed in");
    let lobby = || Answer::Lobby { targets: vec![], sessions: vec![] };
    assert!(broken(Desk::signed_in().reply(0, lobby())), "answered twice");
    assert!(broken(Desk::signed_in().reply(99, lobby())), "never asked");
    for answer in [lobby(), Answer::Ending, Answer::AllSessions(vec![])] {
        let mut desk = Desk::signed_in();
        desk.page(open(1));
        assert!(broken(desk.reply(1, answer)));
    }
}

#[test]
fn a_view_begins_passes_things_on_and_ends() {
    let mut desk = Desk::signed_in();
    let asked = Request { number: 1, ask: Ask::Open { target: target(), size: size(80) } };
    assert_eq!(desk.page(open(7)), [Action::Ask(asked)]);
    assert_eq!(desk.take(Input::StrayBytes { stream: 7, length: 1 }), [], "it is not there yet");
    assert_eq!(desk.page(FromPage::Resize { stream: 7, size: size(90) }), []);
    assert_eq!(desk.page(FromPage::Resize { stream: 7, size: size(100) }), []);
    assert_eq!(desk.reply(1, opened()), [start(7, 1, Some(size(100)))], "with the last size");
    let view = StreamId { stream: 7, request: 1 };
    let resize = FromPage::Resize { stream: 7, size: size(60) };
    assert_eq!(desk.page(resize), [Action::Control { id: view, control: Control::Size(size(60)) }]);
    assert_eq!(desk.take(Input::StreamOver(view)), []);
    assert_eq!(desk.take(Input::StrayBytes { stream: 7, length: 4 }), [], "typed before it knew");
    let attach = FromPage::Attach { stream: 7, session: session(), size: size(80) };
    assert!(
        matches!(desk.page(attach).as_slice(), [Action::Ask(Request { number: 2, .. })]),
        "the number is free"
    );
}

/// Makes a view break off, and checks the request to reattach it.
fn break_off(desk: &mut Desk, view: StreamId, number: u32, at: TermSize) {
    let attach = Request { number, ask: Ask::Attach { session: session(), size: at } };
    assert_eq!(desk.take(Input::StreamBroke(view)), [Action::Ask(attach)]);
}

#[test]
fn a_view_that_breaks_off_is_asked_for_again() {
    let mut desk = Desk::viewing();
    let (first, second) = (StreamId { stream: 7, request: 1 }, StreamId { stream: 7, request: 2 });
    desk.page(FromPage::Resize { stream: 7, size: size(90) });
    let theme = FromPage::Theme { stream: 7, theme: Theme::DEFAULT };
    let control = Action::Control { id: first, control: Control::Theme(Theme::DEFAULT) };
    assert_eq!(desk.page(theme), [control]);
    break_off(&mut desk, first, 2, size(90));
    assert_eq!(desk.take(Input::StreamBroke(first)), [], "it is over");
    let dropped = ToPage::InputDropped { stream: 7, bytes: 3 };
    let typed = desk.take(Input::StrayBytes { stream: 7, length: 3 });
    assert_eq!(typed, [Action::Tell(dropped)], "what is typed meanwhile is dropped, and said to be");
    assert_eq!(desk.page(FromPage::Resize { stream: 7, size: size(100) }), []);
    let begin = |view, size| {
        let (theme, again) = (Some(Theme::DEFAULT), true);
        [Action::StartStream { id: view, session: session(), target: target(), size, theme, again }]
    };
    assert_eq!(desk.reply(2, opened()), begin(second, Some(size(100))));
    // The new view's worker does not answer: the front asks once more.
    let attach = Request { number: 3, ask: Ask::Attach { session: session(), size: size(100) } };
    assert_eq!(desk.take(Input::StreamFailed(second)), [Action::Ask(attach)]);
    assert_eq!(desk.page(FromPage::Close { stream: 7 }), []);
    assert_eq!(desk.reply(3, opened()), [], "the page has left it");
}

#[test]
fn a_view_that_cannot_be_had_again_is_over() {
    let gone = |refusal| {
        let mut desk = Desk::viewing();
        break_off(&mut desk, StreamId { stream: 7, request: 1 }, 2, size(80));
        (desk.reply(2, Answer::Refused(refusal)), desk)
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
        let (said, mut desk) = gone(refusal);
        assert_eq!(said, over(reason), "{refusal}");
        assert!(matches!(desk.page(open(7)).as_slice(), [Action::Ask(_)]), "the number is free");
    }
    // While a worker is being restarted, the front keeps asking for a limited time.
    let (said, mut desk) = gone(Refusal::WorkerUnavailable);
    assert_eq!(said, []);
    let begun = desk.now;
    let mut number = 3;
    let last = loop {
        assert_eq!(desk.core.deadline().min(desk.now + AGAIN_PAUSE), desk.now + AGAIN_PAUSE);
        desk.take(Input::Alive);
        desk.now += AGAIN_PAUSE;
        let asked = desk.take(Input::Tick);
        assert!(matches!(&asked[..], [Action::Ask(request)] if request.number == number), "{asked:?}");
        let said = desk.reply(number, Answer::Refused(Refusal::WorkerUnavailable));
        number += 1;
        if !said.is_empty() {
            break said;
        }
    };
    let lost = over(EndReason::ViewLost);
    assert_eq!((last.as_slice(), desk.now), (&lost[..], begun + AGAIN_WITHIN));
    // A view that keeps breaking off is closed.
    let mut desk = Desk::viewing();
    let mut view = StreamId { stream: 7, request: 1 };
    for _ in 0..BROKEN_OFF_MAX {
        break_off(&mut desk, view, view.request + 1, size(80));
        view.request += 1;
        desk.reply(view.request, opened());
    }
    assert_eq!(desk.take(Input::StreamBroke(view)), lost);
}

#[test]
fn a_channel_that_is_open_is_not_opened_again() {
    let mut desk = Desk::viewing();
    assert!(matches!(desk.page(open(7)).as_slice(), [Action::Close(Closing::BadMessage(_))]));
}

#[test]
fn the_input_of_a_stream_is_ended_once() {
    let mut desk = Desk::viewing();
    let id = StreamId { stream: 7, request: 1 };
    assert_eq!(desk.page(FromPage::End { stream: 7 }), [Action::EndInput(id)]);
    assert!(matches!(
        desk.page(FromPage::End { stream: 7 }).as_slice(),
        [Action::Close(Closing::BadMessage(_))]
    ));
    // If the page ends its input before the stream opens or while it reattaches, the end is passed
    // on.
    let mut desk = Desk::signed_in();
    desk.page(open(7));
    assert_eq!(desk.page(FromPage::End { stream: 7 }), []);
    assert_eq!(desk.reply(1, opened()), [start(7, 1, None), Action::EndInput(id)]);
    break_off(&mut desk, id, 2, size(80));
    let next = StreamId { stream: 7, request: 2 };
    assert_eq!(desk.reply(2, opened()).last(), Some(&Action::EndInput(next)));
}

#[test]
fn a_page_that_looks_away_gets_nothing_more() {
    let mut desk = Desk::viewing();
    let view = StreamId { stream: 7, request: 1 };
    assert_eq!(desk.page(FromPage::Close { stream: 7 }), [Action::CloseStream(view)]);
    assert_eq!(desk.page(FromPage::Close { stream: 7 }), [], "there is nothing left");
    desk.page(open(7));
    assert_eq!(desk.page(FromPage::Close { stream: 7 }), [], "before it came");
    desk.page(open(7));
    assert_eq!(desk.reply(2, opened()), [], "the earlier one is dropped");
    assert_eq!(desk.take(Input::StreamOver(view)), [], "an old view does not end a new one");
    assert_eq!(desk.reply(3, opened()), [start(7, 3, None)]);
}

#[test]
fn refusals_name_their_channel_and_free_it() {
    let mut desk = Desk::signed_in();
    desk.page(open(7));
    assert_eq!(desk.reply(1, Answer::Refused(Refusal::NotGranted)), [refused(Some(7), Refusal::NotGranted)]);
    desk.page(open(7));
    assert_eq!(desk.reply(2, opened()), [start(7, 2, None)]);
    let failed = desk.take(Input::StreamFailed(StreamId { stream: 7, request: 2 }));
    assert_eq!(failed, [refused(Some(7), Refusal::WorkerUnavailable)]);
    desk.page(open(7));
    desk.page(FromPage::EndSession { session: session() });
    assert_eq!(
        desk.reply(4, Answer::Refused(Refusal::NoSuchSession)),
        [refused(None, Refusal::NoSuchSession)]
    );
}

#[test]
fn channels_and_requests_have_bounds() {
    let mut desk = Desk::signed_in();
    let most = u16::try_from(STREAMS_MAX).unwrap();
    for stream in 0..most {
        assert!(matches!(desk.page(open(stream)).as_slice(), [Action::Ask(_)]));
        desk.reply(u32::from(stream) + 1, opened());
    }
    assert_eq!(desk.page(open(most)), [refused(Some(most), Refusal::TooMany)]);
    desk.page(FromPage::Close { stream: 0 });
    assert!(matches!(desk.page(open(most)).as_slice(), [Action::Ask(_)]));

    let mut desk = Desk::signed_in();
    for _ in 0..REQUESTS_MAX {
        assert!(matches!(desk.page(FromPage::List {}).as_slice(), [Action::Ask(_)]));
    }
    assert_eq!(desk.page(FromPage::List {}), [refused(None, Refusal::TooMany)]);
    assert_eq!(desk.page(open(1)), [refused(Some(1), Refusal::TooMany)]);
    desk.reply(1, Answer::Refused(Refusal::Unavailable));
    assert!(matches!(desk.page(open(1)).as_slice(), [Action::Ask(_)]), "stream 1 was never taken");
}

#[test]
fn a_silent_page_is_asked_and_then_left() {
    let mut desk = Desk::signed_in();
    let begun = desk.now;
    assert_eq!(desk.core.deadline(), begun + PROBE_AFTER);
    for _ in 0..2 {
        desk.now = desk.core.deadline();
        assert_eq!(desk.take(Input::Tick), [Action::Probe]);
    }
    desk.now = desk.core.deadline();
    assert_eq!(desk.now, begun + SILENCE_MAX);
    assert_eq!(desk.take(Input::Tick), [Action::Close(Closing::Silent)]);

    let mut desk = Desk::signed_in();
    for _ in 0..100 {
        desk.now = desk.core.deadline();
        assert_eq!(desk.take(Input::Tick), [Action::Probe]);
        desk.take(Input::Alive);
    }
}

#[test]
fn a_connection_that_nobody_signs_in_on_is_closed() {
    let mut desk = Desk::challenged();
    let begun = desk.now;
    loop {
        desk.now = desk.core.deadline();
        desk.take(Input::Alive);
        if desk.take(Input::Tick) == [Action::Close(Closing::NeverSignedIn)] {
            break;
        }
        assert!(desk.now < begun + SIGN_IN_WITHIN);
    }
    assert_eq!(desk.now, begun + SIGN_IN_WITHIN);
    let mut desk = Desk::signed_in();
    desk.now += SIGN_IN_WITHIN + Duration::from_secs(1);
    desk.take(Input::Alive);
    assert_eq!(desk.take(Input::Tick), []);
}

#[test]
fn numbers_that_grow_when_written_again_do_not_pass_the_bound() {
    let mut desk = Desk::challenged();
    let text = format!("[{}1e15]", "1e15,".repeat(5000));
    let credential = serde_json::from_str(&text).unwrap();
    assert!(matches!(
        desk.page(FromPage::Answer { credential }).as_slice(),
        [Action::Close(Closing::BadMessage(_))]
    ));
}

#[test]
fn the_end_of_the_principal_channel_is_the_end() {
    let mut desk = Desk::viewing();
    assert_eq!(desk.take(Input::BrokerLost), [Action::Close(Closing::BrokerLost)]);
    assert!(desk.is_closed());
    assert_eq!(desk.take(Input::Tick), []);
    assert_eq!(desk.reply(1, Answer::Ending), []);
}
