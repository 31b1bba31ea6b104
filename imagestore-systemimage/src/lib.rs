//! The system-image protocol of imagestore: what system-image.ubports.com publishes for Ubuntu
//! Touch, and system-image.ubuntu.com did.
//!
//! ```text
//! https+system-image://images.example
//! ├── channels.json                       channels, their devices, where each index is
//! ├── channels.json.asc                   by image-signing; beside every file lies its signature
//! ├── gpg
//! │   ├── image-master.tar.xz             by archive-master, which nobody downloads
//! │   ├── image-signing.tar.xz            by image-master
//! │   └── blacklist.tar.xz                by image-master; may be missing
//! ├── CHANNEL/DEVICE
//! │   ├── index.json                      full images and deltas, by image- or device-signing
//! │   ├── version-7.tar.xz                says of which channel, device and build an image is
//! │   └── device-signing.tar.xz           by image-signing, where channels.json names one
//! └── pool
//!     ├── rootfs-HASH.tar.xz              what images are made of
//!     └── rootfs-HASH.delta-rootfs-HASH.tar.xz
//! ```
//!
//! # Names
//! `CHANNEL/DEVICE` is the newest full image that was not withdrawn, `CHANNEL/DEVICE/7` build 7,
//! `CHANNEL/DEVICE/5..` what leads on from an installed build 5, and `CHANNEL/DEVICE/5..7` what
//! leads from it to 7. Channels may have slashes; the longest that has the device counts.
//!
//! # Whom to believe
//! The keys of the remote are those of archive-master. From there every step is checked anew on
//! every run: image-master, the blacklist, image-signing, the channels, the device's own keyring
//! while the channels name it, the index. A keyring signs what is directly below it and nothing
//! else, with its primary keys and never with subkeys. What was blacklisted once stays so.
//!
//! A keyring that was kept is checked again, and asked for anew only if it does not hold. If the
//! channels, the index or the signature of a file do not verify, image-signing is asked for once
//! more; if the blacklist does not, image-master is. Signature times, `generated_at` and versions
//! may only rise, and the newest version by no more than 10,000 at once.
//!
//! Keys in a keyring are pinned by the signature over its tarball, so their own self-signatures,
//! many of them by SHA-1, grant nothing and may only restrict. Data must be signed with SHA-2 or
//! SHA-3.
//!
//! # Planning
//! [`Plan`] does what the phone's own client does: all maximal paths of a full image and deltas,
//! the lowest score whose last image is offered to the device, [`phase()`] included, bit for bit. It
//! explains itself, and it is bounded where the client is not: the best way to each end is found
//! without looking at all of them.
//!
//! A delta whose signature is missing or by a key that does not count is planned around before
//! anything is downloaded; [`SystemImageProtocol::avoid`] does the same for one that turned out
//! bad later. The full image is the last resort.
//!
//! # Applying
//! [`install()`] looks all layers through, checks that the version tarball is of the expected
//! channel, device and build, and applies them: a full image to an empty directory, an upgrade to
//! the directory with the build it leads on from, and to no other. [`SystemImage::hand_over`] gives
//! a recovery what it needs instead.
//!
//! # Arguments of a remote
//! | argument | values | default |
//! |---|---|---|
//! | `base` | a prefix; only channels below it are shown, without it | none |
//! | `filter` | `full`, `any`: which images lead to the newest build when nothing is installed | `full` |
//! | `machine_id` | that of a device, for which builds are phased | none: every device is offered all but withdrawn builds |

mod avoided;
mod chain;
mod channel_ini;
mod channels;
mod command;
mod date;
mod error;
mod files;
mod found;
mod image;
mod index;
mod install;
mod json;
mod keyring;
mod name;
mod packets;
mod pair;
mod phase;
mod plan;
mod request;
mod source;
mod steps;
mod trust_memory;
mod twister;
mod ways;

pub use crate::channel_ini::ChannelIni;
pub use crate::channels::{Channel, Channels, Device, DeviceKeyring};
pub use crate::command::{HandOver, HandedKeyring};
pub use crate::error::{ParseError, Skipped};
pub use crate::files::{Layer, layers};
pub use crate::index::{Build, BuildKind, Index, IndexFile};
pub use crate::install::{Expected, LayerFile, install, installed};
pub use crate::keyring::{KeyringKind, OpenedKeyring, Time, archive_master};
pub use crate::phase::{phase, phase_channel};
pub use crate::plan::{Candidate, Outcome, Plan, PlannedFile, TooManyWays};
pub use crate::request::{Filter, Request};
pub use crate::source::{SystemImage, SystemImageProtocol};
pub use crate::trust_memory::{TrustDirectory, TrustInMemory, TrustMemory};
