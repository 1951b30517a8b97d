//! Units that are stopped with SIGSTOP, so that whoever needs them waits.

use std::cell::RefCell;

use crate::host::Host;
use crate::parts::shell::PATIENCE;
use crate::parts::stopped::has_stopped;
use crate::parts::wait::eventually;

/// A unit that is stopped until this is dropped. systemd's watchdogs are off meanwhile: they would
/// abort a service that is stopped for longer than its `WatchdogSec=` allows.
#[derive(Debug)]
pub struct StoppedUnit<'host> {
    host: &'host Host,
    unit: &'static str,
    /// The main processes at the time of the stop. A process that is started later runs.
    pids: Vec<String>,
    /// What waited for the unit when it had stopped.
    waited: u64,
    /// The sockets that were looked at last, which are printed if the test fails.
    sockets: RefCell<String>,
}

impl<'host> StoppedUnit<'host> {
    /// Stops a unit, or all units that match a pattern, and waits until all their threads have
    /// stopped.
    pub fn new(host: &'host Host, unit: &'static str) -> Self {
        let shown = host.run(&["systemctl", "show", "-P", "MainPID", unit]);
        let pids: Vec<_> =
            shown.lines().filter(|pid| !pid.is_empty() && *pid != "0").map(str::to_owned).collect();
        assert!(!pids.is_empty(), "{unit} does not run");
        let mut stopped = Self { host, unit, pids, waited: 0, sockets: RefCell::default() };
        host.run(&["systemctl", "service-watchdogs", "no"]);
        host.run(&["systemctl", "kill", "-s", "STOP", unit]);
        eventually(&format!("{unit} stops"), PATIENCE, || {
            let has_stopped = |pid: &String| has_stopped(&host.path(&format!("/proc/{pid}")));
            stopped.pids.iter().all(has_stopped).then_some(())
        });
        stopped.waited = stopped.waiting();
        stopped
    }

    /// Whether more waits in the unit's sockets than when it had stopped.
    pub fn is_waited_for(&self) -> bool {
        self.waiting() > self.waited
    }

    /// What the unit's sockets hold: connections that are not accepted yet, and unread bytes.
    fn waiting(&self) -> u64 {
        // A connected socket is in the network namespace of the process that connected: the front
        // connects to auth, auth to the broker, and the broker to the workers.
        let sockets = self.host.sh("ss -xanp; for unit in tere-front tere-auth tere-broker; do
                 nsenter --net=/proc/$(systemctl show -P MainPID $unit)/ns/net ss -xanp || true
             done 2>/dev/null");
        let pids: Vec<_> = self.pids.iter().map(|pid| format!("pid={pid},")).collect();
        let waiting = sockets
            .lines()
            .filter(|line| pids.iter().any(|pid| line.contains(pid)))
            .map(|line| line.split_whitespace().nth(2).unwrap().parse::<u64>().unwrap())
            .sum();
        self.sockets.replace(sockets);
        waiting
    }
}

impl Drop for StoppedUnit<'_> {
    fn drop(&mut self) {
        // Fails if the unit is dead.
        self.host.try_run(&["systemctl", "kill", "-s", "CONT", self.unit]);
        self.host.try_run(&["systemctl", "service-watchdogs", "yes"]);
        if std::thread::panicking() {
            println!(
                "{}, {:?}, {} waited; last seen: {}",
                self.unit,
                self.pids,
                self.waited,
                self.sockets.borrow()
            );
        }
    }
}
