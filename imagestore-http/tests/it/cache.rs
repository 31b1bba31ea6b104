//! Documents that are kept, revalidated, damaged, planted and asked for without a network.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use imagestore_core::{
    Body, Caches, ErrorKind, Get, RemoteConfig, Result, TlsTrust, Transport, Trust,
};
use imagestore_http::{CachedTransport, HttpTransport, Mode};
use imagestore_testkit::{Answer, Server, Site};
use tempfile::TempDir;

use crate::setup::{assert_error, options, read, remote, remote_at, url};

/// A cache in a directory of its own before a server with one document.
pub(crate) struct Cache {
    pub(crate) directory: TempDir,
    pub(crate) server: Server,
}

impl Cache {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let server = Server::http(Site::files([("/f", "one")])).expect("a server");
        Self { directory, server }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("documents")
    }

    pub(crate) fn transport(&self) -> CachedTransport {
        CachedTransport::new(Arc::new(HttpTransport::new(options())), self.path())
    }

    pub(crate) async fn document(&self) -> Vec<u8> {
        document(&self.transport(), &remote(&self.server))
            .await
            .expect("a document")
    }

    pub(crate) async fn offline(&self) -> Result<Vec<u8>> {
        document(
            &self.transport().with_mode(Mode::Offline),
            &remote(&self.server),
        )
        .await
    }

    /// The names of the files kept, by their endings.
    pub(crate) fn endings(&self) -> Vec<String> {
        let mut endings: Vec<String> = files(&self.path())
            .iter()
            .map(|path| {
                path.extension()
                    .expect("an ending")
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        endings.sort();
        endings
    }

    pub(crate) fn kept(&self, ending: &str) -> PathBuf {
        files(&self.path())
            .into_iter()
            .find(|path| path.extension().is_some_and(|found| found == ending))
            .expect("a kept document")
    }

    pub(crate) fn statuses(&self) -> Vec<u16> {
        self.server
            .requests()
            .iter()
            .map(|request| request.status)
            .collect()
    }
}

#[tokio::test]
async fn asks_again_only_whether_it_has_changed() {
    let cache = Cache::new();
    for _ in 0..3 {
        assert_eq!(cache.document().await, b"one");
    }
    assert_eq!(cache.statuses(), [200, 304, 304]);
    assert_eq!(cache.endings(), ["body", "label"]);
    cache.server.put("/f", "two");
    assert_eq!(cache.document().await, b"two");
    assert_eq!(cache.document().await, b"two");
    assert_eq!(cache.statuses()[3..], [200, 304]);
    assert_eq!(cache.endings(), ["body", "label"]);
}

#[tokio::test]
async fn keeps_for_this_user_alone() {
    let cache = Cache::new();
    cache.document().await;
    let mode = |path: &Path| path.metadata().expect("there").mode() & 0o777;
    assert_eq!(mode(&cache.path()), 0o700);
    for path in files(&cache.path()) {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn what_comes_from_the_disk_has_no_channel() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::https(Site::files([("/f", "one")])).expect("a server");
    let pins = vec![server.certificate().expect("https").sha256()];
    let remote = remote(&server).with_tls(TlsTrust::Pin(pins));
    let transport = CachedTransport::new(Arc::new(HttpTransport::new(options())), directory.path());
    let url = url(&remote, "/f");
    let first = transport
        .get(Get::document(&remote, &url))
        .await
        .expect("a document");
    assert!(first.channel().is_some());
    read(first).await.expect("bytes");
    let second = transport
        .get(Get::document(&remote, &url))
        .await
        .expect("a document");
    assert!(second.channel().is_none());
    assert!(second.validators().etag.is_some());
    assert_eq!(read(second).await.expect("bytes"), b"one");
}

#[tokio::test]
async fn a_remote_without_signatures_is_never_answered_from_the_disk() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::https(Site::files([("/f", "one")])).expect("a server");
    let pins = vec![server.certificate().expect("https").sha256()];
    let name = "r".parse().expect("a name");
    let remote = RemoteConfig::new(name, server.remote_url("lxc-images"), Trust::Channel)
        .with_tls(TlsTrust::Pin(pins));
    let transport = CachedTransport::new(Arc::new(HttpTransport::new(options())), directory.path());
    for _ in 0..2 {
        let url = url(&remote, "/f");
        let body = transport
            .get(Get::document(&remote, &url))
            .await
            .expect("a document");
        assert!(body.channel().is_some());
        assert_eq!(read(body).await.expect("bytes"), b"one");
    }
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.status == 200)
    );
    assert!(files(directory.path()).is_empty());
    let error = document(&transport.with_mode(Mode::Offline), &remote)
        .await
        .expect_err("offline");
    let message = format!("offline, and not kept here: {}/f", server.url());
    assert_error(&error, ErrorKind::Network, &message);
}

