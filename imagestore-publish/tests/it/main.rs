//! Tests of published trees: what is in them, and what other tools make of them.

mod lxc_download;
mod lxc_images;
mod packing;
mod refusals;
mod registry;
mod simplestreams;
mod simplestreams_files;
mod support;
mod tools;
