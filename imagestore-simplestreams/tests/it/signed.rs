use imagestore_core::{ErrorKind, Image};
use imagestore_testkit::keys;
use imagestore_verify::signing::SigningKey;
use imagestore_verify::{Proof, Verified};

use crate::tree::{INDEX, NEW, Tree, chain, lookup, products, url};

const NAME: &str = "ubuntu/trusty/amd64/default";

fn clear(key: &SigningKey, text: &str) -> String {
    key.sign_clear(text, keys::at(keys::SIGNED))
}

/// A tree with clear-signed documents, and an index that names the plain product file.
fn clear_signed() -> Tree {
    let tree = Tree::empty();
    tree.put("streams/v1/index.sjson", &clear(keys::images(), INDEX));
    tree.put(
        "streams/v1/images.sjson",
        &clear(keys::images(), &products()),
    );
    tree
}

/// A tree with plain documents and signatures beside them.
fn detached() -> Tree {
    let tree = Tree::new();
    for (path, text) in [
        ("streams/v1/index.json", INDEX),
        ("streams/v1/images.json", &products()),
    ] {
        let asc = keys::sign(keys::images(), text.as_bytes(), keys::at(keys::SIGNED));
        tree.put(&format!("{path}.gpg"), &asc);
    }
    tree
}

async fn signed(tree: &Tree) -> Result<Verified<Image>, (ErrorKind, String)> {
    let image = lookup(&*tree.source(Tree::signed_remote()), NAME).await;
    image.map_err(|error| (error.kind(), chain(&error)))
}

#[tokio::test]
async fn both_signed_forms_are_believed_by_their_signatures() {
    for tree in [clear_signed(), detached()] {
        let image = signed(&tree).await.expect("signed");
        assert_eq!(image.id.build(), format!("{NEW}+tar"));
        let signers: Vec<_> = image
            .proofs()
            .iter()
            .map(|proof| match proof {
                Proof::Signature(signature) => *signature.signer(),
                other => panic!("believed by {other}"),
            })
            .collect();
        assert_eq!(signers, [keys::images().fingerprint(); 2]);
    }
}

#[tokio::test]
async fn an_index_may_name_the_clear_signed_file() {
    let index = INDEX.replace("images.json", "images.sjson");
    let tree = clear_signed();
    tree.put("streams/v1/index.sjson", &clear(keys::images(), &index));
    signed(&tree).await.expect("signed");
    // Without keys, the same file is asked for as it is when nobody signs.
    let tree = Tree::new();
    tree.put("streams/v1/index.json", &index);
    tree.lookup(NAME).await.expect("by the channel");
}

#[tokio::test]
async fn a_missing_signature_is_an_error_and_never_ignored() {
    for path in ["streams/v1/index.json.gpg", "streams/v1/images.json.gpg"] {
        let tree = detached();
        tree.transport.remove(&url(path));
        let (kind, text) = signed(&tree).await.expect_err(path);
        assert_eq!(kind, ErrorKind::Untrusted, "{text}");
        let document = url(path.trim_end_matches(".gpg"));
        assert!(
            text.starts_with(&format!("is not signed: {document}\n")),
            "{text}"
        );
    }
    let tree = clear_signed();
    tree.transport.remove(&url("streams/v1/images.sjson"));
    tree.put("streams/v1/images.json", &products());
    let (kind, _) = signed(&tree).await.expect_err("a plain product file");
    assert_eq!(kind, ErrorKind::Untrusted);
}

#[tokio::test]
async fn text_outside_of_the_signed_text_is_never_read() {
    let good = clear(keys::images(), INDEX);
    let evil = INDEX.replace("images.json", "evil.json");
    let second = clear(keys::images(), &evil);
    for spoiled in [
        format!("{evil}\n{good}"),
        format!("{good}{evil}\n"),
        format!("{good}{second}"),
        good.replace("Hash: SHA512\n\n", &format!("Hash: SHA512\n\n{evil}\n")),
        good.replace("Hash: SHA512\n", "Hash: SHA512\nNotDashEscaped: x\n"),
        good.replace("images.json", "evil.json"),
        clear(keys::stranger(), INDEX),
        INDEX.to_owned(),
    ] {
        let tree = clear_signed();
        tree.put("streams/v1/index.sjson", &spoiled);
        let (kind, text) = signed(&tree).await.expect_err(&spoiled);
        assert_eq!(kind, ErrorKind::Untrusted, "{text}");
        assert!(
            !tree
                .transport
                .requests()
                .iter()
                .any(|asked| asked.contains("evil"))
        );
    }
}

#[tokio::test]
async fn leaving_out_one_form_brings_back_nothing_older() {
    let tree = clear_signed();
    signed(&tree).await.expect("the newest");
    tree.transport.remove(&url("streams/v1/index.sjson"));
    let older = INDEX.replace("13:00:00", "12:00:00");
    let asc = keys::sign(
        keys::images(),
        older.as_bytes(),
        keys::at(keys::SIGNED - 60),
    );
    tree.put("streams/v1/index.json", &older);
    tree.put("streams/v1/index.json.gpg", &asc);
    let (kind, text) = signed(&tree).await.expect_err("older");
    assert_eq!(kind, ErrorKind::RolledBack, "{text}");
}

