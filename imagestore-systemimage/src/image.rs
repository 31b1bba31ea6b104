use imagestore_core::{
    Check, Download, Error, Event, FileRole, Get, Image, ImageFile, ImageId, Result, unsigned,
};
use imagestore_verify::{DetachedSignature, Keyring, Verifier, VerifyError};

use crate::chain::Chain;
use crate::files::Layer;
use crate::found::Found;
use crate::source::SystemImage;

impl SystemImage {
    /// Judges the signature of a file before the file is downloaded: what can be told without it
    /// is told while another way can still be planned.
    pub(crate) async fn check_signature(&self, chain: &mut Chain<'_>, layer: &Layer) -> Result<()> {
        let url = self.remote.url().document(&layer.signature)?;
        let file = self.remote.url().document(&layer.path)?;
        self.context.tell(Event::Asked { url: &url });
        let asc = self
            .context
            .transport()
            .get(Get::document(&self.remote, &url))
            .await
            .map_err(|error| unsigned(&file, error))?
            .collect(self.context.limits().signature_bytes)
            .await?;
        let signature =
            DetachedSignature::parse(&asc).map_err(|cause| Error::untrusted(&url, cause))?;
        let judged = self.judge(&chain.file_keys()?, &signature);
        let judged = match judged {
            Err(_) if chain.refresh_once().await? => self.judge(&chain.file_keys()?, &signature),
            judged => judged,
        };
        judged.map_err(|cause| Error::untrusted(&file, cause))
    }

    fn judge(&self, keys: &Keyring, signature: &DetachedSignature) -> Result<(), VerifyError> {
        Verifier::new(keys.clone(), self.context.policy_for(&self.remote))
            .check_beforehand(signature)
    }

    /// The image that a path leads to, with what must hold for each of its files.
    pub(crate) fn image(&self, found: &Found, keys: &Keyring) -> Result<Image> {
        let mut downloads = Vec::new();
        for layer in &found.layers {
            let checks = vec![
                Check::Digest(layer.sha256),
                Check::Signature {
                    locations: self.remote.locations(&layer.signature)?,
                    keys: keys.clone(),
                },
            ];
            let file = ImageFile::new(layer.name.as_str(), FileRole::Layer);
            let download = Download::new(self.remote.locations(&layer.path)?, file, checks);
            downloads.push(download.with_size_limit(Some(layer.size)));
        }
        let of_full = found.layers.iter().filter(|it| it.base.is_none()).count();
        let id = ImageId::new(self.remote.id(), &found.name.path, &found.build);
        self.avoided.planned(&id, &found.layers);
        let image = Image::new(id, downloads)
            .with_property("channel", &found.name.channel)
            .with_property("channels", found.accepted.join(" "))
            .with_property("device", &found.name.device)
            .with_property("version", found.version.to_string())
            .with_property("version_detail", &found.detail)
            .with_property("full_layers", of_full.to_string())
            .with_property("plan", &found.explanation);
        Ok(match found.base {
            Some(base) => image.with_property("base", base.to_string()),
            None => image,
        })
    }
}
