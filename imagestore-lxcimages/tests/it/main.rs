//! How the source behaves towards a server that is honest, broken or hostile.

mod attacks;
mod lookup;
mod rollback;
mod tree;
mod vectors;
mod walk;
