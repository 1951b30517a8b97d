use super::*;
use crate::names::KeyRight;
use crate::protocol::GuestRole;

const ORIGIN: &str = "origin = \"https://shell.example.org\"\n";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, "tere.toml")
}

/// The one-line error for `text`, as it appears in the journal.
fn refusal(text: &str) -> String {
    let line = parse(text).expect_err(text).to_string();
    assert!(!line.contains('\n'), "{line}");
    line
}

/// The error for an origin alone, without a position.
fn bad_origin(origin: &str) -> BadOrigin {
    origin.parse::<Origin>().expect_err(origin)
}

#[test]
fn a_policy_reads_as_it_is_written() {
    let text = format!(
        "{ORIGIN}\n[[grant]]\naccounts = [\"alice\", \"bob\"]\nmachine = \"box\"\nuser = \"dev\"\n\
         [[grant]]\naccounts = [\"alice\"]\nmachine = \"attic\"\nuser = \"dev\"\n"
    );
    let config = parse(&text).unwrap();
    let (alice, bob, eve) = ("alice".parse().unwrap(), "bob".parse().unwrap(), "eve".parse().unwrap());
    let (dev_box, attic) = ("dev@box".parse().unwrap(), "dev@attic".parse().unwrap());
    assert_eq!(config.targets_of(&alice), [dev_box, attic], "in the order of the file");
    let (dev_box, attic, other) =
        ("dev@box".parse().unwrap(), "dev@attic".parse().unwrap(), "ops@box".parse().unwrap());
    assert!(config.allows(&alice, &attic) && config.allows(&bob, &dev_box));
    assert!(!config.allows(&bob, &attic) && !config.allows(&alice, &other) && !config.allows(&eve, &dev_box));
    assert!(config.targets_of(&eve).is_empty());
}

#[test]
fn sessions_are_shared_only_where_the_grant_says_so() {
    let grant = |user: &str, rest: &str| {
        format!("[[grant]]\naccounts = [\"alice\"]\nmachine = \"box\"\nuser = \"{user}\"\n{rest}\n")
    };
    let text = [
        ORIGIN.to_owned(),
        grant("a", ""),
        grant("b", "share = false"),
        grant("c", "share = true"),
        grant("d", "share = \"watch\""),
    ];
    let config = parse(&text.concat()).unwrap();
    let (alice, bob) = ("alice".parse().unwrap(), "bob".parse().unwrap());
    let share = |account, target: &str| config.share(account, &target.parse().unwrap());
    assert_eq!(share(&alice, "c@box"), Some(GuestRole::Writer));
    assert_eq!(share(&alice, "d@box"), Some(GuestRole::Watcher));
    for (account, target) in [(&alice, "a@box"), (&alice, "b@box"), (&alice, "c@other"), (&bob, "c@box")] {
        assert_eq!(share(account, target), None, "{target}");
    }
    let said = |share: &str| refusal(&[ORIGIN, &grant("a", &format!("share = {share}"))].concat());
    for word in ["yes", "Watch", "true", ""] {
        let expected =
            format!("tere.toml:6:9: \"{word}\" is not a way to share: use true, false or \"watch\"");
        assert_eq!(said(&format!("\"{word}\"")), expected);
    }
    let expected = "tere.toml:6:9: write it like share = true or share = \"watch\"";
    assert_eq!((said("1"), said("[\"watch\"]")), (expected.to_owned(), expected.to_owned()));
}

#[test]
fn a_group_stands_for_its_accounts() {
    let groups = "[[group]]\nname = \"staff\"\naccounts = [\"alice\", \"bob\"]\n\
                  [[group]]\nname = \"ops\"\naccounts = [\"bob\"]\n";
    let rest = "machine = \"{account}-box\"\nuser = \"dev\"\n";
    let with = |accounts: &str| format!("{ORIGIN}{groups}[[grant]]\naccounts = {accounts}\n{rest}");
    let config = parse(&with("[\"carol\", \"@staff\", \"@ops\"]")).unwrap();
    let allows =
        |account: &str, target: &str| config.allows(&account.parse().unwrap(), &target.parse().unwrap());
    for account in ["alice", "bob", "carol"] {
        assert!(allows(account, &format!("dev@{account}-box")), "{account}");
    }
    assert!(!allows("alice", "dev@bob-box") && !allows("staff", "dev@staff-box"));
    let by = |account: &str| {
        config.group_of(&account.parse().unwrap(), &config.grants[0]).map(ToString::to_string)
    };
    assert_eq!((by("alice"), by("carol"), by("eve")), (Some("staff".to_owned()), None, None));
    for (text, expected) in [
        (with("[\"@staf\"]"), "tere.toml:9:13: no [[group]] has name = \"staf\""),
        (with("[\"@\"]"), "tere.toml:9:13: \"\" is not the name of a group"),
        (format!("{ORIGIN}{groups}{groups}"), "tere.toml:9:8: the group staff stands here twice"),
        (
            format!("{ORIGIN}[[group]]\nname = \"a\"\naccounts = [\"@a\"]\n"),
            "tere.toml:4:13: \"@a\" is not an account name",
        ),
        (format!("{ORIGIN}[[group]]\nname = \"a\"\naccounts = []\n"), "tere.toml:4:12: this is for nobody"),
        // By a group, an account has the target twice all the same.
        (
            format!("{}[[grant]]\naccounts = [\"alice\"]\n{rest}", with("[\"@staff\"]")),
            "tere.toml:12:1: the account alice has dev@alice-box already, by the grant in line 8",
        ),
    ] {
        let said = refusal(&text);
        assert!(said.starts_with(expected), "{said}\nexpected {expected}");
    }
}

