//! Trust by decree.
//!
//! For embedders that know a value from a place this crate cannot judge, such as a database of
//! their own. Nothing in this project calls it, so every use is one search away.

use crate::{proof::Proof, verified::Verified};

/// Declares a value checked. The reason is kept as its proof and shown to whoever asks.
pub fn vouch<T>(value: T, reason: impl Into<String>) -> Verified<T> {
    let reason = reason.into();
    Verified::proven(value, vec![Proof::Vouched { reason }])
}
