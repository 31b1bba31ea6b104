use std::collections::BTreeMap;

use imagestore_core::{Error, ErrorKind, ImagePath, Result, architecture};
use imagestore_verify::Sha256;

use crate::items::{Choice, Form, Item};
use crate::options::Options;
use crate::products::{Product, Products, Version};

/// The image a path stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The name of its product.
    pub(crate) name: String,
    pub(crate) place: ImagePath,
    pub(crate) columns: Option<[String; 4]>,
    pub(crate) architecture: String,
    pub(crate) serial: String,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) choice: Choice,
    /// Shorter ways to its last file, each with the digest of the file it starts from.
    pub(crate) deltas: Vec<(Sha256, Item)>,
    /// Whether the path says which version is meant.
    pub(crate) named: bool,
}

/// What is asked for, besides the path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) architecture: &'a str,
    pub(crate) options: Options,
}

/// One way to read a path: these products, and a version of them if one is named.
struct Reading<'a> {
    products: Vec<&'a Product>,
    version: Option<&'a str>,
}

impl Products {
    /// The image a path stands for.
    pub(crate) fn find(&self, path: &ImagePath, wish: Wish<'_>) -> Result<Found> {
        if let [digits] = path.segments()
            && let Ok(fingerprint) = digits.parse::<Sha256>()
        {
            let found = self.by_fingerprint(&fingerprint);
            return found.ok_or_else(|| {
                Error::new(ErrorKind::NotFound, "no image has this fingerprint")
                    .with_subject(digits)
            });
        }
        let mut problem = None;
        for reading in self.readings(path, wish.architecture) {
            match choose(path, reading, wish) {
                Ok(found) => return Ok(found),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    problem.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        let name = path.to_string();
        let foreign = self.by_alias.contains_key(&name)
            && self.aliased(&[&name], wish.architecture).is_empty();
        match problem {
            Some(problem) if !foreign => Err(problem),
            _ => Err(self.no_such_image(path)),
        }
    }

    /// What a path can mean, in the order in which it counts: an alias, the columns, the name of a
    /// product; each with and without a version at the end.
    fn readings<'a>(&'a self, path: &'a ImagePath, native: &str) -> Vec<Reading<'a>> {
        let segments: Vec<&str> = path.segments().iter().map(String::as_str).collect();
        let mut readings = Vec::new();
        let mut add = |products: Vec<&'a Product>, version| {
            if !products.is_empty() {
                readings.push(Reading { products, version });
            }
        };
        let cut = |n: usize| segments.split_at_checked(segments.len().checked_sub(n)?);
        let (whole, one, two) = (segments.as_slice(), cut(1), cut(2));
        add(self.aliased(whole, native), None);
        if let Some((alias, [last])) = one {
            add(self.aliased(alias, last), None);
            add(self.aliased(alias, native), Some(*last));
        }
        if let Some((alias, [arch, version])) = two {
            add(self.aliased(alias, arch), Some(*version));
        }
        add(self.in_columns(whole, native), None);
        if let Some((columns, [version])) = one {
            add(self.in_columns(columns, native), Some(*version));
        }
        add(self.named(whole), None);
        if let Some((name, [version])) = one {
            add(self.named(name), Some(*version));
        }
        readings
    }

    fn aliased(&self, alias: &[&str], arch: &str) -> Vec<&Product> {
        let there = self.by_alias.get(&alias.join("/"));
        let there = there.into_iter().flatten().filter_map(|n| self.all.get(*n));
        of_architecture(there.collect(), arch)
    }

    fn in_columns(&self, columns: &[&str], native: &str) -> Vec<&Product> {
        let (os, release, arch, variant) = match columns {
            [os, release] => (os, release, &native, &DEFAULT),
            [os, release, arch] => (os, release, arch, &DEFAULT),
            [os, release, arch, variant] => (os, release, arch, variant),
            _ => return Vec::new(),
        };
        let fits = |product: &&Product| {
            product.columns.as_ref().is_some_and(|[o, r, _, v]| {
                o.eq_ignore_ascii_case(os) && r == release && v == variant
            })
        };
        of_architecture(self.all.iter().filter(fits).collect(), arch)
    }

    fn named(&self, name: &[&str]) -> Vec<&Product> {
        let is = |product: &&Product| [product.name.as_str()] == name;
        self.all.iter().filter(is).collect()
    }

    fn by_fingerprint(&self, fingerprint: &Sha256) -> Option<Found> {
        self.all.iter().find_map(|product| {
            product.versions.iter().find_map(|version| {
                let choice = version.choices().find(|c| c.fingerprint == *fingerprint)?;
                Some(found(product, version, choice, true))
            })
        })
    }

    fn no_such_image(&self, path: &ImagePath) -> Error {
        let error = Error::new(ErrorKind::NotFound, "no such image");
        let error = error.with_subject(format_args!("`{path}`"));
        // An alias that is there for other machines only is not a wrong name.
        let there = self.by_alias.get(&path.to_string()).into_iter().flatten();
        match there.filter_map(|n| self.all.get(*n)).next() {
            Some(product) => {
                let arch = &product.architecture;
                error.with_remedy(format!("for another architecture there is `{path}/{arch}`"))
            }
            None => error,
        }
    }
}

/// The image of one way to read a path.
fn choose(path: &ImagePath, reading: Reading<'_>, wish: Wish<'_>) -> Result<Found> {
    let mut all: Vec<Found> = Vec::new();
    let mut problem = None;
    for product in reading.products {
        match product.choose(reading.version, wish.options) {
            Ok(found) => all.push(found),
            Err(error) => {
                problem.get_or_insert(error);
            }
        }
    }
    let fingerprints = all.iter().map(|found| found.choice.fingerprint);
    let mut fingerprints: Vec<_> = fingerprints.collect();
    fingerprints.sort_unstable();
    fingerprints.dedup();
    if fingerprints.len() > 1 {
        let names: Vec<_> = all.iter().map(|f| format!("`{}`", f.name)).collect();
        return Err(Error::new(
            ErrorKind::Malformed,
            format!("several products go by this name, {}", names.join(" and ")),
        )
        .with_subject(format_args!("`{path}`"))
        .with_remedy("refer to one of them by the name of the product"));
    }
    match (all.into_iter().next(), problem) {
        (Some(found), _) => Ok(found),
        (None, Some(error)) => Err(error),
        (None, None) => {
            Err(Error::new(ErrorKind::NotFound, "no such image")
                .with_subject(format_args!("`{path}`")))
        }
    }
}

impl Product {
    /// The image of the version that is named, or of the newest that has one of the wanted type.
    pub(crate) fn choose(&self, named: Option<&str>, options: Options) -> Result<Found> {
        let shown = |version: &Version| format!("{}/{}", self.place, version.serial);
        let versions = self.versions.iter().filter_map(|version| match named {
            None => Some((version, None)),
            Some(name) => version.is_named(name).map(|form| (version, form)),
        });
        let mut seen = false;
        for (version, form) in versions {
            seen = true;
            let Some(offer) = version.offer(form, options) else {
                continue;
            };
            return match &offer.choice {
                Ok(choice) => Ok(found(self, version, choice, named.is_some())),
                Err(problem) => Err(Error::from(problem.clone()).with_subject(shown(version))),
            };
        }
        let error = match (named, seen) {
            (Some(name), false) => Error::new(ErrorKind::NotFound, "no such build")
                .with_subject(format_args!("`{}/{name}`", self.place)),
            _ => Error::new(
                ErrorKind::NotFound,
                format!("no image of the type `{}`", options.image_type),
            )
            .with_subject(format_args!("`{}`", self.place)),
        };
        Err(error)
    }
}

impl Version {
    /// Whether this name is its own; a form may be appended: `20240102_03:42+squashfs`.
    fn is_named(&self, name: &str) -> Option<Option<Form>> {
        if self.serial == name {
            return Some(None);
        }
        let form = name.strip_prefix(self.serial.as_str())?.strip_prefix('+')?;
        let mut forms = self.offers.iter().map(|offer| offer.form);
        forms.find(|found| found.name() == form).map(Some)
    }

    fn offer(&self, form: Option<Form>, options: Options) -> Option<&crate::items::Offer> {
        let fits = |found: Form| match form {
            Some(form) => found == form,
            None => found.image_type() == options.image_type,
        };
        self.offers
            .iter()
            .filter(|offer| fits(offer.form))
            .min_by_key(|offer| offer.form.rank(options.prefer))
    }
}

fn found(product: &Product, version: &Version, choice: &Choice, named: bool) -> Found {
    let mut properties = product.properties.clone();
    properties.extend(version.properties.clone());
    Found {
        name: product.name.clone(),
        place: product.place.clone(),
        columns: product.columns.clone(),
        architecture: product.architecture.clone(),
        serial: version.serial.clone(),
        properties,
        choice: choice.clone(),
        deltas: product.deltas(version, choice),
        named,
    }
}

/// Those for an architecture; where the same machine goes by several names, those that use this
/// name.
fn of_architecture<'a>(mut all: Vec<&'a Product>, arch: &str) -> Vec<&'a Product> {
    all.retain(|product| architecture::same(&product.architecture, arch));
    if all.iter().any(|product| product.architecture == arch) {
        all.retain(|product| product.architecture == arch);
    }
    all
}

const DEFAULT: &str = "default";
