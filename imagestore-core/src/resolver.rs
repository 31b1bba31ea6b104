use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use imagestore_verify::{Proof, Verified};

use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::image::Image;
use crate::image_path::ImagePath;
use crate::image_ref::{ImageRef, RemoteName};
use crate::remote::{Cleartext, RemoteConfig};
use crate::remote_url::Place;
use crate::source::{Entry, ImageSource, Listing, Lookup, Protocol, Referral};
use crate::sources::Sources;

/// Follows referrals from a configured remote to the one that has the image. It knows no protocol.
///
/// Sources are kept, so that what one of them keeps of an index serves many look-ups: the sixteen
/// that were asked last, each for one whole [`RemoteConfig`]. A remote with another key, certificate
/// or argument meets a new source. Clones share what is kept.
#[derive(Clone, Debug)]
pub struct Resolver {
    context: Context,
    protocols: Vec<Arc<dyn Protocol>>,
    remotes: BTreeMap<RemoteName, RemoteConfig>,
    default: Option<RemoteName>,
    sources: Sources,
}

impl Resolver {
    /// A resolver without protocols and remotes.
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self {
            context,
            protocols: Vec::new(),
            remotes: BTreeMap::new(),
            default: None,
            sources: Sources::default(),
        }
    }

    /// One more protocol; a later one of the same name replaces an earlier one. From here on nothing
    /// is shared with the resolvers this one is a clone of.
    #[must_use]
    pub fn with_protocol(mut self, protocol: Arc<dyn Protocol>) -> Self {
        self.protocols
            .retain(|known| known.name() != protocol.name());
        self.protocols.push(protocol);
        self.sources = Sources::default();
        self
    }

    /// One more remote; a later one of the same name replaces an earlier one.
    #[must_use]
    pub fn with_remote(mut self, remote: RemoteConfig) -> Self {
        self.remotes.insert(remote.name().clone(), remote);
        self
    }

    /// The remote meant by a reference that names none.
    #[must_use]
    pub fn with_default(mut self, default: Option<RemoteName>) -> Self {
        self.default = default;
        self
    }

    /// The configured remotes by name.
    pub fn remotes(&self) -> impl Iterator<Item = &RemoteConfig> {
        self.remotes.values()
    }

    /// The remote meant by a reference that names none.
    #[must_use]
    pub fn default_remote(&self) -> Option<&RemoteName> {
        self.default.as_ref()
    }

    /// What every source works with.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The image a reference names, and the way to it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for an unknown remote, [`ErrorKind::NotFound`] for an unknown
    /// image, [`ErrorKind::Loop`] for referrals without end, [`ErrorKind::Unsafe`] for a referral
    /// to a place it must not name, and those of the sources.
    pub async fn resolve(&self, reference: &ImageRef) -> Result<Resolution> {
        let mut walk = Walk::new(self, reference)?;
        self.walk(&mut walk).await.map(|image| walk.ended(image))
    }

    /// The image a path names at this source, which need not be that of a remote known here, and
    /// the way to it. Where it refers on, sources are those of this resolver.
    ///
    /// # Errors
    /// As for [`Resolver::resolve`].
    pub async fn resolve_from(
        &self,
        source: &dyn ImageSource,
        path: &ImagePath,
    ) -> Result<Resolution> {
        source.remote().check_reachable()?;
        let mut walk = Walk::at(source.remote().clone(), path.clone());
        let image = match walk.step(source, &self.context).await? {
            Some(image) => image,
            None => self.walk(&mut walk).await?,
        };
        Ok(walk.ended(image))
    }

    async fn walk(&self, walk: &mut Walk) -> Result<Verified<Image>> {
        loop {
            let source = self.source(&walk.remote)?;
            if let Some(image) = walk.step(&*source, &self.context).await? {
                return Ok(image);
            }
        }
    }

    /// What lies one level below a reference, and the way to it.
    ///
    /// # Errors
    /// As for [`Resolver::resolve`].
    pub async fn list(&self, reference: &ImageRef) -> Result<ListedEntries> {
        let mut walk = Walk::new(self, reference)?;
        loop {
            let source = self.source(&walk.remote)?;
            let answer = source.list(&walk.path).await?;
            walk.arrived(source.remote(), answer.proofs());
            match split_listing(answer) {
                Step::Done(listed) => {
                    let mut stale = None;
                    return Ok(ListedEntries {
                        entries: listed.map(|listed| {
                            stale = listed.stale;
                            listed.entries
                        }),
                        stale,
                        hops: walk.hops,
                    });
                }
                Step::Next(referral) => walk.follow(*referral, &self.context)?,
            }
        }
    }

    /// The source for a remote, by its protocol: the one that is kept, or a new one.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the protocol is not registered, [`ErrorKind::InvalidConfig`]
    /// if the remote may not be asked.
    pub fn source(&self, remote: &RemoteConfig) -> Result<Arc<dyn ImageSource>> {
        let wanted = remote.url().protocol();
        let Some(protocol) = self.protocols.iter().find(|known| known.name() == wanted) else {
            let mut names: Vec<_> = self.protocols.iter().map(|known| known.name()).collect();
            names.sort_unstable();
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("no support for the protocol `{wanted}`"),
            )
            .with_subject(remote.url())
            .with_remedy(format!("protocols here are {}", names.join(", "))));
        };
        remote.check_reachable()?;
        self.sources
            .of(remote, || protocol.source(remote.clone(), &self.context))
    }

    /// Lets the source of the last hop forget what the remote told it: a file it led to is gone. See
    /// [`ImageSource::forget`].
    pub fn forget(&self, hops: &[Hop]) {
        if let Some(last) = hops.last() {
            self.sources.forget(&last.remote);
        }
    }

    fn remote(&self, name: Option<&RemoteName>) -> Result<&RemoteConfig> {
        let Some(name) = name.or(self.default.as_ref()) else {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "a reference names no remote, and there is no default",
            )
            .with_remedy("write it as REMOTE:PATH"));
        };
        self.remotes.get(name).ok_or_else(|| {
            let names: Vec<_> = self.remotes.keys().map(RemoteName::as_str).collect();
            let remedy = if names.is_empty() {
                "no remotes are configured".to_owned()
            } else {
                format!("remotes here are {}", names.join(", "))
            };
            Error::new(ErrorKind::InvalidConfig, "no such remote")
                .with_subject(format_args!("`{name}`"))
                .with_remedy(remedy)
        })
    }
}

