use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use imagestore_verify::Verified;

use crate::context::Context;
use crate::error::Result;
use crate::image::Image;
use crate::image_path::ImagePath;
use crate::remote::RemoteConfig;

/// Code that speaks one protocol to one remote.
///
/// # Contract
/// Answers are [`Verified`]: nothing a remote says may be parsed, let alone returned, before it has
/// been checked against the trust of [`ImageSource::remote`]. All input and output goes through the
/// transport of the [`Context`]. Only [`ImageSource::forget`] has a default, so that a wrapper that
/// forgets another method does not compile; this one it must hand on all the same.
///
/// A source lives as long as a [`Resolver`](crate::Resolver) keeps it, days in a daemon. What it
/// keeps of a remote it must itself throw away when it is old.
#[async_trait]
pub trait ImageSource: Debug + Send + Sync {
    /// The remote this source speaks to.
    fn remote(&self) -> &RemoteConfig;

    /// What `path` names: an image, or another remote that knows.
    async fn lookup(&self, path: &ImagePath) -> Result<Verified<Lookup>>;

    /// What lies one level below `prefix`, sorted by name, or another remote that knows.
    async fn list(&self, prefix: &ImagePath) -> Result<Verified<Listing>>;

    /// What this source told was out of date: a file it led to is gone. The next answer comes from
    /// the remote itself, past what is kept here. Asks nobody.
    ///
    /// # Defaults
    /// Does nothing: right for a source that keeps nothing from one answer to the next.
    fn forget(&self) {}
}

/// Makes sources for one protocol. This is what a program registers with a
/// [`Resolver`](crate::Resolver).
pub trait Protocol: Debug + Send + Sync {
    /// The name behind the `+` in the URL of a remote.
    fn name(&self) -> &'static str;

    /// The source for a remote of this protocol. Asks nobody.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`](crate::ErrorKind::InvalidConfig) if the remote lacks what the
    /// protocol needs.
    fn source(&self, remote: RemoteConfig, context: &Context) -> Result<Arc<dyn ImageSource>>;
}

/// The answer to [`ImageSource::lookup`].
#[derive(Clone, Debug)]
pub enum Lookup {
    /// Here it is.
    Image(Box<Image>),
    /// Ask that remote for the rest.
    Referral(Box<Referral>),
}

/// The answer to [`ImageSource::list`].
#[derive(Clone, Debug)]
pub enum Listing {
    /// What lies one level below.
    Entries {
        /// The entries, sorted by name.
        entries: Vec<Entry>,
        /// How long ago the remote said this, if it could not be reached to say it anew.
        stale: Option<Duration>,
    },
    /// Ask that remote for the rest.
    Referral(Box<Referral>),
}

impl Listing {
    /// These entries, as the remote has them now.
    #[must_use]
    pub fn of(entries: Vec<Entry>) -> Self {
        Self::Entries {
            entries,
            stale: None,
        }
    }

    /// How long ago the remote said this, if it could not be reached to say it anew. A referral
    /// stays as it is.
    #[must_use]
    pub fn with_stale(mut self, age: Option<Duration>) -> Self {
        if let Self::Entries { stale, .. } = &mut self {
            *stale = age;
        }
        self
    }
}

/// "Ask that remote for the rest."
#[derive(Clone, Debug)]
pub struct Referral {
    /// Whom to ask, with the keys and certificates to believe there.
    pub remote: RemoteConfig,
    /// What to ask for.
    pub rest: ImagePath,
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// What to append to the prefix. An alias may hold slashes.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// A sentence for people.
    pub description: Option<String>,
    /// More for people: `build`, `architecture`, `protocol`, …
    pub properties: BTreeMap<String, String>,
}

impl Entry {
    /// An entry of this name.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: EntryKind) -> Self {
        Self {
            name: name.into(),
            kind,
            description: None,
            properties: BTreeMap::new(),
        }
    }

    /// A sentence for people.
    #[must_use]
    pub fn with_description(mut self, description: Option<String>) -> Self {
        self.description = description;
        self
    }

    /// One more thing for people.
    #[must_use]
    pub fn with_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(name.into(), value.into());
        self
    }
}

/// What an [`Entry`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum EntryKind {
    /// Another name for an image.
    Alias,
    /// There is more below it.
    Folder,
    /// It can be fetched.
    Image,
    /// Another remote.
    Remote,
}

impl EntryKind {
    /// The name in lower case, the same in every version.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Alias => "alias",
            Self::Folder => "folder",
            Self::Image => "image",
            Self::Remote => "remote",
        }
    }
}
