use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use imagestore_verify::Sha256;

use super::answer::{Answer, Content, Resource};
use super::date::http_date;
use super::fault::Fault;
use super::request::Request;

/// What a [`Server`](super::Server) serves.
pub struct Site {
    kind: Kind,
    prefix: String,
    state: Mutex<State>,
}

impl Site {
    /// The files below a directory, as they are when they are asked for.
    #[must_use]
    pub fn directory(root: impl Into<PathBuf>) -> Self {
        Self::new(Kind::Directory(root.into()))
    }

    /// Nothing but what is [put](super::Server::put) there.
    #[must_use]
    pub fn empty() -> Self {
        Self::new(Kind::Empty)
    }

    /// These files by their absolute paths.
    #[must_use]
    pub fn files<P: Into<String>, B: Into<Bytes>>(files: impl IntoIterator<Item = (P, B)>) -> Self {
        let site = Self::empty();
        for (path, bytes) in files {
            site.put(&path.into(), Some(bytes.into()));
        }
        site
    }

    /// Whatever the function says. Files that are put there come first.
    #[must_use]
    pub fn answering(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::new(Kind::Function(Box::new(answer)))
    }

    /// The same below a prefix, such as `/mirror/lxc-images`.
    #[must_use]
    pub fn below(mut self, prefix: &str) -> Self {
        self.prefix = prefix.trim_end_matches('/').to_owned();
        self
    }

    fn new(kind: Kind) -> Self {
        Self {
            kind,
            prefix: String::new(),
            state: Mutex::default(),
        }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn put(&self, path: &str, bytes: Option<Bytes>) {
        let mut state = self.state();
        state.version += 1;
        // Whole seconds apart: a file that is replaced must not keep its `Last-Modified`.
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(FIRST_MODIFIED + state.version);
        let put = bytes.map(|bytes| Put { bytes, modified });
        state.files.insert(path.to_owned(), put);
    }

    pub(super) fn fail(&self, path: &str, fault: Fault, times: Option<usize>) {
        let waiting = Waiting { fault, times };
        self.state()
            .faults
            .entry(path.to_owned())
            .or_default()
            .push(waiting);
    }

    pub(super) fn heal(&self, path: Option<&str>) {
        let mut state = self.state();
        match path {
            Some(path) => drop(state.faults.remove(path)),
            None => state.faults.clear(),
        }
    }

    /// The fault that hits this request, if one does: those of the path before those of every path.
    pub(super) fn next_fault(&self, path: &str) -> Option<Fault> {
        let mut state = self.state();
        for key in [path, EVERY_PATH] {
            let Some(waiting) = state.faults.get_mut(key) else {
                continue;
            };
            let Some(first) = waiting.first_mut() else {
                continue;
            };
            let fault = first.fault.clone();
            if let Some(times) = &mut first.times {
                *times -= 1;
                if *times == 0 {
                    waiting.remove(0);
                }
            }
            return Some(fault);
        }
        None
    }

    pub(super) fn answer(&self, request: &Request) -> Answer {
        let put = self.state().files.get(&request.path).cloned();
        let resource = match (put, &self.kind) {
            (Some(Some(put)), _) => Some(put.resource()),
            (Some(None), _) | (None, Kind::Empty) => None,
            (None, Kind::Directory(root)) => on_disk(root, &request.path),
            (None, Kind::Function(answer)) => return answer(request),
        };
        match resource {
            Some(_) if request.method != "GET" && request.method != "HEAD" => {
                Answer::new(405, "").with_field("Allow", "GET, HEAD")
            }
            Some(resource) => Answer::file(request, resource),
            None => Answer::not_found(),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::Directory(root) => root.display().to_string(),
            Kind::Empty => "empty".to_owned(),
            Kind::Function(_) => "a function".to_owned(),
        };
        f.debug_struct("Site")
            .field("kind", &kind)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

enum Kind {
    Directory(PathBuf),
    Empty,
    Function(Box<dyn Fn(&Request) -> Answer + Send + Sync>),
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Option<Put>>,
    faults: HashMap<String, Vec<Waiting>>,
    version: u64,
}

#[derive(Clone)]
struct Put {
    bytes: Bytes,
    modified: SystemTime,
}

impl Put {
    fn resource(self) -> Resource {
        Resource {
            length: self.bytes.len() as u64,
            etag: format!("\"{:.16}\"", Sha256::of(&self.bytes).to_string()),
            last_modified: http_date(self.modified),
            content: Content::Memory(self.bytes),
        }
    }
}

struct Waiting {
    fault: Fault,
    times: Option<usize>,
}

fn on_disk(root: &Path, path: &str) -> Option<Resource> {
    let inner = Path::new(path.trim_start_matches('/'));
    let plain = inner
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let path = root.join(inner);
    let metadata = path
        .metadata()
        .ok()
        .filter(|metadata| plain && metadata.is_file())?;
    let modified = metadata.modified().ok()?;
    let nanos = modified
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()?
        .as_nanos();
    Some(Resource {
        content: Content::Disk(path),
        length: metadata.len(),
        etag: format!("\"{:x}-{nanos:x}\"", metadata.len()),
        last_modified: http_date(modified),
    })
}

pub(super) const EVERY_PATH: &str = "*";
const FIRST_MODIFIED: u64 = 1_700_000_000;
