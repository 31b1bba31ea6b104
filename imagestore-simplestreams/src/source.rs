use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use imagestore_core::{
    Caches, Context, Error, ErrorKind, Event, Image, ImagePath, ImageSource, Listing, Lookup,
    Parsed, Protocol, RemoteConfig, Result, Trust, architecture, async_trait,
};
use imagestore_verify::Verified;

use crate::budget::Budget;
use crate::error::ParseError;
use crate::find::Wish;
use crate::index::{Index, Problem, ProductFile};
use crate::kept::{Kept, LONGEST_STALE, Moment, Snapshot};
use crate::options::{ImageType, Options, Prefer};
use crate::products::Products;
use crate::trust;

/// Makes [`Simplestreams`] sources.
///
/// # Defaults
/// [`ImageType::Container`], [`Prefer::Tar`]. The arguments of a remote go before.
#[derive(Clone, Debug, Default)]
pub struct SimplestreamsProtocol {
    options: Options,
}

impl SimplestreamsProtocol {
    /// The protocol `simplestreams`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For what images are wanted.
    #[must_use]
    pub fn with_image_type(mut self, image_type: ImageType) -> Self {
        self.options.image_type = image_type;
        self
    }

    /// Which root file system is taken where a version has both.
    #[must_use]
    pub fn with_prefer(mut self, prefer: Prefer) -> Self {
        self.options.prefer = prefer;
        self
    }
}

impl Protocol for SimplestreamsProtocol {
    fn name(&self) -> &'static str {
        "simplestreams"
    }

    fn source(&self, remote: RemoteConfig, context: &Context) -> Result<Arc<dyn ImageSource>> {
        let options = self.options.clone().for_remote(&remote)?;
        Ok(Arc::new(Simplestreams {
            remote,
            context: context.clone(),
            options,
            kept: Arc::default(),
        }))
    }
}

/// A tree of images for LXD and Incus.
///
/// What was read of it is kept for a minute, so that many look-ups ask for the index once, also
/// those that come while it is asked; clones share it.
#[derive(Clone, Debug)]
pub struct Simplestreams {
    pub(crate) remote: RemoteConfig,
    pub(crate) context: Context,
    options: Options,
    kept: Arc<Kept>,
}

impl Simplestreams {
    /// The source for a remote, read as its arguments say. Asks nobody.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if an argument has a value it cannot have.
    pub fn new(remote: RemoteConfig, context: Context) -> Result<Self> {
        let options = Options::default().for_remote(&remote)?;
        Ok(Self {
            remote,
            context,
            options,
            kept: Arc::default(),
        })
    }

    /// All products of the tree, as they are now or were less than a minute ago; or as they were
    /// within the last day, if the tree cannot be reached.
    ///
    /// # Errors
    /// [`ErrorKind::Untrusted`], [`ErrorKind::RolledBack`], [`ErrorKind::Expired`],
    /// [`ErrorKind::Unsafe`], [`ErrorKind::TooLarge`] or [`ErrorKind::Malformed`] if they are not
    /// to be believed, [`ErrorKind::NotFound`] if there is no tree, and those of the transport.
    pub async fn products(&self) -> Result<Verified<Arc<Products>>> {
        Ok(self.read(self.now()).await?.products)
    }

    /// Forgets what was read of the tree. For when a file that was found is gone by now: trees drop
    /// old versions.
    pub fn forget(&self) {
        self.kept.forget();
    }

