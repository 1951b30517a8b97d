//! Answers each request of a principal, according to the policy and to who owns the session.

use std::sync::Arc;

use super::decisions::{Decision, LoggedRequest, note};
use super::holder::Holder;
use super::orders::WorkerOrder;
use super::progress::Progress;
use super::request::{Claimed, Program};
use super::session::{Session, View, summaries};
use super::{Broker, changing, machines, opening};
use crate::names::{AccountName, Label, SessionId, Target, TermSize};
use crate::protocol::principal::{Answer, Ask, SESSIONS_A_PAGE, SHARED_MAX, TARGETS_MAX, TASKS_MAX};
use crate::protocol::vouch::Principal;
use crate::protocol::{EndReason, GrantedTarget, GuestRole, Refusal, Role};

/// The result of a request, before it is sent.
#[derive(Debug)]
pub(super) enum Outcome {
    Answer(Answer),
    View(View),
    /// The channel follows the sessions from now on.
    Follows,
}

/// Executes a request.
pub(super) async fn answer(
    broker: &Arc<Broker>,
    holder: &Holder,
    ask: Ask,
    progress: &Progress,
) -> Result<Outcome, Refusal> {
    let asked = LoggedRequest::by(&ask);
    let may_ask = holder.may_ask(&ask).and_then(|()| holder.may_ask_by_key(&ask, &broker.policy.now()));
    let outcome = match may_ask {
        Ok(()) => carry_out(broker, holder, ask, progress).await,
        Err(refusal) => Err(refusal),
    };
    if let Err(refusal) = &outcome {
        let about = asked.session().and_then(|id| broker.registry.find(id));
        asked.note_refused(holder, *refusal, about.as_ref().map(|session| &session.record));
    }
    outcome
}

async fn carry_out(
    broker: &Arc<Broker>,
    holder: &Holder,
    ask: Ask,
    progress: &Progress,
) -> Result<Outcome, Refusal> {
    let principal = &holder.principal;
    match ask {
        Ask::Lobby => lobby(broker, principal).await.map(Outcome::Answer),
        Ask::Open { target, size, reason } => {
            let claimed = Claimed { target, program: Program::Shell(size), reason };
            Box::pin(opening::open(broker, holder, claimed, progress)).await.map(Outcome::View)
        }
        Ask::Exec { target, reason } => {
            let claimed = Claimed { target, program: Program::Command, reason };
            Box::pin(opening::open(broker, holder, claimed, progress)).await.map(Outcome::View)
        }
        Ask::Attach { session, size } => {
            let (session, account, role) = reachable(broker, principal, &session)?;
            touched_for_view(broker, holder, &session)?;
            view(holder, &session, Some(account), (role, Role::Owner), size).await.map(Outcome::View)
        }
        Ask::AttachAs { session, role: most } => {
            let (session, account, role) = reachable(broker, principal, &session)?;
            let most = Role::from(most);
            if role.limited_to(most) != most {
                return Err(Refusal::OnlyToWatch);
            }
            touched_for_view(broker, holder, &session)?;
            // Only the window of an owner's view counts for the size.
            view(holder, &session, Some(account), (most, most), TermSize::DEFAULT).await.map(Outcome::View)
        }
        Ask::Show { session } => match shown(broker, principal, &session) {
            Ok(session) => {
                let (roles, size) = ((Role::Watcher, Role::Watcher), TermSize::DEFAULT);
                view(holder, &session, None, roles, size).await.map(Outcome::View)
            }
            Err(refusal) => Err(refusal),
        },
        Ask::Name { session, name } => match owned(broker, principal, &session) {
            Ok(session) => rename(broker, holder, &session, name).map(Outcome::Answer),
            Err(refusal) => Err(refusal),
        },
        Ask::Share { session, account, role } => {
            share(broker, holder, &session, &account, role).await.map(Outcome::Answer)
        }
        Ask::Change(change) => {
            changing::change(broker, holder, &change).await.map(|()| Outcome::Answer(Answer::Changed))
        }
        Ask::End { session } => match owned(broker, principal, &session) {
            Ok(session) => end(holder, &session).await.map(Outcome::Answer),
            Err(refusal) => Err(refusal),
        },
        Ask::Follow => Ok(Outcome::Follows),
        Ask::AllSessions { after } => all(broker, principal, after.as_ref()).await.map(Outcome::Answer),
    }
}

async fn lobby(broker: &Broker, principal: &Principal) -> Result<Answer, Refusal> {
    let Principal::Account(account) = principal else { return Err(Refusal::NotGranted) };
    let own = broker.registry.of(account).into_iter().map(|session| (session, Role::Owner));
    let shared = broker.registry.shared_with(account, SHARED_MAX).into_iter();
    let shared = shared.filter(|(session, _)| broker.policy.view(account, session).is_ok());
    let policy = broker.policy.now();
    let sessions = summaries(&own.chain(shared).collect::<Vec<_>>(), &policy).await;
    let machines = broker.machines.of(account, &policy);
    let mut targets = policy.targets_of(account);
    targets.extend(machines::task_targets(account, &machines, &policy));
    targets.truncate(TARGETS_MAX);
    let with_terms = |target: Target| {
        let terms = policy.terms(account, &target)?.into();
        Some(GrantedTarget { target, terms })
    };
    let targets = targets.into_iter().filter_map(with_terms).collect();
    let mut tasks = machines::task_machines(account, &policy);
    tasks.truncate(TASKS_MAX);
    Ok(Answer::Lobby { targets, sessions, machines, tasks }.that_fits())
}

