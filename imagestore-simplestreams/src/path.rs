//! Texts from a tree that become paths, and how they are shown.

use std::borrow::Cow;

use imagestore_core::printable;

use crate::error::ParseError;

/// Checks a path below the root of a tree: relative, and without anything by which two programs
/// could read it in two ways.
pub(crate) fn check_path(path: &str) -> Result<(), ParseError> {
    let leaves = path.contains("://") || path.split('/').any(|name| matches!(name, "." | ".."));
    let problem = if path.is_empty() {
        "a path is empty"
    } else if path.len() > MAX_PATH {
        "a path has more than 2048 bytes"
    } else if path.contains(char::is_control) {
        "a path has a control character"
    } else if path.contains('\\') {
        "a path has a backslash"
    } else if leaves || path.starts_with('/') {
        "a path leaves the tree"
    } else if path.split('/').any(str::is_empty) {
        "a path has an empty segment"
    } else if path.contains('%') {
        "a path is percent-encoded"
    } else if path.contains('?') {
        "a path has a query"
    } else if path.contains('#') {
        "a path has a fragment"
    } else {
        return Ok(());
    };
    Err(ParseError::Path {
        problem,
        path: shown(path),
    })
}

/// A path that was checked, as it stands in a URL.
pub(crate) fn encoded(path: &str) -> Cow<'_, str> {
    if is_plain(path) {
        return Cow::Borrowed(path);
    }
    let mut text = String::with_capacity(path.len() * 3);
    for byte in path.bytes() {
        if plain(byte) || byte == b'/' {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    Cow::Owned(text)
}

/// Whether a URL holds the path as it is.
pub(crate) fn is_plain(path: &str) -> bool {
    path.bytes().all(|byte| plain(byte) || byte == b'/')
}

fn plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._~:+-@=,".contains(&byte)
}

/// A text from outside, short and safe to show.
pub(crate) fn shown(text: &str) -> String {
    printable(&text.chars().take(120).collect::<String>())
}

/// The beginning of a text, of at most so many bytes.
pub(crate) fn beginning(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rfind(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

const MAX_PATH: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_wrong_with_a_path() {
        for (path, wanted) in [
            ("", "a path is empty: ``"),
            ("../x", "a path leaves the tree: `../x`"),
            ("a/./b", "a path leaves the tree: `a/./b`"),
            ("/etc/passwd", "a path leaves the tree: `/etc/passwd`"),
            (
                "//evil.example/x",
                "a path leaves the tree: `//evil.example/x`",
            ),
            ("x://evil", "a path leaves the tree: `x://evil`"),
            ("a//b", "a path has an empty segment: `a//b`"),
            ("a/", "a path has an empty segment: `a/`"),
            ("a\\b", "a path has a backslash: `a\\b`"),
            ("a%2e%2e/b", "a path is percent-encoded: `a%2e%2e/b`"),
            ("a?b", "a path has a query: `a?b`"),
            ("a#b", "a path has a fragment: `a#b`"),
        ] {
            let error = check_path(path).expect_err(path);
            assert_eq!(error.to_string(), wanted);
        }
        let error = check_path("a\u{1b}[2J").expect_err("a control character");
        assert!(
            error
                .to_string()
                .starts_with("a path has a control character")
        );
        check_path(&"a".repeat(2049)).expect_err("too long");
    }

    #[test]
    fn encodes_only_what_a_path_cannot_hold() {
        for (path, wanted) in [
            ("images/20230421_23:27/x.tar", "images/20230421_23:27/x.tar"),
            ("a b/c(1).img", "a%20b/c%281%29.img"),
            ("ä;[x]", "%C3%A4%3B%5Bx%5D"),
        ] {
            check_path(path).expect(path);
            assert_eq!(encoded(path), wanted);
        }
    }

    #[test]
    fn begins_a_text_between_two_characters() {
        assert_eq!(beginning("abc", 2), "ab");
        assert_eq!(beginning("aä", 2), "a");
        assert_eq!(beginning("ä", 9), "ä");
        assert_eq!(beginning("", 9), "");
    }
}
