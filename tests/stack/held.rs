//! More challenges and sockets than there are places, held by somebody who does nothing with them.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tere::protocol::Refusal;
use tere::protocol::page::{FromPage, ToPage};

use crate::DEADLINE;
use crate::host::Host;
use crate::parts::page::Page;
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
fn behind_a_proxy_a_source_takes_its_own_places() {
    let host = Host::alone();
    let (mut passkey, _) = enrolled(&host, "alice");
    let by_proxy = |last| Page::over(host.connect_by_proxy([192, 0, 2, last].into()));
    let mut waiting = by_proxy(2);
    let mut held: Vec<_> = (0..70).map(|_| by_proxy(1)).collect();
    assert!(!held[0].poll(DEADLINE), "it is beyond what one source may have");
    assert_eq!(waiting.sign_in(&mut passkey).account, "alice");
}
