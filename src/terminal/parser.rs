//! Terminal bytes to pieces, for any split of the bytes: inside a character, inside a sequence.
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
pub(super) enum Piece<'a> {
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
enum State {
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
    state: State,
    /// The bytes of what is incomplete, from its first.
    pending: Vec<u8>,
    /// The pending bytes were given out as a piece: they go at the next call.
    spent: bool,
    /// The last control sequence that was complete.
    sequence: Csi,
}

impl Parser {
    pub(super) fn new() -> Self {
        Self { state: State::Ground, pending: Vec::new(), spent: false, sequence: Csi::default() }
    }

    /// The bytes that bring a fresh parser to where this one stands.
    pub(super) fn undigested(&self) -> &[u8] {
        match self.state {
            State::Ground | State::EightBit => &[],
            State::Character | State::Escape | State::Csi | State::Osc | State::Dcs => &self.pending,
            // A command without a number, which nobody understands, and which BEL ends.
            State::Swallow { ends_with_bell: true } => b"\x1b]_",
            State::Swallow { ends_with_bell: false } => b"\x1bX",
            // A marker behind a parameter is malformed, whatever follows.
            State::SwallowCsi => b"\x1b[0?",
        }
    }

    /// Bytes of memory held.
    pub(super) fn weight(&self) -> usize {
        self.pending.capacity()
    }

    /// Takes the next piece off `rest`; none where it is used up.
    pub(super) fn next<'a, 'b: 'a>(&'a mut self, rest: &mut &'b [u8]) -> Option<Piece<'a>> {
        if self.spent {
            self.pending.clear();
            self.spent = false;
        }
        while let Some((&byte, behind)) = rest.split_first() {
            if self.state == State::Ground {
                if let Some((bytes, behind)) = whole_sequence(rest) {
                    *rest = behind;
                    if self.sequence.read(bytes) {
                        return Some(Piece::Csi(&self.sequence));
                    }
                    continue;
                }
                match self.ground(rest) {
                    Ground::Text(text) => return Some(Piece::Text(text)),
                    Ground::Control(byte) => return Some(Piece::Control(byte)),
                    Ground::Nothing => continue,
                }
            }
            if self.state == State::Character {
                self.pending.push(byte);
                match std::str::from_utf8(&self.pending).map_err(|error| error.error_len()) {
                    Ok(_) if starts_with_code(&self.pending) => {
                        self.leave();
                        self.state = State::EightBit;
                        continue;
                    }
                    Ok(_) => *rest = behind,
                    // The bytes before were the whole of the wrong character; this one begins anew.
                    Err(Some(_)) => {
                        self.leave();
                        return Some(Piece::Text(REPLACEMENT));
                    }
                    Err(None) => {
                        *rest = behind;
                        continue;
                    }
                }
                return self.give(|pending| std::str::from_utf8(pending).ok().map(Piece::Text));
            }
            let byte = if self.state == State::EightBit {
                self.begin();
                byte.wrapping_sub(0x40)
            } else {
                byte
            };
            match byte {
                ESC => {
                    // An ESC ends a string; as the first byte of its terminator it is then read.
                    if self.state == State::Osc {
                        return self.give(|pending| pending.get(2..).map(Piece::Osc));
                    }
                    if self.state == State::Dcs {
                        return self.give(|pending| pending.get(2..).map(Piece::Dcs));
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
                        Step::More => {}
                        Step::Control => return Some(Piece::Control(byte)),
                        Step::Escape => {
                            return self.give(|pending| {
                                pending.get(1..).and_then(|bytes| {
                                    bytes.split_last().map(|(last, between)| Piece::Escape(between, *last))
                                })
                            });
                        }
                        Step::Osc => return self.give(|pending| pending.get(2..).map(Piece::Osc)),
                        Step::Csi => {
                            let bytes = self.pending.get(2..).unwrap_or_default();
                            let is_one = self.sequence.read(bytes);
                            self.leave();
                            if is_one {
                                return Some(Piece::Csi(&self.sequence));
                            }
                        }
                    }
                }
            }
        }
        None
    }

