//! Kept documents that are damaged, planted, cut or old, and places where nothing can be kept.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use imagestore_core::{Caches, ErrorKind, Get, Transport};
use imagestore_http::{CachedTransport, HttpTransport};
use imagestore_testkit::server::Framing;
use imagestore_testkit::{Answer, Fault, Server, Site, keys};

use crate::cache::{Cache, age, document, files, text};
use crate::setup::{assert_error, options, remote, url};

#[tokio::test]
async fn a_document_is_passed_on_while_it_is_kept_and_kept_only_whole() {
    let cache = Cache::new();
    let fault = Fault::CutBody {
        after: 2,
        framing: Framing::Length,
    };
    cache.server.fail_once("/f", fault);
    let remote = remote(&cache.server);
    document(&cache.transport(), &remote)
        .await
        .expect_err("cut");
    assert!(files(&cache.path()).is_empty(), "nothing is left of it");
    let url = url(&remote, "/f");
    let body = cache
        .transport()
        .get(Get::document(&remote, &url))
        .await
        .expect("a head");
    assert_eq!(cache.endings(), ["tmp"]);
    drop(body);
    assert!(files(&cache.path()).is_empty(), "nothing is left of it");
    cache.document().await;
    assert_eq!(cache.statuses(), [200, 200, 200]);
}

#[tokio::test]
async fn damaged_copies_are_dropped_and_fetched_anew() {
    let damages: [fn(&Cache); 6] = [
        |cache| fs::write(cache.kept("body"), "two").expect("written"),
        |cache| fs::write(cache.kept("body"), "").expect("written"),
        |cache| fs::write(cache.kept("label"), "\0\u{ff}").expect("written"),
        |cache| fs::write(cache.kept("label"), "").expect("written"),
        |cache| fs::remove_file(cache.kept("body")).expect("removed"),
        |cache| fs::remove_file(cache.kept("label")).expect("removed"),
    ];
    for (index, damage) in damages.into_iter().enumerate() {
        let cache = Cache::new();
        cache.document().await;
        damage(&cache);
        assert!(cache.offline().await.is_err(), "{index}");
        assert_eq!(cache.document().await, b"one", "{index}");
        assert_eq!(cache.document().await, b"one", "{index}");
        assert_eq!(cache.statuses(), [200, 200, 304], "{index}");
    }
}

#[tokio::test]
async fn a_link_is_not_followed() {
    let cache = Cache::new();
    cache.document().await;
    let body = cache.kept("body");
    let elsewhere = cache.directory.path().join("elsewhere");
    fs::rename(&body, &elsewhere).expect("moved");
    std::os::unix::fs::symlink(&elsewhere, &body).expect("a link");
    assert_eq!(cache.document().await, b"one");
    assert_eq!(cache.statuses(), [200, 200]);
    assert_eq!(fs::read(elsewhere).expect("there"), b"one");
}

#[tokio::test]
async fn a_cache_that_cannot_be_used_is_as_good_as_none() {
    let cache = Cache::new();
    fs::write(cache.path(), "a file").expect("written");
    for _ in 0..2 {
        assert_eq!(cache.document().await, b"one");
    }
    assert_eq!(cache.statuses(), [200, 200]);
    let error = cache.transport().check_directory().expect_err("a file");
    let message = format!("cannot make a directory: {}", cache.path().display());
    assert_error(&error, ErrorKind::Storage, &message);

    let open = Cache::new();
    fs::create_dir(open.path()).expect("made");
    fs::set_permissions(open.path(), PermissionsExt::from_mode(0o777)).expect("opened");
    for _ in 0..2 {
        assert_eq!(open.document().await, b"one");
    }
    assert_eq!(open.statuses(), [200, 200]);
    let error = open.transport().check_directory().expect_err("open to all");
    let message = format!(
        "a directory for documents is open to other users: {}; \
         give it to this user and set its mode to 0700",
        open.path().display()
    );
    assert_error(&error, ErrorKind::Storage, &message);
}

#[tokio::test]
async fn a_disk_that_takes_nothing_harms_no_document() {
    // A private directory nobody can write to, not even root.
    let cache = Cache::new();
    let full = CachedTransport::new(Arc::new(HttpTransport::new(options())), "/proc/self/fd");
    for _ in 0..2 {
        let bytes = document(&full, &remote(&cache.server))
            .await
            .expect("a document");
        assert_eq!(bytes, b"one");
    }
    assert_eq!(cache.statuses(), [200, 200]);
}

