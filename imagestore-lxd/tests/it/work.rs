//! What a host does for a caller it trusts: secrets, and images it fetches itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use imagestore_core::ErrorKind;
use imagestore_lxd::{Lxd, OperationStatus, Pull, PullProtocol, PulledImage};
use imagestore_testkit::{Answer, Fault, Request, Server, Site, oracle};
use imagestore_verify::Sha256;
use serde_json::Value;

use crate::host::{Asker, chain, error, remote, sync};

const ID: &str = "5e0c1a52-97f3-4d26-8b1e-0c4a6f2d9b70";

/// An operation with this status, and these metadata as JSON.
fn operation(status: u16, metadata: &str) -> String {
    format!(
        r#"{{"id":"{ID}","class":"task","description":"Downloading image","status_code":{status},"metadata":{metadata},"may_cancel":true,"err":""}}"#
    )
}

fn begun(operation: &str) -> Answer {
    let text = format!(
        r#"{{"type":"async","status_code":100,"operation":"https://evil.example/1.0/x","error_code":0,"error":"","metadata":{operation}}}"#
    );
    Answer::new(202, text).with_field("Location", "https://evil.example/1.0/x")
}

fn token(secret: &str) -> Answer {
    begun(&format!(
        r#"{{"id":"{ID}","class":"token","status_code":103,"metadata":{{"secret":"{secret}"}}}}"#
    ))
}

fn pull() -> Pull {
    let server = "https://127.0.0.1:8443".parse().expect("a URL");
    Pull::new(
        server,
        PullProtocol::Lxd,
        PulledImage::Alias("box".to_owned()),
    )
}

/// A host that answers like this, and somebody who asks it.
struct Scene {
    server: Server,
    asker: Asker,
    host: Lxd,
}

impl Scene {
    fn new(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let server = Server::https(Site::answering(answer)).expect("a server");
        let asker = Asker::new();
        let host = asker.source(remote(&server));
        Self {
            server,
            asker,
            host,
        }
    }

    /// What it was asked, one line each.
    fn asked(&self) -> Vec<String> {
        let requests = self.server.requests().into_iter();
        requests
            .map(|request| format!("{} {}", request.method, request.target))
            .collect()
    }
}

#[tokio::test]
async fn a_recorded_pull_ends_as_it_did() {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/ops");
    replay(&own, "61.04MB (61.04MB/s)").await;
    if let Some(recorded) = oracle::shared("vectors/lxd/ops") {
        replay(&recorded, "112.97MB (112.97MB/s)").await;
    }
}

