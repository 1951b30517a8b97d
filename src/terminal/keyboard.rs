//! How programs want keys to be told: the kitty keyboard protocol
//! (<https://sw.kovidgoyal.net/kitty/keyboard-protocol/>) and xterm's modifyOtherKeys. The state is
//! kept here, because programs ask for it and snapshots restore it. The page encodes the keys
//! (`web/src/keyprotocol.ts`).

/// Maximum number of saved flags of a screen; the oldest are dropped first, as the protocol says.
const STACK_MAX: usize = 16;

/// The flags that the protocol has: disambiguate, event types, alternate keys, all keys, text.
const FLAGS: u16 = 0b1_1111;

/// The highest level of modifyOtherKeys.
const OTHER_KEYS_MAX: u16 = 2;

/// The flags of a screen.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Flags {
    current: u16,
    below: Vec<u16>,
}

/// The state of the keyboard.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Keyboard {
    main: Flags,
    alternate: Flags,
    /// The level of modifyOtherKeys.
    other_keys: u16,
}

/// One of the two screens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Main,
    Alternate,
}

impl Keyboard {
    fn flags_mut(&mut self, screen: Shown) -> &mut Flags {
        match screen {
            Shown::Main => &mut self.main,
            Shown::Alternate => &mut self.alternate,
        }
    }

    fn flags(&self, screen: Shown) -> &Flags {
        match screen {
            Shown::Main => &self.main,
            Shown::Alternate => &self.alternate,
        }
    }

    /// Saves the flags of a screen, and replaces them.
    pub(super) fn push(&mut self, screen: Shown, flags: u16) {
        let kept = self.flags_mut(screen);
        if kept.below.len() >= STACK_MAX {
            kept.below.remove(0);
        }
        kept.below.push(kept.current);
        kept.current = flags & FLAGS;
    }

    /// Restores the flags that were saved `count` times before. Where none are, all are off.
    pub(super) fn pop(&mut self, screen: Shown, count: usize) {
        let kept = self.flags_mut(screen);
        for _ in 0..count.min(STACK_MAX + 1) {
            kept.current = kept.below.pop().unwrap_or_default();
        }
    }

    /// Changes the flags of a screen: to these (1), these too (2), or all but these (3).
    pub(super) fn set(&mut self, screen: Shown, flags: u16, how: u16) {
        let kept = self.flags_mut(screen);
        match how {
            0 | 1 => kept.current = flags & FLAGS,
            2 => kept.current |= flags & FLAGS,
            3 => kept.current &= !flags,
            _ => {}
        }
    }

    /// The answer to the query for the flags of a screen.
    pub(super) fn report(&self, screen: Shown) -> String {
        format!("\x1b[?{}u", self.flags(screen).current)
    }

    /// Sets the level of modifyOtherKeys; one that is too high is ignored.
    pub(super) fn set_other_keys(&mut self, level: u16) {
        if level <= OTHER_KEYS_MAX {
            self.other_keys = level;
        }
    }

    /// The answer to the query for the level of modifyOtherKeys.
    pub(super) fn report_other_keys(&self) -> String {
        format!("\x1b[>4;{}m", self.other_keys)
    }

    /// Writes the sequences that set the flags of a screen, whose flags are all off and which is
    /// shown. Nothing if they are off here too.
    pub(super) fn write_flags(&self, screen: Shown, out: &mut Vec<u8>) {
        let Flags { current, below } = self.flags(screen);
        if let Some((first, others)) = below.split_first() {
            out.extend_from_slice(format!("\x1b[={first}u").as_bytes());
            for flags in others.iter().chain([current]) {
                out.extend_from_slice(format!("\x1b[>{flags}u").as_bytes());
            }
        } else if *current != 0 {
            out.extend_from_slice(format!("\x1b[={current}u").as_bytes());
        }
    }

    /// Whether [`Self::write_flags`] writes anything.
    pub(super) fn has_flags(&self, screen: Shown) -> bool {
        *self.flags(screen) != Flags::default()
    }

    /// Writes the sequence that sets the level of modifyOtherKeys, if it is not 0.
    pub(super) fn write_other_keys(&self, out: &mut Vec<u8>) {
        if self.other_keys != 0 {
            out.extend_from_slice(self.report_other_keys().as_bytes());
        }
    }

    /// Memory use in bytes.
    pub(super) fn weight(&self) -> usize {
        (self.main.below.capacity() + self.alternate.below.capacity()) * size_of::<u16>()
    }
}
