use bytes::Bytes;

use crate::{
    backend,
    certificate::kind,
    clock::from_seconds,
    error::VerifyError,
    fingerprint::Fingerprint,
    hash::{HashAlgorithm, Hasher},
    key_packet::KeyPacket,
    keyring::{Anchor, Keyring},
    policy::{Beside, Moment, Policy},
    proof::{Proof, SignatureProof},
    reason::Reason,
    semantics::{self, Claim},
    signature::DetachedSignature,
    signature_packet::SignaturePacket,
    unverified::Unverified,
    verified::Verified,
    warning::Warning,
};

/// Opens data that a key of the keyring has signed.
#[derive(Clone, Debug)]
pub struct Verifier {
    keyring: Keyring,
    policy: Policy,
}

impl Verifier {
    /// Believes these keys, under this policy.
    #[must_use]
    pub fn new(keyring: Keyring, policy: Policy) -> Self {
        Self { keyring, policy }
    }

    /// Checks a signature over data in memory.
    ///
    /// One good signature by a key of the keyring is enough; others beside it are ignored, and
    /// named in the warnings of the proof.
    ///
    /// # Errors
    ///
    /// What refused the signature that came furthest, as a [`VerifyError`] with its
    /// [`Reason`].
    pub fn check(
        &self,
        data: Unverified<Bytes>,
        signature: &DetachedSignature,
    ) -> Result<Verified<Bytes>, VerifyError> {
        let mut check = self.begin(signature, Beside::Nothing);
        if let Some(error) = check.hopeless() {
            return Err(error);
        }
        check.update(data.peek());
        let proofs = check.finish()?.into_iter().map(Proof::Signature);
        Ok(Verified::proven(data.open(), proofs.collect()))
    }

    /// Judges everything about a signature that can be judged without the data, so that a
    /// download nobody could open is not begun.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), when no signature can become good whatever the data is.
    pub fn check_beforehand(&self, signature: &DetachedSignature) -> Result<(), VerifyError> {
        self.judge_beforehand(signature, Beside::Nothing)
    }

    pub(crate) fn judge_beforehand(
        &self,
        signature: &DetachedSignature,
        beside: Beside,
    ) -> Result<(), VerifyError> {
        let mut check = self.begin(signature, beside);
        check.judge_keys();
        check.hopeless().map_or(Ok(()), Err)
    }

    /// The same for text signatures, which clear-signed documents have.
    pub(crate) fn for_text(&self) -> Self {
        Self {
            keyring: self.keyring.clone(),
            policy: self.policy.clone().with_text_signatures(),
        }
    }

    pub(crate) fn begin(&self, signature: &DetachedSignature, beside: Beside) -> SignatureCheck {
        let mut check = SignatureCheck {
            moment: self.policy.moment(beside),
            candidates: Vec::new(),
            refused: Vec::new(),
            lanes: Vec::new(),
        };
        let mut attempts = Vec::new();
        for signature in &signature.signatures {
            check.add(signature, &self.keyring, &mut attempts);
        }
        check
    }
}

/// The signatures of one file on their way over the data.
#[derive(Debug)]
pub(crate) struct SignatureCheck {
    moment: Moment,
    candidates: Vec<Candidate>,
    refused: Vec<VerifyError>,
    lanes: Vec<Lane>,
}

#[derive(Clone, Debug)]
struct Candidate {
    signature: SignaturePacket,
    claim: Claim,
    hash: HashAlgorithm,
    key: KeyPacket,
    anchor: Anchor,
    lane: usize,
}

/// One running digest, shared by all signatures that need the same.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    hash: HashAlgorithm,
    salt: Vec<u8>,
    text: bool,
    after_return: bool,
    hasher: Hasher,
}

