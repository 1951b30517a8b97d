//! The key of the report of a shell's end.

/// 160 random bits that the broker gives to a session's worker and to the script that starts the
/// shell. The script reports through the terminal how the shell ended, and by the key the worker knows
/// that report from anything else that was printed, such as a file which shows an old one. It is no
/// secret from the person in the shell, nor from root of the machine: a forged report shows a wrong
/// exit status, and no more.
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
    /// What getrandom(2) says.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0_u8; 20];
        getrandom::fill(&mut bytes)?;
        Ok(Self(data_encoding::BASE32_NOPAD.encode(&bytes).to_ascii_lowercase()))
    }
}
