use std::path::{Path, PathBuf};

use super::publisher::Skipped;
use super::{Mode, build};
use crate::build_id::BuildId;
use crate::error::PublishError;
use crate::image_name::ImageName;
use crate::steps;

/// The builds of a tree, as they lie on the disk.
#[derive(Debug, Default)]
pub(crate) struct Builds {
    /// By image; within an image the newest first.
    found: Vec<Found>,
}

#[derive(Debug)]
struct Found {
    name: ImageName,
    builds: Vec<BuildId>,
}

impl Builds {
    /// What lies below `images/`. Names that no publisher gives are not looked at.
    pub(crate) fn scan(images: &Path) -> Result<Self, PublishError> {
        let mut found = Vec::new();
        for distribution in steps::names(images)? {
            let folder = images.join(&distribution);
            for release in below(&folder)? {
                for architecture in below(&folder.join(&release))? {
                    for variant in below(&folder.join(&release).join(&architecture))? {
                        let Ok(name) =
                            ImageName::new(&distribution, &release, &architecture, &variant)
                        else {
                            continue;
                        };
                        let builds = builds_of(&name.folder(images))?;
                        found.push(Found { name, builds });
                    }
                }
            }
        }
        Ok(Self { found })
    }

    /// The lines of one index: per image the newest build that is complete and serves the mode.
    pub(super) fn lines(&self, images: &Path, mode: Mode, skipped: &mut Vec<Skipped>) -> Vec<Line> {
        let mut lines = Vec::new();
        for Found { name, builds } in &self.found {
            for build in builds {
                let folder = name.folder(images).join(build.to_string());
                let problem = match build::missing(&folder) {
                    Some(file) => Some(format!("has no {file}")),
                    None => match build::meta(&folder) {
                        Ok(meta) if meta.serves(mode) => None,
                        Ok(_) => Some(format!("has no configuration for index-{mode}")),
                        Err(error) => Some(error.to_string()),
                    },
                };
                match problem {
                    Some(problem) => skipped.push(Skipped { folder, problem }),
                    None => {
                        lines.push(Line {
                            name: name.clone(),
                            build: *build,
                        });
                        break;
                    }
                }
            }
        }
        // By bytes, as `sort` does in the C locale.
        lines.sort_unstable_by_key(Line::to_string);
        lines
    }

    /// The folders of builds beyond the newest `keep` of each image, but for those that an index names.
    pub(super) fn beyond(&self, images: &Path, keep: usize, listed: &[Line]) -> Vec<PathBuf> {
        let mut old = Vec::new();
        for Found { name, builds } in &self.found {
            for build in builds.iter().skip(keep) {
                if !listed
                    .iter()
                    .any(|line| line.name == *name && line.build == *build)
                {
                    old.push(name.folder(images).join(build.to_string()));
                }
            }
        }
        old
    }

    /// All images with their builds, the newest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&ImageName, &[BuildId])> {
        self.found
            .iter()
            .map(|found| (&found.name, found.builds.as_slice()))
    }

    /// The folders of all images.
    pub(crate) fn folders(&self, images: &Path) -> Vec<PathBuf> {
        self.found
            .iter()
            .map(|found| found.name.folder(images))
            .collect()
    }
}

/// The builds in the folder of an image, the newest first.
pub(crate) fn builds_of(folder: &Path) -> Result<Vec<BuildId>, PublishError> {
    let names = steps::names(folder)?;
    let mut builds: Vec<BuildId> = names.iter().filter_map(|name| name.parse().ok()).collect();
    builds.sort_unstable_by(|one, other| other.cmp(one));
    Ok(builds)
}

/// A line of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    name: ImageName,
    build: BuildId,
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, build } = self;
        let (distribution, release) = (name.distribution(), name.release());
        let (architecture, variant) = (name.architecture(), name.variant());
        write!(
            f,
            "{distribution};{release};{architecture};{variant};{build};/images/{name}/{build}/"
        )
    }
}

/// The names in a folder that may be folders; none if it is a file.
fn below(folder: &Path) -> Result<Vec<String>, PublishError> {
    if folder.is_dir() {
        steps::names(folder)
    } else {
        Ok(Vec::new())
    }
}
