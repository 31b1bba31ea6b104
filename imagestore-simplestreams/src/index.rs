use imagestore_core::printable;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::date::of_mail;
use crate::error::ParseError;
use crate::json::{Unique, not_json};

/// The first document of a tree: which product files there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    files: Vec<ProductFile>,
    updated: Option<u64>,
}

/// A product file the index names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductFile {
    content_id: String,
    path: String,
}

impl Index {
    /// Reads `streams/v1/index.json`, or the text of `index.sjson`.
    ///
    /// Only product files of images to download count; those of other data types, of other formats
    /// and without products are left out.
    ///
    /// # Errors
    /// [`ParseError`] if this is no index, or one that names a path outside of the tree.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let wire: WireIndex = serde_json::from_slice(bytes).map_err(|error| not_json(&error))?;
        if wire.format != FORMAT {
            return Err(ParseError::Format {
                found: shown(&wire.format),
                wanted: FORMAT,
            });
        }
        let wanted = |entry: &WireEntry| {
            entry.datatype.as_deref() == Some("image-downloads")
                && entry
                    .format
                    .as_deref()
                    .is_none_or(|format| format == PRODUCTS_FORMAT)
                && !entry.products.is_empty()
        };
        let mut files = Vec::new();
        for (content_id, entry) in wire.index.0 {
            if wanted(&entry) {
                let path = entry.path.unwrap_or_default();
                let path = check_path(&path)?.to_owned();
                files.push(ProductFile { content_id, path });
            }
        }
        Ok(Self {
            files,
            updated: wire.updated.as_deref().and_then(of_mail),
        })
    }

    /// The product files, sorted by what they are about.
    pub fn files(&self) -> impl Iterator<Item = &ProductFile> {
        self.files.iter()
    }

    /// When it was written, in seconds since 1970, if it says so.
    #[must_use]
    pub fn updated(&self) -> Option<u64> {
        self.updated
    }
}

impl ProductFile {
    /// What it is about, such as `images` or `com.ubuntu.cloud:released:download`.
    #[must_use]
    pub fn content_id(&self) -> &str {
        &self.content_id
    }

    /// Where it is, below the root of the tree.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// A path below the root of a tree: relative, and made of names that a URL holds as they are.
pub(crate) fn check_path(path: &str) -> Result<&str, ParseError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._~:+-@=,".contains(&byte);
    let segment = |name: &str| !matches!(name, "" | "." | "..") && name.bytes().all(plain);
    if path.len() <= MAX_PATH && path.split('/').all(segment) {
        return Ok(path);
    }
    Err(ParseError::Path { path: shown(path) })
}

/// A text from outside, short and safe to show.
pub(crate) fn shown(text: &str) -> String {
    printable(&text.chars().take(120).collect::<String>())
}

#[derive(Deserialize)]
struct WireIndex {
    #[serde(default)]
    format: String,
    index: Unique<WireEntry>,
    updated: Option<String>,
}

#[derive(Deserialize)]
struct WireEntry {
    datatype: Option<String>,
    format: Option<String>,
    path: Option<String>,
    #[serde(default)]
    products: Vec<IgnoredAny>,
}

const FORMAT: &str = "index:1.0";
pub(crate) const PRODUCTS_FORMAT: &str = "products:1.0";
const MAX_PATH: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = r#""datatype":"image-downloads","format":"products:1.0","products":["a"]"#;

    fn index(entries: &str) -> Result<Index, ParseError> {
        let text = format!(r#"{{"format":"index:1.0","index":{{{entries}}}}}"#);
        Index::parse(text.as_bytes())
    }

    #[test]
    fn takes_files_of_images_and_leaves_others_out() {
        let text = format!(
            r#""b":{{{ENTRY},"path":"streams/v1/b:c.json","more":{{}}}},
               "a":{{{ENTRY},"path":"streams/v1/a.sjson"}},
               "ids":{{"datatype":"image-ids","path":"//x","products":["a"]}},
               "none":{{"datatype":"image-downloads","format":"products:1.0","path":"x","products":[]}},
               "later":{{"datatype":"image-downloads","format":"products:2.0","path":"x","products":["a"]}}"#
        );
        let index = index(&text).expect("an index");
        let found: Vec<_> = index.files().map(|f| (f.content_id(), f.path())).collect();
        assert_eq!(
            found,
            [("a", "streams/v1/a.sjson"), ("b", "streams/v1/b:c.json")]
        );
        assert_eq!(index.updated(), None);
    }

    #[test]
    fn refuses_paths_that_leave_the_tree() {
        for path in [
            "../x",
            "/etc/passwd",
            "//evil.example/x",
            "http://evil.example/x",
            "a//b",
            "a/./b",
            "a?b",
            "a#b",
            "a%2e%2e/b",
            "a\\\\b",
            "a\\u0000b",
            "",
            "a b",
        ] {
            let error = index(&format!(r#""a":{{{ENTRY},"path":"{path}"}}"#)).expect_err(path);
            assert!(matches!(error, ParseError::Path { .. }), "{path}: {error}");
        }
        let error = index(&format!(r#""a":{{{ENTRY}}}"#)).expect_err("no path");
        assert_eq!(error.to_string(), "a path leaves the tree: ``");
    }

    #[test]
    fn refuses_what_is_no_index() {
        for (bytes, wanted) in [
            (&b""[..], "not the JSON of this protocol: EOF"),
            (
                b"<!DOCTYPE html>",
                "not the JSON of this protocol: expected value",
            ),
            (b"[]", "not the JSON of this protocol: "),
            (
                b"{}",
                "not the JSON of this protocol: missing field `index`",
            ),
            (
                b"\xef\xbb\xbf{}",
                "not the JSON of this protocol: expected value",
            ),
            (br#"{"index":{}}"#, "the format is ``, expected `index:1.0`"),
            (
                br#"{"format":"index:1.0","index":{"a":{},"a":{}}}"#,
                "not the JSON of this protocol: `a` comes twice",
            ),
            (
                br#"{"format":"index:1.0","index":{}} x"#,
                "not the JSON of this protocol: trailing",
            ),
        ] {
            let error = Index::parse(bytes).expect_err(wanted).to_string();
            assert!(error.starts_with(wanted), "{error}");
        }
        let deep = vec![b'['; 1_000_000];
        assert!(Index::parse(&deep).is_err());
    }
}
