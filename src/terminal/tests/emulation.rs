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
    assert_eq!(fed(9, 1, "\x1b]0;a;b é中\x07".as_bytes()).title(), "a;b é中");
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

#[test]
fn a_character_inside_a_sequence_ends_it() {
    for sequence in ["\x1bé", "\x1b中", "\x1b[é", "\x1b[3中", "\x1b[1 é", "\x1b(é", "\x1bPé"] {
        assert_eq!(fed(9, 1, format!("a{sequence}Ax").as_bytes()).screen_text(), "aAx", "{sequence:?}");
    }
    // In a malformed sequence it is as wrong as the rest, and in a string it is a part.
    assert_eq!(fed(9, 1, "a\x1b[1?é2hx".as_bytes()).screen_text(), "ax");
    assert_eq!(fed(9, 1, "a\x1b_é\x1b\\x\x1b^中\x1b\\y".as_bytes()).screen_text(), "axy");
}

#[test]
fn eight_bit_codes_act_inside_sequences_too() {
    let terminal = fed(9, 2, "\x1b]2;title\u{9c}x\x1b]2;other\u{9b}2Cy\x1b[3\u{9b}Cz".as_bytes());
    assert_eq!((terminal.title(), terminal.screen_text().as_str()), ("title", "x  y z"));
}

/// The style that a sequence leaves, as DECRQSS reports it.
fn style(sequence: &str) -> String {
    // Overlined before, so that a reset is seen.
    let mut terminal = fed(9, 1, format!("\x1b[53m\x1b[{sequence}m\x1bP$qm\x1b\\").as_bytes());
    let answer = String::from_utf8(terminal.answers()).unwrap();
    assert!(answer.contains(";53"), "{sequence}");
    let answer = answer.replace(";53", "");
    answer.strip_prefix("\x1bP1$r0").unwrap().strip_suffix("m\x1b\\").unwrap().to_owned()
}

#[test]
fn a_wrong_colour_changes_nothing_and_takes_its_parameters_along() {
    for (sequence, left) in [
        ("38;5;7", ";37"),
        ("38;5;300;1", ";1"),
        ("38;2;1;256;3;1", ";1"),
        ("38;;1", ";1"),
        ("38;7;1", ";1"),
        ("38", ""),
        ("48;2", ""),
        ("48;2;1;2", ""),
        ("48;5", ""),
        ("38:5", ""),
        ("38:5:7;1", ";1;37"),
        ("38;5:7;1", ";1;37"),
        ("38;5;7:1;4", ";4;37"),
        ("38:2:1:2:3", ";38;2;1;2;3"),
        ("38:2::1:2:3", ";38;2;1;2;3"),
        ("38;2:9:1:2:3;1", ";1;38;2;1;2;3"),
        ("4:", ";4"),
        ("4:0", ""),
        ("4:3", ";4:3"),
        ("4:9", ";4"),
        ("1:2", ";1"),
    ] {
        assert_eq!(style(sequence), left, "{sequence}");
    }
}

#[test]
fn csi_t_scrolls_only_with_one_parameter() {
    for (sequence, shown) in [("T", "\na\nb"), ("2T", "\n\na"), (";T", "a\nb\nc"), ("1;2;3;4;5T", "a\nb\nc")]
    {
        assert_eq!(fed(3, 3, format!("a\r\nb\r\nc\x1b[{sequence}").as_bytes()).screen_text(), shown);
    }
}

#[test]
fn vpr_passes_the_bottom_of_the_region_except_in_origin_mode() {
    assert_eq!(fed(9, 9, b"\x1b[2;4r\x1b[3;1H\x1b[3e").cursor(), (5, 0));
    assert_eq!(fed(9, 9, b"\x1b[2;4r\x1b[3;1H\x1b[99e").cursor(), (8, 0));
    assert_eq!(fed(9, 9, b"\x1b[2;4r\x1b[?6h\x1b[99e").cursor(), (3, 0));
    assert_eq!(fed(9, 9, b"\x1b[2;4r\x1b[3;1H\x1b[3B").cursor(), (3, 0));
}

