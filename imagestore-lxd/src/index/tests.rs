use std::time::{Duration, SystemTime};

use super::*;

const DIGITS: &str = "bf27d42927fa4cf33ca64733f4b7b53b901703b868d2f70d6161092d41d3947b";

fn image(fields: &str) -> Result<HostImage, ParseError> {
    let text = format!(r#"{{"type":"sync","metadata":{{{fields}}}}}"#);
    HostImage::parse(text.as_bytes())
}

#[test]
fn reads_an_image() {
    let found = image(&format!(
        r#""fingerprint":"{DIGITS}","size":556,"architecture":"x86_64","type":"container","public":true,
        "aliases":[{{"name":"a/b","description":""}}],"created_at":"2014-03-19T13:09:49Z",
        "expires_at":"0001-01-01T00:00:00Z","last_used_at":"x","properties":{{"os":"ubuntu"}},"new":{{}}"#
    ));
    let found = found.expect("an image");
    assert_eq!(found.fingerprint.to_string(), DIGITS);
    assert_eq!(
        (found.size, found.kind, found.public),
        (556, ImageKind::Container, true)
    );
    assert_eq!(found.aliases, ["a/b"]);
    assert_eq!(
        found.created_at,
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_395_234_589))
    );
    assert_eq!(found.expires_at, None);
    assert_eq!(
        found.properties.get("os").map(String::as_str),
        Some("ubuntu")
    );
}

#[test]
fn an_old_host_says_less() {
    let found = image(&format!(
        r#""fingerprint":"{DIGITS}","size":1,"aliases":null,"properties":null"#
    ));
    let found = found.expect("an image");
    assert_eq!(found.kind, ImageKind::Container);
    assert!(found.aliases.is_empty() && found.properties.is_empty() && !found.public);
}

#[test]
fn a_fingerprint_is_64_lower_case_digits_and_nothing_else() {
    for text in [
        "",
        "bf27d42927fa",
        "../../../../etc/passwd",
        &DIGITS.to_uppercase(),
        &DIGITS[1..],
        &format!("{DIGITS}0"),
        &format!("{}/", &DIGITS[1..]),
        &format!("{}\\u0000", &DIGITS[1..]),
        &format!("{}g", &DIGITS[1..]),
        &format!("sha256:{}", &DIGITS[7..]),
    ] {
        let error = image(&format!(r#""fingerprint":"{text}","size":1"#)).expect_err(text);
        assert!(
            matches!(error, ParseError::Fingerprint { .. }),
            "{text}: {error}"
        );
        let alias = format!(r#"{{"type":"sync","metadata":{{"target":"{text}"}}}}"#);
        let error = HostAlias::parse(alias.as_bytes()).expect_err(text);
        assert!(
            matches!(error, ParseError::Fingerprint { .. }),
            "{text}: {error}"
        );
    }
}

#[test]
fn refuses_sizes_that_are_none() {
    for size in [
        "-1",
        "0",
        "1.5",
        "\"556\"",
        "null",
        "18446744073709551616",
        "true",
    ] {
        let error = image(&format!(r#""fingerprint":"{DIGITS}","size":{size}"#)).expect_err(size);
        assert_eq!(
            error.kind(),
            imagestore_core::ErrorKind::Malformed,
            "{size}"
        );
    }
    let error = image(&format!(r#""fingerprint":"{DIGITS}","size":1,"size":2"#));
    assert!(
        error
            .expect_err("twice")
            .to_string()
            .contains("duplicate field `size`")
    );
}

#[test]
fn refuses_more_images_than_the_limit() {
    let one = format!(r#"{{"fingerprint":"{DIGITS}","size":1}}"#);
    let text = format!(r#"{{"type":"sync","metadata":[{one},{one}]}}"#);
    assert_eq!(
        Index::parse(text.as_bytes(), 2).map(|index| index.images().len()),
        Ok(2)
    );
    assert_eq!(
        Index::parse(text.as_bytes(), 1)
            .expect_err("two")
            .to_string(),
        "has more than 1 images"
    );
}

#[test]
fn tells_whether_the_host_knows_the_caller() {
    let host = |metadata: &str| {
        Host::parse(format!(r#"{{"type":"sync","metadata":{metadata}}}"#).as_bytes())
            .expect("a host")
    };
    let known = host(
        r#"{"auth":"trusted","api_extensions":["etag"],"environment":{"server":"lxd","server_version":"5.0.2",
        "architectures":["x86_64","i686"]}}"#,
    );
    assert!(known.trusted);
    assert_eq!(known.server.as_deref(), Some("lxd"));
    assert_eq!(known.architectures, ["x86_64", "i686"]);
    let unknown = host(r#"{"auth":"untrusted","api_extensions":null}"#);
    assert!(!unknown.trusted && unknown.version.is_none());
}
