use imagestore_core::{Error, ErrorKind, ImagePath, Result, architecture};
use imagestore_verify::Sha256;

use crate::error::ParseError;
use crate::items::{Choice, Offer};
use crate::options::Options;
use crate::path::shown;
use crate::products::{Place, Product, Products, Version};

/// The image a path stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found<'a> {
    pub(crate) product: &'a Product,
    pub(crate) version: &'a Version,
    pub(crate) choice: &'a Choice,
    /// Whether the path says which version is meant.
    pub(crate) named: bool,
}

/// What is asked for, besides the path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) architecture: &'a str,
    pub(crate) options: &'a Options,
}

/// One way to read a path: these products, and a version of them if one is named.
struct Reading<'a, 'p> {
    products: Vec<&'a Product>,
    version: Option<&'p str>,
}

impl Products {
    /// The image a path stands for.
    pub(crate) fn find(&self, path: &ImagePath, wish: Wish<'_>) -> Result<Found<'_>> {
        if let Some(fingerprint) = fingerprint(path) {
            return self.by_fingerprint(fingerprint);
        }
        let mut problem = None;
        for reading in self.readings(path, wish) {
            match choose(path, &reading, wish.options) {
                Ok(found) => return Ok(found),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    problem.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        let segments: Vec<_> = path.segments().iter().map(String::as_str).collect();
        let elsewhere = self.going_by(&segments, None, wish.options);
        match (problem, elsewhere.first()) {
            (_, Some(product)) if self.native(&segments, wish).is_empty() => {
                let arch = &product.architecture;
                // An alias that is there for other machines only is not a wrong name.
                let remedy = format!("for another architecture there is `{path}/{arch}`");
                Err(no_such_image(path).with_remedy(remedy))
            }
            (Some(problem), _) => Err(problem),
            (None, _) => Err(no_such_image(path)),
        }
    }

    /// The image that an alias leads to on this machine.
    pub(crate) fn aliased(&self, alias: &ImagePath, wish: Wish<'_>) -> Result<Found<'_>> {
        let segments: Vec<_> = alias.segments().iter().map(String::as_str).collect();
        let reading = Reading {
            products: self.native(&segments, wish),
            version: None,
        };
        choose(alias, &reading, wish.options)
    }

    /// What a path can mean, in the order in which it counts: an alias, the columns, the name of a
    /// product; each with and without a version at the end.
    fn readings<'p>(&self, path: &'p ImagePath, wish: Wish<'_>) -> Vec<Reading<'_, 'p>> {
        let segments: Vec<&'p str> = path.segments().iter().map(String::as_str).collect();
        let mut readings = Vec::new();
        let mut add = |products: Vec<_>, version| {
            if !products.is_empty() {
                readings.push(Reading { products, version });
            }
        };
        let cut = |n: usize| segments.split_at_checked(segments.len().checked_sub(n)?);
        let (whole, one, two) = (segments.as_slice(), cut(1), cut(2));
        add(self.native(whole, wish), None);
        if let Some((alias, [last])) = one {
            add(self.with_alias(alias, last, wish.options), None);
            add(self.native(alias, wish), Some(*last));
        }
        if let Some((alias, [arch, version])) = two {
            add(self.with_alias(alias, arch, wish.options), Some(*version));
        }
        add(self.in_columns(whole, wish), None);
        if let Some((columns, [version])) = one {
            add(self.in_columns(columns, wish), Some(*version));
        }
        add(self.named(whole), None);
        if let Some((name, [version])) = one {
            add(self.named(name), Some(*version));
        }
        readings
    }

    /// The products with an alias for this machine, or else for one whose programs run here too.
    fn native(&self, alias: &[&str], wish: Wish<'_>) -> Vec<&Product> {
        for_machine(wish, |arch| self.with_alias(alias, arch, wish.options))
    }

    fn with_alias(&self, alias: &[&str], arch: &str, options: &Options) -> Vec<&Product> {
        let machine = architecture::canonical(arch);
        of_architecture(self.going_by(alias, Some(machine), options), arch)
    }

    /// What goes by an alias as it is, and with what it need not begin with; each product once.
    fn going_by(&self, alias: &[&str], machine: Option<&str>, options: &Options) -> Vec<&Product> {
        let alias = alias.join("/");
        let with = |alias: &str| self.order.with_alias(&self.all, alias, machine);
        let mut found: Vec<_> = with(&alias).collect();
        if let Some(strip) = &options.strip {
            let more = with(&format!("{strip}{alias}"));
            found.extend(more.filter(|product| !product.is_alias(&alias)));
        }
        found
    }

    fn in_columns(&self, columns: &[&str], wish: Wish<'_>) -> Vec<&Product> {
        let (os, release, arch, variant) = match columns {
            [os, release] => (os, release, None, &DEFAULT),
            [os, release, arch] => (os, release, Some(arch), &DEFAULT),
            [os, release, arch, variant] => (os, release, Some(arch), variant),
            _ => return Vec::new(),
        };
        let os = os.to_lowercase();
        let of = |arch: &str| {
            let machine = architecture::canonical(arch);
            let all = &self.all;
            let there = self.order.with_columns(all, &os, release, variant, machine);
            of_architecture(there.collect(), arch)
        };
        match arch {
            Some(arch) => of(arch),
            None => for_machine(wish, of),
        }
    }

    fn named(&self, name: &[&str]) -> Vec<&Product> {
        let [name] = name else {
            return Vec::new();
        };
        let from = self.all.partition_point(|product| *product.name < **name);
        let behind = self.all.iter().skip(from);
        behind
            .take_while(|product| *product.name == **name)
            .collect()
    }

    fn by_fingerprint(&self, fingerprint: Sha256) -> Result<Found<'_>> {
        let mut problem = None;
        for product in &self.all {
            for version in &product.versions {
                for offer in version.with_fingerprint(fingerprint) {
                    match product.found(version, offer, true) {
                        Ok(found) => return Ok(found),
                        Err(error) => problem.get_or_insert(error),
                    };
                }
            }
        }
        Err(problem.unwrap_or_else(|| {
            Error::new(ErrorKind::NotFound, "no image has this fingerprint")
                .with_subject(fingerprint)
        }))
    }
}

/// The image of one way to read a path.
///
/// A product whose image is broken takes part: which image a name stands for is not decided by what
/// is wrong with the other.
fn choose<'a>(path: &ImagePath, reading: &Reading<'a, '_>, options: &Options) -> Result<Found<'a>> {
    let (mut all, mut broken, mut missing) = (Vec::new(), None, None);
    let mut names = Vec::new();
    for product in &reading.products {
        match product.choose(reading.version, options) {
            Ok(found) => all.push(found),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                missing.get_or_insert(error);
                continue;
            }
            Err(error) => {
                broken.get_or_insert(error);
            }
        }
        names.push(product.name());
    }
    match (all.first(), broken) {
        (Some(_), Some(broken)) => {
            let problem = ", and not all of them are in order";
            Err(several(path, &names, problem).with_source(broken))
        }
        (Some(first), None) => {
            let fingerprint = first.choice.fingerprint;
            if all.iter().all(|it| it.choice.fingerprint == fingerprint) {
                return Ok(*first);
            }
            Err(several(path, &names, ""))
        }
        (None, Some(error)) => Err(error),
        (None, None) => Err(missing.unwrap_or_else(|| no_such_image(path))),
    }
}

fn several(path: &ImagePath, names: &[&str], problem: &str) -> Error {
    let (shown, more) = names.split_at(names.len().min(MAX_NAMES));
    let shown: Vec<_> = shown.iter().map(|name| format!("`{name}`")).collect();
    let names = match more.len() {
        0 => shown.join(" and "),
        more => format!("{} and {more} more", shown.join(", ")),
    };
    let message = format!("several products go by this name, {names}{problem}");
    Error::new(ErrorKind::Malformed, message)
        .with_subject(format_args!("`{path}`"))
        .with_remedy("refer to one of them by the name of the product")
}

/// What a path of one segment is, if it is all digits of one.
pub(crate) fn fingerprint(path: &ImagePath) -> Option<Sha256> {
    match path.segments() {
        [digits] => digits.parse().ok(),
        _ => None,
    }
}

fn no_such_image(path: &ImagePath) -> Error {
    Error::new(ErrorKind::NotFound, "no such image").with_subject(format_args!("`{path}`"))
}

impl Product {
    /// The image of the version that is named, or of the newest that has one of the wanted type.
    pub(crate) fn choose(&self, named: Option<&str>, options: &Options) -> Result<Found<'_>> {
        let (version, offer) =
            match named {
                None => self
                    .versions
                    .iter()
                    .find_map(|version| Some((version, version.offer(options)?)))
                    .ok_or_else(|| self.no_image(options))?,
                Some(name) => {
                    let (version, offer) =
                        self.build(name).ok_or_else(|| {
                            Error::new(ErrorKind::NotFound, "no such build")
                                .with_subject(format_args!("`{}/{}`", self.place(), shown(name)))
                        })?;
                    let offer = offer.or_else(|| version.offer(options));
                    (version, offer.ok_or_else(|| self.no_image(options))?)
                }
            };
        self.found(version, offer, named.is_some())
    }

