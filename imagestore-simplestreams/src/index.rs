use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess};
use serde::{Deserialize, Deserializer};

use crate::date::of_mail;
use crate::error::ParseError;
use crate::json::{Lenient, Part, Text, Unique, not_json, once};
use crate::path::{check_path, is_plain, shown};
use crate::trust;

/// The first document of a tree: which product files there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    files: Vec<ProductFile>,
    problems: Vec<Problem>,
    updated: Option<u64>,
}

/// A product file the index names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductFile {
    content_id: String,
    path: String,
}

/// A product file the index names in vain, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// What it is about, safe to show.
    pub(crate) content_id: String,
    pub(crate) error: ParseError,
}

impl Index {
    /// Reads `streams/v1/index.json`, or the text of `index.sjson`.
    ///
    /// Only product files of images to download count; those of other data types, of other formats
    /// and without products are left out, and so are those that cannot be asked for, as long as
    /// there are others.
    ///
    /// # Errors
    /// [`ParseError`] if this is no index, one that names no product file but by paths that leave
    /// the tree, or one that names more than 64.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let wire: WireIndex = serde_json::from_slice(bytes).map_err(|error| not_json(&error))?;
        let format = wire.format.0.unwrap_or_default();
        if format != FORMAT {
            return Err(ParseError::Format {
                found: shown(&format),
                wanted: FORMAT,
            });
        }
        let (mut files, mut problems) = (Vec::new(), Vec::new());
        for (content_id, entry) in wire.index.0 {
            if !entry.is_wanted() {
                continue;
            }
            if files.len() + problems.len() == MAX_FILES {
                return Err(ParseError::TooMany {
                    limit: MAX_FILES,
                    what: "product files",
                });
            }
            let path = entry.path.unwrap_or_default();
            match check_file(&path) {
                Ok(()) => files.push(ProductFile { content_id, path }),
                Err(error) => problems.push(Problem {
                    content_id: shown(&content_id),
                    error,
                }),
            }
        }
        if let (true, Some(problem)) = (files.is_empty(), problems.first()) {
            return Err(problem.error.clone());
        }
        Ok(Self {
            files,
            problems,
            updated: wire.updated.0.as_deref().and_then(of_mail),
        })
    }

    /// The product files, sorted by what they are about.
    pub fn files(&self) -> impl Iterator<Item = &ProductFile> {
        self.files.iter()
    }

    pub(crate) fn problems(&self) -> &[Problem] {
        &self.problems
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

/// Checks the path of a product file, which is asked for as it is.
fn check_file(path: &str) -> Result<(), ParseError> {
    check_path(path)?;
    if !is_plain(path) {
        return Err(ParseError::Path {
            problem: "the path of a product file is not plain",
            path: shown(path),
        });
    }
    match trust::stem(path) {
        Some(_) => Ok(()),
        None => Err(ParseError::ProductFile { path: shown(path) }),
    }
}

#[derive(Deserialize)]
struct WireIndex {
    #[serde(default)]
    format: WireText,
    index: Unique<WireEntry>,
    #[serde(default)]
    updated: WireText,
}

/// A text, or nothing if it is something else.
#[derive(Default)]
struct WireText(Option<String>);

impl<'de> Deserialize<'de> for WireText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Lenient(Text).deserialize(deserializer).map(Self)
    }
}

#[derive(Default)]
struct WireEntry {
    datatype: Option<String>,
    format: Option<String>,
    path: Option<String>,
    products: bool,
}

impl WireEntry {
    fn is_wanted(&self) -> bool {
        let of_products = |format: &str| format == PRODUCTS_FORMAT;
        self.datatype.as_deref() == Some("image-downloads")
            && self.format.as_deref().is_none_or(of_products)
            && self.products
    }
}

impl<'de> Deserialize<'de> for WireEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Lenient(Entry).deserialize(deserializer)
    }
}

struct Entry;

