//! Random output of programs that do not exist: text, and sequences in all their forms, well formed
//! or not. A stream is a list of parts, so that one that fails can be cut down to the parts that
//! matter.

/// Pseudo-random numbers: xorshift, by George Marsaglia.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 16) % end as u64).unwrap()
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    /// A count or a coordinate: mostly small, and sometimes missing, 0 or far too large.
    fn number(&mut self) -> String {
        match self.below(20) {
            0 | 1 => String::new(),
            2 => "0".to_owned(),
            3 => self.below(300).to_string(),
            4 => "65535".to_owned(),
            _ => (1 + self.below(14)).to_string(),
        }
    }
}

/// Text of every width, marks, and bytes that are no text.
const WORDS: [&[u8]; 22] = [
    b"a",
    b"word ",
    b"two words",
    b"#_`~lqk",
    b"                ",
    b"a line that is longer than the screen is wide, so that it wraps",
    "日本語".as_bytes(),
    "中".as_bytes(),
    "x中y文".as_bytes(),
    "e\u{301}".as_bytes(),
    "\u{301}".as_bytes(),
    "\u{308}\u{304}z".as_bytes(),
    "中\u{301}".as_bytes(),
    "🙂".as_bytes(),
    "👩\u{200d}👧".as_bytes(),
    "┌─┐│".as_bytes(),
    "\u{a0}\u{ad}ä".as_bytes(),
    "\u{84}\u{85}\u{88}".as_bytes(),
    "\u{8d}\u{8e}\u{96}".as_bytes(),
    b"\xff\xc3",
    b"\xe2\x82",
    b"\x7f\x00",
];

/// Sequences without a choice, most of them rare or wrong.
const FIXED: [&str; 92] = [
    "\r",
    "\n",
    "\r\n",
    "\r\n",
    "\x0b",
    "\x0c",
    "\t",
    "\t",
    "\x08",
    "\x08",
    "\x08\x08\x08",
    "\x0e",
    "\x0f",
    "\x1b7",
    "\x1b8",
    "\x1b7",
    "\x1b8",
    "\x1b[s",
    "\x1b[u",
    "\x1bD",
    "\x1bE",
    "\x1bH",
    "\x1bM",
    "\x1bM",
    "\x1b=",
    "\x1b>",
    "\x1bn",
    "\x1bo",
    "\x1b|",
    "\x1b}",
    "\x1b~",
    "\x1bN",
    "\x1bO",
    "\x1bV",
    "\x1bW",
    "\x1b(0",
    "\x1b)0",
    "\x1b*0",
    "\x1b+0",
    "\x1b(B",
    "\x1b)B",
    "\x1b*A",
    "\x1b+B",
    "\x1b(A",
    "\x1b(K",
    "\x1b)=",
    "\x1b(9",
    "\x1b-A",
    "\x1b.A",
    "\x1b/A",
    "\x1b(%5",
    "\x1b%G",
    "\x1b%@",
    "\x1b( 0",
    "\x1b#3",
    "\x1b#8",
    "\x1b#6",
    "\x1b[!p",
    "\x1b[4 q",
    "\x1b[5 q",
    "\x1b[ q",
    "\x1b[9 q",
    "\x1b[?5W",
    "\x1b[g",
    "\x1b[3g",
    "\x1b[0\"q",
    "\x1b[1\"q",
    "\x1b[1\"q",
    "\x1b[2\"q",
    "\x1b[\"q",
    "\x1b[;T",
    "\x1b[1;2;3;4;5T",
    "\x1b[>1T",
    "\x1b[3^",
    "\x1b[2 @",
    "\x1b[2 A",
    "\x1b[2'}",
    "\x1b[2'~",
    "\x1b[1\x18",
    "\x1b]0;gone\x18",
    "\x1b[\n3C",
    "\x1b[1?2h",
    "\x1b[1$$x",
    "\x1b[<1m",
    "\x1b[?1m",
    "\x1b[=1m",
    "\x1b[22;0t",
    "\x1b[23;0t",
    "\x1b[22t\x1b]2;inner\x07",
    "\x1b[23;2t",
    "\x1b]0;title\x07",
    "\x1b]2;\u{e9}\u{20ac}\x1b\\",
];

