//! Tests of published trees: what is in them, and what other tools make of them.

mod lxc_download;
mod lxc_images;
mod packing;
mod refusals;
mod registry;
mod simplestreams;
mod simplestreams_aliases;
mod simplestreams_disks;
mod simplestreams_files;
mod simplestreams_gnupg;
mod support;
mod tools;
