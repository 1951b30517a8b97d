use std::time::Duration;

use tokio::time::Instant;

/// How many frames a page may send in [`WINDOW`]. After that, it is not read from until the window is
/// over. A page that shows a flood sends some hundred in a second.
const FRAMES_MAX: u32 = 500;
const WINDOW: Duration = Duration::from_millis(100);

/// The pace at which a page is read from, so that small frames without end cost little.
#[derive(Debug)]
pub(super) struct Pace {
    until: Instant,
    frames: u32,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { until: now + WINDOW, frames: 0 }
    }

    /// Counts a frame.
    pub(super) fn count(&mut self, now: Instant) {
        if now >= self.until {
            *self = Self::new(now);
        }
        self.frames += 1;
    }

    /// Until when nothing is to be read, if the page has sent its share.
    pub(super) fn rest(&self, now: Instant) -> Option<Instant> {
        (self.frames >= FRAMES_MAX && now < self.until).then_some(self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_its_share_of_each_window() {
        let began = Instant::now();
        let mut pace = Pace::new(began);
        for _ in 0..FRAMES_MAX {
            assert_eq!(pace.rest(began), None);
            pace.count(began);
        }
        assert_eq!(pace.rest(began), Some(began + WINDOW));
        let later = began + WINDOW;
        assert_eq!(pace.rest(later), None);
        pace.count(later);
        assert_eq!(pace.rest(later), None);
    }
}
