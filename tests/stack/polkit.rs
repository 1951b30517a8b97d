//! The fakes refuse what polkit's rule refuses on a real host: the same lists are used there.

use crate::host::Host;
use crate::stories::attacks::{SHELLS_OF_OTHERS, UNITS_OF_OTHERS};

const DENIED: &str = "org.freedesktop.DBus.Error.AccessDenied";

#[test]
fn the_fakes_hold_the_broker_to_what_polkit_does() {
    let host = Host::alone();
    for shell in SHELLS_OF_OTHERS {
        let said = host.call("org.freedesktop.machine1", "OpenMachineShell", &shell);
        assert_eq!(said, Err(DENIED.to_owned()), "{shell:?}");
    }
    for unit in UNITS_OF_OTHERS {
        for verb in ["StartUnit", "StopUnit"] {
            let said = host.call("org.freedesktop.systemd1", verb, &[unit, "replace"]);
            assert_eq!(said, Err(DENIED.to_owned()), "{verb} {unit}");
        }
    }
    for verb in ["StopUnit", "RestartUnit"] {
        let said = host.call("org.freedesktop.systemd1", verb, &["tere-machine@web1.service", "replace"]);
        assert_eq!(said, Err(DENIED.to_owned()), "{verb} a machine");
    }
    // What is permitted works; otherwise the rest of this test proves nothing.
    host.call("org.freedesktop.machine1", "OpenMachineShell", &["web1", "dev", "/bin/sh"]).unwrap();
    host.call("org.freedesktop.systemd1", "StartUnit", &["tere-machine@web1.service", "replace"]).unwrap();
}
