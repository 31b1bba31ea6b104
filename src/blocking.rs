//! The same for programs without an async runtime.

use std::path::Path;

use imagestore_core::{
    Error, ErrorKind, ImagePath, ImageRef, ImageSource, ListedEntries, Resolution, Result,
};
use imagestore_store::StoredImage;
use tokio::runtime::{Builder, Runtime};

use crate::fetching::Fetched;
use crate::unpacking::{UnpackOptions, UnpackedImage};

/// An [`ImageStore`](crate::ImageStore) with a runtime of its own. Its methods block, and must not
/// be called from async code.
#[derive(Debug)]
pub struct ImageStore {
    inner: crate::ImageStore,
    runtime: Runtime,
}

impl ImageStore {
    /// Wraps an image store.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] if the system gives no threads.
    pub fn new(inner: crate::ImageStore) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Storage, "no runtime can be started").with_source(error)
            })?;
        Ok(Self { inner, runtime })
    }

    /// The build a reference names: [`ImageStore::resolve`](crate::ImageStore::resolve).
    ///
    /// # Errors
    /// Those of the method it stands for.
    pub fn resolve(&self, reference: &ImageRef) -> Result<Resolution> {
        self.runtime.block_on(self.inner.resolve(reference))
    }

    /// What lies one level below a reference: [`ImageStore::list`](crate::ImageStore::list).
    ///
    /// # Errors
    /// Those of the method it stands for.
    pub fn list(&self, reference: &ImageRef) -> Result<ListedEntries> {
        self.runtime.block_on(self.inner.list(reference))
    }

    /// The image a reference names: [`ImageStore::fetch`](crate::ImageStore::fetch).
    ///
    /// # Errors
    /// Those of the method it stands for.
    pub fn fetch(&self, reference: &ImageRef) -> Result<Fetched> {
        self.runtime.block_on(self.inner.fetch(reference))
    }

    /// The image at a source that is no configured remote:
    /// [`ImageStore::fetch_from`](crate::ImageStore::fetch_from).
    ///
    /// # Errors
    /// Those of the method it stands for.
    pub fn fetch_from(&self, source: &dyn ImageSource, path: &ImagePath) -> Result<Fetched> {
        self.runtime.block_on(self.inner.fetch_from(source, path))
    }

    /// Unpacks an image: [`ImageStore::unpack`](crate::ImageStore::unpack).
    ///
    /// # Errors
    /// Those of the method it stands for.
    pub fn unpack(
        &self,
        image: &StoredImage,
        target: &Path,
        options: &UnpackOptions,
    ) -> Result<UnpackedImage> {
        self.runtime
            .block_on(self.inner.unpack(image, target, options))
    }
}
