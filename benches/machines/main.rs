//! Measures machines that tere makes: how long ten people who come at once wait for their prompts,
//! what fifty idle machines take, and ten copies of a machine with 1 GiB in it. `tests/bench machines`
//! boots the host and runs this in the host's network.
//!
//! Nothing is asserted. Every figure is of one run, on a file system that is printed beside it.

// A panic is how a bench fails, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(unreachable_pub)] // rooms of one program

#[path = "../../tests/parts/mod.rs"]
mod parts;

mod host;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use host::{at, enrol, host};

use parts::page::{ORIGIN, Page};
use parts::passkey::SoftAuthenticator;

/// The address on which the package's front listens.
const FRONT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8022);

/// How many people come at once, how many machines are idle, and how many copies are made.
const PEOPLE: usize = 10;
const MACHINES: usize = 50;
const COPIES: usize = 10;

/// How long the idle machines are watched.
const IDLE: Duration = Duration::from_secs(30);

/// The number of the only stream of each page.
const STREAM: u16 = 1;

/// Somebody with an account and a passkey.
struct Person {
    account: String,
    passkey: SoftAuthenticator,
}

fn main() {
    let mut people: Vec<Person> = (0..PEOPLE).map(|number| person(&format!("p{number:02}"))).collect();
    println!("file system of /var/lib/tere: {}", host("stat -f -c %T /var/lib/tere"));
    print_waits("ten people at once, no machine is there", &mut people);
    host("systemctl stop 'tere-managed@*.service'");
    print_waits("ten people at once, their machines are stopped", &mut people);
    print_waits("ten people at once, their machines run", &mut people);
    idle_machines();
    copies();
}

fn number(line: &str) -> f64 {
    let said = host(line);
    said.parse().unwrap_or_else(|_| panic!("{line}: {said}"))
}

fn person(account: &str) -> Person {
    let mut page = Page::over(TcpStream::connect(FRONT).unwrap());
    Person { account: account.to_owned(), passkey: enrol(account, &mut page, ORIGIN) }
}

/// Has all of them sign in and open a shell at the same moment, and prints how long each waited from
/// the connection to the prompt.
fn print_waits(what: &str, people: &mut [Person]) {
    let mut waits: Vec<f64> = std::thread::scope(|scope| {
        let all: Vec<_> = people.iter_mut().map(|person| scope.spawn(|| wait_of(person))).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    waits.sort_by(f64::total_cmp);
    println!("{what}: p50 {:.2} s, p95 {:.2} s", at(&waits, 50), at(&waits, 95));
}

fn wait_of(person: &mut Person) -> f64 {
    let began = Instant::now();
    let socket = TcpStream::connect(FRONT).unwrap();
    socket.set_nodelay(true).unwrap();
    let mut page = Page::over(socket);
    page.sign_in(&mut person.passkey);
    page.open(STREAM, &format!("dev@{}-box", person.account)).unwrap();
    page.expect(STREAM, "$");
    began.elapsed().as_secs_f64()
}

/// Starts more machines and prints what each takes while nobody uses it.
fn idle_machines() {
    let available = || number("awk '/^MemAvailable/ { print $2 }' /proc/meminfo") / 1024.0;
    host("systemctl stop 'tere-managed@*.service'; sync");
    // The package's 10-tere.conf sets the limit, but not in a container.
    let set = |file: &str, value: &str| std::fs::write(format!("/proc/sys/{file}"), value).unwrap();
    set("fs/inotify/max_user_instances", "8192");
    set("vm/drop_caches", "3");
    let before = available();
    let names: Vec<String> = (0..MACHINES).map(|number| format!("p{number:02}-box")).collect();
    for name in &names {
        host(&format!("tere machine start {name}"));
    }
    let used = before - available();
    let usage = || number("cat /sys/fs/cgroup/machine.slice/cpu.stat | awk '/^usage_usec/ { print $2 }'");
    let began = usage();
    // The figure is what they take in this time.
    std::thread::sleep(IDLE);
    let processors = (usage() - began) / 1e6 / IDLE.as_secs_f64() * 100.0;
    let each = |line: &str| {
        let mut figures: Vec<f64> = names.iter().map(|name| number(&line.replace("NAME", name))).collect();
        figures.sort_by(f64::total_cmp);
        at(&figures, 50)
    };
    // The memory of a process that it shares with others counts in parts (PSS).
    let memory = each(
        "cat $(find \"/sys/fs/cgroup$(systemctl show -P ControlGroup tere-managed@NAME.service)\" -name cgroup.procs) | \
         while read -r pid; do cat /proc/$pid/smaps_rollup 2>/dev/null; done | awk '/^Pss:/ { sum += $2 } END { print sum / 1024 }'",
    );
    let system = each("du -s --block-size=1024 /var/lib/tere/machines/NAME | cut -f1");
    let home = each("du -s --block-size=1024 /var/lib/tere/homes/NAME | cut -f1");
    println!(
        "{MACHINES} idle machines, each: {memory:.1} MiB of memory for its processes (PSS, median); \
         {:.1} MiB less available on the host; {system:.0} KiB of disk and {home:.0} KiB for its home (median); \
         all together {processors:.1} % of a processor",
        used / MACHINES as f64
    );
    host("systemctl stop 'tere-managed@*.service'");
}

/// Copies a machine that runs, with 1 GiB in its home.
fn copies() {
    host("tere machine start p00-box");
    host(
        "systemd-run --quiet --machine=p00-box --pipe --wait sh -c 'head -c 1G /dev/urandom >/home/dev/big; sync'",
    );
    let free = || number("sync; df --output=avail --block-size=1M /var/lib/tere | tail -n 1");
    let (before, mut times) = (free(), Vec::new());
    for copy in 0..COPIES {
        let began = Instant::now();
        host(&format!("tere machine fork p00-box p00.copy{copy}"));
        times.push(began.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    println!(
        "{COPIES} copies of a machine that runs, with 1 GiB in its home: p50 {:.2} s, slowest {:.2} s, {:.0} MiB of disk each",
        at(&times, 50),
        at(&times, 100),
        (before - free()) / COPIES as f64
    );
}
