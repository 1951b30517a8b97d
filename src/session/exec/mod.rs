//! A worker that runs one command without a terminal, in the thread `viewers`: one loop around
//! poll(2) between the client and the two PTYs behind which the scripts of the broker run the
//! command. Nothing is kept: when the client goes, or this process does, the PTYs hang up, and
//! the control script ends the command.

mod messages;
mod pty;

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use self::messages::Said;
use self::pty::{CommandPty, READ_MAX, framed, quoted};
use super::command::{ClientChannel, CommandPtys};
use super::core::{EndedShell, Input};
use super::stats::SessionStats;
use super::viewers::ViewersOrder;
use super::wake::Wake;
use crate::names::ReportKey;
use crate::protocol::exec::{CHUNK_MAX, Command, FromClient, Output, ToClient, WINDOW};
use crate::protocol::worker::ViewerId;
use crate::protocol::{EndReason, SessionEnd, ShellExit};
use crate::wire::{Intent, WireError};

/// How long it may take until the command runs, including the scripts in the machine and the
/// client's first message.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// How long the scripts may take to exit after the command has.
const EXIT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the client may take to receive the rest when the session is ended on request.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Most input in one frame: each costs a process in the machine.
const FRAME_MAX: usize = WINDOW;

/// Most packets received from the client in one turn.
const PER_TURN: usize = 16;

/// Most bytes of signals that the control script has not read. Further signals are dropped: dozens
/// are on their way already.
const SIGNALS_MAX: usize = 512;

/// What the loop works with.
#[derive(Debug)]
pub(super) struct Exec {
    wake: Arc<Wake>,
    stats: Arc<SessionStats>,
    orders: Receiver<ViewersOrder>,
    events: SyncSender<Input>,
    control: Arc<Wake>,
    main: CommandPty,
    errors: CommandPty,
    client: Option<Client>,
    /// What is being read, [`READ_MAX`] bytes.
    buffer: Vec<u8>,
    progress: Progress,
    /// Until when the command has to run, or the scripts have to exit.
    deadline: Option<Instant>,
    /// The control script was told that the command is over, and then the control thread.
    dismissed: bool,
    told: bool,
    ending: Option<Ending>,
}

/// How far the command is. Each step waits for a message of a script.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    /// The scripts start. What is known of them, and of the client, so far.
    Starting {
        ready: bool,
        path: Option<Vec<u8>>,
        command: Option<Command>,
    },
    /// The command was sent; its process group is not known yet.
    Sent,
    /// The control script was told the group.
    Grouped,
    Running,
    /// The command has ended, with this status if it is known, and its standard output is complete.
    Over(Option<u8>),
}

#[derive(Debug)]
struct Ending {
    end: SessionEnd,
    deadline: Instant,
}

/// The client.
#[derive(Debug)]
struct Client {
    id: ViewerId,
    channel: ClientChannel,
    greeted: bool,
    /// Input that is in no frame yet. At most [`WINDOW`]; a client that sends more is cut off.
    input: Vec<u8>,
    /// No more input may come.
    input_ended: bool,
    /// The frame that says so is written or being written.
    end_framed: bool,
    /// How much more input the client is to be told was taken.
    taken: u32,
    /// Its socket takes no packet now.
    is_full: bool,
    has_started: bool,
}

/// What the loop needs of the control thread.
#[derive(Debug)]
pub(super) struct Links {
    /// Raised when an order is queued.
    pub(super) wake: Arc<Wake>,
    pub(super) stats: Arc<SessionStats>,
    pub(super) orders: Receiver<ViewersOrder>,
    /// Events for the control thread, which `control` wakes.
    pub(super) events: SyncSender<Input>,
    pub(super) control: Arc<Wake>,
}

impl Exec {
    /// A command behind these PTYs, whose scripts have this key.
    ///
    /// # Errors
    /// Any error of ioctl(2).
    pub(super) fn new(links: Links, ptys: CommandPtys, key: &ReportKey) -> io::Result<Self> {
        let Links { wake, stats, orders, events, control } = links;
        let pty = |output, master| CommandPty::new(output, master, key);
        Ok(Self {
            wake,
            stats,
            orders,
            events,
            control,
            main: pty(Output::Standard, ptys.main)?,
            errors: pty(Output::Error, ptys.errors)?,
            client: None,
            buffer: vec![0; READ_MAX],
            progress: Progress::Starting { ready: false, path: None, command: None },
            deadline: Some(Instant::now() + START_TIMEOUT),
            dismissed: false,
            told: false,
            ending: None,
        })
    }

