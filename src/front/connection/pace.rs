use std::time::Duration;

use tokio::time::Instant;

/// How many frames a signed-in client may send in [`WINDOW`]. After that, it is not read from until
/// the window is over. Whoever shows a flood of 80 MB/s acknowledges up to 10,000 frames in a second;
/// if it were read from less often, the worker would take it for slow and leave output out.
const FRAMES_MAX: u32 = 2000;

/// The same before anybody is signed in: a sign-in takes three frames.
const SIGN_IN_FRAMES_MAX: u32 = 50;

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
    pub(super) fn rest(&self, now: Instant, is_signed_in: bool) -> Option<Instant> {
        let most = if is_signed_in { FRAMES_MAX } else { SIGN_IN_FRAMES_MAX };
        (self.frames >= most && now < self.until).then_some(self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_its_share_of_each_window_and_a_smaller_one_before_it_is_signed_in() {
        for (is_signed_in, most) in [(true, FRAMES_MAX), (false, SIGN_IN_FRAMES_MAX)] {
            let began = Instant::now();
            let mut pace = Pace::new(began);
            for _ in 0..most {
                assert_eq!(pace.rest(began, is_signed_in), None);
                pace.count(began);
            }
            assert_eq!(pace.rest(began, is_signed_in), Some(began + WINDOW));
            let later = began + WINDOW;
            assert_eq!(pace.rest(later, is_signed_in), None);
            pace.count(later);
            assert_eq!(pace.rest(later, is_signed_in), None);
        }
    }
}