impl SignatureCheck {
    fn add(
        &mut self,
        signature: &Result<SignaturePacket, Reason>,
        keyring: &Keyring,
        attempts: &mut Vec<Fingerprint>,
    ) {
        let signature = match signature {
            Ok(signature) => signature,
            Err(reason) => {
                let (what, reason) = ("signature", reason.clone());
                return self.refused.push(VerifyError::Malformed { what, reason });
            }
        };
        let claim = match semantics::read_claim(signature, &self.moment) {
            Ok(claim) => claim,
            Err(error) => return self.refused.push(error),
        };
        let mut missing = true;
        for anchor in keyring.anchors.iter() {
            for key in anchor.certificate.keys() {
                if !claim.issuer.names(&key.fingerprint) {
                    continue;
                }
                missing = false;
                let signer = *anchor.certificate.fingerprint();
                attempts.push(signer);
                if attempts
                    .iter()
                    .filter(|attempt| **attempt == signer)
                    .count()
                    > MAX_ATTEMPTS
                {
                    let reason = Reason::TooManyAttempts {
                        limit: MAX_ATTEMPTS,
                    };
                    let key = key.fingerprint;
                    self.refused.push(VerifyError::BadKey { key, reason });
                    continue;
                }
                if let Err(error) = self.admit(signature, &claim, anchor, key) {
                    self.refused.push(error);
                }
            }
        }
        if missing {
            let issuer = claim.issuer.to_string();
            self.refused.push(VerifyError::MissingKey { issuer });
        }
    }

    fn admit(
        &mut self,
        signature: &SignaturePacket,
        claim: &Claim,
        anchor: &Anchor,
        key: &KeyPacket,
    ) -> Result<(), VerifyError> {
        let hash = semantics::judge_claim(signature, claim, anchor, key, &self.moment)?;
        let text = signature.kind == kind::TEXT;
        let lane = self.lane(hash, &signature.salt, text).ok_or_else(|| {
            let (key, reason) = (key.fingerprint, Reason::Digest { name: hash.name() });
            VerifyError::WeakAlgorithm { key, reason }
        })?;
        self.candidates.push(Candidate {
            signature: signature.clone(),
            claim: claim.clone(),
            hash,
            key: key.clone(),
            anchor: anchor.clone(),
            lane,
        });
        Ok(())
    }

    fn lane(&mut self, hash: HashAlgorithm, salt: &[u8], text: bool) -> Option<usize> {
        let same = |lane: &Lane| lane.hash == hash && lane.salt == salt && lane.text == text;
        if let Some(found) = self.lanes.iter().position(same) {
            return Some(found);
        }
        let mut hasher = Hasher::new(hash)?;
        hasher.update(salt);
        let salt = salt.to_vec();
        self.lanes.push(Lane {
            hash,
            salt,
            text,
            after_return: false,
            hasher,
        });
        Some(self.lanes.len() - 1)
    }

    /// Drops the candidates whose key may not sign.
    fn judge_keys(&mut self) {
        for candidate in std::mem::take(&mut self.candidates) {
            match candidate.judge_key(&self.moment) {
                Ok(_) => self.candidates.push(candidate),
                Err(error) => self.refused.push(error),
            }
        }
    }

    /// The error, when there is no data that could make it good any more.
    pub(crate) fn hopeless(&mut self) -> Option<VerifyError> {
        let mut signers: Vec<_> = self.candidates.iter().map(Candidate::signer).collect();
        signers.sort_unstable();
        signers.dedup();
        (signers.len() < self.moment.signers).then(|| self.refusal(signers.len()))
    }

    /// The running digests, which are all that changes on the way.
    pub(crate) fn lanes(&self) -> Vec<Lane> {
        self.lanes.clone()
    }

    pub(crate) fn set_lanes(&mut self, lanes: Vec<Lane>) {
        self.lanes = lanes;
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        for lane in &mut self.lanes {
            lane.update(bytes);
        }
    }