/// An image and the way to it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Resolution {
    /// The image.
    pub image: Verified<Image>,
    /// The remotes asked, in order; the last one has the image.
    pub hops: Vec<Hop>,
}

/// What lies below a reference and the way to it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListedEntries {
    /// The entries, sorted by name.
    pub entries: Verified<Vec<Entry>>,
    /// How long ago the last remote said this, if it could not be reached to say it anew.
    pub stale: Option<Duration>,
    /// The remotes asked, in order.
    pub hops: Vec<Hop>,
}

/// One remote on the way.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Hop {
    /// The remote as it was asked.
    pub remote: RemoteConfig,
    /// What it was asked for.
    pub path: ImagePath,
    /// Why its answer was believed.
    pub proofs: Vec<Proof>,
}

struct Walk {
    remote: RemoteConfig,
    path: ImagePath,
    hops: Vec<Hop>,
}

impl Walk {
    fn new(resolver: &Resolver, reference: &ImageRef) -> Result<Self> {
        let remote = resolver.remote(reference.remote())?.clone();
        Ok(Self::at(remote, reference.path().clone()))
    }

    fn at(remote: RemoteConfig, path: ImagePath) -> Self {
        Self {
            remote,
            path,
            hops: Vec::new(),
        }
    }

    /// Asks where the walk has come to; nothing if it goes on from there.
    async fn step(
        &mut self,
        source: &dyn ImageSource,
        context: &Context,
    ) -> Result<Option<Verified<Image>>> {
        let answer = source.lookup(&self.path).await?;
        self.arrived(source.remote(), answer.proofs());
        match split_lookup(answer) {
            Step::Done(image) => Ok(Some(image)),
            Step::Next(referral) => self.follow(*referral, context).map(|()| None),
        }
    }

    fn ended(self, image: Verified<Image>) -> Resolution {
        Resolution {
            image,
            hops: self.hops,
        }
    }

    fn arrived(&mut self, remote: &RemoteConfig, proofs: &[Proof]) {
        self.hops.push(Hop {
            remote: remote.clone(),
            path: self.path.clone(),
            proofs: proofs.to_vec(),
        });
    }

    fn follow(&mut self, referral: Referral, context: &Context) -> Result<()> {
        let Referral { remote, rest } = referral;
        let limit = context.limits().hops;
        if self.hops.iter().any(|hop| hop.remote.url() == remote.url()) {
            return Err(Error::new(
                ErrorKind::Loop,
                format!("{} refers back to a remote asked before", self.remote.url()),
            )
            .with_subject(remote.url()));
        }
        if self.hops.len() > limit {
            return Err(
                Error::new(ErrorKind::Loop, format!("more than {limit} referrals"))
                    .with_subject(remote.url()),
            );
        }
        self.remote = restrain(&self.remote, remote)?;
        self.path = rest;
        Ok(())
    }
}

/// What a remote may refer to: nothing on this machine that it could not reach itself, and nothing
/// less protected than it is.
fn restrain(from: &RemoteConfig, to: RemoteConfig) -> Result<RemoteConfig> {
    let Place::Base(target) = to.url().place() else {
        return Err(refused(from, &to, "refers to a socket of this machine"));
    };
    if target.is_encrypted() {
        return Ok(to);
    }
    if from.url().base().is_some_and(|base| base.is_encrypted()) {
        return Err(refused(from, &to, "refers from https to http"));
    }
    // Who allowed cleartext to a registry allowed it to what the registry names; the registry
    // cannot allow it.
    let cleartext = from.cleartext();
    if !to.url().is_private() && cleartext == Cleartext::Refuse {
        return Err(refused(from, &to, "refers to a place without TLS"));
    }
    Ok(to.with_cleartext(cleartext))
}

fn refused(from: &RemoteConfig, to: &RemoteConfig, what: &str) -> Error {
    Error::new(ErrorKind::Unsafe, format!("{} {what}", from.url())).with_subject(to.url())
}

enum Step<T> {
    Done(Verified<T>),
    Next(Box<Referral>),
}

fn split_lookup(answer: Verified<Lookup>) -> Step<Image> {
    match answer.try_map(|lookup| match lookup {
        Lookup::Image(image) => Ok(*image),
        Lookup::Referral(referral) => Err(referral),
    }) {
        Ok(image) => Step::Done(image),
        Err(referral) => Step::Next(referral),
    }
}

/// The entries of a listing.
struct Listed {
    entries: Vec<Entry>,
    stale: Option<Duration>,
}

fn split_listing(answer: Verified<Listing>) -> Step<Listed> {
    match answer.try_map(|listing| match listing {
        Listing::Entries { entries, stale } => Ok(Listed { entries, stale }),
        Listing::Referral(referral) => Err(referral),
    }) {
        Ok(listed) => Step::Done(listed),
        Err(referral) => Step::Next(referral),
    }
}
