//! What a signed-in connection has asked of the broker, and which of the page's channels are open.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::closing::Closing;
use super::core::{Action, tell};
use super::viewer::Wish;
use crate::names::{SessionId, Target, TermSize};
use crate::protocol::page::{CHANNELS_MAX, ToPage};
use crate::protocol::principal::{Answer, Ask, REQUESTS_MAX, Request};
use crate::protocol::{EndReason, Refusal};

/// How long a view that broke off is asked for again. Its worker is started again within a second;
/// the broker waits 20 s for one.
pub(super) const AGAIN_WITHIN: Duration = Duration::from_secs(30);

/// From one refused attempt to the next.
pub(super) const AGAIN_PAUSE: Duration = Duration::from_millis(250);

/// A view that breaks off this often in a row, each time within [`AGAIN_WITHIN`] of the last, is over.
pub(in crate::front) const BROKEN_OFF_MAX: u32 = 8;

/// A view of a session: the page's channel, and the number of the request that opened it, which
/// tells it from an earlier view on the same channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct View {
    pub(super) channel: u16,
    pub(super) request: u32,
}

/// What a signed-in connection has asked for and has.
#[derive(Debug, Default)]
pub(super) struct Principal {
    next: u32,
    asked: BTreeMap<u32, Asked>,
    channels: BTreeMap<u16, Channel>,
}

/// A request that the broker has not answered yet.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    Lobby,
    View {
        channel: u16,
    },
    /// A view that broke off, once more.
    Again {
        channel: u16,
    },
    Name,
    Share,
    End,
}

/// A channel of the page.
#[derive(Debug)]
struct Channel {
    view: View,
    state: ChannelState,
    /// The last size that the page told.
    size: TermSize,
    /// How often the view broke off in a row, and when it did last.
    broken_off: Option<(u32, Instant)>,
}

#[derive(Debug)]
enum ChannelState {
    /// Asked for.
    Opening {
        /// The size that was asked for.
        asked: TermSize,
    },
    /// Its viewer is there.
    Live(SessionId),
    /// Its viewer broke off, and is asked for again: the session is there as long as its shell.
    Again {
        session: SessionId,
        /// The size that was asked for.
        asked: TermSize,
        /// When to ask next; nothing while the broker has not answered.
        at: Option<Instant>,
    },
}

impl Channel {
    /// When its view is to be asked for again.
    fn due(&self) -> Option<Instant> {
        match self.state {
            ChannelState::Again { at, .. } => at,
            ChannelState::Opening { .. } | ChannelState::Live(_) => None,
        }
    }

    fn wish(&self, wish: Wish) -> Vec<Action> {
        match self.state {
            ChannelState::Live(_) => vec![Action::Wish { view: self.view, wish }],
            // A viewer begins with the whole, in the last size.
            ChannelState::Opening { .. } | ChannelState::Again { .. } => Vec::new(),
        }
    }
}

