use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use imagestore_verify::signing::SigningKey;

use super::build::Staged;
use super::index::{Builds, Line, builds_of};
use super::{Contents, Mode};
use crate::build_id::BuildId;
use crate::error::PublishError;
use crate::image_name::ImageName;
use crate::pack::Packed;
use crate::steps;
use crate::tree::{Publication, Tree, beside};

/// Publishes builds to an lxc-images tree.
///
/// # Defaults
/// The three newest builds of each image stay, so that readers with an older index still find theirs; the system's
/// clock.
///
/// # Examples
/// ```no_run
/// use std::path::PathBuf;
/// use imagestore_publish::{BuildId, Contents, LxcImagesPublisher, MetaSource, RootfsSource};
/// use imagestore_verify::signing::SigningKey;
///
/// let key = SigningKey::from_bytes(&std::fs::read("images.key")?, None)?;
/// let contents = Contents::new(
///     RootfsSource::Archive(PathBuf::from("rootfs.tar.xz")),
///     MetaSource::Archive(PathBuf::from("meta.tar.xz")),
/// );
/// let published = LxcImagesPublisher::new("/srv/images", &key).publish(
///     &"ubuntu/trusty/amd64/default".parse()?,
///     BuildId::at(std::time::SystemTime::now()),
///     &contents,
/// )?;
/// println!("{}", published.folder.display());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LxcImagesPublisher<'a> {
    root: PathBuf,
    key: &'a SigningKey,
    keep: NonZeroUsize,
    now: Option<SystemTime>,
}

impl<'a> LxcImagesPublisher<'a> {
    /// A publisher to the tree below `root`, which signs with this key. Touches nothing yet.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>, key: &'a SigningKey) -> Self {
        Self {
            root: root.into(),
            key,
            keep: NonZeroUsize::new(3).unwrap_or(NonZeroUsize::MIN),
            now: None,
        }
    }

    /// How many builds of each image stay.
    #[must_use]
    pub fn with_kept_builds(mut self, keep: NonZeroUsize) -> Self {
        self.keep = keep;
        self
    }

    /// The time by which to sign, instead of the system's clock.
    #[must_use]
    pub fn with_time(mut self, now: SystemTime) -> Self {
        self.now = Some(now);
        self
    }

    /// Adds a build and names it in the indexes.
    ///
    /// # Errors
    /// [`PublishError`], with the tree as readers see it unchanged, unless it comes from writing the indexes: then
    /// the build is there, and the next publication, or [`refresh`](Self::refresh), names it.
    pub fn publish(
        &self,
        name: &ImageName,
        build: BuildId,
        contents: &Contents,
    ) -> Result<Published, PublishError> {
        let mut tree = Tree::open(&self.root)?;
        let images = tree.path("images");
        self.clear(&tree)?;
        let folder = name.folder(&images);
        if let Some(newest) = builds_of(&folder)?
            .first()
            .copied()
            .filter(|newest| *newest >= build)
        {
            return Err(PublishError::NotNewest { build, newest });
        }
        let partial = folder.join(format!("{PARTIAL}{build}"));
        let staged = match Staged::new(partial.clone(), build, contents) {
            Ok(staged) => staged,
            Err(error) => {
                // The cause is worth more than that it could not be cleared away; the next publication does.
                drop(steps::remove_folder(&partial));
                return Err(error);
            }
        };
        let publication = self.next(&mut tree)?;
        let place = folder.join(build.to_string());
        staged.publish(publication, self.key, &place)?;
        self.index(&tree, publication, place, staged.packed)
    }

    /// Signs the indexes anew, without a new build, so that readers see that they are still kept.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn refresh(&self) -> Result<Published, PublishError> {
        let mut tree = Tree::open(&self.root)?;
        self.clear(&tree)?;
        let publication = self.next(&mut tree)?;
        let place = tree.path("images");
        self.index(&tree, publication, place, None)
    }

    fn next(&self, tree: &mut Tree) -> Result<Publication, PublishError> {
        let documents = Mode::ALL.map(|mode| tree.path(FOLDER).join(document(mode)));
        tree.next(
            self.now.unwrap_or_else(SystemTime::now),
            self.key,
            &documents,
            0,
        )
    }

    /// Writes both indexes, shows them in one step, and then removes the builds that are too old.
    fn index(
        &self,
        tree: &Tree,
        publication: Publication,
        folder: PathBuf,
        packed: Option<Packed>,
    ) -> Result<Published, PublishError> {
        let (images, place, new) = (
            tree.path("images"),
            tree.path(FOLDER),
            tree.path(NEW_FOLDER),
        );
        foreign(&place)?;
        steps::make_folders(&new)?;
        let builds = Builds::scan(&images)?;
        let mut published = Published {
            folder,
            signed_at: publication.at,
            packed,
            removed: Vec::new(),
            skipped: Vec::new(),
        };
        let mut listed = Vec::new();
        for mode in Mode::ALL {
            let lines = builds.lines(&images, mode, &mut published.skipped);
            // Readers take an empty index for a broken one; none at all says that there is nothing.
            if !lines.is_empty() {
                let text: String = lines
                    .iter()
                    .map(|line: &Line| format!("{line}\n"))
                    .collect();
                let path = new.join(document(mode));
                steps::write(&path, text.as_bytes())?;
                publication.sign(self.key, &path)?;
            }
            listed.extend(lines);
        }
        steps::replace_folder(&new, &place)?;
        for old in builds.beyond(&images, self.keep.get(), &listed) {
            // First out of sight, so that no reader sees half of it.
            let hidden = old.with_file_name(format!("{PARTIAL}old"));
            steps::remove_folder(&hidden)?;
            steps::rename(&old, &hidden)?;
            steps::remove_folder(&hidden)?;
            published.removed.push(old);
        }
        Ok(published)
    }

    /// Removes what a publication left that was broken off.
    fn clear(&self, tree: &Tree) -> Result<(), PublishError> {
        steps::remove_folder(&tree.path(NEW_FOLDER))?;
        let images = tree.path("images");
        for folder in Builds::scan(&images)?.folders(&images) {
            for name in steps::names(&folder)?
                .iter()
                .filter(|name| name.starts_with(PARTIAL))
            {
                steps::remove_folder(&folder.join(name))?;
            }
        }
        Ok(())
    }
}

/// What was published.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Published {
    /// Where the build is.
    pub folder: PathBuf,
    /// When everything was signed: the given time, or later if the last publication was not before it.
    pub signed_at: SystemTime,
    /// What was packed, if a directory was.
    pub packed: Option<Packed>,
    /// The old builds that were removed.
    pub removed: Vec<PathBuf>,
    /// The builds that an index would have named if they were whole.
    pub skipped: Vec<Skipped>,
}

/// A build that an index does not name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// Where it is.
    pub folder: PathBuf,
    /// Why not.
    pub problem: String,
}

/// Refuses to replace a folder with files of somebody else.
fn foreign(place: &Path) -> Result<(), PublishError> {
    let own = Mode::ALL.map(document).map(PathBuf::from);
    for name in steps::names(place)? {
        let known = own
            .iter()
            .any(|path| Path::new(&name) == path || Path::new(&name) == beside(path));
        if !known {
            return Err(PublishError::Foreign {
                path: place.join(name),
            });
        }
    }
    Ok(())
}

fn document(mode: Mode) -> String {
    format!("index-{mode}")
}

const FOLDER: &str = "meta/1.0";
const NEW_FOLDER: &str = "meta/.1.0.new";
const PARTIAL: &str = ".partial-";
