//! machined: makes sure that machines run, and opens shells in them. See
//! org.freedesktop.machine1(5).

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;
use zbus_systemd::machine1::ManagerProxy;

use super::bus::{Bus, BusError, within};
use super::progress::Progress;
use super::request::{Admitted, Program};
use super::shell::OpenedShell;
use super::stalls::{Responsible, Stalls};
use super::systemd::{Systemd, Unit};
use crate::config::Shell;
use crate::names::{MachineName, ReportKey};
use crate::protocol::Refusal;
use crate::service;

/// How long machined has to open a shell, in each of two attempts. It normally takes 10 to 30 ms,
/// but was seen to hang just after boot.
const SHELL_TIMEOUT: Duration = Duration::from_secs(4);

/// How long machined has to answer anything at all after it did not open a shell in time. If it does
/// not, it waits for the machine.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long an opening waits for its turn. A machine that does not answer stalls machined for up to
/// 8 s, until the watchdog that comes with tere has machined restarted.
const TURN_TIMEOUT: Duration = Duration::from_secs(20);

/// If machined goes away after this time, it was restarted because it had stalled.
const STALL_MIN: Duration = Duration::from_secs(2);

/// How long the other openings wait until machined answers again.
const STALL_TIMEOUT: Duration = Duration::from_secs(15);

/// How long machined has to look up a machine, including its own start.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(5);

/// Delay before subscribing again to the machines that go away.
const WATCH_RETRY_DELAY: Duration = Duration::from_secs(1);

/// How long the unit of a machine that is shutting down may prevent its start, and the delay
/// between attempts.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The D-Bus error for a service that went away without an answer.
const NO_REPLY: &str = "org.freedesktop.DBus.Error.NoReply";

const NO_SUCH_MACHINE: &str = "org.freedesktop.machine1.NoSuchMachine";

/// The script that runs in the machine. It sets the size of the terminal and then starts the user's
/// shell as a login shell. Its arguments are rows, columns and the [`ReportKey`].
///
/// The script sets the size because the shell could otherwise start before it is set. `ESC [ m`
/// changes nothing on a screen. It tells the worker that systemd has reset the terminal, and that
/// input is no longer discarded. systemd in the machine replaces `${SHELL...}` with the user's
/// shell. It would also interpret any other `${...}` and `$$`, so the script contains none.
///
/// The script stays as the parent of the shell, reports the shell's exit status through the
/// terminal and exits with it. It runs the shell as an asynchronous command and waits for it,
/// because a trap does not run while a foreground command does. An asynchronous command ignores
/// SIGINT and SIGQUIT, which env(1) of coreutils 8.31 and later undoes. If env cannot, the shell
/// replaces the script, and nothing is reported. The shell leads a process group of its own as soon
/// as it is interactive. Until then, the keys that send signals must not end the script.
///
/// When the terminal hangs up, the kernel signals the session leader, which is the script. The
/// script signals the shell, but by then the shell may have read the end of its input, and a shell
/// that exits for that reason leaves its jobs running. So the script hangs up the rest of its
/// session. Jobs that ignore SIGHUP (nohup) or have a session of their own (setsid) go on.
const SCRIPT: &str = r#"stty rows "$1" cols "$2" 2>/dev/null
printf '\033[m'
shell="${SHELL:-/bin/sh}"
if [ "$4" ]; then
    shell=$4 SHELL=$4
    export SHELL
    [ -x "$4" ] || printf '%s, which the policy names as the shell, is not in this machine.\r\n' "$4"
fi
env --default-signal=INT,QUIT true 2>/dev/null || exec "$shell" -l
trap 'hung_up=1; kill -HUP "$pid" 2>/dev/null' HUP
trap : INT QUIT TERM TSTP
exec 3<&0
env --default-signal=INT,QUIT "$shell" -l <&3 3<&- & pid=$!
exec 3<&-
while wait "$pid" 2>/dev/null; status=$?; kill -0 "$pid" 2>/dev/null; do :; done
trap '' HUP TTOU
if [ "$hung_up" ]; then
    pkill -HUP -s 0
else
    printf '\033_tere;%s;%s\033\\' "$3" "$status"
fi
exit "$status""#;

/// The scripts that run one command without a terminal (docs/design.md, "A command without a
/// terminal"). Their argument is the [`ReportKey`].
const EXEC: &str = include_str!("exec.sh");
const EXEC_CONTROL: &str = include_str!("exec-control.sh");

/// A script as an argument in which systemd in the machine replaces nothing, without its comments.
fn literal(script: &str) -> String {
    let lines = script.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.map(|line| line.replace('$', "$$") + "\n").collect()
}

/// A client of machined, and of systemd to start machines.
#[derive(Debug)]
pub(super) struct Machined {
    bus: Arc<Bus>,
    systemd: Arc<Systemd>,
    /// machined does one thing at a time. Only one request is under way, so that it is known which
    /// machine stalls it.
    turn: Arc<Mutex<()>>,
    stalls: Stalls,
}

impl Machined {
    /// Creates a client that uses this bus.
    pub(super) fn new(bus: Arc<Bus>, systemd: Arc<Systemd>) -> Self {
        Self { bus, systemd, turn: Arc::default(), stalls: Stalls::default() }
    }