    /// An image of a version, if it is in order.
    pub(crate) fn found<'a>(
        &'a self,
        version: &'a Version,
        offer: &'a Offer,
        named: bool,
    ) -> Result<Found<'a>> {
        if self.place == Place::Nowhere {
            let name = shown(&self.name);
            let error = Error::from(ParseError::SharedName { name });
            return Err(error.with_remedy("the publisher has to rename one of them"));
        }
        match &offer.choice {
            Ok(choice) => Ok(Found {
                product: self,
                version,
                choice,
                named,
            }),
            Err(problem) => {
                let build = format!("{}/{}", self.place(), shown(&version.serial));
                Err(Error::from(problem.clone()).with_subject(build))
            }
        }
    }

    fn no_image(&self, options: &Options) -> Error {
        let problem = format!("no image of the type `{}`", options.image_type);
        Error::new(ErrorKind::NotFound, problem).with_subject(format_args!("`{}`", self.place()))
    }

    /// The version of this name; a form may be appended: `20240102_03:42+squashfs`.
    fn build(&self, name: &str) -> Option<(&Version, Option<&Offer>)> {
        if let Some(version) = self.version(name) {
            return Some((version, None));
        }
        // The name of a form has at most one of these.
        name.rmatch_indices('+').take(2).find_map(|(n, _)| {
            let (serial, form) = (name.get(..n)?, name.get(n + 1..)?);
            let version = self.version(serial)?;
            let offer = version.offers.iter().find(|offer| offer.is_named(form))?;
            Some((version, Some(offer)))
        })
    }
}