async fn all(broker: &Broker, principal: &Principal, after: Option<&SessionId>) -> Result<Answer, Refusal> {
    match principal {
        Principal::Operator => {
            let page = broker.registry.page(after, SESSIONS_A_PAGE);
            let page: Vec<_> = page.into_iter().map(|session| (session, Role::Watcher)).collect();
            Ok(Answer::AllSessions(summaries(&page, &broker.policy.now()).await))
        }
        Principal::Account(_) => Err(Refusal::NotOperator),
    }
}

/// Returns a session that this principal may rename or end: its own, or any for the operator. A
/// session of another account counts as nonexistent.
fn owned(broker: &Broker, principal: &Principal, id: &SessionId) -> Result<Arc<Session>, Refusal> {
    let session = broker.registry.find(id).ok_or(Refusal::NoSuchSession)?;
    match principal {
        Principal::Operator => Ok(session),
        Principal::Account(account) if session.is_of(account) => Ok(session),
        Principal::Account(_) => Err(Refusal::NoSuchSession),
    }
}

/// Returns a session that this principal may view, and its role there.
fn reachable(
    broker: &Broker,
    principal: &Principal,
    id: &SessionId,
) -> Result<(Arc<Session>, AccountName, Role), Refusal> {
    let session = broker.registry.find(id).ok_or(Refusal::NoSuchSession)?;
    match principal {
        Principal::Operator => Err(Refusal::NotGranted),
        Principal::Account(account) => {
            let role = broker.policy.view(account, &session)?;
            Ok((session, account.clone(), role))
        }
    }
}

/// Checks that a view that takes a touch has a fresh one of its own, which is used up. A guest
/// touches a passkey of the guest's own. The channel of a step-up views nothing else, and may view
/// its own session again: its worker may have been restarted.
fn touched_for_view(broker: &Broker, holder: &Holder, session: &Session) -> Result<(), Refusal> {
    let id = &session.record.id;
    if !holder.touched_for(id) {
        holder.spend_touch(broker.policy.touch(session)?)?;
        holder.used_touch_for(id);
    }
    Ok(())
}

/// Returns a session for the operator to watch, no matter who owns it. The operator is root on the
/// host and could watch it in other ways. The view is recorded in the journal.
fn shown(broker: &Broker, principal: &Principal, id: &SessionId) -> Result<Arc<Session>, Refusal> {
    match principal {
        Principal::Operator => broker.registry.find(id).ok_or(Refusal::NoSuchSession),
        Principal::Account(_) => Err(Refusal::NotOperator),
    }
}

async fn view(
    holder: &Holder,
    session: &Arc<Session>,
    account: Option<AccountName>,
    roles: (Role, Role),
    size: TermSize,
) -> Result<View, Refusal> {
    if session.record.exec {
        return Err(Refusal::NotATerminal);
    }
    let view = session.attach(account, roles, size).await?;
    note(Decision::Viewed(view.role), Some(holder), &view.session.record);
    Ok(view)
}

fn rename(
    broker: &Broker,
    holder: &Holder,
    session: &Session,
    name: Option<Label>,
) -> Result<Answer, Refusal> {
    broker.registry.rename(session, name)?;
    note(Decision::Named, Some(holder), &session.record);
    Ok(Answer::Named)
}

/// Shares a session, or stops sharing it. Only the owner may do so, as far as the policy permits.
async fn share(
    broker: &Broker,
    holder: &Holder,
    id: &SessionId,
    guest: &AccountName,
    role: Option<GuestRole>,
) -> Result<Answer, Refusal> {
    let Principal::Account(_) = holder.principal else { return Err(Refusal::NotGranted) };
    let session = owned(broker, &holder.principal, id)?;
    let record = &session.record;
    if *guest == record.owner {
        return Err(Refusal::Yourself);
    }
    broker.registry.share(&session, guest, role, &broker.policy)?;
    let decision = role.map_or(Decision::NotShared(guest), |role| Decision::Shared(guest, role));
    note(decision, Some(holder), record);
    session.enforce_role(guest).await?;
    Ok(Answer::Shared)
}

async fn end(holder: &Holder, session: &Session) -> Result<Answer, Refusal> {
    note(Decision::EndAsked, Some(holder), &session.record);
    let order = WorkerOrder::End(EndReason::EndedByRequest);
    session.worker.send(order).await.map_err(|_| Refusal::NoSuchSession)?;
    Ok(Answer::Ending)
}
