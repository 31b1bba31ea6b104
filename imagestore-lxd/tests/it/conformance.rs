use imagestore_core::FileRole;
use imagestore_testkit::Server;
use imagestore_testkit::conformance::{Expected, run_all};

use crate::host::{Asker, Shown, remote, site};

#[tokio::test]
async fn behaves_as_every_source_does() {
    let unified = Shown::new("ubuntu/trusty", [b"unified"]);
    let mut split = Shown::new("split", [b"metadata", b"root"]);
    split.aliases.push("ubuntu/precise".to_owned());
    let (one, two) = (unified.fingerprint(), split.fingerprint());
    let server = Server::https(site(vec![unified, split])).expect("a server");
    let asker = Asker::new();
    let source = asker.source(remote(&server));
    let expected = Expected::image("ubuntu/trusty", &one, [FileRole::Unified])
        .with_alias(&one)
        .with_alias(&one[..12])
        .with_missing("ubuntu/vivid")
        .with_missing("deadbeefdeadbeef")
        .with_listing("", ["ubuntu/trusty", "ubuntu/precise", "split", &one, &two])
        .with_listing("ubuntu", ["trusty", "precise"]);
    run_all(&source, &expected).await;
    let expected = Expected::image("split", &two, [FileRole::Metadata, FileRole::Rootfs])
        .with_alias("ubuntu/precise")
        .with_missing(&"0".repeat(64));
    run_all(&source, &expected).await;
}
