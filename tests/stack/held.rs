//! More challenges and sockets than there are places, held by somebody who does nothing with them.

use std::io::Write as _;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tere::protocol::Refusal;
use tere::protocol::page::{FromPage, ToPage};

use crate::DEADLINE;
use crate::host::Host;
use crate::parts::memory::memory;
use crate::parts::page::Page;
use crate::parts::wait::eventually;
use crate::stories::enrolled;

#[test]
fn challenges_that_are_held_keep_nobody_out() {
    const HELD: usize = 300;
    let host = Host::alone();
    let (mut passkey, _) = enrolled(&host, "alice");
    let mut held: Vec<_> = (0..HELD).map(|_| Page::over(host.connect_to_front())).collect();
    for page in &mut held {
        page.say(&FromPage::SignIn {});
        let heard = page.hear();
        assert!(matches!(heard, ToPage::Challenge { .. }), "{heard:?}");
    }
    let lobby = Page::over(host.connect_to_front()).sign_in(&mut passkey);
    assert_eq!(lobby.account, "alice");
    // Those who were first have lost their challenge, and are told.
    assert_eq!(held[0].hear(), ToPage::Refused { stream: None, refusal: Refusal::Busy });
}

#[test]
fn idle_websockets_keep_nobody_out() {
    const HELD: usize = 2100;
    // Each of them is a descriptor here and one in the front.
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    let host = Host::alone();
    let (mut passkey, mut alice) = enrolled(&host, "alice");
    let mut held: Vec<_> = (0..HELD).map(|_| Page::over(host.connect_to_front())).collect();
    assert!(!held[0].poll(DEADLINE), "it has lost its place");
    let lobby = Page::over(host.connect_to_front()).sign_in(&mut passkey);
    assert_eq!(lobby.account, "alice");
    assert_eq!(alice.sessions(), [], "whoever is signed in stays");
}

#[test]
fn memory_that_sockets_held_is_given_back() {
    const HELD: usize = 1000;
    const MIB: usize = 1 << 20;
    let host = Host::alone();
    drop(host.connect_to_front());
    let front = || {
        let [(_, pid), ..] = host.programs();
        memory(&std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap())
    };
    let before = front();
    // Heads that are never complete.
    let head = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(15 * 1024));
    let mut held: Vec<_> = (0..HELD).map(|_| host.connect_to_front()).collect();
    held.iter_mut().for_each(|socket| socket.write_all(head.as_bytes()).unwrap());
    eventually("the front has read the heads", DEADLINE, || (front() > before + 10 * MIB).then_some(()));
    drop(held);
    eventually("the memory is given back", DEADLINE, || (front() < before + 4 * MIB).then_some(()));
}

#[test]
fn behind_a_proxy_a_source_takes_its_own_places() {
    let host = Host::alone();
    let (mut passkey, _) = enrolled(&host, "alice");
    let by_proxy = |last| Page::over(host.connect_by_proxy([192, 0, 2, last].into()));
    let mut waiting = by_proxy(2);
    let mut held: Vec<_> = (0..70).map(|_| by_proxy(1)).collect();
    assert!(!held[0].poll(DEADLINE), "it is beyond what one source may have");
    assert_eq!(waiting.sign_in(&mut passkey).account, "alice");
}
