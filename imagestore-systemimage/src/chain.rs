use std::collections::BTreeSet;
use std::time::SystemTime;

use imagestore_core::{Error, ErrorKind, Result};
use imagestore_verify::{Fingerprint, Keyring, Verified};

use crate::channels::{Channels, DeviceKeyring};
use crate::index::Index;
use crate::keyring::{KeyringKind, MAX_PACKED, seconds};
use crate::pair::{Ask, Pair};
use crate::source::SystemImage;
use crate::steps::{KeyringFile, Steps};

/// The way from the pinned archive-master down to an index, walked anew on every run.
///
/// ```text
/// archive-master ─▶ image-master ─┬▶ blacklist
///                                 └▶ image-signing ─┬▶ channels.json
///                                                   ├▶ device-signing ─┬▶ index.json, files
///                                                   └──────────────────┘
/// ```
/// Every step is signed by the one above it, and by no other. Keyrings that were kept are checked
/// again. Where a signature fails, the keyring above is asked for once more, once a run.
///
/// # Deviation
/// The phone forgets the blacklist at each start and goes on without one after any failure; it
/// trusts an old device-signing keyring for ever. Here what was blacklisted stays so, "could not
/// ask" is not "there is none", and a device-signing keyring counts only while it is named.
pub(crate) struct Chain<'a> {
    source: &'a SystemImage,
    blacklist: BTreeSet<Fingerprint>,
    master: KeyringFile,
    signing: KeyringFile,
    device: Option<KeyringFile>,
    named: Option<(DeviceKeyring, String)>,
    refreshed: bool,
}

impl<'a> Chain<'a> {
    /// Establishes image-master, the blacklist and image-signing.
    pub(crate) async fn begin(source: &'a SystemImage, archive: &Keyring) -> Result<Self> {
        let blacklist = source.trust.blacklisted(&source.remote.id())?;
        let steps = Steps { source };
        let none = BTreeSet::new();
        // Only archive-master can replace image-master: the blacklist says nothing about it.
        let mut master = match steps.kept(KeyringKind::ImageMaster, archive, &none)? {
            Some(kept) => kept,
            None => {
                steps
                    .download(KeyringKind::ImageMaster, archive, &none)
                    .await?
            }
        };
        let mut blacklist = blacklist;
        match steps.blacklist(&master).await {
            Err(error) if error.kind() == ErrorKind::Untrusted => {
                master = steps
                    .download(KeyringKind::ImageMaster, archive, &none)
                    .await?;
                blacklist.extend(steps.blacklist(&master).await?);
            }
            fetched => blacklist.extend(fetched?),
        }
        source.trust.blacklist(&source.remote.id(), &blacklist)?;
        if all_listed(&master, &blacklist) {
            master = steps
                .download(KeyringKind::ImageMaster, archive, &none)
                .await?;
            if all_listed(&master, &blacklist) {
                return Err(Error::new(
                    ErrorKind::Untrusted,
                    "every key of image-master is blacklisted, so nothing below it is trusted",
                )
                .with_subject(source.remote.url())
                .with_remedy("the server must publish a new image-master keyring"));
            }
        }
        let kept = steps.kept(KeyringKind::ImageSigning, master.keys()?, &blacklist)?;
        let kept = kept.filter(|kept| !all_listed(kept, &blacklist));
        let refreshed = kept.is_none();
        let signing = match kept {
            Some(kept) => kept,
            None => {
                let kind = KeyringKind::ImageSigning;
                steps.download(kind, master.keys()?, &blacklist).await?
            }
        };
        Ok(Self {
            source,
            blacklist,
            master,
            signing,
            device: None,
            named: None,
            refreshed,
        })
    }

    /// The channels, signed by image-signing and nobody else.
    pub(crate) async fn channels(&mut self) -> Result<Verified<Channels>> {
        let pair = match self.channels_pair().await {
            Err(error) if error.kind() == ErrorKind::Untrusted && !self.refreshed => {
                self.refresh().await?;
                self.channels_pair().await?
            }
            pair => pair?,
        };
        let (context, remote) = (&self.source.context, &self.source.remote);
        pair.check_age(context, remote)?;
        let channels = Channels::parse(&pair.data)
            .map_err(|cause| Error::from(cause).with_subject(&pair.url))?;
        pair.remember(context, remote, None)?;
        for skipped in channels.skipped() {
            self.source.warn(&format!("{skipped}: {}", pair.url));
        }
        Ok(pair.data.map(|_| channels))
    }

    async fn channels_pair(&self) -> Result<Pair> {
        self.ask(CHANNELS, None, MAX_CHANNELS)
            .fetch(self.signing.keys()?, &self.blacklist)
            .await
    }

    /// The keyring of the device, if the channels name one. It is asked for on every run and kept
    /// from none to the next.
    pub(crate) async fn device(&mut self, named: &DeviceKeyring, device: &str) -> Result<()> {
        let pair = self
            .ask(&named.path, Some(&named.signature), MAX_PACKED)
            .fetch(self.signing.keys()?, &self.blacklist)
            .await?;
        let steps = Steps {
            source: self.source,
        };
        let file = steps.opened(KeyringKind::DeviceSigning, pair, Some(device))?;
        self.device = Some(file);
        self.named = Some((named.clone(), device.to_owned()));
        Ok(())
    }

