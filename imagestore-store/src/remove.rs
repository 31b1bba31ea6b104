use imagestore_core::{Error, ErrorKind, ImageId, Result};

use crate::error::damaged;
use crate::key::key_of;
use crate::prune::{PruneMode, Taken};
use crate::store::Store;

impl Store {
    /// Removes a build.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if it is not here; [`ErrorKind::Storage`] if somebody uses it or it
    /// cannot be removed.
    pub fn remove(&self, id: &ImageId) -> Result<()> {
        let key = key_of(id);
        let Some(dir) = self.images.open(&key)? else {
            return Err(
                Error::new(ErrorKind::NotFound, "the image is not in the store").with_subject(id),
            );
        };
        match self.take_away(&key, dir, PruneMode::Remove)? {
            Taken::Away => Ok(()),
            Taken::InUse => {
                Err(damaged("the image is in use", id).with_remedy("remove it when nobody uses it"))
            }
        }
    }
}
