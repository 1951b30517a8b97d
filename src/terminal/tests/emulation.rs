//! What the screen shows, in tests short enough to be read.

use super::super::Terminal;
use super::{assert_same, fed, size};

#[test]
fn text_wraps_and_scrolls_into_scrollback() {
    let terminal = fed(5, 2, b"abcdefgh\r\nij\r\n\x1b[31mk");
    assert_eq!(terminal.screen_text(), "ij\nk");
    assert_eq!(terminal.scrollback_lines(), 2);
}

#[test]
fn the_alternate_screen_has_no_scrollback_and_leaves_the_main_one_alone() {
    let mut terminal = fed(10, 2, b"shell\x1b[?1049h\x1b[Hone\r\ntwo\r\nthree");
    assert_eq!(terminal.screen_text(), "two\nthree");
    assert_eq!(terminal.scrollback_lines(), 0);
    terminal.print(b"\x1b[?1049l$");
    assert_eq!(terminal.screen_text(), "shell$");
}

#[test]
fn half_of_a_wide_character_never_stays() {
    assert_eq!(fed(6, 1, "日本\x1b[2Gx".as_bytes()).screen_text(), " x本");
    assert_eq!(fed(6, 1, "日本\x1b[3Gx".as_bytes()).screen_text(), "日x");
    assert_eq!(fed(6, 1, "日本\x1b[2G\x1b[P".as_bytes()).screen_text(), "  本".replacen(' ', "", 1).as_str());
    assert_eq!(fed(5, 2, "abcd日".as_bytes()).screen_text(), "abcd\n日");
}

#[test]
fn the_last_column_waits_before_it_wraps() {
    assert_eq!(fed(3, 2, b"abc\rx").screen_text(), "xbc");
    assert_eq!(fed(3, 2, b"abcd").screen_text(), "abc\nd");
    assert_eq!(fed(3, 2, b"\x1b[?7labcd").screen_text(), "abd");
}

#[test]
fn a_region_scrolls_alone() {
    let terminal = fed(5, 4, b"1\r\n2\r\n3\r\n4\x1b[2;3r\x1b[3;1H\nx");
    assert_eq!(terminal.screen_text(), "1\n3\nx\n4");
    assert_eq!(terminal.scrollback_lines(), 0);
}

#[test]
fn drawing_characters_and_repetition() {
    assert_eq!(fed(10, 1, b"\x1b(0lq\x1b[2bk\x1b(Bq").screen_text(), "┌───┐q");
    assert_eq!(fed(10, 1, b"a\x1b[m\x1b[3b").screen_text(), "a");
}

#[test]
fn a_narrower_screen_keeps_every_character() {
    let mut terminal = fed(12, 3, "first line\r\n日本語!\r\n$ ".as_bytes());
    terminal.resize(size(5, 3));
    assert_eq!(terminal.screen_text(), "日本\n語!\n$");
    assert_eq!(terminal.scrollback_lines(), 2);
    terminal.print(b"x");
    assert_eq!(terminal.screen_text(), "日本\n語!\n$ x");
    terminal.resize(size(4, 5));
    assert_eq!((terminal.scrollback_lines(), terminal.screen_text().as_str()), (3, "日本\n語!\n$ x"));
}

#[test]
fn titles_are_text() {
    assert_eq!(fed(9, 1, "\x1b]0;a;b\u{9b}31mc\x07".as_bytes()).title(), "a;b31mc");
    assert_eq!(fed(9, 1, b"\x1b]2;one\x1b\\\x1b[22t\x1b]2;two\x07\x1b[23t").title(), "one");
}

#[test]
fn an_aborted_sequence_shows_nothing() {
    assert_eq!(fed(9, 1, b"a\x1b[31\x18b\x1b]0;x\x1ac\x1bPxyz\x1b\\d").screen_text(), "abcd");
}

#[test]
fn eight_bit_codes_are_what_they_stand_for() {
    for (eight, seven) in [
        ("a\u{85}b", "a\x1bEb"),
        ("\u{9b}31mred\u{9b}m", "\x1b[31mred\x1b[m"),
        ("ä\u{84}ö", "ä\x1bDö"),
        ("\u{9d}2;title\x07", "\x1b]2;title\x07"),
        ("\u{90}$qm\x1b\\after", "\x1bP$qm\x1b\\after"),
        ("\u{80}\u{99}none", "\x1b@\x1bYnone"),
    ] {
        let expected = fed(20, 5, seven.as_bytes());
        assert_same(&expected, &fed(20, 5, eight.as_bytes()), seven);
        let mut byte_by_byte = fed(20, 5, b"");
        eight.bytes().for_each(|byte| byte_by_byte.print(&[byte]));
        assert_same(&expected, &byte_by_byte, seven);
    }
}

#[test]
fn a_window_that_is_dragged_there_and_back_shows_what_it_showed() {
    let mut terminal = Terminal::new(size(80, 10));
    for line in 0..40 {
        terminal.print(
            format!("\x1b[3{}m{line:02} {}\x1b[m\r\n", line % 8, "word 日本語 ".repeat(line % 14)).as_bytes(),
        );
    }
    terminal.print(b"$ ");
    let scrollback = |terminal: &Terminal| terminal.scrollback_text().take(40).collect::<Vec<_>>();
    let all = |terminal: &Terminal| {
        let lines: Vec<String> = terminal.scrollback_text().chain([terminal.screen_text()]).collect();
        lines.concat().split_whitespace().collect::<String>()
    };
    let before = (scrollback(&terminal), all(&terminal));
    // Resized column by column, the lines stay whole.
    for cols in (33..80).rev().chain(34..=80) {
        terminal.resize(size(cols, 10));
        assert_same(&terminal, &fed(cols, 10, &terminal.snapshot()), "a snapshot on the way");
    }
    assert_eq!((scrollback(&terminal), all(&terminal)), before);
}

/// The bytes of the screen are also in tests/browser/page.test.mjs, where Chromium copies the line
/// and opens the link.
#[test]
fn a_snapshot_has_the_viewers_terminal_wrap_a_long_line_by_itself() {
    let digits = "0123456789".repeat(6);
    let terminal = fed(80, 24, format!("https://example.org/{digits}{digits}").as_bytes());
    let snapshot = String::from_utf8(terminal.snapshot()).unwrap();
    let row = format!("\x1b[1;1Hhttps://example.org/{digits} \r{digits}");
    assert!(snapshot.contains(&row), "{}", snapshot.escape_debug());
    // The same in the scrollback, and for a line that continues from there in the first row of the
    // screen.
    let terminal = fed(5, 2, b"abcdefghijkl");
    let snapshot = String::from_utf8(terminal.snapshot()).unwrap();
    assert!(snapshot.contains("abcde \r\x1b[2;1H\n"), "{}", snapshot.escape_debug());
    // A wide character that wraps leaves the last column blank, and the first character of the next
    // row may have been erased since.
    let wide = String::from_utf8(fed(5, 3, "abcd日本".as_bytes()).snapshot()).unwrap();
    assert!(wide.contains("\x1b[1;1Habcd\x1b[1;5H\u{3000}\r日本"), "{}", wide.escape_debug());
    let erased = String::from_utf8(fed(5, 3, b"abcdefg\x1b[3D\x1b[X").snapshot()).unwrap();
    assert!(erased.contains("\x1b[1;1Habcde \r\x1b[X g"), "{}", erased.escape_debug());
}
