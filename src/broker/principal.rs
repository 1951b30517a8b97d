//! The task of one principal channel: it receives requests and sends replies and viewer sockets.
//! When the channel closes, every view that was made through it is closed in its worker.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;

use super::answers::{Outcome, answer};
use super::holder::Holder;
use super::orders::WorkerOrder;
use super::progress::OpeningSteps;
use super::session::{Session, SessionNews, View, Views};
use super::watched::WatchedSessions;
use super::{Broker, BrokerEvent};
use crate::names::{MachineName, SessionId};
use crate::protocol::machine::StopReason;
use crate::protocol::principal::{Answer, FromBroker, REQUESTS_MAX, Request};
use crate::protocol::vouch::Principal;
use crate::protocol::worker::{UnreadInput, ViewerId};
use crate::protocol::{Refusal, Role};
use crate::wire::{AsyncChannel, Intent, WireError};

/// How long auth has to hand the channel over and its holder has to send the greeting.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the holder may leave a reply unread. Its socket buffer has room for many.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the age of a client key or a resume key is looked at while it has a channel, at least.
const KEY_CHECK: Duration = Duration::from_secs(60);

type PrincipalChannel = AsyncChannel<FromBroker, Request>;

/// State of the task of one channel.
#[derive(Debug)]
struct PrincipalTask {
    holder: Arc<Holder>,
    broker: Arc<Broker>,
    channel: PrincipalChannel,
    /// The views made through the channel. Entries of closed views are removed when a view is
    /// added.
    views: Views,
    /// Machines on which the holder had a session; it is told when one of them goes away.
    machines: Vec<MachineName>,
    requests: JoinSet<(u32, Outcome)>,
    watched: WatchedSessions,
    /// What the holder hears of all sessions, if it follows them.
    followed: Option<Followed>,
    /// How far the openings under way are.
    steps: OpeningSteps,
}

/// The sessions, for a channel that follows them.
#[derive(Debug)]
struct Followed {
    news: Receiver<SessionNews>,
    /// The sessions of which the holder was told that they are there.
    told: BTreeSet<SessionId>,
}

/// Serves one principal channel until it closes.
pub(super) async fn serve(
    socket: OwnedFd,
    holder: Holder,
    broker: Arc<Broker>,
    events: Receiver<BrokerEvent>,
) -> Result<(), WireError> {
    let channel = PrincipalChannel::over(socket)?;
    channel.greet(Intent::Principal, GREETING_TIMEOUT).await?;
    let (views, machines, requests) = (Vec::new(), Vec::new(), JoinSet::new());
    let watched = WatchedSessions::new();
    let (followed, steps) = (None, OpeningSteps::new());
    let holder = Arc::new(holder);
    let mut task =
        PrincipalTask { holder, broker, channel, views, machines, requests, watched, followed, steps };
    let served = task.run(events).await;
    // A holder that closes the channel has typed its unread input, so the input still counts. In
    // every other case a right was withdrawn.
    let unread =
        if matches!(served, Err(WireError::Closed)) { UnreadInput::Typed } else { UnreadInput::Dropped };
    task.close(unread).await;
    match served {
        Err(WireError::Closed) => Ok(()),
        other => other,
    }
}