#[test]
fn a_page_comes_back_for_twelve_hours_or_what_the_policy_says() {
    let resume = |line: &str| parse(&format!("{ORIGIN}{line}\n")).unwrap().resume.seconds();
    assert_eq!((resume(""), resume("resume = true")), (Some(12 * 3600), Some(12 * 3600)));
    assert_eq!((resume("resume = \"3d\""), resume("resume = false")), (Some(3 * 24 * 3600), None));
    for (line, expected) in [
        ("resume = \"ever\"", "tere.toml:2:10: \"ever\" is not a period of time"),
        ("resume = 12", "tere.toml:2:10: \"resume\" has a number for its value"),
    ] {
        let said = refusal(&format!("{ORIGIN}{line}\n"));
        assert!(said.starts_with(expected), "{said}\nexpected {expected}");
    }
}

#[test]
fn a_client_key_is_good_for_what_the_policy_says_and_for_nobody_else() {
    let with = |tables: &str| format!("{ORIGIN}[[group]]\nname = \"staff\"\naccounts = [\"bob\"]\n{tables}");
    let rule = "[[client-key]]\naccounts = [\"alice\", \"@staff\"]\nallow = [\"list\", \"attach\"]\n";
    let config = parse(&with(&format!("{rule}max-age = \"8h\"\n"))).unwrap();
    for account in ["alice", "bob"] {
        let rule = config.client_key_rule(&account.parse().unwrap()).unwrap();
        assert_eq!(rule.allow, BTreeSet::from([KeyRight::List, KeyRight::Attach]));
        assert_eq!(rule.max_age.get().as_secs(), 8 * 3600);
    }
    assert_eq!(config.client_key_rule(&"eve".parse().unwrap()), None);
    assert_eq!(parse(ORIGIN).unwrap().client_keys, [], "off by default");
    let default = parse(&with(rule)).unwrap().client_keys.remove(0).max_age.get();
    assert_eq!(default.as_secs(), 30 * 24 * 3600);
    for (tables, expected) in [
        (
            format!("{rule}[[client-key]]\naccounts = [\"bob\"]\nallow = [\"list\"]\n"),
            "tere.toml:8:1: the account bob is in another [[client-key]] already",
        ),
        (
            "[[client-key]]\naccounts = [\"bob\"]\nallow = []\n".to_owned(),
            "tere.toml:7:9: a key that may do nothing is of no use",
        ),
        (
            "[[client-key]]\naccounts = [\"bob\"]\nallow = [\"shell\"]\n".to_owned(),
            "tere.toml:7:10: \"shell\" is none of list, attach, open, exec, end, name, share: write it like",
        ),
        (
            "[[client-key]]\naccounts = [\"bob\"]\n".to_owned(),
            "tere.toml:5:1: \"allow\" is missing in a client-key",
        ),
        (
            "[[client-key]]\naccounts = [\"@nobody\"]\nallow = [\"list\"]\n".to_owned(),
            "tere.toml:6:13: no [[group]] has name = \"nobody\"",
        ),
    ] {
        let said = refusal(&with(&tables));
        assert!(said.starts_with(expected), "{said}\nexpected {expected}");
    }
}

#[test]
fn a_grant_says_which_shell_is_started_and_with_what_environment() {
    let grant =
        |rest: &str| grant(&format!("accounts = [\"alice\"]\nmachine = \"box\"\nuser = \"dev\"\n{rest}\n"));
    let rest =
        "shell = \"/usr/bin/zsh\"\nenvironment = { EDITOR = \"vim\", LANG = \"\", WHO = \"{account}!\" }";
    let launch = parse(&grant(rest)).unwrap().grants.remove(0).launch;
    assert_eq!(launch.shell.as_ref().map(Shell::as_str), Some("/usr/bin/zsh"));
    let alice = "alice".parse().unwrap();
    assert_eq!(
        launch.environment.for_account(&alice),
        ["TERM=xterm-256color", "COLORTERM=truecolor", "EDITOR=vim", "LANG=", "WHO=alice!"]
    );
    assert_eq!(parse(&grant("")).unwrap().grants.remove(0).launch, Launch::default());
    let many: String = (0..33).map(|number| format!("V{number} = \"\", ")).collect();
    for (rest, expected) in [
        ("shell = \"zsh\"", "tere.toml:7:9: \"zsh\" is not the path of a shell"),
        ("shell = \"/bin/../x\"", "tere.toml:7:9: \"/bin/../x\" is not the path of a shell"),
        ("shell = \"/bin/$SHELL\"", "tere.toml:7:9: \"/bin/$SHELL\" is not the path of a shell"),
        ("shell = \"/bin/\"", "tere.toml:7:9: \"/bin/\" is not the path of a shell"),
        ("environment = { TERM = \"x\" }", "tere.toml:7:15: TERM is set by tere or by the machine"),
        ("environment = { 1A = \"x\" }", "tere.toml:7:15: \"1A\" is not the name of a variable"),
        ("environment = { \"A=B\" = \"x\" }", "tere.toml:7:15: \"A=B\" is not the name of a variable"),
        ("environment = { A = \"\\n\" }", "tere.toml:7:15: the value of A must have"),
        (&format!("environment = {{ A = \"{}\" }}", "x".repeat(1025)), "tere.toml:7:15: the value of A must"),
        (&format!("environment = {{ {many} }}"), "tere.toml:7:15: a grant has at most 32 variables"),
        ("environment = \"A=B\"", "tere.toml:7:15: \"environment\" has a text for its value: write it like"),
    ] {
        let said = refusal(&grant(rest));
        assert!(said.starts_with(expected), "{said}\nexpected {expected}");
    }
}

