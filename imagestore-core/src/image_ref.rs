use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};
use crate::image_path::ImagePath;

/// What a user types: `[remote:]path`. Printing and parsing are inverse.
///
/// # Examples
/// ```
/// use imagestore_core::ImageRef;
///
/// let reference: ImageRef = "images:lxc-images/ubuntu/trusty/amd64/default".parse()?;
/// assert_eq!(reference.remote().map(|name| name.as_str()), Some("images"));
/// assert_eq!(reference.path().segments().len(), 5);
/// # Ok::<(), imagestore_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef {
    remote: Option<RemoteName>,
    path: ImagePath,
}

impl ImageRef {
    /// The path on the remote of this name, or on the default remote.
    #[must_use]
    pub fn new(remote: Option<RemoteName>, path: ImagePath) -> Self {
        Self { remote, path }
    }

    /// The remote, if one is named.
    #[must_use]
    pub fn remote(&self) -> Option<&RemoteName> {
        self.remote.as_ref()
    }

    /// The path on the remote.
    #[must_use]
    pub fn path(&self) -> &ImagePath {
        &self.path
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(remote) = &self.remote {
            write!(f, "{remote}:")?;
        }
        self.path.fmt(f)
    }
}

impl FromStr for ImageRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.contains("://") {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                format!("`{}` is a URL", short(text)),
            )
            .with_remedy("add it as a remote and refer to the remote by name"));
        }
        // A colon behind a slash belongs to a build such as 20150427_03:49.
        let head = text.split('/').next().unwrap_or(text);
        let reference = match head.split_once(':') {
            Some((remote, _)) => Self {
                remote: Some(remote.parse()?),
                path: text[remote.len() + 1..].parse()?,
            },
            None => Self {
                remote: None,
                path: text.parse()?,
            },
        };
        if reference.remote.is_none() && reference.path.is_empty() {
            return Err(Error::new(ErrorKind::InvalidConfig, "a reference is empty")
                .with_remedy("write it as REMOTE:PATH"));
        }
        Ok(reference)
    }
}

/// The name of a configured remote: letters, digits, `.`, `_` and `-`, beginning with a letter or
/// digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemoteName(String);

impl RemoteName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RemoteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RemoteName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let first = text
            .chars()
            .next()
            .is_some_and(|c| c.is_ascii_alphanumeric());
        if !first || !text.chars().all(named) || text.len() > 128 {
            return Err(
                Error::new(ErrorKind::InvalidConfig, "not the name of a remote")
                    .with_subject(format_args!("`{}`", short(text)))
                    .with_remedy("names have letters, digits, `.`, `_` and `-`"),
            );
        }
        Ok(Self(text.to_owned()))
    }
}

fn short(text: &str) -> String {
    crate::error::printable(&text.chars().take(80).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_and_parsing_are_inverse() {
        for text in [
            "images:lxc-images/ubuntu/trusty/amd64/default",
            "images:",
            "ubuntu",
            "ubuntu/trusty/amd64/default/20150427_03:49",
            "images:ubuntu/trusty/amd64/20150427_03:49",
        ] {
            let reference: ImageRef = text.parse().expect(text);
            assert_eq!(reference.to_string(), text);
        }
    }

    #[test]
    fn sends_urls_to_the_configuration() {
        let error = "https://images.example/ubuntu"
            .parse::<ImageRef>()
            .expect_err("a URL");
        assert_eq!(
            error.to_string(),
            "`https://images.example/ubuntu` is a URL; \
             add it as a remote and refer to the remote by name"
        );
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    }

    #[test]
    fn refuses_what_is_no_reference() {
        for text in [
            "",
            ":",
            ":ubuntu",
            "-x:ubuntu",
            "images:../../etc/passwd",
            "im\u{1b}ages:x",
        ] {
            assert_eq!(
                text.parse::<ImageRef>().expect_err(text).kind(),
                ErrorKind::InvalidConfig,
                "{text:?}"
            );
        }
    }
}
