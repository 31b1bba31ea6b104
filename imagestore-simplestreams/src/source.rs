use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use imagestore_core::freshness::Mark;
use imagestore_core::{
    Caches, Check, Context, Delta, Download, Error, ErrorKind, Event, Image, ImageFile, ImageId,
    ImagePath, ImageSource, Listing, Lookup, Parsed, Protocol, RemoteConfig, Result, architecture,
    async_trait,
};
use imagestore_verify::{Sha256, Verified};

use crate::date::of_serial;
use crate::error::ParseError;
use crate::find::{Found, Wish};
use crate::index::{Index, ProductFile, shown};
use crate::items::Item;
use crate::kept::{Kept, LONGEST_STALE, Moment, Snapshot};
use crate::list::description;
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
        let options = self.options.for_remote(&remote)?;
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
    remote: RemoteConfig,
    context: Context,
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
        let files: Vec<ProductFile> = index.files().cloned().collect();
        let mut all = index.map(|_| Products::default());
        for file in files {
            let products = self.product_file(&file, caches).await;
            let products = products.map_err(|error| match error.kind() {
                ErrorKind::NotFound => Missed::Product(error),
                _ => Missed::Other(error),
            })?;
            all = all.and(products).map(|(all, more)| all.joined(more));
        }
        Ok(all)
    }

    async fn product_file(&self, file: &ProductFile, caches: Caches) -> Result<Verified<Products>> {
        let Some(stem) = trust::stem(file.path()) else {
            let problem = "the product file is neither .json nor .sjson";
            return Err(Error::new(ErrorKind::Unsupported, problem)
                .with_subject(format_args!("`{}`", file.path())));
        };
        let limit = self.context.limits().entries;
        trust::fetch(&self.context, &self.remote, stem, caches, |bytes| {
            let products = Products::parse(bytes, file.content_id(), limit)
                .map_err(|error| self.about(error, stem))?;
            let updated = products.updated();
            self.dated(products, updated, stem)
        })
        .await
    }

    /// What a document says, with its date, which may only rise.
    fn dated<T>(&self, value: T, updated: Option<u64>, stem: &str) -> Result<Parsed<T>> {
        let parsed = Parsed::new(value);
        match updated {
            None => Ok(parsed),
            Some(updated) if updated > self.latest() => {
                let (what, found) = ("updated", updated.to_string());
                Err(self.about(ParseError::FromTheFuture { what, found }, stem))
            }
            Some(updated) => Ok(parsed.with_counter("updated", updated)),
        }
    }

    /// The latest date that an honest publisher writes.
    fn latest(&self) -> u64 {
        let now = self.context.now().duration_since(SystemTime::UNIX_EPOCH);
        now.unwrap_or(Duration::ZERO)
            .as_secs()
            .saturating_add(MAX_AHEAD)
    }

    fn about(&self, error: ParseError, stem: &str) -> Error {
        Error::from(error).with_subject(format_args!("{}/{stem}", self.remote.url()))
    }

    fn wish(&self) -> Wish<'_> {
        let architecture = self.remote.architecture();
        Wish {
            architecture: architecture.unwrap_or_else(|| architecture::native()),
            options: self.options,
        }
    }

    fn check_date(&self, found: &Found) -> Result<()> {
        match of_serial(&found.serial) {
            Some(built) if built > self.latest() => {
                let (what, found_date) = ("a serial", shown(&found.serial));
                let error = ParseError::FromTheFuture {
                    what,
                    found: found_date,
                };
                Err(Error::from(error)
                    .with_subject(format_args!("`{}`", found.place))
                    .with_remedy("check the clock of this machine"))
            }
            _ => Ok(()),
        }
    }

    /// Remembers the newest version of a product, which may only rise. A version that was named
    /// says nothing about the newest.
    fn remember(&self, found: &Found, id: &ImageId) -> Result<()> {
        let built = of_serial(&found.serial).filter(|_| !found.named);
        let Some(built) = built else {
            return Ok(());
        };
        let product = format!("product:{}:{}", found.name, found.choice.form.name());
        let mark = Mark::default().with_counter("serial", built);
        let memory = self.context.memory();
        memory
            .advance(&self.remote.id(), &product, &mark)
            .map_err(|error| error.with_subject(id))
    }

    fn image(&self, found: &Found) -> Result<Image> {
        let place = found.place.to_string();
        let form = found.choice.form;
        let build = format!("{}+{}", found.serial, form.name());
        let id = ImageId::new(self.remote.id(), place, build);
        self.check_date(found)?;
        self.remember(found, &id)?;
        let downloads = found.choice.files.iter().map(|item| self.download(item));
        let mut downloads = downloads.collect::<Result<Vec<_>>>()?;
        if let Some(data) = downloads.pop() {
            downloads.push(self.with_deltas(data, &found.deltas)?);
        }
        let mut image = Image::new(id, downloads)
            .with_fingerprint(found.choice.fingerprint)
            .with_property("product", &found.name)
            .with_property("build", &found.serial)
            .with_property("form", form.name())
            .with_property("type", form.image_type().name());
        for (name, value) in &found.properties {
            image = image.with_property(name, value);
        }
        let names = architecture::aliases(&found.architecture);
        let architecture = names.first().copied().unwrap_or(&found.architecture);
        image = image.with_property("architecture", architecture);
        if let Some([os, release, _, variant]) = &found.columns {
            image = image
                .with_property("distribution", os)
                .with_property("release", release)
                .with_property("variant", variant);
        }
        Ok(match description(found) {
            Some(description) => image.with_property("description", description),
            None => image,
        })
    }

    async fn find(&self, path: &ImagePath, now: Moment) -> Result<Verified<Image>> {
        let Read { products, stale } = self.read(now).await?;
        products.try_map(|products| {
            let found = products.find(path, self.wish())?;
            Ok(self.image(&found)?.with_stale(stale))
        })
    }

    fn with_deltas(&self, mut data: Download, deltas: &[(Sha256, Item)]) -> Result<Download> {
        for (base, item) in deltas {
            let locations = self.remote.locations(&item.path)?;
            data = data.with_delta(Delta::new(locations, *base, item.sha256, item.size));
        }
        Ok(data)
    }

    fn download(&self, item: &Item) -> Result<Download> {
        let limit = self.context.limits().file_bytes;
        if let Some(size) = item.size.filter(|size| *size > limit) {
            let problem = format!("has {size} bytes, at most {limit} are allowed");
            return Err(Error::new(ErrorKind::TooLarge, problem)
                .with_subject(format_args!("`{}`", item.path)));
        }
        let file = ImageFile::new(item.name, item.role.clone());
        let checks = vec![Check::Digest(item.sha256)];
        let locations = self.remote.locations(&item.path)?;
        Ok(Download::new(locations, file, checks).with_size(item.size))
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
        let products = self.products().await?;
        let entries = products.try_map(|products| products.below(prefix, self.wish()))?;
        Ok(entries.map(Listing::Entries))
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
const MAX_AHEAD: u64 = 48 * 3600;

#[cfg(test)]
mod tests;
