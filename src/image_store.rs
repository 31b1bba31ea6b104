use std::path::Path;
use std::sync::Arc;

use imagestore_core::{
    Context, Error, ErrorKind, ImagePath, ImageRef, ImageSource, ListedEntries, RemoteConfig,
    RemoteName, Resolution, Resolver, Result,
};
use imagestore_store::{Store, StoredImage};
use imagestore_systemimage::SystemImageProtocol;

use crate::builder::ImageStoreBuilder;
use crate::config::Config;
use crate::fetching::{self, Fetched, Fetching, Wanted};
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
    /// is another build or lies elsewhere. An [`Event::Warning`](imagestore_core::Event::Warning) says so.
    ///
    /// # Errors
    /// Those of [`ImageStore::resolve`] and [`Store::fetch`].
    pub async fn fetch(&self, reference: &ImageRef) -> Result<Fetched> {
        let resolver = self.resolver_for(reference)?;
        self.fetching(resolver, Wanted::Reference(reference))
            .run()
            .await
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
        let resolver = self.inner.resolver.clone();
        self.fetching(resolver, Wanted::At(source, path))
            .run()
            .await
    }

    /// Forgets what the remote said that has the image of a resolution: a file of it is gone. The
    /// next [`ImageStore::resolve`] asks the remote itself. [`ImageStore::fetch`] does this on its
    /// own.
    pub fn forget(&self, resolution: &Resolution) {
        self.inner.resolver.forget(&resolution.hops);
    }

    /// The image of an earlier [`ImageStore::resolve`], downloaded unless it is here already.
    ///
    /// # Errors
    /// Those of [`Store::fetch`]; [`ErrorKind::NotFound`] after a while, because remotes drop old
    /// builds: then [`ImageStore::forget`] and resolve again.
    pub async fn fetch_resolved(&self, resolution: &Resolution) -> Result<StoredImage> {
        fetching::download(self.context(), &self.inner.store, resolution).await
    }

    fn fetching<'a>(&'a self, resolver: Resolver, wanted: Wanted<'a>) -> Fetching<'a> {
        Fetching {
            resolver,
            store: &self.inner.store,
            system_image: &self.inner.system_image,
            wanted,
        }
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

#[derive(Debug)]
struct Inner {
    config: Config,
    resolver: Resolver,
    store: Store,
    system_image: SystemImageProtocol,
}
