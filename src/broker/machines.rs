//! Machines and the shells in them, by machined. See org.freedesktop.machine1(5).

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;
use zbus_systemd::machine1::ManagerProxy;

use super::bus::{Bus, BusError, within};
use super::orders::Order;
use super::request::Granted;
use super::units::Unit;
use super::{Broker, News};
use crate::names::MachineName;
use crate::protocol::{EndReason, Refusal};

/// How long machined has to open a shell, each of two times. It takes 10 to 30 ms; it was seen to
/// hang just after boot.
const SHELL_TIME: Duration = Duration::from_secs(4);

/// How long machined has to look a machine up. It may have to be started for it.
const LOOK_UP_TIME: Duration = Duration::from_secs(5);

/// How long to wait before the bus is asked again for news of machines.
const WATCH_AGAIN: Duration = Duration::from_secs(1);

/// How long a machine that is not there any more may keep its unit from being started, and how often
/// it is tried meanwhile.
const GOING_TIME: Duration = Duration::from_secs(5);
const GOING_PAUSE: Duration = Duration::from_millis(50);

const NO_SUCH_MACHINE: &str = "org.freedesktop.machine1.NoSuchMachine";

/// What is started in the machine: the shell of the user, as a login shell, once its terminal has
/// its size. The size is set here because the shell could otherwise start before it. What it prints
/// changes nothing on a screen; with it the worker knows that systemd has done with the terminal,
/// which it resets first, and that what is typed now is not thrown away. The user's SHELL is set by
/// systemd in the machine.
const SCRIPT: &str = r#"stty rows "$1" cols "$2" 2>/dev/null; printf '\033[m'; exec "${SHELL:-/bin/sh}" -l"#;

