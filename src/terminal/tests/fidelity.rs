//! A stream is cut, the snapshot at the cut is fed to a fresh terminal, and the rest follows: the
//! result is that of the whole stream.

use std::fmt;

use proptest::prelude::*;

use super::super::Terminal;
use super::{assert_same, fed, size};
use crate::names::TermSize;

/// An event for a terminal: output or a new size.
#[derive(Clone)]
enum Input {
    Bytes(Vec<u8>),
    Size(TermSize),
}

/// As a byte string that can be put into a test.
impl fmt::Debug for Input {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(formatter, "b\"{}\"", bytes.escape_ascii()),
            Self::Size(size) => write!(formatter, "{size:?}"),
        }
    }
}

fn bytes(text: impl Into<Vec<u8>>) -> Input {
    Input::Bytes(text.into())
}

fn number() -> impl Strategy<Value = u16> {
    prop_oneof![8 => 0..30_u16, 1 => 0..300_u16, 1 => Just(u16::MAX)]
}

fn words() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        "[a-z ]{1,40}",
        "[ -~]{1,12}",
        Just("日本語の文字列".to_owned()),
        Just("e\u{301}o\u{308}\u{304}".to_owned()),
        Just("🙂👩\u{200d}👧🇩🇪".to_owned()),
        Just("┌─┐│└┘".to_owned()),
        "\u{301}{1,12}",
        Just("\u{85}\u{9b}x".to_owned()),
        Just("\u{feff}".to_owned()),
    ];
    word.prop_map(String::into_bytes)
}

fn style() -> impl Strategy<Value = Vec<u8>> {
    let parameter = prop_oneof![
        (0..110_u16).prop_map(|value| value.to_string()),
        any::<u8>().prop_map(|value| format!("38;5;{value}")),
        any::<u8>().prop_map(|value| format!("48;5;{value}")),
        any::<(u8, u8, u8)>().prop_map(|(r, g, b)| format!("38;2;{r};{g};{b}")),
        any::<(u8, u8, u8)>().prop_map(|(r, g, b)| format!("48:2::{r}:{g}:{b}")),
        any::<u8>().prop_map(|value| format!("58:5:{value}")),
        (0..7_u16).prop_map(|kind| format!("4:{kind}")),
        Just(String::new()),
    ];
    prop::collection::vec(parameter, 0..4)
        .prop_map(|parameters| format!("\x1b[{}m", parameters.join(";")).into_bytes())
}