    /// Waits until no other request is under way, nor a stall.
    async fn turn(&self) -> Result<OwnedMutexGuard<()>, BusError> {
        within(TURN_TIMEOUT, async { Ok(Arc::clone(&self.turn).lock_owned().await) }).await
    }

    /// Whether a shell may be opened now, as far as those are concerned who answer for the machine.
    pub(super) fn allow(&self, machine: &MachineName, responsible: &Responsible) -> Result<(), Refusal> {
        if self.stalls.allow(responsible, Instant::now()) {
            return Ok(());
        }
        tracing::info!(%machine, "nothing is opened there for now: {responsible} did not answer");
        Err(Refusal::ShellTimedOut)
    }

    /// Whether machined knows this machine.
    async fn runs(&self, machine: &MachineName) -> Result<bool, BusError> {
        let look_up = async {
            let machined = ManagerProxy::new(&self.bus.connection().await?).await?;
            Ok(machined.get_machine(machine.to_string()).await?)
        };
        let _turn = self.turn().await?;
        match within(LOOK_UP_TIMEOUT, look_up).await {
            Ok(_) => Ok(true),
            Err(error) if error.is(NO_SUCH_MACHINE) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes sure that the machine runs, and starts its unit if it does not.
    pub(super) async fn ensure_running(
        &self,
        admitted: &Admitted,
        progress: &Progress,
    ) -> Result<(), Refusal> {
        if admitted.target().machine.is_host() {
            return Ok(());
        }
        let (machine, unit) = (&admitted.target().machine, admitted.unit());
        let mut runs = self.runs(machine).await;
        if matches!(runs, Err(BusError::Unreachable(_))) {
            self.bus.forget().await;
            runs = self.runs(machine).await;
        }
        let unasked = |error: BusError| {
            tracing::warn!(%machine, %error, "machined cannot be asked: {error}");
            Refusal::MachinedUnavailable
        };
        let deadline = Instant::now() + REMOVAL_TIMEOUT;
        let mut runs = runs.map_err(unasked)?;
        while !runs {
            if let Err(error) = self.systemd.start_machine(unit, progress).await {
                let refusal = self.systemd.why_not_started(unit).await;
                // A person chooses the names of such machines, and may try many.
                if let Unit::ManagedMachine(_) = unit {
                    self.systemd.unload_failed(unit).await;
                }
                tracing::warn!(%machine, %error, %refusal, "the machine does not start: {error}");
                return Err(refusal);
            }
            runs = self.runs(machine).await.map_err(unasked)?;
            if runs {
                tracing::info!(%machine, "machine started");
            } else if Instant::now() >= deadline {
                tracing::warn!(%machine, "the machine's unit has started, but machined does not know the machine");
                return Err(Refusal::MachineUnavailable);
            } else {
                // The machine is powering off: for a moment its unit still counts as started.
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
        Ok(())
    }

    /// Opens a shell, or what a command needs. A reply that comes too late leaves no shell behind
    /// that nobody has: zbus closes its descriptor, which hangs the shell up.
    pub(super) async fn open_shell(
        self: &Arc<Self>,
        admitted: &Admitted,
        responsible: &Responsible,
    ) -> Result<OpenedShell, Refusal> {
        let report = ReportKey::random().map_err(|error| {
            tracing::error!(%error, "no random numbers: {error}");
            Refusal::Unavailable
        })?;
        let turn = self.turn().await.map_err(|error| refusal_of(&error))?;
        // The opening before this one may have been on the same machine.
        let machine = &admitted.target().machine;
        self.allow(machine, responsible)?;
        let mut began = Instant::now();
        let mut opened = within(SHELL_TIMEOUT, self.try_program(admitted, &report)).await;
        let mut is_stalled = self.is_stalled(&opened, began).await;
        if !is_stalled && matches!(opened, Err(BusError::TimedOut(_) | BusError::Unreachable(_))) {
            tracing::warn!(target = %admitted.target(), "no shell yet; asking once more");
            self.bus.forget().await;
            began = Instant::now();
            opened = within(SHELL_TIMEOUT, self.try_program(admitted, &report)).await;
            is_stalled = self.is_stalled(&opened, began).await;
        }
        if is_stalled {
            let pause = self.stalls.count(responsible.clone(), Instant::now());
            let what = format!(
                "{machine} stalls machined: its bus does not answer; nothing is opened in {responsible} for {} s",
                pause.as_secs()
            );
            tracing::warn!(%machine, seconds = pause.as_secs(), "{what}");
            service::status(&what);
            // The others wait until machined goes on. The person is told now.
            let machined = Arc::clone(self);
            tokio::spawn(async move {
                machined.await_end_of_stall().await;
                drop(turn);
                tokio::time::sleep(pause).await;
                if machined.stalls.are_over(Instant::now()) {
                    service::status("");
                }
            });
        }
        opened.map(|(pty, errors)| OpenedShell { pty, errors, report }).map_err(|error| {
            let refusal = refusal_of(&error);
            tracing::warn!(target = %admitted.target(), %error, %refusal, "no shell: {error}");
            refusal
        })
    }

    /// Whether a shell was not opened in time because machined itself does not answer, or was
    /// restarted meanwhile.
    async fn is_stalled<T>(&self, opened: &Result<T, BusError>, began: Instant) -> bool {
        match opened {
            Err(BusError::TimedOut(_)) => {
                matches!(self.answers(PROBE_TIMEOUT).await, Err(BusError::TimedOut(_)))
            }
            Err(error @ BusError::Refused { .. }) => error.is(NO_REPLY) && began.elapsed() >= STALL_MIN,
            Ok(_) | Err(BusError::Unreachable(_) | BusError::Job { .. }) => false,
        }
    }

    /// Waits until machined answers anything.
    async fn answers(&self, time: Duration) -> Result<(), BusError> {
        let ask = async {
            let machined = ManagerProxy::new(&self.bus.connection().await?).await?;
            Ok(machined.get_machine(".host".to_owned()).await?)
        };
        match within(time, ask).await {
            Err(error @ (BusError::TimedOut(_) | BusError::Unreachable(_))) => Err(error),
            Ok(_) | Err(BusError::Refused { .. } | BusError::Job { .. }) => Ok(()),
        }
    }

    /// Waits until machined answers again, or has been restarted, as long as may be expected.
    async fn await_end_of_stall(&self) {
        if let Err(error) = self.answers(STALL_TIMEOUT).await {
            tracing::warn!(%error, "machined still does not answer: {error}");
        }
    }

    async fn try_program(
        &self,
        admitted: &Admitted,
        report: &ReportKey,
    ) -> Result<(OwnedFd, Option<OwnedFd>), BusError> {
        match admitted.program() {
            Program::Shell(size) => {
                let (rows, cols) = (size.rows().to_string(), size.cols().to_string());
                let shell = admitted.shell().map_or("", Shell::as_str);
                let arguments = [&rows, &cols, report.as_str(), shell];
                Ok((self.try_script(admitted, SCRIPT, &arguments).await?, None))
            }
            Program::Command => {
                let key = [report.as_str()];
                let errors = self.try_script(admitted, &literal(EXEC_CONTROL), &key).await?;
                Ok((self.try_script(admitted, &literal(EXEC), &key).await?, Some(errors)))
            }
        }
    }

    /// Has a script run behind a terminal, and returns its master.
    async fn try_script(
        &self,
        admitted: &Admitted,
        script: &str,
        arguments: &[&str],
    ) -> Result<OwnedFd, BusError> {
        let machined = ManagerProxy::new(&self.bus.connection().await?).await?;
        let target = admitted.target();
        let arguments = [&["sh", "-c", script, "sh"], arguments].concat();
        let (master, _) = machined
            .open_machine_shell(
                target.machine.to_string(),
                target.user.to_string(),
                "/bin/sh".to_owned(),
                arguments.into_iter().map(str::to_owned).collect(),
                admitted.environment(),
            )
            .await?;
        Ok(master.into())
    }

    /// Reports every machine that goes away, for as long as the broker runs.
    pub(super) async fn report_removals(&self, report: impl Fn(MachineName)) {
        loop {
            if let Err(error) = self.pass_on_removals(&report).await {
                tracing::warn!(%error, "machined cannot be watched: {error}");
                self.bus.forget().await;
            }
            tokio::time::sleep(WATCH_RETRY_DELAY).await;
        }
    }

    async fn pass_on_removals(&self, report: &impl Fn(MachineName)) -> Result<(), BusError> {
        let machined = ManagerProxy::new(&self.bus.connection().await?).await?;
        let mut removed = machined.receive_machine_removed().await?;
        while let Some(signal) = removed.next().await {
            if let Ok(machine) = signal.args()?.machine().parse() {
                tracing::info!(%machine, "machine went away");
                report(machine);
            }
        }
        Ok(())
    }
}

/// Returns the refusal that the person sees for this error.
fn refusal_of(error: &BusError) -> Refusal {
    let denied = [
        "org.freedesktop.DBus.Error.AccessDenied",
        "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
    ];
    let absent = [
        "org.freedesktop.DBus.Error.ServiceUnknown",
        NO_REPLY,
        "org.freedesktop.systemd1.UnitMasked",
        "org.freedesktop.systemd1.NoSuchUnit",
        "org.freedesktop.DBus.Error.Disconnected",
    ];
    match error {
        BusError::Refused { name, .. } if name == NO_SUCH_MACHINE => Refusal::MachineUnavailable,
        BusError::Refused { name, .. } if denied.contains(&name.as_str()) => Refusal::ShellRefused,
        BusError::Refused { name, .. } if absent.contains(&name.as_str()) => Refusal::MachinedUnavailable,
        // Any other error comes from inside the machine: it has no bus to connect to, or no
        // systemd.
        BusError::Refused { .. } | BusError::Job { .. } => Refusal::MachineWithoutBus,
        BusError::Unreachable(_) => Refusal::MachinedUnavailable,
        BusError::TimedOut(_) => Refusal::ShellTimedOut,
    }
}
