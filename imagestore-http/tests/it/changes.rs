//! Requests that change something: sent once, to the remote itself.

use std::sync::Arc;
use std::time::Duration;

use imagestore_core::{
    Body, Change, ClientIdentity, ErrorKind, Get, RemoteConfig, Result, Transport,
};
use imagestore_http::{CachedTransport, HttpTransport, Mode};
use imagestore_testkit::server::Certificate;
use imagestore_testkit::{Answer, Fault, Request, Server, Site};
use imagestore_verify::{Channel, trust_channel};

use crate::setup::{self, SHORT, assert_error, options, read, remote, remote_at, transport, url};
use crate::tls::{pinned, sha256};

const JSON: &[u8] = br#"{"secret":"5ec7e7"}"#;

/// Says what it was asked, with the status of something begun.
fn echo(request: &Request) -> Answer {
    let text = format!(
        "{} {} {}",
        request.method,
        request.target,
        String::from_utf8_lossy(&request.body)
    );
    Answer::new(202, text)
}

async fn post(transport: &dyn Transport, remote: &RemoteConfig) -> Result<Body> {
    let url = url(remote, "/1.0/images");
    transport.send(Change::post(remote, &url, JSON)).await
}

#[tokio::test]
async fn hands_json_over_by_the_rules_of_the_remote() {
    let server = Server::https(Site::answering(echo)).expect("a server");
    let certificate = Certificate::new(&["a client"]);
    let identity = ClientIdentity::new(
        certificate.pem().as_bytes().to_vec(),
        certificate.key_pem().as_bytes().to_vec(),
    );
    let transport = HttpTransport::new(options());
    let known = pinned(remote(&server), &[sha256(&server)]).with_identity(identity);
    let body = post(&transport, &known).await.expect("an answer");
    let wanted = format!(
        "tls certificate sha256:{} pinned for {}",
        sha256(&server),
        server.authority()
    );
    assert_eq!(body.channel().expect("a channel").what(), wanted);
    let said = read(body).await.expect("bytes");
    assert_eq!(said, [b"POST /1.0/images ", JSON].concat());
    let request = &server.requests()[0];
    assert_eq!(request.field("content-type"), Some("application/json"));
    assert_eq!(request.certificate, Some(certificate.sha256()));

    let strange = pinned(remote(&server), &[imagestore_verify::Sha256::of(b"x")]);
    let error = post(&transport, &strange).await.expect_err("another pin");
    assert_eq!(error.kind(), ErrorKind::Untrusted);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn ends_things_and_hands_json_over_by_a_socket() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("unix.socket");
    let server = Server::socket(&path, Site::answering(echo)).expect("a server");
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    let body = post(&transport, &remote).await.expect("an answer");
    let said = read(body).await.expect("bytes");
    assert_eq!(said, [b"POST /1.0/images ", JSON].concat());
    let url = url(&remote, "/1.0/operations/x");
    let body = transport.send(Change::delete(&remote, &url)).await;
    let body = body.expect("an answer");
    let wanted = format!("unix socket {}", path.display());
    assert_eq!(body.channel().expect("a channel").what(), wanted);
    assert_eq!(
        read(body).await.expect("bytes"),
        b"DELETE /1.0/operations/x "
    );
    assert_eq!(server.requests()[1].field("content-type"), None);
}

