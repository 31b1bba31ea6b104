use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use imagestore_core::printable;

use crate::error::ParseError;
use crate::yaml::{Node, wrong};

/// What `metadata.yaml` of an image says.
///
/// # Deviation
/// Hosts refuse a property that is a list; images of 2015 have such. Here its parts are joined.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// The architecture, under the name its author used.
    pub architecture: String,
    /// When it was made.
    pub creation_date: SystemTime,
    /// When it should no longer be used.
    pub expiry_date: Option<SystemTime>,
    /// For people: `os`, `release`, `description`, …
    pub properties: BTreeMap<String, String>,
    /// Files to be written into an instance, by their absolute path there.
    pub templates: BTreeMap<String, Template>,
}

/// A file to be written into an instance. It is data: nothing here runs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Template {
    /// Upon what: `create`, `copy`, `start`, `rename`.
    pub when: Vec<String>,
    /// Whether a file that is there stays.
    pub create_only: bool,
    /// The plain name of its text in `templates/`.
    pub template: String,
    /// Values for the text.
    pub properties: BTreeMap<String, String>,
}

impl Metadata {
    /// Reads a `metadata.yaml`, which has at most 1 MiB.
    ///
    /// # Errors
    /// [`ParseError`] if it is larger, is not YAML, holds aliases of values, or lacks what every
    /// image has; [`ParseError::Unsafe`] if a template could lie outside of its place.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let node = Node::parse(bytes, MAX_BYTES)?;
        let architecture = required(&node, "architecture")?.text("architecture")?;
        if architecture.is_empty() {
            return Err(wrong("`architecture` is empty"));
        }
        let creation_date = required(&node, "creation_date")?.number("creation_date")?;
        if creation_date == 0 {
            return Err(wrong("`creation_date` is 0"));
        }
        let expiry_date = match node.get("expiry_date") {
            Some(date) => date.number("expiry_date")?,
            None => 0,
        };
        let mut templates = BTreeMap::new();
        if let Some(all) = node.get("templates") {
            for (path, value) in all.pairs("templates")? {
                check_path(path)?;
                templates.insert(path.clone(), template(path, value)?);
            }
        }
        Ok(Self {
            architecture: architecture.to_owned(),
            creation_date: time(creation_date)?,
            expiry_date: (expiry_date > 0).then(|| time(expiry_date)).transpose()?,
            properties: properties(&node)?,
            templates,
        })
    }
}

fn required<'a>(node: &'a Node, key: &str) -> Result<&'a Node, ParseError> {
    node.get(key)
        .ok_or_else(|| wrong(&format!("metadata.yaml has no `{key}`")))
}

fn time(seconds: u64) -> Result<SystemTime, ParseError> {
    Some(seconds)
        .filter(|seconds| *seconds <= LAST_SECOND)
        .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
        .ok_or_else(|| wrong(&format!("{seconds} is no date")))
}

fn properties(node: &Node) -> Result<BTreeMap<String, String>, ParseError> {
    let mut all = BTreeMap::new();
    let Some(properties) = node.get("properties") else {
        return Ok(all);
    };
    for (name, value) in properties.pairs("properties")? {
        let text = match value {
            Node::List(items) => {
                let items: Result<Vec<_>, _> = items.iter().map(|item| item.text(name)).collect();
                items?.join(", ")
            }
            value => value.text(name)?.to_owned(),
        };
        all.insert(name.clone(), text);
    }
    Ok(all)
}

fn template(path: &str, node: &Node) -> Result<Template, ParseError> {
    let name = match node.get("template") {
        Some(name) => name.text("template")?,
        None => {
            let shown: String = path.chars().take(80).collect();
            return Err(wrong(&format!(
                "template `{}` has no text",
                printable(&shown)
            )));
        }
    };
    check_name(name)?;
    let when = match node.get("when") {
        Some(Node::List(items)) => {
            let items: Result<Vec<_>, _> = items.iter().map(|item| item.text("when")).collect();
            items?.into_iter().map(str::to_owned).collect()
        }
        Some(_) => return Err(wrong("`when` is no list")),
        None => Vec::new(),
    };
    Ok(Template {
        when,
        create_only: node
            .get("create_only")
            .map_or(Ok(false), |value| value.truth("create_only"))?,
        template: name.to_owned(),
        properties: properties(node)?,
    })
}

