use std::path::PathBuf;

/// What a build is made of.
///
/// # Defaults
/// No deltas, no detail beyond the version, offered to every device, no restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuildContents {
    /// Its parts, in the order in which they are applied.
    pub parts: Vec<Part>,
    /// What went into it, as `name=value` separated by commas; the version is added.
    pub detail: String,
    /// The published build from which a delta is made, besides the full image.
    pub delta_from: Option<u32>,
    /// The lowest installed build from which the full image may be used.
    pub minimum: Option<u32>,
    /// Whether to restart after it.
    pub bootme: bool,
}

impl BuildContents {
    /// A build of these parts.
    #[must_use]
    pub fn new(parts: Vec<Part>) -> Self {
        Self {
            parts,
            ..Self::default()
        }
    }

    /// With a delta from this build too.
    #[must_use]
    pub fn with_delta_from(mut self, base: u32) -> Self {
        self.delta_from = Some(base);
        self
    }

    /// What went into it.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }
}

/// One part of a build: the tree that one tarball holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What its tarballs are called: `rootfs`, `device`, `boot`, `custom`.
    pub name: String,
    /// A directory with `system`, `partitions` and `data`.
    pub tree: PathBuf,
}

impl Part {
    /// The part of this name, from this directory.
    #[must_use]
    pub fn new(name: impl Into<String>, tree: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            tree: tree.into(),
        }
    }
}

/// What a channel is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SystemChannel {
    /// The images of another channel, each with a version tarball of its own.
    Alias {
        /// The other channel.
        target: String,
    },
    /// A channel of its own.
    Own {
        /// Whether listings leave it out.
        hidden: bool,
    },
    /// A channel whose devices are sent to another one.
    Redirect {
        /// The other channel.
        target: String,
    },
}
