use std::error::Error as _;

use super::*;

fn parse(text: &str) -> Index {
    Index::parse(text.as_bytes()).expect(text)
}

/// The message and, if JSON is to blame, its cause.
fn refusal(text: &str) -> String {
    let error = Index::parse(text.as_bytes()).expect_err(text);
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn with_server(fields: &str) -> String {
    format!(r#"{{"version": 1, "servers": [{{"name": "a", {fields}}}]}}"#)
}

#[test]
fn reads_every_field() {
    let index = parse(
        r#"{"version": 3, "generated_at": 1415397644, "serial": 42, "expires_at": 1418076044,
            "servers": [{"name": "a", "description": "An a.", "description.fr": "Un a.",
                "url": "https+lxc-images://a.example", "arguments": {"base": "core"},
                "trusted_keys": ["/keys/0xBAEFF88C22F6E216"], "trusted_certs": ["/certs/00"],
                "min_client_ver": 1, "max_client_ver": 2}],
            "aliases": {"u/lts": {"server": "a", "arguments": {"distribution": "u", "release": "t"}}}}"#,
    );
    assert_eq!(index.version(), 3);
    assert_eq!(index.generated_at(), Some(1_415_397_644));
    assert_eq!(index.serial(), Some(42));
    assert_eq!(index.expires_at(), Some(1_418_076_044));
    let server = index.server("a").expect("it is there");
    assert_eq!(server.describe(None), Some("An a."));
    assert_eq!(
        server.arguments().get("base").map(String::as_str),
        Some("core")
    );
    assert_eq!(server.trusted_keys(), ["/keys/0xBAEFF88C22F6E216"]);
    assert_eq!(server.trusted_certs(), ["/certs/00"]);
    assert_eq!(
        server.check().expect("usable").to_string(),
        "https+lxc-images://a.example"
    );
    let alias = index
        .alias(&"u/lts".parse().expect("a name"))
        .expect("it is there");
    assert_eq!(alias.server().expect("one server"), "a");
    assert_eq!(
        alias.arguments().get("release").map(String::as_str),
        Some("t")
    );
}

#[test]
fn ignores_unknown_fields_everywhere() {
    let index = parse(
        r#"{"version": 9, "new": [{"deep": [1.5, null]}], "servers": [{"name": "a", "new": {}, "x": "\ud83d\ude00"}],
            "aliases": {"b": {"server": "a", "new": true}}}"#,
    );
    assert_eq!(index.servers().len(), 1);
    assert_eq!(
        (index.generated_at(), index.serial(), index.expires_at()),
        (None, None, None)
    );
}

