//! What a tree can say to reach for more than its images, one test each.

use imagestore_core::{ErrorKind, Limits};

use crate::tree::{NEW, OLD, Tree, file, lookup, product, products, sha, url};

const NAME: &str = "ubuntu/trusty/amd64/default";

fn tar(serial: &str) -> String {
    sha(&format!("meta of default {serial}tar of default {serial}"))
}

/// The product file with one text replaced by another, everywhere.
async fn spoiled(from: &str, to: &str) -> (ErrorKind, String) {
    let text = products().replace(from, to);
    assert_ne!(text, products(), "{from}");
    let error = Tree::of(&text).lookup(NAME).await.expect_err(to);
    (error.kind(), error.to_string())
}

#[tokio::test]
async fn fingerprints_are_64_lower_case_digits_and_never_a_path() {
    let good = tar(NEW);
    for bad in [
        "../../x".to_owned(),
        good.to_uppercase(),
        good[..12].to_owned(),
        format!("{good}0"),
        String::new(),
    ] {
        let (kind, message) = spoiled(&good, &bad).await;
        assert_eq!(kind, ErrorKind::Malformed);
        assert_eq!(
            message,
            format!(
                "`combined_rootxz_sha256` is not 64 lower-case hex digits: `{bad}`: {NAME}/{NEW}"
            )
        );
    }
}

