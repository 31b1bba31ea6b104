//! From what was found in a tree to an image: where its files are and what must hold for them.

use imagestore_core::freshness::Mark;
use imagestore_core::{
    Check, Delta, Download, Error, ErrorKind, Image, ImageFile, ImageId, RemoteConfig, Result,
    architecture,
};
use imagestore_verify::Sha256;
use url::Url;

use crate::date::of_serial;
use crate::error::ParseError;
use crate::find::Found;
use crate::items::Item;
use crate::list::description;
use crate::path::{encoded, is_plain, shown};
use crate::source::Simplestreams;

impl Simplestreams {
    pub(crate) fn image(&self, found: &Found<'_>) -> Result<Image> {
        let Found {
            product,
            version,
            choice,
            ..
        } = *found;
        let build = format!("{}+{}", version.serial(), choice.name());
        let id = ImageId::new(self.remote.id(), product.place().to_string(), build);
        self.check_date(found)?;
        self.remember(found, &id)?;
        let downloads = choice.files.iter().map(|item| self.download(item));
        let mut downloads = downloads.collect::<Result<Vec<_>>>()?;
        if let Some(data) = downloads.pop() {
            downloads.push(self.with_deltas(data, &product.deltas(version, choice))?);
        }
        let mut image = Image::new(id, downloads)
            .with_fingerprint(choice.fingerprint)
            .with_property("product", product.name())
            .with_property("build", version.serial())
            .with_property("form", choice.form.name())
            .with_property("type", choice.form.image_type().name());
        for (name, value) in product.properties(version) {
            image = image.with_property(&*name, &*value);
        }
        let architecture = architecture::canonical(product.architecture());
        image = image.with_property("architecture", architecture);
        if let Some(columns) = &product.columns {
            image = image
                .with_property("distribution", &*columns.os)
                .with_property("release", &*columns.release)
                .with_property("variant", &*columns.variant);
        }
        Ok(match description(found) {
            Some(description) => image.with_property("description", description),
            None => image,
        })
    }

    fn check_date(&self, found: &Found<'_>) -> Result<()> {
        let serial = found.version.serial();
        match of_serial(serial) {
            Some(built) if built > self.latest() => {
                let (what, found_date) = ("a serial", shown(serial));
                let error = ParseError::FromTheFuture {
                    what,
                    found: found_date,
                };
                Err(Error::from(error)
                    .with_subject(format_args!("`{}`", found.product.place()))
                    .with_remedy("check the clock of this machine"))
            }
            _ => Ok(()),
        }
    }

    /// Remembers the newest version of a product, by the path that is its own, which may only rise.
    /// A version that was named says nothing about the newest.
    fn remember(&self, found: &Found<'_>, id: &ImageId) -> Result<()> {
        let built = of_serial(found.version.serial()).filter(|_| !found.named);
        let Some(built) = built else {
            return Ok(());
        };
        let form = found.choice.form.name();
        let product = format!("product:{}:{form}", id.path());
        let mark = Mark::default().with_counter("serial", built);
        let memory = self.context.memory();
        memory
            .advance(&self.remote.id(), &product, &mark)
            .map_err(|error| error.with_subject(id))
    }

    fn with_deltas(&self, mut data: Download, deltas: &[(Sha256, Item)]) -> Result<Download> {
        for (base, item) in deltas {
            let locations = locations(&self.remote, &item.path)?;
            data = data.with_delta(Delta::new(locations, *base, item.sha256, item.size));
        }
        Ok(data)
    }

    fn download(&self, item: &Item) -> Result<Download> {
        let limit = self.context.limits().file_bytes;
        if let Some(size) = item.size.filter(|size| *size > limit) {
            let problem = format!("has {size} bytes, at most {limit} are allowed");
            return Err(Error::new(ErrorKind::TooLarge, problem)
                .with_subject(format_args!("`{}`", shown(&item.path))));
        }
        let file = ImageFile::new(item.name, item.role.clone());
        let checks = vec![Check::Digest(item.sha256)];
        let locations = locations(&self.remote, &item.path)?;
        Ok(Download::new(locations, file, checks).with_size(item.size))
    }
}

/// The URLs of a file, whose path is encoded where no URL holds it as it is.
///
/// The path was checked: nothing is left in it that leads elsewhere once it is appended.
fn locations(remote: &RemoteConfig, path: &str) -> Result<Vec<Url>> {
    if is_plain(path) {
        return remote.locations(path);
    }
    let mut locations = remote.locations(PLACEHOLDER)?;
    for url in &mut locations {
        let folder = url.path().strip_suffix(PLACEHOLDER).unwrap_or("/");
        let path = format!("{folder}{}", encoded(path));
        url.set_path(&path);
    }
    Ok(locations)
}

const PLACEHOLDER: &str = "x";
