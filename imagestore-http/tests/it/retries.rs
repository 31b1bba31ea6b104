//! What is tried again, how often, and what is not.

use std::time::{Duration, Instant};

use imagestore_core::ErrorKind;
use imagestore_http::HttpTransport;
use imagestore_testkit::{Fault, Server, Site};

use crate::setup::{assert_error, bytes, lines, options, remote, remote_at, transport};

fn server() -> Server {
    Server::http(Site::files([("/f", "x")])).expect("a server")
}

#[tokio::test]
async fn a_fault_that_passes_is_not_seen() {
    let server = server();
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    for fault in [
        Fault::status(500),
        Fault::status(502),
        Fault::status(503),
        Fault::status(504),
        Fault::status(429),
        Fault::Close,
    ] {
        server.forget_requests();
        server.fail_times("/f", fault.clone(), 2);
        assert_eq!(
            bytes(&transport, &remote, "/f").await.expect("bytes"),
            b"x",
            "{fault:?}"
        );
        assert_eq!(server.requests().len(), 3, "{fault:?}");
    }
}

#[tokio::test]
async fn a_fault_that_stays_is_reported_after_three_tries() {
    let server = server();
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    server.fail("/f", Fault::status(500));
    let error = bytes(&transport, &remote, "/f")
        .await
        .expect_err("out of order");
    let message = format!(
        "is out of order (status 500 Internal Server Error), at try 3: {}/f",
        server.url()
    );
    assert_error(&error, ErrorKind::Network, &message);
    assert_eq!(server.requests().len(), 3);
    server.heal_all();
    server.fail("/f", Fault::Close);
    let error = bytes(&transport, &remote, "/f").await.expect_err("closed");
    let message = format!(
        "the connection broke before an answer came, at try 3: {}/f",
        server.url()
    );
    assert_error(&error, ErrorKind::Network, &message);
}

#[tokio::test]
async fn an_answer_is_an_answer() {
    let server = server();
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    for status in [400, 401, 403, 404, 410, 418, 501, 505] {
        server.forget_requests();
        server.fail_once("/f", Fault::status(status));
        bytes(&transport, &remote, "/f")
            .await
            .expect_err("an answer");
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn waits_as_long_as_asked_but_not_longer_than_allowed() {
    let server = server();
    let remote = remote(&server);
    let transport = transport(|options| options.longest_wait = Duration::from_millis(100));
    for field in ["999999999", "Fri, 31 Dec 2099 23:59:59 GMT"] {
        let fields = vec![("Retry-After".to_owned(), field.to_owned())];
        server.fail_times(
            "/f",
            Fault::Status {
                status: 503,
                fields,
            },
            3,
        );
        let begun = Instant::now();
        let error = bytes(&transport, &remote, "/f")
            .await
            .expect_err("out of order");
        let message = format!(
            "is out of order (status 503 Service Unavailable), at try 3: {}/f",
            server.url()
        );
        assert_error(&error, ErrorKind::Network, &message);
        assert!(
            begun.elapsed() >= Duration::from_millis(100),
            "{:?}",
            begun.elapsed()
        );
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{:?}",
            begun.elapsed()
        );
    }
    for field in ["-1", "garbage", ""] {
        let fields = vec![("Retry-After".to_owned(), field.to_owned())];
        server.fail_times(
            "/f",
            Fault::Status {
                status: 429,
                fields,
            },
            2,
        );
        assert_eq!(
            bytes(&transport, &remote, "/f").await.expect("bytes"),
            b"x",
            "{field}"
        );
    }
}

#[tokio::test]
async fn a_port_without_a_server_is_tried_again() {
    // Nobody serves anything on the port of tcpmux any more.
    let remote = remote_at("http+lxc-images://127.0.0.1:1");
    let error = bytes(&HttpTransport::new(options()), &remote, "/f")
        .await
        .expect_err("nobody");
    let message = "cannot connect, at try 3: http://127.0.0.1:1/f";
    assert_error(&error, ErrorKind::Network, message);
    let lines = lines(&error);
    let last = lines.last().expect("a cause");
    assert!(last.starts_with("connection refused"), "{lines:?}");
}

#[tokio::test]
async fn a_name_nobody_knows_cannot_be_reached() {
    let remote = remote_at("https+lxc-images://no-such-host.invalid");
    let transport = transport(|options| options.tries = 1);
    let error = bytes(&transport, &remote, "/f")
        .await
        .expect_err("no such name");
    assert_error(
        &error,
        ErrorKind::Network,
        "cannot connect: https://no-such-host.invalid/f",
    );
}
