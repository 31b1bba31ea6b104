use super::*;
use crate::index::Index;

fn server(fields: &str) -> Server {
    let text = format!(r#"{{"version": 1, "servers": [{{"name": "a", {fields}}}]}}"#);
    Index::parse(text.as_bytes()).expect(&text).servers()[0].clone()
}

const KEYS: &str = r#""trusted_keys": ["/keys/0xBAEFF88C22F6E216"]"#;

#[test]
fn describes_itself_in_the_nearest_language() {
    let described = server(
        r#""description": "An a.", "description.fr": "Un a.", "description.fr_CH": "Un a, quoi.", "description.de": """#,
    );
    for (locale, wanted) in [
        (None, "An a."),
        (Some("fr_CH.UTF-8"), "Un a, quoi."),
        (Some("fr-CH"), "Un a, quoi."),
        (Some("fr_FR@euro"), "Un a."),
        (Some("fr"), "Un a."),
        (Some("de_CH"), "An a."),
        (Some("C"), "An a."),
        (Some(""), "An a."),
    ] {
        assert_eq!(described.describe(locale), Some(wanted), "{locale:?}");
    }
    assert_eq!(server(r#""x": 1"#).describe(Some("fr")), None);
}

#[test]
fn the_bounds_of_the_version_are_inclusive_and_0_means_any() {
    for (min, max, fits) in [
        (0, 0, true),
        (1, 1, true),
        (1, 2, true),
        (0, 1, true),
        (2, 2, false),
        (2, 0, false),
        (1, 0, true),
    ] {
        let server = server(&format!(
            r#""url": "https+lxc-images://a.example", {KEYS}, "min_client_ver": {min}, "max_client_ver": {max}"#
        ));
        assert_eq!(server.check().is_ok(), fits, "{min} {max}");
    }
    let later = server(&format!(
        r#""url": "https+x://a.example", {KEYS}, "min_client_ver": 2"#
    ));
    let error = later.check().expect_err("too new");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        error.to_string(),
        "server `a` is for version 2 and later, this is version 1; use a later imagestore"
    );
}

#[test]
fn a_server_needs_keys_unless_its_channel_is_what_counts() {
    for url in ["https+lxd://a.example", "https+simplestreams://a.example"] {
        assert_eq!(
            server(&format!(r#""url": "{url}""#))
                .check()
                .expect(url)
                .to_string(),
            url
        );
    }
    for url in [
        "https+lxc-images://a.example",
        "https+system-image://a.example",
        "https+registry://a.example",
        "https+other://a.example",
        "http+lxd://a.example",
        "http+simplestreams://127.0.0.1",
    ] {
        for fields in [
            format!(r#""url": "{url}""#),
            format!(r#""url": "{url}", "trusted_keys": []"#),
        ] {
            let error = server(&fields).check().expect_err(url);
            assert_eq!(error.kind(), ErrorKind::Untrusted);
            assert_eq!(
                error.to_string(),
                format!(
                    "server `a` has no trusted_keys; ask the registry to name the keys that sign on {url}"
                )
            );
        }
    }
}

#[test]
fn refuses_urls_that_lead_astray() {
    for url in [
        "",
        "a.example",
        "https://a.example",
        "file:///etc/passwd",
        "ftp+lxc-images://a",
        "HTTPS+lxd://a",
        "https+lxd://user:pass@a.example",
        "https+lxd://good.example\\\\@evil",
        "https+lxd://a#@evil",
        "data:,x",
    ] {
        let error = server(&format!(r#""url": "{url}", {KEYS}"#))
            .check()
            .expect_err(url);
        assert_eq!(error.kind(), ErrorKind::Malformed, "{url}");
        assert_eq!(error.to_string(), "server `a` has a url that is none");
    }
    let error = server(r#""url": "unix+lxd:///var/lib/lxd/unix.socket""#)
        .check()
        .expect_err("a socket");
    assert_eq!(error.kind(), ErrorKind::Unsafe);
    assert_eq!(error.to_string(), "server `a` is a socket of this machine");
    let error = server(KEYS).check().expect_err("no url");
    assert_eq!(error.to_string(), "server `a` has no url");
}

#[test]
fn takes_mirrors_of_its_own_protocol_and_names_the_others() {
    let server = server(
        r#""mirrors": ["https+lxc-images://m.example/lxc-images", "https://n.example", "https+lxd://o.example",
            "http://p.example", "nonsense"]"#,
    );
    let url = "https+lxc-images://a.example".parse().expect("a url");
    let (usable, refused) = server.mirrors(&url);
    let usable: Vec<_> = usable.iter().map(ToString::to_string).collect();
    assert_eq!(
        usable,
        ["https://m.example/lxc-images", "https://n.example"]
    );
    assert_eq!(
        refused,
        [
            "a mirror of server `a` speaks another protocol: `https+lxd://o.example`",
            "a mirror of server `a` is without TLS, unlike the server: `http://p.example`",
            "a mirror of server `a` has a url that is none: `nonsense`",
        ]
    );
}

#[test]
fn a_revoked_key_that_cannot_be_read_is_no_reason_to_go_on() {
    let good = server(r#""revoked_keys": ["0xE7FB0CAEC8173D669066514CBAEFF88C22F6E216"]"#);
    assert_eq!(good.revoked_keys().expect("a fingerprint").len(), 1);
    let error = server(r#""revoked_keys": ["0xBAEFF88C22F6E216"]"#)
        .revoked_keys()
        .expect_err("a key id");
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert_eq!(
        error.to_string(),
        "server `a` has `0xBAEFF88C22F6E216` in revoked_keys, which is no fingerprint"
    );
}

#[test]
fn its_name_becomes_the_name_of_a_remote() {
    let named = |name: &str| {
        let text = format!(r#"{{"version": 1, "servers": [{{"name": "{name}"}}]}}"#);
        let index = Index::parse(text.as_bytes()).expect(name);
        index.servers()[0]
            .remote_name()
            .expect("always valid")
            .to_string()
    };
    for (name, wanted) in [
        ("lxc-images", "lxc-images"),
        ("Ünser Server", "nser-Server"),
        ("é", "server"),
        ("--", "server"),
    ] {
        assert_eq!(named(name), wanted);
    }
    assert_eq!(named(&"x".repeat(255)).len(), 128);
}
