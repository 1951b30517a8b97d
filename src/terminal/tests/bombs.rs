//! Hostile output: memory stays below its limit, nothing panics, and the terminal stays usable.

use std::time::{Duration, Instant};

use super::super::scrollback::{BYTES_MAX, LINES_MAX};
use super::super::{Terminal, WEIGHT_MAX};
use super::{assert_same, fed, size};

/// Maximum time for a bomb, in a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Feeds a bomb to a terminal of 80 by 24, checks that its memory stays within `most` bytes, and
/// checks that it is usable afterwards.
fn explode(bomb: &[u8], most: usize) -> Terminal {
    let begun = Instant::now();
    let mut terminal = Terminal::new(size(80, 24));
    for chunk in bomb.chunks(64 * 1024) {
        terminal.print(chunk);
        assert!(terminal.weight() <= most, "{} bytes", terminal.weight());
    }
    let mut restored = Terminal::new(size(80, 24));
    restored.print(&terminal.snapshot());
    for terminal in [&mut terminal, &mut restored] {
        terminal.print(b"\x18\x1b\\\x1bc\x1b[2;3Husable");
        assert_eq!(terminal.screen_text(), "\n  usable");
        assert!(terminal.weight() <= 256 * 1024, "{} bytes stay", terminal.weight());
    }
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    terminal
}

const MIB: usize = 1024 * 1024;

#[test]
fn unterminated_strings_cost_nothing() {
    for begin in [
        "\x1b]0;",
        "\x1b]8;;",
        "\x1b]52;c;",
        "\x1bP",
        "\x1b_G",
        "\x1b^",
        "\x1bX",
        "\x1b[",
        "\x1b(",
        "\x1b[1;",
    ] {
        let mut bomb = begin.as_bytes().to_vec();
        bomb.resize(10 * MIB, b'1');
        explode(&bomb, 2 * MIB + 512 * 1024);
    }
    let mut parameters = b"\x1b[".to_vec();
    parameters.extend("9;".repeat(MIB).bytes());
    explode(&parameters, 256 * 1024);
}

#[test]
fn an_over_long_string_is_swallowed_to_its_end_across_a_cut() {
    for (begin, end) in
        [("\x1b]0;", "\x07shown"), ("\x1bP", "\x1b\\shown"), ("\x1b_", "\x1b\\shown"), ("\x1b[", "mshown")]
    {
        let mut before = begin.as_bytes().to_vec();
        before.resize(10_000, b'1');
        let mut whole = fed(80, 24, &before);
        let mut cut = fed(80, 24, &whole.snapshot());
        for terminal in [&mut whole, &mut cut] {
            terminal.print(end.as_bytes());
            assert_eq!(terminal.screen_text(), "shown");
        }
        assert_same(&whole, &cut, begin);
    }
}

#[test]
fn huge_counts_end() {
    for last in "@ABCDEFGHIJKLMPSTXZ`abdefgr".chars() {
        for _ in 0..3 {
            explode(
                format!("x\x1b[2147483648;99999999999999999999{last}y\x1b[65535{last}").as_bytes(),
                256 * 1024,
            );
        }
    }
    explode("x\x1b[2147483648b".repeat(500).as_bytes(), 4 * MIB);
    explode("\x1b[2;3r\x1b[65535S\x1b[65535T\x1b[65535L\x1b[65535M".repeat(2000).as_bytes(), 256 * 1024);
}

#[test]
fn combining_marks_are_few() {
    let mut one = "e".to_owned();
    one.extend(std::iter::repeat_n('\u{301}', 100_000));
    explode(one.as_bytes(), 256 * 1024);
    let many: String = (0..100_000_u32)
        .flat_map(|at| {
            [
                'e',
                char::from_u32(0x300 + at % 0x60).unwrap(),
                char::from_u32(0x300 + at / 0x60 % 0x60).unwrap(),
            ]
        })
        .collect();
    explode(many.as_bytes(), 3 * MIB);
}

#[test]
fn hyperlinks_are_few() {
    let links: String = (0..100_000).map(|at| format!("\x1b]8;;http://x/{at}\x07l")).collect();
    explode(links.as_bytes(), 4 * MIB);
    let long = format!("\x1b]8;;http://x/{}\x07l", "y".repeat(2000));
    let other = format!("\x1b]8;;http://x/{}\x07l", "z".repeat(2000));
    let terminal = fed(200, 100, format!("{long}{other}").repeat(10_000).as_bytes());
    assert!(terminal.snapshot().len() < 6 * MIB, "{}", terminal.snapshot().len());
}

#[test]
fn a_synchronised_update_that_never_ends_holds_nothing_back() {
    let mut bomb = b"\x1b[?2026h".to_vec();
    bomb.extend("line\r\n".repeat(500_000).bytes());
    explode(&bomb, 3 * MIB);
    assert_eq!(fed(9, 1, b"\x1b[?2026hshown").screen_text(), "shown");
}

#[test]
fn scrollback_has_its_caps() {
    let plain = format!("{:80}\r\n", "x").replace(' ', "y").repeat(12_000);
    let terminal = fed(80, 24, plain.as_bytes());
    assert_eq!(terminal.scrollback_lines(), LINES_MAX);
    assert!(terminal.state.scrollback.weight() <= BYTES_MAX + 64 * 1024);
    let colourful: String =
        (0..3_000_000_u32).map(|at| format!("\x1b[38;5;{}mx", at % 256)).take(600_000).collect();
    let terminal = fed(80, 24, colourful.as_bytes());
    assert!(
        terminal.scrollback_lines() > 1000 && terminal.state.scrollback.weight() <= BYTES_MAX + 64 * 1024
    );
}

