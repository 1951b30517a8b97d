//! Terminal bytes to tokens, for any split of the bytes: inside a character, inside a sequence.
//! What is not complete yet waits in one short buffer, and that buffer is what a snapshot ends
//! with, so that the rest of the stream completes it. Past its cap a string or a sequence is
//! forgotten, and the rest of it swallowed until its end: an unterminated one costs nothing.
//!
//! The grammar is that of <https://vt100.net/emu/dec_ansi_parser> for UTF-8. The 8-bit codes, U+0080 to U+009F, are what
//! they stand for between sequences, as in the page.

use super::sequence::Csi;

/// Longest control sequence (`ESC [`), bytes with its introducer.
const CSI_MAX: usize = 256;

/// Longest operating system command (`ESC ]`), bytes with its introducer. A title or the address of
/// a link is shorter; what is longer is a picture, a clipboard or a bomb.
const OSC_MAX: usize = 4096;

/// Longest device control string (`ESC P`) that is kept: those that are understood are short.
const DCS_MAX: usize = 32;

/// Longest escape sequence with intermediates, bytes.
const ESCAPE_MAX: usize = 8;

/// Shown for bytes that are no UTF-8.
const REPLACEMENT: &str = "\u{fffd}";

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;
const CAN: u8 = 0x18;
const SUB: u8 = 0x1a;
const DEL: u8 = 0x7f;