    /// Runs until the session is over and the client has been told.
    pub(super) fn run(mut self) {
        loop {
            self.wake.lower();
            self.obey();
            self.listen();
            self.read();
            self.write();
            self.send();
            self.note_end();
            if self.flushed() {
                self.report(Input::Flushed);
                return;
            }
            if let Err(error) = self.wait() {
                // poll(2) fails only for lack of memory or because of a bug: end the process, which
                // hangs the command up, rather than spin.
                tracing::error!(%error, "cannot wait for the client of a command");
                std::process::abort();
            }
        }
    }

    fn obey(&mut self) {
        while let Ok(order) = self.orders.try_recv() {
            match order {
                ViewersOrder::AddClient(id, channel) => {
                    self.stats.set_viewers(1);
                    self.client = Some(Client {
                        id,
                        channel,
                        greeted: false,
                        input: Vec::new(),
                        input_ended: false,
                        end_framed: false,
                        taken: 0,
                        is_full: false,
                        has_started: false,
                    });
                }
                ViewersOrder::Drop(..) => {
                    if let Some(client) = &self.client {
                        // A client that does not read still sees its socket close.
                        drop(client.channel.send(&ToClient::Ended(EndReason::ViewClosed.into()), &[]));
                    }
                    self.part();
                }
                ViewersOrder::Flush(end) => {
                    self.hang_up();
                    self.ending = Some(Ending { end, deadline: Instant::now() + FLUSH_TIMEOUT });
                }
                // A command has no viewers, and its client no other role than its owner's.
                ViewersOrder::Add(..) | ViewersOrder::Resume(_) => {}
                ViewersOrder::SetRole(viewer, role) => self.report(Input::RoleSet { viewer, role }),
            }
        }
    }

    /// The client is gone, and the command with it.
    fn part(&mut self) {
        self.hang_up();
        for pty in [&mut self.main, &mut self.errors] {
            pty.unsent.clear();
        }
        if let Some(client) = self.client.take() {
            self.stats.set_viewers(0);
            self.report(Input::ViewerGone(client.id));
        }
    }

    /// Hangs the command up, if it still runs.
    fn hang_up(&mut self) {
        for pty in [&mut self.main, &mut self.errors] {
            pty.hung_up();
        }
    }

    /// Receives what the client has sent.
    fn listen(&mut self) {
        for _ in 0..PER_TURN {
            let Some(client) = &mut self.client else { return };
            let received = if client.greeted {
                client.channel.receive().map(|(message, _)| Some(message))
            } else {
                client.channel.receive_greeting(Intent::Exec).map(|()| None)
            };
            match received {
                Ok(None) => client.greeted = true,
                Ok(Some(message)) => {
                    if !self.take(message) {
                        tracing::warn!("the client of a command broke the protocol");
                        return self.part();
                    }
                }
                Err(WireError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    tracing::debug!(%error, "the client of a command is gone");
                    return self.part();
                }
            }
        }
    }

    /// Handles a message of the client; false if it may not send that.
    fn take(&mut self, message: FromClient) -> bool {
        let Some(client) = &mut self.client else { return true };
        match message {
            FromClient::Start(command) => {
                if client.has_started {
                    return false;
                }
                client.has_started = true;
                if let Progress::Starting { command: wanted, .. } = &mut self.progress {
                    *wanted = Some(command);
                }
            }
            FromClient::Input(bytes) => {
                let fits = bytes.len() <= CHUNK_MAX && client.input.len() + bytes.len() <= WINDOW;
                if client.input_ended || !fits {
                    return false;
                }
                self.stats.note_activity();
                client.input.extend(bytes);
            }
            FromClient::InputEnd if client.input_ended => return false,
            FromClient::InputEnd => client.input_ended = true,
            FromClient::Signal(signal) => {
                if self.errors.to_write.len() < SIGNALS_MAX && self.progress == Progress::Running {
                    self.errors.to_write.extend(format!("{}\n", signal.name()).bytes());
                }
            }
            FromClient::Written { output, bytes } => {
                let pty = match output {
                    Output::Standard => &mut self.main,
                    Output::Error => &mut self.errors,
                };
                pty.room = pty.room.saturating_add(bytes as usize);
                return pty.room <= WINDOW;
            }
        }
        true
    }

