use std::io::ErrorKind;
use std::os::fd::AsFd as _;
use std::path::Path;

use super::{Finding, PATIENCE};
use crate::sys::seqpacket;
use crate::wire::{BUILD, Hello, Intent, VERSION, WireError};

/// The services whose build is checked: the socket, the intent for connecting to it, and the
/// service behind it.
const ASKED: [(&str, Intent, &str); 2] =
    [("control.sock", Intent::Control, "tere-auth"), ("broker.sock", Intent::Vouch, "tere-broker")];

/// Reads the build from the greeting of each running service. The layout of the greeting never
/// changes. front accepts no such connections, so `bus` checks its program file instead.
pub(super) fn look(runtime_dir: &Path) -> Vec<Finding> {
    let one = |(name, intent, service): (&str, Intent, &str)| {
        finding(service, greeting(&runtime_dir.join(name), intent))
    };
    ASKED.into_iter().map(one).collect()
}

fn finding(service: &str, greeting: Result<Hello, WireError>) -> Finding {
    let what = format!("version of {service}");
    let restart = format!("systemctl restart {service}");
    match greeting {
        Ok(hello) if hello.version != VERSION => {
            let found = format!("it speaks protocol version {}, this program {VERSION}", hello.version);
            Finding::wrong(what, found, restart)
        }
        Ok(hello) if hello.build != BUILD => {
            let found = format!("it runs build {}, this program is {BUILD}", hello.build);
            Finding::wrong(what, found, restart)
        }
        Ok(_) => Finding::ok(what, format!("build {BUILD}, as this program")),
        Err(WireError::Io(error)) if error.kind() == ErrorKind::PermissionDenied => {
            Finding::unknown(what, "only root may ask", "Run 'tere check' as root.")
        }
        Err(error) => {
            let fix = format!("journalctl -u {service} -n 20 says why; then: {restart}");
            Finding::wrong(what, error.to_string(), fix)
        }
    }
}

fn greeting(path: &Path, intent: Intent) -> Result<Hello, WireError> {
    let socket = seqpacket::connect(path)?;
    seqpacket::send(socket.as_fd(), &Hello::ours(intent).encode(), &[])?;
    seqpacket::wait_readable(socket.as_fd(), PATIENCE)?;
    let mut buffer = [0; 64];
    let received = seqpacket::receive(socket.as_fd(), &mut buffer)?;
    if received.length == 0 {
        return Err(WireError::Closed);
    }
    Hello::decode(buffer.get(..received.length).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::FindingState;
    use super::*;

    #[test]
    fn another_version_another_build_and_no_answer_are_wrong() {
        let hello = |version, build: &str| Ok(Hello { intent: 2, version, build: build.to_owned() });
        for (greeting, good) in [
            (hello(VERSION, BUILD), true),
            (hello(VERSION, "0"), false),
            (hello(VERSION + 1, BUILD), false),
            (Err(WireError::TimedOut), false),
        ] {
            let finding = finding("tere-auth", greeting);
            assert_eq!(matches!(finding.state, FindingState::Ok), good, "{finding:?}");
        }
    }
}
