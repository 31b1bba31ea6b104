//! The lxc-images protocol of imagestore: what images.linuxcontainers.org has published since 2014.
//!
//! ```text
//! https+lxc-images://images.example
//! ├── meta/1.0
//! │   ├── index-user            one line a build: DIST;RELEASE;ARCH;VARIANT;BUILD;PATH
//! │   ├── index-user.asc        beside every file lies its detached signature
//! │   ├── index-system          the same for privileged containers
//! │   └── index-user.4          the same for an old LXC, compat level 4
//! └── images/ubuntu/trusty/amd64/default/20150427_03:49
//!     ├── SHA256SUMS            binds the files of one build to each other
//!     ├── meta.tar.xz           config, templates, excludes, expiry, create-message
//!     └── rootfs.tar.xz
//! ```
//!
//! # Names
//! `DIST/RELEASE[/ARCH[/VARIANT]][/BUILD]`. The architecture may be given under any of its names;
//! without one it is that of the remote or of this machine. The variant is `default` if none is
//! named. A segment such as `20150427_03:49`, `20150427` or `2015-04-27` selects a build, else it
//! is the newest: the highest date if all builds of the image are dated in one way, the first line
//! if not.
//!
//! # The index
//! Lines that are no line are skipped with a warning. A line that names an image and says something
//! wrong about it is an error for that image, and for no other. The last column is appended to the
//! base of the remote or mirror, prefix included; it cannot lead anywhere else.
//!
//! # What is bound to what
//! A signature covers bytes, not names. So, if a build has `SHA256SUMS`, it must be signed, and its
//! digests hold for both files besides their own signatures: a mirror cannot join the metadata of
//! one build to the root of another. Without it the image has the property `bound = no`; with the
//! argument `binding = required` it is refused. A `SHA256SUMS` that was not signed within a day
//! before and a week after its build is refused with `binding = required` and a warning otherwise,
//! since whoever publishes may sign all files anew for honest reasons (a new key).
//!
//! The newest build of an image may only rise, once it was seen; a build that is named may be any.
//! A build dated more than two days ahead is refused and not remembered.
//!
//! # Arguments of a remote
//! | argument | values | default |
//! |---|---|---|
//! | `mode` | `user`, `system`: which index, and which files of `meta.tar.xz` | `user` |
//! | `compat` | a level; its index is asked for first, the plain one only if there is none | none |
//! | `binding` | `required`, `preferred` | `preferred` |

mod build;
mod config;
mod error;
mod find;
mod index;
mod meta;
mod name;
mod nearest;
mod options;
mod source;
mod sums;
mod tokens;

pub use crate::config::{ConfigLine, Standing};
pub use crate::error::ParseError;
pub use crate::index::{Index, Line};
pub use crate::meta::{Agreement, Expiry, Metadata};
pub use crate::options::{Binding, Mode};
pub use crate::source::{LxcImages, LxcImagesProtocol};
pub use crate::sums::Sums;
pub use crate::tokens::{Token, TokenError, Tokens};