#[test]
fn floods_of_bells_titles_and_saved_things() {
    explode(&vec![7; MIB], 256 * 1024);
    explode("\x1b]0;title\x07\x1b[22t\x1b7\x1b[?1049h\x1b[?1049l".repeat(20_000).as_bytes(), 256 * 1024);
    explode("\x1b]4;7;#fff\x07\x1b]104\x07\x1b[3g\x1bH".repeat(20_000).as_bytes(), 256 * 1024);
}

#[test]
fn noise_of_some_megabytes() {
    let mut noise = vec![0; 3 * MIB];
    getrandom::fill(&mut noise).unwrap();
    explode(&noise, 4 * MIB);
    // The same, with a control sequence introducer in every seven bytes.
    for byte in noise.iter_mut().step_by(7) {
        *byte = 0x1b;
    }
    for byte in noise.iter_mut().skip(1).step_by(7) {
        *byte = b'[';
    }
    explode(&noise, 4 * MIB);
}

#[test]
fn the_smallest_and_the_largest_size() {
    let stream = "日本e\u{301}\x1b[5;5Hx\x1b[?1049h\x1b[3Lyy\r\n\tz\x1b[J\x1b[?6h\x1b[2;2r\x1bM\x1b8\x1b[99b"
        .repeat(20);
    for (cols, rows) in [(1, 1), (1, 1000), (1000, 1), (500, 500)] {
        let mut terminal = fed(cols, rows, stream.as_bytes());
        terminal.print("\x1b[m\x1b[31;1mA\x1b[42mB".repeat(2000).as_bytes());
        assert!(terminal.weight() <= WEIGHT_MAX, "{} bytes", terminal.weight());
        assert_same(&terminal, &fed(cols, rows, &terminal.snapshot()), "largest");
    }
}

#[test]
fn a_thousand_sizes() {
    let begun = Instant::now();
    let mut terminal =
        fed(80, 24, "one line that is long enough to be wrapped, 日本語\r\n".repeat(2000).as_bytes());
    for round in 0..1000_u16 {
        terminal.resize(size(1 + round * 7 % 200, 1 + round * 13 % 60));
        terminal.print(b"\r\n$ \x1b[31mx");
        assert!(terminal.weight() <= 4 * MIB, "{} bytes", terminal.weight());
    }
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
}

#[test]
fn a_feed_touches_no_more_cells_than_its_budget_and_one_screen() {
    const BUDGET: usize = 64 * 1024;
    let screen = 250_000;
    for bomb in [
        "\x1b[J",
        "\x1b[2J",
        "\x1b[1J",
        "\x1b[2K",
        "\x1b[999L",
        "\x1b[999M",
        "\x1b[999S",
        "\x1b[999T",
        "\x1b[999X",
        "\x1b[999@",
        "\x1b[999P",
        "\x1b#8",
        "\x1bc",
        "\x1b[?47h\x1b[?47l",
        "\n",
        "\x1bM",
        "x\x1b[65535b",
    ] {
        let bytes: Vec<u8> =
            b"\x1b[41m".iter().chain(bomb.as_bytes().iter().cycle()).copied().take(4096).collect();
        let (mut bounded, mut feeds, mut stuck) = (Terminal::new(size(1000, 250)), 0, 0);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let taken = bounded.print_within(rest, BUDGET);
            rest = &rest[taken..];
            feeds += 1;
            stuck = if taken == 0 { stuck + 1 } else { 0 };
            assert!(stuck < 10, "{bomb:?} makes no progress");
        }
        // The same bytes, with the cells counted for each token.
        let mut whole = Terminal::new(size(1000, 250));
        let (mut all, mut most, mut tokens) = (0, 0, bytes.as_slice());
        while let Some(token) = whole.parser.next(&mut tokens) {
            whole.state.act(&token);
            let touched = whole.state.take_touched();
            (all, most) = (all + touched, most.max(touched));
        }
        assert!(most <= 2 * screen, "{bomb:?}: one sequence touches {most} cells");
        assert!(feeds >= all / (BUDGET + most), "{bomb:?}: {all} cells in {feeds} feeds");
        assert_same(&whole, &bounded, bomb);
    }
}

/// A few bytes have the terminal look through a whole row for tab stops.
#[test]
fn tabs_count_by_how_far_they_go() {
    let mut terminal = fed(1000, 2, b"\x1b[3g");
    let bomb = "\x1b[999I\x1b[999Z".repeat(100);
    let mut rest = bomb.as_bytes();
    let mut feeds = 0;
    while !rest.is_empty() {
        rest = &rest[terminal.print_within(rest, 10_000)..];
        feeds += 1;
    }
    assert!(feeds >= 15, "{feeds}");
}

#[test]
fn a_repetition_that_scrolls_for_long_is_interrupted_and_goes_on() {
    // Each row that scrolls moves hundreds of others.
    let bytes = "\x1b[300;700r\x1b[700;1H中\u{301}\x1b[65535bx".as_bytes();
    let whole = fed(3, 1000, bytes);
    let (mut parts, mut rest, mut feeds) = (Terminal::new(size(3, 1000)), bytes, 0);
    while !rest.is_empty() {
        let taken = parts.print_within(rest, 64 * 1024);
        rest = &rest[taken..];
        feeds += 1;
        // Another worker, or a viewer, goes on from here.
        if feeds % 20 == 3 {
            parts = fed(3, 1000, &parts.snapshot());
        }
    }
    assert!(feeds > 100, "{feeds} feeds");
    assert_same(&whole, &parts, "in parts");
}
