use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use imagestore_core::ImagePath;
use imagestore_verify::Sha256;

use crate::date::{compare_serials, of_mail};
use crate::error::ParseError;
use crate::index::{PRODUCTS_FORMAT, shown};
use crate::items::{Choice, DeltaItem, Item, Offer, deltas, offers};
use crate::json::{Aliases, Fields, Node};

/// All products of a tree, of one product file or several.
#[derive(Clone, Debug, Default)]
pub struct Products {
    pub(crate) all: Vec<Product>,
    pub(crate) by_alias: HashMap<String, Vec<usize>>,
    updated: Option<u64>,
}

/// What is built again and again: one variant of one release for one architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
    /// Distribution, release, architecture and variant, if it has them.
    pub(crate) columns: Option<[String; 4]>,
    pub(crate) architecture: String,
    /// The path by which it goes: its columns, unless another product has the same.
    pub(crate) place: ImagePath,
    pub(crate) properties: BTreeMap<String, String>,
    /// The newest first.
    pub(crate) versions: Vec<Version>,
}

/// One dated issue of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub(crate) serial: String,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) offers: Vec<Offer>,
    pub(crate) deltas: Vec<DeltaItem>,
}

impl Products {
    /// Reads a product file of at most `limit` objects and fields.
    ///
    /// Something wrong with one image is an error for that image, when it is asked for, and for no
    /// other.
    ///
    /// # Errors
    /// [`ParseError`] if this is no product file, or the one of something else than `content_id`.
    pub fn parse(bytes: &[u8], content_id: &str, limit: usize) -> Result<Self, ParseError> {
        let tree = Node::parse(bytes, limit)?;
        let text = |name: &str| tree.fields.get(name).map_or("", String::as_str);
        if text("format") != PRODUCTS_FORMAT {
            return Err(ParseError::Format {
                found: shown(text("format")),
                wanted: PRODUCTS_FORMAT,
            });
        }
        // A signature covers bytes, not names: without this one product file could be served in
        // the place of another.
        if tree.fields.contains_key("content_id") && text("content_id") != content_id {
            return Err(ParseError::ContentId {
                found: shown(text("content_id")),
                wanted: shown(content_id),
            });
        }
        let updated = of_mail(text("updated"));
        let Node {
            mut fields,
            aliases,
            below,
        } = tree;
        expand(&aliases, &mut fields);
        let products = below
            .into_iter()
            .filter_map(|(name, node)| Product::new(name, node, &fields, &aliases));
        Ok(Self {
            all: products.collect(),
            by_alias: HashMap::new(),
            updated,
        }
        .placed())
    }