    /// Reads what the PTYs have, and takes the next step if a script says so.
    fn read(&mut self) {
        let mut said = Vec::new();
        for pty in [&mut self.main, &mut self.errors] {
            if pty.read(&mut self.buffer, &mut said) {
                self.stats.note_activity();
            }
        }
        said.into_iter().for_each(|said| self.hear(said));
        if let Progress::Starting { ready: true, path: Some(path), command: Some(command) } = &self.progress {
            let mut words = quoted(path);
            for word in command.words() {
                words.push(b' ');
                words.extend(quoted(word));
            }
            self.main.to_write = framed(&words);
            self.progress = Progress::Sent;
        }
        self.feed();
    }

    fn hear(&mut self, said: Said) {
        match (said, &mut self.progress) {
            (Said::Ready, Progress::Starting { ready, .. }) => *ready = true,
            (Said::Terminal(its), Progress::Starting { path, .. }) => *path = Some(its),
            (Said::Group(group), Progress::Sent) => {
                self.errors.to_write.extend(format!("{group}\n").bytes());
                self.progress = Progress::Grouped;
            }
            (Said::Watching, Progress::Grouped) => {
                // The line that the command waits for.
                self.main.to_write.extend(framed(b"\n"));
                self.progress = Progress::Running;
                self.deadline = None;
                // What they print from now on is the command's, until a terminal changes.
                self.main.script_speaks = false;
                self.errors.script_speaks = false;
                if let Some(client) = &self.client {
                    // Fails if the client is gone, which is noticed when it is heard next. Its
                    // socket has room: this is the first packet.
                    drop(client.channel.send(&ToClient::Started, &[]));
                }
            }
            (Said::ErrorsEnded, _) => self.errors.is_complete = true,
            (Said::Ended(status), _) => {
                self.main.is_complete = true;
                self.progress = Progress::Over(status);
                self.deadline = Some(Instant::now() + EXIT_TIMEOUT);
            }
            // A script says each of these once; more is the machine's own doing.
            (Said::Ready | Said::Terminal(_) | Said::Group(_) | Said::Watching, _) => {}
        }
    }

    /// Puts the client's input into the next frame.
    fn feed(&mut self) {
        let Some(client) = &mut self.client else { return };
        if self.progress != Progress::Running || !self.main.to_write.is_empty() {
            return;
        }
        if !client.input.is_empty() {
            let next = client.input.len().min(FRAME_MAX);
            let bytes: Vec<u8> = client.input.drain(..next).collect();
            self.main.to_write = framed(&bytes);
            client.taken = client.taken.saturating_add(u32::try_from(next).unwrap_or(u32::MAX));
        } else if client.input_ended && !client.end_framed {
            client.end_framed = true;
            self.main.to_write = framed(b"");
        }
    }

    fn write(&mut self) {
        for pty in [&mut self.main, &mut self.errors] {
            pty.write();
        }
        // What was written makes room for the next frame.
        self.feed();
    }

    /// Sends the client what it has room for.
    fn send(&mut self) {
        let Some(client) = &mut self.client else { return };
        client.is_full = false;
        if !client.greeted {
            return;
        }
        if client.taken > 0 {
            let taken = std::mem::take(&mut client.taken);
            if !client.send(&ToClient::Taken(taken)) {
                client.taken = taken;
                return;
            }
        }
        for pty in [&mut self.main, &mut self.errors] {
            while let next @ 1.. = pty.unsent.len().min(pty.room).min(CHUNK_MAX) {
                let bytes = pty.unsent.get(..next).unwrap_or_default().to_vec();
                if !client.send(&ToClient::Output { output: pty.output, bytes }) {
                    return;
                }
                pty.unsent.drain(..next);
                pty.room -= next;
            }
        }
    }

    /// Tells the control thread when the command is over: it has ended, its client has everything
    /// and the scripts are gone; or a PTY has hung up before that, or it did not start in
    /// time.
    fn note_end(&mut self) {
        if self.told || self.ending.is_some() {
            return;
        }
        let is_late = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let is_sent = self.main.unsent.is_empty() && self.errors.unsent.is_empty();
        let (started, exit) = match self.progress {
            Progress::Over(status) => {
                let is_complete = self.errors.is_complete || self.errors.has_hung_up() || is_late;
                if !(is_complete && is_sent) {
                    return;
                }
                // The control script leaves the command's process group alone, and exits.
                if !self.errors.has_hung_up() && !is_late {
                    if !self.dismissed {
                        self.dismissed = true;
                        self.errors.to_write.extend(b"end\n");
                        self.errors.write();
                    }
                    return;
                }
                (true, status)
            }
            _ if is_late => (false, None),
            // A control script that is gone watches over nothing.
            _ if self.main.has_hung_up() || self.errors.has_hung_up() => {
                if !is_sent && self.client.is_some() {
                    return;
                }
                (matches!(self.progress, Progress::Running), None)
            }
            Progress::Starting { .. } | Progress::Sent | Progress::Grouped | Progress::Running => return,
        };
        self.told = true;
        self.deadline = None;
        let (printed, exit) = (u64::from(started), exit.map(ShellExit::of_status));
        self.report(Input::ShellEnded(EndedShell { printed, exit }));
    }

