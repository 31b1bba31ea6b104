//! Whom a referral says to believe.

use imagestore_core::{Cleartext, ErrorKind, RemoteConfig, TlsTrust, Trust};
use imagestore_testkit::keys;
use imagestore_verify::{Fingerprint, Proof, Sha256};

use crate::server::{Server, chain, key_path, trusted};

fn fingerprints(remote: &RemoteConfig) -> Vec<Fingerprint> {
    match remote.trust() {
        Trust::Signatures(keys) => keys.fingerprints(),
        Trust::Channel => Vec::new(),
    }
}

async fn refusal(server: &Server) -> (ErrorKind, String) {
    let error = server
        .refer("a/x/y")
        .await
        .expect_err("it must not be believed");
    (error.kind(), chain(&error))
}

fn pem(der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let encode = |three: &[u8]| {
        let bits = three
            .iter()
            .chain([&0; 3])
            .take(3)
            .fold(0usize, |bits, byte| bits << 8 | usize::from(*byte));
        let digit = |n: usize| {
            if n <= three.len() {
                char::from(DIGITS[bits >> (18 - 6 * n) & 63])
            } else {
                '='
            }
        };
        (0..4).map(digit).collect::<String>()
    };
    let body: String = der.chunks(3).map(encode).collect();
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

#[tokio::test]
async fn a_referral_carries_what_the_registry_says_and_nothing_of_its_own_trust() {
    let server = Server::with_a(&format!(
        r#"{}, "arguments": {{"mode": "system"}},
           "mirrors": ["https+lxc-images://m.example/lxc", "http://n.example"]"#,
        trusted(&[keys::images(), keys::other_images()])
    ));
    let referral = server.refer("a/ubuntu/trusty").await.expect("usable");
    let remote = &referral.remote;
    assert_eq!(referral.rest.to_string(), "ubuntu/trusty");
    assert_eq!(
        (remote.name().as_str(), remote.id().as_str()),
        ("a", "https+lxc-images://a.example")
    );
    assert_eq!(
        fingerprints(remote),
        [
            keys::images().fingerprint(),
            keys::other_images().fingerprint()
        ]
    );
    assert_eq!(remote.arguments()["mode"], "system");
    assert_eq!(
        remote
            .mirrors()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["https://m.example/lxc"]
    );
    assert_eq!(remote.tls(), &TlsTrust::SystemRoots);
    assert_eq!(remote.cleartext(), Cleartext::Refuse);
    assert_eq!(remote.architecture(), Some("arm64"));
    assert!(remote.identity().is_none());
    // The index and both keys speak for it.
    assert_eq!(referral.proofs().len(), 3);
    assert!(
        referral
            .proofs()
            .iter()
            .all(|proof| matches!(proof, Proof::Signature(signature)
        if *signature.signer() == keys::registry().fingerprint()))
    );
    assert_eq!(
        server.warnings(),
        ["a mirror of server `a` is without TLS, unlike the server: `http://n.example`"]
    );
}

#[tokio::test]
async fn a_key_file_is_named_by_key_id_or_fingerprint_in_any_case() {
    let fingerprint = keys::images().fingerprint().to_string();
    for name in [
        format!("0x{}", &fingerprint[24..]),
        fingerprint[24..].to_lowercase(),
        fingerprint.clone(),
        format!("0X{}", fingerprint.to_lowercase()),
    ] {
        let path = format!("/keys/{name}");
        let server = Server::with_a(&format!(r#""trusted_keys": ["{path}"]"#));
        server.put(
            &path,
            keys::images().certificate().as_bytes(),
            keys::registry(),
        );
        let referral = server.refer("a/x/y").await.expect(&name);
        assert_eq!(
            fingerprints(&referral.remote),
            [keys::images().fingerprint()],
            "{name}"
        );
    }
}

#[tokio::test]
async fn of_a_file_with_several_keys_only_the_named_one_counts() {
    let server = Server::with_a(&trusted(&[keys::images()]));
    let both = keys::stranger().certificate() + "\n" + &keys::images().certificate();
    server.put(&key_path(keys::images()), both.as_bytes(), keys::registry());
    let referral = server.refer("a/x/y").await.expect("it is in there");
    assert_eq!(
        fingerprints(&referral.remote),
        [keys::images().fingerprint()]
    );
}

#[tokio::test]
async fn key_file_holds_another_key() {
    let path = key_path(keys::images());
    let server = Server::with_a(&trusted(&[keys::images()]));
    server.put(
        &path,
        keys::stranger().certificate().as_bytes(),
        keys::registry(),
    );
    assert_eq!(
        refusal(&server).await,
        (
            ErrorKind::Untrusted,
            format!(
                "the file of a key holds {}, not the key it is named after: {path}",
                keys::stranger().fingerprint()
            ),
        )
    );
    server.put(&path, b"<html>", keys::registry());
    let (kind, text) = refusal(&server).await;
    assert_eq!(kind, ErrorKind::Untrusted);
    assert!(
        text.starts_with(&format!("the file of a key holds no usable key: {path}\n")),
        "{text}"
    );
}

#[tokio::test]
async fn key_or_certificate_is_not_signed_by_the_registry() {
    let path = key_path(keys::images());
    let url = format!("https://registry.example{path}");
    let server = Server::with_a(&trusted(&[keys::images()]));
    server.put(
        &path,
        keys::images().certificate().as_bytes(),
        keys::images(),
    );
    assert_eq!(
        refusal(&server).await,
        (
            ErrorKind::Untrusted,
            format!(
                "does not verify: {url}\nsigned by {}, which is not in the keyring",
                keys::images().fingerprint()
            ),
        )
    );
    server.transport.remove(&format!("{url}.asc"));
    assert_eq!(
        refusal(&server).await,
        (
            ErrorKind::Untrusted,
            format!("is not signed: {url}\nstatus 404: {url}.asc"),
        )
    );
    server.transport.remove(&url);
    assert_eq!(
        refusal(&server).await,
        (
            ErrorKind::Untrusted,
            format!("the registry lacks a key or certificate it names: {path}\nstatus 404: {url}"),
        )
    );
}

#[tokio::test]
async fn key_path_leaves_the_registry() {
    let fingerprint = keys::images().fingerprint();
    for path in [
        format!("//evil.example/{fingerprint}"),
        format!("https://evil.example/{fingerprint}"),
        format!("/keys/../../{fingerprint}"),
        format!("/keys/%2e%2e/{fingerprint}"),
    ] {
        let server = Server::with_a(&format!(r#""trusted_keys": ["{path}"]"#));
        assert_eq!(
            refusal(&server).await,
            (
                ErrorKind::Unsafe,
                format!("a path from an index could leave its server: `{path}`"),
            )
        );
        assert_eq!(
            server.transport.requests().len(),
            2,
            "the index and its signature"
        );
    }
}

#[tokio::test]
async fn revoked_keys_never_count() {
    let revoked = format!(r#""revoked_keys": ["{}"]"#, keys::images().fingerprint());
    let server = Server::with_a(&format!(
        "{}, {revoked}",
        trusted(&[keys::images(), keys::other_images()])
    ));
    let referral = server.refer("a/x/y").await.expect("one is left");
    assert_eq!(
        fingerprints(&referral.remote),
        [keys::other_images().fingerprint()]
    );
    let server = Server::with_a(&format!("{}, {revoked}", trusted(&[keys::images()])));
    assert_eq!(
        refusal(&server).await,
        (
            ErrorKind::Untrusted,
            "every key of server `a` is revoked\nkeyring holds no key".to_owned(),
        )
    );
}

#[tokio::test]
async fn certificates_become_pins() {
    let (one, two) = (
        b"\x30\x03\x02\x01\xff".as_slice(),
        b"\x30\x04\x02\x02\x7f\xff".as_slice(),
    );
    let path = |der: &[u8]| format!("/certs/{}", Sha256::of(der).to_string().to_uppercase());
    let server = Server::with_a(&format!(
        r#"{}, "trusted_certs": ["{}", "{}"]"#,
        trusted(&[keys::images()]),
        path(one),
        path(two)
    ));
    server.put(&path(one), one, keys::registry());
    server.put(
        &path(two),
        (pem(b"\x30\xff") + &pem(two)).as_bytes(),
        keys::registry(),
    );
    let referral = server.refer("a/x/y").await.expect("both fit");
    assert_eq!(
        referral.remote.tls(),
        &TlsTrust::Pin(vec![Sha256::of(one), Sha256::of(two)])
    );

    server.put(&path(two), pem(one).as_bytes(), keys::registry());
    assert_eq!(
        refusal(&server).await,
        (
            ErrorKind::Untrusted,
            format!(
                "the certificate has the sha256 digest {}, not {}: {}",
                Sha256::of(one),
                Sha256::of(two),
                path(two)
            ),
        )
    );
    server.put(&path(two), b"<html>", keys::registry());
    assert_eq!(
        refusal(&server).await,
        (
            ErrorKind::Malformed,
            format!(
                "the file of a certificate is neither PEM nor DER: {}",
                path(two)
            ),
        )
    );
    server.put(&path(two), two, keys::stranger());
    assert_eq!(refusal(&server).await.0, ErrorKind::Untrusted);
    let server = Server::with_a(&format!(
        r#"{}, "trusted_certs": ["/certs/00"]"#,
        trusted(&[keys::images()])
    ));
    assert_eq!(
        refusal(&server).await,
        (
            ErrorKind::Malformed,
            "the file of a certificate is not named after its sha256 digest: /certs/00".to_owned(),
        )
    );
}

#[tokio::test]
async fn only_hosts_that_sign_nothing_are_believed_by_their_channel() {
    let der = b"\x30\x03\x02\x01\xff".as_slice();
    let path = format!("/certs/{}", Sha256::of(der));
    let server = Server::new(
        &format!(
            r#"{{"name": "pinned", "url": "https+lxd://h.example:8443", "trusted_certs": ["{path}"]}},
               {{"name": "open", "url": "https+simplestreams://s.example"}},
               {{"name": "a", "url": "https+lxc-images://a.example", "trusted_certs": ["{path}"]}}"#
        ),
        "",
    );
    server.put(&path, der, keys::registry());
    let pinned = server.refer("pinned/x").await.expect("a host");
    assert!(matches!(pinned.remote.trust(), Trust::Channel));
    assert_eq!(pinned.remote.tls(), &TlsTrust::Pin(vec![Sha256::of(der)]));
    let open = server.refer("open/x").await.expect("a host");
    assert!(matches!(open.remote.trust(), Trust::Channel));
    assert_eq!(open.remote.tls(), &TlsTrust::SystemRoots);
    assert_eq!(refusal(&server).await.0, ErrorKind::Untrusted);
}
