//! Unpacking as callers see it.

mod archive;
mod attacks;
mod excludes;
mod format;
mod gnu_tar;
mod limits;
mod members;
mod options;
mod packing;
mod scene;
mod snapshot;
mod target;
mod xz;
