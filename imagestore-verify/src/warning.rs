use std::{fmt, time::SystemTime};

use crate::{clock::Utc, fingerprint::Fingerprint};

/// Something that was accepted and would not be by a stricter policy, or not in a year.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// The binding of the subkey is younger than the signature: the key was adopted, or its
    /// binding was renewed.
    BindYounger {
        /// The subkey.
        key: Fingerprint,
        /// When the binding in force was made.
        bound: SystemTime,
    },
    /// The system clock is behind a time that is known to have passed.
    ClockBehind {
        /// What the clock says.
        clock: SystemTime,
        /// The time that is known to have passed.
        floor: SystemTime,
    },
    /// The key expires within a year.
    ExpireKey {
        /// The key.
        key: Fingerprint,
        /// When it expires.
        expires: SystemTime,
    },
    /// The signature expires within a year.
    ExpireSignature {
        /// When it expires.
        expires: SystemTime,
    },
    /// The self-signature, binding or back-signature that makes the key usable expires within a
    /// year.
    ExpireSelfSignature {
        /// The key.
        key: Fingerprint,
        /// When it expires.
        expires: SystemTime,
    },
    /// The key is only bound to itself by SHA-1; it is used because it is pinned.
    LegacySelfSignature {
        /// The key.
        key: Fingerprint,
    },
    /// The signature names its issuer by a key id only.
    NameKeyIdOnly,
    /// The key has no self-signature in force; it is used because it is pinned.
    NoSelfSignature {
        /// The key.
        key: Fingerprint,
    },
    /// The key is not alive any more, but was when it signed; the policy asks for no more.
    OutlivedKey {
        /// The key.
        key: Fingerprint,
        /// Why it would be refused otherwise.
        reason: String,
    },
    /// Another signature beside the good one was refused.
    RefuseOther {
        /// Why.
        reason: String,
    },
    /// The signature is dated after the clock, within the allowed skew.
    SignedAhead {
        /// When it was signed.
        signed: SystemTime,
        /// What the clock says.
        clock: SystemTime,
    },
    /// A text signature: line endings may differ from what was signed.
    Text,
    /// The digest is shorter than 128 bits of security.
    WeakDigest {
        /// Its name.
        hash: &'static str,
    },
    /// The key is large enough today and not from 2030 on.
    WeakKey {
        /// The key.
        key: Fingerprint,
        /// Its size.
        bits: usize,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BindYounger { key, bound } => write!(
                formatter,
                "subkey {key} was bound at {}, after the signature was made",
                Utc(*bound)
            ),
            Self::ClockBehind { clock, floor } => write!(
                formatter,
                "the clock says {}, which is before {}; set the clock",
                Utc(*clock),
                Utc(*floor)
            ),
            Self::ExpireKey { key, expires } => {
                write!(formatter, "key {key} expires at {}", Utc(*expires))
            }
            Self::ExpireSignature { expires } => {
                write!(formatter, "the signature expires at {}", Utc(*expires))
            }
            Self::ExpireSelfSignature { key, expires } => write!(
                formatter,
                "what binds key {key} expires at {}",
                Utc(*expires)
            ),
            Self::LegacySelfSignature { key } => write!(
                formatter,
                "key {key} is bound by SHA-1 only and believed because it is pinned"
            ),
            Self::NoSelfSignature { key } => write!(
                formatter,
                "key {key} has no self-signature in force and is believed because it is pinned"
            ),
            Self::NameKeyIdOnly => {
                formatter.write_str("the signature names its issuer by a key id only")
            }
            Self::OutlivedKey { key, reason } => {
                write!(
                    formatter,
                    "key {key} was alive when it signed, not today: {reason}"
                )
            }
            Self::RefuseOther { reason } => {
                write!(formatter, "another signature was refused: {reason}")
            }
            Self::SignedAhead { signed, clock } => write!(
                formatter,
                "signed at {}, which the clock ({}) has not reached",
                Utc(*signed),
                Utc(*clock)
            ),
            Self::Text => formatter.write_str("a text signature does not cover line endings"),
            Self::WeakDigest { hash } => {
                write!(
                    formatter,
                    "{hash} is weaker than a stricter policy asks for"
                )
            }
            Self::WeakKey { key, bits } => {
                write!(formatter, "key {key} has {bits} bits, too few from 2030 on")
            }
        }
    }
}
