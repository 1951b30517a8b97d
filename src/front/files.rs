//! The page's files, embedded in the program: each uncompressed, and compressed if that is smaller.

use axum::http::HeaderValue;

/// The files of `web/dist`, embedded by build.rs.
const EMBEDDED: &[Embedded] = include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// A file as build.rs embeds it: its name, its bytes, its brotli form and its gzip form.
type Embedded = (&'static str, &'static [u8], Option<&'static [u8]>, Option<&'static [u8]>);

/// The page's files.
#[derive(Debug)]
pub(super) struct Files(Vec<File>);

/// One file of the page.
#[derive(Debug)]
pub(super) struct File {
    /// The path it is served at: `/` or `/NAME`.
    pub(super) path: String,
    /// Its media type.
    pub(super) media: &'static str,
    /// Whether its name contains a hash of its contents, so that browsers may cache it for good.
    pub(super) is_immutable: bool,
    plain: Form,
    brotli: Option<Form>,
    gzip: Option<Form>,
}

/// One encoding of a file.
#[derive(Debug)]
pub(super) struct Form {
    /// The value of `Content-Encoding`; `None` for the uncompressed file.
    pub(super) encoding: Option<&'static str>,
    /// A hash of the bytes, quoted as in an `ETag`. Each form needs its own, see RFC 9110, section
    /// 8.8.3.
    pub(super) tag: HeaderValue,
    /// The bytes of the response body.
    pub(super) bytes: &'static [u8],
}

impl Files {
    pub(super) fn embedded() -> Self {
        Self(EMBEDDED.iter().map(|embedded| File::new(*embedded)).collect())
    }

    /// The file served at `path`.
    pub(super) fn at(&self, path: &str) -> Option<&File> {
        self.0.iter().find(|file| file.path == path)
    }
}

impl File {
    fn new((name, bytes, brotli, gzip): Embedded) -> Self {
        let path = if name == "index.html" { "/".to_owned() } else { format!("/{name}") };
        let smaller = |form: Option<&'static [u8]>, encoding| {
            form.filter(|form| form.len() < bytes.len()).map(|form| Form::new(form, Some(encoding)))
        };
        Self {
            path,
            media: media_type(name),
            is_immutable: has_hash(name),
            plain: Form::new(bytes, None),
            brotli: smaller(brotli, "br"),
            gzip: smaller(gzip, "gzip"),
        }
    }

    /// The best form for a browser, given the values of its `Accept-Encoding`. Forms with weight 0
    /// are excluded. Of the others the one with the highest weight is used, and on a tie brotli,
    /// which is usually the smaller one.
    pub(super) fn form<'a>(&'a self, accept_encoding: &[&[u8]]) -> &'a Form {
        let weight = |form: &Form| form.encoding.map_or(0, |encoding| weight(accept_encoding, encoding));
        let forms = [self.brotli.as_ref(), self.gzip.as_ref()];
        let taken = forms.into_iter().flatten().filter(|form| weight(form) > 0);
        // `max_by_key` returns the last of equal elements, so brotli must come last.
        taken.rev().max_by_key(|form| weight(form)).unwrap_or(&self.plain)
    }
}

impl Form {
    fn new(bytes: &'static [u8], encoding: Option<&'static str>) -> Self {
        let hash = blake3::hash(bytes).to_hex();
        let tag = format!("\"{}\"", hash.get(..32).unwrap_or_default());
        // Never fails: hexadecimal digits are valid in a header.
        let tag = HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"\""));
        Self { encoding, tag, bytes }
    }
}

/// The weight of a coding in thousandths, 0 if it is not accepted. See RFC 9110, section 12.5.3.
fn weight(accept_encoding: &[&[u8]], coding: &str) -> u16 {
    let listed = accept_encoding.iter().flat_map(|value| value.split(|byte| *byte == b','));
    let (mut named, mut any) = (None, None);
    for one in listed {
        let mut parts = one.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix(b"q=").or(part.strip_prefix(b"Q=")));
        let weight = weight.map_or(1000, thousandths);
        if name.eq_ignore_ascii_case(coding.as_bytes()) {
            named = Some(weight);
        } else if name == b"*" {
            any = Some(weight);
        }
    }
    named.or(any).unwrap_or(0)
}

