//! A host that says again what was recorded, and somebody who asks it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::SystemTime;

use imagestore_core::{Error, ImageSource, Listing, RemoteConfig};
use imagestore_lxd::{Host, Lxd};
use imagestore_store::StoredImage;
use imagestore_testkit::server::Framing;
use imagestore_testkit::{Answer, Fault, Request, Server, Site};
use imagestore_verify::Sha256;

use super::reply::Reply;
use super::{NAMES, UNIFIED};
use crate::host::{Asker, chain, lookup, remote};

/// A host: by what it is reached, and what it answers to which request. Where a request stands
/// several times, the answers come in this order, and the last one stays.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recorded {
    pub(super) door: Door,
    pub(super) answers: &'static [(&'static str, &'static str)],
}

/// By what a host is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    Https,
    Socket,
}

/// What a host is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call {
    Fetch(&'static str),
    Follow(&'static str),
    Host,
    List,
    ListProject(&'static str),
    Lookup(&'static str),
    Operation(&'static str),
    Secret,
}

/// One host and one who asks.
pub(super) struct Scene {
    pub(super) server: Server,
    pub(super) asker: Asker,
    /// The requests there are answers to.
    known: BTreeSet<String>,
    _directory: tempfile::TempDir,
}

impl Scene {
    /// A host, with some answers in the place of others.
    pub(super) fn new(host: &Recorded, instead: &[(&str, &str)]) -> Self {
        let mut answers = BTreeMap::<String, Vec<Reply>>::new();
        for (request, recording) in host.answers {
            let reply = Reply::read(recording);
            if let Some(recorded) = &reply.request {
                assert_eq!(named(recorded), *request, "{recording}");
            }
            answers
                .entry((*request).to_owned())
                .or_default()
                .push(reply);
        }
        for (request, recording) in instead {
            answers.insert((*request).to_owned(), vec![Reply::read(recording)]);
        }
        Self::answering(host.door, answers)
    }

    /// A host with these answers.
    pub(super) fn answering(door: Door, answers: BTreeMap<String, Vec<Reply>>) -> Self {
        let unannounced = paths_without_length(&answers);
        let known = answers.keys().cloned().collect();
        let given = Mutex::new(BTreeMap::<String, usize>::new());
        let site = Site::answering(move |request| {
            let line = line(request);
            let Some(replies) = answers.get(&line) else {
                let text = format!(r#"{{"error":"nothing was recorded for {line}"}}"#);
                return Answer::new(400, text);
            };
            let mut given = given.lock().expect("not poisoned");
            let next = given.entry(line).or_default();
            let reply = &replies[(*next).min(replies.len() - 1)];
            *next += 1;
            reply.answer()
        });
        let directory = tempfile::tempdir().expect("a directory");
        let server = match door {
            Door::Https => Server::https(site),
            Door::Socket => Server::socket(directory.path().join("socket"), site),
        }
        .expect("a server");
        for path in unannounced {
            // What was sent in chunks, or by HTTP/2, ends with the connection here.
            let without_length = Fault::CutBody {
                after: u64::MAX,
                framing: Framing::Close,
            };
            server.fail(&path, without_length);
        }
        Self {
            server,
            asker: Asker::new(),
            known,
            _directory: directory,
        }
    }

    pub(super) fn remote(&self) -> RemoteConfig {
        remote(&self.server)
    }

    pub(super) fn host(&self) -> Lxd {
        self.asker.source(self.remote())
    }

    /// What comes of a call, in short, or the error with its causes.
    pub(super) async fn outcome(&self, call: Call) -> String {
        self.outcome_for(&self.host(), call).await
    }

    /// The same for one who asks in another way.
    pub(super) async fn outcome_for(&self, host: &Lxd, call: Call) -> String {
        let said = match call {
            Call::Fetch(path) => self.asker.fetch(host, path).await.map(|it| stored(&it)),
            Call::Follow(id) => {
                let ended = host.follow(&id.parse().expect("an id")).await;
                ended.map(|it| format!("{:?}", it.status))
            }
            Call::Host => host.host().await.map(|it| about(&it)),
            Call::List => list(host).await,
            Call::ListProject(project) => {
                let arguments = [("project".to_owned(), project.to_owned())].into();
                list(&self.asker.source(self.remote().with_arguments(arguments))).await
            }
            Call::Lookup(path) => looked_up(host, path).await,
            Call::Operation(id) => {
                let operation = host.operation(&id.parse().expect("an id")).await;
                operation.map(|it| format!("{:?}", it.status))
            }
            Call::Secret => {
                let fingerprint: Sha256 = UNIFIED.parse().expect("a digest");
                let secret = host.create_secret(&fingerprint).await;
                secret.map(|it| it.reveal().to_owned())
            }
        };
        self.shown(&said.unwrap_or_else(|error| failed(&error)))
    }

    /// A text without what is new in each run.
    pub(super) fn shown(&self, text: &str) -> String {
        let server = self.server.remote_url("lxd").to_string();
        let socket = server.strip_prefix("unix+lxd://").unwrap_or("nowhere");
        named(text)
            .replace(&format!(" on socket {socket}"), "")
            .replace(&server, "HOST")
            .replace(&self.server.url(), "HOST")
    }

    /// What was asked, in the order in which it was.
    pub(super) fn asked(&self) -> Vec<String> {
        self.server.requests().iter().map(line).collect()
    }

    /// All there are answers to was asked, and nothing else. So nothing was asked with HEAD, which
    /// no host answers, nor with a `filter`, which they understand in different ways, nor for lists
    /// of aliases, of URLs and of operations.
    pub(super) fn asked_for_all_and_nothing_else(&self) {
        let asked: BTreeSet<_> = self.asked().into_iter().collect();
        assert_eq!(asked, self.known);
        for request in &asked {
            assert!(!request.starts_with("HEAD "), "{request}");
            assert!(!request.contains("filter"), "{request}");
        }
    }
}

/// A text with names in the place of fingerprints and secrets.
pub(super) fn named(text: &str) -> String {
    NAMES.iter().fold(text.to_owned(), |text, (name, digits)| {
        text.replace(digits, name)
    })
}

/// The error and its causes, after what a program acts on.
pub(super) fn failed(error: &Error) -> String {
    format!("{:?}: {}", error.kind(), chain(error))
}

/// What of a stored image is worth comparing.
pub(super) fn stored(image: &StoredImage) -> String {
    let files = image.artifacts().iter();
    let files = files.map(|file| format!("{} of {}", file.file().name, file.size()));
    files.collect::<Vec<_>>().join(", ")
}

fn about(host: &Host) -> String {
    let or_nobody = |text: &Option<String>| text.clone().unwrap_or_else(|| "nobody".to_owned());
    format!(
        "trusted: {}, {} {} for {:?}, extensions: {}",
        host.trusted,
        or_nobody(&host.server),
        or_nobody(&host.version),
        host.architectures,
        host.api_extensions.len()
    )
}

async fn list(host: &Lxd) -> Result<String, Error> {
    let Listing::Entries { entries, .. } = host.list(&"".parse()?).await?.into_inner() else {
        panic!("a host refers to nobody");
    };
    let lines = entries.iter().map(|entry| {
        let of = |name: &str| entry.properties[name].as_str();
        let public = of("public");
        format!("{} is {}, public: {public}", entry.name, of("fingerprint"))
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

async fn looked_up(host: &Lxd, path: &str) -> Result<String, Error> {
    let image = lookup(host, path).await?;
    let download = &image.downloads[0];
    let since = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH);
    let expires = image.expires_at.expect("an expiry");
    Ok(format!(
        "{}: {:?} of {} bytes, for {}, of {}, until {}",
        image.id.build(),
        download.framing,
        download.size.expect("a size"),
        image.properties["architecture"],
        image.properties["serial"],
        since(expires).expect("after 1970").as_secs(),
    ))
}

/// A request as it stands in the tables, with the range that is asked for.
fn line(request: &Request) -> String {
    let range = request.field("range");
    let range = range.map(|range| format!(" [{range}]")).unwrap_or_default();
    named(&format!("{} {}{range}", request.method, request.target))
}

/// The paths of which no answer said how long it was.
fn paths_without_length(answers: &BTreeMap<String, Vec<Reply>>) -> Vec<String> {
    let mut paths = BTreeMap::<String, bool>::new();
    for (request, replies) in answers {
        let (_, target) = request.split_once(' ').expect("a method");
        let path = target.split(['?', ' ']).next().unwrap_or_default();
        let path = NAMES.iter().fold(path.to_owned(), |path, (name, digits)| {
            path.replace(name, digits)
        });
        let without = replies.iter().all(|reply| !reply.has_length());
        *paths.entry(path).or_insert(true) &= without;
    }
    let without = paths.into_iter().filter(|(_, without)| *without);
    without.map(|(path, _)| path).collect()
}
