use imagestore_core::{ErrorKind, RemoteConfig, Trust};
use imagestore_lxd::first_contact;
use imagestore_testkit::{Server, Site};

#[tokio::test]
async fn shows_the_certificate_and_asks_for_nothing() {
    let server = Server::https(Site::empty()).expect("a server");
    let seen = first_contact(&remote(&server.remote_url("lxd").to_string()))
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
    let error = first_contact(&remote(&plain.remote_url("lxd").to_string()))
        .await
        .expect_err("http");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    let url = format!("https+lxd://{}", plain.authority());
    let error = first_contact(&remote(&url)).await.expect_err("no TLS");
    assert_eq!(error.kind(), ErrorKind::Network);
    assert_eq!(error.to_string(), format!("cannot agree on TLS: {url}"));
    drop(plain);
    let error = first_contact(&remote(&url)).await.expect_err("nobody");
    assert_eq!(error.to_string(), format!("cannot connect: {url}"));
}

#[tokio::test]
async fn asks_the_port_that_the_remote_names_and_that_a_url_cannot_hold() {
    let server = Server::https(Site::empty()).expect("a server");
    let (host, port) = server.authority().rsplit_once(':').map_or_else(
        || panic!("{} has no port", server.authority()),
        |(host, port)| (host.to_owned(), port.to_owned()),
    );
    let on = |port: &str| {
        let arguments = [("port".to_owned(), port.to_owned())];
        remote(&format!("https+lxd://{host}")).with_arguments(arguments.into())
    };
    let seen = first_contact(&on(&port)).await.expect("a certificate");
    let certificate = server.certificate().expect("a certificate");
    assert_eq!(seen.fingerprint(), certificate.sha256());
    // Nobody is there on loopback; the address that was asked stands in the message.
    let error = first_contact(&on("443")).await.expect_err("nobody");
    assert_eq!(error.kind(), ErrorKind::Network);
    let shown = error.to_string();
    assert!(shown.ends_with(&format!(": https+lxd://{host}")), "{shown}");
}

fn remote(url: &str) -> RemoteConfig {
    let name = "host".parse().expect("a name");
    RemoteConfig::new(name, url.parse().expect("a url"), Trust::Channel)
}
