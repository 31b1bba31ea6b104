//! How the source behaves towards a tree that is honest, broken or hostile.

mod attacks;
mod lookup;
mod peers;
mod published;
mod rollback;
mod signed;
mod tree;
mod vectors;
