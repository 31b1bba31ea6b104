use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use imagestore_core::Result;

use crate::dir::{Dir, Lock};
use crate::list::{StoredBuild, describe};
use crate::lock::try_lock;
use crate::recover::discard;
use crate::store::Store;

/// Which builds are no longer wanted.
///
/// # Defaults
/// Builds that were not used for 10 days; none is kept for being the newest; they are removed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PruneOptions {
    /// Only builds that were not used for so long.
    pub unused_for: Duration,
    /// So many of the newest builds of each path are kept, however long they were not used.
    pub keep_builds: usize,
    /// Whether to remove them or tell only what would be removed.
    pub mode: PruneMode,
    /// The time to judge at, instead of the system's.
    pub at: Option<SystemTime>,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self {
            unused_for: TEN_DAYS,
            keep_builds: 0,
            mode: PruneMode::Remove,
            at: None,
        }
    }
}

impl PruneOptions {
    /// Only builds that were not used for so long.
    #[must_use]
    pub fn with_unused_for(mut self, unused_for: Duration) -> Self {
        self.unused_for = unused_for;
        self
    }

    /// So many of the newest builds of each path are kept.
    #[must_use]
    pub fn with_keep_builds(mut self, keep_builds: usize) -> Self {
        self.keep_builds = keep_builds;
        self
    }

    /// Whether to remove them.
    #[must_use]
    pub fn with_mode(mut self, mode: PruneMode) -> Self {
        self.mode = mode;
        self
    }

    /// The time to judge at.
    #[must_use]
    pub fn with_at(mut self, at: SystemTime) -> Self {
        self.at = Some(at);
        self
    }
}

/// What happens to builds that are no longer wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PruneMode {
    /// They are told of and left alone.
    DryRun,
    /// They are removed.
    Remove,
}

/// What became of the builds that were no longer wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// Those that were removed, or would have been.
    pub removed: Vec<StoredBuild>,
    /// Those that somebody uses.
    pub in_use: Vec<StoredBuild>,
    /// How many damaged builds were removed, or would have been. They count as absent.
    pub damaged: usize,
}

impl Pruned {
    /// The bytes of all files that were removed.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.removed.iter().map(|build| build.size).sum()
    }
}

impl Store {
    /// Removes builds that are no longer wanted and that nobody uses.
    ///
    /// A build vanishes in one step and is removed after that: ended at any point, this leaves
    /// whole builds only.
    ///
    /// # Errors
    /// [`Storage`](imagestore_core::ErrorKind::Storage) if the store cannot be read or written.
    pub fn prune(&self, options: &PruneOptions) -> Result<Pruned> {
        let now = options.at.unwrap_or_else(SystemTime::now);
        let mut pruned = Pruned::default();
        let mut builds = Vec::new();
        for key in self.keys()? {
            let Some(dir) = self.images.open(&key)? else {
                continue;
            };
            match describe(&key, &dir) {
                Ok(build) => builds.push((key, build)),
                Err(_) => {
                    if !matches!(self.take_away(&key, dir, options.mode)?, Taken::InUse) {
                        pruned.damaged += 1;
                    }
                }
            }
        }
        // The newest of each path first.
        builds.sort_by(|(_, a), (_, b)| (b.fetched_at, &b.id).cmp(&(a.fetched_at, &a.id)));
        let mut newer: HashMap<(String, String), usize> = HashMap::new();
        for (key, build) in builds {
            let rank = newer
                .entry((build.id.remote().to_owned(), build.id.path().to_owned()))
                .or_default();
            *rank += 1;
            // A time in the future is a clock that was set back: used just now.
            let unused = now.duration_since(build.used_at).unwrap_or_default();
            if *rank <= options.keep_builds || unused < options.unused_for {
                continue;
            }
            let Some(dir) = self.images.open(&key)? else {
                continue;
            };
            match self.take_away(&key, dir, options.mode)? {
                Taken::Away => pruned.removed.push(build),
                Taken::InUse => pruned.in_use.push(build),
            }
        }
        pruned.removed.sort_by(|a, b| a.id.cmp(&b.id));
        pruned.in_use.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(pruned)
    }

    /// Removes a build that nobody uses.
    pub(crate) fn take_away(&self, key: &str, dir: Dir, mode: PruneMode) -> Result<Taken> {
        let Some(_lock) = try_lock(&self.images, key, dir, Lock::Exclusive)? else {
            return Ok(Taken::InUse);
        };
        if mode == PruneMode::Remove {
            discard(self, &self.images, key)?;
            self.images.sync()?;
        }
        Ok(Taken::Away)
    }
}

/// What became of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Away,
    InUse,
}

// As LXD's images.remote_cache_expiry.
const TEN_DAYS: Duration = Duration::from_secs(10 * 24 * 60 * 60);
