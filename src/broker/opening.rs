//! Opens a session, from the request to the view of the new session. After the policy has granted
//! the request and machined has opened the shell, the session exists once its worker has the
//! terminal and its record is written.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::Broker;
use super::decisions::{Decision, note};
use super::holder::Holder;
use super::orders::ORDERS;
use super::pool::WaitingWorker;
use super::progress::Progress;
use super::records::Record;
use super::registry::Reservation;
use super::request::{Admitted, Claimed, Program};
use super::session::View;
use super::session_task;
use super::shell::OpenedShell;
use super::stalls::Responsible;
use super::time_limit;
use super::worker::{self, NotAdopted};
use crate::names::TermSize;
use crate::protocol::worker::ViewerId;
use crate::protocol::{Refusal, Role};

/// Why a worker did not adopt a session.
#[derive(Debug)]
enum NotTaken {
    /// The worker is gone, with everything it had. Another worker may get the terminal.
    Gone,
    /// The session is not to be opened.
    Refused(Refusal),
}

/// If a shell took as long as this, another machine had stalled machined.
const STALLED: Duration = Duration::from_secs(2);

/// Opens a session, and makes its first viewer.
pub(super) async fn open(
    broker: &Arc<Broker>,
    holder: &Holder,
    claimed: Claimed,
    progress: &Progress,
) -> Result<View, Refusal> {
    // The policy decides whether this account may open this target, and what it takes.
    let policy = broker.policy.now();
    let granted = claimed.vet(&holder.principal)?.grant(&policy)?;
    let admitted = granted.admit(holder)?;
    let machine = &admitted.target().machine;

    // A machine that stalled machined is left alone for a while.
    let responsible = Responsible::of(machine, &policy);
    broker.machined.allow(machine, &responsible)?;

    // From here on the opening counts towards the bounds. The machine must run.
    let reservation = broker.registry.reserve(admitted.owner())?;
    broker.machined.ensure_running(&admitted, progress).await?;

    // Acquired only now: a machine that takes a minute to boot must not delay other openings.
    let _permit = broker.start_limiter.acquire(machine).await?;
    reservation.check()?;

    // Take a worker, or start one if none waits, while machined opens the shell.
    let began = Instant::now();
    let open_shell = async {
        let shell = broker.machined.open_shell(&admitted, &responsible).await;
        (shell, began.elapsed() >= STALLED)
    };
    let (worker, (shell, was_stalled)) = tokio::join!(broker.pool.take(), open_shell);
    let (worker, shell) = match (worker, shell) {
        (Ok(worker), Ok(shell)) => (worker, shell),
        // systemd looks a worker's user up, and the host's NSS asks machined.
        (Err(_), Ok(shell)) if was_stalled => (broker.pool.start_another().await?, shell),
        (Ok(worker), Err(refusal)) => {
            broker.systemd.stop_session_later(&worker.id);
            return Err(refusal);
        }
        // What kept the shell may have kept the worker too.
        (Err(_), Err(refusal)) => return Err(refusal),
        // Without a worker, the shell is hung up here, because its PTY is closed.
        (Err(refusal), Ok(_)) => return Err(refusal),
    };

    // Give the terminal to the worker. If the worker has died, another one gets it: the shell is
    // there.
    let view = match adopt(broker, worker, &reservation, &admitted, &shell).await {
        Err(NotTaken::Gone) => {
            let another = broker.pool.start_another().await?;
            adopt(broker, another, &reservation, &admitted, &shell).await
        }
        taken @ (Ok(_) | Err(NotTaken::Refused(_))) => taken,
    };
    let view = view.map_err(|not_taken| match not_taken {
        NotTaken::Gone => Refusal::WorkerUnavailable,
        NotTaken::Refused(refusal) => refusal,
    })?;
    drop(reservation);
    time_limit::watch(&view.session);
    holder.used_touch_for(&view.session.record.id);
    note(Decision::Opened(admitted.reason()), Some(holder), &view.session.record);
    Ok(view)
}

/// Gives a worker its session: it gets the terminal, then the record is written, then the task
/// starts. A worker that does not adopt the session is stopped.
async fn adopt(
    broker: &Arc<Broker>,
    worker: WaitingWorker,
    reservation: &Reservation<'_>,
    admitted: &Admitted,
    shell: &OpenedShell,
) -> Result<View, NotTaken> {
    let WaitingWorker { id, channel } = worker;
    let viewer = session_task::first_viewer();
    let size = match admitted.program() {
        Program::Shell(size) => size,
        Program::Command => TermSize::DEFAULT,
    };
    let socket = match worker::adopt(&channel, &id, size, shell, viewer).await {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(session = %id, %error, "the worker does not take the terminal: {error}");
            return Err(stop(broker, &id, &error).await);
        }
    };
    let (orders, inbox) = mpsc::channel(ORDERS);
    let record = Record::of_now(id.clone(), admitted.owner().clone(), admitted.target().clone());
    let record = record.ending_after(admitted.time_limit());
    let record = Record { exec: admitted.program() == Program::Command, ..record };
    let session = broker.registry.register(reservation, record, orders).map_err(|refusal| {
        broker.systemd.stop_session_later(&id);
        NotTaken::Refused(refusal)
    })?;
    let (role, most) = (Role::Owner, Role::Owner);
    session.viewer_came(viewer, Some(admitted.owner().clone()), (role, most));
    session_task::spawn(broker, &id, channel, inbox, ViewerId(viewer.0.wrapping_add(1)));
    Ok(View { session, viewer, role, most, socket })
}

/// Stops a worker that has not confirmed the terminal but may have it nevertheless. Another worker
/// may get the terminal only if this one is known to be gone, since two workers would each read
/// half of the shell's output.
async fn stop(broker: &Broker, id: &crate::names::SessionId, error: &NotAdopted) -> NotTaken {
    match error {
        NotAdopted::Gone(_) => match broker.systemd.try_stop_session(id).await {
            Ok(()) => return NotTaken::Gone,
            Err(error) => tracing::warn!(session = %id, %error, "units cannot be stopped yet: {error}"),
        },
        NotAdopted::Unclear(_) => {}
    }
    broker.systemd.stop_session_later(id);
    NotTaken::Refused(Refusal::WorkerUnavailable)
}