impl Bus {
    /// Whether machined knows this machine.
    async fn runs(&self, machine: &MachineName) -> Result<bool, BusError> {
        let look_up = async {
            let machined = ManagerProxy::new(&self.connection().await?).await?;
            Ok(machined.get_machine(machine.to_string()).await?)
        };
        match within(LOOK_UP_TIME, look_up).await {
            Ok(_) => Ok(true),
            Err(error) if error.is(NO_SUCH_MACHINE) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Has the machine running, starting it if it is not.
    pub(super) async fn ensure_running(&self, machine: &MachineName) -> Result<(), Refusal> {
        let mut runs = self.runs(machine).await;
        if matches!(runs, Err(BusError::Unreachable(_))) {
            self.forget().await;
            runs = self.runs(machine).await;
        }
        let unasked = |error: BusError| {
            tracing::warn!(%machine, %error, "machined cannot be asked: {error}");
            Refusal::MachinedUnavailable
        };
        let deadline = Instant::now() + GOING_TIME;
        let mut runs = runs.map_err(unasked)?;
        while !runs {
            self.start(Unit::Machine(machine)).await.map_err(|error| {
                tracing::warn!(%machine, %error, "the machine does not start: {error}");
                Refusal::MachineUnavailable
            })?;
            runs = self.runs(machine).await.map_err(unasked)?;
            if runs {
                tracing::info!(%machine, "machine started");
            } else if Instant::now() >= deadline {
                tracing::warn!(%machine, "the unit of the machine is started, and machined does not know the machine");
                return Err(Refusal::MachineUnavailable);
            } else {
                // It powers off right now: for a moment its unit counts as started still.
                tokio::time::sleep(GOING_PAUSE).await;
            }
        }
        Ok(())
    }

    /// Opens a shell: the PTY's master. Dropping it hangs the shell up, so a reply that comes too
    /// late leaves no stray shell behind: zbus closes its descriptor.
    pub(super) async fn open_shell(&self, granted: &Granted) -> Result<OwnedFd, Refusal> {
        let first = within(SHELL_TIME, self.try_shell(granted)).await;
        let again = matches!(first, Err(BusError::TimedOut(_) | BusError::Unreachable(_)));
        let opened = if again {
            tracing::warn!(target = %granted.target(), "no shell yet; asking once more");
            self.forget().await;
            within(SHELL_TIME, self.try_shell(granted)).await
        } else {
            first
        };
        opened.map_err(|error| {
            let refusal = refusal_of(&error);
            tracing::warn!(target = %granted.target(), %error, %refusal, "no shell: {error}");
            refusal
        })
    }

    async fn try_shell(&self, granted: &Granted) -> Result<OwnedFd, BusError> {
        let machined = ManagerProxy::new(&self.connection().await?).await?;
        let (target, size) = (granted.target(), granted.size());
        let (rows, cols) = (size.rows().to_string(), size.cols().to_string());
        let arguments = ["sh", "-c", SCRIPT, "sh", &rows, &cols].map(str::to_owned).to_vec();
        let environment = ["TERM=xterm-256color", "COLORTERM=truecolor", "LANG=C.UTF-8"];
        let (master, _) = machined
            .open_machine_shell(
                target.machine.to_string(),
                target.user.to_string(),
                "/bin/sh".to_owned(),
                arguments,
                environment.map(str::to_owned).to_vec(),
            )
            .await?;
        Ok(master.into())
    }
}

/// What a person is told.
fn refusal_of(error: &BusError) -> Refusal {
    let denied = [
        "org.freedesktop.DBus.Error.AccessDenied",
        "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
    ];
    let absent = [
        "org.freedesktop.DBus.Error.ServiceUnknown",
        "org.freedesktop.DBus.Error.NoReply",
        "org.freedesktop.systemd1.UnitMasked",
        "org.freedesktop.systemd1.NoSuchUnit",
        "org.freedesktop.DBus.Error.Disconnected",
    ];
    match error {
        BusError::Refused { name, .. } if name == NO_SUCH_MACHINE => Refusal::MachineUnavailable,
        BusError::Refused { name, .. } if denied.contains(&name.as_str()) => Refusal::ShellRefused,
        BusError::Refused { name, .. } if absent.contains(&name.as_str()) => Refusal::MachinedUnavailable,
        // What is left comes from inside the machine: no bus to connect to, no systemd behind it.
        BusError::Refused { .. } | BusError::Job { .. } => Refusal::MachineWithoutBus,
        BusError::Unreachable(_) => Refusal::MachinedUnavailable,
        BusError::TimedOut(_) => Refusal::ShellTimedOut,
    }
}

impl Broker {
    /// Passes on which machines go away, for as long as the broker runs.
    pub(super) async fn watch_machines(self: Arc<Self>) {
        loop {
            if let Err(error) = self.pass_on_removals().await {
                tracing::warn!(%error, "machined cannot be watched: {error}");
                self.bus.forget().await;
            }
            tokio::time::sleep(WATCH_AGAIN).await;
        }
    }

    async fn pass_on_removals(&self) -> Result<(), BusError> {
        let machined = ManagerProxy::new(&self.bus.connection().await?).await?;
        let mut removed = machined.receive_machine_removed().await?;
        while let Some(signal) = removed.next().await {
            if let Ok(machine) = signal.args()?.machine().parse() {
                tracing::info!(%machine, "machine went away");
                self.end_sessions_on(&machine);
                // No channel is open: then nobody needs to hear it.
                let _ = self.news.send(News::MachineRemoved(machine));
            }
        }
        Ok(())
    }

    /// Ends what is left of the sessions on a machine that went away. Their terminals hang up by
    /// themselves, as a rule before this. Nobody waits for a worker that is slow to take the order: those that are
    /// there now are ended, and none that is opened once the machine is back.
    fn end_sessions_on(&self, machine: &MachineName) {
        for session in self.sessions.on(machine) {
            tokio::spawn(async move {
                // A session that is over already has nobody to tell.
                let _ = session.worker.send(Order::End(EndReason::MachineGone)).await;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::super::orders::ORDERS;
    use super::super::stand_in;
    use super::*;

    #[tokio::test]
    async fn a_machine_that_goes_away_ends_what_was_there_though_one_worker_is_slow() {
        const SOON: Duration = Duration::from_secs(2);
        let folder = tempfile::tempdir().unwrap();
        let broker = stand_in::broker(folder.path());
        let (slow, mut full) = stand_in::session(&broker, "aaaaaaaaaaaa");
        for _ in 0..ORDERS {
            slow.worker.send(Order::Describe(oneshot::channel().0)).await.unwrap();
        }
        let (_quick, mut inbox) = stand_in::session(&broker, "bbbbbbbbbbbb");
        broker.end_sessions_on(&"box".parse().unwrap());
        let ended = tokio::time::timeout(SOON, inbox.recv()).await.unwrap();
        assert!(matches!(ended, Some(Order::End(EndReason::MachineGone))));
        let (_later, mut inbox) = stand_in::session(&broker, "cccccccccccc");
        for _ in 0..ORDERS {
            full.recv().await.unwrap();
        }
        let ended = tokio::time::timeout(SOON, full.recv()).await.unwrap();
        assert!(matches!(ended, Some(Order::End(EndReason::MachineGone))));
        assert!(inbox.try_recv().is_err());
    }
}
