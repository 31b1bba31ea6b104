//! What is done with builds that are published already: offered to some, dropped, signed anew.

use std::collections::BTreeSet;

use serde_json::{Map, json};

use super::entry::{is_full, newest_full, version};
use super::publisher::SystemImagePublisher;
use super::run::files;
use crate::error::PublishError;

impl SystemImagePublisher<'_> {
    /// Offers the newest build to so many of a hundred devices; 0 withdraws it.
    ///
    /// # Errors
    /// [`PublishError`], also for a number above 100.
    pub fn phase(&self, channel: &str, device: &str, percentage: u8) -> Result<(), PublishError> {
        if percentage > 100 {
            let value = percentage.to_string();
            return Err(PublishError::field("a percentage", "is above 100", value));
        }
        let run = self.run()?;
        let mut index = run.index(channel, device)?;
        let newest = index.images.iter().map(version).max();
        for image in &mut index.images {
            if Some(version(image)) != newest {
                continue;
            }
            match (image.as_object_mut(), percentage) {
                (Some(image), 100) => drop(image.remove("phased-percentage")),
                (Some(image), _) => {
                    image.insert("phased-percentage".to_owned(), json!(percentage));
                }
                (None, _) => {}
            }
        }
        run.put_index(channel, device, &index)?;
        self.settle(&run, run.channels()?)
    }

    /// Keeps the newest so many full images and the deltas between them.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn expire(&self, channel: &str, device: &str, keep: usize) -> Result<(), PublishError> {
        let run = self.run()?;
        let mut index = run.index(channel, device)?;
        let mut fulls: Vec<_> = index
            .images
            .iter()
            .filter(|it| is_full(it))
            .map(version)
            .collect();
        fulls.sort_unstable();
        let kept: BTreeSet<_> = fulls.iter().rev().take(keep).copied().collect();
        index.images.retain(|image| {
            let base = image["base"].as_u64();
            kept.contains(&version(image))
                && base.is_none_or(|base| u32::try_from(base).is_ok_and(|it| kept.contains(&it)))
        });
        run.put_index(channel, device, &index)?;
        self.settle(&run, run.channels()?)
    }

    /// Signs anew, with the image-signing key of this publisher, after the key was changed: the
    /// channels, all indexes, the newest full image and all deltas. Older full images keep their
    /// signatures.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn sign_anew(&self) -> Result<(), PublishError> {
        let run = self.run()?;
        let channels = run.channels()?;
        let mut done = BTreeSet::new();
        for (channel, whole) in &channels {
            for device in whole["devices"].as_object().into_iter().flat_map(Map::keys) {
                let index = run.index(channel, device)?;
                let newest = newest_full(&index.images);
                let signed = index
                    .images
                    .iter()
                    .filter(|image| !is_full(image) || Some(version(image)) == newest);
                for file in signed.flat_map(files) {
                    let path = file["path"].as_str().unwrap_or_default().to_owned();
                    if done.insert(path.clone()) {
                        run.sign(&path, self.keys.image_signing)?;
                    }
                }
                if run.index_path(channel, device).is_file() {
                    run.put_index(channel, device, &index)?;
                }
                let keyring = format!("{channel}/{device}/device-signing.tar.xz");
                if run.tree.path(&keyring).is_file() {
                    run.sign(&keyring, self.keys.image_signing)?;
                }
            }
        }
        self.settle(&run, channels)
    }
}