#[test]
fn a_proxy_is_believed_only_if_the_policy_says_how_it_names_sources() {
    let proxy = |rest: &str| format!("{ORIGIN}[proxy]\n{rest}\n");
    let read = |text: &str| parse(text).unwrap().proxy;
    assert_eq!(read(ORIGIN), None);
    assert_eq!(read(&proxy("source = \"proxy-protocol\"")), Some(ProxySource::ProxyProtocol));
    assert_eq!(read(&proxy("source = \"x-forwarded-for\"")), Some(ProxySource::XForwardedFor));
    for (rest, expected) in [
        ("", "tere.toml:2:1: \"source\" is missing in a proxy: add a line like source = "),
        (
            "source = \"x-real-ip\"",
            "tere.toml:3:10: \"x-real-ip\" is none of proxy-protocol, x-forwarded-for",
        ),
        ("sources = []", "tere.toml:3:1: there is no key \"sources\" in a proxy: did you mean \"source\"?"),
    ] {
        let said = refusal(&proxy(rest));
        assert!(said.starts_with(expected), "{said}\nexpected {expected}");
    }
}

#[test]
fn a_value_that_there_is_not_is_answered_with_those_that_there_are() {
    let machine = |rest: &str| {
        let grant = grant("accounts = [\"a\"]\nmachine = \"{account}-box\"\nuser = \"d\"\n");
        format!("{grant}[[machine]]\nname = \"{{account}}-box\"\ntemplate = \"debian\"\n{rest}\n")
    };
    for (rest, expected) in [
        ("start = \"boot\"", "tere.toml:10:9: \"boot\" is none of on-open, at-boot: write it like start ="),
        ("update = \"\"", "tere.toml:10:10: \"\" is none of at-rebuild, at-start: write it like update ="),
        (
            "allow = [\"fork\", \"all\"]",
            "tere.toml:10:18: \"all\" is none of checkpoint, rebuild, fork, remove: write it like allow =",
        ),
    ] {
        let said = refusal(&machine(rest));
        assert!(said.starts_with(expected), "{said}");
    }
    let made = parse(&machine("start = \"at-boot\"\nupdate = \"at-start\"")).unwrap().machines.remove(0);
    assert_eq!((made.start, made.update), (Start::AtBoot, Update::AtStart));
}

#[test]
fn the_machines_of_a_policy_are_counted() {
    let grant = |accounts: &str, machine: &str, user: &str| {
        format!("[[grant]]\naccounts = [{accounts}]\nmachine = \"{machine}\"\nuser = \"{user}\"\n")
    };
    let machine =
        |name: &str, rest: &str| format!("[[machine]]\nname = \"{name}\"\ntemplate = \"debian\"\n{rest}\n");
    let text = [
        ORIGIN.to_owned(),
        grant("\"a\", \"b\"", "{account}-box", "dev"),
        grant("\"a\", \"c\"", "{account}-box", "ops"),
        grant("\"a\", \"b\"", "lab", "dev"),
        grant("\"a\", \"b\"", "{account}.{task}", "dev"),
        grant("\"a\"", "elsewhere", "dev"),
        machine("{account}-box", ""),
        machine("lab", ""),
        machine("{account}.{task}", "per-account = 3"),
    ];
    assert_eq!(parse(&text.concat()).unwrap().most_machines(), 3 + 1 + 6);
    assert_eq!(parse(ORIGIN).unwrap().most_machines(), 0);
}

/// The uid of a user whom tere makes comes from the name, and two of them in one machine could read
/// each other's files.
#[test]
fn two_users_of_a_machine_never_get_the_same_uid() {
    let uid = |name: &String| name.parse::<UnixUser>().unwrap().uid();
    let mut seen = BTreeMap::new();
    let (one, other) = (0..)
        .map(|number| format!("u{number}"))
        .find_map(|name| Some((seen.insert(uid(&name), name.clone())?, name)))
        .unwrap();
    let with = |machine: &str| {
        let grant = format!(
            "[[grant]]\naccounts = [\"{one}\", \"{other}\"]\nmachine = \"{machine}\"\nuser = \"{{account}}\"\n"
        );
        format!("{ORIGIN}{grant}[[machine]]\nname = \"{machine}\"\ntemplate = \"debian\"\n")
    };
    let said = refusal(&with("lab"));
    let expected = format!("tere.toml:2:1: the users {one} and {other} would have the same uid in lab");
    assert!(said.starts_with(&expected), "{said}");
    parse(&with("{account}-box")).unwrap();
}

#[test]
fn a_policy_without_grants_grants_nothing() {
    assert!(parse(ORIGIN).unwrap().grants.is_empty());
}

#[test]
fn the_packaged_example_is_good() {
    let text = include_str!("../../docs/tere.toml");
    parse(text).unwrap();
    // The example grant is commented out: installing the package gives nobody a shell.
    let active: String =
        text.lines().map(|line| line.strip_prefix("#| ").unwrap_or(line).to_owned() + "\n").collect();
    assert_eq!(parse(&active).unwrap().grants.len(), 2);
}

#[test]
fn an_origin_is_what_the_address_bar_says() {
    let origin: Origin = "https://shell.example.org:8443".parse().unwrap();
    assert_eq!(origin.as_str(), "https://shell.example.org:8443");
    assert_eq!(origin.host_header(), "shell.example.org:8443");
    assert_eq!((origin.rp_id(), origin.port()), ("shell.example.org", 8443));
    assert!(origin.is_https());
    let origin: Origin = "http://tere.localhost".parse().unwrap();
    assert_eq!((origin.rp_id(), origin.host_header()), ("tere.localhost", "tere.localhost"));
    assert!(!origin.is_https() && origin.port() == 80);
    assert_eq!("https://a.example".parse::<Origin>().unwrap().port(), 443);
    for good in ["http://localhost:8080", "https://localhost", "https://a", "https://xn--bcher-kva.example"] {
        assert_eq!(good.parse::<Origin>().unwrap().as_str(), good);
    }
}

