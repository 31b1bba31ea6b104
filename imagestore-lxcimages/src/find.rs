use std::collections::{BTreeMap, BTreeSet};

use imagestore_core::{Entry, EntryKind, Error, ErrorKind, ImagePath, Result, architecture};

use crate::build::{form, seconds};
use crate::index::{Fault, Index, Line};
use crate::name::Name;
use crate::nearest::suggestion;

/// The build a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Distribution, release, architecture and variant, as the remote calls them.
    pub(crate) columns: [String; 4],
    pub(crate) build: String,
    /// Where `SHA256SUMS` is.
    pub(crate) sums: String,
    /// Where `meta.tar.xz` is.
    pub(crate) meta: String,
    /// Where `rootfs.tar.xz` is.
    pub(crate) rootfs: String,
    /// When the build was made, in seconds since 1970, if its id tells.
    pub(crate) seconds: Option<u64>,
}

type Row<'a> = (Line<'a>, Option<Fault>);

impl Index {
    /// The build a name stands for: the one it names, or the newest.
    pub(crate) fn find(&self, name: &Name) -> Result<Found> {
        let rows = self.matching(&name.columns());
        if rows.is_empty() {
            self.check_usable()?;
            return Err(self.no_such_image(&name.columns()));
        }
        let (line, _) = match &name.build {
            Some(build) => rows.iter().find(|(line, _)| line.build == build),
            None => newest(&rows),
        }
        .ok_or_else(|| no_such_build(name, &rows))?;
        let same_build = rows.iter().filter(|(other, _)| other.build == line.build);
        for (other, fault) in same_build {
            if let Some(fault) = fault {
                return Err(faulty(other, *fault));
            }
            if other.plain_path() != line.plain_path() {
                return Err(Error::new(
                    ErrorKind::Malformed,
                    format!(
                        "lines {} and {} of the index have two places for one build",
                        line.number, other.number
                    ),
                )
                .with_subject(shown(line)));
            }
        }
        Ok(Found {
            columns: line.columns().map(str::to_owned),
            build: line.build.to_owned(),
            sums: line.file("SHA256SUMS"),
            meta: line.file("meta.tar.xz"),
            rootfs: line.file("rootfs.tar.xz"),
            seconds: seconds(line.build),
        })
    }

    /// What lies one level below `prefix`, sorted by name.
    pub(crate) fn below(&self, prefix: &ImagePath) -> Result<Vec<Entry>> {
        self.check_usable()?;
        let wanted: Vec<&str> = prefix.segments().iter().map(String::as_str).collect();
        let (columns, build) = wanted.split_at(wanted.len().min(4));
        let rows: Vec<_> = self
            .matching(columns)
            .into_iter()
            .filter(|(_, f)| f.is_none())
            .collect();
        if rows.is_empty() {
            return Err(self.no_such_image(columns));
        }
        Ok(match (columns.len(), build) {
            (4, []) => builds(&rows),
            (4, [build]) if rows.iter().any(|(line, _)| line.build == *build) => Vec::new(),
            (4, _) => {
                return Err(Error::new(ErrorKind::NotFound, "no such build")
                    .with_subject(format_args!("`{prefix}`")));
            }
            (3, _) => variants(&rows),
            (depth, _) => {
                let names = rows
                    .iter()
                    .filter_map(|(line, _)| line.columns().get(depth).copied());
                let names: BTreeSet<_> = names.collect();
                names
                    .into_iter()
                    .map(|name| Entry::new(name, EntryKind::Folder))
                    .collect()
            }
        })
    }

