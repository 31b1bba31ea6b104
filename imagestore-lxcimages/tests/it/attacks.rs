//! What a server or somebody on the way may try, and what comes of it.

use imagestore_core::{ErrorKind, RemoteConfig, Trust};
use imagestore_testkit::{MemoryFault, keys};
use imagestore_verify::Keyring;

use crate::tree::{BUILD, Tree, chain, line, lookup, url};

const NAME: &str = "ubuntu/trusty/amd64/default";
const INDEX: &str = "/meta/1.0/index-user";
const SUMS: &str = "/images/ubuntu/trusty/amd64/default/20240531_12:00/SHA256SUMS";

/// How a lookup of the image ends.
async fn refusal(tree: &Tree) -> (ErrorKind, String) {
    let error = tree
        .lookup(NAME)
        .await
        .expect_err("it must not be believed");
    (error.kind(), chain(&error))
}

#[tokio::test]
async fn index_or_digests_are_signed_by_a_stranger() {
    for path in [INDEX, SUMS] {
        let tree = Tree::new();
        let bytes = tree.transport.file(&url(path)).expect("it is there");
        tree.put_signed(path, &bytes, keys::stranger(), keys::SIGNED);
        let stranger = keys::stranger().fingerprint();
        assert_eq!(
            refusal(&tree).await,
            (
                ErrorKind::Untrusted,
                format!(
                    "does not verify: {}\nsigned by {stranger}, which is not in the keyring",
                    url(path)
                ),
            )
        );
    }
}

#[tokio::test]
async fn signature_is_stripped() {
    for path in [INDEX, SUMS] {
        let tree = Tree::new();
        tree.transport.remove(&url(&format!("{path}.asc")));
        assert_eq!(
            refusal(&tree).await,
            (
                ErrorKind::Untrusted,
                format!(
                    "is not signed: {}\nstatus 404: {}.asc",
                    url(path),
                    url(path)
                ),
            )
        );
    }
}

#[tokio::test]
async fn byte_is_flipped() {
    for path in [INDEX, SUMS] {
        for at in [0, 20, 60] {
            let tree = Tree::new();
            tree.transport.fail(&url(path), MemoryFault::FlipByte(at));
            let (kind, text) = refusal(&tree).await;
            assert_eq!(kind, ErrorKind::Untrusted);
            let wanted = format!(
                "does not verify: {}\nthe data does not match the signature by",
                url(path)
            );
            assert!(text.starts_with(&wanted), "{text}");
            // Index and signature could have been out of step: both are asked for twice.
            assert_eq!(tree.transport.count(&url(path)), 2);
        }
    }
}

#[tokio::test]
async fn signature_of_another_file_is_passed_off() {
    let tree = Tree::new();
    tree.put_index(
        "index-system",
        &line("a/b/amd64/default", BUILD),
        keys::SIGNED,
    );
    let asc = tree
        .transport
        .file(&url("/meta/1.0/index-system.asc"))
        .expect("it is there");
    tree.transport.put(&url("/meta/1.0/index-user.asc"), asc);
    let (kind, text) = refusal(&tree).await;
    assert_eq!(kind, ErrorKind::Untrusted);
    assert!(
        text.contains("the data does not match the signature by"),
        "{text}"
    );
}