/// Puts one publication of the index in one form, signed so many seconds after the usual time.
fn put_index(tree: &Tree, form: &str, text: &str, late: i64) {
    let time = keys::at(keys::SIGNED.checked_add_signed(late).expect("a time"));
    for ending in ["sjson", "json", "json.gpg"] {
        tree.transport
            .remove(&url(&format!("streams/v1/index.{ending}")));
    }
    if form == "sjson" {
        let signed = keys::images().sign_clear(text, time);
        tree.put("streams/v1/index.sjson", &signed);
    } else {
        let asc = keys::sign(keys::images(), text.as_bytes(), time);
        tree.put("streams/v1/index.json", text);
        tree.put("streams/v1/index.json.gpg", &asc);
    }
}

#[tokio::test]
async fn both_forms_of_one_publication_are_good_in_any_order() {
    // A signed index names the clear-signed product files, so the texts differ.
    let clear_index = INDEX.replace("images.json", "images.sjson");
    for (first, second) in [("sjson", "json"), ("json", "sjson")] {
        // The publisher signs one after the other, in one second or a minute apart.
        for late in [0, -60, 60] {
            let tree = clear_signed();
            let text = |form| {
                if form == "sjson" {
                    &*clear_index
                } else {
                    INDEX
                }
            };
            let times = |form| if form == "sjson" { 0 } else { late };
            for form in [first, second, first, second] {
                put_index(&tree, form, text(form), times(form));
                let image = signed(&tree).await;
                image.unwrap_or_else(|error| panic!("{form} {late}: {error:?}"));
            }
            // An older publication comes back in neither.
            for form in [first, second] {
                let older = text(form).replace("13:00:00", "12:59:59");
                put_index(&tree, form, &older, times(form));
                let (kind, text) = signed(&tree).await.expect_err("older");
                assert_eq!(kind, ErrorKind::RolledBack, "{form} {late}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn within_one_form_no_two_contents_are_of_one_second() {
    for form in ["sjson", "json"] {
        let tree = clear_signed();
        put_index(&tree, form, INDEX, 0);
        signed(&tree).await.expect("the first");
        put_index(&tree, form, &INDEX.replace("13:00:00", "13:00:01"), 0);
        let (kind, text) = signed(&tree).await.expect_err("another");
        assert_eq!(kind, ErrorKind::RolledBack, "{text}");
    }
}

#[tokio::test]
async fn without_a_date_the_other_form_is_at_most_five_minutes_older() {
    let undated = INDEX.replace(r#""updated":"Fri, 31 May 2024 13:00:00 +0000","#, "");
    for (late, wanted) in [(-300, None), (-301, Some(ErrorKind::RolledBack))] {
        let tree = clear_signed();
        put_index(&tree, "sjson", &undated, 0);
        signed(&tree).await.expect("the first");
        put_index(&tree, "json", &format!("{undated} "), late);
        let kind = signed(&tree).await.err().map(|(kind, _)| kind);
        assert_eq!(kind, wanted, "{late}");
    }
}

#[tokio::test]
async fn the_forms_of_index_and_product_files_may_differ() {
    let tree = clear_signed();
    tree.transport.remove(&url("streams/v1/images.sjson"));
    let text = products();
    let asc = keys::sign(keys::images(), text.as_bytes(), keys::at(keys::SIGNED));
    tree.put("streams/v1/images.json", &text);
    tree.put("streams/v1/images.json.gpg", &asc);
    for index in [
        INDEX.to_owned(),
        INDEX.replace("images.json", "images.sjson"),
    ] {
        tree.put("streams/v1/index.sjson", &clear(keys::images(), &index));
        let tree = Tree {
            memory: std::sync::Arc::default(),
            ..tree.clone()
        };
        signed(&tree).await.expect("a detached signature");
        tree.transport.remove(&url("streams/v1/images.json.gpg"));
        let (kind, _) = signed(&tree).await.expect_err("no signature");
        assert_eq!(kind, ErrorKind::Untrusted);
        tree.put("streams/v1/images.json.gpg", &asc);
    }
}

#[tokio::test]
async fn without_keys_only_a_channel_makes_a_tree_believable() {
    let bare = std::sync::Arc::new(imagestore_testkit::MemoryTransport::new());
    for (path, text) in [
        ("streams/v1/index.json", INDEX),
        ("streams/v1/images.json", &products()),
    ] {
        bare.put(&url(path), text.to_owned());
    }
    let context = imagestore_core::Context::new(bare);
    let source = imagestore_simplestreams::Simplestreams::new(Tree::remote(), context);
    let error = lookup(&source.expect("in order"), NAME)
        .await
        .expect_err("no channel");
    assert_eq!(error.kind(), ErrorKind::Untrusted);
}
