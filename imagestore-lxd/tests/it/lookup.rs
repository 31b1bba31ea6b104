use imagestore_core::{ErrorKind, FileRole, Framing, ImageSource, RemoteConfig, Trust};
use imagestore_lxd::Secret;
use imagestore_testkit::{Server, Site};
use imagestore_verify::Proof;

use crate::host::{Asker, Shown, chain, error, lookup, names, remote, site, sync};

#[tokio::test]
async fn describes_an_image_and_says_by_what_it_is_believed() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    let shown = Shown::new("box", [b"metadata", b"root"])
        .with("architecture", "\"aarch64\"")
        .with("expires_at", "\"2030-01-01T00:00:00Z\"");
    let fingerprint = shown.fingerprint();
    let server = Server::socket(&path, site(vec![shown])).expect("a server");
    let asker = Asker::new();
    let image = lookup(&asker.source(remote(&server)), "box")
        .await
        .expect("an image");
    assert_eq!(image.id.path(), fingerprint);
    assert_eq!(
        image.fingerprint.expect("a fingerprint").to_string(),
        fingerprint
    );
    assert_eq!(image.properties["architecture"], "arm64");
    assert_eq!(image.properties["os"], "debian");
    assert_eq!(image.properties["public"], "yes");
    assert!(image.expires_at.is_some());
    let [download] = image.downloads.as_slice() else {
        panic!("{:?}", image.downloads);
    };
    assert_eq!(
        (download.framing, download.size),
        (Framing::Multipart, Some(12))
    );
    let channel = format!("received through unix socket {}", path.display());
    assert!(!image.proofs().is_empty());
    for proof in image.proofs() {
        assert_eq!(proof.to_string(), channel);
    }

    let stored = asker
        .fetch(&asker.source(remote(&server)), "box")
        .await
        .expect("fetched");
    let proofs = stored.artifacts()[1].proofs();
    assert!(
        proofs.iter().any(
            |proof| matches!(proof, Proof::Digest(digest) if digest.to_string() == fingerprint)
        ),
        "{proofs:?}"
    );
}

#[tokio::test]
async fn a_virtual_machine_has_a_disk() {
    let shown = Shown::new("vm", [b"metadata", b"QFI\xfb"]).with("type", "\"virtual-machine\"");
    let server = Server::https(site(vec![shown])).expect("a server");
    let asker = Asker::new();
    let image = lookup(&asker.source(remote(&server)), "vm")
        .await
        .expect("an image");
    let roles: Vec<_> = image.files().map(|file| file.role.clone()).collect();
    assert_eq!(roles, [FileRole::Metadata, FileRole::Disk]);
    assert_eq!(image.properties["type"], "virtual-machine");
}

#[tokio::test]
async fn asks_for_aliases_as_one_segment_and_never_with_head() {
    let server = Server::https(site(vec![Shown::new("a/b+c d", [b"x"])])).expect("a server");
    let asker = Asker::new();
    let source = asker.source(remote(&server));
    asker.fetch(&source, "a/b+c d").await.expect("fetched");
    let requests = server.requests();
    assert_eq!(requests[0].target, "/1.0/images/aliases/a%2Fb+c%20d");
    assert!(requests.iter().all(|request| request.method == "GET"));
}

#[tokio::test]
async fn expands_the_beginning_of_a_fingerprint_before_anything_else() {
    let shown = Shown::new("box", [b"x"]);
    let fingerprint = shown.fingerprint();
    let server = Server::https(site(vec![shown])).expect("a server");
    let asker = Asker::new();
    let source = asker.source(remote(&server));
    let image = lookup(&source, &fingerprint[..12].to_uppercase())
        .await
        .expect("an image");
    assert_eq!(image.id.build(), fingerprint);
    let last = server.requests().pop().expect("a request");
    assert_eq!(last.target, format!("/1.0/images/{fingerprint}/export"));

    let error = lookup(&source, &fingerprint[..8])
        .await
        .expect_err("too short");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        format!(
            "no such image among those the host shows to everybody: {}; a fingerprint needs its first 12 digits, or \
             all 64",
            &fingerprint[..8]
        )
    );
}

#[tokio::test]
async fn names_the_project_and_the_secret_where_they_belong() {
    let shown = Shown::new("box", [b"x"]);
    let fingerprint = shown.fingerprint();
    let server = Server::https(site(vec![shown])).expect("a server");
    let asker = Asker::new();
    let arguments = [("project".to_owned(), "a&b".to_owned())].into();
    let source = asker.source(remote(&server).with_arguments(arguments));
    let secret = Secret::new(&"5ec7e7".repeat(8)).expect("a secret");
    let source = source.with_secret(secret.clone());
    let image = lookup(&source, "box").await.expect("an image");
    names(&source, "").await.expect("names");
    let targets: Vec<_> = server
        .requests()
        .into_iter()
        .map(|request| request.target)
        .collect();
    let word = "5ec7e7".repeat(8);
    let query = format!("?project=a%26b&secret={word}");
    assert_eq!(
        targets,
        [
            "/1.0/images/aliases/box?project=a%26b".to_owned(),
            format!("/1.0/images/{fingerprint}{query}"),
            format!("/1.0/images/{fingerprint}/export{query}"),
            "/1.0/images?recursion=1&project=a%26b".to_owned(),
        ]
    );
    let location = &image.downloads[0].locations[0];
    assert_eq!(location.query(), Some("project=a%26b"));
    assert!(!format!("{source:?} {secret:?}").contains(&word));
}