#[tokio::test]
async fn offline_there_is_what_was_kept_and_nothing_else() {
    let cache = Cache::new();
    cache.document().await;
    cache.server.forget_requests();
    assert_eq!(cache.offline().await.expect("kept"), b"one");
    let offline = cache.transport().with_mode(Mode::Offline);
    let (remote, other) = (
        remote(&cache.server),
        remote_at("https+registry://images.example"),
    );
    let place = url(&remote, "/f");
    let elsewhere = url(&remote, "/g");
    let requests = [
        (Get::file(&remote, &place), &place),
        (Get::document(&remote, &elsewhere), &elsewhere),
        // Another remote has nothing kept, whatever the URL.
        (Get::document(&other, &place), &place),
    ];
    for (request, url) in requests {
        let error = offline.get(request).await.expect_err("not kept");
        let message = format!("offline, and not kept here: {url}");
        assert_error(&error, ErrorKind::Network, &message);
    }
    let bypass = Get::document(&remote, &place).with_caches(Caches::Bypass);
    assert_eq!(text(offline.get(bypass).await).await, "one");
    assert!(cache.server.requests().is_empty());
}

#[tokio::test]
async fn files_are_not_kept() {
    let cache = Cache::new();
    let remote = remote(&cache.server);
    let url = url(&remote, "/f");
    assert_eq!(
        text(cache.transport().get(Get::file(&remote, &url)).await).await,
        "one"
    );
    assert!(files(&cache.path()).is_empty());
}

#[tokio::test]
async fn documents_without_validators_are_kept_for_offline_and_fetched_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::http(Site::answering(|_| Answer::ok("plain"))).expect("a server");
    let transport = CachedTransport::new(Arc::new(HttpTransport::new(options())), directory.path());
    for _ in 0..2 {
        assert_eq!(
            document(&transport, &remote(&server))
                .await
                .expect("a document"),
            b"plain"
        );
    }
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.field("if-none-match").is_none())
    );
    let offline = transport.with_mode(Mode::Offline);
    assert_eq!(
        document(&offline, &remote(&server)).await.expect("kept"),
        b"plain"
    );
}

pub(crate) async fn document(transport: &dyn Transport, remote: &RemoteConfig) -> Result<Vec<u8>> {
    let url = url(remote, "/f");
    read(transport.get(Get::document(remote, &url)).await?).await
}

pub(crate) async fn text(body: Result<Body>) -> String {
    let bytes = read(body.expect("a body")).await.expect("bytes");
    String::from_utf8(bytes).expect("text")
}

pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.expect("an entry").path())
        .collect()
}

pub(crate) fn age(path: &Path, age: Duration) {
    let file = fs::File::options().write(true).open(path).expect("there");
    file.set_modified(SystemTime::now() - age).expect("set");
}

/// A document without an entity tag, as plain web servers send it.
async fn second_request_asks_for_a_change(last_modified: &'static str) -> bool {
    let directory = tempfile::tempdir().expect("a directory");
    let site =
        Site::answering(move |_| Answer::ok("one").with_field("Last-Modified", last_modified));
    let server = Server::http(site).expect("a server");
    let inner = Arc::new(HttpTransport::new(options()));
    let transport = CachedTransport::new(inner, directory.path().join("documents"));
    for _ in 0..2 {
        let body = document(&transport, &remote(&server))
            .await
            .expect("a document");
        assert_eq!(body, b"one");
    }
    server.requests()[1].field("If-Modified-Since").is_some()
}

#[tokio::test]
async fn goes_by_the_time_of_change_only_if_the_document_had_rested() {
    assert!(second_request_asks_for_a_change("Sun, 06 Nov 1994 08:49:37 GMT").await);
    // Whole seconds cannot tell a second change within the same one.
    assert!(!second_request_asks_for_a_change("Fri, 06 Nov 2099 08:49:37 GMT").await);
    assert!(!second_request_asks_for_a_change("yesterday").await);
}
