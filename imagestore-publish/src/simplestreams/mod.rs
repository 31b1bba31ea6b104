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
#[cfg(test)]
mod steps;
mod version;

// Tests put their own in between, to end the process before any of them.
#[cfg(not(test))]
use crate::steps;

pub use self::contents::{ImageContents, ImageMetadata};
pub use self::publisher::{PublishedVersion, SimplestreamsPublisher};
