//! What is switched on (`CSI h`, `CSI ? h`): a table of the modes that are known, and the two
//! groups of which one at most is on.

/// A mode's number, and whether it is one of DEC's (`CSI ?`).
pub(super) type Number = (bool, u16);

pub(super) const INSERT: Number = (false, 4);
pub(super) const NEW_LINE: Number = (false, 20);
pub(super) const ORIGIN: Number = (true, 6);
pub(super) const WRAP: Number = (true, 7);
pub(super) const KEYPAD: Number = (true, 66);

/// Modes that are independent of one another and mean something in the page, with their state at power-on. Synchronised output
/// (2026) is only remembered: the screen behind it is always drawn at once, so that a program
/// which never ends it holds nothing back and costs nothing.
const SWITCHES: [(Number, bool); 12] = [
    (INSERT, false),
    (NEW_LINE, false),
    ((true, 1), false),
    (ORIGIN, false),
    (WRAP, true),
    ((true, 12), false),
    ((true, 25), true),
    ((true, 45), false),
    (KEYPAD, false),
    ((true, 1004), false),
    ((true, 2004), false),
    ((true, 2026), false),
];

/// What of the mouse is reported: presses, drags, motion.
const MOUSE: [u16; 4] = [9, 1000, 1002, 1003];

/// How the mouse is reported.
const MOUSE_ENCODINGS: [u16; 2] = [1006, 1016];

/// The state of the modes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Modes {
    /// In the order of the table.
    switches: [bool; SWITCHES.len()],
    mouse: Option<u16>,
    encoding: Option<u16>,
}

impl Modes {
    /// The state at power-on.
    pub(super) fn new() -> Self {
        Self { switches: SWITCHES.map(|(_, on)| on), mouse: None, encoding: None }
    }

    /// Every mode with its state at power-on.
    pub(super) fn first() -> impl Iterator<Item = (Number, bool)> {
        let groups = MOUSE.into_iter().chain(MOUSE_ENCODINGS).map(|mode| ((true, mode), false));
        SWITCHES.into_iter().chain(groups)
    }

    /// Whether a mode is on; none where it is not known.
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

    /// Switches a mode; one that is not known is left out.
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