#[test]
fn takes_arguments_in_all_forms_seen() {
    for (arguments, wanted) in [
        ("{}", ""),
        ("null", ""),
        ("[]", ""),
        (r#"{"base": "core"}"#, "core"),
        (r#"[{"base": "core"}, {}]"#, "core"),
    ] {
        let index = parse(&with_server(&format!(r#""arguments": {arguments}"#)));
        let found = index.servers()[0]
            .arguments()
            .get("base")
            .map_or("", String::as_str);
        assert_eq!(found, wanted, "{arguments}");
    }
    assert!(
        parse(&with_server(r#""url": "x""#)).servers()[0]
            .arguments()
            .is_empty()
    );
}

#[test]
fn refuses_numbers_that_are_no_counts() {
    for number in [
        "-1",
        "1.0",
        "1e3",
        "18446744073709551616",
        "\"12\"",
        "null",
        "true",
        "[]",
    ] {
        for text in [
            format!(r#"{{"version": {number}, "servers": []}}"#),
            format!(r#"{{"version": 1, "generated_at": {number}, "servers": []}}"#),
            format!(r#"{{"version": 1, "serial": {number}, "servers": []}}"#),
            format!(r#"{{"version": 1, "expires_at": {number}, "servers": []}}"#),
            with_server(&format!(r#""min_client_ver": {number}"#)),
            with_server(&format!(r#""max_client_ver": {number}"#)),
        ] {
            let error = Index::parse(text.as_bytes()).expect_err(&text);
            assert!(matches!(error, ParseError::Json { .. }), "{text}: {error}");
        }
    }
    assert_eq!(
        refusal(r#"{"version": 0, "servers": []}"#),
        "version is 0, the first is 1"
    );
}

#[test]
fn refuses_a_key_that_is_there_twice() {
    let cases = [
        (r#"{"version": 1, "version": 1, "servers": []}"#.to_owned(), "duplicate field `version`"),
        (with_server(r#""url": "x", "url": "y""#), "duplicate field `url`"),
        (with_server(r#""trusted_keys": [], "trusted_keys": []"#), "duplicate field `trusted_keys`"),
        (with_server(r#""description.fr": "x", "description.fr": "y""#), "the key `description.fr` twice"),
        (with_server(r#""arguments": {"k": "x", "k": "y"}"#), "the key `k` twice in one object"),
        (with_server(r#""arguments": [{"k": "x"}, {"k": "y"}]"#), "the key `k` twice in one object"),
        (
            r#"{"version": 1, "servers": [], "aliases": {"a": {"server": "x"}, "a": {"server": "y"}}}"#.to_owned(),
            "the key `a` twice in one object",
        ),
    ];
    for (text, wanted) in cases {
        let found = refusal(&text);
        assert!(found.starts_with("not the JSON of a registry: "), "{found}");
        assert!(found.contains(wanted), "{found}");
    }
}

#[test]
fn refuses_two_servers_or_aliases_of_one_name() {
    assert_eq!(
        refusal(r#"{"version": 1, "servers": [{"name": "a"}, {"name": "b"}, {"name": "a"}]}"#),
        "server `a` is there twice"
    );
    assert_eq!(
        refusal(r#"{"version": 1, "servers": [], "aliases": {"a": {}, "a/": {}}}"#),
        "alias `a/` is there twice"
    );
}

#[test]
fn refuses_names_that_cannot_be_typed() {
    for name in [
        "",
        ".",
        "..",
        "a/b",
        "a:b",
        "a\\\\b",
        "a\\n",
        "a\\u0000b",
        "\\u202ea",
    ] {
        let text = format!(r#"{{"version": 1, "servers": [{{"name": "{name}"}}]}}"#);
        let error = Index::parse(text.as_bytes()).expect_err(name);
        assert!(
            matches!(error, ParseError::ServerName { .. }),
            "{name}: {error}"
        );
    }
    for name in ["", "/", "a//b", "../a", "a\\u0007"] {
        let text = format!(r#"{{"version": 1, "servers": [], "aliases": {{"{name}": {{}}}}}}"#);
        let error = Index::parse(text.as_bytes()).expect_err(name);
        assert!(
            matches!(error, ParseError::AliasName { .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn refuses_what_is_no_index() {
    let deep = "[".repeat(1_000_000);
    let texts: [&[u8]; 12] = [
        b"",
        b" \n",
        b"<html><body>log in</body></html>",
        &[0; 4096],
        b"\xef\xbb\xbf{}",
        b"[]",
        b"null",
        b"{}",
        b"{\"version\": 1}",
        b"{\"version\": 1, \"servers\": []} x",
        b"{\"version\": 1, \"servers\": [{}]}",
        b"{\"version\": 1, \"servers\": [{\"name\": \"\xff\"}]}",
    ];
    for text in texts {
        let error = Index::parse(text).expect_err("no index");
        assert!(matches!(error, ParseError::Json { .. }), "{error}");
        let error = Error::from(error);
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert_eq!(error.to_string(), "no index of a registry");
    }
    assert_eq!(refusal(&deep), "nested more than 32 deep");
    // A bracket in a string is no nesting.
    let quoted = with_server(&format!(r#""x": "\"{deep}""#));
    assert_eq!(parse(&quoted).servers().len(), 1);
}

#[test]
fn bounds_what_it_keeps() {
    let many = |what: &str, count: usize| vec![what; count].join(",");
    let cases = [
        (
            with_server(&format!(r#""trusted_keys": [{}]"#, many("\"k\"", 65))),
            "more than 64 entries in one array",
        ),
        (
            with_server(&format!(r#""url": "{}""#, "x".repeat(65_537))),
            "a text of 65537 bytes, at most 65536",
        ),
        (
            format!(
                r#"{{"version": 1, "servers": [{}]}}"#,
                many(r#"{"name": "a"}"#, 10_001)
            ),
            "more than 10000 entries in one array",
        ),
    ];
    for (text, wanted) in cases {
        let found = refusal(&text);
        assert!(found.contains(wanted), "{found}");
    }
}

#[test]
fn an_index_counts_until_it_expires() {
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let index =
        parse(r#"{"version": 1, "generated_at": 1000000, "expires_at": 9000000, "servers": []}"#);
    assert_eq!(index.check_time(at(1_000_000)).expect("fresh"), None);
    assert_eq!(
        index
            .check_time(at(1_000_000 - 86_400))
            .expect("a clock that is behind"),
        None
    );
    assert_eq!(
        index.check_time(at(9_000_000)).expect("the last second"),
        Some("the registry index was generated 92 days ago".to_owned())
    );
    let late = index.check_time(at(9_000_001)).expect_err("a second later");
    assert_eq!(late.kind(), ErrorKind::Expired);
    assert_eq!(
        late.to_string(),
        "the registry index expired at 9000000, it is 9000001"
    );
    let early = index
        .check_time(at(1_000_000 - 86_401))
        .expect_err("from the future");
    assert_eq!(early.kind(), ErrorKind::Malformed);
    assert_eq!(
        early.to_string(),
        "the registry index was generated in the future, at 1000000; it is 913599"
    );
}

#[test]
fn no_bytes_make_it_panic() {
    let seed = br#"{"version": 1, "generated_at": 20, "serial": 3, "servers": [{"name": "a", "url": "https+lxd://a",
        "description.fr": "x", "arguments": [{"k": "v"}], "mirrors": ["https://m"], "trusted_keys": ["/keys/0x0"],
        "revoked_keys": [], "min_client_ver": 1}], "aliases": {"a/b": {"server": "a", "arguments": null}}}"#;
    let mut random = 88_172_645_463_325_252_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).expect("smaller than a usize")
    };
    let mut accepted = 0;
    for _ in 0..20_000 {
        let mut bytes = seed.to_vec();
        for _ in 0..=next(3) {
            let (at, from) = (next(bytes.len()), next(bytes.len()));
            match next(6) {
                0 => bytes.truncate(at + 1),
                1 => bytes.extend_from_within(at.min(from)..at.max(from)),
                2 => bytes[at] ^= 1 << next(8),
                _ => bytes[at] = b"0123456789abc:/. "[next(17)],
            }
        }
        let Ok(index) = Index::parse(&bytes) else {
            continue;
        };
        accepted += 1;
        for server in index.servers() {
            assert!(ImagePath::from_segments([server.name()]).is_ok());
            server
                .check()
                .map_or_else(|error| error.to_string(), |url| url.to_string());
            server
                .remote_name()
                .expect("every name has a form that is valid");
        }
        let entries = index.entries(&ImagePath::default(), None);
        assert!(entries.len() <= index.servers().len() + index.aliases.len());
    }
    assert!(accepted > 1000, "{accepted} were accepted");
}
