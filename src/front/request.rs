use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Longest head of a request, bytes: request line and headers. A longer one is refused with 431.
/// Browsers send every cookie of `localhost` to every port, so it is not tiny.
const HEAD_MAX: usize = 16 * 1024;

/// Most headers in a request; one more is refused with 431.
const HEADERS_MAX: usize = 64;

const END: &[u8] = b"\r\n\r\n";

/// The head of a request, read and found to be HTTP/1. It has no body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// The path, without what follows a `?`.
    pub(super) path: String,
    /// HTTP/1.1 and not 1.0.
    pub(super) version: Version,
    headers: Vec<(String, Vec<u8>)>,
}

/// The version of HTTP in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Http10,
    Http11,
}

/// Why there is no request.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadRequest {
    #[error("the head is longer than {HEAD_MAX} bytes or has more than {HEADERS_MAX} headers")]
    TooLong,
    #[error("it is not HTTP/1: {0}")]
    Malformed(&'static str),
    #[error("it has a body")]
    Body,
    #[error("the socket failed: {0}")]
    Io(#[from] io::Error),
}

impl Request {
    /// Reads the next head from `stream`, and leaves in `buffer` what follows it. Nothing where
    /// the peer closes before it begins one.
    pub(super) async fn read<S: AsyncRead + Unpin>(
        stream: &mut S,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Self>, BadRequest> {
        let mut searched: usize = 0;
        loop {
            // Only what is new is looked at: a head that comes byte by byte costs no more.
            let from = searched.saturating_sub(END.len() - 1);
            let new = buffer.get(from..).unwrap_or_default();
            if let Some(at) = new.windows(END.len()).position(|window| window == END) {
                let rest = buffer.split_off(from + at + END.len());
                let head = std::mem::replace(buffer, rest);
                return Self::parse(&head).map(Some);
            }
            searched = buffer.len();
            if searched >= HEAD_MAX {
                return Err(BadRequest::TooLong);
            }
            let room = u64::try_from(HEAD_MAX - searched).unwrap_or_default();
            if (&mut *stream).take(room).read_buf(buffer).await? == 0 {
                return if searched == 0 { Ok(None) } else { Err(BadRequest::Malformed("it is cut short")) };
            }
        }
    }

    /// Parses a whole head.
    pub(super) fn parse(head: &[u8]) -> Result<Self, BadRequest> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut headers);
        match parsed.parse(head) {
            Ok(httparse::Status::Complete(length)) if length == head.len() => {}
            Ok(_) => return Err(BadRequest::Malformed("a line ends wrong")),
            Err(httparse::Error::TooManyHeaders) => return Err(BadRequest::TooLong),
            Err(_) => return Err(BadRequest::Malformed("a line does not parse")),
        }
        let target = parsed.path.unwrap_or_default();
        if !target.starts_with('/') {
            return Err(BadRequest::Malformed("its target is not a path"));
        }
        let request = Self {
            method: parsed.method.unwrap_or_default().to_owned(),
            path: target.split('?').next().unwrap_or_default().to_owned(),
            version: if parsed.version == Some(1) { Version::Http11 } else { Version::Http10 },
            headers: parsed.headers.iter().map(|h| (h.name.to_ascii_lowercase(), h.value.to_vec())).collect(),
        };
        // Nothing here takes a body, so there is no length to disagree about with a proxy.
        let empty = request.all("content-length").iter().all(|length| *length == b"0");
        if !empty || !request.all("transfer-encoding").is_empty() {
            return Err(BadRequest::Body);
        }
        Ok(request)
    }

    /// Every value of a header, by its name in lower case.
    pub(super) fn all(&self, name: &str) -> Vec<&[u8]> {
        self.headers.iter().filter(|header| header.0 == name).map(|header| header.1.as_slice()).collect()
    }

    /// Whether a header, which is a list by commas, has `word` in it. Case does not matter.
    pub(super) fn lists(&self, name: &str, word: &str) -> bool {
        let values = self.all(name);
        let mut words = values.iter().flat_map(|value| value.split(|byte| *byte == b','));
        words.any(|listed| listed.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Whether the peer may send another request on this socket.
    pub(super) fn keeps_alive(&self) -> bool {
        match self.version {
            Version::Http10 => false,
            Version::Http11 => !self.lists("connection", "close"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(mut bytes: &[u8]) -> Result<Option<Request>, BadRequest> {
        Request::read(&mut bytes, &mut Vec::new()).await
    }

    #[tokio::test]
    async fn a_head_is_read_and_what_follows_is_left() {
        let mut stream: &[u8] = b"GET /tere.js?v=1 HTTP/1.1\r\nHost: a\r\nX: 1, Two\r\nx:3\r\n\r\nrest";
        let mut buffer = Vec::new();
        let request = Request::read(&mut stream, &mut buffer).await.unwrap().unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/tere.js"));
        assert_eq!(request.all("x"), [&b"1, Two"[..], b"3"]);
        assert!(request.lists("x", "two") && request.lists("x", "3") && !request.lists("x", "tw"));
        assert!(request.keeps_alive());
        assert_eq!(buffer, b"rest");
        assert!(read(b"").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_is_not_a_head_is_refused() {
        let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(HEAD_MAX));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: 1\r\n".repeat(HEADERS_MAX + 1));
        for text in [long.as_str(), many.as_str()] {
            assert!(matches!(read(text.as_bytes()).await, Err(BadRequest::TooLong)));
        }
        for text in [
            "GET / HTTP/1.1\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\n\r\n",
            "GET\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\r\n folded: a\r\n\r\n",
            "\x16\x03\x01\x02\r\n\r\n",
        ] {
            assert!(matches!(read(text.as_bytes()).await, Err(BadRequest::Malformed(_))), "{text:?}");
        }
        for body in
            ["Content-Length: 5", "Transfer-Encoding: chunked", "Content-Length: 0\r\nContent-Length: 1"]
        {
            let text = format!("GET / HTTP/1.1\r\n{body}\r\n\r\n");
            assert!(matches!(read(text.as_bytes()).await, Err(BadRequest::Body)), "{body}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(head in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            drop(Request::parse(&head));
        }
    }
}
