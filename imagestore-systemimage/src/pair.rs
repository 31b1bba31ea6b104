use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use imagestore_core::freshness::Mark;
use imagestore_core::{
    Caches, Context, Error, ErrorKind, Event, Get, RemoteConfig, Result, signature_url, unsigned,
};
use imagestore_verify::{
    DetachedSignature, Fingerprint, Keyring, Proof, Unverified, Verified, Verifier, VerifyError,
};
use url::Url;

use crate::keyring::seconds;

/// A document and its signature, which has been checked.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) url: Url,
    pub(crate) data: Verified<Bytes>,
    pub(crate) asc: Unverified<Bytes>,
}

/// A document to be fetched with its signature.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) context: &'a Context,
    pub(crate) remote: &'a RemoteConfig,
    pub(crate) path: &'a str,
    /// Where the signature is, if not beside it.
    pub(crate) signature: Option<&'a str>,
    pub(crate) limit: u64,
}

impl Ask<'_> {
    /// The document, signed by a primary key of `keys` and by none that is blacklisted.
    ///
    /// A signature that does not fit is asked for once more past all caches, together with the
    /// document: servers replace the two one after the other.
    pub(crate) async fn fetch(
        &self,
        keys: &Keyring,
        blacklist: &BTreeSet<Fingerprint>,
    ) -> Result<Pair> {
        let url = self.remote.url().document(self.path)?;
        let place = match self.signature {
            Some(path) => self.remote.url().document(path)?,
            None => signature_url(&url),
        };
        let verifier = Verifier::new(keys.clone(), self.context.policy_for(self.remote));
        let mut caches = Caches::Ask;
        loop {
            let data = self.get(&url, self.limit, caches).await?;
            let limit = self.context.limits().signature_bytes;
            let asc = self.get(&place, limit, caches).await;
            let asc = asc.map_err(|error| unsigned(&url, error))?;
            let signature =
                DetachedSignature::parse(&asc).map_err(|cause| Error::untrusted(&place, cause))?;
            match verifier.check(data, &signature) {
                Ok(data) => {
                    judge(data.proofs(), blacklist).map_err(|error| error.with_subject(&url))?;
                    self.context.tell(Event::Verified {
                        what: url.as_str(),
                        proofs: data.proofs(),
                    });
                    return Ok(Pair { url, data, asc });
                }
                Err(VerifyError::BadSignature { .. }) if caches == Caches::Ask => {
                    caches = Caches::Bypass;
                }
                Err(cause) => return Err(Error::untrusted(&url, cause)),
            }
        }
    }

    async fn get(&self, url: &Url, limit: u64, caches: Caches) -> Result<Unverified<Bytes>> {
        self.context.tell(Event::Asked { url });
        let request = Get::document(self.remote, url).with_caches(caches);
        let body = self.context.transport().get(request).await?;
        body.collect(limit).await
    }
}

impl Pair {
    /// When it was signed.
    pub(crate) fn signed_at(&self) -> Option<SystemTime> {
        Mark::of(&[], self.data.proofs()).signed_at
    }

    /// Remembers it as the newest of its place, which may only rise.
    pub(crate) fn remember(
        &self,
        context: &Context,
        remote: &RemoteConfig,
        counter: Option<(&str, u64)>,
    ) -> Result<()> {
        let mut mark = Mark::of(&self.data, self.data.proofs());
        if let Some((name, value)) = counter {
            mark = mark.with_counter(name, value);
        }
        context
            .memory()
            .advance(&remote.id(), self.url.path(), &mark)
            .map_err(|error| error.with_subject(&self.url))
    }

    /// Refuses a list that was signed longer ago than the remote allows. System-image servers sign
    /// anew only when something changes, so without a limit there is nothing to say.
    pub(crate) fn check_age(&self, context: &Context, remote: &RemoteConfig) -> Result<()> {
        let (Some(highest), Some(signed_at)) = (remote.max_age(), self.signed_at()) else {
            return Ok(());
        };
        let age = seconds(context.now_for(remote)).saturating_sub(seconds(signed_at));
        if Duration::from_secs(age) <= highest {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Expired,
            format!(
                "was signed {} days ago, at most {} are allowed",
                age / 86_400,
                highest.as_secs() / 86_400
            ),
        )
        .with_subject(&self.url))
    }
}

/// Whether good signatures are good enough: one by a primary key, and none by a blacklisted one.
///
/// # Deviation
/// The recovery takes signatures by subkeys; the phone's client does not, and so does not this.
pub(crate) fn judge(proofs: &[Proof], blacklist: &BTreeSet<Fingerprint>) -> Result<()> {
    let mut by_primary = false;
    for proof in proofs {
        let Proof::Signature(signature) = proof else {
            continue;
        };
        let signer = signature.signer();
        if blacklist.contains(signer) || blacklist.contains(signature.signed_by()) {
            let message = format!("signed by {signer}, which is blacklisted");
            return Err(Error::new(ErrorKind::Untrusted, message));
        }
        by_primary |= signature.signed_by() == signer;
    }
    if by_primary {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Untrusted,
        "signed by a subkey, which counts nowhere in this protocol",
    ))
}
