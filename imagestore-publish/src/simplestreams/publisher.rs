use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use imagestore_verify::signing::SigningKey;

use super::aliases::Withheld;
use super::contents::ImageContents;
use super::documents::{self, Listed};
use super::signing::sign_clear;
use super::version::{Older, Version};
use super::{delta, prune};
use crate::build_id::BuildId;
use crate::error::{At, PublishError};
use crate::image_name::ImageName;
use crate::lxc_images::Skipped;
use crate::lxc_images::index::{Builds, builds_of};
use crate::pack::Packed;
use crate::steps;
use crate::tree::{Publication, Tree};

/// Publishes versions to a simplestreams tree that LXD and Incus read.
///
/// Each program looks for metadata under its own name; the tree names the same file under both.
///
/// # Defaults
/// Not signed, as most such trees are not; no deltas; the three newest versions of each image are listed, and older ones
/// stay for a day, so that readers with an older index still find them; the system's clock.
///
/// # Examples
/// ```no_run
/// use imagestore_publish::{BuildId, ImageContents, ImageMetadata, SimplestreamsPublisher};
///
/// let contents = ImageContents::new(ImageMetadata::Made)
///     .with_squashfs("rootfs.squashfs")
///     .with_alias("ubuntu/lts");
/// SimplestreamsPublisher::new("/srv/images").publish(
///     &"ubuntu/trusty/amd64/default".parse()?,
///     BuildId::at(std::time::SystemTime::now()),
///     &contents,
/// )?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SimplestreamsPublisher<'a> {
    root: PathBuf,
    key: Option<&'a SigningKey>,
    keep: NonZeroUsize,
    grace: Duration,
    deltas: Option<PathBuf>,
    now: Option<SystemTime>,
}

