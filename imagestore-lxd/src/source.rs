use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use imagestore_core::freshness::Mark;
use imagestore_core::{
    Admission, Check, Context, Download, Entry, EntryKind, Error, ErrorKind, Event, FileRole,
    Framing, Image, ImageFile, ImageId, ImagePath, ImageSource, Listing, Lookup, Protocol,
    RemoteConfig, Result, async_trait, printable,
};
use imagestore_verify::{Sha256, Verified};

use crate::ask::Ask;
use crate::cancelled::Cancelled;
use crate::describe::{entry, properties};
use crate::error::ParseError;
use crate::index::{Host, HostAlias, HostImage, ImageKind, Index};
use crate::name::{Name, Prefix};
use crate::options::{Options, prepare};
use crate::secret::Secret;
use crate::secrets::{Key, Opening, Secrets};

/// Makes [`Lxd`] sources, for hosts of both names.
#[derive(Clone, Debug)]
pub struct LxdProtocol {
    name: &'static str,
}

impl LxdProtocol {
    /// The protocol `lxd`.
    #[must_use]
    pub fn lxd() -> Self {
        Self { name: "lxd" }
    }

    /// The protocol `incus`: the same under another name.
    #[must_use]
    pub fn incus() -> Self {
        Self { name: "incus" }
    }
}

impl Protocol for LxdProtocol {
    fn name(&self) -> &'static str {
        self.name
    }

    fn source(&self, remote: RemoteConfig, context: &Context) -> Result<Arc<dyn ImageSource>> {
        Ok(Arc::new(Lxd::new(remote, context.clone())?))
    }
}

/// A LXD or Incus host.
#[derive(Clone, Debug)]
pub struct Lxd {
    remote: RemoteConfig,
    context: Context,
    options: Options,
    key: Key,
    cancelled: Cancelled,
}

impl Lxd {
    /// The source for a remote, read as its arguments say. Asks nobody.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if the remote has keys, or an argument has a value it cannot have.
    pub fn new(remote: RemoteConfig, context: Context) -> Result<Self> {
        let options = Options::of(&remote)?;
        Ok(Self {
            remote: prepare(remote)?,
            context,
            options,
            key: Key::None,
            cancelled: Cancelled::default(),
        })
    }

    /// The same host, asked with a secret that opens one private image: once, within five seconds.
    ///
    /// If the download breaks off later, it ends in [`ErrorKind::Refused`]; a fetch with another
    /// secret goes on with what arrived of a unified image. With [`Lxd::with_secrets`] it goes on
    /// by itself.
    #[must_use]
    pub fn with_secret(mut self, secret: Secret) -> Self {
        self.key = Key::one(secret);
        self
    }

    /// The same host, asked with a new secret at each look-up and each late attempt.
    ///
    /// Images must be named by all digits of their fingerprint: of others than public ones, this
    /// host tells neither aliases nor the rest of a fingerprint.
    #[must_use]
    pub fn with_secrets(mut self, secrets: Arc<dyn Secrets>) -> Self {
        self.key = Key::Source(secrets);
        self
    }

    /// What the host says about itself, and whether it knows this caller.
    ///
    /// # Errors
    /// [`ErrorKind::Untrusted`] or [`ErrorKind::Malformed`] if the answer is not to be believed, and
    /// those of the transport.
    pub async fn host(&self) -> Result<Verified<Host>> {
        let url = self.remote.url().document("/1.0")?;
        self.ask().value(&url, Host::parse).await
    }

    /// All images the host shows to this caller.
    ///
    /// # Errors
    /// [`ErrorKind::Untrusted`], [`ErrorKind::TooLarge`] or [`ErrorKind::Malformed`] if the answer is
    /// not to be believed, [`ErrorKind::NotFound`] if there is no such project, and those of the
    /// transport.
    pub async fn index(&self) -> Result<Verified<Index>> {
        let ask = self.ask();
        let limit = self.context.limits().entries;
        let answer = ask
            .value(&ask.images()?, |bytes| Index::parse(bytes, limit))
            .await;
        answer.map_err(|error| match (&self.options.project, error.kind()) {
            (Some(project), ErrorKind::NotFound) => Error::new(
                ErrorKind::NotFound,
                "no such project, or not for this caller",
            )
            .with_subject(format_args!("`{project}` on {}", self.remote.url()))
            .with_source(error),
            _ => error,
        })
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) fn cancelled(&self) -> &Cancelled {
        &self.cancelled
    }

