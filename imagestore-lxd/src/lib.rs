//! LXD and Incus hosts as sources of imagestore.
//!
//! ```text
//! unix+lxd:///var/lib/lxd/unix.socket, https+lxd://host[:8443], the same with incus
//! └── /1.0                                  does the host know this caller?
//!     └── images                            ?recursion=1, ?project=
//!         ├── aliases/ubuntu%2Ftrusty       names one image
//!         ├── bf27d42927fa                  the first 12 digits or more: the image has all 64
//!         └── bf27d4…947b                   what it is: size, architecture, properties; ?secret=
//!             └── export                    its bytes: one file, or two in a multipart body
//! ```
//!
//! # Names
//! An alias, slashes included; or a fingerprint, all 64 digits or at least the first 12. An alias
//! goes before the beginning of a fingerprint, and all 64 digits go before an alias.
//!
//! # What is believed, and why
//! A host signs nothing. What it says is believed by the channel: a local socket, a pinned
//! certificate, or a certificate that an authority vouches for, and every proof says which. The
//! bytes of an image are believed by its fingerprint, all 64 digits of it, which the host gave, or
//! the user: whoever names an image by its whole fingerprint does not have to believe the host.
//! The fingerprint of a split image covers the metadata followed by the root, as one; where the one
//! ends and the other begins is the host's word.
//!
//! File names in answers are never used; the parts of a split image have to be called what they are. The first certificate of a host is believed
//! by nobody: [`first_contact()`] gives its digest, to be shown to a person who compares it.
//!
//! # Private images
//! Over a socket, or with a client certificate the host knows, all images are there. Everybody else
//! sees the public ones, and with a [`Secret`] one private image. Hosts answer "not found" for what
//! they do not show.
//!
//! # Arguments of a remote
//! | argument | values | default |
//! |---|---|---|
//! | `project` | the name of a project | the default project |
//! | `port` | where https is asked if the URL names no port; `443` has to be said here | `8443` |

mod ask;
mod client_config;
mod error;
#[cfg(feature = "first-contact")]
mod first_contact;
mod index;
mod join_token;
mod metadata;
mod name;
mod options;
mod reply;
mod secret;
#[cfg(feature = "serve")]
pub mod serve;
mod sockets;
mod source;
mod time;
mod yaml;

pub use crate::client_config::{ClientConfig, ClientRemote};
pub use crate::error::ParseError;
#[cfg(feature = "first-contact")]
pub use crate::first_contact::{SeenCertificate, first_contact};
pub use crate::index::{Host, HostAlias, HostImage, ImageKind, Index};
pub use crate::join_token::JoinToken;
pub use crate::metadata::{Metadata, Template};
pub use crate::secret::Secret;
pub use crate::sockets::Family;
pub use crate::source::{Lxd, LxdProtocol};