/// One thing that the terminal is told.
#[derive(Debug)]
pub(super) enum Token<'a> {
    /// Characters to show, no C0 among them.
    Text(&'a str),
    /// A C0 control.
    Control(u8),
    /// `ESC`, the bytes between, the last byte.
    Escape(&'a [u8], u8),
    /// A control sequence; one that is malformed or too long never comes.
    Csi(&'a Csi),
    /// The payload of an operating system command, C0 left out.
    Osc(&'a [u8]),
    /// The payload of a device control string, C0 left out.
    Dcs(&'a [u8]),
}

/// Where in the grammar the stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ParserState {
    Ground,
    /// Inside a character.
    Character,
    /// Before the second byte of an 8-bit code, which is there.
    EightBit,
    Escape,
    Csi,
    Osc,
    Dcs,
    /// Inside a string that nobody reads: SOS, PM, APC, or one past its cap. Only an OSC ends with BEL.
    Swallow {
        ends_with_bell: bool,
    },
    /// Inside a control sequence past its cap.
    SwallowCsi,
}

/// The parser.
#[derive(Debug)]
pub(super) struct Parser {
    state: ParserState,
    /// The bytes of what is incomplete, from its first.
    pending: Vec<u8>,
    /// The pending bytes were given out as a token: they go at the next call.
    spent: bool,
    /// The last control sequence that was complete.
    sequence: Csi,
}

impl Parser {
    pub(super) fn new() -> Self {
        Self { state: ParserState::Ground, pending: Vec::new(), spent: false, sequence: Csi::default() }
    }

    /// The bytes that bring a fresh parser to where this one stands.
    pub(super) fn incomplete(&self) -> &[u8] {
        match self.state {
            ParserState::Ground | ParserState::EightBit => &[],
            ParserState::Character
            | ParserState::Escape
            | ParserState::Csi
            | ParserState::Osc
            | ParserState::Dcs => &self.pending,
            // A command without a number, which nobody understands, and which BEL ends.
            ParserState::Swallow { ends_with_bell: true } => b"\x1b]_",
            ParserState::Swallow { ends_with_bell: false } => b"\x1bX",
            // A marker behind a parameter is malformed, whatever follows.
            ParserState::SwallowCsi => b"\x1b[0?",
        }
    }

    /// Bytes of memory held.
    pub(super) fn weight(&self) -> usize {
        self.pending.capacity()
    }

    /// Takes the next token off `rest`; none where it is used up.
    pub(super) fn next<'a, 'b: 'a>(&'a mut self, rest: &mut &'b [u8]) -> Option<Token<'a>> {
        if self.spent {
            self.pending.clear();
            self.spent = false;
        }
        while let Some((&byte, behind)) = rest.split_first() {
            if self.state == ParserState::Ground {
                if let Some((bytes, behind)) = whole_sequence(rest) {
                    *rest = behind;
                    if self.sequence.read(bytes) {
                        return Some(Token::Csi(&self.sequence));
                    }
                    continue;
                }
                match self.ground(rest) {
                    Ground::Text(text) => return Some(Token::Text(text)),
                    Ground::Control(byte) => return Some(Token::Control(byte)),
                    Ground::Nothing => continue,
                }
            }
            if self.state == ParserState::Character {
                self.pending.push(byte);
                match std::str::from_utf8(&self.pending).map_err(|error| error.error_len()) {
                    Ok(_) if starts_with_code(&self.pending) => {
                        self.leave();
                        self.state = ParserState::EightBit;
                        continue;
                    }
                    Ok(_) => *rest = behind,
                    // The bytes before were the whole of the wrong character; this one begins anew.
                    Err(Some(_)) => {
                        self.leave();
                        return Some(Token::Text(REPLACEMENT));
                    }
                    Err(None) => {
                        *rest = behind;
                        continue;
                    }
                }
                return self.give(|pending| std::str::from_utf8(pending).ok().map(Token::Text));
            }
            let byte = if self.state == ParserState::EightBit {
                self.begin();
                byte.wrapping_sub(0x40)
            } else {
                byte
            };
            match byte {
                ESC => {
                    // An ESC ends a string; as the first byte of its terminator it is then read.
                    if self.state == ParserState::Osc {
                        return self.give(|pending| pending.get(2..).map(Token::Osc));
                    }
                    if self.state == ParserState::Dcs {
                        return self.give(|pending| pending.get(2..).map(Token::Dcs));
                    }
                    *rest = behind;
                    self.begin();
                }
                CAN | SUB => {
                    *rest = behind;
                    self.leave();
                }
                _ => {
                    *rest = behind;
                    match self.byte(byte) {
                        Completed::Nothing => {}
                        Completed::Control => return Some(Token::Control(byte)),
                        Completed::Escape => {
                            return self.give(|pending| {
                                pending.get(1..).and_then(|bytes| {
                                    bytes.split_last().map(|(last, between)| Token::Escape(between, *last))
                                })
                            });
                        }
                        Completed::Osc => return self.give(|pending| pending.get(2..).map(Token::Osc)),
                        Completed::Csi => {
                            let bytes = self.pending.get(2..).unwrap_or_default();
                            let is_one = self.sequence.read(bytes);
                            self.leave();
                            if is_one {
                                return Some(Token::Csi(&self.sequence));
                            }
                        }
                    }
                }
            }
        }
        None
    }

    /// Gives the pending bytes out as a token.
    fn give<'a>(&'a mut self, token: impl FnOnce(&'a [u8]) -> Option<Token<'a>>) -> Option<Token<'a>> {
        self.state = ParserState::Ground;
        self.spent = true;
        token(&self.pending)
    }

    /// Goes back to the ground, with nothing.
    fn leave(&mut self) {
        self.state = ParserState::Ground;
        self.pending.clear();
        // A long command was the exception: its buffer is not kept for the next.
        self.pending.shrink_to(CSI_MAX);
    }

    /// Begins a sequence.
    fn begin(&mut self) {
        self.leave();
        self.state = ParserState::Escape;
        self.pending.push(ESC);
    }

    /// Takes text or a control off the ground.
    fn ground<'b>(&mut self, rest: &mut &'b [u8]) -> Ground<'b> {
        let (run, behind) = rest.split_at(before_control(rest));
        let (run, behind) = match eight_bit(run) {
            Some(0) => {
                *rest = rest.get(1..).unwrap_or_default();
                self.state = ParserState::EightBit;
                return Ground::Nothing;
            }
            Some(at) => rest.split_at(at),
            None => (run, behind),
        };
        if let Some((&control, after)) = behind.split_first().filter(|_| run.is_empty()) {
            *rest = after;
            return match control {
                ESC => {
                    self.begin();
                    Ground::Nothing
                }
                DEL => Ground::Nothing,
                _ => Ground::Control(control),
            };
        }
        let error = match std::str::from_utf8(run) {
            Ok(text) => {
                *rest = behind;
                return Ground::Text(text);
            }
            Err(error) => error,
        };
        let (valid, wrong) = run.split_at(error.valid_up_to());
        if !valid.is_empty() {
            *rest = rest.get(valid.len()..).unwrap_or_default();
            return Ground::Text(std::str::from_utf8(valid).unwrap_or_default());
        }
        match error.error_len() {
            Some(length) => *rest = rest.get(length..).unwrap_or_default(),
            None if behind.is_empty() => {
                *rest = behind;
                self.pending.extend_from_slice(wrong);
                self.state = ParserState::Character;
                return Ground::Nothing;
            }
            None => *rest = behind,
        }
        Ground::Text(REPLACEMENT)
    }

    /// Takes one byte of a sequence, which is none of ESC, CAN and SUB.
    fn byte(&mut self, byte: u8) -> Completed {
        match self.state {
            ParserState::Ground | ParserState::Character | ParserState::EightBit => Completed::Nothing,
            ParserState::Escape => match (byte, self.pending.len()) {
                (0x00..=0x1f, _) => Completed::Control,
                (0x20..=0x2f, length) => {
                    if length < ESCAPE_MAX {
                        self.pending.push(byte);
                    }
                    Completed::Nothing
                }
                (b'[', 1) => self.enter(byte, ParserState::Csi),
                (b']', 1) => self.enter(byte, ParserState::Osc),
                (b'P', 1) => self.enter(byte, ParserState::Dcs),
                (b'X' | b'^' | b'_', 1) => self.enter(byte, ParserState::Swallow { ends_with_bell: false }),
                (0x30..=0x7e, _) => {
                    self.pending.push(byte);
                    Completed::Escape
                }
                (0x7f..=0xff, _) => Completed::Nothing,
            },
            ParserState::Csi => match byte {
                0x00..=0x1f => Completed::Control,
                0x40..=0x7e => {
                    self.pending.push(byte);
                    Completed::Csi
                }
                0x20..=0x3f => {
                    self.pending.push(byte);
                    if self.pending.len() >= CSI_MAX {
                        self.leave();
                        self.state = ParserState::SwallowCsi;
                    }
                    Completed::Nothing
                }
                0x7f..=0xff => Completed::Nothing,
            },
            ParserState::SwallowCsi => match byte {
                0x00..=0x1f => Completed::Control,
                0x40..=0x7e => {
                    self.leave();
                    Completed::Nothing
                }
                0x20..=0x3f | 0x7f..=0xff => Completed::Nothing,
            },
            ParserState::Osc if byte == BEL => Completed::Osc,
            ParserState::Osc => self.keep(byte, OSC_MAX, true),
            ParserState::Dcs => self.keep(byte, DCS_MAX, false),
            ParserState::Swallow { ends_with_bell } => {
                if ends_with_bell && byte == BEL {
                    self.leave();
                }
                Completed::Nothing
            }
        }
    }

    fn enter(&mut self, byte: u8, state: ParserState) -> Completed {
        self.pending.push(byte);
        self.state = state;
        Completed::Nothing
    }

    /// Keeps a byte of a string, up to its cap.
    fn keep(&mut self, byte: u8, most: usize, ends_with_bell: bool) -> Completed {
        if byte >= 0x20 && byte != DEL {
            self.pending.push(byte);
        }
        if self.pending.len() >= most {
            self.leave();
            self.state = ParserState::Swallow { ends_with_bell };
        }
        Completed::Nothing
    }
}

