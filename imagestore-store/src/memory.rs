use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use imagestore_core::freshness::{Mark, Memory};
use imagestore_core::{Error, Result};
use imagestore_verify::Sha256;
use serde::{Deserialize, Serialize};

use crate::dir::{Dir, Lock};
use crate::error::damaged;
use crate::lock::{busy, try_lock, wait_for};

/// Remembers on disk the newest state seen of each document of each remote.
///
/// Each remote has one file, kept twice, each copy with its own checksum. A mark is compared with
/// what is remembered and stored under a lock, so that no process sets the memory back. A mark that
/// is refused, or brings nothing new, changes no byte.
#[derive(Debug)]
pub struct StateMemory {
    root: Dir,
    patience: Duration,
}

impl StateMemory {
    pub(crate) fn new(root: Dir, patience: Duration) -> Self {
        Self { root, patience }
    }

    /// What is remembered of the documents of the remote with this
    /// [id](imagestore_core::RemoteConfig::id).
    ///
    /// # Errors
    /// [`ErrorKind::Storage`](imagestore_core::ErrorKind::Storage) if both copies are damaged or
    /// cannot be read.
    pub fn marks(&self, remote: &str) -> Result<BTreeMap<String, Mark>> {
        let trust = self.lock(Lock::Shared)?;
        let state = Copies::of(remote).read(&trust, remote)?;
        Ok(state
            .documents
            .iter()
            .map(|(path, seen)| (path.clone(), seen.mark()))
            .collect())
    }

    /// Forgets all that is remembered of the remote with this
    /// [id](imagestore_core::RemoteConfig::id), as if it was never asked: for a remote that was
    /// rebuilt on purpose.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`](imagestore_core::ErrorKind::Storage) if it cannot be removed.
    pub fn forget(&self, remote: &str) -> Result<()> {
        let trust = self.lock(Lock::Exclusive)?;
        for name in Copies::of(remote).names {
            trust.remove_file(&name)?;
        }
        trust.sync()
    }

    fn lock(&self, lock: Lock) -> Result<Dir> {
        let busy = || {
            busy(
                "what is remembered of remotes",
                self.root.path().join(TRUST).display(),
                self.patience,
            )
        };
        wait_for(
            self.patience,
            || false,
            busy,
            || {
                // Opened anew each time: a lock is of one opening, and does not hold off others
                // that share it.
                let dir = self.root.create(TRUST)?;
                try_lock(&self.root, TRUST, dir, lock)
            },
        )
    }
}

impl Memory for StateMemory {
    fn advance(&self, remote: &str, document: &str, mark: &Mark) -> Result<()> {
        let trust = self.lock(Lock::Exclusive)?;
        let copies = Copies::of(remote);
        let mut state = copies.read(&trust, remote)?;
        let seen = state
            .documents
            .get(document)
            .map(Seen::mark)
            .unwrap_or_default();
        let next = Seen::of(&seen.advance(mark)?);
        if state.documents.get(document) == Some(&next) {
            return Ok(());
        }
        state.documents.insert(document.to_owned(), next);
        state.generation += 1;
        copies.write(&trust, &state)
    }

    fn floor(&self, remote: &str) -> Option<SystemTime> {
        let marks = self.marks(remote).ok()?;
        marks.values().filter_map(|mark| mark.signed_at).max()
    }
}

/// What is remembered of one remote.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    schema: u32,
    generation: u64,
    remote: String,
    documents: BTreeMap<String, Seen>,
}

/// The mark of one document, in whole seconds, as signatures are dated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    signed_at: Option<u64>,
    sha256: Option<String>,
    #[serde(default)]
    counters: BTreeMap<String, u64>,
}

impl Seen {
    fn of(mark: &Mark) -> Self {
        let seconds = |time: SystemTime| {
            time.duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs()
        };
        Self {
            signed_at: mark.signed_at.map(seconds),
            sha256: mark.digest.as_ref().map(Sha256::to_string),
            counters: mark.counters.clone(),
        }
    }

    fn mark(&self) -> Mark {
        let mut mark = Mark::default();
        mark.signed_at = self
            .signed_at
            .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
        mark.digest = self.sha256.as_deref().and_then(|text| text.parse().ok());
        mark.counters.clone_from(&self.counters);
        mark
    }
}

/// The two files of a remote.
struct Copies {
    names: [String; 2],
}

impl Copies {
    fn of(remote: &str) -> Self {
        let key = Sha256::of(remote.as_bytes());
        Self {
            names: ["a", "b"].map(|copy| format!("{key}.{copy}.json")),
        }
    }

    /// The newer of the copies that are whole. No copy at all is the first time; only damaged ones
    /// are an error, because taking them for the first time would let a damaged disk undo what was
    /// remembered.
    fn read(&self, trust: &Dir, remote: &str) -> Result<State> {
        let mut newest: Option<State> = None;
        let mut damage: Option<Error> = None;
        for name in &self.names {
            match read_copy(trust, name, remote) {
                Ok(None) => {}
                Ok(Some(state)) => {
                    if newest
                        .as_ref()
                        .is_none_or(|newest| newest.generation < state.generation)
                    {
                        newest = Some(state);
                    }
                }
                Err(error) => damage = Some(error),
            }
        }
        match (newest, damage) {
            (Some(state), _) => Ok(state),
            (None, Some(damage)) => Err(damage),
            (None, None) => Ok(State {
                schema: SCHEMA,
                generation: 0,
                remote: remote.to_owned(),
                documents: BTreeMap::new(),
            }),
        }
    }

    /// Both copies, one after the other: at any moment one of them is whole.
    fn write(&self, trust: &Dir, state: &State) -> Result<()> {
        let json = serde_json::to_string_pretty(state).map_err(|cause| {
            damaged("cannot be written as JSON", &state.remote).with_source(cause)
        })?;
        let text = format!("{}\n{json}\n", Sha256::of(json.as_bytes()));
        for name in &self.names {
            trust.replace(name, text.as_bytes())?;
            trust.sync()?;
        }
        Ok(())
    }
}

fn read_copy(trust: &Dir, name: &str, remote: &str) -> Result<Option<State>> {
    let Some(bytes) = trust.read(name)? else {
        return Ok(None);
    };
    let damaged = || {
        damaged(
            "what is remembered of a remote is damaged",
            trust.path().join(name).display(),
        )
        .with_remedy("forget what is remembered of it")
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| damaged())?;
    let (checksum, json) = text.split_once('\n').ok_or_else(damaged)?;
    let json = json.strip_suffix('\n').ok_or_else(damaged)?;
    if checksum != Sha256::of(json.as_bytes()).to_string() {
        return Err(damaged());
    }
    let state: State = serde_json::from_str(json).map_err(|cause| damaged().with_source(cause))?;
    if state.schema != SCHEMA || state.remote != remote {
        return Err(damaged());
    }
    Ok(Some(state))
}

pub(crate) const TRUST: &str = "trust";
const SCHEMA: u32 = 1;
