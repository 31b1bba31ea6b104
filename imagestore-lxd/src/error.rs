use imagestore_core::{Error, ErrorKind};

/// Why bytes are not what a host, or a file of its user, should hold in their place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// A file of settings, or a document about an image, with something wrong in it.
    #[error("{what}")]
    Document {
        /// What is wrong, with its line where there is one.
        what: String,
    },
    /// An answer with status 200 that calls itself an error.
    #[error("the answer has status 200 and says that it is an error ({code})")]
    Failed {
        /// The status it gives inside.
        code: u16,
    },
    /// A fingerprint that is no fingerprint.
    #[error("`{found}` is no fingerprint: 64 digits from 0-9 and a-f")]
    Fingerprint {
        /// What is in its place, safe to show.
        found: String,
    },
    /// An answer that is not JSON, or has another form.
    #[error("the answer is not what a LXD host says here: {what}")]
    Json {
        /// What is wrong.
        what: String,
    },
    /// An answer about another image.
    #[error("asked about image {asked}, answered about {found}")]
    OtherImage {
        /// What was asked for.
        asked: String,
        /// What came.
        found: String,
    },
    /// An image without a single byte.
    #[error("image {fingerprint} has size 0")]
    SizeZero {
        /// Which.
        fingerprint: String,
    },
    /// A document beyond its limit.
    #[error("has {found} bytes, at most {limit} are read")]
    TooLong {
        /// Its size.
        found: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// More of something than its limit.
    #[error("has more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// A name that would lie outside of its place.
    #[error("{what} leaves its place: `{name}`")]
    Unsafe {
        /// What is named.
        what: &'static str,
        /// The name, safe to show.
        name: String,
    },
}

impl ParseError {
    /// What a program should act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLong { .. } | Self::TooMany { .. } => ErrorKind::TooLarge,
            Self::Unsafe { .. } => ErrorKind::Unsafe,
            _ => ErrorKind::Malformed,
        }
    }
}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}
