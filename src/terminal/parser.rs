//! The parser: converts terminal bytes to tokens. The input may be split anywhere, even inside a
//! character or a sequence. What is incomplete waits in one short buffer, and a snapshot ends with
//! the contents of that buffer, so the rest of the stream completes it. A string or sequence that
//! exceeds its limit is discarded and its remaining bytes are skipped, so an unterminated one takes
//! no memory.
//!
//! The grammar is that of <https://vt100.net/emu/dec_ansi_parser>, for UTF-8. The 8-bit codes
//! U+0080 to U+009F act like the escape sequences that they stand for, also inside a sequence. Any
//! other character that is not ASCII is a part of a string, and ends another sequence without a
//! trace. xterm.js does all of this too.

use super::sequence::Csi;

/// Maximum size of a control sequence (`ESC [`) in bytes, with its introducer.
const CSI_MAX: usize = 256;

/// Maximum size of an operating system command (`ESC ]`) in bytes, with its introducer. A title or
/// the address of a link is shorter; a longer command is a picture, a clipboard or an attack.
const OSC_MAX: usize = 4096;

/// Maximum size of a device control string (`ESC P`) in bytes, with its introducer; the supported
/// ones are short.
const DCS_MAX: usize = 32;

/// Maximum size of an escape sequence before its final byte, in bytes; further intermediate bytes
/// are dropped.
const ESCAPE_MAX: usize = 8;

/// Shown for bytes that are not valid UTF-8.
const REPLACEMENT: &str = "\u{fffd}";

pub(super) const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;
const CAN: u8 = 0x18;
const SUB: u8 = 0x1a;
const DEL: u8 = 0x7f;
/// The string terminator, as an 8-bit code.
const ST: u8 = 0x9c;

