use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::PublishError;

/// The name of an image in an lxc-images tree: `DIST/RELEASE/ARCH/VARIANT`.
///
/// # Examples
/// ```
/// use imagestore_publish::ImageName;
///
/// let name: ImageName = "ubuntu/trusty/amd64/default".parse()?;
/// assert_eq!(name.variant(), "default");
/// # Ok::<(), imagestore_publish::PublishError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageName {
    fields: [String; 4],
}

impl ImageName {
    /// The image of these four names.
    ///
    /// # Errors
    /// [`PublishError::Field`] if one is empty, begins with a dot, has a character other than `A-Z a-z 0-9 . _ ~ + - @ =`,
    /// or if the variant looks like a build, for which readers would take it.
    pub fn new(
        distribution: &str,
        release: &str,
        architecture: &str,
        variant: &str,
    ) -> Result<Self, PublishError> {
        check("a distribution", distribution)?;
        check("a release", release)?;
        check("an architecture", architecture)?;
        check("a variant", variant)?;
        if looks_like_build(variant) {
            return Err(PublishError::field(
                "a variant",
                "looks like a build",
                variant,
            ));
        }
        Ok(Self {
            fields: [distribution, release, architecture, variant].map(str::to_owned),
        })
    }

    /// The distribution.
    #[must_use]
    pub fn distribution(&self) -> &str {
        &self.fields[0]
    }

    /// The release.
    #[must_use]
    pub fn release(&self) -> &str {
        &self.fields[1]
    }

    /// The architecture, under its Debian name.
    #[must_use]
    pub fn architecture(&self) -> &str {
        &self.fields[2]
    }

    /// The variant; `default` unless there are several.
    #[must_use]
    pub fn variant(&self) -> &str {
        &self.fields[3]
    }

    /// The folder of its builds.
    pub(crate) fn folder(&self, images: &Path) -> PathBuf {
        self.fields
            .iter()
            .fold(images.to_owned(), |path, field| path.join(field))
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fields.join("/"))
    }
}

impl FromStr for ImageName {
    type Err = PublishError;

    fn from_str(text: &str) -> Result<Self, PublishError> {
        match text.split('/').collect::<Vec<_>>()[..] {
            [distribution, release, architecture, variant] => {
                Self::new(distribution, release, architecture, variant)
            }
            _ => Err(PublishError::field(
                "an image",
                "is not named DIST/RELEASE/ARCH/VARIANT",
                text,
            )),
        }
    }
}

/// Each field is a segment of a URL and a column between semicolons, so it has only what means nothing in either.
fn check(what: &'static str, field: &str) -> Result<(), PublishError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._~+-@=".contains(&byte);
    let problem = if field.is_empty() {
        "is empty"
    } else if field.starts_with('.') {
        "begins with a dot"
    } else if field.len() > 100 {
        "has more than 100 bytes"
    } else if !field.bytes().all(plain) {
        "has a character that is not allowed in names"
    } else {
        return Ok(());
    };
    Err(PublishError::field(what, problem, field))
}

/// `20150427`, `20150427_03:49` (which has a colon, so cannot come here) or `2024-03-13`.
fn looks_like_build(variant: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match variant.len() {
        8 => digits(variant),
        10 => match variant.split('-').collect::<Vec<_>>()[..] {
            [year, month, day] => {
                [year.len(), month.len(), day.len()] == [4, 2, 2]
                    && digits(&[year, month, day].concat())
            }
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_and_parsing_are_inverse() {
        for text in [
            "ubuntu/trusty/amd64/default",
            "alpine/3.19/armv7l/cloud",
            "a/b/c/1234567",
        ] {
            assert_eq!(text.parse::<ImageName>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn refuses_names_that_would_break_an_index_or_a_path() {
        for (text, message) in [
            (
                "a/b/c",
                "an image is not named DIST/RELEASE/ARCH/VARIANT: `a/b/c`",
            ),
            (
                "a/b/c/d/e",
                "an image is not named DIST/RELEASE/ARCH/VARIANT: `a/b/c/d/e`",
            ),
            ("a//c/d", "a release is empty: ``"),
            ("../b/c/d", "a distribution begins with a dot: `..`"),
            ("a/b/./d", "an architecture begins with a dot: `.`"),
            (
                "a/b/c/d;e",
                "a variant has a character that is not allowed in names: `d;e`",
            ),
            (
                "a/b\n/c/d",
                "a release has a character that is not allowed in names: `b\\n`",
            ),
            (
                "ä/b/c/d",
                "a distribution has a character that is not allowed in names: `ä`",
            ),
            ("a/b/c/20150427", "a variant looks like a build: `20150427`"),
            (
                "a/b/c/2024-03-13",
                "a variant looks like a build: `2024-03-13`",
            ),
        ] {
            assert_eq!(
                text.parse::<ImageName>().expect_err(text).to_string(),
                message
            );
        }
    }
}
