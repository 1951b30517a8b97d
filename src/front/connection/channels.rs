//! What a signed-in connection has asked of the broker, and which of the page's channels are open.

use std::collections::BTreeMap;

use super::closing::Closing;
use super::core::{Action, tell};
use super::viewer::Wish;
use crate::names::{SessionId, Target, TermSize};
use crate::protocol::Refusal;
use crate::protocol::page::{CHANNELS_MAX, ToPage};
use crate::protocol::principal::{Answer, Ask, REQUESTS_MAX, Request};

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
    View { channel: u16 },
    Name,
    End,
}

/// A channel of the page.
#[derive(Debug)]
struct Channel {
    view: View,
    state: ChannelState,
}

#[derive(Debug)]
enum ChannelState {
    /// Asked for. With the last size that the page told meanwhile.
    Opening(Option<TermSize>),
    /// Its viewer is there.
    Live,
}

impl Principal {
    /// Asks the broker, if it has room for one more request.
    pub(super) fn ask(&mut self, asked: Asked, ask: Ask) -> Vec<Action> {
        if self.asked.len() >= REQUESTS_MAX {
            let channel = match asked {
                Asked::View { channel } => Some(channel),
                Asked::Lobby | Asked::Name | Asked::End => None,
            };
            return tell(ToPage::Refused { channel, refusal: Refusal::TooMany });
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.asked.insert(number, asked);
        vec![Action::Ask(Request { number, ask })]
    }

    pub(super) fn open(&mut self, channel: u16, ask: Ask) -> Result<Vec<Action>, Closing> {
        if self.channels.contains_key(&channel) {
            return Err(Closing::BadMessage("a channel that is open was opened"));
        }
        if self.channels.len() >= CHANNELS_MAX {
            return Ok(tell(ToPage::Refused { channel: Some(channel), refusal: Refusal::TooMany }));
        }
        let view = View { channel, request: self.next };
        let actions = self.ask(Asked::View { channel }, ask);
        if self.asked.contains_key(&view.request) {
            self.channels.insert(channel, Channel { view, state: ChannelState::Opening(None) });
        }
        Ok(actions)
    }

    pub(super) fn reply(&mut self, number: u32, answer: Answer) -> Result<Vec<Action>, Closing> {
        let asked =
            self.asked.remove(&number).ok_or(Closing::Broken("the broker answered what was not asked"))?;
        match (asked, answer) {
            (Asked::Lobby, Answer::Lobby { targets, sessions }) => {
                Ok(tell(ToPage::Lobby { targets, sessions }))
            }
            (Asked::View { channel }, Answer::Opened { session, target }) => {
                Ok(self.opened(View { channel, request: number }, session, target))
            }
            (Asked::View { channel }, Answer::Refused(refusal)) => {
                let wanted = self.forget(View { channel, request: number });
                let refused = ToPage::Refused { channel: Some(channel), refusal };
                Ok(if wanted { tell(refused) } else { Vec::new() })
            }
            // The views of the session end, and that is what the page hears.
            (Asked::End, Answer::Ending) => Ok(Vec::new()),
            (Asked::Name, Answer::Named) => Ok(self.ask(Asked::Lobby, Ask::Lobby)),
            (Asked::Lobby | Asked::Name | Asked::End, Answer::Refused(refusal)) => {
                Ok(tell(ToPage::Refused { channel: None, refusal }))
            }
            (
                Asked::Lobby,
                Answer::Opened { .. } | Answer::Named | Answer::Ending | Answer::AllSessions(_),
            )
            | (
                Asked::View { .. },
                Answer::Lobby { .. } | Answer::Named | Answer::Ending | Answer::AllSessions(_),
            )
            | (
                Asked::Name,
                Answer::Lobby { .. } | Answer::Opened { .. } | Answer::Ending | Answer::AllSessions(_),
            )
            | (
                Asked::End,
                Answer::Lobby { .. } | Answer::Opened { .. } | Answer::Named | Answer::AllSessions(_),
            ) => Err(Closing::Broken("the broker answered something else than was asked")),
        }
    }

    /// Where the page has left the channel meanwhile, the descriptor is dropped, and the session
    /// stays in its list.
    fn opened(&mut self, view: View, session: SessionId, target: Target) -> Vec<Action> {
        let Some(channel) = self.channel(view) else { return Vec::new() };
        match std::mem::replace(&mut channel.state, ChannelState::Live) {
            ChannelState::Opening(size) => vec![Action::StartView { view, session, target, size }],
            // A request is answered once: its number is gone after that.
            ChannelState::Live => Vec::new(),
        }
    }

    /// Input for a channel that is not there was typed before the page heard of its end.
    pub(super) fn typed(&self, channel: u16, bytes: Vec<u8>) -> Vec<Action> {
        match self.channels.get(&channel) {
            Some(Channel { view, state: ChannelState::Live }) => vec![Action::Type { view: *view, bytes }],
            Some(Channel { state: ChannelState::Opening(_), .. }) | None => Vec::new(),
        }
    }

    pub(super) fn resize(&mut self, channel: u16, size: TermSize) -> Vec<Action> {
        let Some(channel) = self.channels.get_mut(&channel) else { return Vec::new() };
        match &mut channel.state {
            ChannelState::Opening(latest) => {
                *latest = Some(size);
                Vec::new()
            }
            ChannelState::Live => vec![Action::Wish { view: channel.view, wish: Wish::Size(size) }],
        }
    }

    /// A channel that is not there is one that the page has not heard the end of.
    pub(super) fn wish(&self, channel: u16, wish: Wish) -> Vec<Action> {
        match self.channels.get(&channel) {
            Some(Channel { view, state: ChannelState::Live }) => vec![Action::Wish { view: *view, wish }],
            Some(Channel { state: ChannelState::Opening(_), .. }) | None => Vec::new(),
        }
    }

    pub(super) fn detach(&mut self, channel: u16) -> Vec<Action> {
        match self.channels.remove(&channel) {
            Some(Channel { view, state: ChannelState::Live }) => vec![Action::StopView(view)],
            Some(Channel { state: ChannelState::Opening(_), .. }) | None => Vec::new(),
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
