//! The whole path, from the link in a person's mail to the end of the shell.

use tere::names::{Color, TermSize, Theme};
use tere::protocol::page::{FromPage, ToPage};
use tere::protocol::{EndReason, Refusal};

use super::{enrolled, enrolment_token};
use crate::host::Host;
use crate::parts::page::{ORIGIN, Page};
use crate::parts::passkey::SoftAuthenticator;

#[test]
fn from_the_link_to_the_end_of_the_shell() {
    let host = Host::alone();
    let mut passkey = SoftAuthenticator::new(ORIGIN);
    let mut page = Page::over(host.connect_to_front());
    let lobby = page.enrol(&enrolment_token(&host, "alice"), &mut passkey);
    assert_eq!(lobby.account, "alice");
    assert_eq!(lobby.targets[0].target.to_string(), "dev@web1");
    drop(page);

    let mut page = Page::over(host.connect_to_front());
    assert_eq!(page.sign_in(&mut passkey).account, "alice");
    page.open(7, "dev@web1").unwrap();
    page.type_in(7, "stty -echo; id -un; tput cols; printf '\\u4f60\\u597d\\n'\r");
    page.expect(7, &format!("{}\r\n80\r\n你好\r\n", host.user_of_shells("dev")));
    page.say(&FromPage::Resize { stream: 7, size: TermSize::new(132, 50).unwrap() });
    page.type_in(7, "tput cols; tput lines\r");
    page.expect(7, "132\r\n50\r\n");
    page.type_in(7, "exit\r");
    assert_eq!(page.expect_end(7), EndReason::ShellEnded);
    // The number is free again.
    page.open(7, "dev@web1").unwrap();
}

/// Makes the shell ask for the background colour, and waits for this answer. Each query prints a
/// word of its own, because the screen of a later viewer contains the answers to earlier queries.
fn expect_background(page: &mut Page, word: &str, color: &str) {
    let ask = r"printf '\e]11;?\e\\'; read -rs -t 10 -d '\' a; echo ";
    page.type_in(1, &format!("{ask}\"{word} ${{a#*rgb:}}\"\r"));
    page.expect(1, &format!("{word} {color}"));
}

#[test]
fn programs_are_told_the_colours_of_the_window_that_their_owner_is_at() {
    let host = Host::alone();
    let (mut passkey, mut laptop) = enrolled(&host, "alice");
    let session = laptop.open(1, "dev@web1").unwrap();
    expect_background(&mut laptop, "first", "1313/1515/1b1b");
    let light = Theme { background: Color(0xfb, 0xfb, 0xfd), ..Theme::DEFAULT };
    laptop.say(&FromPage::Theme { stream: 1, theme: light });
    expect_background(&mut laptop, "light", "fbfb/fbfb/fdfd");

    // A phone with a dark theme, and then the laptop again.
    let mut phone = Page::over(host.connect_to_front());
    phone.sign_in(&mut passkey);
    phone.attach(1, &session).unwrap();
    phone.say(&FromPage::Theme { stream: 1, theme: Theme::DEFAULT });
    expect_background(&mut phone, "phone", "1313/1515/1b1b");
    expect_background(&mut laptop, "again", "fbfb/fbfb/fdfd");

    // The next worker knows the theme.
    host.kill_worker(&session);
    expect_background(&mut laptop, "recovered", "fbfb/fbfb/fdfd");
    laptop.say(&FromPage::EndSession { session });
    assert_eq!(laptop.expect_end(1), EndReason::EndedByRequest);
}

#[test]
fn a_connection_drops_and_the_shell_is_still_there() {
    let host = Host::alone();
    let (mut passkey, mut page) = enrolled(&host, "alice");
    let session = page.open(1, "dev@web1").unwrap();
    page.type_in(1, "stty -echo; here=$((40+2)); echo ready\r");
    page.expect(1, "ready\r\n");
    // Closed without a goodbye, as when a laptop is shut.
    drop(page);

    let mut page = Page::over(host.connect_to_front());
    let lobby = page.sign_in(&mut passkey);
    assert!(lobby.sessions.iter().any(|there| there.id == session), "{:?}", lobby.sessions);
    assert_eq!(page.attach(3, &session).unwrap(), session);
    page.type_in(3, "echo the same $here\r");
    page.expect(3, "the same 42\r\n");
    page.say(&FromPage::EndSession { session: session.clone() });
    assert_eq!(page.expect_end(3), EndReason::EndedByRequest);
    assert_eq!(page.attach(3, &session).unwrap_err(), Refusal::NoSuchSession);
    assert!(page.sessions().iter().all(|there| there.id != session));
}

#[test]
fn a_page_gets_nothing_that_its_account_is_not_granted() {
    let host = Host::alone();
    let (_, mut alice) = enrolled(&host, "alice");
    let session = alice.open(1, "dev@web1").unwrap();
    let (_, mut bob) = enrolled(&host, "bob");
    for target in ["root@web1", "dev@nobus", "dev@.host", "nobody-there@web1"] {
        assert_eq!(bob.open(1, target).unwrap_err(), Refusal::NotGranted, "{target}");
    }
    assert_eq!(bob.attach(1, &session).unwrap_err(), Refusal::NoSuchSession);
    bob.say(&FromPage::EndSession { session: session.clone() });
    assert_eq!(bob.hear(), ToPage::Refused { stream: None, refusal: Refusal::NoSuchSession });
    assert!(bob.sessions().is_empty());
    alice.type_in(1, "echo still $((1+1)) here\r");
    alice.expect(1, "still 2 here");

    // Before a sign-in, not even that is answered.
    let mut nobody = Page::over(host.connect_to_front());
    nobody.say(&FromPage::Attach { stream: 1, session, size: TermSize::new(80, 24).unwrap() });
    let refused = ToPage::Refused { stream: None, refusal: Refusal::BadMessage };
    assert_eq!(nobody.expect_closed(), Some(refused));
}

#[test]
fn a_worker_that_is_killed_is_not_missed() {
    let host = Host::alone();
    let (_, mut page) = enrolled(&host, "alice");
    let session = page.open(1, "dev@web1").unwrap();
    for round in 0..3 {
        page.type_in(1, &format!("echo before $((round={round}+1))\r"));
        page.expect(1, &format!("before {}", round + 1));
        host.kill_worker(&session);
        page.type_in(1, "echo after $round\r");
        page.expect(1, &format!("after {}", round + 1));
    }
    page.type_in(1, "exit\r");
    assert_eq!(page.expect_end(1), EndReason::ShellEnded);
}