impl PrincipalTask {
    async fn run(&mut self, mut events: Receiver<BrokerEvent>) -> Result<(), WireError> {
        loop {
            let key_lasts = self.holder.key_lasts(&self.broker.policy.now());
            tokio::select! {
                received = self.channel.receive() => self.take(received?.0).await?,
                Some(done) = self.requests.join_next() => {
                    // A request that panicked gets no reply; the holder has a deadline of its own.
                    let Ok((number, outcome)) = done else { continue };
                    while let Some((number, step)) = self.steps.waiting() {
                        self.send(&FromBroker::Progress { number, step }, None).await?;
                    }
                    self.reply(number, outcome).await?;
                }
                (number, step) = self.steps.next() => {
                    self.send(&FromBroker::Progress { number, step }, None).await?;
                }
                () = key_looked_at(key_lasts) => {
                    if self.holder.key_rule(&self.broker.policy.now()).is_err() {
                        return Ok(());
                    }
                }
                session = self.watched.changed() => self.tell_sharing(&session).await?,
                news = next_news(self.followed.as_mut()) => match news {
                    Ok(SessionNews::Changed(session)) => self.tell_session(&session).await?,
                    Ok(SessionNews::Ended(session, end)) => {
                        let session = &session.record.id;
                        if self.followed.as_mut().is_some_and(|followed| followed.told.remove(session)) {
                            let session = session.clone();
                            self.send(&FromBroker::SessionEnded { session, end }, None).await?;
                        }
                    }
                    // Whoever missed something asks again, on another channel.
                    Err(RecvError::Lagged(_) | RecvError::Closed) => return Ok(()),
                },
                heard = events.recv() => match heard {
                    Ok(BrokerEvent::Revoked(account)) if self.holder.principal == Principal::Account(account.clone()) => {
                        return Ok(());
                    }
                    Ok(BrokerEvent::UnixUserRemoved(uid)) if self.holder.is_unix_user(uid) => return Ok(()),
                    Ok(BrokerEvent::KeyRemoved(key)) if self.holder.has_key(&key) => {
                        return Ok(());
                    }
                    Ok(
                        BrokerEvent::Revoked(_)
                        | BrokerEvent::UnixUserRemoved(_)
                        | BrokerEvent::KeyRemoved(_),
                    ) => {}
                    Ok(BrokerEvent::PolicyChanged) => {
                        if self.holder.key_rule(&self.broker.policy.now()).is_err() {
                            return Ok(());
                        }
                        self.close_ungranted().await;
                    }
                    Ok(BrokerEvent::MachineRemoved(machine, why)) => self.tell_removed(machine, why).await?,
                    // A missed event may be a revocation: close the channel, and the person signs
                    // in again.
                    Err(RecvError::Lagged(_) | RecvError::Closed) => return Ok(()),
                }
            }
        }
    }

    async fn take(&mut self, request: Request) -> Result<(), WireError> {
        let Request { number, ask } = request;
        if self.requests.len() >= REQUESTS_MAX {
            return self.reply(number, Outcome::Answer(Answer::Refused(Refusal::TooMany))).await;
        }
        let (broker, holder) = (Arc::clone(&self.broker), Arc::clone(&self.holder));
        let progress = self.steps.of(number);
        self.requests.spawn(async move {
            let outcome = Box::pin(answer(&broker, &holder, ask, &progress)).await;
            (number, outcome.unwrap_or_else(|refusal| Outcome::Answer(Answer::Refused(refusal))))
        });
        Ok(())
    }

    async fn reply(&mut self, number: u32, outcome: Outcome) -> Result<(), WireError> {
        let (answer, socket) = match outcome {
            Outcome::Follows => return self.follow(number).await,
            Outcome::Answer(answer) => (answer, None),
            Outcome::View(view) => {
                // The policy may have changed while the session was being opened.
                let kept = match self.permits(&view.session) {
                    Ok(()) => self.set_role(&view).await,
                    Err(refusal) => Err(refusal),
                };
                if let Err(refusal) = kept {
                    detach(vec![(view.session, view.viewer)], UnreadInput::Dropped).await;
                    let answer = Answer::Refused(refusal);
                    return self.send(&FromBroker::Reply { number, answer }, None).await;
                }
                let record = &view.session.record;
                let (session, target) = (record.id.clone(), record.target.clone());
                let opened = Answer::Opened { session, target, left: record.seconds_left() };
                if !self.machines.contains(&record.target.machine) {
                    self.machines.push(record.target.machine.clone());
                }
                if matches!(self.holder.principal, Principal::Account(_)) {
                    self.watched.watch(&view.session);
                }
                add_view(&mut self.views, (view.session, view.viewer));
                (opened, Some(view.socket))
            }
        };
        self.send(&FromBroker::Reply { number, answer }, socket).await
    }

