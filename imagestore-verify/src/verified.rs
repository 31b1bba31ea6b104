use std::{ops::Deref, sync::Arc};

use crate::proof::Proof;

/// A value that was checked, with the proofs.
///
/// Only a check makes one: [`Verifier::check`](crate::Verifier::check),
/// [`check_digest`](crate::check_digest), [`trust_channel`](crate::trust_channel),
/// [`Spool::finish`](crate::Spool::finish), or [`danger::vouch`](crate::danger::vouch).
/// What a closure given to [`map`](Self::map) puts in place of the checked value is believed:
/// derive from the value, and from nothing else.
#[derive(Clone, Debug)]
pub struct Verified<T> {
    value: T,
    proofs: Arc<[Proof]>,
}

impl<T> Verified<T> {
    pub(crate) fn proven(value: T, proofs: Vec<Proof>) -> Self {
        Self {
            value,
            proofs: proofs.into(),
        }
    }

    /// What was checked, by whom, and when it was signed.
    #[must_use]
    pub fn proofs(&self) -> &[Proof] {
        &self.proofs
    }

    /// Derives another value from this one; the proofs stay.
    pub fn map<U>(self, derive: impl FnOnce(T) -> U) -> Verified<U> {
        Verified {
            value: derive(self.value),
            proofs: self.proofs,
        }
    }

    /// Derives another value from this one, which may not work; the proofs stay.
    ///
    /// # Errors
    ///
    /// The error of the closure, unchanged.
    pub fn try_map<U, E>(self, derive: impl FnOnce(T) -> Result<U, E>) -> Result<Verified<U>, E> {
        Ok(Verified {
            value: derive(self.value)?,
            proofs: self.proofs,
        })
    }

    /// Joins two checked values; the proofs of both are kept.
    pub fn and<U>(self, other: Verified<U>) -> Verified<(T, U)> {
        let proofs = self.proofs.iter().chain(other.proofs.iter());
        Verified {
            proofs: proofs.cloned().collect(),
            value: (self.value, other.value),
        }
    }

    /// The same proofs about a reference to the value.
    pub fn as_ref(&self) -> Verified<&T> {
        Verified {
            value: &self.value,
            proofs: Arc::clone(&self.proofs),
        }
    }

    /// The bare value; the proofs are dropped.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vouched<T>(value: T, reason: &str) -> Verified<T> {
        let reason = reason.to_owned();
        Verified::proven(value, vec![Proof::Vouched { reason }])
    }

    #[test]
    fn proofs_follow_derived_and_joined_values() {
        let left = vouched(2, "left").map(|value| value + 1);
        let right = vouched("4", "right").try_map(str::parse::<i32>);
        let both = left.and(right.expect("4 is a number"));
        assert_eq!(*both, (3, 4));
        let reasons: Vec<_> = both.proofs().iter().map(ToString::to_string).collect();
        assert_eq!(reasons, ["vouched for: left", "vouched for: right"]);
        assert_eq!(both.as_ref().into_inner(), &(3, 4));
    }

    #[test]
    fn a_failed_derivation_gives_the_error_of_the_closure() {
        let failed = vouched("x", "").try_map(str::parse::<i32>);
        assert_eq!(
            failed
                .map(Verified::into_inner)
                .map_err(|error| error.to_string()),
            Err("invalid digit found in string".to_owned())
        );
    }
}
