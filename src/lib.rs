//! Find, verify, download, keep and unpack operating-system images.
//!
//! A person says `images:lxc-images/ubuntu/trusty/amd64/default`. `images` is a *remote*; it may be
//! a registry, whose signed index refers to other remotes with keys of their own. An [`ImageStore`]
//! walks from remote to remote, checks every index and every file against a detached OpenPGP
//! signature (or, where a protocol has none, against an authenticated channel and a digest, and
//! says so), keeps the files in a directory shared by many processes, and unpacks them into a root
//! file system.
//!
//! ```no_run
//! # async fn example() -> imagestore::Result<()> {
//! let images = imagestore::ImageStore::builder().build()?;
//! let fetched = images.fetch(&"images:lxc-images/ubuntu/trusty/amd64/default".parse()?).await?;
//! let options = imagestore::UnpackOptions::default();
//! let unpacked = images.unpack(&fetched.image, "trusty".as_ref(), &options).await?;
//! println!("{}", unpacked.target.display());
//! # Ok(())
//! # }
//! ```
//!
//! The [`manual`] explains trust, configuration and the store. The crates this one is made of are
//! re-exported as modules, for programs that need one part alone.

pub mod blocking;
mod builder;
pub mod config;
pub mod defaults;
mod fetching;
mod image_store;
pub mod manual;
mod unpacking;

pub use imagestore_core as core;
pub use imagestore_core::{Error, ErrorKind, ImageRef, RemoteName, Result};
pub use imagestore_http as http;
pub use imagestore_lxcimages as lxcimages;
pub use imagestore_lxd as lxd;
pub use imagestore_registry as registry;
pub use imagestore_simplestreams as simplestreams;
pub use imagestore_store as store;
pub use imagestore_systemimage as systemimage;
pub use imagestore_unpack as unpack;
pub use imagestore_verify as verify;

pub use crate::builder::{ImageStoreBuilder, Network};
pub use crate::config::Config;
pub use crate::fetching::Fetched;
pub use crate::image_store::ImageStore;
pub use crate::unpacking::{UnpackOptions, UnpackedImage};