/// Control strings and characters in the middle of sequences.
const STRINGS: [&str; 22] = [
    "\x1b]1;icon\x07",
    "\x1b]2;\x1b\\",
    "\x1b]8;;http://a.example/x;y\x1b\\",
    "\x1b]8;id=1;http://b.example/\x07",
    "\x1b]8;;\x1b\\",
    "\x1b]8;;\x07",
    "\x1b]9;4;1;50\x07",
    "\x1b_apc\x1b\\",
    "\x1b^pm\u{e9}\x1b\\",
    "\x1bXsos\x1b\\",
    "\x1bPq#0~\x1b\\",
    "\x1bP1$r0m\x1b\\",
    "\x1b\u{e9}",
    "\x1b\u{4e2d}A",
    "\x1b[\u{e9}1m",
    "\x1b[3\u{4e2d}C",
    "\x1b(\u{e9}0",
    "\x1b[1 \u{e9}q",
    "\x1b[\x1b[2C",
    "\x1b]2;a\u{9c}b",
    "\x1b]2;a\u{4e2d}\x07",
    "\x1b[2\u{9b}3C",
];

const COLOURS: [&str; 34] = [
    "0",
    "1",
    "2",
    "3",
    "4",
    "5",
    "7",
    "8",
    "9",
    "21",
    "22",
    "24",
    "27",
    "31",
    "42",
    "53",
    "55",
    "93",
    "104",
    "39",
    "49",
    "38;5;300",
    "38;;",
    "48;2",
    "4:",
    "4:9",
    "4:3",
    "38;2;1;2",
    "38:5",
    "38:2:1:2:3",
    "38:2::1:2:3",
    "38;5:7",
    "58:5:9",
    "48;7",
];

fn style(random: &mut Random) -> String {
    let count = random.below(4);
    let parameters: Vec<String> = (0..count)
        .map(|_| match random.below(6) {
            0 => format!("{};5;{}", random.one(&["38", "48", "58"]), random.below(270)),
            1 => format!("{};2;{};9;{}", random.one(&["38", "48"]), random.below(260), random.below(270)),
            2 => format!(
                "{}:2:{}:{}:{}:{}",
                random.one(&["38", "48", "58"]),
                random.one(&["", "1"]),
                1,
                random.below(260),
                3
            ),
            3 => random.below(110).to_string(),
            _ => random.one(&COLOURS).to_owned(),
        })
        .collect();
    format!("\x1b[{}m", parameters.join(";"))
}

fn sequence(random: &mut Random) -> String {
    let last = random.one(&[
        "@", "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "P", "S", "T", "X", "Z", "`",
        "a", "b", "d", "e", "f", "r", "D", "H", "J", "K",
    ]);
    match last {
        "J" | "K" => format!(
            "\x1b[{}{}{last}",
            random.one(&["", "?", "?"]),
            random.one(&["", "0", "1", "2", "2", "4"])
        ),
        "H" | "f" | "r" => format!("\x1b[{};{}{last}", random.number(), random.number()),
        _ => format!("\x1b[{}{last}", random.number()),
    }
}

fn mode(random: &mut Random) -> String {
    let number = random.one(&[
        "?1", "?2", "?3", "?5", "?6", "?6", "?7", "?7", "?12", "?25", "?45", "?45", "?66", "?1000", "?1002",
        "?1004", "?1006", "?47", "?1047", "?1048", "?1049", "?1049", "?2004", "?2026", "4", "4", "20",
        "?6;7", "?7;1049",
    ]);
    format!("\x1b[{number}{}", random.one(&["h", "h", "l"]))
}

/// The parts of a stream.
pub(super) fn stream(random: &mut Random) -> Vec<Vec<u8>> {
    let count = 2 + random.below(28);
    (0..count)
        .map(|_| match random.below(40) {
            0..12 => random.one(&WORDS).to_vec(),
            12..16 => style(random).into_bytes(),
            16..24 => sequence(random).into_bytes(),
            24..29 => mode(random).into_bytes(),
            29..31 => random.one(&STRINGS).as_bytes().to_vec(),
            31 if random.below(4) == 0 => b"\x1bc".to_vec(),
            _ => random.one(&FIXED).as_bytes().to_vec(),
        })
        .collect()
}
