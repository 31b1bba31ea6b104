use std::path::Path;
use std::sync::Arc;

use imagestore_core::{
    Context, Error, ErrorKind, Event, Hop, ImagePath, ImageRef, ImageSource, ListedEntries,
    RemoteConfig, RemoteName, Resolution, Resolver, Result,
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
    /// # Errors
    /// Those of [`ImageStore::resolve`] and [`Store::fetch`].
    pub async fn fetch(&self, reference: &ImageRef) -> Result<Fetched> {
        loop {
            let resolution = self.resolve(reference).await?;
            match self.fetch_resolved(&resolution).await {
                Ok(image) => {
                    return Ok(Fetched {
                        image,
                        hops: resolution.hops,
                    });
                }
                Err(error) if self.plans_around(&resolution, &error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The image a path names at a source that is no configured remote, downloaded unless it is here
    /// already: a host whose address, certificate and secret a peer has just told.
    ///
    /// The source is made with the [context](ImageStore::context) of this image store.
    ///
    /// # Errors
    /// Those of [`Resolver::resolve_from`] and [`Store::fetch`].
    ///
    /// # Examples
    /// ```no_run
    /// use imagestore::core::{RemoteConfig, TlsTrust, Trust};
    /// use imagestore::lxd::{Lxd, Secret};
    ///
    /// # async fn example(images: imagestore::ImageStore, pin: &str, fingerprint: &str, word: &str)
    /// # -> imagestore::Result<()> {
    /// let url = "https+lxd://192.0.2.7:8443".parse()?;
    /// let pin = TlsTrust::Pin(vec![pin.parse().expect("64 digits")]);
    /// let remote = RemoteConfig::new("peer".parse()?, url, Trust::Channel).with_tls(pin);
    /// let host = Lxd::new(remote, images.context().clone())?.with_secret(Secret::new(word)?);
    /// let fetched = images.fetch_from(&host, &fingerprint.parse()?).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn fetch_from(&self, source: &dyn ImageSource, path: &ImagePath) -> Result<Fetched> {
        let resolver = &self.inner.resolver;
        let resolution = resolver.resolve_from(source, path).await?;
        let image = self.fetch_resolved(&resolution).await?;
        Ok(Fetched {
            image,
            hops: resolution.hops,
        })
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
            let text = format!("{error}; planning around it");
            let progress = self.inner.resolver.context().progress();
            progress.on(Event::Warning { text: &text });
        }
        avoided
    }

    /// The image of an earlier [`ImageStore::resolve`], downloaded unless it is here already.
    ///
    /// # Errors
    /// Those of [`Store::fetch`].
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

    /// What sources work with that belong to no configured remote: see
    /// [`ImageStore::fetch_from`].
    #[must_use]
    pub fn context(&self) -> &Context {
        self.inner.resolver.context()
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
    /// is missing is the matter of its own remote.
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
}

#[derive(Debug)]
struct Inner {
    config: Config,
    resolver: Resolver,
    store: Store,
    system_image: SystemImageProtocol,
}
