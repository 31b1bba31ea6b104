use std::io;
use std::path::{Path, PathBuf};

use imagestore_verify::VerifyError;

use crate::build_id::BuildId;

/// Why something was not published. The tree is as it was before, but for files no index names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// An archive that was given is not a whole packed file, or holds no tarball.
    #[error("not a whole packed tarball: {}", .path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// Where it ends or breaks.
        #[source]
        source: io::Error,
    },
    /// The clock is far behind the last signature, so that a signature that is newer would lie in the future.
    #[error(
        "the clock says {now}, the last signature is of {last} (UNIX seconds); set the clock, \
         readers refuse signatures of the future"
    )]
    ClockBehind {
        /// What the clock says.
        now: u64,
        /// The time of the last signature.
        last: u64,
    },
    /// A program that was asked for does not do its work.
    #[error("{program} ended with {status} and said: {said}")]
    FailedTool {
        /// The program.
        program: String,
        /// How it ended.
        status: String,
        /// The first line of what it said.
        said: String,
    },
    /// A name, a field or an option cannot be published.
    #[error("{what} {problem}: `{value}`")]
    Field {
        /// Which one.
        what: &'static str,
        /// What is wrong with it.
        problem: &'static str,
        /// What it is.
        value: String,
    },
    /// Something in the tree was not made by this publisher and would be lost.
    #[error("a file that this publisher did not write: {}; move it away", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// What was tried: `open`, `write`, `rename`, …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A key that was given is none, or not one.
    #[error("not one public key: {what}")]
    Key {
        /// Which one.
        what: String,
        /// Why not, if it is none at all.
        #[source]
        source: Option<Box<VerifyError>>,
    },
    /// The metadata of an image lack something or hold what they must not hold.
    #[error("the metadata of an image {problem}: `{what}`")]
    Meta {
        /// The member or line.
        what: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A program that was asked for is not there.
    #[error("`{program}` is not there; install it, or publish without deltas")]
    MissingTool {
        /// The program.
        program: String,
    },
    /// A build is not newer than the newest that is there, so that no index would name it.
    #[error("build {build} is not newer than {newest}, which is published")]
    NotNewest {
        /// The build.
        build: BuildId,
        /// The newest that is there.
        newest: BuildId,
    },
    /// A directory cannot be packed as it is.
    #[error("cannot pack {name}: {problem}")]
    Pack {
        /// The file below the directory.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl PublishError {
    pub(crate) fn field(
        what: &'static str,
        problem: &'static str,
        value: impl Into<String>,
    ) -> Self {
        let value: String = value.into();
        Self::Field {
            what,
            problem,
            value: value.escape_debug().take(200).collect(),
        }
    }

    pub(crate) fn meta(problem: &'static str, what: impl Into<String>) -> Self {
        let what: String = what.into();
        Self::Meta {
            problem,
            what: what.escape_debug().take(200).collect(),
        }
    }
}

/// Says of an I/O error what was tried, and with which file.
pub(crate) trait At<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, PublishError>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, PublishError> {
        self.map_err(|error| PublishError::Io {
            action,
            path: path.to_owned(),
            source: error.into(),
        })
    }
}
