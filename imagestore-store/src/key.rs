use imagestore_core::{Error, ErrorKind, ImageId, Result};
use imagestore_verify::Sha256;

/// The name of the directory of a build: a digest, so that nothing in an identity can be a path.
pub(crate) fn key_of(id: &ImageId) -> String {
    let mut text = Vec::new();
    for part in [id.remote(), id.path(), id.build()] {
        // With the length before each part, no two identities give the same text.
        text.extend_from_slice(format!("{}:", part.len()).as_bytes());
        text.extend_from_slice(part.as_bytes());
    }
    Sha256::of(&text).to_string()
}

/// Whether a name is one that [`key_of`] makes.
pub(crate) fn is_key(name: &str) -> bool {
    name.len() == 64
        && name
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Refuses every file name that is not plain: no separator, no leading dot or hyphen, printable
/// ASCII.
pub(crate) fn check_plain(name: &str) -> Result<()> {
    let plain = (1..=HIGHEST_NAME).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'\\'))
        && !name.starts_with(['.', '-']);
    if plain {
        return Ok(());
    }
    Err(
        Error::new(ErrorKind::Unsafe, "the name of an image file is not plain")
            .with_subject(format!("`{name}`")),
    )
}

// Room is left for what is appended to it.
const HIGHEST_NAME: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_every_identity_its_own_key() {
        let key = key_of(&ImageId::new("r", "ab", "c"));
        assert!(is_key(&key), "{key}");
        assert_eq!(key, key_of(&ImageId::new("r", "ab", "c")));
        for other in [
            ImageId::new("r", "a", "bc"),
            ImageId::new("ra", "b", "c"),
            ImageId::new("r", "ab", "d"),
        ] {
            assert_ne!(key, key_of(&other));
        }
    }

    #[test]
    fn refuses_names_that_could_be_paths() {
        let long = "x".repeat(201);
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "/etc/passwd",
            "a\\b",
            ".hidden",
            "-rf",
            "a b",
            "a\0",
            "ä",
            &long,
        ] {
            let error = check_plain(name).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Unsafe);
            assert!(
                error
                    .to_string()
                    .starts_with("the name of an image file is not plain: `"),
                "{error}"
            );
        }
        for name in ["meta.tar.xz", "version-42.tar.xz", "ubuntu+1:2~3_a.img"] {
            check_plain(name).expect(name);
        }
    }
}