/// Parses a weight from 0 to 1 with at most three decimals. Anything else counts as 0.
fn thousandths(text: &[u8]) -> u16 {
    let number = std::str::from_utf8(text).ok().filter(|text| text.len() <= 5);
    let number =
        number.and_then(|text| text.parse::<f32>().ok()).filter(|number| (0.0..=1.0).contains(number));
    [0, 1000].into_iter().chain(1..1000).find(|n| number == Some(f32::from(*n) / 1000.0)).unwrap_or(0)
}

/// Whether a name contains a hash as written by esbuild: `NAME-ABCDEFGH.EXTENSION`.
fn has_hash(name: &str) -> bool {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let hash = stem.rsplit_once('-').map_or("", |(_, hash)| hash);
    hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// The media type for a name's extension. Other files are served as plain bytes, which browsers do
/// not run, because the response headers forbid content sniffing.
fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Most bytes that the whole page may take on the wire, compressed.
    const PAGE_MAX: usize = 160_000;

    #[test]
    fn the_page_is_embedded_and_each_form_has_a_tag_of_its_own() {
        let files = Files::embedded();
        let page = files.at("/").unwrap();
        assert_eq!(page.media, "text/html; charset=utf-8");
        assert!(!page.is_immutable, "its address stays the same");
        let (plain, brotli) = (page.form(&[]), page.form(&[b"br"]));
        assert!(!plain.bytes.is_empty() && plain.tag.len() == 34, "{:?}", plain.tag);
        assert!(plain.tag != brotli.tag && plain.bytes.len() > brotli.bytes.len());
        assert!(files.at("/index.html").is_none() && files.at("").is_none() && files.at("/../src").is_none());
        let file = |bytes| File::new(("a.js", bytes, None, None));
        assert_ne!(file(b"1").plain.tag, file(b"2").plain.tag);
    }

    #[test]
    fn the_whole_page_takes_no_more_than_its_bound_on_the_wire() {
        let files = Files::embedded();
        let bytes: usize =
            files.0.iter().map(|file| file.form(&[b"gzip, deflate, br, zstd"]).bytes.len()).sum();
        assert!(bytes <= PAGE_MAX, "{bytes} bytes");
        // All files but the page itself are cached for good, so a second visit requests only the
        // page.
        assert!(files.0.iter().all(|file| file.is_immutable || file.path == "/"));
    }

    #[test]
    fn a_browser_gets_the_form_that_it_takes() {
        let file = File::new(("a.js", b"aaaaaa", Some(b"aa"), Some(b"aaa")));
        for (accepted, encoding) in [
            (&[][..], None),
            (&[&b"identity"[..]][..], None),
            (&[b"gzip"], Some("gzip")),
            (&[b"gzip, deflate, br, zstd"], Some("br")),
            (&[b"gzip", b"BR"], Some("br")),
            (&[b"br;q=0.5, gzip;q=0.8"], Some("gzip")),
            (&[b"br;q=0, gzip"], Some("gzip")),
            (&[b"br;q=0.000, gzip ; q=0"], None),
            (&[b"*"], Some("br")),
            (&[b"*;q=0.1, br;q=0"], Some("gzip")),
            (&[b"br;q=nan, gzip;q=2"], None),
            (&[b"brotli, xgzip, \xff"], None),
        ] {
            assert_eq!(file.form(accepted).encoding, encoding, "{accepted:?}");
        }
        let grown = File::new(("a.js", b"a", Some(b"aaaa"), None));
        assert_eq!(grown.form(&[b"br"]).encoding, None, "it is larger");
    }
}
