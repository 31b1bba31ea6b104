use std::collections::BTreeMap;

use imagestore_core::{Entry, EntryKind, Error, ErrorKind, ImagePath, Result, architecture};

use crate::find::{Found, Wish, fingerprint};
use crate::path::beginning;
use crate::products::{Place, Product, Products};

/// What lies below a prefix.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub(crate) entries: Vec<Entry>,
    /// How many images and builds are not among them because something is wrong with them.
    pub(crate) left_out: usize,
    /// What is wrong with the first of these.
    pub(crate) problem: Option<Error>,
}

impl Products {
    /// What lies one level below a prefix, sorted by name: folders of the columns, images, their
    /// builds, and aliases that lead to an image on this machine. Only what can be looked up is
    /// there.
    pub(crate) fn below(&self, prefix: &ImagePath, wish: Wish<'_>) -> Result<Listed> {
        let mut lines = Lines::default();
        for product in &self.all {
            lines.add_product(product, prefix, wish);
        }
        for alias in self.order.alias_names(&self.all) {
            self.add_alias(&mut lines, alias, prefix, wish);
        }
        if prefix.is_empty() || lines.there {
            return Ok(self.looked_up(lines, prefix, wish));
        }
        Err(lines.listed.problem.unwrap_or_else(|| {
            let problem = "no image has a name that begins with this";
            Error::new(ErrorKind::NotFound, problem).with_subject(format_args!("`{prefix}`"))
        }))
    }

    /// The entries of a listing. What is called an image can go by a name that means something else
    /// before it: the listing says what a lookup finds.
    fn looked_up(&self, lines: Lines<'_>, prefix: &ImagePath, wish: Wish<'_>) -> Listed {
        let mut listed = lines.listed;
        for (name, line) in lines.all {
            let entry = match line {
                Line::Folder => Ok(Entry::new(name, EntryKind::Folder)),
                Line::Alias(found) => Ok(entry(&name, EntryKind::Alias, &found)),
                Line::Image => below(prefix, &name)
                    .and_then(|path| self.find(&path, wish))
                    .map(|found| entry(&name, EntryKind::Image, &found)),
            };
            match entry {
                Ok(entry) => listed.entries.push(entry),
                Err(error) => listed.leave_out(error),
            }
        }
        listed
    }

    fn add_alias<'a>(
        &'a self,
        lines: &mut Lines<'a>,
        alias: &str,
        prefix: &ImagePath,
        wish: Wish<'_>,
    ) {
        let strip = wish.options.strip.as_deref();
        let short = strip.and_then(|strip| alias.strip_prefix(strip));
        let Ok(alias) = short.unwrap_or(alias).parse::<ImagePath>() else {
            return;
        };
        let Some(rest) = alias.strip_prefix(prefix) else {
            return;
        };
        let Ok(found) = self.aliased(&alias, wish) else {
            return;
        };
        lines.there = true;
        if !rest.is_empty() && fingerprint(&alias).is_none() {
            let line = lines.all.entry(rest.to_string());
            line.or_insert(Line::Alias(found));
        }
    }
}

impl Listed {
    /// What is not there at all is no problem.
    fn leave_out(&mut self, error: Error) {
        if error.kind() != ErrorKind::NotFound {
            self.left_out += 1;
            self.problem.get_or_insert(error);
        }
    }
}

/// A listing while it is made.
#[derive(Default)]
struct Lines<'a> {
    all: BTreeMap<String, Line<'a>>,
    listed: Listed,
    /// Whether the prefix means anything.
    there: bool,
}

/// What a name in a listing is. Where it is several things, it is a folder before it is an image: the
/// image can be found below as well, or by another name, but what lies below the folder cannot.
enum Line<'a> {
    Alias(Found<'a>),
    Folder,
    Image,
}

impl Lines<'_> {
    fn add_product(&mut self, product: &Product, prefix: &ImagePath, wish: Wish<'_>) {
        let place = product.segments();
        if !is_below(product, &place, prefix) {
            return;
        }
        let rest = place.get(prefix.segments().len()..).unwrap_or_default();
        let build = prefix.segments().get(place.len()).map(String::as_str);
        if rest.is_empty() && build.is_none() {
            return self.add_builds(product, wish);
        }
        match (rest, product.choose(build, wish.options)) {
            (_, Err(error)) => self.listed.leave_out(error),
            ([name], Ok(_)) => {
                self.there = true;
                self.add_image(name);
            }
            ([name, ..], Ok(_)) => {
                self.there = true;
                self.all.insert((*name).to_owned(), Line::Folder);
            }
            // Nothing lies below a build.
            ([], Ok(_)) => self.there = true,
        }
    }

    fn add_builds(&mut self, product: &Product, wish: Wish<'_>) {
        for version in &product.versions {
            let Some(offer) = version.offer(wish.options) else {
                continue;
            };
            self.there = true;
            match product.found(version, offer, true) {
                Ok(_) => self.add_image(version.serial()),
                Err(error) => self.listed.leave_out(error),
            }
        }
    }

    fn add_image(&mut self, name: &str) {
        self.all.entry(name.to_owned()).or_insert(Line::Image);
    }
}

/// Whether the place of a product begins with the prefix, or the prefix names a build of it.
fn is_below(product: &Product, place: &[&str], prefix: &ImagePath) -> bool {
    let in_columns = product.place == Place::Columns;
    let prefix = prefix.segments();
    let same = |(n, (found, wanted)): (usize, (&&str, &String))| match n {
        0 if in_columns => **found == wanted.to_lowercase(),
        ARCHITECTURE if in_columns => architecture::same(found, wanted),
        _ => found == wanted,
    };
    prefix.len() <= place.len() + 1 && place.iter().zip(prefix).enumerate().all(same)
}

fn below(prefix: &ImagePath, name: &str) -> Result<ImagePath> {
    let prefix = prefix.segments().iter().map(String::as_str);
    ImagePath::from_segments(prefix.chain([name]))
}

fn entry(name: &str, kind: EntryKind, found: &Found<'_>) -> Entry {
    let mut entry = Entry::new(name, kind)
        .with_description(description(found))
        .with_property("build", found.version.serial())
        .with_property("fingerprint", found.choice.fingerprint.to_string())
        .with_property("type", found.choice.form.image_type().name())
        .with_property(
            "architecture",
            beginning(found.product.architecture(), MAX_WORD),
        );
    let sizes: Option<u64> = found.choice.files.iter().map(|file| file.size).sum();
    if let Some(size) = sizes {
        entry = entry.with_property("size", size.to_string());
    }
    entry
}

/// A sentence for people, as LXD makes it: `ubuntu trusty amd64 (default) (20240102_03:42)`.
pub(crate) fn description(found: &Found<'_>) -> Option<String> {
    let columns = found.product.columns.as_ref()?;
    let property = |name| found.product.property(found.version, name);
    let short = |text| beginning(text, MAX_WORD);
    let os = short(property("os").unwrap_or(&columns.os));
    let title = short(property("release_title").unwrap_or(&columns.release));
    let arch = short(found.product.architecture());
    let variant = short(&columns.variant);
    let label = match property("label") {
        Some(label) => format!(" ({})", short(label)),
        None => String::new(),
    };
    let serial = found.version.serial();
    let text = format!("{os} {title} {arch} ({variant}){label} ({serial})");
    Some(imagestore_core::printable(&text))
}

const ARCHITECTURE: usize = 2;
const MAX_WORD: usize = 80;