#[tokio::test]
async fn is_never_tried_again_and_follows_no_redirect() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("unix.socket");
    let over_tcp = Server::http(Site::answering(echo)).expect("a server");
    let over_socket = Server::socket(&path, Site::answering(echo)).expect("a server");
    for server in [&over_tcp, &over_socket] {
        let remote = remote(server);
        let transport = transport(|options| options.first_byte = SHORT);
        for (fault, message) in [
            (
                Fault::status(503),
                "is out of order (status 503 Service Unavailable): ",
            ),
            (Fault::Close, "the connection broke before an answer came: "),
            (Fault::StallBeforeAnswer, "gave no answer within 250ms: "),
            (
                Fault::redirect("/elsewhere"),
                "sends on what changes something, which is not followed: ",
            ),
            (
                Fault::Redirect {
                    status: 307,
                    location: "/elsewhere".to_owned(),
                },
                "sends on what changes something, which is not followed: ",
            ),
            (
                Fault::status(204),
                "gives an answer that was not asked for (status 204 No Content): ",
            ),
        ] {
            server.forget_requests();
            server.fail("/1.0/images", fault);
            let error = post(&transport, &remote).await.expect_err(message);
            assert_eq!(error.kind(), ErrorKind::Network, "{error}");
            assert!(error.to_string().starts_with(message), "{error}");
            assert_eq!(server.requests().len(), 1, "{message}");
            server.heal_all();
        }
    }
}

#[tokio::test]
async fn keeps_what_a_server_says_about_a_refusal_and_shows_none_of_it() {
    let said = "not authorized \u{1b}[2J";
    let server = Server::http(Site::answering(move |_| Answer::new(403, said))).expect("a server");
    let transport = HttpTransport::new(options());
    let error = post(&transport, &remote(&server)).await.expect_err("403");
    assert_error(
        &error,
        ErrorKind::Refused,
        &format!(
            "does not allow it (status 403 Forbidden): {}/1.0/images",
            server.url()
        ),
    );
    let answer = error.answer().expect("what was said");
    assert!(answer.channel.is_none());
    let bytes = trust_channel(answer.bytes.clone(), &Channel::new("a test"));
    assert_eq!(&bytes[..], said.as_bytes());
    assert!(!format!("{error:?}").contains("authorized"));

    // What is said about a document is kept too, that about a file is not waited for.
    let (remote, url) = (remote(&server), url(&remote(&server), "/f"));
    let error = transport.get(Get::document(&remote, &url)).await;
    assert!(error.expect_err("403").answer().is_some());
    let error = transport.get(Get::file(&remote, &url)).await;
    assert!(error.expect_err("403").answer().is_none());

    let long = Server::http(Site::answering(|_| Answer::new(400, vec![b'x'; 5_000])));
    let error = post(&transport, &setup::remote(&long.expect("a server"))).await;
    assert!(error.expect_err("400").answer().is_none());
}

#[tokio::test]
async fn an_answer_is_no_longer_in_coming_than_a_document() {
    let server = Server::http(Site::answering(echo)).expect("a server");
    let transport = transport(|options| options.document = SHORT);
    let fault = Fault::Trickle {
        bytes: 1,
        every: Duration::from_millis(20),
    };
    server.fail("/1.0/images", fault);
    let body = post(&transport, &remote(&server)).await.expect("a head");
    let error = read(body).await.expect_err("it trickles");
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(
        error
            .to_string()
            .starts_with("the body did not arrive in time, after "),
        "{error}"
    );
}

#[tokio::test]
async fn goes_nowhere_without_tls() {
    let transport = HttpTransport::new(options());
    let far = remote_at("http+lxd://images.invalid");
    let error = post(&transport, &far).await.expect_err("no TLS");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
}

#[tokio::test]
async fn passes_a_cache_by() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::http(Site::answering(echo)).expect("a server");
    let inner = Arc::new(HttpTransport::new(options()));
    let cached = CachedTransport::new(inner, directory.path().join("documents"));
    for _ in 0..2 {
        post(&cached, &remote(&server)).await.expect("an answer");
    }
    assert_eq!(server.requests().len(), 2);
    assert!(!directory.path().join("documents").exists());
    let offline = cached.with_mode(Mode::Offline);
    let error = post(&offline, &remote(&server)).await.expect_err("offline");
    assert_error(
        &error,
        ErrorKind::Network,
        &format!("offline: {}/1.0/images", server.url()),
    );
    assert_eq!(server.requests().len(), 2);
}
