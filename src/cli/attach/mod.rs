//! `tere open`, `tere attach` and `tere watch`: a session in the terminal that the command runs in.
//!
//! Two threads: this one holds the principal channel, and has the session viewed again when a view
//! breaks off; [`display`] shows the session and reads the keys, in a sandbox. What is typed while
//! there is no view is thrown away, as in the page.

mod display;
mod escape;

use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::ask::{PrincipalChannel, Unanswered, block_on};
use super::failure::{Failure, is_for_now};
use super::host::Host;
use super::picker;
use super::session::{Chosen, Named, choices, looking, named_session, only_target};
use super::tty::Tty;
use crate::backoff::Backoff;
use crate::names::{Reason, SessionId, Target};
use crate::protocol::principal::{Answer, Ask};
use crate::protocol::{EndReason, OpeningStep, Refusal, SessionEnd, ShellExit};
use crate::terminal::Painter;
use crate::wire::WireError;
use display::{FromDisplay, Manner, ToDisplay};

/// The exit status where the shell has none, as of ssh(1).
const NO_STATUS: u8 = 255;

/// Orders that the display has not taken. One more waits.
const ORDERS_MAX: usize = 4;

/// Events of the display that are not read. It has at most one for each view, and a last one: a
/// further one is dropped, because those before it say that the view is lost.
const EVENTS_MAX: usize = 16;

/// The pauses between attempts to view a session again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// The options of the commands that show a session.
#[derive(Debug, Clone, Args)]
pub(super) struct Options {
    /// The escape character, or 'none'. At the beginning of a line, with a dot it leaves the
    /// session, with 'R' it resets the terminal, with '?' it lists what there is.
    #[arg(long, short, value_name = "CHARACTER", default_value = "~", env = "TERE_ESCAPE",
        value_parser = escape)]
    escape: EscapeCharacter,
}

impl Default for Options {
    fn default() -> Self {
        Self { escape: EscapeCharacter(Some(b'~')) }
    }
}

/// The escape character, if there is one.
#[derive(Debug, Clone, Copy)]
struct EscapeCharacter(Option<u8>);

fn escape(text: &str) -> Result<EscapeCharacter, String> {
    match (text, text.as_bytes()) {
        ("none", _) => Ok(EscapeCharacter(None)),
        (_, [byte]) if byte.is_ascii_graphic() => Ok(EscapeCharacter(Some(*byte))),
        _ => Err("write one ASCII character, such as ~, or none".to_owned()),
    }
}

/// What to show.
#[derive(Debug)]
pub(super) enum Wanted {
    /// A new session on this target, or on the only one that there is, for this reason.
    Open(Option<Target>, Option<Reason>),
    /// A session.
    Attach(Named),
    /// A session, to look only.
    Watch(Named),
}

/// Shows a session until it is over or the person leaves.
pub(super) fn run(wanted: &Wanted, options: &Options, host: &Host) -> Result<ExitCode, Failure> {
    let tty = Tty::open()?;
    let (session, over) = block_on(async {
        let mut view = View::begin(wanted, options, &tty, host).await?;
        let over = view.show(&tty).await?;
        let View { channel, manner, socket, .. } = view;
        drop(socket);
        channel.finish().await;
        Ok((manner.session, over))
    })?;
    drop(tty);
    over.said(&session)
}

/// Has the person choose what to open or to come back to, and shows it.
pub(super) fn choose(host: &Host) -> Result<ExitCode, Failure> {
    let tty = Tty::open()?;
    let (lines, mut choices) = choices(host)?;
    let Some(number) = picker::pick(&tty, lines)? else { return Ok(ExitCode::SUCCESS) };
    drop(tty);
    let wanted = match choices.swap_remove(number) {
        Chosen::Session(session) => Wanted::Attach(Named::of(&session)),
        Chosen::Target(target) => Wanted::Open(Some(target), None),
    };
    run(&wanted, &Options::default(), host)
}

/// A view of a session.
struct View<'a> {
    host: &'a Host,
    channel: PrincipalChannel,
    manner: Manner,
    socket: OwnedFd,
}

/// How a view came to its end.
#[derive(Debug)]
enum Over {
    Ended(SessionEnd),
    Detached,
    /// It broke off, and cannot be had again.
    Refused(Refusal),
}

