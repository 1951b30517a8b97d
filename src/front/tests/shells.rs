//! Tests of the whole path: a page signs in, opens shells, and loses them.

use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::mpsc;
use std::time::Duration;

use futures_util::SinkExt as _;
use nix::sys::socket::{Shutdown, shutdown};
use tokio_tungstenite::tungstenite::Message;

use super::fixture::{Fixture, Page, SOON, ViewerChannel};
use crate::front::connection::{BROKEN_OFF_MAX, DELIVERY_TIMEOUT};
use crate::names::{Color, TermSize, Theme};
use crate::protocol::page::{BINARY_FRAME_MAX, FromPage, INPUT_PATIENCE, TEXT_FRAME_MAX, ToPage};
use crate::protocol::viewer::{CHUNK_MAX, Extent, FromViewer, ToViewer};
use crate::protocol::{EndReason, Refusal, SessionEnd, ShellExit};
use crate::sys::seqpacket;

fn refused(refusal: Refusal) -> ToPage {
    ToPage::Refused { stream: None, refusal }
}

/// A signed-in page with a view on `stream`, and the worker's end of it.
async fn shell(fixture: &Fixture, stream: u16) -> (Page, ViewerChannel) {
    let mut page = fixture.signed_in().await;
    let worker = another(fixture, &mut page, stream).await;
    (page, worker)
}

async fn another(fixture: &Fixture, page: &mut Page, stream: u16) -> ViewerChannel {
    page.ask_open(stream).await;
    let worker = tokio::task::block_in_place(|| fixture.worker());
    let heard = page.heard().await;
    assert!(matches!(heard, ToPage::Opened { stream: opened, .. } if opened == stream), "{heard:?}");
    worker
}