    /// The lines whose first columns are these, in the order of the file. An architecture is meant
    /// by any of its names, but by its own first.
    fn matching(&self, columns: &[&str]) -> Vec<Row<'_>> {
        let fits = |found: &str, n: usize| match columns.get(n) {
            Some(wanted) if n == ARCHITECTURE => architecture::same(found, wanted),
            Some(wanted) => found == *wanted,
            None => true,
        };
        let mut rows: Vec<_> = self
            .rows()
            .filter(|(line, _)| {
                line.columns()
                    .iter()
                    .enumerate()
                    .all(|(n, found)| fits(found, n))
            })
            .collect();
        if let Some(wanted) = columns.get(ARCHITECTURE) {
            let exact = rows.iter().any(|(line, _)| line.architecture == *wanted);
            let first = rows.first().map(|(line, _)| line.architecture);
            let name = if exact { Some(*wanted) } else { first };
            rows.retain(|(line, _)| Some(line.architecture) == name);
        }
        rows
    }

    fn no_such_image(&self, columns: &[&str]) -> Error {
        // Up to the first column that has no line.
        let depth = (1..=columns.len())
            .find(|depth| {
                self.matching(&columns[..*depth])
                    .iter()
                    .all(|(_, fault)| fault.is_some())
            })
            .unwrap_or(columns.len());
        let (folder, wanted) = columns.split_at(depth.saturating_sub(1));
        let rows = self.matching(folder);
        let there: BTreeSet<_> = rows
            .iter()
            .filter(|(_, fault)| fault.is_none())
            .filter_map(|(line, _)| line.columns().get(folder.len()).copied())
            .collect();
        let error = Error::new(ErrorKind::NotFound, "no such image")
            .with_subject(format_args!("`{}`", columns.join("/")));
        match wanted.first() {
            Some(wanted) if !there.is_empty() => {
                error.with_remedy(suggestion(folder, wanted, &there))
            }
            _ => error,
        }
    }
}

/// The highest build if all are dated in one way, else the first line.
fn newest<'r, 'a>(rows: &'r [Row<'a>]) -> Option<&'r Row<'a>> {
    // A build that is no plain name is no build anybody can mean, unless there is no other.
    let named = || {
        rows.iter()
            .filter(|(_, fault)| *fault != Some(Fault::Build))
    };
    let first = named().next().or(rows.first())?;
    let shape = |row: &Row<'_>| seconds(row.0.build).and_then(|_| form(row.0.build));
    if shape(first).is_none() || named().any(|row| shape(row) != shape(first)) {
        return Some(first);
    }
    // Of equal ones the first, as where there is no order.
    named().rev().max_by_key(|(line, _)| line.build)
}

fn variants(rows: &[Row<'_>]) -> Vec<Entry> {
    let mut by_name: BTreeMap<&str, Vec<Row<'_>>> = BTreeMap::new();
    for row in rows {
        by_name.entry(row.0.variant).or_default().push(*row);
    }
    let entry = |(name, rows): (&str, Vec<Row<'_>>)| {
        let entry = Entry::new(name, EntryKind::Image);
        match newest(&rows) {
            Some((line, _)) => entry
                .with_property("architecture", line.architecture)
                .with_property("build", line.build),
            None => entry,
        }
    };
    by_name.into_iter().map(entry).collect()
}

fn builds(rows: &[Row<'_>]) -> Vec<Entry> {
    let names: BTreeSet<_> = rows.iter().map(|(line, _)| line.build).collect();
    names
        .into_iter()
        .map(|name| Entry::new(name, EntryKind::Image))
        .collect()
}

fn no_such_build(name: &Name, rows: &[Row<'_>]) -> Error {
    let there: BTreeSet<_> = rows
        .iter()
        .filter(|(_, fault)| fault.is_none())
        .map(|(line, _)| line.build)
        .collect();
    let build = name.build.as_deref().unwrap_or_default();
    let error = Error::new(ErrorKind::NotFound, "no such build")
        .with_subject(format_args!("`{}/{build}`", name.columns().join("/")));
    match there.len() {
        0 => error,
        _ => error.with_remedy(suggestion(&[], build, &there)),
    }
}

fn faulty(line: &Line<'_>, fault: Fault) -> Error {
    let (kind, what) = match fault {
        Fault::Build => (ErrorKind::Malformed, "has a build that is no plain name"),
        Fault::NoPath => (ErrorKind::Malformed, "has no path"),
        Fault::Path => (ErrorKind::Unsafe, "has a path that could leave its server"),
    };
    let value = if fault == Fault::Build {
        line.build
    } else {
        line.path
    };
    let value: String = value.chars().take(200).collect();
    Error::new(kind, format!("line {} of the index {what}", line.number))
        .with_subject(format_args!("{} (`{value}`)", line.columns().join("/")))
}

fn shown(line: &Line<'_>) -> String {
    format!("{}/{}", line.columns().join("/"), line.build)
}

const ARCHITECTURE: usize = 2;

#[cfg(test)]
mod tests;
