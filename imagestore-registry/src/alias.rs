use std::collections::BTreeMap;

use imagestore_core::{Entry, EntryKind, Error, ErrorKind, ImagePath, Result};

use crate::wire::{Text, WireAlias, short};

/// A short name of an image on one of the servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    target: Target,
    arguments: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Missing,
    Server(String),
    Two(String, String),
}

impl Alias {
    pub(crate) fn from_wire(wire: WireAlias) -> Self {
        let target = match (wire.server, wire.remote) {
            (Some(Text(server)), Some(Text(remote))) if server != remote => {
                Target::Two(server, remote)
            }
            (Some(Text(server)), _) => Target::Server(server),
            // An older name of the same field.
            (None, Some(Text(remote))) => Target::Server(remote),
            (None, None) => Target::Missing,
        };
        Self {
            target,
            arguments: wire.arguments.0,
        }
    }

    /// What the alias fixes: `distribution`, `release`, `variant`.
    #[must_use]
    pub fn arguments(&self) -> &BTreeMap<String, String> {
        &self.arguments
    }

    /// The name of the server it leads to.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if it leads to none or to two.
    pub fn server(&self) -> Result<&str> {
        let message = match &self.target {
            Target::Server(name) => return Ok(name),
            Target::Missing => "names no server".to_owned(),
            Target::Two(one, other) => {
                format!("names two servers, `{}` and `{}`", short(one), short(other))
            }
        };
        Err(malformed(message))
    }

    /// The path on the server of what `rest`, behind the name of the alias, asks for.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if the alias names no image, [`ErrorKind::NotFound`] if `rest` is
    /// not `[ARCH][/BUILD]`.
    pub(crate) fn image(&self, rest: &ImagePath, architecture: &str) -> Result<ImagePath> {
        let Some(folder) = self.folder()? else {
            return Ok(rest.clone());
        };
        let (arch, build) = split(rest)?;
        let mut path = folder.to_vec();
        path.push(arch.unwrap_or(architecture));
        path.push(self.variant());
        path.extend(build);
        from_index(path)
    }

    /// The path on the server of what lies one level below `rest`, behind the name of the alias.
    ///
    /// # Errors
    /// As for [`Alias::image`].
    pub(crate) fn prefix(&self, rest: &ImagePath) -> Result<ImagePath> {
        let Some(folder) = self.folder()? else {
            return Ok(rest.clone());
        };
        let mut path = folder.to_vec();
        match split(rest)? {
            (None, None) => {}
            (Some(arch), build) => {
                path.extend([arch, self.variant()]);
                path.extend(build);
            }
            (None, Some(_)) => return Err(not_found(rest)),
        }
        from_index(path)
    }

    /// Its line in a listing.
    pub(crate) fn entry(&self, name: String) -> Entry {
        let mut entry = Entry::new(name, EntryKind::Alias);
        if let Ok(server) = self.server() {
            entry = entry.with_property("server", short(server));
        }
        for key in ["distribution", "release", "variant"] {
            if let Some(value) = self.arguments.get(key) {
                entry = entry.with_property(key, short(value));
            }
        }
        entry
    }

    /// Distribution and release, or nothing if the alias is another name for the server alone.
    fn folder(&self) -> Result<Option<[&str; 2]>> {
        match (
            self.arguments.get("distribution"),
            self.arguments.get("release"),
        ) {
            (Some(distribution), Some(release)) => Ok(Some([distribution, release])),
            (None, None) => Ok(None),
            (Some(_), None) => Err(malformed("names a distribution but no release")),
            (None, Some(_)) => Err(malformed("names a release but no distribution")),
        }
    }

    fn variant(&self) -> &str {
        self.arguments
            .get("variant")
            .map_or("default", String::as_str)
    }
}

/// Whether a segment selects a build: `20150427`, `20150427_03:49`, `2024-03-13`.
fn is_build(segment: &str) -> bool {
    let shaped = |shape: &str| {
        segment.len() == shape.len()
            && segment
                .bytes()
                .zip(shape.bytes())
                .all(|(found, wanted)| match wanted {
                    b'0' => found.is_ascii_digit(),
                    mark => found == mark,
                })
    };
    ["00000000", "00000000_00:00", "0000-00-00"]
        .into_iter()
        .any(shaped)
}

fn split(rest: &ImagePath) -> Result<(Option<&str>, Option<&str>)> {
    match rest.segments() {
        [] => Ok((None, None)),
        [build] if is_build(build) => Ok((None, Some(build))),
        [arch] => Ok((Some(arch), None)),
        [arch, build] if is_build(build) => Ok((Some(arch), Some(build))),
        _ => Err(not_found(rest)),
    }
}

fn not_found(rest: &ImagePath) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("nothing of the name `{rest}` below an alias"),
    )
    .with_remedy("write ALIAS[/ARCHITECTURE][/BUILD], or name the server")
}

fn from_index(path: Vec<&str>) -> Result<ImagePath> {
    ImagePath::from_segments(path).map_err(|cause| malformed("names no image").with_source(cause))
}

fn malformed(why: impl AsRef<str>) -> Error {
    Error::new(
        ErrorKind::Malformed,
        format!("an alias of the registry {}", why.as_ref()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_builds_by_their_form() {
        for build in ["20140910", "20150427_03:49", "2024-03-13"] {
            assert!(is_build(build), "{build}");
        }
        for other in [
            "",
            "default",
            "2014091",
            "20150427_03.49",
            "2024-3-13",
            "20150427_03:49x",
            "２０１４０９１０",
        ] {
            assert!(!is_build(other), "{other}");
        }
    }
}