/// A unit of terminal input.
#[derive(Debug)]
pub(super) enum Token<'a> {
    /// Characters to show, none of them C0.
    Text(&'a str),
    /// A C0 control.
    Control(u8),
    /// An escape sequence: its intermediate bytes and its final byte.
    Escape(&'a [u8], u8),
    /// A control sequence. Malformed and oversized ones produce no token.
    Csi(&'a Csi),
    /// The payload of an operating system command, without C0.
    Osc(&'a [u8]),
    /// The payload of a device control string, without C0.
    Dcs(&'a [u8]),
}

/// The state of the parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ParserState {
    Ground,
    /// Inside a character.
    Character,
    /// Before the second byte of an 8-bit code, which is the next byte of the input.
    EightBit,
    Escape,
    Csi,
    Osc,
    Dcs,
    /// Inside a string that is ignored: SOS, PM, APC, or one that exceeds its limit. Only an OSC
    /// ends with BEL.
    Swallow {
        ends_with_bell: bool,
    },
    /// Inside a control sequence that exceeds its limit.
    SwallowCsi,
}

/// The parser.
#[derive(Debug)]
pub(super) struct Parser {
    state: ParserState,
    /// All bytes of the incomplete character or sequence.
    pending: Vec<u8>,
    /// The bytes of an incomplete character inside a sequence.
    partial: Vec<u8>,
    /// Whether the pending bytes were returned as a token and are to be dropped at the next call.
    spent: bool,
    /// The last complete control sequence.
    sequence: Csi,
}

impl Parser {
    pub(super) fn new() -> Self {
        Self {
            state: ParserState::Ground,
            pending: Vec::new(),
            partial: Vec::new(),
            spent: false,
            sequence: Csi::default(),
        }
    }

    /// Whether the next byte begins a character, a control or a sequence.
    pub(super) fn is_in_ground_state(&self) -> bool {
        self.state == ParserState::Ground
    }

    /// The bytes that bring a fresh parser to the state of this one.
    pub(super) fn incomplete(&self) -> Vec<u8> {
        let sequence: &[u8] = match self.state {
            ParserState::Ground | ParserState::EightBit => &[],
            ParserState::Character
            | ParserState::Escape
            | ParserState::Csi
            | ParserState::Osc
            | ParserState::Dcs => &self.pending,
            // An OSC without a number, which is ignored and ends with BEL.
            ParserState::Swallow { ends_with_bell: true } => b"\x1b]_",
            ParserState::Swallow { ends_with_bell: false } => b"\x1bX",
            // A marker after a parameter is malformed, whatever follows.
            ParserState::SwallowCsi => b"\x1b[0?",
        };
        [sequence, &self.partial].concat()
    }

    /// Memory use in bytes.
    pub(super) fn weight(&self) -> usize {
        self.pending.capacity() + self.partial.capacity()
    }

    /// Removes the next token from `rest`; None if `rest` is used up.
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
                    // The bytes so far are the invalid character; this byte starts anew.
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
            } else if byte < 0x80 && self.partial.is_empty() {
                byte
            } else {
                let inside = self.inside(byte);
                if inside != Inside::Broken {
                    *rest = behind;
                }
                match inside {
                    Inside::Incomplete => continue,
                    // ST ends a string. Every other 8-bit code abandons it.
                    Inside::Code(ST) if self.state == ParserState::Osc => {
                        return self.give(|pending| pending.get(2..).map(Token::Osc));
                    }
                    Inside::Code(ST) if self.state == ParserState::Dcs => {
                        return self.give(|pending| pending.get(2..).map(Token::Dcs));
                    }
                    Inside::Code(code) => {
                        self.begin();
                        match self.byte(code.wrapping_sub(0x40)) {
                            Completed::Escape => return self.give_escape(),
                            Completed::Nothing | Completed::Control | Completed::Osc | Completed::Csi => {
                                continue;
                            }
                        }
                    }
                    Inside::Character(character) => {
                        self.character(character);
                        continue;
                    }
                    Inside::Broken => {
                        self.character('\u{fffd}');
                        continue;
                    }
                }
            };
            match byte {
                ESC => {
                    // ESC ends a string. It is the first byte of the terminator and is read at the
                    // next call.
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
                    return Some(Token::Control(byte));
                }
                _ => {
                    *rest = behind;
                    match self.byte(byte) {
                        Completed::Nothing => {}
                        Completed::Control => return Some(Token::Control(byte)),
                        Completed::Escape => return self.give_escape(),
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

    /// Takes REP, which was returned last, for incomplete, with this count. Its last byte is to be
    /// read again.
    pub(super) fn interrupt_repetition(&mut self, left: usize) {
        self.begin();
        self.pending.extend_from_slice(format!("[{left}").as_bytes());
        self.state = ParserState::Csi;
        self.spent = false;
    }

    /// Returns the pending bytes as a token.
    fn give<'a>(&'a mut self, token: impl FnOnce(&'a [u8]) -> Option<Token<'a>>) -> Option<Token<'a>> {
        self.state = ParserState::Ground;
        self.spent = true;
        token(&self.pending)
    }

    /// Returns the pending bytes as an escape sequence.
    fn give_escape(&mut self) -> Option<Token<'_>> {
        self.give(|pending| {
            let (last, between) = pending.get(1..)?.split_last()?;
            Some(Token::Escape(between, *last))
        })
    }

    /// Takes a byte of a character that is not ASCII inside a sequence. It is not taken if it does
    /// not continue the character begun before.
    fn inside(&mut self, byte: u8) -> Inside {
        let began = !self.partial.is_empty();
        self.partial.push(byte);
        let inside = match std::str::from_utf8(&self.partial) {
            Ok(text) => match text.chars().next() {
                Some(code @ '\u{80}'..='\u{9f}') => Inside::Code(u8::try_from(code).unwrap_or(ST)),
                Some(character) => Inside::Character(character),
                None => Inside::Incomplete,
            },
            Err(error) if error.error_len().is_none() => return Inside::Incomplete,
            Err(_) if began => Inside::Broken,
            Err(_) => Inside::Character('\u{fffd}'),
        };
        self.partial.clear();
        inside
    }

    /// Takes a character that is neither ASCII nor an 8-bit code inside a sequence: it is a part of
    /// a string, and ends a sequence that is not a string, as in the page.
    fn character(&mut self, character: char) {
        match self.state {
            ParserState::Osc => self.keep_all(character, OSC_MAX, true),
            ParserState::Dcs if self.pending.iter().skip(2).any(|byte| matches!(byte, 0x40..=0x7e)) => {
                self.keep_all(character, DCS_MAX, false);
            }
            ParserState::Csi if is_malformed(self.pending.get(2..).unwrap_or_default()) => {}
            ParserState::Swallow { .. } | ParserState::SwallowCsi => {}
            ParserState::Ground
            | ParserState::Character
            | ParserState::EightBit
            | ParserState::Escape
            | ParserState::Csi
            | ParserState::Dcs => self.leave(),
        }
    }

    /// Keeps all bytes of a character of a string.
    fn keep_all(&mut self, character: char, most: usize, ends_with_bell: bool) {
        for byte in character.encode_utf8(&mut [0; 4]).bytes() {
            if self.pending.len() < most {
                self.keep(byte, most, ends_with_bell);
            }
        }
    }

    /// Returns to the ground state and drops the pending bytes.
    fn leave(&mut self) {
        self.state = ParserState::Ground;
        self.partial.clear();
        self.pending.clear();
        // Long commands are rare: their buffer is not kept for the next one.
        self.pending.shrink_to(CSI_MAX);
    }

    /// Begins a sequence.
    fn begin(&mut self) {
        self.leave();
        self.state = ParserState::Escape;
        self.pending.push(ESC);
    }

    /// Takes text or a control off `rest` in the ground state.
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

    /// Processes one byte of a sequence, other than ESC, CAN and SUB.
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

    /// Keeps a byte of a string, up to a size of `most` bytes.
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

/// If `bytes` begins with an entire control sequence, as it nearly always does after an ESC,
/// returns what follows its introducer, and the bytes after the sequence. A sequence that contains
/// a control or exceeds its limit is left to the byte-by-byte path.
pub(super) fn whole_sequence(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let bytes = bytes.strip_prefix(b"\x1b[")?;
    let between = bytes.iter().take(CSI_MAX - 3).take_while(|byte| matches!(byte, 0x20..=0x3f)).count();
    matches!(bytes.get(between), Some(0x40..=0x7e)).then(|| bytes.split_at(between + 1))
}

/// Whether a control sequence is malformed whatever follows these bytes, its first after `ESC [`.
fn is_malformed(bytes: &[u8]) -> bool {
    let intermediate = bytes.iter().position(|byte| matches!(byte, 0x20..=0x2f)).unwrap_or(bytes.len());
    let (parameters, behind) = bytes.split_at(intermediate);
    parameters.iter().skip(1).any(|byte| matches!(byte, b'<'..=b'?'))
        || behind.iter().any(|byte| matches!(byte, 0x30..=0x3f))
}

/// The number of bytes before the first C0 control or DEL. The loop tests sixteen bytes at a time,
/// which the processor does in parallel.
pub(super) fn before_control(bytes: &[u8]) -> usize {
    let is_control = |byte: &u8| *byte < 0x20 || *byte == DEL;
    let (parts, _) = bytes.as_chunks::<16>();
    let has_none = |part: &&[u8; 16]| !part.iter().fold(false, |has, byte| has | is_control(byte));
    let clear = 16 * parts.iter().take_while(has_none).count();
    bytes.iter().skip(clear).position(is_control).map_or(bytes.len(), |at| clear + at)
}

/// The index of the first 8-bit code in `run`.
fn eight_bit(run: &[u8]) -> Option<usize> {
    if run.is_ascii() {
        return None;
    }
    run.windows(2).position(starts_with_code)
}

fn starts_with_code(bytes: &[u8]) -> bool {
    matches!(bytes, [0xc2, 0x80..=0x9f, ..])
}

/// The result of reading in the ground state.
enum Ground<'b> {
    Text(&'b str),
    Control(u8),
    Nothing,
}

/// A byte of a character inside a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// More bytes belong to the character.
    Incomplete,
    /// The last byte of an 8-bit code.
    Code(u8),
    /// The last byte of another character, or a byte that belongs to none.
    Character(char),
    /// The bytes before this one are no character.
    Broken,
}

/// The result of one byte of a sequence.
enum Completed {
    Nothing,
    Control,
    Escape,
    Csi,
    Osc,
}
