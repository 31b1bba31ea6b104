use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result, is_deceptive};

/// A name below a remote: segments separated by `/`, none of them empty, `.` or `..`.
///
/// The empty path names the remote itself and is what a listing starts from.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImagePath {
    segments: Vec<String>,
}

impl ImagePath {
    /// The path of these segments.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if a segment is no valid name.
    pub fn from_segments<S: Into<String>>(segments: impl IntoIterator<Item = S>) -> Result<Self> {
        let segments: Vec<String> = segments.into_iter().map(Into::into).collect();
        if segments.len() > MAX_SEGMENTS {
            return Err(invalid(
                format!("a path has at most {MAX_SEGMENTS} segments, this one has more"),
                segments.len(),
            ));
        }
        for segment in &segments {
            check_segment(segment)?;
        }
        Ok(Self { segments })
    }

    /// The segments in order.
    #[must_use]
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// Whether this names the remote itself.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// The first segment and what follows it.
    #[must_use]
    pub fn split_first(&self) -> Option<(&str, Self)> {
        let (first, rest) = self.segments.split_first()?;
        Some((
            first,
            Self {
                segments: rest.to_vec(),
            },
        ))
    }

    /// What follows `prefix`, if this path begins with all of its segments.
    #[must_use]
    pub fn strip_prefix(&self, prefix: &Self) -> Option<Self> {
        let rest = self.segments.strip_prefix(prefix.segments.as_slice())?;
        Some(Self {
            segments: rest.to_vec(),
        })
    }
}

impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, segment) in self.segments.iter().enumerate() {
            if n > 0 {
                f.write_str("/")?;
            }
            f.write_str(segment)?;
        }
        Ok(())
    }
}

impl FromStr for ImagePath {
    type Err = Error;

    /// One slash at the end is allowed, since people complete names that way.
    fn from_str(text: &str) -> Result<Self> {
        if text.len() > MAX_BYTES {
            return Err(invalid(
                format!(
                    "a path has at most {MAX_BYTES} bytes, this one has {}",
                    text.len()
                ),
                "path",
            ));
        }
        let text = text
            .strip_suffix('/')
            .filter(|rest| !rest.is_empty())
            .unwrap_or(text);
        if text.is_empty() {
            return Ok(Self::default());
        }
        Self::from_segments(text.split('/'))
    }
}

fn check_segment(segment: &str) -> Result<()> {
    let problem = if segment.is_empty() {
        "a path has an empty segment"
    } else if segment == "." || segment == ".." {
        "a path leaves its place"
    } else if segment.len() > MAX_SEGMENT_BYTES {
        "a path has a segment of more than 255 bytes"
    } else if segment.contains(['/', '\\']) || segment.chars().any(is_deceptive) {
        "a path has a character that is not allowed in names"
    } else {
        return Ok(());
    };
    Err(invalid(
        problem,
        segment.chars().take(80).collect::<String>(),
    ))
}

fn invalid(message: impl Into<String>, subject: impl fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidConfig, message).with_subject(subject)
}

const MAX_BYTES: usize = 4096;
const MAX_SEGMENTS: usize = 64;
const MAX_SEGMENT_BYTES: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_and_parsing_are_inverse() {
        for text in ["", "ubuntu", "ubuntu/trusty/amd64/default/20150427_03:49"] {
            let path: ImagePath = text.parse().expect("valid");
            assert_eq!(path.to_string(), text);
            assert_eq!(path.to_string().parse::<ImagePath>().expect("valid"), path);
        }
        assert_eq!(
            "ubuntu/".parse::<ImagePath>().expect("valid").to_string(),
            "ubuntu"
        );
    }

    #[test]
    fn refuses_what_is_no_name() {
        for text in [
            "..",
            "a/../b",
            "a//b",
            "/",
            "/a",
            "./a",
            "a\\b",
            "a\nb",
            "a\u{202e}b",
            "a//",
        ] {
            let error = text.parse::<ImagePath>().expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{text:?}");
        }
        assert!("a/".repeat(70).parse::<ImagePath>().is_err());
        // Two segments in the place of one: printed, it would be another path.
        assert!(ImagePath::from_segments(["a/b"]).is_err());
        assert!("a".repeat(1 << 20).parse::<ImagePath>().is_err());
    }

    #[test]
    fn gives_the_rest_behind_a_prefix() {
        let path: ImagePath = "ubuntu/lts/amd64".parse().expect("valid");
        let prefix: ImagePath = "ubuntu/lts".parse().expect("valid");
        assert_eq!(
            path.strip_prefix(&prefix).expect("a prefix").to_string(),
            "amd64"
        );
        assert_eq!(prefix.strip_prefix(&path), None);
    }
}
