/// The files of `web/dist`, as build.rs found them.
const EMBEDDED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// The page's files, which are part of this program.
#[derive(Debug)]
pub(super) struct Files(Vec<File>);

/// One file of the page.
#[derive(Debug)]
pub(super) struct File {
    /// Where it is served: `/` or `/NAME`.
    pub(super) path: String,
    /// Its media type.
    pub(super) media: &'static str,
    /// A hash of its bytes, quoted as in an `ETag`.
    pub(super) tag: String,
    /// What is in it.
    pub(super) bytes: &'static [u8],
}

impl Files {
    pub(super) fn embedded() -> Self {
        Self(EMBEDDED.iter().map(|(name, bytes)| File::new(name, bytes)).collect())
    }

    /// The file that is served at `path`.
    pub(super) fn at(&self, path: &str) -> Option<&File> {
        self.0.iter().find(|file| file.path == path)
    }
}

impl File {
    fn new(name: &str, bytes: &'static [u8]) -> Self {
        let path = if name == "index.html" { "/".to_owned() } else { format!("/{name}") };
        let hash = blake3::hash(bytes).to_hex();
        let tag = format!("\"{}\"", hash.get(..32).unwrap_or_default());
        Self { path, media: media_type(name), tag, bytes }
    }
}

/// The media type by the name's ending. A file of another kind is served as bytes, which browsers
/// will not run: responses forbid them to guess.
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

    #[test]
    fn the_page_is_embedded_and_each_file_has_a_tag_of_its_own() {
        let files = Files::embedded();
        let page = files.at("/").unwrap();
        assert_eq!(page.media, "text/html; charset=utf-8");
        assert!(!page.bytes.is_empty() && page.tag.len() == 34, "{}", page.tag);
        assert!(files.at("/index.html").is_none() && files.at("").is_none() && files.at("/../src").is_none());
        assert_ne!(File::new("a.js", b"1").tag, File::new("a.js", b"2").tag);
    }
}
