//! A broker without a host, for tests, which act as the workers of its sessions.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::Broker;
use super::machines::Machines;
use super::orders::{ORDERS, WorkerOrder};
use super::policy::Policy;
use super::records::{Record, Records};
use super::session::Session;

const POLICY: &str = r#"
origin = "https://shell.example.org"
[[grant]]
accounts = ["alice"]
machine = "box"
user = "dev"
share = true
"#;

/// Creates a broker that keeps its files in this folder. Its policy grants `dev@box` to alice.
pub(super) fn broker(folder: &Path) -> Arc<Broker> {
    let path = folder.join("tere.toml");
    std::fs::write(&path, POLICY).unwrap();
    let (policy, machines) = (Policy::load(path).unwrap(), Machines::at(folder.to_owned()));
    Broker::new(policy, Records::at(folder.to_owned()), machines, folder.to_owned()).0
}

/// Puts the same policy into force with its `share = true` replaced by this. No channel is told.
pub(super) fn set_policy(broker: &Broker, folder: &Path, share: &str) {
    std::fs::write(folder.join("tere.toml"), POLICY.replace("share = true", share)).unwrap();
    broker.policy.reload().unwrap();
}

/// Creates a session of alice's on dev@box, and returns it with the orders for its worker.
pub(super) fn session(broker: &Broker, id: &str) -> (Arc<Session>, mpsc::Receiver<WorkerOrder>) {
    let record = Record::of_now(id.parse().unwrap(), "alice".parse().unwrap(), "dev@box".parse().unwrap());
    let (orders, inbox) = mpsc::channel(ORDERS);
    (broker.registry.restore(record, orders), inbox)
}
