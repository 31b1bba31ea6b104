use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::stream;
use imagestore_core::{Body, Error, ErrorKind, Get, Result, Transport, Validators, async_trait};
use imagestore_verify::signing::SigningKey;
use imagestore_verify::{Channel, Sha256};
use url::Url;

use crate::keys;

/// A [`Transport`] that answers from memory, for one or many hosts, and counts.
///
/// # Examples
/// ```
/// use imagestore_testkit::{MemoryFault, MemoryTransport, keys};
///
/// let transport = MemoryTransport::new();
/// let index = "https://images.example/meta/1.0/index-user";
/// transport.put_signed(index, b"".as_slice(), keys::images(), keys::at(keys::SIGNED));
/// transport.fail(index, MemoryFault::NotFound);
/// assert_eq!(transport.count(index), 0);
/// ```
#[derive(Debug, Default)]
pub struct MemoryTransport {
    state: Mutex<State>,
    channel: Option<Channel>,
}

impl MemoryTransport {
    /// A transport that knows no file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives every answer this proof of the channel it came by.
    #[must_use]
    pub fn with_channel(mut self, channel: Channel) -> Self {
        self.channel = Some(channel);
        self
    }

    /// From now on there is this content at this URL.
    pub fn put(&self, url: &str, bytes: impl Into<Bytes>) {
        self.state().files.insert(normal(url), bytes.into());
    }

    /// From now on there is this content at this URL, and a signature by this key beside it.
    pub fn put_signed(&self, url: &str, bytes: impl Into<Bytes>, key: &SigningKey, at: SystemTime) {
        let bytes = bytes.into();
        self.put(&format!("{url}.asc"), keys::sign(key, &bytes, at));
        self.put(url, bytes);
    }

    /// From now on the files below a directory are below this URL.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn put_tree(&self, base: &str, root: &Path) -> io::Result<()> {
        for entry in fs::read_dir(root)? {
            let entry = entry?;
            let url = format!("{base}/{}", entry.file_name().to_string_lossy());
            // Links are followed, as web servers do.
            match fs::metadata(entry.path())?.is_dir() {
                true => self.put_tree(&url, &entry.path())?,
                false => self.put(&url, fs::read(entry.path())?),
            }
        }
        Ok(())
    }

    /// From now on there is nothing at this URL.
    pub fn remove(&self, url: &str) {
        self.state().files.remove(&normal(url));
    }

    /// What is at this URL.
    #[must_use]
    pub fn file(&self, url: &str) -> Option<Bytes> {
        self.state().files.get(&normal(url)).cloned()
    }

    /// From now on answers for this URL have this fault.
    pub fn fail(&self, url: &str, fault: MemoryFault) {
        self.state().faults.insert(normal(url), (fault, None));
    }

    /// The next answer for this URL has this fault.
    pub fn fail_once(&self, url: &str, fault: MemoryFault) {
        self.state().faults.insert(normal(url), (fault, Some(1)));
    }

    /// Answers for this URL have no fault any more.
    pub fn heal(&self, url: &str) {
        self.state().faults.remove(&normal(url));
    }

    /// The URLs that were asked for, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    /// How often this URL was asked for.
    #[must_use]
    pub fn count(&self, url: &str) -> usize {
        let url = normal(url);
        self.state()
            .requests
            .iter()
            .filter(|asked| **asked == url)
            .count()
    }

    /// Forgets what was asked for.
    pub fn forget_requests(&self) {
        self.state().requests.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn body(&self, request: Get<'_>, bytes: Bytes, end: Option<Error>) -> Body {
        let etag = Some(format!("\"{}\"", Sha256::of(&bytes)));
        let length = bytes.len() as u64;
        let resume = request.resume.filter(|resume| {
            resume.validators.etag == etag && resume.offset > 0 && resume.offset < length
        });
        let offset = resume.map_or(0, |resume| resume.offset);
        let rest = bytes.slice(
            usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(bytes.len())..,
        );
        // In pieces, so that nobody relies on one chunk being the whole.
        let mut chunks: Vec<Result<Bytes>> = rest
            .chunks(CHUNK_BYTES)
            .map(|chunk| Ok(rest.slice_ref(chunk)))
            .collect();
        chunks.extend(end.map(Err));
        Body::new(request.url.clone(), stream::iter(chunks))
            .with_offset(offset)
            .with_length(Some(length - offset))
            .with_validators(Validators {
                etag,
                last_modified: None,
            })
            .with_channel(self.channel.clone())
    }
}

