//! Unpacks verified image archives below a directory handle.
//!
//! ```text
//! Verified<File> ─▶ decode (own thread) ─▶ strict tar walk ─▶ placing below a handle ─▶ rename
//!                   xz, gzip, zstd, none,   one reading only    openat2, no links         target
//!                   squashfs
//! ```
//!
//! What an archive says is obeyed only inside the target, only within [`UnpackLimits`], and only if
//! it can be read in one way; an archive that asks for more is refused as a whole. A signature on
//! it does not change that.
//!
//! ```no_run
//! use imagestore_unpack::Unpacker;
//! # fn unpack(archive: imagestore_verify::Verified<std::fs::File>)
//! #     -> Result<(), imagestore_unpack::UnpackError> {
//! let unpacked = Unpacker::new().unpack(&archive, "containers/one/rootfs".as_ref())?;
//! println!("{} files, {} devices left out", unpacked.files, unpacked.devices_skipped);
//! # Ok(())
//! # }
//! ```
//!
//! Calls block. Linux only.

mod apply;
mod decode;
mod error;
mod escape;
mod excludes;
mod layer;
mod layer_apply;
mod limits;
mod member_files;
mod members;
mod place;
mod policy;
mod progress;
mod remove;
mod staged;
mod staging;
mod tar;
mod target;
mod unified;
mod unpacked;
mod unpacker;

pub use self::decode::XzBackend;
pub use self::error::{UnpackError, UnpackErrorKind};
pub use self::excludes::Excludes;
pub use self::layer::Layer;
pub use self::layer_apply::{LayerApplier, LayerBase};
pub use self::limits::UnpackLimits;
pub use self::member_files::write_members;
pub use self::members::{Member, MemberLimits, read_members, read_members_from_bytes};
pub use self::policy::{Devices, Durability, IdKind, IdRange, Owners, Profile, Xattrs};
pub use self::progress::UnpackProgress;
pub use self::staged::StagedTarget;
pub use self::unified::UnpackedUnified;
pub use self::unpacked::Unpacked;
pub use self::unpacker::Unpacker;
