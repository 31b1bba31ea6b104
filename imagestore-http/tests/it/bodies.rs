//! Bodies that end early, late, never, slowly or twice.

use std::time::{Duration, Instant};

use imagestore_core::{ErrorKind, Get, Transport};
use imagestore_http::HttpTransport;
use imagestore_testkit::server::Framing;
use imagestore_testkit::{Answer, Fault, Server, Site};

use crate::raw::{Raw, Script, Then};
use crate::setup::{
    SHORT, assert_error, bytes, content, get, lines, options, read, remote, transport, url,
};

fn server() -> Server {
    Server::http(Site::files([("/f", content(1 << 20))])).expect("a server")
}

#[tokio::test]
async fn a_body_shorter_than_announced_is_an_error_that_names_both_lengths() {
    let server = server();
    server.fail(
        "/f",
        Fault::CutBody {
            after: 500_000,
            framing: Framing::Length,
        },
    );
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    let body = get(&transport, &remote, "/f").await.expect("a head");
    assert_eq!(body.length(), Some(1 << 20));
    let error = read(body).await.expect_err("cut");
    let message = format!(
        "the body broke off, after 500000 of 1048576 bytes: {}/f",
        server.url()
    );
    assert_error(&error, ErrorKind::Network, &message);
    assert_eq!(
        server.requests().len(),
        1,
        "what has begun is not tried again here"
    );
}

#[tokio::test]
async fn a_body_cut_within_a_chunk_is_an_error() {
    let server = server();
    server.fail(
        "/f",
        Fault::CutBody {
            after: 500_000,
            framing: Framing::Chunked,
        },
    );
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    let error = bytes(&transport, &remote, "/f").await.expect_err("cut");
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(
        lines(&error)[0].starts_with("the body broke off, after "),
        "{error}"
    );
}

#[tokio::test]
async fn a_body_without_length_that_is_cut_has_no_length_to_trust() {
    let server = server();
    server.fail(
        "/f",
        Fault::CutBody {
            after: 500_000,
            framing: Framing::Close,
        },
    );
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    let body = get(&transport, &remote, "/f").await.expect("a head");
    // Nothing on the wire tells this from the end: who knows the size must compare.
    assert_eq!(body.length(), None);
    assert_eq!(read(body).await.expect("bytes").len(), 500_000);
}

#[tokio::test]
async fn two_lengths_are_refused() {
    let server = server();
    server.fail("/f", Fault::DoubleLength(7));
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    let error = bytes(&transport, &remote, "/f")
        .await
        .expect_err("two lengths");
    let message = format!("does not answer in HTTP: {}/f", server.url());
    assert_error(&error, ErrorKind::Network, &message);
    assert_eq!(
        server.requests().len(),
        1,
        "nonsense is not asked for again"
    );
}

#[tokio::test]
async fn a_length_beside_chunks_is_refused() {
    let server = server();
    server.fail("/f", Fault::LengthAndChunked);
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    let error = bytes(&transport, &remote, "/f")
        .await
        .expect_err("two framings");
    let message = format!(
        "sent a body with both a length and a transfer encoding: {}/f",
        server.url()
    );
    assert_error(&error, ErrorKind::Network, &message);
}

#[tokio::test]
async fn other_transfer_encodings_are_refused() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n";
    let raw = Raw::always(Script::close(head));
    let error = bytes(&HttpTransport::new(options()), &raw.remote(), "/f")
        .await
        .expect_err("encoded");
    let message = format!(
        "sent a body in the transfer encoding `gzip, chunked`, which was not asked for: {}",
        raw.url("/f")
    );
    assert_error(&error, ErrorKind::Network, &message);
}

#[tokio::test]
async fn an_encoded_body_is_refused_and_not_decoded() {
    let server = server();
    server.fail_once("/f", Fault::Gzip);
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    let error = bytes(&transport, &remote, "/f").await.expect_err("encoded");
    let message = format!(
        "sent a body encoded with `gzip`, although none was asked for: {}/f",
        server.url()
    );
    assert_error(&error, ErrorKind::Network, &message);
    let site = Site::answering(|_| Answer::ok("x").with_field("Content-Encoding", "Identity"));
    let plain = Server::http(site).expect("a server");
    let remote = crate::setup::remote(&plain);
    assert_eq!(
        bytes(&transport, &remote, "/f").await.expect("plain bytes"),
        b"x"
    );
}