/// A template is written where its path says, below the root of the instance.
fn check_path(path: &str) -> Result<(), ParseError> {
    let fine = path.len() <= MAX_PATH
        && path.strip_prefix('/').is_some_and(|inner| {
            !inner.is_empty()
                && inner
                    .split('/')
                    .all(|part| !matches!(part, "" | "." | ".."))
        })
        && !path.contains('\0');
    if fine {
        return Ok(());
    }
    Err(leaves("a template", path))
}

/// Its text is read where its name says, below `templates/`.
fn check_name(name: &str) -> Result<(), ParseError> {
    let fine = (1..=255).contains(&name.len())
        && !name.contains(['/', '\\'])
        && !name.starts_with(['.', '-'])
        && !name.chars().any(char::is_control);
    if fine {
        return Ok(());
    }
    Err(leaves("the text of a template", name))
}

fn leaves(what: &'static str, name: &str) -> ParseError {
    let shown: String = name.chars().take(80).collect();
    ParseError::Unsafe {
        what,
        name: printable(&shown),
    }
}

const MAX_BYTES: usize = 1 << 20;
const MAX_PATH: usize = 4095;
// The end of year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "architecture: x86_64\ncreation_date: 1424284563\n";

    fn parse(rest: &str) -> Result<Metadata, ParseError> {
        Metadata::parse(format!("{HEAD}{rest}").as_bytes())
    }

    #[test]
    fn reads_all_of_it() {
        let found = parse(
            "expiry_date: 1893456000\nproperties:\n  os: Ubuntu\n  release:\n    - trusty\n    - 14.04\n\
             templates:\n  /etc/hosts:\n    when: [create, rename]\n    create_only: true\n    template: hosts.tpl\n    \
             properties:\n      foo: bar\n",
        )
        .expect("metadata");
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(found.architecture, "x86_64");
        assert_eq!(
            (found.creation_date, found.expiry_date),
            (at(1_424_284_563), Some(at(1_893_456_000)))
        );
        assert_eq!(found.properties["release"], "trusty, 14.04");
        let template = &found.templates["/etc/hosts"];
        assert_eq!(template.when, ["create", "rename"]);
        assert!(template.create_only);
        assert_eq!(
            (
                template.template.as_str(),
                template.properties["foo"].as_str()
            ),
            ("hosts.tpl", "bar")
        );
        let least = parse("expiry_date: 0\ntemplates: {}\n").expect("the least");
        assert_eq!(least.expiry_date, None);
        assert!(least.templates.is_empty() && least.properties.is_empty());
    }

    #[test]
    fn refuses_what_lacks_or_misleads() {
        let long = format!("properties: {{a: {}}}\n", "x".repeat(2 << 20));
        for (rest, message) in [
            (
                "templates:\n  /../etc/passwd:\n    template: a\n",
                "a template leaves its place: `/../etc/passwd`",
            ),
            (
                "templates:\n  etc/hosts:\n    template: a\n",
                "a template leaves its place: `etc/hosts`",
            ),
            (
                "templates:\n  /etc/hosts:\n    template: ../../etc/shadow\n",
                "the text of a template leaves its place: `../../etc/shadow`",
            ),
            (
                "templates:\n  /etc/hosts:\n    template: \"a\\0\"\n",
                "the text of a template leaves its place: `a\\u{0}`",
            ),
            (
                "templates:\n  /etc/hosts: {}\n",
                "template `/etc/hosts` has no text",
            ),
            (
                "expiry_date: -1\n",
                "`expiry_date` is `-1`, not a number from 0 on",
            ),
            (
                "expiry_date: 99999999999999999\n",
                "99999999999999999 is no date",
            ),
            ("properties: [a]\n", "`properties` is no map"),
            (&long, "has 2097217 bytes, at most 1048576 are read"),
        ] {
            assert_eq!(parse(rest).expect_err(message).to_string(), message);
        }
        for (text, message) in [
            ("creation_date: 1\n", "metadata.yaml has no `architecture`"),
            (
                "architecture: x86_64\n",
                "metadata.yaml has no `creation_date`",
            ),
            (
                "architecture: x86_64\ncreation_date: 0\n",
                "`creation_date` is 0",
            ),
            ("", "metadata.yaml has no `architecture`"),
        ] {
            let error = Metadata::parse(text.as_bytes()).expect_err(message);
            assert_eq!(error.to_string(), message);
        }
    }
}