impl Principal {
    /// Asks the broker, if it has room for one more request.
    pub(super) fn ask(&mut self, asked: Asked, ask: Ask) -> Vec<Action> {
        if self.asked.len() >= REQUESTS_MAX {
            let channel = match asked {
                Asked::View { channel } | Asked::Again { channel } => Some(channel),
                Asked::Lobby | Asked::Name | Asked::Share | Asked::End => None,
            };
            return tell(ToPage::Refused { channel, refusal: Refusal::TooMany });
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.asked.insert(number, asked);
        vec![Action::Ask(Request { number, ask })]
    }

    pub(super) fn open(&mut self, channel: u16, size: TermSize, ask: Ask) -> Result<Vec<Action>, Closing> {
        if self.channels.contains_key(&channel) {
            return Err(Closing::BadMessage("a channel that is open was opened"));
        }
        if self.channels.len() >= CHANNELS_MAX {
            return Ok(tell(ToPage::Refused { channel: Some(channel), refusal: Refusal::TooMany }));
        }
        let view = View { channel, request: self.next };
        let actions = self.ask(Asked::View { channel }, ask);
        if self.asked.contains_key(&view.request) {
            let state = ChannelState::Opening { asked: size };
            self.channels.insert(channel, Channel { view, state, size, broken_off: None });
        }
        Ok(actions)
    }

    pub(super) fn reply(
        &mut self,
        number: u32,
        answer: Answer,
        now: Instant,
    ) -> Result<Vec<Action>, Closing> {
        let asked =
            self.asked.remove(&number).ok_or(Closing::Broken("the broker answered what was not asked"))?;
        match (asked, answer) {
            (Asked::Lobby, Answer::Lobby { targets, sessions }) => {
                Ok(tell(ToPage::Lobby { targets, sessions }))
            }
            (Asked::View { channel } | Asked::Again { channel }, Answer::Opened { session, target }) => {
                Ok(self.opened(View { channel, request: number }, session, target))
            }
            (Asked::Again { channel }, Answer::Refused(refusal)) => {
                Ok(self.refused_again(View { channel, request: number }, refusal, now))
            }
            (Asked::View { channel }, Answer::Refused(refusal)) => {
                let wanted = self.forget(View { channel, request: number });
                let refused = ToPage::Refused { channel: Some(channel), refusal };
                Ok(if wanted { tell(refused) } else { Vec::new() })
            }
            // The views of the session end, and that is what the page hears.
            (Asked::End, Answer::Ending) => Ok(Vec::new()),
            // What changed is said to each of the session's viewers.
            (Asked::Share, Answer::Shared) => Ok(Vec::new()),
            (Asked::Name, Answer::Named) => Ok(self.ask(Asked::Lobby, Ask::Lobby)),
            (Asked::Lobby | Asked::Name | Asked::Share | Asked::End, Answer::Refused(refusal)) => {
                Ok(tell(ToPage::Refused { channel: None, refusal }))
            }
            (
                Asked::Lobby
                | Asked::View { .. }
                | Asked::Again { .. }
                | Asked::Name
                | Asked::Share
                | Asked::End,
                Answer::Lobby { .. }
                | Answer::Opened { .. }
                | Answer::Named
                | Answer::Shared
                | Answer::Ending
                | Answer::AllSessions(_),
            ) => Err(Closing::Broken("the broker answered something else than was asked")),
        }
    }

    /// Where the page has left the channel meanwhile, the descriptor is dropped, and the session
    /// stays in its list.
    fn opened(&mut self, view: View, session: SessionId, target: Target) -> Vec<Action> {
        let Some(channel) = self.channel(view) else { return Vec::new() };
        let (asked, again) = match channel.state {
            ChannelState::Opening { asked } => (asked, false),
            ChannelState::Again { asked, .. } => (asked, true),
            // A request is answered once: its number is gone after that.
            ChannelState::Live(_) => return Vec::new(),
        };
        channel.state = ChannelState::Live(session.clone());
        let size = (channel.size != asked).then_some(channel.size);
        vec![Action::StartView { view, session, target, size, again }]
    }

    /// A view broke off, though its session is not known to be over: it is asked for again. The
    /// page hears of it by the snapshot that comes then.
    pub(super) fn broke_off(&mut self, view: View, now: Instant) -> Vec<Action> {
        let Some(channel) = self.channel(view) else { return Vec::new() };
        let ChannelState::Live(session) = &channel.state else { return Vec::new() };
        let session = session.clone();
        let before = channel.broken_off.filter(|(_, last)| now < *last + AGAIN_WITHIN);
        let times = before.map_or(0, |(times, _)| times) + 1;
        channel.broken_off = Some((times, now));
        if times > BROKEN_OFF_MAX {
            return self.over(view, EndReason::ViewLost);
        }
        channel.state = ChannelState::Again { session, asked: channel.size, at: Some(now) };
        self.ask_again(now)
    }

    /// Asks for the views that broke off and are due.
    pub(super) fn ask_again(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        while self.asked.len() < REQUESTS_MAX {
            let (request, latest) = (self.next, &mut self.channels);
            let Some(due) = latest.values_mut().find(|channel| channel.due().is_some_and(|at| at <= now))
            else {
                break;
            };
            let ChannelState::Again { session, asked, at } = &mut due.state else { break };
            (*asked, *at) = (due.size, None);
            due.view.request = request;
            let (channel, ask) = (due.view.channel, Ask::Attach { session: session.clone(), size: due.size });
            actions.extend(self.ask(Asked::Again { channel }, ask));
        }
        actions
    }

    /// When [`Self::ask_again`] has something to do next. Where too much is asked already, after the next reply.
    pub(super) fn next_again(&self) -> Option<Instant> {
        if self.asked.len() >= REQUESTS_MAX {
            return None;
        }
        self.channels.values().filter_map(Channel::due).min()
    }

    /// A worker that is just being started again is asked for once more; anything else is the end of
    /// the view, and the page is told what becomes of the session.
    fn refused_again(&mut self, view: View, refusal: Refusal, now: Instant) -> Vec<Action> {
        let Some(channel) = self.channel(view) else { return Vec::new() };
        let in_time = channel.broken_off.is_some_and(|(_, last)| now < last + AGAIN_WITHIN);
        match &mut channel.state {
            ChannelState::Again { at, .. } if refusal == Refusal::WorkerUnavailable && in_time => {
                *at = Some(now + AGAIN_PAUSE);
                Vec::new()
            }
            ChannelState::Again { .. } | ChannelState::Opening { .. } | ChannelState::Live(_) => {
                self.over(view, after(refusal))
            }
        }
    }

    fn over(&mut self, view: View, reason: EndReason) -> Vec<Action> {
        self.forget(view);
        tell(ToPage::Ended { channel: view.channel, reason })
    }

    /// A view did not begin: its worker does not answer.
    pub(super) fn failed(&mut self, view: View, now: Instant) -> Vec<Action> {
        let broke_off_before = self.channel(view).is_some_and(|channel| channel.broken_off.is_some());
        if broke_off_before {
            return self.broke_off(view, now);
        }
        let refused = ToPage::Refused { channel: Some(view.channel), refusal: Refusal::WorkerUnavailable };
        if self.forget(view) { tell(refused) } else { Vec::new() }
    }

    /// Input for a channel that is not there was typed before the page heard of its end. What is
    /// typed while its viewer is away is thrown away, and that is said.
    pub(super) fn typed(&self, channel: u16, bytes: Vec<u8>) -> Vec<Action> {
        let Some(Channel { view, state, .. }) = self.channels.get(&channel) else { return Vec::new() };
        match state {
            ChannelState::Live(_) => vec![Action::Type { view: *view, bytes }],
            ChannelState::Again { .. } => {
                tell(ToPage::InputDropped { channel, bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX) })
            }
            ChannelState::Opening { .. } => Vec::new(),
        }
    }

