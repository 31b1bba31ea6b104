use imagestore_core::{ErrorKind, Trust};
use imagestore_registry::Registry;
use imagestore_testkit::conformance::{Expected, run_all};
use imagestore_testkit::{MemoryFault, keys};

use crate::server::{INDEX, Server, chain, key_path, trusted};

async fn refusal(server: &Server) -> (ErrorKind, String) {
    let error = server
        .refer("a/x/y")
        .await
        .expect_err("it must not be believed");
    (error.kind(), chain(&error))
}

fn usable() -> Server {
    Server::with_a(&trusted(&[keys::images()]))
}

#[tokio::test]
async fn does_what_every_source_does() {
    let a = format!(
        r#"{{"name": "a", "url": "https+lxc-images://a.example", {}}}"#,
        trusted(&[keys::images()])
    );
    let alias = r#""u/lts": {"server": "a", "arguments": {"distribution": "u", "release": "t"}}"#;
    let server = Server::new(&a, alias);
    let expected = Expected::referral("a/u/t/amd64", "https+lxc-images://a.example", "u/t/amd64")
        .with_missing("b/x")
        .with_missing("nothing")
        .with_listing("", ["a", "u/lts"])
        .with_listing("u", ["lts"]);
    run_all(&*server.source(), &expected).await;
    let expected = Expected::referral("u/lts", "https+lxc-images://a.example", "u/t/arm64/default");
    run_all(&*server.source(), &expected).await;
    assert_eq!(server.warnings(), [""; 0]);
}

#[tokio::test]
async fn listing_asks_nobody_but_the_registry_and_describes_in_the_language_asked_for() {
    let server = Server::new(
        &format!(
            r#"{{"name": "a", "description": "An a.", "description.fr": "Un a.",
                "url": "https+lxc-images://a.example", {}}},
               {{"name": "b", "url": "https+lxc-images://b.example"}}"#,
            trusted(&[keys::images()])
        ),
        "",
    );
    let entries = server.list().await;
    assert_eq!(
        server.transport.requests(),
        [INDEX.to_owned(), format!("{INDEX}.asc")]
    );
    assert_eq!(entries[0].description.as_deref(), Some("Un a."));
    assert_eq!(
        entries[1].properties["unusable"],
        "server `b` has no trusted_keys; \
         ask the registry to name the keys that sign on https+lxc-images://b.example"
    );
    // The one that cannot be used says so, and stands in nobody's way.
    server.refer("a/x/y").await.expect("usable");
    let error = server.refer("b/x/y").await.expect_err("not usable");
    assert_eq!(
        (error.kind(), error.to_string()),
        (
            ErrorKind::Untrusted,
            entries[1].properties["unusable"].clone()
        )
    );
}

#[tokio::test]
async fn a_registry_needs_keys() {
    let server = usable();
    let url = "https+registry://registry.example".parse().expect("a url");
    let remote =
        imagestore_core::RemoteConfig::new("r".parse().expect("a name"), url, Trust::Channel);
    let error = Registry::new(remote, server.context()).expect_err("no keys");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert_eq!(
        error.to_string(),
        "remote `r` is a registry without keys: https+registry://registry.example; give it trusted_keys"
    );
}

#[tokio::test]
async fn index_is_signed_by_a_stranger_or_stripped_or_changed() {
    let server = usable();
    let bytes = server.transport.file(INDEX).expect("it is there");
    server.put("/1.0/index.json", &bytes, keys::stranger());
    let stranger = keys::stranger().fingerprint();
    assert_eq!(
        refusal(&server).await,
        (
            ErrorKind::Untrusted,
            format!("does not verify: {INDEX}\nsigned by {stranger}, which is not in the keyring"),
        )
    );
    let server = usable();
    server.transport.remove(&format!("{INDEX}.asc"));
    assert_eq!(
        refusal(&server).await,
        (
            ErrorKind::Untrusted,
            format!("is not signed: {INDEX}\nstatus 404: {INDEX}.asc"),
        )
    );
    let server = usable();
    server.transport.fail(INDEX, MemoryFault::FlipByte(3));
    let (kind, text) = refusal(&server).await;
    assert_eq!(kind, ErrorKind::Untrusted);
    assert!(
        text.starts_with(&format!(
            "does not verify: {INDEX}\nthe data does not match"
        )),
        "{text}"
    );
    let server = usable();
    server.transport.fail(INDEX, MemoryFault::Unreachable);
    assert_eq!(refusal(&server).await.0, ErrorKind::Network);
}

