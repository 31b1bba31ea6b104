//! What a hostile host, or somebody who stands in for one, may try.

use imagestore_core::{ClientIdentity, ErrorKind, Limits, TlsTrust};
use imagestore_testkit::server::Certificate;
use imagestore_testkit::{Answer, Fault, Server, Site};

use crate::host::{Asker, Shown, chain, lookup, multipart, names, remote, site};

async fn refused(shown: Shown, path: &str) -> (ErrorKind, String) {
    let server = Server::https(site(vec![shown])).expect("a server");
    let asker = Asker::new();
    let source = asker.source(remote(&server));
    let error = asker.fetch(&source, path).await.expect_err(path);
    assert!(asker.keeps_nothing());
    (error.kind(), chain(&error).replace(&server.url(), "HOST"))
}

#[tokio::test]
async fn host_changes_one_part_of_a_split_image() {
    for (metadata, root) in [(&b"metadata"[..], &b"r00t"[..]), (b"metadat", b"root")] {
        let mut shown = Shown::new("box", [b"metadata", b"root"]);
        shown.export = Some(multipart(
            &[("metadata", metadata), ("rootfs", root)],
            "\r\n--b0--\r\n",
        ));
        let (kind, text) = refused(shown, "box").await;
        assert_eq!(kind, ErrorKind::Untrusted, "{text}");
    }
}

#[tokio::test]
async fn host_changes_a_unified_image() {
    let mut shown = Shown::new("box", [b"unified"]);
    shown.export = Some(("application/octet-stream".to_owned(), b"unlfied".to_vec()));
    let fingerprint = shown.fingerprint();
    let (kind, text) = refused(shown, "box").await;
    assert_eq!(kind, ErrorKind::Untrusted);
    assert!(text.contains(&fingerprint), "{text}");
}

#[tokio::test]
async fn host_gives_a_fingerprint_that_is_a_path_or_too_short() {
    let whole = Shown::new("box", [b"x"]).fingerprint();
    for bad in [
        "../../../etc/passwd",
        &whole[..12],
        &whole.to_uppercase(),
        &format!("{whole}0"),
        "",
    ] {
        let shown = Shown::new("box", [b"x"]).with("fingerprint", &format!("\"{bad}\""));
        let (kind, text) = refused(shown, "box").await;
        assert_eq!(kind, ErrorKind::Malformed, "{text}");
        assert!(
            text.starts_with(&format!("`{bad}` is no fingerprint: 64 digits")),
            "{text}"
        );
        let shown = Shown::new("box", [b"x"]).with("target", &format!("\"{bad}\""));
        assert_eq!(refused(shown, "box").await.0, ErrorKind::Malformed);
    }
}

#[tokio::test]
async fn host_answers_about_another_image() {
    let other = "0".repeat(64);
    let asked = Shown::new("box", [b"x"]).fingerprint();
    for path in ["box", &asked, &asked[..12]] {
        let shown = Shown::new("box", [b"x"]).with("fingerprint", &format!("\"{other}\""));
        let (kind, text) = refused(shown, path).await;
        assert_eq!(kind, ErrorKind::Malformed);
        assert!(
            text.starts_with("asked about image ") && text.ends_with(&other),
            "{text}"
        );
    }
}

#[tokio::test]
async fn host_sends_other_parts_than_two() {
    for (parts, end, rule) in [
        (
            &[("metadata", &b"m"[..])][..],
            "\r\n--b0--\r\n",
            "it has fewer parts than files",
        ),
        (
            &[("metadata", b"m"), ("rootfs", b"r"), ("more", b"x")],
            "\r\n--b0--\r\n",
            "it has more parts than files",
        ),
        (
            &[("metadata", b"m"), ("rootfs", b"r")],
            "",
            "ends before its end line",
        ),
        (
            &[("rootfs", b"m"), ("metadata", b"r")],
            "\r\n--b0--\r\n",
            "has a part `rootfs` where `metadata` is expected",
        ),
        (
            &[("metadata", b"m"), ("rootfs.img", b"r")],
            "\r\n--b0--\r\n",
            "has a part `rootfs.img` where `rootfs` is expected",
        ),
    ] {
        let mut shown = Shown::new("box", [b"m", b"r"]);
        shown.export = Some(multipart(parts, end));
        let (_, text) = refused(shown, "box").await;
        assert!(text.contains(rule), "{rule}: {text}");
    }
    let long = "x".repeat(1 << 20);
    let mut shown = Shown::new("box", [b"m", b"r"]);
    shown.export = Some(multipart(
        &[("metadata", b"m"), (&long, b"r")],
        "\r\n--b0--\r\n",
    ));
    let (kind, text) = refused(shown, "box").await;
    assert!(
        matches!(kind, ErrorKind::Malformed | ErrorKind::TooLarge),
        "{text}"
    );
}

#[tokio::test]
async fn file_names_in_the_answer_are_never_used() {
    let server = Server::https(site(vec![Shown::new(
        "box",
        [b"metadata--b0\r\n", b"--b0--root"],
    )]))
    .expect("a server");
    let asker = Asker::new();
    let stored = asker
        .fetch(&asker.source(remote(&server)), "box")
        .await
        .expect("fetched");
    let names: Vec<_> = stored
        .artifacts()
        .iter()
        .map(|artifact| artifact.file().name.as_str())
        .collect();
    assert_eq!(names, ["metadata.tar", "rootfs"]);
    let sizes: Vec<_> = stored
        .artifacts()
        .iter()
        .map(|artifact| artifact.size())
        .collect();
    assert_eq!(sizes, [14, 10]);
}