    pub(super) fn resize(&mut self, channel: u16, size: TermSize) -> Vec<Action> {
        let Some(channel) = self.channels.get_mut(&channel) else { return Vec::new() };
        channel.size = size;
        channel.wish(Wish::Size(size))
    }

    /// A channel that is not there is one that the page has not heard the end of.
    pub(super) fn wish(&self, channel: u16, wish: Wish) -> Vec<Action> {
        self.channels.get(&channel).map(|channel| channel.wish(wish)).unwrap_or_default()
    }

    pub(super) fn detach(&mut self, channel: u16) -> Vec<Action> {
        match self.channels.remove(&channel) {
            Some(Channel { view, state: ChannelState::Live(_), .. }) => vec![Action::StopView(view)],
            Some(Channel { state: ChannelState::Opening { .. } | ChannelState::Again { .. }, .. }) | None => {
                Vec::new()
            }
        }
    }

    fn channel(&mut self, view: View) -> Option<&mut Channel> {
        self.channels.get_mut(&view.channel).filter(|channel| channel.view == view)
    }

    /// Frees the channel of a view, and says whether it was still that view's.
    pub(super) fn forget(&mut self, view: View) -> bool {
        let there = self.channel(view).is_some();
        if there {
            self.channels.remove(&view.channel);
        }
        there
    }
}

/// Why a view is over that was asked for again and refused.
fn after(refusal: Refusal) -> EndReason {
    match refusal {
        Refusal::NoSuchSession => EndReason::WorkerGone,
        Refusal::NotGranted => EndReason::ViewClosed,
        // The session is there, and whoever wants it back has it in the list.
        Refusal::WorkerUnavailable
        | Refusal::TooMany
        | Refusal::VersionMismatch
        | Refusal::Unavailable
        | Refusal::UnknownPasskey
        | Refusal::ChallengeExpired
        | Refusal::LinkInvalid
        | Refusal::PasskeyRegistered
        | Refusal::MachineUnavailable
        | Refusal::MachineWithoutBus
        | Refusal::MachinedUnavailable
        | Refusal::ShellTimedOut
        | Refusal::ShellRefused
        | Refusal::NotShareable
        | Refusal::Yourself
        | Refusal::Busy
        | Refusal::BadMessage
        | Refusal::NotOperator
        | Refusal::AccountExists
        | Refusal::AccountUnusable
        | Refusal::NoSuchAccount
        | Refusal::NotRevoked
        | Refusal::StorageFailed
        | Refusal::MayNotLast
        | Refusal::PasskeysFull => EndReason::ViewLost,
    }
}