    /// All products of both.
    #[must_use]
    pub fn joined(mut self, other: Self) -> Self {
        self.all.extend(other.all);
        self.updated = self.updated.max(other.updated);
        self.placed()
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
    fn placed(mut self) -> Self {
        self.all.sort_by(|one, other| one.name.cmp(&other.name));
        let mut seen = BTreeSet::new();
        let mut shared = BTreeSet::new();
        for columns in self
            .all
            .iter()
            .filter_map(|product| product.columns.as_ref())
        {
            if !seen.insert(columns) {
                shared.insert(columns.clone());
            }
        }
        self.by_alias.clear();
        for (n, product) in self.all.iter_mut().enumerate() {
            let own = product
                .columns
                .as_ref()
                .filter(|columns| !shared.contains(*columns))
                .and_then(|columns| ImagePath::from_segments(columns).ok());
            let by_name = || ImagePath::from_segments([&product.name]).unwrap_or_default();
            product.place = own.unwrap_or_else(by_name);
            for alias in &product.aliases {
                self.by_alias.entry(alias.clone()).or_default().push(n);
            }
        }
        self
    }
}

impl Product {
    /// Nothing if its name can be no part of a path, since then nobody can ask for it.
    fn new(name: String, mut node: Node, tree: &Fields, aliases: &Aliases) -> Option<Self> {
        ImagePath::from_segments([&name]).ok()?;
        expand(aliases, &mut node.fields);
        let field = |field: &str| {
            let own = node.fields.get(field).or_else(|| tree.get(field));
            own.map(String::as_str).filter(|value| !value.is_empty())
        };
        // "x86_64 x86_64" has been seen.
        let architecture = field("arch").and_then(|arch| arch.split_ascii_whitespace().next());
        let architecture = architecture.unwrap_or("unknown").to_owned();
        let columns = field("os").zip(field("release")).map(|(os, release)| {
            let variant = field("variant").unwrap_or("default").to_owned();
            let (os, release) = (os.to_lowercase(), release.to_owned());
            [os, release, architecture.clone(), variant]
        });
        let names = field("aliases")
            .unwrap_or_default()
            .split(',')
            .map(str::trim);
        let names: BTreeSet<_> = names.filter(|alias| !alias.is_empty()).collect();
        let aliases_of = names.into_iter().map(str::to_owned).collect();
        let properties = properties(&[&node.fields, tree]);
        let mut versions: Vec<_> = node
            .below
            .into_iter()
            .map(|(serial, version)| Version::new(serial, version, &node.fields, tree, aliases))
            .collect();
        versions.sort_by(|one, other| newest_first(&one.serial, &other.serial));
        Some(Self {
            name,
            aliases: aliases_of,
            columns,
            architecture,
            place: ImagePath::default(),
            properties,
            versions,
        })
    }

    /// The name by which the tree knows it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its other names.
    pub fn aliases(&self) -> impl Iterator<Item = &str> {
        self.aliases.iter().map(String::as_str)
    }

    /// The architecture as the tree calls it.
    #[must_use]
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The path by which it goes on the remote.
    #[must_use]
    pub fn place(&self) -> &ImagePath {
        &self.place
    }

    /// The deltas to an image of a version, each with the digest of the file it starts from.
    pub(crate) fn deltas(&self, version: &Version, choice: &Choice) -> Vec<(Sha256, Item)> {
        let to_it = version
            .deltas
            .iter()
            .filter(|delta| delta.form == choice.form);
        let from = |delta: &DeltaItem| {
            let older = self
                .versions
                .iter()
                .find(|older| older.serial == delta.base)?;
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
    fn new(
        serial: String,
        mut node: Node,
        product: &Fields,
        tree: &Fields,
        aliases: &Aliases,
    ) -> Self {
        expand(aliases, &mut node.fields);
        for item in node.below.values_mut() {
            expand(aliases, &mut item.fields);
        }
        let above = [&node.fields, product, tree];
        Self {
            properties: properties(&[&node.fields]),
            offers: offers(&node, &above),
            deltas: deltas(&node, &above),
            serial,
        }
    }

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

/// Puts in what comes along with a value: `_aliases` of the format. It replaces what is there.
fn expand(aliases: &Aliases, fields: &mut Fields) {
    for (field, values) in aliases {
        if let Some(more) = fields.get(field).and_then(|value| values.get(value)) {
            fields.extend(
                more.iter()
                    .map(|(name, value)| (name.clone(), value.clone())),
            );
        }
    }
}

/// What there is to say to people, from the lowest level on that says it.
fn properties(levels: &[&Fields]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for fields in levels.iter().rev() {
        for (name, value) in *fields {
            if PROPERTIES.contains(&name.as_str()) || name.starts_with("requirements.") {
                found.insert(name.clone(), value.clone());
            }
        }
    }
    found
}

fn newest_first(one: &str, other: &str) -> Ordering {
    compare_serials(other, one)
}

const PROPERTIES: &[&str] = &[
    "label",
    "license",
    "os",
    "pubname",
    "release",
    "release_codename",
    "release_title",
    "support_eol",
    "supported",
    "variant",
    "version",
];
