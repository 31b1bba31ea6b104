mod channels;
mod contents;
mod diff;
mod entry;
mod keyring;
mod publisher;
mod run;
mod tarball;
mod text;
mod upkeep;

pub use self::contents::{BuildContents, Part, SystemChannel};
pub use self::keyring::{KeyringRole, RoleKeyring};
pub use self::publisher::{PublishedBuild, SystemImageKeys, SystemImagePublisher};
