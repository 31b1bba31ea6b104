use std::sync::Arc;
use std::time::{Duration, SystemTime};

use imagestore_core::freshness::Mark;
use imagestore_core::{
    Check, Context, Document, Download, Error, ErrorKind, Event, FileRole, Image, ImageFile,
    ImageId, ImagePath, ImageSource, Lifetime, Listing, Lookup, Parsed, Protocol, RemoteConfig,
    Result, Trust, architecture, async_trait,
};
use imagestore_verify::{Proof, Sha256, Verified};

use crate::build;
use crate::find::Found;
use crate::index::Index;
use crate::name::Name;
use crate::options::{Binding, Mode, Options};
use crate::sums::Sums;

/// Makes [`LxcImages`] sources.
///
/// # Defaults
/// [`Mode::User`], no compat level, [`Binding::Prefer`]. The arguments of a remote go before.
#[derive(Clone, Debug, Default)]
pub struct LxcImagesProtocol {
    options: Options,
}

impl LxcImagesProtocol {
    /// The protocol `lxc-images`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For what kind of container images are meant.
    #[must_use]
    pub fn with_mode(mut self, mode: Mode) -> Self {
        self.options.mode = mode;
        self
    }

    /// The level of LXC whose index is asked for first.
    #[must_use]
    pub fn with_compat(mut self, compat: Option<u32>) -> Self {
        self.options.compat = compat;
        self
    }

    /// Whether a build must have `SHA256SUMS`.
    #[must_use]
    pub fn with_binding(mut self, binding: Binding) -> Self {
        self.options.binding = binding;
        self
    }
}

impl Protocol for LxcImagesProtocol {
    fn name(&self) -> &'static str {
        "lxc-images"
    }

    fn source(&self, remote: RemoteConfig, context: &Context) -> Result<Arc<dyn ImageSource>> {
        let options = self.options.for_remote(&remote)?;
        Ok(Arc::new(LxcImages {
            remote,
            context: context.clone(),
            options,
        }))
    }
}

/// A server of images for LXC.
#[derive(Clone, Debug)]
pub struct LxcImages {
    remote: RemoteConfig,
    context: Context,
    options: Options,
}

