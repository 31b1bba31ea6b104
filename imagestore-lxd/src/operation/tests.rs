use super::*;

const ID: &str = "04c7ad68-3423-4bae-9b33-641339797fac";

/// An answer with these fields in the place of those of a pull that is done.
fn operation(fields: &[(&str, &str)]) -> Result<Operation, ParseError> {
    let mut all = std::collections::BTreeMap::from([
        ("id", format!("\"{ID}\"")),
        ("class", "\"task\"".to_owned()),
        ("description", "\"Downloading image\"".to_owned()),
        ("status_code", "200".to_owned()),
        ("may_cancel", "false".to_owned()),
        ("err", "\"\"".to_owned()),
        ("location", "\"none\"".to_owned()),
        ("resources", "null".to_owned()),
        ("metadata", "null".to_owned()),
    ]);
    for (name, value) in fields {
        all.insert(name, (*value).to_owned());
    }
    let all: Vec<_> = all
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    let text = format!(r#"{{"type":"sync","metadata":{{{}}}}}"#, all.join(","));
    Operation::parse(text.as_bytes())
}

fn with_metadata(metadata: &str) -> Operation {
    operation(&[("metadata", metadata)]).expect("an operation")
}

#[test]
fn reads_what_came_of_a_pull() {
    let digits = "8720cab55f412b1a81a50f370d7fce901d1b3550b117183468604508253e9a73";
    for size in ["\"268477260\"", "268477260"] {
        let done = with_metadata(&format!(r#"{{"fingerprint":"{digits}","size":{size}}}"#));
        assert_eq!(done.id.as_str(), ID);
        assert_eq!(done.class, OperationClass::Task);
        assert_eq!(done.status, OperationStatus::Success);
        assert_eq!(done.description, "Downloading image");
        assert_eq!(done.error, None);
        assert_eq!(
            done.fingerprint.map(|it| it.to_string()).as_deref(),
            Some(digits)
        );
        assert_eq!(done.size, Some(268_477_260));
    }
    for size in ["\"much\"", "-1", "1.5", "{}", "null"] {
        assert_eq!(with_metadata(&format!("{{\"size\":{size}}}")).size, None);
    }
}

#[test]
fn reads_progress_as_text() {
    for (metadata, progress) in [
        (
            r#"{"download_progress":"rootfs: 45% (10MB/s)"}"#,
            Some("rootfs: 45% (10MB/s)"),
        ),
        (
            r#"{"download_progress":"112.97MB (112.97MB/s)"}"#,
            Some("112.97MB (112.97MB/s)"),
        ),
        (r#"{"unpack_progress":"\u001b[2J"}"#, Some("\\u{1b}[2J")),
        (
            r#"{"progress":{"percent":"45"},"download_progress":45}"#,
            None,
        ),
        ("null", None),
        ("[]", None),
        ("7", None),
    ] {
        assert_eq!(
            with_metadata(metadata).progress.as_deref(),
            progress,
            "{metadata}"
        );
    }
    let long = format!(r#"{{"download_progress":"{}"}}"#, "x".repeat(100_000));
    let progress = with_metadata(&long).progress.expect("progress");
    assert_eq!(progress.len(), 200);
}

#[test]
fn tells_the_states_apart_by_their_numbers() {
    for (code, status, is_final) in [
        ("105", OperationStatus::Pending, false),
        ("103", OperationStatus::Running, false),
        ("113", OperationStatus::Running, false),
        ("104", OperationStatus::Cancelling, false),
        ("200", OperationStatus::Success, true),
        ("400", OperationStatus::Failure, true),
        ("401", OperationStatus::Cancelled, true),
    ] {
        let found = operation(&[("status_code", code)]).expect(code).status;
        assert_eq!((found, found.is_final()), (status, is_final), "{code}");
    }
}

#[test]
fn refuses_what_is_no_operation() {
    let wrong = |what: &str| {
        Err(ParseError::Json {
            what: what.to_owned(),
        })
    };
    for (id, shown) in [
        ("../../images", "../../images"),
        (
            "04C7AD68-3423-4bae-9b33-641339797fac",
            "04C7AD68-3423-4bae-9b33-641339797fac",
        ),
        (
            "04c7ad68-3423-4bae-9b33-641339797fac/wait",
            "04c7ad68-3423-4bae-9b33-641339797fac/wait",
        ),
        (
            "04c7ad6803423-4bae-9b33-641339797fac",
            "04c7ad6803423-4bae-9b33-641339797fac",
        ),
        ("", ""),
    ] {
        let found = operation(&[("id", &format!("\"{id}\""))]);
        assert_eq!(found, wrong(&format!("an operation with the id `{shown}`")));
    }
    let found = operation(&[("class", "\"chore\"")]).expect("a kind of later");
    assert_eq!(found.class, OperationClass::Other);
    let found = operation(&[("status_code", "302")]);
    assert_eq!(found, wrong("an operation of status 302"));
    let found = operation(&[("metadata", r#"{"fingerprint":"../x"}"#)]);
    assert!(
        matches!(found, Err(ParseError::Fingerprint { .. })),
        "{found:?}"
    );
    let found = operation(&[("metadata", r#"{"secret":"a/b"}"#)]).expect_err("no secret");
    assert!(!found.to_string().contains("a/b"), "{found}");
}

#[test]
fn keeps_the_words_of_a_host_in_bounds_and_its_secret_to_itself() {
    let long = format!("\"{}\\n\"", "x".repeat(999));
    let failed = operation(&[("err", &long), ("status_code", "400")]).expect("an operation");
    let text = failed.error.expect("a reason");
    assert!(text.ends_with("xx\\n") && text.len() == 1_001, "{text}");
    let secret = "5ec7e7".repeat(8);
    let token = with_metadata(&format!(r#"{{"secret":"{secret}"}}"#));
    assert_eq!(
        token.secret.as_ref().map(Secret::reveal),
        Some(secret.as_str())
    );
    assert!(!format!("{token:?}").contains("5ec7e7"));
}