    async fn send(&self, message: &FromBroker, socket: Option<OwnedFd>) -> Result<(), WireError> {
        let descriptors: Vec<_> = socket.iter().map(AsFd::as_fd).collect();
        let sent = tokio::time::timeout(REPLY_TIMEOUT, self.channel.send(message, &descriptors));
        sent.await.unwrap_or(Err(WireError::TimedOut))
    }

    /// Corrects the role of a new view: it may have changed while the view was being made, and the
    /// policy too.
    async fn set_role(&self, view: &View) -> Result<(), Refusal> {
        let Principal::Account(account) = &self.holder.principal else { return Ok(()) };
        let role = self.broker.policy.view(account, &view.session).ok();
        let role = role.map(|role| role.limited_to(view.most));
        match role.filter(|role| *role != view.role) {
            None => Ok(()),
            Some(role) => {
                // Fails only if the session is over, and then it has no viewers.
                let _ = view.session.worker.send(WorkerOrder::SetRole { viewer: view.viewer, role }).await;
                view.session.settled(account).await
            }
        }
    }

    /// Sends the participants of a session, if the holder may still view it.
    async fn tell_sharing(&self, session: &Session) -> Result<(), WireError> {
        let Principal::Account(account) = &self.holder.principal else { return Ok(()) };
        let Ok(role) = self.broker.policy.view(account, session) else { return Ok(()) };
        let record = &session.record;
        let shareable = self.broker.policy.now().share(&record.owner, &record.target);
        let (session, participants) = (record.id.clone(), session.participants_shown());
        self.send(&FromBroker::Sharing { session, participants, role, shareable }, None).await
    }

    /// Begins to tell the holder what happens to the sessions.
    async fn follow(&mut self, number: u32) -> Result<(), WireError> {
        let (news, mut sessions) = self.broker.registry.follow();
        sessions.retain(|session| self.role_in(session).is_some());
        self.followed = Some(Followed { news, told: BTreeSet::new() });
        let ids = sessions.iter().map(|session| session.record.id.clone());
        let answer = Answer::Following(ids.collect());
        self.send(&FromBroker::Reply { number, answer }, None).await?;
        for session in sessions {
            self.tell_session(&session).await?;
        }
        Ok(())
    }

    /// What the holder may do in a session by the current policy, without regard to a touch.
    fn role_in(&self, session: &Session) -> Option<Role> {
        match &self.holder.principal {
            Principal::Operator => Some(Role::Watcher),
            Principal::Account(account) => self.broker.policy.view(account, session).ok(),
        }
    }

    /// Tells a follower how a session is, or that it may not be viewed any more.
    async fn tell_session(&mut self, session: &Session) -> Result<(), WireError> {
        let (role, id) = (self.role_in(session), &session.record.id);
        let Some(followed) = &mut self.followed else {
            return Ok(());
        };
        let Some(role) = role else {
            if followed.told.remove(id) {
                self.send(&FromBroker::SessionHidden(id.clone()), None).await?;
            }
            return Ok(());
        };
        followed.told.insert(id.clone());
        let summary = session.known_summary(role, &self.broker.policy.now());
        let is_shown = self.permits(session).is_ok();
        let participants = if is_shown { session.participants_shown() } else { Vec::new() };
        self.send(&FromBroker::Session { summary, participants }, None).await
    }

    /// Whether a follower hears of a machine: the operator of all, an account of those on which it
    /// is granted a target.
    fn hears_of(&self, machine: &MachineName) -> bool {
        let is_granted = match &self.holder.principal {
            Principal::Operator => true,
            Principal::Account(account) => {
                let targets = self.broker.policy.now().targets_of(account);
                targets.iter().any(|target| target.machine == *machine)
            }
        };
        self.followed.is_some() && is_granted
    }

    async fn tell_removed(&mut self, machine: MachineName, why: Option<StopReason>) -> Result<(), WireError> {
        if !self.machines.contains(&machine) && !self.hears_of(&machine) {
            return Ok(());
        }
        self.send(&FromBroker::MachineStopped { machine, why }, None).await
    }

