//! machined: running machines, and shells in them. See org.freedesktop.machine1(5).

use std::fs::File;
use std::os::fd::AsFd as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::pty::{PtyMaster, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use zbus_systemd::zbus::{Connection, Fd, Message, ObjectPath};

use super::{Refused, World, body, polkit, reply, unknown};

pub(super) const NAME: &str = "org.freedesktop.machine1";
pub(super) const INTERFACE: &str = "org.freedesktop.machine1.Manager";
const PATH: &str = "/org/freedesktop/machine1";

/// The one user that exists in no machine.
const NOBODY: &str = "nobody-there";

/// Delay of a late answer: the broker waits 4 s for one.
const LATE: Duration = Duration::from_secs(5);

/// A shell in a machine, which leads its session.
#[derive(Debug)]
pub(super) struct Shell {
    machine: String,
    pid: Pid,
}

/// Whether machined has answered, or hangs.
pub(super) enum Answered {
    Now,
    /// Until this time.
    Stalled(Instant),
}

pub(super) async fn answer(
    connection: &Connection,
    world: &Arc<World>,
    method: &str,
    call: &Message,
) -> Result<Answered, Refused> {
    let (header, arguments) = (call.header(), call.body());
    match method {
        "GetMachine" => {
            let name: String = body(&arguments)?;
            known(world, &name)?;
            reply(connection, &header, &path_of(&name)).await;
        }
        "OpenMachineShell" => {
            let (machine, user, program, argv, environment): (
                String,
                String,
                String,
                Vec<String>,
                Vec<String>,
            ) = body(&arguments)?;
            // Like the real one, it looks for the machine before it asks polkit.
            // It takes an empty name for the host's.
            if machine == ".host" || machine.is_empty() {
                polkit::host_shell(&world.root, &user, &program)?;
            } else {
                known(world, &machine)?;
                polkit::shell(&machine, &user, &program)?;
            }
            let stall = {
                let stall = &mut world.state().stall;
                stall.take_if(|(stalling, _)| *stalling == machine)
            };
            if let Some((_, time)) = stall {
                return Ok(Answered::Stalled(Instant::now() + time));
            }
            let master = open_shell(world, &machine, &user, &program, &argv, &environment)?;
            let name = ptsname_r(&master).unwrap();
            let late = {
                let mut state = world.state();
                let late = state.late_shells > 0;
                state.late_shells -= usize::from(late);
                late
            };
            if !late {
                reply(connection, &header, &(Fd::from(master.as_fd()), name)).await;
                return Ok(Answered::Now);
            }
            let (connection, call) = (connection.clone(), call.clone());
            tokio::spawn(async move {
                tokio::time::sleep(LATE).await;
                reply(&connection, &call.header(), &(Fd::from(master.as_fd()), name)).await;
            });
        }
        _ => return Err(unknown(INTERFACE, method)),
    }
    Ok(Answered::Now)
}

fn known(world: &World, machine: &str) -> Result<(), Refused> {
    if world.state().machines.contains(machine) {
        return Ok(());
    }
    let message = format!("No machine '{machine}' known");
    Err(Refused("org.freedesktop.machine1.NoSuchMachine", message))
}

fn path_of(machine: &str) -> ObjectPath<'static> {
    ObjectPath::try_from(format!("{PATH}/machine/{machine}")).unwrap()
}

/// A shell behind a PTY, as in a machine. It runs on this host as the user who runs the tests,
/// because there is no machine and no other user.
fn open_shell(
    world: &Arc<World>,
    machine: &str,
    user: &str,
    program: &str,
    argv: &[String],
    environment: &[String],
) -> Result<PtyMaster, Refused> {
    if machine == "nobus" {
        // The error that the real one passes on depends on what is missing in the machine. tere
        // treats every error name that it does not know like this one.
        let message = "Protocol error".to_owned();
        return Err(Refused("System.Error.EPROTO", message));
    }
    // Close-on-exec from the start: a program that another thread starts meanwhile would otherwise
    // keep the terminal open.
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(flags).unwrap();
    unlockpt(&master).unwrap();
    let slave = ptsname_r(&master).unwrap();
    let slave = nix::fcntl::open(slave.as_str(), flags, nix::sys::stat::Mode::empty()).unwrap();
    if user == NOBODY {
        // systemd in the machine opens the terminal and finds no user to run a shell as: it closes
        // the terminal again, and nothing was printed.
        return Ok(master);
    }
    let slave = File::from(slave);
    let home = world.root.join("home");
    let variables = environment.iter().map(|variable| variable.split_once('=').unwrap());
    // setsid does what systemd does for a unit with a terminal: it gives the shell a session of its
    // own with the terminal as its controlling terminal. The first argument is the name of the
    // program, which setsid takes from its path instead.
    // systemd in a machine reads two dollars as one.
    let arguments = argv.iter().skip(1).map(|argument| argument.replace("$$", "$"));
    let mut command = Command::new("setsid");
    command
        .args(["--ctty", program])
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", &home)
        .env("USER", user)
        .env("SHELL", "/bin/bash")
        .envs(variables)
        .current_dir(&home)
        .stdin(Stdio::from(slave.try_clone().unwrap()))
        .stdout(Stdio::from(slave.try_clone().unwrap()))
        .stderr(Stdio::from(slave));
    let mut child = command.spawn().expect("setsid is part of util-linux");
    let pid = Pid::from_raw(child.id().cast_signed());
    world.state().shells.push(Shell { machine: machine.to_owned(), pid });
    let world = Arc::clone(world);
    std::thread::spawn(move || {
        // Waits for the shell's end without reaping it: until the list has forgotten it, its pid is
        // not reused.
        let _ = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
        world.state().shells.retain(|shell| shell.pid != pid);
        let _: std::io::Result<ExitStatus> = child.wait();
    });
    Ok(master)
}

/// Kills the shells whose machine `which` selects, at once, as the end of a machine does.
pub(super) fn kill_shells(world: &World, which: impl Fn(&str) -> bool) {
    for shell in world.state().shells.iter().filter(|shell| which(&shell.machine)) {
        // The shell may have ended by itself. Before setsid has run, it leads no group.
        let _ = killpg(shell.pid, Signal::SIGKILL);
        let _ = nix::sys::signal::kill(shell.pid, Signal::SIGKILL);
    }
}

/// Powers a machine off with everything in it.
pub(super) async fn power_off(connection: &Connection, world: &World, machine: &str) {
    assert!(world.state().machines.remove(machine), "{machine} does not run");
    kill_shells(world, |of| of == machine);
    let arguments = (machine, path_of(machine));
    let destination = None::<&str>;
    connection.emit_signal(destination, PATH, INTERFACE, "MachineRemoved", &arguments).await.unwrap();
}
