//! A broker without a host, for tests: the workers of its sessions are the test.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::Broker;
use super::orders::{ORDERS, Order};
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

/// Alice may be `dev@box`. It has its files in this folder.
pub(super) fn broker(folder: &Path) -> Arc<Broker> {
    let path = folder.join("tere.toml");
    std::fs::write(&path, POLICY).unwrap();
    Broker::new(Policy::load(path).unwrap(), Records::at(folder.to_owned()), folder.to_owned()).0
}

/// A session of alice's on dev@box, and what its worker is told.
pub(super) fn session(broker: &Broker, id: &str) -> (Arc<Session>, mpsc::Receiver<Order>) {
    let record = Record::of_now(id.parse().unwrap(), "alice".parse().unwrap(), "dev@box".parse().unwrap());
    let (orders, inbox) = mpsc::channel(ORDERS);
    (broker.registry.restore(record, orders), inbox)
}
