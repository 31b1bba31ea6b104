use imagestore_core::{Error, ErrorKind, ImagePath, Result};
use imagestore_verify::Sha256;

/// What a path on a host can mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// Another name, slashes included; if there is none, and it could be one, a beginning of a
    /// fingerprint.
    Alias {
        alias: String,
        prefix: Option<Prefix>,
    },
    /// All 64 digits.
    Fingerprint(Sha256),
}

/// The first digits of a fingerprint, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Prefix {
    /// 12 digits or more, as hosts take them.
    Long(String),
    /// Fewer: too few to mean one image for ever.
    Short,
}

impl Name {
    pub(crate) fn parse(path: &ImagePath) -> Result<Self> {
        let alias = path.to_string();
        if alias.is_empty() {
            return Err(Error::new(ErrorKind::NotFound, "names no image")
                .with_subject("the host itself")
                .with_remedy("name an alias or a fingerprint"));
        }
        if let Ok(fingerprint) = alias.parse() {
            return Ok(Self::Fingerprint(fingerprint));
        }
        let digits = alias.bytes().all(|byte| byte.is_ascii_hexdigit());
        let prefix = match alias.len() {
            12..64 if digits => Some(Prefix::Long(alias.to_ascii_lowercase())),
            1..12 if digits => Some(Prefix::Short),
            _ => None,
        };
        Ok(Self::Alias { alias, prefix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = "bf27d42927fa4cf33ca64733f4b7b53b901703b868d2f70d6161092d41d3947b";

    fn name(path: &str) -> Name {
        Name::parse(&path.parse().expect(path)).expect(path)
    }

    #[test]
    fn tells_fingerprints_from_aliases() {
        let whole = Name::Fingerprint(DIGITS.parse().expect("a digest"));
        assert_eq!(name(DIGITS), whole);
        assert_eq!(name(&DIGITS.to_uppercase()), whole);
        for (path, wanted) in [
            ("trusty", None),
            ("ubuntu/trusty/amd64", None),
            ("beef", Some(Prefix::Short)),
            (
                "bf27d42927fa",
                Some(Prefix::Long("bf27d42927fa".to_owned())),
            ),
            (
                "BF27D42927FA",
                Some(Prefix::Long("bf27d42927fa".to_owned())),
            ),
            ("bf27d42927fa/x", None),
        ] {
            let Name::Alias { alias, prefix } = name(path) else {
                panic!("{path} is no fingerprint");
            };
            assert_eq!((alias.as_str(), prefix), (path, wanted));
        }
        let longer = format!("{DIGITS}0");
        assert!(matches!(name(&longer), Name::Alias { prefix: None, .. }));
    }

    #[test]
    fn the_host_itself_is_no_image() {
        let error = Name::parse(&ImagePath::default()).expect_err("empty");
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
