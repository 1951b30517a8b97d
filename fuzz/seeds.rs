//! Writes what the targets begin with, made from real encodings: `seeds FOLDER` makes a folder for
//! each target.

use libfuzzer_sys as _; // the coverage of the library is its
use std::fs;
use std::path::Path;

use serde_json::Value;
use tere::protocol::page::SUBPROTOCOL;
use tere::wire::{Hello, Intent};

/// Most bytes of one part of a recording.
const PART: usize = 1500;

fn main() {
    let folder = std::env::args().nth(1).expect("usage: seeds FOLDER");
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let write = |target: &str, seeds: Vec<Vec<u8>>| {
        let folder = Path::new(&folder).join(target);
        fs::create_dir_all(&folder).unwrap();
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:04}")), seed).unwrap();
        }
    };
    let golden = fs::read_to_string(top.join("tests/wire/golden.hex")).unwrap();
    for (target, directions) in [
        ("login", ["login, from front", "login, to front"]),
        ("control", ["control, from cli", "control, to cli"]),
        ("vouch", ["vouch, from auth", "vouch, to auth"]),
        ("principal", ["principal, request", "principal, from broker"]),
        ("worker", ["worker, to worker", "worker, from worker"]),
        ("viewer", ["viewer, from viewer", "viewer, to viewer"]),
        ("exec", ["exec, from client", "exec, to client"]),
    ] {
        write(target, packets(&golden, directions));
    }
    write("proxy", proxy());
    write("http", http());
    write("websocket", websocket());
    write("page", page(&golden));
    write("webauthn", tere_fuzz::webauthn::seeds());
    write("account", account());
    write("terminal", recordings(top, &[79, 23, 3]));
    write("snapshot", recordings(top, &[79, 23]));
    write("memory", memory());
}

/// The golden packets of two directions, and a greeting.
fn packets(golden: &str, directions: [&str; 2]) -> Vec<Vec<u8>> {
    let mut seeds = vec![[vec![2], Hello::ours(Intent::Login).encode()].concat()];
    for (number, direction) in (0..).zip(directions) {
        let packets = golden_packets(golden, direction);
        assert!(!packets.is_empty(), "no packets of {direction}");
        seeds.extend(packets.into_iter().map(|packet| [vec![number], packet].concat()));
    }
    seeds
}

fn golden_packets(golden: &str, direction: &str) -> Vec<Vec<u8>> {
    let lines = golden.lines().skip_while(|line| line.strip_prefix("# ") != Some(direction)).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('#'));
    lines.map(|line| data_encoding::HEXLOWER.decode(line.as_bytes()).unwrap()).collect()
}

fn proxy() -> Vec<Vec<u8>> {
    let start = b"\0\r\n\r\n\0\r\nQUIT\n";
    let tcp4 = [192, 0, 2, 1, 127, 0, 0, 1, 0x12, 0x34, 0, 80];
    let mut seeds = vec![
        [&start[..], b"\x21\x11\0\x0c", &tcp4, b"GET /"].concat(),
        [&start[..], b"\x21\x11\0\x14", &tcp4, b"\x01\0\x02h2\x04\0\0"].concat(),
        [&start[..], b"\x20\0\0\0"].concat(),
        [&start[..], b"\x21\x21\0\x24", &[0x20; 36]].concat(),
    ];
    let lines = ["192.0.2.1", "2001:db8::7", "::ffff:192.0.2.1", "192.0.2.1, 192.0.2.2", "a\nb"];
    seeds.extend(lines.map(|line| [b"\x01", line.as_bytes()].concat()));
    seeds
}

