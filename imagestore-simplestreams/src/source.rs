use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use imagestore_core::freshness::Mark;
use imagestore_core::{
    Check, Context, Delta, Download, Error, ErrorKind, Image, ImageFile, ImageId, ImagePath,
    ImageSource, Listing, Lookup, Parsed, Protocol, RemoteConfig, Result, architecture,
    async_trait,
};
use imagestore_verify::{Sha256, Verified};

use crate::date::of_serial;
use crate::error::ParseError;
use crate::find::{Found, Wish};
use crate::index::{Index, ProductFile, shown};
use crate::items::Item;
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
/// What was read of it is kept for a minute, so that many look-ups ask for the index once; clones
/// share it.
#[derive(Clone, Debug)]
pub struct Simplestreams {
    remote: RemoteConfig,
    context: Context,
    options: Options,
    kept: Arc<Mutex<Option<Kept>>>,
}

#[derive(Clone, Debug)]
struct Kept {
    products: Verified<Arc<Products>>,
    since: SystemTime,
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

    /// All products of the tree, as they are now or were less than a minute ago.
    ///
    /// # Errors
    /// [`ErrorKind::Untrusted`], [`ErrorKind::RolledBack`], [`ErrorKind::Expired`],
    /// [`ErrorKind::Unsafe`], [`ErrorKind::TooLarge`] or [`ErrorKind::Malformed`] if they are not
    /// to be believed, [`ErrorKind::NotFound`] if there is no tree, and those of the transport.
    pub async fn products(&self) -> Result<Verified<Arc<Products>>> {
        let now = self.context.now();
        let kept = self.kept().clone();
        if let Some(kept) = kept
            && now.duration_since(kept.since).is_ok_and(|age| age < KEPT)
        {
            return Ok(kept.products);
        }
        let products = self.fetch().await?.map(Arc::new);
        *self.kept() = Some(Kept {
            products: products.clone(),
            since: now,
        });
        Ok(products)
    }

    /// Forgets what was read of the tree. For when a file that was found is gone by now: trees drop
    /// old versions.
    pub fn forget(&self) {
        *self.kept() = None;
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index and all product files it names.
    async fn fetch(&self) -> Result<Verified<Products>> {
        let index = trust::fetch(&self.context, &self.remote, INDEX, |bytes| {
            let index = Index::parse(bytes).map_err(|error| self.about(error, INDEX))?;
            let updated = index.updated();
            self.dated(index, updated, INDEX)
        })
        .await?;
        let files: Vec<ProductFile> = index.files().cloned().collect();
        let mut all = index.map(|_| Products::default());
        for file in files {
            let products = self.product_file(&file).await?;
            all = all.and(products).map(|(all, more)| all.joined(more));
        }
        Ok(all)
    }

    async fn product_file(&self, file: &ProductFile) -> Result<Verified<Products>> {
        let Some(stem) = trust::stem(file.path()) else {
            let problem = "the product file is neither .json nor .sjson";
            return Err(Error::new(ErrorKind::Unsupported, problem)
                .with_subject(format_args!("`{}`", file.path())));
        };
        let limit = self.context.limits().entries;
        trust::fetch(&self.context, &self.remote, stem, |bytes| {
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
        let products = self.products().await?;
        let image = products.try_map(|products| {
            let found = products.find(path, self.wish())?;
            self.image(&found)
        })?;
        Ok(image.map(|image| Lookup::Image(Box::new(image))))
    }

    async fn list(&self, prefix: &ImagePath) -> Result<Verified<Listing>> {
        let products = self.products().await?;
        let entries = products.try_map(|products| products.below(prefix, self.wish()))?;
        Ok(entries.map(Listing::Entries))
    }
}

const INDEX: &str = "streams/v1/index";
const MAX_AHEAD: u64 = 48 * 3600;
const KEPT: Duration = Duration::from_secs(60);