    pub(crate) fn finish(mut self) -> Result<Vec<SignatureProof>, VerifyError> {
        let mut proofs: Vec<SignatureProof> = Vec::new();
        for candidate in std::mem::take(&mut self.candidates) {
            match candidate.check(&self.lanes[candidate.lane], &self.moment) {
                Ok(proof) if proofs.iter().all(|known| known.signer != proof.signer) => {
                    proofs.push(proof);
                }
                Ok(_) => {}
                Err(error) => self.refused.push(error),
            }
        }
        if proofs.len() < self.moment.signers {
            return Err(self.refusal(proofs.len()));
        }
        let ignored = |error: &&VerifyError| !matches!(error, VerifyError::MissingKey { .. });
        for error in self.refused.iter().filter(ignored) {
            let reason = match std::error::Error::source(error) {
                Some(cause) => format!("{error}: {cause}"),
                None => error.to_string(),
            };
            proofs[0].warnings.push(Warning::RefuseOther { reason });
        }
        Ok(proofs)
    }

    /// Of all refusals the one that came furthest; the first of those.
    fn refusal(&mut self, found: usize) -> VerifyError {
        let threshold = Reason::Threshold {
            found,
            needed: self.moment.signers,
        };
        if found > 0 || self.refused.is_empty() {
            return VerifyError::Threshold { reason: threshold };
        }
        let furthest = (0..self.refused.len())
            .rev()
            .max_by_key(|index| distance(&self.refused[*index]))
            .unwrap_or(0);
        self.refused.swap_remove(furthest)
    }
}

impl Candidate {
    fn signer(&self) -> Fingerprint {
        *self.anchor.certificate.fingerprint()
    }

    fn judge_key(&self, moment: &Moment) -> Result<Vec<Warning>, VerifyError> {
        let key = &self.key.fingerprint;
        semantics::judge_key(&self.anchor, key, self.claim.created, moment)
    }

    /// V7: the one signature over the data comes before the many of a certificate.
    fn check(&self, lane: &Lane, moment: &Moment) -> Result<SignatureProof, VerifyError> {
        let signed_at = from_seconds(self.claim.created);
        let bad = |reason| VerifyError::BadSignature {
            key: self.key.fingerprint,
            signed_at,
            reason,
        };
        let mut hasher = lane.hasher.clone();
        hasher.update(&self.signature.covered);
        let digest = hasher.finish().ok_or_else(|| VerifyError::WeakAlgorithm {
            key: self.key.fingerprint,
            reason: Reason::Digest {
                name: self.hash.name(),
            },
        })?;
        if !digest.starts_with(&self.signature.prefix) {
            return Err(bad(Reason::DigestPrefix));
        }
        if !backend::verify(&self.key, &self.signature, self.hash, &digest) {
            return Err(bad(Reason::Arithmetic));
        }
        let mut warnings = self.judge_key(moment)?;
        let (signature, claim) = (&self.signature, &self.claim);
        warnings.extend(semantics::warn(
            signature, claim, &self.key, self.hash, moment,
        ));
        Ok(SignatureProof {
            signer: self.signer(),
            signed_by: self.key.fingerprint,
            signed_at,
            hash: self.hash.name(),
            warnings,
        })
    }
}

impl Lane {
    fn update(&mut self, bytes: &[u8]) {
        if !self.text {
            return self.hasher.update(bytes);
        }
        // RFC 9580 §5.2.4: line endings become CR LF.
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            match piece {
                [line @ .., b'\n'] => {
                    let ended = match line.last() {
                        Some(last) => *last == b'\r',
                        None => self.after_return,
                    };
                    self.hasher.update(line);
                    self.hasher.update(if ended { b"\n" } else { b"\r\n" });
                }
                line => self.hasher.update(line),
            }
            self.after_return = piece.last() == Some(&b'\r');
        }
    }
}

fn distance(error: &VerifyError) -> u8 {
    match error {
        VerifyError::BadSignature { .. } => 6,
        VerifyError::BadKey { .. } => 5,
        VerifyError::NotAlive { .. } | VerifyError::WrongClock { .. } => 4,
        VerifyError::WeakAlgorithm { .. } => 3,
        VerifyError::Malformed { .. } => 2,
        VerifyError::MissingKey { .. } => 1,
        _ => 0,
    }
}

const MAX_ATTEMPTS: usize = 4;
