//! The newest build and the newest index only rise.

use imagestore_core::{ErrorKind, Protocol};
use imagestore_lxcimages::LxcImagesProtocol;
use imagestore_testkit::keys;

use crate::tree::{Tree, chain, line, lookup};

const NAME: &str = "ubuntu/trusty/amd64/default";

/// A server whose index has these builds, signed this many hours later than everything else.
fn publish(tree: &Tree, builds: &[&str], hours: u64) {
    let text: String = builds.iter().map(|build| line(NAME, build)).collect();
    for build in builds {
        tree.put_build(NAME, build);
    }
    tree.put_index("index-user", &text, keys::SIGNED + hours * 3600);
}

#[tokio::test]
async fn an_older_index_is_refused() {
    let tree = Tree::empty();
    publish(&tree, &["20240530"], 1);
    tree.lookup(NAME).await.expect("the first");
    publish(&tree, &["20240530", "20240531"], 0);
    let error = tree.lookup(NAME).await.expect_err("signed before");
    assert_eq!(error.kind(), ErrorKind::RolledBack);
    assert_eq!(
        chain(&error),
        "is older than one seen before (signed at 1717200000, seen before 1717203600): \
         https://images.example/meta/1.0/index-user; \
         if the remote was rebuilt on purpose, forget what is remembered of it"
    );
}

#[tokio::test]
async fn a_newest_build_that_falls_is_refused_though_the_index_is_newer() {
    let tree = Tree::empty();
    publish(&tree, &["20240531_05:00"], 0);
    tree.lookup(NAME).await.expect("the first");
    publish(&tree, &["20240530_05:00"], 1);
    let error = tree.lookup(NAME).await.expect_err("an older build");
    assert_eq!(error.kind(), ErrorKind::RolledBack);
    assert_eq!(
        error.to_string(),
        "is older than one seen before (build 1717045200, seen before 1717131600): \
         https+lxc-images://images.example/ubuntu/trusty/amd64/default build 20240530_05:00; \
         if the remote was rebuilt on purpose, forget what is remembered of it"
    );
    // Who names a build means it, and says nothing about the newest.
    let named = format!("{NAME}/20240530_05:00");
    assert_eq!(
        tree.lookup(&named).await.expect("named").id.build(),
        "20240530_05:00"
    );
    publish(&tree, &["20240601_00:00"], 2);
    tree.lookup(NAME).await.expect("a newer build");
}

#[tokio::test]
async fn a_named_build_is_not_remembered_as_the_newest() {
    let tree = Tree::empty();
    publish(&tree, &["20240530", "20240531"], 0);
    tree.lookup(&format!("{NAME}/20240531"))
        .await
        .expect("named");
    publish(&tree, &["20240530"], 1);
    assert_eq!(
        tree.lookup(NAME)
            .await
            .expect("the newest there is")
            .id
            .build(),
        "20240530"
    );
}

#[tokio::test]
async fn a_build_from_the_future_is_refused_and_not_remembered() {
    let tree = Tree::empty();
    publish(&tree, &["20240604_00:01"], 0);
    let error = tree
        .lookup(NAME)
        .await
        .expect_err("two days and a minute ahead");
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert_eq!(
        error.to_string(),
        "the build is dated more than two days ahead of the clock: \
         ubuntu/trusty/amd64/default/20240604_00:01; check the clock of this machine"
    );
    publish(&tree, &["20240531"], 1);
    tree.lookup(NAME).await.expect("nothing was remembered");
    publish(&tree, &["20240603_23:00"], 2);
    tree.lookup(NAME)
        .await
        .expect("a little ahead is a clock that is off");
}

#[tokio::test]
async fn a_refused_build_is_not_remembered() {
    let tree = Tree::empty();
    publish(&tree, &["20240531"], 0);
    tree.transport.remove(
        "https://images.example/images/ubuntu/trusty/amd64/default/20240531/SHA256SUMS.asc",
    );
    let error = tree
        .lookup(NAME)
        .await
        .expect_err("digests that are not signed");
    assert_eq!(error.kind(), ErrorKind::Untrusted);
    publish(&tree, &["20240530"], 1);
    tree.lookup(NAME).await.expect("nothing was remembered");
}

#[tokio::test]
async fn an_index_past_the_highest_age_is_refused() {
    let tree = Tree::new();
    let day = std::time::Duration::from_secs(86_400);
    let source = |days: u64| {
        let remote = Tree::remote().with_max_age(Some(day * 14));
        let context = tree.context_at(keys::SIGNED + days * 86_400);
        LxcImagesProtocol::new()
            .source(remote, &context)
            .expect("a remote")
    };
    lookup(&*source(14), NAME).await.expect("the last day");
    let error = lookup(&*source(15), NAME).await.expect_err("a day later");
    assert_eq!(error.kind(), ErrorKind::Expired);
    assert_eq!(
        error.to_string(),
        "was signed 15 days ago, at most 14 are allowed: https://images.example/meta/1.0/index-user"
    );
}
