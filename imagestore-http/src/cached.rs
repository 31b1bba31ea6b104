use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures_util::stream;
use imagestore_core::{
    Body, Caches, Change, Error, ErrorKind, Get, Purpose, Result, Transport, Trust,
};
use tokio::task::spawn_blocking;

use crate::cache_entry::{self, Keeping, Kept, Slot};
use crate::errors::shown;
use crate::retry::parse_date;

/// A transport that keeps documents and asks only whether they have changed.
///
/// What is kept are bytes as they came, below the line of trust: they come out
/// [`Unverified`](imagestore_verify::Unverified), so a revoked key takes effect at once and a copy that was changed is
/// refused like a document that was changed on the way. Files are never kept here.
///
/// ```text
/// directory/                  0700, of this user
///   <sha256>.body             bytes as sent; the name is made of the remote's URL and that of the document
///   <sha256>.label            URL, validators, length and digest of the bytes
/// ```
///
/// # Contract
/// - Remotes that are trusted by their channel alone are passed through and nothing of theirs is kept: bytes on disk
///   came over no channel, and whoever can write there could speak for the remote.
/// - A copy is revalidated for one day after it was fetched, then fetched anew. So a copy a bad mirror planted
///   under the validators of the good one does not outlive it by more.
/// - A cache that cannot be read or written is as good as none; no request fails because of it.
///   [`CachedTransport::check_directory`] says what is wrong.
#[derive(Clone, Debug)]
pub struct CachedTransport {
    inner: Arc<dyn Transport>,
    directory: PathBuf,
    mode: Mode,
}

/// Whether the network may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Never: documents come from the disk, however old, or not at all.
    Offline,
    /// Yes.
    #[default]
    Online,
}

impl CachedTransport {
    /// Asks through `inner` and keeps documents in this directory, which is made when needed.
    #[must_use]
    pub fn new(inner: Arc<dyn Transport>, directory: impl Into<PathBuf>) -> Self {
        Self {
            inner,
            directory: directory.into(),
            mode: Mode::Online,
        }
    }

    /// Whether the network may be used.
    #[must_use]
    pub fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Whether documents can be kept in the directory, which is made if it is not there.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] if it cannot be made, or others may write to it.
    pub fn check_directory(&self) -> Result<()> {
        prepare(&self.directory)
    }

    /// Removes the documents that were fetched longer ago than `age`; how many files that were.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] if the directory cannot be read.
    pub fn prune(&self, age: Duration) -> Result<usize> {
        prepare(&self.directory)?;
        cache_entry::prune(&self.directory, age, SystemTime::now())
            .map_err(|error| storage("cannot read a directory", &self.directory).with_source(error))
    }

    fn slot(&self, request: &Get<'_>) -> Slot {
        Slot::new(&self.directory, &request.remote.id(), request.url.as_str())
    }

    async fn load(&self, slot: &Slot) -> Option<Kept> {
        let (slot, directory) = (slot.clone(), self.directory.clone());
        let load = move || is_private(&directory).then(|| slot.load()).flatten();
        spawn_blocking(load).await.ok().flatten()
    }
}

#[async_trait]
impl Transport for CachedTransport {
    async fn get(&self, request: Get<'_>) -> Result<Body> {
        let by_signature = matches!(request.remote.trust(), Trust::Signatures(_));
        let whole = request.resume.is_none() && request.known.is_none();
        let keeps = by_signature && whole && request.purpose == Purpose::Document;
        match self.mode {
            Mode::Online if !keeps => self.inner.get(request).await,
            Mode::Online => {
                let slot = self.slot(&request);
                let kept = match request.caches {
                    Caches::Ask => self.load(&slot).await.filter(may_be_revalidated),
                    Caches::Bypass => None,
                };
                let known = kept.as_ref().map(|kept| &kept.label.validators);
                let body = self.inner.get(request.with_known(known)).await?;
                match kept {
                    Some(kept) if body.is_not_modified() => Ok(revived(kept, body.url().clone())),
                    _ => {
                        let directory = self.directory.clone();
                        Ok(keep_passing(body, slot, directory).await)
                    }
                }
            }
            Mode::Offline => {
                let kept = if keeps {
                    self.load(&self.slot(&request)).await
                } else {
                    None
                };
                kept.map(|kept| revived(kept, request.url.clone()))
                    .ok_or_else(|| {
                        Error::new(ErrorKind::Network, "offline, and not kept here")
                            .with_subject(shown(request.url))
                    })
            }
        }
    }

