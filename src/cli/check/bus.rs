use std::time::Duration;

use zbus_systemd::machine1;
use zbus_systemd::systemd1::{ManagerProxy, ServiceProxy};
use zbus_systemd::zbus::{self, Connection};

use super::{AS_ROOT, Finding, sandboxes, within};

/// Units that must be active.
const SOCKETS: [&str; 4] =
    ["tere-front.socket", "tere-auth.socket", "tere-auth-control.socket", "tere-broker.socket"];

/// Units that are started on demand by their sockets: they must be loaded and must not have failed.
const SERVICES: [&str; 3] = ["tere-front.service", "tere-auth.service", "tere-broker.service"];

/// Unit templates, instantiated for each session or each machine.
const TEMPLATES: [&str; 6] = [
    "tere-session@.socket",
    "tere-session@.service",
    "tere-machine@.service",
    "tere-managed@.service",
    "tere-network@.service",
    "tere-change@.service",
];

/// Checks what is reachable over the system bus: systemd's units, machined, polkit.
pub(super) fn look() -> Vec<Finding> {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return vec![Finding::unknown("system bus", error.to_string(), "Try again.")],
    };
    runtime.block_on(async {
        let connection = match within(Connection::system()).await {
            Ok(connection) => connection,
            Err(error) => {
                let fix = "Is the host booted with systemd and D-Bus? systemctl status dbus.socket";
                return vec![Finding::wrong("system bus", error, fix)];
            }
        };
        let mut findings = units(&connection).await;
        findings.extend(front(&connection).await);
        findings.push(machined(&connection).await);
        findings.extend(watchdog(&connection).await);
        findings.extend(stall(&connection).await);
        findings.push(polkit(&connection).await);
        findings.extend(confinement(&connection).await);
        findings
    })
}

async fn units(connection: &Connection) -> Vec<Finding> {
    let unreachable = |error| {
        vec![Finding::wrong(
            "systemd",
            error,
            "systemd does not answer on the bus: systemctl is-system-running",
        )]
    };
    let systemd = match within(ManagerProxy::new(connection)).await {
        Ok(systemd) => systemd,
        Err(error) => return unreachable(error),
    };
    let names = SOCKETS.iter().chain(&SERVICES).map(|&name| name.to_owned()).collect();
    let listed = match within(systemd.list_units_by_names(names)).await {
        Ok(listed) => listed,
        Err(error) => return unreachable(error),
    };
    let mut findings = Vec::new();
    for (name, _, load, active, sub, _, path, ..) in listed {
        let crashes = crashes(connection, &name, path).await.unwrap_or_default();
        findings.push(Unit { name, load, active, sub, crashes }.finding());
    }
    for template in TEMPLATES {
        let what = format!("unit file {template}");
        findings.push(match within(systemd.get_unit_file_state(template.to_owned())).await {
            Ok(_) => Finding::ok(what, "installed"),
            Err(error) => {
                Finding::wrong(what, error, "apt install --reinstall tere; systemctl daemon-reload")
            }
        });
    }
    findings
}

/// The state of a unit in systemd's words: see systemctl(1).
#[derive(Debug)]
struct Unit {
    name: String,
    load: String,
    active: String,
    sub: String,
    crashes: Crashes,
}

/// What happened to a service since it was last started manually.
#[derive(Debug, Default)]
struct Crashes {
    /// How often systemd has restarted it.
    restarts: u32,
    /// How it ended last: "exit-code", "signal", "watchdog". "success" while a new attempt runs.
    result: String,
}

/// How a service fared. `None` for a socket, or if systemd does not answer.
async fn crashes(connection: &Connection, name: &str, unit: zbus::OwnedObjectPath) -> Option<Crashes> {
    if !SERVICES.contains(&name) {
        return None;
    }
    let asked = async {
        let service = ServiceProxy::builder(connection).path(unit).build().await?;
        Ok(Crashes { restarts: service.n_restarts().await?, result: service.result().await? })
    };
    within(asked).await.ok()
}

