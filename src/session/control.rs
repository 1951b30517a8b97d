//! The worker's first thread, which handles the broker's channel, systemd's signals and watchdog,
//! and the end of the shell. It feeds [`Core`] and carries out the actions that [`Core`] returns.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signalfd::SignalFd;

use super::command::{ClientChannel, CommandPtys};
use super::core::{Action, Core, EndedShell, Input, Leave};
use super::emulator::Emulator;
use super::exchange::Exchange;
use super::exec::{Exec, Links};
use super::memory::SessionMemory;
use super::reader::Reader;
use super::recovery::{self, Recovered, RecoveredSession};
use super::report;
use super::stats::SessionStats;
use super::store::{Store, StoredItem};
use super::viewer::Viewer;
use super::viewers::{LoopState, Viewers, ViewersOrder};
use super::wake::Wake;
use super::watchdog::Watchdog;
use crate::names::{ReportKey, SessionId, TermSize};
use crate::protocol::worker::{FromWorker, ToWorker, VIEWERS_MAX, ViewerId};
use crate::protocol::{self, Role};
use crate::sandbox::{self, Thread};
use crate::sys::inherited::Inherited;
use crate::sys::notify::Notify;
use crate::sys::{pty, seqpacket};
use crate::wire::{Channel, Intent, WireError};

/// Capacity of the queue of orders to the viewers' thread and of the queue of events from it. Each
/// order causes at most one event, each viewer one and the end one, and both queues are emptied as
/// they fill. A full queue means that a thread is stuck: the process then aborts, and the next
/// worker continues.
pub(super) const EVENTS: usize = 4 * VIEWERS_MAX;

/// Maximum terminal bytes queued in the kernel for one viewer. Output beyond that stays in the
/// ring, and a viewer that is too slow gets a snapshot instead, so that Ctrl-C does not wait behind
/// the backlog.
const VIEWER_BUFFER: usize = 64 * 1024;

/// How long the broker may take to send its greeting.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);

/// State of the control thread.
#[derive(Debug)]
pub(super) struct Control {
    listener: OwnedFd,
    store: Store,
    signals: SignalFd,
    core: Core,
    broker: Option<Channel<FromWorker, ToWorker>>,
    ended: Arc<Wake>,
    viewers: Arc<Wake>,
    inbox: Arc<Wake>,
    watchdog: Option<Watchdog>,
    memory: Arc<SessionMemory>,
    stats: Arc<SessionStats>,
    orders: SyncSender<ViewersOrder>,
    events: Receiver<Input>,
    /// Passes the PTY to the other threads, which wait for it; `None` once that is done.
    handover: Option<Handover>,
    /// Whether the session is a command.
    is_command: bool,
}

/// Channels on which the other threads wait for what they work with. Those threads are started and
/// sandboxed before it arrives: the control thread cannot start threads once it is sandboxed
/// itself. A thread whose channel is dropped ends.
#[derive(Debug)]
struct Handover {
    reader: SyncSender<Shared>,
    terminal: SyncSender<Shared>,
    viewers: SyncSender<Work>,
}

/// What the thread `viewers` is for.
#[derive(Debug)]
enum Work {
    Shell(Shared),
    Command(CommandPtys, ReportKey),
}

/// What all threads of a shell work with.
#[derive(Debug, Clone)]
struct Shared {
    pty: Arc<OwnedFd>,
    memory: Arc<SessionMemory>,
}

