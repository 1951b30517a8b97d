//! The title of the window, and those that programs put aside (`CSI 22 t`, `CSI 23 t`).

/// Longest title, characters; what is behind is cut off.
const TITLE_MAX: usize = 256;

/// Most titles put aside; the oldest goes first.
pub(super) const STACK_MAX: usize = 16;

/// The title and those below it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Titles {
    current: String,
    below: Vec<String>,
}

impl Titles {
    /// The title; empty where none was set.
    pub(super) fn current(&self) -> &str {
        &self.current
    }

    /// Those put aside, oldest first.
    pub(super) fn below(&self) -> &[String] {
        &self.below
    }

    /// Sets the title. Control characters (C1 among them) are left out.
    pub(super) fn set(&mut self, title: &str) {
        self.current = title.chars().filter(|character| !character.is_control()).take(TITLE_MAX).collect();
    }

    /// Puts the title aside.
    pub(super) fn push(&mut self) {
        if self.below.len() >= STACK_MAX {
            self.below.remove(0);
        }
        self.below.push(self.current.clone());
    }

    /// Takes the title back that was put aside last.
    pub(super) fn pop(&mut self) {
        if let Some(title) = self.below.pop() {
            self.current = title;
        }
    }

    /// Bytes of memory held.
    pub(super) fn weight(&self) -> usize {
        self.current.capacity() + self.below.iter().map(String::capacity).sum::<usize>()
    }
}
