//! What a proxy on this host says of the sources of its sockets and requests. Believed only on the
//! UNIX sockets of the front, and only if the policy says in which of the two ways the proxy does
//! it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use axum::http::HeaderMap;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::timeout;

use super::admission::Rejection;
use super::source::Source;

/// Longest header of the PROXY protocol behind its first 16 bytes, bytes. The addresses take 36;
/// the rest are extensions, such as the name in the browser's TLS handshake. The socket of a longer
/// one is closed.
const REST_MAX: usize = 1024;

/// The first twelve bytes, which are no HTTP.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Why a header of the PROXY protocol is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeaderFault {
    #[error("the socket ends within the PROXY header")]
    Incomplete,
    #[error("the PROXY header did not come in time")]
    TooSlow,
    #[error("the socket does not begin with a header of the PROXY protocol, version 2")]
    NotAHeader,
    #[error("the PROXY header is longer than {REST_MAX} bytes")]
    TooLong,
    #[error("the PROXY header is malformed or not of a TCP connection")]
    Malformed,
}

/// Reads a header of the PROXY protocol, version 2, and nothing behind it. It has to arrive
/// `within` this time. See <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>, section
/// 2.2.
pub(super) async fn read_header(
    stream: &mut (impl AsyncRead + Unpin),
    within: Duration,
) -> Result<Source, HeaderFault> {
    let header = async {
        let mut start = [0; 16];
        stream.read_exact(&mut start).await.map_err(|_| HeaderFault::Incomplete)?;
        let [signature @ .., version, family, l1, l0] = start;
        if signature != SIGNATURE {
            return Err(HeaderFault::NotAHeader);
        }
        let length = usize::from(u16::from_be_bytes([l1, l0]));
        if length > REST_MAX {
            return Err(HeaderFault::TooLong);
        }
        let mut rest = vec![0; length];
        stream.read_exact(&mut rest).await.map_err(|_| HeaderFault::Incomplete)?;
        source_of(version, family, &rest).ok_or(HeaderFault::Malformed)
    };
    timeout(within, header).await.unwrap_or(Err(HeaderFault::TooSlow))
}

/// The source that a header names, if it is well-formed: version and command, family and transport,
/// and the bytes behind the length.
fn source_of(version: u8, family: u8, rest: &[u8]) -> Option<Source> {
    match (version, family) {
        // LOCAL: the proxy speaks for itself, for instance to see whether the front is there. It
        // may put anything behind it.
        (0x20, _) => Some(Source::Local),
        (0x21, 0x11) => {
            let ([s3, s2, s1, s0, ..], rest) = rest.split_first_chunk::<12>()?;
            are_extensions(rest).then(|| Source::of(Ipv4Addr::from([*s3, *s2, *s1, *s0]).into()))
        }
        (0x21, 0x21) => {
            let (addresses, rest) = rest.split_first_chunk::<36>()?;
            let (source, _) = addresses.split_first_chunk::<16>()?;
            are_extensions(rest).then(|| Source::of(Ipv6Addr::from(*source).into()))
        }
        _ => None,
    }
}

/// Whether the bytes are whole extensions: a type, a length of two bytes, and a value each.
fn are_extensions(mut bytes: &[u8]) -> bool {
    while let Some(([_, l1, l0], rest)) = bytes.split_first_chunk() {
        let Some(behind) = rest.get(usize::from(u16::from_be_bytes([*l1, *l0]))..) else { return false };
        bytes = behind;
    }
    bytes.is_empty()
}