impl Unit {
    fn finding(&self) -> Finding {
        let Self { name, active, .. } = self;
        let what = format!("unit {name}");
        if self.load != "loaded" {
            let found = format!("it is {}", self.load);
            return Finding::wrong(what, found, "apt install --reinstall tere; systemctl daemon-reload");
        }
        let restarts = self.crashes.restarts;
        let how = match self.crashes.result.as_str() {
            "" | "success" => String::new(),
            result => format!(" ({result})"),
        };
        let why = format!("journalctl -u {name} -n 20 says why; then: systemctl restart {name}");
        // The restart rate is not limited, so the unit never reaches the state "failed".
        let is_down = active == "activating" && (restarts > 0 || self.sub.starts_with("auto-restart"));
        match active.as_str() {
            "failed" => Finding::wrong(what, format!("it has failed{how}"), why),
            _ if is_down => {
                let found =
                    format!("it crashes again and again{how}: started {restarts} times more, and not up");
                Finding::wrong(what, found, why)
            }
            "active" if restarts > 0 => {
                let found = format!(
                    "active; it has crashed and was started again {restarts} times: journalctl -u {name}"
                );
                Finding::ok(what, found)
            }
            "active" | "reloading" => Finding::ok(what, active),
            _ if SERVICES.contains(&name.as_str()) => {
                Finding::ok(what, format!("{active}, starts when it is needed"))
            }
            _ => Finding::wrong(what, format!("it is {active}"), format!("systemctl enable --now {name}")),
        }
    }
}

/// The properties of a service, whether it runs or not.
async fn service(connection: &Connection, name: &str) -> zbus::Result<ServiceProxy<'static>> {
    let unit = ManagerProxy::new(connection).await?.load_unit(name.to_owned()).await?;
    ServiceProxy::builder(connection).path(unit).build().await
}

/// Checks whether the running front is the installed one. After an upgrade without a restart, the
/// kernel marks its program file as deleted (see proc_pid_exe(5)).
async fn front(connection: &Connection) -> Option<Finding> {
    const WHAT: &str = "version of tere-front";
    let pid = async { service(connection, "tere-front.service").await?.main_pid().await };
    // A front that is missing or not running has no version; its unit is checked above.
    let pid = within(pid).await.ok().filter(|pid| *pid > 0)?;
    Some(match std::fs::read_link(format!("/proc/{pid}/exe")) {
        Ok(exe) if exe.as_os_str().as_encoded_bytes().ends_with(b" (deleted)") => Finding::wrong(
            WHAT,
            "it runs a build that is no longer installed",
            "systemctl restart tere-front",
        ),
        Ok(_) => Finding::ok(WHAT, "as installed"),
        Err(error) => Finding::unknown(WHAT, error.to_string(), AS_ROOT),
    })
}

async fn machined(connection: &Connection) -> Finding {
    const WHAT: &str = "systemd-machined";
    let count = async {
        let machined = machine1::ManagerProxy::new(connection).await?;
        machined.list_machines().await
    };
    match within(count).await {
        Ok(machines) => {
            let running = machines.iter().filter(|machine| machine.0 != ".host").count();
            Finding::ok(WHAT, format!("it answers; {running} running machines"))
        }
        Err(error) => Finding::wrong(
            WHAT,
            error,
            "apt install systemd-container; then: systemctl restart systemd-machined",
        ),
    }
}

/// Longest time that a machine may keep machined from all others, before systemd restarts it.
const WATCHDOG_MAX: Duration = Duration::from_secs(10);

/// Checks that systemd soon restarts a machined that hangs.
async fn watchdog(connection: &Connection) -> Option<Finding> {
    const WHAT: &str = "watchdog of systemd-machined";
    let time = async { service(connection, "systemd-machined.service").await?.watchdog_u_sec().await };
    // If systemd or machined is not there, that was said above.
    let time = Duration::from_micros(within(time).await.ok()?);
    let good = !time.is_zero() && time <= WATCHDOG_MAX;
    Some(if good {
        Finding::ok(WHAT, format!("{} s", time.as_secs()))
    } else {
        let found = "it is long: a machine that does not answer keeps everybody from all others meanwhile";
        Finding::wrong(WHAT, found, "systemctl cat systemd-machined: is tere's 50-tere.conf overridden?")
    })
}

