//! What is sent, and what an ordinary answer becomes.

use std::sync::Arc;

use imagestore_core::{Caches, ErrorKind, Get, Transport, Validators};
use imagestore_http::HttpTransport;
use imagestore_testkit::{Answer, Fault, Server, Site};
use url::Url;

use crate::setup::{
    assert_error, bytes, content, get, options, read, remote, remote_at, transport, url,
};

#[tokio::test]
async fn brings_the_bytes_and_what_is_told_about_them() {
    let server = Server::http(Site::files([("/a/file", content(300_000))])).expect("a server");
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    let body = get(&transport, &remote, "/a/file").await.expect("a body");
    assert_eq!(body.url().as_str(), format!("{}/a/file", server.url()));
    assert_eq!((body.offset(), body.length()), (0, Some(300_000)));
    assert!(body.validators().etag.is_some() && body.validators().last_modified.is_some());
    assert!(body.channel().is_none(), "nothing vouches for http");
    assert!(!body.is_not_modified());
    assert_eq!(read(body).await.expect("bytes"), content(300_000));
}

#[tokio::test]
async fn says_who_it_is_and_asks_for_bytes_as_they_are() {
    let server = Server::http(Site::files([("/f", "x")])).expect("a server");
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    bytes(&transport, &remote, "/f").await.expect("bytes");
    let request = &server.requests()[0];
    let agent = concat!("imagestore/", env!("CARGO_PKG_VERSION"));
    assert_eq!(request.field("user-agent"), Some(agent));
    assert_eq!(request.field("accept-encoding"), Some("identity"));
    let others = [
        "cookie",
        "referer",
        "authorization",
        "range",
        "cache-control",
        "if-none-match",
    ];
    for field in others {
        assert_eq!(request.field(field), None, "{field}");
    }
}

#[tokio::test]
async fn keeps_no_cookies() {
    let site = Site::answering(|_| Answer::ok("x").with_field("Set-Cookie", "a=b; Path=/"));
    let server = Server::http(site).expect("a server");
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    for _ in 0..2 {
        bytes(&transport, &remote, "/f").await.expect("bytes");
    }
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.field("cookie").is_none())
    );
}

#[tokio::test]
async fn reuses_connections() {
    let server = Server::https(Site::files([("/f", "x")])).expect("a server");
    let pins = vec![server.certificate().expect("https").sha256()];
    let remote = remote(&server).with_tls(imagestore_core::TlsTrust::Pin(pins));
    let transport = HttpTransport::new(options());
    for _ in 0..3 {
        bytes(&transport.clone(), &remote, "/f")
            .await
            .expect("bytes");
    }
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.connection == 0)
    );
}

#[tokio::test]
async fn passes_caches_on_request() {
    let server = Server::http(Site::files([("/f", "x")])).expect("a server");
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    let url = url(&remote, "/f");
    let request = Get::document(&remote, &url).with_caches(Caches::Bypass);
    read(transport.get(request).await.expect("a body"))
        .await
        .expect("bytes");
    assert_eq!(
        server.requests()[0].field("cache-control"),
        Some("no-cache")
    );
    assert_eq!(server.requests()[0].field("pragma"), Some("no-cache"));
}

#[tokio::test]
async fn asks_only_for_changes_when_something_is_known() {
    let server = Server::http(Site::files([("/f", "x")])).expect("a server");
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    let url = url(&remote, "/f");
    let known = get(&transport, &remote, "/f")
        .await
        .expect("a body")
        .validators()
        .clone();
    let request = Get::document(&remote, &url).with_known(Some(&known));
    let body = transport.get(request).await.expect("a body");
    assert!(body.is_not_modified());
    assert_eq!(read(body).await.expect("no bytes"), b"");
    server.put("/f", "y");
    let body = transport.get(request).await.expect("a body");
    assert!(!body.is_not_modified());
    assert_eq!(read(body).await.expect("bytes"), b"y");
}

