use imagestore_core::{Error, ErrorKind};

/// Why a document of a system-image server cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// It has not the form of its kind.
    #[error("not {what}: {problem}")]
    Form {
        /// What it should be.
        what: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// It has entries, and none of them can be used.
    #[error("none of the {count} entries of {what} can be used; {problem}")]
    NothingLeft {
        /// What it is.
        what: &'static str,
        /// How many entries it has.
        count: usize,
        /// What is wrong with the first.
        problem: String,
    },
}

impl From<ParseError> for Error {
    fn from(cause: ParseError) -> Self {
        Self::new(ErrorKind::Malformed, "cannot be read").with_source(cause)
    }
}

/// An entry that was left out, because one entry must not spoil the others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// Which: `images[3]`, a channel.
    pub entry: String,
    /// Why.
    pub problem: String,
}

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is left out: {}", self.entry, self.problem)
    }
}

pub(crate) fn form(what: &'static str, problem: impl Into<String>) -> ParseError {
    ParseError::Form {
        what,
        problem: problem.into(),
    }
}
