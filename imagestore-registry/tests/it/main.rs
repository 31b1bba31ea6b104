//! How the source behaves towards a registry that is honest, broken or hostile.

mod index;
mod server;
mod trust;
mod vectors;
