//! LXD and Incus hosts as sources of imagestore.
//!
//! ```text
//! unix+lxd:///var/lib/lxd/unix.socket, https+lxd://host[:8443], the same with incus
//! └── /1.0                                  does the host know this caller?
//!     └── images                            ?recursion=1, ?project=
//!         ├── aliases/ubuntu%2Ftrusty       names one image
//!         ├── bf27d42927fa                  the first 12 digits or more: the image has all 64
//!         └── bf27d4…947b                   what it is: size, architecture, properties; ?secret=
//!             ├── export                    its bytes: one file, or two in a multipart body
//!             └── secret                    POST: makes one, for a caller that is trusted
//!     POST images                           the host fetches one itself, which takes a while:
//!     operations/04c7ad68-…                 how far it is; /wait, and DELETE to end it
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
//! they do not show, and [`Refused`](imagestore_core::ErrorKind::Refused) where they do not hide.
//!
//! A secret is for one use. It lives for five seconds from the first request that names it, so a
//! download that breaks off later needs a new one. [`Lxd::with_secrets`] takes whoever makes them:
//! a peer, or a [`Lxd`] that is trusted. Then a look-up and its download share a secret, and each
//! later attempt has its own. With a single one ([`Lxd::with_secret`]) it ends there, and says why.
//! A secret is added to a request when it is sent. It is no part of an image and its URLs, and so
//! of nothing a store writes down; a configuration has no place for one.
//!
//! # Work of the host
//! [`Lxd::pull`] makes a host that trusts this caller fetch an image itself. A request that changes
//! something is sent once and never tried again. What a host says about a failure is the cause of
//! the error: for people, since the words differ from host to host. URLs in answers are not
//! followed: the id of an operation is, if it is a UUID.
//!
//! # Arguments of a remote
//! | argument | values | default |
//! |---|---|---|
//! | `project` | the name of a project | the default project |
//! | `port` | where https is asked if the URL names no port; `443` has to be said here, for a URL does not keep it (configurations and imports do so) | `8443` |

mod ask;
mod cancelled;
mod client_config;
mod describe;
mod error;
#[cfg(feature = "first-contact")]
mod first_contact;
mod index;
mod join_token;
mod metadata;
mod name;
mod operation;
mod options;
mod pull;
mod reply;
mod secret;
mod secrets;
#[cfg(feature = "serve")]
pub mod serve;
mod sockets;
mod source;
mod time;
mod told;
mod work;
mod yaml;

pub use crate::client_config::{ClientConfig, ClientRemote};
pub use crate::error::ParseError;
#[cfg(feature = "first-contact")]
pub use crate::first_contact::{SeenCertificate, first_contact};
pub use crate::index::{Host, HostAlias, HostImage, ImageKind, Index};
pub use crate::join_token::JoinToken;
pub use crate::metadata::{Metadata, Template};
pub use crate::operation::{Operation, OperationClass, OperationId, OperationStatus};
pub use crate::pull::{Audience, Pull, PullProtocol, Pulled, PulledImage};
pub use crate::secret::Secret;
pub use crate::secrets::Secrets;
pub use crate::sockets::Family;
pub use crate::source::{Lxd, LxdProtocol};