#[test]
fn an_origin_that_no_browser_would_send_is_refused() {
    for text in ["shell.example.org", "", "ftp://a.example", "wss://a.example", "https:/a", "//a"] {
        assert_eq!(bad_origin(text), BadOrigin::Scheme, "{text}");
    }
    for text in ["http://shell.example.org", "http://localhost.example.org:80", "http://xlocalhost:1"] {
        let bad = bad_origin(text);
        assert!(matches!(bad, BadOrigin::PlainHttp { .. } | BadOrigin::OwnPort { .. }), "{text}: {bad}");
    }
    for text in ["https://a.example/", "https://a.example/x", "https://a.example?x", "https://a.example#x"] {
        assert_eq!(bad_origin(text), BadOrigin::Path { instead: "https://a.example".into() }, "{text}");
    }
    for text in ["https://1.2.3.4", "https://[::1]:8", "http://127.0.0.1:8080", "https://1.0x7f", "https://9"]
    {
        assert_eq!(bad_origin(text), BadOrigin::Address, "{text}");
    }
    for text in [
        "https://",
        "https://a..b",
        "https://a.",
        "https://-a",
        "https://a_b",
        "https://bücher.de",
        "https://a b",
    ] {
        assert!(matches!(bad_origin(text), BadOrigin::Host { .. }), "{text}");
    }
    for text in
        ["https://a:", "https://a:0", "https://a:08", "https://a:+8", "https://a:65536", "https://a:x"]
    {
        assert!(matches!(bad_origin(text), BadOrigin::Port { .. }), "{text}");
    }
    assert_eq!(bad_origin("https://A.example"), BadOrigin::Case { instead: "https://a.example".into() });
    assert_eq!(bad_origin("https://u:p@a"), BadOrigin::User { instead: "https://a".into() });
    assert_eq!(bad_origin("https://a:443"), BadOrigin::OwnPort { port: 443, instead: "https://a".into() });
}

/// A file with one grant whose body is `body`.
fn grant(body: &str) -> String {
    format!("{ORIGIN}\n[[grant]]\n{body}")
}

#[test]
fn each_fault_names_its_place_and_what_to_write_instead() {
    let cases = [
        (
            String::new(),
            "tere.toml:1:1: \"origin\" is missing at the top of the file: add a line like origin =",
        ),
        (
            "origin = 1".into(),
            "tere.toml:1:10: \"origin\" has a number for its value: write it like origin =",
        ),
        ("origin = \"http://a\"".into(), "tere.toml:1:10: the origin cannot be \"http://a\": browsers offer"),
        (
            "\norigine = \"x\"".into(),
            "tere.toml:2:1: there is no key \"origine\" at the top of the file: did you mean \"origin\"?",
        ),
        (
            format!("{ORIGIN}zzz = 1"),
            "tere.toml:2:1: there is no key \"zzz\" at the top of the file: the keys there are origin, proxy, resume, group, grant, machine, client-key",
        ),
        (
            format!("{ORIGIN}[grant]\n"),
            "tere.toml:2:1: \"grant\" has a table for its value: write it like [[grant]]",
        ),
        ("origin = ".into(), "tere.toml:1:"),
        (
            grant("account = [\"a\"]\n"),
            "tere.toml:4:1: there is no key \"account\" in a grant: did you mean \"accounts\"?",
        ),
        (
            grant("usr = 1\nmachien = 2\n"),
            "tere.toml:4:1: there is no key \"usr\" in a grant: did you mean \"user\"?",
        ),
        (
            grant("machine = \"b\"\nuser = \"d\"\n"),
            "tere.toml:3:1: \"accounts\" is missing in a grant: add a line like accounts = [\"alice\"]",
        ),
        (grant("accounts = [\"a\"]\nuser = \"d\"\n"), "tere.toml:3:1: \"machine\" is missing in a grant"),
        (grant("accounts = [\"a\"]\nmachine = \"b\"\n"), "tere.toml:3:1: \"user\" is missing in a grant"),
        (
            grant("accounts = \"a\"\n"),
            "tere.toml:4:12: \"accounts\" has a text for its value: write it like accounts = [\"alice\"]",
        ),
        (grant("accounts = [1]\n"), "tere.toml:4:13: \"accounts\" has a number for its value"),
        (grant("accounts = []\nmachine = \"b\"\nuser = \"d\"\n"), "tere.toml:4:12: this is for nobody"),
        (
            grant("accounts = [\"a\", \"a\"]\nmachine = \"b\"\nuser = \"d\"\n"),
            "tere.toml:4:18: the account a stands here twice",
        ),
        (
            grant("accounts = [\"Alice\"]\nmachine = \"b\"\nuser = \"d\"\n"),
            "tere.toml:4:13: \"Alice\" is not an account name: use 1 to 32",
        ),
        (grant("accounts = [\"a\"]\nmachine = \"../x\"\n"), "tere.toml:5:11: \"../x\" is not a machine name"),
        (
            grant("accounts = [\"a\"]\nmachine = \".HOST\"\nuser = \"d\"\n"),
            "tere.toml:5:11: \".HOST\" is not a machine name",
        ),
        (
            grant("accounts = [\"a\"]\nmachine = \"b\"\nuser = \"root\"\n"),
            "tere.toml:6:8: tere opens no shell as root",
        ),
        (
            grant("accounts = [\"a\"]\nmachine = \"b\"\nuser = \"0\"\n"),
            "tere.toml:6:8: \"0\" is not a UNIX user name",
        ),
        (
            grant(
                "accounts = [\"a\"]\nmachine = \"b\"\nuser = \"d\"\n[[grant]]\naccounts = [\"x\", \"a\"]\nmachine = \"b\"\nuser = \"d\"\n",
            ),
            "tere.toml:7:1: the account a has d@b already, by the grant in line 3: remove one of the two",
        ),
    ];
    for (text, expected) in cases {
        let line = refusal(&text);
        assert!(line.starts_with(expected), "{text:?} gives\n  {line}\ninstead of\n  {expected}");
    }
}

