//! Tests of the testkit through its public API.

mod conformance;
mod memory;
mod server;
mod transports;
