//! systemd: the units of sessions and of machines. See org.freedesktop.systemd1(5).

use std::sync::Arc;

use zbus_systemd::zbus::{Connection, Message, ObjectPath};

use super::unit::SessionUnits;
use super::{Refused, World, body, polkit, reply, unknown};

pub(super) const NAME: &str = "org.freedesktop.systemd1";
pub(super) const INTERFACE: &str = "org.freedesktop.systemd1.Manager";
const PATH: &str = "/org/freedesktop/systemd1";

/// An entry of ListUnitsByPatterns: name, description, load state, active state, sub state,
/// followed unit, path, job, its type, its path.
type Listed<'a> =
    (&'a str, &'a str, &'a str, &'a str, &'a str, &'a str, ObjectPath<'a>, u32, &'a str, ObjectPath<'a>);

pub(super) async fn answer(
    connection: &Connection,
    world: &Arc<World>,
    method: &str,
    call: &Message,
) -> Result<(), Refused> {
    let (header, arguments) = (call.header(), call.body());
    match method {
        "Subscribe" => {
            world.state().subscribed = true;
            reply(connection, &header, &()).await;
        }
        "StartUnit" | "StopUnit" | "RestartUnit" => {
            // The mode is "replace", but a unit here has only one job at a time: there is nothing
            // to replace.
            let (unit, _mode): (String, String) = body(&arguments)?;
            polkit::manage_unit(&unit, method)?;
            if method == "StopUnit" && !is_loaded(world, &unit) {
                let message = format!("Unit {unit} not loaded.");
                return Err(Refused("org.freedesktop.systemd1.NoSuchUnit", message));
            }
            let number = next_job(world);
            let job = ObjectPath::try_from(format!("{PATH}/job/{number}")).unwrap();
            // Like the real one, it reports the job first and its end later.
            reply(connection, &header, &job).await;
            let (world, connection) = (Arc::clone(world), connection.clone());
            let start = method == "StartUnit";
            tokio::spawn(async move {
                let (here, named) = (Arc::clone(&world), unit.clone());
                let work = move || if start { start_unit(&here, &named) } else { stop_unit(&here, &named) };
                let result = tokio::task::spawn_blocking(work).await.unwrap();
                if world.state().subscribed {
                    let signal = (number, job, unit, result);
                    let destination = None::<&str>;
                    // The bus is gone when the test is over.
                    drop(connection.emit_signal(destination, PATH, INTERFACE, "JobRemoved", &signal).await);
                }
            });
        }
        "GetUnit" => {
            // Like systemd 257, it drops the store along with the units. tere only asks once they
            // are stopped.
            let unit: String = body(&arguments)?;
            assert!(!is_loaded(world, &unit), "{unit} is asked about while it is there");
            let message = format!("Unit {unit} not loaded.");
            return Err(Refused("org.freedesktop.systemd1.NoSuchUnit", message));
        }
        "ResetFailedUnit" => {
            let unit: String = body(&arguments)?;
            polkit::manage_unit(&unit, method)?;
            // No unit here is ever failed.
            reply(connection, &header, &()).await;
        }
        "ListUnitsByPatterns" => {
            let (states, patterns): (Vec<String>, Vec<String>) = body(&arguments)?;
            assert!(states.is_empty(), "the fake lists units of all states only");
            let units = session_units(world);
            let wanted = |unit: &&String| patterns.iter().any(|pattern| matches(pattern, unit));
            let listed: Vec<Listed<'_>> = units.iter().filter(wanted).map(|unit| listed(unit)).collect();
            reply(connection, &header, &listed).await;
        }
        _ => return Err(unknown(INTERFACE, method)),
    }
    Ok(())
}

/// A unit in a list. tere uses only its name.
fn listed(unit: &str) -> Listed<'_> {
    let nothing = ObjectPath::try_from("/").unwrap();
    (unit, "", "loaded", "active", "running", "", nothing.clone(), 0, "", nothing)
}

fn next_job(world: &World) -> u32 {
    let mut state = world.state();
    state.jobs += 1;
    state.jobs
}

/// Loaded units of sessions: a socket that listens, and its service while it runs. The real service
/// stays loaded and inactive for as long as its socket exists.
pub(super) fn session_units(world: &World) -> Vec<String> {
    let mut units = Vec::new();
    for (id, session) in &world.state().sessions {
        units.push(format!("tere-session@{id}.socket"));
        if session.worker().is_some() {
            units.push(format!("tere-session@{id}.service"));
        }
    }
    units
}

fn is_loaded(world: &World, unit: &str) -> bool {
    session_units(world).iter().any(|there| there == unit)
}

fn machine(unit: &str) -> Option<&str> {
    unit.strip_prefix("tere-machine@")?.strip_suffix(".service")
}

fn session(unit: &str) -> (&str, &str) {
    unit.strip_prefix("tere-session@").and_then(|rest| rest.split_once('.')).unwrap()
}

/// Starts a unit and returns the result of the job. A machine is ready at once; the real job lasts
/// until it has booted.
fn start_unit(world: &Arc<World>, unit: &str) -> &'static str {
    if let Some(machine) = machine(unit) {
        if !["web1", "nobus"].contains(&machine) {
            return "failed";
        }
        world.state().machines.insert(machine.to_owned());
        return "done";
    }
    let (id, kind) = session(unit);
    assert_eq!(kind, "socket", "tere starts a session's worker by its socket");
    if !world.state().sessions.contains_key(id) {
        let units = Arc::new(SessionUnits::start(world, id));
        world.state().sessions.insert(id.to_owned(), units);
    }
    "done"
}

/// Stops a unit and returns the result of the job. polkit does not let the broker stop a machine.
fn stop_unit(world: &World, unit: &str) -> &'static str {
    let (id, kind) = session(unit);
    let Some(units) = world.state().sessions.get(id).cloned() else { return "done" };
    if kind == "service" {
        units.terminate();
        return "done";
    }
    // The service requires its socket, so it is stopped with the socket, and before it. Until then
    // both are loaded.
    units.stop();
    world.state().sessions.remove(id);
    "done"
}

/// As much of fnmatch(3) as tere needs: one asterisk.
fn matches(pattern: &str, unit: &str) -> bool {
    pattern.split_once('*').is_some_and(|(start, end)| unit.starts_with(start) && unit.ends_with(end))
}
