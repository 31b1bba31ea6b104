//! Integration tests of imagestore-verify.

mod corpus;
mod forge;
mod round_trip;
mod shared_vectors;
