use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use imagestore_core::ImageId;

use crate::files::Layer;

/// The images that turned out to be unusable while they were downloaded or applied, so that the
/// next plan leads around them.
#[derive(Debug, Default)]
pub(crate) struct Avoided {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    planned: BTreeMap<ImageId, Vec<(String, Step)>>,
    avoided: BTreeSet<(String, String, Step)>,
}

/// An image, by its version and base.
pub(crate) type Step = (u32, Option<u32>);

impl Avoided {
    /// Notes which image each file of a plan belongs to.
    pub(crate) fn planned(&self, id: &ImageId, layers: &[Layer]) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let files = layers
            .iter()
            .map(|layer| (layer.name.clone(), (layer.build, layer.base)));
        inner.planned.insert(id.clone(), files.collect());
    }

    /// Avoids the delta to which a file of a planned image belongs. A full image is never avoided:
    /// it is the last resort. Returns whether there is something new to plan around.
    pub(crate) fn avoid(&self, id: &ImageId, file: &str) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let planned = inner.planned.get(id);
        let step = planned
            .and_then(|files| files.iter().find(|(name, _)| name == file))
            .map(|(_, step)| *step)
            .filter(|(_, base)| base.is_some());
        let Some(step) = step else {
            return false;
        };
        let entry = (id.remote().to_owned(), id.path().to_owned(), step);
        inner.avoided.insert(entry)
    }

    /// The images to plan around for a path on a remote.
    pub(crate) fn steps(&self, remote: &str, path: &str) -> Vec<Step> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let avoided = inner.avoided.iter();
        avoided
            .filter(|(on, of, _)| on == remote && of == path)
            .map(|(_, _, step)| *step)
            .collect()
    }
}
