//! Prose: what to know before relying on this crate.

#[doc = include_str!("trust.md")]
pub mod trust {}

#[doc = include_str!("configuration.md")]
pub mod configuration {}

#[doc = include_str!("embedding.md")]
pub mod embedding {}
