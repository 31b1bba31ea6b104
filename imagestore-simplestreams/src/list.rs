use std::collections::BTreeMap;

use imagestore_core::{Entry, EntryKind, Error, ErrorKind, ImagePath, Result, architecture};

use crate::find::{Found, Wish};
use crate::products::{Product, Products};

impl Products {
    /// What lies one level below a prefix, sorted by name: folders of the columns, images, their
    /// builds, and aliases that lead to an image on this machine. Only what can be looked up is
    /// there.
    pub(crate) fn below(&self, prefix: &ImagePath, wish: Wish<'_>) -> Result<Vec<Entry>> {
        let mut entries = BTreeMap::new();
        let mut there = prefix.is_empty();
        for product in &self.all {
            let Some(depth) = product.is_below(prefix) else {
                continue;
            };
            let Ok(found) = product.choose(None, wish.options) else {
                continue;
            };
            let place = product.place.segments();
            match place.get(depth) {
                Some(name) if depth + 1 == place.len() => {
                    there = true;
                    entries.insert(name.clone(), image(name, &found));
                }
                Some(name) => {
                    there = true;
                    let folder = || Entry::new(name, EntryKind::Folder);
                    entries.entry(name.clone()).or_insert_with(folder);
                }
                None => {
                    let builds = builds(product, prefix, wish);
                    there |= builds.is_some();
                    entries.extend(builds.into_iter().flatten());
                }
            }
        }
        for alias in self.by_alias.keys() {
            let Some((alias, rest)) = rest_of(alias, prefix) else {
                continue;
            };
            let Ok(found) = self.find(&alias, wish) else {
                continue;
            };
            there = true;
            let name = rest.to_string();
            if !rest.is_empty() && !entries.contains_key(&name) {
                let mut entry = image(&name, &found);
                entry.kind = EntryKind::Alias;
                entries.insert(name, entry);
            }
        }
        if there {
            return Ok(entries.into_values().collect());
        }
        Err(Error::new(
            ErrorKind::NotFound,
            "no image has a name that begins with this",
        )
        .with_subject(format_args!("`{prefix}`")))
    }
}

impl Product {
    /// How many segments of its place the prefix covers, if it begins with it or names a build.
    fn is_below(&self, prefix: &ImagePath) -> Option<usize> {
        let (place, prefix) = (self.place.segments(), prefix.segments());
        let in_columns = place.len() == COLUMNS;
        let same = |(n, (found, wanted)): (usize, (&String, &String))| match n {
            0 if in_columns => found.eq_ignore_ascii_case(wanted),
            ARCHITECTURE if in_columns => architecture::same(found, wanted),
            _ => found == wanted,
        };
        let fits = place.iter().zip(prefix).enumerate().all(same);
        (fits && prefix.len() <= place.len() + 1).then_some(prefix.len())
    }
}

/// The builds of a product, or nothing below one of them; nothing at all if the prefix names a
/// build that is not there.
fn builds(
    product: &Product,
    prefix: &ImagePath,
    wish: Wish<'_>,
) -> Option<BTreeMap<String, Entry>> {
    if let Some(build) = prefix.segments().get(product.place.segments().len()) {
        let found = product.choose(Some(build), wish.options);
        return found.ok().map(|_| BTreeMap::new());
    }
    let mut entries = BTreeMap::new();
    for version in &product.versions {
        // A serial that can be no segment of a path cannot be asked for.
        let plain = ImagePath::from_segments([&version.serial]).is_ok();
        if let Ok(found) = product.choose(Some(&version.serial), wish.options)
            && plain
        {
            entries.insert(version.serial.clone(), image(&version.serial, &found));
        }
    }
    Some(entries)
}

fn image(name: &str, found: &Found) -> Entry {
    let mut entry = Entry::new(name, EntryKind::Image)
        .with_description(description(found))
        .with_property("build", &found.serial)
        .with_property("fingerprint", found.choice.fingerprint.to_string())
        .with_property("type", found.choice.form.image_type().name())
        .with_property("architecture", &found.architecture);
    let sizes: Option<u64> = found.choice.files.iter().map(|file| file.size).sum();
    if let Some(size) = sizes {
        entry = entry.with_property("size", size.to_string());
    }
    entry
}

/// A sentence for people, as LXD makes it: `ubuntu trusty amd64 (default) (20240102_03:42)`.
pub(crate) fn description(found: &Found) -> Option<String> {
    let [os, release, arch, variant] = found.columns.as_ref()?;
    let title = found.properties.get("release_title").unwrap_or(release);
    let os = found.properties.get("os").unwrap_or(os);
    let label = match found.properties.get("label") {
        Some(label) => format!(" ({label})"),
        None => String::new(),
    };
    let serial = &found.serial;
    let text = format!("{os} {title} {arch} ({variant}){label} ({serial})");
    Some(imagestore_core::printable(&text))
}

/// An alias as a path, and what of it is behind a prefix.
fn rest_of(alias: &str, prefix: &ImagePath) -> Option<(ImagePath, ImagePath)> {
    let alias: ImagePath = alias.parse().ok()?;
    let rest = alias.strip_prefix(prefix)?;
    Some((alias, rest))
}

const COLUMNS: usize = 4;
const ARCHITECTURE: usize = 2;