impl LxcImages {
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
        })
    }

    /// The index as it is now.
    ///
    /// # Errors
    /// [`ErrorKind::Untrusted`], [`ErrorKind::RolledBack`], [`ErrorKind::Expired`] or
    /// [`ErrorKind::Malformed`] if it is not to be believed, [`ErrorKind::NotFound`] if there is
    /// none for the mode, and those of the transport.
    pub async fn index(&self) -> Result<Verified<Index>> {
        let mode = self.options.mode;
        if let Some(level) = self.options.compat {
            // Only "there is none" leads on: a hiccup must not choose another list of images.
            let path = format!("/meta/1.0/index-{mode}.{level}");
            let index = self
                .document(&path)?
                .fetch_optional(|bytes| self.parse(&path, bytes))
                .await?;
            if let Some(index) = index {
                return Ok(index);
            }
        }
        let path = format!("/meta/1.0/index-{mode}");
        match self
            .document(&path)?
            .fetch(|bytes| self.parse(&path, bytes))
            .await
        {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let other = mode.other();
                Err(Error::new(
                    ErrorKind::NotFound,
                    format!("the remote has no index for mode `{mode}`"),
                )
                .with_subject(self.remote.url())
                .with_remedy(format!(
                    "with the argument mode = \"{other}\" the other one is used"
                ))
                .with_source(error))
            }
            answer => answer,
        }
    }

    fn document(&self, path: &str) -> Result<Document<'_>> {
        let limit = MAX_INDEX.min(self.context.limits().index_bytes);
        Ok(Document::new(&self.context, &self.remote, path)?.with_limit(limit))
    }

    fn parse(&self, path: &str, bytes: &[u8]) -> Result<Parsed<Index>> {
        let url = self.remote.url().document(path)?;
        let index = Index::parse(bytes, self.context.limits().entries)
            .map_err(|error| Error::from(error).with_subject(&url))?;
        if let Some(first) = index.first_skipped() {
            let (skipped, lines) = (index.skipped(), index.line_count());
            let text = format!(
                "{skipped} of {lines} lines cannot be used, the first is line {first}: {url}"
            );
            self.context.tell(Event::Warning { text: &text });
        }
        Ok(Parsed::new(index))
    }

    /// The digests of both files of a build, if its `SHA256SUMS` is there.
    async fn digests(&self, found: &Found) -> Result<Option<Verified<Digests>>> {
        let url = self.remote.url().document(&found.sums)?;
        let digests = self
            .document(&found.sums)?
            .with_limit(MAX_SUMS.min(self.context.limits().index_bytes))
            .with_lifetime(Lifetime::Fixed)
            .fetch_optional(|bytes| {
                let digests = Sums::parse(bytes).and_then(|sums| {
                    Ok(Digests {
                        meta: sums.digest(META)?,
                        rootfs: sums.digest(ROOTFS)?,
                    })
                });
                digests
                    .map(Parsed::new)
                    .map_err(|error| Error::from(error).with_subject(&url))
            })
            .await?;
        match &digests {
            Some(digests) => self.check_signing_time(found, digests.proofs())?,
            None => self.check_unbound(found)?,
        }
        Ok(digests)
    }

    /// Whether a build may do without `SHA256SUMS`.
    fn check_unbound(&self, found: &Found) -> Result<()> {
        if let Trust::Channel = self.remote.trust() {
            return Err(Error::new(
                ErrorKind::Untrusted,
                "nothing says what the files of the build should be: it has no SHA256SUMS, \
                 and the remote is trusted without keys",
            )
            .with_subject(shown(found))
            .with_remedy("give the remote trusted_keys"));
        }
        match self.options.binding {
            Binding::Prefer => Ok(()),
            Binding::Require => Err(Error::new(
                ErrorKind::Untrusted,
                "nothing binds the files of the build to each other: it has no SHA256SUMS",
            )
            .with_subject(shown(found))
            .with_remedy("with the argument binding = \"preferred\" their signatures are enough")),
        }
    }

    /// Whether `SHA256SUMS` was signed about when the build was made: another build's list, put in
    /// the place of this one, was not.
    fn check_signing_time(&self, found: &Found, proofs: &[Proof]) -> Result<()> {
        let signed_at = proofs.iter().find_map(|proof| match proof {
            Proof::Signature(signature) => Some(seconds_of(signature.signed_at())),
            _ => None,
        });
        let (Some(signed_at), Some(built)) = (signed_at, found.seconds) else {
            return Ok(());
        };
        let window = built.saturating_sub(SIGNED_BEFORE)..=built.saturating_add(SIGNED_AFTER);
        if window.contains(&signed_at) {
            return Ok(());
        }
        let text = format!(
            "the SHA256SUMS of the build was signed at {signed_at}, not between {} and {}",
            window.start(),
            window.end()
        );
        if self.options.binding == Binding::Require {
            return Err(Error::new(ErrorKind::Untrusted, text).with_subject(shown(found)));
        }
        let text = format!("{text}: {}", shown(found));
        self.context.tell(Event::Warning { text: &text });
        Ok(())
    }

    /// Whether a build is dated where a build can be.
    fn check_date(&self, found: &Found) -> Result<()> {
        let latest = seconds_of(self.context.now_for(&self.remote)).saturating_add(MAX_AHEAD);
        match found.seconds {
            Some(built) if built > latest => Err(Error::new(
                ErrorKind::Malformed,
                "the build is dated more than two days ahead of the clock",
            )
            .with_subject(shown(found))
            .with_remedy("check the clock of this machine")),
            _ => Ok(()),
        }
    }

    /// Remembers the newest build of an image, which may only rise.
    fn remember(&self, image: &Image) -> Result<()> {
        let Some(built) = build::seconds(image.id.build()) else {
            return Ok(());
        };
        let product = format!("product:{}", image.id.path());
        let mark = Mark::default().with_counter("build", built);
        let memory = self.context.memory();
        memory
            .advance(&self.remote.id(), &product, &mark)
            .map_err(|error| error.with_subject(&image.id))
    }

    fn image(&self, found: Found, digests: Option<Digests>) -> Result<Image> {
        let bound = if digests.is_some() { "yes" } else { "no" };
        let meta = self.download(
            &found.meta,
            META,
            FileRole::Metadata,
            digests.map(|all| all.meta),
        )?;
        let rootfs = self.download(
            &found.rootfs,
            ROOTFS,
            FileRole::Rootfs,
            digests.map(|all| all.rootfs),
        )?;
        let id = ImageId::new(self.remote.id(), found.columns.join("/"), &found.build);
        let [distribution, release, architecture, variant] = found.columns;
        let image = Image::new(id, vec![meta, rootfs])
            .with_property("distribution", distribution)
            .with_property("release", release)
            .with_property("architecture", architecture)
            .with_property("variant", variant)
            .with_property("build", found.build)
            .with_property("bound", bound)
            .with_property("mode", self.options.mode.name());
        Ok(match self.options.compat {
            Some(level) => image.with_property("compat", level.to_string()),
            None => image,
        })
    }

    fn download(
        &self,
        path: &str,
        name: &str,
        role: FileRole,
        digest: Option<Sha256>,
    ) -> Result<Download> {
        let mut checks: Vec<_> = digest.map(Check::Digest).into_iter().collect();
        if let Trust::Signatures(keys) = self.remote.trust() {
            let locations = self.remote.locations(&format!("{path}.asc"))?;
            checks.push(Check::Signature {
                locations,
                keys: keys.clone(),
            });
        }
        Ok(Download::new(
            self.remote.locations(path)?,
            ImageFile::new(name, role),
            checks,
        ))
    }
}