fn http() -> Vec<Vec<u8>> {
    let host = "Host: shell.example.org\r\n";
    let upgrade = format!(
        "GET /ws HTTP/1.1\r\n{host}Origin: https://shell.example.org\r\nConnection: keep-alive, Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n"
    );
    let named = "X-Forwarded-For: 192.0.2.1\r\n";
    let requests = [
        format!("GET / HTTP/1.1\r\n{host}\r\n"),
        format!("GET / HTTP/1.1\r\n{host}If-None-Match: *\r\nAccept-Encoding: br, gzip;q=0.5\r\n\r\n"),
        format!("HEAD /?x=1 HTTP/1.1\r\n{host}\r\nGET /nothing HTTP/1.1\r\n{host}\r\n"),
        format!("{upgrade}\r\n"),
        format!("GET / HTTP/1.0\r\n{host}Connection: keep-alive\r\n\r\n{upgrade}\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Content-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n{host}\r\n"),
        format!("GET / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("GET / HTTP/1.1\n{host}\r\n"),
        format!("GET / HTTP/1.1\r\n{host}{}\r\n", "A: b\r\n".repeat(64)),
        format!("GET / HTTP/1.1\r\n{host}A: {}\r\n\r\n", "b".repeat(16 * 1024)),
        format!("GET / HTTP/1.1\r\n{host}Expect: 100-continue\r\nConnection: close\r\n\r\n"),
        format!("GET http://shell.example.org/ HTTP/1.1\r\n{host}\r\n"),
    ];
    let mut seeds = Vec::new();
    for request in requests {
        seeds.push([b"\x14", request.as_bytes()].concat());
        let request = request.replace(host, &format!("{host}{named}"));
        seeds.push([b"\x05", request.as_bytes()].concat());
    }
    let frames = [frame(0x81, br#"{"type":"ping"}"#), frame(0x81, br#"{"type":"list"}"#)].concat();
    seeds.push([b"\x14", upgrade.as_bytes(), b"\r\n", &frames].concat());
    seeds
}

/// A frame of a browser.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x11, 0x22, 0x33, 0x44];
    let mut frame = vec![first];
    match u16::try_from(payload.len()) {
        Ok(length @ 0..126) => frame.push(0x80 | u8::try_from(length).unwrap()),
        Ok(length) => {
            frame.push(0x80 | 126);
            frame.extend(length.to_be_bytes());
        }
        Err(_) => {
            frame.push(0x80 | 127);
            frame.extend(u64::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

fn websocket() -> Vec<Vec<u8>> {
    let text = frame(0x81, br#"{"type":"sign-in"}"#);
    let parts = [frame(0x01, b"{\"type\":"), frame(0x89, b"ping"), frame(0x80, b"\"list\"}")].concat();
    let many = [vec![frame(0x01, b"x")], vec![frame(0, b""); 70]].concat().concat();
    let connections = [
        text.clone(),
        [text.clone(), text].concat(),
        parts,
        many,
        frame(0x82, b"\0\x01\x01\0\0\0\x07ls\r"),
        frame(0x82, &[7; 200]),
        frame(0x81, &[b'x'; 4097]),
        frame(0x82, &[1; 33 * 1024]),
        frame(0x88, b"\x03\xe8bye"),
        frame(0x8a, b"\0\0\0\x01"),
        frame(0x81, b"\xff\xfe"),
        frame(0xc1, b"reserved"),
    ];
    connections.iter().flat_map(|bytes| [0x20, 0x21].map(|first| [&[first][..], bytes].concat())).collect()
}

fn page(golden: &str) -> Vec<Vec<u8>> {
    let size = r#""size":{"cols":80,"rows":24}"#;
    let target = r#""target":{"machine":"web1","user":"dev"}"#;
    let color = r##""#102030""##;
    let palette = [color; 16].join(",");
    let texts = [
        r#"{"type":"enrol","token":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#.to_owned(),
        r#"{"type":"list"}"#.to_owned(),
        r#"{"type":"ping"}"#.to_owned(),
        format!(r#"{{"type":"open","stream":1,{target},{size}}}"#),
        format!(r#"{{"type":"attach","stream":2,"session":"abcdefgh2345",{size}}}"#),
        r#"{"type":"step-up","stream":3}"#.to_owned(),
        format!(
            r#"{{"type":"touch","stream":3,"credential":{{}},"view":{{"open":{{"user":"ops","reason":"why"}}}},{size}}}"#
        ),
        format!(r#"{{"type":"resize","stream":1,{size}}}"#),
        r#"{"type":"shown","stream":1,"bytes":300}"#.to_owned(),
        r#"{"type":"refresh","stream":1}"#.to_owned(),
        r#"{"type":"reset-terminal","stream":1}"#.to_owned(),
        format!(
            r#"{{"type":"theme","stream":1,"theme":{{"foreground":{color},"background":{color},"cursor":{color},"palette":[{palette}]}}}}"#
        ),
        r#"{"type":"end","stream":1}"#.to_owned(),
        r#"{"type":"close","stream":1}"#.to_owned(),
        r#"{"type":"name","session":"abcdefgh2345","name":"the build"}"#.to_owned(),
        r#"{"type":"share","session":"abcdefgh2345","account":"bob","role":"watcher"}"#.to_owned(),
        r#"{"type":"end-session","session":"abcdefgh2345"}"#.to_owned(),
        r#"{"type":"change-machine","change":"checkpoint:alice-box"}"#.to_owned(),
    ];
    let begin = "{\"type\":\"sign-in\"}\nac\n{\"type\":\"answer\",\"credential\":{\"id\":\"AA\"}}\nasalice\n";
    let mut seeds: Vec<Vec<u8>> = texts.iter().map(|text| text.clone().into_bytes()).collect();
    seeds.extend(texts.iter().map(|text| format!("{begin}{text}\nar\nac\nt\x20").into_bytes()));
    let all = format!("{begin}{}\nb\0\x01\x01\0\0\0\x07ls\nt\x40", texts.join("\n"));
    seeds.push(all.into_bytes());
    for packet in golden_packets(golden, "principal, from broker") {
        let open = texts.get(3).unwrap();
        // The second request of the connection, behind that for the lobby.
        for number in [0, 1] {
            let mut packet = packet.clone();
            if let [0, place, ..] = packet.as_mut_slice() {
                *place = number;
            }
            let head = format!("{begin}{open}\nk").into_bytes();
            let tail = b"\nb\0\x01\x01\0\0\0\x07ls\nr\0\nt\x02\no\0";
            seeds.push([&head[..], &packet, tail].concat());
        }
    }
    seeds
}

fn account() -> Vec<Vec<u8>> {
    let bare = br#"{"id":"07070707-0707-0707-0707-070707070707","name":"alice","created":5,"link":null,"passkeys":[]}"#;
    vec![tere_fuzz::webauthn::account_file(), bare.to_vec()]
}

/// The recordings of programs, in parts, each behind the size of the terminal.
fn recordings(top: &Path, head: &[u8]) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> =
        fs::read_dir(top.join("tests/corpus")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "rec"));
    paths.sort();
    let mut seeds = Vec::new();
    for path in paths {
        let mut bytes = Vec::new();
        for line in fs::read_to_string(&path).unwrap().lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            if let Some(text) = event["bytes"].as_str() {
                bytes.extend(text.chars().map(|byte| u8::try_from(byte).unwrap()));
            } else {
                let number = |name: &str| event[name].as_u64().unwrap();
                let cols = u8::try_from(number("cols") - 1).unwrap_or(254);
                bytes.extend([0xf8, cols, u8::try_from(number("rows") - 1).unwrap_or(63)]);
            }
            if bytes.len() % PART > PART / 2 {
                bytes.push(0xf9);
            }
        }
        // A long recording repeats itself.
        seeds.extend(bytes.chunks(PART).take(12).map(|part| [head, part, &[0xf9]].concat()));
    }
    assert!(seeds.len() > 40, "{} parts of recordings", seeds.len());
    seeds
}

/// Changes of words of the header, and of bytes behind it.
fn memory() -> Vec<Vec<u8>> {
    let mut seeds = vec![Vec::new(), b"\x15\0\0\0\x1b[31mother".to_vec()];
    for word in (0_u32..20).chain([143, 144, 145, 335, 336, 337, 338, 339, 340, 344]) {
        for value in [0, 1, 70, 5000, 1 << 31, u64::MAX] {
            seeds.push([&word.to_be_bytes()[..], &value.to_be_bytes()].concat());
        }
    }
    seeds
}