fn sequence() -> impl Strategy<Value = Vec<u8>> {
    let last = prop::sample::select(b"@ABCDEFGHIJKLMPSTXZ`abcdefghnrsu".to_vec());
    let plain = (number(), number(), last)
        .prop_map(|(a, b, last)| format!("\x1b[{a};{b}{}", char::from(last)).into_bytes());
    let modes =
        [1, 5, 6, 7, 9, 12, 25, 45, 47, 66, 1000, 1002, 1003, 1004, 1006, 1047, 1048, 1049, 2004, 2026];
    let wrapped = number().prop_map(|cells| format!("\x1b[>{cells}w").into_bytes());
    let mode = (prop::sample::select(modes.to_vec()), any::<bool>())
        .prop_map(|(mode, on)| format!("\x1b[?{mode}{}", if on { 'h' } else { 'l' }).into_bytes());
    let insert = any::<bool>().prop_map(|on| if on { b"\x1b[4h".to_vec() } else { b"\x1b[4l".to_vec() });
    let go = (1..26_u16, 1..45_u16).prop_map(|(row, col)| format!("\x1b[{row};{col}H").into_bytes());
    let region =
        (1..24_u16, 1..24_u16).prop_map(|(top, bottom)| format!("\x1b[{top};{bottom}r").into_bytes());
    let fixed: Vec<&[u8]> = vec![
        b"\x1b7",
        b"\x1b8",
        b"\x1bM",
        b"\x1bD",
        b"\x1bE",
        b"\x1bH",
        b"\x1b[g",
        b"\x1b[3g",
        b"\x1b(0",
        b"\x1b)0",
        b"\x1b(B",
        b"\x1b*A",
        b"\x1b+0",
        b"\x1bn",
        b"\x1bo",
        b"\x0e",
        b"\x0f",
        b"\r",
        b"\n",
        b"\r\n",
        b"\t",
        b"\x08",
        b"\x07",
        b"\x1b=",
        b"\x1b>",
        b"\x1b#8",
        b"\x1b[!p",
        b"\x1b[?5W",
        b"\x1b[>1u",
        b"\x1b[>31u",
        b"\x1b[<u",
        b"\x1b[<2u",
        b"\x1b[=5;2u",
        b"\x1b[=1;3u",
        b"\x1b[?u",
        b"\x1b[>4;2m",
        b"\x1b[>4;1m",
        b"\x1b[>4n",
        b"\x1b[1\"q",
        b"\x1b[1\"q",
        b"\x1b[0\"q",
        b"\x1b[?J",
        b"\x1b[?1J",
        b"\x1b[?2J",
        b"\x1b[?K",
        b"\x1b[?2K",
        b"\x1b[?45h",
        b"\x08\x08\x08",
        b"\x1b[3 @",
        b"\x1b[2 A",
        b"\x1b[2'}",
        b"\x1b[2'~",
        b"\x1b\xc3\xa9",
        b"\x1b[3\xe4\xb8\xad",
        b"\x1b]2;a\xc2\x9cb",
        b"\x1b]2;\xe4\xb8",
        b"\x1b[1?2\xc3\xa9h",
        b"\x1b[4 q",
        b"\x1b[22;0t",
        b"\x1b[23;0t",
        b"\x1b]8;;http://a.example/x;y\x1b\\",
        b"\x1b]8;id=1;http://b.example/\x07",
        b"\x1b]8;;\x1b\\",
        b"\x1b]0;one title\x07",
        b"\x1b]2;\xc3\xa9\xe2\x82\xac\x1b\\",
        b"\x1b]4;1;rgb:11/22/33;200;#abc\x07",
        b"\x1b]10;#102030\x07",
        b"\x1b]11;?\x07",
        b"\x1b]104;1\x07",
        b"\x1b]112\x07",
        b"\x1bP$qm\x1b\\",
        b"\x1b_apc\x1b\\",
        b"\x1bXsos \xff\x07 more\x1b\\",
        b"\x1b[1\x18x",
        b"\x1b[\n3C",
        b"\x1b[1?2h",
        b"\x1b]52;c;aGk=\x07",
        b"\xff\xc3",
        b"\xe2\x82",
        b"\xf0\x9f\x99",
        b"\x1b[5b",
        b"\x1b[b",
        b"\x1b[2J",
        b"\x1b[H\x1b[J",
        b"\x1b[K",
        b"\x1b[1K",
    ];
    let fixed = prop::sample::select(fixed).prop_map(<[u8]>::to_vec);
    prop_oneof![3 => plain, 2 => mode, 1 => insert, 1 => wrapped, 3 => go, 2 => region, 8 => fixed]
}

fn any_input() -> impl Strategy<Value = Input> {
    prop_oneof![
        8 => words().prop_map(bytes),
        3 => style().prop_map(bytes),
        8 => sequence().prop_map(bytes),
        3 => Just(bytes(b"\r\n".to_vec())),
        1 => Just(bytes("0123456789".repeat(6).into_bytes())),
        1 => prop::collection::vec(any::<u8>(), 1..20).prop_map(bytes),
        1 => (1..45_u16, 1..12_u16).prop_map(|(cols, rows)| Input::Size(size(cols, rows))),
    ]
}

