//! People at the command line of the host: a UNIX user who belongs to an account opens shells,
//! leaves them, comes back, and gets nothing that the account is not granted.

use std::io::Read as _;
use std::process::Stdio;
use std::time::Duration;

use tere::names::AccountName;
use tere::protocol::principal::{Answer, Ask};
use tere::protocol::vouch::Principal;

use crate::host::{CommandOutput, Host};
use crate::parts::in_terminal::InTerminal;
use crate::parts::shell::{PATIENCE, PrincipalClient};
use crate::parts::wait::eventually;
use crate::stories::holder;

/// A host with a UNIX user who belongs to alice, and one who belongs to nobody.
struct People {
    host: Host,
}

const ALICES: &str = "tere-test-alice";
const NOBODYS: &str = "tere-test-nobody";

impl People {
    fn new() -> Self {
        let host = Host::alone();
        for user in [ALICES, NOBODYS] {
            host.sh(&format!("id {user} >/dev/null 2>&1 || useradd --create-home --shell /bin/sh {user}"));
        }
        host.sh("tere account list --json | grep -q '\"alice\"' || tere account add alice");
        host.run(&["tere", "account", "add-unix-user", "alice", ALICES]);
        let people = Self { host };
        // Other tests leave theirs.
        people.end_all();
        eventually("no session", PATIENCE, || sessions(&people, ALICES).is_empty().then_some(()));
        people
    }

    /// Runs `tere` as a user.
    fn tere(&self, user: &str, arguments: &[&str]) -> CommandOutput {
        let words = [&["runuser", "-u", user, "--", "tere"][..], arguments].concat();
        self.host.try_run(&words)
    }

    /// Runs `tere` as a user, in a terminal.
    fn terminal(&self, user: &str, arguments: &[&str]) -> InTerminal {
        let words = [&["runuser", "-u", user, "--", "tere"][..], arguments].concat();
        InTerminal::run(&self.host.command(&words))
    }

    fn end_all(&self) {
        PrincipalClient::vouched(&self.host.path("/run/tere/broker.sock"), Principal::Operator)
            .end_all_sessions();
    }
}

impl Drop for People {
    fn drop(&mut self) {
        for user in [ALICES, NOBODYS] {
            self.host.try_run(&["userdel", "--remove", "--force", user]);
        }
        self.host.try_run(&["tere", "account", "remove", "alice"]);
    }
}

