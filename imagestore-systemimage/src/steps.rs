use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use imagestore_core::{Error, ErrorKind, Result};
use imagestore_verify::{DetachedSignature, Fingerprint, Keyring, Unverified, Verified, Verifier};

use crate::keyring::{KeyringKind, MAX_PACKED, OpenedKeyring, Time, seconds};
use crate::pair::{Ask, Pair, judge};
use crate::source::SystemImage;

/// A keyring that holds, as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct KeyringFile {
    pub(crate) opened: Verified<OpenedKeyring>,
    pub(crate) tarball: Bytes,
    pub(crate) asc: Unverified<Bytes>,
}

impl KeyringFile {
    /// Its keys, of which it has some.
    pub(crate) fn keys(&self) -> Result<&Keyring> {
        let missing = || Error::new(ErrorKind::Untrusted, "a keyring without keys signs nothing");
        self.opened.keys.as_ref().ok_or_else(missing)
    }
}

/// The single steps of the chain.
pub(crate) struct Steps<'a> {
    pub(crate) source: &'a SystemImage,
}

impl Steps<'_> {
    /// A keyring that was kept from an earlier run and still holds in every respect.
    pub(crate) fn kept(
        &self,
        kind: KeyringKind,
        signer: &Keyring,
        blacklist: &BTreeSet<Fingerprint>,
    ) -> Result<Option<KeyringFile>> {
        let (trust, remote) = (&self.source.trust, self.source.remote.id());
        let name = format!("{kind}.tar.xz");
        let (Some(tarball), Some(asc)) = (
            trust.recall(&remote, &name)?,
            trust.recall(&remote, &format!("{name}.asc"))?,
        ) else {
            return Ok(None);
        };
        let policy = self.source.context.policy_for(&self.source.remote);
        let checked = DetachedSignature::parse(&asc)
            .and_then(|signature| Verifier::new(signer.clone(), policy).check(tarball, &signature));
        let Ok(data) = checked else {
            return Ok(None);
        };
        let url = self.source.remote.url().document(place(kind))?;
        let pair = Pair { url, data, asc };
        if judge(pair.data.proofs(), blacklist).is_err() {
            return Ok(None);
        }
        let time = self.time(&pair);
        // A copy that does not hold is replaced, so its defect is nobody's concern.
        let file = self.opened(kind, pair, None).ok();
        Ok(file.filter(|file| file.opened.is_reusable(&time)))
    }

    pub(crate) async fn download(
        &self,
        kind: KeyringKind,
        signer: &Keyring,
        blacklist: &BTreeSet<Fingerprint>,
    ) -> Result<KeyringFile> {
        let pair = self.pair(kind, signer, blacklist).await?;
        let mark = Pair {
            url: pair.url.clone(),
            data: pair.data.clone(),
            asc: pair.asc.clone(),
        };
        let file = self.opened(kind, pair, None)?;
        mark.remember(&self.source.context, &self.source.remote, None)?;
        let (trust, remote) = (&self.source.trust, self.source.remote.id());
        let name = format!("{kind}.tar.xz");
        trust.keep(&remote, &name, &Unverified::new(file.tarball.clone()))?;
        trust.keep(&remote, &format!("{name}.asc"), &file.asc)?;
        Ok(file)
    }

    /// What is blacklisted now. Nothing is, if the server says that it has no blacklist.
    pub(crate) async fn blacklist(&self, master: &KeyringFile) -> Result<BTreeSet<Fingerprint>> {
        let none = BTreeSet::new();
        let kind = KeyringKind::Blacklist;
        let pair = match self.pair(kind, master.keys()?, &none).await {
            Ok(pair) => pair,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let kept = self.source.trust.blacklisted(&self.source.remote.id())?;
                if !kept.is_empty() {
                    let text = format!(
                        "the server has no blacklist any more; the {} keys that were on it stay blacklisted",
                        kept.len()
                    );
                    self.source.warn(&text);
                }
                return Ok(none);
            }
            Err(error) => return Err(error),
        };
        let opened = OpenedKeyring::open(&pair.data);
        let opened = opened.map_err(|error| error.with_subject(&pair.url))?;
        // Well signed and unusable is the server's fault, which no other image-master mends.
        opened
            .check(kind, None, &self.time(&pair))
            .map_err(|error| match error.kind() {
                ErrorKind::Untrusted => error.with_kind(ErrorKind::Malformed),
                _ => error,
            })
            .map_err(|error| error.with_subject(&pair.url))?;
        pair.remember(&self.source.context, &self.source.remote, None)?;
        Ok(opened.fingerprints().into_iter().collect())
    }

    async fn pair(
        &self,
        kind: KeyringKind,
        signer: &Keyring,
        blacklist: &BTreeSet<Fingerprint>,
    ) -> Result<Pair> {
        let ask = Ask {
            context: &self.source.context,
            remote: &self.source.remote,
            path: place(kind),
            signature: None,
            limit: MAX_PACKED,
        };
        ask.fetch(signer, blacklist).await
    }

    pub(crate) fn opened(
        &self,
        kind: KeyringKind,
        pair: Pair,
        device: Option<&str>,
    ) -> Result<KeyringFile> {
        let subject = |error: Error| error.with_subject(&pair.url);
        let opened = OpenedKeyring::open(&pair.data).map_err(subject)?;
        opened
            .check(kind, device, &self.time(&pair))
            .map_err(subject)?;
        if let Some(signed_at) = pair.signed_at() {
            let now = self.source.context.now_for(&self.source.remote);
            let age = seconds(now).saturating_sub(seconds(signed_at));
            if age > NOTEWORTHY_AGE && kind == KeyringKind::ImageSigning {
                let days = age / 86_400;
                self.source
                    .warn(&format!("the {kind} keyring was signed {days} days ago"));
            }
        }
        Ok(KeyringFile {
            tarball: (*pair.data).clone(),
            opened: pair.data.map(|_| opened),
            asc: pair.asc,
        })
    }

    fn time(&self, pair: &Pair) -> Time {
        let (context, remote) = (&self.source.context, &self.source.remote);
        // Who names the time may name any; the system's clock cannot be before this was written.
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(WRITTEN);
        let seen = context.memory().floor(&remote.id());
        let floor = pair
            .signed_at()
            .max(seen)
            .max(context.policy().at.is_none().then_some(written));
        Time::new(context.now(), floor)
    }
}

/// Where a keyring lies on every server.
fn place(kind: KeyringKind) -> &'static str {
    match kind {
        KeyringKind::ArchiveMaster => "/gpg/archive-master.tar.xz",
        KeyringKind::Blacklist => "/gpg/blacklist.tar.xz",
        KeyringKind::DeviceSigning => "/gpg/device-signing.tar.xz",
        KeyringKind::ImageMaster => "/gpg/image-master.tar.xz",
        KeyringKind::ImageSigning => "/gpg/image-signing.tar.xz",
    }
}

const NOTEWORTHY_AGE: u64 = 400 * 86_400;
/// 2026-01-01, a time before this was written.
const WRITTEN: u64 = 1_767_225_600;