/// A grant of `machine` to `accounts`, as dev.
fn dev(accounts: &str, machine: &str) -> String {
    format!("[[grant]]\naccounts = [{accounts}]\nmachine = \"{machine}\"\nuser = \"dev\"\n")
}

/// A machine that tere makes.
fn machine(name: &str) -> String {
    format!("[[machine]]\nname = \"{name}\"\ntemplate = \"debian\"\n")
}

#[test]
fn a_pattern_gives_each_account_a_target_of_its_own() {
    let own_user = "[[grant]]\naccounts = [\"alice\"]\nmachine = \"lab\"\nuser = \"{account}\"\n";
    let text =
        [ORIGIN, &dev("\"alice\", \"bob\"", "{account}-box"), own_user, &machine("{account}-box")].concat();
    let config = parse(&text).unwrap();
    let (alice, bob, eve) = ("alice".parse().unwrap(), "bob".parse().unwrap(), "eve".parse().unwrap());
    let targets = |account| config.targets_of(account).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(targets(&alice), ["dev@alice-box", "alice@lab"]);
    assert_eq!(targets(&bob), ["dev@bob-box"]);
    assert!(targets(&eve).is_empty());
    assert!(!config.allows(&alice, &"dev@bob-box".parse().unwrap()));
    // tere makes the machines of these accounts and no others.
    let made =
        |name: &str| config.machine(&name.parse().unwrap()).map(|machine| machine.template.to_string());
    assert_eq!(made("alice-box").as_deref(), Some("debian"));
    assert_eq!(made("bob-box").as_deref(), Some("debian"));
    assert_eq!((made("eve-box"), made("lab"), made(".host"), made("box")), (None, None, None, None));
}

#[test]
fn patterns_and_machines_that_cannot_be_meant_are_refused() {
    let cases = [
        (dev("\"a_b\"", "{account}"), "tere.toml:4:11: for the account a_b, \"a_b\" is not a machine name"),
        (dev("\"a\"", "{account}/x"), "tere.toml:4:11: \"{account}/x\" is not a machine name"),
        (dev("\"a\"", "{account}{account}"), "tere.toml:4:11: \"{account}{account}\" is not a machine name"),
        (dev("\"a\"", "{name}"), "tere.toml:4:11: \"{name}\" is not a machine name"),
        (
            "[[grant]]\naccounts = [\"root\"]\nmachine = \"b\"\nuser = \"{account}\"\n".to_owned(),
            "tere.toml:5:8: tere opens no shell as root",
        ),
        (
            dev("\"a\"", "a-box") + &dev("\"a\"", "{account}-box"),
            "tere.toml:6:1: the account a has dev@a-box already, by the grant in line 2",
        ),
        (machine("box"), "tere.toml:3:8: no grant has machine = \"box\""),
        (machine(".host"), "tere.toml:3:8: the host itself (.host) is no machine that tere makes"),
        (
            dev("\"a\"", "b") + &machine("b") + &machine("b"),
            "tere.toml:10:8: the machine b stands here twice",
        ),
        (
            dev("\"a\"", "{account}") + &machine("b"),
            "tere.toml:7:8: no grant has machine = \"b\": correct the name, or remove this machine",
        ),
        // The machine of the account a-x would be the one of the account a.
        (
            dev("\"a\"", "{account}-x-box") + &dev("\"a-x\"", "{account}-box") + &machine("{account}-box"),
            "tere.toml:8:11: the machine a-x-box is one of machine = \"{account}-x-box\" in line 4 already",
        ),
        (
            dev("\"a\"", "a-box")
                + &dev("\"b\"", "a-box")
                + &dev("\"a\"", "{account}-box").replace("dev", "ops")
                + &machine("{account}-box"),
            "tere.toml:12:11: the machine a-box is one of machine = \"a-box\" in line 4 already",
        ),
        (
            dev("\"a\"", "b") + "[[machine]]\nname = \"b\"\ntemplate = \"../x\"\n",
            "tere.toml:8:12: \"../x\" is not a template name",
        ),
        (
            dev("\"a\"", "b") + "[[machine]]\nname = \"b\"\n",
            "tere.toml:6:1: \"template\" is missing in a machine",
        ),
    ];
    for (text, expected) in cases {
        let line = refusal(&(ORIGIN.to_owned() + &text));
        assert!(line.starts_with(expected), "{text:?} gives\n  {line}\ninstead of\n  {expected}");
    }
    // Several accounts may have one machine, and machines that were there before may have any name.
    let shared = dev("\"a\", \"b\"", "lab") + &dev("\"c\"", "lab") + &machine("lab");
    let before = dev("\"a\"", "{account}-x-box") + &dev("\"a-x\"", "{account}-box");
    for text in [shared, before] {
        parse(&(ORIGIN.to_owned() + &text)).unwrap();
    }
}

