use std::fmt::Debug;

use imagestore_verify::Proof;
use url::Url;

/// Is told what happens, while it happens. Calls are short and come from any thread.
pub trait Progress: Debug + Send + Sync {
    /// Takes note of an event.
    fn on(&self, event: Event<'_>);
}

/// What happens on the way from a reference to a directory.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A document is asked for.
    Asked {
        /// Where.
        url: &'a Url,
    },
    /// The download of an image file begins.
    DownloadStarted {
        /// The plain name of the file.
        file: &'a str,
        /// Its size, where it is known.
        size: Option<u64>,
        /// How many bytes of it are here from an earlier attempt.
        offset: u64,
    },
    /// More of an image file is here.
    Downloaded {
        /// The plain name of the file.
        file: &'a str,
        /// How many bytes of it are here.
        bytes: u64,
    },
    /// An image file was here already and still holds.
    Reused {
        /// The plain name of the file.
        file: &'a str,
    },
    /// More of an archive is unpacked.
    Unpacked {
        /// The plain name of the archive.
        file: &'a str,
        /// How many bytes of content were written.
        bytes: u64,
        /// How many entries were placed.
        entries: u64,
    },
    /// Something was checked and holds.
    Verified {
        /// The URL of a document or the name of a file.
        what: &'a str,
        /// By what.
        proofs: &'a [Proof],
    },
    /// Something is odd, but goes on.
    Warning {
        /// One line for people.
        text: &'a str,
    },
    /// A remote is doing what it was asked to do.
    Working {
        /// What, in the words of the remote.
        what: &'a str,
        /// How far it is, in the words of the remote, which need not hold a number.
        progress: &'a str,
    },
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn on(&self, _event: Event<'_>) {}
}