#[tokio::test]
async fn tells_not_there_from_could_not_ask() {
    let server = Server::http(Site::empty()).expect("a server");
    let (transport, remote) = (transport(|options| options.tries = 1), remote(&server));
    let cases = [
        (404, ErrorKind::NotFound, "not there (status 404 Not Found)"),
        (410, ErrorKind::NotFound, "not there (status 410 Gone)"),
        (
            401,
            ErrorKind::Refused,
            "does not allow it (status 401 Unauthorized)",
        ),
        (
            403,
            ErrorKind::Refused,
            "does not allow it (status 403 Forbidden)",
        ),
        (
            407,
            ErrorKind::Network,
            "the proxy does not allow it (status 407 Proxy Authentication Required)",
        ),
        (
            429,
            ErrorKind::Network,
            "has been asked too often (status 429 Too Many Requests)",
        ),
        (
            500,
            ErrorKind::Network,
            "is out of order (status 500 Internal Server Error)",
        ),
        (
            503,
            ErrorKind::Network,
            "is out of order (status 503 Service Unavailable)",
        ),
        (
            204,
            ErrorKind::Network,
            "gives an answer that was not asked for (status 204 No Content)",
        ),
        (
            203,
            ErrorKind::Network,
            "gives an answer that was not asked for (status 203 Non Authoritative Information)",
        ),
        (
            226,
            ErrorKind::Network,
            "gives an answer that was not asked for (status 226 IM Used)",
        ),
        (
            299,
            ErrorKind::Network,
            "gives an answer that was not asked for (status 299)",
        ),
        (
            300,
            ErrorKind::Network,
            "gives an answer that was not asked for (status 300 Multiple Choices)",
        ),
        (
            304,
            ErrorKind::Network,
            "gives an answer that was not asked for (status 304 Not Modified)",
        ),
        (
            416,
            ErrorKind::Network,
            "gives an answer that was not asked for (status 416 Range Not Satisfiable)",
        ),
        (
            418,
            ErrorKind::Network,
            "gives an answer that was not asked for (status 418 I'm a teapot)",
        ),
        (
            206,
            ErrorKind::Network,
            "sent a part although the whole was asked for",
        ),
    ];
    for (status, kind, message) in cases {
        server.fail_once("/f", Fault::status(status));
        let error = bytes(&transport, &remote, "/f").await.expect_err("no body");
        assert_error(&error, kind, &format!("{message}: {}/f", server.url()));
    }
}

#[tokio::test]
async fn does_not_ask_where_it_must_not() {
    let transport: Arc<dyn Transport> = Arc::new(HttpTransport::new(options()));
    let remote = remote_at("https+lxc-images://images.invalid");
    let cases = [
        (
            "http://images.invalid/f",
            ErrorKind::InvalidConfig,
            "remote `r` would be asked over http without TLS: http://images.invalid/f; \
             use https, or set allow_http = true for this remote",
        ),
        (
            "ftp://images.invalid/f",
            ErrorKind::Unsupported,
            "`ftp` is no transport: ftp://images.invalid/f",
        ),
        (
            "file:///etc/passwd",
            ErrorKind::Unsupported,
            "`file` is no transport: file:///etc/passwd",
        ),
        (
            "https://u:secret@images.invalid/f?also=secret",
            ErrorKind::Unsafe,
            "a URL must not hold a user name or password: https://images.invalid/f?…",
        ),
    ];
    for (url, kind, message) in cases {
        let url: Url = url.parse().expect(url);
        let error = transport
            .get(Get::file(&remote, &url))
            .await
            .expect_err("refused");
        assert_error(&error, kind, message);
    }
}

#[tokio::test]
async fn shows_no_query_in_messages() {
    let server = Server::http(Site::empty()).expect("a server");
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    let mut url = url(&remote, "/f");
    url.set_query(Some("secret=1234"));
    let error = transport
        .get(Get::file(&remote, &url))
        .await
        .expect_err("not there");
    let message = format!("not there (status 404 Not Found): {}/f?…", server.url());
    assert_error(&error, ErrorKind::NotFound, &message);
    assert_eq!(server.requests()[0].target, "/f?secret=1234");
}

#[tokio::test]
async fn leaves_validators_out_that_cannot_be_sent() {
    let server = Server::http(Site::files([("/f", "x")])).expect("a server");
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    let known = Validators {
        etag: Some("\"a\"\r\nX: y".to_owned()),
        last_modified: None,
    };
    let url = url(&remote, "/f");
    let request = Get::document(&remote, &url).with_known(Some(&known));
    let body = transport.get(request).await.expect("a body");
    assert_eq!(read(body).await.expect("bytes"), b"x");
    assert_eq!(server.requests()[0].field("x"), None);
}
