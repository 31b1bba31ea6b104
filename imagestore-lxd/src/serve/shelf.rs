use std::sync::{Arc, PoisonError, RwLock};

use imagestore_core::{Error, ErrorKind, Result};

use super::image::ServedImage;

/// The images that are served. Cheap to clone; all clones show the same.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    images: Arc<RwLock<Vec<Arc<ServedImage>>>>,
}

impl Shelf {
    /// A shelf with nothing on it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Shows these images, and no others any more. What is being sent is sent to its end.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if two have the same name or are the same, and nothing changes.
    pub fn show(&self, images: impl IntoIterator<Item = ServedImage>) -> Result<()> {
        let images: Vec<_> = images.into_iter().map(Arc::new).collect();
        let mut seen = std::collections::BTreeSet::new();
        for image in &images {
            let own = [image.fingerprint.to_string()];
            for name in image.aliases.iter().chain(&own) {
                if !seen.insert(name.clone()) {
                    return Err(Error::new(
                        ErrorKind::InvalidConfig,
                        "two images on a shelf have one name",
                    )
                    .with_subject(format_args!("`{name}`")));
                }
            }
        }
        *self.images.write().unwrap_or_else(PoisonError::into_inner) = images;
        Ok(())
    }

    pub(super) fn all(&self) -> Vec<Arc<ServedImage>> {
        self.images
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn by_alias(&self, alias: &str) -> Option<Arc<ServedImage>> {
        let named = |image: &Arc<ServedImage>| image.aliases.iter().any(|name| name == alias);
        self.all().into_iter().find(named)
    }

    /// The image whose fingerprint begins with these digits, of which there are at least 12.
    pub(super) fn by_digits(&self, digits: &str) -> Option<Arc<ServedImage>> {
        if !(12..=64).contains(&digits.len()) {
            return None;
        }
        let begins = |image: &Arc<ServedImage>| image.fingerprint.to_string().starts_with(digits);
        let mut found = self.all().into_iter().filter(begins);
        found.next().filter(|_| found.next().is_none())
    }
}
