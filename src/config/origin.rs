use std::fmt;
use std::str::FromStr;

/// The origin of the page: scheme, host, and the port if it is not the scheme's default. It is
/// exactly what a browser sends in `Origin`, so the two can be compared as strings (RFC 6454,
/// section 6.2).
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Origin {
    text: String,
    /// Byte offset in `text` where the host begins.
    host: usize,
    /// Byte offset in `text` where the host ends. A port may follow.
    host_end: usize,
}

/// Why a text is not a valid origin for tere. Each message says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadOrigin {
    /// The scheme is neither https nor http.
    #[error("it does not begin with a scheme: write it like \"https://shell.example.org\"")]
    Scheme,
    /// Plain http to a host that browsers do not trust without TLS.
    #[error(
        "browsers offer passkeys over plain http on localhost only: write \"https://{authority}\", and give tere-front a certificate or put a proxy with one before it"
    )]
    PlainHttp {
        /// The host and port as written.
        authority: String,
    },
    /// The text has a path, a query, a fragment or a trailing slash.
    #[error("an origin has no path and no slash at its end: write {instead:?}")]
    Path {
        /// The text without it.
        instead: String,
    },
    /// The text has a user or a password before the host.
    #[error("an origin has no user and no password: write {instead:?}")]
    User {
        /// The text without them.
        instead: String,
    },
    /// The text has upper-case letters.
    #[error("browsers write an origin in lower case: write {instead:?}")]
    Case {
        /// The text in lower case.
        instead: String,
    },
    /// The host is an IP address.
    #[error(
        "a passkey cannot belong to an IP address: write the host's name, or \"http://localhost:8022\" to try tere on this host alone"
    )]
    Address,
    /// The host is not a host name.
    #[error(
        "{host:?} is not a host name: use a-z, 0-9, '-' and '.', each part beginning and ending with a letter or a digit, and write other letters as xn--..."
    )]
    Host {
        /// The host as written, cut to 64 characters.
        host: String,
    },
    /// The port is not a port number.
    #[error("{port:?} is not a port: write a number from 1 to 65535, without zeros before it")]
    Port {
        /// The port as written, cut to 64 characters.
        port: String,
    },
    /// The port is the scheme's default.
    #[error("browsers leave out port {port}, because it is the scheme's own: write {instead:?}")]
    OwnPort {
        /// The port.
        port: u16,
        /// The text without it.
        instead: String,
    },
}

impl Origin {
    /// The whole origin, as in an `Origin` header.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host, which is the relying party id of the passkeys.
    pub fn rp_id(&self) -> &str {
        self.text.get(self.host..self.host_end).unwrap_or_default()
    }

    /// The port that a browser connects to.
    pub fn port(&self) -> u16 {
        let written = self.text.get(self.host_end + 1..).and_then(read_port);
        written.unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    /// Host and port, as in a `Host` header.
    pub fn host_header(&self) -> &str {
        self.text.get(self.host..).unwrap_or_default()
    }

    /// Whether browsers use TLS to reach it.
    pub fn is_https(&self) -> bool {
        self.text.starts_with("https:")
    }
}

impl TryFrom<String> for Origin {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map_err(|cause: BadOrigin| {
            let shown: String = text.chars().take(64).collect();
            format!("the origin cannot be {shown:?}: {cause}")
        })
    }
}

impl FromStr for Origin {
    type Err = BadOrigin;

    fn from_str(text: &str) -> Result<Self, BadOrigin> {
        let lower = text.to_ascii_lowercase();
        let (scheme, own_port) = match lower.split_once("://") {
            Some(("https", _)) => ("https", 443),
            Some(("http", _)) => ("http", 80),
            Some(_) | None => return Err(BadOrigin::Scheme),
        };
        if lower != text {
            return Err(BadOrigin::Case { instead: lower });
        }
        let host = scheme.len() + "://".len();
        let authority = text.get(host..).unwrap_or_default();
        if let Some(end) = authority.find(['/', '?', '#', '\\']) {
            let instead = text.get(..host + end).unwrap_or_default().to_owned();
            return Err(BadOrigin::Path { instead });
        }
        if let Some((_, rest)) = authority.rsplit_once('@') {
            return Err(BadOrigin::User { instead: format!("{scheme}://{rest}") });
        }
        if authority.starts_with('[') {
            return Err(BadOrigin::Address);
        }
        let (name, port) = match authority.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (authority, None),
        };
        vet_host(name)?;
        if let Some(port) = port {
            let number = read_port(port).ok_or_else(|| BadOrigin::Port { port: cut(port) })?;
            if number == own_port {
                return Err(BadOrigin::OwnPort { port: number, instead: format!("{scheme}://{name}") });
            }
        }
        // Browsers treat these names, and no others, as trustworthy without TLS.
        let local = name == "localhost" || name.ends_with(".localhost");
        if scheme == "http" && !local {
            return Err(BadOrigin::PlainHttp { authority: authority.to_owned() });
        }
        Ok(Self { text: text.to_owned(), host, host_end: host + name.len() })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn vet_host(name: &str) -> Result<(), BadOrigin> {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let label = |label: &str| {
        label.len() <= 63
            && edge(label.bytes().next())
            && edge(label.bytes().last())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if name.len() > 253 || !name.split('.').all(label) {
        return Err(BadOrigin::Host { host: cut(name) });
    }
    // Browsers parse a host whose last label is a number as an IPv4 address (WHATWG URL, "ends in a
    // number"), including hexadecimal numbers.
    let last = name.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").is_some_and(|x| x.bytes().all(|b| b.is_ascii_hexdigit()));
    if hexadecimal || last.bytes().all(|b| b.is_ascii_digit()) {
        return Err(BadOrigin::Address);
    }
    Ok(())
}

fn read_port(text: &str) -> Option<u16> {
    let number: u16 = text.parse().ok()?;
    // "+8080" and "08080" parse as numbers too, but no browser writes a port that way.
    (number > 0 && number.to_string() == text).then_some(number)
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}
