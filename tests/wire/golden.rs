//! What each message looks like on the wire.

use std::fmt::Write as _;

use tere::wire::{BUILD, Hello, Intent, Message, VERSION, WireError, decode, encode};

use crate::samples::every_direction;

/// Set this variable to have the file written instead of compared.
const UPDATE: &str = "TERE_UPDATE_GENERATED";

fn list<M: Message>(lines: &mut String, direction: &str, samples: &[M]) {
    writeln!(lines, "# {direction}").unwrap();
    for sample in samples {
        let packet = encode(sample).unwrap();
        let hex: String = packet.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(lines, "{hex}").unwrap();
    }
}

#[test]
fn every_message_has_its_golden_bytes() {
    let mut lines = String::new();
    macro_rules! visit {
        ($direction:expr, $samples:expr) => {
            list(&mut lines, $direction, &$samples)
        };
    }
    every_direction!(visit);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/golden.hex");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(path, &lines).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap();
    assert!(golden == lines, "the wire changed: raise wire::VERSION, then run with {UPDATE}=1");
}

#[test]
fn every_message_comes_back_as_it_went() {
    macro_rules! visit {
        ($direction:expr, $samples:expr) => {
            for sample in $samples {
                let back = decode(&encode(&sample).unwrap(), sample.descriptors()).unwrap();
                assert_eq!(sample, back, "{}", $direction);
            }
        };
    }
    every_direction!(visit);
}

#[test]
fn a_greeting_is_laid_out_as_it_always_was() {
    let hello = Hello { intent: 5, version: 0x0102, build: "abc1".into() };
    assert_eq!(hello.encode(), b"TERE\x05\x01\x02abc1");
    assert_eq!(Hello::decode(b"TERE\x05\x01\x02abc1").unwrap(), hello);
    assert!(Hello::decode(&Hello::ours(Intent::Worker).encode()).unwrap().accept(Intent::Worker).is_ok());
    for bad in
        [&b""[..], b"TERE", b"TERE\x05\x01", b"TERE\x05\x00\x01", b"XERE\x05\x00\x01a", b"TERE\x05\x00\x01A!"]
    {
        assert!(matches!(Hello::decode(bad), Err(WireError::NoGreeting)), "{bad:?}");
    }
}

#[test]
fn another_version_or_another_errand_is_refused_by_name() {
    let newer = Hello { intent: 5, version: VERSION + 1, build: BUILD.into() };
    let error = newer.accept(Intent::Worker).unwrap_err().to_string();
    assert!(error.contains("restart the older one"), "{error}");
    let errand = Hello::ours(Intent::Viewer).accept(Intent::Worker);
    assert!(matches!(errand, Err(WireError::WrongIntent { .. })));
}
