//! Generates the widths of characters for the page, whose terminal must count columns like this
//! one.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar;

/// If this variable is set, the test writes the file instead of comparing it.
const UPDATE: &str = "TERE_UPDATE_GENERATED";

/// The ranges of characters of a width, as first and last code point.
fn ranges(width: usize) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for character in '\u{a0}'..=char::MAX {
        let code = u32::from(character);
        if character.width() != Some(width) {
            continue;
        }
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == code => *last = code,
            _ => ranges.push((code, code)),
        }
    }
    ranges
}

#[test]
fn the_pages_widths_are_fresh() {
    let mut text =
        String::from("// Made from the widths of src/terminal by its test. Do not edit: run `web/types`.\n");
    text.push_str("// Each table has the first of a range, counted from the end of the last, and its length, in base 36.\n");
    for (name, width) in [("NONE", 0), ("WIDE", 2)] {
        write!(text, "\nexport const {name} =\n  '").unwrap();
        let (mut end, mut line) = (0, 0);
        for (first, last) in ranges(width) {
            let range = format!("{} {} ", base36(first - end), base36(last + 1 - first));
            if line + range.len() > 118 {
                text.push_str("' +\n  '");
                line = 0;
            }
            line += range.len();
            text.push_str(&range);
            end = last + 1;
        }
        text.push_str("';\n");
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/web/src/widths.table.ts");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let standing = std::fs::read_to_string(path).unwrap_or_default();
    assert!(standing == text, "web/src/widths.table.ts is stale: run web/types");
}

fn base36(number: u32) -> String {
    let mut digits = Vec::new();
    let mut rest = number;
    while rest > 0 || digits.is_empty() {
        digits.push(char::from_digit(rest % 36, 36).unwrap());
        rest /= 36;
    }
    digits.into_iter().rev().collect()
}