#[tokio::test]
async fn digests_of_items_are_whole() {
    let good = sha(&format!("tar of default {NEW}"));
    let (kind, message) = spoiled(&good, &good[..20]).await;
    assert_eq!(kind, ErrorKind::Malformed);
    assert!(
        message.starts_with("`sha256` is not 64 lower-case hex digits"),
        "{message}"
    );
    let (kind, message) = spoiled(&format!(r#""sha256":"{good}""#), r#""md5":"x""#).await;
    assert_eq!(kind, ErrorKind::Malformed);
    assert!(
        message.starts_with("an item of type `root.tar.xz` has no `sha256`"),
        "{message}"
    );
}

#[tokio::test]
async fn the_fingerprint_is_asked_for_along_with_the_digests() {
    // Another fingerprint, well formed: whoever downloads finds that the files do not have it.
    let text = products().replace(&tar(NEW), &tar(OLD));
    let image = Tree::of(&text).lookup(NAME).await.expect("well formed");
    assert_eq!(image.fingerprint.map(|f| f.to_string()), Some(tar(OLD)));
    assert_eq!(image.downloads.len(), 2);
}

#[tokio::test]
async fn paths_stay_below_the_root_of_the_tree() {
    let good = format!("images/ubuntu/trusty/default/{NEW}/tar");
    for (bad, problem) in [
        ("../../../etc/shadow", "leaves the tree"),
        ("/etc/shadow", "leaves the tree"),
        ("//evil.example/tar", "leaves the tree"),
        ("https://evil.example/tar", "leaves the tree"),
        ("images/%2e%2e/tar", "is percent-encoded"),
        ("images/a?b", "has a query"),
        ("images/a#b", "has a fragment"),
        ("images/../../tar", "leaves the tree"),
        ("images/a\\\\b", "has a backslash"),
        ("images/a\\u0000b", "has a control character"),
        ("images//b", "has an empty segment"),
        ("", "is empty"),
    ] {
        let (kind, message) = spoiled(&good, bad).await;
        assert_eq!(kind, ErrorKind::Unsafe, "{bad}");
        let wanted = format!("a path {problem}: `");
        assert!(message.starts_with(&wanted), "{message}");
    }
}

#[tokio::test]
async fn an_image_that_is_wrong_takes_no_other_with_it() {
    let text = products().replace(&format!("default/{NEW}/tar"), "../x");
    let tree = Tree::of(&text);
    tree.lookup(NAME).await.expect_err("its path");
    tree.lookup(&format!("{NAME}/{OLD}"))
        .await
        .expect("the older one");
    tree.lookup("ubuntu/trusty/arm64/cloud")
        .await
        .expect("the other one");
    assert_eq!(
        tree.names("ubuntu/trusty").await.expect("a listing"),
        ["folder arm64"]
    );
}

#[tokio::test]
async fn sizes_are_numbers_of_bytes_within_the_limit() {
    let size = format!(r#""size":{}"#, format!("tar of default {NEW}").len());
    for bad in ["0", "-1", "1.5", "\"x\"", "18446744073709551616", "1e3"] {
        let (kind, message) = spoiled(&size, &format!(r#""size":{bad}"#)).await;
        assert_eq!(kind, ErrorKind::Malformed, "{bad}: {message}");
        assert!(
            message.starts_with("the size of an item is not a number of bytes from 1 on"),
            "{message}"
        );
    }
    let (kind, message) = spoiled(&size, &format!(r#""size":{}"#, u64::MAX)).await;
    assert_eq!(kind, ErrorKind::TooLarge);
    assert!(
        message.starts_with("has 18446744073709551615 bytes, at most "),
        "{message}"
    );
}

#[tokio::test]
async fn two_items_of_one_type_are_no_choice() {
    let (from, to) = (
        r#""ftype":"lxd_combined.tar.gz""#,
        r#""ftype":"root.tar.xz""#,
    );
    let (kind, message) = spoiled(from, to).await;
    assert_eq!(kind, ErrorKind::Malformed);
    assert!(
        message.starts_with("the version has two items of type `root.tar.xz`"),
        "{message}"
    );
}

#[tokio::test]
async fn names_that_come_twice_are_refused() {
    let one = product("u", "amd64", "default", &[NEW]);
    let tree = Tree::of(&file(&format!(r#""p":{one},"p":{one}"#)));
    let error = tree.lookup("u").await.expect_err("twice");
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(
        error
            .to_string()
            .starts_with("not the JSON of this protocol: `p` comes twice")
    );
    let tree = Tree::of(&products().replacen(r#""os":"#, r#""os":"Debian","os":"#, 1));
    tree.lookup(NAME).await.expect_err("twice");
}

#[tokio::test]
async fn a_product_file_of_something_else_is_refused() {
    let (kind, message) = spoiled(r#""content_id":"images""#, r#""content_id":"daily""#).await;
    assert_eq!(kind, ErrorKind::Malformed);
    assert_eq!(
        message,
        "the product file is about `daily`, the index names it for `images`: \
         https+simplestreams://images.example/streams/v1/images"
    );
    let (kind, message) = spoiled("products:1.0", "products:2.0").await;
    assert_eq!(kind, ErrorKind::Malformed);
    assert!(message.starts_with("the format is `products:2.0`, expected `products:1.0`"));
}

#[tokio::test]
async fn documents_without_end_are_cut_off() {
    let tree = Tree::new();
    let mut limits = Limits::default();
    limits.index_bytes = products().len() as u64 - 1;
    let context = tree.context().with_limits(limits);
    let source = imagestore_simplestreams::Simplestreams::new(Tree::remote(), context);
    let error = lookup(&source.expect("in order"), NAME)
        .await
        .expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(
        error.subject(),
        Some(url("streams/v1/images.json").as_str())
    );
}

#[tokio::test]
async fn objects_without_end_are_cut_off_and_what_nobody_asks_for_is_not_kept() {
    let tree = Tree::new();
    let mut limits = Limits::default();
    limits.entries = 40;
    let context = tree.context().with_limits(limits);
    let source = imagestore_simplestreams::Simplestreams::new(Tree::remote(), context);
    let error = lookup(&source.expect("in order"), NAME)
        .await
        .expect_err("too many");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(
        error
            .to_string()
            .starts_with("has more than 40 objects and fields")
    );

    let nothing = vec![r#"{"a":{}}"#; 1_000_000].join(",");
    let text = products().replacen('{', &format!(r#"{{"x":[{nothing}],"#), 1);
    Tree::of(&text).lookup(NAME).await.expect("8 MB of nothing");
    let deep = "[".repeat(1_000_000);
    let error = Tree::of(&deep).lookup(NAME).await.expect_err("deep");
    assert_eq!(error.kind(), ErrorKind::Malformed);
}

#[tokio::test]
async fn names_that_are_no_names_cannot_be_asked_for_and_are_not_listed() {
    let one = product("a/../b,,\u{202e}x,u", "amd64", "default", &["../x", NEW]);
    let tree = Tree::of(&file(&format!(r#""p":{one},"../../q":{one},"r/s":{one}"#)));
    assert_eq!(
        tree.names("").await.expect("a listing"),
        ["alias u", "folder ubuntu"]
    );
    assert_eq!(
        tree.names(NAME).await.expect("a listing"),
        [format!("image {NEW}")]
    );
}