impl Control {
    /// Starts the other threads, enters the sandbox, and then takes over what the previous worker
    /// left with systemd: that worker may have been the attacker's.
    pub(super) fn start(
        listener: OwnedFd,
        notify: Notify,
        inherited: Vec<Inherited>,
        signals: SignalFd,
    ) -> io::Result<Self> {
        let (exchange, stats) = (Arc::new(Exchange::default()), Arc::new(SessionStats::new()));
        let wake = || Wake::new().map(Arc::new);
        let (ended, viewers, inbox, terminal, room) = (wake()?, wake()?, wake()?, wake()?, wake()?);
        let (orders, orders_in) = sync_channel(EVENTS);
        let (events, events_in) = sync_channel(EVENTS);
        let (reader_handover, reader_in) = sync_channel::<Shared>(1);
        let (terminal_handover, terminal_in) = sync_channel::<Shared>(1);
        let (viewers_handover, viewers_in) = sync_channel::<Work>(1);

        // A sender is dropped unused only when the process ends.
        let printed = [Arc::clone(&viewers), Arc::clone(&terminal)];
        let watchdog = Watchdog::new(printed.clone());
        let (over, there) = (Arc::clone(&ended), Arc::clone(&room));
        std::thread::Builder::new().name("pty".into()).spawn(move || {
            sandbox::enter_or_abort(Thread::WorkerPty, &[]);
            let Ok(Shared { pty, memory }) = reader_in.recv() else { return };
            Reader::new(pty, memory, printed, there, over).run();
        })?;
        let (given, noted) = (Arc::clone(&exchange), Arc::clone(&stats));
        let (wake, told) = (Arc::clone(&terminal), Arc::clone(&viewers));
        std::thread::Builder::new().name("terminal".into()).spawn(move || {
            sandbox::enter_or_abort(Thread::WorkerTerminal, &[]);
            let Ok(Shared { memory, .. }) = terminal_in.recv() else { return };
            Emulator { memory, exchange: given, stats: noted, wake, room, viewers: told }.run();
        })?;
        let (wake, control, noted) = (Arc::clone(&viewers), Arc::clone(&inbox), Arc::clone(&stats));
        std::thread::Builder::new().name("viewers".into()).spawn(move || {
            sandbox::enter_or_abort(Thread::WorkerViewers, &[]);
            let (stats, orders) = (noted, orders_in);
            match viewers_in.recv() {
                Ok(Work::Shell(Shared { pty, memory })) => {
                    let state = LoopState::default();
                    let viewers = Viewers {
                        pty,
                        memory,
                        exchange,
                        stats,
                        wake,
                        terminal,
                        orders,
                        events,
                        control,
                        state,
                    };
                    viewers.run();
                }
                Ok(Work::Command(ptys, key)) => {
                    match Exec::new(Links { wake, stats, orders, events, control }, ptys, &key) {
                        Ok(exec) => exec.run(),
                        Err(error) => {
                            // The broker notices, and the command never ran.
                            tracing::error!(%error, "a command's PTY has no packet mode");
                            std::process::abort();
                        }
                    }
                }
                Err(_) => {}
            }
        })?;
        // Made before, because the sandbox lets no memory file be made.
        let empty = SessionMemory::new()?;
        sandbox::enter(Thread::WorkerControl, &[]).map_err(io::Error::other)?;
        let (mut store, stored) = Store::open(notify, inherited)?;
        let Recovered { memory, session } = recovery::recover(&mut store, stored, empty)?;
        let mut control = Self {
            listener,
            store,
            signals,
            core: Core::default(),
            broker: None,
            ended,
            viewers,
            inbox,
            watchdog,
            memory,
            stats,
            orders,
            events: events_in,
            handover: Some(Handover {
                reader: reader_handover,
                terminal: terminal_handover,
                viewers: viewers_handover,
            }),
            is_command: false,
        };
        if let Some(session) = session {
            control.resume(session);
        }
        Ok(control)
    }

    /// Continues the session of the previous worker.
    fn resume(&mut self, RecoveredSession { pty, viewers }: RecoveredSession) {
        self.core = Core::resumed(viewers.iter().map(|viewer| viewer.id).collect());
        for viewer in viewers {
            self.order(ViewersOrder::Resume(viewer));
        }
        self.hand_over(pty);
        tracing::info!("continuing the session of the previous worker");
    }

    /// Runs until the worker leaves.
    pub(super) fn run(mut self) -> io::Result<Leave> {
        self.store.say("READY=1")?;
        loop {
            for input in self.next()? {
                for action in self.core.handle(input) {
                    if let Some(leave) = self.act(action)? {
                        return Ok(leave);
                    }
                }
            }
        }
    }

