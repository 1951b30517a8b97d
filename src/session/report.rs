//! How the shell ended. The script that starts the shell reports it through the terminal:
//!
//! ```text
//! ESC _ tere ; KEY ; STATUS ESC \
//! ```
//!
//! This is an application program command (ECMA-48), which terminals ignore. It is the last output
//! of the script, so it is looked for once, at the end. The machine may lie: the status is only
//! shown to people, and nothing is decided by it.

use super::memory::SessionMemory;
use crate::names::ReportKey;
use crate::protocol::ShellExit;

/// How far before the end of the output to look for the report, in bytes. A background job may
/// print after it, but only a bounded amount until the end is noticed: see [`super::reader`].
const REACH: u64 = 1024 * 1024;

const BEGIN: &[u8] = b"\x1b_tere;";
const END: &[u8] = b"\x1b\\";

/// How the shell ended, if the end of the output contains its report.
pub(super) fn exit(memory: &SessionMemory) -> Option<ShellExit> {
    let key = memory.report_key()?;
    let mut cursor = memory.head().saturating_sub(REACH);
    let mut output = Vec::new();
    memory.read(&mut cursor, usize::MAX, &mut output);
    find(&output, &key)
}

/// The last report in `output` with this key.
fn find(output: &[u8], key: &ReportKey) -> Option<ShellExit> {
    let begin = [BEGIN, key.as_str().as_bytes(), b";"].concat();
    let at = output.windows(begin.len()).rposition(|window| window == begin)?;
    let rest = output.get(at + begin.len()..)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (status, rest) = rest.split_at_checked(digits)?;
    // No shell's status has more digits.
    if digits > 3 || !rest.starts_with(END) {
        return None;
    }
    std::str::from_utf8(status).ok()?.parse().ok().map(ShellExit::of_status)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::AsFd as _;

    use super::*;
    use crate::protocol::Signal;

    fn report(key: &str, status: &str) -> String {
        format!("\x1b_tere;{key};{status}\x1b\\")
    }

    #[test]
    fn a_report_is_read_strictly_and_only_with_its_key() {
        let key = ReportKey::random().unwrap();
        let other = ReportKey::random().unwrap();
        let found = |text: &str| find(text.as_bytes(), &key);
        assert_eq!(found(&report(key.as_str(), "3")), Some(ShellExit::Exited(3)));
        assert_eq!(found(&format!("bye\r\n{}noise", report(key.as_str(), "0"))), Some(ShellExit::Exited(0)));
        assert_eq!(found(&report(key.as_str(), "137")), Some(ShellExit::Killed(Signal::Kill)));
        // The last one counts.
        let two = report(key.as_str(), "1") + &report(key.as_str(), "2");
        assert_eq!(found(&two), Some(ShellExit::Exited(2)));
        for bad in ["", "-1", "256", "0003", "1 ", "x", "99999999999999999999"] {
            assert_eq!(found(&report(key.as_str(), bad)), None, "{bad}");
        }
        assert_eq!(found(&report(other.as_str(), "3")), None);
        let whole = report(key.as_str(), "3");
        for length in 0..whole.len() {
            assert_eq!(found(&whole[..length]), None, "cut off at {length}");
        }
    }

    #[test]
    fn the_report_is_found_behind_what_a_background_job_prints() {
        let memory = SessionMemory::new().unwrap();
        let key = ReportKey::random().unwrap();
        let (read, mut write) = std::io::pipe().unwrap();
        write.write_all((report(key.as_str(), "4") + &"y\n".repeat(20_000)).as_bytes()).unwrap();
        drop(write);
        while memory.fill_from(read.as_fd()).unwrap() != super::super::memory::Filled::End {}
        assert_eq!(exit(&memory), None, "it has no key");
        memory.set_report_key(&key);
        assert_eq!(exit(&memory), Some(ShellExit::Exited(4)));
    }
}
