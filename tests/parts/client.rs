//! A persistent client: a page that reconnects when it is cut off, and checks every line.
//!
//! Each session counts: its shell prints a tag and a number, again and again. [`Client::look`] is
//! the only place that defines what it means that no line is lost: each number follows the one
//! before it, and after a snapshot the count continues from a number that was seen.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tere::names::SessionId;
use tere::protocol::page::{FromPage, ToPage};

use super::page::Page;
use super::passkey::SoftAuthenticator;
use super::shell::PATIENCE;

/// How long one check of the connection takes if nothing comes.
const LOOK: Duration = Duration::from_millis(100);

/// Pause between two attempts to connect.
const AGAIN: Duration = Duration::from_millis(50);

/// One counting session.
#[derive(Debug)]
pub struct Counted {
    pub session: SessionId,
    tag: String,
    /// The next number.
    pub next: usize,
    /// Snapshots and gaps that have been checked.
    snapshots: usize,
    gaps: usize,
    /// Lines are missing until there are more snapshots with the whole scrollback than this.
    wholes: Option<usize>,
}

/// A client with its sessions.
pub struct Client<'a> {
    connect: &'a (dyn Fn() -> Page + Sync),
    passkey: &'a Mutex<SoftAuthenticator>,
    pub page: Option<Page>,
    pub sessions: Vec<Counted>,
    /// When the connection was lost, while it is not back yet.
    lost: Option<Instant>,
    /// How long the connection was lost, each time.
    pub away: Vec<Duration>,
}

impl<'a> Client<'a> {
    /// Signs in.
    pub fn new(connect: &'a (dyn Fn() -> Page + Sync), passkey: &'a Mutex<SoftAuthenticator>) -> Self {
        let mut client =
            Self { connect, passkey, page: None, sessions: Vec::new(), lost: None, away: Vec::new() };
        client.page = client.connect();
        assert!(client.page.is_some(), "the client cannot sign in");
        client
    }

    /// Opens a session that counts until a line is typed. It prints at most 500 lines per second,
    /// so that the scrollback covers 20 s without a connection. The quotes keep the echo of this
    /// line, which the whole scrollback contains, from looking like a line that the shell prints.
    pub fn count(&mut self, tag: &str) {
        let page = self.page.as_mut().unwrap();
        let stream = u16::try_from(self.sessions.len()).unwrap();
        let session = page.open(stream, "dev@web1").unwrap();
        page.type_in(stream, &format!(
            "stty -echo; PS1=; exec 9<> <(:); echo {tag}' 'ready; i=0; \
                 until read -t 0; do i=$((i+1)); echo {tag} $i; [ $((i % 10)) = 0 ] && read -t 0.02 -u 9; done; \
                 read; echo {tag}' 'over $i\r"
        ));
        page.expect(stream, &format!("{tag} ready\r\n"));
        let snapshots = page.screen(stream).snapshots;
        self.sessions.push(Counted {
            session,
            tag: tag.to_owned(),
            next: 1,
            snapshots,
            gaps: 0,
            wholes: None,
        });
    }

    /// Opens a session that prints its input and nothing else.
    pub fn open_quietly(&mut self) {
        let page = self.page.as_mut().unwrap();
        let session = page.open(0, "dev@web1").unwrap();
        page.type_in(0, "PS1='> '; echo be' 'gun\r");
        page.expect(0, "be gun\r\n");
        let snapshots = page.screen(0).snapshots;
        let (tag, next) = ("line".to_owned(), usize::MAX);
        self.sessions.push(Counted { session, tag, next, snapshots, gaps: 0, wholes: None });
    }

    /// Types if there is a connection, and returns whether there is one.
    pub fn try_type(&mut self, text: &str) -> bool {
        self.page.as_mut().is_some_and(|page| page.try_type_in(0, text))
    }

    /// The text of the first session's screen, and the lines above it.
    pub fn text(&mut self) -> String {
        self.page.as_mut().map(|page| page.screen(0).text()).unwrap_or_default()
    }

    /// Receives what comes, reconnecting if necessary, and checks it.
    pub fn look(&mut self) {
        if self.page.is_none() {
            self.page = self.connect();
            if self.page.is_none() {
                std::thread::park_timeout(AGAIN);
                return;
            }
            self.away.extend(self.lost.take().map(|lost| lost.elapsed()));
            // The new page counts snapshots from its first one.
            for counted in &mut self.sessions {
                (counted.snapshots, counted.gaps, counted.wholes) = (0, 0, None);
            }
        }
        let Some(page) = &mut self.page else { return };
        let goes_on = page.poll(LOOK);
        for message in page.heard() {
            assert!(
                !matches!(message, ToPage::Closed { .. } | ToPage::InputDropped { .. }),
                "a session ended, or input was dropped: {message:?}"
            );
        }
        for (stream, counted) in (0..).zip(&mut self.sessions) {
            counted.look(page, stream);
        }
        if !goes_on {
            self.page = None;
            self.lost = Some(Instant::now());
        }
    }

