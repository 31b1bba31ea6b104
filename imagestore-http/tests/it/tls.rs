//! Certificates: which are believed, which are not, and what is said about them.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use imagestore_core::{ErrorKind, RemoteConfig, TlsTrust};
use imagestore_http::{Authorities, HttpTransport};
use imagestore_testkit::server::Certificate;
use imagestore_testkit::{Server, Site, oracle};
use imagestore_verify::Sha256;
use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::certificates::{Authority, names};
use crate::raw::{Raw, Script, Then};
use crate::setup::{
    SHORT, assert_error, bytes, get, lines, options, read, remote, remote_at, transport,
};

pub(crate) fn server() -> Server {
    Server::https(Site::files([("/f", "x")])).expect("a server")
}

pub(crate) fn pinned(remote: RemoteConfig, pins: &[Sha256]) -> RemoteConfig {
    remote.with_tls(TlsTrust::Pin(pins.to_vec()))
}

pub(crate) fn sha256(server: &Server) -> Sha256 {
    server.certificate().expect("https").sha256()
}

#[tokio::test]
async fn a_pinned_certificate_is_believed_and_named() {
    let server = server();
    let other = Sha256::of(b"another");
    let remote = pinned(remote(&server), &[other, sha256(&server)]);
    let body = get(&HttpTransport::new(options()), &remote, "/f")
        .await
        .expect("believed");
    let what = body.channel().expect("a channel").what().to_owned();
    let wanted = format!(
        "tls certificate sha256:{} pinned for {}",
        sha256(&server),
        server.authority()
    );
    assert_eq!(what, wanted);
    assert_eq!(read(body).await.expect("bytes"), b"x");
}

#[tokio::test]
async fn a_certificate_that_is_not_pinned_is_refused_with_both_fingerprints() {
    let server = server();
    let (one, two) = (Sha256::of(b"one"), Sha256::of(b"two"));
    let (seen, host) = (sha256(&server), server.authority());
    for (pins, wanted) in [
        (vec![one, two], format!("sha256:{one}, sha256:{two}")),
        (Vec::new(), "none".to_owned()),
    ] {
        let remote = pinned(remote(&server), &pins);
        let transport = HttpTransport::new(options());
        let error = bytes(&transport, &remote, "/f")
            .await
            .expect_err("not pinned");
        let message = format!(
            "the certificate of {host}, sha256:{seen}, is not pinned; pinned: {wanted}: \
             https://{host}/f"
        );
        assert_error(&error, ErrorKind::Untrusted, &message);
    }
    assert_eq!(server.requests().len(), 0, "nothing was asked");
}

#[tokio::test]
async fn a_pin_is_exclusive() {
    // An authority vouches for the certificate, and yet it is not the pinned one.
    let server = server();
    let pem = server
        .certificate()
        .expect("https")
        .pem()
        .as_bytes()
        .to_vec();
    let transport = transport(|options| options.authorities = Authorities::Only(pem));
    let vouched = remote(&server);
    assert_eq!(
        bytes(&transport, &vouched, "/f")
            .await
            .expect("vouched for"),
        b"x"
    );
    let other = pinned(vouched, &[Sha256::of(b"another")]);
    let error = bytes(&transport, &other, "/f")
        .await
        .expect_err("not pinned");
    assert_eq!(error.kind(), ErrorKind::Untrusted, "{error}");
}

