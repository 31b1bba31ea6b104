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
