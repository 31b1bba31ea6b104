use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::date;
use crate::error::{ParseError, Skipped, form};
use crate::json::{Array, Object, parse, short};
use imagestore_core::printable;

/// What the `index.json` of a channel and device says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    generated_at: u64,
    builds: Vec<Build>,
    skipped: Vec<Skipped>,
}

impl Index {
    /// The index in these bytes, which must have been checked.
    ///
    /// An entry that cannot be used is left out and noted; of two with the same version and base
    /// the first counts, as on the phone.
    ///
    /// # Errors
    /// [`ParseError`] if they are no index, or if nothing of it is left.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let document: Object<'_> = parse(bytes).map_err(bad)?;
        let generated_at: String = document
            .object("global")
            .and_then(|global| global.required("generated_at"))
            .map_err(bad)?;
        let generated_at = date::parse(&generated_at).ok_or_else(|| {
            bad(format!(
                "`generated_at` is `{}`, not a date such as `Mon Dec 18 08:54:59 UTC 2017`",
                short(&generated_at)
            ))
        })?;
        let images = document
            .raw("images")
            .ok_or_else(|| bad("`images` is missing".to_owned()))?;
        let images: Array<'_, MAX_IMAGES> = serde_json::from_str(images.get())
            .map_err(|error| bad(printable(&format!("`images`: {error}"))))?;
        let (mut builds, mut skipped) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for (place, image) in images.0.iter().enumerate() {
            let entry = format!("images[{place}]");
            match Object::of(image).and_then(|object| build(&object)) {
                Ok(build) if !seen.insert((build.version, build.base())) => {
                    let problem = format!("{build} is there already; the first one counts");
                    skipped.push(Skipped { entry, problem });
                }
                Ok(build) => builds.push(build),
                Err(problem) => skipped.push(Skipped { entry, problem }),
            }
        }
        if let (true, Some(first)) = (builds.is_empty(), skipped.first()) {
            return Err(ParseError::NothingLeft {
                what: WHAT,
                count: skipped.len(),
                problem: first.to_string(),
            });
        }
        Ok(Self {
            generated_at,
            builds,
            skipped,
        })
    }

    /// When it was made, in seconds since 1970.
    #[must_use]
    pub fn generated_at(&self) -> u64 {
        self.generated_at
    }

    /// What can be installed, in the order of the index.
    #[must_use]
    pub fn builds(&self) -> &[Build] {
        &self.builds
    }

    /// What was left out.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// The same index without what is above a version.
    #[must_use]
    pub fn up_to(&self, version: u32) -> Self {
        let builds = self.builds.iter().filter(|build| build.version <= version);
        Self {
            builds: builds.cloned().collect(),
            ..self.clone()
        }
    }

    /// The highest version there is.
    #[must_use]
    pub fn newest(&self) -> Option<u32> {
        self.builds.iter().map(|build| build.version).max()
    }
}

/// One entry of an index: all of a version, or the way to it from an older one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Build {
    /// Its number, from 1 to 65535.
    pub version: u32,
    /// Whether it stands alone.
    pub kind: BuildKind,
    /// The texts for people, by key: `description`, `description-fr`, …
    pub descriptions: BTreeMap<String, String>,
    /// What went into it, as `name=value` separated by commas.
    pub version_detail: String,
    /// How many of a hundred devices are offered it; 0 means that it was withdrawn.
    pub phased_percentage: u8,
    /// The lowest installed version from which this full image may be used.
    pub minimum: i64,
    /// Whether to reboot after it before going on.
    pub bootme: bool,
    /// Its files, in the order of the index.
    pub files: Vec<IndexFile>,
}

impl Build {
    /// The version it is applied to; none for a full image.
    #[must_use]
    pub fn base(&self) -> Option<u32> {
        match self.kind {
            BuildKind::Delta { base } => Some(base),
            BuildKind::Full => None,
        }
    }

    /// Whether it is a full image.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.kind == BuildKind::Full
    }

    /// The sum of the sizes that the index gives for its files.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.files
            .iter()
            .fold(0, |sum, file| sum.saturating_add(file.size))
    }

    /// What went into it: the parts of [`Build::version_detail`] that are `name=value`.
    pub fn details(&self) -> impl Iterator<Item = (&str, &str)> {
        self.version_detail
            .split(',')
            .filter_map(|part| part.split_once('='))
    }
}

/// `F1300` is the full image 1300, `D1302<1300` the delta from 1300 to 1302.
impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            BuildKind::Delta { base } => write!(f, "D{}<{base}", self.version),
            BuildKind::Full => write!(f, "F{}", self.version),
        }
    }
}