    pub(crate) fn ask(&self) -> Ask<'_> {
        Ask {
            context: &self.context,
            remote: &self.remote,
            options: &self.options,
        }
    }

    /// What a path names, with all digits of its fingerprint.
    async fn find(&self, path: &ImagePath) -> Result<Found> {
        let ask = self.ask();
        let (alias, prefix) = match Name::parse(path)? {
            Name::Fingerprint(fingerprint) => {
                let answer = self.by_fingerprint(&fingerprint).await;
                return answer.map_err(|error| self.missing(path, error));
            }
            Name::Alias { alias, prefix } => (alias, prefix),
        };
        let error = match ask.value(&ask.alias(&alias)?, HostAlias::parse).await {
            Ok(found) => {
                let image = self.by_fingerprint(&found.target).await;
                let image = image.map_err(|error| self.missing(path, error))?;
                self.note_age(&alias, &image.image);
                return Ok(Found {
                    image: found.and(image.image).map(|(_, image)| image),
                    opening: image.opening,
                });
            }
            Err(error) if error.kind() == ErrorKind::NotFound => error,
            Err(error) => return Err(error),
        };
        match prefix {
            Some(Prefix::Long(digits)) => {
                let url = ask.image_by(&digits)?;
                let opening = self.key.opening(None);
                let image = ask
                    .opened_value(&url, opening.as_deref(), HostImage::parse)
                    .await;
                let image = image.map_err(|error| self.missing(path, error))?;
                if !image.fingerprint.to_string().starts_with(&digits) {
                    return Err(other_image(&digits, &image.fingerprint));
                }
                let opening = self.key.opening(Some(&image.fingerprint));
                Ok(Found { image, opening })
            }
            Some(Prefix::Short) => Err(self
                .missing(path, error)
                .with_remedy("a fingerprint needs its first 12 digits, or all 64")),
            None => Err(self.missing(path, error)),
        }
    }

    async fn by_fingerprint(&self, fingerprint: &Sha256) -> Result<Found> {
        let ask = self.ask();
        let url = ask.image(fingerprint)?;
        let opening = self.key.opening(Some(fingerprint));
        let image = ask
            .opened_value(&url, opening.as_deref(), HostImage::parse)
            .await?;
        if image.fingerprint != *fingerprint {
            return Err(other_image(&fingerprint.to_string(), &image.fingerprint));
        }
        Ok(Found { image, opening })
    }

    /// Status 404 of a host means that there is no such image, or none it shows to this caller.
    fn missing(&self, path: &ImagePath, error: Error) -> Error {
        if error.kind() != ErrorKind::NotFound {
            return error;
        }
        let subject = match &self.options.project {
            Some(project) => format!("{path} in project `{project}`"),
            None => path.to_string(),
        };
        let knows = self.remote.socket().is_some() || self.remote.identity().is_some();
        let missing = match (self.key.missing(), knows) {
            (Some(missing), _) => missing,
            (None, true) => Error::new(ErrorKind::NotFound, "no such image"),
            (None, false) => Error::new(
                ErrorKind::NotFound,
                "no such image among those the host shows to everybody",
            ),
        };
        missing.with_subject(subject).with_source(error)
    }

    /// An alias may be set to an older image by whoever runs the host, but it is worth a word.
    fn note_age(&self, alias: &str, image: &HostImage) {
        let Some(created_at) = image.created_at.and_then(seconds) else {
            return;
        };
        let project = self.options.project.as_deref().unwrap_or("default");
        let document = format!("alias:{project}/{alias}");
        let mark = Mark::default().with_counter("created_at", created_at);
        let memory = self.context.memory();
        if let Err(error) = memory.advance(&self.remote.id(), &document, &mark) {
            let text = format!(
                "alias `{alias}` of {} names an image that {error}",
                self.remote.url()
            );
            self.context.tell(Event::Warning { text: &text });
        }
    }

    fn check_size(&self, image: &HostImage) -> Result<()> {
        let limit = self.context.limits().file_bytes;
        if image.size <= limit {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::TooLarge,
            format!("has {} bytes, at most {limit} are allowed", image.size),
        )
        .with_subject(format_args!("image {}", image.fingerprint)))
    }

    fn image(
        &self,
        found: HostImage,
        framing: Framing,
        opening: Option<Arc<Opening>>,
    ) -> Result<Image> {
        let location = self.ask().export(&found.fingerprint)?;
        let check = vec![Check::Digest(found.fingerprint)];
        let of = |name: &str, role| ImageFile::new(name, role);
        let download = match framing {
            Framing::Plain => Download::new(vec![location], of(UNIFIED, FileRole::Unified), check),
            Framing::Multipart => {
                let metadata = of(METADATA, FileRole::Metadata).with_part_name("metadata");
                let data = match found.kind {
                    ImageKind::Container => of(ROOTFS, FileRole::Rootfs).with_part_name("rootfs"),
                    ImageKind::VirtualMachine => {
                        of(DISK, FileRole::Disk).with_part_name("rootfs.img")
                    }
                };
                Download::new(vec![location], metadata, check).with_part(data)
            }
        };
        let digits = found.fingerprint.to_string();
        let mut image = Image::new(
            ImageId::new(self.remote.id(), &digits, &digits),
            vec![
                download
                    .with_size(Some(found.size))
                    .with_admission(opening.map(|opening| opening as Arc<dyn Admission>)),
            ],
        )
        .with_fingerprint(found.fingerprint)
        .with_expiry(found.expires_at);
        for (name, value) in properties(&found) {
            image = image.with_property(name, value);
        }
        Ok(image)
    }

    /// What the images of a host are called below a prefix.
    fn below(&self, index: &Index, prefix: &ImagePath) -> Result<Vec<Entry>> {
        let mut entries = BTreeMap::new();
        let mut there = prefix.is_empty();
        for image in index.images() {
            let digits = image.fingerprint.to_string();
            there |= prefix.to_string() == digits;
            for alias in &image.aliases {
                let Ok(path) = alias.parse::<ImagePath>() else {
                    let shown: String = alias.chars().take(80).collect();
                    let text = format!(
                        "an alias of image {digits} is no name: `{}`",
                        printable(&shown)
                    );
                    self.context.tell(Event::Warning { text: &text });
                    continue;
                };
                let Some(rest) = path.strip_prefix(prefix) else {
                    continue;
                };
                there = true;
                // An alias that looks like a fingerprint never stands for one.
                if !rest.is_empty() && path.to_string().parse::<Sha256>().is_err() {
                    let name = rest.to_string();
                    entries.insert(name.clone(), entry(name, EntryKind::Alias, image));
                }
            }
        }
        if prefix.is_empty() {
            for image in index.images() {
                let digits = image.fingerprint.to_string();
                entries.insert(digits.clone(), entry(digits, EntryKind::Image, image));
            }
        }
        if there {
            return Ok(entries.into_values().collect());
        }
        Err(Error::new(
            ErrorKind::NotFound,
            "no image has a name that begins with this",
        )
        .with_subject(prefix))
    }
}