    async fn read(&self, now: Moment) -> Result<Read> {
        if let Some(products) = self.kept.known().fresh(now) {
            return Ok(Read::of(products));
        }
        let _turn = self.kept.turn().await;
        // Somebody else may have asked meanwhile.
        let now = now.max(self.now());
        let known = self.kept.known();
        if let Some(products) = known.fresh(now) {
            return Ok(Read::of(products));
        }
        let fetched = self.fetch(known.caches).await;
        if fetched.is_err() {
            self.kept.fail();
        }
        let age = known.snapshot.as_ref().map(|kept| (kept, kept.age(now)));
        match (fetched, age) {
            (Ok(products), _) => {
                let products = products.map(Arc::new);
                self.kept.keep(&known, Snapshot::new(products.clone(), now));
                Ok(Read::of(products))
            }
            (Err(error), Some((kept, age)))
                if error.kind() == ErrorKind::Network && age <= self.longest_stale() =>
            {
                let url = self.remote.url();
                let minutes = age.as_secs() / 60;
                let text = format!("{error}; going by what {url} said {minutes} minutes ago");
                self.context.tell(Event::Warning { text: &text });
                Ok(Read {
                    products: kept.products.clone(),
                    stale: Some(age),
                })
            }
            (Err(error), _) => Err(error),
        }
    }

    fn now(&self) -> Moment {
        Moment {
            clock: self.context.now(),
            timer: Instant::now(),
        }
    }

    fn longest_stale(&self) -> Duration {
        let highest = self.remote.max_age();
        highest.map_or(LONGEST_STALE, |highest| highest.min(LONGEST_STALE))
    }

    /// The index and all product files it names. A product file that is gone was replaced in the
    /// meantime, or a cache kept an index that named it; so both are asked for once more.
    async fn fetch(&self, caches: Caches) -> Result<Verified<Products>> {
        match self.fetch_all(caches).await {
            Err(Missed::Product(_)) => self.fetch_all(Caches::Bypass).await,
            outcome => outcome,
        }
        .map_err(|missed| match missed {
            Missed::Product(error) | Missed::Other(error) => error,
        })
    }

    async fn fetch_all(&self, caches: Caches) -> Result<Verified<Products>, Missed> {
        let index = trust::fetch(&self.context, &self.remote, INDEX, caches, |bytes| {
            let index = Index::parse(bytes).map_err(|error| self.about(error, INDEX))?;
            let updated = index.updated();
            self.dated(index, updated, INDEX)
        });
        let index = index.await.map_err(Missed::Other)?;
        for Problem { content_id, error } in index.problems() {
            let url = self.remote.url();
            let text = format!("{url}/{INDEX} names a file for `{content_id}` in vain: {error}");
            self.context.tell(Event::Warning { text: &text });
        }
        let files: Vec<ProductFile> = index.files().cloned().collect();
        let mut all = index.map(|_| Vec::new());
        let mut spent = 0;
        for file in files {
            let products = self.product_file(&file, caches, spent).await;
            let products = products.map_err(|error| match error.kind() {
                ErrorKind::NotFound => Missed::Product(error),
                _ => Missed::Other(error),
            })?;
            spent += products.weight;
            all = all.and(products).map(|(mut all, more)| {
                all.push(more);
                all
            });
        }
        Ok(all.map(Products::joined_all))
    }

    /// The products of one file, of which there may be as many as the others left of the limit.
    async fn product_file(
        &self,
        file: &ProductFile,
        caches: Caches,
        spent: usize,
    ) -> Result<Verified<Products>> {
        let stem = trust::stem(file.path()).unwrap_or(file.path());
        let limit = self.context.limits().entries;
        trust::fetch(&self.context, &self.remote, stem, caches, |bytes| {
            let budget = Budget::new(limit, spent);
            let products = Products::parse_within(bytes, file.content_id(), &budget)
                .map_err(|error| self.about(error, stem))?;
            let updated = products.updated();
            self.dated(products, updated, stem)
        })
        .await
    }

    /// What a document says, with its date, which may only rise.
    fn dated<T>(&self, value: T, updated: Option<u64>, stem: &str) -> Result<Parsed<T>> {
        let parsed = Parsed::new(value);
        let Some(updated) = updated else {
            return Ok(parsed);
        };
        if updated > self.latest() {
            let (what, found) = ("updated", updated.to_string());
            return Err(self.about(ParseError::FromTheFuture { what, found }, stem));
        }
        // Where it is signed, the time of the signature is what counts.
        if let Trust::Channel = self.remote.trust() {
            self.check_age(updated, stem)?;
        }
        Ok(parsed.with_counter("updated", updated))
    }

