//! A transport that answers from memory, counts what it is asked for, and misbehaves on request.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use imagestore_core::{Body, Error, ErrorKind, Get, Result, Transport, Validators, async_trait};

/// One way to misbehave, for one answer.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The body breaks after so many bytes.
    Cut(usize),
    /// The body ends after so many bytes, without having announced its length and without an error.
    End(usize),
    /// The byte at this place of the file is changed.
    Flip(usize),
    /// So many bytes come behind the file, of which nothing was announced.
    Grow(usize),
    /// Nothing comes after so many bytes.
    Hang(usize),
    /// A range is not heeded: the whole is sent.
    IgnoreRange,
    /// There is no such file.
    NotFound,
    /// The rest is sent from this place on, whatever was asked.
    Offset(u64),
    /// A range is heeded although the file is another by its tag.
    Retag,
    /// A request for a range is refused.
    RefuseRange,
    /// This caller may not have it.
    Refused,
    /// There is no connection.
    Unreachable,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) url: String,
    pub(crate) offset: u64,
}

#[derive(Clone, Debug)]
struct Served {
    bytes: Bytes,
    etag: Option<String>,
    content_type: Option<String>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Served>,
    faults: HashMap<String, VecDeque<Fault>>,
    asked: Vec<Asked>,
}

#[derive(Debug, Default)]
pub(crate) struct Remote {
    state: Mutex<State>,
    sent: Arc<Mutex<HashMap<String, u64>>>,
}

impl Remote {
    pub(crate) fn put(&self, url: &str, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        let etag = Some(format!("\"{}\"", imagestore_verify::Sha256::of(&bytes)));
        self.put_tagged(url, bytes, etag.as_deref());
    }

    pub(crate) fn put_tagged(&self, url: &str, bytes: impl Into<Bytes>, etag: Option<&str>) {
        let served = Served {
            bytes: bytes.into(),
            etag: etag.map(str::to_owned),
            content_type: None,
        };
        self.state().files.insert(url.to_owned(), served);
    }

    pub(crate) fn put_typed(&self, url: &str, bytes: impl Into<Bytes>, content_type: &str) {
        let content_type = Some(content_type.to_owned());
        let served = Served {
            bytes: bytes.into(),
            etag: None,
            content_type,
        };
        self.state().files.insert(url.to_owned(), served);
    }

    pub(crate) fn remove(&self, url: &str) {
        self.state().files.remove(url);
    }

    /// The next answers for this URL have these faults, one each.
    pub(crate) fn fail(&self, url: &str, faults: &[Fault]) {
        self.state()
            .faults
            .insert(url.to_owned(), faults.iter().cloned().collect());
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    /// The places from which this URL was asked for.
    pub(crate) fn offsets(&self, url: &str) -> Vec<u64> {
        let asked = self.asked().into_iter().filter(|asked| asked.url == url);
        asked.map(|asked| asked.offset).collect()
    }

    pub(crate) fn forget(&self) {
        self.state().asked.clear();
        self.sent.lock().expect("sent").clear();
    }

    /// How many bytes of the bodies of this URL were sent.
    pub(crate) fn sent(&self, url: &str) -> u64 {
        self.sent
            .lock()
            .expect("sent")
            .get(url)
            .copied()
            .unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("state")
    }
}

#[async_trait]
impl Transport for Remote {
    async fn get(&self, request: Get<'_>) -> Result<Body> {
        let url = request.url.to_string();
        let (served, fault) = {
            let mut state = self.state();
            let offset = request.resume.map_or(0, |resume| resume.offset);
            state.asked.push(Asked {
                url: url.clone(),
                offset,
            });
            let fault = state.faults.get_mut(&url).and_then(VecDeque::pop_front);
            (state.files.get(&url).cloned(), fault)
        };
        let error = |kind, message: &str| Error::new(kind, message).with_subject(&url);
        let broken = error(ErrorKind::Network, "the connection broke");
        match (&fault, request.resume) {
            (Some(Fault::NotFound), _) => return Err(error(ErrorKind::NotFound, "status 404")),
            (Some(Fault::Refused), _) => return Err(error(ErrorKind::Refused, "status 403")),
            (Some(Fault::Unreachable), _) => {
                return Err(error(ErrorKind::Network, "is not reachable"));
            }
            (Some(Fault::RefuseRange), Some(_)) => {
                return Err(error(ErrorKind::Network, "status 416"));
            }
            _ => {}
        }
        let served = served.ok_or_else(|| error(ErrorKind::NotFound, "status 404"))?;
        let mut bytes = served.bytes.to_vec();
        let size = bytes.len() as u64;
        let mut offset = match request.resume {
            Some(resume)
                if resume.offset <= size
                    && (resume.validators.etag.is_none()
                        || resume.validators.etag == served.etag)
                    && !matches!(fault, Some(Fault::IgnoreRange)) =>
            {
                resume.offset
            }
            _ => 0,
        };
        let mut length = Some(size - offset);
        let mut ends = End::Well;
        let retagged = matches!(fault, Some(Fault::Retag));
        match fault {
            Some(Fault::Cut(after)) => {
                bytes.truncate(after);
                ends = End::Broken(broken);
            }
            Some(Fault::End(after)) => {
                bytes.truncate(after);
                length = None;
            }
            Some(Fault::Flip(at)) => bytes[at] ^= 0xff,
            Some(Fault::Grow(more)) => {
                bytes.resize(bytes.len() + more, b' ');
                length = None;
            }
            Some(Fault::Hang(after)) => {
                bytes.truncate(after);
                ends = End::Never;
            }
            Some(Fault::Offset(other)) if offset != 0 => {
                offset = other;
                length = Some(size - offset);
            }
            _ => {}
        }
        let from = usize::try_from(offset)
            .expect("a small file")
            .min(bytes.len());
        let rest = Bytes::from(bytes).slice(from..);
        let mut chunks: Vec<Result<Bytes>> = rest
            .chunks(CHUNK)
            .map(|chunk| Ok(rest.slice_ref(chunk)))
            .collect();
        let hangs = matches!(ends, End::Never);
        if let End::Broken(error) = ends {
            chunks.push(Err(error));
        }
        let sent = Arc::clone(&self.sent);
        let counted = stream::iter(chunks).inspect(move |chunk| {
            let bytes = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
            *sent.lock().expect("sent").entry(url.clone()).or_default() += bytes;
        });
        let etag = if retagged {
            Some("\"another\"".to_owned())
        } else {
            served.etag
        };
        let validators = Validators {
            etag,
            last_modified: None,
        };
        let body = match hangs {
            true => Body::new(request.url.clone(), counted.chain(stream::pending())),
            false => Body::new(request.url.clone(), counted),
        };
        Ok(body
            .with_offset(offset)
            .with_length(length)
            .with_validators(validators)
            .with_content_type(served.content_type))
    }
}

enum End {
    Broken(Error),
    Never,
    Well,
}

pub(crate) const CHUNK: usize = 1000;
