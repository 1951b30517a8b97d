//! The theme of the session, for the terminal and for the worker after this one. Written by the
//! viewers' thread.

use std::sync::atomic::Ordering;

use super::{SessionMemory, THEME_WORD};
use crate::names::{Color, Theme};

/// Number of words of one theme: three bytes for each of its nineteen colours.
const THEME_WORDS: usize = 8;

/// Number of words for the count of themes set and for the last two of them.
pub(super) const WORDS: usize = 1 + 2 * THEME_WORDS;

impl SessionMemory {
    /// Sets the theme. It is written completely before it becomes current, so a worker that is
    /// killed leaves either this theme or the previous one.
    pub(in crate::session) fn set_theme(&self, theme: &Theme) {
        let times = self.themes() + 1;
        for (word, value) in (place(times)..).zip(words(theme)) {
            self.word(word).store(value, Ordering::Relaxed);
        }
        self.word(THEME_WORD).store(times, Ordering::Release);
    }

    /// How often the theme was set.
    pub(in crate::session) fn themes(&self) -> u64 {
        self.word(THEME_WORD).load(Ordering::Acquire)
    }

    /// The theme; `None` before the first one is set. A reader that is overtaken twice may get
    /// colours of two themes, and then finds that [`Self::themes`] has changed.
    pub(in crate::session) fn theme(&self) -> Option<Theme> {
        let times = self.themes();
        let value = |word: usize| self.word(place(times) + word).load(Ordering::Relaxed);
        (times > 0).then(|| theme(std::array::from_fn(value)))
    }
}

/// The first word of the theme that was set as number `times`.
fn place(times: u64) -> usize {
    THEME_WORD + 1 + if times.is_multiple_of(2) { THEME_WORDS } else { 0 }
}

fn words(theme: &Theme) -> [u64; THEME_WORDS] {
    let colors = [theme.foreground, theme.background, theme.cursor].into_iter().chain(theme.palette);
    let mut bytes = colors.flat_map(|Color(red, green, blue)| [red, green, blue]);
    std::array::from_fn(|_| u64::from_le_bytes(std::array::from_fn(|_| bytes.next().unwrap_or_default())))
}

fn theme(words: [u64; THEME_WORDS]) -> Theme {
    let mut bytes = words.into_iter().flat_map(u64::to_le_bytes);
    let mut byte = || bytes.next().unwrap_or_default();
    let mut color = || Color(byte(), byte(), byte());
    Theme {
        foreground: color(),
        background: color(),
        cursor: color(),
        palette: std::array::from_fn(|_| color()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn the_theme_that_was_set_last_counts_also_in_the_next_worker() {
        let memory = SessionMemory::new().unwrap();
        assert_eq!((memory.theme(), memory.themes()), (None, 0));
        for n in 1..=4 {
            let theme = Theme { cursor: Color(n, 2, 3), ..Theme::DEFAULT };
            memory.set_theme(&theme);
            assert_eq!((memory.theme(), memory.themes()), (Some(theme), n.into()));
            let next = SessionMemory::open(memory.as_fd().try_clone_to_owned().unwrap()).unwrap();
            assert_eq!(next.theme(), Some(theme));
        }
    }
}