    fn check_age(&self, updated: u64, stem: &str) -> Result<()> {
        let age = Duration::from_secs(self.seconds().saturating_sub(updated));
        let (url, days) = (self.remote.url(), age.as_secs() / DAY);
        match self.remote.max_age() {
            Some(highest) if age > highest => {
                let highest = highest.as_secs() / DAY;
                let problem = format!("was written {days} days ago, at most {highest} are allowed");
                return Err(Error::new(ErrorKind::Expired, problem)
                    .with_subject(format_args!("{url}/{stem}")));
            }
            _ if age > NOTEWORTHY_AGE => {
                let text = format!("{url}/{stem} was written {days} days ago");
                self.context.tell(Event::Warning { text: &text });
            }
            _ => {}
        }
        Ok(())
    }

    /// The latest date that an honest publisher writes.
    pub(crate) fn latest(&self) -> u64 {
        self.seconds().saturating_add(MAX_AHEAD)
    }

    /// The seconds since 1970 by which everything is judged.
    fn seconds(&self) -> u64 {
        let now = self.context.now_for(&self.remote);
        let now = now.duration_since(SystemTime::UNIX_EPOCH);
        now.unwrap_or_default().as_secs()
    }

    fn about(&self, error: ParseError, stem: &str) -> Error {
        Error::from(error).with_subject(format_args!("{}/{stem}", self.remote.url()))
    }

    fn wish(&self) -> Wish<'_> {
        let architecture = self.remote.architecture();
        Wish {
            architecture: architecture.unwrap_or_else(|| architecture::native()),
            options: &self.options,
        }
    }

    async fn find(&self, path: &ImagePath, now: Moment) -> Result<Verified<Image>> {
        let Read { products, stale } = self.read(now).await?;
        products.try_map(|products| {
            let found = products.find(path, self.wish())?;
            Ok(self.image(&found)?.with_stale(stale))
        })
    }

    async fn entries(&self, prefix: &ImagePath, now: Moment) -> Result<Verified<Listing>> {
        let Read { products, stale } = self.read(now).await?;
        let listed = products.try_map(|products| products.below(prefix, self.wish()))?;
        if let (count, Some(problem)) = (listed.left_out, &listed.problem) {
            let url = self.remote.url();
            let text = format!("{count} left out of the list of {url}, the first is: {problem}");
            self.context.tell(Event::Warning { text: &text });
        }
        Ok(listed.map(|listed| Listing::of(listed.entries).with_stale(stale)))
    }
}

#[async_trait]
impl ImageSource for Simplestreams {
    fn remote(&self) -> &RemoteConfig {
        &self.remote
    }

    async fn lookup(&self, path: &ImagePath) -> Result<Verified<Lookup>> {
        let image = self.find(path, self.now()).await?;
        Ok(image.map(|image| Lookup::Image(Box::new(image))))
    }

    async fn list(&self, prefix: &ImagePath) -> Result<Verified<Listing>> {
        self.entries(prefix, self.now()).await
    }

    fn forget(&self) {
        self.kept.forget();
    }
}

/// What is known of a tree, and how old that is if the tree could not be reached.
struct Read {
    products: Verified<Arc<Products>>,
    stale: Option<Duration>,
}

impl Read {
    fn of(products: Verified<Arc<Products>>) -> Self {
        Self {
            products,
            stale: None,
        }
    }
}

/// Why the documents of a tree are not here.
enum Missed {
    Other(Error),
    /// A product file that the index names is not there.
    Product(Error),
}

const INDEX: &str = "streams/v1/index";
const DAY: u64 = 86_400;
const MAX_AHEAD: u64 = 2 * DAY;
const NOTEWORTHY_AGE: Duration = Duration::from_secs(7 * DAY);

#[cfg(test)]
mod tests;