#[tokio::test]
async fn a_copy_planted_under_the_right_validators_can_be_passed_by() {
    let cache = Cache::new();
    cache.document().await;
    // A bad mirror answers under the validators of the good document.
    let label = fs::read_to_string(cache.kept("label")).expect("a label");
    let etag = label
        .lines()
        .find_map(|line| line.strip_prefix("etag "))
        .expect("one")
        .to_owned();
    let bad = Server::http(Site::answering(move |_| {
        Answer::ok("planted").with_field("ETag", etag.clone())
    }))
    .expect("a server");
    let remote = remote(&cache.server).with_mirrors(vec![bad.base_url()]);
    cache
        .server
        .fail_once("/f", Fault::redirect(format!("{}/f", bad.url())));
    let request_url = url(&remote, "/f");
    let request = Get::document(&remote, &request_url);
    let anew = request.with_caches(Caches::Bypass);
    assert_eq!(text(cache.transport().get(anew).await).await, "planted");
    assert_eq!(
        text(cache.transport().get(request).await).await,
        "planted",
        "revalidated"
    );
    assert_eq!(
        text(cache.transport().get(anew).await).await,
        "one",
        "passed by"
    );
    assert_eq!(text(cache.transport().get(request).await).await, "one");
}

#[tokio::test]
async fn a_copy_older_than_a_day_is_fetched_anew() {
    let cache = Cache::new();
    cache.document().await;
    age(&cache.kept("label"), Duration::from_secs(86_400 + 60));
    assert_eq!(cache.document().await, b"one");
    assert_eq!(cache.document().await, b"one");
    assert_eq!(cache.statuses(), [200, 200, 304]);
    age(&cache.kept("label"), Duration::from_secs(86_400 * 30));
    assert_eq!(cache.offline().await.expect("however old"), b"one");
}

#[tokio::test]
async fn a_whole_signed_document_comes_through() {
    let cache = Cache::new();
    let now = SystemTime::now();
    cache.server.put("/i", "index");
    cache
        .server
        .put("/i.asc", keys::sign(keys::images(), b"index", now));
    let context = imagestore_core::Context::new(Arc::new(cache.transport()));
    let remote = remote(&cache.server);
    for _ in 0..2 {
        let document = imagestore_core::Document::new(&context, &remote, "/i").expect("plain");
        let text = document
            .fetch(|bytes| Ok(imagestore_core::Parsed::new(bytes.to_vec())))
            .await
            .expect("verified");
        assert_eq!(*text, b"index");
    }
    assert_eq!(cache.statuses(), [200, 200, 304, 304]);
    // What was changed on the disk, with a label that fits, is refused like what was changed on the way.
    let kept = files(&cache.path())
        .into_iter()
        .find(|path| fs::read(path).is_ok_and(|bytes| bytes == b"index"));
    let body = kept.expect("kept");
    let label = body.with_extension("label");
    let changed = fs::read_to_string(&label).expect("a label").replace(
        &imagestore_verify::Sha256::of(b"index").to_string(),
        &imagestore_verify::Sha256::of(b"evil!").to_string(),
    );
    fs::write(&label, changed).expect("written");
    fs::write(&body, "evil!").expect("written");
    let document = imagestore_core::Document::new(&context, &remote, "/i").expect("plain");
    let text = document
        .fetch(|bytes| Ok(imagestore_core::Parsed::new(bytes.to_vec())))
        .await;
    assert_eq!(*text.expect("asked for anew"), b"index");
}

#[tokio::test]
async fn removes_what_is_old() {
    let cache = Cache::new();
    cache.document().await;
    let day = Duration::from_secs(86_400);
    assert_eq!(cache.transport().prune(day).expect("pruned"), 0);
    fs::write(cache.path().join("x-1-1.tmp"), "left by a crash").expect("written");
    fs::write(cache.path().join("README"), "not ours").expect("written");
    for path in files(&cache.path()) {
        age(&path, day * 2);
    }
    assert_eq!(cache.transport().prune(day * 30).expect("pruned"), 1);
    assert_eq!(cache.transport().prune(day).expect("pruned"), 2);
    let left = files(&cache.path());
    assert_eq!(left, [cache.path().join("README")]);
}
