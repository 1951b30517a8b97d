//! A private dbus-daemon.

use std::io::{BufRead as _, BufReader};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tere::sys::seqpacket::wait_readable;

use super::log_file;
use crate::DEADLINE;

/// Every client of the socket may send every message to every service. The real system bus
/// restricts who may own which name, on which tere does not depend, and so does not let everybody
/// call machined in the first place, which is tested on a real host.
const CONFIGURATION: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path=SOCKET</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"#;

#[derive(Debug)]
pub(super) struct Bus {
    daemon: Child,
    address: String,
}

impl Bus {
    /// Starts the daemon and waits until it listens.
    pub(super) fn start(socket: &Path, log: &Path) -> Self {
        let configuration = socket.with_extension("conf");
        std::fs::write(&configuration, CONFIGURATION.replace("SOCKET", socket.to_str().unwrap())).unwrap();
        let mut daemon = Command::new("dbus-daemon")
            .args(["--nofork", "--nopidfile", "--nosyslog", "--print-address"])
            .arg(format!("--config-file={}", configuration.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log_file(log))
            .spawn()
            .expect("install dbus-daemon");
        // The daemon prints its address once it listens.
        let said = daemon.stdout.take().unwrap();
        wait_readable(said.as_fd(), DEADLINE).expect("dbus-daemon does not start");
        let mut address = String::new();
        BufReader::new(said).read_line(&mut address).unwrap();
        Self { daemon, address: address.trim_end().to_owned() }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        drop(self.daemon.kill());
        drop(self.daemon.wait());
    }
}
