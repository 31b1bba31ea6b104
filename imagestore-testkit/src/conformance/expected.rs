use std::collections::BTreeSet;

use imagestore_core::{FileRole, ImagePath};

/// What a remote is known to hold.
#[derive(Clone, Debug)]
pub struct Expected {
    pub(super) names: Vec<ImagePath>,
    pub(super) answer: Answered,
    pub(super) missing: Vec<ImagePath>,
    pub(super) folders: Vec<Folder>,
}

impl Expected {
    /// `path` is an image of this build with files of these roles, in this order.
    #[must_use]
    pub fn image(path: &str, build: &str, roles: impl IntoIterator<Item = FileRole>) -> Self {
        let roles = roles.into_iter().collect();
        Self::new(
            path,
            Answered::Image {
                build: build.to_owned(),
                roles,
            },
        )
    }

    /// `path` leads to the remote with this URL, where the rest is `rest`.
    #[must_use]
    pub fn referral(path: &str, url: &str, rest: &str) -> Self {
        Self::new(
            path,
            Answered::Referral {
                url: url.to_owned(),
                rest: parse(rest),
            },
        )
    }

    /// `path` is another name for the same.
    #[must_use]
    pub fn with_alias(mut self, path: &str) -> Self {
        self.names.push(parse(path));
        self
    }

    /// There is nothing at `path`.
    #[must_use]
    pub fn with_missing(mut self, path: &str) -> Self {
        self.missing.push(parse(path));
        self
    }

    /// A listing of `prefix` has entries of exactly these names.
    #[must_use]
    pub fn with_listing<'a>(
        mut self,
        prefix: &str,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let names = names.into_iter().map(str::to_owned).collect();
        self.folders.push(Folder {
            prefix: parse(prefix),
            names,
        });
        self
    }

    fn new(path: &str, answer: Answered) -> Self {
        Self {
            names: vec![parse(path)],
            answer,
            missing: Vec::new(),
            folders: Vec::new(),
        }
    }

    pub(super) fn name(&self) -> &ImagePath {
        &self.names[0]
    }
}

#[derive(Clone, Debug)]
pub(super) enum Answered {
    Image { build: String, roles: Vec<FileRole> },
    Referral { url: String, rest: ImagePath },
}

#[derive(Clone, Debug)]
pub(super) struct Folder {
    pub(super) prefix: ImagePath,
    pub(super) names: BTreeSet<String>,
}

pub(super) fn parse(path: &str) -> ImagePath {
    path.parse()
        .unwrap_or_else(|error| panic!("`{path}`: {error}"))
}