    /// Gives the pending bytes out as a piece.
    fn give<'a>(&'a mut self, piece: impl FnOnce(&'a [u8]) -> Option<Piece<'a>>) -> Option<Piece<'a>> {
        self.state = State::Ground;
        self.spent = true;
        piece(&self.pending)
    }

    /// Goes back to the ground, with nothing.
    fn leave(&mut self) {
        self.state = State::Ground;
        self.pending.clear();
        // A long command was the exception: its buffer is not kept for the next.
        self.pending.shrink_to(CSI_MAX);
    }

    /// Begins a sequence.
    fn begin(&mut self) {
        self.leave();
        self.state = State::Escape;
        self.pending.push(ESC);
    }

    /// Takes text or a control off the ground.
    fn ground<'b>(&mut self, rest: &mut &'b [u8]) -> Ground<'b> {
        let (run, behind) = rest.split_at(before_control(rest));
        let (run, behind) = match eight_bit(run) {
            Some(0) => {
                *rest = rest.get(1..).unwrap_or_default();
                self.state = State::EightBit;
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
                self.state = State::Character;
                return Ground::Nothing;
            }
            None => *rest = behind,
        }
        Ground::Text(REPLACEMENT)
    }

    /// Takes one byte of a sequence, which is none of ESC, CAN and SUB.
    fn byte(&mut self, byte: u8) -> Step {
        match self.state {
            State::Ground | State::Character | State::EightBit => Step::More,
            State::Escape => match (byte, self.pending.len()) {
                (0x00..=0x1f, _) => Step::Control,
                (0x20..=0x2f, length) => {
                    if length < ESCAPE_MAX {
                        self.pending.push(byte);
                    }
                    Step::More
                }
                (b'[', 1) => self.enter(byte, State::Csi),
                (b']', 1) => self.enter(byte, State::Osc),
                (b'P', 1) => self.enter(byte, State::Dcs),
                (b'X' | b'^' | b'_', 1) => self.enter(byte, State::Swallow { ends_with_bell: false }),
                (0x30..=0x7e, _) => {
                    self.pending.push(byte);
                    Step::Escape
                }
                (0x7f..=0xff, _) => Step::More,
            },
            State::Csi => match byte {
                0x00..=0x1f => Step::Control,
                0x40..=0x7e => {
                    self.pending.push(byte);
                    Step::Csi
                }
                0x20..=0x3f => {
                    self.pending.push(byte);
                    if self.pending.len() >= CSI_MAX {
                        self.leave();
                        self.state = State::SwallowCsi;
                    }
                    Step::More
                }
                0x7f..=0xff => Step::More,
            },
            State::SwallowCsi => match byte {
                0x00..=0x1f => Step::Control,
                0x40..=0x7e => {
                    self.leave();
                    Step::More
                }
                0x20..=0x3f | 0x7f..=0xff => Step::More,
            },
            State::Osc if byte == BEL => Step::Osc,
            State::Osc => self.keep(byte, OSC_MAX, true),
            State::Dcs => self.keep(byte, DCS_MAX, false),
            State::Swallow { ends_with_bell } => {
                if ends_with_bell && byte == BEL {
                    self.leave();
                }
                Step::More
            }
        }
    }

    fn enter(&mut self, byte: u8, state: State) -> Step {
        self.pending.push(byte);
        self.state = state;
        Step::More
    }

    /// Keeps a byte of a string, up to its cap.
    fn keep(&mut self, byte: u8, most: usize, ends_with_bell: bool) -> Step {
        if byte >= 0x20 && byte != DEL {
            self.pending.push(byte);
        }
        if self.pending.len() >= most {
            self.leave();
            self.state = State::Swallow { ends_with_bell };
        }
        Step::More
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
enum Step {
    More,
    Control,
    Escape,
    Csi,
    Osc,
}
