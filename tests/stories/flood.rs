//! More output than a page takes and more input than a program takes: nobody else has to wait.

use tere::protocol::page::ToPage;
use tere::protocol::viewer::Extent;

use super::enrolled;
use crate::host::Host;
use crate::parts::page::Page;

/// More than the worker keeps of the output (2 MiB) and sends to a page that acknowledges nothing
/// (64 KiB). Once another viewer has been sent this much, such a page can only be sent a snapshot,
/// however fast all of this went.
const MORE_THAN_IS_KEPT: usize = 4 * 1024 * 1024;

/// More input than can wait for a program that does not read: 256 KiB in the worker, and what the
/// kernel buffers for a terminal.
const MORE_THAN_WAITS: usize = 600 * 1024;

fn screen_alone(message: &ToPage) -> Option<()> {
    matches!(message, ToPage::Snapshot { stream: 1, extent: Extent::Screen, .. }).then_some(())
}

#[test]
fn a_page_that_does_not_read_holds_up_nobody_and_goes_on_later() {
    let host = Host::alone();
    let (mut passkey, mut slow) = enrolled(&host, "alice");
    let flood = slow.open(1, "dev@web1").unwrap();
    let mut quick = Page::over(host.connect_to_front());
    quick.sign_in(&mut passkey);
    quick.open(2, "dev@web1").unwrap();
    quick.attach(1, &flood).unwrap();
    let mut third = Page::over(host.connect_to_front());
    third.sign_in(&mut passkey);
    third.open(5, "dev@web1").unwrap();

    // The command line contains the prompt in two pieces, so that its echo is not taken for the
    // prompt.
    slow.type_in(1, "PS1='pro''mpt> '\r");
    quick.expect(1, "prompt> ");
    slow.type_in(1, "yes\r");
    quick.expect_bytes(1, MORE_THAN_IS_KEPT);
    third.type_in(5, "echo third $((1+1))\r");
    third.expect(5, "third 2");
    quick.type_in(2, "echo quick $((1+1))\r");
    quick.expect(2, "quick 2");
    // Ctrl-C works although the page that started it all has not read a byte since.
    quick.type_in(1, "\u{3}");
    // A shell may discard input while it handles the interrupt.
    quick.expect(1, "prompt> ");
    quick.type_in(1, "echo over $((1+1))\r");
    quick.expect(1, "over 2");

    slow.hear_of("a snapshot in the place of what it missed", screen_alone);
    slow.expect(1, "over 2");
}

#[test]
fn input_that_a_program_does_not_read_is_dropped_and_said_to_be() {
    let host = Host::alone();
    let (_, mut page) = enrolled(&host, "alice");
    page.open(1, "dev@web1").unwrap();
    page.open(2, "dev@web1").unwrap();
    page.type_in(1, "stty raw -echo; echo deaf $((1+1)); exec sleep 1000\r");
    page.expect(1, "deaf 2");
    let paste = "x".repeat(16 * 1024);
    for _ in 0..MORE_THAN_WAITS / paste.len() {
        page.type_in(1, &paste);
    }
    let dropped = page.hear_of("what was dropped", |message| {
        if let ToPage::InputDropped { stream: 1, bytes } = message { Some(*bytes) } else { None }
    });
    assert!(dropped > 0);
    page.type_in(2, "echo still $((1+1)) here\r");
    page.expect(2, "still 2 here");
}
