use std::{io, time::SystemTime};

use crate::{clock::Utc, digest::Sha256, fingerprint::Fingerprint, reason::Reason};

/// Why something did not verify, grouped by what to do about it.
///
/// Each names the key and the time where there is one; [`source`](std::error::Error::source) is
/// the [`Reason`] with the rule and both values.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The key is known and must not be used: expired, revoked, not for signing, too weak.
    #[error("key {key} cannot be used")]
    BadKey {
        /// The key that signed.
        key: Fingerprint,
        /// The rule.
        #[source]
        reason: Reason,
    },
    /// The data is not what the key signed: tampering, or files of two publishings.
    #[error("the data does not match the signature by {key} of {}", Utc(*.signed_at))]
    BadSignature {
        /// The key the signature names.
        key: Fingerprint,
        /// When the signature was made.
        signed_at: SystemTime,
        /// The rule.
        #[source]
        reason: Reason,
    },
    /// The digest is another one.
    #[error("digest is {found}, expected {expected}")]
    DigestMismatch {
        /// What was announced.
        expected: Sha256,
        /// What the data has.
        found: Sha256,
    },
    /// No key is left to believe.
    #[error("keyring holds no key")]
    EmptyKeyring,
    /// Not a signature or not a keyring, as far as this crate accepts them.
    #[error("{what} is malformed")]
    Malformed {
        /// `signature` or `keyring`.
        what: &'static str,
        /// The rule.
        #[source]
        reason: Reason,
    },
    /// Nobody in the keyring signed it.
    #[error("signed by {issuer}, which is not in the keyring")]
    MissingKey {
        /// The fingerprint the signature names, or the key id when it names no more.
        issuer: String,
    },
    /// The signature is dated in the future, expired, or older than its key.
    #[error("the signature by {key} of {} is not valid at this time", Utc(*.signed_at))]
    NotAlive {
        /// The key the signature names.
        key: Fingerprint,
        /// When the signature was made.
        signed_at: SystemTime,
        /// The rule.
        #[source]
        reason: Reason,
    },
    /// Neither a digest nor a signature was asked for; a channel alone vouches for no file.
    #[error("nothing to check the file against; give a digest or a signature")]
    NothingToCheck,
    /// Too few different keys have signed.
    #[error("not enough keys have signed")]
    Threshold {
        /// The rule, with both numbers.
        #[source]
        reason: Reason,
    },
    /// More than is ever needed.
    #[error("{what}: {found}, more than {limit}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
        /// What was found, as far as it was counted.
        found: usize,
    },
    /// The digest or the key can be forged.
    #[error("the signature by {key} is too weak")]
    WeakAlgorithm {
        /// The key the signature names.
        key: Fingerprint,
        /// The rule.
        #[source]
        reason: Reason,
    },
    /// The clock is plainly wrong, so no time can be judged; this is no attack.
    #[error("the clock says {}, which is before {}; set the clock", Utc(*.clock), Utc(*.floor))]
    WrongClock {
        /// What the clock says.
        clock: SystemTime,
        /// A time that is known to have passed.
        floor: SystemTime,
    },
    /// The file cannot be read or written.
    #[error("cannot read or write the file")]
    Io(#[from] io::Error),
}