/// The machine that has just kept machined from all others, if there is one: the broker tells systemd.
async fn stall(connection: &Connection) -> Option<Finding> {
    let status = async { service(connection, "tere-broker.service").await?.status_text().await };
    let status = within(status).await.ok().filter(|status| !status.is_empty())?;
    let fix = "Its root may have replaced its bus: look at it, or stop it. journalctl -u tere-broker";
    Some(Finding::wrong("machines", status, fix))
}

async fn polkit(connection: &Connection) -> Finding {
    const WHAT: &str = "polkit";
    let ping = connection.call_method(
        Some("org.freedesktop.PolicyKit1"),
        "/org/freedesktop/PolicyKit1/Authority",
        Some("org.freedesktop.DBus.Peer"),
        "Ping",
        &(),
    );
    match within(ping).await {
        Ok(_) => Finding::ok(WHAT, "it answers"),
        Err(error) => Finding::wrong(
            WHAT,
            error,
            "Without it machined opens no shell. apt install polkitd; then: systemctl restart polkit",
        ),
    }
}

/// Checks the sandboxes of the processes that run: the services and one worker.
async fn confinement(connection: &Connection) -> Vec<Finding> {
    let mut findings = Vec::new();
    let version = async { ManagerProxy::new(connection).await?.version().await };
    if let Ok(version) = within(version).await {
        findings.push(sandboxes::systemd(&version));
    }
    let workers = async {
        let systemd = ManagerProxy::new(connection).await?;
        let states = vec!["active".to_owned()];
        systemd.list_units_by_patterns(states, vec!["tere-session@*.service".to_owned()]).await
    };
    // If systemd does not answer, that was said above.
    let workers = within(workers).await.unwrap_or_default();
    let worker = workers.into_iter().next().map(|unit| unit.0);
    for unit in SERVICES.iter().map(|&name| name.to_owned()).chain(worker) {
        let pid = async { service(connection, &unit).await?.main_pid().await };
        if let Ok(pid) = within(pid).await
            && pid > 0
        {
            findings.push(sandboxes::of(&unit, pid));
            if unit == "tere-broker.service" {
                findings.push(sandboxes::polkit(connection, pid).await);
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::FindingState;
    use super::*;

    #[test]
    fn a_socket_must_listen_and_a_service_must_not_have_failed() {
        for (name, load, active, good) in [
            ("tere-auth.socket", "loaded", "active", true),
            ("tere-auth.socket", "loaded", "inactive", false),
            ("tere-auth.socket", "not-found", "inactive", false),
            ("tere-auth.socket", "masked", "inactive", false),
            ("tere-auth.service", "loaded", "active", true),
            ("tere-auth.service", "loaded", "inactive", true),
            ("tere-auth.service", "loaded", "activating", true),
            ("tere-auth.service", "loaded", "failed", false),
        ] {
            let finding = unit(name, load, active, "", 0, "success").finding();
            assert_eq!(matches!(finding.state, FindingState::Ok), good, "{finding:?}");
        }
    }

    fn unit(name: &str, load: &str, active: &str, sub: &str, restarts: u32, result: &str) -> Unit {
        let crashes = Crashes { restarts, result: result.to_owned() };
        Unit { name: name.into(), load: load.into(), active: active.into(), sub: sub.into(), crashes }
    }

    #[test]
    fn a_service_that_crashes_again_and_again_is_wrong_whenever_one_looks() {
        for (active, sub, restarts, result, good) in [
            ("activating", "auto-restart", 57, "exit-code", false),
            ("activating", "auto-restart-queued", 57, "signal", false),
            ("activating", "start", 57, "success", false),
            ("activating", "auto-restart", 0, "watchdog", false),
            // The first start, and a service that has recovered.
            ("activating", "start", 0, "success", true),
            ("active", "running", 3, "success", true),
            ("inactive", "dead", 0, "success", true),
        ] {
            let finding = unit("tere-broker.service", "loaded", active, sub, restarts, result).finding();
            assert_eq!(matches!(finding.state, FindingState::Ok), good, "{finding:?}");
            if let FindingState::Wrong(fix) = finding.state {
                assert!(fix.contains("journalctl -u tere-broker.service"), "{fix}");
            }
        }
    }
}
