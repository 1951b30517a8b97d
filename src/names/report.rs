//! The key that marks the report of how a shell ended.

/// 160 random bits that the broker gives to a session's worker and to the script that starts the
/// shell. The script reports through the terminal how the shell ended. The key lets the worker tell
/// that report from other output, such as a file that contains an old report. The key is not secret
/// from the person in the shell, nor from root of the machine: a forged report can only show a
/// wrong exit status.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReportKey(String);

super::parsed_text!(ReportKey, "a report key", "it has 32 characters of a-z and 2-7", accepts);

fn accepts(text: &str) -> bool {
    text.len() == ReportKey::LENGTH
        && text.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b))
}

impl ReportKey {
    /// Its length, bytes.
    pub const LENGTH: usize = 32;

    /// A new key from the kernel's random numbers.
    ///
    /// # Errors
    /// The error of getrandom(2).
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0_u8; 20];
        getrandom::fill(&mut bytes)?;
        Ok(Self(data_encoding::BASE32_NOPAD.encode(&bytes).to_ascii_lowercase()))
    }
}