#[test]
fn a_pattern_for_tasks_gives_each_account_as_many_machines_as_it_has_tasks() {
    let tasks = "{account}.{task}";
    let options = "idle = \"2h\"\nper-account = 2\nlifetime = \"7d\"\n";
    let both = dev("\"alice\", \"a.b\"", tasks) + &dev("\"alice\"", "{account}-box");
    let config =
        parse(&[ORIGIN, &both, &machine(tasks), options, &machine("{account}-box")].concat()).unwrap();
    let allows =
        |account: &str, target: &str| config.allows(&account.parse().unwrap(), &target.parse().unwrap());
    let owner = |name: &str| config.owner_of(&name.parse().unwrap()).map(AccountName::as_str);
    assert!(allows("alice", "dev@alice.try") && allows("a.b", "dev@a.b.try"));
    for (account, target) in [
        ("alice", "dev@a.b.try"),
        ("alice", "root@alice.try"),
        ("alice", "dev@alice"),
        ("alice", "dev@alice.x.y"),
        ("a.b", "dev@alice.try"),
        // Of the account a, which has no grant.
        ("a.b", "dev@a.b"),
        ("eve", "dev@eve.try"),
        ("alice", "dev@alice.aaaaaaaaaaaaaaaaaaaaaaaaa"),
    ] {
        assert!(!allows(account, target), "{account} {target}");
    }
    assert_eq!(
        (owner("alice.try"), owner("a.b.try"), owner("alice-box")),
        (Some("alice"), Some("a.b"), Some("alice"))
    );
    assert_eq!((owner("a.b"), owner("eve.try"), owner("a.b-box")), (None, None, None));
    // A task has no target until somebody names it.
    assert_eq!(config.targets_of(&"alice".parse().unwrap()).len(), 1);
    let made = config.machine(&"alice.try".parse().unwrap()).unwrap();
    assert_eq!(made.lifetime.unwrap().duration().as_secs(), 7 * 24 * 3600);
    assert_eq!(made.per_account.get(), 2);

    let cases = [
        (
            dev("\"a\"", "{account}-{task}") + &machine("b"),
            "tere.toml:4:11: \"{account}-{task}\" is not a pattern",
        ),
        (dev("\"a\"", tasks), "tere.toml:4:11: no [[machine]] has name = \"{account}.{task}\""),
        (
            dev("\"a\"", tasks)
                + &dev("\"a\"", "{account}.x.{task}")
                + &machine(tasks)
                + &machine("{account}.x.{task}"),
            "tere.toml:14:8: another machine has a name with {task} already",
        ),
        (
            dev("\"a\"", tasks) + &dev("\"b\"", "a.web") + &machine(tasks),
            "tere.toml:8:11: the machine a.web is one of machine = \"{account}.{task}\" in line 4 already",
        ),
        (
            dev("\"b\"", "a.web") + &dev("\"a\"", tasks) + &machine(tasks),
            "tere.toml:4:11: the machine a.web is one of machine = \"{account}.{task}\" in line 8 already",
        ),
        (
            dev("\"a\"", tasks) + &dev("\"b\", \"a\"", tasks) + &machine(tasks),
            "tere.toml:6:1: the account a has dev@a.",
        ),
        (
            dev("\"a\"", "{account}") + &machine("{account}") + "lifetime = \"1h\"\n",
            "tere.toml:7:8: lifetime is for machines with {task} in their name",
        ),
        (
            dev("\"a\"", tasks) + &machine(tasks) + "lifetime = \"1w\"\n",
            "tere.toml:9:12: \"1w\" is not a period of time",
        ),
        (
            dev("\"a\"", tasks).replace("dev", "{account}{task}") + &machine(tasks),
            "tere.toml:5:8: \"{account}{task}\" is not a pattern",
        ),
    ];
    for (text, expected) in cases {
        let line = refusal(&(ORIGIN.to_owned() + &text));
        assert!(line.starts_with(expected), "{text:?} gives\n  {line}\ninstead of\n  {expected}");
    }
}

#[test]
fn the_limits_of_a_machine_read_as_they_are_written() {
    let with = |limits: &str| parse(&[ORIGIN, &dev("\"a\"", "b"), &machine("b"), limits].concat());
    let limits = |text: &str| with(text).unwrap().machines[0].limits;
    assert_eq!(limits(""), Limits::default());
    let all = limits("memory = \"2G\"\ntasks = 4096\ncpu-weight = 50\ndisk = \"20G\"\n");
    assert_eq!((all.memory.unwrap().bytes(), all.disk.unwrap().bytes()), (2 << 30, 20 << 30));
    assert_eq!((all.tasks.unwrap().get(), all.cpu_weight.unwrap().get()), (4096, 50));
    for (text, bytes) in [("64M", 64 << 20), ("65536K", 64 << 20), ("1T", 1 << 40)] {
        assert_eq!(text.parse::<Memory>().unwrap().bytes(), bytes);
        assert_eq!(text.parse::<DiskSpace>().unwrap().bytes(), bytes);
    }
    for (text, said) in [("65537K", "65537K"), ("1024M", "1G"), ("1500M", "1500M"), ("2048G", "2T")] {
        assert_eq!(text.parse::<DiskSpace>().unwrap().to_string(), said);
    }
    for bad in ["", "G", "2", "2g", "2GB", "-2G", "+2G", " 2G", "1.5G", "63M", "99999999999T", "2\u{a0}G"] {
        assert!(bad.parse::<Memory>().is_err() && bad.parse::<DiskSpace>().is_err(), "{bad:?}");
    }
    for (text, said) in [
        ("memory = 2\n", "\"memory\" has a number for its value: write it like memory = \"2G\""),
        ("memory = \"2\"\n", "\"2\" is not an amount of memory: use a number and K, M, G or T"),
        ("disk = \"20\"\n", "\"20\" is not an amount of disk space: use a number and K, M, G or T"),
        ("tasks = 1\n", "a machine may have from 64 to 4194304 tasks"),
        ("tasks = -1\n", "a machine may have from 64 to 4194304 tasks"),
        ("cpu-weight = 0\n", "the weight is from 1 to 10000"),
        ("cpu_weight = 1\n", "there is no key \"cpu_weight\" in a machine: did you mean \"cpu-weight\"?"),
    ] {
        let line = with(text).unwrap_err().to_string();
        assert!(line.contains(said), "{text:?} gives\n  {line}\ninstead of\n  {said}");
    }
}

