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
        let files = files.collect();
        // A daemon plans for years. Whose plan is gone by then fetches no way around it.
        while inner.planned.len() >= MOST_PLANNED && !inner.planned.contains_key(id) {
            inner.planned.pop_first();
        }
        inner.planned.insert(id.clone(), files);
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

const MOST_PLANNED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(build: u32) -> Layer {
        Layer {
            name: format!("{build}.tar.xz"),
            signature_name: format!("{build}.tar.xz.asc"),
            path: format!("/pool/{build}.tar.xz"),
            signature: format!("/pool/{build}.tar.xz.asc"),
            sha256: imagestore_verify::Sha256::of(&build.to_le_bytes()),
            size: 1,
            build,
            base: Some(build - 1),
        }
    }

    #[test]
    fn remembers_no_more_plans_than_anybody_follows_at_once() {
        let avoided = Avoided::default();
        let id = |build: u32| ImageId::new("https+system-image://x", "c/d", build.to_string());
        for build in 1..=500 {
            avoided.planned(&id(build), &[layer(build)]);
            // The newest plan is always there, however many there were.
            assert!(avoided.avoid(&id(build), &format!("{build}.tar.xz")));
        }
        let inner = avoided.inner.lock().expect("whole");
        assert_eq!(inner.planned.len(), MOST_PLANNED);
    }
}
