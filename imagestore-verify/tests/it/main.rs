//! Integration tests of imagestore-verify.

mod clearsigned;
mod compile_fail;
mod corpus;
mod forge;
mod rings;
mod round_trip;
mod shared_vectors;
mod signing;
mod spools;
mod surface;
mod tools;
mod verdicts;
