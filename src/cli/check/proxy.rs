//! Checks that tere-front has a socket for the proxy that the policy has, and that nobody else may
//! open it. The front refuses to start otherwise.

use zbus_systemd::systemd1::{ManagerProxy, SocketProxy};
use zbus_systemd::zbus::{self, Connection};

use super::Finding;
use super::within;

const WHAT: &str = "socket for the proxy";

/// Looks at tere-front.socket, as systemd has loaded it.
pub(super) fn look() -> Finding {
    let asked = async {
        let connection = Connection::system().await?;
        let unit = ManagerProxy::new(&connection).await?.load_unit("tere-front.socket".to_owned()).await?;
        let socket = SocketProxy::builder(&connection).path(unit).build().await?;
        Ok::<_, zbus::Error>((socket.listen().await?, socket.socket_mode().await?))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let answer =
        runtime.map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(within(asked)));
    match answer {
        Ok((listen, mode)) => finding(&listen, mode),
        Err(error) => Finding::unknown(WHAT, error, "See what systemctl cat tere-front.socket says."),
    }
}

/// `listen` has the kind and the address of each socket, `mode` the permissions of those with a
/// path.
fn finding(listen: &[(String, String)], mode: u32) -> Finding {
    const FIX: &str = "systemctl edit tere-front.socket: ListenStream= with a path, SocketMode=0660, and the proxy's group as SocketGroup=; then: systemctl restart tere-front.socket tere-front";
    if let Some((_, name)) = listen.iter().find(|(_, address)| address.starts_with('@')) {
        return Finding::wrong(
            WHAT,
            format!("{name} has no path, so everybody on this host may open it"),
            FIX,
        );
    }
    let Some((_, path)) = listen.iter().find(|(_, address)| address.starts_with('/')) else {
        return Finding::wrong(WHAT, "tere.toml has a [proxy], but tere-front listens on no path", FIX);
    };
    if mode & 0o002 != 0 {
        return Finding::wrong(
            WHAT,
            format!("everybody on this host may open {path} (mode {mode:04o})"),
            FIX,
        );
    }
    Finding::ok(WHAT, format!("{path}, mode {mode:04o}"))
}

#[cfg(test)]
mod tests {
    use super::super::FindingState;
    use super::*;

    #[test]
    fn the_socket_for_a_proxy_is_there_and_not_open_to_everybody() {
        for (addresses, mode, is_ok) in [
            (&["127.0.0.1:8022"][..], 0o660, false),
            (&["/run/tere/front.sock"], 0o660, true),
            (&["127.0.0.1:8022", "/run/tere/front.sock"], 0o600, true),
            (&["/run/tere/front.sock"], 0o666, false),
            (&["@tere", "/run/tere/front.sock"], 0o660, false),
        ] {
            let listen: Vec<_> =
                addresses.iter().map(|address| ("Stream".to_owned(), (*address).to_owned())).collect();
            let finding = finding(&listen, mode);
            assert_eq!(matches!(finding.state, FindingState::Ok), is_ok, "{finding:?}");
        }
    }
}
