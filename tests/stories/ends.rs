//! A session ends when its shell ends.

use tere::protocol::principal::{Answer, Ask};
use tere::protocol::{EndReason, SessionEnd, ShellExit, Signal};

use super::holder;
use crate::host::Host;
use crate::parts::shell::{PATIENCE, PrincipalClient, Shell};
use crate::parts::wait::eventually;

/// Starts a background job that keeps the terminal open, with the command `by` in front of it, and
/// returns its process id.
fn start_job(shell: &mut Shell, by: &str) -> String {
    let job = "exec <$0 >$0; echo jo\"\"b-$$; exec sleep 600";
    shell.type_in(&format!("{by} sh -c '{job}' $(tty) &\r"));
    shell.expect("job-");
    shell.expect("\r\n").trim_end().to_owned()
}

/// Whether a process exists, as seen by another shell.
fn is_there(shell: &mut Shell, process: &str) -> bool {
    // A zombie does not count: which process becomes its new parent depends on the machine.
    shell.type_in(&format!("grep -qs '^State:.[^ZX]' /proc/{process}/status; echo there' '$?.\r"));
    shell.expect("there ");
    shell.expect(".") == "0."
}

fn exited(exit: ShellExit) -> SessionEnd {
    SessionEnd { reason: EndReason::ShellEnded, exit: Some(exit) }
}

fn is_listed(holder: &mut PrincipalClient, shell: &Shell) -> bool {
    let (lobby, _) = holder.ask(Ask::Lobby);
    let Answer::Lobby { sessions, .. } = lobby else { panic!("{lobby:?}") };
    sessions.iter().any(|session| session.id == shell.session)
}

#[test]
fn a_session_is_over_when_its_shell_is_and_its_background_jobs_live_on() {
    let host = Host::shared();
    let mut alice = holder(&host, "alice");
    let mut witness = alice.open("dev@web1").unwrap();
    for (by, exit) in [
        ("", ShellExit::Exited(0)),
        ("", ShellExit::Killed(Signal::Kill)),
        ("setsid", ShellExit::Exited(3)),
        ("nohup", ShellExit::Exited(4)),
        ("trap '' HUP;", ShellExit::Exited(5)),
        ("disowned", ShellExit::Exited(6)),
    ] {
        let mut shell = alice.open("dev@web1").unwrap();
        let job = start_job(&mut shell, if by == "disowned" { "" } else { by });
        if by == "disowned" {
            shell.type_in("disown\r");
        }
        let end = match exit {
            ShellExit::Exited(status) => format!("exit {status}"),
            ShellExit::Killed(_) => "kill -KILL $$".to_owned(),
        };
        shell.type_in(&format!("seq -f 'last %g' 500; {end}\r"));
        assert_eq!(shell.expect_exit(), exited(exit), "{by} {end}");
        // All output before the end has been shown.
        shell.expect("last 1\r\n");
        shell.expect("last 500\r\n");
        // A person who signs in afterwards does not see it.
        eventually("the session is not listed", PATIENCE, || (!is_listed(&mut alice, &shell)).then_some(()));
        assert!(is_there(&mut witness, &job), "{by}: the job is gone");
        witness.type_in(&format!("kill {job}\r"));
    }
}

#[test]
fn only_the_script_reports_how_a_shell_ended() {
    let host = Host::shared();
    let mut alice = holder(&host, "alice");
    let mut shell = alice.open("dev@web1").unwrap();
    shell.type_in("printf '\\033_tere;%s;7\\033\\\\' aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; exit 4\r");
    assert_eq!(shell.expect_exit(), exited(ShellExit::Exited(4)));
}

#[test]
fn ctrl_c_and_job_control_are_the_shells() {
    let host = Host::shared();
    let mut alice = holder(&host, "alice");
    let mut shell = alice.open("dev@web1").unwrap();
    let sleep = "sh -c 'echo run\"\"ning; exec sleep 600'\r";
    shell.type_in(sleep);
    shell.expect("running\r\n");
    shell.type_in("\x03");
    shell.type_in("echo after' '$?\r");
    shell.expect("after 130");
    shell.type_in(sleep);
    shell.expect("running\r\n");
    shell.type_in("\x1a");
    shell.expect("Stopped");
    // The shell inherits no trap from the script. What it says of the job that was killed comes
    // before or not at all.
    shell.type_in("kill %1; wait; echo traps' '$(trap | wc -l); exit 9\r");
    shell.expect("traps 0\r\n");
    assert_eq!(shell.expect_exit(), exited(ShellExit::Exited(9)));
}

#[test]
fn a_session_that_is_ended_hangs_up_its_jobs_but_for_those_that_are_to_stay() {
    let host = Host::shared();
    let mut alice = holder(&host, "alice");
    let mut witness = alice.open("dev@web1").unwrap();
    for foreground in [false, true] {
        let mut shell = alice.open("dev@web1").unwrap();
        let plain = start_job(&mut shell, "");
        let stays = start_job(&mut shell, "nohup");
        if foreground {
            shell.type_in("echo waits' 'now; sleep 600\r");
            shell.expect("waits now\r\n");
        }
        assert_eq!(alice.ask(Ask::End { session: shell.session.clone() }).0, Answer::Ending);
        assert_eq!(shell.expect_exit(), EndReason::EndedByRequest.into());
        eventually("the job is hung up", PATIENCE, || (!is_there(&mut witness, &plain)).then_some(()));
        assert!(is_there(&mut witness, &stays), "nohup did not help");
        witness.type_in(&format!("kill {stays}\r"));
    }
}
