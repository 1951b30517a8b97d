//! Machines whose grant demands a touch of the passkey for each view, a reason, or both.

use tere::protocol::Refusal;

use super::{Policy, holder};
use crate::host::Host;

const TOUCH: &str = "share = true\nfresh-touch = \"20s\"";

#[test]
fn no_touch_but_a_fresh_one_of_its_own_opens_or_views_a_shell_in_a_machine() {
    let host = Host::alone();
    let mut alice = holder(&host, "alice");
    let shell = alice.open("dev@web1").unwrap();
    let policy = Policy::of(&host);
    policy.set(TOUCH);
    assert_eq!(alice.open("dev@web1").unwrap_err(), Refusal::TouchRequired);
    assert_eq!(alice.attach(&shell.session).unwrap_err(), Refusal::TouchRequired);
}