    /// Checks until every session has counted this many lines further.
    pub fn look_until_further(&mut self, lines: usize) {
        let wanted: Vec<_> = self.sessions.iter().map(|counted| counted.next + lines).collect();
        let deadline = Instant::now() + PATIENCE;
        while self.sessions.iter().zip(&wanted).any(|(counted, wanted)| counted.next < *wanted) {
            assert!(Instant::now() < deadline, "no further than {:?}; wanted {wanted:?}", self.sessions);
            self.look();
        }
    }

    /// Checks until the connection has been lost and is back, once more than `before` times.
    pub fn look_until_back(&mut self, before: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.away.len() <= before {
            assert!(Instant::now() < deadline, "the connection is not lost, or not back");
            self.look();
        }
    }

    /// Checks until told to stop, and counts the rounds in which all sessions have continued.
    pub fn look_for_long(&mut self, rounds: &AtomicUsize, stop: &AtomicUsize) {
        while stop.load(Ordering::Acquire) == 0 {
            self.look_until_further(100);
            rounds.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Makes every session end its count, and checks the last line.
    pub fn stop_counting(&mut self) {
        for stream in 0..self.sessions.len() {
            let number = u16::try_from(stream).unwrap();
            let counted = &mut self.sessions[stream];
            let page = self.page.as_mut().expect("the connection is there at the end");
            counted.look(page, number);
            page.type_in(number, "\r");
            let over = format!("{} over ", counted.tag);
            let deadline = Instant::now() + PATIENCE;
            let last = loop {
                assert!(
                    Instant::now() < deadline && page.poll(LOOK),
                    "the count of {counted:?} does not end"
                );
                // A viewer that fell behind at the end gets the rest with the whole scrollback.
                if counted.misses_lines(page, number) {
                    counted.look(page, number);
                    continue;
                }
                // The last line stays in `printed`, after complete lines that are numbers.
                let printed = String::from_utf8_lossy(&page.screen(number).printed).into_owned();
                if let Some((_, last)) = printed.split_once(&over)
                    && let Some((last, _)) = last.split_once("\r\n")
                {
                    break last.parse::<usize>().unwrap();
                }
            };
            counted.look(page, number);
            assert_eq!(counted.next, last + 1, "{counted:?}");
            page.type_in(number, "exit\r");
            page.expect_end(number);
        }
    }

    /// Connects, signs in and views every session, as a page does when it returns.
    fn connect(&self) -> Option<Page> {
        // The test's page panics if something is not available yet.
        catch_unwind(AssertUnwindSafe(|| {
            let mut page = (self.connect)();
            page.sign_in(&mut self.passkey.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
            for (stream, counted) in (0..).zip(&self.sessions) {
                page.attach(stream, &counted.session).unwrap();
            }
            page
        }))
        .ok()
    }
}

impl Counted {
    /// Whether lines are missing that a snapshot with the whole scrollback has.
    fn misses_lines(&self, page: &mut Page, stream: u16) -> bool {
        let screen = page.screen(stream);
        screen.gaps != self.gaps || self.wholes == Some(screen.wholes)
    }

    fn look(&mut self, page: &mut Page, stream: u16) {
        let screen = page.screen(stream);
        if self.next == usize::MAX {
            // This session does not count; its screen is checked instead.
            screen.printed.clear();
        }
        if screen.gaps != self.gaps {
            // The missing lines are in the scrollback.
            (self.gaps, self.wholes) = (screen.gaps, Some(screen.wholes));
            screen.printed.clear();
            // The front may have died after it announced the gap. The next poll notices that.
            page.try_say(&FromPage::Refresh { stream });
            return;
        }
        if self.wholes == Some(screen.wholes) {
            // The snapshot with the whole scrollback contains them.
            screen.printed.clear();
            return;
        }
        self.wholes = None;
        let anew = screen.snapshots != self.snapshots;
        let Some(end) = screen.printed.iter().rposition(|byte| *byte == b'\n') else { return };
        let lines: Vec<u8> = screen.printed.drain(..=end).collect();
        self.snapshots = screen.snapshots;
        let mut last = (!anew).then(|| self.next - 1);
        for line in String::from_utf8(lines).unwrap().lines() {
            let Some((tag, number)) = line.split_once(' ') else { continue };
            let Ok(number) = number.parse::<usize>() else { continue };
            assert_eq!(tag, self.tag, "a line of somebody else: {line:?}");
            match last {
                Some(last) => assert_eq!(number, last + 1, "of {self:?}"),
                None => assert!(number <= self.next, "{number} after a snapshot of {self:?}"),
            }
            last = Some(number);
            self.next = self.next.max(number + 1);
        }
    }
}
