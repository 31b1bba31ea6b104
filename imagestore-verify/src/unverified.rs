use std::fmt;

use bytes::{Bytes, BytesMut};

/// Bytes or values from outside that nobody has checked: they can be counted, joined and handed
/// to a check, not read.
///
/// There is no accessor, no `Deref`, no `AsRef` and no `map`. The ways out are
/// [`Verifier::check`](crate::Verifier::check), [`check_digest`](crate::check_digest),
/// [`trust_channel`](crate::trust_channel) and a finished [`Spool`](crate::Spool).
#[derive(Clone)]
pub struct Unverified<T>(T);

impl<T> Unverified<T> {
    /// Marks a value as unchecked.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    pub(crate) fn open(self) -> T {
        self.0
    }

    pub(crate) fn peek(&self) -> &T {
        &self.0
    }
}

impl Unverified<Bytes> {
    /// The number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no byte at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Joins pieces in order, still unchecked.
    pub fn concat(pieces: impl IntoIterator<Item = Self>) -> Self {
        let mut pieces = pieces.into_iter();
        let Some(first) = pieces.next() else {
            return Self(Bytes::new());
        };
        let Some(second) = pieces.next() else {
            return first;
        };
        let mut joined = BytesMut::from(first.0);
        joined.extend_from_slice(&second.0);
        for piece in pieces {
            joined.extend_from_slice(&piece.0);
        }
        Self(joined.freeze())
    }
}

impl fmt::Debug for Unverified<Bytes> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Unverified({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_pieces_in_order_and_counts_them() {
        let pieces = [&b"ab"[..], b"", b"cde"].map(|piece| Unverified::new(Bytes::from(piece)));
        let joined = Unverified::concat(pieces);
        assert_eq!(joined.len(), 5);
        assert!(!joined.is_empty());
        assert_eq!(joined.open(), Bytes::from("abcde"));
        assert!(Unverified::concat([]).is_empty());
    }

    #[test]
    fn debug_shows_the_length_only() {
        let secret = Unverified::new(Bytes::from("secret"));
        assert_eq!(format!("{secret:?}"), "Unverified(6 bytes)");
    }
}