#[test]
fn repetition_fills_more_than_a_screen_and_repeats_marks() {
    let terminal = fed(10, 3, b"x\x1b[104by");
    assert_eq!(
        (terminal.scrollback_lines(), terminal.screen_text().as_str()),
        (8, "xxxxxxxxxx\nxxxxxxxxxx\nxxxxxy")
    );
    assert_eq!(fed(10, 1, "e\u{301}\x1b[2bx".as_bytes()).screen_text(), "e\u{301}e\u{301}e\u{301}x");
    // What is before a control or another REP is not repeated.
    assert_eq!(fed(10, 1, b"x\x1b[b\x1b[by\x1b]0;z\x18\x1b[b").screen_text(), "xxy");
}

#[test]
fn backspace_and_cub_go_back_into_a_wrapped_row_in_reverse_wrap_mode() {
    let at = |bytes: &str| fed(5, 4, bytes.as_bytes()).cursor();
    assert_eq!(at("abcdefg\x08\x08\x08"), (1, 0));
    assert_eq!(at("\x1b[?45habcdefg\x08\x08\x08"), (0, 4));
    assert_eq!(at("\x1b[?45habcdefg\x1b[4D"), (0, 3));
    assert_eq!(at("\x1b[?45habcdefghijkl\x1b[99D"), (0, 0));
    // A cursor that waits to wrap first stops waiting.
    assert_eq!(at("\x1b[?45habcde\x08"), (0, 4));
    assert_eq!(at("\x1b[?45habcde\x1b[2D"), (0, 3));
    // Not into a row that ends its line, and not without automatic wrapping.
    assert_eq!(at("\x1b[?45habc\r\nde\x08\x08\x08"), (1, 0));
    assert_eq!(at("\x1b[?45habcdefg\x1b[?7l\x08\x08\x08"), (1, 0));
}

#[test]
fn only_known_character_sets_are_designated() {
    for (designation, shown) in [
        ("\x1b(0", "┌_"),
        ("\x1b(0\x1b(K", "┌_"),
        ("\x1b(0\x1b(B", "l_"),
        ("\x1b( 0", "l_"),
        ("\x1b(%0", "l_"),
        ("\x1b(\x1b)0", "l_"),
        ("\x1b.0", "l_"),
        ("\x1b(0\x1b%G", "┌_"),
        ("\x1b)0\x1b~", "l_"),
        ("\x1b(0\x1b[?2h", "l_"),
    ] {
        let shown = shown.replace("┌_", "┌\u{a0}");
        assert_eq!(fed(9, 1, format!("{designation}l_").as_bytes()).screen_text(), shown, "{designation:?}");
    }
}

#[test]
fn titles_outlive_ris_and_ten_are_saved() {
    let mut terminal = fed(9, 1, b"\x1b]2;one\x07\x1b[22t\x1b]2;two\x07\x1bc");
    assert_eq!(terminal.title(), "two");
    terminal.print(b"\x1b[23t");
    assert_eq!(terminal.title(), "one");
    let many: String = (0..20).map(|title| format!("\x1b]2;{title}\x07\x1b[22t")).collect();
    assert_eq!(fed(9, 1, format!("{many}{}", "\x1b[23t".repeat(20)).as_bytes()).title(), "10");
}