#[tokio::test]
async fn what_one_remote_believes_no_other_does() {
    let server = server();
    let transport = HttpTransport::new(options());
    let right = pinned(remote(&server), &[sha256(&server)]);
    let wrong = pinned(remote(&server), &[Sha256::of(b"another")]);
    for _ in 0..2 {
        assert_eq!(
            bytes(&transport, &right, "/f").await.expect("believed"),
            b"x"
        );
        let error = bytes(&transport, &wrong, "/f")
            .await
            .expect_err("not believed");
        assert_eq!(error.kind(), ErrorKind::Untrusted, "{error}");
        let error = bytes(&transport, &remote(&server), "/f")
            .await
            .expect_err("not believed");
        assert_eq!(error.kind(), ErrorKind::Untrusted, "{error}");
    }
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused_with_its_fingerprint_and_the_remedy() {
    let server = server();
    let error = bytes(&HttpTransport::new(options()), &remote(&server), "/f")
        .await
        .expect_err("nobody vouches for it");
    let host = server.authority();
    let message = format!(
        "the certificate of {host}, sha256:{}, is signed by no known authority: https://{host}/f; \
         if it is known to be the right one, pin it",
        sha256(&server)
    );
    assert_error(&error, ErrorKind::Untrusted, &message);
}

#[tokio::test]
async fn an_authority_vouches_for_a_host() {
    let authority = Authority::new();
    let leaf = authority.leaf(|_| {});
    let raw = Raw::encrypted(leaf.config(rustls::ALL_VERSIONS), ok());
    let transport = transport(|options| options.authorities = authority.only());
    let body = get(&transport, &raw.remote(), "/f")
        .await
        .expect("vouched for");
    let wanted = format!(
        "tls certificate of 127.0.0.1:{} vouched for by chosen roots",
        raw.port()
    );
    assert_eq!(body.channel().expect("a channel").what(), wanted);
    assert_eq!(read(body).await.expect("bytes"), b"x");
}

#[tokio::test]
async fn certificates_that_do_not_hold_are_refused_although_an_authority_signed_them() {
    type Change = fn(&mut CertificateParams);
    let cases: [(Change, &str); 5] = [
        (
            |leaf| leaf.not_after = date_time_ymd(2020, 1, 1),
            "has expired",
        ),
        (
            |leaf| leaf.not_before = date_time_ymd(2999, 1, 1),
            "is not valid yet",
        ),
        (
            |leaf| leaf.subject_alt_names = names(&["*.com"]),
            "is for another name",
        ),
        (
            |leaf| leaf.subject_alt_names = names(&["127.0.0.1.example"]),
            "is for another name",
        ),
        (
            |leaf| {
                leaf.subject_alt_names.clear();
                leaf.distinguished_name
                    .push(DnType::CommonName, "127.0.0.1");
            },
            "is for another name",
        ),
    ];
    let authority = Authority::new();
    let transport = transport(|options| options.authorities = authority.only());
    for (change, reason) in cases {
        let leaf = authority.leaf(change);
        let raw = Raw::encrypted(leaf.config(rustls::ALL_VERSIONS), ok());
        let error = bytes(&transport, &raw.remote(), "/f")
            .await
            .expect_err(reason);
        let message = format!(
            "the certificate of 127.0.0.1:{}, sha256:{}, {reason}: {}; \
             if it is known to be the right one, pin it",
            raw.port(),
            leaf.sha256(),
            raw.url("/f"),
        );
        assert_error(&error, ErrorKind::Untrusted, &message);
        // The pin is the identity; name and date say nothing beside it.
        let remote = pinned(raw.remote(), &[leaf.sha256()]);
        assert_eq!(
            bytes(&transport, &remote, "/f").await.expect("pinned"),
            b"x"
        );
    }
}

#[tokio::test]
async fn who_is_no_authority_vouches_for_nobody() {
    let authority = Authority::new();
    let between = authority.leaf(|_| {});
    let leaf = between.sign(|_| {});
    let chain = vec![leaf.der.clone(), between.der.clone()];
    let config = leaf.config_with(chain, leaf.key_der(), rustls::ALL_VERSIONS);
    let raw = Raw::encrypted(config, ok());
    let transport = transport(|options| options.authorities = authority.only());
    let error = bytes(&transport, &raw.remote(), "/f")
        .await
        .expect_err("no authority");
    assert_eq!(error.kind(), ErrorKind::Untrusted);
    let begin = format!(
        "the certificate of 127.0.0.1:{}, sha256:{}, ",
        raw.port(),
        leaf.sha256()
    );
    assert!(lines(&error)[0].starts_with(&begin), "{error}");
}

#[tokio::test]
async fn a_certificate_cannot_be_shown_without_its_key() {
    // The attacker has copied the pinned certificate and answers with a key of his own.
    let authority = Authority::new();
    let (leaf, foreign) = (authority.leaf(|_| {}), KeyPair::generate().expect("a key"));
    for versions in [&[&rustls::version::TLS13][..], &[&rustls::version::TLS12]] {
        let foreign = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(foreign.serialize_der()));
        let raw = Raw::encrypted(
            leaf.config_with(vec![leaf.der.clone()], foreign, versions),
            ok(),
        );
        let transport = transport(|options| options.authorities = authority.only());
        let message = format!(
            "127.0.0.1:{} does not hold the key of the certificate it shows, sha256:{}: {}",
            raw.port(),
            leaf.sha256(),
            raw.url("/f"),
        );
        for remote in [raw.remote(), pinned(raw.remote(), &[leaf.sha256()])] {
            let error = bytes(&transport, &remote, "/f").await.expect_err("forged");
            assert_error(&error, ErrorKind::Untrusted, &message);
        }
        assert!(raw.requests().is_empty(), "nothing was asked");
    }
}

