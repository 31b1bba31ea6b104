//! The whole way, from a reference to a directory, over real TLS on loopback.

mod attacks;
mod config;
mod examples;
mod fetch;
mod gnupg;
mod import;
mod kept;
mod lxd_images;
mod peer;
mod real_vectors;
mod surface;
mod system_image;
mod trees;
mod verify;
mod world;