impl<'de> Part<'de> for Entry {
    type Value = WireEntry;

    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<WireEntry, A::Error> {
        let mut entry = WireEntry::default();
        let mut seen = [false; 4];
        while let Some(name) = map.next_key::<String>()? {
            let [datatype, format, path, products] = &mut seen;
            match name.as_str() {
                "datatype" => entry.datatype = text(&mut map, datatype, &name)?,
                "format" => entry.format = text(&mut map, format, &name)?,
                "path" => entry.path = text(&mut map, path, &name)?,
                "products" => {
                    once(products, &name)?;
                    entry.products = map.next_value_seed(Lenient(Filled))?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(entry)
    }
}

fn text<'de, A: MapAccess<'de>>(
    map: &mut A,
    seen: &mut bool,
    name: &str,
) -> Result<Option<String>, A::Error> {
    once::<A::Error>(seen, name)?;
    map.next_value_seed(Lenient(Text))
}

/// Whether there is an array that is not empty.
struct Filled;

impl<'de> Part<'de> for Filled {
    type Value = bool;

    fn array<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        let mut filled = false;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            filled = true;
        }
        Ok(filled)
    }
}

const FORMAT: &str = "index:1.0";
pub(crate) const PRODUCTS_FORMAT: &str = "products:1.0";
const MAX_FILES: usize = 64;

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
        assert_eq!(error.to_string(), "a path is empty: ``");
        let error = index(&format!(r#""a":{{{ENTRY},"path":"a.xml"}}"#)).expect_err("no JSON");
        assert_eq!(
            error.to_string(),
            "the product file is neither .json nor .sjson: `a.xml`"
        );
    }

    #[test]
    fn a_path_that_cannot_be_asked_for_takes_no_other_file_along() {
        let text = format!(
            r#""a":{{{ENTRY},"path":"../a.json"}},"b":{{{ENTRY},"path":"b.json"}},
               "c":{{{ENTRY},"path":"c d.json"}},"d":{{{ENTRY},"path":"d.xml"}}"#
        );
        let index = index(&text).expect("an index");
        let found: Vec<_> = index.files().map(ProductFile::path).collect();
        assert_eq!(found, ["b.json"]);
        let problems: Vec<_> = index
            .problems()
            .iter()
            .map(|problem| format!("{}: {}", problem.content_id, problem.error))
            .collect();
        assert_eq!(
            problems,
            [
                "a: a path leaves the tree: `../a.json`",
                "c: the path of a product file is not plain: `c d.json`",
                "d: the product file is neither .json nor .sjson: `d.xml`",
            ]
        );
    }

    #[test]
    fn entries_of_another_kind_are_left_out() {
        for odd in ["null", "false", "5", "1.5", "\"x\"", "[]", "{}"] {
            let text = format!(
                r#""a":{{{ENTRY},"path":"a.json","updated":{odd},"clouds":{odd}}},
                   "b":{{"datatype":{odd},"format":{odd},"path":{odd},"products":{odd}}},
                   "c":{odd},
                   "d":{{"datatype":"image-downloads","path":"d.json","products":{odd}}}"#
            );
            let index = index(&text).unwrap_or_else(|error| panic!("{odd}: {error}"));
            let found: Vec<_> = index.files().map(ProductFile::path).collect();
            assert_eq!(found, ["a.json"], "{odd}");
        }
        let text = br#"{"format":"index:1.0","updated":5,"index":{}}"#;
        assert_eq!(Index::parse(text).expect("an index").updated(), None);
        let error = index(r#""a":{"path":"a","path":"b"}"#).expect_err("twice");
        assert!(error.to_string().contains("`path` comes twice"), "{error}");
    }

    #[test]
    fn names_at_most_64_product_files() {
        let files = |count: usize| {
            let one = |n| format!(r#""{n}":{{{ENTRY},"path":"{n}.json"}}"#);
            (0..count).map(one).collect::<Vec<_>>().join(",")
        };
        let found = index(&files(64)).expect("an index");
        assert_eq!(found.files().count(), 64);
        let error = index(&files(65)).expect_err("too many");
        assert_eq!(error.to_string(), "has more than 64 product files");
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
