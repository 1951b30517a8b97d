//! How a program alerts its user: the bell, and a notification (OSC 9, 99, 777), which has a text. An
//! alert changes nothing on the screen, and a snapshot does not repeat it.

use data_encoding::BASE64;

/// Longest text of an alert in characters; the rest is cut off.
const TEXT_MAX: usize = 256;

/// The last alert, and what is there of a notification that comes in parts.
#[derive(Debug, Default)]
pub(super) struct Alerts {
    /// The text of the last alert that nobody has taken; empty if it had none.
    last: Option<String>,
    parts: String,
}

impl Alerts {
    /// The bell rang. A notification that nobody has taken says more.
    pub(super) fn ring(&mut self) {
        self.last.get_or_insert_default();
    }

    /// Takes the text of the last alert; empty if it had none.
    pub(super) fn take(&mut self) -> Option<String> {
        self.last.take()
    }

    /// OSC 9: iTerm's notification, or one of ConEmu's commands, which begin with a number.
    pub(super) fn osc_9(&mut self, text: &[u8]) {
        let number = text.split(|byte| *byte == b';').next().unwrap_or_default();
        if number.is_empty() || !number.iter().all(u8::is_ascii_digit) {
            self.notify(&plain(text));
        }
    }

    /// OSC 777: `notify`, a title and a text.
    pub(super) fn osc_777(&mut self, rest: &[u8]) {
        let mut parts = rest.splitn(3, |byte| *byte == b';');
        if parts.next() != Some(b"notify") {
            return;
        }
        let (title, text) =
            (plain(parts.next().unwrap_or_default()), plain(parts.next().unwrap_or_default()));
        self.notify(&joined(&title, &text));
    }

    /// OSC 99: kitty's notification. It may come in parts, and in base64.
    pub(super) fn osc_99(&mut self, rest: &[u8]) {
        let mut halves = rest.splitn(2, |byte| *byte == b';');
        let (keys, Some(text)) = (halves.next().unwrap_or_default(), halves.next()) else { return };
        let value = |wanted: &[u8]| {
            let mut pairs = keys.split(|byte| *byte == b':');
            pairs.find_map(|pair| pair.strip_prefix(wanted)?.strip_prefix(b"="))
        };
        let part = value(b"p").unwrap_or(b"title");
        if !matches!(part, b"title" | b"body") {
            return;
        }
        let decoded = (value(b"e") == Some(b"1")).then(|| BASE64.decode(text).unwrap_or_default());
        let text = plain(decoded.as_deref().unwrap_or(text));
        self.parts =
            if part == b"body" { joined(&self.parts, &text) } else { format!("{}{text}", self.parts) };
        self.parts = self.parts.chars().take(TEXT_MAX).collect();
        if value(b"d") != Some(b"0") {
            let whole = std::mem::take(&mut self.parts);
            self.notify(&whole);
        }
    }

    fn notify(&mut self, text: &str) {
        if !text.trim().is_empty() {
            self.last = Some(text.chars().take(TEXT_MAX).collect());
        }
    }

    /// Memory use in bytes.
    pub(super) fn weight(&self) -> usize {
        self.last.as_ref().map_or(0, String::capacity) + self.parts.capacity()
    }
}

/// The beginning of a text without control characters, C1 included.
fn plain(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.chars().filter(|character| !character.is_control()).take(TEXT_MAX).collect()
}

fn joined(title: &str, text: &str) -> String {
    match (title, text) {
        ("", one) | (one, "") => one.to_owned(),
        (title, text) => format!("{title}: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Terminal;
    use crate::names::TermSize;

    /// The alert, if there is one, after each of these is printed.
    fn alerted(printed: &[&str]) -> Vec<Option<String>> {
        let mut terminal = Terminal::new(TermSize::DEFAULT);
        let alert = |text: &&str| {
            terminal.print(text.as_bytes());
            terminal.take_alert()
        };
        printed.iter().map(alert).collect()
    }

    #[test]
    fn a_program_alerts_by_the_bell_or_by_a_notification_of_three_kinds() {
        let told = |text: &str| Some(text.to_owned());
        let printed = [
            ("\x07", told("")),
            ("x", None),
            ("\x1b]9;done\x07", told("done")),
            ("\x1b]9;done\x1b\\\x07", told("done")),
            ("\x07\x1b]777;notify;build;all; of it\x07", told("build: all; of it")),
            ("\x1b]777;notify;;only a text\x07", told("only a text")),
            ("\x1b]99;;kitty\x1b\\", told("kitty")),
            ("\x1b]99;e=1;w7xiZXI=\x1b\\", told("über")),
            ("\x1b]99;i=1:d=0;in \x1b\\", None),
            ("\x1b]99;i=1:d=0;parts\x1b\\\x1b]99;i=1:p=body;and a text\x1b\\", told("in parts: and a text")),
        ];
        let (texts, expected): (Vec<_>, Vec<_>) = printed.into_iter().unzip();
        assert_eq!(alerted(&texts), expected);
    }

    #[test]
    fn what_is_no_alert_alerts_nobody() {
        for printed in [
            "\x1b]9\x07",
            "\x1b]9; \x07",
            "\x1b]9;4;1;50\x07",
            "\x1b]9;12\x07",
            "\x1b]777;notify\x07",
            "\x1b]777;precmd;x\x07",
            "\x1b]99;x\x07",
            "\x1b]99;p=close;x\x07",
            "\x1b]99;e=1;%%%\x07",
            "\x1b]0;a title\x07",
        ] {
            assert_eq!(alerted(&[printed]), [None], "{printed:?}");
        }
    }

    #[test]
    fn a_text_is_bounded_and_has_no_control_characters() {
        let mut terminal = Terminal::new(TermSize::DEFAULT);
        for _ in 0..100 {
            terminal.print(format!("\x1b]99;d=0;{}\x07", "x".repeat(1000)).as_bytes());
        }
        terminal.print("\x1b]99;;end\x07".as_bytes());
        assert_eq!(terminal.take_alert().unwrap().len(), 256);
        terminal.print("\x1b]9;a\tb\x08c\x07".as_bytes());
        assert!(!terminal.take_alert().unwrap().contains(char::is_control));
    }
}
