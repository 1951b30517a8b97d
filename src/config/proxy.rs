//! The proxy in front of tere.

use serde::Deserialize;

/// How the proxy on the UNIX sockets of tere-front says from which address a browser comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxySource {
    /// Each socket begins with a header of the PROXY protocol, version 2.
    ProxyProtocol,
    /// Each request has the header `X-Forwarded-For` with this address and no other.
    XForwardedFor,
}
