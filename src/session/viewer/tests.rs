use super::super::lag::LATE;
use super::super::memory::Filled;
use super::super::recovery;
use super::*;
use crate::sys::seqpacket;

/// A viewer, and the other end of its socket, which has greeted.
fn viewer(role: Role) -> (Viewer, Channel<FromViewer, ToViewer>, SessionMemory) {
    let (ours, theirs) = Channel::<ToViewer, FromViewer>::pair().unwrap();
    seqpacket::set_nonblocking(ours.as_fd()).unwrap();
    theirs.send_greeting(Intent::Viewer).unwrap();
    ours.send_greeting(Intent::Viewer).unwrap();
    theirs.receive_greeting(Intent::Viewer).unwrap();
    seqpacket::set_nonblocking(theirs.as_fd()).unwrap();
    (Viewer::new(ViewerId(1), role, ours, Instant::now()), theirs, SessionMemory::new().unwrap())
}

fn print(memory: &SessionMemory, bytes: &[u8]) {
    let (read, write) = nix::unistd::pipe().unwrap();
    for part in bytes.chunks(4096) {
        nix::unistd::write(&write, part).unwrap();
        let mut left = part.len();
        while left > 0 {
            match memory.fill_from(read.as_fd()).unwrap() {
                Filled::Bytes(got) => left -= got,
                Filled::NoRoom => {
                    assert!(memory.set_checkpoint(memory.head(), TermSize::DEFAULT, 0, b""));
                }
                Filled::End => panic!("the pipe is open"),
            }
        }
    }
}

fn snapshot(extent: Extent, bytes: &[u8], offset: u64) -> Arc<Snapshot> {
    Arc::new(Snapshot { extent, size: TermSize::DEFAULT, bytes: bytes.to_vec(), offset, sizes: 0 })
}

/// The messages that the viewer was sent.
fn sent(theirs: &Channel<FromViewer, ToViewer>) -> Vec<ToViewer> {
    std::iter::from_fn(|| theirs.receive().ok().map(|(message, _)| message)).collect()
}

/// The requests that are accepted from a viewer of this role, after it has sent input, a reset, a
/// size, its theme and more input.
fn asked(role: Role) -> Vec<Allowed> {
    let (mut viewer, theirs, memory) = viewer(role);
    theirs.send(&FromViewer::Input(b"rm\r".to_vec()), &[]).unwrap();
    theirs.send(&FromViewer::ResetTerminal, &[]).unwrap();
    theirs.send(&FromViewer::Resize(TermSize::new(1, 1).unwrap()), &[]).unwrap();
    theirs.send(&FromViewer::Theme(Theme::DEFAULT), &[]).unwrap();
    theirs.send(&FromViewer::Input(b"ls\r".to_vec()), &[]).unwrap();
    let mut asked = Vec::new();
    viewer.take(&memory, &mut asked, Instant::now()).unwrap();
    asked
}

#[test]
fn a_watcher_does_nothing_and_a_writer_sets_neither_size_nor_theme() {
    let owner = asked(Role::Owner);
    assert!(matches!(
        owner[..],
        [
            Allowed::Input(_),
            Allowed::ResetTerminal,
            Allowed::Resize(_),
            Allowed::Theme(_),
            // Repeated with the input: another window of the owner's may have set its theme in
            // between.
            Allowed::Theme(_),
            Allowed::Input(_)
        ]
    ));
    let writer = asked(Role::Writer);
    assert!(matches!(writer[..], [Allowed::Input(_), Allowed::ResetTerminal, Allowed::Input(_)]));
    assert!(asked(Role::Watcher).is_empty());
}

fn typed(asked: &[Allowed]) -> Vec<u8> {
    let bytes = asked.iter().map(|one| match one {
        Allowed::Input(bytes) => bytes.as_slice(),
        Allowed::Resize(_) | Allowed::ResetTerminal | Allowed::Theme(_) => &[],
    });
    bytes.collect::<Vec<_>>().concat()
}

#[test]
fn input_before_a_close_counts_though_both_are_read_in_one_turn() {
    let (mut viewer, theirs, memory) = viewer(Role::Owner);
    theirs.send(&FromViewer::Input(b"make\r".to_vec()), &[]).unwrap();
    drop(theirs);
    let mut asked = Vec::new();
    let closed = viewer.take(&memory, &mut asked, Instant::now());
    assert!(matches!(closed, Err(WireError::Closed)));
    assert_eq!(typed(&asked), b"make\r");
}

