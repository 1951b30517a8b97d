use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::super::Front;
use super::super::places::Place;
use super::super::source::Source;
use super::steps::Verdict;
use crate::protocol::Refusal;
use crate::protocol::login::{FromFront, ToFront};
use crate::protocol::principal::{FromBroker, Request};
use crate::wire::{AsyncChannel, Intent, WireError};

/// The principal channel of an account.
pub(super) type PrincipalChannel = AsyncChannel<Request, FromBroker>;

/// How long the wire handshake may take. systemd may have to start the other program first.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// How long auth may take to answer. It may have to wait until the broker has started.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// How often the first question of a login is tried, and the pause between two attempts. systemd
/// restarts a killed auth after 100 ms.
const ATTEMPTS: usize = 3;
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// The login of one connection, and its step-ups. It sends auth one question at a time.
#[derive(Debug)]
pub(super) struct Login {
    front: Arc<Front>,
    source: Source,
    /// Opened for the first question of a login or a step-up, and closed after its end. auth ties the
    /// challenge to this channel.
    channel: Option<OpenChannel>,
}

/// A channel to auth.
#[derive(Debug)]
struct OpenChannel {
    channel: AsyncChannel<FromFront, ToFront>,
    /// The place of somebody who is not signed in.
    place: Option<Place>,
}

/// The answer to one question. The principal channel is present if the verdict is `SignedIn` or
/// `SteppedUp`.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) verdict: Verdict,
    pub(super) principal: Option<PrincipalChannel>,
}

impl Login {
    pub(super) fn new(front: Arc<Front>, source: Source) -> Self {
        Self { front, source, channel: None }
    }

    /// Answers each question, for as long as the connection lasts. A challenge whose place another
    /// login needs is given up.
    pub(super) async fn run(
        mut self,
        mut questions: mpsc::Receiver<FromFront>,
        answers: mpsc::Sender<Answered>,
    ) {
        let mut given_up = false;
        loop {
            let question = tokio::select! {
                biased;
                question = questions.recv() => question,
                () = displaced(self.channel.as_ref()) => {
                    (self.channel, given_up) = (None, true);
                    if answers.send(refused(Refusal::Busy)).await.is_err() {
                        return;
                    }
                    continue;
                }
            };
            let Some(question) = question else { return };
            if let FromFront::Answer { .. } = question
                && std::mem::take(&mut given_up)
            {
                // The page answered just when its challenge was given up, and has been told.
                continue;
            }
            given_up = false;
            let answered = if self.may_ask(&question) {
                let answered = self.ask(question).await;
                self.count(&answered.verdict);
                answered
            } else {
                refused(Refusal::TooManyFailures)
            };
            if !matches!(answered.verdict, Verdict::Challenge { .. }) {
                self.channel = None;
            }
            if answers.send(answered).await.is_err() {
                return;
            }
        }
    }

    /// Whether auth is asked at all: not if too many sign-ins from this source have failed.
    fn may_ask(&self, question: &FromFront) -> bool {
        match question {
            FromFront::SignIn | FromFront::Enrol { .. } => {
                self.front.penalties.allow(self.source, Instant::now())
            }
            // A challenge was made for it, or somebody is signed in.
            FromFront::Answer { .. } | FromFront::StepUp { .. } => true,
        }
    }

    /// Counts a sign-in that failed and whose source may be guessing.
    fn count(&self, verdict: &Verdict) {
        if let Verdict::Refused(Refusal::UnknownPasskey | Refusal::LinkInvalid | Refusal::BadMessage) =
            verdict
        {
            self.front.penalties.failed(self.source, Instant::now());
        }
    }

    async fn ask(&mut self, question: FromFront) -> Answered {
        // auth may have been restarted since the last question, or may be killed during this one.
        // The first question of a login can be repeated to the next auth process. An answer to a
        // challenge cannot: the challenge is gone.
        let attempts = match &question {
            FromFront::SignIn | FromFront::Enrol { .. } | FromFront::StepUp { .. } => ATTEMPTS,
            FromFront::Answer { .. } => 1,
        };
        let mut result = self.attempt(&question).await;
        for _ in 1..attempts {
            let Err(WireError::Closed | WireError::Io(_)) = result else { break };
            self.channel = None;
            tokio::time::sleep(RETRY_PAUSE).await;
            result = self.attempt(&question).await;
        }
        result.unwrap_or_else(|error| {
            self.channel = None;
            self.front.record_limiter.record(self.source, || {
                tracing::warn!(%error, "auth does not answer");
            });
            refused(if let WireError::WrongVersion { .. } = error {
                Refusal::VersionMismatch
            } else {
                Refusal::Unavailable
            })
        })
    }

    async fn attempt(&mut self, question: &FromFront) -> Result<Answered, WireError> {
        let channel = match (self.channel.take(), question) {
            (Some(channel), _) => channel,
            (None, FromFront::SignIn | FromFront::Enrol { .. } | FromFront::StepUp { .. }) => {
                let is_step_up = matches!(question, FromFront::StepUp { .. });
                let place = (!is_step_up).then(|| self.front.capacity.login(self.source));
                let channel =
                    AsyncChannel::connect(&self.front.auth, Intent::Login, GREETING_TIMEOUT).await?;
                OpenChannel { channel, place }
            }
            (None, FromFront::Answer { .. }) => return Err(WireError::Closed),
        };
        let OpenChannel { channel, .. } = self.channel.insert(channel);
        channel.send(question, &[]).await?;
        let (reply, descriptors) = channel.receive_within(ANSWER_TIMEOUT).await?;
        match reply {
            ToFront::Challenge { ceremony, options } => {
                let Ok(options) = serde_json::from_str(&options) else {
                    return Err(WireError::Unreadable { length: options.len() });
                };
                Ok(Answered { verdict: Verdict::Challenge { ceremony, options }, principal: None })
            }
            ToFront::SignedIn { account } => {
                let principal = principal(descriptors).await?;
                Ok(Answered { verdict: Verdict::SignedIn { account }, principal: Some(principal) })
            }
            ToFront::SteppedUp => {
                let principal = principal(descriptors).await?;
                Ok(Answered { verdict: Verdict::SteppedUp, principal: Some(principal) })
            }
            ToFront::Refused(refusal) => Ok(refused(refusal)),
        }
    }
}

/// Waits until another login needs the place of this one. Never resolves if it has none.
async fn displaced(open: Option<&OpenChannel>) {
    match open.and_then(|open| open.place.as_ref()) {
        Some(place) => place.displaced().await,
        None => std::future::pending().await,
    }
}

/// The principal channel, which auth got from the broker and passed on.
async fn principal(descriptors: Vec<OwnedFd>) -> Result<PrincipalChannel, WireError> {
    let socket = descriptors.into_iter().next().ok_or(WireError::WrongDescriptors { expected: 1, got: 0 })?;
    let channel = PrincipalChannel::over(socket)?;
    channel.greet(Intent::Principal, GREETING_TIMEOUT).await?;
    Ok(channel)
}

fn refused(refusal: Refusal) -> Answered {
    Answered { verdict: Verdict::Refused(refusal), principal: None }
}