#[test]
fn a_selective_erase_leaves_protected_cells() {
    let form = "\x1b[1\"qName:\x1b[0\"q Al中x\x1b[2\"q.\r\nlast";
    for (erase, shown) in [
        ("\x1b[1;1H\x1b[?K", "Name:\nlast"),
        ("\x1b[1;8H\x1b[?1K", "Name:   中x.\nlast"),
        ("\x1b[1;3H\x1b[?2K", "Name:\nlast"),
        ("\x1b[1;3H\x1b[?J", "Name:"),
        ("\x1b[2;3H\x1b[?1J", "Name:\n   t"),
        ("\x1b[?2J", "Name:"),
        ("\x1b[1;1H\x1b[K", "\nlast"),
        ("\x1b[1;1H\x1b[3X", "   e: Al中x.\nlast"),
        ("\x1b[1;1Hx\x1b[?2J", " ame:"),
    ] {
        assert_eq!(fed(20, 2, format!("{form}{erase}").as_bytes()).screen_text(), shown, "{erase:?}");
    }
    // SGR leaves protection as it is, DECRC restores it, DECSTR and RIS end it.
    assert_eq!(fed(9, 1, b"\x1b[1\"q\x1b[ma\x1b[?2J").screen_text(), "a");
    assert_eq!(fed(9, 1, b"\x1b[1\"q\x1b7\x1b[\"q\x1b8a\x1b[?2J").screen_text(), "a");
    assert_eq!(fed(9, 1, b"\x1b[1\"q\x1b[!pa\x1b[?2J").screen_text(), "");
    assert_eq!(fed(9, 1, b"\x1b[1\"q\x1bca\x1b[?2J").screen_text(), "");
}

#[test]
fn the_alignment_pattern_resets_region_origin_and_style() {
    let terminal = fed(3, 4, b"\x1b[2;3r\x1b[?6h\x1b[1;31m\x1b#8\x1b[4;1Hx\n\x1bP$qm\x1b\\");
    assert_eq!(terminal.screen_text(), "EEE\nEEE\nxEE");
    let mut terminal = fed(3, 4, b"\x1b[1;31m\x1b#8\x1bP$qm\x1b\\\x1bP$qr\x1b\\\x1b[?6$p");
    assert_eq!(
        String::from_utf8(terminal.answers()).unwrap(),
        "\x1bP1$r0m\x1b\\\x1bP1$r1;4r\x1b\\\x1b[?6;2$y"
    );
}

#[test]
fn a_program_cannot_make_the_screen_wider() {
    // DECCOLM needs a mode that xterm has off (40), and a session has the size of its owner's page.
    let terminal = fed(8, 1, b"text\x1b[?3h\x1b[?3lx");
    assert_eq!((terminal.size(), terminal.screen_text().as_str()), (size(8, 1), "textx"));
}

#[test]
fn each_screen_has_its_saved_cursor() {
    let mut terminal = fed(9, 5, b"\x1b[2;3H\x1b7\x1b[?1047h\x1b[4;5H\x1b[31m\x1b7\x1b[?1047l\x1b8");
    assert_eq!(terminal.cursor(), (1, 2));
    let mut cut = fed(9, 5, &terminal.snapshot());
    for terminal in [&mut terminal, &mut cut] {
        terminal.print(b"\x1b[?1047h\x1b8\x1bP$qm\x1b\\");
        assert_eq!((terminal.cursor(), terminal.answers().as_slice()), ((3, 4), &b"\x1bP1$r0;31m\x1b\\"[..]));
    }
    // RIS forgets both.
    terminal.print(b"\x1bc\x1b[?1047h\x1b[3;3H\x1b8");
    assert_eq!(terminal.cursor(), (0, 0));
}

#[test]
fn columns_are_inserted_and_deleted_in_the_whole_region() {
    let shown = |sequence: &str| {
        fed(4, 3, format!("abcd\r\nefgh\r\nijkl\x1b[2;3r\x1b[2;2H\x1b[{sequence}").as_bytes()).screen_text()
    };
    assert_eq!(shown("'}"), "abcd\ne fg\ni jk");
    assert_eq!(shown("2'~"), "abcd\neh\nil");
    assert_eq!(shown(" @"), "abcd\nfgh\njkl");
    assert_eq!(shown("2 A"), "abcd\n  ef\n  ij");
    assert_eq!(shown("1;1H\x1b['}"), "abcd\nefgh\nijkl");
}