#[async_trait]
impl ImageSource for Lxd {
    fn remote(&self) -> &RemoteConfig {
        &self.remote
    }

    async fn lookup(&self, path: &ImagePath) -> Result<Verified<Lookup>> {
        let Found { image, opening } = self.find(path).await?;
        self.check_size(&image)?;
        let export = self.ask().export(&image.fingerprint)?;
        let framing = self.ask().framing(&export, opening.as_deref()).await;
        let framing = framing.map_err(|error| self.missing(path, error))?;
        let image = image
            .and(framing)
            .try_map(|(found, framing)| self.image(found, framing, opening))?;
        Ok(image.map(|image| Lookup::Image(Box::new(image))))
    }

    async fn list(&self, prefix: &ImagePath) -> Result<Verified<Listing>> {
        let entries = self
            .index()
            .await?
            .try_map(|index| self.below(&index, prefix))?;
        Ok(entries.map(Listing::of))
    }
}

/// What a host says about an image, and what opens it.
struct Found {
    image: Verified<HostImage>,
    opening: Option<Arc<Opening>>,
}

fn other_image(asked: &str, found: &Sha256) -> Error {
    ParseError::OtherImage {
        asked: asked.to_owned(),
        found: found.to_string(),
    }
    .into()
}

fn seconds(time: SystemTime) -> Option<u64> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

// The names files are kept under. File names in the answer are never used.
const UNIFIED: &str = "unified.tar";
const METADATA: &str = "metadata.tar";
const ROOTFS: &str = "rootfs";
const DISK: &str = "disk.img";
