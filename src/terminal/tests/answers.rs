//! Each query is answered once, with exactly the expected bytes.

use super::super::Terminal;
use super::fed;
use crate::names::{Color, Theme};

fn answers(query: &str) -> String {
    ask(&mut fed(80, 24, b""), query)
}

fn ask(terminal: &mut Terminal, query: &str) -> String {
    terminal.print(query.as_bytes());
    let answers = String::from_utf8(terminal.answers()).unwrap();
    assert!(terminal.answers().is_empty());
    answers
}

#[test]
fn each_query_has_its_answer() {
    let table = [
        ("\x1b[c", "\x1b[?62;22c"),
        ("\x1b[0c", "\x1b[?62;22c"),
        ("\x1bZ", "\x1b[?62;22c"),
        ("\x1b[>c", "\x1b[>0;277;0c"),
        ("\x1b[5n", "\x1b[0n"),
        ("\x1b[3;7H\x1b[6n", "\x1b[3;7R"),
        ("\x1b[3;9r\x1b[?6h\x1b[2;7H\x1b[6n", "\x1b[2;7R"),
        ("\x1b[3;7H\x1b[?6n", "\x1b[?3;7R"),
        ("\x1b[?2004h\x1b[?2004$p", "\x1b[?2004;1$y"),
        ("\x1b[?2026$p", "\x1b[?2026;2$y"),
        ("\x1b[?1049h\x1b[?1049$p", "\x1b[?1049;1$y"),
        ("\x1b[?4711$p", "\x1b[?4711;0$y"),
        ("\x1b[4$p", "\x1b[4;2$y"),
        ("\x1b[18t", "\x1b[8;24;80t"),
        ("\x1b]10;?\x07", "\x1b]10;rgb:d9d9/dcdc/e5e5\x1b\\"),
        ("\x1b]11;?\x1b\\", "\x1b]11;rgb:1313/1515/1b1b\x1b\\"),
        ("\x1b]10;?;?\x07", "\x1b]10;rgb:d9d9/dcdc/e5e5\x1b\\\x1b]11;rgb:1313/1515/1b1b\x1b\\"),
        ("\x1b]4;196;?\x07", "\x1b]4;196;rgb:ffff/0000/0000\x1b\\"),
        ("\x1b]4;1;#123456\x07\x1b]4;1;?\x07", "\x1b]4;1;rgb:1212/3434/5656\x1b\\"),
        ("\x1b[1;31m\x1bP$qm\x1b\\", "\x1bP1$r0;1;31m\x1b\\"),
        ("\x1bP$qx\x1b\\", "\x1bP0$r\x1b\\"),
        ("\x1b[?u", "\x1b[?0u"),
        ("\x1b[>1u\x1b[?u", "\x1b[?1u"),
        ("\x1b[>1u\x1b[>255u\x1b[?u", "\x1b[?31u"),
        ("\x1b[>1u\x1b[>3u\x1b[<u\x1b[?u", "\x1b[?1u"),
        ("\x1b[=8u\x1b[>3u\x1b[<9u\x1b[?u", "\x1b[?0u"),
        ("\x1b[=5u\x1b[=2;2u\x1b[?u\x1b[=4;3u\x1b[?u", "\x1b[?7u\x1b[?3u"),
        ("\x1b[>1u\x1b[?1049h\x1b[?u\x1b[>8u\x1b[?1049l\x1b[?u", "\x1b[?0u\x1b[?1u"),
        ("\x1b[>1u\x1b[?1049h\x1b[>8u\x1b[?1049l\x1b[!p\x1b[?u\x1b[?1049h\x1b[?u", "\x1b[?0u\x1b[?0u"),
        ("\x1b[>1u\x1b[>4;2m\x1bc\x1b[?u\x1b[?4m", "\x1b[?0u\x1b[>4;0m"),
        ("\x1b[>4;2m\x1b[?4m\x1b[>4m\x1b[?4m", "\x1b[>4;2m\x1b[>4;0m"),
        ("\x1b[>4;1m\x1b[>4;7m\x1b[?4m\x1b[>m\x1b[?4m", "\x1b[>4;1m\x1b[>4;0m"),
        ("\x1b[>4;1m\x1b[>4n\x1b[?4m\x1b[>4;2m\x1b[!p\x1b[?4m", "\x1b[>4;0m\x1b[>4;0m"),
        ("\x1b[21t", ""),
        ("\x05", ""),
        ("\x1b]52;c;?\x07", ""),
    ];
    for (query, answer) in table {
        assert_eq!(answers(query), answer, "{query:?}");
    }
    assert!(answers("\x1b[>q").starts_with("\x1bP>|tere("));
}

#[test]
fn one_who_asks_without_reading_is_not_answered_for_ever() {
    let waiting = answers(&"\x1b[c".repeat(100_000)).len();
    assert!((4000..=4096).contains(&waiting));
}

#[test]
fn saved_flags_of_the_keyboard_are_few_and_the_oldest_go_first() {
    let mut terminal = fed(80, 24, b"");
    for flags in 1..=100_u16 {
        terminal.print(format!("\x1b[>{}u", flags % 32).as_bytes());
    }
    // 16 are below the current one, which is 100 % 32.
    let mut cut = fed(80, 24, &terminal.snapshot());
    for terminal in [&mut terminal, &mut cut] {
        assert_eq!(ask(terminal, "\x1b[?u\x1b[<16u\x1b[?u\x1b[<u\x1b[?u"), "\x1b[?4u\x1b[?20u\x1b[?0u");
    }
}

#[test]
fn a_person_who_resets_the_terminal_resets_the_keyboard() {
    let mut terminal = fed(80, 24, b"\x1b[>31u\x1b[?1049h\x1b[>1u\x1b[>4;2m");
    terminal.reset_modes();
    assert_eq!(ask(&mut terminal, "\x1b[?u\x1b[?4m\x1b[?1049l\x1b[?u"), "\x1b[?0u\x1b[>4;0m\x1b[?0u");
}

#[test]
fn colours_that_no_program_has_changed_are_those_of_the_theme() {
    let mut terminal = fed(80, 24, b"\x1b]4;2;#123456\x07\x1b]12;#654321\x07");
    let asked = "\x1b]4;1;?;2;?\x07\x1b]11;?;?\x07";
    let answered = |red, background| {
        format!(
            "\x1b]4;1;rgb:{red}\x1b\\\x1b]4;2;rgb:1212/3434/5656\x1b\\\
             \x1b]11;rgb:{background}\x1b\\\x1b]12;rgb:6565/4343/2121\x1b\\"
        )
    };
    assert_eq!(ask(&mut terminal, asked), answered("f2f2/7777/7a7a", "1313/1515/1b1b"));
    let mut theme = Theme { background: Color(0xfb, 0xfb, 0xfd), ..Theme::DEFAULT };
    theme.palette[1] = Color(0xc0, 0x28, 0x2d);
    terminal.set_theme(theme);
    assert_eq!(ask(&mut terminal, asked), answered("c0c0/2828/2d2d", "fbfb/fbfb/fdfd"));
    // A reset of the terminal undoes the changes of programs and keeps the theme.
    assert_eq!(
        ask(&mut terminal, "\x1bc\x1b]4;2;?\x07\x1b]11;?\x07"),
        "\x1b]4;2;rgb:8f8f/cfcf/8b8b\x1b\\\x1b]11;rgb:fbfb/fbfb/fdfd\x1b\\"
    );
}