    /// Waits for the next inputs. Pings the watchdog when that is due.
    fn next(&mut self) -> io::Result<Vec<Input>> {
        let left = self.watchdog.as_ref().map(|dog| dog.left(Instant::now()));
        // Rounded up: waking too early would waste a turn.
        let left = left.map(|left| left + Duration::from_millis(1));
        let timeout = left.and_then(|left| PollTimeout::try_from(left).ok()).unwrap_or(PollTimeout::NONE);
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut fds = vec![
            readable(self.listener.as_fd()),
            readable(self.signals.as_fd()),
            readable(self.ended.as_fd()),
            readable(self.inbox.as_fd()),
        ];
        fds.extend(self.broker.iter().map(|broker| readable(broker.as_fd())));
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        drop(fds);
        let ready = |index: usize| ready.get(index).copied().unwrap_or(false);
        // Until the PTY is handed over, the other threads only wait for it and cannot be kept busy.
        let (now, waiting) = (Instant::now(), self.handover.is_some());
        if self.watchdog.as_mut().is_some_and(|dog| dog.is_due(now, waiting)) {
            self.store.say("WATCHDOG=1")?;
        }
        let mut inputs = Vec::new();
        if ready(1) && self.signals.read_signal()?.is_some() {
            inputs.push(Input::Stop);
        }
        if ready(3) {
            self.inbox.lower();
            inputs.extend(self.events.try_iter());
        }
        if ready(4) {
            inputs.extend(self.hear());
        }
        if ready(2) {
            self.ended.lower();
            let (printed, exit) = (self.memory.head(), report::exit(&self.memory));
            inputs.push(Input::ShellEnded(EndedShell { printed, exit }));
        }
        if ready(0) {
            self.welcome();
        }
        Ok(inputs)
    }

    /// Accepts a new connection from the broker, which replaces the previous one: there is only one
    /// broker, and it has reconnected.
    fn welcome(&mut self) {
        let greeted = seqpacket::accept(self.listener.as_fd()).map_err(WireError::Io).and_then(|socket| {
            let channel = Channel::over(socket);
            channel.greet(Intent::Worker, GREETING_TIMEOUT)?;
            channel.send(&FromWorker::Standing(self.core.standing()), &[])?;
            // A broker that does not read must not hold up the session.
            seqpacket::set_nonblocking(channel.as_fd())?;
            Ok(channel)
        });
        match greeted {
            Ok(channel) => self.broker = Some(channel),
            Err(error) => tracing::warn!(%error, "the broker's connection is refused"),
        }
    }

    /// Receives one message from the broker.
    fn hear(&mut self) -> Option<Input> {
        match self.broker.as_ref()?.receive() {
            Ok((ToWorker::Exec { session, key }, descriptors)) => {
                let [main, errors] = <[OwnedFd; 2]>::try_from(descriptors).ok()?;
                Some(Input::Exec { session, ptys: CommandPtys { main, errors }, key })
            }
            Ok((message, descriptors)) => Some(Input::Broker(message, descriptors.into_iter().next())),
            Err(WireError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => {
                if !matches!(error, WireError::Closed) {
                    tracing::warn!(%error, "the broker's channel is closed");
                }
                self.broker = None;
                Some(Input::BrokerGone)
            }
        }
    }

    fn act(&mut self, action: Action) -> io::Result<Option<Leave>> {
        match action {
            Action::Keep { pty, session, size, report } => {
                self.memory.set_report_key(&report);
                self.keep(pty, &session, size)?;
            }
            Action::Exec { session, ptys, key } => self.exec(ptys, key, &session)?,
            Action::MakeViewer { viewer, .. } if self.is_command => self.make_client(viewer),
            Action::MakeViewer { viewer, role, size } => self.make_viewer(viewer, role, size),
            Action::SetRole { viewer, role } => {
                self.store.change_role(viewer, role)?;
                self.order(ViewersOrder::SetRole(viewer, role));
            }
            Action::DropViewer(viewer, unread) => self.order(ViewersOrder::Drop(viewer, unread)),
            Action::Tell(message) => {
                if let FromWorker::ViewerGone(viewer) = message {
                    self.store.forget_viewer(viewer)?;
                }
                self.tell(&message, &[]);
            }
            Action::Describe => self.tell(&FromWorker::Described(self.describe()), &[]),
            Action::Flush(end) => self.order(ViewersOrder::Flush(end)),
            Action::Exit(leave) => {
                if leave == Leave::Done {
                    self.store.forget_all()?;
                }
                return Ok(Some(leave));
            }
        }
        Ok(None)
    }

    fn describe(&self) -> protocol::About {
        protocol::About {
            title: self.stats.title(),
            size: self.memory.latest_size().unwrap_or(TermSize::DEFAULT),
            idle: u32::try_from(self.stats.idle().as_secs()).unwrap_or(u32::MAX),
            viewers: self.stats.viewers(),
            alert: self.stats.alert(),
        }
    }

    fn keep(&mut self, pty: OwnedFd, session: &SessionId, size: TermSize) -> io::Result<()> {
        if !pty::is_master(pty.as_fd()) {
            return Err(io::Error::other("the broker passed something that is not a PTY master"));
        }
        seqpacket::set_nonblocking(pty.as_fd())?;
        self.memory.add_size(size);
        pty::set_size(pty.as_fd(), size)?;
        // Stored before the broker is told that the PTY is kept.
        self.store.keep(StoredItem::Memory, self.memory.as_fd())?;
        self.store.keep(StoredItem::Pty, pty.as_fd())?;
        self.hand_over(pty);
        tracing::info!(%session, "session adopted");
        Ok(())
    }

    /// Passes the PTY to the other threads.
    fn hand_over(&mut self, pty: OwnedFd) {
        let shared = Shared { pty: Arc::new(pty), memory: Arc::clone(&self.memory) };
        let Some(Handover { reader, terminal, viewers }) = self.handover.take() else { return };
        drop(reader.send(shared.clone()));
        drop(terminal.send(shared.clone()));
        drop(viewers.send(Work::Shell(shared)));
    }

    /// Has a command run. Nothing of it is stored: it ends with this process.
    fn exec(&mut self, ptys: CommandPtys, key: ReportKey, session: &SessionId) -> io::Result<()> {
        for pty in [&ptys.main, &ptys.errors] {
            if !pty::is_master(pty.as_fd()) {
                return Err(io::Error::other("the broker passed something that is not a PTY master"));
            }
            seqpacket::set_nonblocking(pty.as_fd())?;
        }
        let Some(Handover { viewers, .. }) = self.handover.take() else { return Ok(()) };
        drop(viewers.send(Work::Command(ptys, key)));
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.watch_only(&self.viewers);
        }
        self.is_command = true;
        tracing::info!(%session, "session adopted for a command");
        Ok(())
    }