#[tokio::test]
async fn tells_by_status_what_is_missing_and_what_is_not_allowed() {
    for (status, kind) in [
        (404, ErrorKind::NotFound),
        (403, ErrorKind::Refused),
        (500, ErrorKind::Network),
    ] {
        let server = Server::https(Site::answering(move |_| error(status))).expect("a server");
        let asker = Asker::new();
        let source = asker.source(remote(&server));
        let failed = lookup(&source, "box").await.expect_err("an error");
        assert_eq!(failed.kind(), kind, "{failed}");
        if kind == ErrorKind::Refused {
            assert_eq!(
                chain(&failed),
                format!(
                    "does not allow it (status 403 Forbidden): {}/1.0/images/aliases/box\nthe host says: x",
                    server.url()
                )
            );
            assert_eq!(server.requests().len(), 1, "asked again");
        }
        assert_eq!(names(&source, "").await.expect_err("an error").kind(), kind);
    }
}

#[tokio::test]
async fn tells_whether_the_host_knows_the_caller() {
    let server = Server::https(Site::answering(|_| {
        sync(r#"{"auth":"trusted","environment":{"server":"incus","server_version":"6.0.4"}}"#)
    }))
    .expect("a server");
    let asker = Asker::new();
    let host = asker.source(remote(&server)).host().await.expect("a host");
    assert!(host.trusted);
    assert_eq!(host.server.as_deref(), Some("incus"));
}

#[tokio::test]
async fn warns_when_an_alias_goes_back_to_an_older_image() {
    let asker = Asker::new();
    let new = Shown::new("box", [b"new"]).with("created_at", "\"2026-02-01T00:00:00Z\"");
    let old = Shown::new("box", [b"old"]).with("created_at", "\"2026-01-01T00:00:00Z\"");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    for (shown, warnings) in [(new, 0), (old, 1)] {
        let server = Server::socket(&path, site(vec![shown])).expect("a server");
        lookup(&asker.source(remote(&server)), "box")
            .await
            .expect("an image");
        assert_eq!(
            asker.told.warnings().len(),
            warnings,
            "{:?}",
            asker.told.warnings()
        );
        drop(server);
        // A server that is gone may leave its socket.
        drop(std::fs::remove_file(&path));
    }
    let warning = &asker.told.warnings()[0];
    assert!(
        warning.starts_with("alias `box` of unix+lxd://"),
        "{warning}"
    );
    assert!(
        warning.contains("names an image that is older than one seen before"),
        "{warning}"
    );
}

#[tokio::test]
async fn goes_on_with_a_unified_image_and_begins_a_split_one_anew() {
    let noise: Vec<u8> = (0..300_000u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let unified = Shown::new("one", [&noise]);
    let split = Shown::new("two", [b"metadata", &noise]);
    let (one, two) = (unified.fingerprint(), split.fingerprint());
    let server = Server::https(site(vec![unified, split])).expect("a server");
    let asker = Asker::new();
    let source = asker.source(remote(&server));
    let path = format!("/1.0/images/{one}/export");
    // A file that is put there is served with ranges.
    server.put(&path, noise.clone());
    let image = lookup(&source, "one").await.expect("an image");
    let cut = |after| imagestore_testkit::Fault::CutBody {
        after,
        framing: imagestore_testkit::server::Framing::Length,
    };
    server.fail_once(&path, cut(700_000));
    asker
        .store
        .fetch(&asker.context, source.remote(), &image)
        .await
        .expect("fetched");
    let last = server.requests_for(&path).pop().expect("a request");
    assert_eq!(last.status, 206);
    assert_eq!(
        asker.told.warnings().len(),
        1,
        "{:?}",
        asker.told.warnings()
    );

    let path = format!("/1.0/images/{two}/export");
    let image = lookup(&source, "two").await.expect("an image");
    server.fail_once(&path, cut(700_000));
    let stored = asker
        .store
        .fetch(&asker.context, source.remote(), &image)
        .await
        .expect("fetched");
    let last = server.requests_for(&path).pop().expect("a request");
    assert_eq!((last.status, last.field("range")), (200, None));
    assert_eq!(stored.artifacts()[1].size(), noise.len() as u64);
}

#[test]
fn refuses_a_remote_with_keys() {
    let asker = Asker::new();
    let keys = imagestore_testkit::keys::keyring(imagestore_testkit::keys::images());
    let remote = RemoteConfig::new(
        "host".parse().expect("a name"),
        "https+lxd://lxd.example".parse().expect("a url"),
        Trust::Signatures(keys),
    );
    let error = imagestore_lxd::Lxd::new(remote, asker.context.clone()).expect_err("keys");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert_eq!(
        error.to_string(),
        "remote `host` has keys, but a host signs nothing; trust the channel: reach it by its socket, or by https \
         with its certificate pinned"
    );
}

#[tokio::test]
async fn believes_nothing_that_comes_in_the_clear() {
    let server = Server::http(site(vec![Shown::new("box", [b"x"])])).expect("a server");
    let asker = Asker::new();
    let source = asker.source(remote(&server));
    let error = source
        .lookup(&"box".parse().expect("a path"))
        .await
        .expect_err("no channel");
    assert_eq!(error.kind(), ErrorKind::Untrusted);
    assert!(
        error
            .to_string()
            .starts_with("came over a channel that nothing vouches for: "),
        "{error}"
    );
}
