//! Writes and signs static image trees that imagestore and other clients read.
//!
//! The server side of these protocols is files behind any web server. Publishers write them:
//!
//! ```text
//! LxcImagesPublisher                                    RegistryPublisher
//! ROOT/meta/1.0/index-user            + .asc            ROOT/1.0/index.json         + .asc
//! ROOT/meta/1.0/index-system          + .asc            ROOT/keys/FINGERPRINT       + .asc
//! ROOT/images/DIST/RELEASE/ARCH/VARIANT/BUILD/          ROOT/certs/SHA256           + .asc
//!     rootfs.tar.xz                   + .asc
//!     meta.tar.xz                     + .asc
//!     SHA256SUMS                      + .asc
//!
//! SimplestreamsPublisher
//! ROOT/streams/v1/index.json          + .json.gpg, .sjson if signed
//! ROOT/streams/v1/images.json         + .json.gpg, .sjson if signed
//! ROOT/images/DIST/RELEASE/ARCH/VARIANT/BUILD/
//!     lxd.tar.xz, rootfs.tar.xz, rootfs.squashfs, disk.qcow2, combined.tar.gz
//!     root.BASE.vcdiff, disk.BASE.vcdiff
//!     version.json                    what the product file says of it
//!     unlisted-since                  when it was left out of the product file
//!
//! ROOT/.publish/                      the lock, and when and how often was published: not for serving
//! ```
//!
//! What holds for a tree at any moment, also after the publisher was killed between two steps:
//! - An index names complete builds only, and a reader that has the index of the publication before still finds the
//!   builds it names.
//! - A document and its signature are replaced in one step, as a directory, where the file system can exchange two
//!   names (all common local ones can). Elsewhere a reader can meet a pair of two generations, and asks again.
//! - Signature times rise from publication to publication, whatever the clock does, because readers take them for
//!   the age of a document.
//!
//! Nothing is ever signed inline or as clear text: such a signature over one text can be passed off as one over
//! another file. The one exception are simplestreams documents, since their readers want it; their key must be another
//! one.

mod build_id;
#[cfg(test)]
mod crash;
mod error;
mod image_name;
mod lxc_images;
mod meta;
mod pack;
mod registry;
mod simplestreams;
mod steps;
mod system_image;
mod tree;
mod written;
mod xz;

pub use crate::build_id::BuildId;
pub use crate::error::PublishError;
pub use crate::image_name::ImageName;
pub use crate::lxc_images::{
    Contents, LxcImagesPublisher, MetaSource, Mode, Published, RootfsSource, Skipped,
};
pub use crate::meta::Meta;
pub use crate::pack::{Devices, Owners, PackOptions, Packed, pack};
pub use crate::registry::{
    Fields, KeyNames, ListedAlias, ListedRemote, PublishedRegistry, Registry, RegistryPublisher,
};
pub use crate::simplestreams::{
    ImageContents, ImageMetadata, PublishedVersion, SimplestreamsPublisher,
};
pub use crate::system_image::{
    BuildContents, KeyringRole, Part, PublishedBuild, RoleKeyring, SystemChannel, SystemImageKeys,
    SystemImagePublisher,
};