#[test]
fn input_before_a_close_counts_though_a_write_notices_the_close_first() {
    let (mut viewer, theirs, memory) = viewer(Role::Owner);
    let now = Instant::now();
    viewer.take(&memory, &mut Vec::new(), now).unwrap();
    viewer.show(&snapshot(Extent::Whole, b"screen", 0), now);
    for _ in 0..3 * PER_TURN {
        theirs.send(&FromViewer::Input(b"x".to_vec()), &[]).unwrap();
    }
    drop(theirs);
    assert!(viewer.feed(&memory, u64::MAX, now).is_err());
    let mut asked = Vec::new();
    viewer.take_rest(&memory, &mut asked, now);
    assert_eq!(typed(&asked).len(), 3 * PER_TURN);
}

#[test]
fn a_viewer_that_does_not_greet_is_given_nothing() {
    let (ours, _theirs) = Channel::<ToViewer, FromViewer>::pair().unwrap();
    seqpacket::set_nonblocking(ours.as_fd()).unwrap();
    let (now, memory) = (Instant::now(), SessionMemory::new().unwrap());
    let mut viewer = Viewer::new(ViewerId(1), Role::Owner, ours, now);
    let mut asked = Vec::new();
    viewer.take(&memory, &mut asked, now).unwrap();
    assert!(asked.is_empty());
    assert_eq!(viewer.waits_for(), None);
    assert_eq!(viewer.feed(&memory, u64::MAX, now).unwrap(), Fed::All);
    assert!(!viewer.has_all(0));
}

#[test]
fn a_view_is_a_snapshot_and_what_is_printed_behind_it() {
    let (mut viewer, theirs, memory) = viewer(Role::Owner);
    let now = Instant::now();
    viewer.take(&memory, &mut Vec::new(), now).unwrap();
    print(&memory, b"before, after");
    assert_eq!(viewer.waits_for(), Some((Extent::Recent, viewer.next_snapshot)));
    assert_eq!(viewer.feed(&memory, u64::MAX, now).unwrap(), Fed::All);
    assert!(sent(&theirs).is_empty());
    viewer.show(&snapshot(Extent::Whole, b"screen", 6), now);
    assert_eq!(viewer.feed(&memory, u64::MAX, now).unwrap(), Fed::All);
    let begins = ToViewer::SnapshotBegins { size: TermSize::DEFAULT, length: 6, extent: Extent::Whole };
    let output = |bytes: &[u8]| ToViewer::Output(bytes.to_vec());
    assert_eq!(sent(&theirs), [begins, output(b"screen"), output(b", after")]);
    assert!(viewer.has_all(13));
}

#[test]
fn a_size_comes_at_its_place_in_the_output() {
    let (mut viewer, theirs, memory) = viewer(Role::Watcher);
    let now = Instant::now();
    viewer.take(&memory, &mut Vec::new(), now).unwrap();
    viewer.show(&snapshot(Extent::Whole, b"", 0), now);
    print(&memory, b"one");
    let size = TermSize::new(100, 30).unwrap();
    assert!(memory.add_size(size));
    print(&memory, b"two");
    viewer.feed(&memory, u64::MAX, now).unwrap();
    let output = |bytes: &[u8]| ToViewer::Output(bytes.to_vec());
    assert_eq!(sent(&theirs)[1..], [output(b"one"), ToViewer::Size(size)]);
    // The session's terminal decides how the lines move.
    assert_eq!(viewer.waits_for(), Some((Extent::Screen, now + BETWEEN_SNAPSHOTS)));
}

#[test]
fn a_viewer_that_is_late_is_given_a_snapshot_and_no_backlog() {
    let (mut viewer, theirs, memory) = viewer(Role::Owner);
    let now = Instant::now();
    viewer.take(&memory, &mut Vec::new(), now).unwrap();
    viewer.show(&snapshot(Extent::Whole, b"", 0), now);
    print(&memory, &vec![b'x'; 1024 * 1024]);
    // The viewer acknowledges nothing.
    viewer.feed(&memory, u64::MAX, now).unwrap();
    viewer.feed(&memory, u64::MAX, now + LATE).unwrap();
    assert_eq!(viewer.waits_for(), None);
    let later = now + LATE + Duration::from_millis(1);
    viewer.feed(&memory, u64::MAX, later).unwrap();
    assert_eq!(viewer.waits_for(), Some((Extent::Screen, now + BETWEEN_SNAPSHOTS)), "from the last on");
    let before = sent(&theirs);
    let bytes: usize =
        before.iter().map(|one| if let ToViewer::Output(bytes) = one { bytes.len() } else { 0 }).sum();
    assert_eq!(bytes, 64 * 1024, "the first window");
    theirs.send(&FromViewer::Shown(64 * 1024), &[]).unwrap();
    viewer.take(&memory, &mut Vec::new(), later).unwrap();
    viewer.show(&snapshot(Extent::Screen, b"now", memory.head()), later);
    viewer.feed(&memory, u64::MAX, later).unwrap();
    let begins = ToViewer::SnapshotBegins { size: TermSize::DEFAULT, length: 3, extent: Extent::Screen };
    assert_eq!(sent(&theirs), [begins, ToViewer::Output(b"now".to_vec())]);
    // The viewer has caught up, and is no longer late.
    print(&memory, &vec![b'y'; 20 * 1024]);
    viewer.feed(&memory, u64::MAX, later).unwrap();
    assert_eq!(viewer.waits_for(), None);
    assert!(viewer.has_all(memory.head()));
}