/// What stands behind the introducer of a control sequence that lies here as a whole, as nearly every one does, and what
/// follows it. One with a control in it, or past its cap, is left to the byte-wise way.
fn whole_sequence(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let bytes = bytes.strip_prefix(b"\x1b[")?;
    let between = bytes.iter().take(CSI_MAX - 3).take_while(|byte| matches!(byte, 0x20..=0x3f)).count();
    matches!(bytes.get(between), Some(0x40..=0x7e)).then(|| bytes.split_at(between + 1))
}

/// How many bytes come before the first C0 control. Looked at sixteen at a time, which the processor does at once.
fn before_control(bytes: &[u8]) -> usize {
    let is_control = |byte: &u8| *byte < 0x20 || *byte == DEL;
    let (parts, _) = bytes.as_chunks::<16>();
    let has_none = |part: &&[u8; 16]| !part.iter().fold(false, |has, byte| has | is_control(byte));
    let clear = 16 * parts.iter().take_while(has_none).count();
    bytes.iter().skip(clear).position(is_control).map_or(bytes.len(), |at| clear + at)
}

/// Where the first 8-bit code of a run is.
fn eight_bit(run: &[u8]) -> Option<usize> {
    if run.is_ascii() {
        return None;
    }
    run.windows(2).position(starts_with_code)
}

fn starts_with_code(bytes: &[u8]) -> bool {
    matches!(bytes, [0xc2, 0x80..=0x9f, ..])
}

/// What the ground gave.
enum Ground<'b> {
    Text(&'b str),
    Control(u8),
    Nothing,
}

/// What a byte of a sequence leads to.
enum Completed {
    Nothing,
    Control,
    Escape,
    Csi,
    Osc,
}