impl<'a> View<'a> {
    /// Opens or attaches.
    async fn begin(wanted: &Wanted, options: &Options, tty: &Tty, host: &'a Host) -> Result<Self, Failure> {
        let what = match wanted {
            Wanted::Open(Some(target), _) => format!("open a shell on {target}"),
            Wanted::Open(None, _) => "open a shell".to_owned(),
            Wanted::Attach(named) => format!("attach to {}", named.text()),
            Wanted::Watch(named) => format!("watch {}", named.text()),
        };
        let failed = |error: Unanswered| error.failure(&what);
        let mut channel = PrincipalChannel::vouched(host).await.map_err(failed)?;
        let size = tty.size();
        let ask = match wanted {
            Wanted::Open(target, reason) => {
                let target = match target {
                    Some(target) => target.clone(),
                    None => only_target(&mut channel, &what).await?,
                };
                Ask::Open { target, size, reason: reason.clone() }
            }
            Wanted::Attach(named) => {
                Ask::Attach { session: named_session(&mut channel, named, &what).await?, size }
            }
            Wanted::Watch(named) => {
                let session = named_session(&mut channel, named, &what).await?;
                looking(&channel, &session)
            }
        };
        let answered = channel.ask(ask, say_step).await.map_err(failed)?;
        let (Answer::Opened { session, .. }, Some(socket)) = answered else {
            return Err(Failure::out_of_turn("tere-broker"));
        };
        let looks_only = matches!(wanted, Wanted::Watch(_));
        let manner = Manner { session, looks_only, escape: options.escape.0 };
        Ok(Self { host, channel, manner, socket })
    }

    /// Shows it. The terminal is raw meanwhile.
    async fn show(&mut self, tty: &Tty) -> Result<Over, Failure> {
        let mut signals = Signals::new().map_err(|error| broken(&error))?;
        let socket = self.socket.try_clone().map_err(|error| broken(&error))?;
        let raw = tty.make_raw()?;
        let (orders, for_display) = mpsc::channel(ORDERS_MAX);
        let (told, mut events) = mpsc::channel(EVENTS_MAX);
        let manner = self.manner.clone();
        let display = std::thread::Builder::new()
            .name("display".to_owned())
            .spawn(move || display::run(manner, raw, for_display, &told))
            .map_err(|error| broken(&error))?;
        let over = self.keep(tty, socket, &orders, &mut events, &mut signals).await;
        // It gives the terminal back, and has a deadline for that.
        drop(orders);
        if display.join().is_err() {
            // It panicked. Whether the terminal takes this is all that can be hoped for.
            drop(io::stderr().write_all(&Painter::give_back()));
        }
        over
    }

    /// Has the session shown, and viewed again whenever the view or the principal channel breaks
    /// off.
    async fn keep(
        &mut self,
        tty: &Tty,
        socket: OwnedFd,
        orders: &mpsc::Sender<ToDisplay>,
        events: &mut mpsc::Receiver<FromDisplay>,
        signals: &mut Signals,
    ) -> Result<Over, Failure> {
        let mut socket = socket;
        loop {
            tell(orders, ToDisplay::View(socket)).await;
            let why = tokio::select! {
                event = events.recv() => match over(event)? {
                    Some(over) => return Ok(over),
                    None => "its view broke off".to_owned(),
                },
                // A right may have been withdrawn: nothing is shown without a channel.
                error = self.channel.closed() => error.to_string(),
                () = signals.any() => return Ok(Over::Detached),
            };
            tell(orders, ToDisplay::Offline(offline(&why))).await;
            let again = self.again(tty, orders);
            tokio::pin!(again);
            socket = loop {
                tokio::select! {
                    again = &mut again => match again {
                        Ok(socket) => break socket,
                        Err(refusal) => return Ok(Over::Refused(refusal)),
                    },
                    event = events.recv() => if let Some(over) = over(event)? { return Ok(over) },
                    () = signals.any() => return Ok(Over::Detached),
                }
            };
        }
    }

