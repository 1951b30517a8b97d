//! Commands in the booted host.

use std::process::Command;

use crate::parts::page::Page;
use crate::parts::passkey::SoftAuthenticator;

/// PID 1 of the host, seen from outside.
pub fn leader() -> String {
    std::env::var("TERE_HOST_LEADER").expect("run this by its script in tests")
}

/// Runs a line of shell in the host, which must succeed, and returns its output.
pub fn host(line: &str) -> String {
    let output = Command::new("nsenter")
        .args(["-t", &leader(), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--", "sh", "-c", line])
        .output()
        .unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// Adds an account, and registers a passkey for it on this page.
pub fn enrol(account: &str, page: &mut Page, origin: &str) -> SoftAuthenticator {
    let link = host(&format!("tere account add {account} --json"));
    let link: serde_json::Value = serde_json::from_str(&link).unwrap();
    let token = link["link"].as_str().unwrap().split_once("#enrol=").unwrap().1.to_owned();
    let mut passkey = SoftAuthenticator::new(origin);
    page.enrol(&token, &mut passkey);
    passkey
}

/// The value that so many percent of the sorted ones do not exceed.
pub fn at(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
}
