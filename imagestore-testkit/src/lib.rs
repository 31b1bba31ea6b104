//! Loopback servers with faults, throw-away keys and conformance suites, for tests of imagestore.
//!
//! - [`Server`] is a real http or https server on 127.0.0.1 (or on a unix socket) that serves a [`Site`], records what
//!   it was asked, and misbehaves on request: every [`Fault`] is a value.
//! - [`MemoryTransport`] is a [`Transport`](imagestore_core::Transport) without a network, for authors of protocols.
//! - [`keys`] are signing keys that exist for one process.
//! - [`conformance`] holds what every source must do, as functions over `&dyn ImageSource`.
//! - [`oracle`] runs the tools whose verdict counts, such as `gpgv` and `tar`, and says loudly when one is missing.
//! - [`peers`] are real programs of others that serve or ask: a LXD of its own for one test.
//!
//! This crate is for tests: it panics where a test should fail.

pub mod conformance;
pub mod keys;
mod memory_transport;
pub mod oracle;
pub mod peers;
pub mod server;

pub use crate::memory_transport::{MemoryFault, MemoryTransport};
pub use crate::server::{Answer, Fault, Request, Server, Site};