#[tokio::test]
async fn a_body_that_ends_without_the_end_of_tls_was_cut() {
    let leaf = Authority::new().leaf(|_| {});
    let script = Script::close("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf a bo");
    let raw = Raw::encrypted(leaf.config(rustls::ALL_VERSIONS), script);
    let remote = pinned(raw.remote(), &[leaf.sha256()]);
    let body = get(&HttpTransport::new(options()), &remote, "/f")
        .await
        .expect("a head");
    assert_eq!(body.length(), None);
    let error = read(body).await.expect_err("cut");
    let message = format!("the body broke off, after 9 bytes: {}", raw.url("/f"));
    assert_error(&error, ErrorKind::Network, &message);
}

#[tokio::test]
async fn what_does_not_speak_tls_is_a_fault_of_the_network() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let place = listener.local_addr().expect("a bound port");
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a connection");
        socket
            .write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n")
            .expect("sent");
        // Until the other side goes.
        std::io::copy(&mut socket, &mut std::io::sink()).ok();
    });
    let remote = remote_at(&format!("https+lxc-images://{place}"));
    let error = bytes(&HttpTransport::new(options()), &remote, "/f")
        .await
        .expect_err("no TLS");
    let message = format!("cannot agree on TLS: https://{place}/f");
    assert_error(&error, ErrorKind::Network, &message);
    assert_eq!(
        lines(&error)[1],
        "received corrupt message of type InvalidContentType"
    );
}

#[tokio::test]
async fn a_server_that_accepts_and_does_not_greet_is_given_up() {
    let silent = Raw::always(Script {
        bytes: Vec::new(),
        then: Then::Hold,
    });
    let remote = remote_at(&format!("https+lxc-images://127.0.0.1:{}", silent.port()));
    let transport = transport(|options| options.connect = SHORT);
    let error = bytes(&transport, &remote, "/f").await.expect_err("silent");
    let message = format!(
        "takes too long to connect to: https://127.0.0.1:{}/f",
        silent.port()
    );
    assert_error(&error, ErrorKind::Network, &message);
}

#[tokio::test]
async fn old_tls_is_refused() {
    let Some(openssl) = oracle::Tool::find("openssl") else {
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let certificate = Certificate::new(&["127.0.0.1"]);
    let pem = directory.path().join("both.pem");
    std::fs::write(
        &pem,
        format!("{}{}", certificate.pem(), certificate.key_pem()),
    )
    .expect("pem");
    let mut openssl = Command::new(openssl.path());
    openssl.args(["s_server", "-www", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]);
    openssl.args(["-accept", "127.0.0.1:0", "-cert"]).arg(&pem);
    // It ends with its input, so that is kept open.
    openssl
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut server = Stopped(openssl.spawn().expect("openssl runs"));
    let told = BufReader::new(server.0.stdout.take().expect("piped"));
    let port = told
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("ACCEPT 127.0.0.1:").map(str::to_owned))
        .expect("openssl says where it listens");
    let remote = remote_at(&format!("https+lxc-images://127.0.0.1:{port}"));
    let remote = pinned(remote, &[certificate.sha256()]);
    let error = bytes(&HttpTransport::new(options()), &remote, "/f")
        .await
        .expect_err("old TLS");
    let message = format!("cannot agree on TLS: https://127.0.0.1:{port}/f");
    assert_error(&error, ErrorKind::Network, &message);
    assert_eq!(lines(&error)[1], "received fatal alert: ProtocolVersion");
}

struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn ok() -> Script {
    Script::close("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx")
}
