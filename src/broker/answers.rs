//! Answers each request of a principal, according to the policy and to who owns the session.

use std::sync::Arc;

use super::decisions::{Decision, LoggedRequest, note};
use super::orders::WorkerOrder;
use super::progress::Progress;
use super::request::Claimed;
use super::session::{Session, View, summaries};
use super::{Broker, opening};
use crate::names::{AccountName, Label, SessionId, TermSize};
use crate::protocol::principal::{Answer, Ask, SESSIONS_A_PAGE, SHARED_MAX, TARGETS_MAX};
use crate::protocol::vouch::Principal;
use crate::protocol::worker::UnreadInput;
use crate::protocol::{EndReason, GuestRole, Refusal, Role};

/// The result of a request, before it is sent.
#[derive(Debug)]
pub(super) enum Outcome {
    Answer(Answer),
    View(View),
}

/// Executes a request.
pub(super) async fn answer(
    broker: &Arc<Broker>,
    principal: &Principal,
    ask: Ask,
    progress: &Progress,
) -> Result<Outcome, Refusal> {
    let asked = LoggedRequest::by(&ask);
    let outcome = match ask {
        Ask::Lobby => lobby(broker, principal).await.map(Outcome::Answer),
        Ask::Open { target, size } => {
            let claimed = Claimed { target, size };
            Box::pin(opening::open(broker, principal, claimed, progress)).await.map(Outcome::View)
        }
        Ask::Attach { session, size } => match reachable(broker, principal, &session) {
            Ok((session, account, role)) => {
                view(principal, &session, Some(account), role, size).await.map(Outcome::View)
            }
            Err(refusal) => Err(refusal),
        },
        Ask::Show { session } => match shown(broker, principal, &session) {
            Ok(session) => {
                let (role, size) = (Role::Watcher, TermSize::DEFAULT);
                view(principal, &session, None, role, size).await.map(Outcome::View)
            }
            Err(refusal) => Err(refusal),
        },
        Ask::Name { session, name } => match owned(broker, principal, &session) {
            Ok(session) => rename(broker, principal, &session, name).map(Outcome::Answer),
            Err(refusal) => Err(refusal),
        },
        Ask::Share { session, account, role } => {
            share(broker, principal, &session, &account, role).await.map(Outcome::Answer)
        }
        Ask::End { session } => match owned(broker, principal, &session) {
            Ok(session) => end(principal, &session).await.map(Outcome::Answer),
            Err(refusal) => Err(refusal),
        },
        Ask::AllSessions { after } => all(broker, principal, after.as_ref()).await.map(Outcome::Answer),
    };
    if let Err(refusal) = &outcome {
        let about = asked.session().and_then(|id| broker.registry.find(id));
        asked.note_refused(principal, *refusal, about.as_ref().map(|session| &session.record));
    }
    outcome
}

async fn lobby(broker: &Broker, principal: &Principal) -> Result<Answer, Refusal> {
    let Principal::Account(account) = principal else { return Err(Refusal::NotGranted) };
    let own = broker.registry.of(account).into_iter().map(|session| (session, Role::Owner));
    let shared = broker.registry.shared_with(account, SHARED_MAX).into_iter();
    let shared = shared.filter(|(session, _)| broker.policy.view(account, session).is_ok());
    let sessions = summaries(&own.chain(shared).collect::<Vec<_>>()).await;
    let mut targets = broker.policy.now().targets_of(account);
    targets.truncate(TARGETS_MAX);
    Ok(Answer::Lobby { targets, sessions })
}

async fn all(broker: &Broker, principal: &Principal, after: Option<&SessionId>) -> Result<Answer, Refusal> {
    match principal {
        Principal::Operator => {
            let page = broker.registry.page(after, SESSIONS_A_PAGE);
            let page: Vec<_> = page.into_iter().map(|session| (session, Role::Watcher)).collect();
            Ok(Answer::AllSessions(summaries(&page).await))
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

/// Returns a session for the operator to watch, no matter who owns it. The operator is root on the
/// host and could watch it in other ways. The view is recorded in the journal.
fn shown(broker: &Broker, principal: &Principal, id: &SessionId) -> Result<Arc<Session>, Refusal> {
    match principal {
        Principal::Operator => broker.registry.find(id).ok_or(Refusal::NoSuchSession),
        Principal::Account(_) => Err(Refusal::NotOperator),
    }
}

async fn view(
    principal: &Principal,
    session: &Arc<Session>,
    account: Option<AccountName>,
    role: Role,
    size: TermSize,
) -> Result<View, Refusal> {
    let view = session.attach(account, role, size).await?;
    note(Decision::Viewed(role), Some(principal), &view.session.record);
    Ok(view)
}

fn rename(
    broker: &Broker,
    principal: &Principal,
    session: &Session,
    name: Option<Label>,
) -> Result<Answer, Refusal> {
    broker.registry.rename(session, name)?;
    note(Decision::Named, Some(principal), &session.record);
    Ok(Answer::Named)
}

/// Shares a session, or stops sharing it. Only the owner may do so. The policy must permit sharing,
/// but the owner may stop it at any time.
async fn share(
    broker: &Broker,
    principal: &Principal,
    id: &SessionId,
    guest: &AccountName,
    role: Option<GuestRole>,
) -> Result<Answer, Refusal> {
    let Principal::Account(_) = principal else { return Err(Refusal::NotGranted) };
    let session = owned(broker, principal, id)?;
    let record = &session.record;
    if role.is_some() && !broker.policy.now().lets_share(&record.owner, &record.target) {
        return Err(Refusal::NotShareable);
    }
    if *guest == record.owner {
        return Err(Refusal::Yourself);
    }
    let viewers = broker.registry.share(&session, guest, role)?;
    let decision = role.map_or(Decision::NotShared(guest), |role| Decision::Shared(guest, role));
    note(decision, Some(principal), record);
    for viewer in viewers {
        match role {
            Some(role) => {
                // Fails only if the session is over, and then it has no viewers.
                let _ = session.worker.send(WorkerOrder::SetRole { viewer, role: role.into() }).await;
            }
            None => session.close_view(viewer, UnreadInput::Dropped).await,
        }
    }
    session.settled(guest).await?;
    Ok(Answer::Shared)
}

async fn end(principal: &Principal, session: &Session) -> Result<Answer, Refusal> {
    note(Decision::EndAsked, Some(principal), &session.record);
    let order = WorkerOrder::End(EndReason::EndedByRequest);
    session.worker.send(order).await.map_err(|_| Refusal::NoSuchSession)?;
    Ok(Answer::Ending)
}