#[tokio::test]
async fn a_body_that_never_ends_ends_at_the_callers_limit() {
    let server = server();
    server.fail("/f", Fault::Endless(b'x'));
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    let body = get(&transport, &remote, "/f").await.expect("a head");
    let error = body.collect(1 << 20).await.expect_err("endless");
    let message = format!(
        "has more bytes, at most 1048576 bytes are allowed: {}/f",
        server.url()
    );
    assert_error(&error, ErrorKind::TooLarge, &message);
}

#[tokio::test]
async fn large_heads_are_refused() {
    let server = Server::http(Site::files([("/f", "x")])).expect("a server");
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    for fault in [Fault::ManyFields(20_000), Fault::LongField(1 << 20)] {
        server.heal_all();
        server.fail("/f", fault);
        let error = bytes(&transport, &remote, "/f")
            .await
            .expect_err("a large head");
        let message = format!("does not answer in HTTP: {}/f", server.url());
        assert_error(&error, ErrorKind::Network, &message);
    }
    server.heal_all();
    server.fail("/f", Fault::LongField(70_000));
    let error = bytes(&transport, &remote, "/f")
        .await
        .expect_err("a long head");
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(
        error.to_string().starts_with("sent a head of 70"),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains(" bytes, at most 65536 are read: http://"),
        "{error}"
    );
}

#[tokio::test]
async fn interim_answers_are_skipped_but_not_for_ever() {
    let server = Server::http(Site::files([("/f", "x")])).expect("a server");
    let remote = remote(&server);
    let transport = transport(|options| {
        options.connect = Duration::from_millis(50);
        options.first_byte = SHORT;
    });
    server.fail_once("/f", Fault::Interim(3));
    assert_eq!(bytes(&transport, &remote, "/f").await.expect("bytes"), b"x");
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n";
    let raw = Raw::always(Script {
        bytes: Vec::new(),
        then: Then::Flood(early),
    });
    let error = bytes(&transport, &raw.remote(), "/f")
        .await
        .expect_err("never an answer");
    let message = format!("gave no answer within 250ms: {}", raw.url("/f"));
    assert_error(&error, ErrorKind::Network, &message);
}

#[tokio::test]
async fn what_is_not_http_is_refused() {
    for answer in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "<html>hello</html>\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
    ] {
        let raw = Raw::always(Script::close(answer));
        let error = bytes(&HttpTransport::new(options()), &raw.remote(), "/f")
            .await
            .expect_err("no HTTP");
        let message = format!("does not answer in HTTP: {}", raw.url("/f"));
        assert_error(&error, ErrorKind::Network, &message);
    }
}

