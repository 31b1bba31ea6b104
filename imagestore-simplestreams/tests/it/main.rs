//! How the source behaves towards a tree that is honest, broken or hostile.

mod any_tree;
mod attacks;
mod files;
mod forms;
mod lookup;
mod names;
mod peers;
mod published;
mod rollback;
mod signed;
mod tree;
mod vectors;