fn take(worker: &ViewerChannel) -> FromViewer {
    worker.receive_within(SOON).unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn from_sign_in_to_exit() {
    let fixture = Fixture::build();
    let (mut page, worker) = shell(&fixture, 300).await;
    worker.send(&ToViewer::Output(b"hello \xff".to_vec()), &[]).unwrap();
    assert_eq!(page.output().await, (300, b"hello \xff".to_vec()));
    page.send_typed(300, b"exit\r").await;
    assert_eq!(take(&worker), FromViewer::Input(b"exit\r".to_vec()));
    let size = TermSize::new(100, 30).unwrap();
    page.say(&FromPage::Resize { stream: 300, size }).await;
    assert_eq!(take(&worker), FromViewer::Resize(size));
    page.say(&FromPage::Shown { stream: 300, bytes: 7 }).await;
    assert_eq!(take(&worker), FromViewer::Shown(7));
    page.say(&FromPage::Refresh { stream: 300 }).await;
    assert_eq!(take(&worker), FromViewer::Refresh);
    page.say(&FromPage::ResetTerminal { stream: 300 }).await;
    assert_eq!(take(&worker), FromViewer::ResetTerminal);
    let theme = Theme { cursor: Color(1, 2, 3), ..Theme::DEFAULT };
    page.say(&FromPage::Theme { stream: 300, theme }).await;
    assert_eq!(take(&worker), FromViewer::Theme(theme));
    let extent = Extent::Whole;
    worker.send(&ToViewer::SnapshotBegins { size, length: 5, extent }, &[]).unwrap();
    worker.send(&ToViewer::Size(size), &[]).unwrap();
    worker.send(&ToViewer::InputDropped(6), &[]).unwrap();
    worker.send(&ToViewer::Output(b"bye".to_vec()), &[]).unwrap();
    let (reason, exit) = (EndReason::ShellEnded, Some(ShellExit::Exited(3)));
    worker.send(&ToViewer::Ended(SessionEnd { reason, exit }), &[]).unwrap();
    assert_eq!(page.heard().await, ToPage::Snapshot { stream: 300, size, bytes: 5, extent });
    assert_eq!(page.heard().await, ToPage::Size { stream: 300, size });
    assert_eq!(page.heard().await, ToPage::InputDropped { stream: 300, bytes: 6 });
    assert_eq!(page.output().await, (300, b"bye".to_vec()));
    assert_eq!(page.heard().await, ToPage::End { stream: 300 });
    assert_eq!(page.heard().await, ToPage::Closed { stream: 300, reason, exit });
    // The stream's number is free at once.
    another(&fixture, &mut page, 300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_breaks_off_comes_back_and_the_page_sees_its_snapshot() {
    let fixture = Fixture::build();
    let (mut page, mut worker) = shell(&fixture, 1).await;
    let size = TermSize::new(80, 24).unwrap();
    for _ in 0..BROKEN_OFF_MAX {
        drop(worker);
        worker = tokio::task::block_in_place(|| fixture.worker());
        worker.send(&ToViewer::SnapshotBegins { size, length: 5, extent: Extent::Whole }, &[]).unwrap();
        let snapshot = ToPage::Snapshot { stream: 1, size, bytes: 5, extent: Extent::Whole };
        assert_eq!(page.heard().await, snapshot);
        page.send_typed(1, b"x").await;
        assert_eq!(tokio::task::block_in_place(|| take(&worker)), FromViewer::Input(b"x".to_vec()));
    }
    drop(worker);
    assert_eq!(page.heard().await, ToPage::Closed { stream: 1, reason: EndReason::ViewLost, exit: None });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_refused_can_begin_again() {
    let fixture = Fixture::build();
    let mut page = fixture.page().await;
    page.say(&FromPage::Enrol { token: "bad".into() }).await;
    assert_eq!(page.heard().await, refused(Refusal::LinkInvalid));
    page.say(&FromPage::SignIn {}).await;
    assert!(matches!(page.heard().await, ToPage::Challenge { .. }));
    page.say(&FromPage::Answer { credential: "bad".into(), resume: None }).await;
    assert_eq!(page.heard().await, refused(Refusal::UnknownPasskey));
    page.sign_in().await;
    let open = FromPage::Open {
        stream: 9,
        target: "root@box".parse().unwrap(),
        size: TermSize::new(80, 24).unwrap(),
        reason: None,
    };
    page.say(&open).await;
    assert_eq!(page.heard().await, ToPage::Refused { stream: Some(9), refusal: Refusal::NotGranted });
}

#[tokio::test(flavor = "multi_thread")]
async fn without_auth_the_page_hears_it_and_can_try_again() {
    let fixture = Fixture::without_auth();
    let mut page = fixture.page().await;
    page.say(&FromPage::SignIn {}).await;
    assert_eq!(page.heard().await, refused(Refusal::Unavailable));
    fixture.start_auth(mpsc::channel().0, mpsc::channel().0);
    page.sign_in().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_principal_channel_ends_every_view_at_once() {
    let fixture = Fixture::build();
    let (mut page, one) = shell(&fixture, 1).await;
    let other = another(&fixture, &mut page, 2).await;
    let principal = fixture.principals.recv_timeout(SOON).unwrap();
    nix::sys::socket::shutdown(std::os::fd::AsRawFd::as_raw_fd(&principal), nix::sys::socket::Shutdown::Both)
        .unwrap();
    let (told, close) = page.last_words().await;
    assert_eq!((told, close.as_str()), (None, "1012 unavailable"));
    for worker in [one, other] {
        assert!(matches!(worker.receive_within(SOON), Err(crate::wire::WireError::Closed)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_goes_takes_its_views_along() {
    let fixture = Fixture::build();
    let (page, worker) = shell(&fixture, 1).await;
    drop(page);
    assert!(matches!(worker.receive_within(SOON), Err(crate::wire::WireError::Closed)));
    let principal = fixture.principals.recv_timeout(SOON).unwrap();
    seqpacket::wait_readable(principal.as_fd(), SOON).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detached_view_is_dropped_and_the_session_is_not_ended() {
    let fixture = Fixture::build();
    let (mut page, worker) = shell(&fixture, 1).await;
    page.say(&FromPage::Close { stream: 1 }).await;
    assert!(matches!(worker.receive_within(SOON), Err(crate::wire::WireError::Closed)));
    page.say(&FromPage::Ping {}).await;
    assert!(matches!(page.heard().await, ToPage::Pong { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_frames_end_the_connection() {
    let fixture = Fixture::build();
    let ping = r#"{"type":"ping"}"#;
    for frame in [
        Message::text("nonsense"),
        Message::text(r#"{"type":"sudo"}"#),
        Message::text(r#"{"type":"list"}"#),
        Message::binary(b"x".to_vec()),
        Message::binary(b"".to_vec()),
        Message::binary(b"\0\x01\x01\xff\xff\xff\xffbefore signing in".to_vec()),
        Message::binary(b"\0\x01\x02\xff\xff\xff\xffa file".to_vec()),
        Message::text(format!("{ping}{}", " ".repeat(TEXT_FRAME_MAX + 1 - ping.len()))),
        Message::text(" ".repeat(BINARY_FRAME_MAX + 1)),
    ] {
        let mut page = fixture.page().await;
        page.0.send(frame.clone()).await.unwrap();
        let (told, close) = page.last_words().await;
        assert_eq!(told, Some(refused(Refusal::BadMessage)), "{frame:.60?}");
        assert_eq!(close, "1008 bad-message");
    }
    // Frames of exactly the maximum length are accepted.
    let mut page = fixture.signed_in().await;
    let fits = format!("{ping}{}", " ".repeat(TEXT_FRAME_MAX - ping.len()));
    page.0.send(Message::text(fits)).await.unwrap();
    assert!(matches!(page.heard().await, ToPage::Pong { .. }));
    page.send_typed(1, &vec![b'a'; CHUNK_MAX]).await;
    page.say(&FromPage::Ping {}).await;
    assert!(matches!(page.heard().await, ToPage::Pong { .. }));
    page.send_typed(1, &vec![b'a'; CHUNK_MAX + 1]).await;
    assert_eq!(page.last_words().await.0, Some(refused(Refusal::BadMessage)));
}

/// Sends output until nothing has been taken for a second. Returns how much was taken, in bytes.
fn flood(worker: &ViewerChannel, most: usize) -> usize {
    seqpacket::set_nonblocking(worker.as_fd()).unwrap();
    let (mut taken, mut last) = (0, std::time::Instant::now());
    while last.elapsed() < Duration::from_secs(1) && taken < most {
        let chunk = vec![b'a' + u8::try_from(taken / CHUNK_MAX % 26).unwrap(); CHUNK_MAX];
        if worker.send(&ToViewer::Output(chunk), &[]).is_ok() {
            taken += CHUNK_MAX;
            last = std::time::Instant::now();
        } else {
            std::thread::yield_now();
        }
    }
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_does_not_read_stops_the_worker_and_loses_nothing() {
    let fixture = Fixture::build();
    let mut page = Page::open(fixture.address, Some(16 * 1024)).await.unwrap();
    page.sign_in().await;
    let worker = another(&fixture, &mut page, 1).await;
    let taken = tokio::task::block_in_place(|| flood(&worker, 64 * 1024 * 1024));
    // These bytes are in transit: in the worker's own socket, one chunk each in the view, the queue
    // and the writer, and in the kernel's two TCP buffers.
    assert!(taken < 1024 * 1024, "{taken} bytes were taken for a page that does not read");
    // Input still gets through meanwhile.
    page.send_typed(1, b"\x03").await;
    assert_eq!(tokio::task::block_in_place(|| take(&worker)), FromViewer::Input(b"\x03".to_vec()));
    let mut read = 0;
    while read < taken {
        let (stream, bytes) = page.output().await;
        assert_eq!(stream, 1);
        assert!(bytes.iter().all(|byte| *byte == b'a' + u8::try_from(read / CHUNK_MAX % 26).unwrap()));
        read += bytes.len();
    }
    assert_eq!(read, taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_asks_and_does_not_read_is_not_read_from() {
    let fixture = Fixture::build();
    let mut page = Page::open(fixture.address, Some(16 * 1024)).await.unwrap();
    page.sign_in().await;
    // The kernel buffers only a small part of these.
    for _ in 0..300_000 {
        if tokio::time::timeout(Duration::from_secs(1), page.say(&FromPage::Ping {})).await.is_err() {
            return;
        }
    }
    panic!("every question was taken, and every answer kept");
}

/// Sends output until the socket is full.
fn fill(worker: &ViewerChannel) {
    seqpacket::set_nonblocking(worker.as_fd()).unwrap();
    while worker.send(&ToViewer::Output(vec![b'a'; CHUNK_MAX]), &[]).is_ok() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn no_stream_goes_hungry_beside_a_flood() {
    let fixture = Fixture::build();
    let mut page = Page::open(fixture.address, Some(16 * 1024)).await.unwrap();
    page.sign_in().await;
    let workers = [another(&fixture, &mut page, 1).await, another(&fixture, &mut page, 2).await];
    let mut frames = [0, 0];
    for _ in 0..300 {
        workers.iter().for_each(fill);
        let (stream, _) = page.output().await;
        frames[usize::from(stream) - 1] += 1;
    }
    assert!(frames.iter().all(|count| *count > 60), "{frames:?}");
    // A pong does not wait behind the output.
    page.say(&FromPage::Ping {}).await;
    let mut between = 0;
    while let Message::Binary(_) = page.next().await {
        between += 1;
    }
    assert!(between < 300, "{between} frames before the pong");
}

/// Sends input until the queue of a stream is full. Returns how many bytes were queued.
async fn type_until_dropped(page: &mut Page, stream: u16) -> u64 {
    let chunk = vec![b'x'; CHUNK_MAX];
    let mut sent = 0;
    loop {
        page.send_typed(stream, &chunk).await;
        page.say(&FromPage::Ping {}).await;
        sent += CHUNK_MAX as u64;
        assert!(sent < 200 * CHUNK_MAX as u64, "nothing bounds what waits for a worker");
        let heard = page.heard().await;
        if let ToPage::InputDropped { stream: of, bytes } = heard {
            // The pong follows this message.
            assert_eq!((of, bytes), (stream, CHUNK_MAX as u64));
            return sent - bytes;
        }
        assert!(matches!(heard, ToPage::Pong { .. }), "{heard:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_does_not_read_holds_up_no_other_stream() {
    let fixture = Fixture::build();
    let (mut page, stuck) = shell(&fixture, 1).await;
    let good = another(&fixture, &mut page, 2).await;
    type_until_dropped(&mut page, 1).await;
    assert!(matches!(page.heard().await, ToPage::Pong { .. }));
    // Sixteen frames for the stuck worker, none of which may delay the other stream.
    let began = std::time::Instant::now();
    for _ in 0..16 {
        page.send_typed(1, b"y").await;
    }
    page.send_typed(2, b"ok").await;
    assert_eq!(tokio::task::block_in_place(|| take(&good)), FromViewer::Input(b"ok".to_vec()));
    assert!(began.elapsed() < Duration::from_secs(1), "it waited {:?}", began.elapsed());
    drop(stuck);
}

/// All input that a worker receives until its viewer closes, and whether the input was ended.
fn drain(worker: &ViewerChannel) -> (Vec<u8>, bool) {
    let (mut typed, mut ended) = (Vec::new(), false);
    loop {
        match worker.receive_within(SOON) {
            Ok((FromViewer::Input(bytes), _)) => typed.extend(bytes),
            Ok((FromViewer::End, _)) => ended = true,
            Ok(_) => {}
            Err(crate::wire::WireError::Closed) => return (typed, ended),
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_asked_for_after_the_input_before_it() {
    let fixture = Fixture::build();
    let (mut page, worker) = shell(&fixture, 1).await;
    let mut left = type_until_dropped(&mut page, 1).await;
    assert!(matches!(page.heard().await, ToPage::Pong { .. }));
    page.say(&FromPage::Refresh { stream: 1 }).await;
    page.say(&FromPage::Resize { stream: 1, size: TermSize::new(90, 30).unwrap() }).await;
    page.say(&FromPage::Ping {}).await;
    assert!(matches!(page.heard().await, ToPage::Pong { .. }));
    let mut resized = false;
    loop {
        match tokio::task::block_in_place(|| take(&worker)) {
            FromViewer::Input(bytes) => left -= bytes.len() as u64,
            FromViewer::Resize(_) => resized = left > 0,
            FromViewer::Refresh => break,
            other @ (FromViewer::End
            | FromViewer::Shown(_)
            | FromViewer::ResetTerminal
            | FromViewer::Theme(_)) => {
                panic!("{other:?}")
            }
        }
    }
    assert_eq!(left, 0, "there was more input before it");
    assert!(resized, "a size does not wait for the input");
}

#[tokio::test(flavor = "multi_thread")]
async fn input_before_a_close_is_delivered_before_the_close() {
    let fixture = Fixture::build();
    for gone in [false, true] {
        let (mut page, worker) = shell(&fixture, 1).await;
        // More than the viewer socket takes at once.
        let chunk = vec![b'x'; CHUNK_MAX];
        for _ in 0..7 {
            page.send_typed(1, &chunk).await;
        }
        if gone {
            drop(page);
        } else {
            page.say(&FromPage::Close { stream: 1 }).await;
        }
        let (typed, _) = tokio::task::block_in_place(|| drain(&worker));
        assert_eq!(typed.len(), 7 * CHUNK_MAX, "gone: {gone}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn input_is_dropped_once_the_right_to_it_is_withdrawn() {
    let fixture = Fixture::build();
    let (mut page, worker) = shell(&fixture, 1).await;
    let sent = type_until_dropped(&mut page, 1).await;
    let principal = fixture.principals.recv_timeout(SOON).unwrap();
    shutdown(principal.as_raw_fd(), Shutdown::Write).unwrap();
    // The worker reads again once the front has acted on that and closed its end. Without the withdrawal
    // it would close its end only after delivery, for which it gives the worker longer than this.
    let acted = DELIVERY_TIMEOUT / 5;
    let drained = tokio::task::spawn_blocking(move || {
        drop(seqpacket::wait_readable(principal.as_fd(), acted));
        drain(&worker)
    });
    page.last_words().await;
    let (typed, _) = drained.await.unwrap();
    assert!((typed.len() as u64) < sent, "what waited in the front is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_ends_its_input_still_sees_output() {
    let fixture = Fixture::build();
    let (mut page, worker) = shell(&fixture, 1).await;
    page.send_typed(1, b"last").await;
    page.say(&FromPage::End { stream: 1 }).await;
    assert_eq!(tokio::task::block_in_place(|| take(&worker)), FromViewer::Input(b"last".to_vec()));
    assert_eq!(tokio::task::block_in_place(|| take(&worker)), FromViewer::End);
    worker.send(&ToViewer::Output(b"still here".to_vec()), &[]).unwrap();
    assert_eq!(page.output().await, (1, b"still here".to_vec()));
    page.send_typed(1, b"more").await;
    assert_eq!(page.last_words().await.0, Some(refused(Refusal::BadMessage)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_behind_a_resize_comes_behind_it() {
    let fixture = Fixture::build();
    let (mut page, worker) = shell(&fixture, 1).await;
    for cols in 10..60 {
        let size = TermSize::new(cols, 24).unwrap();
        page.say(&FromPage::Resize { stream: 1, size }).await;
        page.send_typed(1, b"x").await;
        // Both messages may arrive before the stream's task runs.
        let first = tokio::task::block_in_place(|| take(&worker));
        assert_eq!(first, FromViewer::Resize(size));
        assert_eq!(tokio::task::block_in_place(|| take(&worker)), FromViewer::Input(b"x".to_vec()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn input_that_comes_later_than_its_page_waits_is_dropped() {
    let fixture = Fixture::build();
    let (mut page, worker) = shell(&fixture, 1).await;
    page.say(&FromPage::Ping {}).await;
    let ToPage::Pong { at } = page.heard().await else { panic!("no pong") };
    page.send_typed_at(1, at, b"now").await;
    let timeouts = u32::try_from(INPUT_PATIENCE.as_millis()).unwrap();
    // Delayed on the way for longer than the page waits.
    page.send_typed_at(1, at.wrapping_sub(timeouts + 1000), b"rm -r *\r").await;
    page.send_typed_at(1, at, b"!").await;
    assert_eq!(page.heard().await, ToPage::InputDropped { stream: 1, bytes: 8 });
    let mut typed = Vec::new();
    while typed.len() < 4 {
        let FromViewer::Input(bytes) = tokio::task::block_in_place(|| take(&worker)) else { panic!() };
        typed.extend(bytes);
    }
    assert_eq!(typed, b"now!");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_begins_while_auth_is_restarted_waits_for_the_next_one() {
    let fixture = Fixture::with_auth_that_dies(2);
    fixture.page().await.sign_in().await;
}
