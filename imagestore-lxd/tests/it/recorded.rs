//! What real hosts said, said again.

use std::fs;
use std::path::{Path, PathBuf};

use imagestore_core::{ErrorKind, Framing};
use imagestore_testkit::{Answer, Request, Server, Site};

use crate::host::{Asker, lookup, names, remote};

const SPLIT: &str = "105b4adf5210f712e14eb29ed3a9731ab6fbf7cb21dc03a6f56967d3871132d7";
const SQUASH: &str = "093193799f568311307e85a28e29d7ceabb4fac0ad7090aa0da39d4824bf4f8e";
const UNIFIED: &str = "bf27d42927fa4cf33ca64733f4b7b53b901703b868d2f70d6161092d41d3947b";
const NAMES: [(&str, &str); 3] = [("split", SPLIT), ("squash", SQUASH), ("unified", UNIFIED)];

fn recording(directory: &'static str) -> Site {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(directory);
    Site::answering(move |request| replay(request, &directory))
}

fn replay(request: &Request, directory: &Path) -> Answer {
    let file = |name: &str| {
        fs::read(directory.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let listing = if directory.ends_with("lxd") {
        "images_recursion1.json"
    } else {
        "images_r1.json"
    };
    let Some(rest) = request.path.strip_prefix("/1.0/images") else {
        return Answer::new(404, file("alias_missing.json"));
    };
    match rest.trim_start_matches('/') {
        "" => Answer::ok(file(listing)),
        "aliases/tiny-split" => Answer::ok(file("alias.json")),
        alias if alias.starts_with("aliases/") => Answer::new(404, file("alias_missing.json")),
        image => {
            let (digits, export) = image
                .split_once('/')
                .map_or((image, false), |(digits, _)| (digits, true));
            let known = NAMES.iter().find(|(_, whole)| whole.starts_with(digits));
            let Some((name, whole)) = known else {
                return Answer::new(404, file("image_missing.json"));
            };
            if export {
                let head =
                    String::from_utf8(file(&format!("export_{name}.headers"))).expect("text");
                let kind = head
                    .lines()
                    .find_map(|line| line.trim_start_matches("< ").strip_prefix("Content-Type: "));
                return Answer::ok(file(&format!("export_{name}.bin")))
                    .with_field("Content-Type", kind.expect("a type").trim());
            }
            match fs::read(directory.join(format!("image_{name}.json"))) {
                Ok(image) => Answer::ok(image),
                // Of one family only the list was recorded.
                Err(_) => Answer::ok(single(
                    &String::from_utf8(file(listing)).expect("text"),
                    whole,
                )),
            }
        }
    }
}

/// One image out of a list, in an answer of its own.
fn single(list: &str, fingerprint: &str) -> String {
    let at = list
        .find(&format!("\"fingerprint\":\"{fingerprint}\""))
        .expect("the image");
    let start = list[..at].rfind("{\"auto_update\"").expect("its beginning");
    let end = list[at..]
        .find("},{\"auto_update\"")
        .map_or(list.trim_end().len() - 2, |end| at + end + 1);
    format!(r#"{{"type":"sync","metadata":{}}}"#, &list[start..end])
}

#[tokio::test]
async fn a_recorded_lxd_is_listed_and_fetched() {
    list_and_fetch("lxd").await;
}

#[tokio::test]
async fn a_recorded_incus_is_listed_and_fetched() {
    list_and_fetch("incus").await;
}

async fn list_and_fetch(directory: &'static str) {
    let server = Server::https(recording(directory)).expect("a server");
    let asker = Asker::new();
    let source = asker.source(remote(&server));
    assert_eq!(
        names(&source, "").await.expect("a listing"),
        [
            SQUASH,
            SPLIT,
            UNIFIED,
            "tiny-split",
            "tiny-squash",
            "tiny-unified"
        ]
    );
    for (path, fingerprint, framing, sizes) in [
        ("tiny-split", SPLIT, Framing::Multipart, &[472, 236][..]),
        (&SQUASH[..12], SQUASH, Framing::Multipart, &[472, 4096]),
        (UNIFIED, UNIFIED, Framing::Plain, &[556]),
    ] {
        let image = lookup(&source, path).await.expect(path);
        assert_eq!(image.id.build(), fingerprint);
        assert_eq!(image.downloads[0].framing, framing);
        assert_eq!(image.properties["serial"], "20240101_03:42");
        assert_eq!(image.properties["architecture"], "amd64");
        let stored = asker
            .store
            .fetch(&asker.context, &remote(&server), &image)
            .await
            .expect(path);
        let found: Vec<_> = stored
            .artifacts()
            .iter()
            .map(|artifact| artifact.size())
            .collect();
        assert_eq!(found, sizes, "{path}");
    }
    let error = lookup(&source, "nope").await.expect_err("nothing");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