    async fn send(&self, request: Change<'_>) -> Result<Body> {
        match self.mode {
            Mode::Online => self.inner.send(request).await,
            Mode::Offline => {
                Err(Error::new(ErrorKind::Network, "offline").with_subject(shown(request.url)))
            }
        }
    }
}

/// A kept document as a body: unverified, and without a channel.
fn revived(kept: Kept, url: url::Url) -> Body {
    let length = kept.bytes.len() as u64;
    Body::new(url, stream::iter([Ok(kept.bytes)]))
        .with_length(Some(length))
        .with_validators(kept.label.validators)
        .with_content_type(kept.label.content_type)
}

/// The same body, kept when it has passed whole.
async fn keep_passing(body: Body, slot: Slot, directory: PathBuf) -> Body {
    let validators = body.validators().clone();
    let content_type = body.content_type().map(str::to_owned);
    let (url, length, channel) = (body.url().clone(), body.length(), body.channel().cloned());
    let (kept_validators, kept_type) = (validators.clone(), content_type.clone());
    let begin = move || {
        prepare(&directory)
            .ok()
            .and_then(|()| Keeping::begin(slot, kept_validators, kept_type).ok())
    };
    let keeping = spawn_blocking(begin).await.ok().flatten();
    let pieces = stream::try_unfold((body, keeping), |(mut body, mut keeping)| async move {
        let Some(piece) = body.chunk().await? else {
            if let Some(keeping) = keeping {
                spawn_blocking(move || keeping.finish().ok()).await.ok();
            }
            return Ok(None);
        };
        keeping = keeping.and_then(|mut keeping| keeping.write(&piece).is_ok().then_some(keeping));
        Ok(Some((piece, (body, keeping))))
    });
    Body::relayed(url, pieces)
        .with_length(length)
        .with_validators(validators)
        .with_content_type(content_type)
        .with_channel(channel)
}

fn may_be_revalidated(kept: &Kept) -> bool {
    let age = SystemTime::now().duration_since(kept.fetched);
    tells_versions_apart(kept) && age.is_ok_and(|age| age < LONGEST_REVALIDATED)
}

/// Whether a change after this copy was fetched must show in its validators.
///
/// Times of change have whole seconds, so a document may change twice under one. Only one that had been left alone
/// for a while when it was fetched can be told by its time (RFC 9110, 8.8.2.2).
fn tells_versions_apart(kept: &Kept) -> bool {
    let validators = &kept.label.validators;
    let changed = validators.last_modified.as_deref().and_then(parse_date);
    let rested = changed.and_then(|changed| kept.fetched.duration_since(changed).ok());
    validators.etag.is_some() || rested.is_some_and(|rested| rested >= SHORTEST_REST)
}

fn prepare(directory: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| storage("cannot make a directory", directory).with_source(error))?;
    if !is_private(directory) {
        return Err(storage(
            "a directory for documents is open to other users",
            directory,
        )
        .with_remedy("give it to this user and set its mode to 0700"));
    }
    Ok(())
}

fn is_private(directory: &Path) -> bool {
    fs::symlink_metadata(directory).is_ok_and(|found| {
        let own = found.uid() == rustix::process::geteuid().as_raw();
        found.is_dir() && own && found.mode() & 0o022 == 0
    })
}

fn storage(message: &str, path: &Path) -> Error {
    Error::new(ErrorKind::Storage, message).with_subject(path.display())
}

const LONGEST_REVALIDATED: Duration = Duration::from_secs(86_400);
const SHORTEST_REST: Duration = Duration::from_secs(60);
