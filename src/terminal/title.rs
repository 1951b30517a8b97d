//! The window title, and the titles that programs saved (`CSI 22 t`, `CSI 23 t`).

/// Maximum length of a title in characters; the rest is cut off.
const TITLE_MAX: usize = 256;

/// Maximum number of saved titles, as in xterm and in the page; the oldest is dropped first.
pub(super) const STACK_MAX: usize = 10;

/// The title and the saved titles.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Titles {
    current: String,
    below: Vec<String>,
}

impl Titles {
    /// The title; empty if none was set.
    pub(super) fn current(&self) -> &str {
        &self.current
    }

    /// The saved titles, oldest first.
    pub(super) fn below(&self) -> &[String] {
        &self.below
    }

    /// Sets the title; control characters, C1 included, are left out.
    pub(super) fn set(&mut self, title: &str) {
        self.current = title.chars().filter(|character| !character.is_control()).take(TITLE_MAX).collect();
    }

    /// Saves the title.
    pub(super) fn push(&mut self) {
        if self.below.len() >= STACK_MAX {
            self.below.remove(0);
        }
        self.below.push(self.current.clone());
    }

    /// Restores the title that was saved last.
    pub(super) fn pop(&mut self) {
        if let Some(title) = self.below.pop() {
            self.current = title;
        }
    }

    /// Memory use in bytes.
    pub(super) fn weight(&self) -> usize {
        self.current.capacity() + self.below.iter().map(String::capacity).sum::<usize>()
    }
}
