use sha2::Digest as _;

use crate::{
    digest::Sha256,
    error::VerifyError,
    policy::Beside,
    proof::{Channel, Proof},
    signature::DetachedSignature,
    unverified::Unverified,
    verifier::{Lane, SignatureCheck, Verifier},
};

/// What must hold for a file, all of it.
///
/// Given to a [`Spool`](crate::Spool) before the first byte, so every digest that is needed is
/// computed while the bytes arrive and none needs a second pass.
#[derive(Clone, Debug, Default)]
pub struct StreamingCheck {
    digests: Vec<Sha256>,
    signatures: Vec<Signed>,
    channels: Vec<Channel>,
}

#[derive(Clone, Debug)]
struct Signed {
    verifier: Verifier,
    signature: DetachedSignature,
}

impl StreamingCheck {
    /// Nothing yet; at least one digest or signature has to be added.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The file must have this digest.
    #[must_use]
    pub fn with_digest(mut self, digest: Sha256) -> Self {
        self.digests.push(digest);
        self
    }

    /// The file must be signed.
    #[must_use]
    pub fn with_signature(mut self, verifier: Verifier, signature: DetachedSignature) -> Self {
        self.signatures.push(Signed {
            verifier,
            signature,
        });
        self
    }

    /// The file comes through this channel. It is kept among the proofs and vouches for nothing
    /// by itself: a digest or a signature has to hold as well.
    #[must_use]
    pub fn with_channel(mut self, channel: Channel) -> Self {
        self.channels.push(channel);
        self
    }

    /// Whether there is nothing a file could be checked against.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.digests.is_empty() && self.signatures.is_empty()
    }

    /// Judges what can be judged before the first byte of the file, so that a download nobody
    /// could open is not begun.
    ///
    /// # Errors
    ///
    /// [`VerifyError::NothingToCheck`] when it [is empty](Self::is_empty); the error of
    /// [`Verifier::check_beforehand`] of a signature that cannot become good.
    pub fn check_beforehand(&self) -> Result<(), VerifyError> {
        if self.is_empty() {
            return Err(VerifyError::NothingToCheck);
        }
        let beside = self.beside();
        let mut signatures = self.signatures.iter();
        signatures
            .try_for_each(|signed| signed.verifier.judge_beforehand(&signed.signature, beside))
    }

    fn beside(&self) -> Beside {
        if self.digests.is_empty() {
            Beside::Nothing
        } else {
            Beside::Digest
        }
    }

    pub(crate) fn begin(self) -> RunningCheck {
        let beside = self.beside();
        let sha256 = (!self.digests.is_empty()).then(sha2::Sha256::new);
        RunningCheck {
            sha256,
            digests: self.digests,
            signatures: self
                .signatures
                .iter()
                .map(|signed| signed.verifier.begin(&signed.signature, beside))
                .collect(),
            channels: self.channels,
        }
    }
}

/// All digests of a file on their way over its bytes.
#[derive(Debug)]
pub(crate) struct RunningCheck {
    digests: Vec<Sha256>,
    sha256: Option<sha2::Sha256>,
    signatures: Vec<SignatureCheck>,
    channels: Vec<Channel>,
}

/// The running digests at one byte of a file.
#[derive(Clone, Debug)]
pub(crate) struct Hashes {
    sha256: Option<sha2::Sha256>,
    lanes: Vec<Vec<Lane>>,
}

impl RunningCheck {
    pub(crate) fn save(&self) -> Hashes {
        Hashes {
            sha256: self.sha256.clone(),
            lanes: self.signatures.iter().map(SignatureCheck::lanes).collect(),
        }
    }

    pub(crate) fn restore(&mut self, hashes: &Hashes) {
        self.sha256.clone_from(&hashes.sha256);
        for (signature, lanes) in self.signatures.iter_mut().zip(&hashes.lanes) {
            signature.set_lanes(lanes.clone());
        }
    }

    pub(crate) fn update(&mut self, bytes: &Unverified<bytes::Bytes>) {
        self.update_bytes(bytes.peek());
    }

    pub(crate) fn update_bytes(&mut self, bytes: &[u8]) {
        if let Some(hasher) = &mut self.sha256 {
            hasher.update(bytes);
        }
        for signature in &mut self.signatures {
            signature.update(bytes);
        }
    }

    pub(crate) fn finish(self) -> Result<Vec<Proof>, VerifyError> {
        if self.digests.is_empty() && self.signatures.is_empty() {
            return Err(VerifyError::NothingToCheck);
        }
        let mut proofs = Vec::new();
        if let Some(hasher) = self.sha256 {
            let found = Sha256::from_bytes(hasher.finalize().into());
            for expected in self.digests {
                if found != expected {
                    return Err(VerifyError::DigestMismatch { expected, found });
                }
            }
            proofs.push(Proof::Digest(found));
        }
        for signature in self.signatures {
            proofs.extend(signature.finish()?.into_iter().map(Proof::Signature));
        }
        proofs.extend(self.channels.into_iter().map(Proof::Channel));
        Ok(proofs)
    }
}