/// The source that the proxy names in `X-Forwarded-For`: one header with one address. A list would
/// have been begun by the browser, which can write anything into it.
pub(super) fn forwarded_for(headers: &HeaderMap) -> Result<Source, Rejection> {
    let mut values = headers.get_all("x-forwarded-for").iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Rejection::NoSource) };
    let address: Option<IpAddr> = value.to_str().ok().and_then(|text| text.parse().ok());
    address.map(Source::of).ok_or(Rejection::NoSource)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn header(version: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[version, family], &length, rest].concat()
    }

    /// What the front makes of a socket with these bytes, and what it leaves of them.
    fn read(bytes: &[u8]) -> (Result<Source, HeaderFault>, Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut left = bytes;
        let source = runtime.block_on(read_header(&mut left, Duration::from_secs(20)));
        (source, left.to_vec())
    }

    fn remote(text: &str) -> Source {
        Source::of(text.parse().unwrap())
    }

    const TCP4: [u8; 12] = [192, 0, 2, 1, 127, 0, 0, 1, 0x12, 0x34, 0, 80];

    fn tcp6() -> Vec<u8> {
        let address = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
        [&address("2001:db8::7")[..], &address("::1"), &[0x12, 0x34, 0, 80]].concat()
    }

    #[test]
    fn a_proxy_says_where_a_socket_comes_from() {
        let extensions = [1, 0, 2, b'h', b'2', 4, 0, 0];
        for (bytes, source) in [
            (header(0x21, 0x11, &TCP4), remote("192.0.2.1")),
            (header(0x21, 0x11, &[&TCP4[..], &extensions].concat()), remote("192.0.2.1")),
            (header(0x21, 0x21, &tcp6()), remote("2001:db8::7")),
            (header(0x21, 0x21, &[&tcp6()[..], &extensions].concat()), remote("2001:db8::7")),
            (header(0x20, 0x00, &[]), Source::Local),
            (header(0x20, 0x11, &TCP4), Source::Local),
        ] {
            let (read, left) = read(&[&bytes[..], b"GET /"].concat());
            assert_eq!((read, left.as_slice()), (Ok(source), &b"GET /"[..]), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_header_of_the_proxy_protocol_is_refused() {
        let mut long = header(0x21, 0x11, &[&TCP4[..], &[4, 4, 0xff], &[0; 1279]].concat());
        long.truncate(40);
        for (bytes, fault) in [
            (&b""[..], HeaderFault::Incomplete),
            (b"GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n", HeaderFault::NotAHeader),
            (b"PROXY TCP4 192.0.2.1 127.0.0.1 4660 80\r\n", HeaderFault::NotAHeader),
            (&header(0x21, 0x11, &TCP4)[..27], HeaderFault::Incomplete),
            (&long, HeaderFault::TooLong),
            (&header(0x21, 0x11, &TCP4[..11]), HeaderFault::Malformed),
            (&header(0x21, 0x21, &TCP4), HeaderFault::Malformed),
            (&header(0x21, 0x00, &TCP4), HeaderFault::Malformed),
            (&header(0x21, 0x12, &TCP4), HeaderFault::Malformed),
            (&header(0x21, 0x31, &[0; 216]), HeaderFault::Malformed),
            (&header(0x11, 0x11, &TCP4), HeaderFault::Malformed),
            (&header(0x22, 0x11, &TCP4), HeaderFault::Malformed),
            (&header(0x21, 0x11, &[&TCP4[..], &[4]].concat()), HeaderFault::Malformed),
            (&header(0x21, 0x11, &[&TCP4[..], &[4, 0, 2, 0]].concat()), HeaderFault::Malformed),
        ] {
            assert_eq!(read(bytes).0, Err(fault), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn a_header_that_does_not_come_is_not_awaited() {
        let (mut ours, mut theirs) = tokio::io::duplex(64);
        tokio::io::AsyncWriteExt::write_all(&mut ours, &header(0x21, 0x11, &TCP4)[..27]).await.unwrap();
        let read = read_header(&mut theirs, Duration::from_millis(50));
        let read = timeout(Duration::from_secs(20), read).await.expect("an answer in time");
        assert_eq!(read, Err(HeaderFault::TooSlow));
    }

    proptest! {
        #[test]
        fn no_header_makes_the_front_panic_and_none_is_read_beyond_its_end(
            version in prop_oneof![Just(0x21), Just(0x20), any::<u8>()],
            family in prop_oneof![Just(0x11), Just(0x21), any::<u8>()],
            rest in proptest::collection::vec(any::<u8>(), 0..80),
            behind in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let (source, left) = read(&[&header(version, family, &rest)[..], &behind].concat());
            prop_assert_eq!(left, behind);
            if source.is_ok_and(|source| source != Source::Local) {
                prop_assert!(version == 0x21 && (family, rest.len()) >= (0x11, 12));
            }
        }

        #[test]
        fn no_bytes_for_a_header_make_the_front_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(read(&bytes).0.is_err());
        }
    }

    #[test]
    fn a_proxy_names_one_address_for_a_request() {
        let named = |values: &[&'static str]| {
            let values = values
                .iter()
                .map(|value| ("x-forwarded-for".parse().unwrap(), HeaderValue::from_static(value)));
            forwarded_for(&HeaderMap::from_iter(values))
        };
        assert_eq!(named(&["192.0.2.1"]), Ok(remote("192.0.2.1")));
        assert_eq!(named(&["2001:db8::7"]), Ok(remote("2001:db8::7")));
        assert_eq!(named(&["::ffff:192.0.2.1"]), Ok(remote("192.0.2.1")));
        for values in [
            &[][..],
            &[""],
            &["unknown"],
            &["unix:"],
            &["192.0.2.1, 192.0.2.2"],
            &["192.0.2.1,"],
            &["192.0.2.1:80"],
            &["[2001:db8::7]"],
            &["192.0.2.1", "192.0.2.2"],
            &["192.0.2.1", "192.0.2.1"],
        ] {
            assert_eq!(named(values), Err(Rejection::NoSource), "{values:?}");
        }
    }
}