#[test]
fn a_viewer_on_a_slow_link_stays_late_until_it_keeps_up() {
    let (mut viewer, theirs, memory) = viewer(Role::Owner);
    let now = Instant::now();
    let millisecond = Duration::from_millis(1);
    viewer.pace.sent(1000, now);
    viewer.pace.shown(1000, now + millisecond);
    viewer.pace.sent(64 * 1024, now);
    viewer.pace.shown(64 * 1024, now + Duration::from_secs(1));
    viewer.take(&memory, &mut Vec::new(), now).unwrap();
    viewer.lag.overwritten();
    // The viewer has everything for a moment, and then the flood goes on.
    viewer.show(&snapshot(Extent::Screen, b"all", 0), now);
    viewer.feed(&memory, u64::MAX, now).unwrap();
    assert!(viewer.has_all(0));
    print(&memory, &vec![b'y'; 20 * 1024]);
    viewer.feed(&memory, u64::MAX, now + millisecond).unwrap();
    assert_eq!(viewer.waits_for(), Some((Extent::Screen, now + BETWEEN_SNAPSHOTS)));
    // It also stays late if every snapshot shows all of the flood so far.
    let mut now = now;
    for _ in 0..20 {
        now += BETWEEN_SNAPSHOTS;
        viewer.show(&snapshot(Extent::Screen, b"all", memory.head()), now);
        viewer.feed(&memory, u64::MAX, now).unwrap();
        print(&memory, &vec![b'y'; 8 * 1024]);
        viewer.feed(&memory, u64::MAX, now).unwrap();
        assert!(viewer.waits_for().is_some());
    }
    // The flood is over, and another begins much later.
    viewer.show(&snapshot(Extent::Screen, b"all", memory.head()), now);
    viewer.feed(&memory, u64::MAX, now).unwrap();
    sent(&theirs);
    print(&memory, &vec![b'y'; 20 * 1024]);
    viewer.feed(&memory, u64::MAX, now + LATE + millisecond).unwrap();
    assert_eq!(viewer.waits_for(), None);
    assert!(!sent(&theirs).is_empty());
}

#[test]
fn a_viewer_that_wants_its_scrollback_gets_it() {
    let (mut viewer, theirs, memory) = viewer(Role::Watcher);
    let now = Instant::now();
    viewer.take(&memory, &mut Vec::new(), now).unwrap();
    viewer.show(&snapshot(Extent::Whole, b"", 0), now);
    viewer.feed(&memory, u64::MAX, now).unwrap();
    theirs.send(&FromViewer::Refresh, &[]).unwrap();
    viewer.take(&memory, &mut Vec::new(), now).unwrap();
    assert_eq!(viewer.waits_for(), Some((Extent::Whole, now + BETWEEN_SNAPSHOTS)));
}

#[test]
fn the_next_worker_finds_a_viewer_where_it_was() {
    let (mut first, theirs, memory) = viewer(Role::Owner);
    let now = Instant::now();
    let left = |viewer: &Viewer| {
        let socket = viewer.as_fd().try_clone_to_owned().unwrap();
        recovery::resume((viewer.id, Role::Owner, socket), &memory, now)
    };
    assert!(!left(&first).greeted);
    first.take(&memory, &mut Vec::new(), now).unwrap();
    assert!(left(&first).waits_for().is_some());
    first.show(&snapshot(Extent::Whole, &[b's'; 3 * CHUNK_MAX], 0), now);
    print(&memory, b"live");
    first.feed(&memory, 0, now).unwrap();
    // A viewer that was left in the middle of a snapshot gets another.
    assert!(left(&first).waits_for().is_some());
    first.show(&snapshot(Extent::Whole, b"", 0), now);
    sent(&theirs);
    theirs.send(&FromViewer::Shown(u32::MAX), &[]).unwrap();
    first.take(&memory, &mut Vec::new(), now).unwrap();
    first.feed(&memory, 2, now).unwrap();
    sent(&theirs);
    let mut next = left(&first);
    next.feed(&memory, u64::MAX, now).unwrap();
    assert_eq!(sent(&theirs), [ToViewer::Output(b"ve".to_vec())]);
}