    /// Views the session again, as soon as that can be done.
    async fn again(&mut self, tty: &Tty, orders: &mpsc::Sender<ToDisplay>) -> Result<OwnedFd, Refusal> {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let why = match self.view_again(tty).await {
                Ok(socket) => return Ok(socket),
                Err(Unanswered::Refused(refusal)) if !is_for_now(refusal) => return Err(refusal),
                Err(Unanswered::Refused(refusal)) => refusal.to_string(),
                Err(Unanswered::Channel(whom, error)) => format!("{whom}: {error}"),
                Err(Unanswered::Afar(error)) => error.to_string(),
            };
            tell(orders, ToDisplay::Offline(offline(&why))).await;
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    /// Views the session on the channel that there is, or on a new one.
    async fn view_again(&mut self, tty: &Tty) -> Result<OwnedFd, Unanswered> {
        match self.attach(tty).await {
            Err(Unanswered::Channel(..) | Unanswered::Afar(_)) => {
                self.channel = PrincipalChannel::vouched(self.host).await?;
                self.attach(tty).await
            }
            attached => attached,
        }
    }

    async fn attach(&mut self, tty: &Tty) -> Result<OwnedFd, Unanswered> {
        let session = self.manner.session.clone();
        let ask = if self.manner.looks_only {
            looking(&self.channel, &session)
        } else {
            Ask::Attach { session, size: tty.size() }
        };
        match self.channel.ask(ask, |_| {}).await? {
            (Answer::Opened { .. }, Some(socket)) => Ok(socket),
            _ => Err(WireError::OutOfTurn.into()),
        }
    }
}

/// The signals at which the command leaves the session.
struct Signals {
    terminated: Signal,
    hung_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminated: signal(SignalKind::terminate())?, hung_up: signal(SignalKind::hangup())? })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminated.recv() => {}
            _ = self.hung_up.recv() => {}
        }
    }
}

/// What an event of the display means: the end, or that the view is lost.
fn over(event: Option<FromDisplay>) -> Result<Option<Over>, Failure> {
    match event {
        Some(FromDisplay::Lost) => Ok(None),
        Some(FromDisplay::Ended(end)) => Ok(Some(Over::Ended(end))),
        Some(FromDisplay::Detached) => Ok(Some(Over::Detached)),
        Some(FromDisplay::NoTerminal(error)) => Err(broken(&error)),
        Some(FromDisplay::NoSandbox(error)) => Err(broken(&error)),
        None => Err(broken(&"the thread that shows the session has ended")),
    }
}

async fn tell(orders: &mpsc::Sender<ToDisplay>, order: ToDisplay) {
    // Fails only if the thread has ended, which its last event says.
    drop(orders.send(order).await);
}

fn offline(why: &dyn std::fmt::Display) -> String {
    format!(" Offline, trying again. What you type is not kept. ({why})")
}

pub(super) fn say_step(step: OpeningStep) {
    let words = match step {
        OpeningStep::Making => "Making your machine…",
        OpeningStep::Booting => "Starting the machine…",
    };
    // Whoever closed standard error does not want to know.
    drop(writeln!(io::stderr(), "{words}"));
}

fn broken(cause: &dyn std::fmt::Display) -> Failure {
    Failure {
        cause: format!("the session cannot be shown any more: {cause}"),
        next: "It goes on. 'tere list' shows it, and 'tere attach' comes back to it.".to_owned(),
    }
}

impl Over {
    /// Says it, with the exit status of the shell.
    fn said(self, session: &SessionId) -> Result<ExitCode, Failure> {
        let say = |text: &str| drop(writeln!(io::stderr(), "{text}"));
        match self {
            Self::Detached => {
                say(&format!(
                    "Left the session {session}, which goes on.\nBack to it: tere attach {session}"
                ));
                Ok(ExitCode::SUCCESS)
            }
            Self::Refused(refusal) => {
                say(&format!(
                    "tere: {}",
                    Failure::refused(&format!("come back to {session}"), refusal).cause
                ));
                Ok(NO_STATUS.into())
            }
            Self::Ended(SessionEnd {
                reason: EndReason::ShellEnded,
                exit: Some(ShellExit::Exited(status)),
            }) => Ok(status.into()),
            Self::Ended(end) => {
                Failure::over(session, end).say();
                Ok(NO_STATUS.into())
            }
        }
    }
}
