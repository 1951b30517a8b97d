//! The modes (`CSI h`, `CSI ? h`): a table of the supported modes, and two groups in each of which
//! at most one mode is on.

/// Whether a mode is a DEC private mode (`CSI ?`), and its number.
pub(super) type Number = (bool, u16);

pub(super) const INSERT: Number = (false, 4);
pub(super) const NEW_LINE: Number = (false, 20);
pub(super) const ORIGIN: Number = (true, 6);
pub(super) const WRAP: Number = (true, 7);
pub(super) const REVERSE_WRAP: Number = (true, 45);
pub(super) const KEYPAD: Number = (true, 66);

/// Independent modes that have a meaning in the page, with their state at power-on. Synchronised
/// output (2026) is only stored: the screen is always drawn at once, so a program that never ends
/// an update delays no output and takes no memory.
const SWITCHES: [(Number, bool); 12] = [
    (INSERT, false),
    (NEW_LINE, false),
    ((true, 1), false),
    (ORIGIN, false),
    (WRAP, true),
    ((true, 12), false),
    ((true, 25), true),
    (REVERSE_WRAP, false),
    (KEYPAD, false),
    ((true, 1004), false),
    ((true, 2004), false),
    ((true, 2026), false),
];

/// Modes that select the mouse events to report: presses, drags or motion.
pub(super) const MOUSE: [u16; 4] = [9, 1000, 1002, 1003];

/// Modes that select the encoding of mouse reports.
pub(super) const MOUSE_ENCODINGS: [u16; 2] = [1006, 1016];

/// The state of the modes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Modes {
    /// In the order of [`SWITCHES`].
    switches: [bool; SWITCHES.len()],
    mouse: Option<u16>,
    encoding: Option<u16>,
}

impl Modes {
    /// The state at power-on.
    pub(super) fn new() -> Self {
        Self { switches: SWITCHES.map(|(_, on)| on), mouse: None, encoding: None }
    }

    /// Every supported mode with its state at power-on.
    pub(super) fn first() -> impl Iterator<Item = (Number, bool)> {
        let groups = MOUSE.into_iter().chain(MOUSE_ENCODINGS).map(|mode| ((true, mode), false));
        SWITCHES.into_iter().chain(groups)
    }

    /// Whether a mode is on; None if it is not supported.
    pub(super) fn state(&self, number: Number) -> Option<bool> {
        if number.0 && MOUSE.contains(&number.1) {
            return Some(self.mouse == Some(number.1));
        }
        if number.0 && MOUSE_ENCODINGS.contains(&number.1) {
            return Some(self.encoding == Some(number.1));
        }
        SWITCHES.iter().zip(self.switches).find(|((known, _), _)| *known == number).map(|(_, on)| on)
    }

    /// Whether a mode is on.
    pub(super) fn is_on(&self, number: Number) -> bool {
        self.state(number).unwrap_or_default()
    }

    /// Switches a mode on or off; a mode that is not supported is ignored.
    pub(super) fn switch(&mut self, number: Number, on: bool) {
        let group = match number {
            (true, mode) if MOUSE.contains(&mode) => &mut self.mouse,
            (true, mode) if MOUSE_ENCODINGS.contains(&mode) => &mut self.encoding,
            _ => {
                for ((known, _), state) in SWITCHES.iter().zip(&mut self.switches) {
                    if *known == number {
                        *state = on;
                    }
                }
                return;
            }
        };
        *group = on.then_some(number.1);
    }

    /// The modes that differ from power-on, with their state.
    pub(super) fn changed(&self) -> impl Iterator<Item = (Number, bool)> {
        let groups = [self.mouse, self.encoding].into_iter().flatten().map(|mode| ((true, mode), true));
        let switches = SWITCHES.iter().zip(self.switches);
        switches.filter(|((_, first), on)| first != on).map(|((number, _), on)| (*number, on)).chain(groups)
    }
}
