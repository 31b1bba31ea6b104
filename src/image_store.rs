use std::error::Error as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use imagestore_core::{
    Error, ErrorKind, Event, Hop, Image, ImageRef, ListedEntries, RemoteConfig, RemoteName,
    Resolution, Resolver, Result,
};
use imagestore_store::{Store, StoredImage};
use imagestore_systemimage::SystemImageProtocol;

use crate::builder::ImageStoreBuilder;
use crate::config::Config;
use crate::unpacking::{UnpackOptions, UnpackedImage};

/// Finds, verifies, downloads, keeps and unpacks images: everything in one handle, cheap to clone.
///
/// # Examples
/// ```no_run
/// # async fn example() -> imagestore::Result<()> {
/// let images = imagestore::ImageStore::builder().build()?;
/// let fetched = images.fetch(&"images:lxc-images/ubuntu/trusty/amd64/default".parse()?).await?;
/// images.unpack(&fetched.image, "trusty".as_ref(), &imagestore::UnpackOptions::default()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ImageStore {
    inner: Arc<Inner>,
}

impl ImageStore {
    /// What an image store is made with; everything has a default.
    #[must_use]
    pub fn builder() -> ImageStoreBuilder {
        ImageStoreBuilder::default()
    }

    pub(crate) fn from_parts(
        config: Config,
        resolver: Resolver,
        store: Store,
        system_image: SystemImageProtocol,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                config,
                resolver,
                store,
                system_image,
            }),
        }
    }

    /// The build a reference names, and the way to it. Nothing is downloaded but indexes and keys.
    ///
    /// # Errors
    /// Those of [`Resolver::resolve`], and [`ErrorKind::InvalidConfig`] if the remote is not
    /// configured properly.
    pub async fn resolve(&self, reference: &ImageRef) -> Result<Resolution> {
        self.resolver_for(reference)?.resolve(reference).await
    }

    /// What lies one level below a reference.
    ///
    /// # Errors
    /// As for [`ImageStore::resolve`].
    pub async fn list(&self, reference: &ImageRef) -> Result<ListedEntries> {
        self.resolver_for(reference)?.list(reference).await
    }

    /// The image a reference names, downloaded unless it is here already.
    ///
    /// A file becomes visible under its final name only after its checks have passed. Dropping the
    /// future stops the download and keeps what arrived.
    ///
    /// Remotes drop old builds. If a file is gone that an index named, the remote is asked once more
    /// what the reference names, past what is kept of the index, and that is fetched instead if it
    /// is another build or lies elsewhere. An [`Event::Warning`] says so.
    ///
    /// # Errors
    /// Those of [`ImageStore::resolve`] and [`Store::fetch`].
    pub async fn fetch(&self, reference: &ImageRef) -> Result<Fetched> {
        let mut resolution = self.resolve(reference).await?;
        let mut asked_anew = false;
        loop {
            let error = match self.fetch_resolved(&resolution).await {
                Ok(image) => {
                    return Ok(Fetched {
                        image,
                        stale: resolution.image.stale,
                        hops: resolution.hops,
                    });
                }
                Err(error) => error,
            };
            if self.plans_around(&resolution, &error) {
                resolution = self.resolve(reference).await?;
            } else if !asked_anew && is_gone(&error) {
                asked_anew = true;
                resolution = self.resolve_anew(reference, &resolution, error).await?;
            } else {
                return Err(error);
            }
        }
    }

    /// What a reference names by now, if that is not what could not be fetched for this reason.
    async fn resolve_anew(
        &self,
        reference: &ImageRef,
        outdated: &Resolution,
        error: Error,
    ) -> Result<Resolution> {
        self.warn(&format!("{error}; asking for the index anew"));
        self.forget(outdated);
        let resolution = match self.resolve(reference).await {
            Err(unreachable) if unreachable.kind() == ErrorKind::Network => return Err(error),
            resolution => resolution?,
        };
        if is_same(&outdated.image, &resolution.image) {
            return Err(error);
        }
        Ok(resolution)
    }

    /// Forgets what the remote said that has the image of a resolution: a file of it is gone. The
    /// next [`ImageStore::resolve`] asks the remote itself. [`ImageStore::fetch`] does this on its
    /// own.
    pub fn forget(&self, resolution: &Resolution) {
        self.inner.resolver.forget(&resolution.hops);
    }

    /// Whether the file that failed belongs to a delta of a system-image upgrade, which the next
    /// plan leads around. Each delta is left out once, so this ends.
    fn plans_around(&self, resolution: &Resolution, error: &Error) -> bool {
        let is_bad = matches!(
            error.kind(),
            ErrorKind::Malformed | ErrorKind::NotFound | ErrorKind::TooLarge | ErrorKind::Untrusted
        );
        let Some(file) = error.file().filter(|_| is_bad) else {
            return false;
        };
        let avoided = self.inner.system_image.avoid(&resolution.image.id, file);
        if avoided {
            self.warn(&format!("{error}; planning around it"));
        }
        avoided
    }

    fn warn(&self, text: &str) {
        self.inner.resolver.context().tell(Event::Warning { text });
    }

    /// The image of an earlier [`ImageStore::resolve`], downloaded unless it is here already.
    ///
    /// # Errors
    /// Those of [`Store::fetch`]; [`ErrorKind::NotFound`] after a while, because remotes drop old
    /// builds: then [`ImageStore::forget`] and resolve again.
    pub async fn fetch_resolved(&self, resolution: &Resolution) -> Result<StoredImage> {
        let Some(last) = resolution.hops.last() else {
            return Err(Error::new(
                ErrorKind::NotFound,
                "the way to the image is empty",
            ));
        };
        let context = self.inner.resolver.context();
        self.inner
            .store
            .fetch(context, &last.remote, &resolution.image)
            .await
    }

    /// Unpacks an image into `target`, which must not exist or be empty.
    ///
    /// The metadata come to lie in `target/metadata` and the root file system in `target/rootfs`;
    /// those of a system-image server in `target/system`, `target/partitions` and `target/data`.
    /// A system-image upgrade from an installed build is applied in place: `target` must hold that
    /// build, and if it breaks off, the same call goes on with it.
    /// Everything is put into a directory beside `target` first and renamed at the end, so that
    /// `target` is there whole or not at all. Dropping the future stops the work and removes what
    /// was done.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if the target is in use, [`ErrorKind::Malformed`],
    /// [`ErrorKind::Unsafe`] or [`ErrorKind::TooLarge`] if an archive is not acceptable,
    /// [`ErrorKind::Storage`] if the disk is not.
    pub async fn unpack(
        &self,
        image: &StoredImage,
        target: &Path,
        options: &UnpackOptions,
    ) -> Result<UnpackedImage> {
        let progress = Arc::clone(self.inner.resolver.context().progress());
        crate::unpacking::unpack(image, target, options, progress).await
    }

    /// Where images are kept.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// The configuration in use.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The remote of this name, with its keys and certificates read.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if there is none, or if it is not configured properly.
    pub fn remote(&self, name: &RemoteName) -> Result<RemoteConfig> {
        match self.inner.config.remote(name) {
            Some(remote) => remote,
            None => {
                let names: Vec<_> = self
                    .inner
                    .config
                    .remotes()
                    .keys()
                    .map(RemoteName::as_str)
                    .collect();
                let remedy = match names.is_empty() {
                    true => "no remotes are configured".to_owned(),
                    false => format!("remotes here are {}", names.join(", ")),
                };
                Err(Error::new(ErrorKind::InvalidConfig, "no such remote")
                    .with_subject(format_args!("`{name}`"))
                    .with_remedy(remedy))
            }
        }
    }

    /// The resolver with the one remote that is asked first. Others are not read: a key file that
    /// is missing is the matter of its own remote. Its files are read each time, and sources are
    /// kept by what is in them, so that a changed key takes effect at once.
    fn resolver_for(&self, reference: &ImageRef) -> Result<Resolver> {
        let resolver = self.inner.resolver.clone();
        match reference.remote().or(self.inner.config.default_remote()) {
            Some(name) => Ok(resolver
                .with_remote(self.remote(name)?)
                .with_default(Some(name.clone()))),
            None => Ok(resolver),
        }
    }
}

/// An image that is here and checked, and the way to it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Fetched {
    /// The image.
    pub image: StoredImage,
    /// The remotes asked, in order.
    pub hops: Vec<Hop>,
    /// How long ago the remote said that this is the image, if it could not be reached to say it
    /// anew.
    pub stale: Option<Duration>,
}

/// Whether a remote had no such file of an image, or not the signature that belongs to it.
fn is_gone(error: &Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    let unsigned = cause.is_some_and(|cause: &Error| cause.kind() == ErrorKind::NotFound);
    error.file().is_some() && (error.kind() == ErrorKind::NotFound || unsigned)
}

/// Whether fetching the one ends as fetching the other did.
fn is_same(one: &Image, other: &Image) -> bool {
    let places = |image: &Image| -> Vec<_> {
        let downloads = image.downloads.iter();
        downloads.map(|it| it.locations.clone()).collect()
    };
    one.id == other.id && one.fingerprint == other.fingerprint && places(one) == places(other)
}

#[derive(Debug)]
struct Inner {
    config: Config,
    resolver: Resolver,
    store: Store,
    system_image: SystemImageProtocol,
}