#[async_trait]
impl Transport for MemoryTransport {
    async fn get(&self, request: Get<'_>) -> Result<Body> {
        let url = request.url.to_string();
        let (file, fault) = {
            let mut state = self.state();
            state.requests.push(url.clone());
            (state.files.get(&url).cloned(), state.next_fault(&url))
        };
        let missing = || Error::new(ErrorKind::NotFound, "status 404").with_subject(&url);
        let broken = || Error::new(ErrorKind::Network, "the connection broke").with_subject(&url);
        let fault = match fault {
            None => None,
            Some(MemoryFault::Html) => return Ok(self.body(request, Bytes::from(PORTAL), None)),
            Some(MemoryFault::NotFound) => return Err(missing()),
            Some(MemoryFault::Unreachable) => return Err(broken()),
            Some(MemoryFault::Status(status)) => {
                let message = format!("status {status}");
                let kind = match status {
                    401 | 403 => ErrorKind::Refused,
                    _ => ErrorKind::Network,
                };
                return Err(Error::new(kind, message).with_subject(&url));
            }
            Some(other) => Some(other),
        };
        let file = file.ok_or_else(missing)?;
        let mut changed = file.to_vec();
        let end = match fault {
            Some(MemoryFault::Cut(after)) => {
                changed.truncate(after);
                let body = self.body(request, Bytes::from(changed), Some(broken()));
                return Ok(body.with_length(Some(file.len() as u64)));
            }
            Some(MemoryFault::FlipByte(at)) => {
                let length = changed.len();
                let byte = changed.get_mut(at);
                *byte.unwrap_or_else(|| panic!("{url} has {length} bytes, no byte {at}")) ^= 0xff;
                None
            }
            Some(MemoryFault::Grow(bytes)) => {
                changed.resize(changed.len() + bytes, b' ');
                None
            }
            _ => None,
        };
        Ok(self.body(request, Bytes::from(changed), end))
    }
}

/// A way in which a [`MemoryTransport`] misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemoryFault {
    /// The connection breaks after this many bytes of the body.
    Cut(usize),
    /// Every bit of the byte at this place is changed.
    FlipByte(usize),
    /// The body has this many more bytes, all of them spaces.
    Grow(usize),
    /// The page of a captive portal instead of the file.
    Html,
    /// There is no such file: status 404.
    NotFound,
    /// This status, which is not 404.
    Status(u16),
    /// No connection.
    Unreachable,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Bytes>,
    faults: HashMap<String, (MemoryFault, Option<usize>)>,
    requests: Vec<String>,
}

impl State {
    fn next_fault(&mut self, url: &str) -> Option<MemoryFault> {
        let (fault, times) = self.faults.get_mut(url)?;
        let fault = *fault;
        if let Some(times) = times {
            *times -= 1;
            if *times == 0 {
                self.faults.remove(url);
            }
        }
        Some(fault)
    }
}

/// The URL as it is asked for.
fn normal(url: &str) -> String {
    let parsed = Url::parse(url);
    parsed
        .unwrap_or_else(|error| panic!("`{url}` is no URL: {error}"))
        .to_string()
}

const CHUNK_BYTES: usize = 1000;
const PORTAL: &str = "<!DOCTYPE html>\n<html><body>Log in to go on.</body></html>\n";
