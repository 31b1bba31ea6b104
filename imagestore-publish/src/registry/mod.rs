mod document;
mod listed;
mod publisher;

pub use self::listed::{Fields, KeyNames, ListedAlias, ListedRemote, Registry};
pub use self::publisher::{PublishedRegistry, RegistryPublisher};
