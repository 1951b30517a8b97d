use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::mpsc;

use super::super::Front;
use super::super::places::Place;
use super::super::source::Source;
use super::steps::Verdict;
use crate::protocol::Refusal;
use crate::protocol::login::{BINDING, FromFront, ToFront};
use crate::protocol::page::ToPage;
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
        let (mut given_up, mut waits) = (false, false);
        loop {
            let question = tokio::select! {
                biased;
                question = questions.recv() => question,
                () = displaced(self.channel.as_ref()) => {
                    (self.channel, given_up, waits) = (None, true, false);
                    if answers.send(refused(Refusal::Busy)).await.is_err() {
                        return;
                    }
                    continue;
                }
                bound = binding_over(self.channel.as_ref()), if waits => {
                    (self.channel, waits) = (None, false);
                    if answers.send(bound.unwrap_or_else(|_| refused(Refusal::Unavailable))).await.is_err() {
                        return;
                    }
                    continue;
                }
            };
            let Some(question) = question else { return };
            if let FromFront::Answer { .. } | FromFront::KeyAnswer { .. } = question
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
            waits = matches!(answered.verdict, Verdict::BindingCode { .. });
            if !answered.goes_on() {
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
            FromFront::SignIn
            | FromFront::Enrol { .. }
            | FromFront::Resume { .. }
            | FromFront::KeySignIn { .. }
            | FromFront::BindKey { .. }
            | FromFront::RemoveKey { .. } => self.front.penalties.allow(self.source, Instant::now()),
            // A challenge was made for it, or somebody is signed in.
            FromFront::Answer { .. }
            | FromFront::KeyAnswer { .. }
            | FromFront::StepUp { .. }
            | FromFront::FindBinding { .. }
            | FromFront::DeclineBinding
            | FromFront::Keys { .. }
            | FromFront::DropKey { .. } => true,
        }
    }

    /// Counts a sign-in that failed and whose source may be guessing.
    fn count(&self, verdict: &Verdict) {
        if let Verdict::Refused(
            Refusal::UnknownPasskey
            | Refusal::UnknownKey
            | Refusal::ResumeOver
            | Refusal::LinkInvalid
            | Refusal::BadMessage,
        ) = verdict
        {
            self.front.penalties.failed(self.source, Instant::now());
        }
    }

    async fn ask(&mut self, question: FromFront) -> Answered {
        // auth may have been restarted since the last question, or may be killed during this one.
        // The first question of a login can be repeated to the next auth process. An answer to a
        // challenge cannot: the challenge is gone.
        let attempts = match &question {
            FromFront::SignIn
            | FromFront::Enrol { .. }
            | FromFront::StepUp { .. }
            | FromFront::Resume { .. }
            | FromFront::Keys { .. }
            | FromFront::KeySignIn { .. }
            | FromFront::BindKey { .. }
            | FromFront::RemoveKey { .. }
            | FromFront::FindBinding { .. } => ATTEMPTS,
            FromFront::Answer { .. }
            | FromFront::KeyAnswer { .. }
            | FromFront::DeclineBinding
            | FromFront::DropKey { .. } => 1,
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
            (
                None,
                FromFront::SignIn
                | FromFront::Enrol { .. }
                | FromFront::StepUp { .. }
                | FromFront::Resume { .. }
                | FromFront::Keys { .. }
                | FromFront::DropKey { .. }
                | FromFront::KeySignIn { .. }
                | FromFront::BindKey { .. }
                | FromFront::RemoveKey { .. }
                | FromFront::FindBinding { .. },
            ) => {
                let is_signed_in = matches!(
                    question,
                    FromFront::StepUp { .. }
                        | FromFront::FindBinding { .. }
                        | FromFront::Keys { .. }
                        | FromFront::DropKey { .. }
                );
                let place = (!is_signed_in).then(|| self.front.capacity.login(self.source));
                let channel =
                    AsyncChannel::connect(&self.front.auth, Intent::Login, GREETING_TIMEOUT).await?;
                OpenChannel { channel, place }
            }
            (None, FromFront::Answer { .. } | FromFront::KeyAnswer { .. } | FromFront::DeclineBinding) => {
                return Err(WireError::Closed);
            }
        };
        let OpenChannel { channel, .. } = self.channel.insert(channel);
        channel.send(question, &[]).await?;
        let (reply, descriptors) = channel.receive_within(ANSWER_TIMEOUT).await?;
        Answered::of(reply, descriptors).await
    }
}

impl Answered {
    async fn of(reply: ToFront, descriptors: Vec<OwnedFd>) -> Result<Self, WireError> {
        let verdict = match reply {
            ToFront::Challenge { ceremony, options } => {
                Verdict::Challenge { ceremony, options: parsed(&options)? }
            }
            ToFront::KeyChallenge { nonce } => Verdict::KeyChallenge { nonce },
            ToFront::BindingCode { code, seconds } => Verdict::BindingCode { code, seconds },
            ToFront::KeyBound { account } => Verdict::KeyBound { account },
            ToFront::KeyRemoved => Verdict::KeyRemoved,
            ToFront::Binding { key, name, source, allow, seconds, options } => {
                let (allow, options) = (allow.into_iter().collect(), parsed(&options)?);
                Verdict::Binding(Box::new(ToPage::Binding { key, name, source, allow, seconds, options }))
            }
            ToFront::Bound => Verdict::Bound,
            ToFront::SignedIn { account, resume } => {
                let principal = Some(principal(descriptors).await?);
                return Ok(Self { verdict: Verdict::SignedIn { account, resume }, principal });
            }
            ToFront::Keys(keys) => Verdict::Keys(keys),
            ToFront::SteppedUp => {
                let principal = principal(descriptors).await?;
                return Ok(Self { verdict: Verdict::SteppedUp, principal: Some(principal) });
            }
            ToFront::Refused(refusal) => Verdict::Refused(refusal),
        };
        Ok(Self { verdict, principal: None })
    }

    /// Whether auth goes on with this login, so that its channel is kept.
    fn goes_on(&self) -> bool {
        match &self.verdict {
            Verdict::Challenge { .. }
            | Verdict::KeyChallenge { .. }
            | Verdict::BindingCode { .. }
            | Verdict::Binding(_) => true,
            Verdict::KeyBound { .. }
            | Verdict::KeyRemoved
            | Verdict::Bound
            | Verdict::Keys(_)
            | Verdict::SignedIn { .. }
            | Verdict::SteppedUp
            | Verdict::Refused(_) => false,
        }
    }
}

/// The options of a ceremony.
fn parsed(options: &str) -> Result<Value, WireError> {
    serde_json::from_str(options).map_err(|_| WireError::Unreadable { length: options.len() })
}

/// Waits until auth says how the binding of a key has ended.
async fn binding_over(open: Option<&OpenChannel>) -> Result<Answered, WireError> {
    let Some(OpenChannel { channel, .. }) = open else { return Err(WireError::Closed) };
    let (reply, descriptors) = channel.receive_within(BINDING + ANSWER_TIMEOUT).await?;
    Answered::of(reply, descriptors).await
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
