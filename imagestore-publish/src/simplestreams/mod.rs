mod contents;
mod documents;
mod publisher;
mod version;

pub use self::contents::{ImageContents, ImageMetadata};
pub use self::publisher::{PublishedVersion, SimplestreamsPublisher};
