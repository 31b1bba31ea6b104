//! From the bytes of a product file to its products.

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;

use imagestore_core::{ImagePath, architecture};

use crate::budget::Budget;
use crate::date::of_mail;
use crate::error::ParseError;
use crate::index::PRODUCTS_FORMAT;
use crate::items::{deltas, offers};
use crate::json::{Aliases, Fields, Node};
use crate::path::shown;
use crate::products::{Columns, MAX_SERIAL, Place, Product, Products, Version, newest_first};

impl Products {
    /// Reads a product file, within what others left of the limit.
    pub(crate) fn parse_within(
        bytes: &[u8],
        content_id: &str,
        budget: &Budget,
    ) -> Result<Self, ParseError> {
        let before = budget.spent();
        let tree = Node::parse(bytes, budget)?;
        let text = |name: &str| tree.fields.get(name).map_or("", AsRef::as_ref);
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
        if tree.aliases.len() > MAX_ALIAS_FIELDS {
            return Err(ParseError::TooMany {
                limit: MAX_ALIAS_FIELDS,
                what: "fields with `_aliases`",
            });
        }
        let updated = of_mail(text("updated"));
        let (mut fields, below) = (tree.fields, tree.below);
        expand(&tree.aliases, &mut fields, budget)?;
        let file = File {
            inherited: Arc::new(properties(&fields)),
            fields,
            aliases: tree.aliases,
            budget,
        };
        let mut all = Vec::new();
        for (name, node) in below {
            // Nobody can ask for what can be no part of a path.
            if ImagePath::from_segments([&*name]).is_ok() {
                all.push(file.product(name, node)?);
            }
        }
        Ok(Self {
            all,
            updated,
            weight: budget.spent() - before,
            ..Self::default()
        }
        .placed())
    }
}

/// What holds for all products of a file while it is read.
struct File<'a> {
    fields: Fields,
    inherited: Arc<Fields>,
    aliases: Aliases,
    budget: &'a Budget,
}

impl File<'_> {
    fn product(&self, name: Arc<str>, mut node: Node) -> Result<Product, ParseError> {
        expand(&self.aliases, &mut node.fields, self.budget)?;
        let field = |name: &str| {
            let own = node.fields.get(name).or_else(|| self.fields.get(name));
            own.filter(|value| !value.is_empty())
        };
        let architecture = match field("arch") {
            Some(arch) => self.architecture(arch)?,
            None => UNKNOWN.into(),
        };
        let canonical = architecture::canonical(&architecture);
        let machine = if canonical == &*architecture {
            Arc::clone(&architecture)
        } else {
            canonical.into()
        };
        let variant = field("variant").cloned();
        let columns = match (field("os"), field("release")) {
            (Some(os), Some(release)) => {
                let variant = variant.unwrap_or_else(|| DEFAULT.into());
                self.columns(os, release, &architecture, variant)?
            }
            _ => None,
        };
        let mut aliases = BTreeSet::new();
        let names = field("aliases").map_or("", AsRef::as_ref).split(',');
        for alias in names.map(str::trim).filter(|alias| !alias.is_empty()) {
            self.budget.spend(alias.len())?;
            aliases.insert(Box::from(alias));
        }
        let mut versions = Vec::new();
        for (serial, version) in mem::take(&mut node.below) {
            versions.push(self.version(serial, version, &node.fields)?);
        }
        versions.sort_by(|one, other| newest_first(&one.serial, &other.serial));
        Ok(Product {
            name,
            aliases: aliases.into_iter().collect(),
            columns,
            architecture,
            machine,
            place: Place::Name,
            properties: properties(&node.fields),
            inherited: Arc::clone(&self.inherited),
            versions,
        })
    }

    /// The first word: "x86_64 x86_64" has been seen.
    fn architecture(&self, arch: &Arc<str>) -> Result<Arc<str>, ParseError> {
        let word = arch.split_ascii_whitespace().next().unwrap_or(UNKNOWN);
        if word == &**arch {
            return Ok(Arc::clone(arch));
        }
        self.budget.spend(word.len())?;
        Ok(word.into())
    }

    /// The columns, if a path can hold them.
    fn columns(
        &self,
        os: &Arc<str>,
        release: &Arc<str>,
        architecture: &str,
        variant: Arc<str>,
    ) -> Result<Option<Columns>, ParseError> {
        let lower = os.to_lowercase();
        if ImagePath::from_segments([&lower, &**release, architecture, &*variant]).is_err() {
            return Ok(None);
        }
        let os = if lower == **os {
            Arc::clone(os)
        } else {
            self.budget.spend(lower.len())?;
            lower.into()
        };
        let release = Arc::clone(release);
        Ok(Some(Columns {
            os,
            release,
            variant,
        }))
    }

    fn version(
        &self,
        serial: Arc<str>,
        mut node: Node,
        product: &Fields,
    ) -> Result<Version, ParseError> {
        expand(&self.aliases, &mut node.fields, self.budget)?;
        for item in node.below.values_mut() {
            expand(&self.aliases, &mut item.fields, self.budget)?;
        }
        let above = [&node.fields, product, &self.fields];
        let mut offers = offers(&node, &above);
        if serial.len() > MAX_SERIAL || ImagePath::from_segments([&*serial]).is_err() {
            for offer in &mut offers {
                offer.choice = Err(ParseError::Serial {
                    found: shown(&serial),
                });
            }
        }
        Ok(Version {
            properties: properties(&node.fields),
            deltas: deltas(&node, &above),
            offers,
            serial,
        })
    }
}

/// Puts in what comes along with a value: `_aliases` of the format. It replaces what is there.
fn expand(aliases: &Aliases, fields: &mut Fields, budget: &Budget) -> Result<(), ParseError> {
    for (field, values) in aliases {
        if let Some(more) = fields.get(field).and_then(|value| values.get(value)) {
            budget.spend_many(more.len())?;
            fields.extend(more.clone());
        }
    }
    Ok(())
}

/// What there is to say to people.
fn properties(fields: &Fields) -> Fields {
    let told = |name: &str| PROPERTIES.contains(&name) || name.starts_with("requirements.");
    let told = fields.iter().filter(|(name, _)| told(name));
    told.map(|(name, value)| (Arc::clone(name), Arc::clone(value)))
        .collect()
}

const MAX_ALIAS_FIELDS: usize = 64;
const DEFAULT: &str = "default";
const UNKNOWN: &str = "unknown";

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
