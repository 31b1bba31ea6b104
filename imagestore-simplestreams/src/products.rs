use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use imagestore_core::ImagePath;
use imagestore_verify::Sha256;

use crate::budget::Budget;
use crate::date::compare_serials;
use crate::error::ParseError;
use crate::items::{Choice, DeltaItem, Item, Offer};
use crate::json::Fields;
use crate::order::Order;
use crate::path::beginning;

/// All products of a tree, of one product file or several.
#[derive(Clone, Debug, Default)]
pub struct Products {
    /// Sorted by name.
    pub(crate) all: Vec<Product>,
    pub(crate) order: Order,
    pub(crate) updated: Option<u64>,
    /// How much of the limit they take.
    pub(crate) weight: usize,
}

/// What is built again and again: one variant of one release for one architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    pub(crate) name: Arc<str>,
    pub(crate) aliases: Vec<Box<str>>,
    pub(crate) columns: Option<Columns>,
    pub(crate) architecture: Arc<str>,
    /// The name of the architecture that all its names lead to.
    pub(crate) machine: Arc<str>,
    pub(crate) place: Place,
    pub(crate) properties: Fields,
    /// What holds for all products of its file.
    pub(crate) inherited: Arc<Fields>,
    /// The newest first.
    pub(crate) versions: Vec<Version>,
}

/// What a product is an image of, if its tree says it in words that a path can hold. Between
/// release and variant stands the architecture.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Columns {
    /// In lower case.
    pub(crate) os: Arc<str>,
    pub(crate) release: Arc<str>,
    pub(crate) variant: Arc<str>,
}

/// By what path a product goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Columns,
    /// Its name, because it has no columns, or another product has the same.
    Name,
    /// None: a product of another file has the same name, and it has no columns of its own.
    Nowhere,
}

/// One dated issue of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub(crate) serial: Arc<str>,
    pub(crate) properties: Fields,
    pub(crate) offers: Vec<Offer>,
    pub(crate) deltas: Vec<DeltaItem>,
}

impl Products {
    /// Reads a product file of at most `limit` objects and fields. Long ones, and those that hold in
    /// many places, count as several.
    ///
    /// Something wrong with one image is an error for that image, when it is asked for, and for no
    /// other.
    ///
    /// # Errors
    /// [`ParseError`] if this is no product file, or the one of something else than `content_id`.
    pub fn parse(bytes: &[u8], content_id: &str, limit: usize) -> Result<Self, ParseError> {
        Self::parse_within(bytes, content_id, &Budget::new(limit, 0))
    }

    /// All products of both.
    #[must_use]
    pub fn joined(self, other: Self) -> Self {
        Self::joined_all(vec![self, other])
    }

    pub(crate) fn joined_all(parts: Vec<Self>) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.all.extend(part.all);
            all.updated = all.updated.max(part.updated);
            all.weight += part.weight;
        }
        all.placed()
    }

    /// The products, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Product> {
        self.all.iter()
    }

    /// When the newest of the files was written, in seconds since 1970, if it says so.
    #[must_use]
    pub fn updated(&self) -> Option<u64> {
        self.updated
    }

    /// Sorts them, and finds out by which path each goes.
    pub(crate) fn placed(mut self) -> Self {
        for product in &mut self.all {
            product.place = Place::Name;
        }
        self.all.sort_by(|one, other| one.name.cmp(&other.name));
        self.all.dedup();
        self.order = Order::of(&self.all);
        let same_columns: BTreeSet<_> = self.order.with_the_same_columns(&self.all).collect();
        for (n, product) in self.all.iter_mut().enumerate() {
            if product.columns.is_some() && !same_columns.contains(&n) {
                product.place = Place::Columns;
            }
        }
        for same_name in self.all.chunk_by_mut(|one, next| one.name == next.name) {
            if same_name.len() > 1 {
                let by_name = same_name.iter_mut().filter(|it| it.place == Place::Name);
                by_name.for_each(|product| product.place = Place::Nowhere);
            }
        }
        self
    }
}

impl Product {
    /// The name by which the tree knows it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its other names.
    pub fn aliases(&self) -> impl Iterator<Item = &str> {
        self.aliases.iter().map(AsRef::as_ref)
    }

    pub(crate) fn is_alias(&self, alias: &str) -> bool {
        let found = self.aliases.binary_search_by(|it| (**it).cmp(alias));
        found.is_ok()
    }

    /// The architecture as the tree calls it.
    #[must_use]
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The path by which it goes on the remote.
    #[must_use]
    pub fn place(&self) -> ImagePath {
        ImagePath::from_segments(self.segments()).unwrap_or_default()
    }

    /// The segments of that path.
    pub(crate) fn segments(&self) -> Vec<&str> {
        match (self.place, &self.columns) {
            (Place::Columns, Some(columns)) => {
                let architecture = &*self.architecture;
                vec![
                    &columns.os,
                    &columns.release,
                    architecture,
                    &columns.variant,
                ]
            }
            _ => vec![&self.name],
        }
    }

    /// What there is to say to people of a version, from the lowest level on that says it.
    pub(crate) fn property<'a>(&'a self, version: &'a Version, name: &str) -> Option<&'a str> {
        let levels = [&version.properties, &self.properties, &*self.inherited];
        let value = levels.into_iter().find_map(|fields| fields.get(name));
        value.map(AsRef::as_ref)
    }

    /// All that there is to say to people of a version.
    pub(crate) fn properties(&self, version: &Version) -> Fields {
        let mut all = Fields::clone(&self.inherited);
        all.extend(self.properties.clone());
        all.extend(version.properties.clone());
        all
    }

    /// The version with this serial.
    pub(crate) fn version(&self, serial: &str) -> Option<&Version> {
        let order = |version: &Version| newest_first(&version.serial, serial);
        let n = self.versions.binary_search_by(order).ok()?;
        self.versions.get(n)
    }

    /// The deltas to an image of a version, each with the digest of the file it starts from.
    pub(crate) fn deltas(&self, version: &Version, choice: &Choice) -> Vec<(Sha256, Item)> {
        let to_it = version
            .deltas
            .iter()
            .filter(|delta| delta.form == choice.form);
        let from = |delta: &DeltaItem| {
            let older = self.version(&delta.base)?;
            let base = older.choices().find(|base| base.form == delta.form)?;
            Some((base.files.last()?.sha256, delta.item.clone()))
        };
        to_it.filter_map(from).collect()
    }

    /// Its versions, the newest first.
    pub fn versions(&self) -> impl Iterator<Item = &Version> {
        self.versions.iter()
    }
}

impl Version {
    /// What tells it from the others of its product: a date, in most trees.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The images it holds that are in order.
    pub fn choices(&self) -> impl Iterator<Item = &Choice> {
        self.offers
            .iter()
            .filter_map(|offer| offer.choice.as_ref().ok())
    }
}

pub(crate) fn newest_first(one: &str, other: &str) -> Ordering {
    let date = |serial| beginning(serial, MAX_SERIAL);
    compare_serials(date(other), date(one)).then_with(|| other.cmp(one))
}

/// With the name of a form behind it a segment of a path still.
pub(crate) const MAX_SERIAL: usize = 128;

#[cfg(test)]
mod tests;
