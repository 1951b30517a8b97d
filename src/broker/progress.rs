//! How far the openings of one principal channel are, on the way to its holder.

use tokio::sync::mpsc;

use crate::protocol::OpeningStep;
use crate::protocol::principal::REQUESTS_MAX;

/// Most steps that the holder of a channel has not been told yet. One more is left out: steps are
/// only shown while a person waits.
const STEPS_MAX: usize = 2 * REQUESTS_MAX;

/// The steps of all openings of one channel, each with the number of its request.
#[derive(Debug)]
pub(super) struct OpeningSteps {
    sender: mpsc::Sender<(u32, OpeningStep)>,
    receiver: mpsc::Receiver<(u32, OpeningStep)>,
}

/// Where one opening reports its steps.
#[derive(Debug)]
pub(super) struct Progress {
    number: u32,
    sender: mpsc::Sender<(u32, OpeningStep)>,
}

impl OpeningSteps {
    pub(super) fn new() -> Self {
        let (sender, receiver) = mpsc::channel(STEPS_MAX);
        Self { sender, receiver }
    }

    /// Where the request with this number reports its steps.
    pub(super) fn of(&self, number: u32) -> Progress {
        Progress { number, sender: self.sender.clone() }
    }

    /// Waits for the next step.
    pub(super) async fn next(&mut self) -> (u32, OpeningStep) {
        match self.receiver.recv().await {
            Some(step) => step,
            // Cannot happen: this has a sender too.
            None => std::future::pending().await,
        }
    }

    /// A step that has been reported, if there is one.
    pub(super) fn waiting(&mut self) -> Option<(u32, OpeningStep)> {
        self.receiver.try_recv().ok()
    }
}

impl Progress {
    /// Reports a step. At [`STEPS_MAX`], and after the channel has closed, nobody is told.
    pub(super) fn tell(&self, step: OpeningStep) {
        let _ = self.sender.try_send((self.number, step));
    }
}
