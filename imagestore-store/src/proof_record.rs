use std::fmt;
use std::time::{Duration, SystemTime};

use imagestore_verify::{Proof, Utc};
use serde::{Deserialize, Serialize};

/// Why something was believed when it was fetched: a [`Proof`] as it is written down beside the image.
///
/// It tells, and vouches for nothing: what is here is checked again whenever it is handed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[non_exhaustive]
pub enum ProofRecord {
    /// It came through a channel that was trusted as a whole.
    Channel {
        /// The name of the channel.
        what: String,
    },
    /// Its digest was known before.
    Digest {
        /// SHA-256, in hex.
        sha256: String,
    },
    /// A key had signed it.
    Signature {
        /// The fingerprint of the primary key.
        signer: String,
        /// The fingerprint of the key that signed.
        signed_by: String,
        /// When, in seconds since 1970.
        signed_at: u64,
        /// The digest algorithm.
        hash: String,
        /// What was accepted and should not stay as it was.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
    },
    /// Somebody said so.
    Vouched {
        /// What they gave as the reason.
        reason: String,
    },
    /// Something that this version does not know.
    #[serde(other)]
    Other,
}

impl ProofRecord {
    pub(crate) fn of_all(proofs: &[Proof]) -> Vec<Self> {
        proofs.iter().map(Self::from).collect()
    }

    /// What was accepted and should not stay as it was, one line for people each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        match self {
            Self::Signature { warnings, .. } => warnings,
            _ => &[],
        }
    }
}

impl From<&Proof> for ProofRecord {
    fn from(proof: &Proof) -> Self {
        match proof {
            Proof::Channel(channel) => Self::Channel {
                what: channel.what().to_owned(),
            },
            Proof::Digest(digest) => Self::Digest {
                sha256: digest.to_string(),
            },
            Proof::Signature(signature) => Self::Signature {
                signer: signature.signer().to_string(),
                signed_by: signature.signed_by().to_string(),
                signed_at: signature
                    .signed_at()
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .map_or(0, |since| since.as_secs()),
                hash: signature.hash().to_owned(),
                warnings: signature
                    .warnings()
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
            },
            Proof::Vouched { reason } => Self::Vouched {
                reason: reason.clone(),
            },
            _ => Self::Other,
        }
    }
}

/// The line of the proof itself.
impl fmt::Display for ProofRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Channel { what } => write!(f, "received through {what}"),
            Self::Digest { sha256 } => write!(f, "sha256 {sha256}"),
            Self::Signature {
                signer,
                signed_by,
                signed_at,
                hash,
                ..
            } => {
                write!(f, "signed by {signer}")?;
                if signed_by != signer {
                    write!(f, " (subkey {signed_by})")?;
                }
                let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(*signed_at));
                let at = at.unwrap_or(SystemTime::UNIX_EPOCH);
                write!(f, " at {} with {hash}", Utc(at))
            }
            Self::Vouched { reason } => write!(f, "vouched for: {reason}"),
            Self::Other => f.write_str("believed for a reason that is not known here"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote_and_what_others_will_write() {
        let record = ProofRecord::Signature {
            signer: "A".to_owned(),
            signed_by: "B".to_owned(),
            signed_at: 1_788_000_000,
            hash: "SHA512".to_owned(),
            warnings: vec!["soon".to_owned()],
        };
        let json = serde_json::to_string(&record).expect("JSON");
        assert_eq!(
            json,
            r#"{"kind":"signature","signer":"A","signed_by":"B","signed_at":1788000000,"hash":"SHA512","warnings":["soon"]}"#
        );
        assert_eq!(
            serde_json::from_str::<ProofRecord>(&json).expect("a record"),
            record
        );
        assert_eq!(
            record.to_string(),
            "signed by A (subkey B) at 2026-08-29T10:40:00Z with SHA512"
        );
        let later = serde_json::from_str::<ProofRecord>(r#"{"kind":"log","entry":7}"#);
        assert_eq!(later.expect("a record"), ProofRecord::Other);
    }
}