/// The ids of the sessions that a user is shown.
fn sessions(people: &People, user: &str) -> Vec<String> {
    let listed = people.tere(user, &["list", "--json"]);
    assert!(listed.success, "{}", listed.err);
    let listed: serde_json::Value = serde_json::from_str(&listed.out).unwrap();
    listed.as_array().unwrap().iter().map(|one| one["session"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_person_opens_a_shell_leaves_it_comes_back_and_has_its_exit_status() {
    let people = People::new();
    let targets = people.tere(ALICES, &["list", "--targets"]);
    assert!(targets.out.lines().any(|target| target == "dev@web1"), "{targets:?}");
    let mut opened = people.terminal(ALICES, &["open", "dev@web1"]);
    opened.sees("a prompt", |screen| screen.contains('$'));
    opened.types("stty size; echo $((6*7))\r");
    // The thread that reads what the worker sends is in a sandbox.
    let sandboxed = "grep -l '^display$' /proc/[0-9]*/task/[0-9]*/comm | sed 's/comm$/status/' | xargs grep -h '^Seccomp:'";
    assert_eq!(people.host.sh(sandboxed), "Seccomp:\t2");
    opened.sees_line("24 80");
    opened.sees_line("42");
    assert!(opened.screen.title().starts_with("dev@web1"), "{}", opened.screen.title());
    // What is typed before the order to leave is typed, though both come at once.
    opened.types("\recho le''ft >left-behind\r~.");
    let (status, left) = opened.ends();
    let ids = sessions(&people, ALICES);
    let [id] = &*ids else { panic!("{ids:?}") };
    assert_eq!(status, 0, "{left}");
    assert!(left.contains(&format!("Back to it: tere attach {id}")), "{left}");
    assert!(!left.contains("42"), "the screen is not given back: {left}");
    let left_behind =
        people.tere(ALICES, &["exec", "dev@web1", "--", "sh", "-c", "cat left-behind; rm left-behind"]);
    assert_eq!(left_behind.out, "left", "{left_behind:?}");
    // From the list of what there is.
    let mut picked = people.terminal(ALICES, &[]);
    picked.sees("the list", |screen| {
        screen.contains("Still running") && screen.contains("> ") && screen.contains("dev@nobus")
    });
    picked.types("\x1b[B\x1b[A\r");
    picked.sees_line("42");
    picked.types("\r~.");
    assert_eq!(picked.ends().0, 0);
    let (status, left) = people.terminal(ALICES, &["open"]).ends();
    assert!(status == 1 && left.contains("targets"), "{left}");
    // The same screen, by a name of its own.
    assert!(people.tere(ALICES, &["name", id, "my build"]).success);
    let mut back = people.terminal(ALICES, &["attach", "my b"]);
    back.sees_line("42");
    back.types("exit 7\r");
    assert_eq!(back.ends().0, 7);
    eventually("the session is gone", PATIENCE, || sessions(&people, ALICES).is_empty().then_some(()));
    let journal = people.host.sh(&format!(
        "journalctl -q -o cat -t tere-broker TERE_SESSION={id} --output-fields=TERE_CREDENTIAL,MESSAGE"
    ));
    let uid = people.host.run(&["id", "-u", ALICES]);
    assert!(journal.contains(&format!("uid:{uid}")), "{journal}");
}

#[test]
fn a_session_in_a_terminal_comes_back_whatever_of_tere_is_killed() {
    let people = People::new();
    let mut opened = people.terminal(ALICES, &["open", "dev@web1"]);
    opened.sees("a prompt", |screen| screen.contains('$'));
    let ids = sessions(&people, ALICES);
    let worker = format!("tere-session@{}.service", ids[0]);
    for (number, unit) in
        [&*worker, "tere-broker.service", "tere-auth.service", &*worker].into_iter().enumerate()
    {
        people.host.sh(&format!("systemctl kill --signal=KILL {unit}"));
        // What is typed while there is no view is not kept, so it is typed until it is there.
        let mark = format!("mark {}", 100 + number);
        eventually("what is typed arrives", PATIENCE, || {
            opened.types(&format!("echo mark $((100+{number}))\r"));
            opened.sees_line_within(&mark, Duration::from_secs(2)).then_some(())
        });
    }
    assert_eq!(sessions(&people, ALICES), ids);
    opened.types("exit\r");
    assert_eq!(opened.ends().0, 0);
}

#[test]
fn whoever_watches_types_nothing_and_changes_no_size() {
    let people = People::new();
    let mut opened = people.terminal(ALICES, &["open", "dev@web1"]);
    opened.sees("a prompt", |screen| screen.contains('$'));
    let ids = sessions(&people, ALICES);
    let mut watched = people.terminal(ALICES, &["watch", &ids[0]]);
    watched.sees("the prompt", |screen| screen.contains('$'));
    watched.types("echo typed\r");
    opened.types("echo $((6*7)); stty size\r");
    opened.sees_line("42");
    opened.sees_line("24 80");
    watched.sees_line("24 80");
    watched.types("\r~.");
    assert_eq!(watched.ends().0, 0);
    let shown = people.tere(ALICES, &["show", &ids[0]]);
    assert!(shown.out.contains("42") && !shown.out.contains("typed"), "{shown:?}");
    // Nothing that was printed came through as it was: no query, no clipboard, no strange sequence.
    opened.types(
        "clear; printf '\\033[c\\033[6n\\033]52;c;aGFja2Vk\\007\\033[?2026h\\033P+q544e\\033\\\\shown\\n'\r",
    );
    opened.sees_line("shown");
    let raw = String::from_utf8_lossy(&opened.raw).into_owned();
    for sequence in ["\x1b[c", "\x1b[6n", "\x1b]52", "\x1bP"] {
        assert!(!raw.contains(sequence), "{sequence:?} reached the terminal");
    }
    assert!(people.tere(ALICES, &["end", &ids[0]]).success);
    let (status, left) = opened.ends();
    assert_eq!(status, 255);
    assert!(left.contains("it was ended on request"), "{left}");
}

#[test]
fn a_unix_user_gets_what_its_account_is_granted_and_nothing_else() {
    let people = People::new();
    let host = &people.host;
    // Nobody's user.
    for arguments in [&["list"][..], &["list", "--targets"], &["show", "aaaaaaaaaaaa"]] {
        let refused = people.tere(NOBODYS, arguments);
        assert!(!refused.success && refused.err.contains("no-account-of-user"), "{refused:?}");
    }
    let (status, left) = people.terminal(NOBODYS, &["open", "dev@web1"]).ends();
    assert!(status == 1 && left.contains("no-account-of-user"), "{status} {left}");
    // What the account is not granted, and the host itself.
    for (target, refusal) in
        [("root@web1", "not-granted"), ("dev@alice-other", "not-granted"), ("ops@.host", "not-granted")]
    {
        let (status, left) = people.terminal(ALICES, &["open", target]).ends();
        assert!(status == 1 && left.contains(refusal), "{target}: {status} {left}");
    }
    // Another's session.
    let mut bob = holder(host, "bob");
    let theirs = bob.open("dev@web1").unwrap();
    assert!(sessions(&people, ALICES).is_empty());
    for arguments in [["end", theirs.session.as_str()], ["name", theirs.session.as_str()]] {
        let refused = people.tere(ALICES, &arguments);
        assert!(!refused.success && refused.err.contains("no-such-session"), "{refused:?}");
    }
    // What root does is not a user's.
    for arguments in [
        &["account", "list"][..],
        &["account", "add-unix-user", "alice", NOBODYS],
        &["account", "add", "mallory"],
    ] {
        let refused = people.tere(ALICES, arguments);
        assert!(!refused.success && refused.err.contains("not-operator"), "{refused:?}");
    }
    for (user, why) in [
        ("root", "root is the operator"),
        ("nobody", "cannot be told apart"),
        ("no-such-user", "no UNIX user"),
    ] {
        let refused = host.try_run(&["tere", "account", "add-unix-user", "alice", user]);
        assert!(!refused.success && refused.err.contains(why), "{refused:?}");
    }
    people.end_all();
}

#[test]
fn a_unix_user_that_is_taken_away_loses_what_it_has_attached_at_once() {
    let people = People::new();
    let mut opened = people.terminal(ALICES, &["open", "dev@web1"]);
    opened.sees("a prompt", |screen| screen.contains('$'));
    people.host.run(&["tere", "account", "remove-unix-user", "alice", ALICES]);
    let (status, left) = opened.ends();
    // Whichever it hears first: that its view is closed, or that it may have no other.
    assert!(
        status == 255 && (left.contains("no-account-of-user") || left.contains("view-closed")),
        "{status} {left}"
    );
    // The session goes on, for whoever signs in.
    let alice: AccountName = "alice".parse().unwrap();
    let mut page =
        PrincipalClient::vouched(&people.host.path("/run/tere/broker.sock"), Principal::Account(alice));
    let (Answer::Lobby { sessions, .. }, _) = page.ask(Ask::Lobby) else { panic!("no lobby") };
    assert_eq!(sessions.len(), 1);
    people.end_all();
}

#[test]
fn a_command_runs_in_pipes_and_ends_with_its_status_or_its_client() {
    let people = People::new();
    let host = &people.host;
    let exec = |script: &str| people.tere(ALICES, &["exec", "dev@web1", "--", "sh", "-c", script]);
    for status in [0, 1, 7, 126, 255] {
        let ran = exec(&format!("echo out; echo err >&2; exit {status}"));
        assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (Some(status), "out", "err"));
    }
    assert_eq!(exec("kill -SEGV $$").status, Some(128 + 11));
    let refused = people.tere(ALICES, &["exec", "root@web1", "true"]);
    assert!(refused.status == Some(255) && refused.err.contains("not-granted"), "{refused:?}");
    let refused = people.tere(NOBODYS, &["exec", "dev@web1", "true"]);
    assert_eq!(refused.status, Some(255), "{refused:?}");
    let never = people.tere(ALICES, &["exec", "nobody-there@web1", "true"]);
    assert!(never.status == Some(255) && never.err.contains("did not start"), "{never:?}");

    // Bytes, both ways at once, through pipes on both sides.
    let tere = format!("runuser -u {ALICES} -- tere exec dev@web1 --");
    let sums = host.sh(&format!(
        "head -c 8000000 /dev/urandom >/run/tere-exec-test; sha256sum </run/tere-exec-test; {tere} cat </run/tere-exec-test | sha256sum; rm /run/tere-exec-test"
    ));
    let (one, two) = sums.split_once('\n').unwrap();
    assert_eq!(one, two);
    let piped = host.run(&["bash", "-c", &format!("{tere} yes | head -n 2; echo ${{PIPESTATUS[0]}}")]);
    assert_eq!(piped, "y\ny\n141");

    // A signal is passed on, and a client that is killed leaves no process.
    let quick = format!(
        "timeout --preserve-status --signal=USR1 --kill-after=60 2 {tere} sh -c 'trap \"exit 3\" USR1; while :; do sleep 0.1; done'"
    );
    let signalled = host.sh(&format!("{quick}; echo $?"));
    assert_eq!(signalled, "3");
    let deaf = "trap \"\" HUP TERM; while :; do sleep 1; done; : tere-exec-deaf";
    host.sh(&format!("({tere} sh -c '{deaf}' & sleep 2; kill -KILL $(pgrep -fx 'tere exec dev@web1 -- sh -c .*tere-exec-deaf'); wait) >/dev/null 2>&1 || true"));
    eventually("no process is left", PATIENCE, || {
        (exec("pgrep -f '[t]ere-exec-deaf'").status == Some(1)).then_some(())
    });
    eventually("no session is left", PATIENCE, || sessions(&people, ALICES).is_empty().then_some(()));
}

/// rsync, git and ssh(1) itself, without a port and without anything but the distribution's
/// programs in the machine.
#[test]
fn rsync_git_and_ssh_work_through_commands() {
    let people = People::new();
    let host = &people.host;
    let as_alice = |line: &str| host.run(&["runuser", "-u", ALICES, "--", "bash", "-euc", line]);
    let in_machine = |script: &str| people.tere(ALICES, &["exec", "dev@web1", "--", "sh", "-c", script]);
    in_machine("rm -rf copied repo .ssh");

    as_alice(
        "rm -rf ~/files ~/back; mkdir -p ~/files/deep; cd ~/files; seq 100000 >numbers; printf '\\0\\377' >'a name with spaces'; ln -s numbers link; \
         chmod 0640 numbers; touch -d '2001-02-03 04:05:06' numbers; seq 500 | sed 's,.*,deep/&,' | xargs touch",
    );
    as_alice("rsync -a -e 'tere rsh' ~/files/ dev@web1:copied/");
    as_alice(
        "rsync -a -e 'tere rsh' dev@web1:copied/ ~/back/ && diff -r ~/files ~/back && cmp <(stat -c '%a %Y' ~/files/numbers) <(stat -c '%a %Y' ~/back/numbers)",
    );

    let made = in_machine("git init --quiet --bare repo && git -C repo symbolic-ref HEAD refs/heads/main");
    assert!(made.success, "{made:?}");
    as_alice(
        "export GIT_SSH_COMMAND='tere rsh'; rm -rf ~/work ~/clone; git init --quiet -b main ~/work; cd ~/work; seq 20000 >file; git add file; \
         git -c user.name=a -c user.email=a@b commit --quiet -m one; git push --quiet dev@web1:repo main; git clone --quiet dev@web1:repo ~/clone; cmp file ~/clone/file",
    );

    // As tere(1) shows it.
    let made = in_machine(
        "mkdir -m 0700 .ssh && ssh-keygen -q -t ed25519 -N '' -f .ssh/host_key && \
         printf 'HostKey /home/dev/.ssh/host_key\\nUsePAM no\\nPidFile none\\nSubsystem sftp internal-sftp\\n' >.ssh/sshd_config",
    );
    assert!(made.success, "{made:?}");
    let key = as_alice(
        "rm -rf ~/.ssh; mkdir -m 0700 ~/.ssh; ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519; cat ~/.ssh/id_ed25519.pub",
    );
    let made = in_machine(&format!("echo '{key}' >.ssh/authorized_keys"));
    assert!(made.success, "{made:?}");
    let said = as_alice(
        "printf 'Host *.tere\\n    StrictHostKeyChecking accept-new\\n    ProxyCommand tere exec %%r@$(basename %%n .tere) /usr/sbin/sshd -i -f .ssh/sshd_config\\n' >~/.ssh/config; \
         ssh dev@web1.tere 'id -un; exit 0' 2>/dev/null; scp -q ~/files/numbers dev@web1.tere:by-scp; status=0; ssh dev@web1.tere 'exit 9' 2>/dev/null || status=$?; echo $status",
    );
    assert_eq!(said, "dev\n9");
    assert_eq!(in_machine("sha256sum <by-scp").out, as_alice("sha256sum <~/files/numbers"));
    in_machine("rm -rf copied repo .ssh by-scp");
}

#[test]
fn files_are_copied_both_ways_and_a_copy_goes_on_where_it_was_cut() {
    let people = People::new();
    let host = &people.host;
    let as_alice = |line: &str| host.run(&["runuser", "-u", ALICES, "--", "bash", "-euc", line]);
    let in_machine = |script: &str| people.tere(ALICES, &["exec", "dev@web1", "--", "sh", "-c", script]);
    in_machine("rm -rf copied big .rsync-partial");
    as_alice(
        "rm -rf ~/copy ~/back; mkdir -p ~/copy/deep; cd ~/copy; for n in $(seq 1000); do echo $n >f$n; done; \
         printf '\\0\\377' >\"a name: with '\"; ln -s f1 link; chmod 640 f2; touch -d 2001-02-03 f3; truncate -s 500M holes; seq 9 >>holes",
    );
    let list = "cd ~/copy && find . -printf '%P %y %m %Ts %s %l\\n' | sort; find . -type f ! -name holes -exec sha256sum {} + | sort";
    // A time of a folder is that of what was made in it last, to the second.
    as_alice("cd ~; tere cp copy/ dev@web1:copied; tere cp dev@web1:copied/ back");
    let there = in_machine(&list.replace("~/copy", "copied"));
    assert_eq!(there.status, Some(0), "{there:?}");
    assert_eq!(there.out.trim(), as_alice(list).trim());
    assert_eq!(as_alice(&list.replace("copy", "back")).trim(), as_alice(list).trim());
    // No program of a machine's making gets a right by being copied.
    in_machine("cp /bin/true copied/owned && chmod 6755 copied/owned");
    assert_eq!(
        as_alice("cd ~; tere cp dev@web1:copied/owned . && stat -c %a owned; rm -f owned").trim(),
        "755"
    );
    let taken = in_machine("du -k copied/holes | cut -f1");
    assert!(taken.out.trim().parse::<u64>().unwrap() < 10_000, "holes are copied as such: {taken:?}");

    // Cut off in the midst of it, a copy goes on, and does not begin again.
    as_alice("head -c 300000000 /dev/urandom >~/big; cd ~; (tere cp big dev@web1: & echo $! >copying; wait) || true &
              until tere exec dev@web1 -- sh -c 'test $(stat -c %s .big.* 2>/dev/null || echo 0) -gt 60000000'; do sleep 0.1; done
              pkill -TERM -u $(id -u) -x rsync; wait");
    let kept = in_machine("stat -c %s .rsync-partial/big");
    assert!(kept.out.trim().parse::<u64>().unwrap() > 50_000_000, "{kept:?}");
    as_alice("cd ~; tere cp big dev@web1:");
    let sums = [in_machine("sha256sum <big").out, as_alice("sha256sum <~/big")];
    assert_eq!(sums[0].trim(), sums[1].trim());
    assert_eq!(in_machine("ls -A .rsync-partial 2>/dev/null").out, "");
    // What cannot be done is said, and what to do.
    let refused = people.tere(ALICES, &["cp", "/etc/hostname", "root@web1:"]);
    assert!(refused.status == Some(1) && refused.err.contains("not-granted"), "{refused:?}");
    let none = people.tere(ALICES, &["cp", "/etc/nothing-there", "dev@web1:"]);
    assert!(none.status == Some(1) && none.err.contains("No such file"), "{none:?}");
    in_machine("rm -rf copied big .rsync-partial");
    as_alice("rm -rf ~/copy ~/back ~/big");
}

#[test]
fn a_forwarded_port_is_reached_and_ends_with_its_command() {
    let people = People::new();
    let host = &people.host;
    // Something that listens in the machine, which has no network but its loopback.
    let served = "use Socket; socket(S,PF_INET,SOCK_STREAM,0); setsockopt(S,SOL_SOCKET,SO_REUSEADDR,1); bind(S,pack_sockaddr_in(7011,INADDR_LOOPBACK)) or die; listen(S,9); \
                  while (accept(C,S)) { if (fork) { close(C); next } local $/; $all=<C>; print C length($all), q(:), $all; exit }";
    let mut server = host
        .command(&["runuser", "-u", ALICES, "--", "tere", "exec", "dev@web1", "--", "perl", "-e", served])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let forward = |words: &[&str]| {
        let words = [&["runuser", "-u", ALICES, "--", "tere", "forward", "dev@web1"][..], words].concat();
        let mut child = host.command(&words).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = [0; 256];
        let length = child.stderr.as_mut().unwrap().read(&mut said).unwrap();
        let said = String::from_utf8_lossy(&said[..length]).into_owned();
        assert!(said.contains("Ctrl-C ends it"), "{said}");
        child
    };
    let mut port = forward(&["7011", "7012"]);
    let mut socket = forward(&["7011", "/tmp/tere-forward-test"]);
    // The server counts what it gets until the end, and then answers: each way ends by itself.
    let ask = |connect: &str| {
        let line = format!(
            "use Socket; use IO::Handle; {connect} or die; print S 'x' x 300000; S->flush; shutdown(S,1); \
             local $/; $a=<S>; die unless length $a; print substr($a,0,7), length $a"
        );
        host.try_run(&["runuser", "-u", ALICES, "--", "perl", "-e", &line])
    };
    let tcp = "socket(S,PF_INET,SOCK_STREAM,0); connect(S,pack_sockaddr_in(7012,INADDR_LOOPBACK))";
    let unix = "socket(S,PF_UNIX,SOCK_STREAM,0); connect(S,pack_sockaddr_un('/tmp/tere-forward-test'))";
    for way in [tcp, unix] {
        eventually("it answers", PATIENCE, || {
            let said = ask(way);
            (said.out == "300000:300007").then_some(())
        });
    }
    assert_eq!(host.sh("stat -c %a /tmp/tere-forward-test"), "600");
    // Where nothing listens, the connection is closed and the person is told why.
    let mut nowhere = forward(&["7013", "7014"]);
    let said = ask(&tcp.replace("7012", "7014"));
    assert!(!said.success, "{said:?}");
    host.sh("pkill -TERM -x -f 'tere forward dev@web1 .*'");
    let mut why = String::new();
    nowhere.stderr.take().unwrap().read_to_string(&mut why).unwrap();
    assert!(why.contains("Connection refused"), "{why}");
    for child in [&mut port, &mut socket, &mut nowhere] {
        child.wait().unwrap();
    }
    assert!(!host.path("/tmp/tere-forward-test").exists());
    host.sh("pkill -TERM -x -f 'tere exec dev@web1 -- perl .*'");
    server.wait().unwrap();
    eventually("no session is left", PATIENCE, || sessions(&people, ALICES).is_empty().then_some(()));
}

#[test]
fn shells_complete_what_is_written_to_them() {
    let people = People::new();
    let bash = ". /usr/share/bash-completion/completions/tere; COMP_WORDS=(tere att); COMP_CWORD=1; \
        _clap_complete_tere tere att tere 2>/dev/null; echo \"${COMPREPLY[@]}\"";
    assert_eq!(people.host.run(&["bash", "-c", bash]).trim(), "attach");
    for file in ["/usr/share/zsh/vendor-completions/_tere", "/usr/share/fish/vendor_completions.d/tere.fish"]
    {
        let text = std::fs::read_to_string(people.host.path(file)).unwrap();
        assert!(text.contains("TERE_COMPLETE="), "{file}: {text}");
    }
}