#[tokio::test]
async fn body_is_longer_than_the_size_of_the_image() {
    let mut shown = Shown::new("box", [b"x"]);
    shown.export = Some(("application/octet-stream".to_owned(), vec![b'x'; 1000]));
    let (kind, text) = refused(shown, "box").await;
    assert_eq!(kind, ErrorKind::TooLarge);
    assert!(
        text.starts_with("has 1000 bytes, the index says 1: HOST"),
        "{text}"
    );
    let mut shown = Shown::new("box", [b"m", b"r"]);
    let long = vec![b'r'; 1 << 20];
    shown.export = Some(multipart(
        &[("metadata", b"m"), ("rootfs", &long)],
        "\r\n--b0--\r\n",
    ));
    assert_eq!(refused(shown, "box").await.0, ErrorKind::TooLarge);
}

#[tokio::test]
async fn image_is_larger_than_allowed() {
    let server = Server::https(site(vec![Shown::new("box", [b"0123456789"])])).expect("a server");
    let mut limits = Limits::default();
    limits.file_bytes = 9;
    let asker = Asker::with_limits(limits);
    let error = lookup(&asker.source(remote(&server)), "box")
        .await
        .expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(
        error
            .to_string()
            .starts_with("has 10 bytes, at most 9 are allowed: image "),
        "{error}"
    );
}

#[tokio::test]
async fn answers_that_are_none_end_the_asking() {
    let many = format!(
        r#"{{"type":"sync","metadata":[{}]}}"#,
        vec!["{}"; 100_000].join(",")
    );
    for (answer, kind) in [
        ("<html>Log in</html>".to_owned(), ErrorKind::Malformed),
        (String::new(), ErrorKind::Malformed),
        ("[".repeat(1_000_000), ErrorKind::Malformed),
        (many, ErrorKind::Malformed),
        (" ".repeat((32 << 20) + 1), ErrorKind::TooLarge),
    ] {
        let server =
            Server::https(Site::answering(move |_| Answer::ok(answer.clone()))).expect("a server");
        let asker = Asker::new();
        let source = asker.source(remote(&server));
        let error = names(&source, "").await.expect_err("no listing");
        assert_eq!(error.kind(), kind, "{error}");
    }
    let mut shown = Shown::new("box", [b"x"]);
    shown.export = Some(("text/html".to_owned(), b"Log in".to_vec()));
    let (kind, text) = refused(shown, "box").await;
    assert_eq!(kind, ErrorKind::Malformed);
    assert!(
        text.starts_with("an export is sent as `text/html`, which is neither one file nor two: "),
        "{text}"
    );
}

#[tokio::test]
async fn aliases_cannot_pass_for_fingerprints_or_paths() {
    let digits = Shown::new("x", [b"one"]).fingerprint();
    let mut shown = Shown::new("fine", [b"two"]);
    shown.aliases.extend([
        digits.clone(),
        "../up".to_owned(),
        "a//b".to_owned(),
        "a\\u202eb".to_owned(),
    ]);
    let own = shown.fingerprint();
    let server = Server::https(site(vec![shown])).expect("a server");
    let asker = Asker::new();
    let source = asker.source(remote(&server));
    let mut wanted = vec![own, "fine".to_owned()];
    wanted.sort();
    assert_eq!(names(&source, "").await.expect("a listing"), wanted);
    assert_eq!(
        asker.told.warnings().len(),
        3,
        "{:?}",
        asker.told.warnings()
    );
    let error = lookup(&source, &digits)
        .await
        .expect_err("an alias that looks like a fingerprint");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn redirect_leads_to_another_host() {
    let elsewhere = Server::https(Site::empty()).expect("a server");
    let server = Server::https(site(vec![Shown::new("box", [b"x"])])).expect("a server");
    let identity = Certificate::new(&["me"]);
    let remote = remote(&server).with_identity(ClientIdentity::new(
        identity.pem().as_bytes().to_vec(),
        identity.key_pem().as_bytes().to_vec(),
    ));
    let asker = Asker::new();
    let source = asker.source(remote);
    server.fail_all(Fault::redirect(format!("{}/1.0/images", elsewhere.url())));
    let error = names(&source, "").await.expect_err("a redirect");
    assert!(
        matches!(
            error.kind(),
            ErrorKind::Network | ErrorKind::Unsafe | ErrorKind::Untrusted
        ),
        "{error}"
    );
    assert_eq!(elsewhere.requests().len(), 0);
}

#[tokio::test]
async fn certificate_is_another_than_the_pinned_one() {
    let server = Server::https(site(vec![Shown::new("box", [b"x"])])).expect("a server");
    let other = Certificate::new(&["127.0.0.1"]).sha256();
    let asker = Asker::new();
    let source = asker.source(remote(&server).with_tls(TlsTrust::Pin(vec![other])));
    let error = lookup(&source, "box")
        .await
        .expect_err("another certificate");
    assert_eq!(error.kind(), ErrorKind::Untrusted);
    let seen = server.certificate().expect("a certificate").sha256();
    assert!(
        chain(&error).contains(&seen.to_string()) && chain(&error).contains(&other.to_string()),
        "{error}"
    );
    assert_eq!(server.requests().len(), 0);
}
