mod check;
mod contents;
mod delta;
mod documents;
mod prune;
mod publisher;
mod version;
mod written;

pub use self::contents::{ImageContents, ImageMetadata};
pub use self::publisher::{PublishedVersion, SimplestreamsPublisher};
