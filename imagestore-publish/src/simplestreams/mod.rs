mod check;
mod contents;
mod delta;
mod documents;
mod item;
mod prune;
mod publisher;
mod version;

pub use self::contents::{ImageContents, ImageMetadata};
pub use self::publisher::{PublishedVersion, SimplestreamsPublisher};
