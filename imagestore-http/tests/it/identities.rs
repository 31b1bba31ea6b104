//! Certificates this side shows or is given to believe in.

use imagestore_core::{ClientIdentity, ErrorKind};
use imagestore_http::{Authorities, HttpTransport};
use imagestore_testkit::server::Certificate;
use imagestore_testkit::{Server, Site};

use crate::setup::{assert_error, bytes, options, read, remote, transport};
use crate::tls::{pinned, server, sha256};

#[tokio::test]
async fn a_client_certificate_is_shown_to_the_remote_and_to_no_mirror() {
    let (server, mirror) = (server(), server());
    let certificate = Certificate::new(&["a client"]);
    let identity = ClientIdentity::new(
        certificate.pem().as_bytes().to_vec(),
        certificate.key_pem().as_bytes().to_vec(),
    );
    let remote = pinned(remote(&server), &[sha256(&server), sha256(&mirror)])
        .with_identity(identity)
        .with_mirrors(vec![mirror.base_url()]);
    let transport = HttpTransport::new(options());
    for url in remote.locations("/f").expect("plain") {
        let request = imagestore_core::Get::file(&remote, &url);
        let body = imagestore_core::Transport::get(&transport, request)
            .await
            .expect("a body");
        assert_eq!(read(body).await.expect("bytes"), b"x");
    }
    assert_eq!(server.requests()[0].certificate, Some(certificate.sha256()));
    assert_eq!(mirror.requests()[0].certificate, None);
}

#[tokio::test]
async fn a_client_certificate_that_is_none_is_a_fault_of_the_configuration() {
    let server = server();
    let (one, two) = (Certificate::new(&["one"]), Certificate::new(&["two"]));
    let cases = [
        (
            "",
            one.key_pem(),
            "the client certificate: not a PEM certificate: remote `r`",
        ),
        (
            one.pem(),
            "",
            "the key of the client certificate is not a PEM private key: remote `r`",
        ),
        (
            one.pem(),
            two.key_pem(),
            "the client certificate does not fit its key: remote `r`",
        ),
    ];
    for (chain, key, message) in cases {
        let identity = ClientIdentity::new(chain.as_bytes().to_vec(), key.as_bytes().to_vec());
        let remote = pinned(remote(&server), &[sha256(&server)]).with_identity(identity);
        let transport = HttpTransport::new(options());
        let error = bytes(&transport, &remote, "/f").await.expect_err(message);
        assert_error(&error, ErrorKind::InvalidConfig, message);
    }
}

#[tokio::test]
async fn authorities_that_are_none_are_a_fault_of_the_configuration() {
    let server = server();
    let transport = transport(|options| options.authorities = Authorities::Only(b"x".to_vec()));
    let error = bytes(&transport, &remote(&server), "/f")
        .await
        .expect_err("no authorities");
    assert_error(
        &error,
        ErrorKind::InvalidConfig,
        "the authorities: not a PEM certificate",
    );
}

#[tokio::test]
async fn without_tls_no_authorities_are_needed() {
    let server = Server::http(Site::files([("/f", "x")])).expect("a server");
    let transport = transport(|options| options.authorities = Authorities::Only(b"x".to_vec()));
    assert_eq!(
        bytes(&transport, &remote(&server), "/f")
            .await
            .expect("bytes"),
        b"x"
    );
}
