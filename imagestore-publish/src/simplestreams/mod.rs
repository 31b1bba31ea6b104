mod aliases;
mod check;
mod contents;
#[cfg(test)]
mod crash;
mod delta;
mod documents;
mod item;
mod prune;
mod publisher;
mod signing;
mod version;

pub use self::contents::{ImageContents, ImageMetadata};
pub use self::publisher::{PublishedVersion, SimplestreamsPublisher};