    /// The index at this path; none if there is no such document.
    pub(crate) async fn index(&mut self, path: &str) -> Result<Option<Verified<Index>>> {
        let pair = match self.index_pair(path).await {
            Err(error) if error.kind() == ErrorKind::Untrusted && !self.refreshed => {
                self.refresh().await?;
                self.index_pair(path).await
            }
            pair => pair,
        };
        let pair = match pair {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            pair => pair?,
        };
        let (context, remote) = (&self.source.context, &self.source.remote);
        pair.check_age(context, remote)?;
        let index =
            Index::parse(&pair.data).map_err(|cause| Error::from(cause).with_subject(&pair.url))?;
        check_time(&index, &pair, context.now_for(remote))
            .map_err(|error| error.with_subject(&pair.url))?;
        pair.remember(
            context,
            remote,
            Some(("generated_at", index.generated_at())),
        )?;
        for skipped in index.skipped() {
            self.source.warn(&format!("{skipped}: {}", pair.url));
        }
        let mut all = pair.data.map(|_| index);
        if let Some(device) = &self.device {
            all = all.and(device.opened.clone()).map(|(index, _)| index);
        }
        Ok(Some(all))
    }

    async fn index_pair(&self, path: &str) -> Result<Pair> {
        self.ask(path, None, MAX_INDEX)
            .fetch(&self.index_keys()?, &self.blacklist)
            .await
    }

    fn index_keys(&self) -> Result<Keyring> {
        let keys = self.signing.keys()?;
        let Some(device) = &self.device else {
            return Ok(keys.clone());
        };
        keys.union(device.keys()?).map_err(|cause| {
            Error::new(
                ErrorKind::TooLarge,
                "too many keys may sign for this device",
            )
            .with_source(cause)
        })
    }

    /// Whose signatures count for the files: image-signing and device-signing without what is
    /// blacklisted.
    pub(crate) fn file_keys(&self) -> Result<Keyring> {
        let blacklist: Vec<_> = self.blacklist.iter().copied().collect();
        self.index_keys()?.without(&blacklist).map_err(|cause| {
            Error::new(
                ErrorKind::Untrusted,
                "every key that may sign files is blacklisted",
            )
            .with_source(cause)
        })
    }

    /// Asks for image-signing once more, if that was not done in this run.
    ///
    /// Returns whether there is a new one.
    pub(crate) async fn refresh_once(&mut self) -> Result<bool> {
        if self.refreshed {
            return Ok(false);
        }
        self.refresh().await?;
        Ok(true)
    }

    async fn refresh(&mut self) -> Result<()> {
        self.refreshed = true;
        self.source
            .warn("a signature does not hold; asking for image-signing anew");
        let steps = Steps {
            source: self.source,
        };
        let kind = KeyringKind::ImageSigning;
        self.signing = steps
            .download(kind, self.master.keys()?, &self.blacklist)
            .await?;
        // What the old keys vouched for must be vouched for by the new ones.
        match self.named.take() {
            Some((named, device)) => self.device(&named, &device).await,
            None => Ok(()),
        }
    }

    /// The keyrings a recovery needs, in the order in which it loads them.
    pub(crate) fn keyrings(&self) -> Vec<(KeyringKind, &KeyringFile)> {
        let mut all = vec![
            (KeyringKind::ImageMaster, &self.master),
            (KeyringKind::ImageSigning, &self.signing),
        ];
        all.extend(
            self.device
                .as_ref()
                .map(|file| (KeyringKind::DeviceSigning, file)),
        );
        all
    }

    /// Who vouched for whom, down to what signs the channels.
    pub(crate) fn vouched<T>(&self, value: Verified<T>) -> Verified<T> {
        value
            .and(self.signing.opened.clone())
            .map(|(value, _)| value)
            .and(self.master.opened.clone())
            .map(|(value, _)| value)
    }

    fn ask<'b>(&'b self, path: &'b str, signature: Option<&'b str>, limit: u64) -> Ask<'b> {
        let allowed = self.source.context.limits().index_bytes;
        Ask {
            context: &self.source.context,
            remote: &self.source.remote,
            path,
            signature,
            limit: limit.min(allowed),
        }
    }
}

/// Whether a keyring has no key that counts.
fn all_listed(file: &KeyringFile, blacklist: &BTreeSet<Fingerprint>) -> bool {
    file.opened
        .fingerprints()
        .iter()
        .all(|key| blacklist.contains(key))
}

/// The dates in an index must fit the signature over it and the clock.
fn check_time(index: &Index, pair: &Pair, now: SystemTime) -> Result<()> {
    let generated = index.generated_at();
    let shown = crate::date::show(generated);
    if generated > seconds(now) + MAX_AHEAD {
        return Err(Error::new(
            ErrorKind::Malformed,
            format!("was made at {shown}, more than two days ahead of the clock"),
        )
        .with_remedy("check the clock of this machine"));
    }
    match pair.signed_at() {
        Some(signed) if generated > seconds(signed) + HOUR => Err(Error::new(
            ErrorKind::Malformed,
            format!(
                "was made at {shown}, after it was signed at {}",
                crate::date::show(seconds(signed))
            ),
        )),
        _ => Ok(()),
    }
}

const CHANNELS: &str = "/channels.json";
const MAX_CHANNELS: u64 = 8 << 20;
const MAX_INDEX: u64 = 32 << 20;
const MAX_AHEAD: u64 = 48 * 3600;
const HOUR: u64 = 3600;
