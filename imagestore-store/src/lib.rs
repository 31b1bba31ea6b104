//! Downloads, checks and keeps images in a directory shared by many processes.
//!
//! ```text
//! STORE/                        mode 0700, below one open directory handle, never through a link
//! ├── FORMAT                    `imagestore store 1`
//! ├── images/
//! │   └── 8d23…f1/              one build; the name is the digest of remote, path and build
//! │       ├── manifest.json     what it is, size, digest and proofs of each file; no manifest, no build
//! │       ├── files/            the image files, mode 0400
//! │       └── signatures/       the `.asc` each file was checked by
//! ├── staging/
//! │   └── 8d23…f1/              a build on its way: as above, and
//! │       └── parts/            bodies that arrive, and what is needed to go on with them
//! ├── trash/                    what is being removed
//! └── trust/                    the newest state seen of each remote, every file twice
//! ```
//!
//! - A build is put together in `staging`, under a lock, and appears in `images` by one rename. It
//!   is there as a whole or not at all.
//! - A file gets its name after its check has passed. What does not pass is removed; what broke off
//!   is kept for the next [`Store::fetch`].
//! - What is here is checked again whenever it is handed out. Nothing is believed for having been
//!   believed once.
//! - Remotes share nothing. What one remote's key vouches for is no other remote's image.
//! - Locks are on the directories themselves (flock). A [`StoredImage`] holds one, so that
//!   [`Store::prune`] leaves its build alone.
//!
//! # Examples
//! ```
//! use imagestore_store::{PruneMode, PruneOptions, Store};
//!
//! # let directory = tempfile::TempDir::new().expect("a temporary directory");
//! # let path = directory.path().join("images");
//! let store = Store::open(&path)?;
//! for build in store.list()? {
//!     println!("{}: {} bytes", build.id, build.size);
//! }
//! let unwanted = store.prune(&PruneOptions::default().with_mode(PruneMode::DryRun))?;
//! assert!(unwanted.removed.is_empty());
//! # Ok::<(), imagestore_core::Error>(())
//! ```
//!
//! `FORMAT.md`, beside the source, is the whole of what is on the disk.

mod blame;
mod blocking;
mod checks;
mod delta;
mod dir;
mod download;
mod error;
#[cfg_attr(feature = "faults", doc(hidden))]
#[cfg(feature = "faults")]
pub mod faults;
#[cfg(not(feature = "faults"))]
mod faults;
mod fetch;
mod get;
mod job;
mod kept;
mod key;
mod list;
mod lock;
mod manifest;
mod memory;
mod open;
mod partial;
mod proof_record;
mod prune;
mod publish;
mod receive;
mod recover;
mod remove;
mod sink;
mod space;
mod staging;
mod store;
mod stored;
mod vcdiff;
mod verify;
mod writer;

/// Parts that take hostile input and are not public otherwise, for the programs that fuzz them.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::vcdiff::apply_delta;
}

pub use crate::list::StoredBuild;
pub use crate::memory::StateMemory;
pub use crate::proof_record::ProofRecord;
pub use crate::prune::{PruneMode, PruneOptions, Pruned};
pub use crate::store::Store;
pub use crate::stored::{Artifact, StoredImage};
pub use crate::verify::{DamagedBuild, Report};
