//! An embedding program that is told by a peer where a private image is: address, certificate, fingerprint, secret.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use imagestore::core::{Event, Progress, RemoteConfig, TlsTrust, Trust};
use imagestore::lxd::{Lxd, Secret};
use imagestore::{Config, ErrorKind, ImageStore, UnpackOptions};
use imagestore_testkit::{Answer, Request, Server, Site};
use imagestore_verify::Sha256;

use crate::world::{append, read, xz};

const WORD: &str = "5ec7e75ec7e75ec7e75ec7e75ec7e75ec7e75ec7e75ec7e7";

#[tokio::test]
async fn a_private_image_of_a_host_a_peer_tells_about() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let mut archive = tar::Builder::new(Vec::new());
    let yaml = "architecture: x86_64\ncreation_date: 1395234589\n";
    append(&mut archive, "metadata.yaml", 0o644, yaml.as_bytes());
    append(&mut archive, "rootfs/etc/hostname", 0o600, b"private\n");
    let archive = xz(&archive.into_inner().expect("in memory"));
    let fingerprint = Sha256::of(&archive).to_string();
    let (digits, bytes) = (fingerprint.clone(), archive.clone());
    let server = Server::https(Site::answering(move |request| {
        host(request, &digits, &bytes)
    }))
    .expect("a port");

    let told = Arc::new(Told::default());
    let images = ImageStore::builder()
        .with_config(Config::new(directory.path()))
        .with_store_dir(directory.path().join("store"))
        .with_progress(told.clone())
        .build()
        .expect("a store");
    let pin = server.certificate().expect("https").sha256();
    let remote = RemoteConfig::new(
        "peer".parse().expect("a name"),
        server.remote_url("lxd"),
        Trust::Channel,
    )
    .with_tls(TlsTrust::Pin(vec![pin]));
    let host = Lxd::new(remote, images.context().clone()).expect("a host");
    let path = fingerprint.parse().expect("a path");
    let hidden = images.fetch_from(&host, &path).await.expect_err("private");
    assert_eq!(hidden.kind(), ErrorKind::NotFound);

    let host = host.with_secret(Secret::new(WORD).expect("a secret"));
    let fetched = images.fetch_from(&host, &path).await.expect("fetched");
    assert_eq!(fetched.hops.len(), 1);
    assert_eq!(fetched.hops[0].path, path);
    let out = directory.path().join("out");
    images
        .unpack(&fetched.image, &out, &UnpackOptions::default())
        .await
        .expect("unpacked");
    assert_eq!(read(&out.join("rootfs/etc/hostname")), "private\n");

    let told = told.0.lock().expect("not poisoned").join("\n");
    assert!(told.contains("/export"), "{told}");
    for text in [told, format!("{host:?} {fetched:?} {images:?}")] {
        assert!(!text.contains(WORD), "{text}");
    }
    assert!(search(&directory.path().join("store")) > 1);
}

/// A host with one image that it shows for a secret.
fn host(request: &Request, fingerprint: &str, bytes: &[u8]) -> Answer {
    let image = format!("/1.0/images/{fingerprint}");
    let secret = format!("?secret={WORD}");
    let json = format!(
        r#"{{"type":"sync","metadata":{{"fingerprint":"{fingerprint}","size":{},"architecture":"x86_64","type":"container"}}}}"#,
        bytes.len()
    );
    if request.target == format!("{image}{secret}") {
        Answer::ok(json)
    } else if request.target == format!("{image}/export{secret}") {
        Answer::ok(bytes.to_vec()).with_field("Content-Type", "application/octet-stream")
    } else {
        Answer::new(404, r#"{"type":"error","error_code":404,"error":"x"}"#)
    }
}

/// All events, as they are shown to programmers.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<String>>);

impl Progress for Told {
    fn on(&self, event: Event<'_>) {
        let mut told = self.0.lock().expect("not poisoned");
        told.push(format!("{event:?}"));
    }
}

/// How many files are below a directory, none of which holds the secret.
fn search(directory: &Path) -> usize {
    let mut files = 0;
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        assert!(!path.to_string_lossy().contains(WORD), "{path:?}");
        if path.is_dir() {
            files += search(&path);
        } else {
            let bytes = fs::read(&path).expect("readable");
            let word = WORD.as_bytes();
            assert!(
                !bytes.windows(word.len()).any(|found| found == word),
                "{path:?}"
            );
            files += 1;
        }
    }
    files
}