impl Version {
    fn with_fingerprint(&self, fingerprint: Sha256) -> impl Iterator<Item = &Offer> {
        let has_it = move |choice: &Choice| choice.fingerprint == fingerprint;
        let offers = self.offers.iter();
        offers.filter(move |offer| offer.choice.as_ref().is_ok_and(has_it))
    }

    /// The best of its images of the wanted type, or what is wrong with it.
    pub(crate) fn offer(&self, options: &Options) -> Option<&Offer> {
        self.offers
            .iter()
            .filter(|offer| offer.form.image_type() == options.image_type)
            .min_by_key(|offer| offer.form.rank(options.prefer))
    }
}

/// What there is for the machine that is meant, or else for one whose programs run on it too.
fn for_machine<'a>(wish: Wish<'_>, of: impl Fn(&str) -> Vec<&'a Product>) -> Vec<&'a Product> {
    let own = of(wish.architecture);
    match architecture::personality(wish.architecture) {
        Some(other) if own.is_empty() => of(other),
        _ => own,
    }
}

/// Those for an architecture; where the same machine goes by several names, those that use this
/// name.
fn of_architecture<'a>(mut all: Vec<&'a Product>, arch: &str) -> Vec<&'a Product> {
    all.retain(|product| architecture::same(&product.architecture, arch));
    if all.iter().any(|product| &*product.architecture == arch) {
        all.retain(|product| &*product.architecture == arch);
    }
    all
}

const DEFAULT: &str = "default";
const MAX_NAMES: usize = 8;
