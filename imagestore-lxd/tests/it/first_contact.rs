use imagestore_core::ErrorKind;
use imagestore_lxd::first_contact;
use imagestore_testkit::{Server, Site};

#[tokio::test]
async fn shows_the_certificate_and_asks_for_nothing() {
    let server = Server::https(Site::empty()).expect("a server");
    let seen = first_contact(&server.remote_url("lxd"))
        .await
        .expect("a certificate");
    let certificate = server.certificate().expect("a certificate");
    assert_eq!(seen.fingerprint(), certificate.sha256());
    assert_eq!(seen.der(), certificate.der());
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn says_why_there_is_none() {
    let plain = Server::http(Site::empty()).expect("a server");
    let error = first_contact(&plain.remote_url("lxd"))
        .await
        .expect_err("http");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    let url = format!("https+lxd://{}", plain.authority());
    let error = first_contact(&url.parse().expect("a url"))
        .await
        .expect_err("no TLS");
    assert_eq!(error.kind(), ErrorKind::Network);
    assert_eq!(error.to_string(), format!("cannot agree on TLS: {url}"));
    drop(plain);
    let error = first_contact(&url.parse().expect("a url"))
        .await
        .expect_err("nobody");
    assert_eq!(error.to_string(), format!("cannot connect: {url}"));
}
