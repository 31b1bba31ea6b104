use imagestore_core::{Error, ErrorKind};

/// Why bytes are not what this protocol has in their place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// A line of a container's config without `=`.
    #[error("line {line} of the container config has no `=`")]
    ConfigLine {
        /// Its number, from 1.
        line: usize,
    },
    /// A file that holds nothing but blank lines and comments.
    #[error("the index is empty")]
    Empty,
    /// A line of an index that is longer than any path.
    #[error("line {line} of the index has {found} bytes, at most {limit} are allowed")]
    LineTooLong {
        /// Its number, from 1.
        line: usize,
        /// Its length in bytes.
        found: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// A member of a metadata tarball that would lie outside of it.
    #[error("a member of the metadata tarball leaves its place: `{name}`")]
    MemberName {
        /// The name, safe to show.
        name: String,
    },
    /// A file that is twice in a metadata tarball.
    #[error("the metadata tarball holds `{name}` twice")]
    MemberTwice {
        /// Its name.
        name: String,
    },
    /// A metadata tarball without a config for the mode.
    #[error("the metadata tarball has no container config for mode `{mode}`")]
    MissingConfig {
        /// `user` or `system`.
        mode: &'static str,
    },
    /// A page, a block of zeros, or something else that is no index.
    #[error("not an index: none of its {lines} lines names an image")]
    NotAnIndex {
        /// How many lines there are, blank ones and comments left out.
        lines: usize,
    },
    /// A line of a list of digests that is none.
    #[error("line {line} of the list of digests is not a sha256 digest and a name")]
    SumsLine {
        /// Its number, from 1.
        line: usize,
    },
    /// A file a list of digests must name.
    #[error("the list of digests does not name `{name}`")]
    SumsMissing {
        /// Its name.
        name: String,
    },
    /// Two digests for one file.
    #[error("the list of digests names `{name}` with two digests")]
    SumsTwice {
        /// Its name, safe to show.
        name: String,
    },
    /// A template that would lie outside of the root file system.
    #[error("a template leaves the root file system: `{path}`")]
    TemplatePath {
        /// The path, safe to show.
        path: String,
    },
    /// More lines than the limit.
    #[error("the index has more than {limit} lines")]
    TooManyLines {
        /// How many are allowed.
        limit: usize,
    },
}

impl ParseError {
    /// What a program should act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::LineTooLong { .. } | Self::TooManyLines { .. } => ErrorKind::TooLarge,
            Self::MemberName { .. } | Self::TemplatePath { .. } => ErrorKind::Unsafe,
            _ => ErrorKind::Malformed,
        }
    }
}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}