    /// Whether the session is over and the client has been told, or its time is up.
    fn flushed(&mut self) -> bool {
        let Some(Ending { end, deadline }) = &self.ending else { return false };
        let is_late = Instant::now() >= *deadline;
        let is_sent = self.main.unsent.is_empty() && self.errors.unsent.is_empty();
        match &mut self.client {
            // A client that has not greeted could not be told.
            Some(client) if (client.greeted && is_sent) || is_late => {
                client.send(&ToClient::Ended(*end)) || is_late
            }
            Some(_) => false,
            None => true,
        }
    }

    fn wait(&self) -> io::Result<()> {
        let mut fds = vec![PollFd::new(self.wake.as_fd(), PollFlags::POLLIN)];
        for pty in [&self.main, &self.errors] {
            let mut events = PollFlags::empty();
            events.set(PollFlags::POLLIN, pty.may_read());
            events.set(PollFlags::POLLOUT, !pty.to_write.is_empty());
            // A PTY that has hung up reports that on every poll.
            if let Some(master) = pty.master.as_ref().filter(|_| !events.is_empty()) {
                fds.push(PollFd::new(master.as_fd(), events));
            }
        }
        if let Some(client) = &self.client {
            let mut events = PollFlags::POLLIN;
            events.set(PollFlags::POLLOUT, client.is_full);
            fds.push(PollFd::new(client.channel.as_fd(), events));
        }
        let deadlines = [self.deadline, self.ending.as_ref().map(|ending| ending.deadline)];
        let next = deadlines.into_iter().flatten().min();
        let timeout = next.map_or(PollTimeout::NONE, |next| {
            // Rounded up: waking too early would waste a turn.
            let wait = next.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn report(&self, event: Input) {
        if self.events.try_send(event).is_err() {
            tracing::error!("the control thread takes no events");
            std::process::abort();
        }
        self.control.raise();
    }
}

impl Client {
    /// Sends a packet; false if the socket is full. A broken socket is noticed when it is read.
    fn send(&mut self, message: &ToClient) -> bool {
        let sent = self.channel.send(message, &[]);
        let is_full = |error: &WireError| matches!(error, WireError::Io(error) if error.kind() == io::ErrorKind::WouldBlock);
        self.is_full = sent.as_ref().is_err_and(is_full);
        !self.is_full
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    /// A machine in which no script ever says anything, or a client that never says what to run.
    #[test]
    fn a_command_that_does_not_start_in_time_is_over() {
        let wake = || Arc::new(Wake::new().unwrap());
        let ((orders, orders_in), (events, events_in)) = (sync_channel(4), sync_channel(4));
        let links = Links {
            wake: wake(),
            stats: Arc::new(SessionStats::new()),
            orders: orders_in,
            events,
            control: wake(),
        };
        let woken = Arc::clone(&links.wake);
        let ptys = [(); 2].map(|()| nix::pty::openpty(None, None).unwrap());
        for pty in &ptys {
            crate::sys::seqpacket::set_nonblocking(pty.master.as_fd()).unwrap();
        }
        let [main, errors] = &ptys;
        let masters = CommandPtys {
            main: main.master.try_clone().unwrap(),
            errors: errors.master.try_clone().unwrap(),
        };
        let mut exec = Exec::new(links, masters, &ReportKey::random().unwrap()).unwrap();
        exec.deadline = Some(Instant::now() + Duration::from_millis(50));
        let thread = std::thread::spawn(move || exec.run());
        let event = || events_in.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(matches!(event(), Input::ShellEnded(EndedShell { printed: 0, exit: None })));
        orders.send(ViewersOrder::Flush(EndReason::NeverStarted.into())).unwrap();
        woken.raise();
        assert!(matches!(event(), Input::Flushed));
        thread.join().unwrap();
    }
}