    /// Closes the views that a new policy no longer grants. Their sessions go on without them.
    async fn close_ungranted(&mut self) {
        let views = std::mem::take(&mut self.views);
        let (kept, closed) = views.into_iter().partition(|(session, _)| self.permits(session).is_ok());
        self.views = kept;
        detach(closed, UnreadInput::Dropped).await;
    }

    /// Checks that the current policy lets this principal view the session, with the touch that the
    /// channel stands for or without one. The operator may watch any.
    fn permits(&self, session: &Session) -> Result<(), Refusal> {
        let Principal::Account(account) = &self.holder.principal else { return Ok(()) };
        let policy = &self.broker.policy;
        policy.view(account, session)?;
        self.holder.may_view_by_key(&policy.now())?;
        if self.holder.touched_for(&session.record.id) {
            return Ok(());
        }
        self.holder.may_view(policy.touch(session)?)
    }

    /// Closes the channel and then every view in its worker, since its former holder may not keep
    /// them. The channel closes first, so that the holder learns the reason before the views end.
    /// Open views are closed next. Requests under way finish, and their views are closed too. A
    /// session that was being opened then exists without a viewer; if its account was removed, it
    /// is discarded.
    async fn close(self, unread: UnreadInput) {
        let Self { channel, views, mut requests, .. } = self;
        drop(channel);
        let finish = async {
            while let Some(done) = requests.join_next().await {
                if let Ok((_, Outcome::View(view))) = done {
                    detach(vec![(view.session, view.viewer)], UnreadInput::Dropped).await;
                }
            }
        };
        tokio::join!(detach(views, unread), finish);
    }
}

/// The next news for a follower; never any for another channel.
async fn next_news(followed: Option<&mut Followed>) -> Result<SessionNews, RecvError> {
    match followed {
        Some(followed) => followed.news.recv().await,
        None => std::future::pending().await,
    }
}

/// Waits until a client key that lasts this long has to be looked at again: at its end, or after
/// [`KEY_CHECK`], because the clock of the host may be set. For ever if there is none.
async fn key_looked_at(lasts: Option<Duration>) {
    match lasts {
        Some(lasts) => tokio::time::sleep(lasts.min(KEY_CHECK)).await,
        None => std::future::pending().await,
    }
}

/// Adds a view, and removes the entries of closed ones, so that there are never more entries than
/// the sessions have viewers, no matter how often somebody comes and goes.
fn add_view(views: &mut Views, view: (Arc<Session>, ViewerId)) {
    views.retain(|(session, viewer)| !session.worker.is_closed() && session.has_viewer(*viewer));
    views.push(view);
}