async fn replay(directory: &Path, progress: &str) {
    let read =
        |name: &str| fs::read(directory.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let json = |name: &str| serde_json::from_slice::<Value>(&read(name)).expect(name);
    let begun = read("post_images_copy_response.json");
    let polls = [
        "op_poll_1",
        "op_poll_2",
        "op_poll_3",
        "op_poll_4",
        "op_wait",
    ];
    let polls = polls.map(|name| read(&format!("{name}.json")));
    let next = AtomicUsize::new(0);
    let scene = Scene::new(move |request| match request.method.as_str() {
        "POST" => Answer::new(202, begun.clone()),
        _ => Answer::ok(polls[next.fetch_add(1, Ordering::Relaxed).min(4)].clone()),
    });
    let wanted = json("post_images_copy_request.json");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let source = &wanted["source"];
    let pull = Pull::new(
        text(&source["server"]).parse().expect("a URL"),
        PullProtocol::Lxd,
        PulledImage::Alias(text(&source["alias"])),
    )
    .with_certificate(text(&source["certificate"]))
    .with_alias(text(&wanted["aliases"][0]["name"]));
    let pulled = scene.host.pull(&pull).await.expect("pulled");

    let metadata = &json("op_wait.json")["metadata"]["metadata"];
    assert_eq!(
        pulled.fingerprint.to_string(),
        text(&metadata["fingerprint"])
    );
    assert_eq!(
        pulled.size.expect("a size").to_string(),
        text(&metadata["size"])
    );
    assert!(
        pulled.proofs()[0]
            .to_string()
            .contains("pinned for 127.0.0.1")
    );
    let sent: Value = serde_json::from_slice(&scene.server.requests()[0].body).expect("JSON");
    assert_eq!(sent, wanted);
    let id = text(&json("op_wait.json")["metadata"]["id"]);
    let wait = format!("GET /1.0/operations/{id}/wait?timeout=1");
    let asked = scene.asked();
    assert_eq!(asked[0], "POST /1.0/images");
    assert_eq!(asked[1..], [wait.as_str(); 5]);
    assert_eq!(
        scene.asker.told.working(),
        [format!("Downloading image: {progress}")]
    );

    let failed = read("op_failed.json");
    let reason = text(&json("op_failed.json")["metadata"]["err"]);
    let id = text(&json("op_failed.json")["metadata"]["id"]);
    let scene = Scene::new(move |_| Answer::ok(failed.clone()));
    let id = id.parse().expect("an id");
    let error = scene.host.follow(&id).await.expect_err("it failed");
    assert_eq!(error.kind(), ErrorKind::Network);
    assert_eq!(
        chain(&error),
        format!("the host could not do it: Downloading image ({id})\nthe host says: {reason}")
    );
    let seen = scene.host.operation(&id).await.expect("an operation");
    assert_eq!(seen.status, OperationStatus::Failure);
    assert_eq!(seen.error.as_deref(), Some(reason.as_str()));
}

#[tokio::test]
async fn makes_a_secret_where_it_is_trusted() {
    let word = "5ec7e7".repeat(8);
    let answer = token(&word);
    let server = Server::https(Site::answering(move |_| answer.clone())).expect("a server");
    let asker = Asker::new();
    let arguments = [("project".to_owned(), "a&b".to_owned())].into();
    let host = asker.source(remote(&server).with_arguments(arguments));
    let fingerprint = Sha256::of(b"x");
    let secret = host.create_secret(&fingerprint).await.expect("a secret");
    assert_eq!(secret.reveal(), word);
    let request = &server.requests()[0];
    assert_eq!(
        format!("{} {}", request.method, request.target),
        format!("POST /1.0/images/{fingerprint}/secret?project=a%26b")
    );

    let scene = Scene::new(|_| begun(&operation(103, "null")));
    let error = scene.host.create_secret(&fingerprint).await;
    assert_eq!(error.expect_err("no secret").kind(), ErrorKind::Malformed);
}

#[tokio::test]
async fn tells_what_the_host_says_about_a_refusal() {
    let text =
        r#"{"type":"error","error_code":403,"error":"not authorized\u001b[2J","metadata":null}"#;
    let scene = Scene::new(move |_| Answer::new(403, text));
    let fingerprint = Sha256::of(b"x");
    let refused = scene.host.create_secret(&fingerprint).await;
    let refused = refused.expect_err("403");
    assert_eq!(refused.kind(), ErrorKind::Refused);
    assert_eq!(
        chain(&refused),
        format!(
            "does not allow it (status 403 Forbidden): {}/1.0/images/{fingerprint}/secret\n\
             the host says: not authorized\\u{{1b}}[2J",
            scene.server.url()
        )
    );
    // Its words are a hint: without any, the status is enough.
    for answer in [Answer::new(403, "<html>"), Answer::new(403, "")] {
        let scene = Scene::new(move |_| answer.clone());
        let refused = scene.host.pull(&pull()).await.expect_err("403");
        assert_eq!(refused.kind(), ErrorKind::Refused);
        assert!(!chain(&refused).contains('\n'), "{}", chain(&refused));
    }
    let scene = Scene::new(|_| error(404));
    let missing = scene.host.create_secret(&fingerprint).await;
    assert_eq!(missing.expect_err("404").kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn sends_what_changes_something_once() {
    let scene = Scene::new(|_| begun(&operation(103, "null")));
    scene.server.fail("/1.0/images", Fault::status(503));
    let failed = scene.host.pull(&pull()).await.expect_err("503");
    assert_eq!(failed.kind(), ErrorKind::Network);
    assert_eq!(scene.asked(), ["POST /1.0/images"]);
}

#[tokio::test]
async fn cancels_an_operation() {
    let next = AtomicUsize::new(0);
    let scene = Scene::new(move |request| match request.method.as_str() {
        "POST" => begun(&operation(103, "null")),
        "DELETE" => sync("{}"),
        _ => match next.fetch_add(1, Ordering::Relaxed) {
            0 => sync(&operation(104, "null")),
            _ => sync(&operation(401, "null")),
        },
    });
    let begun = scene.host.start_pull(&pull()).await.expect("begun");
    assert!(begun.may_cancel);
    assert_eq!(begun.status, OperationStatus::Running);
    scene.host.cancel(&begun.id).await.expect("told to stop");
    let ended = scene.host.follow(&begun.id).await.expect_err("cancelled");
    assert_eq!(ended.kind(), ErrorKind::Canceled);
    let wait = format!("GET /1.0/operations/{ID}/wait?timeout=1");
    assert_eq!(
        scene.asked(),
        [
            "POST /1.0/images",
            &format!("DELETE /1.0/operations/{ID}"),
            &wait,
            &wait
        ]
    );
}

/// Seen of LXD 5.0.2: what it was doing may notice first, and then the operation has failed.
#[tokio::test]
async fn an_operation_that_fails_because_it_was_told_to_end_is_cancelled() {
    let failed = operation(400, "null").replace(r#""err":"""#, r#""err":"context canceled""#);
    for (deleted, kind) in [
        (sync("{}"), ErrorKind::Canceled),
        (Answer::new(404, "{}"), ErrorKind::Network),
    ] {
        let failed = failed.clone();
        let scene = Scene::new(move |request| match request.method.as_str() {
            "POST" => begun(&operation(103, "null")),
            "DELETE" => deleted.clone(),
            _ => sync(&failed),
        });
        let begun = scene.host.start_pull(&pull()).await.expect("begun");
        let told = scene.host.cancel(&begun.id).await;
        assert_eq!(told.is_ok(), kind == ErrorKind::Canceled);
        for host in [scene.host.clone(), scene.host.clone()] {
            let ended = host.follow(&begun.id).await.expect_err("ended");
            assert_eq!(ended.kind(), kind);
            let text = chain(&ended);
            assert!(text.contains("the host says: context canceled"), "{text}");
        }
    }
}

#[tokio::test]
async fn follows_no_url_and_no_path_of_an_answer() {
    let found = Sha256::of(b"x");
    let metadata = format!(r#"{{"fingerprint":"{found}"}}"#);
    let scene = Scene::new(move |request| match request.method.as_str() {
        // With a `Location`, and a URL of the operation, that lead elsewhere.
        "POST" => begun(&operation(103, "null")),
        _ => sync(&operation(200, &metadata)),
    });
    let pulled = scene.host.pull(&pull()).await.expect("pulled");
    assert_eq!((pulled.fingerprint, pulled.size), (found, None));
    let wait = format!("GET /1.0/operations/{ID}/wait?timeout=1");
    assert_eq!(scene.asked(), ["POST /1.0/images", &wait]);

    let scene = Scene::new(|_| begun(&operation(103, "null").replace(ID, "../../images")));
    let refused = scene.host.pull(&pull()).await.expect_err("no id");
    assert_eq!(refused.kind(), ErrorKind::Malformed);
    assert_eq!(scene.asked(), ["POST /1.0/images"]);
}

#[tokio::test]
async fn takes_no_other_answer_for_the_one_it_waits_for() {
    let other = "00000000-0000-0000-0000-000000000000";
    let scene = Scene::new(move |request| match request.method.as_str() {
        "POST" => begun(&operation(103, "null")),
        _ => sync(&operation(200, "null").replace(ID, other)),
    });
    let wrong = scene.host.pull(&pull()).await.expect_err("another");
    assert_eq!(wrong.kind(), ErrorKind::Malformed);
    assert!(
        wrong.to_string().contains(&format!(
            "asked about operation {ID}, answered about {other}"
        )),
        "{wrong}"
    );

    let found = Sha256::of(b"another");
    for (metadata, message) in [
        (
            format!(r#"{{"fingerprint":"{found}"}}"#),
            format!(
                "asked about image {}, answered about {found}",
                Sha256::of(b"x")
            ),
        ),
        (
            "null".to_owned(),
            "the host has fetched an image and does not say which: operation ".to_owned() + ID,
        ),
    ] {
        let scene = Scene::new(move |request| match request.method.as_str() {
            "POST" => begun(&operation(103, "null")),
            _ => sync(&operation(200, &metadata)),
        });
        let server = "https://127.0.0.1:8443".parse().expect("a URL");
        let image = PulledImage::Fingerprint(Sha256::of(b"x"));
        let pull = Pull::new(server, PullProtocol::Lxd, image);
        let wrong = scene.host.pull(&pull).await.expect_err("another image");
        assert_eq!(wrong.kind(), ErrorKind::Malformed);
        assert_eq!(wrong.to_string(), message);
    }
}

#[tokio::test]
async fn asks_for_the_state_where_a_wait_is_answered_with_an_error_and_never_without_end() {
    let next = AtomicUsize::new(0);
    let metadata = format!(r#"{{"fingerprint":"{}"}}"#, Sha256::of(b"x"));
    let scene = Scene::new(move |request| {
        if request.target.contains("/wait") {
            // As hosts say it whose wait has begun to answer before it ends.
            return Answer::ok(r#"{"type":"error","error_code":500,"error":"x","metadata":null}"#);
        }
        match next.fetch_add(1, Ordering::Relaxed) {
            0 => sync(&operation(103, "null")),
            _ => sync(&operation(200, &metadata)),
        }
    });
    let id = ID.parse().expect("an id");
    let done = scene.host.follow(&id).await.expect("done");
    assert_eq!(done.status, OperationStatus::Success);
    assert_eq!(scene.asked().len(), 4);

    let scene = Scene::new(|_| sync(&operation(103, "null")));
    let hasty = scene.host.follow(&id).await.expect_err("it never waits");
    assert_eq!(hasty.kind(), ErrorKind::Network);
    assert_eq!(scene.asked().len(), 51);
}
