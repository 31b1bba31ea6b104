//! Where requests are sent on to, and where they are not.

use imagestore_core::{Cleartext, ErrorKind, TlsTrust};
use imagestore_http::{Authorities, HttpTransport, Proxy};
use imagestore_testkit::server::Certificate;
use imagestore_testkit::{Fault, Server, Site};

use crate::raw::{Raw, Script};
use crate::setup::{assert_error, bytes, get, options, read, remote, remote_at, transport};

fn http() -> Server {
    Server::http(Site::files([("/f", "here"), ("/g", "there")])).expect("a server")
}

fn https() -> Server {
    Server::https(Site::files([("/f", "here"), ("/g", "there")])).expect("a server")
}

fn pem(servers: &[&Server]) -> Authorities {
    let pems: Vec<&str> = servers
        .iter()
        .map(|server| server.certificate().expect("https").pem())
        .collect();
    Authorities::Only(pems.concat().into_bytes())
}

#[tokio::test]
async fn follows_and_says_where_it_ended() {
    let (server, other) = (http(), http());
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}/g#part", other.url());
        server.fail_once("/f", Fault::Redirect { status, location });
        let body = get(&transport, &remote, "/f").await.expect("followed");
        assert_eq!(
            body.url().as_str(),
            format!("{}/g", other.url()),
            "{status}"
        );
        assert_eq!(read(body).await.expect("bytes"), b"there");
    }
    server.fail_once("/f", Fault::redirect("g"));
    assert_eq!(
        bytes(&transport, &remote, "/f").await.expect("bytes"),
        b"there"
    );
}

#[tokio::test]
async fn errors_name_the_last_url_and_the_first() {
    let (server, other) = (http(), http());
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    server.fail(
        "/f",
        Fault::redirect(format!("{}/none?signature=1", other.url())),
    );
    let error = bytes(&transport, &remote, "/f")
        .await
        .expect_err("not there");
    let message = format!(
        "not there (status 404 Not Found), redirected from {}/f: {}/none?…",
        server.url(),
        other.url()
    );
    assert_error(&error, ErrorKind::NotFound, &message);
}

#[tokio::test]
async fn follows_five_and_no_more() {
    let server = http();
    let remote = remote(&server);
    let default = HttpTransport::new(options());
    server.fail("/f", Fault::RedirectChain(5));
    assert_eq!(bytes(&default, &remote, "/f").await.expect("five"), b"here");
    assert_eq!(server.requests().len(), 6);
    server.heal_all();
    server.forget_requests();
    server.fail("/f", Fault::RedirectChain(6));
    let error = bytes(&default, &remote, "/f").await.expect_err("six");
    let message = format!(
        "redirects to {0}/f?…, after 5 redirects, at most 5 are followed: {0}/f?…",
        server.url()
    );
    assert_error(&error, ErrorKind::Network, &message);
    assert_eq!(server.requests().len(), 6, "and not tried again");
    let many = transport(|options| options.redirects = 99);
    assert_eq!(bytes(&many, &remote, "/f").await.expect("six"), b"here");
    server.heal_all();
    server.fail("/f", Fault::RedirectChain(11));
    bytes(&many, &remote, "/f")
        .await
        .expect_err("eleven are too many in any case");
}

#[tokio::test]
async fn finds_loops() {
    let (server, other) = (http(), http());
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    server.fail("/f", Fault::RedirectLoop);
    let error = bytes(&transport, &remote, "/f").await.expect_err("a loop");
    let message = format!(
        "redirects to {0}/f, where it was before: {0}/f",
        server.url()
    );
    assert_error(&error, ErrorKind::Network, &message);
    server.fail("/g", Fault::redirect(format!("{}/g", other.url())));
    other.fail("/g", Fault::redirect(format!("{}/g", server.url())));
    let error = bytes(&transport, &remote, "/g").await.expect_err("a loop");
    let message = format!(
        "redirects to {}/g, where it was before: {}/g",
        server.url(),
        other.url()
    );
    assert_error(&error, ErrorKind::Network, &message);
}