    /// Makes the client of the command: a command has one.
    fn make_client(&mut self, number: ViewerId) {
        let made = ClientChannel::pair().and_then(|(ours, theirs)| {
            seqpacket::set_nonblocking(ours.as_fd())?;
            seqpacket::set_send_buffer(ours.as_fd(), VIEWER_BUFFER)?;
            ours.send_greeting(Intent::Exec)?;
            Ok((ours, theirs))
        });
        match made {
            Ok((ours, theirs)) => {
                self.tell(&FromWorker::Attached(number), &[theirs.as_fd()]);
                self.order(ViewersOrder::AddClient(number, ours));
            }
            Err(error) => {
                tracing::warn!(%error, "the client of a command cannot be made");
                self.tell(&FromWorker::Full(number), &[]);
            }
        }
    }

    fn make_viewer(&mut self, number: ViewerId, role: Role, size: TermSize) {
        let made = Channel::pair().and_then(|(ours, theirs)| {
            seqpacket::set_nonblocking(ours.as_fd())?;
            seqpacket::set_send_buffer(ours.as_fd(), VIEWER_BUFFER)?;
            ours.send_greeting(Intent::Viewer)?;
            self.store.keep_viewer(number, role, ours.as_fd())?;
            Ok((ours, theirs))
        });
        match made {
            Ok((ours, theirs)) => {
                self.tell(&FromWorker::Attached(number), &[theirs.as_fd()]);
                self.order(ViewersOrder::Add(Viewer::new(number, role, ours, Instant::now()), size));
            }
            Err(error) => {
                tracing::warn!(%error, "a viewer cannot be made");
                self.tell(&FromWorker::Full(number), &[]);
            }
        }
    }

    fn tell(&mut self, message: &FromWorker, descriptors: &[std::os::fd::BorrowedFd<'_>]) {
        let Some(broker) = &self.broker else { return };
        if let Err(error) = broker.send(message, descriptors) {
            tracing::warn!(%error, "the broker cannot be told");
            self.broker = None;
        }
    }

    fn order(&self, order: ViewersOrder) {
        if self.orders.try_send(order).is_err() {
            // The viewers' thread is stuck. The next worker continues with what is in the store.
            tracing::error!("the viewers' thread takes no orders");
            std::process::abort();
        }
        self.viewers.raise();
    }
}