#[tokio::test]
async fn a_server_that_falls_silent_is_given_up() {
    let server = server();
    server.fail("/f", Fault::Stall { after: 1000 });
    let transport = transport(|options| options.idle = SHORT);
    let remote = remote(&server);
    let error = bytes(&transport, &remote, "/f").await.expect_err("stalled");
    let message = format!(
        "the body sent nothing for 250ms, after 1000 of 1048576 bytes: {}/f",
        server.url()
    );
    assert_error(&error, ErrorKind::Network, &message);
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_and_not_asked_again() {
    let server = server();
    server.fail("/f", Fault::StallBeforeAnswer);
    let transport = transport(|options| {
        options.connect = Duration::from_millis(50);
        options.first_byte = SHORT;
    });
    let remote = remote(&server);
    let error = bytes(&transport, &remote, "/f").await.expect_err("silent");
    let message = format!("gave no answer within 250ms: {}/f", server.url());
    assert_error(&error, ErrorKind::Network, &message);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_head_that_trickles_is_given_up() {
    let pause = Duration::from_millis(20);
    let then = Then::Drip(b'x', pause);
    let raw = Raw::always(Script {
        bytes: b"HTTP/1.1 200 OK\r\nX: ".to_vec(),
        then,
    });
    let transport = transport(|options| {
        options.connect = Duration::from_millis(50);
        options.first_byte = Duration::from_millis(200);
    });
    let begun = Instant::now();
    let error = bytes(&transport, &raw.remote(), "/f")
        .await
        .expect_err("trickles");
    let message = format!("gave no answer within 200ms: {}", raw.url("/f"));
    assert_error(&error, ErrorKind::Network, &message);
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_body_that_trickles_is_given_up_although_it_never_falls_silent() {
    let server = server();
    let every = Duration::from_millis(10);
    server.fail("/f", Fault::Trickle { bytes: 1, every });
    let transport = transport(|options| options.rate_window = SHORT);
    let remote = remote(&server);
    let error = bytes(&transport, &remote, "/f")
        .await
        .expect_err("trickles");
    assert_eq!(error.kind(), ErrorKind::Network);
    let message = &lines(&error)[0];
    assert!(
        message.starts_with("the body came at ")
            && message.contains(" bytes a second, at least 4096 are wanted, after "),
        "{message}"
    );
    assert!(
        message.ends_with(&format!(" of 1048576 bytes: {}/f", server.url())),
        "{message}"
    );
}

#[tokio::test]
async fn a_slow_reader_is_not_the_servers_fault() {
    let server = server();
    let transport = transport(|options| {
        options.rate_window = Duration::from_millis(100);
        options.lowest_rate = 40_000;
        options.idle = Duration::from_secs(10);
    });
    let remote = remote(&server);
    let mut body = get(&transport, &remote, "/f").await.expect("a head");
    let mut length = 0;
    while let Some(piece) = body.chunk().await.expect("a piece") {
        if length == 0 {
            // The first piece is small: with the pause counted, it would be far too slow.
            assert!(piece.len() < 10_000, "{}", piece.len());
            std::thread::sleep(SHORT);
        }
        length += piece.len();
    }
    assert_eq!(length, 1 << 20);
}

#[tokio::test]
async fn a_document_has_a_deadline_and_a_file_has_none() {
    let server = Server::http(Site::files([("/f", content(30))])).expect("a server");
    let every = Duration::from_millis(20);
    server.fail("/f", Fault::Trickle { bytes: 1, every });
    let transport = transport(|options| options.document = SHORT);
    let remote = remote(&server);
    let url = url(&remote, "/f");
    let body = transport
        .get(Get::document(&remote, &url))
        .await
        .expect("a head");
    let error = read(body).await.expect_err("late");
    assert_eq!(error.kind(), ErrorKind::Network);
    let message = &lines(&error)[0];
    assert!(
        message.starts_with("the body did not arrive in time, after "),
        "{message}"
    );
    assert!(
        message.ends_with(&format!(" of 30 bytes: {}/f", server.url())),
        "{message}"
    );
    assert_eq!(
        bytes(&transport, &remote, "/f").await.expect("bytes"),
        content(30)
    );
}

#[tokio::test]
async fn the_deadline_of_a_document_covers_all_tries() {
    let server = server();
    let pause = vec![("Retry-After".to_owned(), "30".to_owned())];
    server.fail(
        "/f",
        Fault::Status {
            status: 503,
            fields: pause,
        },
    );
    let transport = transport(|options| options.document = SHORT);
    let remote = remote(&server);
    let url = url(&remote, "/f");
    let error = transport
        .get(Get::document(&remote, &url))
        .await
        .expect_err("late");
    let message = format!("gave no document within 250ms: {}/f", server.url());
    assert_error(&error, ErrorKind::Network, &message);
}

#[tokio::test]
async fn a_question_that_is_dropped_can_be_asked_again() {
    let server = server();
    server.fail_once("/f", Fault::Stall { after: 70_000 });
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    let mut body = get(&transport, &remote, "/f").await.expect("a head");
    let mut length = 0;
    // What `select!` does to a future that loses.
    while let Ok(piece) = tokio::time::timeout(Duration::from_millis(100), body.chunk()).await {
        length += piece.expect("a piece").expect("not the end").len();
    }
    assert_eq!(length, 70_000);
    drop(body);
    assert_eq!(
        bytes(&transport, &remote, "/f").await.expect("bytes"),
        content(1 << 20)
    );
}