fn apply(terminal: &mut Terminal, input: &Input) {
    match input {
        Input::Bytes(bytes) => terminal.print(bytes),
        Input::Size(size) => terminal.resize(*size),
    }
}

/// A terminal restored from the snapshot of another. The snapshot must not make it answer.
fn restored(terminal: &Terminal) -> Terminal {
    let mut fresh = Terminal::new(terminal.size());
    fresh.print(&terminal.snapshot());
    assert!(fresh.answers().is_empty(), "the snapshot made the terminal answer");
    fresh
}

/// Cuts inside the bytes of the input `at`, and compares from there on. A change of size is not
/// cut.
fn check(inputs: &[Input], at: usize, inside: usize, first: TermSize) {
    let (mut whole, mut cut) = (Terminal::new(first), Terminal::new(first));
    for (number, input) in inputs.iter().enumerate() {
        apply(&mut whole, input);
        match input {
            Input::Bytes(bytes) if number == at => {
                let (before, behind) = bytes.split_at(inside % (bytes.len() + 1));
                cut.print(before);
                let again = restored(&cut);
                assert_same(&cut, &again, &format!("at the cut, after {before:?}"));
                cut = again;
                cut.print(behind);
            }
            Input::Bytes(_) | Input::Size(_) => apply(&mut cut, input),
        }
        if number >= at {
            assert_same(&whole, &cut, &format!("after {number}, {input:?}"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_cut_stream_shows_what_the_whole_one_shows(
        inputs in prop::collection::vec(any_input(), 1..60),
        at in any::<prop::sample::Index>(),
        inside in any::<usize>(),
        cols in 1..42_u16,
        rows in 1..12_u16,
    ) {
        check(&inputs, at.index(inputs.len()), inside, size(cols, rows));
    }

    #[test]
    fn a_snapshot_of_the_screen_leaves_nothing_of_another_but_its_scrollback(
        before in prop::collection::vec(any_input(), 1..30),
        inputs in prop::collection::vec(any_input(), 1..30),
        cols in 1..42_u16,
        rows in 1..12_u16,
    ) {
        let (mut there, mut wanted) = (Terminal::new(size(cols, rows)), Terminal::new(size(cols, rows)));
        before.iter().for_each(|one| apply(&mut there, one));
        inputs.iter().for_each(|one| apply(&mut wanted, one));
        there.resize(wanted.size());
        // CAN ends an incomplete character, which is then shown as a replacement character and may
        // scroll a line off the screen.
        there.print(b"\x18");
        let scrollback: Vec<Vec<u8>> = there.state.scrollback.lines().map(|line| line.bytes().to_vec()).collect();
        there.answers();
        there.print(&wanted.snapshot_of_screen());
        prop_assert!(there.answers().is_empty());
        let kept: Vec<Vec<u8>> = there.state.scrollback.lines().map(|line| line.bytes().to_vec()).collect();
        prop_assert_eq!(scrollback, kept);
        wanted.state.scrollback.clear();
        there.state.scrollback.clear();
        assert_same(&wanted, &there, "after the snapshot");
    }

    #[test]
    fn how_a_stream_is_split_changes_nothing(
        inputs in prop::collection::vec(any_input(), 1..30),
        chunk in 1..7_usize,
    ) {
        let stream: Vec<u8> = inputs.into_iter().flat_map(|input| match input {
            Input::Bytes(bytes) => bytes,
            Input::Size(_) => Vec::new(),
        }).collect();
        let whole = fed(20, 6, &stream);
        let mut split = Terminal::new(size(20, 6));
        stream.chunks(chunk).for_each(|chunk| split.print(chunk));
        assert_same(&whole, &split, "split");
    }
}

#[test]
fn at_every_byte_of_a_full_session() {
    let session = "$ ls\r\n\x1b[01;34mdir\x1b[0m  file\r\n\x1b]0;vim\x07\x1b[?1049h\x1b[2;5r\x1b[?25l\x1b[1;1Hline 日本 \
        one\x1b[7m wide 🙂\x1b[m\x1b(0lqk\x1b(B\x1b[6n\x1b[3;1H\x1b[Lx\x1b[3b\x1b]8;;http://x/\x1b\\link\x1b]8;;\x1b\\\
        \x1b[>5u\x1b[=2;2u\x1b[>4;1m\x1b[1\"q pro\x1b7tected \x1b[0\"qnot\x1b[?1K\x1b\u{e9}\x1b[2'}\x1b[48;5;300;1mb\x1b[m\
        \x1b[?2004h\x1b[?1006;1002h\x1b[?45h\x08\x1b[5;1H\n\n\x1b[?1049l$ e\u{301}xit, and this goes over the edge\r\n\r\n\r\nend"
        .as_bytes();
    let whole = fed(20, 5, session);
    for at in 0..=session.len() {
        let (before, behind) = session.split_at(at);
        let mut cut = restored(&fed(20, 5, before));
        cut.print(behind);
        assert_same(&whole, &cut, &format!("cut at {at}"));
    }
    assert!(whole.scrollback_lines() > 1);
}

/// Marks apply to what is before the cursor, whatever has changed since it was written.
#[test]
fn a_mark_after_a_change_of_look_is_repeated_after_a_cut() {
    for change in ["\x1b[31m", "\x1b[1\"q", "\x1b(0", "\x0e", "\x1b[4h", "\x1b[>1w"] {
        for before in ["a", "xxa", "日本", "0123456789abcdefghija"] {
            let stream = format!("\x1b[38;5;0m{before}{change}\u{301}\u{302}");
            let mut cut = restored(&fed(20, 5, stream.as_bytes()));
            cut.print(b"\x1b[3b.");
            assert_same(&fed(20, 5, format!("{stream}\x1b[3b.").as_bytes()), &cut, &format!("{stream:?}"));
        }
    }
}

#[test]
fn a_recent_snapshot_is_the_whole_but_for_the_oldest_lines() {
    let mut terminal = Terminal::new(size(20, 5));
    for line in 0..1000 {
        terminal.print(format!("\x1b[3{}mline {line}\r\n", line % 8).as_bytes());
    }
    let mut recent = Terminal::new(size(20, 5));
    recent.print(&terminal.snapshot_of_recent(4096));
    let lines = recent.scrollback_lines();
    assert!((40..100).contains(&lines), "{lines} lines");
    let all: Vec<String> = terminal.scrollback_text().collect();
    assert_eq!(recent.scrollback_text().collect::<Vec<_>>(), all[all.len() - lines..]);
    assert_eq!((recent.screen_text(), recent.cursor()), (terminal.screen_text(), terminal.cursor()));
    // Without any scrollback, and with a limit above its size.
    let mut none = Terminal::new(size(20, 5));
    none.print(&terminal.snapshot_of_recent(0));
    assert_eq!((none.scrollback_lines(), none.screen_text()), (0, terminal.screen_text()));
    assert_eq!(terminal.snapshot_of_recent(usize::MAX), terminal.snapshot());
}

#[test]
fn a_wide_character_where_a_line_flows_on_stays_whole() {
    let wide = "日本語の文字列";
    for end in ["", "\x1b[1;1H\x1b[>3w"] {
        let mut whole = Terminal::new(size(18, 4));
        whole.print(format!("\x1b[4h{wide}\x1b[3a{wide}\x1b[1;2r{wide}{end}").as_bytes());
        for (cols, rows) in [(5, 1), (2, 2), (9, 3)] {
            whole.resize(size(cols, rows));
            let mut cut = fed(cols, rows, &whole.snapshot());
            assert_same(&whole, &cut, "after a resize");
            cut.print(b"a a");
            let mut on = fed(cols, rows, &whole.snapshot());
            on.print(b"a a");
            assert_same(&on, &cut, "and on");
        }
    }
}
