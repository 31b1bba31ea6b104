use std::error::Error as _;
use std::time::Duration;

use imagestore_core::{
    Context, Error, ErrorKind, Event, Hop, Image, ImagePath, ImageRef, ImageSource, Resolution,
    Resolver, Result,
};
use imagestore_store::{Store, StoredImage};
use imagestore_systemimage::SystemImageProtocol;

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

/// What is to be fetched.
#[derive(Clone, Copy)]
pub(crate) enum Wanted<'a> {
    /// What a reference names.
    Reference(&'a ImageRef),
    /// What a path names at a source.
    At(&'a dyn ImageSource, &'a ImagePath),
}

/// Resolving and downloading, again where what was resolved cannot be had but something else may be.
pub(crate) struct Fetching<'a> {
    pub(crate) resolver: Resolver,
    pub(crate) store: &'a Store,
    pub(crate) system_image: &'a SystemImageProtocol,
    pub(crate) wanted: Wanted<'a>,
}

impl Fetching<'_> {
    pub(crate) async fn run(&self) -> Result<Fetched> {
        let mut resolution = self.resolve().await?;
        let mut asked_anew = false;
        loop {
            let context = self.resolver.context();
            let error = match download(context, self.store, &resolution).await {
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
                resolution = self.resolve().await?;
            } else if !asked_anew && is_gone(&error) {
                asked_anew = true;
                resolution = self.resolve_anew(&resolution, error).await?;
            } else {
                return Err(error);
            }
        }
    }

    async fn resolve(&self) -> Result<Resolution> {
        match self.wanted {
            Wanted::Reference(reference) => self.resolver.resolve(reference).await,
            Wanted::At(source, path) => self.resolver.resolve_from(source, path).await,
        }
    }

    /// What is wanted by now, if that is not what could not be fetched for this reason.
    async fn resolve_anew(&self, outdated: &Resolution, error: Error) -> Result<Resolution> {
        self.warn(&format!("{error}; asking for the index anew"));
        self.resolver.forget(&outdated.hops);
        if let Wanted::At(source, _) = self.wanted {
            source.forget();
        }
        let resolution = match self.resolve().await {
            Err(unreachable) if unreachable.kind() == ErrorKind::Network => return Err(error),
            resolution => resolution?,
        };
        if is_same(&outdated.image, &resolution.image) {
            return Err(error);
        }
        Ok(resolution)
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
        let avoided = self.system_image.avoid(&resolution.image.id, file);
        if avoided {
            self.warn(&format!("{error}; planning around it"));
        }
        avoided
    }

    fn warn(&self, text: &str) {
        self.resolver.context().tell(Event::Warning { text });
    }
}

/// The image of a resolution, downloaded unless it is here already.
pub(crate) async fn download(
    context: &Context,
    store: &Store,
    resolution: &Resolution,
) -> Result<StoredImage> {
    let Some(last) = resolution.hops.last() else {
        let message = "the way to the image is empty";
        return Err(Error::new(ErrorKind::NotFound, message));
    };
    store.fetch(context, &last.remote, &resolution.image).await
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