/// Closes views concurrently: a worker that is away must not delay the others.
pub(super) async fn detach(views: Views, unread: UnreadInput) {
    join_all(views.iter().map(|(session, viewer)| session.close_view(*viewer, unread))).await;
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::super::orders::WorkerOrder;
    use super::super::test_support;
    use super::*;
    use crate::names::{TermSize, UserUid};
    use crate::protocol::GuestRole;
    use crate::protocol::principal::Ask;
    use crate::protocol::vouch::AuthMethod;
    use crate::sys::seqpacket;

    type Front = AsyncChannel<Request, FromBroker>;

    /// Returns the next order that a worker gets; it must arrive within two seconds.
    async fn next(inbox: &mut mpsc::Receiver<WorkerOrder>) -> WorkerOrder {
        tokio::time::timeout(Duration::from_secs(2), inbox.recv()).await.expect("no order").unwrap()
    }

    /// Requests a view, and returns a function that answers as the worker would.
    async fn ask(
        front: &Front,
        session: &Session,
        inbox: &mut mpsc::Receiver<WorkerOrder>,
    ) -> impl FnOnce(ViewerId) {
        let (id, size) = (session.record.id.clone(), TermSize::DEFAULT);
        front.send(&Request { number: 0, ask: Ask::Attach { session: id, size } }, &[]).await.unwrap();
        let WorkerOrder::Attach { account, role, most, answer, .. } = next(inbox).await else {
            panic!("no view")
        };
        move |viewer| {
            session.viewer_came(viewer, account, (role, most));
            answer.send(Ok((viewer, seqpacket::pair().unwrap().0))).unwrap();
        }
    }

    #[tokio::test]
    async fn a_revoked_account_loses_its_views_at_once_whatever_it_still_waits_for() {
        loses_its_views_at(BrokerEvent::Revoked("alice".parse().unwrap())).await;
    }

    #[tokio::test]
    async fn a_unix_user_that_is_taken_from_its_account_loses_its_views_at_once() {
        loses_its_views_at(BrokerEvent::UnixUserRemoved(UserUid::try_from(1000).unwrap())).await;
    }

    /// alice's UNIX user 1000 views a session, and is about to view another.
    async fn loses_its_views_at(event: BrokerEvent) {
        let folder = tempfile::tempdir().unwrap();
        let broker = test_support::broker(folder.path());
        let (here, mut inbox) = test_support::session(&broker, "aaaaaaaaaaaa");
        let (there, mut slow) = test_support::session(&broker, "bbbbbbbbbbbb");
        let (front, held) = Front::pair().unwrap();
        let alice = Principal::Account("alice".parse().unwrap());
        let alice = Holder::vouched(alice, AuthMethod::PeerUid(1000), 0);
        let events = broker.events.subscribe();
        tokio::spawn(serve(held.into_socket(), alice, Arc::clone(&broker), events));
        front.greet(Intent::Principal, GREETING_TIMEOUT).await.unwrap();
        ask(&front, &here, &mut inbox).await(ViewerId(1));
        let answered = |message| matches!(message, FromBroker::Reply { answer: Answer::Opened { .. }, .. });
        while !answered(front.receive().await.unwrap().0) {}
        let owed = ask(&front, &there, &mut slow).await;
        broker.events.send(BrokerEvent::UnixUserRemoved(UserUid::try_from(1001).unwrap())).unwrap();
        broker.events.send(event).unwrap();
        assert!(matches!(
            next(&mut inbox).await,
            WorkerOrder::Detach { viewer: ViewerId(1), unread: UnreadInput::Dropped }
        ));
        // A view that is made after the revocation is closed too.
        owed(ViewerId(2));
        assert!(matches!(
            next(&mut slow).await,
            WorkerOrder::Detach { viewer: ViewerId(2), unread: UnreadInput::Dropped }
        ));
    }

    /// Whatever a request was allowed under, its view is handed over under the policy then in force.
    #[tokio::test]
    async fn a_view_is_not_handed_over_if_a_new_policy_wants_a_touch_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let broker = test_support::broker(folder.path());
        let (session, mut inbox) = test_support::session(&broker, "aaaaaaaaaaaa");
        let (front, held) = Front::pair().unwrap();
        let alice = Principal::Account("alice".parse().unwrap());
        let alice = Holder::vouched(alice, AuthMethod::PeerUid(0), 0);
        tokio::spawn(serve(held.into_socket(), alice, Arc::clone(&broker), broker.events.subscribe()));
        front.greet(Intent::Principal, GREETING_TIMEOUT).await.unwrap();
        let made = ask(&front, &session, &mut inbox).await;
        test_support::set_policy(&broker, folder.path(), "fresh-touch = \"60s\"");
        made(ViewerId(1));
        assert!(matches!(next(&mut inbox).await, WorkerOrder::Detach { viewer: ViewerId(1), .. }));
        let refused = Answer::Refused(Refusal::TouchRequired);
        let (answer, descriptors) = front.receive().await.unwrap();
        assert_eq!((answer, descriptors.len()), (FromBroker::Reply { number: 0, answer: refused }, 0));
    }

    /// A channel of this account that follows the sessions, and the answer to that.
    async fn follower(broker: &Arc<Broker>, account: &str) -> (Front, Vec<SessionId>) {
        let (front, held) = Front::pair().unwrap();
        let holder = Principal::Account(account.parse().unwrap());
        let holder = Holder::vouched(holder, AuthMethod::PeerUid(0), 0);
        tokio::spawn(serve(held.into_socket(), holder, Arc::clone(broker), broker.events.subscribe()));
        front.greet(Intent::Principal, GREETING_TIMEOUT).await.unwrap();
        front.send(&Request { number: 1, ask: Ask::Follow }, &[]).await.unwrap();
        let (told, _) = front.receive().await.unwrap();
        let FromBroker::Reply { number: 1, answer: Answer::Following(sessions) } = told else {
            panic!("{told:?}")
        };
        (front, sessions)
    }

    #[tokio::test]
    async fn a_follower_hears_of_what_it_may_view_and_of_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let broker = test_support::broker(folder.path());
        let (session, _inbox) = test_support::session(&broker, "aaaaaaaaaaaa");
        let id = session.record.id.clone();
        let (hers, listed) = follower(&broker, "alice").await;
        assert!(listed == std::slice::from_ref(&id));
        let told = hers.receive().await.unwrap().0;
        assert!(matches!(told, FromBroker::Session { summary, .. } if summary.role == Role::Owner));
        let (his, listed) = follower(&broker, "bob").await;
        assert!(listed.is_empty());
        let share = |role| {
            let bob = "bob".parse().unwrap();
            broker.registry.share(&session, &bob, role, &broker.policy).unwrap();
        };
        session.has_changed();
        // Whatever was told before the answer would have come before it.
        let end = |number| Request { number, ask: Ask::End { session: id.clone() } };
        his.send(&end(2), &[]).await.unwrap();
        assert!(matches!(his.receive().await.unwrap().0, FromBroker::Reply { number: 2, .. }));
        share(Some(GuestRole::Watcher));
        let told = his.receive().await.unwrap().0;
        let FromBroker::Session { summary, participants } = told else { panic!("{told:?}") };
        assert_eq!((summary.id, summary.role, participants.len()), (id.clone(), Role::Watcher, 2));
        share(None);
        assert_eq!(his.receive().await.unwrap().0, FromBroker::SessionHidden(id.clone()));
        session.has_ended(crate::protocol::EndReason::ShellEnded.into());
        his.send(&end(3), &[]).await.unwrap();
        assert!(matches!(his.receive().await.unwrap().0, FromBroker::Reply { number: 3, .. }));
        // A view of it takes a touch from now on: who else is there is not said.
        test_support::set_policy(&broker, folder.path(), "fresh-touch = \"60s\"");
        session.has_changed();
        let mut last = hers.receive().await.unwrap().0;
        while !matches!(last, FromBroker::SessionEnded { .. }) {
            last = hers.receive().await.unwrap().0;
        }
        let told = hers.receive().await.unwrap().0;
        assert!(matches!(told, FromBroker::Session { participants, .. } if participants.is_empty()));
    }

    #[tokio::test]
    async fn a_follower_that_misses_news_loses_its_channel() {
        let folder = tempfile::tempdir().unwrap();
        let broker = test_support::broker(folder.path());
        let (session, _inbox) = test_support::session(&broker, "aaaaaaaaaaaa");
        let (front, _) = follower(&broker, "alice").await;
        // More than the queue has room for, before the channel's task has its turn.
        (0..300).for_each(|_| session.has_changed());
        let closed = async { while front.receive().await.is_ok() {} };
        tokio::time::timeout(Duration::from_secs(2), closed).await.expect("it goes on");
    }

    #[test]
    fn whoever_comes_and_goes_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let broker = test_support::broker(folder.path());
        let (session, _inbox) = test_support::session(&broker, "aaaaaaaaaaaa");
        let mut views = Vec::new();
        for viewer in (0..100).map(ViewerId) {
            session.viewer_came(viewer, None, (Role::Watcher, Role::Watcher));
            add_view(&mut views, (Arc::clone(&session), viewer));
            session.viewer_left(viewer);
        }
        assert_eq!(views.len(), 1);
    }
}
