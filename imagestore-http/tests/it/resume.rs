//! Going on where a file broke off.

use imagestore_core::{Body, ErrorKind, Get, RemoteConfig, Result, Resume, Transport, Validators};
use imagestore_http::HttpTransport;
use imagestore_testkit::server::{Framing, WrongRange};
use imagestore_testkit::{Answer, Fault, Server, Site};

use crate::setup::{assert_error, content, get, options, read, remote, url};

const HALF: u64 = 500_000;

fn server() -> Server {
    Server::http(Site::files([("/f", content(1 << 20))])).expect("a server")
}

async fn rest(remote: &RemoteConfig, resume: &Resume) -> Result<Body> {
    let transport = HttpTransport::new(options());
    transport
        .get(Get::file(remote, &url(remote, "/f")).with_resume(Some(resume)))
        .await
}

async fn first_half(server: &Server) -> Resume {
    let transport = HttpTransport::new(options());
    server.fail_once(
        "/f",
        Fault::CutBody {
            after: HALF,
            framing: Framing::Length,
        },
    );
    let body = get(&transport, &remote(server), "/f")
        .await
        .expect("a head");
    let validators = body.validators().clone();
    read(body).await.expect_err("cut");
    server.forget_requests();
    Resume {
        offset: HALF,
        validators,
    }
}

#[tokio::test]
async fn asks_for_the_rest_only() {
    let server = server();
    let resume = first_half(&server).await;
    let body = rest(&remote(&server), &resume).await.expect("the rest");
    assert_eq!(
        (body.offset(), body.length()),
        (HALF, Some((1 << 20) - HALF))
    );
    assert_eq!(body.validators(), &resume.validators);
    assert_eq!(
        read(body).await.expect("bytes"),
        content(1 << 20)[500_000..]
    );
    let request = &server.requests()[0];
    assert_eq!(request.field("range"), Some("bytes=500000-"));
    assert_eq!(request.field("if-range"), resume.validators.etag.as_deref());
    assert_eq!(request.status, 206);
}

#[tokio::test]
async fn begins_anew_when_the_range_is_ignored_or_the_file_was_replaced() {
    let server = server();
    let resume = first_half(&server).await;
    server.fail_once("/f", Fault::IgnoreRange);
    let body = rest(&remote(&server), &resume).await.expect("the whole");
    assert_eq!((body.offset(), body.length()), (0, Some(1 << 20)));
    assert_eq!(read(body).await.expect("bytes"), content(1 << 20));
    server.put("/f", "another");
    let body = rest(&remote(&server), &resume).await.expect("the whole");
    assert_eq!((body.offset(), body.length()), (0, Some(7)));
    assert_eq!(read(body).await.expect("bytes"), b"another");
    assert_eq!(
        server.requests().len(),
        2,
        "one answer was enough in both cases"
    );
}

#[tokio::test]
async fn begins_anew_after_a_wrong_part() {
    let server = server();
    let resume = first_half(&server).await;
    for wrong in [
        WrongRange::Begin(10),
        WrongRange::NoField,
        WrongRange::WholeBody,
        WrongRange::Total(1 << 21),
    ] {
        server.forget_requests();
        server.fail_once("/f", Fault::WrongRange(wrong));
        let body = rest(&remote(&server), &resume).await.expect("the whole");
        assert_eq!(
            (body.offset(), body.length()),
            (0, Some(1 << 20)),
            "{wrong:?}"
        );
        assert_eq!(
            read(body).await.expect("bytes"),
            content(1 << 20),
            "{wrong:?}"
        );
        let ranges = server.requests();
        let ranges: Vec<_> = ranges
            .iter()
            .map(|request| request.field("range"))
            .collect();
        assert_eq!(ranges, [Some("bytes=500000-"), None], "{wrong:?}");
    }
}

#[tokio::test]
async fn gives_up_on_a_server_that_sends_parts_only() {
    let site = Site::answering(|_| {
        Answer::new(206, content(100)).with_field("Content-Range", "bytes 0-99/1000")
    });
    let server = Server::http(site).expect("a server");
    let resume = Resume {
        offset: 500,
        validators: Validators::default(),
    };
    let error = rest(&remote(&server), &resume)
        .await
        .expect_err("parts only");
    let message = format!(
        "sent `bytes 0-99/1000` instead of `bytes=500-`, and a part again when asked for the whole: \
         {}/f",
        server.url()
    );
    assert_error(&error, ErrorKind::Network, &message);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn never_joins_parts_of_two_versions() {
    // This one does not know If-Range and sends the part of whatever there is.
    let site = Site::answering(|request| {
        let all = content(1000);
        match request.field("range") {
            Some(_) => Answer::new(206, all[500..].to_vec())
                .with_field("Content-Range", "bytes 500-999/1000")
                .with_field("ETag", "\"new\""),
            None => Answer::ok(all).with_field("ETag", "\"new\""),
        }
    });
    let server = Server::http(site).expect("a server");
    let validators = Validators {
        etag: Some("\"old\"".to_owned()),
        last_modified: None,
    };
    let resume = Resume {
        offset: 500,
        validators,
    };
    let body = rest(&remote(&server), &resume).await.expect("the whole");
    assert_eq!((body.offset(), body.length()), (0, Some(1000)));
    assert_eq!(server.requests().len(), 2);
    let mut same = resume.clone();
    same.validators.etag = Some("\"new\"".to_owned());
    let body = rest(&remote(&server), &same).await.expect("the rest");
    assert_eq!((body.offset(), body.length()), (500, Some(500)));
}

#[tokio::test]
async fn a_file_that_is_here_whole_has_an_empty_rest() {
    let server = server();
    let mut resume = first_half(&server).await;
    resume.offset = 1 << 20;
    let body = rest(&remote(&server), &resume).await.expect("nothing more");
    assert_eq!((body.offset(), body.length()), (1 << 20, Some(0)));
    assert_eq!(read(body).await.expect("no bytes"), b"");
    assert_eq!(server.requests()[0].status, 416);
}

#[tokio::test]
async fn begins_anew_when_more_is_here_than_there() {
    let server = server();
    let mut resume = first_half(&server).await;
    resume.offset = 1 << 21;
    let body = rest(&remote(&server), &resume).await.expect("the whole");
    assert_eq!((body.offset(), body.length()), (0, Some(1 << 20)));
    server.fail_once("/f", Fault::RefuseRange);
    resume.offset = HALF;
    let body = rest(&remote(&server), &resume).await.expect("the whole");
    assert_eq!((body.offset(), body.length()), (0, Some(1 << 20)));
}

#[tokio::test]
async fn asks_for_the_whole_when_nothing_is_here() {
    let server = server();
    let resume = Resume {
        offset: 0,
        validators: Validators::default(),
    };
    let body = rest(&remote(&server), &resume).await.expect("the whole");
    assert_eq!(body.offset(), 0);
    assert_eq!(server.requests()[0].field("range"), None);
}

#[tokio::test]
async fn a_rest_that_breaks_off_names_the_place_in_the_whole() {
    let server = server();
    let resume = first_half(&server).await;
    server.fail_once(
        "/f",
        Fault::CutBody {
            after: 1000,
            framing: Framing::Length,
        },
    );
    let body = rest(&remote(&server), &resume).await.expect("a head");
    let error = read(body).await.expect_err("cut");
    let message = format!(
        "the body broke off, after 501000 of 1048576 bytes: {}/f",
        server.url()
    );
    assert_error(&error, ErrorKind::Network, &message);
}