#[tokio::test]
async fn signature_is_a_message_that_holds_its_own_text() {
    let file = |name: &str| {
        let path = format!(
            "{}/tests/data/inline-signed/{name}",
            env!("CARGO_MANIFEST_DIR")
        );
        std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let keys = Keyring::from_bytes(&file("key-trusted.asc")).expect("a key");
    let place = "https+lxc-images://images.example".parse().expect("a url");
    let remote = RemoteConfig::new("a".parse().expect("a name"), place, Trust::Signatures(keys));
    let tree = Tree::empty();
    let context = tree.context_at(1_795_461_559 + 3600);
    let source = imagestore_lxcimages::LxcImages::new(remote, context).expect("a remote");
    tree.transport.put(&url(INDEX), file("index-user.plain"));
    for (name, wanted) in [
        (
            "index-user.plain.inline-signed.asc",
            "line 1 begins a `MESSAGE` block, not a `SIGNATURE` block",
        ),
        (
            "index-user.plain.clearsigned.asc",
            "line 1 begins a `SIGNED MESSAGE` block, not a `SIGNATURE` block",
        ),
    ] {
        tree.transport
            .put(&url("/meta/1.0/index-user.asc"), file(name));
        let error = lookup(&source, "ubuntu/trusty/amd64")
            .await
            .expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Untrusted);
        assert_eq!(
            chain(&error),
            format!(
                "does not verify: {}.asc\nsignature is malformed\n{wanted}",
                url(INDEX)
            )
        );
    }
    tree.transport.put(
        &url("/meta/1.0/index-user.asc"),
        file("index-user.plain.asc"),
    );
    let image = lookup(&source, "ubuntu/trusty/amd64")
        .await
        .expect("the same, detached");
    assert_eq!(image.id.build(), "20150427_03:49");
}

#[tokio::test]
async fn portal_answers_instead_of_the_server() {
    let tree = Tree::new();
    tree.transport.fail(&url(INDEX), MemoryFault::Html);
    tree.transport
        .fail(&url("/meta/1.0/index-user.asc"), MemoryFault::Html);
    let (kind, text) = refusal(&tree).await;
    assert_eq!(kind, ErrorKind::Untrusted);
    assert!(text.contains("it is not armored"), "{text}");
}

#[tokio::test]
async fn signed_file_is_no_index() {
    for (text, message) in [
        (
            "<html>\n<body>soon</body>\n</html>\n",
            "not an index: none of its 3 lines names an image",
        ),
        (
            "\0\0\0\0",
            "not an index: none of its 1 lines names an image",
        ),
        ("", "the index is empty"),
        ("\n \n", "the index is empty"),
    ] {
        let tree = Tree::new();
        tree.put_index("index-user", text, keys::SIGNED);
        assert_eq!(
            refusal(&tree).await,
            (ErrorKind::Malformed, format!("{message}: {}", url(INDEX)))
        );
        let error = tree.names("").await.expect_err("no list either");
        assert_eq!(error.kind(), ErrorKind::Malformed);
    }
}

#[tokio::test]
async fn path_leaves_the_server() {
    for path in [
        "//evil.example/x/",
        "https://evil.example/x/",
        "/images/../../etc/",
        "/images/%2e%2e/x/",
        "/x?y",
        "\\\\evil",
    ] {
        let tree = Tree::new();
        let text = format!(
            "ubuntu;trusty;amd64;default;{BUILD};{path}\n{}",
            line("a/b/amd64/default", BUILD)
        );
        tree.put_index("index-user", &text, keys::SIGNED);
        assert_eq!(
            refusal(&tree).await,
            (
                ErrorKind::Unsafe,
                format!(
                    "line 1 of the index has a path that could leave its server: {NAME} (`{path}`)"
                ),
            )
        );
        assert_eq!(tree.names("").await.expect("the other line"), ["a"]);
        assert_eq!(
            tree.transport
                .requests()
                .iter()
                .filter(|asked| asked.contains("evil"))
                .count(),
            0
        );
    }
}

#[tokio::test]
async fn body_never_ends() {
    let tree = Tree::new();
    tree.transport
        .fail(&url(INDEX), MemoryFault::Grow(17 << 20));
    let (kind, _) = refusal(&tree).await;
    assert_eq!(kind, ErrorKind::TooLarge);
    tree.transport.heal(&url(INDEX));
    tree.transport.fail(&url(SUMS), MemoryFault::Grow(2 << 20));
    let (kind, _) = refusal(&tree).await;
    assert_eq!(kind, ErrorKind::TooLarge);
}

#[tokio::test]
async fn body_is_cut() {
    for path in [INDEX, SUMS] {
        let tree = Tree::new();
        tree.transport.fail(&url(path), MemoryFault::Cut(10));
        let (kind, text) = refusal(&tree).await;
        assert_eq!(
            (kind, text),
            (
                ErrorKind::Network,
                format!("the connection broke: {}", url(path))
            )
        );
    }
}