impl<'a> SimplestreamsPublisher<'a> {
    /// A publisher to the tree below `root`. Touches nothing yet.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            key: None,
            keep: NonZeroUsize::new(3).unwrap_or(NonZeroUsize::MIN),
            grace: Duration::from_secs(86_400),
            deltas: None,
            now: None,
        }
    }

    /// The key to sign with, as `.sjson` and as `.json.gpg`.
    ///
    /// The protocol wants clear-signed text, and such a signature over one text can be passed off as one over another
    /// file. Use a key that signs nothing else.
    #[must_use]
    pub fn with_key(mut self, key: &'a SigningKey) -> Self {
        self.key = Some(key);
        self
    }

    /// How many versions of each image are listed.
    #[must_use]
    pub fn with_kept_versions(mut self, keep: NonZeroUsize) -> Self {
        self.keep = keep;
        self
    }

    /// For how long a version stays that is listed no more. LXD and Incus go by an index for an hour.
    ///
    /// It is removed by the first publication, or [`refresh`](Self::refresh), after that.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Makes deltas with this program, `xdelta3`: from the squashfs and the disk of the version before to those of the
    /// new one. Readers that have the older file fetch the delta instead, if it is the shorter way.
    #[must_use]
    pub fn with_deltas(mut self, program: impl Into<PathBuf>) -> Self {
        self.deltas = Some(program.into());
        self
    }

    /// The time by which to date and sign, instead of the system's clock.
    #[must_use]
    pub fn with_time(mut self, now: SystemTime) -> Self {
        self.now = Some(now);
        self
    }

    /// Adds a version and lists it.
    ///
    /// # Errors
    /// [`PublishError::MissingTool`] if deltas are asked for and there is no program to make them; and all others of
    /// [`PublishError`], with the tree as readers see it unchanged, unless it comes from writing the documents: then
    /// the version is there, and the next publication, or [`refresh`](Self::refresh), lists it.
    pub fn publish(
        &self,
        name: &ImageName,
        build: BuildId,
        contents: &ImageContents,
    ) -> Result<PublishedVersion, PublishError> {
        if let Some(program) = &self.deltas {
            delta::check(program)?;
        }
        let mut tree = Tree::open(&self.root)?;
        let images = tree.path(IMAGES);
        self.clear(&tree)?;
        let folder = name.folder(&images);
        let newest = builds_of(&folder)?.first().copied();
        if let Some(newest) = newest.filter(|newest| *newest >= build) {
            return Err(PublishError::NotNewest { build, newest });
        }
        let partial = folder.join(format!("{PARTIAL}{build}"));
        let older = self.older(&folder)?;
        let packed = match Version::write(&partial, name, build, contents, older.as_ref()) {
            Ok(packed) => packed,
            Err(error) => {
                // The cause is worth more than that it could not be cleared away; the next publication does.
                drop(steps::remove_folder(&partial));
                return Err(error);
            }
        };
        let place = folder.join(build.to_string());
        steps::rename(&partial, &place)?;
        self.list(&mut tree, place, Some((name, packed)))
    }

    /// Writes the documents anew, without a new version.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn refresh(&self) -> Result<PublishedVersion, PublishError> {
        let mut tree = Tree::open(&self.root)?;
        self.clear(&tree)?;
        let place = tree.path(IMAGES);
        self.list(&mut tree, place, None)
    }

    /// The version from which deltas lead to a new one.
    fn older(&self, folder: &Path) -> Result<Option<Older<'_>>, PublishError> {
        let Some(program) = &self.deltas else {
            return Ok(None);
        };
        for build in builds_of(folder)? {
            let folder = folder.join(build.to_string());
            if let Some(version) = Version::read(&folder)? {
                return Ok(Some(Older {
                    build,
                    folder,
                    version,
                    program,
                }));
            }
        }
        Ok(None)
    }

    /// Writes all documents, shows them in one step, and then removes the versions that are listed no more for long
    /// enough: readers meet an index first, and what it leads to last.
    fn list(
        &self,
        tree: &mut Tree,
        folder: PathBuf,
        written: Option<(&ImageName, Option<Packed>)>,
    ) -> Result<PublishedVersion, PublishError> {
        let publication = self.next(tree)?;
        let (images, place, new) = (tree.path(IMAGES), tree.path(FOLDER), tree.path(NEW_FOLDER));
        foreign(&place)?;
        steps::make_folders(&new)?;
        let builds = Builds::scan(&images)?;
        let mut listed = Listed::new();
        let (mut unlisted, mut skipped) = (Vec::new(), Vec::new());
        for (name, builds) in builds.all() {
            let mut whole = Vec::new();
            for build in builds {
                let folder = name.folder(&images).join(build.to_string());
                if whole.len() == self.keep.get() {
                    unlisted.push(folder);
                    continue;
                }
                match Version::read(&folder)? {
                    Some(version) => {
                        prune::forget(&folder)?;
                        whole.push((*build, version));
                    }
                    None => skipped.push(Skipped {
                        folder,
                        problem: "lacks files or what is said of them".to_owned(),
                    }),
                }
            }
            listed.push((name.clone(), whole));
        }
        let withheld = Withheld::of_all(&listed);
        self.write(&new, &listed, &withheld, publication)?;
        steps::replace_folder(&new, &place)?;
        let mut removed = Vec::new();
        for old in unlisted {
            if !prune::is_due(&old, publication.at, self.grace)? {
                continue;
            }
            // First out of sight, so that no reader sees half of it.
            let hidden = old.with_file_name(format!("{PARTIAL}old"));
            steps::remove_folder(&hidden)?;
            steps::rename(&old, &hidden)?;
            steps::remove_folder(&hidden)?;
            removed.push(old);
        }
        let (name, packed) = written.unzip();
        let withheld = name.map(|name| withheld.from(name));
        Ok(PublishedVersion {
            folder,
            updated_at: publication.at,
            packed: packed.flatten(),
            removed,
            skipped,
            withheld: withheld.unwrap_or_default(),
        })
    }

    fn write(
        &self,
        folder: &Path,
        listed: &Listed,
        withheld: &Withheld<'_>,
        publication: Publication,
    ) -> Result<(), PublishError> {
        let at = publication.at;
        let products = documents::products(listed, withheld, at).at("write", folder)?;
        let index = |ending| documents::index(listed, at, ending).at("write", folder);
        let plain = [("images", products.clone()), ("index", index("json")?)];
        for (name, text) in &plain {
            let path = folder.join(format!("{name}.json"));
            steps::write(&path, text.as_bytes())?;
            if let Some(key) = self.key {
                let asc = key.sign_detached(text.as_bytes(), at);
                let path = folder.join(format!("{name}.json.gpg"));
                steps::write(&path, asc.as_bytes())?;
            }
        }
        if let Some(key) = self.key {
            for (name, text) in [("images", products), ("index", index("sjson")?)] {
                let path = folder.join(format!("{name}.sjson"));
                steps::write(&path, sign_clear(key, &text, at)?.as_bytes())?;
            }
        }
        Ok(())
    }

    fn next(&self, tree: &mut Tree) -> Result<Publication, PublishError> {
        let document = tree.path(FOLDER).join("index.json");
        // If what is remembered was lost, the last publication was at the latest when its index was written.
        let last = std::fs::metadata(&document).and_then(|metadata| metadata.modified());
        let now = self.now.unwrap_or_else(SystemTime::now);
        tree.next_after(now, last.ok())
    }

    /// Removes what a publication left that was broken off.
    fn clear(&self, tree: &Tree) -> Result<(), PublishError> {
        steps::remove_folder(&tree.path(NEW_FOLDER))?;
        let images = tree.path(IMAGES);
        for folder in Builds::scan(&images)?.folders(&images) {
            for name in steps::names(&folder)? {
                if name.starts_with(PARTIAL) {
                    steps::remove_folder(&folder.join(name))?;
                }
            }
        }
        Ok(())
    }
}

/// What was published.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PublishedVersion {
    /// Where the version is.
    pub folder: PathBuf,
    /// How the documents are dated and when they were signed: the given time, or later if the last publication was not
    /// before it.
    pub updated_at: SystemTime,
    /// What was packed, if a directory was.
    pub packed: Option<Packed>,
    /// The old versions that were removed.
    pub removed: Vec<PathBuf>,
    /// The versions that would be listed if they were whole.
    pub skipped: Vec<Skipped>,
    /// The names the image asked for and another image has, each with the other:
    /// see [`ImageContents::with_alias`].
    pub withheld: BTreeMap<String, ImageName>,
}

/// Refuses to replace a folder with files of somebody else.
fn foreign(place: &Path) -> Result<(), PublishError> {
    let own = |name: &str| {
        ["images", "index"].iter().any(|document| {
            let ending = name.strip_prefix(document);
            ending.is_some_and(|ending| [".json", ".json.gpg", ".sjson"].contains(&ending))
        })
    };
    match steps::names(place)?.into_iter().find(|name| !own(name)) {
        Some(name) => Err(PublishError::Foreign {
            path: place.join(name),
        }),
        None => Ok(()),
    }
}

const IMAGES: &str = "images";
const FOLDER: &str = "streams/v1";
const NEW_FOLDER: &str = "streams/.v1.new";
const PARTIAL: &str = ".partial-";