#[async_trait]
impl ImageSource for LxcImages {
    fn remote(&self) -> &RemoteConfig {
        &self.remote
    }

    async fn lookup(&self, path: &ImagePath) -> Result<Verified<Lookup>> {
        let architecture = self
            .remote
            .architecture()
            .unwrap_or_else(|| architecture::native());
        let name = Name::parse(path, architecture)?;
        let found = self.index().await?.try_map(|index| index.find(&name))?;
        self.check_date(&found)?;
        let digests = self.digests(&found).await?;
        let image = match digests {
            Some(digests) => found
                .and(digests)
                .try_map(|(found, digests)| self.image(found, Some(digests)))?,
            None => found.try_map(|found| self.image(found, None))?,
        };
        // A build that was named may be any; it says nothing about the newest.
        if name.build.is_none() {
            self.remember(&image)?;
        }
        Ok(image.map(|image| Lookup::Image(Box::new(image))))
    }

    async fn list(&self, prefix: &ImagePath) -> Result<Verified<Listing>> {
        let entries = self.index().await?.try_map(|index| index.below(prefix))?;
        Ok(entries.map(Listing::of))
    }
}

#[derive(Clone, Copy, Debug)]
struct Digests {
    meta: Sha256,
    rootfs: Sha256,
}

fn shown(found: &Found) -> String {
    format!("{}/{}", found.columns.join("/"), found.build)
}

fn seconds_of(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs()
}

const META: &str = "meta.tar.xz";
const ROOTFS: &str = "rootfs.tar.xz";
const MAX_INDEX: u64 = 16 << 20;
const MAX_SUMS: u64 = 1 << 20;
const MAX_AHEAD: u64 = 48 * 3600;
const SIGNED_BEFORE: u64 = 24 * 3600;
const SIGNED_AFTER: u64 = 7 * 24 * 3600;
