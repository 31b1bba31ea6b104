use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Result;
use crate::remote::RemoteConfig;
use crate::source::ImageSource;

/// The sources that were made, kept to be asked again. Clones share them.
///
/// A source belongs to a whole [`RemoteConfig`]: where anything differs, a key more or an argument
/// less, it is another one.
#[derive(Clone, Default)]
pub(crate) struct Sources {
    /// The one that was asked last is the last.
    kept: Arc<Mutex<Vec<Kept>>>,
}

impl Sources {
    /// The source for a remote: the one that is kept, or the one that `make` makes.
    pub(crate) fn of(
        &self,
        remote: &RemoteConfig,
        make: impl FnOnce() -> Result<Arc<dyn ImageSource>>,
    ) -> Result<Arc<dyn ImageSource>> {
        if let Some(source) = self.asked_again(remote) {
            return Ok(source);
        }
        // Not under the lock: whoever registers a protocol may do there what he wants.
        let source = make()?;
        let mut kept = self.kept();
        // Somebody else may have made it in the meantime; what he keeps in it is worth more.
        if let Some(place) = kept.iter().position(|it| it.remote == *remote) {
            return Ok(Arc::clone(&kept[place].source));
        }
        if kept.len() >= MOST_KEPT {
            kept.remove(0);
        }
        kept.push(Kept {
            remote: remote.clone(),
            source: Arc::clone(&source),
        });
        Ok(source)
    }

    /// Lets the sources that speak to a remote forget what it told.
    pub(crate) fn forget(&self, remote: &RemoteConfig) {
        let known: Vec<_> = self
            .kept()
            .iter()
            .filter(|it| it.source.remote() == remote)
            .map(|it| Arc::clone(&it.source))
            .collect();
        for source in known {
            source.forget();
        }
    }

    fn asked_again(&self, remote: &RemoteConfig) -> Option<Arc<dyn ImageSource>> {
        let mut kept = self.kept();
        let place = kept.iter().position(|it| it.remote == *remote)?;
        let again = kept.remove(place);
        let source = Arc::clone(&again.source);
        kept.push(again);
        Some(source)
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A source may hold a tree of megabytes.
        let kept = self.kept();
        let urls = kept.iter().map(|it| it.remote.url().to_string());
        f.debug_list().entries(urls).finish()
    }
}

struct Kept {
    /// As it was asked for; a source may have filled in what its protocol implies.
    remote: RemoteConfig,
    source: Arc<dyn ImageSource>,
}

/// A registry and the servers behind it, a few times over. A source may hold an index of megabytes,
/// so more would be a burden.
const MOST_KEPT: usize = 16;
