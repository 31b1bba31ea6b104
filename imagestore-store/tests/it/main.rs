//! Tests of the store through its public API.

mod admission;
mod delta;
mod fetch;
mod fingerprint;
mod hostile;
mod keep;
mod memory;
mod mirrors;
mod open;
mod remote;
mod resume;
mod reuse;
mod scene;
mod split;