#[test]
fn one_machine_may_have_several_grants() {
    let text = grant(
        "accounts = [\"a\"]\nmachine = \"b\"\nuser = \"d\"\n[[grant]]\naccounts = [\"a\"]\nmachine = \"b\"\nuser = \"e\"\n\
         [[grant]]\naccounts = [\"c\"]\nmachine = \"b\"\nuser = \"d\"\n",
    );
    assert_eq!(parse(&text).unwrap().grants.len(), 3);
}

#[test]
fn a_report_points_at_the_place() {
    let text = format!("# ümlaut\n{ORIGIN}zzz = 1\n");
    let report = parse(&text).unwrap_err().report();
    assert_eq!(
        report,
        "there is no key \"zzz\" at the top of the file: the keys there are origin, proxy, resume, group, grant, machine, client-key\n \
         --> tere.toml:3:1\n  |\n3 | zzz = 1\n  | ^^^ here"
    );
    // A missing key is reported at a position without a character.
    for text in ["", "# nothing\n", "origin = "] {
        let report = parse(text).unwrap_err().report();
        assert!(report.contains("--> tere.toml:"), "{report}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tere.toml");
    let missing = Config::load(&path).unwrap_err().to_string();
    assert!(missing.contains(path.to_str().unwrap()) && missing.contains("tere.toml(5)"), "{missing}");
    assert!(matches!(Config::load(folder.path()), Err(ConfigError::Unreadable { .. })), "a folder");
    std::fs::write(&path, ORIGIN).unwrap();
    assert_eq!(Config::load(&path).unwrap(), parse(ORIGIN).unwrap());
    std::fs::write(&path, b"# \xff\n").unwrap();
    assert!(matches!(Config::load(&path), Err(ConfigError::NotUtf8 { .. })));
    let most = usize::try_from(CONFIG_MAX).unwrap();
    let filled = |length: usize| ORIGIN.to_owned() + &"#".repeat(length - ORIGIN.len());
    std::fs::write(&path, filled(most)).unwrap();
    assert!(Config::load(&path).is_ok());
    std::fs::write(&path, filled(most + 1)).unwrap();
    assert!(matches!(Config::load(&path), Err(ConfigError::TooLarge { .. })));
}

/// Errors are explained by parsing serde's messages; this test fails if their wording changes.
#[test]
fn every_option_has_an_example_and_is_named_where_a_key_is_unknown() {
    let mut named = Vec::new();
    for (inside, text) in [
        (None, format!("{ORIGIN}zzz = 1")),
        (Some("proxy"), format!("{ORIGIN}[proxy]\nzzz = 1")),
        (Some("group"), format!("{ORIGIN}[[group]]\nzzz = 1")),
        (Some("grant"), grant("zzz = 1")),
        (Some("machine"), format!("{ORIGIN}[[machine]]\nzzz = 1")),
        (Some("client-key"), format!("{ORIGIN}[[client-key]]\nzzz = 1")),
    ] {
        let line = refusal(&text);
        let (_, known) = line.split_once("the keys there are ").expect(&line);
        named.extend(known.split(", ").map(|key| (inside, key.to_owned())));
    }
    let examples: Vec<_> =
        explain::EXAMPLES.iter().map(|(table, key, _)| (*table, (*key).to_owned())).collect();
    assert_eq!(named, examples);
    let odd = refusal(&grant("\"`x`, expected one of `accounts`, `y`\" = 1\n"));
    assert!(odd.contains("the keys there are accounts, machine, user, share"), "{odd}");
}

/// The parser, and the search for the place of an error, recurse as deep as the file nests.
#[test]
fn a_file_that_nests_without_end_is_refused() {
    let deep = 100_000;
    for text in [
        format!("{ORIGIN}x = {}", "[".repeat(deep)),
        format!("{ORIGIN}x = {}", "{x=".repeat(deep)),
        format!("{ORIGIN}{}y = 1", "x.".repeat(deep)),
        format!("{ORIGIN}[{}y]\nz = 1", "x.".repeat(deep)),
    ] {
        // Run this in a spawned thread, whose stack is smaller than the main thread's.
        let refused = std::thread::spawn(move || parse(&text).is_err());
        assert!(refused.join().unwrap());
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "(origin|\\[\\[grant\\]\\]|[ =\"\\n\\[\\]a-zü.:/#]){0,60}") {
        drop(parse(&text));
    }
}

/// A grant on the host, with these lines more.
fn on_host(user: &str, rest: &str) -> String {
    format!("{ORIGIN}[[grant]]\naccounts = [\"a\"]\nmachine = \".host\"\nuser = \"{user}\"\n{rest}\n")
}

#[test]
fn any_grant_has_terms_and_one_on_the_host_always_has_some() {
    let terms = |text: &str| parse(text).unwrap().grants[0].terms;
    let written = |touch: &str, limit: &str, reason| Terms {
        fresh_touch: Some(touch.parse().unwrap()),
        reason,
        time_limit: Some(limit.parse().unwrap()),
    };
    let in_machine =
        |rest: &str| grant(&format!("accounts = [\"a\"]\nmachine = \"b\"\nuser = \"d\"\n{rest}\n"));
    let all = "fresh-touch = \"20s\"\ntime-limit = \"30m\"\nreason = true\nshare = false";
    assert_eq!(terms(&on_host("ops", "")), written("60s", "1h", false), "the defaults");
    assert_eq!(terms(&in_machine("")), Terms::default());
    for text in [on_host("ops", all), in_machine(all)] {
        assert_eq!(terms(&text), written("20s", "30m", true));
    }
    let touch = terms(&in_machine("fresh-touch = \"10m\""));
    assert_eq!(touch, Terms { fresh_touch: "10m".parse().ok(), ..Terms::default() });
    assert_eq!(terms(&in_machine("reason = true")), Terms { reason: true, ..Terms::default() });
    // Whoever shares such sessions has guests who touch a passkey of their own.
    assert_eq!(terms(&in_machine("fresh-touch = \"10m\"\nshare = true")), touch);
    let text = on_host("ops", all);

    let (alice, bob) = ("a".parse().unwrap(), "b".parse().unwrap());
    let config = parse(&text).unwrap();
    let target = |target: &str| target.parse::<Target>().unwrap();
    assert!(config.allows(&alice, &target("ops@.host")) && !config.allows(&bob, &target("ops@.host")));
    assert!(!config.allows(&alice, &target("root@.host")) && !config.allows(&alice, &target("ops@host")));
    assert!(config.terms(&alice, &target("ops@.host")).is_some());
    assert_eq!(config.terms(&bob, &target("ops@.host")), None);
    assert_eq!(config.share(&alice, &target("ops@.host")), None);
}

#[test]
fn root_is_granted_on_the_host_and_by_its_name_alone() {
    let config = parse(&on_host("root", "")).unwrap();
    assert!(config.allows(&"a".parse().unwrap(), &"root@.host".parse().unwrap()));
    let by_pattern = on_host("{account}", "").replace("[\"a\"]", "[\"a\", \"root\"]");
    let said = refusal(&by_pattern);
    assert!(said.starts_with("tere.toml:5:8: this gives an account the user root of the host"), "{said}");
    // For every other account, the pattern is good.
    assert!(parse(&by_pattern.replace(", \"root\"", "")).is_ok());
}

#[test]
fn what_cannot_be_meant_of_the_host_is_refused() {
    let machine = |rest: &str| grant(&format!("accounts = [\"a\"]\nmachine = \"b\"\nuser = \"d\"\n{rest}\n"));
    for (text, expected) in [
        (on_host("d", "share = true"), "tere.toml:6:9: a shell on the host itself is not shared"),
        (on_host("d", "share = \"watch\""), "tere.toml:6:9: a shell on the host itself is not shared"),
        (on_host("d", "fresh-touch = 60"), "tere.toml:6:15: \"fresh-touch\" has a number for its value"),
        (on_host("d", "fresh-touch = \"1d\""), "tere.toml:6:15: \"1d\" is not the age of a touch"),
        (on_host("d", "time-limit = \"48h\""), "tere.toml:6:14: \"48h\" is not a time limit"),
        (on_host("d", "reason = \"no\""), "tere.toml:6:10: \"reason\" has a text for its value"),
        (
            on_host("d", "fresh-touch = false"),
            "tere.toml:6:15: \"fresh-touch\" has true or false for its value",
        ),
        (on_host("d", "fresh-touch = \"0s\""), "tere.toml:6:15: \"0s\" is not the age of a touch"),
        (machine("fresh-touch = \"0s\""), "tere.toml:7:15: \"0s\" is not the age of a touch"),
        (machine("time-limit = \"25h\""), "tere.toml:7:14: \"25h\" is not a time limit"),
        (machine("reason = \"no\""), "tere.toml:7:10: \"reason\" has a text for its value"),
    ] {
        let said = refusal(&text);
        assert!(said.starts_with(expected), "{said}");
    }
    // The host has one name.
    for alias in ["", ".HOST", ".Host", "./.host", ".host.", "..host", ".host/", " .host", ".{account}"] {
        let text = on_host("d", "").replace("\".host\"", &format!("\"{alias}\""));
        let said = refusal(&text.replace("[\"a\"]", "[\"host\"]"));
        assert!(said.contains("is not a machine name"), "{alias:?}: {said}");
    }
}

#[test]
fn an_account_has_only_its_own_machines_changed_and_only_as_the_policy_allows() {
    let (own, tasks) = ("{account}-box", "{account}.{task}");
    let grants =
        dev("\"alice\", \"bob\"", own) + &dev("\"alice\", \"bob\"", tasks) + &dev("\"alice\"", "lab");
    let allow = "allow = [\"checkpoint\", \"fork\"]\n";
    let text =
        [ORIGIN, &grants, &machine(own), allow, &machine(tasks), "allow = [\"remove\"]\n", &machine("lab")];
    let config = parse(&text.concat()).unwrap();
    let lets =
        |account: &str, change: &str| config.lets_change(&account.parse().unwrap(), &change.parse().unwrap());
    for change in [
        "checkpoint:alice-box",
        "rollback:alice-box:1",
        "remove-checkpoint:alice-box:1",
        "fork:alice-box:alice.try",
        "remove:alice.try",
    ] {
        assert!(lets("alice", change), "{change}");
        assert!(!lets("bob", change) && !lets("eve", change), "{change}");
    }
    for change in [
        // Not allowed for such a machine.
        "rebuild:alice-box",
        "remove:alice-box",
        "fork:alice.try:alice.two",
        // Not to these.
        "fork:alice-box:bob.try",
        "fork:alice-box:bob-box",
        "fork:alice-box:alice-box",
        "fork:alice-box:lab",
        "fork:alice-box:new",
        // Shared with everybody who has a grant, not made by tere, or the host.
        "checkpoint:lab",
        "checkpoint:other",
        "checkpoint:.host",
    ] {
        assert!(!lets("alice", change), "{change}");
    }
    let shared = [ORIGIN, &dev("\"alice\"", "lab"), &machine("lab"), allow].concat();
    assert!(parse(&shared).unwrap_err().to_string().contains("only change machines of its own"));
    let unknown = [ORIGIN, &dev("\"alice\"", own), &machine(own), "allow = [\"sudo\"]\n"].concat();
    let said = parse(&unknown).unwrap_err().to_string();
    assert!(said.contains("sudo") && said.contains("checkpoint"), "{said}");
}