#[tokio::test]
async fn never_leaves_tls() {
    let (server, open) = (https(), http());
    let transport = transport(|options| options.authorities = pem(&[&server]));
    let remote = remote(&server).with_cleartext(Cleartext::Allow);
    server.fail("/f", Fault::redirect(format!("{}/g", open.url())));
    let error = bytes(&transport, &remote, "/f")
        .await
        .expect_err("https to http");
    let message = format!(
        "redirects to {}/g, from https to http: {}/f",
        open.url(),
        server.url()
    );
    assert_error(&error, ErrorKind::Network, &message);
    assert!(open.requests().is_empty());
}

#[tokio::test]
async fn never_leaves_http() {
    let server = http();
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    for location in [
        "file:///etc/passwd",
        "unix:///run/x",
        "ftp://127.0.0.1/x",
        "data:,x",
    ] {
        server.fail_once("/f", Fault::redirect(location));
        let error = bytes(&transport, &remote, "/f").await.expect_err(location);
        let message = format!(
            "redirects to {location}, which is neither http nor https: {}/f",
            server.url()
        );
        assert_error(&error, ErrorKind::Network, &message);
    }
}

#[tokio::test]
async fn a_redirect_must_say_where_to() {
    let raw = Raw::always(Script::close(
        "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
    ));
    let error = bytes(&HttpTransport::new(options()), &raw.remote(), "/f")
        .await
        .expect_err("nowhere");
    let message = format!("redirects without saying where to: {}", raw.url("/f"));
    assert_error(&error, ErrorKind::Network, &message);
}

#[tokio::test]
async fn public_hosts_do_not_lead_into_private_networks() {
    // A proxy stands for the public internet; it answers what a hostile host would.
    let inside = http();
    for (location, class) in [
        (format!("{}/g", inside.url()), "loopback"),
        (format!("http://localhost:{}/", port(&inside)), "loopback"),
        (format!("http://2130706433:{}/", port(&inside)), "loopback"),
        (format!("http://0177.0.0.1:{}/", port(&inside)), "loopback"),
        (
            format!("http://[::ffff:127.0.0.1]:{}/", port(&inside)),
            "loopback",
        ),
        (
            "http://169.254.169.254/latest/meta-data".to_owned(),
            "link-local",
        ),
        ("http://[fd00::1]/".to_owned(), "private"),
        ("http://192.168.1.1/".to_owned(), "private"),
        ("http://0.0.0.0/".to_owned(), "reserved"),
    ] {
        let proxy = Raw::answering(move |_| Script::close(redirect(&location)));
        let through = proxy.url("").parse().expect("a URL");
        let transport = transport(|options| options.proxy = Proxy::Through(through));
        let remote = remote_at("http+lxc-images://images.example").with_cleartext(Cleartext::Allow);
        let error = bytes(&transport, &remote, "/f").await.expect_err(class);
        assert_eq!(error.kind(), ErrorKind::Network);
        let reason = format!(", from a public to a {class} address: http://images.example/f");
        assert!(error.to_string().ends_with(&reason), "{error}");
        assert_eq!(proxy.requests().len(), 1);
    }
    assert!(inside.requests().is_empty());
}

#[tokio::test]
async fn a_local_host_does_not_lead_to_other_machines_of_a_private_network() {
    let server = http();
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    server.fail("/f", Fault::redirect("https://192.168.1.1/x"));
    let error = bytes(&transport, &remote, "/f")
        .await
        .expect_err("next door");
    let message = format!(
        "redirects to https://192.168.1.1/x, from a loopback to a private address: {}/f",
        server.url()
    );
    assert_error(&error, ErrorKind::Network, &message);
}

