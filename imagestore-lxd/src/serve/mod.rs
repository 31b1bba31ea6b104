//! Serves images as a LXD host does, so that LXD and Incus can list and copy them.
//!
//! ```text
//! LXD, Incus, lxc, incus ──▶ Door (https, socket) ──▶ Shelf ──▶ ServedImage ──▶ Verified<File>
//! ```
//!
//! It can be read only: no request changes anything, and all that is on the shelf is public. A
//! program that wants less shown puts less on it. What is served was checked before it came here,
//! and its fingerprint is computed anew.
//!
//! Everybody is a stranger to it, whom it tells what a host tells strangers: any alias that they
//! can name, but not the list of them.

mod answers;
mod body;
mod door;
mod export;
mod idle;
mod image;
mod range;
mod response;
mod shelf;
mod wire;

pub use self::door::Door;
pub use self::image::ServedImage;
pub use self::shelf::Shelf;