#[tokio::test]
async fn there_is_no_index() {
    let server = usable();
    server.transport.remove(INDEX);
    assert_eq!(
        refusal(&server).await,
        (
            ErrorKind::NotFound,
            format!("there is no registry: https+registry://registry.example\nstatus 404: {INDEX}"),
        )
    );
}

#[tokio::test]
async fn signed_file_is_no_index() {
    for text in ["<html>soon</html>", "", "\0\0", "[]", r#"{"version": 1}"#] {
        let server = usable();
        server.put("/1.0/index.json", text.as_bytes(), keys::registry());
        let (kind, text) = refusal(&server).await;
        assert_eq!(kind, ErrorKind::Malformed);
        let wanted = format!("no index of a registry: {INDEX}\nnot the JSON of a registry: ");
        assert!(text.starts_with(&wanted), "{text}");
    }
}

#[tokio::test]
async fn index_is_replayed() {
    for (first, second, later, message) in [
        (
            r#""generated_at": 20"#,
            r#""generated_at": 19"#,
            5,
            "generated_at 19, seen before 20",
        ),
        (
            r#""serial": 7"#,
            r#""serial": 6"#,
            5,
            "serial 6, seen before 7",
        ),
        (
            r#""serial": 7"#,
            r#""serial": 8"#,
            0,
            "signed at 1717200000, seen before 1717200001",
        ),
    ] {
        let server = usable();
        let servers = format!(
            r#""servers": [{{"name": "a", "url": "https+lxc-images://a.example", {}}}]"#,
            trusted(&[keys::images()])
        );
        server.publish(&format!("{first}, {servers}"), 1);
        server.refer("a/x/y").await.expect("the first");
        server.publish(&format!("{second}, {servers}"), later);
        let (kind, text) = refusal(&server).await;
        assert_eq!(kind, ErrorKind::RolledBack);
        assert_eq!(
            text,
            format!(
                "is older than one seen before ({message}): {INDEX}; \
                 if the remote was rebuilt on purpose, forget what is remembered of it"
            )
        );
        server.publish(&format!("{first}, {servers}"), 10);
        server
            .refer("a/x/y")
            .await
            .expect("what was refused changed nothing");
    }
}

#[tokio::test]
async fn index_says_when_it_ends_and_when_it_was_made() {
    let server = usable();
    server.publish(
        &format!(r#""servers": [], "expires_at": {}"#, keys::NOW - 1),
        0,
    );
    assert_eq!(
        refusal(&server).await,
        (
            ErrorKind::Expired,
            format!(
                "the registry index expired at {}, it is {}: {INDEX}",
                keys::NOW - 1,
                keys::NOW
            ),
        )
    );
    let server = usable();
    server.publish(
        &format!(r#""servers": [], "generated_at": {}"#, keys::NOW + 86_401),
        0,
    );
    let (kind, text) = refusal(&server).await;
    assert_eq!(kind, ErrorKind::Malformed);
    assert_eq!(
        text,
        format!(
            "the registry index was generated in the future, at {}; it is {}: {INDEX}",
            keys::NOW + 86_401,
            keys::NOW
        )
    );
    // Refused, so not remembered.
    server.publish(r#""servers": [], "generated_at": 1415397644"#, 0);
    assert_eq!(refusal(&server).await.0, ErrorKind::NotFound);
    assert_eq!(
        server.warnings(),
        [format!(
            "the registry index was generated 3494 days ago: {INDEX}"
        )]
    );
}

#[tokio::test]
async fn body_never_ends() {
    let server = usable();
    server.transport.fail(INDEX, MemoryFault::Grow(17 << 20));
    assert_eq!(refusal(&server).await.0, ErrorKind::TooLarge);
    let server = usable();
    let key = format!("https://registry.example{}", key_path(keys::images()));
    server.transport.fail(&key, MemoryFault::Grow(300 << 10));
    assert_eq!(refusal(&server).await.0, ErrorKind::TooLarge);
}
