//! The simplestreams protocol of imagestore: what image servers serve to LXD and Incus today.
//!
//! ```text
//! https+simplestreams://images.example
//! ├── streams/v1
//! │   ├── index.json             which product files there are
//! │   ├── index.sjson            the same, clear-signed
//! │   ├── index.json.gpg         or the signature by itself
//! │   └── images.json            products ─▶ versions ─▶ items   (.sjson, .json.gpg as above)
//! └── images/…                   the items: wherever their paths say, below the root
//!     ├── incus.tar.xz           metadata, for Incus; lxd.tar.xz for LXD: often the same bytes
//!     ├── rootfs.squashfs        and, with it, one of: a squashfs, a tarball, a disk
//!     └── lxd_combined.tar.gz    or both in one file
//! ```
//!
//! # Names
//! In this order, each with a version (`/20240102_03:42`) at the end or without, which means the
//! newest:
//! - an alias, for the architecture of the remote or of this machine: `ubuntu/24.04`, `debian/12`;
//!   or for another one: `ubuntu/24.04/arm64`. Where there is none for a machine of 64 bits of
//!   Intel's kind, the one for 32 bits is taken, which runs there too
//! - `OS/RELEASE[/ARCH[/VARIANT]]`; the variant is `default` if none is named
//! - the name of a product as the tree has it: `ubuntu:trusty:amd64:default`
//! - the fingerprint of an image, all 64 digits of it: a prefix checks little
//!
//! Two different images under one name are an error that names both, not a choice, also if one of
//! them is broken. A product goes by its columns, or by its name where others have the same columns;
//! one that others have in common with it both ways cannot be asked for.
//!
//! A listing says what a look-up of each name finds. What is a folder and an image is listed as the
//! folder.
//!
//! # Images
//! A version holds several images: metadata with a squashfs, with a tarball or with a disk, or all
//! in one file. Each is one [`Form`]; the build of an image is its serial with the form appended,
//! `20240102_03:42+squashfs`, since these are different files. Items are known by their `ftype`
//! alone; what they are called in the index and in the tree means nothing. Metadata for Incus and
//! for LXD that make the same fingerprint are one image. Where they differ, that of Incus goes by
//! the form and that of LXD by the form with `+lxd` behind it; what is in order goes before what is
//! not.
//!
//! What is wrong with a version, and be it a serial that nobody can ask for, is an error for whoever
//! asks for that version. A listing leaves it out, and a warning says how much that is.
//!
//! # What is bound to what
//! Every item has a sha256 in the product file, and the metadata item has the fingerprint of the
//! image: sha256 of both files, one behind the other. Both are checked, by whoever downloads
//! ([`Image::fingerprint`](imagestore_core::Image::fingerprint)): the digests alone would let a tree
//! show one image under the fingerprint of another.
//!
//! With keys, the index and each product file must be signed, by `.sjson` or by `.json.gpg`; only
//! what was signed is parsed. Without keys the remote must be trusted by its channel, as the
//! programs above trust every tree. Dates (`updated`, and the newest serial of a product) may only
//! rise, once they were seen; a date more than two days ahead is refused and not remembered. The
//! two signed forms of a document share these dates; their signatures may be five minutes apart.
//! Where nothing is signed, `updated` is what the highest age of the remote is compared with.
//!
//! # Limits
//! All product files of a tree together have at most [`entries`](imagestore_core::Limits::entries)
//! objects and fields, where 64 bytes of text count as one, and so does each field that `_aliases`
//! put in. Fields that hold for everything below are kept once. An index names at most 64 product
//! files. Texts are cut after 4 KiB, and lists of aliases are not.
//!
//! # Deviation
//! LXD and Incus ignore signatures, `updated`, `_aliases` and inherited fields, drop versions and
//! products they do not understand, take the first of two images of one name, and resolve paths
//! without looking at them. Here they count, stay, are an error, and are refused if they leave the
//! tree. Python's client parses the text around a signature as well; here only the text that was
//! signed is parsed. A delta starts from the file with the digest that the index gives its base,
//! wherever that came from, and if it fails the full file is fetched.
//!
//! # What is kept
//! Index and product files are read together and kept, parsed, for a minute: many look-ups, one
//! index. Of a tree that cannot be reached then, what it said within the last day (within the
//! highest age of the remote, if that is less) is used on, with a warning, and images and listings
//! say how old it is ([`Image::stale`](imagestore_core::Image::stale)). If a file that an index
//! named is gone, [`forget`](Simplestreams::forget) drops all of it, and it is read anew past all caches.
//!
//! # Arguments of a remote
//! | argument | values | default |
//! |---|---|---|
//! | `type` | `container`, `virtual-machine` | `container` |
//! | `prefer` | `tar`, `squashfs`: which root file system where a version has both | `tar` |
//! | `strip` | what aliases begin with and need not, such as `ubuntu/` | nothing |

mod budget;
mod date;
mod error;
mod find;
mod form;
mod image;
mod index;
mod items;
mod json;
mod kept;
mod list;
mod options;
mod order;
mod path;
mod products;
mod read;
mod source;
mod trust;

pub use crate::error::ParseError;
pub use crate::form::Form;
pub use crate::index::{Index, ProductFile};
pub use crate::items::{Choice, Item};
pub use crate::options::{ImageType, Prefer};
pub use crate::products::{Product, Products, Version};
pub use crate::source::{Simplestreams, SimplestreamsProtocol};
