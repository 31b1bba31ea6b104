use imagestore_core::EntryKind;

use super::*;

const INDEX: &str = r#"{"version": 1, "servers": [
    {"name": "lxc", "url": "https+lxc-images://a.example", "trusted_keys": ["/keys/0xBAEFF88C22F6E216"],
     "description": "Made\u001b[31m here."},
    {"name": "late", "url": "https+lxc-images://b.example", "min_client_ver": 9}],
  "aliases": {
    "ubuntu": {"server": "lxc", "arguments": {"distribution": "ubuntu", "release": "trusty", "variant": "cloud"}},
    "ubuntu/devel": {"remote": "lxc", "arguments": {"distribution": "ubuntu", "release": "vivid"}},
    "own/one": {"server": "lxc", "arguments": {}},
    "own/two/b": {"server": "late", "arguments": {"distribution": "d", "release": "r"}},
    "chain": {"server": "ubuntu"},
    "both": {"server": "lxc", "remote": "late"},
    "none": {"arguments": {"distribution": "d", "release": "r"}},
    "half": {"server": "lxc", "arguments": {"distribution": "d"}},
    "lxc": {"server": "late"},
    "lxc/shadow": {"server": "lxc"},
    "dots": {"server": "lxc", "arguments": {"distribution": "..", "release": "r"}}}}"#;

fn index() -> Index {
    Index::parse(INDEX.as_bytes()).expect("valid")
}

fn path(text: &str) -> ImagePath {
    text.parse().expect(text)
}

fn found(text: &str) -> String {
    let found = index().find(&path(text), "arm64").expect(text);
    format!("{} {}", found.server.name(), found.rest)
}

#[test]
fn a_server_goes_before_the_longest_alias() {
    for (text, wanted) in [
        (
            "lxc/ubuntu/trusty/amd64/default",
            "lxc ubuntu/trusty/amd64/default",
        ),
        ("lxc", "lxc "),
        ("lxc/shadow", "lxc shadow"),
        ("late/x", "late x"),
        ("ubuntu", "lxc ubuntu/trusty/arm64/cloud"),
        ("ubuntu/amd64", "lxc ubuntu/trusty/amd64/cloud"),
        (
            "ubuntu/amd64/20140910",
            "lxc ubuntu/trusty/amd64/cloud/20140910",
        ),
        (
            "ubuntu/20150427_03:49",
            "lxc ubuntu/trusty/arm64/cloud/20150427_03:49",
        ),
        ("ubuntu/devel", "lxc ubuntu/vivid/arm64/default"),
        ("ubuntu/devel/i386", "lxc ubuntu/vivid/i386/default"),
        ("own/one/x/y", "lxc x/y"),
    ] {
        assert_eq!(found(text), wanted, "{text}");
    }
}

#[test]
fn says_what_is_wrong_with_a_name() {
    let cases = [
        (
            "",
            ErrorKind::NotFound,
            "a registry is no image; the registry has lxc, late, both, chain, dots, half, lxc/shadow, none and 4 more",
        ),
        (
            "nothing/x",
            ErrorKind::NotFound,
            "no such server or alias: `nothing`; \
          the registry has lxc, late, both, chain, dots, half, lxc/shadow, none and 4 more",
        ),
        (
            "own/two",
            ErrorKind::NotFound,
            "no such server or alias: `own`; \
          the registry has lxc, late, both, chain, dots, half, lxc/shadow, none and 4 more",
        ),
        (
            "ubuntu/amd64/cloud",
            ErrorKind::NotFound,
            "nothing of the name `amd64/cloud` below an alias: ubuntu; \
          write ALIAS[/ARCHITECTURE][/BUILD], or name the server",
        ),
        (
            "chain",
            ErrorKind::Malformed,
            "an alias of the registry leads to `ubuntu`, which is no server of it: chain",
        ),
        (
            "both",
            ErrorKind::Malformed,
            "an alias of the registry names two servers, `lxc` and `late`: both",
        ),
        (
            "none",
            ErrorKind::Malformed,
            "an alias of the registry names no server: none",
        ),
        (
            "half",
            ErrorKind::Malformed,
            "an alias of the registry names a distribution but no release: half",
        ),
        (
            "dots",
            ErrorKind::Malformed,
            "an alias of the registry names no image: dots",
        ),
    ];
    for (text, kind, message) in cases {
        let error = index().find(&path(text), "arm64").expect_err(text);
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
    }
    let empty = Index::parse(br#"{"version": 1, "servers": []}"#).expect("valid");
    let error = empty.find(&path("x"), "arm64").expect_err("nothing there");
    assert_eq!(
        error.to_string(),
        "no such server or alias: `x`; the registry has none"
    );
}

#[test]
fn lists_servers_and_aliases_with_what_is_wrong_with_them() {
    let index = index();
    assert!(index.is_folder(&path("")));
    let entries = index.entries(&path(""), None);
    let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "both",
            "chain",
            "dots",
            "half",
            "late",
            "lxc",
            "lxc/shadow",
            "none",
            "own/one",
            "own/two/b",
            "ubuntu",
            "ubuntu/devel",
        ]
    );
    let entry = |name: &str| entries.iter().find(|entry| entry.name == name).expect(name);
    let property =
        |name: &str, key: &str| entry(name).properties.get(key).cloned().unwrap_or_default();
    assert_eq!(entry("lxc").kind, EntryKind::Remote);
    assert_eq!(
        entry("lxc").description.as_deref(),
        Some("Made\\u{1b}[31m here.")
    );
    assert_eq!(property("lxc", "protocol"), "lxc-images");
    assert_eq!(property("lxc", "url"), "https+lxc-images://a.example");
    assert_eq!(property("lxc", "unusable"), "");
    assert_eq!(
        property("late", "unusable"),
        "server `late` is for version 9 and later, this is version 1; use a later imagestore"
    );
    assert_eq!(entry("ubuntu").kind, EntryKind::Alias);
    assert_eq!(property("ubuntu", "release"), "trusty");
    assert_eq!(property("ubuntu/devel", "server"), "lxc");
    assert_eq!(
        property("lxc/shadow", "unusable"),
        "server `lxc` takes its name"
    );
    assert_eq!(
        property("own/two/b", "unusable"),
        property("late", "unusable")
    );
    assert!(property("chain", "unusable").contains("which is no server of it"));
}

#[test]
fn lists_aliases_below_a_name_that_is_none_itself() {
    let index = index();
    assert!(index.is_folder(&path("own")));
    let names: Vec<_> = index
        .entries(&path("own"), None)
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    assert_eq!(names, ["one", "two/b"]);
    for text in ["lxc", "ubuntu", "own/one", "nothing"] {
        assert!(!index.is_folder(&path(text)), "{text}");
    }
}

#[test]
fn a_listing_below_a_server_or_alias_is_for_the_server() {
    let prefix = |text: &str| {
        let found = index().find_prefix(&path(text)).expect(text);
        format!("{} {}", found.server.name(), found.rest)
    };
    assert_eq!(prefix("lxc"), "lxc ");
    assert_eq!(prefix("lxc/ubuntu"), "lxc ubuntu");
    assert_eq!(prefix("ubuntu"), "lxc ubuntu/trusty");
    assert_eq!(prefix("ubuntu/amd64"), "lxc ubuntu/trusty/amd64/cloud");
    let error = index()
        .find_prefix(&path("nothing"))
        .expect_err("nothing there");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