/// What a [`Build`] is applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BuildKind {
    /// The version `base`, and no other.
    Delta {
        /// The version it leads on from.
        base: u32,
    },
    /// Nothing.
    Full,
}

/// A file as an index announces it. Paths and digest are judged when the file is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexFile {
    /// Where it is.
    pub path: String,
    /// Where its signature is.
    pub signature: String,
    /// Its SHA-256, in hexadecimal digits.
    pub checksum: String,
    /// How many bytes it has at most.
    pub size: u64,
    /// Its place among the files of the build when they are applied.
    pub order: i64,
}

impl IndexFile {
    /// The name it has on a device: what follows the last slash of its path.
    #[must_use]
    pub fn local_name(&self) -> &str {
        last(&self.path)
    }

    /// The name its signature has on a device.
    #[must_use]
    pub fn local_signature(&self) -> &str {
        last(&self.signature)
    }
}

fn build(object: &Object<'_>) -> Result<Build, String> {
    let version = number(object, "version", 1)?;
    let kind: String = object.required("type")?;
    let kind = match kind.as_str() {
        "full" => BuildKind::Full,
        "delta" => BuildKind::Delta {
            base: number(object, "base", 0)?,
        },
        other => return Err(format!("`type` is `{}`", short(other))),
    };
    if let BuildKind::Delta { base } = kind
        && base >= version
    {
        // The phone would go round in a circle.
        return Err(format!("the delta to {version} has the base {base}"));
    }
    let files: Array<'_, MAX_FILES> = match object.raw("files") {
        Some(files) => serde_json::from_str(files.get())
            .map_err(|error| format!("`files` of {version}: {error}"))?,
        None => Array::default(),
    };
    let files = files.0.iter().enumerate().map(|(place, value)| {
        Object::of(value)
            .and_then(|object| file(&object))
            .map_err(|problem| format!("`files[{place}]` of {version}: {problem}"))
    });
    Ok(Build {
        version,
        kind,
        descriptions: descriptions(object),
        version_detail: object.optional("version_detail")?.unwrap_or_default(),
        phased_percentage: percentage(object)?,
        minimum: object.optional("minversion")?.unwrap_or(0),
        bootme: object.optional("bootme")?.unwrap_or(false),
        files: files.collect::<Result<_, _>>()?,
    })
}

fn number(object: &Object<'_>, key: &str, lowest: u32) -> Result<u32, String> {
    let value: u32 = object.required(key)?;
    if (lowest..=MAX_VERSION).contains(&value) {
        return Ok(value);
    }
    Err(format!(
        "`{key}` is {value}, not between {lowest} and {MAX_VERSION}"
    ))
}

fn percentage(object: &Object<'_>) -> Result<u8, String> {
    let Some(value) = object.raw("phased-percentage") else {
        return Ok(100);
    };
    // The phone reads a number in quotes too.
    let text = value.get().trim().trim_matches('"');
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let parsed: Option<u8> = plain.then(|| text.parse().ok()).flatten();
    parsed
        .filter(|percentage| *percentage <= 100)
        .ok_or_else(|| format!("`phased-percentage` is {}", short(value.get())))
}

/// Every key that begins with `description`, and the object of 2013. They inform and decide
/// nothing, so what is no text is left out.
fn descriptions(object: &Object<'_>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (key, value) in object.iter() {
        if key == "descriptions" {
            if let Ok(all) = Object::of(value) {
                found.extend(all.iter().filter_map(|(key, value)| text(key, value)));
            }
        } else if key.starts_with("description") {
            found.extend(text(key, value));
        }
    }
    found
}

fn text(key: &str, value: &serde_json::value::RawValue) -> Option<(String, String)> {
    Some((key.to_owned(), serde_json::from_str(value.get()).ok()?))
}

fn file(object: &Object<'_>) -> Result<IndexFile, String> {
    let path = |key: &str| -> Result<String, String> {
        let path: String = object.required(key)?;
        if path.chars().any(char::is_control) {
            return Err(format!("`{key}` is `{}`", short(&path)));
        }
        Ok(path)
    };
    let size: u64 = object.required("size")?;
    if size > MAX_SIZE {
        return Err(format!(
            "`size` is {size}, at most {MAX_SIZE} bytes are allowed"
        ));
    }
    Ok(IndexFile {
        path: path("path")?,
        signature: path("signature")?,
        checksum: object.required("checksum")?,
        size,
        order: object.required("order")?,
    })
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn bad(problem: impl Into<String>) -> ParseError {
    form(WHAT, problem)
}

const WHAT: &str = "an index";
const MAX_IMAGES: usize = 10_000;
const MAX_FILES: usize = 100;
const MAX_VERSION: u32 = 65_535;
const MAX_SIZE: u64 = 16 << 30;

#[cfg(test)]
mod tests;
