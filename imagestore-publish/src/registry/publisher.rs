use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use imagestore_verify::signing::SigningKey;

use super::document::{Documents, Earlier};
use super::listed::{Fields, KeyNames, Registry};
use crate::error::{At, PublishError};
use crate::steps;
use crate::tree::{Publication, Tree, beside, seconds};

/// Publishes a registry.
///
/// # Defaults
/// The fields of the original specification, key files by their full fingerprint, the system's clock.
///
/// # Examples
/// ```no_run
/// use imagestore_publish::{ListedAlias, ListedRemote, Registry, RegistryPublisher};
/// use imagestore_verify::signing::SigningKey;
///
/// let key = SigningKey::from_bytes(&std::fs::read("registry.key")?, None)?;
/// let remote = ListedRemote::new("lxc-images", "https+lxc-images://images.example")
///     .with_description("", "Images of the example.")
///     .with_key(std::fs::read("images.asc")?);
/// let registry = Registry::new()
///     .with_remote(remote)
///     .with_alias("ubuntu/lts", ListedAlias::new("lxc-images", "ubuntu", "trusty"));
/// RegistryPublisher::new("/srv/registry", &key).publish(&registry)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RegistryPublisher<'a> {
    root: PathBuf,
    key: &'a SigningKey,
    fields: Fields,
    names: KeyNames,
    now: Option<SystemTime>,
}

impl<'a> RegistryPublisher<'a> {
    /// A publisher to the tree below `root`, which signs with this key. Touches nothing yet.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>, key: &'a SigningKey) -> Self {
        let (fields, names) = (Fields::default(), KeyNames::default());
        Self {
            root: root.into(),
            key,
            fields,
            names,
            now: None,
        }
    }

    /// Which fields the index has.
    #[must_use]
    pub fn with_fields(mut self, fields: Fields) -> Self {
        self.fields = fields;
        self
    }

    /// What key files are called.
    #[must_use]
    pub fn with_key_names(mut self, names: KeyNames) -> Self {
        self.names = names;
        self
    }

    /// The time by which to sign, instead of the system's clock.
    #[must_use]
    pub fn with_time(mut self, now: SystemTime) -> Self {
        self.now = Some(now);
        self
    }

    /// Publishes the registry in place of the one before.
    ///
    /// Key and certificate files go first, and those that only the index before names stay until the next
    /// publication, so that readers with either index find theirs.
    ///
    /// # Errors
    /// [`PublishError`], with the tree as readers see it unchanged.
    pub fn publish(&self, registry: &Registry) -> Result<PublishedRegistry, PublishError> {
        let mut tree = Tree::open(&self.root)?;
        let (place, new) = (tree.path(FOLDER), tree.path(NEW_FOLDER));
        let index = place.join(INDEX);
        foreign(&place)?;
        let earlier = match fs::read(&index) {
            Ok(bytes) => Earlier::parse(&bytes).at("read", &index)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Earlier::default(),
            Err(error) => return Err(error).at("read", &index),
        };
        registry.check(self.fields)?;
        // `generated_at` must rise too, and is the time of the signature.
        let now = self.now.unwrap_or_else(SystemTime::now);
        let publication = tree.next(now, self.key, &[index], earlier.serial)?;
        if publication.seconds() <= earlier.generated_at {
            return Err(PublishError::ClockBehind {
                now: seconds(now),
                last: earlier.generated_at,
            });
        }
        let documents = Documents::new(registry, self.fields, self.names, publication)?;
        for folder in ["keys", "certs"] {
            self.place_files(&tree, folder, &documents, &earlier, publication)?;
        }
        steps::remove_folder(&new)?;
        steps::make_folders(&new)?;
        let path = new.join(INDEX);
        steps::write(&path, &documents.index)?;
        publication.sign(self.key, &path)?;
        steps::replace_folder(&new, &place)?;
        Ok(PublishedRegistry {
            serial: publication.serial,
            signed_at: publication.at,
            files: documents.files.into_keys().collect(),
        })
    }

    /// Replaces a folder of key or certificate files in one step by the new ones and those of the index before.
    fn place_files(
        &self,
        tree: &Tree,
        folder: &str,
        documents: &Documents,
        earlier: &Earlier,
        publication: Publication,
    ) -> Result<(), PublishError> {
        let (place, new) = (tree.path(folder), tree.path(&format!(".{folder}.new")));
        steps::remove_folder(&new)?;
        steps::make_folders(&new)?;
        let mut written = BTreeSet::new();
        for (path, bytes) in &documents.files {
            let Some(name) = path
                .strip_prefix(folder)
                .and_then(|rest| rest.strip_prefix('/'))
            else {
                continue;
            };
            let path = new.join(name);
            steps::write(&path, bytes)?;
            publication.sign(self.key, &path)?;
            written.insert(name);
        }
        for path in earlier.files() {
            let name = path
                .strip_prefix(folder)
                .and_then(|rest| rest.strip_prefix('/'));
            // An index of somebody else may name anything; only plain names are kept.
            let Some(name) =
                name.filter(|name| !name.contains('/') && !matches!(*name, "" | "." | ".."))
            else {
                continue;
            };
            let old = place.join(name);
            if !written.insert(name) || !old.is_file() || !beside(&old).is_file() {
                continue;
            }
            steps::link(&old, &new.join(name))?;
            steps::link(&beside(&old), &beside(&new.join(name)))?;
        }
        steps::replace_folder(&new, &place)
    }
}

/// What was published.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PublishedRegistry {
    /// Which publication this was; it rises.
    pub serial: u64,
    /// When everything was signed, which is also `generated_at`.
    pub signed_at: SystemTime,
    /// The key and certificate files the index names.
    pub files: Vec<String>,
}

/// Refuses to replace a folder with files of somebody else.
fn foreign(place: &Path) -> Result<(), PublishError> {
    let own = [INDEX.to_owned(), format!("{INDEX}.asc")];
    match steps::names(place)?
        .into_iter()
        .find(|name| !own.contains(name))
    {
        Some(name) => Err(PublishError::Foreign {
            path: place.join(name),
        }),
        None => Ok(()),
    }
}

const FOLDER: &str = "1.0";
const NEW_FOLDER: &str = ".1.0.new";
const INDEX: &str = "index.json";
