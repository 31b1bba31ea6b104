use super::*;

fn index(images: &str) -> Result<Index, ParseError> {
    let global = r#""global": {"generated_at": "Mon Dec 18 08:54:59 UTC 2017"}"#;
    Index::parse(format!(r#"{{{global}, "images": [{images}]}}"#).as_bytes())
}

#[test]
fn reads_what_servers_write() {
    let index = index(
        r#"{"type": "full", "version": 261, "minversion": 7, "phased-percentage": "39",
            "description": ",version=261", "description_fr": "français", "bootme": true,
            "version_detail": ",ubports=20171218-295,device,tag=OTA-5", "later": [1],
            "files": [{"path": "/pool/ubports-1.tar.xz", "signature": "/pool/ubports-1.tar.xz.asc",
                       "checksum": "ab", "size": 12, "order": 0}]},
           {"type": "delta", "version": 262, "base": 261,
            "descriptions": {"description": "20130727"}}"#,
    )
    .expect("an index");
    assert_eq!(index.generated_at(), 1_513_587_299);
    assert!(index.skipped().is_empty());
    let [full, delta] = index.builds() else {
        panic!("two builds")
    };
    assert_eq!(
        (full.to_string(), delta.to_string()),
        ("F261".to_owned(), "D262<261".to_owned())
    );
    assert_eq!((full.phased_percentage, delta.phased_percentage), (39, 100));
    assert_eq!((full.minimum, full.bootme, full.size()), (7, true, 12));
    assert_eq!(full.descriptions["description_fr"], "français");
    assert_eq!(
        full.details().collect::<Vec<_>>(),
        [("ubports", "20171218-295"), ("tag", "OTA-5")]
    );
    assert_eq!(delta.descriptions["description"], "20130727");
    assert_eq!(full.files[0].local_name(), "ubports-1.tar.xz");
}

#[test]
fn leaves_out_broken_images_one_by_one() {
    let good = r#"{"type": "full", "version": 1}"#;
    let file = r#""path": "/p", "signature": "/s", "checksum": "", "order": 0"#;
    for (broken, problem) in [
        (
            r#"{"type": "full", "version": 20130300}"#,
            "`version` is 20130300, not between 1 and 65535",
        ),
        (
            r#"{"type": "full", "version": 65536}"#,
            "`version` is 65536, not between 1 and 65535",
        ),
        (
            r#"{"type": "full", "version": 0}"#,
            "`version` is 0, not between 1 and 65535",
        ),
        (r#"{"type": "full", "version": 1.0}"#, "`version` is 1.0"),
        (r#"{"type": "full", "version": -1}"#, "`version` is -1"),
        (
            r#"{"type": "full", "version": 18446744073709551616}"#,
            "`version` is 18446744073709551616",
        ),
        (
            r#"{"type": "full", "version": "12"}"#,
            "`version` is \"12\"",
        ),
        (r#"{"type": "full", "version": null}"#, "`version` is null"),
        (r#"{"type": "full", "version": true}"#, "`version` is true"),
        (r#"{"type": "full"}"#, "`version` is missing"),
        (r#"{"type": "patch", "version": 2}"#, "`type` is `patch`"),
        (r#"{"type": "delta", "version": 2}"#, "`base` is missing"),
        (
            r#"{"type": "delta", "version": 2, "base": 2}"#,
            "the delta to 2 has the base 2",
        ),
        (
            r#"{"type": "delta", "version": 2, "base": 3}"#,
            "the delta to 2 has the base 3",
        ),
        (
            r#"{"type": "full", "version": 2, "phased-percentage": 101}"#,
            "`phased-percentage` is 101",
        ),
        (
            r#"{"type": "full", "version": 2, "phased-percentage": -1}"#,
            "`phased-percentage` is -1",
        ),
        (
            r#"{"type": "full", "version": 2, "phased-percentage": "x"}"#,
            "`phased-percentage` is \"x\"",
        ),
        (
            r#"{"type": "full", "version": 2, "version": 3}"#,
            "the key `version` comes twice at line 1 column 44",
        ),
        (
            r#"{"type": "full", "version": 2, "files": [{}]}"#,
            "`files[0]` of 2: `size` is missing",
        ),
    ] {
        let index = index(&format!("{good}, {broken}")).expect(broken);
        assert_eq!(index.builds().len(), 1, "{broken}");
        let found = index.skipped()[0].to_string();
        assert_eq!(found, format!("images[1] is left out: {problem}"));
    }
    for (size, problem) in [
        ("-1", "is -1"),
        (
            "17179869185",
            "is 17179869185, at most 17179869184 bytes are allowed",
        ),
    ] {
        let broken =
            format!(r#"{{"type": "full", "version": 2, "files": [{{{file}, "size": {size}}}]}}"#);
        let index = index(&format!("{good}, {broken}")).expect("one is good");
        assert_eq!(
            index.skipped()[0].problem,
            format!("`files[0]` of 2: `size` {problem}")
        );
    }
    let nul = file.replace("/p\"", "/p\\u0000\"");
    let broken = format!(r#"{{"type": "full", "version": 2, "files": [{{{nul}, "size": 1}}]}}"#);
    let index = index(&format!("{good}, {broken}")).expect("one is good");
    assert_eq!(
        index.skipped()[0].problem,
        r"`files[0]` of 2: `path` is `/p\u{0}`"
    );
}

#[test]
fn takes_the_first_of_two_with_one_version_and_base() {
    let index = index(
        r#"{"type": "full", "version": 2, "description": "a"},
           {"type": "full", "version": 2, "description": "b"},
           {"type": "delta", "version": 2, "base": 1}, {"type": "delta", "version": 2, "base": 1}"#,
    )
    .expect("an index");
    assert_eq!(index.builds().len(), 2);
    assert_eq!(index.builds()[0].descriptions["description"], "a");
    assert_eq!(
        index.skipped()[1].to_string(),
        "images[3] is left out: D2<1 is there already; the first one counts"
    );
}

#[test]
fn refuses_an_index_of_which_nothing_is_left() {
    let error = index(r#"{"type": "full"}, {"type": "x", "version": 1}"#).expect_err("nothing");
    assert_eq!(
        error.to_string(),
        "none of the 2 entries of an index can be used; images[0] is left out: `version` is missing"
    );
    assert!(index("").expect("an empty one is fine").builds().is_empty());
}

#[test]
fn refuses_what_is_no_index() {
    for bytes in [
        &b""[..],
        b"\n",
        b"<html>Log in</html>",
        b"[]",
        b"{}",
        br#"{"images": []}"#,
        br#"{"global": {}, "images": []}"#,
        br#"{"global": {"generated_at": "Mon Dec 18 08:54:59 CET 2017"}, "images": []}"#,
        br#"{"global": {"generated_at": "Thu Feb 30 08:54:59 UTC 2017"}, "images": []}"#,
        br#"{"global": {"generated_at": "Mon Dec 18 08:54:59 UTC 2017"}}"#,
        br#"{"global": {"generated_at": "Mon Dec 18 08:54:59 UTC 2017"}, "images": {}}"#,
        br#"{"global": {"generated_at": "Mon Dec 18 08:54:59 UTC 2017"}, "images": [], "images": []}"#,
    ] {
        let error = Index::parse(bytes).expect_err("no index");
        assert!(matches!(error, ParseError::Form { .. }), "{error}");
    }
}

#[test]
fn refuses_more_images_than_any_server_has() {
    let one = r#"{"type": "full", "version": 1}"#;
    let many = vec![one; 10_001].join(",");
    let error = index(&many).expect_err("too many");
    assert!(
        error.to_string().contains("more than 10000 entries"),
        "{error}"
    );
    index(&vec![one; 10_000].join(",")).expect("as many as allowed");
    let files = vec!["{}"; 101].join(",");
    let index = index(&format!(
        r#"{one}, {{"type": "full", "version": 2, "files": [{files}]}}"#
    ));
    let index = index.expect("one is good");
    let problem = &index.skipped()[0].problem;
    assert!(problem.contains("more than 100 entries"), "{problem}");
}