#[tokio::test]
async fn pins_hold_a_request_at_its_host() {
    let (server, other) = (https(), https());
    let pins = [&server, &other].map(|server| server.certificate().expect("https").sha256());
    let remote = remote(&server).with_tls(TlsTrust::Pin(pins.to_vec()));
    let transport = HttpTransport::new(options());
    // The same host under another name.
    let elsewhere = format!("https://localhost:{}/g", port(&other));
    server.fail_once("/f", Fault::redirect(&elsewhere));
    let error = bytes(&transport, &remote, "/f")
        .await
        .expect_err("another host");
    let message = format!(
        "redirects to {elsewhere}, but the pinned certificates are those of another host: {}/f",
        server.url()
    );
    assert_error(&error, ErrorKind::Network, &message);
    assert!(other.requests().is_empty());
    // Another port of the host must show a pinned certificate too.
    server.fail_once("/f", Fault::redirect(format!("{}/g", other.url())));
    assert_eq!(
        bytes(&transport, &remote, "/f").await.expect("pinned"),
        b"there"
    );
    let remote = remote.with_tls(TlsTrust::Pin(pins[..1].to_vec()));
    server.fail_once("/f", Fault::redirect(format!("{}/g", other.url())));
    let error = bytes(&transport, &remote, "/f")
        .await
        .expect_err("not pinned");
    assert_eq!(error.kind(), ErrorKind::Untrusted, "{error}");
}

#[tokio::test]
async fn shows_a_client_certificate_to_nobody_else() {
    let (server, other) = (https(), https());
    let certificate = Certificate::new(&["a client"]);
    let identity = imagestore_core::ClientIdentity::new(
        certificate.pem().as_bytes().to_vec(),
        certificate.key_pem().as_bytes().to_vec(),
    );
    let transport = transport(|options| options.authorities = pem(&[&server, &other]));
    let remote = remote(&server).with_identity(identity);
    server.fail(
        "/f",
        Fault::redirect(format!("https://localhost:{}/g", port(&other))),
    );
    let body = get(&transport, &remote, "/f").await.expect("followed");
    let what = format!(
        "tls certificate of localhost:{} vouched for by chosen roots, redirected from {}",
        port(&other),
        server.authority()
    );
    assert_eq!(body.channel().expect("https all the way").what(), what);
    assert_eq!(read(body).await.expect("bytes"), b"there");
    assert_eq!(server.requests()[0].certificate, Some(certificate.sha256()));
    assert_eq!(other.requests()[0].certificate, None);
}

#[tokio::test]
async fn a_way_that_begins_open_vouches_for_nothing() {
    let (open, server) = (http(), https());
    let transport = transport(|options| options.authorities = pem(&[&server]));
    let remote = remote(&open);
    open.fail("/f", Fault::redirect(format!("{}/g", server.url())));
    let body = get(&transport, &remote, "/f").await.expect("followed");
    assert!(
        body.channel().is_none(),
        "anybody could have sent the redirect"
    );
    assert_eq!(read(body).await.expect("bytes"), b"there");
}

#[tokio::test]
async fn another_host_must_be_vouched_for_as_well() {
    let (server, other) = (https(), https());
    let transport = transport(|options| options.authorities = pem(&[&server]));
    let remote = remote(&server);
    let elsewhere = format!("https://localhost:{}/g", port(&other));
    server.fail("/f", Fault::redirect(&elsewhere));
    let error = bytes(&transport, &remote, "/f")
        .await
        .expect_err("not vouched for");
    let message = format!(
        "the certificate of localhost:{}, sha256:{}, is not signed by the authority it names, \
         redirected from {}/f: {elsewhere}; if it is known to be the right one, pin it",
        port(&other),
        other.certificate().expect("https").sha256(),
        server.url(),
    );
    assert_error(&error, ErrorKind::Untrusted, &message);
}

fn port(server: &Server) -> String {
    server
        .authority()
        .rsplit(':')
        .next()
        .expect("a port")
        .to_owned()
}

fn redirect(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}
