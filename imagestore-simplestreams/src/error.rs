use imagestore_core::{Error, ErrorKind};

/// Why bytes are not what this protocol has in their place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// A product file that is about something else than the index says.
    #[error("the product file is about `{found}`, the index names it for `{wanted}`")]
    ContentId {
        /// What it says, safe to show.
        found: String,
        /// What the index says, safe to show.
        wanted: String,
    },
    /// A digest or fingerprint that is not 64 lower-case hex digits.
    #[error("`{field}` is not 64 lower-case hex digits: `{found}`")]
    Digest {
        /// Its field.
        field: &'static str,
        /// What is there, safe to show.
        found: String,
    },
    /// A document of another kind or version.
    #[error("the format is `{found}`, expected `{wanted}`")]
    Format {
        /// What it says, safe to show.
        found: String,
        /// What it must say.
        wanted: &'static str,
    },
    /// A date that no honest publisher writes.
    #[error("`{what}` lies more than two days ahead of the clock: `{found}`")]
    FromTheFuture {
        /// What is dated.
        what: &'static str,
        /// The date, safe to show.
        found: String,
    },
    /// Text that is not the JSON of this protocol.
    #[error("not the JSON of this protocol: {problem}")]
    Json {
        /// What is wrong, and where.
        problem: String,
    },
    /// An item without a field it must have.
    #[error("an item of type `{ftype}` has no `{field}`")]
    Missing {
        /// The type of the item.
        ftype: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A path that leads out of the tree, or that can be read in two ways.
    #[error("{problem}: `{path}`")]
    Path {
        /// What is wrong with it.
        problem: &'static str,
        /// The path, safe to show.
        path: String,
    },
    /// A product file that is neither `.json` nor `.sjson`.
    #[error("the product file is neither .json nor .sjson: `{path}`")]
    ProductFile {
        /// Its path, safe to show.
        path: String,
    },
    /// A version that nobody can ask for, because its serial can be no part of a path.
    #[error("the serial of a version is no name: `{found}`")]
    Serial {
        /// The serial, safe to show.
        found: String,
    },
    /// One of several products of one name that nothing else tells apart.
    #[error("several product files have a product `{name}`, and nothing tells them apart")]
    SharedName {
        /// The name, safe to show.
        name: String,
    },
    /// A size that is no number of bytes.
    #[error("the size of an item is not a number of bytes from 1 on: `{found}`")]
    Size {
        /// What is there, safe to show.
        found: String,
    },
    /// More than the limit. Long texts, and what holds in many places, count as several.
    #[error("has more than {limit} {what}")]
    TooMany {
        /// How many are allowed.
        limit: usize,
        /// Of what.
        what: &'static str,
    },
    /// Two different items of one type in one version.
    #[error("the version has two items of type `{ftype}`")]
    Twice {
        /// The type.
        ftype: &'static str,
    },
}

impl ParseError {
    /// What a program should act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooMany { .. } => ErrorKind::TooLarge,
            Self::Path { .. } => ErrorKind::Unsafe,
            Self::ProductFile { .. } => ErrorKind::Unsupported,
            _ => ErrorKind::Malformed,
        }
    }
}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}
